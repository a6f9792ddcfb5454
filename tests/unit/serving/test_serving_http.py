"""The HTTP server of the scoring door, over real sockets, beside uvicorn where that is the measure."""

import asyncio
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.serving.front import connection as connections
from muster.serving.front import http, known_heads
from muster.serving.front.http import HttpServer
from muster.serving.front.messages import Reply, Request

LIMIT = 1000
Answers = list[tuple[int, dict[str, str], bytes]]


class Echo:
    """Answers with method, target and body; `/later` after a turn of the loop, `/refused` not at all."""

    is_overloaded = False
    refused_unread = 0

    def turned_away(self) -> None:
        self.refused_unread += 1

    def expect(self, request: Request) -> int | Reply:
        return Reply(403, b'{"error":"no"}') if request.target == b"/refused" else LIMIT

    def answer(self, request: Request) -> None:
        reply = Reply(200, b"%b %b %b" % (request.method, request.target, request.body), content_type=b"text/plain")
        if request.target.startswith(b"/later"):
            asyncio.get_running_loop().call_later(0.02, request.reply, reply)
        else:
            request.reply(reply)


async def echo_asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    content = b"%b %b %b" % (method.encode(), target, body)
    headers = [(b"content-length", b"%d" % len(content)), (b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def exchange(address: Any, pieces: list[bytes], quiet_s: float = 0.3) -> tuple[bytes, bool]:
    """What comes back for the pieces, and whether the server hung up."""
    reader, writer = await asyncio.open_connection(*address)
    got, closed = b"", False
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        while True:
            part = await asyncio.wait_for(reader.read(65536), quiet_s)
            if not part:
                closed = True
                break
            got += part
    except TimeoutError:
        pass
    except ConnectionError:
        closed = True
    finally:
        writer.close()
    return got, closed


async def with_ours(play: Callable[[Any, HttpServer], Awaitable[Any]]) -> Any:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.setblocking(False)
    server = HttpServer(Echo())
    await server.start(listener)
    try:
        return await play(listener.getsockname(), server)
    finally:
        await server.stop(1)
        listener.close()


def ours(pieces: list[bytes], quiet_s: float = 0.3) -> tuple[bytes, bool]:
    got: tuple[bytes, bool] = asyncio.run(with_ours(lambda address, _: exchange(address, pieces, quiet_s)))
    return got


async def _uvicorns(pieces: list[bytes]) -> tuple[bytes, bool]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(echo_asgi, http="httptools", lifespan="off", log_config=None, ws="none")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        return await exchange(listener.getsockname(), pieces)
    finally:
        server.should_exit = True
        await serving
        listener.close()


def parsed(raw: bytes, heads: int = 0) -> Answers:
    """The answers in a stream; the first `heads` have no body, being answers to HEAD."""
    answers: Answers = []
    while raw:
        head, _, raw = raw.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        status = int(lines[0].split()[1])
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        length = 0 if status == 100 or len(answers) < heads else int(headers["content-length"])
        answers.append((status, headers, raw[:length]))
        raw = raw[length:]
    return answers


GOOD = {
    "get": b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n",
    "get with query": b"GET /a?b=c%20d HTTP/1.1\r\nHost: x\r\n\r\n",
    "post": b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
    "post empty": b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    "chunked": b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    "chunked with trailer": (
        b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n0\r\nT: r\r\n\r\n"
    ),
    "close": b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "old": b"GET /a HTTP/1.0\r\n\r\n",
    "old keep-alive": b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "header case and spaces": b"POST /a HTTP/1.1\r\nhOsT:x\r\ncontent-LENGTH:   2  \r\n\r\nok",
    "two in a row": b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n" * 2,
    "many in a row": b"POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1" * 40,
    "leading newline": b"\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n",
    "put": b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1",
    "asks for another protocol": b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
}


@pytest.mark.parametrize("name", GOOD)
def test_what_is_right_is_answered_as_uvicorn_answers_it(name: str) -> None:
    """Status and body of every answer, and their order, are the same; so is hanging up."""
    mine, closed = ours([GOOD[name]])
    theirs, they_closed = asyncio.run(_uvicorns([GOOD[name]]))
    assert [(status, body) for status, _, body in parsed(mine)] == [(s, b) for s, _, b in parsed(theirs)]
    # uvicorn keeps no connection of HTTP/1.0, and keeps one that asked for another protocol.
    assert closed == they_closed or name in {"asks for another protocol", "old keep-alive"}


@pytest.mark.parametrize("name", GOOD)
def test_it_makes_no_difference_how_the_bytes_are_cut(name: str) -> None:
    """One byte at a time gives the answers of one piece."""
    whole, _ = ours([GOOD[name]])
    cut, _ = ours([bytes([byte]) for byte in GOOD[name]])
    assert [(status, body) for status, _, body in parsed(whole)] == [(status, body) for status, _, body in parsed(cut)]


BAD = {
    "two lengths": b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "the same length twice": b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "length and chunks": b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "signed length": b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc",
    "list of lengths": b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\nabc",
    "other coding": b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "coding twice": (
        b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"
    ),
    "old with chunks": b"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunk too long": b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    "chunk size beyond": b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na\r\n",
    "folded header": b"POST /a HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "space before colon": b"POST /a HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
    "bare line end": b"GET /a HTTP/1.1\nHost: x\n\n",
    "nul in a header": b"GET /a HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n",
    "cr in a header": b"GET /a HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
    "no host": b"GET /a HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "two tokens": b"GET /a HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n",
    "no http": b"hello there\r\n\r\n",
    "tls hello": bytes.fromhex("160301020001000"[:14]) + b"\0" * 40,
    "unknown method": b"FOO /a HTTP/1.1\r\nHost: x\r\n\r\n",
    "version to come": b"GET /a HTTP/3.7\r\nHost: x\r\n\r\n",
}
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("name", BAD)
def test_what_is_ambiguous_is_refused_and_nothing_after_it_is_read(name: str) -> None:
    """One 4xx or 5xx with {"error"}, then the connection ends; a request behind it is never seen."""
    got, closed = ours([BAD[name] + SMUGGLED])
    answers = parsed(got)
    assert len(answers) == 1, got
    assert answers[0][0] in {400, 501, 505}
    assert answers[0][2].startswith(b'{"error":')
    assert closed
    assert b"smuggled" not in got


def test_what_came_before_the_nonsense_is_answered_first() -> None:
    """A pipelined request that was right has its answer, in its place."""
    got, closed = ours([b"GET /later HTTP/1.1\r\nHost: x\r\n\r\nnonsense\r\n\r\n"])
    assert [status for status, _, _ in parsed(got)] == [200, 501]
    assert closed


@pytest.mark.parametrize("name", ["no host", "two tokens", "old with chunks", "other coding"])
def test_what_follows_a_refused_head_in_the_same_piece_is_not_carried_out(name: str) -> None:
    """The request behind it is not even given to the application."""
    asked: list[bytes] = []

    async def play(address: Any, server: HttpServer) -> bytes:
        app = server.app
        before = app.answer
        app.answer = lambda request: (asked.append(request.target), before(request))[1]  # type: ignore[method-assign, func-returns-value]
        got, closed = await exchange(address, [BAD[name] + SMUGGLED])
        assert closed
        return got

    got = asyncio.run(with_ours(play))
    assert len(parsed(got)) == 1
    assert asked == []


def test_half_a_head_behind_a_request_is_never_taken_for_anything_else() -> None:
    """In a storm, too: what completes it is read with it."""

    async def play(address: Any, server: HttpServer) -> tuple[int, bytes]:
        app = server.app
        assert isinstance(app, Echo)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(GOOD["get"] + b"GET /two HTTP/1.1\r\nHost: x\r\nx: ")
        first = await reader.readuntil(b"GET /a ")
        app.is_overloaded = True
        writer.write(SCORING % b"")
        await asyncio.sleep(0.2)
        writer.close()
        return app.refused_unread, first

    refused, first = asyncio.run(with_ours(play))
    assert refused == 0
    assert first.endswith(b"GET /a ")


def test_a_caller_that_sends_no_more_gets_all_its_answers() -> None:
    """Half-closed after three requests: three answers, in order, then the end."""

    async def play(address: Any, _: HttpServer) -> bytes:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        writer.write_eof()
        got = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        return got

    assert [status for status, _, _ in parsed(asyncio.run(with_ours(play)))] == [200, 200, 200]


def test_trailers_without_end_are_not_kept() -> None:
    """64 KiB behind the last chunk are enough, before any token is looked at."""
    head = b"POST /refused HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: "
    got, closed = ours([head, *[b"a" * 16384] * 40])
    assert len(parsed(got)) == 1
    assert closed


def test_answers_come_in_the_order_of_the_requests() -> None:
    """One that takes longer holds back those behind it, as HTTP/1.1 wants it."""
    pieces = [
        b"GET /later%d HTTP/1.1\r\nHost: x\r\n\r\nGET /now%d HTTP/1.1\r\nHost: x\r\n\r\n" % (n, n) for n in range(30)
    ]
    got, closed = ours(pieces, quiet_s=1)
    wanted = [name for n in range(30) for name in (f"/later{n}", f"/now{n}")]
    assert [body.split()[1].decode() for _, _, body in parsed(got)] == wanted
    assert not closed


def test_head_is_answered_without_a_body() -> None:
    """With the length that the body would have; the connection goes on."""
    got, closed = ours([b"HEAD /abc HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n"])
    first, second = parsed(got, heads=1)
    assert first[0] == 200
    assert first[1]["content-length"] == str(len(b"GET /abc "))
    assert second[2] == b"GET /next "
    assert not closed


def test_a_body_beyond_the_limit_is_413() -> None:
    """Known from the head: at once. Found out in chunks: as soon as it is known. A small one costs no connection."""
    announced, closed = ours([b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"])
    assert [status for status, _, _ in parsed(announced)] == [413]
    assert closed
    chunks = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"200\r\n" + b"a" * 512 + b"\r\n"
    found, closed = ours([chunks, *[b"200\r\n" + b"a" * 512 + b"\r\n"] * 3, b"0\r\n\r\n" + GOOD["get"]])
    assert [status for status, _, _ in parsed(found)] == [413, 200]
    assert not closed
    endless, closed = ours([chunks, *[b"8000\r\n" + b"a" * 32768 + b"\r\n"] * 40])
    assert [status for status, _, _ in parsed(endless)] == [413]
    assert closed


def test_a_refusal_by_the_head_keeps_the_connection_where_that_is_safe() -> None:
    """The body passes by unread."""
    got, closed = ours([b"POST /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" + GOOD["get"]])
    assert [status for status, _, _ in parsed(got)] == [403, 200]
    assert not closed


def test_a_caller_who_waits_for_leave_is_told_to_go_on_or_not() -> None:
    """Expect: 100-continue; any other expectation is 417."""
    head = b"POST /%b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: %b\r\n\r\n"
    got, _ = ours([head % (b"a", b"100-continue"), b"abc"])
    assert [status for status, _, _ in parsed(got)] == [100, 200]
    got, closed = ours([head % (b"refused", b"100-continue")])
    assert [status for status, _, _ in parsed(got)] == [403]
    assert closed
    got, closed = ours([head % (b"a", b"tea")])
    assert [status for status, _, _ in parsed(got)] == [417]
    assert closed


def test_a_head_without_end_is_431() -> None:
    """Many headers or one long value: 64 KiB are enough."""
    for pieces in ([b"a: " + b"b" * 8000 + b"\r\n"] * 20, [b"a: ", *[b"b" * 16384] * 10]):
        got, closed = ours([b"GET / HTTP/1.1\r\nhost: x\r\n", *pieces])
        assert [status for status, _, _ in parsed(got)] == [431]
        assert closed


BEHIND = {
    "nothing": b"",
    "a request without a body": GOOD["get"],
    "a body with empty lines": b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\na\r\n\r\nb\r\n\r\nc\r",
    "chunks with empty lines": b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n6\r\na\r\n\r\nb\r\n0\r\n\r\n",
    "chunks with trailers": b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nA: b\r\n\r\n",
    "an offer to upgrade": b"POST /a HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 2\r\n\r\nab",
    "a long body": b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + b"\r\n\r\n" * 250,
    "many requests": GOOD["get"] * 12,
}


LONG = {
    "a value": b"GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\nA: %b\r\n\r\n",
    "spaces before a value": b"GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\nA:" + b" " * 40_000 + b"%b\r\n\r\n",
    "a target": b"GET /big?%b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
}


def head_of(size: int, kind: str) -> bytes:
    """The head of a request of so many bytes."""
    return LONG[kind] % (b"x" * (size - len(LONG[kind]) + 2))


@pytest.mark.parametrize("cut", [None, 65_536, 16_381, 1000], ids=["whole", "64 KiB", "16 KiB", "1 kB"])
@pytest.mark.parametrize("behind", BEHIND)
def test_a_head_may_have_64_kib_and_not_a_byte_more(behind: str, cut: int | None) -> None:
    """Whatever came before it on the connection, and however it is cut; only its own bytes count, spaces too."""
    for kind in LONG:
        for more, status in ((0, 200), (1, 431), (60_000, 431)):
            head = head_of(connections.MAX_HEAD_BYTES + more, kind)
            assert len(head) == connections.MAX_HEAD_BYTES + more
            sent = BEHIND[behind] + head + SMUGGLED
            pieces = [sent[place : place + (cut or len(sent))] for place in range(0, len(sent), cut or len(sent))]
            got, ended, _ = conversation(pieces, 0)
            answers = parsed(b"".join(got))
            assert [answer[0] for answer in answers[:-1]] == [200] * (len(answers) - 1)
            assert len(answers) == BEHIND[behind].count(b"HTTP/1.1") + 1
            assert answers[-1][0] == status
            assert ended
            assert b"smuggled" not in b"".join(got)


def test_an_empty_line_is_found_wherever_it_is_cut() -> None:
    """Heads at the limit that arrive in two pieces, cut at each byte of their ends and of what follows."""
    body = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
    sent = body + head_of(connections.MAX_HEAD_BYTES, "a value")
    for place in [*range(len(body) - 12, len(body) + 12), *range(len(sent) - 8, len(sent))]:
        got, _, _ = conversation([sent[:place], sent[place:]], 0)
        assert [status for status, _, _ in parsed(b"".join(got))] == [200, 200], place


def test_a_head_that_is_remembered_has_a_limit_too() -> None:
    """In a storm, and on a connection that has sent the same head before."""
    lines = b"A: %b\r\n" % (b"b" * 1000)
    whole = SCORING % (lines * 15)
    too_long = SCORING % (lines * 70)
    got, ended, used = conversation([whole, whole, too_long], connections.MOST_LESSONS)
    assert used == 1
    assert [parsed(piece)[0][0] for piece in got] == [200, 200, 431]
    assert ended
    assert known_heads.whole_scoring_head(whole) is not None
    assert known_heads.whole_scoring_head(too_long) is None


@pytest.mark.parametrize("version", ["0.9", "1.2", "2.0", "3.7", "9.9"])
def test_other_versions_of_http_are_505(version: str) -> None:
    """Those that the parser knows and those that it does not."""
    got, closed = ours([b"GET /a HTTP/%b\r\nHost: x\r\n\r\n" % version.encode() + SMUGGLED])
    assert [status for status, _, _ in parsed(got)] == [505]
    assert closed


def test_slow_callers_are_shown_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head or a body that does not come is 408; a connection without a request ends."""
    monkeypatch.setattr(connections, "HEAD_WITHIN_S", 0.2)
    monkeypatch.setattr(connections, "BODY_WITHIN_S", 0.2)
    monkeypatch.setattr(connections, "IDLE_S", 0.2)
    monkeypatch.setattr(http, "_SWEEP_EVERY_S", 0.05)
    for piece, statuses in (
        (b"GET / HT", [408]),
        (b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\nabc", [408]),
        (b"", []),
        (GOOD["get"], [200]),
    ):
        got, closed = ours([piece], quiet_s=3)
        assert [status for status, _, _ in parsed(got)] == statuses
        assert closed


def test_it_speaks_tls_itself_where_it_is_given_a_certificate(tmp_path: Path) -> None:
    """A whole exchange over TLS, and silence for whoever does not speak it."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    theirs = ssl.create_default_context(cafile=str(certificate))
    mine = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    mine.load_cert_chain(certificate, key)

    async def play() -> tuple[bytes, bytes]:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.setblocking(False)
        server = HttpServer(Echo(), mine)
        await server.start(listener)
        address = listener.getsockname()
        reader, writer = await asyncio.open_connection(*address, ssl=theirs, server_hostname="localhost")
        writer.write(GOOD["post"] + GOOD["close"])
        answered = await reader.read()
        writer.close()
        plain, closed = await exchange(address, [GOOD["get"]], quiet_s=2)
        assert closed
        await server.stop(1)
        listener.close()
        return answered, plain

    answered, plain = asyncio.run(play())
    assert [status for status, _, _ in parsed(answered)] == [200, 200]
    assert b"HTTP/1.1 200" not in plain


SCORING = b"POST /score/churn HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\nContent-Length: 3\r\n%b\r\nabc"


def test_in_a_storm_requests_for_scores_are_refused_unread() -> None:
    """A whole one is 429 with Retry-After and the connection goes on; whatever looks otherwise is read like any other."""
    unusual = [
        GOOD["get"],
        GOOD["chunked"],
        SCORING % b"Connection: close\r\n",
        SCORING % b"Expect: 100-continue\r\n",
        SCORING % b"Content-Length: 3\r\n",
        SCORING % b"A: b\r\n c\r\n",
        (SCORING % b"") + b"x",
        (SCORING % b"")[:-1],
    ]

    async def play(address: Any, server: HttpServer) -> tuple[bytes, list[int]]:
        app = server.app
        assert isinstance(app, Echo)
        app.is_overloaded = True
        whole, closed = await exchange(address, [SCORING % b""])
        assert not closed
        assert app.refused_unread == 1
        for piece in unusual:
            await exchange(address, [piece], quiet_s=0.1)
        seen = [app.refused_unread]
        app.is_overloaded = False
        again, _ = await exchange(address, [SCORING % b""])
        assert parsed(again)[0][0] == 200
        return whole, seen

    whole, seen = asyncio.run(with_ours(play))
    status, headers, body = parsed(whole)[0]
    assert (status, headers["retry-after"]) == (429, "1")
    assert body.startswith(b'{"error":')
    assert seen == [1]


class Wire:
    """A connection's transport that keeps what is written."""

    def __init__(self) -> None:
        self.sent = b""
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    abort = write_eof = close

    def can_write_eof(self) -> bool:
        return True

    def pause_reading(self) -> None:
        """There is nothing to pause."""

    resume_reading = pause_reading


def conversation(pieces: list[bytes], most_lessons: int) -> tuple[list[bytes], bool, int]:
    """What each piece gets back, with so many heads remembered; whether the connection ended; how often a memory was of use."""

    async def play() -> tuple[list[bytes], bool, int]:
        server = HttpServer(Echo())
        connection, wire = connections.Connection(server), Wire()
        used = 0
        take = connection._take

        def taken(target: bytes, headers: dict[bytes, bytes], body: bytes) -> None:
            nonlocal used
            used += 1
            take(target, headers, body)

        connection._take = taken  # type: ignore[method-assign]
        connection.connection_made(wire)  # type: ignore[arg-type]
        connection._lessons = connections.MOST_LESSONS - most_lessons
        got = []
        for piece in pieces:
            wire.sent = b""
            if not wire.is_closed:
                connection.data_received(piece)
                await asyncio.sleep(0)
            got.append(wire.sent)
        return got, wire.is_closed, used

    return asyncio.run(play())


_bodies = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"", SCORING % b"", b"\r\n", b"0\r\n\r\n", b"x" * 999, b"x" * 1000, b"x" * 1001]),
)
_lines = st.sampled_from(
    [
        b"",
        b"Connection: keep-alive\r\n",
        b"Connection: close\r\n",
        b"Expect: 100-continue\r\n",
        b"A: b\r\n",
        b"A: b\r\n c\r\n",
        b"Content-Length: 4\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Upgrade: h2c\r\nConnection: upgrade\r\n",
        b"A:\tb\r\n",
    ]
)


@st.composite
def _requests(draw: st.DrawFn) -> bytes:
    body = draw(_bodies)
    length = draw(st.sampled_from([b"%d", b"0%d", b"%d ", b"+%d", b"%d\r\nX: y"])) % len(body)
    path = draw(st.sampled_from([b"/score/a", b"/v2/models/a/infer", b"/score/b", b"/refused"]))
    before, after = draw(_lines), draw(_lines)
    whole = b"POST %b HTTP/1.1\r\n%bHost: x\r\nContent-Length: %b\r\n%b\r\n%b" % (path, before, length, after, body)
    end = draw(st.sampled_from([None, None, None, None, -1, 30]))
    return whole[:end] + draw(st.sampled_from([b"", b"", b"", b"", b"x", whole]))


@settings(max_examples=400, deadline=None)
@given(st.lists(_requests(), min_size=1, max_size=4), st.data())
def test_a_head_that_is_remembered_means_what_it_meant_when_it_was_parsed(
    drawn: list[bytes], data: st.DataObject
) -> None:
    """Whatever follows on a connection is answered as if every head was parsed anew."""
    pieces = data.draw(st.lists(st.sampled_from([*drawn, SCORING % b"", SCORING % b"A: b\r\n"]), max_size=8))
    with_memory, ended, _ = conversation(pieces, connections.MOST_LESSONS)
    without, ended_without, used = conversation(pieces, 0)
    assert used == 0
    assert with_memory == without
    assert ended == ended_without


def test_a_head_is_remembered_while_it_stays_the_same() -> None:
    """The second request is not parsed, whatever its length; after another head the memory is of that one."""
    one, other = SCORING % b"", SCORING % b"A: b\r\n"
    longer = one.replace(b": 3", b": 12") + b"123456789"
    got, ended, used = conversation([one, longer, one, other, other, one], connections.MOST_LESSONS)
    assert not ended
    assert used == 3
    bodies = [parsed(piece)[0][2] for piece in got]
    assert bodies[1] == b"POST /score/churn abc123456789"
    assert {*bodies[:1], *bodies[2:]} == {b"POST /score/churn abc"}


def test_a_head_made_to_be_hard_to_read_takes_no_time() -> None:
    """What is looked at before a token is cannot be made slow: 8,000 lines that nearly match are told apart in milliseconds."""
    head = b"POST /score/churn HTTP/1.1\r\n" + b"a: b\r\n" * 8000
    begun = time.process_time()
    assert known_heads.SCORING_HEAD.match(head) is None
    # Not a measurement but a bound: a pattern that tries every way to read the lines would take years.
    assert time.process_time() - begun < 5


def test_too_many_connections_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """503 with Retry-After, and those who are connected are served."""
    monkeypatch.setattr(http, "_most_connections", lambda: 2)

    async def play(address: Any, server: HttpServer) -> tuple[bytes, bytes]:
        held = [await asyncio.open_connection(*address) for _ in range(2)]
        turned_away, closed = await exchange(address, [])
        assert closed
        assert server.refused == 1
        reader, writer = held[0]
        writer.write(GOOD["close"])
        served = await reader.read()
        for _, writer in held:
            writer.close()
        return turned_away, served

    turned_away, served = asyncio.run(with_ours(play))
    assert parsed(turned_away)[0][0] == 503
    assert "retry-after" in parsed(turned_away)[0][1]
    assert parsed(served)[0][0] == 200


def test_a_server_that_stops_answers_what_is_under_way() -> None:
    """Then it closes, and says so; idle connections are closed at once."""

    async def play() -> tuple[bytes, bytes]:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.setblocking(False)
        server = HttpServer(Echo())
        await server.start(listener)
        idle_reader, idle_writer = await asyncio.open_connection(*listener.getsockname())
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n")
        while not any(connection.is_busy for connection in server._connections):
            await asyncio.sleep(0.001)
        await server.stop(5)
        result = await reader.read(), await idle_reader.read()
        writer.close()
        idle_writer.close()
        listener.close()
        return result

    answered, idle = asyncio.run(play())
    assert parsed(answered)[0][0] == 200
    assert parsed(answered)[0][1]["connection"] == "close"
    assert idle == b""


def test_a_caller_who_hangs_up_disturbs_nobody() -> None:
    """Its answer goes nowhere; the others have theirs."""

    async def play(address: Any, server: HttpServer) -> bytes:
        for _ in range(20):
            _, writer = await asyncio.open_connection(*address)
            writer.write(b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n")
            await writer.drain()
            writer.transport.abort()
        got, _ = await exchange(address, [GOOD["close"]])
        while server.connections:
            await asyncio.sleep(0.01)
        return got

    assert parsed(asyncio.run(asyncio.wait_for(with_ours(play), 20)))[0][0] == 200


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([*GOOD.values(), *BAD.values(), b"\r\n", b"\0", b"GET ", b"0\r\n\r\n"]), max_size=6),
    st.data(),
)
def test_whatever_comes_is_answered_with_http_or_silence(pieces: list[bytes], data: st.DataObject) -> None:
    """Damaged and cut at random, the stream that comes back is whole answers, none of them 500."""
    raw = bytearray(b"".join(pieces))
    for _ in range(data.draw(st.integers(0, 4))):
        if raw:
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    got, _ = ours([bytes(raw[:cut]), bytes(raw[cut:])], quiet_s=0.05)
    for status in re.findall(rb"HTTP/1\.1 (\d+) ", got):
        assert int(status) in {100, 200, 400, 403, 408, 413, 417, 431, 501, 505}
