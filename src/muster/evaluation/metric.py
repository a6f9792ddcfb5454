"""What a standard metric is: a definition with a name, a version and a direction."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

Judged = TypeVar("Judged")


class Task(StrEnum):
    """Kinds of prediction; `[prediction] task` in muster.toml."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"
    RANKING = "ranking"
    PROBABILISTIC = "probabilistic"
    COUNTS = "counts"


class Better(StrEnum):
    """Which way a figure is better."""

    HIGHER = "higher"
    LOWER = "lower"
    NEAR_ZERO = "near-zero"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric(Generic[Judged]):
    """One definition; a change of what it gives is a new version, so figures of different versions are told apart."""

    name: str
    version: int
    better: Better
    computes: Callable[[Judged], float]
    """The figure; raises MetricUndefined."""
    told: str
    """The definition in words, with its source."""

    def __call__(self, judged: Judged) -> float:
        """The figure.

        Raises:
            MetricUndefined: there is none on these rows.
        """
        return self.computes(judged)

    def gain(self, candidate: float, other: float) -> float:
        """By how much the candidate is better than the other; below zero where it is worse."""
        if self.better is Better.HIGHER:
            return candidate - other
        if self.better is Better.LOWER:
            return other - candidate
        return abs(other) - abs(candidate)


def metric(name: str, better: Better, version: int = 1) -> Callable[[Callable[[Judged], float]], Metric[Judged]]:
    """Makes a metric of the function that computes it; its docstring is the definition."""

    def made(computes: Callable[[Any], float]) -> Metric[Any]:
        return Metric(
            name=name, version=version, better=better, computes=computes, told=(computes.__doc__ or "").strip()
        )

    return made
