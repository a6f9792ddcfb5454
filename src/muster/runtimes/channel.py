"""A connection to one host for callers that wait: certification, replay, `muster try`, health checks.

The fronts have an asynchronous connection of their own; both speak the same frames.
"""

import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from muster.runtimes.errors import (
    HostGone,
    HostLoadFailed,
    HostTimedOut,
    ProtocolBroken,
    SocketPathTooLong,
    TableRefused,
)
from muster_host import frames

LONGEST_SOCKET_PATH = 107
_READ = 1 << 16
_JOIN_BELOW = 1 << 16
_BUFFERS_PER_CALL = 512
_Kind = TypeVar("_Kind", bound=msgspec.Struct)


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """What a host says of itself when somebody connects."""

    protocol: int
    host: str
    pid: int
    key: str
    python: str
    environment: str = ""
    implementation: str = ""
    cpu: str = ""
    threads: int = 1
    capabilities: tuple[str, ...] = ()
    language: str = ""
    """Of a model that is a program of its own: `go`."""
    toolchain: str = ""
    """What built that: `go-1.26.8`."""
    confined: tuple[str, ...] = ()
    """What the kernel keeps its model from: `files`, `network`, `calls`, `signals`, `privileges`."""
    unconfined: dict[str, str] = {}
    """What it does not, and why."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How a host is; the counts are since its start."""

    host: str
    pid: int
    rss_bytes: int = 0
    uptime_s: float = 0.0
    connections: int = 0
    batches: int = 0
    requests: int = 0
    rows: int = 0
    failed_requests: int = 0
    compute_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestError:
    """Why one request of a batch has no answer."""

    code: str
    """`model-raised` or `output-broken`."""
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one batch."""

    statuses: bytes
    """Per request 0 = answered, 1 = failed."""
    errors: dict[int, RequestError]
    """By index of the request."""
    rows: int
    """Rows of the answered requests together."""
    columns: tuple[frames.Views, ...]
    """`(data, nulls)` per output of the contract, the answered requests' rows one after another."""
    compute_ns: int
    """What the host spent on the batch."""
    alone: bool
    """The batch failed as a whole, so each request was computed alone."""
    latency_ns: int
    """From sending to the whole answer, as this side saw it."""


def check_socket_path(path: Path) -> None:
    """Say so in words when a path does not fit into a socket's address.

    Raises:
        SocketPathTooLong: it does not.
    """
    length = len(bytes(path))
    if length > LONGEST_SOCKET_PATH:
        raise SocketPathTooLong(
            f"the socket path {path} has {length} bytes; {LONGEST_SOCKET_PATH} are possible",
            path=str(path),
            bytes=length,
        )


