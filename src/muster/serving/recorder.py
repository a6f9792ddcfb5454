"""Answered means recorded: decision records are written to the open segment, and only then does the reply leave.

All records of one turn of the event loop go out in one write. Level `group`: the reply follows write(2), fsync comes within
50 ms, so no kill of a process loses anything. `sync`: the reply waits for an fsync that it shares with others. `async`: the reply
does not wait at all.
"""

import asyncio
from collections.abc import Callable
from typing import Literal

import structlog

from muster.archive.segments import SegmentWriter, encode
from muster.serving.errors import RecordNotWritten
from muster.wire.records import AnsweredLate, Decided

_FSYNC_EVERY_S = 0.05

Told = Callable[[RecordNotWritten | None], None]
log = structlog.get_logger()


class Recorder:
    """Writes the records of one front.

    Args:
        writer: the front's segment writer.
    """

    def __init__(self, writer: SegmentWriter) -> None:
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._events: list[Decided | AnsweredLate] = []
        self._waiting: list[tuple[Told, bool]] = []
        self._waiting_for_sync: list[Told] = []
        self._flush_planned = False
        self._dirty = False
        self._sync_now = asyncio.Event()
        self._failing = False
        self._rotate_failing = False
        self.lost = 0
        """Records that could not be written; their replies were errors, except at level `async`."""
        self._syncing = self._loop.create_task(self._sync_for_ever(), name="recorder.sync")

    @property
    def segment(self) -> int:
        """Number of the open segment, for new request ids."""
        return self._writer.segment

    def decided(self, event: Decided, level: Literal["sync", "group", "async"], told: Told) -> None:
        """Record a decision; `told` is called with None once it is as safe as `level` asks, or with the error."""
        self._events.append(event)
        if level == "async":
            told(None)
        else:
            self._waiting.append((told, level == "sync"))
        self._plan_flush()

    def answered_late(self, event: AnsweredLate) -> None:
        """Record an answer that came after the decision."""
        self._events.append(event)
        self._plan_flush()

    async def close(self) -> None:
        """Write what is left and close the segment."""
        self._flush()
        self._syncing.cancel()
        await asyncio.gather(self._syncing, return_exceptions=True)
        await self._sync()
        await self._loop.run_in_executor(None, self._writer.close)

    def _plan_flush(self) -> None:
        if not self._flush_planned:
            self._flush_planned = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_planned = False
        events, self._events = self._events, []
        waiting, self._waiting = self._waiting, []
        if not events:
            return
        problem: RecordNotWritten | None = None
        try:
            self._writer.write([encode(event) for event in events])
        except Exception as error:  # noqa: BLE001 - whatever it is, no reply may wait for ever
            problem = RecordNotWritten(f"the decision could not be recorded: {error}")
            self.lost += len(events)
            if not self._failing:
                log.error("archive.write_failed", error=str(error))
        self._failing = problem is not None
        self._dirty = self._dirty or problem is None
        for told, wants_sync in waiting:
            if wants_sync and problem is None:
                self._waiting_for_sync.append(told)
                self._sync_now.set()
            else:
                told(problem)

    async def _sync_for_ever(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_FSYNC_EVERY_S):
                    await self._sync_now.wait()
            except TimeoutError:
                pass
            self._sync_now.clear()
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
        try:
            await self._loop.run_in_executor(None, self._writer.sync)
        except Exception as error:  # noqa: BLE001 - whatever it is, no reply may wait for ever
            problem = RecordNotWritten(f"the decision could not be made safe: {error}")
            log.error("archive.sync_failed", error=str(error))
        for told in waiting:
            told(problem)
