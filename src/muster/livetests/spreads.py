"""How an output spreads over bins, for several versions: merged exactly, whatever the order; and how far two spreads differ."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

#: Values of the reference by whose quantiles the edges are fixed; until there are so many, values are kept.
REFERENCE_VALUES = 500
BINS = 10
#: Texts that are counted apart; all others are one.
MOST_CATEGORIES = 50
_SMALLEST_COUNT = 0.5

Floats = npt.NDArray[np.float64]


class Spread(msgspec.Struct):
    """Of one output, what each version has answered, by bin.

    Numbers are counted between edges: the least, the deciles and the greatest of the first values of the reference, never
    changed afterwards. Until there are enough of them, all values wait. Texts and flags are counted one by one.
    """

    reference: str
    """The version by whose values the edges are fixed: the champion."""
    edges: list[float] | None = None
    """Rising; None: not fixed yet. A value equal to an edge lies above it."""
    counts: dict[str, list[int]] = {}
    """By version, one more than there are edges."""
    waiting: dict[str, list[float]] = {}
    """By version, while there are no edges."""
    categories: dict[str, dict[str, int]] = {}
    """By version, of texts and flags; what came after the first `MOST_CATEGORIES` texts is under the empty one's `…`."""

    def add_numbers(self, version: str, values: Floats) -> None:
        """Count numbers; what is no number is left out."""
        finite = values[np.isfinite(values)]
        if self.edges is not None:
            self._count(version, finite)
            return
        self.waiting.setdefault(version, []).extend(finite.tolist())
        if len(self.waiting.get(self.reference, ())) >= REFERENCE_VALUES:
            self.settle()

    def add_texts(self, version: str, texts: Sequence[str]) -> None:
        """Count texts or flags."""
        own = self.categories.setdefault(version, {})
        known = {text for counted in self.categories.values() for text in counted}
        for text in texts:
            name = text if text in known or len(known) < MOST_CATEGORIES else OTHERS
            known.add(name)
            own[name] = own.get(name, 0) + 1

    def settle(self) -> None:
        """Fix the edges by what there is, if they are not yet, and count what has waited."""
        reference = self.waiting.get(self.reference)
        if self.edges is not None or not reference:
            return
        inner = np.quantile(np.asarray(reference), np.arange(1, BINS) / BINS, method="inverted_cdf")
        # Beyond what the reference has ever said there is a bin on either side: a shift must not hide in an outer tenth.
        ends = (min(reference), np.nextafter(max(reference), np.inf))
        self.edges = [float(edge) for edge in np.unique([*ends, *inner])]
        waiting, self.waiting = self.waiting, {}
        for version, values in waiting.items():
            self._count(version, np.asarray(values, dtype=np.float64))

    def of(self, version: str, other: str) -> tuple[list[int], list[int]] | None:
        """The counts of two versions over the same bins; None where one has none."""
        if self.categories:
            names = sorted({text for counted in self.categories.values() for text in counted})
            one, two = self.categories.get(version, {}), self.categories.get(other, {})
            found = [one.get(name, 0) for name in names], [two.get(name, 0) for name in names]
        else:
            found = self.counts.get(version, []), self.counts.get(other, [])
        return found if sum(found[0]) and sum(found[1]) else None

    def _count(self, version: str, values: Floats) -> None:
        edges = self.edges or []
        own = self.counts.setdefault(version, [0] * (len(edges) + 1))
        found = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(own))
        for place, count in enumerate(found.tolist()):
            own[place] += count


#: In place of every text beyond the first `MOST_CATEGORIES`.
OTHERS = "…"


def stability_index(one: Sequence[int], other: Sequence[int]) -> float:
    """Population stability index of two counts over the same bins; an empty bin counts as half a value.

    0 for equal shares; below 0.1 commonly read as no shift, above 0.25 as a large one.

    Source: N. Siddiqi, Credit Risk Scorecards, Wiley 2006, chapter 9.

    >>> round(stability_index([50, 50], [50, 50]), 6)
    0.0
    >>> round(stability_index([20, 80], [50, 50]), 4)
    0.4159
    """
    left, right = _shares(one), _shares(other)
    return math.fsum((p - q) * math.log(p / q) for p, q in zip(left, right, strict=True))


def largest_gap(one: Sequence[int], other: Sequence[int]) -> float:
    """Kolmogorov-Smirnov distance of two counts over the same rising bins: the largest gap of their cumulative shares.

    Over bins it is a lower bound of the distance of the values themselves.

    >>> largest_gap([0, 10], [10, 0])
    1.0
    """
    left = np.cumsum(np.asarray(one, dtype=np.float64)) / max(1, sum(one))
    right = np.cumsum(np.asarray(other, dtype=np.float64)) / max(1, sum(other))
    return float(np.max(np.abs(left - right), initial=0.0))


def _shares(counts: Sequence[int]) -> list[float]:
    filled = [count or _SMALLEST_COUNT for count in counts]
    total = math.fsum(filled)
    return [count / total for count in filled]