class Channel:
    """One connection to one host; a context manager. Calls from several threads take turns.

    Args:
        socket_path: where the host listens.
        timeout_s: how long to wait for the connection and the hello, and for any answer where nothing else is said.

    Raises:
        HostGone: nobody listens there.
        HostTimedOut: no hello came in time.
        HostLoadFailed: the host's model is a program that did not load; the message is the program's.
        ProtocolBroken: what came is no hello of host protocol v1.
        SocketPathTooLong: the path does not fit into an address.
    """

    def __init__(self, socket_path: Path, timeout_s: float = 30.0) -> None:
        check_socket_path(socket_path)
        self._path = socket_path
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._sequence = 0
        self._inbox = b""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(str(socket_path))
            self.hello = self._greeting(time.monotonic() + timeout_s)
            """What the host said of itself."""
        except TimeoutError as error:
            self._socket.close()
            raise HostTimedOut(f"the host at {socket_path} took no connection within {timeout_s} s") from error
        except OSError as error:
            self._socket.close()
            raise HostGone(f"no host listens at {socket_path}: {error}") from error
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """The socket at the other end of which the host listens."""
        return self._path

    def close(self) -> None:
        """End the connection; the host goes on."""
        self._socket.close()

    def predict(
        self, request_rows: Sequence[int], columns: Sequence[frames.Parts], timeout_s: float | None = None
    ) -> Answer:
        """Have a batch computed.

        Args:
            request_rows: rows of each request in the batch.
            columns: `(data, nulls)` per input in the contract's order, as `packaging.columns.Column` holds them.
            timeout_s: how long to wait; the channel's own time when not said.

        Raises:
            TableRefused: the columns are not those of the contract.
            HostTimedOut: no answer in time; the channel can still be used, a late answer is passed over.
            HostGone: the host ended.
        """
        with self._lock:
            begun = time.perf_counter_ns()
            self._sequence += 1
            try:
                buffers = frames.predict_frame(self._sequence, request_rows, columns)
            except frames.FrameError as error:
                raise TableRefused(f"the batch is too large: {error}", host=self.hello.host) from error
            payload = self._ask(frames.ANSWER, buffers, self._sequence, timeout_s)
            latency_ns = time.perf_counter_ns() - begun
        try:
            statuses, compute_ns, errors, rows, found, alone = frames.read_answer(payload)
            said = {
                index: RequestError(code=error["code"], message=error["message"]) for index, error in errors.items()
            }
        except (frames.FrameError, KeyError, TypeError) as error:
            raise ProtocolBroken(f"the answer of the host at {self._path} cannot be read: {error}") from error
        if len(statuses) != len(request_rows):
            raise ProtocolBroken(f"the host answered {len(statuses)} of {len(request_rows)} requests")
        return Answer(
            statuses=statuses,
            errors=said,
            rows=rows,
            columns=tuple(found),
            compute_ns=compute_ns,
            alone=alone,
            latency_ns=latency_ns,
        )

    def health(self, timeout_s: float | None = None) -> Health:
        """How the host is; it answers between two batches."""
        return _document(self._tell(frames.HEALTH, frames.HEALTHY, timeout_s), Health)

    def stop(self, timeout_s: float | None = None) -> Health:
        """Have the host finish what it has received, and end."""
        return _document(self._tell(frames.STOP, frames.STOPPED, timeout_s), Health)

    def _greeting(self, until: float) -> Hello:
        kind, _, payload = self._frame(until)
        if kind == frames.ERROR:
            raise HostLoadFailed(f"the host has no model: {frames.read_json(payload).get('message')}")
        if kind != frames.HELLO:
            raise ProtocolBroken(f"the host at {self._path} began with {frames.KIND_NAMES[kind]}, not with hello")
        hello = _document(payload, Hello)
        if hello.protocol != frames.PROTOCOL:
            raise ProtocolBroken(
                f"the host at {self._path} speaks protocol {hello.protocol}; Muster speaks {frames.PROTOCOL}"
            )
        return hello

    def _tell(self, kind: int, wanted: int, timeout_s: float | None) -> memoryview:
        with self._lock:
            self._sequence += 1
            return self._ask(wanted, [frames.json_frame(kind, {}, self._sequence)], self._sequence, timeout_s)

    def _ask(self, wanted: int, buffers: list[frames.Buffer], sequence: int, timeout_s: float | None) -> memoryview:
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        until = time.monotonic() + limit_s
        try:
            self._send(buffers, limit_s)
            while True:
                kind, of, payload = self._frame(until)
                if of == sequence:
                    break  # anything else answers a question that was given up
        except TimeoutError as error:
            raise HostTimedOut(
                f"the host {self.hello.host} did not answer within {limit_s} s", host=self.hello.host
            ) from error
        except OSError as error:
            raise HostGone(f"the host {self.hello.host} is gone: {error}", host=self.hello.host) from error
        if kind == frames.ERROR:
            said = frames.read_json(payload)
            raise TableRefused(f"the host refused: {said.get('message')}", host=self.hello.host, said=said.get("code"))
        if kind != wanted:
            raise ProtocolBroken(f"the host answered with {frames.KIND_NAMES[kind]}, not {frames.KIND_NAMES[wanted]}")
        return payload

    def _send(self, buffers: list[frames.Buffer], limit_s: float) -> None:
        self._socket.settimeout(limit_s)
        try:
            if sum(map(len, buffers)) < _JOIN_BELOW:
                self._socket.sendall(b"".join(buffers))
                return
            for at in range(0, len(buffers), _BUFFERS_PER_CALL):
                part = buffers[at : at + _BUFFERS_PER_CALL]
                size = sum(map(len, part))
                sent = self._socket.sendmsg(part)
                if sent < size:
                    self._socket.sendall(memoryview(b"".join(part))[sent:])
        except TimeoutError:
            self.close()  # half a frame is on its way, so nothing can follow it
            raise

    def _frame(self, until: float) -> tuple[int, int, memoryview]:
        """(kind, sequence, payload) of the next frame."""
        data = self._inbox or self._receive(until, _READ)
        if len(data) < frames.HEAD_BYTES:
            data = self._fill(data, frames.HEAD_BYTES, until)
        try:
            length, kind, sequence = frames.read_head(data[: frames.HEAD_BYTES])
        except frames.FrameError as error:
            self.close()
            raise ProtocolBroken(f"what came from {self._path} is not host protocol v1: {error}") from error
        end = frames.HEAD_BYTES + length
        if len(data) < end:
            data = self._fill(data, end, until)
        self._inbox = data[end:]
        return kind, sequence, memoryview(data)[frames.HEAD_BYTES : end]

    def _fill(self, begun: bytes, length: int, until: float) -> bytes:
        """At least `length` bytes; what has come is kept when the time is up."""
        gathered = bytearray(begun)
        try:
            while len(gathered) < length:
                gathered += self._receive(until, max(_READ, length - len(gathered)))
        finally:
            self._inbox = bytes(gathered)
        return self._inbox

    def _receive(self, until: float, at_most: int) -> bytes:
        left_s = until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._socket.settimeout(left_s)
        data = self._socket.recv(min(at_most, 1 << 20))
        if not data:
            raise ConnectionResetError("it closed the connection")
        return data


def _document(payload: memoryview, kind: type[_Kind]) -> _Kind:
    try:
        return msgspec.json.decode(payload, type=kind)
    except msgspec.MsgspecError as error:
        raise ProtocolBroken(f"a {kind.__name__.lower()} of the host cannot be read: {error}") from error
