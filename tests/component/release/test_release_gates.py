"""Gates under a standard: quorums, whose votes count, races, on both databases."""

import secrets
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from governed_factory import GovernedFactory, ObedientFront
from known_figures import add_certificate
from muster.access import store as access_store
from muster.access.errors import RightMissing
from muster.access.roles import AccessRole
from muster.access.service import Access
from muster.access.tokens import Token
from muster.access.users import Profile, UserKind
from muster.audit.entries import Deed
from muster.gates.errors import (
    DelegateUnfit,
    DelegationMalformed,
    DelegationNotFound,
    NotDelegated,
    PartInIt,
    PassedBefore,
    VoiceLost,
    VoteUnfit,
)
from muster.packaging.documents import Card
from muster.registry.errors import VersionNotFound
from muster.registry.records import Version
from muster.release.errors import OwnWork, ProposalExpired, ReleaseStateUnfit
from muster.release.reviews import ReleaseName, StandardName
from muster.standards.errors import StandardExpired, StandardNotFound, StandardStateUnfit, StandardUnattainable
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.errors import MusterError
from muster.vocabulary.states import ReleaseState, VersionState


def standard(
    acceptance: str = "[{ count = 2 }]",
    go_live: str = "[{ count = 1 }]",
    *,
    more: str = "",
    gate: str = "",
    standard_gate: str = "",
) -> str:
    """A standard of a bank, as far as gates go."""
    return f"""
format = 1
name = "bank"
{more}
[gates.acceptance]
approvals = {acceptance}
{gate}
[gates.go-live]
approvals = {go_live}
{gate}
[gates.standard]
approvals = [{{ count = 1 }}]
{standard_gate}
"""


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    """A factory with people in every role."""
    return GovernedFactory(database, tmp_path, clock)


