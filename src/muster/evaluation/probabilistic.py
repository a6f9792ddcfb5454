"""Metrics of predictions that are distributions: quantiles, or mean and standard deviation of a normal one."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from muster.evaluation.errors import MetricUndefined, PredictionsUnusable
from muster.evaluation.metric import Better, metric
from muster.evaluation.tallies import Floats, require_alike, require_finite

#: At which a normal distribution is judged where quantiles are asked for.
_LEVELS = (0.05, 0.5, 0.95)
_erf = np.frompyfunc(math.erf, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadPredictions:
    """What came, and where it was said to lie."""

    actual: Floats
    levels: tuple[float, ...]
    """Of the quantiles, rising, each within 0 and 1."""
    quantiles: Floats
    """`(rows, levels)`."""
    mean: Floats | None = None
    """Of a normal distribution; None: quantiles are all that is known."""
    deviation: Floats | None = None

    def __post_init__(self) -> None:
        """Refuses what does not fit together.

        Raises:
            PredictionsUnusable: levels do not rise within 0 and 1, or a number is none.
        """
        require_alike(self.actual, self.quantiles)
        require_finite("labels", self.actual)
        require_finite("predictions", self.quantiles)
        rising = all(low < high for low, high in zip(self.levels, self.levels[1:], strict=False))
        if not self.levels or not rising or not 0 < self.levels[0] <= self.levels[-1] < 1:
            raise PredictionsUnusable(f"levels of quantiles rise within 0 and 1; these are {list(self.levels)}")

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.actual)

    def taken(self, rows: npt.NDArray[Any]) -> "SpreadPredictions":
        """The rows at these places, or under this mask."""
        return SpreadPredictions(
            actual=self.actual[rows],
            levels=self.levels,
            quantiles=self.quantiles[rows],
            mean=None if self.mean is None else self.mean[rows],
            deviation=None if self.deviation is None else self.deviation[rows],
        )

    @property
    def middle(self) -> Floats:
        """The quantile that is nearest the median."""
        place = min(range(len(self.levels)), key=lambda at: abs(self.levels[at] - 0.5))
        return np.asarray(self.quantiles[:, place])


def of_normal(actual: Floats, mean: Floats, deviation: Floats) -> SpreadPredictions:
    """Predictions that are normal distributions.

    Raises:
        PredictionsUnusable: a standard deviation is not above zero, or a number is none.
    """
    require_finite("means", mean)
    require_finite("standard deviations", deviation)
    if (deviation <= 0).any():
        raise PredictionsUnusable(f"a standard deviation is {deviation.min():g}; it must be above 0")
    turns = np.array([NormalDist().inv_cdf(level) for level in _LEVELS])
    quantiles = mean[:, None] + deviation[:, None] * turns[None, :]
    return SpreadPredictions(actual=actual, levels=_LEVELS, quantiles=quantiles, mean=mean, deviation=deviation)


@metric("pinball", Better.LOWER)
def pinball(judged: SpreadPredictions) -> float:
    """Mean over rows and levels t of max(t d, (t - 1) d), with d = actual less quantile.

    Source: Koenker & Bassett, Regression quantiles, Econometrica 46 (1978).
    """
    levels = np.array(judged.levels)
    apart = judged.actual[:, None] - judged.quantiles
    return float(np.maximum(levels * apart, (levels - 1) * apart).mean())


@metric("coverage", Better.HIGHER)
def coverage(judged: SpreadPredictions) -> float:
    """The share of rows whose actual value lies between the lowest and the highest quantile, ends included.

    Source: Gneiting & Raftery, Strictly proper scoring rules, prediction, and estimation, JASA 102 (2007), section 6.
    """
    if len(judged.levels) < 2:
        raise MetricUndefined("coverage needs two quantiles at least", metric="coverage")
    low, high = judged.quantiles[:, 0], judged.quantiles[:, -1]
    return float(((low <= judged.actual) & (judged.actual <= high)).mean())


@metric("coverage_error", Better.LOWER)
def coverage_error(judged: SpreadPredictions) -> float:
    """How far coverage is from the probability between the lowest and the highest level.

    Source: Gneiting & Raftery, Strictly proper scoring rules, prediction, and estimation, JASA 102 (2007), section 6.
    """
    return abs(coverage(judged) - (judged.levels[-1] - judged.levels[0]))


@metric("crps", Better.LOWER)
def crps(judged: SpreadPredictions) -> float:
    """Mean continuous ranked probability score of normal distributions, in the unit of the label; not defined by quantiles alone.

    Source: Gneiting & Raftery, Strictly proper scoring rules, prediction, and estimation, JASA 102 (2007), section 4.2.
    """
    if judged.mean is None or judged.deviation is None:
        raise MetricUndefined("crps needs a whole distribution, and the output gives quantiles", metric="crps")
    z = (judged.actual - judged.mean) / judged.deviation
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    below = (1 + np.asarray(_erf(z / math.sqrt(2)), dtype=np.float64)) / 2
    return float((judged.deviation * (z * (2 * below - 1) + 2 * density - 1 / math.sqrt(math.pi))).mean())


METRICS = (pinball, coverage, coverage_error, crps)
