"""Kills and swaps under load: nothing that was answered is lost, nothing fails that need not."""

import asyncio
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import pytest
from load import Outcome, run_load
from running_factory import ROWS, RunningFactory, wait_for

from muster.archive.reader import Reader
from muster.bootstrap.home import open_home
from muster.wire.plans import ServingPlan


class Load:
    """A load that runs beside what the test does."""

    def __init__(
        self, factory: RunningFactory, endpoint: str, *, connections: int = 8, rate: float | None = 300
    ) -> None:
        self._ended = threading.Event()
        self._outcome = ThreadPoolExecutor(1).submit(
            asyncio.run,
            run_load(
                factory.scoring, factory.tokens["shop"], endpoint, ROWS,
                connections=connections, until=self._ended.is_set, rate=rate,
            ),
        )  # fmt: skip
        time.sleep(0.5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def end(self) -> Outcome:
        time.sleep(0.3)
        self._ended.set()
        return self._outcome.result(60)


@pytest.fixture(scope="module")
def endpoint(factory: RunningFactory, adds: list[str]) -> str:
    """Endpoint `plus`: champion adds:1, canary adds:3, a generous deadline."""
    factory.release("plus", adds[0], challengers=[adds[1]], canaries=[adds[2]], deadline="2s", patience="1500ms")
    return "plus"


def unrecorded(factory: RunningFactory, endpoint: str, outcome: Outcome) -> list[str]:
    """Answered requests that the archive does not hold, or holds with another answer."""
    answered = [answer for answer in outcome.answers if answer.status == 200]
    records = Reader(factory.home / "archive").last(endpoint, 1_000_000)
    reasons = {record.request_id: record.decided.reason for record in records}
    return [
        answer.body["request_id"]
        for answer in answered
        if reasons.get(answer.body["request_id"]) != answer.body["answers"][0]["reason"]
    ]


KILLS = int(os.environ.get("SOAK_KILLS", "3"))
SWAPS = int(os.environ.get("SOAK_SWAPS", "6"))


def test_a_killed_host_costs_no_request(factory: RunningFactory, endpoint: str, adds: list[str]) -> None:
    """SIGKILL of a host under load: zero failed requests, every answer on record."""
    with Load(factory, endpoint) as load:
        for number in range(KILLS):
            factory.restarted("host", f"plus/{adds[number % 3]}")
        outcome = load.end()
    assert outcome.answers
    assert not outcome.errors
    assert not outcome.failed, outcome.failed[:3]
    assert not unrecorded(factory, endpoint, outcome)


def test_a_killed_spare_is_followed_by_another_that_takes_over(
    factory: RunningFactory, endpoint: str, adds: list[str]
) -> None:
    """However often spares are killed, another is prepared; when the host is killed, it is the one that goes on."""
    of = f"plus/{adds[0]}"
    killed: set[int] = set()

    def living() -> list[int]:
        return [pid for pid in factory.processes("spare", of) if pid not in killed]

    for _ in range(3):
        killed.add(factory.kill("spare", of))
        (spare,) = wait_for(living, told="another spare")
    host = factory.kill("host", of)
    wait_for(lambda: factory.processes("host", of) not in ([], [host]), told="the next host")
    assert factory.processes("host", of) == [spare]
    assert factory.score(endpoint, {"x": 1.0}).answers


def test_a_killed_front_loses_no_record_and_no_host(factory: RunningFactory, endpoint: str) -> None:
    """SIGKILL of the front: connections end, hosts stay, whatever was answered is on record."""
    hosts = set(factory.processes("host"))
    with Load(factory, endpoint) as load:
        for _ in range(KILLS):
            factory.restarted("front")
            wait_for(lambda: factory.score(endpoint, {"x": 1.0}))
        outcome = load.end()
    assert not [answer for answer in outcome.failed if answer.status != 503]
    assert not unrecorded(factory, endpoint, outcome)
    assert set(factory.processes("host")) == hosts


def test_a_killed_keeper_brings_its_hosts_back(factory: RunningFactory, endpoint: str) -> None:
    """SIGKILL of the keeper ends the hosts; it comes back, and so do they; whatever was answered is on record."""
    hosts = set(factory.processes("host"))
    with Load(factory, endpoint, rate=100) as load:
        dead = factory.kill("keeper")
        wait_for(lambda: dead not in factory.processes("keeper") and len(factory.processes("host")) == len(hosts))
        wait_for(lambda: factory.score(endpoint, {"x": 1.0}).reasons == ["champion"])
        outcome = load.end()
    assert not unrecorded(factory, endpoint, outcome)
    wait_for(lambda: not any(map(_alive, hosts)), told="the hosts have ended with their keeper")


def test_a_killed_control_is_not_noticed_by_callers(factory: RunningFactory, endpoint: str) -> None:
    """SIGKILL of control: scoring goes on; control comes back and knows everything."""
    with Load(factory, endpoint) as load:
        for _ in range(KILLS):
            factory.restarted("control")
        wait_for(factory.admin.health)
        outcome = load.end()
    assert not outcome.errors
    assert not outcome.failed
    assert not unrecorded(factory, endpoint, outcome)
    assert factory.admin.audit_verify().valid


def test_swaps_and_roll_backs_under_load_fail_no_request(
    factory: RunningFactory, endpoint: str, adds: list[str]
) -> None:
    """Every answer is from exactly one release, and none fails."""
    with Load(factory, endpoint, rate=200) as load:
        olga = factory.as_("olga")
        for number in range(SWAPS):
            if number % 3 == 2:
                rolled = olga.rollback(endpoint, "for a test")
                assert rolled.effective_ms < 10_000
            else:
                factory.release(endpoint, adds[number % 2], canaries=[adds[2]], deadline="2s", patience="1500ms")
        outcome = load.end()
    assert not outcome.errors
    assert not outcome.failed, outcome.failed[:3]
    records = {
        record.request_id: record.decided for record in Reader(factory.home / "archive").last(endpoint, 1_000_000)
    }
    planned = {
        number: {variant.version for variant in _plan(factory, endpoint, number).variants}
        for number in {answer.body["release"] for answer in outcome.answers}
    }
    for answer in outcome.answers:
        decided = records[answer.body["request_id"]]
        assert decided.release == answer.body["release"]
        assert {given.version for given in decided.answers} == planned[answer.body["release"]]
    assert not unrecorded(factory, endpoint, outcome)


def test_the_factory_stops_cleanly_and_starts_with_what_it_had(factory: RunningFactory, endpoint: str) -> None:
    """SIGTERM drains: no failed request before the end; afterwards everything is there again."""
    before = factory.admin.audit_verify()
    answered = factory.score(endpoint, {"x": 3.0})
    pids = [entry["pid"] for entry in factory.muster("ps", "--home", str(factory.home))]
    assert open_home(factory.home).sockets.is_dir()
    factory.stop()
    assert factory.process.returncode == 0
    assert not [pid for pid in pids if _alive(pid)]
    assert not open_home(factory.home).sockets.exists()
    factory.up()
    wait_for(lambda: factory.score(endpoint, {"x": 3.0}).reasons == ["champion"])
    assert factory.admin.audit_verify().events >= before.events
    assert factory.as_("olga").request(answered.request_id).request_id == answered.request_id


def test_a_killed_supervisor_leaves_nothing_running(factory: RunningFactory, endpoint: str) -> None:
    """SIGKILL of `muster up` itself: every process ends, and the factory can be started again."""
    pids = [entry["pid"] for entry in factory.muster("ps", "--home", str(factory.home))]
    os.kill(factory.process.pid, signal.SIGKILL)
    factory.process.wait()
    factory.stop()
    wait_for(lambda: not [pid for pid in pids if _alive(pid)], told="all have ended")
    factory.up()
    wait_for(lambda: factory.score(endpoint, {"x": 3.0}).reasons == ["champion"])


def _plan(factory: RunningFactory, endpoint: str, number: int) -> ServingPlan:
    plan = factory.admin.release(endpoint, number).plan
    assert plan is not None
    return plan


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
