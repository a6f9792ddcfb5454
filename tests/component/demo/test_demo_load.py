"""The demo's requests: sent at their rate, all accounted for, against a real socket."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from muster.demo.load import Aim, Form, Load, failed, percentile, send_all

ROWS = [{"tenure": number, "contract": "One year", "charges": None} for number in range(7)]
ANSWERED_BY = {"variant": "churn:3", "role": "champion", "reason": "champion"}


def reply_to(request: dict[str, object]) -> bytes:
    if "rows" in request:
        answer = {"request_id": "r", "release": 2, "answers": [{"p": 0.5} | ANSWERED_BY]}
    else:
        answer = {"parameters": {"request_id": "r", "release": 2} | ANSWERED_BY, "outputs": [{"data": [0.5]}]}
    body = json.dumps(answer).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@contextmanager
def serving(*, hangs_up_every: int = 0) -> Iterator[str]:
    """A server that answers, and closes the connection instead on every so many requests."""
    address: list[str] = []
    ready, ending = threading.Event(), asyncio.Event()
    met = 0

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal met
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = next(
                int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length")
            )
            body = json.loads(await reader.readexactly(length))
            met += 1
            if hangs_up_every and met % hangs_up_every == 0:
                break
            writer.write(reply_to(body))
        writer.close()

    async def quiet_meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await meet(reader, writer)
        except (EOFError, OSError):
            writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(quiet_meet, "127.0.0.1", 0)
        address.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        loops.append(asyncio.get_running_loop())
        ready.set()
        await ending.wait()
        server.close()

    loops: list[asyncio.AbstractEventLoop] = []
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(10)
    try:
        yield address[0]
    finally:
        loops[0].call_soon_threadsafe(ending.set)
        thread.join()


def aim(scoring: str) -> Aim:
    return Aim(scoring=scoring, token="mst_x", endpoint="churn", output="p", rows=ROWS)


def test_every_request_is_answered_in_both_forms() -> None:
    """Each customer is asked about in turn, half of the requests in either form, and what came back is read."""
    with serving() as scoring:
        seen: list[int] = []
        answers = send_all(aim(scoring), islice(aim(scoring).endless(), 40), 1000.0, seen.append)
    assert sorted(answer.customer for answer in answers) == sorted(number % len(ROWS) for number in range(40))
    assert sorted(answer.form for answer in answers) == [Form.RECORDS] * 20 + [Form.V2] * 20
    assert {(answer.status, answer.variant, answer.release, answer.probability) for answer in answers} == {
        (200, "churn:3", 2, 0.5)
    }
    assert seen == list(range(1, 41))


def test_requests_keep_their_rate() -> None:
    """Two hundred requests at a thousand a second take a fifth of a second, whatever each takes."""
    with serving() as scoring:
        began = time.monotonic()
        send_all(aim(scoring), islice(aim(scoring).endless(), 200), 1000.0, lambda _: None)
        assert time.monotonic() - began >= 0.19


def test_a_connection_that_is_closed_costs_its_request_and_is_counted() -> None:
    """A request whose connection ends without an answer counts as failed; nothing is sent twice."""
    with serving(hangs_up_every=10) as scoring:
        answers = send_all(aim(scoring), islice(aim(scoring).endless(), 60), 500.0, lambda _: None)
    assert len(answers) == 60
    assert len(failed(answers)) == 6
    assert {answer.status for answer in failed(answers)} == {0}


def test_a_load_goes_on_until_its_block_is_left() -> None:
    """A load answers for as long as it is wanted, and everything it sent is answered when it is over."""
    with serving() as scoring, Load(aim(scoring), 400.0, start=3) as load:
        assert load.wait_for(lambda answers: len(answers) >= 50, within_s=20)
        began = time.monotonic()
        assert load.wait_for(lambda _: len(load.since(began)) >= 10, within_s=20)
    assert load.answers[0].customer == 3
    assert not failed(load.answers)
    assert 0 < percentile(load.answers, 0.5) <= percentile(load.answers, 1.0)


def test_a_load_on_a_closed_door_fails_every_request() -> None:
    """Where nobody listens every request is counted as failed, and the load still ends."""
    with serving() as scoring:
        pass
    answers = send_all(aim(scoring), islice(aim(scoring).endless(), 5), 500.0, lambda _: None)
    assert len(failed(answers)) == 5
