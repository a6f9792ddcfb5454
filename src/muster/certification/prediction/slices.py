"""Whether a version predicts well for everybody, and not only on average."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from muster.certification.checks import Bench, Finding
from muster.certification.judgement import Judgement
from muster.certification.prediction import exhibits, judging
from muster.certification.prediction.options import SliceOptions
from muster.certification.records import Figure
from muster.certification.slicing import Mask, slices_of
from muster.evaluation import bootstrap, definitions
from muster.evaluation.bootstrap import Interval
from muster.evaluation.definitions import Figures, Predictions
from muster.evaluation.errors import MetricUndefined
from muster.evaluation.metric import Better, Metric
from muster.sessions.records import Measure
from muster.wire.evidence import Exhibit, Grid

#: Among the figures: how many slices were large enough to be judged.
JUDGED = "slices"
_RESAMPLES = 300
_MOST_SHOWN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slice:
    """What was found of a slice."""

    name: str
    predictions: Predictions
    figures: Figures
    spread: Interval | None
    """Of the primary metric; None: it has none here."""
    gap: float | None
    """By how much the primary metric lies below that of all rows, at least; None: it cannot be compared."""
    broken: tuple[str, ...]


_NOTHING_TO_JUDGE = (
    "Name columns in `[prediction] slices` of muster.toml or in `by` of the standard, and seal a set with enough rows of their values "
    "(`min_rows`)."
)


class SlicesHold:
    """In no declared slice is the version much worse than on the whole."""

    name: ClassVar[str] = "slices-hold"
    asks: ClassVar[str] = "does it predict as well in every slice as on the whole?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = False
    remedy: ClassVar[str] = (
        "Look at the slice that is named: are there too few training rows of it, or does an input mean something else there?"
    )
    Options: ClassVar[type[msgspec.Struct]] = SliceOptions

    def is_asked(self, bench: Bench) -> bool:
        """Whether the version can be judged, and the bundle or the standard names slices."""
        return judging.can_be_judged(bench) and bool(self._columns(bench))

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - nothing to end
        """How many slices are worse than they may be."""
        options = bench.given(self, SliceOptions)
        found = judging.judged(bench)
        metric = judging.primary(bench, found)
        whole = definitions.value(metric, found.predictions)
        seed = bootstrap.seed_of(bench.version.digest, found.held.digest, "slices")
        slices = [
            _sliced(found, metric, whole, name, mask, seed, options)
            for name, mask in _masks(found, self._columns(bench), options.min_rows)
        ]
        for one in slices:
            judging.keep_tables(bench, one.predictions, found.held.over, one.name[:200])
        broken = sorted((one for one in slices if one.broken), key=lambda one: -(one.gap or 0.0))
        told = f"{len(slices)} slices of at least {options.min_rows} rows; {metric.name} of the whole is {whole:.4g}"
        worst = "; ".join(f"{one.name}: {one.broken[0]}" for one in broken[:3])
        return Finding(
            passed=bool(slices) and not broken,
            figure=len(broken),
            limit=0,
            detail=f"{worst}; {told}" if broken else told,
            figures={JUDGED: float(len(slices))},
            exhibits=_exhibits(metric, whole, slices),
            measures=tuple(measure for one in slices for measure in _measures(found, metric, one)),
            remedy="" if slices else _NOTHING_TO_JUDGE,
        )

    def _columns(self, bench: Bench) -> tuple[str, ...]:
        claim = None if bench.bundle is None else bench.bundle.prediction
        declared = () if claim is None else (*claim.slices, *claim.protected)
        return tuple(dict.fromkeys((*declared, *bench.given(self, SliceOptions).by)))


def _masks(found: Judgement, columns: tuple[str, ...], min_rows: int) -> Iterator[tuple[str, Mask]]:
    for column in columns:
        yield from slices_of(column, found.values(column), min_rows)


def _sliced(
    found: Judgement, metric: Metric[Any], whole: float, name: str, mask: Mask, seed: int, options: SliceOptions
) -> _Slice:
    predictions = found.predictions.taken(mask)
    figures = definitions.figures(found.task, predictions)
    try:
        spread = bootstrap.interval(metric, predictions, seed, _RESAMPLES)
    except MetricUndefined:
        spread = None
    gap = None if spread is None else _gap(metric, whole, spread)
    broken = [told for _, told in judging.broken_limits(found.task, figures, options.min, options.max)]
    if gap is not None and spread is not None and gap > options.max_gap:
        broken.insert(
            0, f"{metric.name} is {spread.value:.4g} ({spread.low:.4g} to {spread.high:.4g}), {whole:.4g} on the whole"
        )
    return _Slice(name=name, predictions=predictions, figures=figures, spread=spread, gap=gap, broken=tuple(broken))


def _gap(metric: Metric[Any], whole: float, spread: Interval) -> float:
    """By how much the slice is worse at least: at the end of its interval that is kindest to it."""
    least = min(metric.gain(whole, spread.low), metric.gain(whole, spread.high))
    if metric.better is Better.HIGHER:
        return least
    return least / abs(whole) if whole else least


def _measures(found: Judgement, metric: Metric[Any], one: _Slice) -> Iterator[Measure]:
    for measure in judging.measures_of(found.task, one.figures, found.held.over, one.name[:200]):
        if measure.name == metric.name and one.spread is not None:
            yield Measure(
                name=measure.name, version=measure.version, value=measure.value, over=measure.over, slice=measure.slice,
                low=one.spread.low, high=one.spread.high,
            )  # fmt: skip
        else:
            yield measure


def _exhibits(metric: Metric[Any], whole: float, slices: list[_Slice]) -> tuple[Exhibit, ...]:
    known = [(one.name, one.spread.value, one.spread.low, one.spread.high) for one in slices if one.spread is not None]
    rows = tuple(
        (
            one.name,
            one.predictions.rows,
            None if one.spread is None else round(one.spread.value, 5),
            None if one.gap is None else round(one.gap, 5),
            "; ".join(one.broken)[:200],
        )
        for one in slices[:_MOST_SHOWN]
    )
    return (
        exhibits.bars(
            f"{metric.name} by slice", metric.name, [("(all rows)", whole, whole, whole), *known[:_MOST_SHOWN]]
        ),
        Grid(title="Slices", columns=("slice", "rows", metric.name, "worse by at least", ""), rows=rows),
    )
