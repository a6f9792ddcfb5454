"""Requests over HTTP by a schedule, from one thread: as many connections as are needed, none waited for.

Latency counts from the moment at which a request was due (see `open_loop`).
"""

import select
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence

from muster.certification.load.open_loop import LATE_S, Found, found_of

#: Connections at most; beyond them requests wait, and their wait is in the latency.
MOST_CONNECTIONS = 128
_READ = 1 << 18
_NAP_S = 0.25
_LATEST_DESCRIPTOR = 1023
_OK = b"200"


class _Connection:
    """One kept-alive connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10.0)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = -1
        self._received = b""
        self._length = -1
        """Of the whole answer; -1: its head has not come whole."""

    def send(self, request: int, message: bytes) -> None:
        """Send a request; the connection is idle."""
        self.request, self._received, self._length = request, b"", -1
        self.socket.sendall(message)

    def receive(self) -> bool | None:
        """Read what has come; None: the answer is not whole, else whether it is one with status 200.

        Raises:
            OSError: the front closed the connection.
        """
        data = self.socket.recv(_READ)
        if not data:
            raise ConnectionResetError("the front closed the connection")
        self._received += data
        if self._length < 0:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return None
            self._length = end + 4 + _content_length(self._received[:end])
        if len(self._received) < self._length:
            return None
        return self._received[9:12] == _OK


def driven_over_http(
    due: Sequence[float],
    port: int,
    message: Callable[[int], bytes],
    *,
    give_up_s: float,
    monotonic: Callable[[], float] = time.monotonic,
) -> Found:
    """Send what is due when it is due, each on a connection of its own, and see when the answers come.

    Args:
        due: when each request is due, seconds after the start, rising.
        port: of the front, on 127.0.0.1.
        message: the bytes of a request, by its index.
        give_up_s: how long after the last request is due the answers are waited for.
        monotonic: tells seconds that only rise.

    Raises:
        OSError: the front takes no connection.
    """
    waiting: deque[int] = deque(range(len(due)))
    idle: list[_Connection] = []
    busy: dict[int, _Connection] = {}
    answered_at: dict[int, float] = {}
    failed = late = most = 0
    begun = monotonic()
    until = due[-1] + give_up_s
    try:
        while (waiting or busy) and (now := monotonic() - begun) <= until:
            while waiting and due[waiting[0]] <= now and (idle or len(busy) < MOST_CONNECTIONS):
                connection = idle.pop() if idle else _Connection(port)
                index = waiting.popleft()
                connection.send(index, message(index))
                busy[connection.socket.fileno()] = connection
                late += now - due[index] > LATE_S and len(busy) == 1
                most = max(most, len(busy))
            wait_s = max(0.0, due[waiting[0]] - (monotonic() - begun)) if waiting else until - now
            if waiting and len(busy) == MOST_CONNECTIONS:
                wait_s = _NAP_S
            for descriptor in _readable(busy, min(_NAP_S, wait_s)):
                connection = busy[descriptor]
                try:
                    outcome = connection.receive()
                except OSError:
                    outcome = False
                    connection.socket.close()
                if outcome is None:
                    continue
                answered_at[connection.request] = monotonic() - begun
                failed += not outcome
                del busy[descriptor]
                if connection.socket.fileno() >= 0:
                    idle.append(connection)
    finally:
        for connection in (*idle, *busy.values()):
            connection.socket.close()
    return found_of(due, answered_at, failed=failed, late=late, largest=most, waited_s=monotonic() - begun)


def _readable(busy: dict[int, _Connection], wait_s: float) -> list[int]:
    """Descriptors with something to read, after so long at most.

    `select` waits to the microsecond, `poll` to the millisecond, which would send late; but `select` knows small descriptors alone.
    """
    if not busy:
        time.sleep(wait_s)
        return []
    if max(busy) <= _LATEST_DESCRIPTOR:
        return select.select(list(busy), [], [], wait_s)[0]
    poll = select.poll()
    for descriptor in busy:
        poll.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll(1000 * wait_s)]


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


def posted(path: str, token: str, body: bytes) -> bytes:
    """A request of HTTP/1.1."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body
