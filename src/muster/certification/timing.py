"""How long a call takes: percentiles up to the 99.9th, of many calls, in the best of a few rounds.

One round of 2,000 calls ends with two calls above its 99.9th percentile, so that one pause of a busy machine decides it. A pause
says nothing about the model; a model that is slow is slow in every round. That is why the best round counts.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from muster.certification.percentiles import percentile

CALLS = 2000
ROUNDS = 3
FEWEST_CALLS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """What a call takes, milliseconds."""

    p50_ms: float
    p99_ms: float
    p999_ms: float
    """The 99.9th percentile; of fewer than 1,000 calls it is the longest of them."""
    calls: int
    """In the round that counts."""
    rounds: int
    """Of how many rounds it is the best."""

    def figures(self) -> dict[str, float]:
        """As a certificate holds it."""
        return {
            "p50_ms": self.p50_ms,
            "p99_ms": self.p99_ms,
            "p99.9_ms": self.p999_ms,
            "calls": self.calls,
            "rounds": self.rounds,
        }

    @classmethod
    def of(cls, figures: Mapping[str, float]) -> Self | None:
        """As `figures` gave it; None where they are others."""
        try:
            return cls(
                p50_ms=figures["p50_ms"],
                p99_ms=figures["p99_ms"],
                p999_ms=figures["p99.9_ms"],
                calls=int(figures["calls"]),
                rounds=int(figures["rounds"]),
            )
        except KeyError:
            return None

    def __str__(self) -> str:
        """In words."""
        many = f"{self.calls} calls" if self.rounds == 1 else f"{self.calls} calls, the best of {self.rounds} rounds"
        longest = "" if self.calls >= 1000 else "; fewer than 1,000 calls: p99.9 is the longest of them"
        return f"p50 {self.p50_ms:.2f} ms, p99 {self.p99_ms:.2f} ms, p99.9 {self.p999_ms:.2f} ms over {many}{longest}"


def measured(
    call: Callable[[], float],
    *,
    within_s: float,
    calls: int = CALLS,
    rounds: int = ROUNDS,
    fewest: int = FEWEST_CALLS,
    round_s: float = math.inf,
    monotonic: Callable[[], float] = time.monotonic,
) -> Latency:
    """What a call takes, in the round with the lowest 99.9th percentile.

    Args:
        call: makes one and tells its milliseconds.
        within_s: after that no further call is begun, but `fewest` are made; a round that is cut short counts only if it is
            the first.
        calls: of one round.
        rounds: at most.
        fewest: calls that are made however long they take.
        round_s: a round that has lasted so long, seconds, and has the fewest calls is whole: the time is shared out among rounds.
        monotonic: tells seconds that only rise.
    """
    until = monotonic() + within_s
    best: list[float] = []
    done = 0
    while done < rounds:
        took: list[float] = []
        begun = now = monotonic()
        while (
            len(took) < calls
            and (len(took) < fewest or now < begun + round_s)
            and (now < until or (not best and len(took) < fewest))
        ):
            took.append(call())
            now = monotonic()
        is_whole = len(took) == calls or (len(took) >= fewest and now >= begun + round_s)
        if best and not is_whole:
            break
        done += 1
        if not best or percentile(took, 0.999) < percentile(best, 0.999):
            best = took
        if not is_whole:
            break
    return Latency(
        p50_ms=round(percentile(best, 0.5), 4),
        p99_ms=round(percentile(best, 0.99), 4),
        p999_ms=round(percentile(best, 0.999), 4),
        calls=len(best),
        rounds=done,
    )
