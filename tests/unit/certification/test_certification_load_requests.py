"""Requests over HTTP by a schedule, against a small server that answers, refuses, hangs or hangs up as it is told."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from muster.certification.hardware import machine
from muster.certification.load.memory import Held, Watch, held_by
from muster.certification.load.open_loop import Found
from muster.certification.load.requests import driven_over_http, posted

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"


@contextmanager
def serving(answer: Callable[[int], bytes | None]) -> Iterator[int]:
    """A server's port; it answers the request with that number, in the order of their coming; None: it closes the connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []
    counted = iter(range(10_000))

    def talk(peer: socket.socket) -> None:
        with peer, suppress(ConnectionError):  # whoever asked may have given up
            while request := peer.recv(65536):
                assert request.startswith(b"POST /score/x HTTP/1.1\r\n")
                said = answer(next(counted))
                if said is None:
                    return
                for at in range(0, len(said), 20):  # in pieces, as a network may bring it
                    peer.sendall(said[at : at + 20])

    def accept() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=talk, args=(peer,)))
            threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in (accepting, *threads):
            thread.join()


def asked(answer: Callable[[int], bytes | None], requests: int = 20, give_up_s: float = 2.0) -> Found:
    message = posted("/score/x", "mst_t", b'{"rows": []}')
    with serving(answer) as port:
        return driven_over_http([at * 0.005 for at in range(requests)], port, lambda _: message, give_up_s=give_up_s)


def test_every_request_is_sent_and_answered() -> None:
    """One after another on few connections, each with a latency of its own."""
    found = asked(lambda _: OK)
    assert (found.requests, found.answered, found.failed, found.abandoned) == (20, 20, 0, 0)
    assert all(latency > 0 for latency in found.latency_ms)


def test_what_is_refused_or_cut_off_is_no_answer() -> None:
    """Another status and a closed connection are failures, and the requests after them go on."""
    found = asked(lambda number: BUSY if number == 3 else None if number == 7 else OK)
    assert (found.answered, found.failed, found.abandoned) == (18, 2, 0)


def test_who_waits_does_not_keep_others_waiting() -> None:
    """One answer that comes after all others: the others have connections of their own."""
    others = threading.Event()
    answered = []

    def answer(number: int) -> bytes:
        if number == 0:
            others.wait(10)
        else:
            answered.append(number)
            if len(answered) == 19:
                others.set()
        return OK

    found = asked(answer)
    assert found.answered == 20
    assert found.latency_ms[0] == max(found.latency_ms)
    assert found.latency_ms[0] > 80
    assert found.largest_batch >= 2


def test_what_is_not_answered_in_time_is_abandoned() -> None:
    """Its latency is as long as it was waited for."""
    ended = threading.Event()
    try:

        def answer(number: int) -> bytes:
            if number == 0:
                ended.wait(10)
            return OK

        message = posted("/score/x", "t", b"{}")
        with serving(answer) as port:
            found = driven_over_http([0.0, 0.01], port, lambda _: message, give_up_s=0.2)
            ended.set()
    finally:
        ended.set()
    assert (found.answered, found.abandoned) == (1, 1)
    assert found.latency_ms[0] > 200


def test_memory_of_a_process_is_what_the_kernel_says() -> None:
    """This one holds something; one that has ended nothing; the most at any look is kept."""
    held = held_by(os.getpid())
    assert 1 < held.resident_mib <= held.peak_mib
    assert held.processes >= 1
    assert held_by(2**22 + 1) == Held(resident_mib=0, peak_mib=0, processes=0)
    looks = iter([Held(resident_mib=10.0, peak_mib=500.0, processes=1)])
    with Watch(
        1, every_s=60.0, read=lambda _: next(looks, Held(resident_mib=20.0, peak_mib=30.0, processes=1))
    ) as watch:
        pass
    assert [mib for _, mib in watch.noted] == [10.0, 20.0]
    assert watch.peak_mib == 500.0


@pytest.mark.parametrize(
    ("files", "quota", "limit"),
    [
        ({"cpu.max": "150000 100000", "memory.max": "1073741824"}, 1.5, 1024),
        ({"cpu.max": "max 100000", "memory.max": "max"}, None, None),
        (
            {
                "cpu/cpu.cfs_quota_us": "50000",
                "cpu/cpu.cfs_period_us": "100000",
                "memory/memory.limit_in_bytes": "536870912",
            },
            0.5,
            512,
        ),
        (
            {
                "cpu/cpu.cfs_quota_us": "-1",
                "cpu/cpu.cfs_period_us": "100000",
                "memory/memory.limit_in_bytes": "9223372036854771712",
            },
            None,
            None,
        ),
        ({}, None, None),
    ],
    ids=["v2", "v2 without limits", "v1", "v1 without limits", "nothing"],
)
def test_the_machine_tells_its_limits(
    tmp_path: Path, files: dict[str, str], quota: float | None, limit: int | None
) -> None:
    """Control groups of both versions, and none."""
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content + "\n")
    found = machine(tmp_path)
    assert (found.cpu_quota, found.memory_limit_mib) == (quota, limit)
    assert found.cores >= 1
    assert {row[0] for row in found.exhibit().rows} >= {"processor", "kernel"}
