"""What a project's standard can set about prediction performance: `[checks.NAME] options = { … }`."""

import math
from collections.abc import Mapping

import msgspec

from muster.evaluation import definitions
from muster.evaluation.metric import Task
from muster.evaluation.tallies import CUTOFF

_ALL_METRICS = frozenset(name for task in Task for name in definitions.names(task))


class PerformanceOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of `prediction-performance`; `primary` and `cutoff` hold for the other checks on an evaluation set as well."""

    min: dict[str, float] = {}
    """What a metric has to reach: `{ roc_auc = 0.8 }`."""
    max: dict[str, float] = {}
    """What a metric may not exceed: `{ brier = 0.2 }`."""
    primary: str = ""
    """By which metric versions and slices are compared; empty: the usual one of the task."""
    cutoff: float = CUTOFF
    """At and above it a score of a binary model means the positive class."""
    importance: bool = True
    """Whether permutation importance is computed: it asks the host many times."""
    importance_seconds: float = 20.0
    """For how long at most."""

    def problems(self) -> list[str]:
        """What types cannot say."""
        told = metric_problems(self.min, self.max)
        if self.primary and self.primary not in _ALL_METRICS:
            told.append(f"primary: {self.primary!r} is no standard metric")
        if not math.isfinite(self.cutoff):
            told.append(f"cutoff is {self.cutoff}, and no finite number")
        if not 0 <= self.importance_seconds <= 600:
            told.append(f"importance_seconds is {self.importance_seconds:g}; it is from 0 to 600")
        return told


class ChampionOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of `against-champion`."""

    margin: float = 0.0
    """By how much the version may be worse in the primary metric and pass although that is beyond doubt."""

    def problems(self) -> list[str]:
        """What types cannot say."""
        return [] if 0 <= self.margin < math.inf else [f"margin is {self.margin:g}; it is 0 or more"]


class SliceOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of `slices-hold`."""

    by: tuple[str, ...] = ()
    """Columns whose values are slices, beside those that the bundle declares."""
    min_rows: int = 50
    """Slices with fewer rows are not judged."""
    max_gap: float = 0.05
    """How far the primary metric of a slice may lie below that of all rows: absolute for metrics that are better when higher, as a
    share of the whole's value for others. A slice fails where that is beyond doubt: with its whole 95 % interval."""
    min: dict[str, float] = {}
    """What a metric has to reach in every slice."""
    max: dict[str, float] = {}
    """What a metric may not exceed in any slice."""

    def problems(self) -> list[str]:
        """What types cannot say."""
        told = metric_problems(self.min, self.max)
        if self.min_rows < 1:
            told.append(f"min_rows is {self.min_rows}; it is 1 or more")
        if not 0 <= self.max_gap < math.inf:
            told.append(f"max_gap is {self.max_gap:g}; it is 0 or more")
        return told


class CalibrationOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of `calibration`."""

    max_error: float | None = None
    """What the expected calibration error may be; none: it is measured and told."""

    def problems(self) -> list[str]:
        """What types cannot say."""
        fits = self.max_error is None or 0 <= self.max_error <= 1
        return [] if fits else [f"max_error is {self.max_error:g}; it is from 0 to 1"]


class FairnessOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of `fairness`."""

    protected: tuple[str, ...] = ()
    """Columns that must not decide how people are treated, beside those that the bundle declares."""
    min_rows: int = 50
    """Groups with fewer rows are not compared."""
    min_parity_ratio: float | None = 0.8
    """What the lowest selection rate has to be of the highest: four fifths."""
    max_parity_difference: float | None = None
    """How far selection rates may lie apart."""
    max_odds_difference: float | None = None
    """How far recalls, and rates of false alarms, may lie apart."""

    def problems(self) -> list[str]:
        """What types cannot say."""
        told = [] if self.min_rows >= 1 else [f"min_rows is {self.min_rows}; it is 1 or more"]
        for name in ("min_parity_ratio", "max_parity_difference", "max_odds_difference"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                told.append(f"{name} is {value:g}; it is from 0 to 1")
        return told


def metric_problems(least: Mapping[str, float], most: Mapping[str, float]) -> list[str]:
    """What is wrong with limits of metrics."""
    told = []
    for key, limits in (("min", least), ("max", most)):
        for name, value in limits.items():
            if name not in _ALL_METRICS:
                told.append(
                    f"{key}.{name}: there is no such standard metric; docs/reference/standard-metrics.md lists them"
                )
            elif not math.isfinite(value):
                told.append(f"{key}.{name} is {value}, and no finite number")
    return told
