"""Requests over HTTP/1.1 by a few callers, at a steady rate, every one of them accounted for.

Each caller keeps a connection and waits for its answer before it asks again, so a slow machine is asked less often and not buried
in requests. What an answer took is counted from the moment when a caller was free to send the request.
"""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

_CALLERS = 8
_GIVE_UP_AFTER_S = 30.0
Row = dict[str, Any]


class Form(StrEnum):
    """How a request is written down."""

    RECORDS = "records"
    V2 = "v2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request about one customer, ready to be sent."""

    customer: int
    """Which of the new customers."""
    form: Form
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    customer: int
    form: Form
    sent_at: float
    """When it was sent, on the monotonic clock."""
    took_ms: float
    status: int
    """Of HTTP; 0 when nothing came back."""
    error: str = ""
    request_id: str = ""
    release: int = 0
    variant: str = ""
    role: str = ""
    reason: str = ""
    probability: float = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """Where requests go, and in whose name."""

    scoring: str
    token: str
    endpoint: str
    output: str
    rows: Sequence[Row]
    """The customers."""

    def request(self, customer: int, form: Form) -> Request:
        """A request about a customer."""
        row = self.rows[customer]
        path = f"/score/{self.endpoint}" if form is Form.RECORDS else f"/v2/models/{self.endpoint}/infer"
        body = json.dumps(
            {"rows": [row]} if form is Form.RECORDS else {"inputs": [*map(_tensor, row.items())]}
        ).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {urlsplit(self.scoring).netloc}\r\nAuthorization: Bearer {self.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return Request(customer=customer, form=form, content=head.encode() + body)

    def endless(self, start: int = 0) -> Iterator[Request]:
        """One customer after the other, from the first again after the last; every other request in V2."""
        forms = tuple(Form)
        at = start
        while True:
            yield self.request(at % len(self.rows), forms[at % len(forms)])
            at += 1

    def read(self, request: Request, sent_at: float, status: int, body: bytes) -> Answer:
        """What an answer says."""
        took_ms = (time.monotonic() - sent_at) * 1000
        said: dict[str, Any] = {"error": body.decode(errors="replace")[:300]}
        if status == 200:
            said = _records_answer(body, self.output) if request.form is Form.RECORDS else _v2_answer(body)
        return Answer(
            customer=request.customer, form=request.form, sent_at=sent_at, took_ms=took_ms, status=status, **said
        )


def _tensor(field: tuple[str, Any]) -> dict[str, Any]:
    name, value = field
    datatype = {str: "BYTES", int: "INT64"}.get(type(value), "FP64")
    return {"name": name, "datatype": datatype, "shape": [1], "data": [value]}


def _records_answer(body: bytes, output: str) -> dict[str, Any]:
    reply = json.loads(body)
    (answer,) = reply["answers"]
    return {
        "request_id": reply["request_id"],
        "release": reply["release"],
        "probability": answer[output],
        **{key: answer[key] for key in ("variant", "role", "reason")},
    }


def _v2_answer(body: bytes) -> dict[str, Any]:
    reply = json.loads(body)
    parameters = reply["parameters"]
    return {
        "probability": reply["outputs"][0]["data"][0],
        **{key: parameters[key] for key in ("request_id", "release", "variant", "role", "reason")},
    }


def send_all(aim: Aim, requests: Iterable[Request], rate: float, answered: Callable[[int], None]) -> list[Answer]:
    """Send requests until there are no more, and wait for every answer.

    Args:
        aim: where to.
        requests: what.
        rate: requests per second.
        answered: called with the number of answers so far.
    """
    answers: list[Answer] = []

    def keep(answer: Answer) -> None:
        answers.append(answer)
        answered(len(answers))

    asyncio.run(_send(aim, requests, rate, keep, threading.Event()))
    return answers


class Load:
    """Requests that go on while something else is done; used as a context.

    Args:
        aim: where to.
        rate: requests per second.
        start: which customer comes first.
    """

    def __init__(self, aim: Aim, rate: float, *, start: int = 0) -> None:
        self.answers: list[Answer] = []
        self._ending = threading.Event()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(aim, rate, start), name="load", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()
        if self._fault is not None and error is None:
            raise self._fault

    def wait_for(self, what: Callable[[Sequence[Answer]], bool], *, within_s: float) -> bool:
        """Go on until the answers so far are enough; whether they were in time."""
        until = time.monotonic() + within_s
        while not what(self.answers):
            if time.monotonic() > until or not self._thread.is_alive():
                return False
            self._ending.wait(0.05)
        return True

    def since(self, moment: float) -> list[Answer]:
        """Answers to what was sent after a moment of the monotonic clock."""
        return [answer for answer in self.answers if answer.sent_at >= moment]

    def _run(self, aim: Aim, rate: float, start: int) -> None:
        try:
            asyncio.run(_send(aim, aim.endless(start), rate, self.answers.append, self._ending))
        except Exception as fault:  # noqa: BLE001 - handed to whoever waits for the load
            self._fault = fault


async def _send(
    aim: Aim, requests: Iterable[Request], rate: float, keep: Callable[[Answer], None], ending: threading.Event
) -> None:
    orders = iter(requests)
    next_at = time.monotonic()

    async def call() -> None:
        """One caller: waits for its turn, asks, and keeps what came back."""
        nonlocal next_at
        caller = _Caller(aim)
        try:
            while not ending.is_set() and (request := next(orders, None)) is not None:
                turn = max(next_at, time.monotonic())
                next_at = turn + 1 / rate
                await asyncio.sleep(turn - time.monotonic())
                keep(await caller.ask(request))
        finally:
            caller.hang_up()

    await asyncio.gather(*(call() for _ in range(_CALLERS)))


class _Caller:
    """One connection, which is opened again when it was closed."""

    def __init__(self, aim: Aim) -> None:
        self._aim = aim
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: Request) -> Answer:
        """What comes back; nothing is sent twice, so a request whose connection breaks has failed."""
        place = urlsplit(self._aim.scoring)
        sent_at = time.monotonic()
        try:
            async with asyncio.timeout(_GIVE_UP_AFTER_S):
                if self._streams is None:
                    self._streams = await asyncio.open_connection(place.hostname, place.port)
                status, body = await _exchange(*self._streams, request.content)
            return self._aim.read(request, sent_at, status, body)
        except (OSError, EOFError, TimeoutError, ValueError, LookupError) as error:
            self.hang_up()
            return Answer(
                customer=request.customer,
                form=request.form,
                sent_at=sent_at,
                took_ms=(time.monotonic() - sent_at) * 1000,
                status=0,
                error=repr(error),
            )

    def hang_up(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, content: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to one request."""
    writer.write(content)
    lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    length = next(int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length:"))
    return int(lines[0].split()[1]), await reader.readexactly(length)


def failed(answers: Iterable[Answer]) -> list[Answer]:
    """Those that were not answered with success."""
    return [answer for answer in answers if answer.status != 200]


def percentile(answers: Iterable[Answer], share: float) -> float:
    """Within how many milliseconds that share of the requests was answered; 0 when there are none."""
    times = sorted(answer.took_ms for answer in answers)
    return times[min(len(times) - 1, int(share * len(times)))] if times else 0.0
