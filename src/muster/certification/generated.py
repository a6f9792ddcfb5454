"""Rows that a contract allows, made by Hypothesis: a golden row of which some fields are changed.

A row that is so made fails for the fields that were changed, and Hypothesis makes it smaller until only those are left that matter.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st

from muster.certification.reaches import ABSENT, PERSONAL, Interval, Reach, Values, values_by_reach
from muster.packaging.columns import Table, values_of
from muster.vocabulary.tensors import FLOATS, NUMPY_NAMES
from muster.wire.contracts import Contract, Field

MOST_ROWS = 8
MOST_SINGLES = 2000
#: Of an interval, as many equal parts are asked about.
_STEPS = 8
_LONGEST_TEXT = 40
_SURROGATES = range(0xD800, 0xE000)
#: Code points in the order in which Hypothesis finds them simpler: `a` first; without U+0000 and the surrogates.
_CODE_POINTS = 0x110000 - len(_SURROGATES) - 1


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Row:
    """One generated row."""

    base: int
    """The golden row that it was made of."""
    changes: Mapping[str, Any]
    """The fields that have another value, as JSON gives it; `ABSENT` where the field is left out."""
    reach_of: Mapping[str, Reach]
    """How far each of the changes reaches."""

    @property
    def reaches(self) -> frozenset[Reach]:
        """How far the changes reach."""
        return frozenset(self.reach_of.values())

    @property
    def farthest(self) -> Reach:
        """How far the farthest change reaches."""
        order = list(Reach)
        return max(self.reaches, key=order.index, default=Reach.SEEN)

    def without(self, field: str) -> "Row":
        """The row with one change less."""
        return Row(
            base=self.base,
            changes={name: value for name, value in self.changes.items() if name != field},
            reach_of={name: reach for name, reach in self.reach_of.items() if name != field},
        )

    @property
    def size(self) -> tuple[int, int, int]:
        """How simple it is to read: few changes, short values, an early golden row."""
        return len(self.changes), len(repr(sorted(self.changes.items()))), self.base

    def record(self, golden: list[dict[str, Any]]) -> dict[str, Any]:
        """The row as a consumer sends it."""
        found = {**golden[self.base], **self.changes}
        return {name: value for name, value in found.items() if value is not ABSENT}

    def __repr__(self) -> str:
        """Short, whatever its values: Hypothesis shows it."""
        return f"Row({self.in_words()})"

    def in_words(self, personal: Collection[str] = ()) -> str:
        """`golden row 0 with plan = "x"`; of personal fields only values that no sample showed."""
        changed = " and ".join(
            f"{name} = {PERSONAL if self.is_sampled(name) and name in personal else _shown(value)}"
            for name, value in self.changes.items()
        )
        return f"golden row {self.base}" + (f" with {changed}" if changed else "")

    def is_sampled(self, field: str) -> bool:
        """Whether the field's value may be, or hold, one of the sample: the golden row's own, a known category, a changed tensor."""
        return self.reach_of.get(field, Reach.SEEN) is Reach.SEEN or isinstance(self.changes.get(field), list)


def golden_records(contract: Contract, golden: Table) -> list[dict[str, Any]]:
    """The golden inputs as consumers send them; whole numbers beyond 2^53 as text."""
    columns = {field.name: values_of(golden.columns[field.name]) for field in contract.inputs}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def singles_with(contract: Contract, golden: Table, first: int) -> list[Row]:
    """The single values, and before all others about so many of them in which each field has its share.

    Args:
        contract: of the model.
        golden: its golden inputs.
        first: how many come first, at most.
    """
    rows = singles(contract, golden)
    if len(rows) <= first:
        return rows
    ahead = singles(contract, golden, first)
    known = {_key(row) for row in ahead}
    return [*ahead, *(row for row in rows if _key(row) not in known)]


def _key(row: Row) -> str:
    return repr((row.changes, row.reach_of))


def singles(contract: Contract, golden: Table, most: int = MOST_SINGLES) -> list[Row]:
    """The first golden row with one field changed, by each of the single values that are known to be difficult.

    What chance might leave out is so asked of every model. Of a contract with very many fields, each gets its share of the values.

    Args:
        contract: of the model.
        golden: its golden inputs.
        most: how many rows at most.
    """
    found = [
        [
            Row(base=0, changes={field.name: _filled(field, reach, pick)}, reach_of={field.name: reach})
            for reach, values in values_by_reach(field, golden.columns[field.name]).items()
            for pick in (*values.picks, *_spread(field, values))
        ]
        for field in contract.inputs
    ]
    stride = max(1, math.ceil(sum(map(len, found)) / most))
    kept = [row for at, rows_of_field in enumerate(found) for row in rows_of_field[at % stride :: stride]]
    order = list(Reach)
    # The far ones last: a row that is refused has its whole batch computed once more, row by row.
    return sorted(kept, key=lambda row: order.index(row.farthest))


def _filled(field: Field, reach: Reach, value: Any) -> Any:
    """A field's value of one element that is the same everywhere."""
    return value if reach is Reach.NULL or not field.shape else _nested([value] * math.prod(field.shape), field.shape)


