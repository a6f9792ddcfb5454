"""Metrics of numbers and of counts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from muster.evaluation.errors import MetricUndefined
from muster.evaluation.metric import Better, metric
from muster.evaluation.tallies import Floats, require_alike, require_finite


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberPredictions:
    """What came, and what was said."""

    actual: Floats
    predicted: Floats

    def __post_init__(self) -> None:
        """Refuses what is no number.

        Raises:
            PredictionsUnusable: one is NaN or infinite, or the numbers of rows differ.
        """
        require_alike(self.actual, self.predicted)
        require_finite("labels", self.actual)
        require_finite("predictions", self.predicted)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.actual)

    def taken(self, rows: npt.NDArray[Any]) -> "NumberPredictions":
        """The rows at these places, or under this mask."""
        return NumberPredictions(actual=self.actual[rows], predicted=self.predicted[rows])

    @property
    def missed(self) -> Floats:
        """By how much each row was said too high."""
        return self.predicted - self.actual


@metric("mae", Better.LOWER)
def mae(judged: NumberPredictions) -> float:
    """Mean absolute error.

    Source: Willmott & Matsuura, Advantages of the mean absolute error over the root mean square error, Clim. Res. 30 (2005).
    """
    return float(np.abs(judged.missed).mean())


@metric("rmse", Better.LOWER)
def rmse(judged: NumberPredictions) -> float:
    """Root of the mean squared error.

    Source: Chai & Draxler, RMSE or MAE?, Geosci. Model Dev. 7 (2014).
    """
    return float(np.sqrt((judged.missed**2).mean()))


@metric("mape", Better.LOWER)
def mape(judged: NumberPredictions) -> float:
    """Mean of the absolute error as a share of the actual value; not defined where one is zero.

    Source: Makridakis, Accuracy measures: theoretical and practical concerns, Int. J. Forecasting 9 (1993).
    """
    if not judged.actual.all():
        zeros = int((judged.actual == 0).sum())
        raise MetricUndefined(f"mape is not defined: {zeros} of {judged.rows} actual values are zero", metric="mape")
    return float((np.abs(judged.missed) / np.abs(judged.actual)).mean())


@metric("smape", Better.LOWER)
def smape(judged: NumberPredictions) -> float:
    """Mean of 2 |error| / (|actual| + |predicted|), from 0 to 2; a row where both are zero counts 0.

    Source: Makridakis, Accuracy measures: theoretical and practical concerns, Int. J. Forecasting 9 (1993).
    """
    size = np.abs(judged.actual) + np.abs(judged.predicted)
    shares = np.divide(2 * np.abs(judged.missed), size, out=np.zeros_like(size), where=size > 0)
    return float(shares.mean())


@metric("r2", Better.HIGHER)
def r2(judged: NumberPredictions) -> float:
    """The share of the variance of the actual values that is explained: 1 - squared errors / squared deviations from the mean.

    Source: Wright, Correlation and causation, J. Agricultural Research 20 (1921).
    """
    spread = float(((judged.actual - judged.actual.mean()) ** 2).sum())
    if not spread:
        raise MetricUndefined("r2 is not defined: all actual values are alike", metric="r2")
    return 1 - float((judged.missed**2).sum()) / spread


@metric("median_ae", Better.LOWER)
def median_ae(judged: NumberPredictions) -> float:
    """Median of the absolute errors; half of the rows are nearer.

    Source: Hyndman & Koehler, Another look at measures of forecast accuracy, Int. J. Forecasting 22 (2006).
    """
    return float(np.median(np.abs(judged.missed)))


@metric("bias", Better.NEAR_ZERO)
def bias(judged: NumberPredictions) -> float:
    """Mean of predicted less actual: above zero where too much is said.

    Source: Hyndman & Koehler, Another look at measures of forecast accuracy, Int. J. Forecasting 22 (2006), the mean error.
    """
    return float(judged.missed.mean())


@metric("poisson_deviance", Better.LOWER)
def poisson_deviance(judged: NumberPredictions) -> float:
    """Mean of 2 (a ln(a/p) - a + p) for counts a and expectations p above zero.

    Source: McCullagh & Nelder, Generalized linear models (1989), section 2.3.
    """
    _require_counts("poisson_deviance", judged)
    if judged.predicted.min() <= 0:
        raise MetricUndefined(
            f"poisson_deviance is not defined: {judged.predicted.min():g} was predicted, and it needs more than 0",
            metric="poisson_deviance",
        )
    actual, said = judged.actual, judged.predicted
    ratio = np.divide(actual, said, out=np.ones_like(said), where=actual > 0)
    return float(2 * (actual * np.log(ratio) - actual + said).mean())


@metric("rmsle", Better.LOWER)
def rmsle(judged: NumberPredictions) -> float:
    """Root of the mean squared difference of ln(1 + actual) and ln(1 + predicted).

    Source: scikit-learn, root_mean_squared_log_error.
    """
    _require_counts("rmsle", judged)
    if judged.predicted.min() < 0:
        raise MetricUndefined(
            f"rmsle is not defined: {judged.predicted.min():g} was predicted, below 0", metric="rmsle"
        )
    return float(np.sqrt(((np.log1p(judged.predicted) - np.log1p(judged.actual)) ** 2).mean()))


def _require_counts(name: str, judged: NumberPredictions) -> None:
    if judged.actual.min() < 0:
        raise MetricUndefined(f"{name} is not defined: a label is {judged.actual.min():g}, below 0", metric=name)


REGRESSION = (mae, rmse, mape, smape, r2, median_ae, bias)
COUNTS = (poisson_deviance, rmsle, mae, rmse, bias)
