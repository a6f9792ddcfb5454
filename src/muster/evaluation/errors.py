"""What can go wrong when predictions are judged."""

from muster.vocabulary.errors import Invalid, NotFound, Refused


class MetricUndefined(Refused):
    """The metric has no value on these rows: one class only, nothing selected, a division by zero. No number stands in for it."""

    code = "evaluation.metric-undefined"
    advice = "Judge on rows on which it is defined (both classes, labels that are not all alike), or by another metric."


class MetricUnknown(NotFound):
    """There is no standard metric of this name for this kind of prediction."""

    code = "evaluation.metric-unknown"
    advice = "docs/reference/standard-metrics.md lists the metrics of each task."


class PredictionsUnusable(Invalid):
    """Labels or predictions are not what the task asks for: a null, NaN, an unknown class, a negative count."""

    code = "evaluation.predictions-unusable"
    advice = "Compare [prediction] in muster.toml with what the output gives and with the labels of the evaluation set."
