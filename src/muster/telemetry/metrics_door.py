"""Where a process answers `GET /metrics`: a Unix socket of the home, and a TCP port where the settings name one.

It runs on the process's own event loop, or on a loop in a thread of its own in processes that have none. It knows one address and
one method, reads no body, closes after each answer, and never keeps a process from starting or going on.
"""

import asyncio
import contextlib
import hmac
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import structlog

from muster.telemetry.exposition import CONTENT_TYPE

PATH = "/metrics"
_HEAD_BYTES = 8192
_WITHIN_S = 5.0
_MOST_AT_ONCE = 16
_OPEN_WITHIN_S = 5.0
#: Headers in which a proxy says for whom it asks; besides those that begin with `x-forwarded-`.
_OF_PROXIES = frozenset({b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"x-original-host"})
log = structlog.get_logger()

#: The text of all metrics of the process.
Render = Callable[[], bytes]
#: What those are told who may not read.
FOR_WHOM = (
    "metrics are for callers on this machine, not through a proxy, or with the token of the setting metrics.token"
)
_MayRead = Callable[[Mapping[bytes, bytes]], bool]


def may_read(token: str, peer: str | None, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a caller may read metrics over TCP.

    With a token in the settings, whoever sends it; without one, callers of this machine who ask for themselves.

    Args:
        token: the setting `metrics.token`; may be empty.
        peer: the caller's address; None where it has none.
        headers: of the request, by lower-case name.
    """
    if token:
        return _has_token(token, headers.get(b"authorization"))
    return peer is not None and _is_this_machine(peer) and not _comes_through_a_proxy(headers)


def _comes_through_a_proxy(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a caller of this machine seems to ask for one of another.

    A proxy tells in a header for whom it asks, or leaves the name by which it was asked itself. One that does neither cannot be told
    from a caller of this machine.
    """
    if any(name in _OF_PROXIES or name.startswith(b"x-forwarded-") for name in headers):
        return True
    host = headers.get(b"host", b"localhost").decode("latin-1").strip().lower()
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name != "localhost" and not _is_this_machine(name)


def _is_this_machine(address: str) -> bool:
    try:
        return ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsAddress:
    """Where a process shows its metrics."""

    socket: Path
    """For whoever may enter the home's folder of sockets: this user."""
    host: str = "127.0.0.1"
    port: int = 0
    """0: none."""
    token: str = ""
    """What callers of the port have to send; empty: those of this machine need none, and others get nothing."""

    @property
    def url(self) -> str:
        """The port's address; empty where there is none."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}{PATH}" if self.port else ""


class MetricsDoor:
    """Answers at the addresses of one process.

    Args:
        address: where.
        render: called for each answer.
    """

    def __init__(self, address: MetricsAddress, render: Render) -> None:
        self._address = address
        self._render = render
        self._servers: list[asyncio.Server] = []
        self._open = 0

    async def open(self) -> None:
        """Begin to answer. An address that cannot be had is logged and left out."""
        address = self._address
        with contextlib.suppress(OSError):
            address.socket.unlink(missing_ok=True)
        try:
            self._servers.append(
                await asyncio.start_unix_server(self._meet_neighbour, str(address.socket), limit=_HEAD_BYTES)
            )
            address.socket.chmod(0o600)
        except OSError as error:
            log.warning("metrics.not_shown", socket=str(address.socket), error=str(error))
        if not address.port:
            return
        try:
            self._servers.append(
                await asyncio.start_server(self._meet_stranger, address.host, address.port, limit=_HEAD_BYTES)
            )
        except OSError as error:
            log.warning("metrics.not_shown", host=address.host, port=address.port, error=str(error))

    async def close(self) -> None:
        """Answer no more."""
        for server in self._servers:
            server.close()
        with contextlib.suppress(OSError):
            self._address.socket.unlink(missing_ok=True)

    async def _meet_neighbour(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._meet(reader, writer, lambda _: True)

    async def _meet_stranger(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = writer.get_extra_info("peername")
        peer = str(name[0]) if isinstance(name, tuple) else None
        await self._meet(reader, writer, lambda headers: may_read(self._address.token, peer, headers))

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, may_read: _MayRead) -> None:
        self._open += 1
        try:
            if self._open > _MOST_AT_ONCE:
                return
            async with asyncio.timeout(_WITHIN_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head, may_read))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asks for metrics asks again
        finally:
            self._open -= 1
            writer.close()

    def _answer(self, head: bytes, may_read: _MayRead) -> bytes:
        line, *rest_of_head = head.split(b"\r\n")
        method, _, rest = line.partition(b" ")
        target = rest.partition(b" ")[0].partition(b"?")[0]
        parts = (header.partition(b":") for header in rest_of_head)
        headers = {name.strip().lower(): value.strip() for name, _, value in parts if name}
        if target != PATH.encode():
            return _reply("404 Not Found", b"see /metrics\n")
        if method not in {b"GET", b"HEAD"}:
            return _reply("405 Method Not Allowed", b"", "allow: GET, HEAD\r\n")
        if not may_read(headers):
            return _reply("401 Unauthorized", FOR_WHOM.encode() + b"\n", "www-authenticate: Bearer\r\n")
        try:
            body = self._render()
        except Exception:  # a mistake in a gauge must not end what it looks at
            log.exception("metrics.not_rendered")
            return _reply("500 Internal Server Error", b"see the log\n")
        return _reply("200 OK", body, kind=CONTENT_TYPE, is_head=method == b"HEAD")


@contextlib.contextmanager
def shown_in_thread(address: MetricsAddress, render: Render) -> Iterator[None]:
    """Show metrics from a thread while the block runs, in a process without an event loop."""
    ended = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []
    opened = threading.Event()

    async def show() -> None:
        loops.append(asyncio.get_running_loop())
        door = MetricsDoor(address, render)
        await door.open()
        opened.set()
        await ended.wait()
        await door.close()

    thread = threading.Thread(target=lambda: asyncio.run(show()), name="metrics", daemon=True)
    thread.start()
    opened.wait(_OPEN_WITHIN_S)
    try:
        yield
    finally:
        if loops:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                loops[0].call_soon_threadsafe(ended.set)
        thread.join(_OPEN_WITHIN_S)


def _has_token(token: str, authorization: bytes | None) -> bool:
    scheme, _, given = (authorization or b"").partition(b" ")
    return scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), token.encode())


def _reply(
    status: str, body: bytes, more: str = "", *, kind: str = "text/plain; charset=utf-8", is_head: bool = False
) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n{more}\r\n"
    )
    return head.encode() + (b"" if is_head else body)
