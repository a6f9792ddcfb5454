"""A contender: one address with one way to be asked, and the proof that it computes what the others compute."""

import http.client
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.models import INPUT, ROWS, Trained


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """Somebody who answers."""

    key: str
    """For the options and the JSON: `fastapi-2`."""
    name: str
    """For the table."""
    host: str = "127.0.0.1"
    port: int
    path: str
    token: str = ""
    bodies: tuple[bytes, ...]
    """One row each."""
    pid: int
    """Of the process over all others of this contender."""
    model: str = "linear"
    answers: Callable[[Any], float] | None = field(default=None, compare=False)
    """The probability in a reply; None: it computes nothing."""

    @property
    def family(self) -> str:
        """`muster`, `fastapi`, `mlserver` or `echo`."""
        return self.key.partition("-")[0]

    def headers(self) -> dict[str, str]:
        """Of every request."""
        said = {"Content-Type": "application/json"}
        return {**said, "Authorization": f"Bearer {self.token}"} if self.token else said

    def requests(self) -> list[bytes]:
        """Whole HTTP requests."""
        headers = "".join(f"{name}: {value}\r\n" for name, value in self.headers().items())
        return [
            f"POST {self.path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode()
            + body
            for body in self.bodies
        ]

    def ask(self, row: int = 0, *, timeout_s: float = 10.0) -> tuple[int, bytes]:
        """One request on a connection of its own: status and body.

        Raises:
            OSError, http.client.HTTPException: it did not answer.
        """
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout_s)
        try:
            connection.request("POST", self.path, self.bodies[row], self.headers())
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def answers_now(self) -> bool:
        """Whether a request is answered with 200."""
        try:
            return self.ask(timeout_s=2.0)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def said_now(self) -> str:
        """What becomes of a request, for a message."""
        try:
            status, body = self.ask(timeout_s=2.0)
        except (OSError, http.client.HTTPException) as error:
            return f"now {error!r}"
        return f"now {status}: {body[:500]!r}"

    def prove(self, trained: Trained) -> None:
        """That its answers are those of the model, so that a comparison of speed means something.

        Raises:
            RuntimeError: they are not.
        """
        for row in (0, 7, 20):
            status, body = self.ask(row)
            if status != 200:
                raise RuntimeError(f"{self.name}: status {status}: {body[:500]!r}")
            if self.answers is None:
                continue
            found, expected = self.answers(json.loads(body)), trained.expected(self.model, row)
            if abs(found - expected) > 1e-9:
                raise RuntimeError(f"{self.name} answers {found}, the model {expected}")


def last_of_first_output(reply: Any) -> float:
    """The probability of the second class in a V2 reply, given alone or after that of the first."""
    return float(reply["outputs"][0]["data"][-1])


def row_bodies(rows: npt.NDArray[np.float64], **more: Any) -> tuple[bytes, ...]:
    """V2 bodies with a row as one tensor `[1, 30]`."""
    return tuple(
        json.dumps(
            {"inputs": [{"name": INPUT, "shape": [1, len(row)], "datatype": "FP64", "data": row}], **more},
            separators=(",", ":"),
        ).encode()
        for row in rows[:ROWS].tolist()
    )


def tensor_bodies(rows: npt.NDArray[np.float64]) -> tuple[bytes, ...]:
    """V2 bodies with a row as 30 tensors of one value."""
    return tuple(
        json.dumps(
            {
                "inputs": [
                    {"name": f"f{number:02}", "shape": [1], "datatype": "FP64", "data": [value]}
                    for number, value in enumerate(row)
                ]
            },
            separators=(",", ":"),
        ).encode()
        for row in rows[:ROWS].tolist()
    )
