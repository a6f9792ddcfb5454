"""Releases from proposal to roll back, on both databases, with fronts that do as they are told."""

import contextlib
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from governed_factory import GovernedFactory, ObedientFront
from known_figures import add_certificate
from muster.access.errors import RightMissing
from muster.audit.errors import IdempotencyKeyReused
from muster.audit.verify import verify
from muster.registry.errors import ReasonMissing, VersionInUse, VersionNotFound, VersionStateUnfit
from muster.registry.records import Version
from muster.release.errors import (
    EndpointNotFound,
    EndpointTaken,
    NothingToRollBackTo,
    NotYoursToWithdraw,
    OwnWork,
    ReleaseNotFound,
    ReleaseStateUnfit,
    RollBackRefused,
    RollBackUnconfirmed,
    SwitchUnderWay,
    VersionNotReleasable,
)
from muster.release.records import Cause, Proposal, Release, RolledBack
from muster.serving.plan import plan_digest
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.names import NameMalformed, VersionName
from muster.vocabulary.states import ReleaseState, VersionState


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    return GovernedFactory(database, tmp_path, clock)


@pytest.fixture
def front(factory: GovernedFactory) -> ObedientFront:
    """A front that is connected."""
    front = ObedientFront(factory)
    front.poll()
    return front


def now(factory: GovernedFactory, release: Release) -> Release:
    return factory.releases.release(factory.call("vic"), release.endpoint, release.number)


# Proposals.


def test_a_proposal_makes_the_endpoint_and_a_numbered_release(factory: GovernedFactory) -> None:
    """Releases of an endpoint count up; nothing is published for a proposal."""
    one, two = factory.accepted(), factory.accepted()
    first, second = factory.propose(one), factory.propose(two, one)
    assert [(release.number, release.state, release.current) for release in (first, second)] == [
        (1, ReleaseState.PROPOSED, False),
        (2, ReleaseState.PROPOSED, False),
    ]
    assert second.versions == (two.name, one.name)
    assert second.plan_digest == plan_digest(now(factory, second).plan)
    assert factory.releases.releases(factory.call("vic"), "churn") == (second, first)
    (endpoint,) = factory.releases.endpoints(factory.call("vic"))
    assert (endpoint.name, endpoint.current, endpoint.champion, endpoint.releases) == ("churn", None, None, 2)
    assert factory.board.since(0).publications == ()
    assert factory.events("churn release 1") == [("ana", "release.proposed")]


def test_a_proposal_of_what_is_not_there_or_not_accepted_is_refused(factory: GovernedFactory) -> None:
    """Nothing is left of a refused proposal, not even the endpoint."""
    version = factory.register()
    with pytest.raises(VersionNotReleasable, match="churn:1 is registered"):
        factory.propose(version)
    with pytest.raises(VersionNotFound):
        factory.releases.propose(factory.call("ana"), "churn", Proposal(champion=VersionName("churn", 7)), "why")
    with pytest.raises(NameMalformed):
        factory.releases.propose(factory.call("ana"), "Churn!", Proposal(champion=version.name), "why")
    with pytest.raises(RightMissing):
        factory.propose(version, by="olga")
    with pytest.raises(ReasonMissing):
        factory.releases.propose(factory.call("ana"), "churn", Proposal(champion=version.name), "  ")
    with pytest.raises(EndpointNotFound):
        factory.releases.endpoint(factory.call("vic"), "churn")


def test_an_endpoint_belongs_to_one_project(factory: GovernedFactory) -> None:
    """Another project can neither see nor release at it, and its versions are its own."""
    factory.propose(factory.accepted())
    other = factory.call("ana", "other")
    assert factory.releases.endpoints(other) == ()
    with pytest.raises(EndpointNotFound):
        factory.releases.releases(other, "churn")
    with pytest.raises(EndpointNotFound):
        factory.releases.approve(factory.call("paul", "other"), "churn", 1, "agreed")
    with pytest.raises(VersionNotFound):
        factory.releases.propose(other, "churn", Proposal(champion=VersionName("churn", 1)), "why")
    version = factory.registry.register(other, factory.zip())
    with factory.database.write() as tx:
        factory.registry.move(tx, version, VersionState.CERTIFIED)
    factory.approvals.accept(factory.call("paul", "other"), version.name, "good")
    with pytest.raises(EndpointTaken):
        factory.releases.propose(other, "churn", Proposal(champion=version.name), "why")


