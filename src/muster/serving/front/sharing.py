"""Several fronts on one port: each has a listening socket of its own, and helps where another does not come to accept.

The kernel spreads connections over the sockets by a hash of their addresses, so no front takes more than its share. One socket for
all would leave that to chance: whoever wakes first takes all that wait (measured: 59 of 64). The price is that connections
which fall to a front that is dead or hangs would wait for it. The supervisor keeps all the sockets and hands them to every front,
so the others accept what nobody else does: where somebody waits at two looks in a row, whoever looks takes all that wait.
"""

import asyncio
import select
import socket
from collections.abc import Awaitable, Callable, Sequence

import structlog

#: How often the other fronts' sockets are looked at, seconds: twice as long somebody may wait for a front that is gone.
_LOOK_EVERY_S = 0.04
_MOST_AT_ONCE = 64
#: Connections that are being adopted when the front ends have so long to begin, seconds.
_CLOSE_WITHIN_S = 1.0
log = structlog.get_logger()


class Helper:
    """Accepts what has waited at the other fronts' sockets; made on the event loop.

    Args:
        sockets: theirs, listening and not blocking.
        adopt: given each connection; it serves it as if it were its own, and closes it.
    """

    def __init__(self, sockets: Sequence[socket.socket], adopt: Callable[[socket.socket], Awaitable[None]]) -> None:
        self._sockets = tuple(sockets)
        self._adopt = adopt
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._helping = self._loop.create_task(self._help_for_ever(), name="front.help") if sockets else None

    async def close(self) -> None:
        """Help no more."""
        if self._helping is not None:
            self._helping.cancel()
            await asyncio.gather(self._helping, return_exceptions=True)
        if self._tasks:  # with TLS a caller may take its time to shake hands, or never do
            await asyncio.wait(self._tasks, timeout=_CLOSE_WITHIN_S)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        for listener in self._sockets:
            listener.close()

    async def _help_for_ever(self) -> None:
        waited: set[int] = set()
        asked = select.poll()
        by_number = {listener.fileno(): listener for listener in self._sockets}
        for number in by_number:
            asked.register(number, select.POLLIN)
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            waiting = {number for number, _ in asked.poll(0)}
            taken = sum(self._accept_from(by_number[number]) for number in waiting & waited)
            waited = waiting
            if taken:
                log.info("connections.adopted", count=taken)

    def _accept_from(self, listener: socket.socket) -> int:
        for count in range(_MOST_AT_ONCE):
            try:
                connection, _ = listener.accept()
            except OSError:  # nobody waits; or no descriptor is free, or the caller has gone again
                return count
            connection.setblocking(False)
            task = self._loop.create_task(self._serve(connection), name="front.adopt")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return _MOST_AT_ONCE

    async def _serve(self, connection: socket.socket) -> None:
        try:
            await self._adopt(connection)
        except OSError:  # the caller has gone again, or cannot agree on TLS
            connection.close()
        except asyncio.CancelledError:
            connection.close()
            raise
