"""Where a process answers `GET /metrics`: a Unix socket of the home, and a TCP port where the settings name one.

It runs on the process's own event loop, or on a loop in a thread of its own in processes that have none. It knows one address and
one method, reads no body, closes after each answer, and never keeps a process from starting or going on.
"""

import asyncio
import contextlib
import hmac
import threading
from collections.abc import Callable, Iterator
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
log = structlog.get_logger()

#: The text of all metrics of the process.
Render = Callable[[], bytes]


def may_read(token: str, peer: str | None, authorization: bytes | None) -> bool:
    """Whether a caller may read metrics at a port that is there for others, too.

    With a token in the settings, whoever sends it; without one, callers of this machine.

    Args:
        token: the setting `metrics.token`; may be empty.
        peer: the caller's address; None where it has none.
        authorization: the header of that name.
    """
    if token:
        return _has_token(token, authorization)
    try:
        return peer is not None and ip_address(peer.partition("%")[0]).is_loopback
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
    """What callers of the port have to send; empty: nothing."""

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
        await self._meet(reader, writer, "")

    async def _meet_stranger(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._meet(reader, writer, self._address.token)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
        self._open += 1
        try:
            if self._open > _MOST_AT_ONCE:
                return
            async with asyncio.timeout(_WITHIN_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head, token))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asks for metrics asks again
        finally:
            self._open -= 1
            writer.close()

    def _answer(self, head: bytes, token: str) -> bytes:
        line, *headers = head.split(b"\r\n")
        method, _, rest = line.partition(b" ")
        target = rest.partition(b" ")[0].partition(b"?")[0]
        authorization = next(
            (value.strip() for name, _, value in (header.partition(b":") for header in headers)
             if name.strip().lower() == b"authorization"), None,
        )  # fmt: skip
        if target != PATH.encode():
            return _reply("404 Not Found", b"see /metrics\n")
        if method not in {b"GET", b"HEAD"}:
            return _reply("405 Method Not Allowed", b"", "allow: GET, HEAD\r\n")
        if token and not _has_token(token, authorization):
            return _reply("401 Unauthorized", b"the token of the metrics is missing\n", "www-authenticate: Bearer\r\n")
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
