"""A live-test on both databases: its moves, each on record, what is counted once, and the gate that asks for it."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from governed_factory import GovernedFactory, ObedientFront
from muster.audit.verify import verify
from muster.livetests.counting import known_after
from muster.livetests.errors import (
    LiveTestOver,
)
from muster.livetests.moves import COUNTED_WITHIN, LONGEST
from muster.registry.records import Version
from muster.release.records import Release, WantedPolicy, WantedSplit, WantedWeighted
from muster.sessions.records import MeasuresAsked
from muster.standards.errors import StandardNotMet
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import LiveTestState, ReleaseState, Role
from tried_versions import Traffic, counted, counter, now, over, running, start

STANDARD = 'format = 1\nname = "bank"\n[livetest]\nrequests = 5\nmax_errors = 0.0\n'


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


def test_counting_ends_though_time_passes_while_it_counts(
    factory: GovernedFactory, front: ObedientFront, traffic: Traffic, candidate: Version
) -> None:
    """What comes while a window is counted is left for the next look: the executor has other chores."""

    class Passing(FixedClock):
        def now(self) -> datetime:
            self.at += timedelta(milliseconds=20)
            return self.at

    running(factory, front, candidate)
    traffic.sees(*[("answered", 0.5)] * 3)
    factory.clock.at += known_after(100.0) + timedelta(seconds=1)
    counting = counter(factory, Passing(factory.clock.at))
    assert counting.count() == 1
    assert now(factory).figures.taken == 3


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


def test_the_gate_asks_for_a_live_test_of_the_new_champion(
    factory: GovernedFactory, front: ObedientFront, traffic: Traffic, candidate: Version
) -> None:
    """By the standard: without one, or with one that falls short of it, no release goes live; with one that passed, it does."""
    factory.adopt(STANDARD)
    release = factory.propose(candidate)
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


def test_the_gate_asks_for_the_newest_live_test_and_for_one_of_this_month(
    factory: GovernedFactory, front: ObedientFront, traffic: Traffic, candidate: Version
) -> None:
    """One that failed after one that passed counts, one that was stopped says nothing, and one of long ago is of another world."""
    factory.adopt(STANDARD)
    release = factory.propose(candidate)

    def tried(number: int, *answers: tuple[str, float | None]) -> LiveTestState:
        running(factory, front, candidate, requests=5)
        traffic.sees(*answers)
        return over(factory, number).state

    assert tried(1, *[("answered", 0.6)] * 5) is LiveTestState.PASSED
    assert tried(2, *[("failed", None)] * 5) is LiveTestState.FAILED
    with pytest.raises(StandardNotMet, match="churn live-test 2 failed: errors: 1 is more than 0"):
        factory.approve(release)
    assert tried(3, *[("answered", 0.6)] * 5) is LiveTestState.PASSED
    running(factory, front, candidate, requests=5)
    factory.live_tests.stop(factory.call("olga"), "churn", 4, "a holiday")
    factory.clock.at += timedelta(days=30)
    with pytest.raises(StandardNotMet, match=r"churn live-test 3: it ended .* and counts for 30 days"):
        factory.approve(release)
    factory.clock.at -= timedelta(days=1)
    assert factory.approve(release).state is ReleaseState.APPROVED


@pytest.mark.parametrize("kind", ["split", "weighted"])
def test_the_gate_asks_for_a_live_test_of_whoever_answers(
    factory: GovernedFactory, front: ObedientFront, traffic: Traffic, candidate: Version, kind: str
) -> None:
    """Not of the champion alone: a challenger with a share or a voice answers callers; one without needs none."""
    factory.adopt(STANDARD)
    champion = factory.registry.version(factory.call("vic"), VersionName.parse("churn:1"))
    policies: dict[str, WantedPolicy] = {
        "split": WantedSplit(field="plan", steps=({champion.name: 1.0}, {candidate.name: 1.0}, {champion.name: 1.0})),
        "weighted": WantedWeighted(weights={champion.name: 0.9, candidate.name: 0.1}, outputs=("score",)),
    }
    release = factory.propose(champion, candidate, policy=policies[kind])
    with pytest.raises(StandardNotMet, match="churn:2: live-test: no live-test of it at endpoint churn has passed"):
        factory.approve(release)
    assert factory.releases.release(factory.call("vic"), "churn", release.number).state is ReleaseState.PROPOSED
    running(factory, front, candidate, requests=5)
    traffic.sees(*[("answered", 0.6)] * 5)
    assert over(factory).state is LiveTestState.PASSED
    assert factory.approve(release).state is ReleaseState.APPROVED


def test_the_gate_asks_nothing_anew_of_a_share_that_does_not_grow(
    factory: GovernedFactory, front: ObedientFront, traffic: Traffic, candidate: Version
) -> None:
    """A part that was approved is kept under a later standard; a larger one takes a live-test, of whatever age as it is served."""
    champion = factory.registry.version(factory.call("vic"), VersionName.parse("churn:1"))

    def split(share: float) -> Release:
        policy = WantedSplit(field="plan", steps=({champion.name: 1 - share, candidate.name: share},))
        return factory.propose(champion, candidate, policy=policy)

    running(factory, front, candidate, requests=5)
    traffic.sees(*[("answered", 0.6)] * 5)
    assert over(factory).state is LiveTestState.PASSED
    factory.approve(split(0.5))
    for _ in range(3):
        front.follow()
    factory.clock.at += timedelta(days=60)
    front.poll()
    factory.adopt(STANDARD.replace("requests = 5", "requests = 6"))
    assert factory.approve(split(0.4)).state is ReleaseState.APPROVED
    for _ in range(3):
        front.follow()
    with pytest.raises(
        StandardNotMet, match=r"churn:2: live-test: churn live-test 1: it saw 5 requests, fewer than 6$"
    ):
        factory.approve(split(0.6))
    factory.adopt(STANDARD)
    assert factory.approve(factory.propose(candidate)).state is ReleaseState.APPROVED
