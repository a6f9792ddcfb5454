"""The open loop from outside: starting the generator, and reading what it brought back."""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from harness.contenders import Contender
from harness.processes import Crew

Floats = npt.NDArray[np.float64]
_GENERATOR = Path(__file__).with_name("arrivals.py")
_CONNECTIONS_AT_START = 64
#: The generator goes before the servers on a machine that is too small for both, or it would measure its own waiting.
_NICENESS = -5


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Every request of one run, in the order of their moments; times in seconds since 1970."""

    began: float
    due: Floats
    """When it had to be sent."""
    considered: Floats
    """When the generator came round to it."""
    sent: Floats
    """When it was sent; later than considered only if no connection was free. 0: never."""
    arrived: Floats
    """When the kernel had the reply."""
    done: Floats
    """When the generator had read the reply."""
    status: npt.NDArray[np.int16]
    """Of HTTP; 0: no answer came, -1: the connection broke."""
    label: npt.NDArray[np.uint8]
    labels: list[str]
    processor_s: float

    @property
    def count(self) -> int:
        """Requests in the schedule."""
        return len(self.due)

    @property
    def seconds(self) -> float:
        """How long the schedule was."""
        return float(self.due[-1] - self.began)

    @property
    def ok(self) -> npt.NDArray[np.bool_]:
        """Which were answered with 200."""
        return np.equal(self.status, 200)

    def took_ms(self) -> Floats:
        """From the due moment to the reply in the kernel; infinite where there was none."""
        return np.where(self.status > 0, (self.arrived - self.due) * 1000, np.inf)

    def served_ms(self) -> Floats:
        """The same from the moment of sending: what is left when the generator's own lateness is taken away."""
        return np.where(self.status > 0, (self.arrived - self.sent) * 1000, np.inf)

    def share_within(self, limit_ms: float, *, served: bool = False) -> float:
        """Share of all requests that were answered with 200 within the limit."""
        took = self.served_ms() if served else self.took_ms()
        return float(np.mean(self.ok & (took <= limit_ms)))

    def percentile_ms(self, percent: float, *, of: npt.NDArray[np.bool_] | None = None) -> float:
        """Of the answers with 200, or of those that `of` marks."""
        took = self.took_ms()[self.ok if of is None else of]
        return float(np.percentile(took, percent)) if len(took) else float("nan")

    def statuses(self) -> dict[str, int]:
        """How often each came."""
        words = {0: "no answer", -1: "broken"}
        values, counts = np.unique(self.status, return_counts=True)
        return {words.get(int(value), str(value)): int(count) for value, count in zip(values, counts, strict=True)}

    def reasons(self) -> dict[str, float]:
        """Share of the answers with 200 by the reason that they state; empty where they state none."""
        values, counts = np.unique(self.label[self.ok], return_counts=True)
        total = max(1, int(counts.sum()))
        named = {self.labels[value]: int(count) / total for value, count in zip(values, counts, strict=True)}
        return {name: share for name, share in named.items() if name}

    def lag_ms(self) -> dict[str, float]:
        """How late the generator itself was: at looking at its schedule, and at reading replies."""
        late = (self.considered - self.due) * 1000
        answered = self.status > 0
        reading = (self.done - self.arrived)[answered] * 1000 if answered.any() else np.zeros(1)
        return {
            "sending_p50": float(np.percentile(late, 50)),
            "sending_p99": float(np.percentile(late, 99)),
            "sending_max": float(late.max()),
            "reading_p99": float(np.percentile(reading, 99)),
            "processor_share": self.processor_s / self.seconds,
        }

    def longest_pause_ms(self, start: float | None = None, end: float | None = None) -> float:
        """The longest time without an answer of 200, between two moments since 1970.

        Pauses in which nothing was asked do not count: requests come so often that those are short.
        """
        moments = np.sort(self.arrived[self.ok])
        if start is not None and end is not None:
            moments = moments[(moments >= start) & (moments <= end)]
            moments = np.concatenate(([start], moments, [end]))
        return float(np.diff(moments).max() * 1000) if len(moments) > 1 else float("inf")

    def per_second(self, limit_ms: float) -> list[dict[str, float]]:
        """What was asked and answered in each second of the schedule."""
        second = (self.due - self.began).astype(np.int64)
        took = self.took_ms()
        rows = []
        for number in range(int(second[-1]) + 1):
            these = second == number
            good = these & self.ok
            in_time = float((good & (took <= limit_ms)).sum())
            rows.append({"asked": float(these.sum()), "ok": float(good.sum()), "in_time": in_time})
        return rows

    @classmethod
    def read(cls, file: Path) -> Self:
        """What the generator wrote."""
        with np.load(file) as found:
            arrays: dict[str, Any] = {name: found[name] for name in found.files}
        return cls(
            began=float(arrays["began"]),
            labels=[str(label) for label in arrays["labels"]],
            processor_s=float(arrays["processor_s"]),
            **{name: arrays[name] for name in ("due", "considered", "sent", "arrived", "done", "status", "label")},
        )


class OpenLoop:
    """A generator at work; `finished` waits for it."""

    def __init__(self, crew: Crew, order: dict[str, Any]) -> None:
        self._crew = crew
        # Kept until the result is read: a generator that is ended on the way leaves nothing behind but this folder.
        self._folder = tempfile.TemporaryDirectory(prefix="muster-bench-load-")
        self._result = Path(self._folder.name) / "result.npz"
        file = Path(self._folder.name) / "order.json"
        file.write_text(json.dumps(order))
        self._patience_s = order["seconds"] + order["give_up_s"] + 60
        self._process = crew.start(
            "load", [sys.executable, str(_GENERATOR), str(file), str(self._result)], stderr=subprocess.PIPE
        )

    def finished(self) -> Arrivals:
        """What came of it."""
        _, said = self._process.communicate(timeout=self._patience_s)
        self._crew.forget(self._process)
        if self._process.returncode != 0:
            raise RuntimeError(f"the load generator failed: {(said or b'').decode(errors='replace')[-2000:]}")
        with self._folder:
            return Arrivals.read(self._result)


def start_arrivals(
    crew: Crew,
    contender: Contender,
    *,
    rate: float,
    seconds: float,
    connections: int = 1024,
    give_up_s: float = 5.0,
    seed: int = 20261121,
) -> OpenLoop:
    """Send Poisson arrivals to a contender.

    Args:
        crew: which the generator joins.
        contender: whom to ask.
        rate: requests a second, on average.
        seconds: for how long.
        connections: how many may be open at once; a request beyond that waits, and its time runs.
        give_up_s: how long after the last request's moment answers are waited for.
        seed: of the arrivals.
    """
    order = {
        "host": contender.host,
        "port": contender.port,
        "requests": [request.decode("latin-1") for request in contender.requests()],
        "rate": rate,
        "seconds": seconds,
        "connections": connections,
        "connections_at_start": min(_CONNECTIONS_AT_START, connections),
        "give_up_s": give_up_s,
        "seed": seed,
        "label": '"reason":"',
        "niceness": _NICENESS,
    }
    return OpenLoop(crew, order)
