"""Metrics of several classes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from muster.evaluation import binary
from muster.evaluation.errors import MetricUndefined, PredictionsUnusable
from muster.evaluation.metric import Better, metric
from muster.evaluation.tallies import BinaryPredictions, Floats, Whole, require_alike, require_finite

#: How far the probabilities of a row may miss one: those of FP32 outputs do.
_SUM_SLACK = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPredictions:
    """Rows of several classes and what was said of each."""

    classes: tuple[str, ...]
    labels: Whole
    """Of each row, the place of its class."""
    predicted: Whole
    """The class that was said."""
    probabilities: Floats | None = None
    """`(rows, classes)`; None: the model says a class and no more."""

    def __post_init__(self) -> None:
        """Refuses what does not fit together.

        Raises:
            PredictionsUnusable: the numbers of rows or classes differ, or a probability is no finite number.
        """
        require_alike(self.labels, self.predicted)
        if self.probabilities is None:
            return
        require_alike(self.labels, self.probabilities)
        require_finite("probabilities", self.probabilities)
        if self.probabilities.shape != (len(self.labels), len(self.classes)):
            raise PredictionsUnusable(
                f"{len(self.classes)} classes do not fit probabilities of shape {self.probabilities.shape}"
            )

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.labels)

    def taken(self, rows: npt.NDArray[Any]) -> "ClassPredictions":
        """The rows at these places, or under this mask."""
        given = self.probabilities
        return ClassPredictions(
            classes=self.classes,
            labels=self.labels[rows],
            predicted=self.predicted[rows],
            probabilities=None if given is None else given[rows],
        )

    def against_the_rest(self, place: int) -> BinaryPredictions:
        """One class against all others.

        Raises:
            MetricUndefined: the model gives no probabilities.
        """
        if self.probabilities is None:
            raise MetricUndefined("there are no probabilities, only classes")
        return BinaryPredictions(labels=self.labels == place, scores=self.probabilities[:, place])


def confusion_of(judged: ClassPredictions) -> Whole:
    """How often each class (row) was called each class (column)."""
    size = len(judged.classes)
    counts = np.bincount(judged.labels * size + judged.predicted, minlength=size * size)
    return counts.reshape(size, size).astype(np.int64)


@metric("accuracy", Better.HIGHER)
def accuracy(judged: ClassPredictions) -> float:
    """The share of rows that were called what they are.

    Source: Sokolova & Lapalme, A systematic analysis of performance measures for classification tasks, IPM 45 (2009).
    """
    return float((judged.labels == judged.predicted).mean())


@metric("balanced_accuracy", Better.HIGHER)
def balanced_accuracy(judged: ClassPredictions) -> float:
    """The mean over the classes that are present of the share that was called so.

    Source: Brodersen et al., The balanced accuracy and its posterior distribution, ICPR 2010.
    """
    counts = confusion_of(judged)
    there = counts.sum(axis=1)
    if (there > 0).sum() < 2:
        raise MetricUndefined(
            "balanced_accuracy is not defined where only one class is present", metric="balanced_accuracy"
        )
    return float((counts.diagonal()[there > 0] / there[there > 0]).mean())


@metric("macro_f1", Better.HIGHER)
def macro_f1(judged: ClassPredictions) -> float:
    """The mean of F1, class by class against the rest, over the classes that are present or were said.

    Source: Sokolova & Lapalme, A systematic analysis of performance measures for classification tasks, IPM 45 (2009).
    """
    counts = confusion_of(judged)
    right = counts.diagonal()
    either = counts.sum(axis=0) + counts.sum(axis=1)
    return float((2 * right[either > 0] / either[either > 0]).mean())


@metric("log_loss", Better.LOWER)
def log_loss(judged: ClassPredictions) -> float:
    """Mean negative log of the probability that was given to the true class, natural logarithm; 0 and 1 are moved by 2^-52.

    Source: Good, Rational decisions, J. R. Stat. Soc. B 14 (1952).
    """
    given = _probabilities("log_loss", judged)
    of_truth = np.clip(given[np.arange(judged.rows), judged.labels], binary.SMALLEST, 1 - binary.SMALLEST)
    return -float(np.log(of_truth).mean())


@metric("roc_auc_ovr_macro", Better.HIGHER)
def roc_auc_ovr_macro(judged: ClassPredictions) -> float:
    """The mean over the classes of the area under the ROC curve of each against the rest.

    Source: Provost & Domingos, Well-trained PETs (2000), each class weighted alike.
    """
    _probabilities("roc_auc_ovr_macro", judged)
    there = np.bincount(judged.labels, minlength=len(judged.classes))
    for place, rows in enumerate(there):
        if rows in (0, judged.rows):
            raise MetricUndefined(
                f"roc_auc_ovr_macro is not defined: {rows} of {judged.rows} rows are of class {judged.classes[place]}",
                metric="roc_auc_ovr_macro",
            )
    areas = [binary.roc_auc(judged.against_the_rest(place).tally) for place in range(len(judged.classes))]
    return float(np.mean(areas))


def _probabilities(name: str, judged: ClassPredictions) -> Floats:
    given = judged.probabilities
    if given is None:
        raise MetricUndefined(f"{name} needs probabilities, and the output gives classes", metric=name)
    if given.min() < 0 or given.max() > 1 or np.abs(given.sum(axis=1) - 1).max() > _SUM_SLACK:
        raise MetricUndefined(f"{name} needs probabilities that add up to 1 in each row", metric=name)
    return given


METRICS = (accuracy, balanced_accuracy, macro_f1, log_loss, roc_auc_ovr_macro)
