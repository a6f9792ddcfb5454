"""Standards and gates over HTTP: the whole way, the matrix of roles, replays and edits, ids that are not one's own."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest

from muster.access.actor import Actor, Call
from muster.client.control import Factory
from muster.gates.records import WaiverState
from muster.vocabulary.errors import Conflict, Invalid, MusterError, NotAllowed, NotFound, Refused
from muster.vocabulary.states import ReleaseState, VersionState
from running_control import Control, FollowingFront
from small_bundles import SmallBundles

STANDARD = """
format = 1
name = "bank"
[gates.acceptance]
approvals = [{ role = "approver", count = 2 }]
[gates.go-live]
approvals = [{ count = 1 }]
"""
PLAIN = 'format = 1\nname = "plain"\n'


@pytest.fixture(scope="module", autouse=True)
def _people(control: Control) -> None:
    """A second and a third approver, and an owner who is one."""
    for name in ("bob", "bea"):
        made = control.services.access.add_user(control.call(), name, "approver")
        assert made.token is not None
        control.tokens[name] = made.token


@pytest.fixture
def plain(control: Control) -> Iterator[None]:
    """In the end the project has a standard that asks for one person."""
    yield
    number = control.as_("ana").propose_standard(PLAIN, "as it was").number
    for name in ("bob", "ben"):
        if control.as_(name).approve_standard(number, "yes").state == "adopted":
            return


def certified(control: Control, bundles: SmallBundles) -> str:
    """A version at the gate of acceptance."""
    version = control.as_("ana").register(bundles.new()).version
    control.put_into(version, VersionState.CERTIFIED)
    return version


def adopt(control: Control, text: str) -> int:
    """Put a standard in force."""
    number = control.as_("ana").propose_standard(text, "so").number
    assert control.as_("ben").approve_standard(number, "yes").in_force
    return number


def test_from_a_standard_to_an_accepted_version(control: Control, bundles: SmallBundles, plain: None) -> None:
    """Proposed, adopted, two approvals, a request for changes, comments: every door's document says how things stand."""
    ana, ben, bob = control.as_("ana"), control.as_("ben"), control.as_("bob")
    assert control.as_("vera").standard().name in {"exploration", "plain"}
    number = adopt(control, STANDARD)
    assert ana.standards().in_force == number
    assert ana.standard(number).text == STANDARD
    version = certified(control, bundles)
    assert ana.version(version).missing == ("approval by 2 people with the role approver",)
    first = ben.accept(version, "good")
    assert (first.state, first.missing) == (VersionState.CERTIFIED, ("approval by 1 person with the role approver",))
    assert bob.request_changes(version, "say for whom").is_met is False
    assert ana.comment(version, "for people").comments[0].text == "for people"
    assert [one.verdict for one in bob.withdraw_vote(version, "good so").opinions] == ["approve", "request-changes"]
    assert bob.accept(version, "good").state is VersionState.ACCEPTED
    review = ana.review(version)
    assert [(one.voter, one.counts) for one in review.opinions] == [("ben", True), ("bob", False), ("bob", True)]


def test_what_is_missing_is_told_when_registering_and_refuses_at_the_gate(
    control: Control, bundles: SmallBundles, plain: None
) -> None:
    """And a waiver that two people agree on lets it through; the dry run knew it before."""
    ana, ben, bob = control.as_("ana"), control.as_("ben"), control.as_("bob")
    text = PLAIN + '[bundle]\nrequire = ["intended-use"]\n'
    served = control.accepted(bundles.new())
    with FollowingFront(control):
        ana.propose("dry", champion=served, reason="so")
        assert ben.approve("dry", 1, "yes").state is ReleaseState.LIVE
    dry = ana.dry_run(text)
    assert (served, ("dry",)) in [(one.version, one.endpoints) for one in dry.versions]
    assert dry.fails >= 1
    adopt(control, text)
    version = ana.register(bundles.new())
    assert version.lacks == ("intended-use: [card] does not say what the model is for",)
    control.put_into(version.version, VersionState.CERTIFIED)
    with pytest.raises(Refused) as told:
        ben.accept(version, "good")
    assert told.value.code == "standards.not-met"
    with pytest.raises(Invalid):
        ana.ask_waiver(version.version, "intended-use", "2099-01-01T00:00:00Z", "for ever")
    waiver = ana.ask_waiver(version.version, "intended-use", _soon(), "later")
    with pytest.raises(NotAllowed):
        control.as_("olga").grant_waiver(waiver.id, "fine")
    assert bob.grant_waiver(waiver.id, "once").holds
    assert [one.id for one in ana.waivers().waivers][:1] == [waiver.id]
    assert ben.accept(version, "good").state is VersionState.ACCEPTED


