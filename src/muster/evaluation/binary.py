"""Metrics of two classes, each computed from counts per distinct score."""

import numpy as np

from muster.evaluation.errors import MetricUndefined
from muster.evaluation.metric import Better, metric
from muster.evaluation.tallies import Floats, Tally

#: Of the population, for lift.
_TENTH = 0.1
#: A probability of 0 or 1 that is wrong would cost infinitely much.
SMALLEST = float(np.finfo(np.float64).eps)


@metric("roc_auc", Better.HIGHER)
def roc_auc(tally: Tally) -> float:
    """The chance that a random positive row scores above a random negative one, ties counted half.

    Source: Hanley & McNeil, The meaning and use of the area under a ROC curve, Radiology 143 (1982): the Mann-Whitney statistic.
    """
    _require_both("roc_auc", tally)
    below = tally.negative - np.cumsum(tally.negatives)
    won = float((tally.positives * (below + tally.negatives / 2)).sum())
    return won / (tally.positive * tally.negative)


@metric("gini", Better.HIGHER)
def gini(tally: Tally) -> float:
    """Twice the area under the ROC curve, less one: 0 for chance, 1 for perfect order.

    Source: Hand & Till, A simple generalisation of the area under the ROC curve, Machine Learning 45 (2001).
    """
    return 2 * roc_auc(tally) - 1


@metric("pr_auc", Better.HIGHER)
def pr_auc(tally: Tally) -> float:
    """Average precision: precision at each distinct score, weighted by the recall that it adds; nothing is interpolated.

    Source: Su, Yuan & Zhu, A relationship between average precision and the area under the ROC curve, ICTIR 2015.
    """
    _require_scores("pr_auc", tally)
    if not tally.positive:
        raise MetricUndefined("pr_auc is not defined without a positive row", metric="pr_auc")
    found = np.cumsum(tally.positives)
    chosen = found + np.cumsum(tally.negatives)
    precision = np.divide(found, chosen, out=np.zeros_like(found), where=chosen > 0)
    return float((tally.positives * precision).sum()) / tally.positive


@metric("ks", Better.HIGHER)
def ks(tally: Tally) -> float:
    """The largest distance between the score distributions of the classes (Kolmogorov-Smirnov).

    Source: Smirnov, Table for estimating the goodness of fit of empirical distributions, Ann. Math. Stat. 19 (1948).
    """
    _require_both("ks", tally)
    apart = np.cumsum(tally.positives) / tally.positive - np.cumsum(tally.negatives) / tally.negative
    return float(np.abs(apart).max())


@metric("lift@10%", Better.HIGHER)
def lift(tally: Tally) -> float:
    """How many times more positive rows the tenth of the population with the highest scores has than a random tenth.

    Rows of one score count in proportion, so neither the order of rows nor a population that ten does not divide matters.

    Source: Ling & Li, Data mining for direct marketing, KDD 1998.
    """
    _require_scores("lift@10%", tally)
    if not tally.positive:
        raise MetricUndefined("lift@10% is not defined without a positive row", metric="lift@10%")
    share = np.concatenate([[0.0], np.cumsum(tally.positives + tally.negatives) / tally.population])
    gained = np.concatenate([[0.0], np.cumsum(tally.positives) / tally.positive])
    return float(np.interp(_TENTH, share, gained)) / _TENTH


@metric("log_loss", Better.LOWER)
def log_loss(tally: Tally) -> float:
    """Mean negative log of the probability that was given to the true class, natural logarithm; 0 and 1 are moved by 2^-52.

    Source: Good, Rational decisions, J. R. Stat. Soc. B 14 (1952).
    """
    given = np.clip(_probabilities("log_loss", tally), SMALLEST, 1 - SMALLEST)
    lost = tally.positives * np.log(given) + tally.negatives * np.log1p(-given)
    return -float(lost.sum()) / tally.population


@metric("brier", Better.LOWER)
def brier(tally: Tally) -> float:
    """Mean squared distance of the probability from what came, 1 or 0.

    Source: Brier, Verification of forecasts expressed in terms of probability, Monthly Weather Review 78 (1950).
    """
    given = _probabilities("brier", tally)
    return float((tally.positives * (1 - given) ** 2 + tally.negatives * given**2).sum()) / tally.population


