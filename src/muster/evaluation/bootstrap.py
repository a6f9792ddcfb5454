"""How sure a figure is: percentile intervals of a metric, and of the difference between two models on the same rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from muster.evaluation import definitions
from muster.evaluation.definitions import Predictions
from muster.evaluation.errors import MetricUndefined
from muster.evaluation.metric import Metric
from muster.evaluation.ranking import RankedPredictions
from muster.evaluation.tallies import BinaryPredictions, Counting, Floats
from muster.vocabulary.digests import digest_of, hex_of

RESAMPLES = 1000
_FEWEST = 100
#: Rows times resamples; beyond it there are fewer resamples, so that time is bounded.
_MOST_WORK = 30_000_000
_LEVEL = 0.95
#: So many resamples have to have a value for the interval to mean anything.
_DEFINED = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure and where it lies in 95 of 100 samples like this one."""

    value: float
    low: float
    high: float
    resamples: int


def seed_of(*digests: str) -> int:
    """The seed that belongs to these documents: the same ones give the same resamples on every machine."""
    return int(hex_of(digest_of("\n".join(digests).encode()))[:16], 16)


def resamples_for(rows: int) -> int:
    """How many resamples so many rows get."""
    return max(_FEWEST, min(RESAMPLES, _MOST_WORK // max(1, rows)))


def interval(metric: Metric[Any], predictions: Predictions, seed: int, most: int = RESAMPLES) -> Interval:
    """A metric with its interval.

    Args:
        metric: any standard one.
        predictions: of its task.
        seed: of the resamples.
        most: how many resamples there are at most.

    Raises:
        MetricUndefined: it has no value on these rows, or on too many resamples of them.

    Source: Efron & Tibshirani, An introduction to the bootstrap (1993), chapter 13.
    """
    drawn = min(most, resamples_for(predictions.rows))
    found = _valued(metric, (predictions,), seed, drawn)[:, 0]
    return _interval(metric, definitions.value(metric, predictions), found, drawn)


def paired(metric: Metric[Any], candidate: Predictions, other: Predictions, seed: int) -> Interval:
    """By how much the candidate is better, with its interval: both models are judged on the same resamples of the rows.

    Of rankings queries are drawn and not rows.

    Args:
        metric: by which they are compared.
        candidate: of the one.
        other: of the other, on the same rows.
        seed: of the resamples.

    Raises:
        MetricUndefined: the metric has no value on these rows, or on too many resamples of them.

    Source: Efron & Tibshirani, An introduction to the bootstrap (1993), chapters 13 and 8.
    """
    drawn = resamples_for(candidate.rows)
    found = _valued(metric, (candidate, other), seed, drawn)
    gains = np.array([metric.gain(one, two) for one, two in found.tolist()])
    whole = metric.gain(definitions.value(metric, candidate), definitions.value(metric, other))
    return _interval(metric, whole, gains, drawn)


def _interval(metric: Metric[Any], value: float, found: Floats, drawn: int) -> Interval:
    defined = found[~np.isnan(found)]
    if len(defined) < _DEFINED * drawn:
        raise MetricUndefined(
            f"{metric.name} has a value on {len(defined)} of {drawn} resamples only: there are too few rows",
            metric=metric.name,
        )
    edge = (1 - _LEVEL) / 2
    low, high = np.quantile(defined, [edge, 1 - edge])
    return Interval(value=value, low=float(low), high=float(high), resamples=drawn)


def _valued(metric: Metric[Any], predictions: tuple[Predictions, ...], seed: int, drawn: int) -> Floats:
    """The metric on each resample (rows) of each of the predictions (columns); NaN where it has no value."""
    generator = np.random.default_rng(seed)
    first = predictions[0]
    judges = [_judge(metric, one) for one in predictions]
    groups = np.unique(first.groups, return_inverse=True)[1] if isinstance(first, RankedPredictions) else None
    size = first.rows if groups is None else int(groups.max()) + 1
    found = np.empty((drawn, len(predictions)))
    for turn in range(drawn):
        places = generator.integers(0, size, size)
        found[turn] = [judge(places) for judge in judges]
    return found


def _judge(metric: Metric[Any], predictions: Predictions) -> Callable[[Any], float]:
    """Gives the metric for rows (or queries) at places, each as often as it is named; NaN where there is no value."""
    if isinstance(predictions, BinaryPredictions):
        counting = Counting(predictions)
        rows = predictions.rows

        def of_counts(places: Any) -> float:
            return _value(metric, counting.tally(np.bincount(places, minlength=rows).astype(np.float64)))

        return of_counts
    if isinstance(predictions, RankedPredictions):
        return _judge_of_queries(metric, predictions)
    return lambda places: _value(metric, predictions.taken(places))


def _judge_of_queries(metric: Metric[Any], predictions: RankedPredictions) -> Callable[[Any], float]:
    """The mean over queries of what the metric gives for each alone."""
    numbers = np.unique(predictions.groups, return_inverse=True)[1].reshape(-1)
    order = np.argsort(numbers, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)
    alone = np.array([_value(metric, predictions.taken(part)) for part in parts])

    def of_queries(places: Any) -> float:
        drawn = alone[places]
        there = drawn[~np.isnan(drawn)]
        return float(there.mean()) if len(there) else float("nan")

    return of_queries


def _value(metric: Metric[Any], judged: Any) -> float:
    try:
        return definitions.of(metric, judged)
    except MetricUndefined:
        return float("nan")
