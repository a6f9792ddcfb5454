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
#: Values of a version that wait at most for those of the reference; then the edges are fixed by what there is.
MOST_WAITING = 5000
#: Values on either side below which an index is mostly chance: over twelve bins it is then 0.1 for equal distributions already.
LEAST_VALUES = 200
_SMALLEST_COUNT = 0.5

Floats = npt.NDArray[np.float64]


class Spread(msgspec.Struct):
    """Of one output, what each version has answered, by bin.

    Numbers are counted between edges: the least, the deciles and the greatest of the first values of the reference, never
    changed afterwards. Until there are enough of them, or too many of another version, values wait. Texts and flags are counted
    one by one. What is no value (null, not a number, infinite) has a bin of its own: a version that answers nothing else is
    shifted, and not alike.
    """

    reference: str
    """The version by whose values the edges are fixed: the champion, or, if it gives none, the one with the most values."""
    edges: list[float] | None = None
    """Rising; None: not fixed yet. A value equal to an edge lies above it."""
    counts: dict[str, list[int]] = {}
    """By version, one more than there are edges."""
    waiting: dict[str, list[float]] = {}
    """By version, while there are no edges."""
    categories: dict[str, dict[str, int]] = {}
    """By version, of texts and flags; what came after the first `MOST_CATEGORIES` texts is under the empty one's `…`."""
    missing: dict[str, int] = {}
    """By version, values that are none."""

    def add_numbers(self, version: str, values: Floats) -> None:
        """Count numbers. Of one request those of the reference come first, as they may fix the edges."""
        finite = values[np.isfinite(values)]
        self.add_missing(version, int(values.size - finite.size))
        if self.edges is not None:
            self._count(version, finite)
            return
        own = self.waiting.setdefault(version, [])
        own.extend(finite.tolist())
        if len(own) >= (REFERENCE_VALUES if version == self.reference else MOST_WAITING):
            self.settle()

    def add_missing(self, version: str, values: int) -> None:
        """Count values that are none."""
        if values:
            self.missing[version] = self.missing.get(version, 0) + values

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
        if self.edges is not None or not any(self.waiting.values()):
            return
        if not self.waiting.get(self.reference):
            self.reference = max(self.waiting, key=lambda version: (len(self.waiting[version]), version))
        reference = self.waiting[self.reference]
        inner = np.quantile(np.asarray(reference), np.arange(1, BINS) / BINS, method="inverted_cdf")
        # Beyond what the reference has ever said there is a bin on either side: a shift must not hide in an outer tenth.
        ends = (min(reference), np.nextafter(max(reference), np.inf))
        self.edges = [float(edge) for edge in np.unique([*ends, *inner])]
        waiting, self.waiting = self.waiting, {}
        for version, values in waiting.items():
            self._count(version, np.asarray(values, dtype=np.float64))

    def of(self, version: str, other: str) -> tuple[list[int], list[int]] | None:
        """The counts of two versions over the same bins, the last of them of what is no value; None where one has none."""
        found = self._bins(version), self._bins(other)
        return found if sum(found[0]) and sum(found[1]) else None

    def _bins(self, version: str) -> list[int]:
        missing = self.missing.get(version, 0)
        if self.categories:
            names = sorted({text for counted in self.categories.values() for text in counted})
            own = self.categories.get(version, {})
            return [*(own.get(name, 0) for name in names), missing]
        bins = 0 if self.edges is None else len(self.edges) + 1
        return [*self.counts.get(version, [0] * bins), missing]

    def _count(self, version: str, values: Floats) -> None:
        edges = self.edges or []
        own = self.counts.setdefault(version, [0] * (len(edges) + 1))
        found = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(own))
        for place, count in enumerate(found.tolist()):
            own[place] += count


#: In place of every text beyond the first `MOST_CATEGORIES`.
OTHERS = "…"


def stability_index(one: Sequence[int], other: Sequence[int]) -> float:
    """Population stability index of two counts over the same bins; a bin that is empty on one side counts as half a value there.

    Bins that are empty on both sides are left out: half a value of few and half a value of many are not the same share.
    0 for equal shares; below 0.1 commonly read as no shift, above 0.25 as a large one.

    Source: N. Siddiqi, Credit Risk Scorecards, Wiley 2006, chapter 9.

    >>> round(stability_index([50, 50], [50, 50]), 6)
    0.0
    >>> round(stability_index([20, 80], [50, 50]), 4)
    0.4159
    """
    filled = [(p, q) for p, q in zip(one, other, strict=True) if p or q]
    left, right = _shares([p for p, _ in filled]), _shares([q for _, q in filled])
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
