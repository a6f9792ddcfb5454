"""What there is over HTTP: what models carry, pages, searches, references, changes of contracts."""

import json
from typing import Any

import httpx
import msgspec
import pytest

from muster.client.errors import OrderMalformed
from muster.packaging.documents import read_description, toml_of
from muster.vocabulary.errors import NotAllowed
from running_control import Control, FollowingFront
from small_bundles import SmallBundles

PROJECT = "/api/v1/projects/default"
#: What callers may send where a text is asked for; none of it may be anything but text.
TEXTS = [
    "'; DROP TABLE models; --",
    "%",
    "\\",
    '"',
    "\x7f",
    "\x00",
    "\ud800",
    "a" * 5000,
    "\u202egnp.exe",
    "$(id)",
    "{{7*7}}",
    "\r\nX-Evil: 1",
]


@pytest.fixture(scope="module")
def zoo(control: Control, bundles: SmallBundles) -> list[str]:
    """Five models, the first with three versions."""
    names = ["zoo-ant", "zoo-ant", "zoo-ant", "zoo-bee", "zoo-cat", "zoo-dog", "zoo-eel"]
    return [control.as_("ana").register(bundles.new(name=name)).version for name in names]


def followed(http: httpx.Client, path: str, of: str, **query: Any) -> list[Any]:
    """Every page of a list."""
    found, after = [], None
    while True:
        page = http.get(path, params={**query, **({} if after is None else {"after": after})})
        assert page.status_code == 200, page.text
        assert len(page.json()[of]) <= query.get("limit", 100)
        found += page.json()[of]
        after = page.json().get("next")
        if after is None:
            return found


@pytest.mark.usefixtures("zoo")
def test_lists_are_given_page_by_page(control: Control) -> None:
    """Each item once, in the order of the list; a last page has no `next`, and one that is full neither."""
    with control.http("vera") as http:
        for limit in (1, 2, 5, 100):
            names = [one["name"] for one in followed(http, f"{PROJECT}/models", "models", limit=limit)]
            assert names == sorted(names)
            assert {"zoo-ant", "zoo-bee", "zoo-cat", "zoo-dog", "zoo-eel"} <= set(names)
            assert len(names) == len(set(names))
            for path in (f"{PROJECT}/models/zoo-ant", f"{PROJECT}/models/zoo-ant/versions"):
                versions = followed(http, path, "versions", limit=limit)
                assert [one["number"] for one in versions] == [3, 2, 1]
        whole = http.get(f"{PROJECT}/models/zoo-ant/versions", params={"limit": 3}).json()
        assert "next" not in whole
        for bad in ({"limit": 0}, {"limit": 1001}, {"after": "No Name"}, {"limit": "many"}):
            assert http.get(f"{PROJECT}/models", params=bad).status_code == 400
        assert http.get(f"{PROJECT}/models/zoo-ant", params={"after": "x"}).status_code == 400


@pytest.mark.usefixtures("zoo")
def test_the_client_gives_all_unless_it_is_told_how_many(control: Control) -> None:
    """Whoever asks for the models gets the models."""
    with control.as_("vera") as factory:
        every = factory.models()
        assert every.next is None
        first = factory.models(limit=2)
        assert (len(first.models), first.next) == (2, first.models[1].name)
        assert factory.models(limit=1000, after=first.next).models == every.models[2:]
        assert [one.number for one in factory.model("zoo-ant").versions] == [3, 2, 1]
        assert [one.number for one in factory.model("zoo-ant", limit=1, after=3).versions] == [2]


def test_what_a_model_carries_is_changed_by_its_owner_or_an_admin(control: Control, zoo: list[str]) -> None:
    """Over HTTP and by the client; to everybody else it says whose the model is."""
    assert zoo
    with control.as_("ana") as ana, control.as_("admin") as admin, control.as_("ben") as ben:
        assert ana.model("zoo-bee").owner == "ana"
        changed = ana.set_model("zoo-bee", "mine", description="Buzz", tags={"legs": "6"}, deputy="ben")
        assert (changed.description, changed.tags, changed.deputy) == ("Buzz", {"legs": "6"}, "ben")
        with pytest.raises(NotAllowed) as caught:
            ben.set_model("zoo-bee", "mine", description="?")
        assert (caught.value.code, caught.value.facts["owner"]) == ("registry.not-your-model", "ana")
        admin.set_model("zoo-bee", "tidy", tags={"legs": None}, deputy="", business_metric="honey")
        found = ben.model("zoo-bee")
        assert (found.tags, found.deputy, found.business_metric, found.description) == ({}, None, "honey", "Buzz")
        with pytest.raises(OrderMalformed):
            ana.set_model("zoo-bee", "x", tags={"a b": "c"})