# The gate.


def test_nobody_passes_their_own_release(factory: GovernedFactory) -> None:
    """Neither the proposer nor whoever has part in any version of it, admins included."""
    champion = factory.accepted(owners=("paul",), by="sam")
    canary = factory.accepted(by="ana", authors=("adele",), owners=("sam",))
    release = factory.propose(champion, champion_free := factory.accepted(by="sam", owners=("sam",)), canary, by="sam")
    assert champion_free.registered_by == "sam"
    for passer in ("paul", "adele"):
        with pytest.raises(OwnWork, match=passer):
            factory.releases.approve(factory.call(passer), "churn", release.number, "agreed")
    mine = factory.propose(champion_free, by="adele")
    with pytest.raises(OwnWork, match="adele proposed"):
        factory.releases.approve(factory.call("adele"), "churn", mine.number, "agreed")
    for stranger in ("ana", "olga", "vic", "front"):
        with pytest.raises(RightMissing):
            factory.releases.approve(factory.call(stranger), "churn", mine.number, "agreed")
    assert now(factory, mine).state is ReleaseState.PROPOSED
    assert factory.approve(mine).state is ReleaseState.APPROVED


def test_a_solo_factory_waives_that_rule_and_says_so(database: Database, tmp_path: Path, clock: FixedClock) -> None:
    """The rule alone: the event of the gate and the plan say it."""
    factory = GovernedFactory(database, tmp_path, clock, solo=True)
    version = factory.register(by="adele", owners=("adele",))
    with factory.database.write() as tx:
        factory.registry.move(tx, version, VersionState.CERTIFIED)
        add_certificate(tx, version, clock)
    factory.approvals.accept(factory.call("adele"), version.name, "good")
    release = factory.propose(version, by="adele")
    assert release.plan.solo
    factory.releases.approve(factory.call("adele"), "churn", 1, "agreed")
    with database.read() as tx:
        details = {entry.action: entry.details for entry in factory.journal.entries(tx, 0, 100)}
    assert '"solo":true' in details["version.accepted"]
    assert '"solo":true' in details["release.approved"]
    with pytest.raises(RightMissing):
        factory.releases.approve(factory.call("ana"), "churn", 1, "agreed")


def test_a_gate_is_passed_once(factory: GovernedFactory) -> None:
    """Only a proposed release can be approved or rejected, and one that was decided stays decided."""
    version = factory.accepted()
    rejected, approved = factory.propose(version), factory.propose(version)
    done = factory.releases.reject(factory.call("paul"), "churn", rejected.number, "too slow")
    assert (done.state, done.decided_by, done.decision_reason) == (ReleaseState.REJECTED, "paul", "too slow")
    factory.approve(approved)
    for release in (rejected, approved):
        with pytest.raises(ReleaseStateUnfit):
            factory.approve(release)
        with pytest.raises(ReleaseStateUnfit):
            factory.releases.reject(factory.call("paul"), "churn", release.number, "no")
    with pytest.raises(ReleaseNotFound):
        factory.releases.approve(factory.call("paul"), "churn", 99, "agreed")


def test_a_version_that_has_ended_since_the_proposal_keeps_it_from_passing(factory: GovernedFactory) -> None:
    """States are looked at again at the gate."""
    one, two = factory.accepted(), factory.accepted()
    retired, banned = factory.propose(one), factory.propose(two)
    factory.registry.retire(factory.call("paul"), one.name, "old")
    factory.registry.ban(factory.call("paul"), two.name, "wrong")
    for release in (retired, banned):
        with pytest.raises(VersionNotReleasable):
            factory.approve(release)


# The switch.


