"""Whether people of different groups are treated alike."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import ClassVar

import msgspec

from muster.certification.checks import Bench, Finding
from muster.certification.prediction import exhibits, judging
from muster.certification.prediction.options import FairnessOptions
from muster.certification.records import Figure
from muster.certification.slicing import groups_of
from muster.evaluation import fairness
from muster.evaluation.fairness import GroupRates
from muster.sessions.records import Measure
from muster.wire.evidence import Exhibit, Grid

#: Among the figures: of how many protected columns two groups were large enough to be compared.
COMPARED = "compared"


_NOTHING_TO_COMPARE = (
    "Name columns in `[prediction] protected` of muster.toml or in `protected` of the standard, and seal a set with enough rows of two "
    "of their groups (`min_rows`)."
)


class Fair:
    """Between the groups of a protected column, the gaps are not wider than the standard allows."""

    name: ClassVar[str] = "fairness"
    asks: ClassVar[str] = "are people of different groups treated alike?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = False
    remedy: ClassVar[str] = (
        "Find out which inputs stand for the protected field, and whether the cut-off or the training rows treat its groups differently."
    )
    Options: ClassVar[type[msgspec.Struct]] = FairnessOptions

    def is_asked(self, bench: Bench) -> bool:
        """Whether the version can be judged on a binary task, and the bundle or the standard names a protected column."""
        claim = None if bench.bundle is None else bench.bundle.prediction
        is_binary = claim is not None and claim.task == "binary"
        return judging.can_be_judged(bench) and is_binary and bool(self._columns(bench))

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - nothing to end
        """How many gaps are too wide."""
        options = bench.given(self, FairnessOptions)
        predictions = judging.binary_of(bench, "fairness")
        found, compared = judging.judged(bench), 0
        broken, told, shown, measures = list[str](), list[str](), list[Exhibit](), list[Measure]()
        for column in self._columns(bench):
            result = fairness.fairness(predictions, groups_of(found.values(column)), options.min_rows)
            if result is None:
                told.append(f"{column}: fewer than two groups have {options.min_rows} rows")
                continue
            broken.extend(f"{column}: {problem}" for problem in _problems(result, options))
            told.append(f"{column}: {_told(result)}")
            compared += 1
            shown.extend(_exhibits(column, result.groups))
            measures.extend(_measures(column, result, found.held.over))
        return Finding(
            passed=bool(compared) and not broken,
            figure=len(broken),
            limit=0,
            detail="; ".join((*broken[:3], *told[:3])) or "no protected column is named",
            figures={COMPARED: float(compared)},
            exhibits=tuple(shown),
            measures=tuple(measures),
            remedy="" if compared else _NOTHING_TO_COMPARE,
        )

    def _columns(self, bench: Bench) -> tuple[str, ...]:
        claim = None if bench.bundle is None else bench.bundle.prediction
        declared = () if claim is None else claim.protected
        return tuple(dict.fromkeys((*declared, *bench.given(self, FairnessOptions).protected)))


def _problems(found: fairness.Fairness, options: FairnessOptions) -> Iterator[str]:
    ratio, odds = found.parity_ratio, found.odds_difference
    if options.min_parity_ratio is not None and ratio is not None and ratio < options.min_parity_ratio:
        low = min(found.groups, key=lambda one: one.selection)
        high = max(found.groups, key=lambda one: one.selection)
        yield (
            f"{low.group} is selected {ratio:.3g} times as often as {high.group} ({low.selection:.3g} and {high.selection:.3g}), "
            f"at least {options.min_parity_ratio:g} is asked"
        )
    if options.max_parity_difference is not None and found.parity_difference > options.max_parity_difference:
        yield f"selection rates lie {found.parity_difference:.3g} apart, at most {options.max_parity_difference:g} is asked"
    if options.max_odds_difference is not None and odds is not None and odds > options.max_odds_difference:
        yield f"recalls or false alarms lie {odds:.3g} apart, at most {options.max_odds_difference:g} is asked"


def _told(found: fairness.Fairness) -> str:
    ratio = "nobody is selected" if found.parity_ratio is None else f"parity ratio {found.parity_ratio:.3g}"
    odds = "" if found.odds_difference is None else f", odds {found.odds_difference:.3g} apart"
    return f"{ratio}, selection {found.parity_difference:.3g} apart{odds}"


def _exhibits(column: str, groups: tuple[GroupRates, ...]) -> tuple[Exhibit, ...]:
    rows = tuple(
        (one.group, one.rows, _cell(one.selection), _cell(one.recall), _cell(one.false_alarms)) for one in groups
    )
    selected = [(one.group, one.selection, one.selection, one.selection) for one in groups]
    return (
        exhibits.bars(f"Selection rate by {column}", "share at or above the cut-off", selected),
        Grid(title=f"Rates by {column}", columns=(column, "rows", "selected", "recall", "false alarms"), rows=rows),
    )


def _cell(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 5)


def _measures(column: str, found: fairness.Fairness, over: str) -> Iterator[Measure]:
    gaps = (
        ("parity_difference", found.parity_difference),
        ("parity_ratio", found.parity_ratio),
        ("odds_difference", found.odds_difference),
    )
    for name, value in gaps:
        if value is not None:
            yield Measure(name=name, version=1, value=value, over=over, slice=f"by {column}"[:200])
    for one in found.groups:
        yield Measure(
            name="selection_rate", version=1, value=one.selection, over=over, slice=f"{column}={one.group}"[:200]
        )