@pytest.mark.usefixtures("zoo")
@pytest.mark.parametrize("text", TEXTS)
def test_no_text_breaks_anything(control: Control, text: str) -> None:
    """Kept as it is, or refused as malformed; found again or refused as no query; never a fault, never a header."""
    with control.http("ana") as http:
        body = json.dumps({"description": text, "tags": {"odd": text}, "reason": "odd"})
        answer = http.post(f"{PROJECT}/models/zoo-cat", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in {200, 400}, answer.text
        if answer.status_code == 200:
            assert http.get(f"{PROJECT}/models/zoo-cat").json()["tags"]["odd"] == text.strip()
        query = text.encode("utf-8", "surrogatepass")
        found = http.get(f"{PROJECT}/search", params={"q": query})
        assert found.status_code in {200, 400}, found.text
        body = json.dumps({"references": [text]})
        resolved = http.post(f"{PROJECT}/resolve", content=body, headers={"content-type": "application/json"})
        assert resolved.status_code in {200, 400}, resolved.text
        for one in (answer, found, resolved):
            assert "x-evil" not in one.headers


@pytest.mark.usefixtures("zoo")
def test_searches_say_what_they_found_or_what_was_wrong(control: Control) -> None:
    """With the query, and the code of the mistake."""
    with control.http("vera") as http:
        found = http.get(f"{PROJECT}/search", params={"q": "name:zoo-ant kind:version", "limit": 2}).json()
        assert [one["name"] for one in found["found"]] == ["zoo-ant:3", "zoo-ant:2"]
        rest = http.get(f"{PROJECT}/search", params={"q": "name:zoo-ant kind:version", "after": found["next"]}).json()
        assert ([one["name"] for one in rest["found"]], rest["next"]) == (["zoo-ant:1"], None)
        wrong = http.get(f"{PROJECT}/search", params={"q": "colour:red"})
        assert (wrong.status_code, wrong.json()["code"]) == (400, "catalogue.query-malformed")
    with control.http("shop") as http:
        assert http.get(f"{PROJECT}/search").status_code == 403
    with control.http("admin") as http:
        assert http.get("/api/v1/projects/other/search").status_code in {403, 404}


def test_a_bundles_metrics_and_notes_are_found(control: Control, bundles: SmallBundles) -> None:
    """What an author writes into the bundle is what it is found by."""
    folder = bundles.new(name="measured")
    description = read_description(folder)
    (folder / "muster.toml").write_bytes(toml_of(_with_metrics(description)))
    (folder / "NOTES.md").write_text("Rebalanced after the Lisbon workshop.\n")
    with control.as_("ana") as ana:
        version = ana.register(folder).version
        assert [one.name for one in ana.search("metric:auc>0.83 metric:auc<=0.84").found] == [version]
        assert [one.name for one in ana.search_all('"lisbon workshop"')] == [version]
        assert list(ana.search_all("metric:auc>0.9 lisbon")) == []


def _with_metrics(description: Any) -> Any:
    return msgspec.structs.replace(description, metrics={"auc": 0.84})


@pytest.mark.usefixtures("zoo")
def test_references_are_resolved_in_one_call(control: Control) -> None:
    """A hundred at most; what stands for nothing says why."""
    with control.as_("vera") as vera:
        found = vera.resolve(["zoo-ant:2", "zoo-ant:latest", "zoo-ant:9", "nowhere@champion"]).resolved
    assert [one.version and one.version.version for one in found] == ["zoo-ant:2", "zoo-ant:3", None, None]
    assert [one.problem for one in found[2:]] == [
        "there is no version zoo-ant:9",
        "nothing is served at an endpoint nowhere",
    ]
    with control.http("vera") as http:
        for references in ([], ["x:1"] * 101, [""], ["x" * 201]):
            answer = http.post(f"{PROJECT}/resolve", json={"references": references})
            assert answer.status_code == 400, references


def test_a_break_is_agreed_to_by_the_consumer_with_its_own_token(control: Control, bundles: SmallBundles) -> None:
    """The whole way over HTTP: proposed, refused, shown to the consumer, agreed, live."""
    made = control.services.access.add_user(control.call(), "till", "consumer", endpoints=("evolving",))
    assert made.token is not None
    control.tokens["till"] = made.token
    first = control.accepted(bundles.new(name="evolving"))
    folder = bundles.new(name="evolving")
    toml = folder / "muster.toml"
    toml.write_text(
        toml.read_text().replace('{ name = "score", ', '{ name = "score", unit = "points", nullable = true, ')
    )
    second = control.accepted(folder)
    with FollowingFront(control), control.as_("ana") as ana, control.as_("ben") as ben, control.as_("till") as till:
        ana.propose("evolving", champion=first, reason="first", deadline="1s")
        assert ben.approve("evolving", 1, "go").state == "live"
        proposed = ana.propose("evolving", champion=second, reason="second", deadline="1s")
        assert {(one.field, one.compatible) for one in proposed.breaks} == {
            ("score", False)
        }  # its unit, and that it may be null
        assert proposed.awaited == ("till",)
        with control.http("ben") as http:
            path = f"{PROJECT}/endpoints/evolving/releases/2"
            refused = http.post(f"{path}/approve", json={"reason": "go"})
            assert (refused.status_code, refused.json()["code"]) == (422, "release.breaks-unacknowledged")
            assert refused.json()["facts"]["awaited"] == ["till"]
        shown = till.contract_review("evolving", 2)
        assert [(one.side, one.field, one.compatible) for one in shown.changes] == [
            ("output", "score", False),
            ("output", "score", False),
        ]
        with control.http("shop") as http:  # a right to `*` names no endpoint, so it is not asked, but may look
            assert http.get(f"{path}/breaks").status_code == 200
            assert http.post(f"{path}/acknowledge", json={"reason": "yes"}).status_code == 403
            assert http.get(path).status_code == 403
        assert till.acknowledge("evolving", 2, "we read null").awaited == ()
        assert ben.approve("evolving", 2, "go").state == "live"