def test_a_release_goes_live_in_two_phases(factory: GovernedFactory, front: ObedientFront) -> None:
    """Loaded by every connected front, then served by every one, then live; each step is on record."""
    other = ObedientFront(factory, "front-1")
    other.poll()
    release = factory.approve(factory.propose(factory.accepted()))
    assert factory.told() == (None, 1, None)
    front.follow()
    assert factory.told() == (None, 1, None), "one front has not loaded it yet"
    other.follow()
    assert factory.told() == (1, None, None)
    assert now(factory, release).state is ReleaseState.APPROVED
    assert now(factory, release).current
    front.follow()
    assert now(factory, release).state is ReleaseState.APPROVED
    other.follow()
    live = now(factory, release)
    assert (live.state, live.current, live.live_at) == (ReleaseState.LIVE, True, factory.clock.now())
    assert [action for _, action in factory.events("churn release 1")] == [
        "release.proposed", "release.approved", "release.switched", "release.live",
    ]  # fmt: skip


def test_the_release_before_is_superseded_and_kept_warm_for_an_hour(
    factory: GovernedFactory, front: ObedientFront
) -> None:
    """It can be rolled back to at once; after the hour, fronts may let go of it."""
    first = factory.live(factory.accepted(), fronts=(front,))
    second = factory.live(factory.accepted(), fronts=(front,))
    assert (now(factory, first).state, now(factory, second).state) == (ReleaseState.SUPERSEDED, ReleaseState.LIVE)
    assert factory.told() == (2, None, 1)
    factory.clock.at += timedelta(minutes=59)
    factory.releases.advance()
    assert factory.told() == (2, None, 1)
    factory.clock.at += timedelta(minutes=1)
    factory.releases.advance()
    assert factory.told() == (2, None, None)
    number = factory.board.since(0).number
    factory.clock.at += timedelta(hours=5)
    factory.releases.advance()
    assert factory.board.since(0).number == number, "what is cold already is not published again"


def test_without_a_front_a_release_stays_approved(factory: GovernedFactory) -> None:
    """It goes live when one comes, and not before."""
    release = factory.approve(factory.propose(factory.accepted()))
    factory.releases.advance()
    assert now(factory, release).state is ReleaseState.APPROVED
    front = ObedientFront(factory)
    front.follow()
    front.follow()
    assert now(factory, release).state is ReleaseState.LIVE


def test_a_front_that_fell_silent_is_not_waited_for(factory: GovernedFactory, front: ObedientFront) -> None:
    """After ten seconds without a poll the others go on; it catches up when it is back."""
    silent = ObedientFront(factory, "front-1")
    silent.poll()
    release = factory.approve(factory.propose(factory.accepted()))
    front.follow()
    factory.seconds.now += 9.9
    front.poll()
    factory.releases.advance()
    assert factory.told() == (None, 1, None)
    factory.seconds.now += 0.2
    factory.releases.advance()
    assert factory.told() == (1, None, None)
    front.follow()
    assert now(factory, release).state is ReleaseState.LIVE
    assert [seen.name for seen in factory.releases.fronts(factory.call("vic"))] == ["front-0"]


def test_a_front_that_cannot_load_a_release_fails_it(factory: GovernedFactory, front: ObedientFront) -> None:
    """The served plan is never touched, and the reason is kept with the front's name."""
    first = factory.live(factory.accepted(), fronts=(front,))
    front.fails[2] = "golden rows differ by 0.5"
    second = factory.approve(factory.propose(factory.accepted()))
    front.follow()
    failed = now(factory, second)
    assert failed.state is ReleaseState.FAILED
    assert failed.failure == "front-0: golden rows differ by 0.5"
    assert factory.told() == (1, None, None)
    assert now(factory, first).state is ReleaseState.LIVE
    assert ("muster", "release.failed") in factory.events("churn release 2")
    with pytest.raises(ReleaseStateUnfit):
        factory.approve(second)


