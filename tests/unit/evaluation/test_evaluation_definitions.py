"""What all metrics of a task give: a figure, or why there is none."""

import numpy as np
import pytest

from muster.evaluation import bootstrap, definitions
from muster.evaluation.errors import MetricUndefined
from muster.evaluation.metric import Task
from muster.evaluation.numbers import NumberPredictions


def test_what_is_not_finite_is_no_figure() -> None:
    """Predictions so large that their squares overflow leave metrics without a value, and say so; others have theirs."""
    actual = np.arange(60.0)
    predictions = NumberPredictions(actual=actual, predicted=np.where(actual % 2, 1e200, actual))
    found = definitions.figures(Task.REGRESSION, predictions)
    assert "rmse" in found.undefined
    assert "is no figure" in found.undefined["rmse"]
    assert all(np.isfinite(value) for value in found.values.values())
    assert "mae" in found.values
    rmse = definitions.named(Task.REGRESSION, "rmse")
    with pytest.raises(MetricUndefined):
        definitions.value(rmse, predictions)
    with pytest.raises(MetricUndefined):
        bootstrap.interval(rmse, predictions, seed=1)