def at_once(*deeds: Callable[[], object]) -> list[object]:
    """What the deeds gave, all of them begun at the same instant; an error of Muster's is what it gave, too."""
    start = threading.Barrier(len(deeds))
    given: list[object] = [None] * len(deeds)

    def do(index: int, deed: Callable[[], object]) -> None:
        start.wait(10)
        try:
            given[index] = deed()
        except MusterError as error:
            given[index] = error

    threads = [threading.Thread(target=do, args=pair) for pair in enumerate(deeds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return given


def test_two_approvals_are_two_people(factory: GovernedFactory) -> None:
    """The first approval leaves the version certified and says what is missing; the same person's second counts for nothing."""
    factory.adopt(standard())
    version = factory.certified()
    first = factory.approvals.accept(factory.call("petra"), version.name, "good")
    assert (first.state, first.missing) == (VersionState.CERTIFIED, ("approval by 1 person with the right to it",))
    again = factory.approvals.accept(factory.call("petra"), version.name, "very good")
    assert (again.state, again.missing) == (first.state, first.missing)
    assert factory.approvals.accept(factory.call("paul"), version.name, "agreed").state is VersionState.ACCEPTED
    actions = [action for _, action in factory.events(str(version.name))]
    assert actions == ["version.registered", "version.voted", "version.voted", "version.accepted"]


def test_a_replayed_approval_is_carried_out_once(factory: GovernedFactory) -> None:
    """The same key again tells how things stand, and adds no vote."""
    factory.adopt(standard())
    version = factory.certified()
    call = factory.call("petra", idempotency_key="k", request_digest="d")
    for _ in range(3):
        assert factory.approvals.accept(call, version.name, "good").state is VersionState.CERTIFIED
    review = factory.governance.reviews.review(factory.call("vic"), version.name)
    assert [opinion.vote.voter for opinion in review.opinions] == ["petra"]


def test_a_project_without_a_standard_takes_one_approval(factory: GovernedFactory) -> None:
    """As ever: one other person at each gate, an admin as well as an approver."""
    version = factory.certified()
    assert factory.approvals.accept(factory.call("adele"), version.name, "good").state is VersionState.ACCEPTED
    with factory.database.read() as tx:
        (entry,) = [e for e in factory.journal.entries(tx, 0, 100, str(version.name)) if e.action == "version.accepted"]
    assert entry.details == f'{{"digest":"{version.digest}"}}'


def test_two_approvals_at_the_same_instant_pass_the_gate_once(factory: GovernedFactory) -> None:
    """Whoever comes second completes the quorum; there is one vote on its own and one acceptance, whatever the race."""
    factory.adopt(standard())
    for _ in range(8):
        version = factory.certified()
        given = at_once(
            partial(factory.approvals.accept, factory.call("petra"), version.name, "good"),
            partial(factory.approvals.accept, factory.call("paul"), version.name, "good"),
        )
        assert sorted(str(one.state) for one in given if isinstance(one, Version)) == ["accepted", "certified"]
        actions = [action for _, action in factory.events(str(version.name))]
        assert actions.count("version.accepted") == 1
        assert actions.count("version.voted") == 1


def test_two_approvals_where_one_is_enough_pass_the_gate_once(factory: GovernedFactory) -> None:
    """Of two at the same instant one passes it, and the other learns that it is behind."""
    for _ in range(8):
        version = factory.certified()
        given = at_once(
            partial(factory.approvals.accept, factory.call("petra"), version.name, "good"),
            partial(factory.approvals.accept, factory.call("paul"), version.name, "good"),
        )
        assert sorted(type(one).__name__ for one in given) == ["Version", "VersionStateUnfit"]


def test_two_approvals_of_a_release_at_the_same_instant(factory: GovernedFactory) -> None:
    """The gate of releases holds under the same race, and so does one person who clicks twice."""
    factory.adopt(standard(acceptance="[{ count = 1 }]", go_live="[{ count = 2 }]"))
    for index in range(4):
        release = factory.propose(factory.accepted(), endpoint=f"race-{index}")
        twice = at_once(*[partial(factory.releases.approve, factory.call("petra"), release.endpoint, 1, "good")] * 2)
        assert {one.state for one in twice} == {ReleaseState.PROPOSED}  # type: ignore[attr-defined]
        factory.releases.approve(factory.call("paul"), release.endpoint, 1, "good")
        actions = [action for _, action in factory.events(release.subject)]
        assert actions.count("release.approved") == 1


def test_who_is_removed_at_the_same_instant_counts_before_or_not_at_all(factory: GovernedFactory) -> None:
    """In the order of the journal: an acceptance after the removal of a voter is not made of that voter's approval."""
    factory.adopt(standard())
    access = Access(factory.database, factory.journal, factory.board, factory.clock)
    for turn in range(6):
        name = f"temp-{turn}"
        with factory.database.write() as tx:
            access_store.add_user(tx, Profile(name=name, kind=UserKind.PERSON, created_at=factory.clock.now()))
            factory.give_role(tx, name, AccessRole.APPROVER)
        version = factory.certified()
        temp = factory.call("petra")
        temp = replace(temp, actor=replace(temp.actor, name=name))
        factory.approvals.accept(temp, version.name, "good")
        with factory.database.write() as tx:
            access_store.add_token(tx, _token(factory, "adele"))
        at_once(
            partial(factory.approvals.accept, factory.call("paul"), version.name, "good"),
            partial(access.remove_user, factory.call("adele"), name),
        )
        with factory.database.read() as tx:
            entries = factory.journal.entries(tx, 0, 10_000)
        removed = next(e.sequence for e in entries if e.action == "user.removed" and e.subject == f"user {name}")
        accepted = [e for e in entries if e.action == "version.accepted" and e.subject == str(version.name)]
        assert factory.state(version) is (VersionState.ACCEPTED if accepted else VersionState.CERTIFIED)
        assert all(entry.sequence < removed for entry in accepted)


def _token(factory: GovernedFactory, user: str) -> Token:
    """A live token, without which the last admin could not be seen to be one."""
    return Token(
        token_id=f"tok_{secrets.token_hex(8)}", user=user, sha256=secrets.token_hex(32), created_at=factory.clock.now(),
        expires_at=None, revoked_at=None,
    )  # fmt: skip


def test_a_removed_voter_and_a_stale_token_have_no_voice(factory: GovernedFactory) -> None:
    """Petra's vote dies with her role; and a call identified before the removal is refused in the transaction itself."""
    factory.adopt(standard())
    version = factory.certified()
    factory.approvals.accept(factory.call("petra"), version.name, "good")
    with factory.database.write() as tx:
        factory.give_role(tx, "petra", AccessRole.VIEWER)
    assert factory.approvals.accept(factory.call("paul"), version.name, "good").state is VersionState.CERTIFIED
    with pytest.raises(VoiceLost):
        factory.approvals.accept(factory.call("petra"), version.name, "still here")
    assert factory.approvals.accept(factory.call("adele"), version.name, "good").state is VersionState.ACCEPTED


def test_roles_are_asked_for_by_name(factory: GovernedFactory) -> None:
    """Where a standard names the role, an admin's approval takes no place of an approver."""
    factory.adopt(standard(acceptance='[{ role = "approver", count = 1 }]'))
    version = factory.certified()
    found = factory.approvals.accept(factory.call("adele"), version.name, "good")
    assert found.missing == ("approval by 1 person with the role approver",)
    assert factory.approvals.accept(factory.call("paul"), version.name, "good").state is VersionState.ACCEPTED


def test_another_certificate_voids_the_votes(factory: GovernedFactory) -> None:
    """Whoever voted on the evidence that was has not seen the evidence that is."""
    factory.adopt(standard())
    version = factory.certified()
    factory.approvals.accept(factory.call("petra"), version.name, "good")
    factory.clock.at += timedelta(seconds=1)
    with factory.database.write() as tx:
        add_certificate(tx, version, factory.clock)
    assert factory.approvals.accept(factory.call("paul"), version.name, "good").state is VersionState.CERTIFIED
    review = factory.governance.reviews.review(factory.call("vic"), version.name)
    assert review.opinions[0].why_not == "it was about something else than what is there now"
    assert factory.approvals.accept(factory.call("petra"), version.name, "seen").state is VersionState.ACCEPTED


def test_a_request_for_changes_keeps_the_gate_shut(factory: GovernedFactory) -> None:
    """Until who asked for them approves, takes it back, or loses the voice."""
    reviews = factory.governance.reviews
    factory.adopt(standard(acceptance="[{ count = 1 }]"))
    version = factory.certified()
    reviews.request_changes(factory.call("petra"), version.name, "say what it is for")
    shut = factory.approvals.accept(factory.call("paul"), version.name, "good")
    assert shut.state is VersionState.CERTIFIED
    assert shut.missing == ("petra asks for changes: say what it is for",)
    reviews.withdraw_vote(factory.call("petra"), version.name, "it does")
    assert factory.approvals.accept(factory.call("adele"), version.name, "good").state is VersionState.ACCEPTED
    with pytest.raises(VoteUnfit):
        reviews.request_changes(factory.call("petra"), version.name, "too late")


def test_authors_comment_and_do_not_vote(factory: GovernedFactory) -> None:
    """Whoever has part in it says what they like, and by no door does it count; nor does a deputy's word."""
    reviews = factory.governance.reviews
    version = factory.certified(owners=("ana", "paul"), card=Card(deputy="petra"))
    for name in ("paul", "petra"):
        with pytest.raises(PartInIt):
            reviews.request_changes(factory.call(name), version.name, "no")
        with pytest.raises(OwnWork):
            factory.approvals.accept(factory.call(name), version.name, "yes")
    review = reviews.comment(factory.call("ana"), version.name, "it is for people, not for companies")
    assert [comment.author for comment in review.comments] == ["ana"]
    assert factory.approvals.accept(factory.call("adele"), version.name, "good").state is VersionState.ACCEPTED


def test_who_is_absent_names_somebody(factory: GovernedFactory) -> None:
    """Paul is away: adele, who is no approver, takes the place of one for him, and for nobody else, and not for longer."""
    delegations = factory.governance.delegations
    factory.adopt(standard(acceptance='[{ role = "approver", count = 1 }]'))
    ends = factory.clock.now() + timedelta(days=1)
    version = factory.certified()
    with pytest.raises(NotDelegated):
        factory.approvals.accept(factory.call("adele"), version.name, "for paul", for_person="paul")
    made = delegations.delegate(factory.call("paul"), "adele", ends, "on leave")
    with pytest.raises(NotDelegated):
        factory.approvals.accept(factory.call("adele"), version.name, "for petra", for_person="petra")
    done = factory.approvals.accept(factory.call("adele"), version.name, "for paul", for_person="paul")
    assert done.state is VersionState.ACCEPTED
    second = factory.certified()
    delegations.end(factory.call("paul"), made.id, "back")
    with pytest.raises(NotDelegated):
        factory.approvals.accept(factory.call("adele"), second.name, "for paul", for_person="paul")
    with pytest.raises(DelegationNotFound):
        delegations.end(factory.call("paul", "other"), made.id, "elsewhere")


def test_delegations_give_no_right(factory: GovernedFactory) -> None:
    """Only who may vote stands in; nobody for themselves, nor for a time that is none."""
    delegations = factory.governance.delegations
    ends = factory.clock.now() + timedelta(days=1)
    with pytest.raises(DelegateUnfit):
        delegations.delegate(factory.call("paul"), "sam", ends, "on leave")
    with pytest.raises(DelegationMalformed):
        delegations.delegate(factory.call("paul"), "paul", ends, "on leave")
    with pytest.raises(DelegationMalformed):
        delegations.delegate(factory.call("paul"), "petra", factory.clock.now(), "on leave")
    with pytest.raises(RightMissing):
        delegations.delegate(factory.call("ana"), "petra", ends, "on leave")


def test_an_owner_does_not_vote_by_a_delegate_nor_as_one(factory: GovernedFactory) -> None:
    """Paul owns it: neither adele for paul, nor paul for petra."""
    delegations = factory.governance.delegations
    ends = factory.clock.now() + timedelta(days=1)
    delegations.delegate(factory.call("paul"), "adele", ends, "on leave")
    delegations.delegate(factory.call("petra"), "paul", ends, "on leave")
    version = factory.certified(owners=("paul",))
    with pytest.raises(PartInIt):
        factory.approvals.accept(factory.call("adele"), version.name, "for paul", for_person="paul")
    with pytest.raises(OwnWork):
        factory.approvals.accept(factory.call("paul"), version.name, "for petra", for_person="petra")


def test_other_people_at_go_live_than_at_acceptance(factory: GovernedFactory) -> None:
    """Where a standard wants disjoint people, petra, who accepted the version, does not let it go live."""
    factory.adopt(standard(acceptance="[{ count = 1 }]", gate="disjoint = true"))
    release = factory.propose(factory.accepted())
    with pytest.raises(PassedBefore):
        factory.releases.approve(factory.call("petra"), release.endpoint, release.number, "mine anyway")
    approved = factory.releases.approve(factory.call("paul"), release.endpoint, release.number, "good")
    assert approved.state is ReleaseState.APPROVED


@pytest.mark.parametrize("project", ["default", "other"])
def test_disjoint_counts_acceptances_from_before_votes_were_kept(factory: GovernedFactory, project: str) -> None:
    """A version that was accepted by an earlier Muster has its acceptance in the journal alone, behind however many remarks."""
    version = factory.certified()
    remark = Deed(actor="vic", action="version.commented", subject=str(version.name), project=project, details={})
    with factory.database.write() as tx:
        for _ in range(1001):
            factory.journal.append(tx, remark)
    version = factory.approvals.accept(factory.call("petra"), version.name, "good")
    with factory.database.write() as tx:
        tx.execute(sa.text("DELETE FROM votes"))
    factory.adopt(standard(acceptance="[{ count = 1 }]", gate="disjoint = true"))
    release = factory.propose(version)
    with pytest.raises(PassedBefore):
        factory.releases.approve(factory.call("petra"), release.endpoint, release.number, "mine anyway")


def test_votes_and_proposals_grow_old(factory: GovernedFactory) -> None:
    """After its time a vote counts no longer, and a release that waited too long is proposed anew."""
    factory.adopt(standard(go_live="[{ count = 2 }]", gate='expires = "2d"'))
    version = factory.certified()
    factory.approvals.accept(factory.call("petra"), version.name, "good")
    factory.clock.at += timedelta(days=2)
    assert factory.approvals.accept(factory.call("paul"), version.name, "good").state is VersionState.CERTIFIED
    accepted = factory.approvals.accept(factory.call("petra"), version.name, "good still")
    release = factory.propose(accepted)
    factory.clock.at += timedelta(days=2)
    with pytest.raises(ProposalExpired):
        factory.releases.approve(factory.call("paul"), release.endpoint, release.number, "good")


def test_rejecting_is_a_vote_that_ends_it(factory: GovernedFactory) -> None:
    """It is on record as a vote, and there is nothing to vote on any more."""
    release = factory.propose(factory.accepted())
    factory.releases.reject(factory.call("paul"), release.endpoint, release.number, "no")
    about = ReleaseName(release.endpoint, release.number)
    review = factory.governance.reviews.review(factory.call("vic"), about)
    assert [(one.vote.voter, str(one.vote.verdict)) for one in review.opinions] == [("paul", "reject")]
    with pytest.raises(ReleaseStateUnfit):
        factory.releases.approve(factory.call("petra"), release.endpoint, release.number, "yes")


def test_a_standard_changes_under_four_eyes(factory: GovernedFactory) -> None:
    """Adele proposes and may not adopt; the one before is superseded; numbers are never used again."""
    standards = factory.standards
    first = factory.adopt(standard())
    second = standards.propose(factory.call("adele"), standard(acceptance="[{ count = 3 }]"), "more eyes")
    with pytest.raises(PartInIt):
        standards.approve(factory.call("adele"), second.number, "my own")
    assert standards.current(factory.call("vic")).number == first
    assert standards.approve(factory.call("paul"), second.number, "yes").state == "adopted"
    assert standards.standard(factory.call("vic"), first).state == "superseded"
    assert standards.current(factory.call("vic")).number == second.number
    with pytest.raises(StandardStateUnfit):
        standards.reject(factory.call("paul"), second.number, "too late")
    with pytest.raises(StandardNotFound):
        standards.approve(factory.call("paul", "other"), second.number, "elsewhere")
    assert standards.current(factory.call("vic", "other")).number == 0


def test_two_standards_adopted_at_the_same_instant(factory: GovernedFactory) -> None:
    """One after the other: in the end one is in force and the other superseded, never two."""
    standards = factory.standards
    for _ in range(4):
        numbers = [standards.propose(factory.call("ana"), standard(), "so").number for _ in range(2)]
        at_once(
            partial(standards.approve, factory.call("petra"), numbers[0], "yes"),
            partial(standards.approve, factory.call("paul"), numbers[1], "yes"),
        )
        states = [str(one.state) for one in standards.standards(factory.call("vic"))]
        assert states.count("adopted") == 1
        assert states[:2].count("adopted") == 1


def test_a_vote_on_a_standard_is_about_the_change_from_what_was_in_force(factory: GovernedFactory) -> None:
    """Another standard adopted meanwhile voids what was said about the change."""
    standards = factory.standards
    factory.adopt(standard(standard_gate="").replace("[gates.standard]\napprovals = [{ count = 1 }]",
                                                     "[gates.standard]\napprovals = [{ count = 2 }]"))  # fmt: skip
    waiting = standards.propose(factory.call("ana"), standard(), "looser")
    standards.approve(factory.call("petra"), waiting.number, "yes")
    other = standards.propose(factory.call("sam"), standard().replace('"bank"', '"other"').replace(
        "[gates.standard]\napprovals = [{ count = 1 }]", "[gates.standard]\napprovals = [{ count = 2 }]"), "other")  # fmt: skip
    standards.approve(factory.call("petra"), other.number, "yes")
    assert standards.approve(factory.call("paul"), other.number, "yes").state == "adopted"
    assert standards.approve(factory.call("paul"), waiting.number, "yes").state == "proposed"
    review = factory.governance.reviews.review(factory.call("vic"), StandardName(waiting.number))
    assert review.opinions[0].why_not is not None


def test_a_standard_that_nobody_could_change_again_is_refused(factory: GovernedFactory) -> None:
    """A role that nobody has, or more people than there are, would lock the project."""
    for gate in ('[{ role = "consumer", count = 1 }]', "[{ count = 5 }]"):
        text = standard().replace(
            "[gates.standard]\napprovals = [{ count = 1 }]", f"[gates.standard]\napprovals = {gate}"
        )
        with pytest.raises(StandardUnattainable):
            factory.standards.propose(factory.call("ana"), text, "locked")


def test_an_old_proposal_of_a_standard_is_none(factory: GovernedFactory) -> None:
    """By the standard in force it has to be proposed anew."""
    factory.adopt(standard(standard_gate='expires = "5d"'))
    waiting = factory.standards.propose(factory.call("ana"), standard(), "later")
    factory.clock.at += timedelta(days=5)
    with pytest.raises(StandardExpired):
        factory.standards.approve(factory.call("paul"), waiting.number, "yes")


def test_ids_of_another_project_are_not_there(factory: GovernedFactory) -> None:
    """Whoever asks in another project finds nothing, whatever role they have there."""
    version = factory.certified()
    release = factory.propose(factory.accepted())
    reviews = factory.governance.reviews
    elsewhere = factory.call("paul", "other")
    with pytest.raises(VersionNotFound):
        factory.approvals.accept(elsewhere, version.name, "good")
    with pytest.raises(VersionNotFound):
        reviews.request_changes(elsewhere, version.name, "no")
    for deed in (
        lambda: reviews.comment(elsewhere, ReleaseName(release.endpoint, release.number), "no"),
        lambda: factory.releases.approve(elsewhere, release.endpoint, release.number, "good"),
        lambda: factory.releases.confirm(elsewhere, release.endpoint, release.number, "good"),
    ):
        with pytest.raises(MusterError) as told:
            deed()
        assert told.value.code == "release.endpoint-not-found"


MATRIX = {  # what each role may do: accept, approve, ask for changes, adopt, break glass, confirm
    "sam": "",
    "vic": "",
    "olga": "b",
    "paul": "aprsc",
    "adele": "aprsbc",
}


@pytest.mark.parametrize("name", MATRIX)
@pytest.mark.parametrize("own", [False, True], ids=["other", "own"])
def test_the_matrix_of_roles_deeds_and_whose_work_it_is(factory: GovernedFactory, name: str, own: bool) -> None:
    """Of another's work a role may do what its rights say; of one's own nobody may pass anything, whatever the role."""
    front = ObedientFront(factory)
    front.poll()
    factory.live(factory.accepted(), fronts=(front,))
    owners = (name,) if own else ("ana",)
    allowed = "" if own else MATRIX[name]
    call = factory.call(name)

    def outcome(deed: Callable[[], object]) -> bool:
        try:
            deed()
        except (RightMissing, OwnWork, PartInIt):
            return False
        return True

    version = factory.certified(owners=owners)
    reviews = factory.governance.reviews
    assert outcome(lambda: reviews.request_changes(call, version.name, "why")) is ("r" in allowed)
    assert outcome(lambda: factory.approvals.accept(call, version.name, "good")) is ("a" in allowed)
    accepted = factory.accepted(owners=owners) if name != "petra" else factory.accepted()
    release = factory.propose(accepted)
    assert outcome(lambda: factory.releases.break_glass(call, "churn", release.number, "need")) is ("b" in allowed)
    if "b" in allowed:
        factory.releases.withdraw(factory.call("adele"), "churn", release.number, "enough")
        release = factory.propose(accepted)
    assert outcome(lambda: factory.releases.approve(call, "churn", release.number, "good")) is ("p" in allowed)
    by = name if own and name in {"sam", "adele"} else "ana"
    proposed = factory.standards.propose(factory.call(by), standard(), "so")
    may_adopt = "s" in allowed or (own and by != name and "s" in MATRIX[name])
    assert outcome(lambda: factory.standards.approve(call, proposed.number, "yes")) is may_adopt