def _soon() -> str:
    """In a week."""
    return (datetime.now(UTC) + timedelta(days=7)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_broken_glass_and_its_confirmation(control: Control, bundles: SmallBundles) -> None:
    """Olga breaks it, she does not confirm it, bob does; a moment is named; delegations are made and ended."""
    ana, ben, olga = control.as_("ana"), control.as_("ben"), control.as_("olga")
    with FollowingFront(control):
        ana.propose("glass", champion=control.accepted(bundles.new()), reason="first")
        ben.approve("glass", 1, "yes")
        second = ana.propose("glass", champion=control.accepted(bundles.new()), reason="second").release
        broken = olga.break_glass("glass", second, "it must be now")
        assert broken.glass is not None
        assert (broken.glass.state, broken.glass.broken_by) == ("open", "olga")
        with pytest.raises(NotAllowed):
            olga.confirm("glass", second, "mine")
        confirmed = control.as_("bob").confirm("glass", second, "right")
        assert confirmed.glass is not None
        assert confirmed.glass.state == "confirmed"
        third = ana.propose("glass", champion=control.accepted(bundles.new()), reason="third").release
        waiting = ben.approve("glass", third, "later", at=_soon())
        assert (waiting.state, waiting.live_from is not None) == (ReleaseState.APPROVED, True)
        assert ana.withdraw("glass", third, "no").state is ReleaseState.WITHDRAWN
    made = ben.delegate("bob", _soon(), "leave")
    assert (made.from_person, made.holds) == ("ben", True)
    assert control.as_("bob").end_delegation(made.id, "back").holds is False
    with pytest.raises(NotAllowed):
        control.as_("bea").accept(certified(control, bundles), "for ben", for_person="ben")


DEEDS = ("accept", "approve", "changes", "break", "adopt", "delegate", "waive")
MAY: dict[str, set[str]] = {
    "ana": set(),
    "vera": set(),
    "shop": set(),
    "front": set(),
    "olga": {"break", "delegate"},
    "bea": {"accept", "approve", "changes", "adopt", "delegate", "waive"},
    "admin": set(DEEDS),
}


@pytest.mark.parametrize("own", [False, True], ids=["other", "own"])
@pytest.mark.parametrize("name", MAY)
def test_the_matrix_over_the_doors(control: Control, bundles: SmallBundles, name: str, own: bool) -> None:
    """Role by deed by whose work it is, over the API as the client speaks it: what is not allowed is 403 and changes nothing."""
    ana, ben = control.as_("ana"), control.as_("ben")
    me: Factory = control.as_(name)
    endpoint = f"m-{name}-{'own' if own else 'other'}"
    with FollowingFront(control):
        ana.propose(endpoint, champion=control.accepted(bundles.new()), reason="first")
        ben.approve(endpoint, 1, "yes")
    bundle = bundles.new()
    if own:
        toml = bundle / "muster.toml"
        toml.write_text(toml.read_text().replace('owners = [\n    "ana",\n]', f'owners = [\n    "{name}",\n]'))
        assert f'"{name}"' in toml.read_text()
    version = ana.register(bundle).version
    control.put_into(version, VersionState.CERTIFIED)
    waiver = ana.ask_waiver(version, "notebook", _soon(), "later")
    allowed = MAY[name] - ({"accept", "approve", "changes", "break", "waive"} if own else set())
    ways = {
        "changes": lambda: me.request_changes(version, "why"),
        "waive": lambda: me.grant_waiver(waiver.id, "fine"),
        "accept": lambda: me.accept(version, "good"),
        "delegate": lambda: me.delegate("bob", _soon(), "leave"),
        "adopt": lambda: me.approve_standard(ana.propose_standard(PLAIN, "again").number, "yes"),
    }
    for deed, way in ways.items():
        _held(way, deed in allowed, deed)
    if ana.version(version).state is not VersionState.ACCEPTED:
        control.put_into(version, VersionState.ACCEPTED)
    release = ana.propose(endpoint, champion=version, reason="second").release
    _held(lambda: me.break_glass(endpoint, release, "now"), "break" in allowed, "break")
    if "break" in allowed:
        ana.withdraw(endpoint, release, "enough")
        release = ana.propose(endpoint, champion=version, reason="third").release
    _held(lambda: me.approve(endpoint, release, "good", wait=False), "approve" in allowed, "approve")
    ana_release = ana.release(endpoint, release)
    if "approve" in allowed:
        ana.withdraw(endpoint, release, "enough")
    else:
        assert ana_release.state is ReleaseState.PROPOSED


def _held(way: Callable[[], object], allowed: bool, deed: str) -> None:
    """The deed is done, or refused as not allowed."""
    if allowed:
        way()
        return
    with pytest.raises(NotAllowed):
        way()


def test_a_replayed_order_is_one_and_an_edited_one_is_none(
    control: Control, bundles: SmallBundles, plain: None
) -> None:
    """With the same key: the same body tells how things stand, another body is a conflict, another person's key is theirs."""
    adopt(control, STANDARD)
    version = certified(control, bundles)
    model, number = version.split(":")
    path = f"/api/v1/projects/default/models/{model}/versions/{number}"
    with control.http("ben") as ben, control.http("bob") as bob:
        key = {"Idempotency-Key": "once"}
        for _ in range(3):
            assert ben.post(f"{path}/accept", json={"reason": "good"}, headers=key).json()["state"] == "certified"
        edited = ben.post(f"{path}/accept", json={"reason": "other"}, headers=key)
        assert (edited.status_code, edited.json()["code"]) == (409, "audit.idempotency-key-reused")
        elsewhere = ben.post(f"{path}/review/changes", json={"reason": "good"}, headers=key)
        assert elsewhere.status_code == 409
        assert bob.post(f"{path}/accept", json={"reason": "good"}, headers=key).json()["state"] == "accepted"
    review = control.as_("ana").review(version)
    assert [one.voter for one in review.opinions] == ["ben", "bob"]


def test_a_removed_persons_token_votes_nowhere(control: Control, bundles: SmallBundles, plain: None) -> None:
    """401 with the token, and the vote that was given does not count."""
    adopt(control, STANDARD)
    version = certified(control, bundles)
    made = control.services.access.add_user(control.call(), "gone", "approver")
    assert made.token is not None
    control.tokens["gone"] = made.token
    control.as_("gone").accept(version, "good")
    control.services.access.remove_user(control.call(), "gone")
    with control.http("gone") as gone:
        model, number = version.split(":")
        path = f"/api/v1/projects/default/models/{model}/versions/{number}/accept"
        assert gone.post(path, json={"reason": "good"}).status_code == 401
    found = control.as_("ben").accept(version, "good")
    assert (found.state, found.missing) == (VersionState.CERTIFIED, ("approval by 1 person with the role approver",))


WRONG: list[tuple[str, str, object]] = [
    ("post", "/standards", {"text": "", "reason": "x"}),
    ("post", "/standards", {"text": "format = 1", "reason": "x"}),
    ("post", "/standards", {"text": "x" * 200_000, "reason": "x"}),
    ("post", "/standards", {"text": "name = '\u0000'", "reason": "x"}),
    ("post", "/standards/dry-run", {"text": "[" * 50_000}),
    ("post", "/delegations", {"to": "bob", "ends": "9999-12-31T23:59:59-23:59", "reason": "x"}),
    ("post", "/delegations", {"to": "bob", "ends": "0001-01-01T00:00:00+23:59", "reason": "x"}),
    ("post", "/delegations", {"to": "bob'; DROP TABLE votes; --", "ends": "2027-01-01T00:00:00Z", "reason": "x"}),
    ("post", "/delegations", {"to": "bob", "ends": "2027-13-01T00:00:00Z", "reason": "x"}),
    ("post", "/waivers/waiver-zz/grant", {"reason": "x"}),
    ("post", "/standards/99999999999/approve", {"reason": "x"}),
    ("post", "/endpoints/glass/releases/1/approve", {"reason": "x", "at": "9999-12-31T23:59:59-23:59"}),
    ("post", "/endpoints/glass/releases/1/approve", {"reason": "x", "break_glass": True, "at": "2027-01-01T00:00:00Z"}),
]


@pytest.mark.parametrize(("method", "path", "body"), WRONG)
def test_what_is_malformed_is_a_mistake_of_the_caller(control: Control, method: str, path: str, body: object) -> None:
    """Never a fault inside, and never done."""
    with control.http("admin") as http:
        answer: httpx.Response = http.request(method, f"/api/v1/projects/default{path}", json=body)
    assert 400 <= answer.status_code < 500, answer.text
    assert msgspec.json.decode(answer.content)["code"]


def test_nothing_of_another_project_is_there(control: Control, bundles: SmallBundles) -> None:
    """With a role in the other project, ids of this one are not found by any address; without one nothing may be read."""
    version = certified(control, bundles)
    ana = control.as_("ana")
    waiver = ana.ask_waiver(version, "notebook", _soon(), "later")
    made = control.as_("ben").delegate("bob", _soon(), "leave")
    number = ana.propose_standard(PLAIN, "so").number
    services = control.services
    other = services.access.identify(control.tokens["admin"])
    call = Call(actor=Actor(name=other.name, roles={"other": "admin"}, token_id=other.token_id), project="other")
    for deed in (
        lambda: services.reviews.decide_waiver(call, waiver.id, WaiverState.GRANTED, "x"),
        lambda: services.delegations.end(call, made.id, "x"),
        lambda: services.standards.approve(call, number, "x"),
        lambda: services.standards.standard(call, number),
    ):
        with pytest.raises(NotFound):
            deed()
    assert services.reviews.waivers(call) == ()
    assert services.delegations.delegations(call) == ()
    assert services.standards.standards(call) == ()
    with pytest.raises(MusterError) as told:
        Factory(ana._transport, project="other").waivers()
    assert told.value.code in {"access.right-missing", "access.project-not-found"}


def test_conflicts_say_what_stands_in_the_way(control: Control) -> None:
    """A standard that was decided is not decided again."""
    number = control.as_("ana").propose_standard(PLAIN, "so").number
    assert control.as_("ben").reject_standard(number, "no").state == "rejected"
    with pytest.raises(Conflict):
        control.as_("bob").approve_standard(number, "yes")
