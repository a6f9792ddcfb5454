"""One caller's HTTP/1.1 connection: what it may send and how slowly, and its replies in their order.

Source: RFC 9110 and RFC 9112; the section numbers in the comments are those of RFC 9112.
"""

import asyncio
from collections import deque
from http import HTTPStatus
from time import monotonic
from typing import Protocol, cast

import httptools
import structlog

from muster.serving.front.known_heads import UsualHead, whole_scoring_head
from muster.serving.front.messages import App, Reply, Request, refusal_of, too_large

#: Most bytes of a request line and headers together; more is answered with 431.
MAX_HEAD_BYTES = 64 * 1024
#: Within this time, in seconds, a head that has begun has to be complete.
HEAD_WITHIN_S = 20.0
#: A body has this long, in seconds, and one second more for each so many bytes that have come.
BODY_WITHIN_S = 20.0
BODY_BYTES_PER_S = 64 * 1024
#: How long a connection may be idle, and how long a caller may leave a reply unread, seconds.
IDLE_S = 75.0
UNREAD_S = 30.0
#: Requests that wait behind one that is under way; then the socket is not read further.
MAX_PIPELINED = 16
#: Of a refused body so much is read and thrown away to keep the connection; beyond it the connection is closed.
MAX_SKIPPED_BYTES = 256 * 1024
#: How long what comes behind the last reply is read and thrown away, seconds.
_LINGER_S = 2.0
#: So often a connection may send another head than before until its heads are remembered no more.
MOST_LESSONS = 16

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_EMPTY_LINE = b"\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CLOSE = b"connection: close\r\n"
_KEEP = b"connection: keep-alive\r\n"
#: Of these there is one at most: two would be read differently by different programs.
_ONE_ONLY = frozenset({b"host", b"authorization", b"content-type", b"content-encoding", b"idempotency-key"})
#: What the parser says of a version that it does not know; it has no other name for that.
_UNKNOWN_VERSION = "Invalid HTTP version"
#: Headers that offer another protocol.
_OF_UPGRADES = frozenset({b"upgrade", b"connection", b"http2-settings"})
log = structlog.get_logger()


class Server(Protocol):
    """What the connections of one server share."""

    app: App
    is_stopping: bool
    date: bytes
    """The header Date."""
    too_many: bytes
    """The reply to a request that is refused unread."""

    @property
    def is_flooded(self) -> bool:
        """Whether even those that are told that there are too many connections are too many."""
        ...

    def add(self, connection: "Connection") -> bool:
        """Count a connection; False when there are too many."""
        ...

    def remove(self, connection: "Connection") -> None:
        """The connection is gone."""
        ...

    def heard(self) -> None:
        """Something came."""
        ...

    def refuses(self) -> bool:
        """Whether a request that has just come is to be refused unread, if it can be."""
        ...

    def post(self, connection: "Connection", data: bytes | list[bytes | memoryview], *, keep: bool) -> None:
        """Have a reply leave together with the others of this turn of the loop."""
        ...

    def deliver(self) -> None:
        """Hand every reply that was given to the kernel."""
        ...

    def close_later(self, transport: asyncio.Transport, after_s: float) -> None:
        """Close a transport after a moment."""
        ...