def _spread(field: Field, values: Values) -> tuple[Any, ...]:
    """Numbers that lie evenly between two, with both."""
    between = values.interval
    if between is None:
        return ()
    if field.datatype in FLOATS:
        shares = [
            _part_of_the_way(field, between.low, between.high, 1000 * step // _STEPS) for step in range(_STEPS + 1)
        ]
        return tuple(dict.fromkeys(value for value in shares if _holds(field, value)))
    low, high = math.ceil(between.low), max(math.ceil(between.low), math.floor(between.high))
    return tuple(dict.fromkeys(_as_json(low + (high - low) * step // _STEPS) for step in range(_STEPS + 1)))


def rows(contract: Contract, golden: Table) -> st.SearchStrategy[tuple[Row, ...]]:
    """Batches of one to eight rows, of every reach that the contract has room for.

    Args:
        contract: of the model.
        golden: its golden inputs, at least one row.
    """
    return st.lists(row(contract, golden), min_size=1, max_size=MOST_ROWS).map(tuple)


def row(contract: Contract, golden: Table) -> st.SearchStrategy[Row]:
    """One row: few or all of the fields of a golden row changed, within one reach or as far as each goes."""
    changers = {field.name: _changer(field, golden) for field in contract.inputs}
    reaches = [reach for reach in Reach if any(reach in found for found in changers.values())]
    names = [field.name for field in contract.inputs]
    by_reach = {reach: [name for name in names if reach in changers[name]] for reach in reaches}
    base = st.integers(0, golden.rows - 1)
    few, all_of_one, far = st.integers(1, 3), st.sampled_from(reaches), st.integers(0, 9)

    @st.composite
    def made(draw: st.DrawFn) -> Row:
        at, reach = draw(base), draw(all_of_one)
        how = draw(far)
        able = by_reach[reach]
        if how < 8:
            first = draw(st.integers(0, len(able) - 1))
            changed = {able[(first + step) % len(able)]: reach for step in range(min(draw(few), len(able)))}
        elif how < 9:
            changed = dict.fromkeys(able, reach)
        else:
            changed = {name: draw(st.sampled_from(sorted(changers[name]))) for name in names}
        changes = {name: draw(changers[name][of]) for name, of in changed.items()}
        return Row(base=at, changes=changes, reach_of=changed)

    return made()


def _changer(field: Field, golden: Table) -> dict[Reach, st.SearchStrategy[Any]]:
    """What makes a field's value of each reach."""
    column = golden.columns[field.name]
    known = [value for value in values_of(column) if value is not None]
    found = {}
    for reach, values in values_by_reach(field, column).items():
        element = _elements(field, values)
        found[reach] = element if reach is Reach.NULL or not field.shape else _tensors(field, element, known)
    return found


def _elements(field: Field, values: Values) -> st.SearchStrategy[Any]:
    ways: list[st.SearchStrategy[Any]] = []
    if values.picks:
        ways.append(st.sampled_from(values.picks))
    if values.interval is not None:
        ways.append(_numbers(field, values.interval))
    if values.any_text:
        ways.append(_any_text())
    return st.one_of(ways)


def _numbers(field: Field, between: Interval) -> st.SearchStrategy[Any]:
    low, high = between.low, between.high
    if field.datatype not in FLOATS:
        return st.integers(math.ceil(low), max(math.ceil(low), math.floor(high))).map(_as_json)
    # A share of the way instead of the number: any two ends are possible, whatever the width of the datatype.
    ends = st.sampled_from([float(value) for value in (low, high) if _holds(field, value)] or [float(low)])
    return ends | st.integers(0, 1000).map(partial(_part_of_the_way, field, low, high))


def _part_of_the_way(field: Field, low: float, high: float, share: int) -> float:
    inner = float(low) * (1 - share / 1000) + float(high) * (share / 1000)  # the difference of the two might overflow
    found = {0: float(low), 1000: float(high)}.get(share, inner)
    return found if _holds(field, found) else float(low)


def _holds(field: Field, value: float) -> bool:
    """Whether rounding to the datatype leaves a finite number within the declared limits."""
    declared = field.declared
    with np.errstate(over="ignore"):  # what is beyond the datatype becomes infinite, and is not held
        kept = float(np.dtype(NUMPY_NAMES[field.datatype]).type(value))
    if declared is None or not math.isfinite(kept):
        return math.isfinite(kept)
    above = declared.minimum is None or kept >= declared.minimum
    return above and (declared.maximum is None or kept <= declared.maximum)


def _as_json(value: int) -> int | str:
    return value if abs(value) <= 2**53 else str(value)


def _any_text() -> st.SearchStrategy[str]:
    return st.lists(st.integers(0, _CODE_POINTS - 1).map(_character), max_size=_LONGEST_TEXT).map("".join)


def _character(number: int) -> str:
    code = (number + ord("a") - 1) % _CODE_POINTS + 1
    return chr(code if code < _SURROGATES.start else code + len(_SURROGATES))


def _tensors(field: Field, element: st.SearchStrategy[Any], known: list[Any]) -> st.SearchStrategy[Any]:
    """A golden tensor with one element changed, or one in which all are the same."""
    size = math.prod(field.shape)

    @st.composite
    def made(draw: st.DrawFn) -> Any:
        value = draw(element)
        if not known or draw(st.booleans()):
            return _nested([value] * size, field.shape)
        flat = _flat(known[draw(st.integers(0, len(known) - 1))], len(field.shape))
        flat[draw(st.integers(0, size - 1))] = value
        return _nested(flat, field.shape)

    return made()


def _flat(value: Any, depth: int) -> list[Any]:
    for _ in range(depth - 1):
        value = [inner for part in value for inner in part]
    return list(value)


def _nested(flat: list[Any], shape: tuple[int, ...]) -> Any:
    for size in reversed(shape[1:]):
        flat = [flat[start : start + size] for start in range(0, len(flat), size)]
    return flat


def _shown(value: Any) -> str:
    told = "null" if value is None else repr(value)
    return told if len(told) <= 60 else f"{told[:40]}… ({len(told):,} characters)"
