"""All standard metrics by task, and what they give for some predictions."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from muster.evaluation import binary, multiclass, numbers, probabilistic, ranking
from muster.evaluation.errors import MetricUndefined, MetricUnknown
from muster.evaluation.metric import Metric, Task
from muster.evaluation.multiclass import ClassPredictions
from muster.evaluation.numbers import NumberPredictions
from muster.evaluation.probabilistic import SpreadPredictions
from muster.evaluation.ranking import RankedPredictions
from muster.evaluation.tallies import BinaryPredictions

Predictions = BinaryPredictions | ClassPredictions | NumberPredictions | SpreadPredictions | RankedPredictions

METRICS: Mapping[Task, tuple[Metric[Any], ...]] = {
    Task.BINARY: binary.METRICS,
    Task.MULTICLASS: multiclass.METRICS,
    Task.REGRESSION: numbers.REGRESSION,
    Task.COUNTS: numbers.COUNTS,
    Task.PROBABILISTIC: probabilistic.METRICS,
    Task.RANKING: ranking.METRICS,
}

#: By which metric versions are compared, unless a standard says otherwise: the first of each task that needs no more than an order,
#: or is proper.
PRIMARY: Mapping[Task, str] = {
    Task.BINARY: "roc_auc",
    Task.MULTICLASS: "log_loss",
    Task.REGRESSION: "rmse",
    Task.COUNTS: "poisson_deviance",
    Task.PROBABILISTIC: "pinball",
    Task.RANKING: f"ndcg@{ranking.DEPTH}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the metrics of a task give for some predictions."""

    values: Mapping[str, float]
    """By name; only what is defined."""
    undefined: Mapping[str, str] = field(default_factory=dict)
    """Why a metric has no value, by its name."""


def names(task: Task) -> tuple[str, ...]:
    """The names of a task's metrics."""
    return tuple(metric.name for metric in METRICS[task])


def named(task: Task, name: str) -> Metric[Any]:
    """The metric of that name.

    Raises:
        MetricUnknown: the task has none.
    """
    found = next((metric for metric in METRICS[task] if metric.name == name), None)
    if found is None:
        known = names(task)
        raise MetricUnknown(
            f"{name!r} is no standard metric of {task} predictions: {', '.join(known)}", metric=name, known=list(known)
        )
    return found


def usual(task: Task, predictions: Predictions) -> str:
    """The metric by which such predictions are compared of themselves: labels without scores by what they get right."""
    is_hard = isinstance(predictions, BinaryPredictions) and predictions.is_hard
    if is_hard or (isinstance(predictions, ClassPredictions) and predictions.probabilities is None):
        return "balanced_accuracy"
    return PRIMARY[task]


def value(metric: Metric[Any], predictions: Predictions) -> float:
    """What a metric gives for predictions of its task.

    Raises:
        MetricUndefined: nothing, or no finite number.
    """
    return of(metric, predictions.tally if isinstance(predictions, BinaryPredictions) else predictions)


def of(metric: Metric[Any], judged: Any) -> float:
    """What a metric gives for what it is defined on.

    Raises:
        MetricUndefined: nothing, or no finite number: predictions of 1e200 have squares beyond what a double holds.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        found = metric(judged)
    if not math.isfinite(found):
        raise MetricUndefined(f"{metric.name} is {found} on these rows, which is no figure", metric=metric.name)
    return found


def figures(task: Task, predictions: Predictions) -> Figures:
    """What all metrics of a task give.

    >>> import numpy as np
    >>> scored = BinaryPredictions(labels=np.array([True, False, True]), scores=np.array([0.9, 0.4, 0.6]))
    >>> figures(Task.BINARY, scored).values["roc_auc"]
    1.0
    """
    judged: Any = predictions.tally if isinstance(predictions, BinaryPredictions) else predictions
    values: dict[str, float] = {}
    undefined: dict[str, str] = {}
    for metric in METRICS[task]:
        try:
            values[metric.name] = of(metric, judged)
        except MetricUndefined as error:
            undefined[metric.name] = error.message
    return Figures(values=values, undefined=undefined)