class Connection(asyncio.Protocol):
    """One caller's connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._app = server.app
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._in_head = True
        self._head_bytes = 0
        """Of the head that is being read."""
        self._line_end = b""
        """Up to three bytes that an empty line may begin with, where a piece ended among lines."""
        self._announced_bytes = 0
        """What the body has; -1: it comes in chunks."""
        self._parts: list[bytes] = []
        self._body_bytes = 0
        self._raw_bytes = 0
        """What came since the head, the sizes of chunks, their extensions and the trailers included."""
        self._limit = 0
        self._incoming: Request | None = None
        self._current: Request | None = None
        self._waiting: deque[Request] = deque()
        self._wrong = ""
        self._upgraded = b""
        """The method of a request that offers another protocol and is read once more without that."""
        self._last: Reply | None = None
        """To be sent when what came before is answered; then the connection ends."""
        self._is_paused = False
        self._is_blocked = False
        self._is_beginning = False
        self._is_ending = False
        self._is_over = False
        """The last reply was given; nothing that comes now is asked of us."""
        self._is_cut = False
        """The caller may still be sending when the last reply leaves."""
        self._since = monotonic()
        """When the present phase began: idle, in a head, in a body, unread."""
        self._has_begun = False
        self._usual: UsualHead | None = None
        self._lessons = 0
        self.is_gone = False

    # asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: a caller is there."""
        self._transport = cast("asyncio.Transport", transport)
        if not self._server.add(self):
            if self._server.is_flooded:
                self._transport.abort()
                return
            self._finish(refusal_of(503, "too many connections; try again later", ((b"retry-after", b"1"),)))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Asyncio: the caller is gone; what is under way for it is answered into the void."""
        self.is_gone = True
        self._transport = None
        self._waiting.clear()
        self._server.remove(self)

    def data_received(self, data: bytes) -> None:
        """Asyncio: bytes came."""
        if self._last is not None or self._is_ending or self.is_gone:
            return
        self._server.heard()
        is_free = not self._has_begun and self._current is None and self._in_head and not self._waiting
        if is_free and self._is_settled(data):
            return
        if not self._has_begun:
            self._has_begun = True
            self._since = monotonic()
        self._read(data)
        if is_free and self._lessons < MOST_LESSONS:
            self._learn(data)
        # A chunk of one byte takes six; what goes far beyond that is extensions or trailers without end.
        if not self._in_head and self._raw_bytes > 8 * self._body_bytes + MAX_HEAD_BYTES and self._last is None:
            self._incoming = None
            self._finish(refusal_of(400, "chunk extensions or trailers are too long"))

    def _read(self, data: bytes) -> None:
        """Have the parser read what came, each head and each body by itself.

        The parser does not tell where in a piece a head ends, and the bytes of each head have to be known, wherever it begins.
        """
        size = len(data)
        place = 0
        while place < size and self._last is None:
            if self._in_head:
                end = self._end_of_lines(data, place)
                most = place + MAX_HEAD_BYTES - self._head_bytes
                if end > most:
                    if self._parse(data[place:most]) and self._last is None:
                        told = f"the request line and headers have more than {MAX_HEAD_BYTES} bytes"
                        self._finish(refusal_of(431, told))
                    return
                self._head_bytes += end - place
            else:
                left = self._announced_bytes - self._body_bytes
                end = min(size, place + left) if left > 0 else self._end_of_lines(data, place)
                self._raw_bytes += end - place
            if not self._parse(data[place:end]):
                return
            place = end

    def _end_of_lines(self, data: bytes, place: int) -> int:
        """Where the empty line ends that may be the end of a head or of chunks; the end of the piece where there is none."""
        before = self._line_end
        if before:
            begins = (before + data[place : place + 3]).find(_EMPTY_LINE)
            if begins >= 0:
                self._line_end = b""
                return place + begins + 4 - len(before)
        begins = data.find(_EMPTY_LINE, place)
        if begins >= 0:
            self._line_end = b""
            return begins + 4
        # What an empty line that is cut in two begins with.
        self._line_end = (before + data[max(place, len(data) - 3) :])[-3:]
        return len(data)

    def _parse(self, piece: bytes) -> bool:
        """Give the parser a piece; False: nothing can be read after it."""
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            if not self._upgraded:  # CONNECT: what follows would be a tunnel's
                return False
            self._go_on_without_upgrade()
        except httptools.HttpParserError as error:
            self._broken(error)
            return False
        return True

    def _is_settled(self, data: bytes) -> bool:
        """Deal with a whole request that need not be parsed; False where the parser has to see it.

        In a storm most of what a front does is to refuse. Reading a request first costs several times as much as that, and takes the
        time from those that are answered.
        """
        usual = self._usual
        found = None if usual is None or self._is_blocked else usual.body_of(data)
        if self._server.refuses() and (found is not None or whole_scoring_head(data) is not None):
            self._since = monotonic()
            self._app.turned_away()
            self._server.post(self, self._server.too_many, keep=True)
            return True
        if usual is None or found is None:
            return False
        self._take(usual.target, *found)
        return True

    def _take(self, target: bytes, headers: dict[bytes, bytes], body: bytes) -> None:
        """A whole request with a head that is known: what `on_headers_complete` and what follows it do, in short."""
        request = Request(self, b"POST", target, headers, keep_alive=True)
        request.body = body
        request.arrived_at = self._since = monotonic()
        self._current = request
        expected = self._app.expect(request)
        if not isinstance(expected, int):
            request.reply(expected)
        elif len(body) > expected:
            request.reply(too_large(f"the body has {len(body)} bytes; the limit is {expected}"))
        else:
            self._app.answer(request)

    def _learn(self, data: bytes) -> None:
        """Remember the head of a request that came as a whole and that was found to be right."""
        headers = self._headers
        if not self._in_head or self._has_begun or self._wrong or self._last is not None or b"host" not in headers:
            return
        head = whole_scoring_head(data)
        if head is not None:
            self._lessons += 1
            self._usual = UsualHead(data, head, self._target, headers)

    def _go_on_without_upgrade(self) -> None:
        """Read the head once more as if it had not offered another protocol, for none is spoken here.

        The parser believes that what follows such a head is the other protocol's; where a caller merely offers HTTP/2, as
        Java's does by itself, it is the body.
        """
        kept = [(name, value) for name, value in self._headers.items() if name not in _OF_UPGRADES]
        if b"close" in self._headers.get(b"connection", b"").lower():
            kept.append((b"connection", b"close"))
        head = b"%b %b HTTP/1.1\r\n%b\r\n" % (
            self._upgraded, self._target, b"".join([b"%b: %b\r\n" % header for header in kept])
        )  # fmt: skip
        self._parser = httptools.HttpRequestParser(self)
        self._parse(head)

    def eof_received(self) -> bool:
        """Asyncio: the caller sends nothing more; it may still read what it asked for."""
        if self._current is None and not self._waiting:
            self._server.deliver()
            return False
        self._close_after_replies()
        return True

    def pause_writing(self) -> None:
        """Asyncio: the caller does not read what it is sent."""
        self._is_blocked = True
        self._since = monotonic()
        self._pause()

    def resume_writing(self) -> None:
        """Asyncio: it reads again."""
        self._is_blocked = False
        self._since = monotonic()
        self._next()

    # llhttp.

    def on_message_begin(self) -> None:
        """A request begins."""
        self._target = b""
        self._headers = {}
        self._wrong = ""
        # Also where the head begins behind another request in the same piece: the rest of it is never a request of its own.
        self._has_begun = True
        self._since = monotonic()

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, of which none means anything here."""
        if not self._in_head:
            return
        name = name.lower()
        headers = self._headers
        if name in headers:
            if name in _ONE_ONLY:
                self._wrong = f"the header {name.decode('latin-1')} is there twice"
            headers[name] += b", " + value
        else:
            headers[name] = value

    def on_headers_complete(self) -> None:
        """The head is whole."""
        parser = self._parser
        headers = self._headers
        if self._last is not None:  # behind a refusal that ends the connection nothing is read any more
            return
        method = parser.get_method()
        self._raw_bytes = 0
        offers = b"upgrade" in headers and parser.should_upgrade() and method != b"CONNECT" and not self._wrong
        self._upgraded = method if offers else b""
        if self._upgraded:
            return
        self._in_head = False
        self._head_bytes = 0
        self._announced_bytes = -1 if b"transfer-encoding" in headers else int(headers.get(b"content-length", b"0"))
        self._parts = []
        self._body_bytes = 0
        keep_alive = parser.should_keep_alive() and b"upgrade" not in headers and method != b"CONNECT"
        request = Request(self, method, self._target, headers, keep_alive=keep_alive)
        self._incoming = request
        version = parser.get_http_version()
        request.is_old = version == "1.0"
        refusal = self._head_refusal(version, headers)
        if refusal is not None:  # where its body ends is not certain, so nothing after it is read
            request.keep_alive = False
            self._refuse(request, refusal)
            return
        expected = self._app.expect(request)
        if isinstance(expected, int):
            self._limit = expected
            refusal = self._body_refusal(request, expected, version)
        else:
            refusal = expected
        if refusal is not None:
            self._refuse(request, refusal)

    def _head_refusal(self, version: str, headers: dict[bytes, bytes]) -> Reply | None:
        """What is wrong with a head, whatever it asks for."""
        if version not in {"1.1", "1.0"}:
            return refusal_of(505, f"HTTP {version} is not spoken here; HTTP/1.1 is")
        if self._wrong:
            return refusal_of(400, self._wrong)
        if version == "1.1" and b"host" not in headers:  # section 3.2
            return refusal_of(400, "the header Host is missing")
        coding = headers.get(b"transfer-encoding")
        if coding is not None and version == "1.0":  # section 6.1
            return refusal_of(400, "HTTP/1.0 has no transfer codings")
        if coding is not None and coding.lower() != b"chunked":  # section 7
            return refusal_of(501, "the only transfer coding that is understood is chunked")
        return None

    def _body_refusal(self, request: Request, limit: int, version: str) -> Reply | None:
        """What is wrong with the body that is announced; tells a caller who waits for it to go on."""
        length = request.headers.get(b"content-length")
        if length is not None and int(length) > limit:
            return too_large(f"the body has {int(length)} bytes; the limit is {limit}")
        expectation = request.headers.get(b"expect")
        if expectation is None:
            return None
        if expectation.lower() != b"100-continue":
            return refusal_of(417, "the only expectation that can be met is 100-continue")
        if self._current is None and self._transport is not None and version == "1.1":
            self._transport.write(_CONTINUE)
        return None

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        request = self._incoming
        if request is None:
            return
        self._body_bytes += len(data)
        if request.refusal is not None:
            if self._body_bytes > MAX_SKIPPED_BYTES:
                self._answer_now(request)
        elif self._body_bytes > self._limit:
            self._refuse(request, too_large(f"the body has more than {self._limit} bytes"))
        else:
            self._parts.append(data)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._upgraded:
            return
        self._in_head = True
        self._has_begun = False
        request, self._incoming = self._incoming, None
        if request is None:
            return
        parts = self._parts
        request.body = parts[0] if len(parts) == 1 else b"".join(parts)
        self._parts = []
        request.arrived_at = self._since = monotonic()
        self._waiting.append(request)
        if not request.keep_alive or len(self._waiting) > MAX_PIPELINED:
            self._pause()
        if self._current is None:
            self._next()

    # Replies, in the order of the requests.

    def send(self, request: Request, reply: Reply, *, without_body: bool) -> None:
        """Send the reply to the request that is under way."""
        transport = self._transport
        if transport is None or request is not self._current:
            return
        self._current = None
        self._since = monotonic()
        body = reply.body
        size = len(body) if isinstance(body, bytes) else sum(map(len, body))
        keep = request.keep_alive and not self._server.is_stopping
        self._is_over = not keep
        head = b"%bcontent-type: %b\r\ncontent-length: %d\r\n%b%b%b\r\n" % (
            _STATUS_LINES[reply.status],
            reply.content_type,
            size,
            self._server.date,
            b"".join([b"%b: %b\r\n" % header for header in reply.headers]) if reply.headers else b"",
            (_KEEP if request.is_old else b"") if keep else _CLOSE,
        )
        if without_body:
            self._server.post(self, head, keep=keep)
        elif isinstance(body, bytes):
            self._server.post(self, head + body, keep=keep)
        else:
            self._server.post(self, [head, *body], keep=keep)
        if keep and (self._waiting or self._last is not None or self._is_paused):
            self._next()

    def write(self, data: bytes | list[bytes | memoryview], *, keep: bool) -> None:
        """Hand a reply to the kernel, and end the connection if it was the last; never raises."""
        transport = self._transport
        if transport is None:
            return
        try:
            if isinstance(data, bytes):
                transport.write(data)
            else:
                transport.writelines(data)
            if not keep:
                self._hang_up()
        except Exception:  # other callers' replies are about to leave
            log.exception("reply.failed")
            transport.abort()

    def _next(self) -> None:
        """Begin the requests that wait, one after another; some are answered at once, so this must not go deeper and deeper."""
        if self._is_beginning:
            return
        self._is_beginning = True
        try:
            while self._waiting and self._current is None and not self._is_blocked:
                request = self._current = self._waiting.popleft()
                if request.refusal is not None:
                    request.reply(request.refusal)
                else:
                    self._app.answer(request)
        finally:
            self._is_beginning = False
        if self._current is None and not self._waiting and self._last is not None:
            self._say_last()
        if self._is_paused and not self._is_blocked and len(self._waiting) <= MAX_PIPELINED and self._last is None:
            self._is_paused = False
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    # Refusals and ends.

    def _refuse(self, request: Request, reply: Reply) -> None:
        """Answer with this once the body has passed by; at once, and with the end of the connection, if that is too much."""
        request.refusal = reply
        self._parts = []
        length = request.headers.get(b"content-length")
        if (
            not request.keep_alive
            or b"expect" in request.headers
            or (length is not None and int(length) > MAX_SKIPPED_BYTES)
        ):
            self._answer_now(request)

    def _answer_now(self, request: Request) -> None:
        assert request.refusal is not None
        self._incoming = None
        self._finish(request.refusal)

    def _broken(self, error: Exception) -> None:
        """What came is not HTTP. What was asked before it is still answered."""
        if self._is_over or self._last is not None or (self._current is not None and not self._current.keep_alive):
            return
        self._incoming = None
        if isinstance(error, httptools.HttpParserInvalidMethodError):
            self._finish(refusal_of(501, "the request method is unknown"))
        elif _UNKNOWN_VERSION in str(error):
            self._finish(refusal_of(505, "this version of HTTP is not spoken here; HTTP/1.1 is"))
        else:
            self._finish(refusal_of(400, f"this is not HTTP/1.1: {error}"))

    def _finish(self, reply: Reply) -> None:
        """Read nothing more; send this after the replies that are due, then close."""
        self._pause()
        self._is_cut = True
        self._last = reply
        if self._current is None and not self._waiting:
            self._say_last()

    def _say_last(self) -> None:
        reply, transport = self._last, self._transport
        if reply is None or transport is None or transport.is_closing():
            return
        self._current = ending = Request(self, b"POST", b"", {}, keep_alive=False)
        self.send(ending, reply, without_body=False)

    def _hang_up(self) -> None:
        """Close once everything is sent.

        Section 9.6: a caller that is still sending would lose the reply to a reset, so what it sends is read and thrown away
        for a moment.
        """
        transport = self._transport
        if transport is None:
            return
        self._is_ending = True
        if not self._is_cut or not transport.can_write_eof():
            transport.close()
            return
        transport.write_eof()
        transport.resume_reading()
        self._server.close_later(transport, _LINGER_S)

    def _close_after_replies(self) -> None:
        """Make the last of the requests that are here the last of the connection."""
        last = self._waiting[-1] if self._waiting else self._current
        if last is not None:
            last.keep_alive = False

    def _pause(self) -> None:
        if not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    @property
    def peer(self) -> str | None:
        """The caller's address."""
        name = None if self._transport is None else self._transport.get_extra_info("peername")
        return str(name[0]) if isinstance(name, tuple) else None

    # Called by the server.

    def sweep(self, now: float) -> None:
        """End the connection if the caller has been too slow."""
        transport = self._transport
        if transport is None:
            return
        waited = now - self._since
        if self._is_blocked:
            if waited > UNREAD_S:
                transport.abort()
        elif self._current is not None or self._waiting or self._last is not None:
            return
        elif not self._has_begun:
            if waited > IDLE_S:
                # What is still unsent after this time nobody reads.
                (transport.abort if transport.is_closing() else transport.close)()
        elif self._in_head:
            if waited > HEAD_WITHIN_S:
                self._finish(refusal_of(408, f"the head of the request was not there within {HEAD_WITHIN_S:g} s"))
        elif waited > BODY_WITHIN_S + self._body_bytes / BODY_BYTES_PER_S:
            self._incoming = None
            self._finish(refusal_of(408, "the body came too slowly"))

    def end(self) -> None:
        """The server stops: close when what is under way is answered."""
        if self._transport is None:
            return
        if self._current is None and not self._waiting:
            if not self._has_begun:
                self._transport.close()
        else:
            self._close_after_replies()

    def abort(self) -> None:
        """Close now."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def is_busy(self) -> bool:
        """Whether an answer is due."""
        return self._current is not None or bool(self._waiting)
