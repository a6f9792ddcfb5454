"""Fronts that follow the publications: any number of them wait at once, without a thread for each.

One task asks the board for news, which wakes it at once for a publication of this process and within half a second for one
of another. A waiting front costs one future.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from functools import partial

import structlog
from anyio import CapacityLimiter, to_thread

from muster.publishing.board import Board
from muster.vocabulary.errors import MusterError
from muster.wire.plans import Publications

#: Longest wait that is granted: half of the ten seconds for which a front counts as connected.
MAX_WAIT_S = 5.0
_ROUND_S = 1.0
_AFTER_ERROR_S = 0.5
log = structlog.get_logger()


class Following:
    """The waiting room of the fronts.

    Args:
        board: where the publications are.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self.process = secrets.token_hex(8)
        """Says which process answers: reports are kept in its memory, so to another one they have to be made again."""
        self._highest = -1
        self._turned: asyncio.Event | None = None
        self._closing = False
        # A thread of its own, so that slow calls elsewhere never delay a revocation.
        self._own_threads = CapacityLimiter(8)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Watch the board while the application runs."""
        self._turned = asyncio.Event()
        task = asyncio.create_task(self._watch(), name="board.watch")
        try:
            yield
        finally:
            self.close()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    @property
    def is_closing(self) -> bool:
        """Whether the application is about to stop: nobody should be kept waiting any more."""
        return self._closing

    def close(self) -> None:
        """Answer everybody who waits, now and from now on at once: the application is about to stop."""
        self._closing = True
        self._turn()

    async def after(self, number: int, wait_s: float) -> Publications:
        """What was published after a number, as soon as there is something, or nothing after the wait."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + min(wait_s, MAX_WAIT_S)
        while True:
            turned = self._turned
            assert turned is not None, "the application has not started"
            left_s = deadline - loop.time()
            # Another number, even a lower one: the database may have been put back, and the front must hear of it.
            if self._closing or left_s <= 0 or self._highest not in {-1, number}:
                return await to_thread.run_sync(self._board.since, number, limiter=self._own_threads)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(turned.wait(), left_s)

    async def _watch(self) -> None:
        while not self._closing:
            try:
                wait = partial(self._board.wait, self._highest, _ROUND_S)
                news = await to_thread.run_sync(wait, limiter=self._own_threads, abandon_on_cancel=True)
            except MusterError as error:
                log.warning("board.unreadable", error=error.message)
                await asyncio.sleep(_AFTER_ERROR_S)
                continue
            if news.number != self._highest:
                self._highest = news.number
                self._turn()

    def _turn(self) -> None:
        """Wake everybody who waits."""
        turned, self._turned = self._turned, asyncio.Event()
        if turned is not None:
            turned.set()
