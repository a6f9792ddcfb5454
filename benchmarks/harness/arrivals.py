"""The open-loop generator: requests leave when they are due, whether or not the earlier ones were answered.

A process of its own, so that neither the harness nor another load shares its interpreter:

    python benchmarks/harness/arrivals.py ORDER.json RESULT.npz

Arrivals are Poisson. A request has its moment, fixed before the run; what it took is counted from that moment, so a server that
stands still is charged for every request that would have come meanwhile (no coordinated omission). A generator can itself be
late, and on a small machine it is: therefore each request also keeps when it was sent, and each reply when the kernel had it
(SO_TIMESTAMPNS), so that the server's own part can be told from the generator's.

Plain sockets and epoll rather than an event loop: about 20 µs of processor time per request. The waits are as fine as the kernel's
timers, because epoll is itself waited for with select, which takes fractions of a millisecond.
"""

import ctypes
import gc
import json
import os
import resource
import select
import socket
import struct
import sys
import time
from array import array
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

NO_ANSWER = 0
BROKEN = -1
_PR_SET_TIMERSLACK = 29
#: Of asm-generic/socket.h; Python has no name for it.
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("qq")
_ROOM = 65536
_ANCILLARY = 64
#: Sends in a row before replies are read again.
_SENDS = 32


class Connection:
    """One connection and the request that is out on it."""

    __slots__ = ("is_connected", "parts", "request", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.request = -1
        self.parts = b""
        self.is_connected = False


class Generator:
    """Sends one schedule and keeps what came of it.

    Args:
        order: what to send where; see `harness.open_loop`, which writes it.
    """

    def __init__(self, order: dict[str, Any]) -> None:
        self._address = (order["host"], order["port"])
        self._requests = [text.encode("latin-1") for text in order["requests"]]
        self._most = order["connections"]
        self._give_up_s = order["give_up_s"]
        self._label = order["label"].encode()
        count = max(1, round(order["rate"] * order["seconds"]))
        gaps = np.random.default_rng(order["seed"]).exponential(1 / order["rate"], count)
        self.due = array("d", np.cumsum(gaps).tobytes())
        self.considered, self.sent, self.arrived, self.done = (array("d", bytes(8 * count)) for _ in range(4))
        self.status = array("h", bytes(2 * count))
        self.label = array("B", bytes(count))
        self.labels: dict[bytes, int] = {b"": 0}
        self._epoll = select.epoll()
        self._open: dict[int, Connection] = {}
        self._free: deque[Connection] = deque()
        self._waiting: deque[int] = deque()
        self._out = 0
        self.refused_connections = 0
        for _ in range(order["connections_at_start"]):
            self._connect()

    def run(self) -> float:
        """Send everything, wait for the answers; the moment that the schedule began."""
        self._settle(until=time.time() + 0.2)
        count, due = len(self.due), self.due
        began = time.time() + 0.02
        for index in range(count):
            due[index] += began
        at = 0
        give_up_at = due[-1] + self._give_up_s
        while True:
            now = time.time()
            last = min(count, at + _SENDS)
            while at < last and due[at] <= now:
                self._send(at, now)
                at += 1
                now = time.time()
            if at == count:
                if (self._out == 0 and not self._waiting) or now > give_up_at:
                    return began
                wait_s = 0.05
            else:
                wait_s = due[at] - now
            if wait_s > 0:
                select.select([self._epoll], [], [], wait_s)
            self._receive()

    def _settle(self, *, until: float) -> None:
        while (left_s := until - time.time()) > 0:
            select.select([self._epoll], [], [], left_s)
            self._receive()

    def _connect(self) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sock.connect_ex(self._address)
        self._open[sock.fileno()] = Connection(sock)
        self._epoll.register(sock.fileno(), select.EPOLLOUT)

    def _send(self, index: int, now: float) -> None:
        self.considered[index] = now
        while self._free:
            connection = self._free.popleft()
            if connection.sock.fileno() >= 0:
                self._send_on(connection, index)
                return
        if len(self._open) < self._most:
            self._connect()
        self._waiting.append(index)

    def _send_on(self, connection: Connection, index: int) -> None:
        request = self._requests[index % len(self._requests)]
        connection.request = index
        self._out += 1
        self.sent[index] = time.time()
        try:
            if connection.sock.send(request) != len(request):
                self._close(connection)
        except OSError:
            self._close(connection)

    def _receive(self) -> None:
        for number, happened in self._epoll.poll(0):
            connection = self._open.get(number)
            if connection is None:
                continue
            if not connection.is_connected:
                self._connected(connection, happened)
                continue
            try:
                data, ancillary, _, _ = connection.sock.recvmsg(_ROOM, _ANCILLARY)
            except BlockingIOError:
                continue
            except OSError:
                self._close(connection)
                continue
            if not data:
                self._close(connection)
                continue
            if connection.request >= 0:
                self._read(connection, data, ancillary)

    def _connected(self, connection: Connection, happened: int) -> None:
        if happened & (select.EPOLLERR | select.EPOLLHUP):
            self.refused_connections += 1
            if self._waiting:  # whoever it was opened for has met a closed door
                index = self._waiting.popleft()
                self.status[index] = BROKEN
                self.sent[index] = self.done[index] = self.arrived[index] = time.time()
            self._close(connection)
            return
        connection.is_connected = True
        self._epoll.modify(connection.sock.fileno(), select.EPOLLIN)
        self._next(connection)

    def _read(self, connection: Connection, data: bytes, ancillary: list[tuple[int, int, bytes]]) -> None:
        if connection.parts:
            data = connection.parts + data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            connection.parts = data
            return
        at = data.find(b"ontent-", 0, end)  # content-length comes in either case, content-type before or after it
        while at >= 0 and data[at + 7 : at + 14].lower() != b"length:":
            at = data.find(b"ontent-", at + 7, end)
        length = int(data[at + 14 : data.find(b"\r\n", at)]) if at >= 0 else 0
        if len(data) < end + 4 + length:
            connection.parts = data
            return
        connection.parts = b""
        index = connection.request
        connection.request = -1
        self._out -= 1
        self.done[index] = now = time.time()
        self.arrived[index] = now
        for level, kind, value in ancillary:
            if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                seconds, nanoseconds = _TIMESPEC.unpack(value[:16])
                self.arrived[index] = seconds + nanoseconds / 1e9
        self.status[index] = int(data[9:12])
        if self._label:
            at = data.find(self._label, end)
            if at >= 0:
                at += len(self._label)
                label = data[at : data.find(b'"', at)]
                self.label[index] = self.labels.setdefault(label, len(self.labels))
        if b"\r\nconnection: close" in data[:end].lower():
            self._close(connection)
        else:
            self._next(connection)

    def _next(self, connection: Connection) -> None:
        if self._waiting:
            self._send_on(connection, self._waiting.popleft())
        else:
            self._free.append(connection)

    def _close(self, connection: Connection) -> None:
        """Forget a connection; a request that was out on it has failed."""
        if (index := connection.request) >= 0:
            connection.request = -1
            self._out -= 1
            self.status[index] = BROKEN
            self.done[index] = self.arrived[index] = time.time()
        number = connection.sock.fileno()
        if number >= 0:
            self._open.pop(number, None)
            connection.sock.close()
        if self._waiting and len(self._open) < self._most and len(self._waiting) > self._connecting():
            self._connect()

    def _connecting(self) -> int:
        return sum(not connection.is_connected for connection in self._open.values())


def main(order_file: str, result_file: str) -> None:
    """Run one order."""
    order = json.loads(Path(order_file).read_text())
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1000, 0, 0, 0)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if order["niceness"]:
        try:
            os.nice(order["niceness"])
        except PermissionError:
            print("no right to a higher priority; the generator runs at the ordinary one", file=sys.stderr)
    generator = Generator(order)
    gc.collect()
    gc.disable()
    began = generator.run()
    used = resource.getrusage(resource.RUSAGE_SELF)
    np.savez(
        result_file,
        began=began,
        due=np.frombuffer(generator.due),
        considered=np.frombuffer(generator.considered),
        sent=np.frombuffer(generator.sent),
        arrived=np.frombuffer(generator.arrived),
        done=np.frombuffer(generator.done),
        status=np.frombuffer(generator.status, dtype=np.int16),
        label=np.frombuffer(generator.label, dtype=np.uint8),
        labels=np.array([label.decode() for label in generator.labels]),
        processor_s=used.ru_utime + used.ru_stime,
        refused_connections=generator.refused_connections,
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