def test_reports_about_what_was_published_before_count_for_nothing(
    factory: GovernedFactory, front: ObedientFront
) -> None:
    """A report has to answer the newest publication of the endpoint: an older one may be about another state of things."""
    factory.approve(factory.propose(factory.accepted()))
    front.report("churn", 1, "loaded", 0)
    assert factory.told() == (None, 1, None)
    front.report("churn", 1, "serving", factory.board.since(0).number)
    assert factory.told() == (None, 1, None), "it is to be loaded first"


def test_reports_need_the_fronts_own_right_and_a_release_that_exists(
    factory: GovernedFactory, front: ObedientFront
) -> None:
    """Whoever reports decides what goes live."""
    with pytest.raises(ReleaseNotFound):
        front.report("churn", 1, "loaded", 1)
    for name in ("adele", "olga", "ana"):
        with pytest.raises(RightMissing):
            factory.releases.front_seen(factory.call(name), "front-0")


def test_one_switch_at_a_time(factory: GovernedFactory, front: ObedientFront) -> None:
    """A second release of the endpoint waits at the gate; another endpoint does not care."""
    version = factory.accepted()
    first, second = factory.propose(version), factory.propose(version)
    elsewhere = factory.propose(version, endpoint="churn-daily")
    factory.approve(first)
    with pytest.raises(SwitchUnderWay, match="churn release 1"):
        factory.approve(second)
    factory.approve(elsewhere)
    front.follow()
    front.follow()
    assert now(factory, first).state is ReleaseState.LIVE
    assert now(factory, elsewhere).state is ReleaseState.LIVE
    assert factory.approve(second).state is ReleaseState.APPROVED


def test_a_release_that_fronts_do_not_get_on_with_can_be_overtaken(
    factory: GovernedFactory, front: ObedientFront
) -> None:
    """It was loaded and is never served by all: the next release takes its place, also where nothing was live before."""
    stuck = factory.approve(factory.propose(factory.accepted()))
    front.follow()
    assert now(factory, stuck).current
    better = factory.approve(factory.propose(factory.accepted()))
    assert factory.told() == (1, 2, None)
    front.report("churn", 2, "loaded", factory.board.since(0).number)
    assert factory.told() == (2, None, None), "what never was live is not kept warm"
    assert now(factory, stuck).state is ReleaseState.FAILED
    assert "release 2" in (now(factory, stuck).failure or "")
    front.follow()
    assert now(factory, better).state is ReleaseState.LIVE


def test_control_can_die_at_any_step_of_a_switch(factory: GovernedFactory, front: ObedientFront) -> None:
    """A control that starts anew goes on where the old one was, as fronts repeat what they said."""
    other = ObedientFront(factory, "front-1")
    other.poll()
    release = factory.approve(factory.propose(factory.accepted()))
    front.follow()
    factory.start()
    front.follow()
    assert factory.told() == (None, 1, None), "it still waits for the front that has not found back"
    other.follow()
    assert factory.told() == (1, None, None)
    factory.start()
    front.follow()
    assert now(factory, release).state is ReleaseState.APPROVED
    factory.start()
    front.follow()
    other.follow()
    assert now(factory, release).state is ReleaseState.LIVE


def test_whoever_waits_for_a_release_is_woken_when_it_is_live(factory: GovernedFactory, front: ObedientFront) -> None:
    """`approve` with a wait comes back when the last front serves it, in the thread of the one who waits."""
    release = factory.propose(factory.accepted())
    found: list[Release] = []

    def approve() -> None:
        found.append(factory.releases.approve(factory.call("paul"), "churn", 1, "agreed", wait_s=60))

    waiting = threading.Thread(target=approve)
    waiting.start()
    while now(factory, release).state is ReleaseState.PROPOSED:
        front.poll()
    front.follow()
    front.follow()
    waiting.join(20)
    assert [done.state for done in found] == [ReleaseState.LIVE]


def test_a_wait_has_an_end(factory: GovernedFactory) -> None:
    """Without a front, the release is given back as it is."""
    factory.propose(factory.accepted())
    done = factory.releases.approve(factory.call("paul"), "churn", 1, "agreed", wait_s=0.01)
    assert done.state is ReleaseState.APPROVED


