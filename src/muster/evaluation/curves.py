"""Curves and matrices, derived from the table of cut-offs."""

from dataclasses import dataclass

import numpy as np

from muster.evaluation.cutoffs import BINS
from muster.evaluation.errors import MetricUndefined
from muster.wire.evaluations import CutoffTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """A curve: one place in each tuple per point."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    cutoffs: tuple[float | None, ...] = ()
    """The cut-off of each point; None where nothing is selected. Empty where a point has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """What one cut-off does."""

    cutoff: float | None
    """The lowest kept score at or above what was asked; None: no score is."""
    is_exact: bool
    """Whether the table has every distinct score, or this very one."""
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def accuracy(self) -> float:
        """The share on the right side."""
        right = self.true_positives + self.true_negatives
        return right / (right + self.false_positives + self.false_negatives)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """Probabilities of one bin, and what came."""

    low: float
    high: float
    rows: int
    said: float
    """Mean probability."""
    came: float
    """Share of positive rows."""


def roc(table: CutoffTable) -> Points:
    """Recall against the share of negatives that is selected, from nothing selected to everything.

    Raises:
        MetricUndefined: only one class is present.
    """
    negatives = table.population - table.positives
    if not table.positives or not negatives:
        raise MetricUndefined("a ROC curve needs both classes", metric="roc")
    return Points(
        x=(0.0, *(count / negatives for count in table.false_positives)),
        y=(0.0, *(count / table.positives for count in table.true_positives)),
        cutoffs=(None, *table.cutoffs),
    )


def precision_recall(table: CutoffTable) -> Points:
    """Precision against recall, one point per cut-off.

    Raises:
        MetricUndefined: there is no positive row.
    """
    _require_positive("precision-recall", table)
    selected = _selected(table)
    return Points(
        x=tuple(count / table.positives for count in table.true_positives),
        y=tuple(count / rows for count, rows in zip(table.true_positives, selected, strict=True)),
        cutoffs=table.cutoffs,
    )


def gains(table: CutoffTable) -> Points:
    """The share of all positive rows that a share of the population with the highest scores has.

    Raises:
        MetricUndefined: there is no positive row.
    """
    _require_positive("gains", table)
    return Points(
        x=(0.0, *(rows / table.population for rows in _selected(table))),
        y=(0.0, *(count / table.positives for count in table.true_positives)),
        cutoffs=(None, *table.cutoffs),
    )


def lift(table: CutoffTable) -> Points:
    """How many times more positive rows a share of the population with the highest scores has than a random one.

    Raises:
        MetricUndefined: there is no positive row.
    """
    gained = gains(table)
    return Points(
        x=gained.x[1:],
        y=tuple(y / x for x, y in zip(gained.x[1:], gained.y[1:], strict=True)),
        cutoffs=table.cutoffs,
    )


def accuracies(table: CutoffTable) -> Points:
    """Accuracy at each cut-off."""
    right = zip(table.true_positives, table.true_negatives, strict=True)
    return Points(x=table.cutoffs, y=tuple((tp + tn) / table.population for tp, tn in right), cutoffs=table.cutoffs)


def confusion(table: CutoffTable, cutoff: float | None = None) -> Confusion:
    """What a cut-off does.

    Args:
        table: of the scores.
        cutoff: at and above it a row is selected; None: the one that the table was made for.
    """
    asked = table.cutoff if cutoff is None else cutoff
    place = int(np.searchsorted(-np.array(table.cutoffs), -asked, side="right")) - 1
    whole = table.distinct == len(table.cutoffs)
    negatives = table.population - table.positives
    if place < 0:
        return Confusion(
            cutoff=None, is_exact=True, true_positives=0, false_positives=0,
            false_negatives=table.positives, true_negatives=negatives,
        )  # fmt: skip
    return Confusion(
        cutoff=table.cutoffs[place],
        is_exact=whole or asked in (table.cutoff, 0.5, table.cutoffs[place]),
        true_positives=table.true_positives[place],
        false_positives=table.false_positives[place],
        false_negatives=table.false_negatives[place],
        true_negatives=table.true_negatives[place],
    )


def calibration(table: CutoffTable) -> tuple[Reliability, ...]:
    """What came of the probabilities in each tenth of 0 to 1, the lower edge within; tenths without a row are left out.

    Raises:
        MetricUndefined: the scores are no probabilities.

    Source: Murphy & Winkler, Reliability of subjective probability forecasts, Applied Statistics 26 (1977).
    """
    if table.cutoffs[-1] < 0 or table.cutoffs[0] > 1:
        raise MetricUndefined("calibration needs probabilities between 0 and 1", metric="calibration")
    found: list[Reliability] = []
    above = (0, 0, 0.0)
    for step in reversed(range(BINS)):
        low = step / BINS
        place = int(np.searchsorted(-np.array(table.cutoffs), -low, side="right")) - 1
        if place < 0:
            continue
        rows = table.true_positives[place] + table.false_positives[place]
        here = (rows, table.true_positives[place], table.score_sums[place])
        count = here[0] - above[0]
        if count:
            found.append(
                Reliability(
                    low=low,
                    high=(step + 1) / BINS,
                    rows=count,
                    said=(here[2] - above[2]) / count,
                    came=(here[1] - above[1]) / count,
                )
            )
        above = here
    return tuple(reversed(found))


def calibration_error(table: CutoffTable) -> float:
    """Expected calibration error: over tenths of the probability, the mean distance of what was said from what came, by rows.

    Raises:
        MetricUndefined: the scores are no probabilities.

    Source: Naeini, Cooper & Hauskrecht, Obtaining well calibrated probabilities using Bayesian binning, AAAI 2015.
    """
    return sum(one.rows * abs(one.said - one.came) for one in calibration(table)) / table.population


def _selected(table: CutoffTable) -> list[int]:
    return [tp + fp for tp, fp in zip(table.true_positives, table.false_positives, strict=True)]


def _require_positive(what: str, table: CutoffTable) -> None:
    if not table.positives:
        raise MetricUndefined(f"{what} is not defined without a positive row", metric=what)
