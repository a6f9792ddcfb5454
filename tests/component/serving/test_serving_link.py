"""A front's link to a host that does not keep to the protocol; the host is a socket in the test's own hand."""

import asyncio
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from muster.serving.workers.link import HostLink
from muster.serving.workers.roster import HostStanding
from muster_host import frames

HELLO = frames.json_frame(frames.HELLO, {"protocol": 1})
ANSWER = b"".join(frames.answer_frame(7, b"\0", 1, {}, 1, [(b"12345678", None)], alone=False))


class Owner:
    """Whoever owns a link, with what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.answers: list[int] = []

    def answered(self, _link: HostLink, sequence: int, payload: memoryview) -> None:
        frames.read_answer(payload)
        self.told.append("answered")
        self.answers.append(sequence)

    def erred(self, _link: HostLink, _sequence: int, _payload: memoryview) -> None:
        self.told.append("erred")

    def lost(self, _link: HostLink) -> None:
        self.told.append("lost")


@pytest.fixture
def address() -> Iterator[Path]:
    """A short path for a socket."""
    with tempfile.TemporaryDirectory(prefix="mt-", dir="/tmp") as folder:
        yield Path(folder) / "host.sock"


def said(address: Path, *pieces: bytes, stays: bool = False) -> Owner:
    """What the owner of a link is told when a host says this and then closes, or stays and waits to be cut off."""
    owner = Owner()

    async def meet() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(address))
            listener.listen(1)
            link = await HostLink.open(HostStanding("k", "up", socket=str(address)), owner, lambda _: None)
            host, _ = listener.accept()
            with host:
                host.setblocking(False)
                loop = asyncio.get_running_loop()
                try:
                    for piece in pieces:
                        await asyncio.wait_for(loop.sock_sendall(host, piece), 10)
                except (BrokenPipeError, ConnectionResetError):
                    pass
                if stays:
                    await asyncio.wait_for(link.closed, 10)
            await asyncio.wait_for(link.closed, 10)

    asyncio.run(meet())
    return owner


def test_answers_are_found_wherever_they_are_cut(address: Path) -> None:
    """Byte by byte, and several in one piece."""
    owner = said(address, *(bytes([byte]) for byte in HELLO + ANSWER), ANSWER * 3 + ANSWER[:-5], ANSWER[-5:])
    assert owner.told == ["answered"] * 5 + ["lost"]
    assert owner.answers == [7] * 5


@pytest.mark.parametrize("cut", [1, 15, 16, 17, len(ANSWER) - 1])
def test_half_a_frame_and_the_end_is_a_host_that_is_lost(address: Path, cut: int) -> None:
    """Nothing of it is handed on, and the owner is told once."""
    assert said(address, HELLO, ANSWER[:cut]).told == ["lost"]


@pytest.mark.parametrize(
    "noise", [b"HTTP/1.1 200 OK\r\n\r\n", b"\0" * 16, b"\xff" * 4096, ANSWER[:4] + b"\x63" + ANSWER[5:]]
)
def test_noise_ends_the_link(address: Path, noise: bytes) -> None:
    """At once, while the host would like to stay."""
    assert said(address, HELLO, noise, stays=True).told == ["lost"]


def test_frames_that_no_host_says_are_passed_over(address: Path) -> None:
    """A second hello, an order, a health report: no harm, no effect."""
    odd = [frames.json_frame(kind, {}, 7) for kind in (frames.HELLO, frames.LOAD, frames.HEALTHY, frames.STOPPED)]
    assert said(address, HELLO, *odd, ANSWER).told == ["answered", "lost"]


def test_a_length_beyond_all_bounds_is_not_believed(address: Path) -> None:
    """Nobody keeps gigabytes because a host announces them; the link ends with the head of that frame."""
    before = psutil.Process().memory_info().rss
    owner = said(address, HELLO, frames.head(frames.ANSWER, frames.MAX_PAYLOAD, 7), *[bytes(1 << 20)] * 400, stays=True)
    assert owner.told == ["lost"]
    assert psutil.Process().memory_info().rss - before < 100 << 20
