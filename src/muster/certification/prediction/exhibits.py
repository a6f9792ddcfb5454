"""What the checks of this package show: curves, distributions, matrices, the rows that were judged worst.

Evidence is read by the authors, too, so curves are drawn in steps of many rows: see `muster.evaluation.coarse`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from muster.certification.judgement import Judgement
from muster.certification.prediction.judging import as_numbers
from muster.evaluation import coarse, curves, cutoffs, outcomes
from muster.evaluation.definitions import Predictions
from muster.evaluation.errors import MetricUndefined
from muster.evaluation.multiclass import ClassPredictions
from muster.evaluation.tallies import BinaryPredictions, Floats
from muster.evaluation_sets.labels import word_of
from muster.wire.evaluations import CutoffTable
from muster.wire.evidence import Bars, Cell, Curve, Exhibit, Grid, Histogram, Series

_BINS = 10
_WORST = 20
_MOST_CLASSES = 20
_DIGITS = 5


def of_predictions(predictions: Predictions) -> tuple[Exhibit, ...]:
    """What is to be seen of predictions of a task."""
    if isinstance(predictions, BinaryPredictions):
        return _of_binary(predictions)
    if isinstance(predictions, ClassPredictions):
        return _of_classes(predictions)
    return _of_numbers(predictions)


def _of_binary(predictions: BinaryPredictions) -> tuple[Exhibit, ...]:
    table = cutoffs.table_of(predictions.tally)
    few = coarse.cutoffs(table)
    shown: list[Exhibit] = [confusion_grid(table)]
    if not predictions.is_hard:
        for draw in (_roc, _precision_recall, _lift):
            try:
                shown.append(draw(few))
            except MetricUndefined:  # the metrics say so, with the reason
                continue
    groups = {"positive": predictions.scores[predictions.labels], "negative": predictions.scores[~predictions.labels]}
    return (*shown, histogram("Scores by what really happened", "score", groups))


def _roc(table: CutoffTable) -> Curve:
    return Curve(
        title="ROC curve", x="false alarms (share of negatives)", y="recall (share of positives)",
        series=(series("version", curves.roc(table)),), diagonal=True,
    )  # fmt: skip


def _precision_recall(table: CutoffTable) -> Curve:
    return Curve(
        title="Precision and recall",
        x="recall",
        y="precision",
        series=(series("version", curves.precision_recall(table)),),
    )


def _lift(table: CutoffTable) -> Curve:
    return Curve(
        title="Lift", x="share of the population, highest scores first", y="times more positives than at random",
        series=(series("version", curves.lift(table)),),
    )  # fmt: skip


def series(name: str, points: curves.Points) -> Series:
    """A line."""
    return Series(name=name, x=_rounded(points.x), y=_rounded(points.y))


def confusion_grid(table: CutoffTable) -> Grid:
    """What the cut-off does."""
    found = curves.confusion(table)
    return Grid(
        title=f"Confusion at the cut-off {table.cutoff:g}",
        columns=("", "said positive", "said negative"),
        rows=(
            ("is positive", found.true_positives, found.false_negatives),
            ("is negative", found.false_positives, found.true_negatives),
        ),
    )


def calibration_curve(bins: Sequence[curves.Reliability]) -> Curve:
    """What was said against what came, in tenths of the probability."""
    points = curves.Points(x=tuple(one.said for one in bins), y=tuple(one.came for one in bins))
    return Curve(
        title="Calibration", x="mean probability that was said", y="share that came true",
        series=(series("version", points),), diagonal=True,
    )  # fmt: skip


def histogram(title: str, x: str, groups: Mapping[str, Floats]) -> Histogram:
    """How often values fall into ten bins of equal width; where they end is rounded, as the outermost value is a row's."""
    every = np.concatenate(list(groups.values()))
    low, high = float(every.min()), float(every.max())
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    edges = _edges(low, high)
    counts = {
        name: tuple(np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0].tolist())
        for name, values in groups.items()
    }
    return Histogram(title=title, x=x, edges=_rounded(edges.tolist()), counts=counts)


