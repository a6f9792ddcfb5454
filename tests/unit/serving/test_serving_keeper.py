"""How long the keeper waits before it starts a host again, and how it keeps a spare ready."""

import asyncio
import socket
import subprocess
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from muster.runtimes.channel import Hello
from muster.serving.workers import keeper
from muster.serving.workers.keeper import Keeper, _Kept, _pause_after, _pause_before_spare
from muster.serving.workers.proven import ProvenHost
from muster.serving.workers.readiness import Preparer
from muster.serving.workers.roster import HostStanding, WantedHost


def test_a_kill_costs_nothing_and_a_host_that_keeps_ending_waits_longer_and_longer() -> None:
    """Ten ends a minute are answered at once; then pauses double, up to ten seconds."""
    ends: deque[float] = deque()
    pauses = [_pause_after(ends) for _ in range(25)]
    assert pauses[:10] == [0.0] * 10
    assert pauses[10:14] == [0.2, 0.4, 0.8, 1.6]
    assert max(pauses) == pauses[-1] == 10.0


def test_ends_of_long_ago_are_forgotten() -> None:
    """A host that ran for more than a minute is as good as new."""
    ends: deque[float] = deque([-1000.0] * 30)
    assert _pause_after(ends) == 0.0
    assert len(ends) == 1


def test_spares_are_made_more_and_more_seldom() -> None:
    """Pauses double, up to a quarter of a minute; tries of more than a minute ago count no more."""
    tries: deque[float] = deque([-1000.0] * 30)
    assert [_pause_before_spare(tries) for _ in range(9)] == [0.3, 0.6, 1.2, 2.4, 4.8, 9.6, 15.0, 15.0, 15.0]


def _sleeping(holding: socket.socket) -> subprocess.Popen[bytes]:
    """A process that does nothing but hold one end of a connection."""
    return subprocess.Popen(["sleep", "1000"], pass_fds=[holding.fileno()])


class SleepingSpares(Keeper):
    """A keeper whose hosts are processes that sleep; bringing one up fails as often as told.

    Args:
        folder: for their sockets.
        fails: how many of the first tries fail.
    """

    def __init__(self, folder: Path, fails: int) -> None:
        nothing = cast("Preparer", None)
        super().__init__(
            socket=folder / "k.sock", sockets=folder, logs=folder, preparer=nothing, memory_bytes=0, told=lambda _: None
        )
        self.fails = fails
        self.made: list[subprocess.Popen[bytes]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def _bring_up(self, wanted: WantedHost) -> ProvenHost:
        await self.gate.wait()
        if self.fails:
            self.fails -= 1
            raise OSError("no process is to be had")
        ours, theirs = socket.socketpair()
        self.made.append(_sleeping(theirs))
        theirs.close()
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        process = psutil.Process(self.made[-1].pid)
        return ProvenHost(
            id=f"h{len(self.made)}", socket=self._sockets / "no.sock", process=process, environment="e",
            hello=cast("Hello", None), reader=reader, writer=writer,
        )  # fmt: skip


@asynccontextmanager
async def kept_with_a_spare(folder: Path, *, fails: int = 0) -> AsyncIterator[tuple[SleepingSpares, _Kept]]:
    made = SleepingSpares(folder, fails)
    kept = _Kept(WantedHost("plus/adds:1@m", "adds:1", "m"), HostStanding("plus/adds:1@m", "up"))
    kept.is_settled.set()
    kept.next = asyncio.create_task(made._keep_spare(kept))
    try:
        yield made, kept
    finally:
        await made._stop(kept)
        await made._stop_all()
        for process in made.made:
            process.kill()
            process.wait()


def is_there(kept: _Kept, spare: str) -> bool:
    return kept.spare is not None and kept.spare.id == spare


async def until(what: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not what():
            await asyncio.sleep(0.005)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_SPARE_AFTER_S", 0.01)


@pytest.mark.usefixtures("impatient")
def test_a_spare_that_could_not_be_made_is_made_later(tmp_path: Path) -> None:
    """What kept it from being made may be over."""

    async def story() -> None:
        async with kept_with_a_spare(tmp_path, fails=3) as (made, kept):
            await until(lambda: kept.spare is not None)
            assert made.fails == 0
            spare = await made._spare_of(kept)
            assert spare is not None
            await spare.dispose()

    asyncio.run(story())


@pytest.mark.usefixtures("impatient")
def test_a_spare_that_ends_is_followed_by_another(tmp_path: Path) -> None:
    """What is handed over is one that lives."""

    async def story() -> None:
        async with kept_with_a_spare(tmp_path) as (made, kept):
            for number in (1, 2, 3):
                await until(partial(is_there, kept, f"h{number}"))
                made.made[-1].kill()
                made.made[-1].wait()
            await until(partial(is_there, kept, "h4"))
            spare = await made._spare_of(kept)
            assert spare is not None
            assert (spare.id, spare.is_alive, kept.spare, kept.next) == ("h4", True, None, None)
            await spare.dispose()

    asyncio.run(story())


@pytest.mark.usefixtures("impatient")
def test_a_host_that_ends_while_its_spare_is_being_made_waits_for_it(tmp_path: Path) -> None:
    """Another would take longer; it is handed over once, and nothing is left behind."""

    async def story() -> None:
        async with kept_with_a_spare(tmp_path) as (made, kept):
            made.gate.clear()
            await until(lambda: not kept.is_settled.is_set())
            asked = asyncio.create_task(made._spare_of(kept))
            await asyncio.sleep(0.05)
            assert not asked.done()
            made.gate.set()
            spare = await asked
            assert spare is not None
            assert len(made.made) == 1
            await spare.dispose()

    asyncio.run(story())
