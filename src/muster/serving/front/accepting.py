"""Taking connections off a listening socket, many at a time.

An event loop's own server takes one connection in a turn (libuv, since 1.45), so that a front whose turns are long would leave
those who come anew waiting for seconds.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable

#: In one turn of the loop; the requests of those who are connected wait meanwhile.
MOST_AT_ONCE = 64
#: With TLS a caller may take its time to shake hands, or never do; beyond so many, further callers are cut.
_MOST_OPENING = 200
#: Connections that are being opened when the front ends have so long to begin, seconds.
_CLOSE_WITHIN_S = 1.0


class Acceptor:
    """Accepts connections and has them served; made on the event loop.

    Args:
        serve: given each connection.
    """

    def __init__(self, serve: Callable[[socket.socket], Awaitable[None]]) -> None:
        self._serve = serve
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def accept_from(self, listener: socket.socket, most: int = MOST_AT_ONCE) -> int:
        """Take who waits at a listening, non-blocking socket, up to a number; how many there were."""
        for count in range(most):
            try:
                connection, _ = listener.accept()
            except OSError:  # nobody waits; or no descriptor is free, or the caller has gone again
                return count
            if len(self._tasks) >= _MOST_OPENING:
                connection.close()
                continue
            connection.setblocking(False)
            task = self._loop.create_task(self._begin(connection), name="front.accept")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return most

    async def close(self) -> None:
        """Give up on those that are not open yet: with TLS a caller may take its time to shake hands, or never do."""
        if not self._tasks:
            return
        await asyncio.wait(self._tasks, timeout=_CLOSE_WITHIN_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _begin(self, connection: socket.socket) -> None:
        try:
            await self._serve(connection)
        except OSError:  # the caller has gone again, or cannot agree on TLS
            connection.close()
        except asyncio.CancelledError:
            connection.close()
            raise
