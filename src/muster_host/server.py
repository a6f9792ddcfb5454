"""A host: one model behind a Unix socket, several connections, one computing thread.

One thread does it all, because a second one would only make the interpreter's lock change hands. Sockets do not block:
a peer that does not read, closes in the middle of a frame or sends garbage costs its own connection and nothing else.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import socket
import time
from collections import deque
from typing import Any, Deque, List, Mapping

from muster_host import frames, machine
from muster_host.computing import Computer
from muster_host.frames import Buffer, FrameError

_FIRST_READ = 1 << 16
_NEXT_READ = 1 << 20
#: A connection with this much unsent is not served before it has read.
_MAX_UNSENT = 1 << 20
_MAX_CONNECTIONS = 256
#: Below this much, copying buffers together is cheaper than handing the kernel a list of them.
_JOIN_BELOW = 1 << 16
_BUFFERS_PER_CALL = 512
_DRAIN_S = 5.0
_ROUND = ("predict", "health", "stop")
#: Exit status of a host whose model holds on to so much memory that it cannot go on.
OUT_OF_MEMORY = 71
#: Exit status of a host whose model's program did not load.
LOAD_FAILED = 73
#: How long such a host waits for somebody to tell that to, seconds.
_TURN_AWAY_S = 10.0


class Limits:
    """What a host keeps to.

    Args:
        document: `frame_bytes`: largest payload taken; `stuck_s`: how long a peer may leave its answers unread;
            `memory_bytes`: private memory that the process may have.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.frame_bytes = int(document.get("frame_bytes") or 1 << 28)
        self.stuck_s = float(document.get("stuck_s") or 30.0)
        self.memory_bytes = int(document.get("memory_bytes") or 0)


class _Connection:
    """One peer."""

    __slots__ = ("events", "frames", "half_closed", "inbox", "is_gone", "is_ready", "sock", "unsent", "unsent_since")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.inbox = bytearray()
        self.frames: Deque[tuple[int, int, Buffer]] = deque()
        self.events = select.POLLIN
        self.is_ready = False
        self.is_gone = False
        self.half_closed = False
        self.unsent: Buffer = b""
        self.unsent_since = 0.0


