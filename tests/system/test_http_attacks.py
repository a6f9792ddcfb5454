"""The scoring door against those who do not speak HTTP as they should, by accident or on purpose.

Whatever two readers could understand in two ways is refused with 400, and the connection ends, so that nothing can be
smuggled behind it. What is merely unusual is answered.
"""

import json
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import models
import psutil
import pytest
from raw_http import Conversation, Response, request
from running_factory import RunningFactory, wait_for

#: A front gives up on a head or a body that does not come within this time.
_SLOW_IS_ENDED_WITHIN_S = 60.0
SMUGGLED = b"GET /v2/health/live HTTP/1.1\r\nHost: smuggled\r\n\r\n"
BODY = b'{"rows":[{"x":1.0}]}'


@pytest.fixture(scope="module")
def endpoint(factory: RunningFactory, bundles: Callable[..., Path]) -> str:
    """Endpoint `plus`, which answers x + 1."""
    factory.release("plus", factory.accepted(bundles("adds-1", models.Adds(1))), deadline="5s")
    return "plus"


@pytest.fixture(scope="module")
def talk(factory: RunningFactory, endpoint: str) -> Callable[..., Conversation]:
    """Opens a connection to the scoring side."""

    def open_connection(**options: object) -> Conversation:
        return Conversation(factory.scoring, **options)  # type: ignore[arg-type]

    return open_connection


@pytest.fixture(scope="module")
def bearer(factory: RunningFactory) -> tuple[str, str]:
    """The shop's token as a header."""
    return "Authorization", f"Bearer {factory.tokens['shop']}"


def score(bearer: tuple[str, str], body: bytes = BODY, *headers: tuple[str, str], **options: object) -> bytes:
    """A good request for a score."""
    return request("POST", "/score/plus", [bearer, *headers], body, **options)  # type: ignore[arg-type]


def is_refusal(response: Response, *statuses: int) -> bool:
    """Whether a response has one of these statuses and the one form of errors."""
    return response.status in statuses and list(response.json()) == ["error"]


# What can be understood in two ways.


AMBIGUOUS = {
    "length and chunked": b"Content-Length: 20\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": b"Transfer-Encoding: chunked\r\nContent-Length: 20\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 20\r\nContent-Length: 4\r\n\r\n" + BODY,
    "two equal lengths": b"Content-Length: 20\r\nContent-Length: 20\r\n\r\n" + BODY,
    "a list of lengths": b"Content-Length: 20, 20\r\n\r\n" + BODY,
    "a length below zero": b"Content-Length: -20\r\n\r\n" + BODY,
    "a length with a sign": b"Content-Length: +20\r\n\r\n" + BODY,
    "a length in hexadecimal": b"Content-Length: 0x14\r\n\r\n" + BODY,
    "a length with a fraction": b"Content-Length: 20.0\r\n\r\n" + BODY,
    "an empty length": b"Content-Length: \r\n\r\n" + BODY,
    "a length beyond 64 bits": b"Content-Length: 18446744073709551636\r\n\r\n" + BODY,
    "a length with a space within": b"Content-Length: 2 0\r\n\r\n" + BODY,
    "an unknown transfer coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked not last": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "two transfer codings": b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "gzip and chunked": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"Content-Length : 20\r\n\r\n" + BODY,
    "a space before chunked's colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a vertical tab around chunked": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a folded line": b"X-Long: one\r\n two\r\nContent-Length: 20\r\n\r\n" + BODY,
    "a folded length": b"Content-Length:\r\n 20\r\n\r\n" + BODY,
    "a first line that is folded": b" Content-Length: 20\r\n\r\n" + BODY,
    "NUL in a value": b"X-Odd: a\0b\r\nContent-Length: 20\r\n\r\n" + BODY,
    "NUL in a name": b"X-\0Odd: a\r\nContent-Length: 20\r\n\r\n" + BODY,
    "CR in a value": b"X-Odd: a\rContent-Length: 4\r\nContent-Length: 20\r\n\r\n" + BODY,
    "CR in a name": b"X-\rOdd: a\r\nContent-Length: 20\r\n\r\n" + BODY,
    "a name that is none": b"X(Odd): a\r\nContent-Length: 20\r\n\r\n" + BODY,
    "an empty name": b": a\r\nContent-Length: 20\r\n\r\n" + BODY,
    "a line without colon": b"Content-Length 20\r\n\r\n" + BODY,
    "a second host": b"Host: y\r\nContent-Length: 20\r\n\r\n" + BODY,
    "a chunk size that is none": b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk size below zero": b"Transfer-Encoding: chunked\r\n\r\n-14\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk size with a prefix": b"Transfer-Encoding: chunked\r\n\r\n0x14\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk size beyond 64 bits": b"Transfer-Encoding: chunked\r\n\r\n10000000000000014\r\n" + BODY + b"\r\n0\r\n\r\n",
    "an empty chunk size": b"Transfer-Encoding: chunked\r\n\r\n\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk longer than said": b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a length after the last chunk": b"Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n",
    "a chunk without its end": b"Transfer-Encoding: chunked\r\n\r\n14\r\n" + BODY + b"0\r\n\r\n",
}


