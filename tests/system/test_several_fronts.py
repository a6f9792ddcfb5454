"""Three front processes on one port: what holds for one holds across them."""

import asyncio
import json
import os
import signal
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from load import run_load
from running_factory import ROWS, RunningFactory, wait_for

from muster.archive.reader import Reader
from muster.archive.records import Record
from muster.vocabulary.request_ids import place_of

FRONTS = 3


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFactory]:
    """A factory with three fronts."""
    started = RunningFactory(
        tmp_path_factory.mktemp("fronts") / "home", environment={"MUSTER_SERVING_FRONTS": str(FRONTS)}
    )
    yield started
    started.close()


@pytest.fixture(scope="module")
def endpoint(factory: RunningFactory, adds: list[str]) -> str:
    """Endpoint `plus`: champion adds:1, challenger adds:2."""
    factory.release("plus", adds[0], challengers=[adds[1]], deadline="5s", patience="4s")
    return "plus"


def fronts(factory: RunningFactory) -> list[int]:
    """Pids of the three, once all are there and answer."""
    found: list[int] = wait_for(lambda: len(factory.processes("front")) == FRONTS and factory.processes("front"))
    return found


def place(factory: RunningFactory) -> tuple[str, int]:
    address = urlsplit(factory.scoring)
    assert address.hostname is not None
    assert address.port is not None
    return address.hostname, address.port


def post(factory: RunningFactory, endpoint: str, x: float, key: str | None = None) -> httpx.Response:
    """One request on a connection of its own."""
    headers = {"authorization": f"Bearer {factory.tokens['shop']}"} | ({} if key is None else {"idempotency-key": key})
    return httpx.post(f"{factory.scoring}/score/{endpoint}", json={"rows": [{"x": x}]}, headers=headers, timeout=20)


def served_by(factory: RunningFactory) -> dict[int, set[int]]:
    """Per front the ports of the callers that it serves."""
    _, port = place(factory)
    return {
        pid: {
            connection.raddr.port
            for connection in psutil.Process(pid).net_connections("tcp")
            if connection.laddr.port == port and connection.status == psutil.CONN_ESTABLISHED
        }
        for pid in factory.processes("front")
    }