class Host:
    """Serves one model until it is told to stop.

    Args:
        listener: the bound, listening socket.
        path: where it is bound; removed at the end.
        computer: calls the model.
        hello: what every peer is told first.
        limits: what to keep to.
    """

    def __init__(
        self, *, listener: socket.socket, path: str, computer: Computer, hello: Mapping[str, Any], limits: Limits
    ) -> None:
        self._listener = listener
        self._path = path
        self._computer = computer
        self._hello = frames.json_frame(frames.HELLO, hello)
        self._name = hello["host"]
        self._limits = limits
        self._poll = select.poll()
        self._connections: dict[int, _Connection] = {}
        self._ready: Deque[_Connection] = deque()
        self._stuck: list[_Connection] = []
        self._stopped_by: list[tuple[_Connection, int]] = []
        self._began = time.monotonic()
        self._is_worn_out = False
        data_bytes = machine.data_bytes()
        #: Who holds more than this after a MemoryError, holds on to half of all it may ever take.
        self._leak_bytes = data_bytes + max(0, limits.memory_bytes - data_bytes) // 2

    def serve(self) -> int:
        """Answer until STOP comes, then finish what has arrived; or until no memory is left to answer with.

        Returns:
            The process's exit status.
        """
        self._listener.setblocking(False)
        self._poll.register(self._listener.fileno(), select.POLLIN)
        while not self._stopped_by:
            self._turn(self._patience_ms())
            if self._is_worn_out:
                self._send_all_unsent()  # what waits unread is for the next host
                return OUT_OF_MEMORY
        self._drain()
        return 0

    # One turn.

    def _patience_ms(self) -> int | None:
        if self._ready:
            return 0
        if not self._stuck:
            return None
        oldest = min(connection.unsent_since for connection in self._stuck)
        return max(0, int((oldest + self._limits.stuck_s - time.monotonic()) * 1000) + 1)

    def _turn(self, patience_ms: int | None) -> None:
        for descriptor, events in self._poll.poll(patience_ms):
            connection = self._connections.get(descriptor)
            if connection is None:
                if descriptor == self._listener.fileno():
                    self._accept()
                continue
            if events & (select.POLLERR | select.POLLNVAL):
                self._drop(connection)
                continue
            if events & select.POLLHUP:
                connection.is_gone = True
            if events & select.POLLOUT:
                self._send_unsent(connection)
            if events & (select.POLLIN | select.POLLHUP):
                self._receive(connection)
        if self._ready:
            connection = self._ready.popleft()
            connection.is_ready = False
            self._serve_one(connection)
        if self._stuck:
            self._drop_stuck()

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:  # the peer is gone again, or there are no descriptors left
            return
        if len(self._connections) >= _MAX_CONNECTIONS:
            sock.close()
            return
        sock.setblocking(False)
        connection = _Connection(sock)
        self._connections[sock.fileno()] = connection
        self._poll.register(sock.fileno(), select.POLLIN)
        self._send(connection, [self._hello])

    def _drop(self, connection: _Connection) -> None:
        descriptor = connection.sock.fileno()
        if self._connections.pop(descriptor, None) is None:
            return
        self._poll.unregister(descriptor)
        connection.sock.close()
        connection.frames.clear()
        connection.inbox.clear()
        connection.unsent = b""
        if connection in self._stuck:
            self._stuck.remove(connection)

    def _drop_stuck(self) -> None:
        limit = time.monotonic() - self._limits.stuck_s
        for connection in [connection for connection in self._stuck if connection.unsent_since <= limit]:
            self._say("a peer left its answers unread and is cut off")
            self._drop(connection)

    def _watch(self, connection: _Connection) -> None:
        """Ask the kernel only for what this connection may do next."""
        if self._connections.get(connection.sock.fileno()) is not connection:
            return
        events = 0
        if not connection.frames and not connection.half_closed and len(connection.unsent) < _MAX_UNSENT:
            events |= select.POLLIN
        if connection.unsent:
            events |= select.POLLOUT
        if events != connection.events:
            connection.events = events
            self._poll.modify(connection.sock.fileno(), events)

    # In.

    def _receive(self, connection: _Connection) -> None:
        inbox = connection.inbox
        if connection.frames or connection.half_closed:
            return  # first what has come already
        try:
            data = connection.sock.recv(_NEXT_READ if inbox else _FIRST_READ)
        except BlockingIOError:
            return
        except OSError:
            self._drop(connection)
            return
        if not data:
            self._half_close(connection)
            return
        try:
            if not inbox and len(data) >= frames.HEAD_BYTES:
                length, kind, sequence = frames.read_head(data[: frames.HEAD_BYTES])
                if length > self._limits.frame_bytes:
                    self._too_large(connection, length, sequence)
                    return
                if len(data) == frames.HEAD_BYTES + length:  # the usual case: one frame, and no copy of it
                    connection.frames.append((kind, sequence, memoryview(data)[frames.HEAD_BYTES :]))
                    self._make_ready(connection)
                    return
            inbox += data
            self._take_frames(connection)
        except FrameError as error:
            self._say("a peer sent garbage and is cut off: %s" % error)
            self._drop(connection)

    def _take_frames(self, connection: _Connection) -> None:
        inbox = connection.inbox
        at = 0
        while len(inbox) - at >= frames.HEAD_BYTES:
            length, kind, sequence = frames.read_head(inbox[at : at + frames.HEAD_BYTES])
            if length > self._limits.frame_bytes:
                self._too_large(connection, length, sequence)
                return
            end = at + frames.HEAD_BYTES + length
            if len(inbox) < end:
                break
            connection.frames.append((kind, sequence, bytes(inbox[at + frames.HEAD_BYTES : end])))
            at = end
        del inbox[:at]
        if connection.frames:
            self._make_ready(connection)

    def _make_ready(self, connection: _Connection) -> None:
        if not connection.is_ready:
            connection.is_ready = True
            self._ready.append(connection)

    def _half_close(self, connection: _Connection) -> None:
        """The peer will say no more, but may still wait for its answers."""
        connection.half_closed = True
        if connection.frames or connection.unsent:
            self._watch(connection)
        else:
            self._drop(connection)

    def _too_large(self, connection: _Connection, length: int, sequence: int) -> None:
        message = "a payload of %d bytes is above this host's limit of %d" % (length, self._limits.frame_bytes)
        self._error(connection, sequence, "frame-too-large", message)
        self._drop(connection)  # what follows cannot be told from the payload

    # Work.

    def _serve_one(self, connection: _Connection) -> None:
        if not connection.frames:
            return
        kind, sequence, payload = connection.frames.popleft()
        if kind == frames.PREDICT:
            if not connection.is_gone:  # otherwise nobody is there to read the answer
                self._predict(connection, sequence, payload)
        elif kind == frames.HEALTH:
            self._send(connection, [frames.json_frame(frames.HEALTHY, self._health(), sequence)])
        elif kind == frames.STOP:
            self._stopped_by.append((connection, sequence))
        else:
            name = frames.KIND_NAMES[kind]
            self._error(connection, sequence, "not-understood", "a host takes %s, not %s" % (", ".join(_ROUND), name))
        self._after_serving(connection)

    def _after_serving(self, connection: _Connection) -> None:
        if self._connections.get(connection.sock.fileno()) is not connection:
            return
        if connection.frames:
            if len(connection.unsent) < _MAX_UNSENT:
                self._make_ready(connection)
        elif connection.half_closed and not connection.unsent:
            self._drop(connection)
            return
        self._watch(connection)

    def _predict(self, connection: _Connection, sequence: int, payload: Buffer) -> None:
        try:
            computed = self._computer.compute(*frames.read_predict(payload))
        except FrameError as error:
            self._error(connection, sequence, "table-broken", str(error))
            return
        self._send(
            connection,
            frames.answer_frame(
                sequence,
                computed.statuses,
                computed.compute_ns,
                computed.errors,
                computed.rows,
                computed.columns,
                computed.alone,
            ),
        )
        if self._computer.ran_out_of_memory:
            self._computer.ran_out_of_memory = False
            self._look_at_memory()

    def _look_at_memory(self) -> None:
        """A request that asked for too much is over, and its memory free again; a model that leaks never gets it back."""
        gc.collect()
        if self._limits.memory_bytes and machine.data_bytes() > self._leak_bytes:
            self._say("the model holds on to its memory until none is left; the host ends, to be started again")
            self._is_worn_out = True

    def _health(self) -> dict[str, Any]:
        computer = self._computer
        return {
            "host": self._name,
            "pid": os.getpid(),
            "rss_bytes": machine.rss_bytes(),
            "uptime_s": round(time.monotonic() - self._began, 3),
            "connections": len(self._connections),
            "batches": computer.batches,
            "requests": computer.requests,
            "rows": computer.rows,
            "failed_requests": computer.failed_requests,
            "compute_ns": computer.compute_ns,
        }

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):  # a full disk must not end the host
            print("host %s: %s" % (self._name, text))  # noqa: T201 - the host's log

    def _error(self, connection: _Connection, sequence: int, code: str, message: str) -> None:
        self._send(connection, [frames.json_frame(frames.ERROR, {"code": code, "message": message}, sequence)])

    # Out.

    def _send(self, connection: _Connection, buffers: List[Buffer]) -> None:
        if self._connections.get(connection.sock.fileno()) is not connection:
            return  # it went away while its answer was computed
        if connection.unsent:
            connection.unsent = b"".join([connection.unsent, *buffers])
            return
        total = sum(map(len, buffers))
        try:
            if total < _JOIN_BELOW:
                whole: Buffer = b"".join(buffers)
                sent = connection.sock.send(whole)
                left: Buffer = memoryview(whole)[sent:] if sent < total else b""
            else:
                left = _send_gathered(connection.sock, buffers)
        except BlockingIOError:
            left = b"".join(buffers)
        except OSError:
            self._drop(connection)
            return
        if left:
            connection.unsent = left
            connection.unsent_since = time.monotonic()
            self._stuck.append(connection)
            self._watch(connection)

    def _send_unsent(self, connection: _Connection) -> None:
        try:
            sent = connection.sock.send(connection.unsent)
        except BlockingIOError:
            return
        except OSError:
            self._drop(connection)
            return
        connection.unsent = memoryview(connection.unsent)[sent:]
        connection.unsent_since = time.monotonic()
        if not connection.unsent:
            connection.unsent = b""
            self._stuck.remove(connection)
        self._after_serving(connection)

    # The end.

    def _drain(self) -> None:
        """Take no more peers, answer what has arrived, say so, and be gone."""
        self._poll.unregister(self._listener.fileno())
        remove(self._path)
        self._listener.close()
        for connection in list(self._connections.values()):
            self._receive(connection)
        while self._ready:
            connection = self._ready.popleft()
            connection.is_ready = False
            self._serve_one(connection)
        for asker, sequence in self._stopped_by:
            self._send(asker, [frames.json_frame(frames.STOPPED, self._health(), sequence)])
        self._send_all_unsent()

    def _send_all_unsent(self) -> None:
        until = time.monotonic() + _DRAIN_S
        while self._stuck and time.monotonic() < until:
            for descriptor, _ in self._poll.poll(100):
                connection = self._connections.get(descriptor)
                if connection is None:
                    continue
                if connection.unsent:
                    self._send_unsent(connection)
                else:
                    self._drop(connection)


