"""What can go wrong around the models: control, the store, the disk, the clock, too much load, kills at random.

Every test is a row of the table in docs/reliability.md.
"""

import asyncio
import os
import random
import resource
import shutil
import signal
import struct
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import models
import psutil
import pytest
from load import Answer, Outcome, run_load
from running_factory import ROWS, RunningFactory, wait_for

from muster.archive.reader import Reader

KILLS = int(os.environ.get("SOAK_KILLS", "4"))
#: Put first on the path of every Muster process of the factory: their wall clock is off by what stands in a file.
_STEPPED = """
    import mmap, os, struct, time
    _now, _now_ns = time.time, time.time_ns
    _file = open(os.environ["STEPPED_CLOCK"], "rb")
    _step = mmap.mmap(_file.fileno(), 8, access=mmap.ACCESS_READ)
    time.time = lambda: _now() + struct.unpack("<d", _step[:8])[0]
    time.time_ns = lambda: _now_ns() + int(struct.unpack("<d", _step[:8])[0] * 1e9)
"""


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that steps the clock of a process that has it on its path."""
    folder = tmp_path_factory.mktemp("clock")
    (folder / "sitecustomize.py").write_text(textwrap.dedent(_STEPPED))
    (folder / "step").write_bytes(struct.pack("<d", 0.0))
    return folder


def step_to(clock: Path, step_s: float) -> None:
    """Let the wall clock be that far off from now on; the file is mapped, so it must never be cut."""
    with (clock / "step").open("r+b") as step:
        step.write(struct.pack("<d", step_s))


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory, clock: Path) -> Iterator[RunningFactory]:
    """A running factory whose wall clock can be stepped."""
    path = [str(clock), *filter(None, [os.environ.get("PYTHONPATH")])]
    started = RunningFactory(
        tmp_path_factory.mktemp("factory") / "home",
        environment={"PYTHONPATH": os.pathsep.join(path), "STEPPED_CLOCK": str(clock / "step")},
    )
    yield started
    started.close()


@pytest.fixture(scope="module")
def endpoint(factory: RunningFactory, adds: list[str]) -> str:
    """Endpoint `plus`: champion adds:1, canary adds:3, a generous deadline."""
    factory.release("plus", adds[0], canaries=[adds[2]], deadline="2s", patience="1500ms")
    return "plus"


def under_load(
    factory: RunningFactory, endpoint: str, deed: Callable[[], None], *, rate: float | None = 100, connections: int = 6
) -> Outcome:
    """A load that runs while something is done."""
    with ThreadPoolExecutor(1) as beside:
        done = beside.submit(deed)
        outcome = asyncio.run(
            run_load(
                factory.scoring, factory.tokens["shop"], endpoint, ROWS,
                connections=connections, until=done.done, rate=rate,
            )
        )  # fmt: skip
        done.result()  # what went wrong in the deed is the test's to know
    return outcome


def unrecorded(factory: RunningFactory, endpoint: str, outcome: Outcome) -> set[str]:
    """Answers that were given and are not on record."""
    found = {record.request_id for record in Reader(factory.home / "archive").last(endpoint, 1_000_000)}
    return set(outcome.request_ids()) - found


def is_fine(factory: RunningFactory, endpoint: str) -> bool:
    """Whether the champion answers."""
    return bool(factory.score(endpoint, {"x": 1.0}).reasons == ["champion"])


def test_control_may_be_away(factory: RunningFactory, endpoint: str) -> None:
    """Stopped, not only ended, for seconds: no request notices; a token revoked meanwhile is refused after the return."""
    token = factory.admin.add_user("leaving", "consumer").token
    mine = {"authorization": f"Bearer {token}"}

    def status() -> int:
        body = {"rows": ROWS[:1]}
        return httpx.post(f"{factory.scoring}/score/{endpoint}", json=body, headers=mine).status_code

    wait_for(lambda: status() == 200)
    (control,) = factory.processes("control")

    def away() -> None:
        os.kill(control, signal.SIGSTOP)
        time.sleep(4)

    try:
        outcome = under_load(factory, endpoint, away)
        assert status() == 200
        with ThreadPoolExecutor(1) as beside:
            revoking = beside.submit(factory.admin.revoke_token, "leaving")
            os.kill(control, signal.SIGCONT)
            revoking.result(30)
    finally:
        os.kill(control, signal.SIGCONT)
    wait_for(lambda: status() == 401, within_s=10, told="the token is refused")
    assert outcome.answers
    assert not outcome.errors
    assert not outcome.failed
    assert not unrecorded(factory, endpoint, outcome)


def test_the_store_may_be_away(factory: RunningFactory, endpoint: str, adds: list[str]) -> None:
    """Without its store a factory scores on, and a killed host comes back from what lies on the machine."""
    store, hidden = factory.home / "store", factory.home / "store-away"

    def away() -> None:
        factory.restarted("host", f"{endpoint}/{adds[0]}")
        wait_for(lambda: is_fine(factory, endpoint))
        time.sleep(0.5)

    store.rename(hidden)
    try:
        outcome = under_load(factory, endpoint, away)
    finally:
        shutil.rmtree(store, ignore_errors=True)
        hidden.rename(store)
    assert outcome.answers
    assert not outcome.errors
    assert not outcome.failed
    assert not unrecorded(factory, endpoint, outcome)


def test_a_full_disk_refuses_and_nothing_unrecorded_is_answered(factory: RunningFactory, endpoint: str) -> None:
    """No byte more for the front's files: 503 with an error, until there is space again; hosts and front live on."""
    (front,) = factory.processes("front")
    process = psutil.Process(front)
    soft, hard = process.rlimit(psutil.RLIMIT_FSIZE)
    hosts = set(factory.processes("host"))
    answered = factory.score(endpoint, {"x": 1.0})

    def full() -> None:
        process.rlimit(psutil.RLIMIT_FSIZE, (1, hard))
        time.sleep(1.5)
        process.rlimit(psutil.RLIMIT_FSIZE, (soft, hard))
        wait_for(lambda: is_fine(factory, endpoint), told="it answers again")
        time.sleep(0.3)

    try:
        outcome = under_load(factory, endpoint, full)
    finally:
        process.rlimit(psutil.RLIMIT_FSIZE, (soft, hard))
    assert not outcome.errors
    assert {answer.status for answer in outcome.answers} == {200, 503}
    assert all(list(answer.body) == ["error"] for answer in outcome.failed)
    assert not unrecorded(factory, endpoint, outcome)
    assert factory.processes("front") == [front]
    assert set(factory.processes("host")) == hosts
    assert factory.as_("olga").request(answered.request_id).request_id == answered.request_id


