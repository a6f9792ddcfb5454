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

from muster.serving.front.accepting import Acceptor

#: How often the other fronts' sockets are looked at, seconds: twice as long somebody may wait for a front that is gone.
_LOOK_EVERY_S = 0.04
log = structlog.get_logger()


class Helper:
    """Accepts what has waited at the other fronts' sockets; made on the event loop.

    Args:
        sockets: theirs, listening and not blocking.
        adopt: given each connection; it serves it as if it were its own, and closes it.
    """

    def __init__(self, sockets: Sequence[socket.socket], adopt: Callable[[socket.socket], Awaitable[None]]) -> None:
        self._sockets = tuple(sockets)
        self._acceptor = Acceptor(adopt)
        self._loop = asyncio.get_running_loop()
        self._helping = self._loop.create_task(self._help_for_ever(), name="front.help") if sockets else None

    async def close(self) -> None:
        """Help no more."""
        if self._helping is not None:
            self._helping.cancel()
            await asyncio.gather(self._helping, return_exceptions=True)
        await self._acceptor.close()
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
            taken = sum(self._acceptor.accept_from(by_number[number]) for number in waiting & waited)
            waited = waiting
            if taken:
                log.info("connections.adopted", count=taken)
