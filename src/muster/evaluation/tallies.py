"""Scores of two classes, counted per distinct score: all that ranking metrics, cut-offs and curves are computed from."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from muster.evaluation.errors import PredictionsUnusable

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

#: At and above it a score means the positive class, unless a standard says otherwise.
CUTOFF = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many rows of each class have each score, the highest score first.

    `scores`, `positives` and `negatives` have one place per distinct score, so ties are one place and the order of rows
    cannot matter.
    """

    scores: Floats
    positives: Floats
    negatives: Floats
    cutoff: float = CUTOFF
    is_hard: bool = False
    """Whether the model gives labels and no scores: then nothing can be said of its order."""

    @property
    def population(self) -> float:
        """All rows."""
        return self.positive + self.negative

    @property
    def positive(self) -> float:
        """Rows of the positive class."""
        return float(self.positives.sum())

    @property
    def negative(self) -> float:
        """Rows of the other class."""
        return float(self.negatives.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryPredictions:
    """Rows of two classes and the scores that they were given."""

    labels: Flags
    """Which rows are of the positive class."""
    scores: Floats
    """The higher, the likelier positive."""
    cutoff: float = CUTOFF
    is_hard: bool = False

    def __post_init__(self) -> None:
        """Refuses what is no number.

        Raises:
            PredictionsUnusable: a score is NaN or infinite, or there are not as many scores as labels.
        """
        require_alike(self.labels, self.scores)
        require_finite("scores", self.scores)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.labels)

    def taken(self, rows: npt.NDArray[Any]) -> "BinaryPredictions":
        """The rows at these places, or under this mask."""
        return BinaryPredictions(
            labels=self.labels[rows], scores=self.scores[rows], cutoff=self.cutoff, is_hard=self.is_hard
        )

    @property
    def tally(self) -> Tally:
        """The rows, counted."""
        return Counting(self).tally(None)


class Counting:
    """Counts the same rows again and again, each with another weight: sorted once.

    Args:
        predictions: the rows.
    """

    def __init__(self, predictions: BinaryPredictions) -> None:
        distinct, places = np.unique(predictions.scores, return_inverse=True)
        self._scores = distinct[::-1].astype(np.float64)
        self._places = len(distinct) - 1 - places.reshape(-1)
        self._labels = predictions.labels.astype(np.float64)
        self._predictions = predictions

    def tally(self, times: Floats | None) -> Tally:
        """The counts, each row as often as `times` says; None: once."""
        size = len(self._scores)
        weights = np.ones(len(self._labels)) if times is None else times
        every = np.bincount(self._places, weights=weights, minlength=size).astype(np.float64)
        positives = np.bincount(self._places, weights=weights * self._labels, minlength=size).astype(np.float64)
        return Tally(
            scores=self._scores,
            positives=positives,
            negatives=every - positives,
            cutoff=self._predictions.cutoff,
            is_hard=self._predictions.is_hard,
        )


def require_alike(labels: npt.NDArray[Any], predictions: npt.NDArray[Any]) -> None:
    """Refuses labels and predictions of different numbers of rows, or of none.

    Raises:
        PredictionsUnusable: it is so.
    """
    if len(labels) != len(predictions):
        raise PredictionsUnusable(
            f"there are {len(labels)} labels and {len(predictions)} predictions",
            labels=len(labels),
            predictions=len(predictions),
        )
    if not len(labels):
        raise PredictionsUnusable("there are no rows to judge", labels=0)


def require_finite(what: str, numbers: npt.NDArray[Any]) -> None:
    """Refuses NaN and the infinities.

    Raises:
        PredictionsUnusable: one of the numbers is one.
    """
    wrong = ~np.isfinite(numbers).reshape(len(numbers), -1).all(axis=1)
    if wrong.any():
        row = int(wrong.argmax())
        raise PredictionsUnusable(
            f"{int(wrong.sum())} of {len(numbers)} {what} are no finite numbers, the first in row {row}", row=row
        )