@pytest.mark.parametrize("step_s", [-7200.0, 7200.0], ids=["back", "forth"])
def test_a_stepped_clock_delays_and_loses_nothing(
    factory: RunningFactory, endpoint: str, clock: Path, step_s: float
) -> None:
    """Two hours back or forth under load: deadlines hold, every answer is on record and found by its id."""

    def stepped() -> None:
        time.sleep(0.7)
        step_to(clock, step_s)
        time.sleep(1.5)
        step_to(clock, 0.0)
        time.sleep(0.7)

    outcome = under_load(factory, endpoint, stepped)
    assert outcome.answers
    assert not outcome.errors
    assert not outcome.failed
    assert outcome.share(reason="champion") == 1.0
    assert not unrecorded(factory, endpoint, outcome)
    olga = factory.as_("olga")
    ids = outcome.request_ids()
    for request_id in (ids[0], ids[len(ids) // 2], ids[-1]):
        assert olga.request(request_id).request_id == request_id


def test_kills_at_random_lose_no_record(factory: RunningFactory, endpoint: str, adds: list[str]) -> None:
    """Hosts, parents, fronts, keeper, control, in any order: what was answered is on record, and all of it comes back."""
    chance = random.Random(KILLS)
    kinds = [("host", f"{endpoint}/{adds[0]}"), ("host", f"{endpoint}/{adds[2]}"), ("parent", ""), ("front", ""),
             ("keeper", ""), ("control", "")]  # fmt: skip

    def killing() -> None:
        for _ in range(KILLS):
            kind, of = chance.choice(kinds)
            if kind != "parent":
                factory.restarted(kind, of)
            elif factory.processes(kind):  # another comes when a host is to be forked, and not before
                factory.kill(kind)
            wait_for(lambda: factory.score(endpoint, {"x": 1.0}), within_s=60)
        wait_for(lambda: is_fine(factory, endpoint), within_s=60)

    outcome = under_load(factory, endpoint, killing, rate=200)
    assert outcome.answers
    assert not [answer for answer in outcome.failed if answer.status not in {503, 504}]
    assert not unrecorded(factory, endpoint, outcome)
    wait_for(factory.admin.health)
    assert factory.admin.audit_verify().valid


def test_a_storm_is_answered_up_to_capacity_and_refused_beyond_it(
    factory: RunningFactory, bundles: Callable[..., Path]
) -> None:
    """Half as much again as the model can do: most of what it answers at capacity, the rest told when to come back."""
    works = factory.accepted(bundles("works", models.Works(1, work_s=0.01)))  # 100 rows a second
    factory.release("stormy", works, deadline="400ms")
    (front,) = factory.processes("front")

    def answered(seconds: float, connections: int, rate: float | None) -> tuple[float, list[Answer]]:
        """Answers a second, and what was refused."""
        begun = time.monotonic()
        outcome = asyncio.run(
            run_load(
                factory.scoring, factory.tokens["shop"], "stormy", ROWS,
                connections=connections, until=lambda: time.monotonic() > begun + seconds, rate=rate,
            )
        )  # fmt: skip
        assert not outcome.errors
        in_time = [a for a in outcome.answers if a.status == 200 and a.sent_at + a.took_s < begun + seconds]
        return len(in_time) / seconds, outcome.failed

    # Always busy, and never more under way than the deadline has room for.
    capacity, failed = answered(3, connections=8, rate=None)
    assert not failed
    before = psutil.Process(front).memory_info().rss
    stormy, refused = answered(6, connections=150, rate=150)
    assert stormy >= 0.6 * capacity, f"{stormy} answers a second in the storm, {capacity} at capacity"
    assert refused
    late = [answer for answer in refused if answer.status == 504]  # let in, and then the machine had other things to do
    assert {answer.status for answer in refused} <= {429, 503, 504}, refused[0].body
    assert len(late) <= len(refused) / 4, len(late)
    assert all(list(answer.body) == ["error"] for answer in refused)
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused if answer not in late)
    assert psutil.Process(front).memory_info().rss - before < 50 << 20


def test_a_front_may_have_as_many_connections_as_the_system_allows(factory: RunningFactory) -> None:
    """The soft limit on open files, which shells set low, is not the front's."""
    (front,) = factory.processes("front")
    soft, hard = psutil.Process(front).rlimit(psutil.RLIMIT_NOFILE)
    assert soft == hard == resource.getrlimit(resource.RLIMIT_NOFILE)[1]
