"""The life of a live-test on both databases: its moves, each on record; what ends it; and the gate that asks for it."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from governed_factory import GovernedFactory, ObedientFront
from muster.access.errors import RightMissing
from muster.archive.reader import Reader
from muster.archive.segments import SegmentWriter, encode
from muster.audit.verify import verify
from muster.gates.records import WaiverState
from muster.livetests.counting import LiveTestCounter, known_after
from muster.livetests.errors import (
    LiveTestMalformed,
    LiveTestNotFound,
    LiveTestOver,
    LiveTestUnderWay,
    LiveTestUnfit,
)
from muster.livetests.moves import COUNTED_WITHIN, LONGEST
from muster.livetests.records import LiveTest
from muster.registry.errors import ReasonMissing, VersionInUse, VersionNotFound
from muster.registry.records import Version
from muster.release.errors import EndpointNotFound
from muster.release.records import Release
from muster.serving.shadow import NO_ANSWER
from muster.sessions.records import MeasuresAsked
from muster.standards.errors import StandardMalformed, StandardNotMet
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.request_ids import RequestIds
from muster.vocabulary.states import LiveTestState, ReleaseState, Role
from muster.wire.records import RECORD_FORMAT, AnsweredLate, Decided, VariantAnswer
from past_requests import floats

STANDARD = 'format = 1\nname = "bank"\n[livetest]\nrequests = 5\nmax_errors = 0.0\nmax_shift = 50.0\n'


@dataclass
class Traffic:
    """Writes the records that a front writes, into a real archive."""

    archive: Path
    clock: FixedClock
    written: int = field(default=0)

    def sees(self, *answers: tuple[str, float | None], error: str = "it raised") -> None:
        """One request for each: what became of the version on trial, and what it answered."""
        writer = SegmentWriter(self.archive / "spool", 0)
        ids = RequestIds(0)
        arrived = int(self.clock.now().timestamp() * 1e6) * 1000
        for status, value in answers:
            self.written += 1
            request = ids.next(writer.segment)
            outputs = None if value is None else (floats("score", value),)
            given = VariantAnswer(
                version="churn:1", role="champion", status="answered", outputs=(floats("score", 0.5),),
                latency_ns=1_000_000,
            )  # fmt: skip
            shadow = VariantAnswer(
                version="churn:2", role=Role.SHADOW, status=status, outputs=outputs, latency_ns=2_000_000,
                error=None if status == "answered" else error,
            )  # fmt: skip
            decided = Decided(
                format=RECORD_FORMAT, request_id=request, client_id=None, idempotency_key=None, consumer="shop",
                project="default", endpoint="churn", release=1, plan="sha256:" + "a" * 64, contract="sha256:" + "c" * 64,
                received_ns=arrived, decided_ns=arrived + 1_000_000, elapsed_ns=1_000_000, deadline_ns=100_000_000, rows=1,
                body_sha256=bytes(32), inputs=(floats("x", 1.0),), answers=(given,), chosen=(0,), reason="champion",
                probability=1.0, forced=False,
            )  # fmt: skip
            late = AnsweredLate(RECORD_FORMAT, request, "churn", arrived + 2_000_000, shadow)
            writer.write([encode(decided), encode(late)])
        writer.close()


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    return GovernedFactory(database, tmp_path, clock)


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


def start(factory: GovernedFactory, version: Version, by: str = "olga", **said: object) -> LiveTest:
    """A live-test of ten requests, unless it is said otherwise."""
    length = said or {"requests": 10}
    return factory.live_tests.start(factory.call(by), "churn", version.name, "is it better?", **length)  # type: ignore[arg-type]


def now(factory: GovernedFactory, number: int = 1) -> LiveTest:
    """A live-test as it stands."""
    return factory.live_tests.live_test(factory.call("vic"), "churn", number)


def running(factory: GovernedFactory, front: ObedientFront, version: Version, **said: object) -> LiveTest:
    """A live-test that every front has loaded."""
    started = start(factory, version, **said)
    front.follow()
    factory.releases.advance()
    found = now(factory, started.number)
    assert found.state is LiveTestState.RUNNING
    return found


def counted(factory: GovernedFactory, after: timedelta = timedelta(0)) -> None:
    """Time passes until everything is known, the executor counts, control looks."""
    factory.clock.at += known_after(100.0) + timedelta(seconds=1) + after
    counter(factory).count()
    factory.releases.advance()


def counter(factory: GovernedFactory) -> LiveTestCounter:
    """The executor's chore."""
    return LiveTestCounter(
        database=factory.database,
        releases=factory.releases,
        reader=Reader(factory.folder / "archive"),
        clock=factory.clock,
    )


def over(factory: GovernedFactory, number: int = 1) -> LiveTest:
    """The live-test after all there is has been counted."""
    for _ in range(3):
        counted(factory)
    return now(factory, number)


