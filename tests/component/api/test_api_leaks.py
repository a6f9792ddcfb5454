"""Two projects, one full of things: whoever is in the other asks every operation for them, and learns nothing.

The operations, their parameters and their bodies come from the OpenAPI document, so a new route is asked as well; a body with
a field that nobody has thought of here fails.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from known_figures import add_certificate
from muster.api.app import openapi
from muster.vocabulary.clock import SystemClock
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import VersionState
from recorded_requests import answer_of, record_request
from rights_matrix import packed, soon
from running_control import Control, FollowingFront
from small_bundles import SmallBundles

API = "/api/v1"
#: In every name that the full project gave.
NAMED = "zzqname"
#: In every text that was said there.
SAID = "zzqsaid"
#: Headers that differ from moment to moment.
_MOMENTARY = {"date", "content-length", "muster-complete-to"}
#: Who asks: everybody of every role in the project `alpha`, and two who are somebody elsewhere as well.
ROLES = ("viewer", "scientist", "approver", "operator", "admin", "consumer", "front")
#: What is not asked for with the other's names, and why that tells nothing that is not documented.
LEFT_OUT = {
    "signIn": "before one is anybody",
    "beginOidc": "before one is anybody",
    "finishOidc": "before one is anybody",
    "signOut": "ends the token that asks",
    "setOwnPassword": "about oneself, and slow by intent",
    "register": "takes a bundle and no name of the other project; the same bytes are registered below",
    "sealEvaluation": "takes a file; test_the_label_has_to_be_said_by_somebody asks it for a model of another project",
    "setRole": "makes a role of that name in one's own project, whatever others call theirs",
    "grantGroup": "a group is the factory's: who gives it a role sees who is in it (docs/reference/roles.md)",
}


@dataclass(frozen=True)
class Names:
    """What a request names."""

    project: str
    model: str
    endpoint: str
    user: str
    consumer: str
    role: str
    group: str
    version: int
    release: int
    standard: int
    token: str
    waiver: str
    delegation: str
    session: str
    request: str
    digest: str
    text: str = SAID

    def path(self, template: str) -> str:
        """The address with these names in it."""
        kinds = {"models": self.version, "endpoints": self.release, "standards": self.standard}
        (number,) = {number for kind, number in kinds.items() if f"/{kind}/{{" in template} or {0}
        values = {
            "project": self.project, "model": self.model, "endpoint": self.endpoint, "name": self.user, "role": self.role,
            "group": self.group, "token": self.token, "waiver": self.waiver, "delegation": self.delegation,
            "session": self.session, "request_id": self.request, "path": "muster.toml", "kind": "roc", "number": str(number),
            "key": self.digest, "digest": self.digest, "source": "lake", "test": "data-1", "check": "parity",
        }  # fmt: skip
        return re.sub(r"\{(\w+)\}", lambda found: str(values[found[1]]), template)

    def query(self, name: str) -> list[str]:
        """What to ask for by a parameter of the query; nothing: it is left out."""
        return {
            "q": ["", self.text, NAMED, f"owner:{self.user}", f"digest:{self.digest}"],
            "subject": [f"{self.model}:{self.version}", f"user {self.user}", f"project {self.project}"],
            "user": [self.user],
            "endpoint": [self.endpoint],
            "against": [f"{self.model}:{self.version}"],
            "model": [self.model],
            "front": ["front-0"],
            "form": ["ndjson"],
            "limit": ["1000"],
        }.get(name, [])

    def body(self, schema: dict[str, Any]) -> dict[str, Any]:
        """An order that names them in whatever it must say, and in what it may where that is a name."""
        version = f"{self.model}:{self.version}"
        known: dict[str, Any] = {
            "reason": "x", "text": 'format = 1\nname = "plain"\n', "champion": version, "to": self.user, "ends": soon(),
            "check": "notebook", "rights": ["read"], "role": self.role, "user": self.user, "admin": self.user, "days": 9,
            "step": 0, "rules": "", "password": "correct horse battery staple", "issuer": "https://i.example",
            "subject": self.user, "at": soon(), "endpoint": self.endpoint, "front": "front-0", "release": self.release,
            "state": "loaded", "name": "nobody-yet", "test": "data-1", "where": "a document", "version": version,
            "public_key": "none", "program": "print(1)", "uri": "/srv/none", "key": "none", "sig": "bm9uZQ==", "session": self.session,
            "references": [version, self.digest, f"{self.endpoint}@champion", f"{self.model}:99"],
        }  # fmt: skip
        optional = {"owner": self.user, "deputy": self.user, "consumer": self.consumer, "for_person": self.user}
        unknown = set(schema.get("required", ())) - set(known)
        assert not unknown, f"say here what {unknown} of {schema.get('title')} is to name"
        wanted = {name: known[name] for name in schema.get("required", ())}
        if schema.get("title") == "RollbackOrder":
            wanted["to"] = self.release
        if schema.get("title") == "RoleOrder":
            wanted["role"] = "viewer"
        return wanted | {name: value for name, value in optional.items() if name in schema["properties"]}


@dataclass
class Tenants:
    """A factory with a project `alpha`, whose people ask, and a project `beta`, which is full."""

    control: Control
    theirs: Names
    askers: dict[str, str] = field(default_factory=dict)
    """Tokens, by what their holders are."""


class Filled:
    """Makes things in a project."""

    def __init__(self, control: Control, project: str) -> None:
        self.control, self.project = control, project

    def post(self, name: str, path: str, /, **order: Any) -> Any:
        """An order of somebody in the project."""
        with self.control.http(name) as http:
            answer = http.post(f"{API}/projects/{self.project}/{path}", json=order)
        assert answer.is_success, (path, answer.text)
        return answer.json()

    def user(self, by: str, name: str, role: str, /, **said: Any) -> str:
        """Somebody new; the id of the token."""
        made = self.post(by, "users", name=name, role=role, **said)
        self.control.tokens[name] = made["token"]
        return str(made["token_id"])


def _project(control: Control, name: str, admin: str) -> Filled:
    """A project with an admin who is in no other."""
    Filled(control, "default").user("admin", admin, "viewer")
    with control.http("admin") as http:
        assert http.post(f"{API}/projects", json={"name": name, "admin": admin}).is_success
        assert http.delete(f"{API}/projects/default/users/{admin}").is_success
    return Filled(control, name)


def _fill(control: Control, bundles: SmallBundles) -> Names:
    """Everything that a project can hold, with the marks in every name and text."""
    admin, scientist, approver, operator, shop = (f"{NAMED}-{one}" for one in ("bea", "sci", "app", "ops", "shop"))
    beta, model, endpoint = _project(control, "beta", admin), f"{NAMED}-m", f"{NAMED}-e"
    beta.post(admin, "description", title=f"{SAID} title", contact=f"{SAID}@example.com")
    for name, role in (
        (scientist, "scientist"),
        (approver, "approver"),
        (f"{NAMED}-two", "approver"),
        (operator, "operator"),
    ):
        beta.user(admin, name, role, title=f"{SAID} title", contact=f"{SAID}@example.com", channel=f"#{SAID}")
    token = beta.user(admin, shop, "consumer", endpoints=[endpoint], contact=f"{SAID}@example.com")
    beta.post(admin, f"users/{scientist}/tokens", label=f"{SAID} label", rights=["read"])
    beta.post(admin, f"roles/{NAMED}-role", rights=["read"])
    with control.http("admin") as http:
        assert http.post(f"{API}/groups", json={"name": "both", "title": "Both"}).is_success
        assert http.post(f"{API}/groups/both/members", json={"user": scientist}).is_success
    beta.post(admin, "groups/both/role", role=f"{NAMED}-role")
    beta.post(admin, "packages", rules=f"# {SAID}\n", reason=f"{SAID} rules")
    with control.http(scientist) as http:
        made: list[dict[str, Any]] = []
        for _ in range(3):
            folder = bundles.new(name=model, description=f"{SAID} description {len(made)}")
            (folder / "README.md").write_text(f"{SAID} readme")
            file = packed(folder).read_bytes()
            answer = http.post(
                f"{API}/projects/beta/versions", content=file, headers={"Content-Type": "application/zip"}
            )
            assert answer.is_success, answer.text
            made.append(answer.json())
    session = beta.post(scientist, f"models/{model}/versions/3/certify")["id"]
    beta.post(
        admin,
        f"models/{model}",
        description=f"{SAID} model",
        business_metric=f"{SAID} metric",
        tags={"team": SAID},
        reason=SAID,
    )
    _advance(control, model, 1, VersionState.CERTIFIED, VersionState.ACCEPTED)
    _advance(control, model, 2, VersionState.CERTIFIED)
    at = f"models/{model}/versions/2"
    waiver = beta.post(scientist, f"{at}/waivers", check="notebook", ends=soon(), reason=f"{SAID} waiver")["id"]
    beta.post(approver, f"{at}/review/changes", reason=f"{SAID} changes")
    beta.post(scientist, f"{at}/review/comments", text=f"{SAID} comment")
    delegation = beta.post(approver, "delegations", to=f"{NAMED}-two", ends=soon(), reason=f"{SAID} leave")["id"]
    for number in (1, 2):
        beta.post(scientist, f"endpoints/{endpoint}/releases", champion=f"{model}:1", reason=f"{SAID} release")
        if number == 1:
            beta.post(approver, f"endpoints/{endpoint}/releases/1/approve", reason=f"{SAID} yes", wait_s=20)
    beta.post(scientist, f"endpoints/{endpoint}/releases/2/review/comments", text=f"{SAID} comment")
    beta.post(admin, f"endpoints/{endpoint}/retention", days=30, reason=f"{SAID} law")
    for _ in range(40):  # more than the other project will have: a number of these is none of its own
        text = f'format = 1\nname = "plain"\ndescription = "{SAID}"\n'
        standard = beta.post(scientist, "standards", text=text, reason=f"{SAID} standard")["number"]
    beta.post(approver, f"standards/{standard}/review/comments", text=f"{SAID} comment")
    request = record_request(
        control.home / "archive",
        endpoint,
        [answer_of(f"{model}:1", "champion", [2.0])],
        [1.0],
        project="beta",
        consumer=shop,
    )
    return Names(
        project="beta", model=model, endpoint=endpoint, user=scientist, consumer=shop, role=f"{NAMED}-role", group="both",
        version=2, release=2, standard=standard, token=token, waiver=waiver, delegation=delegation, session=session,
        request=request, digest=made[0]["digest"],
    )  # fmt: skip


def _advance(control: Control, model: str, number: int, *states: VersionState) -> None:
    """Move a version of `beta` on without its gates."""
    services = control.services
    with services.database.write() as tx:
        for state in states:
            held = services.registry.version_in(tx, "beta", VersionName(model, number))
            services.registry.move(tx, held, state)
            if state is VersionState.CERTIFIED:
                add_certificate(tx, held, SystemClock())


@pytest.fixture(scope="module")
def tenants(control: Control, bundles: SmallBundles) -> Iterator[Tenants]:
    """The two projects."""
    with FollowingFront(control):
        made = Tenants(control, _fill(control, bundles))
        alpha = _project(control, "alpha", "al-admin")
        for role in ROLES:
            name = f"al-{role}"
            if name not in control.tokens:
                alpha.user("al-admin", name, role)
            made.askers[role] = control.tokens[name]
        # A role of alpha's own with every right that there is; the other project's admin with a token that is good in alpha alone.
        rights = [
            one for one in _rights_of(control, "al-admin") if one not in {"manage-projects", "manage-groups", "follow"}
        ]
        alpha.post("al-admin", "roles/everything", rights=rights)
        alpha.user("al-admin", "al-own", "everything")
        made.askers["own role"] = control.tokens["al-own"]
        alpha.post("al-admin", "users", name=f"{NAMED}-bea", role="admin")
        token = alpha.post("al-admin", f"users/{NAMED}-bea/tokens", label="here", this_project=True)
        made.askers["their admin, with a token for alpha"] = token["token"]
        yield made


def _rights_of(control: Control, name: str) -> list[str]:
    with control.http(name) as http:
        found: list[str] = http.get(f"{API}/whoami").json()["rights"]["alpha"]
    return found


def nowhere(names: Names) -> Names:
    """Names of the same forms, of nothing."""
    return replace(
        names, model="zzqnone-m", endpoint="zzqnone-e", user="zzqnone-sci", consumer="zzqnone-shop", role="zzqnone-role",
        version=2, release=2, standard=names.standard, token="tok_" + "0" * 16, waiver="waiver-" + "0" * 16,
        delegation="delegation-" + "0" * 16, session="certify-" + "0" * 16, request=names.request[:-4] + "0000", digest="sha256:" + "0" * 64,
        text="zzqnone",
    )  # fmt: skip


def operations() -> Iterator[tuple[str, str, str, list[str], dict[str, Any] | None]]:
    """Id, method, address, parameters of the query, schema of the body, of every operation."""
    document = openapi()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            queries = [one["name"] for one in operation.get("parameters", []) if one["in"] == "query"]
            schema = None
            if operation.get("requestBody") is not None:
                (content,) = operation["requestBody"]["content"].values()
                reference = content["schema"].get("$ref", "")
                schema = {
                    "title": reference.rsplit("/", 1)[-1],
                    **document["components"]["schemas"].get(reference.rsplit("/", 1)[-1], {}),
                }
            yield operation["operationId"], method, path, queries, schema


def asked(
    http: httpx.Client, names: Names, operation: tuple[str, str, str, list[str], dict[str, Any] | None]
) -> list[httpx.Response]:
    """The answers to an operation about these names: one for each thing to ask for by the query."""
    _, method, template, queries, schema = operation
    path = names.path(template)
    wanted: list[dict[str, str]] = [{}]
    for query in queries:
        values = names.query(query)
        wanted = [one | {query: value} for one in wanted for value in values] or wanted
    json = None if schema is None else names.body(schema)
    return [http.request(method, path, params=params, json=json) for params in wanted]


def without_names(text: str, names: Names) -> str:
    """A text without what the request itself named."""
    for one in sorted({str(value) for value in vars_of(names) if len(str(value)) > 3}, key=len, reverse=True):
        text = text.replace(one, "NAME")
    return text


def vars_of(names: Names) -> list[Any]:
    """Everything that the names say."""
    return [getattr(names, one) for one in Names.__dataclass_fields__ if one != "project"]


def told(answer: httpx.Response, names: Names) -> tuple[int, str, str]:
    """What an answer says, but what its request named and what differs from moment to moment."""
    headers = {name: value for name, value in answer.headers.items() if name not in _MOMENTARY}
    return answer.status_code, without_names(str(headers), names), without_names(answer.text, names)


def events_of(control: Control, project: str) -> int:
    """How many events of a project are on record."""
    services = control.services
    with services.database.read() as tx:
        return sum(1 for entry in services.journal.entries(tx, 0, 100_000) if entry.project == project)


ASKERS = (*ROLES, "own role", "their admin, with a token for alpha")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("asker", ASKERS)
def test_nothing_of_another_project_is_told_or_touched(tenants: Tenants, asker: str) -> None:
    """In one's own project their names are nobody's; in theirs one has no part; and no answer holds what was named or said there."""
    theirs = replace(tenants.theirs, project="alpha")
    before = events_of(tenants.control, "beta")
    wrong: list[object] = []
    with tenants.control.http(Authorization=f"Bearer {tenants.askers[asker]}") as http:
        for operation in operations():
            name, _, template, _, schema = operation
            if name in LEFT_OUT:
                continue
            found = asked(http, theirs, operation)
            for answer in found:
                assert answer.status_code < 500, (name, answer.text)
                text = without_names(f"{answer.headers} {answer.text}", theirs)
                wrong += [(name, "said", answer.text)] if SAID in text else []
                wrong += [(name, "named", answer.text)] if f"{NAMED}-" in text.replace(f"{NAMED}-bea", "") else []
            names_theirs = "{" in template.replace("{project}", "") or (
                schema is not None and theirs.body(schema) != nowhere(theirs).body(schema)
            )
            if names_theirs:
                others = asked(http, nowhere(theirs), operation)
                for answer, other in zip(found, others, strict=True):
                    if told(answer, theirs) != told(other, nowhere(theirs)):
                        wrong.append((name, "differs", answer.text, other.text))
            if "{project}" in template:
                for answer in asked(http, tenants.theirs, operation):
                    if (answer.status_code, answer.json().get("code")) != (404, "access.project-not-found"):
                        wrong.append((name, "in theirs", answer.text))
    assert not wrong, "\n".join(map(str, wrong))
    assert events_of(tenants.control, "beta") == before


def test_lists_and_searches_of_ones_own_hold_nothing_of_theirs(tenants: Tenants) -> None:
    """With every right: models, endpoints, search, consumers, users, tokens, waivers, delegations, retention, and the audit events."""
    with tenants.control.http("al-admin") as http:
        for asked_for in ("", SAID, NAMED, f"owner:{NAMED}-sci", f"digest:{tenants.theirs.digest}", "state:accepted"):
            found = http.get(f"{API}/projects/alpha/search", params={"q": asked_for}).json()
            assert not found["found"], found
        resolved = http.post(f"{API}/projects/alpha/resolve", json={"references": [f"{tenants.theirs.model}:1"]})
        assert SAID not in resolved.text
        events = http.get(f"{API}/audit", params={"limit": 1000, "after": 0}).json()["events"]
    assert {event["project"] for event in events} == {"alpha"}
    with tenants.control.http(f"{NAMED}-bea") as http:
        events = http.get(f"{API}/audit", params={"limit": 1000, "after": 0}).json()["events"]
    assert {event["project"] for event in events} == {"alpha", "beta"}, "who is in both sees both"


def test_the_marks_are_where_they_would_be_found(tenants: Tenants) -> None:
    """The other project's own people find them in the answers, so this file would notice a leak."""
    with tenants.control.http(f"{NAMED}-bea") as http:
        seen = {
            operation[0]
            for operation in operations()
            if operation[1] == "get" and operation[0] not in LEFT_OUT
            for answer in asked(http, tenants.theirs, operation)
            if answer.is_success and re.search(SAID, without_names(answer.text, replace(tenants.theirs, text="-")))
        }
    assert seen >= {
        "getProject", "listUsers", "listTokens", "listConsumers", "listModels", "getModel", "getVersion", "getFile", "search",
        "listReleases", "getRelease", "listStandards", "getStandard", "reviewVersion", "reviewRelease", "reviewStandard",
        "listDelegations", "listWaivers", "getPackageRules", "listAuditEvents",
    }  # fmt: skip


def test_the_same_bytes_are_ones_own_version(tenants: Tenants, bundles: SmallBundles) -> None:
    """Registered in both projects they are two versions: nothing tells that the other has them."""
    file = packed(bundles.new(name="same")).read_bytes()
    with tenants.control.http(f"{NAMED}-sci") as theirs, tenants.control.http("al-scientist") as mine:
        answers = [
            http.post(f"{API}/projects/{project}/versions", content=file, headers={"Content-Type": "application/zip"})
            for http, project in ((theirs, "beta"), (mine, "alpha"))
        ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[1].json()["registered_by"] == "al-scientist"
