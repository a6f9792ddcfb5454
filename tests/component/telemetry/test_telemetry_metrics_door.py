"""The door for metrics, over real sockets."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from muster.telemetry.exposition import CONTENT_TYPE
from muster.telemetry.metrics_door import MetricsAddress, MetricsDoor, may_read, shown_in_thread
from muster.telemetry.scrape import Scrape, scrape

TEXT = b"# HELP x_total X.\n# TYPE x_total counter\nx_total 5\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def shown(tmp_path: Path, *, token: str = "") -> Iterator[MetricsAddress]:
    """A door that answers with the text."""
    address = MetricsAddress(socket=tmp_path / "m.sock", port=free_port(), token=token)
    with shown_in_thread(address, lambda: TEXT):
        yield address


def test_metrics_are_answered_at_the_socket_and_at_the_port(tmp_path: Path) -> None:
    """Both tell the same, in Prometheus' content type, and the socket is this user's alone."""
    with shown(tmp_path) as address:
        answer = httpx.get(address.url)
        found = scrape(address.socket)
        assert address.socket.stat().st_mode & 0o777 == 0o600
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, TEXT, CONTENT_TYPE)
    assert found is not None
    assert found.one("x_total") == 5
    assert scrape(address.socket) is None


def test_a_token_is_asked_for_at_the_port_alone(tmp_path: Path) -> None:
    """With the setting, the port answers whoever sends the token; the socket needs none."""
    with shown(tmp_path, token="s3cret") as address:
        codes = [
            httpx.get(address.url, headers=headers).status_code
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic s3cret"}, {"Authorization": "Bearer s3cret"})
        ]  # fmt: skip
        assert scrape(address.socket) is not None
    assert codes == [401, 401, 401, 200]


def test_other_addresses_and_methods_are_refused(tmp_path: Path) -> None:
    """There is nothing else behind the door."""
    with shown(tmp_path) as address:
        base = address.url.removesuffix("/metrics")
        assert httpx.get(base).status_code == 404
        assert httpx.get(base + "/metrics/x").status_code == 404
        assert httpx.post(address.url, content=b"x").status_code == 405
        head = httpx.head(address.url)
        assert (head.status_code, head.content) == (200, b"")
        assert httpx.get(address.url + "?name=x").status_code == 200


@pytest.mark.parametrize("sent", [b"", b"\0\xff\r\n\r\n", b"GET\r\n\r\n", b"x" * 100_000, b"GET /metrics HTTP/1.1\r\n"])
def test_the_door_outlives_whatever_is_sent(tmp_path: Path, sent: bytes) -> None:
    """No head, half a head, too much of a head or none at all: the next caller is answered."""
    with shown(tmp_path) as address:
        with socket.create_connection(("127.0.0.1", address.port), timeout=5) as caller:
            try:
                caller.sendall(sent)
                caller.shutdown(socket.SHUT_WR)
                while caller.recv(4096):
                    pass
            except OSError:
                pass
        assert httpx.get(address.url).status_code == 200


def test_a_mistake_in_a_gauge_is_a_500(tmp_path: Path) -> None:
    """The process goes on, and so does the door."""

    def broken() -> bytes:
        raise ZeroDivisionError

    address = MetricsAddress(socket=tmp_path / "m.sock", port=free_port())
    with shown_in_thread(address, broken):
        assert [httpx.get(address.url).status_code for _ in range(2)] == [500, 500]
        assert scrape(address.socket) is None


def test_a_port_that_is_taken_keeps_nothing_from_starting(tmp_path: Path) -> None:
    """The socket still answers, and so does one that a killed process has left behind."""
    (tmp_path / "m.sock").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = MetricsAddress(socket=tmp_path / "m.sock", port=taken.getsockname()[1])
        with shown_in_thread(address, lambda: TEXT):
            assert scrape(address.socket) is not None


def test_it_answers_on_the_loop_of_the_process(tmp_path: Path) -> None:
    """A process with an event loop needs no thread."""
    address = MetricsAddress(socket=tmp_path / "m.sock")

    async def shown_and_read() -> Scrape | None:
        door = MetricsDoor(address, lambda: TEXT)
        await door.open()
        found = await asyncio.to_thread(scrape, address.socket)
        await door.close()
        return found

    assert asyncio.run(shown_and_read()) is not None
    assert not address.socket.exists()


@pytest.mark.parametrize(
    ("token", "peer", "headers", "may"),
    [
        ("", "127.0.0.1", {}, True),
        ("", "::1", {b"host": b"[::1]:8601"}, True),
        ("", "127.0.0.1", {b"host": b"LocalHost:8601", b"accept": b"*/*"}, True),
        ("", "127.0.0.1", {b"host": b"127.0.0.1"}, True),
        ("", "10.0.0.7", {}, False),
        ("", "10.0.0.7", {b"authorization": b"Bearer x"}, False),
        ("", None, {}, False),
        ("", "somewhere", {}, False),
        # A proxy on this machine asks for somebody else.
        ("", "127.0.0.1", {b"host": b"localhost", b"forwarded": b"for=10.0.0.7"}, False),
        ("", "127.0.0.1", {b"host": b"localhost", b"x-forwarded-for": b"127.0.0.1"}, False),
        ("", "127.0.0.1", {b"host": b"localhost", b"x-forwarded-proto": b"https"}, False),
        ("", "127.0.0.1", {b"host": b"localhost", b"via": b"1.1 proxy"}, False),
        ("", "127.0.0.1", {b"host": b"localhost", b"x-real-ip": b"10.0.0.7"}, False),
        ("", "::1", {b"host": b"scoring.example"}, False),
        ("", "::1", {b"host": b"localhost.example:80"}, False),
        ("", "::1", {b"host": b""}, False),
        ("t", "127.0.0.1", {}, False),
        ("t", "10.0.0.7", {b"authorization": b"bearer t"}, True),
        ("t", "127.0.0.1", {b"authorization": b"bearer t", b"x-forwarded-for": b"10.0.0.7"}, True),
    ],
)
def test_who_may_read_over_tcp(token: str, peer: str | None, headers: dict[bytes, bytes], may: bool) -> None:
    """Without a token this machine's callers who ask for themselves, with one whoever has it."""
    assert may_read(token, peer, headers) is may


def test_a_proxy_on_this_machine_is_refused_at_the_port(tmp_path: Path) -> None:
    """It says for whom it asks, or leaves the name that it was asked by; the socket is for this user, whatever is said."""
    with shown(tmp_path) as address:
        refused = [
            httpx.get(address.url, headers=headers)
            for headers in ({"X-Forwarded-For": "10.0.0.7"}, {"Forwarded": "for=10.0.0.7"}, {"Host": "metrics.example"})
        ]
        assert httpx.get(address.url).status_code == 200
        assert scrape(address.socket) is not None
    assert [answer.status_code for answer in refused] == [401, 401, 401]
    assert "metrics.token" in refused[0].text