@pytest.mark.parametrize("rest", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_what_is_ambiguous_is_refused_and_ends_the_connection(
    talk: Callable[..., Conversation], bearer: tuple[str, str], rest: bytes
) -> None:
    """One 400, the connection ends, and what follows is nobody's request."""
    with talk() as conversation:
        head = f"POST /score/plus HTTP/1.1\r\nHost: x\r\n{bearer[0]}: {bearer[1]}\r\n".encode()
        conversation.send(head + rest + SMUGGLED)
        answered = conversation.responses()
        assert [response.status for response in answered] in ([400], [501])
        assert is_refusal(answered[0], 400, 501)


@pytest.mark.parametrize(
    "head",
    [
        b"GET\r\n\r\n",
        b"GET /v2/health/live\r\n\r\n",
        b"GET /v2/health /live HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v2/health/live HTTP/1.1\r\n\r\n",
        b"GET /v2/health/live HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /v2/health/live HTTP/2.0\r\nHost: x\r\n\r\n",
        b"GET /v2/health/live HTTQ/1.1\r\nHost: x\r\n\r\n",
        b"GET /v2/health/live HTTP/1.1 \r\nHost: x\r\n\r\n",
        b"G(T /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n",
        b"get /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v2/health/\0live HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 40,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /score/plus HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_ends_the_connection(talk: Callable[..., Conversation], head: bytes) -> None:
    """Lines that are none, versions that are not ours, other protocols: one error and the end, never a hang."""
    with talk() as conversation:
        conversation.send(head + SMUGGLED)
        answered = conversation.responses()
        assert len(answered) == 1
        assert is_refusal(answered[0], 400, 405, 501, 505)


def test_a_body_that_was_not_read_is_nobodys_request(
    talk: Callable[..., Conversation], bearer: tuple[str, str]
) -> None:
    """After 401, 404, 405 and 413 the announced body is passed over or the connection ends; it is never taken for a request."""
    announced = SMUGGLED * 3
    for head, status in (
        (request("POST", "/score/plus", [("Authorization", "Bearer wrong")], announced), 401),
        (request("POST", "/score/minus", [bearer], announced), 404),
        (request("POST", "/nowhere", [bearer], announced), 404),
        (request("PUT", "/score/plus", [bearer], announced), 405),
        (request("GET", "/v2/health/live", [], announced), 200),
    ):
        with talk() as conversation:
            conversation.send(head)
            assert conversation.response().status == status
            conversation.end_sending()
            assert conversation.responses() == []


# Limits.


def test_a_body_above_the_limit_is_413_before_it_is_sent(
    talk: Callable[..., Conversation], bearer: tuple[str, str]
) -> None:
    """The announcement is enough; the connection ends, as nobody knows what the caller will send now."""
    with talk() as conversation:
        conversation.send(request("POST", "/score/plus", [bearer, ("Content-Length", str(17 << 20))]))
        assert is_refusal(conversation.response(), 413)
        conversation.end_sending()
        assert conversation.responses() == []


def test_a_body_that_grows_above_the_limit_is_413(
    factory: RunningFactory, talk: Callable[..., Conversation], bearer: tuple[str, str]
) -> None:
    """Chunks may come without end; the front keeps no more than the limit of them."""
    (front,) = factory.processes("front")
    before = psutil.Process(front).memory_info().rss
    chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
    with talk() as conversation:
        conversation.send(request("POST", "/score/plus", [bearer, ("Transfer-Encoding", "chunked")]))
        conversation.flood(chunk, most=200 << 20)
        answered = conversation.responses()  # a caller that still sends may see the end before it sees the answer
        assert not answered or is_refusal(answered[0], 413)
    assert psutil.Process(front).memory_info().rss - before < 100 << 20


def _head_of(size: int, kind: str) -> bytes:
    """A head of so many bytes."""
    if kind == "target":
        return request("GET", "/v2?" + "x" * (size - len(request("GET", "/v2?"))))
    lines = [(f"X-{number:04}", "x" * 100) for number in range(500 if kind == "many lines" else 0)]
    return request("GET", "/v2", [*lines, ("X", "x" * (size - len(request("GET", "/v2", [*lines, ("X", "")]))))])


@pytest.mark.parametrize("sends", [1, 50], ids=["one send", "many sends"])
@pytest.mark.parametrize("kind", ["one value", "many lines", "target"])
def test_a_head_above_the_limit_is_refused(talk: Callable[..., Conversation], kind: str, sends: int) -> None:
    """64 KiB of line and headers are answered; one byte more is 431, and the connection ends, however it was sent."""
    for above, status in ((0, 200), (1, 431), (60_000, 431)):
        head = _head_of(65_536 + above, kind)
        step = -(-len(head) // sends)
        with talk() as conversation:
            for place in range(0, len(head), step):
                conversation.send(head[place : place + step])
            assert conversation.response().status == status
            if status == 431:
                conversation.end_sending()
                assert conversation.responses() == []
            else:
                assert conversation.is_open()


@pytest.mark.parametrize(
    ("begun", "more"),
    [(b"5;", b"x" * 65536), (b"0\r\nX-Trailer: ", b"x" * 65536), (b"0\r\n", b"X-Trailer: " + b"x" * 1000 + b"\r\n")],
    ids=["an extension", "a trailer", "trailers"],
)
def test_what_follows_a_chunk_without_end_is_not_kept(
    factory: RunningFactory, talk: Callable[..., Conversation], bearer: tuple[str, str], begun: bytes, more: bytes
) -> None:
    """Extensions and trailers are refused beyond the limit of a head, or thrown away as they come."""
    (front,) = factory.processes("front")
    before = psutil.Process(front).memory_info().rss
    with talk() as conversation:
        conversation.send(request("POST", "/score/plus", [bearer, ("Transfer-Encoding", "chunked")]) + begun)
        conversation.flood(more, most=150 << 20)
        assert psutil.Process(front).memory_info().rss - before < 60 << 20


def test_a_caller_that_does_not_read_is_not_read_from(
    factory: RunningFactory, talk: Callable[..., Conversation], bearer: tuple[str, str]
) -> None:
    """Pipelined requests whose answers nobody takes: the front stops reading, and its memory stays flat."""
    (front,) = factory.processes("front")
    before = psutil.Process(front).memory_info().rss
    with talk(read_buffer=4096) as conversation:
        conversation.flood(score(bearer) * 100, most=64 << 20)
        assert psutil.Process(front).memory_info().rss - before < 100 << 20
        with talk() as other:
            assert other.is_open()


# What is unusual and right.


def test_pipelined_requests_are_answered_in_order(talk: Callable[..., Conversation], bearer: tuple[str, str]) -> None:
    """Good ones, wrong ones and questions about health, all in one go, each in its turn."""
    sent = []
    for number in range(60):
        if number % 7 == 3:
            sent.append(SMUGGLED)
        elif number % 11 == 5:
            sent.append(score(bearer, b'{"rows":[{"y":1.0}]}'))
        else:
            sent.append(score(bearer, b'{"rows":[{"x":%d.0}]}' % number))
    with talk() as conversation:
        conversation.send(b"".join(sent))
        for number in range(60):
            response = conversation.response()
            if number % 7 == 3:
                assert response.json()["live"]
            elif number % 11 == 5:
                assert is_refusal(response, 400)
            else:
                assert response.json()["answers"][0]["score"] == number + 1


def test_a_request_may_come_byte_by_byte(talk: Callable[..., Conversation], bearer: tuple[str, str]) -> None:
    """Wherever the network cuts it."""
    with talk() as conversation:
        for byte in score(bearer):
            conversation.send(bytes([byte]))
        assert conversation.response().status == 200
        assert conversation.is_open()


@pytest.mark.parametrize(
    "chunks",
    [
        b"14\r\n" + BODY + b"\r\n0\r\n\r\n",
        b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n",
        b'14;name=value;other="quoted"\r\n' + BODY + b"\r\n0\r\n\r\n",
        b"0014\r\n" + BODY + b"\r\n000\r\n\r\n",
        b"14\r\n" + BODY + b"\r\n0\r\nX-Trailer: fine\r\nAuthorization: Bearer other\r\n\r\n",
    ],
    ids=["one", "bytes", "extensions", "zeros", "trailers"],
)  # fmt: skip
def test_chunked_bodies_are_read(talk: Callable[..., Conversation], bearer: tuple[str, str], chunks: bytes) -> None:
    """In one chunk or many, with extensions and trailers; what a trailer says changes nothing."""
    with talk() as conversation:
        conversation.send(request("POST", "/score/plus", [bearer, ("Transfer-Encoding", "chunked")]) + chunks)
        assert conversation.response().json()["answers"][0]["score"] == 2.0
        assert conversation.is_open()


def test_expect_continue_is_answered_and_other_expectations_are_417(
    talk: Callable[..., Conversation], bearer: tuple[str, str]
) -> None:
    """100 before the body is sent, then the answer; what nobody understands is refused."""
    head = request("POST", "/score/plus", [bearer, ("Expect", "100-continue"), ("Content-Length", "20")])
    with talk() as conversation:
        conversation.send(head)
        assert conversation.response().status == 100
        conversation.send(BODY)
        assert conversation.response().status == 200
        assert conversation.is_open()
    with talk() as conversation:
        conversation.send(score(bearer, BODY, ("Expect", "miracles")))
        assert is_refusal(conversation.response(), 417)


def test_connections_end_when_the_caller_says_so(talk: Callable[..., Conversation], bearer: tuple[str, str]) -> None:
    """`Connection: close`, and HTTP/1.0 without `keep-alive`: one answer and the end."""
    for sent in (
        score(bearer, BODY, ("Connection", "close")),
        score(bearer, BODY, ("Connection", "Close, TE")),
        score(bearer, BODY, version="HTTP/1.0"),
        request("GET", "/v2/health/live", version="HTTP/1.0"),
    ):
        with talk() as conversation:
            conversation.send(sent + SMUGGLED)
            (answered,) = conversation.responses()
            assert answered.status == 200
            assert answered.header("connection") == "close"


def test_a_caller_that_only_stops_sending_gets_its_answer(
    talk: Callable[..., Conversation], bearer: tuple[str, str]
) -> None:
    """Half a connection is enough to be answered."""
    with talk() as conversation:
        conversation.send(score(bearer))
        conversation.end_sending()
        (answered,) = conversation.responses()
        assert answered.status == 200


def test_head_has_the_headers_and_no_body(talk: Callable[..., Conversation]) -> None:
    """So that what follows on the connection is where it belongs."""
    with talk() as conversation:
        conversation.send(request("HEAD", "/v2/health/live"))
        answered = conversation.response(has_body=False)
        assert answered.status == 200
        assert int(answered.header("content-length") or 0) > 0
        assert conversation.is_open()
        conversation.send(request("HEAD", "/nowhere"))
        assert conversation.response(has_body=False).status == 404
        assert conversation.is_open()


def test_targets_come_in_other_forms(talk: Callable[..., Conversation], bearer: tuple[str, str]) -> None:
    """A whole address, as to a proxy; a query; percent signs."""
    with talk() as conversation:
        for target in (
            "http://x/v2/health/live", "http://other.example:80/v2/health/live?a=b", "/v2/health/live?", "/v2/health/%6cive",
        ):  # fmt: skip
            conversation.send(request("GET", target))
            assert conversation.response().json()["live"], target
        conversation.send(request("POST", "http://x/score/plus", [bearer], BODY))
        assert conversation.response().status == 200
        for target in (
            "/v2/health/%00",
            "/%2e%2e/%2e%2e/etc/passwd",
            "/v2/%ff%fe",
            "//v2/health/live",
            "/v2/health/%zz",
        ):
            conversation.send(request("GET", target))
            assert is_refusal(conversation.response(), 400, 404), target


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
def test_other_methods_are_told_so(talk: Callable[..., Conversation], method: str) -> None:
    """405, or 501 for what nobody knows."""
    with talk() as conversation:
        conversation.send(request(method, "/v2/health/live"))
        assert is_refusal(conversation.response(), 405, 501)


@pytest.mark.parametrize(
    "sent",
    [
        request("CONNECT", "other.example:443"),
        request("OPTIONS", "*"),
        request("BREW", "/v2/health/live"),
        request("GET", "*"),
        request("GET", "other.example:443"),
    ],
    ids=["connect", "options", "brew", "star", "authority"],
)
def test_what_only_proxies_take_is_refused(talk: Callable[..., Conversation], sent: bytes) -> None:
    """A front is no proxy, makes no tunnel, and brews no coffee."""
    with talk() as conversation:
        conversation.send(sent)
        assert is_refusal(conversation.response(), 400, 404, 405, 501)


def test_an_upgrade_is_passed_over(talk: Callable[..., Conversation], bearer: tuple[str, str]) -> None:
    """Neither WebSocket nor HTTP/2: the request is answered as it stands, and the connection stays what it was."""
    for upgrade, more in (
        ("websocket", [("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Version", "13")]),
        ("h2c", [("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA")]),
    ):
        with talk() as conversation:
            conversation.send(score(bearer, BODY, ("Connection", "Upgrade"), ("Upgrade", upgrade), *more))
            assert conversation.response().status == 200
            assert conversation.is_open()


def test_a_wrong_body_ends_no_connection(talk: Callable[..., Conversation], bearer: tuple[str, str]) -> None:
    """The caller may do better with the next one: depth without end, odd text, numbers beyond all bounds."""
    bodies = [
        b"[" * 100_000,
        b'{"rows":' * 50_000,
        b'{"rows":[{"x":1.0}]',
        b'{"rows":[{"x":1.0}]}{}',
        b'{"rows":[{"x":NaN}]}',
        b'{"rows":[{"x":' + b"9" * 100_000 + b"}]}",
        b'{"rows":[{"x":1e999}]}',
        b'{"rows":[{"x":"\xff\xfe"}]}',
        b'{"rows":[{"x\xed\xa0\x80":1.0}]}',
        b"\xef\xbb\xbf" + b"\0" * 100,
        b'{"rows":[{"' + b"x" * 1_000_000 + b'":1.0}]}',
        json.dumps({"rows": [{str(number): 1.0 for number in range(10_000)}]}).encode(),
    ]
    with talk() as conversation:
        for body in bodies:
            conversation.send(score(bearer, body))
            assert is_refusal(conversation.response(), 400), body[:40]
        conversation.send(score(bearer, b"", ("Content-Length", "0")))
        assert is_refusal(conversation.response(), 400)
        conversation.send(score(bearer, b"\x1f\x8b\x08" + b"\0" * 20, ("Content-Encoding", "gzip")))
        assert is_refusal(conversation.response(), 400, 415)
        assert conversation.is_open()


# Patience and numbers.


@pytest.fixture(scope="module", autouse=True)
def slow(factory: RunningFactory, endpoint: str, bearer: tuple[str, str]) -> Iterator[dict[str, list[bytes | None]]]:
    """Callers that send one byte a second from now on, by kind: what each has received when its connection ended."""
    place = urlsplit(factory.scoring)
    seen: dict[str, list[bytes | None]] = {"head": [], "body": [], "chunks": [], "silent": []}
    begun = {
        "head": (b"POST /score/plus HTTP/1.1\r\nX-Slow: ", b"x"),
        "body": (request("POST", "/score/plus", [bearer, ("Content-Length", "10000")]), b" "),
        "chunks": (request("POST", "/score/plus", [bearer, ("Transfer-Encoding", "chunked")]), b"1\r\n \r\n"),
        "silent": (request("POST", "/score/plus", [bearer, ("Content-Length", "10000")]) + b"{", b""),
    }
    ended = threading.Event()

    def call(kind: str) -> None:
        head, more = begun[kind]
        with socket.create_connection((place.hostname or "", place.port or 0)) as caller:
            caller.settimeout(1.0)
            received = b""
            caller.sendall(head)
            while not ended.is_set():
                try:
                    if more:
                        caller.sendall(more)
                    data = caller.recv(4096)
                except TimeoutError:
                    continue
                except OSError:
                    break
                if not data:
                    break
                received += data
            seen[kind].append(None if ended.is_set() else received)

    threads = [threading.Thread(target=call, args=(kind,), daemon=True) for kind in begun for _ in range(5)]
    for thread in threads:
        thread.start()
    yield seen
    ended.set()
    for thread in threads:
        thread.join()


def test_noise_of_every_kind_ends_nothing(factory: RunningFactory, endpoint: str, bearer: tuple[str, str]) -> None:
    """Requests with bytes flipped, lost and doubled: answers, refusals, never 500, never a hang; the front lives on."""
    random = Random(20261121)
    (front,) = factory.processes("front")
    good = score(bearer) + request("POST", "/score/plus", [bearer, ("Transfer-Encoding", "chunked")]) + (
        b"14\r\n" + BODY + b"\r\n0\r\n\r\n"
    )  # fmt: skip
    seen: set[int] = set()
    for _ in range(400):
        noise = bytearray(good)
        for _ in range(random.randint(1, 4)):
            at = random.randrange(len(noise))
            if random.random() < 0.6:
                noise[at] = random.choice((0, 10, 13, 32, 58, 255, random.randrange(256)))
            else:
                noise[at : at + random.randint(0, 8)] = noise[at : at + 8] * random.randint(0, 2)
        with Conversation(factory.scoring) as conversation:
            conversation.send(bytes(noise))
            conversation.end_sending()
            seen |= {response.status for response in conversation.responses()}
    assert 500 not in seen
    assert {200, 400} <= seen
    assert factory.processes("front") == [front]


def test_ten_thousand_idle_connections_hold_nobody_up(
    factory: RunningFactory, talk: Callable[..., Conversation], bearer: tuple[str, str]
) -> None:
    """Scores are given beside them, and they cost little memory; as many as this system lets a process have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    (front,) = factory.processes("front")
    theirs = psutil.Process(front).rlimit(psutil.RLIMIT_NOFILE)
    count = min(10_000, hard - 2_000)
    if soft < count + 1_000:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    before = psutil.Process(front).memory_info().rss
    place = urlsplit(factory.scoring)
    try:
        with ExitStack() as open_ones:
            for number in range(count):
                caller = open_ones.enter_context(socket.create_connection((place.hostname or "", place.port or 0), 20))
                if number % 2:
                    caller.sendall(SMUGGLED)
            with talk() as conversation:
                conversation.send(score(bearer))
                assert conversation.response().status == 200
            grown = psutil.Process(front).memory_info().rss - before
            assert grown < 40_000 * count, f"{grown // count} bytes each, {theirs}"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def is_served() -> bool:
        with talk() as conversation:
            return conversation.is_open()

    wait_for(is_served)


def test_slow_callers_are_ended(slow: dict[str, list[bytes | None]], talk: Callable[..., Conversation]) -> None:
    """A head or a body that never comes to its end ends the connection, with 408 or without a word."""
    until = time.monotonic() + _SLOW_IS_ENDED_WITHIN_S
    while time.monotonic() < until and any(len(ended) < 5 for ended in slow.values()):
        time.sleep(0.1)
    assert {kind: len(ended) for kind, ended in slow.items()} == dict.fromkeys(slow, 5)
    for ended in slow.values():
        for received in ended:
            assert received is not None
            assert received == b"" or received.startswith(b"HTTP/1.1 408 ")
    with talk() as conversation:
        assert conversation.is_open()
