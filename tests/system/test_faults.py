"""Kills and swaps under load: nothing that was answered is lost, nothing fails that need not."""

import asyncio
import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import SAMPLE, RunningFactory, wait_for
from load import Outcome, run_load

from muster.archive.reader import Reader

ROWS = SAMPLE.to_dict("records")


class Load:
    """A load that runs beside what the test does."""

    def __init__(self, factory: RunningFactory, endpoint: str, *, connections: int = 8, rate: float | None = 300) -> None:
        self._ended = threading.Event()
        self._outcome = ThreadPoolExecutor(1).submit(
            asyncio.run,
            run_load(
                factory.scoring, factory.tokens["shop"], endpoint, ROWS,
                connections=connections, until=self._ended.is_set, rate=rate,
            ),
        )  # fmt: skip
        time.sleep(0.5)

    def end(self) -> Outcome:
        time.sleep(0.3)
        self._ended.set()
        return self._outcome.result(60)


@pytest.fixture(scope="module")
def endpoint(factory: RunningFactory, adds: list[str]) -> str:
    """Endpoint `plus`: champion adds:1, canary adds:3, a generous deadline."""
    factory.release("plus", adds[0], challengers=[adds[1]], canaries=[adds[2]], deadline="2s", patience="1500ms")
    return "plus"


def unrecorded(factory: RunningFactory, outcome: Outcome) -> list[str]:
    """Answered requests that the archive does not hold, or holds with another answer."""
    reader = Reader(factory.home / "archive")
    lost = []
    for answer in outcome.answers:
        if answer.status != 200:
            continue
        record = reader.find(answer.body["request_id"])
        if record is None or record.decided.reason != answer.body["answers"][0]["reason"]:
            lost.append(answer.body["request_id"])
    return lost


KILLS = int(os.environ.get("SOAK_KILLS", "3"))
SWAPS = int(os.environ.get("SOAK_SWAPS", "6"))


def test_a_killed_host_costs_no_request(factory, endpoint, adds):
    """SIGKILL of a host under load: zero failed requests, every answer on record."""
    load = Load(factory, endpoint)
    for number in range(KILLS):
        victim = f"plus/{adds[number % 3]}"
        dead = factory.kill("host", victim)
        wait_for(lambda dead=dead, victim=victim: dead not in factory.processes("host", victim) and factory.processes("host", victim))
    outcome = load.end()
    assert outcome.answers
    assert not outcome.errors
    assert not outcome.failed, outcome.failed[:3]
    assert not unrecorded(factory, outcome)


def test_a_killed_front_loses_no_record_and_no_host(factory, endpoint):
    """SIGKILL of the front: connections end, hosts stay, whatever was answered is on record."""
    hosts = set(factory.processes("host"))
    load = Load(factory, endpoint)
    for _ in range(KILLS):
        dead = factory.kill("front")
        wait_for(lambda dead=dead: dead not in factory.processes("front") and factory.processes("front"))
        wait_for(lambda: factory.score(endpoint, {"x": 1.0}))
    outcome = load.end()
    assert not [answer for answer in outcome.failed if answer.status != 503]
    assert not unrecorded(factory, outcome)
    assert set(factory.processes("host")) == hosts


def test_a_killed_keeper_brings_its_hosts_back(factory, endpoint):
    """SIGKILL of the keeper ends the hosts; it comes back, and so do they; whatever was answered is on record."""
    hosts = set(factory.processes("host"))
    load = Load(factory, endpoint, rate=100)
    dead = factory.kill("keeper")
    wait_for(lambda: dead not in factory.processes("keeper") and len(factory.processes("host")) == len(hosts))
    wait_for(lambda: factory.score(endpoint, {"x": 1.0}).reasons == ["champion"])
    outcome = load.end()
    assert not unrecorded(factory, outcome)
    for pid in hosts:
        wait_for(lambda pid=pid: not _alive(pid), told=f"host {pid} has ended with its keeper")


def test_a_killed_control_is_not_noticed_by_callers(factory, endpoint):
    """SIGKILL of control: scoring goes on; control comes back and knows everything."""
    load = Load(factory, endpoint)
    for _ in range(KILLS):
        dead = factory.kill("control")
        wait_for(lambda dead=dead: dead not in factory.processes("control") and factory.processes("control"))
    wait_for(lambda: factory.admin.health())
    outcome = load.end()
    assert not outcome.errors
    assert not outcome.failed
    assert not unrecorded(factory, outcome)
    assert factory.admin.audit_verify().valid


def test_swaps_and_roll_backs_under_load_fail_no_request(factory, endpoint, adds):
    """Every answer is from exactly one release, and none fails."""
    load = Load(factory, endpoint, rate=200)
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
    reader = Reader(factory.home / "archive")
    releases = {release.release: release for release in factory.admin.releases(endpoint).releases}
    for answer in random.Random(1).sample(outcome.answers, min(200, len(outcome.answers))):
        record = reader.find(answer.body["request_id"])
        assert record is not None
        assert record.decided.release == answer.body["release"]
        planned = {variant.version for variant in releases[answer.body["release"]].plan.variants}
        assert {given.version for given in record.decided.answers} == planned
    assert not unrecorded(factory, outcome)


def test_the_factory_stops_cleanly_and_starts_with_what_it_had(factory, endpoint):
    """SIGTERM drains: no failed request before the end; afterwards everything is there again."""
    before = factory.admin.audit_verify()
    answered = factory.score(endpoint, {"x": 3.0})
    pids = [entry["pid"] for entry in factory.muster("ps", "--home", str(factory.home))]
    factory.stop()
    assert factory.process.returncode == 0
    assert not [pid for pid in pids if _alive(pid)]
    factory.up()
    wait_for(lambda: factory.score(endpoint, {"x": 3.0}).reasons == ["champion"])
    assert factory.admin.audit_verify().events >= before.events
    assert factory.as_("olga").request(answered.request_id).request_id == answered.request_id


def test_a_killed_supervisor_leaves_nothing_running(factory, endpoint):
    """SIGKILL of `muster up` itself: every process ends, and the factory can be started again."""
    pids = [entry["pid"] for entry in factory.muster("ps", "--home", str(factory.home))]
    os.kill(factory.process.pid, signal.SIGKILL)
    factory.process.wait()
    wait_for(lambda: not [pid for pid in pids if _alive(pid)], told="all have ended")
    factory.up()
    wait_for(lambda: factory.score(endpoint, {"x": 3.0}).reasons == ["champion"])


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as status:
        return status.read().rsplit(")", 1)[1].split()[0] != "Z"