@metric("accuracy", Better.HIGHER)
def accuracy(tally: Tally) -> float:
    """The share of rows that fall on the right side of the cut-off.

    Source: Fawcett, An introduction to ROC analysis, Pattern Recognition Letters 27 (2006): (TP + TN) / rows.
    """
    tp, _, _, tn = confusion(tally)
    return (tp + tn) / tally.population


@metric("precision", Better.HIGHER)
def precision(tally: Tally) -> float:
    """Of the rows at or above the cut-off, the share that is positive: TP / (TP + FP).

    Source: van Rijsbergen, Information retrieval (1979), chapter 7.
    """
    tp, fp, _, _ = confusion(tally)
    return _ratio("precision", tp, tp + fp, "no row is at or above the cut-off")


@metric("recall", Better.HIGHER)
def recall(tally: Tally) -> float:
    """Of the positive rows, the share at or above the cut-off: TP / (TP + FN).

    Source: van Rijsbergen, Information retrieval (1979), chapter 7.
    """
    tp, _, fn, _ = confusion(tally)
    return _ratio("recall", tp, tp + fn, "no row is positive")


@metric("f1", Better.HIGHER)
def f1(tally: Tally) -> float:
    """The harmonic mean of precision and recall at the cut-off: 2 TP / (2 TP + FP + FN).

    Source: van Rijsbergen, Information retrieval (1979), chapter 7.
    """
    tp, fp, fn, _ = confusion(tally)
    return _ratio("f1", 2 * tp, 2 * tp + fp + fn, "no row is positive or at or above the cut-off")


@metric("balanced_accuracy", Better.HIGHER)
def balanced_accuracy(tally: Tally) -> float:
    """The mean of the shares of either class that fall on the right side of the cut-off.

    Source: Brodersen et al., The balanced accuracy and its posterior distribution, ICPR 2010.
    """
    tp, fp, fn, tn = confusion(tally)
    if not tally.positive or not tally.negative:
        raise MetricUndefined(
            "balanced_accuracy is not defined where only one class is present", metric="balanced_accuracy"
        )
    return (tp / (tp + fn) + tn / (tn + fp)) / 2


@metric("mcc", Better.HIGHER)
def mcc(tally: Tally) -> float:
    """The correlation of what was said at the cut-off with what came (Matthews).

    Source: Matthews, Comparison of the predicted and observed secondary structure of T4 phage lysozyme, BBA 405 (1975).
    """
    tp, fp, fn, tn = confusion(tally)
    spread = float(np.sqrt(tp + fp) * np.sqrt(tp + fn) * np.sqrt(tn + fp) * np.sqrt(tn + fn))
    return _ratio("mcc", tp * tn - fp * fn, spread, "all rows are of one class, or on one side of the cut-off")


def confusion(tally: Tally, cutoff: float | None = None) -> tuple[float, float, float, float]:
    """True positives, false positives, false negatives and true negatives at a cut-off; None: the tally's own."""
    chosen = tally.scores >= (tally.cutoff if cutoff is None else cutoff)
    tp, fp = float(tally.positives[chosen].sum()), float(tally.negatives[chosen].sum())
    return tp, fp, tally.positive - tp, tally.negative - fp


def _require_scores(name: str, tally: Tally) -> None:
    if tally.is_hard:
        raise MetricUndefined(f"{name} needs scores, and the output gives labels", metric=name)


def _require_both(name: str, tally: Tally) -> None:
    _require_scores(name, tally)
    if not tally.positive or not tally.negative:
        raise MetricUndefined(f"{name} is not defined where only one class is present", metric=name)


def _probabilities(name: str, tally: Tally) -> Floats:
    _require_scores(name, tally)
    lowest, highest = float(tally.scores[-1]), float(tally.scores[0])
    if lowest < 0 or highest > 1:
        raise MetricUndefined(
            f"{name} needs probabilities, and the scores go from {lowest:g} to {highest:g}", metric=name
        )
    return tally.scores


def _ratio(name: str, above: float, below: float, why: str) -> float:
    if not below:
        raise MetricUndefined(f"{name} is not defined: {why}", metric=name)
    return above / below


METRICS = (
    roc_auc, pr_auc, gini, ks, lift, log_loss, brier, accuracy, precision, recall, f1, balanced_accuracy, mcc,
)  # fmt: skip
