"""Go-live asks that what answers last is known to do so within a quarter of the deadline."""

import gc
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from governed_factory import GovernedFactory
from known_figures import add_certificate
from muster.release.errors import DefaultTooSlow, LastResortTooSlow, LastResortUnmeasured
from muster.release.last_resort import default_latency
from muster.release.records import Release, WantedWeighted
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.states import ReleaseState
from muster.wire.plans import RequestLimits

SCORE = {"score": 0.5}


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    return GovernedFactory(database, tmp_path, clock)


def now(factory: GovernedFactory, release: Release) -> Release:
    return factory.releases.release(factory.call("vic"), release.endpoint, release.number)


def evidence(factory: GovernedFactory) -> dict[str, object]:
    """What the newest approval was based on."""
    with factory.database.read() as tx:
        entries = [entry for entry in factory.journal.entries(tx, 0, 1000) if entry.action == "release.approved"]
    found = json.loads(entries[-1].details)["last_resort"]
    assert isinstance(found, dict)
    return found


def test_a_lone_champion_that_is_too_slow_is_not_approved(factory: GovernedFactory) -> None:
    """The error has the figures and what would help; the proposal said so before, and stays as it is."""
    proposed = factory.propose(factory.accepted(p999_ms=25.0))
    (warning,) = proposed.warnings
    assert "churn:1 is the last resort of the release and too slow" in warning
    assert now(factory, proposed).warnings == proposed.warnings
    with pytest.raises(
        LastResortTooSlow, match=r"p99.9 25.00 ms .* p99.9 < 25 ms, a quarter of the deadline"
    ) as refused:
        factory.approve(proposed)
    assert refused.value.facts["p99.9_ms"] == 25.0
    assert refused.value.facts["limit_ms"] == 25.0
    assert "--default" in refused.value.advice
    assert "muster certify" in refused.value.advice
    assert now(factory, proposed).state is ReleaseState.PROPOSED
    assert factory.events("churn release 1") == [("ana", "release.proposed")]


def test_what_just_holds_is_approved_with_its_evidence(factory: GovernedFactory) -> None:
    """The figures and the certificate they come from are in the event of the gate."""
    proposed = factory.propose(factory.accepted(p999_ms=24.9))
    assert proposed.warnings == ()
    factory.approve(proposed)
    found = evidence(factory)
    assert (found["of"], found["limit_ms"], found["p99.9_ms"], found["calls"]) == ("churn:1", 25.0, 24.9, 2000)
    assert "certificate of session s-" in str(found["evidence"])


def test_a_slow_champion_may_have_a_fast_stand_in(factory: GovernedFactory) -> None:
    """The last of the order counts, whatever the policy; a challenger that is not in it does not."""
    slow, fast = factory.accepted(p999_ms=80.0), factory.accepted(p999_ms=2.0)
    challenged = factory.propose(slow, fast)
    with pytest.raises(LastResortTooSlow, match="churn:1"):
        factory.approve(challenged)
    mean = WantedWeighted(weights={slow.name: 1.0, fast.name: 1.0}, outputs=("score",))
    assert factory.propose(slow, fast, order=(slow.name, fast.name), policy=mean).warnings == ()
    turned = factory.propose(fast, slow, order=(fast.name, slow.name))
    assert "churn:1" in turned.warnings[0]
    stood_in = factory.propose(slow, fast, order=(slow.name, fast.name))
    assert factory.approve(stood_in).state is ReleaseState.APPROVED
    assert evidence(factory)["of"] == "churn:2"


def test_a_longer_deadline_or_a_default_answer_helps(factory: GovernedFactory) -> None:
    """As the error advises; the default answer is measured here and now."""
    slow = factory.accepted(p999_ms=80.0)
    assert factory.propose(slow, deadline=timedelta(milliseconds=321)).warnings == ()
    defaulted = factory.propose(slow, default=SCORE, deadline=timedelta(seconds=10))
    assert defaulted.warnings == ()
    factory.approve(defaulted)
    found = evidence(factory)
    assert found["of"] == "the default answer"
    assert found["evidence"] == "measured by control for 1000 rows"
    assert 0 < float(str(found["p99.9_ms"])) < 2500


