"""Whether a version predicts as well as the standard asks, on rows that its author cannot change."""

from contextlib import ExitStack
from typing import Any, ClassVar

import msgspec

from muster.certification.checks import Bench, Finding
from muster.certification.judgement import Judgement
from muster.certification.prediction import exhibits, judging
from muster.certification.prediction.importances import importances_of
from muster.certification.prediction.options import PerformanceOptions
from muster.certification.records import Figure
from muster.evaluation import bootstrap, definitions
from muster.evaluation.bootstrap import Interval
from muster.evaluation.definitions import Figures
from muster.evaluation.errors import MetricUndefined
from muster.evaluation.importance import Importance
from muster.evaluation.metric import Metric
from muster.sessions.records import Measure
from muster.wire.evidence import Exhibit, Grid

#: Among the figures: to how many limits the metrics were held.
LIMITS = "limits"
_MOST_SHOWN = 25


class PredictionPerformance:
    """The standard metrics on the newest evaluation set keep the limits that the standard gives."""

    name: ClassVar[str] = judging.PERFORMANCE_CHECK
    asks: ClassVar[str] = "how well does it predict what really happened?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = False
    remedy: ClassVar[str] = (
        "Improve the model on data of your own. Where no set or no claim is there: `muster evaluation add MODEL FILE` by an approver, "
        "and `[prediction]` in muster.toml."
    )
    Options: ClassVar[type[msgspec.Struct]] = PerformanceOptions

    def is_asked(self, bench: Bench) -> bool:
        """Whether there is a set, and the bundle says what it predicts."""
        return judging.can_be_judged(bench)

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - nothing to end
        """How many limits are not kept; a row without an answer breaks one."""
        options = judging.options_of(bench)
        found = judging.judged(bench)
        metric = judging.primary(bench, found)
        figures = definitions.figures(found.task, found.predictions)
        seed = bootstrap.seed_of(bench.version.digest, found.held.digest)
        spread = _spread(found, metric, seed)
        judging.keep_tables(bench, found.predictions, found.held.over)
        important = importances_of(bench, found, metric, seed, options.importance_seconds) if options.importance else ()
        broken = [told for _, told in judging.broken_limits(found.task, figures, options.min, options.max)]
        if found.unanswered:
            broken.insert(0, f"{found.unanswered} of {found.rows.rows} rows have no answer ({found.why})")
        told = f"{metric.name} is {_shown(figures, metric.name, spread)} on {found.predictions.rows} rows of {found.held.over}"
        detail = (
            f"{len(broken)} limit{'s are' if len(broken) > 1 else ' is'} not kept: {'; '.join(broken[:3])}; {told}"
            if broken
            else told
        )
        return Finding(
            passed=not broken,
            figure=len(broken),
            limit=0,
            detail=detail,
            figures={
                **{name: round(value, 6) for name, value in figures.values.items()},
                LIMITS: float(len(options.min) + len(options.max)),
            },
            exhibits=_exhibits(found, figures, options, important, metric.name),
            measures=(
                *_measures(found, figures, metric.name, spread),
                *_importance_measures(found, metric.name, important),
            ),
        )


def _spread(found: Judgement, metric: Metric[Any], seed: int) -> Interval | None:
    try:
        return bootstrap.interval(metric, found.predictions, seed)
    except MetricUndefined:
        return None


def _shown(figures: Figures, name: str, spread: Interval | None) -> str:
    if name not in figures.values:
        return f"not defined ({figures.undefined[name]})"
    interval = "" if spread is None else f" ({spread.low:.4g} to {spread.high:.4g})"
    return f"{figures.values[name]:.4g}{interval}"


def _measures(found: Judgement, figures: Figures, name: str, spread: Interval | None) -> tuple[Measure, ...]:
    return tuple(
        Measure(name=one.name, version=one.version, value=one.value, over=one.over, low=spread.low, high=spread.high)
        if spread is not None and one.name == name
        else one
        for one in judging.measures_of(found.task, figures, found.held.over)
    )


def _importance_measures(found: Judgement, name: str, important: tuple[Importance, ...]) -> tuple[Measure, ...]:
    return tuple(
        Measure(
            name=f"importance:{name}", version=1, value=one.loss, low=one.low, high=one.high,
            over=found.held.over, slice=f"input={one.name}"[:200],
        )
        for one in important
    )  # fmt: skip


def _exhibits(
    found: Judgement, figures: Figures, options: PerformanceOptions, important: tuple[Importance, ...], name: str
) -> tuple[Exhibit, ...]:
    rows = tuple(
        (
            metric.name,
            round(figures.values[metric.name], 6) if metric.name in figures.values else None,
            str(metric.better),
            options.min.get(metric.name),
            options.max.get(metric.name),
            figures.undefined.get(metric.name, ""),
        )
        for metric in definitions.METRICS[found.task]
    )
    metrics = Grid(
        title="Standard metrics", columns=("metric", "value", "better", "at least", "at most", ""), rows=rows
    )
    shown = [(one.name[:80], one.loss, one.low, one.high) for one in important[:_MOST_SHOWN]]
    bars = (exhibits.bars("Permutation importance", f"loss of {name} when shuffled", shown),) if shown else ()
    return (metrics, *exhibits.of_predictions(found.predictions), *bars, exhibits.worst_rows(found))
