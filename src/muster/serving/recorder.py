"""Answered means recorded: decision records are written to the open segment, and only then does the reply leave.

The records of one batch go out in one write. Level `group`: the reply follows write(2), fsync comes within 50 ms, so no kill of
a process loses anything. `sync`: the reply waits for an fsync that it shares with others. `async`: the reply does not wait at
all. An answer that came after the decision has nobody waiting for it: it goes out with the next write, within 50 ms.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from itertools import chain
from time import monotonic
from typing import Literal, Protocol

import structlog

from muster.archive.accounts import Account
from muster.archive.segments import SegmentWriter, encode
from muster.serving.counts import EndpointCounts
from muster.serving.errors import RecordNotWritten
from muster.wire.records import AnsweredLate, Decided

_FSYNC_EVERY_S = 0.05
log = structlog.get_logger()


class Waiting(Protocol):
    """Whoever waits for a record."""

    def told(self, problem: RecordNotWritten | None, /) -> None:
        """The record is as safe as its level asks, or could not be written; must not raise."""
        ...


class Ledger:
    """What becomes of one endpoint's records on this front: on disk, for the exact account, and in memory, for the metrics.

    Args:
        account: of the archive.
        counts: of the front.
    """

    __slots__ = ("account", "counts")

    def __init__(self, account: Account, counts: EndpointCounts) -> None:
        self.account = account
        self.counts = counts


class Recorder:
    """Writes the records of one front.

    Args:
        writer: the front's segment writer.
        synced: told how long each fsync took, seconds.
    """

    def __init__(self, writer: SegmentWriter, synced: Callable[[float], None] = lambda _: None) -> None:
        self._writer = writer
        self._synced = synced
        self._loop = asyncio.get_running_loop()
        self._events: list[Decided | AnsweredLate] = []
        self._waiting: list[tuple[Waiting, bool, bool, Ledger]] = []
        self._untold: list[Ledger] = []
        """Of decisions at level `async`, for whose records nobody waits."""
        self._waiting_for_sync: list[Waiting] = []
        self._flush_planned = False
        self._dirty = False
        self._sync_now = asyncio.Event()
        self._failing = False
        self._rotate_failing = False
        self.lost = 0
        """Records that could not be written; their replies were errors, except at level `async` and where the plan says `drop`."""
        self._syncing = self._loop.create_task(self._sync_for_ever(), name="recorder.sync")

    @property
    def segment(self) -> int:
        """Number of the open segment, for new request ids."""
        return self._writer.segment

    def decided(
        self,
        event: Decided,
        level: Literal["sync", "group", "async"],
        when_full: Literal["refuse", "drop"],
        waiting: Waiting,
        ledger: Ledger,
    ) -> None:
        """Record a decision; `waiting` is told once it is as safe as `level` asks, or of the error."""
        self._events.append(event)
        if level == "async":
            self._untold.append(ledger)
            waiting.told(None)
        else:
            self._waiting.append((waiting, level == "sync", when_full == "drop", ledger))
        if not self._flush_planned:
            self._flush_planned = True
            self._loop.call_soon(self.flush)

    def answered_late(self, event: AnsweredLate) -> None:
        """Record an answer that came after the decision."""
        self._events.append(event)

    async def close(self) -> None:
        """Write what is left and close the segment."""
        self._write()
        self._syncing.cancel()
        await asyncio.gather(self._syncing, return_exceptions=True)
        await self._sync()
        await self._loop.run_in_executor(None, self._writer.close)

    def flush(self) -> None:
        """Write every record there is, in one write, and tell whoever waits for it."""
        self._flush_planned = False
        if not self._waiting:
            return
        self._write()

    def ledger(self, endpoint: str, counts: EndpointCounts) -> Ledger:
        """The ledger of an endpoint."""
        return Ledger(self._writer.account(endpoint), counts)

    @property
    def spooled_bytes(self) -> int:
        """What this front's segments take on the disk until they are compacted."""
        return self._writer.spooled_bytes

    @property
    def unwritten(self) -> int:
        """Records that are not written yet."""
        return len(self._events)

    def _write(self) -> None:
        events, self._events = self._events, []
        waiting, self._waiting = self._waiting, []
        untold, self._untold = self._untold, []
        if not events:
            return
        decisions = Counter(chain((ledger for _, _, _, ledger in waiting), untold))
        problem: RecordNotWritten | None = None
        try:
            self._writer.write(
                [encode(event) for event in events], [(ledger.account, count) for ledger, count in decisions.items()]
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, no reply may wait for ever
            problem = RecordNotWritten(f"the decision could not be recorded: {error}")
            self.lost += len(events)
            if not self._failing:
                log.error("archive.write_failed", error=str(error))
        else:
            for ledger, count in decisions.items():
                ledger.counts.recorded(count)
        self._failing = problem is not None
        self._dirty = self._dirty or problem is None
        if problem is None:
            self._tell_written(waiting)
        else:
            self._count_lost(waiting, untold)
            for one, _, may_drop, _ in waiting:
                one.told(None if may_drop else problem)

    def _tell_written(self, waiting: list[tuple[Waiting, bool, bool, Ledger]]) -> None:
        for one, wants_sync, _, _ in waiting:
            if wants_sync:
                self._waiting_for_sync.append(one)
                self._sync_now.set()
            else:
                one.told(None)

    def _count_lost(self, waiting: list[tuple[Waiting, bool, bool, Ledger]], untold: list[Ledger]) -> None:
        for _, _, may_drop, ledger in waiting:
            if may_drop:
                ledger.account.dropped()
                ledger.counts.dropped()
            else:
                ledger.account.refused()
        for ledger in untold:
            ledger.account.dropped()
            ledger.counts.dropped()

    async def _sync_for_ever(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_FSYNC_EVERY_S):
                    await self._sync_now.wait()
            except TimeoutError:
                pass
            self._sync_now.clear()
            self._write()
            if self._dirty:
                await self._sync()
            try:
                await self._loop.run_in_executor(None, self._writer.rotate_if_due)
            except Exception as error:  # noqa: BLE001 - this task must outlive whatever the disk does
                if not self._rotate_failing:
                    log.error("archive.rotate_failed", error=str(error))
                self._rotate_failing = True
            else:
                self._rotate_failing = False

    async def _sync(self) -> None:
        self._dirty = False
        waiting, self._waiting_for_sync = self._waiting_for_sync, []
        problem: RecordNotWritten | None = None
        begun = monotonic()
        try:
            await self._loop.run_in_executor(None, self._writer.sync)
            self._synced(monotonic() - begun)
        except Exception as error:  # noqa: BLE001 - whatever it is, no reply may wait for ever
            problem = RecordNotWritten(f"the decision could not be made safe: {error}")
            log.error("archive.sync_failed", error=str(error))
        for one in waiting:
            one.told(problem)