def test_a_default_answer_that_takes_too_long_is_none(factory: GovernedFactory) -> None:
    """For the largest request that is allowed, it has to be written in time, too."""
    limits = RequestLimits(rows=500_000)
    proposed = factory.propose(factory.accepted(), default=SCORE, deadline=timedelta(milliseconds=4), limits=limits)
    assert "the default answer is the last resort of the release and too slow" in proposed.warnings[0]
    with pytest.raises(DefaultTooSlow, match="measured by control for 500000 rows") as refused:
        factory.approve(proposed)
    assert proposed.warnings[0].endswith(refused.value.advice)
    assert "--deadline" in refused.value.advice
    assert "--default" not in refused.value.advice, "it has one"
    assert "certify" not in refused.value.advice, "that measures versions"


@contextmanager
def collections_without_end() -> Iterator[None]:
    """Somebody else in this process has the collector run, again and again."""
    over = threading.Event()

    def collect() -> None:
        while not over.wait(0.02):
            gc.collect()

    collecting = threading.Thread(target=collect)
    collecting.start()
    try:
        yield
    finally:
        over.set()
        collecting.join()


def test_what_control_holds_does_not_make_a_default_answer_slow(factory: GovernedFactory) -> None:
    """A full collection of a heap takes longer than the answer may; it is measured as fronts are, which spare their heap."""
    # So many rows that several collections fall into each round.
    plan = factory.propose(factory.accepted(), default=SCORE, limits=RequestLimits(rows=4000)).plan
    heap: list[list[dict[str, int]]] = [[{}] for _ in range(700_000)]
    begun = time.perf_counter()
    gc.collect()
    collection_ms = (time.perf_counter() - begun) * 1000
    before = gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()
    with collections_without_end():
        latency = default_latency(plan)
    assert latency.p999_ms < collection_ms / 3
    assert (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()) == before
    assert len(heap) == 700_000


def test_what_a_process_spares_the_collector_stays_spared(factory: GovernedFactory) -> None:
    """Measuring lets go of no more than what it has put aside itself."""
    plan = factory.propose(factory.accepted(), default=SCORE, limits=RequestLimits(rows=100)).plan
    gc.freeze()
    try:
        before = gc.get_freeze_count()
        default_latency(plan)
        # What was put aside and is no longer needed is gone; whatever is left is aside still.
        assert gc.get_freeze_count() > before / 2
    finally:
        gc.unfreeze()


def test_the_best_of_three_rounds_counts_for_large_answers_too(factory: GovernedFactory) -> None:
    """Two thousand calls take a second and more; there is time for all rounds."""
    limits = RequestLimits(rows=20_000)
    plan = factory.propose(factory.accepted(), default=SCORE, deadline=timedelta(seconds=10), limits=limits).plan
    latency = default_latency(plan)
    assert latency.calls < 2000, "else it tells nothing"
    assert latency.rounds == 3


def test_a_version_that_was_never_measured_has_to_be(factory: GovernedFactory) -> None:
    """Certificates of an earlier Muster tell no such figure; another certification does, and the newest counts."""
    version = factory.accepted(p999_ms=None)
    proposed = factory.propose(version)
    with pytest.raises(LastResortUnmeasured, match="its certificate tells no p99") as refused:
        factory.approve(proposed)
    assert "muster certify" in refused.value.advice
    factory.clock.at += timedelta(hours=1)
    with factory.database.write() as tx:
        add_certificate(tx, version, factory.clock, 100.0)
    with pytest.raises(LastResortTooSlow):
        factory.approve(proposed)
    factory.clock.at += timedelta(hours=1)
    with factory.database.write() as tx:
        add_certificate(tx, version, factory.clock, 10.0)
    assert factory.approve(proposed).state is ReleaseState.APPROVED
