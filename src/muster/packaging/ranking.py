"""Answers judged by the order in which they put the rows: what counts of a score that only ranks."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: Rows of one side that are held against all of the other at a time: bounds the memory.
_BLOCK = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How an order of rows compares with the one expected."""

    pairs: int
    """Pairs of rows that the expected scores tell apart by more than the tolerance."""
    turned: int
    """Those of them that the answers put the other way round, by more than the tolerance."""
    tau: float
    """Kendall's tau-b of the scores as they are: 1 = the same order, -1 = the opposite; 1 where either side is all ties on both."""
    worst: tuple[int, int] | None
    """The rows of the turned pair that lie farthest apart: the expected upper one first; None: no pair is turned."""


def order_of(
    given: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64], allowed: npt.NDArray[np.float64]
) -> Order:
    """How scores order rows, held against the expected ones.

    A pair counts as turned where the expected scores say that one row is above the other by more than what is allowed, and the
    given ones say the opposite by more than that; within it, rows are tied, and either order is right. NaN is below every number,
    tied with minus infinity.

    Args:
        given: a score per row.
        wanted: the expected ones.
        allowed: per row how far apart two scores may lie and be tied; of a pair the larger counts.

    Source: Kendall, "The treatment of ties in ranking problems" (1945), for tau-b.

    >>> order_of(np.array([0.1, 0.3, 0.2]), np.array([1.0, 2.0, 3.0]), np.zeros(3))
    Order(pairs=3, turned=1, tau=0.3333333333333333, worst=(2, 1))
    """
    given, wanted = _ranked(given), _ranked(wanted)
    agree = against = tied_given = tied_wanted = pairs = turned = 0
    worst, farthest = None, -1.0
    count = len(wanted)
    for start in range(0, count, _BLOCK):
        block = slice(start, min(start + _BLOCK, count))
        with np.errstate(invalid="ignore"):
            theirs = _difference(wanted[block, None], wanted[None, :])
            ours = _difference(given[block, None], given[None, :])
        slack = np.maximum(allowed[block, None], allowed[None, :])
        is_above = theirs > slack
        is_turned = is_above & (ours < -slack)
        pairs += int(is_above.sum())
        turned += int(is_turned.sum())
        signs = np.sign(theirs) * np.sign(ours)
        agree += int((signs > 0).sum())
        against += int((signs < 0).sum())
        tied_wanted += int((theirs == 0).sum())
        tied_given += int((ours == 0).sum())
        if is_turned.any():
            apart = np.where(is_turned, np.minimum(theirs, -ours), -1.0)
            upper, lower = np.unravel_index(int(apart.argmax()), apart.shape)
            if apart[upper, lower] > farthest:
                farthest, worst = float(apart[upper, lower]), (start + int(upper), int(lower))
    return Order(
        pairs=pairs,
        turned=turned,
        tau=_tau(agree, against, count * count - tied_given, count * count - tied_wanted),
        worst=worst,
    )


def _ranked(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(np.isnan(scores), -np.inf, scores)


def _difference(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """One minus the other; 0 for two equal infinities."""
    with np.errstate(invalid="ignore", over="ignore"):
        found: npt.NDArray[np.float64] = np.where(one == other, 0.0, one - other)
    return found


def _tau(agree: int, against: int, untied_given: int, untied_wanted: int) -> float:
    """Each pair is counted from both sides, above and below, which cancels out."""
    if not untied_given and not untied_wanted:
        return 1.0
    if not untied_given or not untied_wanted:
        return 0.0
    return (agree - against) / math.sqrt(untied_given * untied_wanted)
