"""HTTP/1.1 for the scoring door: connections, limits, timeouts, order of replies.

The parser is llhttp (through httptools), which refuses what is ambiguous: two lengths, a length beside chunks, folded headers,
bare line ends. What `connection` adds is everything around it. A request is handed on when its body is whole, as a plain
object, and is answered by a call to `Request.reply`, at once or from the callback of a batch: there is no task, future or
timer per request. One sweep a second finds the connections that have been too slow.
"""

import asyncio
import email.utils
import resource
import socket
import ssl
import time
from time import monotonic

from muster.serving.errors import FrontOverloaded
from muster.serving.front.accepting import Acceptor
from muster.serving.front.connection import Connection
from muster.serving.front.messages import App
from muster.serving.front.turns import Turns
from muster.wire.inference import InferenceError, error_body

#: Connections that may wait to be accepted, and how many are in one turn of the loop.
_BACKLOG = 2048
_ACCEPTS, _ACCEPTS_WHEN_BUSY = 16, 2
#: File descriptors that are kept for everything but callers' connections.
_RESERVED_FILES = 256
#: So many connections beyond the limit are told that there are too many; further ones are cut without a word.
_TOLD_SO = 64
_SWEEP_EVERY_S = 1.0
#: Of requests, not of connections: those beyond the limit get 503, as the front is full whoever asks.
_TOO_MANY_BODY = error_body(InferenceError(FrontOverloaded.told))
_TOO_MANY = (
    b"%bcontent-type: application/json\r\ncontent-length: %d\r\n%%bmuster-error-code: %b\r\nretry-after: 1\r\n\r\n%b"
) % (b"HTTP/1.1 429 Too Many Requests\r\n", len(_TOO_MANY_BODY), FrontOverloaded.code.encode(), _TOO_MANY_BODY)


class HttpServer:
    """Serves one listening socket.

    Args:
        app: what answers.
        tls: certificates, where the door speaks TLS itself.
    """

    def __init__(self, app: App, tls: ssl.SSLContext | None = None) -> None:
        self.app = app
        self.is_stopping = False
        self.date = b""
        """The header Date, made once a second."""
        self.too_many = b""
        """The reply to a request that is refused unread; it names the date, too."""
        self._tls = tls
        self._connections: set[Connection] = set()
        self._acceptor = Acceptor(self.adopt)
        self._listener: socket.socket | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._most = _most_connections()
        self._turns = Turns()
        self._outbox: list[tuple[Connection, bytes | list[bytes | memoryview], bool]] = []
        self.taken = 0
        """Connections since the start."""
        self.refused = 0
        """Connections turned away because there were too many."""

    @property
    def connections(self) -> int:
        """How many callers are connected."""
        return len(self._connections)

    async def start(self, listener: socket.socket) -> None:
        """Begin to accept."""
        self._tell_time()
        listener.setblocking(False)
        listener.listen(_BACKLOG)
        self._listener = listener
        self._loop.add_reader(listener, self._accept, listener)
        self._sweeping = self._loop.create_task(self._sweep_for_ever(), name="http.sweep")

    def _accept(self, listener: socket.socket) -> None:
        """Take new callers, few while those who are there keep the front busy: each more makes all of them slower."""
        self._acceptor.accept_from(listener, _ACCEPTS if self._turns.is_calm else _ACCEPTS_WHEN_BUSY)

    async def adopt(self, connection: socket.socket) -> None:
        """Serve a connection, whoever was to accept it."""
        await self._loop.connect_accepted_socket(lambda: Connection(self), sock=connection, ssl=self._tls)

    async def stop(self, within_s: float) -> None:
        """Accept nothing more, answer what is under way, close everything."""
        self.is_stopping = True
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            await self._acceptor.close()
        self.deliver()
        for connection in tuple(self._connections):
            connection.end()
        until = monotonic() + within_s
        while monotonic() < until and any(connection.is_busy for connection in self._connections):
            await asyncio.sleep(0.01)
        self.deliver()
        for connection in tuple(self._connections):
            connection.end()
        await asyncio.sleep(0.01)
        for connection in tuple(self._connections):
            connection.abort()
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)

    def heard(self) -> None:
        """Something came: a turn of the loop goes on, or begins."""
        if not self._turns.is_open:
            self._turns.begin(monotonic())
            self._loop.call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self.deliver()
        self._turns.end(monotonic())

    def refuses(self) -> bool:
        """Whether a request that has just come is to be refused unread, if it can be."""
        return self._turns.refuses() or self.app.is_overloaded

    @property
    def is_flooded(self) -> bool:
        """Whether even those that are told so are too many."""
        return len(self._connections) > self._most + _TOLD_SO

    def post(self, connection: Connection, data: bytes | list[bytes | memoryview], *, keep: bool) -> None:
        """Have a reply leave together with the others of this turn of the loop.

        Written one by one while others are still being made, each would wake the program at the other end anew, which costs
        several times what the writing costs; written in a row they wake it once.
        """
        if not self._outbox:
            self._loop.call_soon(self.deliver)
        self._outbox.append((connection, data, keep))

    def deliver(self) -> None:
        """Hand every reply that was given to the kernel."""
        outbox, self._outbox = self._outbox, []
        for connection, data, keep in outbox:
            connection.write(data, keep=keep)

    def add(self, connection: Connection) -> bool:
        """Count a connection; False when there are too many."""
        self._connections.add(connection)
        self.taken += 1
        if len(self._connections) <= self._most:
            return True
        self.refused += 1
        return False

    def remove(self, connection: Connection) -> None:
        """The connection is gone."""
        self._connections.discard(connection)

    def close_later(self, transport: asyncio.Transport, after_s: float) -> None:
        """Close a transport after a moment."""
        self._loop.call_later(after_s, transport.abort)

    def _tell_time(self) -> None:
        self.date = b"date: %b\r\n" % email.utils.formatdate(time.time(), usegmt=True).encode()
        self.too_many = _TOO_MANY % self.date

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_EVERY_S)
            self._tell_time()
            now = monotonic()
            for connection in tuple(self._connections):
                connection.sweep(now)


def _most_connections() -> int:
    """As many connections as the process may have files, after raising its own limit as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return 1_000_000 if hard == resource.RLIM_INFINITY else max(hard - _RESERVED_FILES, hard // 2)
