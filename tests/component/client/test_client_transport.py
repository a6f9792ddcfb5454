"""Broken connections: an order is repeated with the same key and carried out once."""

import socket
import threading
from collections.abc import Iterator

import pytest

from muster.client.control import Factory
from muster.client.errors import AnswerLate, AnswerNotUnderstood, FactoryUnreachable
from muster.client.transport import Transport
from muster.vocabulary.errors import Conflict
from running_control import Control


class Breaks:
    """A wire to control that breaks in the middle of the first answers.

    Args:
        target: port of control.
        times: how many connections break.
        after: bytes of the answer that are let through before.
    """

    def __init__(self, target: int, times: int, after: int) -> None:
        self._target, self._times, self._after = target, times, after
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.broken = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, socket.create_connection(("127.0.0.1", self._target)) as control:
                client.settimeout(5)
                request = b""
                while b"\r\n\r\n" not in request:
                    request += client.recv(65536)
                head, _, body = request.partition(b"\r\n\r\n")
                length = next(
                    (
                        int(line.split(b":")[1])
                        for line in head.lower().split(b"\r\n")
                        if line.startswith(b"content-length")
                    ),
                    0,
                )
                while len(body) < length:
                    body += client.recv(65536)
                control.sendall(head.replace(b"keep-alive", b"close") + b"\r\n\r\n" + body)
                answer = b""
                while piece := control.recv(65536):
                    answer += piece
                if self.broken < self._times:
                    self.broken += 1
                    client.sendall(answer[: self._after])
                else:
                    client.sendall(answer.replace(b"HTTP/1.1 ", b"HTTP/1.1 ", 1))

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@pytest.fixture(params=[0, 30])
def wire(request: pytest.FixtureRequest, control: Control) -> Iterator[Breaks]:
    """A wire whose first two answers are lost: at once, or in their middle."""
    made = Breaks(int(control.url.rsplit(":", 1)[1]), 2, request.param)
    yield made
    made.close()


def test_an_order_whose_answer_is_lost_is_carried_out_once(control: Control, wire: Breaks) -> None:
    """Control added the user before the wire broke; the repeats find that, and no second event is on record."""
    name = f"lost-{wire.url.rsplit(':', 1)[1]}"
    with Factory(Transport(wire.url, control.tokens["admin"])) as admin:
        made = admin.add_user(name, "viewer")
    assert made.token is not None
    assert wire.broken == 2
    with control.as_("admin") as admin:
        actions = [event.action for event in admin.audit_events(subject=f"user {name}").events]
        with pytest.raises(Conflict):
            admin.add_user(name, "viewer")
    assert actions.count("user.added") == 1


def test_a_factory_that_does_not_run_is_told_soon() -> None:
    """A refused connection is tried a few times within a second or two, then named with its address."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with Factory(Transport(f"http://127.0.0.1:{port}", "mst_x")) as factory, pytest.raises(FactoryUnreachable) as error:
        factory.health()
    assert str(port) in error.value.message
    assert "muster up" in error.value.advice


def _answers(raw: bytes) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            try:
                while True:
                    client, _ = listener.accept()
                    with client:
                        client.recv(65536)
                        if not raw:
                            stop.wait(5)
                        client.sendall(raw)
            except OSError:
                return

        stop = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


@pytest.fixture
def stranger() -> Iterator[str]:
    """The address of another program that speaks HTTP."""
    yield from _answers(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n<html></html>")


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of something that takes requests and says nothing."""
    yield from _answers(b"")


def test_another_program_at_the_address_is_recognised(stranger: str) -> None:
    """What is no document of Muster is said to be none, with its beginning."""
    with Factory(Transport(stranger, "mst_x")) as factory, pytest.raises(AnswerNotUnderstood, match="<html>"):
        factory.models()


def test_silence_has_an_end(silent: str) -> None:
    """An answer that does not come in time is an error of its own, and is not asked for again."""
    with (
        Factory(Transport(silent, "mst_x", timeout_s=0.3)) as factory,
        pytest.raises(AnswerLate, match=r"within 0\.3 s"),
    ):
        factory.models()
