"""What of a kept table may be shown to whoever made the model: steps of many rows, and no score.

A score is what its author likes. One that spells the inputs of a row gives them back wherever a score is shown, and with it the label
wherever one more row makes a step. Here no step is of few rows, cut-offs are not told, and means are rounded.
"""

from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from muster.evaluation.curves import Reliability
from muster.wire.evaluations import ClassTable, CutoffTable, OutcomeTable

#: A curve has at most so many steps, all of about as many rows.
MOST_STEPS = 20
#: Every step of a curve of a whole set holds at least so many rows.
LEAST_ROWS = 20
#: Of a slice, or of one class against the rest: there are many of them, each with an order of its own.
LEAST_ROWS_OF_A_PART = 200
#: Slices, and classes of sets, of fewer rows have no curve.
LEAST_PART = 1000
_DIGITS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Rows of neighbouring predictions, with what came."""

    rows: int
    predicted: float
    """Mean."""
    actual: float
    """Mean."""
    mae: float
    rmse: float


def cutoffs(table: CutoffTable, least: int = LEAST_ROWS) -> CutoffTable:
    """The table at a few even shares of its population.

    Args:
        table: of the scores.
        least: rows of a step; rows of one score are never parted.
    """
    selected = np.array(table.true_positives) + np.array(table.false_positives)
    kept = _ends(np.diff(selected, prepend=0), _share(table.population, least))
    names = ("cutoffs", "true_positives", "false_positives", "false_negatives", "true_negatives", "score_sums")
    fewer = {name: tuple(getattr(table, name)[place] for place in kept) for name in names}
    return msgspec.structs.replace(table, **fewer)


def outcomes(table: OutcomeTable, least: int = LEAST_ROWS) -> tuple[Step, ...]:
    """Bins of predictions, joined until each holds many rows; means are rounded.

    Args:
        table: of the predictions.
        least: rows of a step.
    """
    ends = _ends(np.array(table.rows), _share(table.population, least))
    starts = [0, *(end + 1 for end in ends[:-1])]
    steps = []
    for start, end in zip(starts, ends, strict=True):
        here = slice(start, end + 1)
        rows = sum(table.rows[here])
        steps.append(
            Step(
                rows=rows,
                predicted=rounded(sum(table.predicted_sums[here]) / rows),
                actual=rounded(sum(table.actual_sums[here]) / rows),
                mae=rounded(sum(table.absolute_errors[here]) / rows),
                rmse=rounded((sum(table.squared_errors[here]) / rows) ** 0.5),
            )
        )
    return tuple(steps)


def reliabilities(bins: tuple[Reliability, ...], least: int = LEAST_ROWS) -> tuple[Reliability, ...]:
    """Bins of probabilities, joined with their neighbours until each holds many rows; means are rounded.

    Args:
        bins: the lowest first.
        least: rows of a bin.
    """
    ends = _ends(np.array([one.rows for one in bins]), least)
    starts = [0, *(end + 1 for end in ends[:-1])]
    joined = []
    for start, end in zip(starts, ends, strict=True):
        here = bins[start : end + 1]
        rows = sum(one.rows for one in here)
        joined.append(
            Reliability(
                low=here[0].low,
                high=here[-1].high,
                rows=rows,
                said=rounded(sum(one.said * one.rows for one in here) / rows),
                came=rounded(sum(one.came * one.rows for one in here) / rows),
            )
        )
    return tuple(joined)


def classes(table: ClassTable) -> tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[int, ...], ...]]:
    """Classes that really came, what they were called, and how often; what never came is one: a model says what it likes.

    Returns:
        Names of the rows, names of the columns, counts.
    """
    came = [place for place, row in enumerate(table.counts) if any(row)]
    names = tuple(table.classes[place] for place in came)
    others = [place for place in range(len(table.classes)) if place not in set(came)]
    counts = tuple(
        (
            *(table.counts[row][place] for place in came),
            *((sum(table.counts[row][at] for at in others),) if others else ()),
        )
        for row in came
    )
    return names, (*names, *(("others",) if others else ())), counts


def rounded(number: float) -> float:
    """To three significant digits: of a mean of twenty rows they tell of none."""
    return float(f"{number:.{_DIGITS}g}")


def _share(population: int, least: int) -> int:
    """Rows of a step, so that there are not too many of them."""
    return max(least, -(-population // MOST_STEPS))


def _ends(rows: npt.NDArray[np.int64], wanted: int) -> list[int]:
    """Places at which steps of neighbouring counts end; only where all together are fewer than wanted, a step is."""
    ends: list[int] = []
    held = 0
    for place, count in enumerate(rows.tolist()):
        held += count
        if held >= wanted:
            ends.append(place)
            held = 0
    if held or not ends:  # what is left is too little for a step of its own
        ends[-1:] = [len(rows) - 1]
    return ends