def test_a_live_test_goes_its_way(
    factory: GovernedFactory, front: ObedientFront, traffic: Traffic, candidate: Version
) -> None:
    """Queued, loaded by every front, asked as often as it shall, counted, passed: each move an event, its figures measures."""
    started = start(factory, candidate)
    assert started.state is LiveTestState.LOADING
    shadow = factory.plans().shadow
    assert shadow is not None
    assert (shadow.variant.version, shadow.variant.role, shadow.release) == ("churn:2", Role.SHADOW, 1)
    assert factory.plans().serving is not None
    assert [variant.version for variant in factory.plans().serving.variants] == ["churn:1"]  # type: ignore[union-attr]
    front.follow()
    assert now(factory).state is LiveTestState.RUNNING
    traffic.sees(*[("answered", 0.7)] * 8, ("unsent", None))
    counted(factory)
    assert (now(factory).state, now(factory).figures.taken, now(factory).figures.left_out) == (
        LiveTestState.RUNNING, 8, 1,
    )  # fmt: skip
    traffic.sees(*[("answered", 0.7)] * 2)
    counted(factory)
    assert now(factory).state is LiveTestState.COUNTING
    assert factory.plans().shadow is None, "it is asked no more"
    found = over(factory)
    assert (found.state, found.figures.taken) == (LiveTestState.PASSED, 10)
    assert found.figures.disagreement == pytest.approx(0.2)
    assert factory.events("churn live-test 1") == [
        ("olga", "live-test.started"), ("muster", "live-test.loading"), ("muster", "live-test.running"),
        ("muster", "live-test.counting"), ("muster", "live-test.passed"),
    ]  # fmt: skip
    assert found.session is not None
    measures = factory.sessions.measures(
        factory.call("vic"), MeasuresAsked(model="churn", number=2, over="live-test:churn", session=found.session)
    )
    assert {one.measure.name: one.measure.value for one in measures}["live_test_requests"] == 10.0
    assert verify(factory.database, factory.head).valid


def test_what_is_counted_is_counted_once(
    factory: GovernedFactory, front: ObedientFront, traffic: Traffic, candidate: Version
) -> None:
    """However often the executor looks, and whatever it had read when another was quicker."""
    running(factory, front, candidate)
    traffic.sees(*[("answered", 0.5)] * 3)
    factory.clock.at += known_after(100.0) + timedelta(seconds=1)
    slow, quick = counter(factory), counter(factory)
    before = now(factory)
    assert quick.count() == 1
    assert not slow._window(before)
    assert quick.count() == 0
    assert now(factory).figures.taken == 3


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
    assert over(factory, 2).figures.taken == 0


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


def test_one_that_is_stopped_or_takes_too_long_counts_for_nothing(
    factory: GovernedFactory, front: ObedientFront, candidate: Version
) -> None:
    """Whoever stops it gives a reason; after thirty days, or uncounted an hour after its end, it has failed."""
    running(factory, front, candidate)
    stopped = factory.live_tests.stop(factory.call("olga", idempotency_key="k"), "churn", 1, "a holiday")
    assert (stopped.state, stopped.outcome) == (LiveTestState.STOPPED, "stopped by olga: a holiday")
    again = factory.live_tests.stop(factory.call("olga", idempotency_key="k"), "churn", 1, "a holiday")
    assert again == stopped
    with pytest.raises(LiveTestOver):
        factory.live_tests.stop(factory.call("olga"), "churn", 1, "a holiday")
    running(factory, front, candidate, requests=5)
    factory.clock.at += LONGEST + timedelta(seconds=1)
    factory.releases.advance()
    assert now(factory, 2).outcome == "it has not come to its end within 30 days"
    running(factory, front, candidate, hours=0.1)
    factory.clock.at += timedelta(hours=0.2)
    factory.releases.advance()
    factory.clock.at += COUNTED_WITHIN + timedelta(seconds=1)
    factory.releases.advance()
    assert "were not counted" in now(factory, 3).outcome


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


# The gate.


def to_be_champion(factory: GovernedFactory, version: Version) -> Release:
    """A proposed release with another champion."""
    return factory.propose(version)


def test_the_gate_asks_for_a_live_test_of_the_new_champion(
    factory: GovernedFactory, front: ObedientFront, traffic: Traffic, candidate: Version
) -> None:
    """By the standard: without one, or with one that falls short of it, no release goes live; with one that passed, it does."""
    factory.adopt(STANDARD)
    release = to_be_champion(factory, candidate)
    with pytest.raises(StandardNotMet, match="live-test: no live-test of it at endpoint churn has passed"):
        factory.approve(release)
    started = factory.live_tests.start(factory.call("olga"), "churn", candidate.name, "as the standard asks")
    assert (started.requests, started.hours) == (5, None)
    front.follow()
    traffic.sees(*[("answered", 0.6)] * 5)
    assert over(factory).state is LiveTestState.PASSED
    factory.adopt(STANDARD.replace("requests = 5", "requests = 50").replace("bank", "stern"))
    with pytest.raises(StandardNotMet, match="it saw 5 requests, fewer than 50"):
        factory.approve(release)
    factory.adopt(STANDARD)
    assert factory.approve(release).state is ReleaseState.APPROVED


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
    release = to_be_champion(factory, candidate)
    reviews, ends = factory.governance.reviews, factory.clock.now() + timedelta(days=1)
    asked = reviews.ask_waiver(factory.call("ana"), candidate.name, "live-test", ends=ends, reason="it is urgent")
    reviews.decide_waiver(factory.call("petra"), asked.id, WaiverState.GRANTED, "once")
    assert factory.approve(release).state is ReleaseState.APPROVED


@pytest.mark.parametrize(
    "table",
    ["requests = 0", "hours = 0.0", "max_errors = 1.5", "max_shift = -1.0", "max_late = 0.1", "colour = 1"],
)
def test_a_rule_that_asks_for_nothing_possible_is_refused(factory: GovernedFactory, table: str) -> None:
    """Out of range, unknown, or a live-test that would never end."""
    with pytest.raises(StandardMalformed):
        factory.standards.propose(factory.call("ana"), f'format = 1\nname = "bank"\n[livetest]\n{table}\n', "as it is")