def _send_gathered(sock: socket.socket, buffers: List[Buffer]) -> Buffer:
    """Write as much as the socket takes; what is left, copied, for the model may change its arrays."""
    waiting = deque(memoryview(part) for part in buffers if len(part))
    while waiting:
        try:
            sent = sock.sendmsg([waiting[index] for index in range(min(len(waiting), _BUFFERS_PER_CALL))])
        except BlockingIOError:
            return b"".join(waiting)
        while waiting and sent >= len(waiting[0]):
            sent -= len(waiting.popleft())
        if sent:
            waiting[0] = waiting[0][sent:]
    return b""


def listen(path: str) -> socket.socket:
    """A socket that listens at `path`, for this user alone; an older one there is replaced."""
    remove(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        os.chmod(path, 0o600)  # nobody gets in before it listens
        listener.listen(64)
    except OSError:
        listener.close()
        raise
    return listener


def turn_away(listener: socket.socket, path: str, code: str, message: str) -> None:
    """Say, instead of a hello, why there is no host; to those who wait, or to the first who comes within 10 seconds."""
    frame = frames.json_frame(frames.ERROR, {"code": code, "message": message})
    listener.settimeout(_TURN_AWAY_S)
    with contextlib.suppress(OSError):
        while True:
            sock, _ = listener.accept()
            with sock, contextlib.suppress(OSError):
                sock.settimeout(1.0)
                sock.sendall(frame)
            listener.settimeout(0)
    remove(path)
    listener.close()


def remove(path: str) -> None:
    """Remove a socket's name, if it is there; a host that is shut in may not, and leaves that to its starter."""
    with contextlib.suppress(FileNotFoundError, PermissionError):
        os.unlink(path)
