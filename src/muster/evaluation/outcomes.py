"""What is kept of predicted numbers: bins of the predictions with what came in each; and of classes: who was called what."""

import numpy as np

from muster.evaluation.multiclass import ClassPredictions, confusion_of
from muster.evaluation.numbers import NumberPredictions
from muster.wire.evaluations import ClassTable, OutcomeTable

#: Bins of equally many rows.
BINS = 100


def table_of(predictions: NumberPredictions, bins: int = BINS) -> OutcomeTable:
    """Rows in the order of their prediction, in bins of equally many; rows of one prediction are never parted."""
    order = np.argsort(predictions.predicted, kind="stable")
    said, came = predictions.predicted[order], predictions.actual[order]
    wanted = np.linspace(0, len(said), min(bins, len(said)) + 1).round().astype(int)[:-1]
    starts = np.unique(np.searchsorted(said, said[wanted], side="left"))
    missed = said - came
    ends = np.append(starts[1:], len(said)) - 1
    return OutcomeTable(
        population=len(said),
        low=tuple(said[starts].tolist()),
        high=tuple(said[ends].tolist()),
        rows=tuple((ends - starts + 1).tolist()),
        predicted_sums=tuple(np.add.reduceat(said, starts).tolist()),
        actual_sums=tuple(np.add.reduceat(came, starts).tolist()),
        absolute_errors=tuple(np.add.reduceat(np.abs(missed), starts).tolist()),
        squared_errors=tuple(np.add.reduceat(missed**2, starts).tolist()),
    )


def classes_of(predictions: ClassPredictions) -> ClassTable:
    """Who was called what."""
    return ClassTable(
        population=predictions.rows,
        classes=predictions.classes,
        counts=tuple(tuple(row) for row in confusion_of(predictions).tolist()),
    )
