"""HTTP by hand, byte by byte: what no client would send, and what came back for it."""

import contextlib
import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Response:
    """One response as it came."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        return next((value for key, value in self.headers if key == name), None)

    def json(self) -> Any:
        """The body's document."""
        return json.loads(self.body)


class Conversation:
    """One connection; nothing is sent or read but what the test says."""

    def __init__(self, url: str, *, within_s: float = 20.0, read_buffer: int | None = None) -> None:
        place = urlsplit(url)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if read_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, read_buffer)
        self._within_s = within_s
        self._socket.settimeout(within_s)
        self._socket.connect((place.hostname, place.port))
        self._read = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, *parts: bytes) -> None:
        """Send bytes; a peer that has closed already is no error here."""
        for part in parts:
            try:
                self._socket.sendall(part)
            except (BrokenPipeError, ConnectionResetError):
                return

    def flood(self, part: bytes, *, most: int) -> int:
        """Send the same bytes again and again until the peer takes no more for a second, or closes; how many went out."""
        self._socket.settimeout(1.0)
        sent = 0
        with contextlib.suppress(TimeoutError, BrokenPipeError, ConnectionResetError):
            while sent < most:
                sent += self._socket.send(memoryview(part)[sent % len(part) :])
        self._socket.settimeout(self._within_s)
        return sent

    def end_sending(self) -> None:
        """Say that nothing more will come."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def response(self, *, has_body: bool = True) -> Response:
        """The next response; fails when the connection ends before it is whole."""
        found = self._next(has_body=has_body)
        assert found is not None, f"the connection ended: {self._read!r}"
        return found

    def responses(self) -> list[Response]:
        """Every response until the peer closes; fails when it does not."""
        found = []
        while (response := self._next()) is not None:
            found.append(response)
        assert not self._read, f"the connection ended within a response: {self._read!r}"
        return found

    def is_open(self) -> bool:
        """Whether the connection still serves: a question of its own is answered."""
        self.send(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        found = self._next()
        return found is not None and found.status == 200

    def _next(self, *, has_body: bool = True) -> Response | None:
        while b"\r\n\r\n" not in self._read:
            if not self._receive():
                return None
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        status = int(first.split()[1])
        length = next((int(value) for name, value in headers if name == "content-length"), 0)
        if not has_body or status < 200:
            length = 0
        while len(self._read) < length:
            if not self._receive():
                return None
        body, self._read = self._read[:length], self._read[length:]
        return Response(status, headers, body)

    def _receive(self) -> bool:
        try:
            data = self._socket.recv(65536)
        except ConnectionResetError:  # it closed with bytes of ours unread, as it may
            return False
        self._read += data
        return bool(data)


def request(
    method: str,
    target: str,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    *,
    version: str = "HTTP/1.1",
    length: bool = True,
) -> bytes:
    """A request that is as it should be, unless the headers say otherwise."""
    lines = [f"{method} {target} {version}", "Host: x", *(f"{name}: {value}" for name, value in headers)]
    if body and length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