def test_of_two_who_approve_at_once_one_is_told_to_wait(factory: GovernedFactory) -> None:
    """Whatever the database: two releases of an endpoint never load at the same time."""
    version = factory.accepted()
    releases = [factory.propose(version) for _ in range(4)]
    outcomes: list[str] = []
    gate = threading.Barrier(4)

    def approve(release: Release) -> None:
        gate.wait()
        try:
            factory.approve(release)
            outcomes.append("approved")
        except SwitchUnderWay:
            outcomes.append("under way")

    threads = [threading.Thread(target=approve, args=(release,)) for release in releases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["approved", "under way", "under way", "under way"]


def test_a_ban_and_an_approval_at_once_never_let_the_version_through(factory: GovernedFactory) -> None:
    """Either the gate sees the ban, or the ban sees the approved release: in the end nothing loads the version."""
    for _ in range(4):
        version = factory.accepted()
        release = factory.propose(version)
        gate = threading.Barrier(2)

        def ban(version: Version = version, gate: threading.Barrier = gate) -> None:
            gate.wait()
            factory.registry.ban(factory.call("paul"), version.name, "wrong data")

        thread = threading.Thread(target=ban)
        thread.start()
        gate.wait()
        with contextlib.suppress(VersionNotReleasable):
            factory.approve(release)
        thread.join()
        assert now(factory, release).state in {ReleaseState.PROPOSED, ReleaseState.FAILED}


# Withdrawing.


def test_a_release_is_withdrawn_by_its_proposer_or_an_approver(factory: GovernedFactory, front: ObedientFront) -> None:
    """Before it is served; fronts forget what they have loaded."""
    version = factory.accepted()
    proposed, approved = factory.propose(version), factory.propose(version)
    with pytest.raises(NotYoursToWithdraw):
        factory.releases.withdraw(factory.call("sam"), "churn", proposed.number, "mine now")
    with pytest.raises(NotYoursToWithdraw):
        factory.releases.withdraw(factory.call("olga"), "churn", proposed.number, "no")
    assert factory.releases.withdraw(factory.call("ana"), "churn", 1, "mistake").state is ReleaseState.WITHDRAWN
    factory.approve(approved)
    withdrawn = factory.releases.withdraw(factory.call("paul"), "churn", 2, "not now")
    assert (withdrawn.state, withdrawn.decided_by) == (ReleaseState.WITHDRAWN, "paul")
    assert factory.told() == (None, None, None)
    front.follow()
    assert now(factory, approved).state is ReleaseState.WITHDRAWN


def test_what_is_served_is_not_withdrawn(factory: GovernedFactory, front: ObedientFront) -> None:
    """From the moment fronts switch to it, only a roll back leads away."""
    release = factory.approve(factory.propose(factory.accepted()))
    front.follow()
    with pytest.raises(ReleaseStateUnfit, match="roll back"):
        factory.releases.withdraw(factory.call("paul"), "churn", release.number, "no")
    front.follow()
    with pytest.raises(ReleaseStateUnfit):
        factory.releases.withdraw(factory.call("paul"), "churn", release.number, "no")


# Roll back.


def rolled_back(factory: GovernedFactory, front: ObedientFront, to: int | None = None, **said: Any) -> RolledBack:
    """A roll back, with a front that confirms it while it is waited for."""
    found: list[RolledBack | BaseException] = []

    def roll_back() -> None:
        try:
            found.append(factory.releases.rollback(factory.call("olga", **said), "churn", "too slow", to=to))
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            found.append(error)

    call = factory.call("vic")
    before = len(factory.releases.history(call, "churn"))
    thread = threading.Thread(target=roll_back)
    thread.start()
    while not found:
        if len(factory.releases.history(call, "churn")) > before:
            front.follow()
        thread.join(0.002)
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def test_a_roll_back_takes_effect_at_once(factory: GovernedFactory, front: ObedientFront) -> None:
    """What was current before is current again, by the operator's right alone; what was current stays warm."""
    first = factory.live(factory.accepted(), fronts=(front,))
    second = factory.live(factory.accepted(), fronts=(front,))
    done = rolled_back(factory, front)
    assert (done.endpoint, done.from_, done.to, done.fronts) == ("churn", 2, 1, 1)
    assert done.effective_ms >= 0
    assert (now(factory, first).state, now(factory, second).state) == (ReleaseState.LIVE, ReleaseState.SUPERSEDED)
    assert now(factory, first).current
    assert factory.told() == (1, None, 2)
    assert ("olga", "release.rolled-back") in factory.events("churn release 1")
    assert ("muster", "release.roll-back-confirmed") in factory.events("churn release 1")
    history = factory.releases.history(factory.call("vic"), "churn")
    assert [(pointer.release, pointer.cause, pointer.by) for pointer in history] == [
        (1, Cause.ROLLED_BACK, "olga"), (2, Cause.WENT_LIVE, "paul"), (1, Cause.WENT_LIVE, "paul"),
    ]  # fmt: skip


def test_roll_backs_without_a_number_only_lead_backwards(factory: GovernedFactory, front: ObedientFront) -> None:
    """One after another they reach the first release, and there they are refused; a number leads to a later one all the same."""
    for _ in range(3):
        factory.live(factory.accepted(), fronts=(front,))
    assert [(done.from_, done.to) for done in (rolled_back(factory, front), rolled_back(factory, front))] == [
        (3, 2),
        (2, 1),
    ]
    with pytest.raises(NothingToRollBackTo, match=r"before release 1 .* later ones were: 2, 3") as refused:
        factory.releases.rollback(factory.call("olga"), "churn", "worse still")
    assert "--to" in refused.value.advice
    assert refused.value.facts["later"] == [2, 3]
    assert factory.told()[0] == 1
    assert rolled_back(factory, front, to=3).to == 3


def test_a_roll_back_passes_over_what_was_rolled_back_from(factory: GovernedFactory, front: ObedientFront) -> None:
    """The release after a bad one goes back to what was good before it, not to the bad one, whatever the numbers are."""
    early = factory.propose(factory.accepted())
    for _ in range(2):
        factory.live(factory.accepted(), fronts=(front,))
    assert rolled_back(factory, front).to == 2
    assert factory.live(factory.accepted(), fronts=(front,)).number == 4
    assert rolled_back(factory, front).to == 2
    factory.approve(early)
    front.follow()
    front.follow()
    assert now(factory, early).state is ReleaseState.LIVE
    done = rolled_back(factory, front)
    assert (done.from_, done.to) == (1, 2)


def test_a_roll_back_reaches_any_release_that_was_live(factory: GovernedFactory, front: ObedientFront) -> None:
    """By its number; the ones between are passed over."""
    for _ in range(3):
        factory.live(factory.accepted(), fronts=(front,))
    assert rolled_back(factory, front, to=1).to == 1
    states = [release.state for release in factory.releases.releases(factory.call("vic"), "churn")]
    assert states == [ReleaseState.SUPERSEDED, ReleaseState.SUPERSEDED, ReleaseState.LIVE]


def test_a_roll_back_to_nothing_is_refused(factory: GovernedFactory, front: ObedientFront) -> None:
    """To what is current, what was never live, what does not exist, or without anything before."""
    call = factory.call("olga")
    with pytest.raises(EndpointNotFound):
        factory.releases.rollback(call, "churn", "why")
    version = factory.accepted()
    factory.propose(version)
    with pytest.raises(NothingToRollBackTo):
        factory.releases.rollback(call, "churn", "why")
    factory.live(version, fronts=(front,))
    for to, error in ((None, NothingToRollBackTo), (2, RollBackRefused), (1, RollBackRefused), (9, ReleaseNotFound)):
        with pytest.raises(error):
            factory.releases.rollback(call, "churn", "why", to=to)
    with pytest.raises(RightMissing):
        factory.releases.rollback(factory.call("paul"), "churn", "why")
    with pytest.raises(ReasonMissing):
        factory.releases.rollback(call, "churn", " ")


def test_a_release_with_a_banned_version_never_becomes_current(factory: GovernedFactory, front: ObedientFront) -> None:
    """Neither by its number nor as what was before; the message names the version."""
    bad = factory.accepted()
    factory.live(bad, fronts=(front,))
    factory.live(factory.accepted(), fronts=(front,))
    factory.registry.ban(factory.call("paul"), bad.name, "wrong data")
    assert factory.told() == (2, None, None), "it is not kept warm either"
    for to in (None, 1):
        with pytest.raises(RollBackRefused, match=str(bad.name)):
            factory.releases.rollback(factory.call("olga"), "churn", "why", to=to)


def test_a_roll_back_overtakes_what_is_being_made_live(factory: GovernedFactory, front: ObedientFront) -> None:
    """While it is loaded as well as while fronts switch to it, a release that comes fails: who rolls back wants nothing new."""
    for _ in range(2):
        factory.live(factory.accepted(), fronts=(front,))
    loading = factory.approve(factory.propose(factory.accepted()))
    assert rolled_back(factory, front).to == 1
    assert now(factory, loading).state is ReleaseState.FAILED
    assert "olga rolled back" in (now(factory, loading).failure or "")
    switching = factory.approve(factory.propose(factory.accepted()))
    front.follow()
    assert now(factory, switching).current
    done = rolled_back(factory, front)
    assert (done.from_, done.to) == (switching.number, 1)
    assert now(factory, switching).state is ReleaseState.FAILED
    states = {release.number: release.state for release in factory.releases.releases(factory.call("vic"), "churn")}
    assert states[1] is ReleaseState.LIVE
    with pytest.raises(RollBackRefused, match="never live"):
        factory.releases.rollback(factory.call("olga"), "churn", "why", to=switching.number)
    with pytest.raises(NothingToRollBackTo, match=r"later ones were: 2$"):  # what never was live does not count
        factory.releases.rollback(factory.call("olga"), "churn", "why")


def test_without_a_front_a_roll_back_is_effective_when_it_is_on_record(
    factory: GovernedFactory, front: ObedientFront
) -> None:
    """Fronts that come later obey it before they are ready."""
    for _ in range(2):
        factory.live(factory.accepted(), fronts=(front,))
    factory.seconds.now += 11
    done = factory.releases.rollback(factory.call("olga"), "churn", "why")
    assert (done.to, done.fronts) == (1, 0)


def test_a_front_that_does_not_confirm_is_named(factory: GovernedFactory, front: ObedientFront) -> None:
    """The roll back stands; the caller is told who has not confirmed it."""
    for _ in range(2):
        factory.live(factory.accepted(), fronts=(front,))
    found: list[BaseException] = []

    def roll_back() -> None:
        try:
            factory.releases.rollback(factory.call("olga"), "churn", "why")
        except RollBackUnconfirmed as error:
            found.append(error)

    thread = threading.Thread(target=roll_back)
    thread.start()
    while not found:
        factory.seconds.now += 1
        front.poll()
    thread.join()
    assert isinstance(found[0], RollBackUnconfirmed)
    assert found[0].facts["fronts"] == ["front-0"]
    assert factory.told() == (1, None, 2)


# Bans and ends of versions.


def test_a_ban_stops_a_version_where_it_is_served(factory: GovernedFactory, front: ObedientFront) -> None:
    """In the ban's own transaction the fronts are told, wherever a plan names it, and only there."""
    champion, canary = factory.accepted(), factory.accepted()
    factory.live(champion, factory.accepted(), canary, fronts=(front,))
    factory.live(factory.accepted(), fronts=(front,), endpoint="elsewhere")
    before = factory.board.since(0).number
    factory.registry.ban(factory.call("paul"), canary.name, "wrong data")
    news = factory.board.since(before)
    assert [publication.subject for publication in news.publications] == ["endpoint/churn"]
    assert factory.plans().banned == (str(canary.name),)
    assert factory.told() == (1, None, None)
    assert factory.state(canary) is VersionState.BANNED
    with pytest.raises(VersionStateUnfit):
        factory.registry.ban(factory.call("paul"), canary.name, "again")


def test_a_ban_fails_the_release_that_was_to_bring_the_version(factory: GovernedFactory, front: ObedientFront) -> None:
    """It is not loaded any further, and why is kept."""
    factory.live(factory.accepted(), fronts=(front,))
    bad = factory.accepted()
    release = factory.approve(factory.propose(bad))
    factory.registry.ban(factory.call("paul"), bad.name, "wrong data")
    failed = now(factory, release)
    assert (failed.state, failed.failure) == (ReleaseState.FAILED, f"{bad.name} was banned by paul")
    assert factory.told() == (1, None, None)
    front.follow()
    assert now(factory, release).state is ReleaseState.FAILED


def test_a_version_in_use_is_not_retired(factory: GovernedFactory, front: ObedientFront) -> None:
    """Neither while it is served nor while it is about to be; afterwards it is, and can still be rolled back to."""
    first, second = factory.accepted(), factory.accepted()
    factory.live(first, fronts=(front,))
    factory.approve(factory.propose(second))
    for version in (first, second):
        with pytest.raises(VersionInUse, match="churn release"):
            factory.registry.retire(factory.call("paul"), version.name, "old")
    front.follow()
    front.follow()
    assert factory.registry.retire(factory.call("paul"), first.name, "old").state is VersionState.RETIRED
    assert rolled_back(factory, front).to == 1
    with pytest.raises(VersionNotReleasable):
        factory.propose(first)


def test_releases_can_be_asked_for_by_version(factory: GovernedFactory) -> None:
    """In whatever role it is in them."""
    one, two = factory.accepted(), factory.accepted()
    factory.propose(one)
    factory.propose(two, one)
    factory.propose(one, endpoint="elsewhere")
    found = factory.releases.releases_with(factory.call("vic"), one.name)
    assert [release.subject for release in found] == ["churn release 2", "churn release 1", "elsewhere release 1"]
    assert [release.number for release in factory.releases.releases_with(factory.call("vic"), two.name)] == [2]


# Idempotency and the record.


def test_a_repeated_request_is_carried_out_once(factory: GovernedFactory, front: ObedientFront) -> None:
    """Each deed, repeated with its key, gives what is there now; the key with another request is refused."""
    version = factory.accepted()
    proposal = Proposal(champion=version.name)
    keyed = factory.call("ana", idempotency_key="p", request_digest="d1")
    first = factory.releases.propose(keyed, "churn", proposal, "better")
    assert factory.releases.propose(keyed, "churn", proposal, "better") == first
    other = factory.call("ana", idempotency_key="p", request_digest="d2")
    with pytest.raises(IdempotencyKeyReused):
        factory.releases.propose(other, "churn", proposal, "better")
    for _ in range(2):
        keyed = factory.call("paul", idempotency_key="a", request_digest="d")
        assert factory.releases.approve(keyed, "churn", 1, "agreed").state is ReleaseState.APPROVED
    front.follow()
    front.follow()
    assert factory.releases.approve(keyed, "churn", 1, "agreed").state is ReleaseState.LIVE
    factory.live(version, fronts=(front,))
    keys: dict[str, Any] = {"idempotency_key": "r", "request_digest": "d"}
    done = rolled_back(factory, front, **keys)
    assert rolled_back(factory, front, **keys) == done
    assert len(factory.releases.history(factory.call("vic"), "churn")) == 3


def test_every_step_is_in_the_chain(factory: GovernedFactory, front: ObedientFront) -> None:
    """After a whole story the audit chain holds, with the head outside the database."""
    factory.live(factory.accepted(), fronts=(front,))
    factory.live(factory.accepted(), fronts=(front,))
    rolled_back(factory, front)
    verdict = verify(factory.database, factory.head)
    assert verdict.valid, verdict.problem
    assert verdict.events == len(factory.events())
