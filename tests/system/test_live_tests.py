"""Live-tests in a real factory: what is on trial sees requests and answers nobody, whatever it does and whoever is killed."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import models
import psutil
import pytest
from load import Outcome, run_load
from running_factory import ROWS, RunningFactory, wait_for

from muster.archive.reader import Reader
from muster.archive.records import Record
from muster.vocabulary.clock import from_rfc3339
from muster.vocabulary.states import LiveTestState
from muster.wire.livetests import LiveTest

_OVER = {LiveTestState.PASSED, LiveTestState.FAILED, LiveTestState.STOPPED}


@pytest.fixture(scope="module")
def champion(factory: RunningFactory, bundles: Callable[..., Path]) -> str:
    """A version that answers x + 1."""
    return factory.accepted(bundles("adds-1", models.Adds(1)))


@pytest.fixture(scope="module")
def candidate(factory: RunningFactory, champion: str, bundles: Callable[..., Path]) -> str:
    """One that answers x + 2."""
    assert champion
    return factory.accepted(bundles("adds-2", models.Adds(2)))


@pytest.fixture(scope="module")
def endpoint(factory: RunningFactory, champion: str) -> str:
    """An endpoint with a generous deadline, as this machine has other things to do."""
    factory.release("trial", champion, deadline="1s")
    return "trial"


@contextmanager
def load(factory: RunningFactory, endpoint: str, rate: float = 60) -> Iterator[Outcome]:
    """Requests beside what the test does; how they went is told when it is over."""
    ended, outcome = threading.Event(), Outcome()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            asyncio.run,
            run_load(
                factory.scoring, factory.tokens["shop"], endpoint, ROWS, connections=4, until=ended.is_set, rate=rate
            ),
        )
        try:
            yield outcome
        finally:
            ended.set()
            found = running.result(60)
            outcome.answers, outcome.errors = found.answers, found.errors


def over(factory: RunningFactory, started: LiveTest) -> LiveTest:
    """The live-test once it has come to its end."""

    def look() -> LiveTest | None:
        found = factory.as_("olga").live_test(started.endpoint, started.number)
        return found if found.state in _OVER else None

    found: LiveTest = wait_for(look, within_s=90, told=f"the end of live-test {started.number}")
    return found


def _is_counted(record: Record, found: LiveTest) -> bool:
    """Whether a request came while every front had the version on trial, and before it was told to stop."""
    assert found.running_at is not None
    assert found.ended_at is not None
    begin, end = (int(from_rfc3339(moment).timestamp() * 1e6) for moment in (found.running_at, found.ended_at))
    return begin <= record.decided.received_ns // 1000 < end


def in_state(factory: RunningFactory, started: LiveTest, state: LiveTestState) -> None:
    """Wait until it is in a state."""
    wait_for(lambda: factory.as_("olga").live_test(started.endpoint, started.number).state is state, told=str(state))


def test_what_is_on_trial_sees_requests_and_answers_nobody(
    factory: RunningFactory, endpoint: str, champion: str, candidate: str
) -> None:
    """It runs at the lowest priority, its answers are recorded in its role, callers see none, and it ends by itself."""
    with load(factory, endpoint) as outcome:
        started = factory.as_("olga").start_live_test(endpoint, candidate, "is it better?", requests=250)
        in_state(factory, started, LiveTestState.RUNNING)
        (pid,) = factory.processes("shadow", endpoint)
        assert psutil.Process(pid).nice() == 19
        assert os.sched_getscheduler(pid) == os.SCHED_IDLE
        found = over(factory, started)
    assert found.state is LiveTestState.PASSED, found.outcome
    assert not outcome.errors
    assert not outcome.failed, outcome.failed[:3]
    assert outcome.share(variant=champion) == 1.0
    figures = found.figures
    assert figures.requests >= 250
    assert (figures.failed, figures.disagreement) == (0, 1.0), "x + 2 is 1 beside x + 1"
    assert figures.differences == {"score": 1.0}
    assert figures.shift is not None
    wait_for(lambda: not factory.processes("shadow"), told="its host is ended")
    records = Reader(factory.home / "archive").last(endpoint, 100_000)
    counted = [record for record in records if _is_counted(record, found)]
    seen = [answer for record in counted for answer in record.answers() if answer.role == "shadow"]
    assert len([answer for answer in seen if answer.status == "answered"]) == figures.answered
    assert {answer.version for answer in seen} == {candidate}
    assert found.session is not None
    assert (factory.as_("ana").session(found.session).result or {})["requests"] == figures.requests
    report = factory.muster("livetest", "report", endpoint, token=factory.tokens["ana"], url=True)
    assert report["broken"] == []
    assert {exhibit["kind"] for exhibit in report["exhibits"]} >= {"histogram", "grid"}


def test_what_misbehaves_on_trial_fails_and_nobody_notices(
    factory: RunningFactory, endpoint: str, champion: str, bundles: Callable[..., Path]
) -> None:
    """A version that sleeps, and ends its process, costs no request, puts nobody on probation, and does not pass."""
    version = factory.accepted(bundles("trial-bad", models.SleepsAndEnds(5.0, 2.0, ROWS[15]["x"])))
    with load(factory, endpoint) as outcome:
        found = over(factory, factory.as_("olga").start_live_test(endpoint, version, "look", requests=12))
    assert found.state is LiveTestState.FAILED
    assert any(why in found.outcome for why in ("errors", "late", "down", "keeps ending")), found.outcome
    assert not outcome.errors
    assert not outcome.failed, outcome.failed[:3]
    assert outcome.share(variant=champion) == 1.0


def test_whoever_is_killed_the_live_test_goes_on(factory: RunningFactory, endpoint: str, candidate: str) -> None:
    """SIGKILL of the shadow, the keeper, the executor, control and the front: it ends by itself all the same, counted once."""
    started = factory.as_("olga").start_live_test(endpoint, candidate, "killed", hours=6 / 3600)
    with load(factory, endpoint):
        in_state(factory, started, LiveTestState.RUNNING)
        factory.kill("shadow", endpoint)
        for kind in ("keeper", "executor", "control", "front"):
            factory.restarted(kind)
            wait_for(lambda: factory.score(endpoint, {"x": 1.0}))
        found = over(factory, started)
    assert any(why in found.outcome for why in ("asked", "errors", "late", "down", "left out")), found.outcome
    records = Reader(factory.home / "archive").last(endpoint, 100_000)
    statuses = [
        event.answer.status
        for record in records
        if _is_counted(record, found)
        for event in record.late
        if event.answer.role == "shadow"
    ]
    figures = found.figures
    assert figures.requests > 100
    assert (statuses.count("answered"), statuses.count("unsent")) == (figures.answered, figures.left_out)
    assert statuses.count("failed") == figures.requests - figures.answered