def ask(connection: socket.socket, factory: RunningFactory, endpoint: str) -> int:
    """The status of one request on an open connection."""
    body = b'{"rows":[{"x":1.0}]}'
    head = (
        f"POST /score/{endpoint} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {factory.tokens['shop']}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    answer = b""
    while b"\r\n\r\n" not in answer:
        part = connection.recv(65536)
        if not part:
            raise ConnectionResetError
        answer += part
    head_bytes, _, rest = answer.partition(b"\r\n\r\n")
    lengths = [line for line in head_bytes.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    missing = int(lengths[0].split(b":")[1]) - len(rest)
    while missing > 0:
        missing -= len(connection.recv(65536))
    return int(head_bytes.split()[1])


def records(factory: RunningFactory, endpoint: str, count: int) -> list[Record]:
    return Reader(factory.home / "archive").last(endpoint, count)


def test_all_fronts_are_listed_and_share_the_connections(factory: RunningFactory, endpoint: str) -> None:
    """`muster ps` shows three; of 90 callers who come at once each front serves a good part."""
    listed = factory.muster("ps", "--home", str(factory.home))
    assert sorted(entry["of"] for entry in listed if entry["kind"] == "front") == ["front-0", "front-1", "front-2"]
    with ExitStack() as stack, ThreadPoolExecutor(90) as callers:
        opened = list(callers.map(lambda _: socket.create_connection(place(factory), 10), range(90)))
        for connection in opened:
            stack.enter_context(connection)
        assert {ask(connection, factory, endpoint) for connection in opened} == {200}
        shares = [len(callers_of) for callers_of in served_by(factory).values()]
    assert sum(shares) == 90
    assert min(shares) >= 10, shares


def test_every_answer_has_one_record_and_every_batch_one_front(factory: RunningFactory, endpoint: str) -> None:
    """Under load: no failure, nothing recorded twice, batches of one front each, all fronts at work."""
    until = time.monotonic() + 3
    outcome = asyncio.run(
        run_load(
            factory.scoring,
            factory.tokens["shop"],
            endpoint,
            ROWS,
            connections=32,
            until=lambda: time.monotonic() > until,
        )
    )
    assert not outcome.errors
    assert not outcome.failed
    answered = outcome.request_ids()
    assert len(answered) == len(set(answered)) > 100
    found = {record.request_id: record for record in records(factory, endpoint, len(answered) + 500)}
    assert set(answered) <= set(found)
    assert Counter(place_of(found[one].decided.request_id).front for one in answered).keys() == {0, 1, 2}
    batches: dict[tuple[str, int], list[Record]] = defaultdict(list)
    for record in found.values():
        for answer in record.answers():
            if answer.host and answer.batch >= 0:
                batches[answer.host, answer.batch].append(record)
    assert max(map(len, batches.values())) > 1
    for members in batches.values():
        assert len({place_of(member.decided.request_id).front for member in members}) == 1


def test_a_key_is_known_to_all_fronts(factory: RunningFactory, endpoint: str) -> None:
    """Whichever front a repetition comes to, the answer is the recorded one; another input is refused by each."""
    first = post(factory, endpoint, 3.0, "across")
    assert first.status_code == 200
    assert "muster-replayed" not in first.headers
    with ThreadPoolExecutor(12) as callers:
        again = list(callers.map(lambda _: post(factory, endpoint, 3.0, "across"), range(36)))
        others = list(callers.map(lambda _: post(factory, endpoint, 4.0, "across"), range(36)))
    assert {answer.status_code for answer in again} == {200}
    assert {answer.json()["request_id"] for answer in again} == {first.json()["request_id"]}
    assert [answer.json()["answers"] for answer in again] == [first.json()["answers"]] * 36
    assert {answer.headers["muster-replayed"] for answer in again} == {"true"}
    assert {answer.status_code for answer in others} == {409}
    found = [record for record in records(factory, endpoint, 1000) if record.decided.idempotency_key == "across"]
    assert len(found) == 1


def test_a_repetition_that_comes_together_with_the_first_is_carried_out_once(
    factory: RunningFactory, endpoint: str
) -> None:
    """Thirty callers, one key, all at once, over all fronts."""
    with ThreadPoolExecutor(30) as callers:
        answers = list(callers.map(lambda _: post(factory, endpoint, 6.0, "together"), range(30)))
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    assert len({answer.json()["request_id"] for answer in answers}) == 1
    assert sum("muster-replayed" not in answer.headers for answer in answers) == 1


def test_a_switch_holds_on_all_fronts(factory: RunningFactory, endpoint: str, adds: list[str]) -> None:
    """Approved means: every front answers by the new release, and no request has failed meanwhile."""
    stop = threading.Event()
    outcome: list[Any] = []

    def load() -> None:
        running = run_load(
            factory.scoring, factory.tokens["shop"], endpoint, ROWS, connections=12, until=stop.is_set, rate=300
        )
        outcome.append(asyncio.run(running))

    loading = threading.Thread(target=load)
    loading.start()
    try:
        for champion, challenger in ((1, 0), (0, 1)):
            release = factory.release(
                endpoint, adds[champion], challengers=[adds[challenger]], deadline="5s", patience="4s"
            )
            answers = [post(factory, endpoint, 1.0).json() for _ in range(24)]
            assert {answer["release"] for answer in answers} == {release}
            assert {answer["answers"][0]["variant"] for answer in answers} == {adds[champion]}
    finally:
        stop.set()
        loading.join(30)
    assert not outcome[0].errors
    assert not outcome[0].failed


def test_a_killed_front_takes_nobody_else_along(factory: RunningFactory, endpoint: str) -> None:
    """Connections to the others go on; new ones are answered while it is away, by the others; then it is back."""
    fronts(factory)
    with ExitStack() as stack:
        opened = [stack.enter_context(socket.create_connection(place(factory), 10)) for _ in range(30)]
        assert {ask(connection, factory, endpoint) for connection in opened} == {200}
        by_front = served_by(factory)
        victim, ports = next((pid, ports) for pid, ports in by_front.items() if ports)
        os.kill(victim, signal.SIGKILL)
        with ThreadPoolExecutor(30) as callers:
            new = list(callers.map(lambda number: post(factory, endpoint, float(number)), range(30)))
        assert {answer.status_code for answer in new} == {200}
        others = [connection for connection in opened if connection.getsockname()[1] not in ports]
        assert len(others) == 30 - len(ports)
        assert {ask(connection, factory, endpoint) for connection in others} == {200}
    wait_for(lambda: victim not in factory.processes("front") and len(factory.processes("front")) == FRONTS)


class KeyedLoad:
    """Callers who repeat each request, with its key, until it is answered."""

    def __init__(self, factory: RunningFactory, endpoint: str) -> None:
        self.address = f"{factory.scoring}/score/{endpoint}"
        self.token = factory.tokens["shop"]
        self.stop = threading.Event()
        self.answered: dict[str, dict[str, Any]] = {}
        self.repeated: Counter[str] = Counter()
        self.refused: list[str] = []

    def run(self) -> None:
        """Ask until told to stop, and then until everything is answered."""
        asyncio.run(self._all())

    async def _all(self) -> None:
        await asyncio.gather(*(self._caller(number) for number in range(12)))

    async def _caller(self, number: int) -> None:
        # A connection per request: kept ones would gather at the front that has lived longest.
        async with httpx.AsyncClient(timeout=20, limits=httpx.Limits(max_keepalive_connections=0)) as client:
            for count in range(1_000_000):
                if self.stop.is_set():
                    return
                key = f"kill-{number}-{count}"
                while not await self._asked(client, key):
                    self.repeated[key] += 1
                    await asyncio.sleep(0.005)

    async def _asked(self, client: httpx.AsyncClient, key: str) -> bool:
        headers = {"authorization": f"Bearer {self.token}", "idempotency-key": key}
        try:
            answer = await client.post(self.address, json={"rows": [{"x": x_of(key)}]}, headers=headers)
        except httpx.TransportError:
            return False
        if answer.status_code == 200:
            self.answered[key] = answer.json()
        elif answer.status_code not in {429, 503}:
            self.refused.append(answer.text)
        return answer.status_code == 200


def x_of(key: str) -> float:
    return float(int(key.rsplit("-", 1)[1]) % 20)


def kill_one_that_serves(factory: RunningFactory) -> None:
    """SIGKILL a front that holds a caller's connection: it is stopped first, so that what it has got stays unanswered."""
    for attempt in range(10_000):
        running = fronts(factory)
        victim = running[attempt % len(running)]
        os.kill(victim, signal.SIGSTOP)
        if served_by(factory)[victim]:
            os.kill(victim, signal.SIGKILL)
            wait_for(lambda: victim not in factory.processes("front"))  # noqa: B023 - asked at once
            return
        os.kill(victim, signal.SIGCONT)
        time.sleep(0.002)
    raise AssertionError("no front ever served anybody")


def test_what_is_repeated_after_a_kill_is_answered_as_recorded(factory: RunningFactory, endpoint: str) -> None:
    """Fronts are SIGKILLed under a load of repeated requests: each has one record, and that is the answer that was given."""
    load = KeyedLoad(factory, endpoint)
    loading = threading.Thread(target=load.run)
    loading.start()
    try:
        for kills in range(30):
            if kills >= 3 and load.repeated:
                break
            enough = len(load.answered) + 30
            wait_for(lambda: len(load.answered) > enough)  # noqa: B023 - asked at once
            kill_one_that_serves(factory)
    finally:
        load.stop.set()
        loading.join(60)
    fronts(factory)
    answered = load.answered
    assert not load.refused
    assert load.repeated
    by_key: dict[str | None, list[str]] = defaultdict(list)
    for record in records(factory, endpoint, 20 * len(answered)):
        by_key[record.decided.idempotency_key].append(record.request_id)
    assert {key: by_key[key] for key in answered} == {key: [answer["request_id"]] for key, answer in answered.items()}
    for key in list(load.repeated)[:10]:
        again = post(factory, endpoint, x_of(key), key)
        assert again.json() == answered[key], json.dumps(again.json())
        assert again.headers["muster-replayed"] == "true"
