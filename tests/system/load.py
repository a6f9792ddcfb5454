"""A load of real HTTP requests over keep-alive connections, every one of them accounted for."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Answer:
    """What came back for one request."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str]
    """By their names in small letters."""
    sent_at: float
    took_s: float


@dataclass
class Outcome:
    """Everything a load met."""

    answers: list[Answer] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    """Connections that ended without an answer."""

    @property
    def failed(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.status != 200]

    def request_ids(self) -> list[str]:
        return [answer.body["request_id"] for answer in self.answers if answer.status == 200]

    def share(self, **wanted: str) -> float:
        """Share of the answers whose first row has these properties."""
        good = [answer.body["answers"][0] for answer in self.answers if answer.status == 200]
        return sum(all(row[key] == value for key, value in wanted.items()) for row in good) / max(1, len(good))


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[int, dict[str, Any], dict[str, str]]:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split()[1]), json.loads(await reader.readexactly(int(headers["content-length"]))), headers


async def run_load(
    scoring: str,
    token: str,
    endpoint: str,
    rows: Sequence[dict[str, Any]],
    *,
    connections: int = 8,
    until: Callable[[], bool],
    rate: float | None = None,
) -> Outcome:
    """Send one row a request, round and round, until `until` says so; at most `rate` requests a second in all."""
    place = urlsplit(scoring)
    outcome = Outcome()
    begun = time.monotonic()
    sent = 0

    async def client(number: int) -> None:
        nonlocal sent
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        at = number
        while not until():
            if rate is not None:
                due = begun + sent / rate
                sent += 1
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            body = json.dumps({"rows": [rows[at % len(rows)]]}).encode()
            at += connections
            request = (
                f"POST /score/{endpoint} HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {token}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            ).encode() + body
            began = time.monotonic()
            try:
                if streams is None:
                    streams = await asyncio.open_connection(place.hostname, place.port)
                status, answered, headers = await asyncio.wait_for(_exchange(*streams, request), 30)
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                outcome.errors.append(repr(error))
                if streams is not None:
                    streams[1].close()
                streams = None
                await asyncio.sleep(0.02)
                continue
            outcome.answers.append(Answer(status, answered, headers, began, time.monotonic() - began))
        if streams is not None:
            streams[1].close()

    await asyncio.gather(*(client(number) for number in range(connections)))
    return outcome
