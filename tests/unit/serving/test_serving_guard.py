"""The guard against heads without end, over a real socket."""

import asyncio
import socket
from typing import Any

import pytest
import uvicorn

from muster.serving.front import guard


async def answered(scope: dict[str, Any], receive: Any, send: Any) -> None:
    message = await receive()
    assert message["type"] == "http.request"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def ask(pieces: list[bytes]) -> bytes:
    """Send the pieces to a server with the guard; whatever comes back until it closes or falls silent."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(answered, http=guard.GuardedProtocol, lifespan="off", log_config=None, ws="none")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    got = b""
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(2):
            while part := await reader.read(65536):
                got += part
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
        server.should_exit = True
        await serving
        listener.close()
    return got


def test_a_head_without_end_is_431_and_the_connection_ends() -> None:
    """64 KiB of headers are enough."""
    got = asyncio.run(ask([b"GET / HTTP/1.1\r\nhost: x\r\n", *[b"a: " + b"b" * 8000 + b"\r\n"] * 20]))
    head, _, body = got.partition(b"\r\n\r\n")
    assert b" 431 " in head.split(b"\r\n")[0]
    length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length"))
    assert int(length.split(b":")[1]) == len(body)


def test_one_value_without_end_is_refused_as_well() -> None:
    """It need not be many lines."""
    assert b" 431 " in asyncio.run(ask([b"GET / HTTP/1.1\r\na: ", *[b"b" * 16384] * 10]))


def test_large_bodies_and_many_requests_on_one_connection_pass() -> None:
    """The limit is one head's, not the connection's."""
    one = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n" + b"c" * 200_000
    got = asyncio.run(ask([one, one, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"]))
    assert got.count(b" 200 ") == 3


def test_a_head_that_is_never_finished_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow caller holds no connection for ever."""
    monkeypatch.setattr(guard, "HEAD_WITHIN_S", 0.2)
    assert asyncio.run(ask([b"GET / HTTP/1.1\r\nhost:"])) == b""