def _edges(low: float, high: float) -> npt.NDArray[np.float64]:
    """Around all values, at multiples of a round number."""
    span = (high - low) or abs(high) or 1.0
    round_to = 10.0 ** math.floor(math.log10(span) - 1)
    first, last = math.floor(low / round_to) * round_to, math.ceil(high / round_to) * round_to
    return np.linspace(first, last if last > first else first + span, _BINS + 1)


def _of_classes(predictions: ClassPredictions) -> tuple[Exhibit, ...]:
    came, said, counts = coarse.classes(outcomes.classes_of(predictions))
    names, columns = came[:_MOST_CLASSES], said[:_MOST_CLASSES]
    shown: tuple[tuple[Cell, ...], ...] = tuple(
        (f"is {name}", *row[:_MOST_CLASSES]) for name, row in zip(names, counts, strict=False)
    )
    there = [(name, counts[at][at] / sum(counts[at])) for at, name in enumerate(names)]
    return (
        Grid(title="Who was called what", columns=("", *(f"said {name}" for name in columns)), rows=shown),
        Bars(
            title="Recall of each class", x="share that was called so",
            names=tuple(name for name, _ in there), values=_rounded(value for _, value in there),
        ),
    )  # fmt: skip


def _of_numbers(predictions: Any) -> tuple[Exhibit, ...]:
    numbers = as_numbers(predictions)
    steps = coarse.outcomes(outcomes.table_of(numbers))
    line = curves.Points(x=tuple(one.predicted for one in steps), y=tuple(one.actual for one in steps))
    return (
        Curve(
            title="Predicted and actual, means of a twentieth of the rows each", x="predicted", y="actual",
            series=(series("version", line),), diagonal=True,
        ),
        histogram("Errors", "predicted less actual", {"rows": numbers.missed}),
    )  # fmt: skip


def worst_rows(judgement: Judgement) -> Grid:
    """The rows whose answers lie farthest from what really happened: by number, and for those alone who may see the set's rows."""
    predictions = judgement.predictions
    if isinstance(predictions, BinaryPredictions):
        off, said = np.abs(predictions.scores - predictions.labels), predictions.scores.tolist()
    elif isinstance(predictions, ClassPredictions):
        given = predictions.probabilities
        right = predictions.predicted == predictions.labels
        off = 1.0 - (right if given is None else given[np.arange(predictions.rows), predictions.labels])
        said = [predictions.classes[place] for place in predictions.predicted.tolist()]
    else:
        numbers = as_numbers(predictions)
        off, said = np.abs(numbers.missed), numbers.predicted.tolist()
    worst = np.argsort(-off, kind="stable")[:_WORST].tolist()
    labels = judgement.values(judgement.rows.label_name)
    rows = tuple(
        (int(judgement.places[at]), _cell(said[at]), word_of(labels[at])[:80], round(float(off[at]), _DIGITS))
        for at in worst
    )
    return Grid(
        title="Rows judged worst, by their place in the set",
        columns=("row", "said", "came", "off by"),
        rows=rows,
        sealed=True,
    )


def _cell(value: Any) -> str | float:
    return round(value, _DIGITS) if isinstance(value, float) else str(value)[:80]


def _rounded(numbers: Any) -> tuple[float, ...]:
    return tuple(round(float(number), _DIGITS) for number in numbers)


def bars(title: str, x: str, found: Sequence[tuple[str, float, float, float]]) -> Bars:
    """Values with their intervals: name, value, low, high."""
    return Bars(
        title=title,
        x=x,
        names=tuple(name for name, *_ in found),
        values=_rounded(value for _, value, _, _ in found),
        low=_rounded(low for _, _, low, _ in found),
        high=_rounded(high for *_, high in found),
    )
