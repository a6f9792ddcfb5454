"""What ends a live-test, what cannot be tried, and when the gate asks for nothing."""

from datetime import timedelta
from pathlib import Path

import pytest

from governed_factory import GovernedFactory, ObedientFront
from muster.access.errors import RightMissing
from muster.gates.records import WaiverState
from muster.livetests.errors import (
    LiveTestMalformed,
    LiveTestNotFound,
    LiveTestUnderWay,
    LiveTestUnfit,
)
from muster.registry.errors import ReasonMissing, VersionInUse, VersionNotFound
from muster.registry.records import Version
from muster.release.errors import EndpointNotFound
from muster.serving.shadow import HOST_DOWN, NO_ANSWER
from muster.standards.errors import StandardMalformed
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.states import LiveTestState, ReleaseState
from tried_versions import Traffic, counted, now, over, running, start

STANDARD = 'format = 1\nname = "bank"\n[livetest]\nrequests = 5\nmax_errors = 0.0\n'


@pytest.fixture
def factory(sqlite_database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    return GovernedFactory(sqlite_database, tmp_path, clock)


@pytest.fixture
def front(factory: GovernedFactory) -> ObedientFront:
    """A front that is connected."""
    made = ObedientFront(factory)
    made.poll()
    return made


@pytest.fixture
def traffic(factory: GovernedFactory) -> Traffic:
    return Traffic(factory.folder / "archive", factory.clock)


@pytest.fixture
def candidate(factory: GovernedFactory, front: ObedientFront) -> Version:
    """`churn:2`, accepted; `churn:1` is served."""
    factory.live(factory.accepted(), fronts=(front,))
    return factory.accepted()


def test_one_without_enough_time_or_requests_is_not_over(
    factory: GovernedFactory, front: ObedientFront, traffic: Traffic, candidate: Version
) -> None:
    """With both said it lasts until both are reached; with hours alone, however few requests come."""
    running(factory, front, candidate, requests=2, hours=1.0)
    traffic.sees(*[("answered", 0.5)] * 5)
    counted(factory)
    assert now(factory).state is LiveTestState.RUNNING
    counted(factory, timedelta(hours=1))
    assert over(factory).state is LiveTestState.PASSED
    running(factory, front, candidate, hours=0.5)
    counted(factory, timedelta(minutes=31))
    unasked = over(factory, 2)
    assert (unasked.state, unasked.outcome) == (LiveTestState.FAILED, "it saw 0 requests, fewer than 100")
    with pytest.raises(LiveTestNotFound):
        now(factory, 3)


@pytest.mark.parametrize(
    ("error", "told"),
    [("it raised", "errors: 0.2 is more than 0.01"), (NO_ANSWER, "late answers: 0.2 is more than 0.05")],
    ids=["errors", "late"],
)
def test_a_version_that_errs_or_is_late_fails_for_that_alone(
    factory: GovernedFactory, front: ObedientFront, traffic: Traffic, candidate: Version, error: str, told: str
) -> None:
    """Where no standard says anything, one that cannot answer has not passed; the reason is told and kept."""
    running(factory, front, candidate)
    traffic.sees(*[("answered", 0.5)] * 8, *[("failed", None)] * 2, error=error)
    found = over(factory)
    assert (found.state, found.outcome) == (LiveTestState.FAILED, told)
    assert factory.events("churn live-test 1")[-1] == ("muster", "live-test.failed")


def test_a_switch_to_another_release_ends_it(
    factory: GovernedFactory, front: ObedientFront, candidate: Version
) -> None:
    """With the publication of the switch fronts forget it; the record says why it was stopped."""
    running(factory, front, candidate)
    other = factory.live(factory.accepted(), fronts=(front,))
    assert other.state is ReleaseState.LIVE
    assert factory.plans().shadow is None
    found = now(factory)
    assert (found.state, found.outcome) == (
        LiveTestState.STOPPED, "the endpoint is served by release 2, and it ran beside release 1",
    )  # fmt: skip


def test_while_a_release_is_on_its_way_it_waits(
    factory: GovernedFactory, front: ObedientFront, candidate: Version
) -> None:
    """Fronts have one thing to load at a time; when the other release is live, there is nothing beside which it could run."""
    factory.approve(factory.propose(factory.accepted()))
    assert start(factory, candidate).state is LiveTestState.QUEUED
    assert factory.plans().shadow is None
    for _ in range(3):
        front.follow()
    assert now(factory).state is LiveTestState.STOPPED


def test_a_ban_ends_it_in_the_same_transaction(
    factory: GovernedFactory, front: ObedientFront, candidate: Version
) -> None:
    """Fronts are told at once; it can be neither retired nor tried again meanwhile."""
    running(factory, front, candidate)
    with pytest.raises(VersionInUse, match="churn live-test 1"):
        factory.registry.retire(factory.call("petra"), candidate.name, "old")
    factory.registry.ban(factory.call("petra"), candidate.name, "wrong")
    assert factory.plans().shadow is None
    assert (now(factory).state, now(factory).outcome) == (LiveTestState.FAILED, "churn:2 was banned by petra")
    with pytest.raises(LiveTestUnfit, match="is banned"):
        start(factory, candidate)


def test_a_front_that_cannot_load_it_fails_it(
    factory: GovernedFactory, front: ObedientFront, candidate: Version
) -> None:
    """What the front says is why; the release that is served is not touched by it."""
    front.fails_trials = "churn:2: row 3 differs"
    start(factory, candidate)
    front.follow()
    factory.releases.advance()
    assert (now(factory).state, now(factory).outcome) == (LiveTestState.FAILED, "front-0: churn:2: row 3 differs")
    assert factory.plans().shadow is None
    assert factory.told()[0] == 1
    assert factory.releases.release(factory.call("vic"), "churn", 1).state is ReleaseState.LIVE


def test_control_that_starts_anew_goes_on(
    factory: GovernedFactory, front: ObedientFront, traffic: Traffic, candidate: Version
) -> None:
    """What stands in the database is all it needs; fronts repeat what they have loaded."""
    start(factory, candidate)
    factory.start()
    front.follow()
    assert now(factory).state is LiveTestState.RUNNING
    traffic.sees(*[("answered", 0.5)] * 10)
    factory.start()
    assert over(factory).state is LiveTestState.PASSED


def test_what_cannot_be_tried_is_refused(factory: GovernedFactory, front: ObedientFront, candidate: Version) -> None:
    """Nothing is left on record of a live-test that was refused."""
    before = factory.events()
    for stranger in ("ana", "petra", "vic"):
        with pytest.raises(RightMissing, match="may not live-test; that takes operator or admin"):
            start(factory, candidate, by=stranger)
    with pytest.raises(ReasonMissing):
        factory.live_tests.start(factory.call("olga"), "churn", candidate.name, " ", requests=1)
    for length in (
        {"requests": 0},
        {"hours": 0.0},
        {"hours": 721.0},
        {"hours": float("nan")},
        {"requests": 1, "share": 0.0},
    ):
        with pytest.raises(LiveTestMalformed):
            start(factory, candidate, **length)
    with pytest.raises(LiveTestMalformed, match="how many requests or how many hours"):
        factory.live_tests.start(factory.call("olga"), "churn", candidate.name, "why")
    with pytest.raises(EndpointNotFound):
        factory.live_tests.start(factory.call("olga"), "other", candidate.name, "why", requests=1)
    with pytest.raises(VersionNotFound):
        factory.live_tests.start(factory.call("olga", "other"), "churn", candidate.name, "why", requests=1)
    with pytest.raises(LiveTestNotFound):
        now(factory, 7)
    served = factory.registry.version(
        factory.call("vic"), factory.releases.release(factory.call("vic"), "churn", 1).versions[0]
    )
    with pytest.raises(LiveTestUnfit, match="is in churn release 1 already"):
        start(factory, served)
    assert factory.events() == before
    with pytest.raises(LiveTestUnfit, match="only an accepted version"):
        start(factory, factory.certified())
    start(factory, candidate)
    with pytest.raises(LiveTestUnderWay, match="churn live-test 1 with churn:2 is loading"):
        start(factory, factory.accepted())


def test_the_gate_asks_nothing_of_a_champion_that_stays_nor_where_nothing_is_served(
    factory: GovernedFactory, front: ObedientFront, candidate: Version
) -> None:
    """There are no requests that the first release's champion could have seen."""
    factory.adopt(STANDARD)
    champion = factory.registry.version(
        factory.call("vic"), factory.releases.release(factory.call("vic"), "churn", 1).versions[0]
    )
    assert factory.approve(factory.propose(champion, candidate)).state is ReleaseState.APPROVED
    assert factory.approve(factory.propose(candidate, endpoint="fresh")).state is ReleaseState.APPROVED


def test_a_live_test_can_be_waived(factory: GovernedFactory, front: ObedientFront, candidate: Version) -> None:
    """By its name, as any check, by two people, for a while."""
    factory.adopt(STANDARD)
    release = factory.propose(candidate)
    reviews, ends = factory.governance.reviews, factory.clock.now() + timedelta(days=1)
    asked = reviews.ask_waiver(factory.call("ana"), candidate.name, "live-test", ends=ends, reason="it is urgent")
    reviews.decide_waiver(factory.call("petra"), asked.id, WaiverState.GRANTED, "once")
    assert factory.approve(release).state is ReleaseState.APPROVED


def test_what_lasts_as_a_standard_of_hours_asks_also_lasts_until_it_was_asked(
    factory: GovernedFactory, front: ObedientFront, candidate: Version
) -> None:
    """On a quiet endpoint it goes on, and does not fail for having seen little."""
    factory.adopt(STANDARD.replace("requests = 5", "hours = 2"))
    started = factory.live_tests.start(factory.call("olga"), "churn", candidate.name, "as the standard asks")
    assert (started.requests, started.hours) == (100, 2.0)


def test_a_version_that_answers_no_numbers_fails(
    factory: GovernedFactory, front: ObedientFront, traffic: Traffic, candidate: Version
) -> None:
    """Where no standard says anything, too."""
    running(factory, front, candidate)
    traffic.sees(("answered", 0.5), *[("answered", float("nan"))] * 9)
    found = over(factory)
    assert (found.state, found.outcome) == (LiveTestState.FAILED, "unlike: 0.9 is more than 0.01")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("busy", "left out: 0.5833 is more than 0.5"),
        (HOST_DOWN, "left out: 0.5833 is more than 0.5; down: 0.5833 is more than 0.01"),
    ],
    ids=["busy", "down"],
)
def test_a_version_that_was_seldom_asked_fails(
    factory: GovernedFactory, front: ObedientFront, traffic: Traffic, candidate: Version, error: str, told: str
) -> None:
    """Its figures would be those of quiet moments."""
    running(factory, front, candidate)
    traffic.sees(*[("answered", 0.5)] * 10, *[("unsent", None)] * 14, error=error)
    found = over(factory)
    assert (found.state, found.outcome) == (LiveTestState.FAILED, told)


@pytest.mark.parametrize(
    "table",
    ["requests = 0", "hours = 0.0", "max_errors = 1.5", "max_shift = -1.0", "max_late = 0.1", "colour = 1"],
)
def test_a_rule_that_asks_for_nothing_possible_is_refused(factory: GovernedFactory, table: str) -> None:
    """Out of range, unknown, or a live-test that would never end."""
    with pytest.raises(StandardMalformed):
        factory.standards.propose(factory.call("ana"), f'format = 1\nname = "bank"\n[livetest]\n{table}\n', "as it is")
