"""Metamorphic relations as rows and judgements: an answer changes as its author says when an input does.

Pure: rows go in, rows that have to be asked come out; with their answers, so do the rows for which the relation does not hold.

Source: Chen, Cheung, Yiu, "Metamorphic testing: a new approach for generating next test cases" (1998).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from muster.certification.reaches import Interval, Reach, values_by_reach
from muster.packaging.claims import Relation
from muster.packaging.columns import Column, Table, array_of, nulls_of
from muster.vocabulary.tensors import FLOATS, INTEGER_RANGES, Datatype
from muster.wire.contracts import Contract, Field, Observed

#: Its multiples spread most evenly between 0 and 1, however many of them are taken.
_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """Two rows whose answers are not as the relation says."""

    row: int
    """The row that was changed."""
    before: int
    """Which of its variants the change starts from."""
    after: int
    excess: float
    """How far the answer goes beyond the tolerance; infinite where it has no number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What came of one relation."""

    compared: int
    """Pairs of answers."""
    rows: int
    """Rows of which at least one pair was compared."""
    broken: tuple[Broken, ...]
    """The worst of each row for which it does not hold."""


class Choices:
    """What a relation's field is set to, row by row: the author's values, else such as data has, and of texts a few that nobody has seen.

    Of numbers, half of them are quantiles of the golden rows and half lie evenly over the range that was observed, with both ends of what
    is allowed. They differ from row to row, so that over many rows hardly a stretch of the data is left out.
    """

    def __init__(self, relation: Relation, field: Field, golden: Column, most: int) -> None:
        self._relation = relation
        self._field = field
        self._most = most
        self._known = [value for value in _known(golden) if value is not None]
        self._reaches = values_by_reach(field, golden)

    def of_row(self, at: int, own: Any) -> list[Any]:
        """The values for one row, as JSON gives them; numbers rise, texts keep their order.

        Args:
            at: which row it is.
            own: what the row has there itself. A monotone relation is asked about it, too, unless the author gives the values.
        """
        if self._relation.values:
            given = list(self._relation.values)
            return given if self._field.datatype is Datatype.BYTES else sorted(given)
        seen = self._reaches.get(Reach.SEEN)
        if seen is None:  # limits with nothing between them
            return []
        if seen.interval is None:
            return self._picked(at, seen.picks)
        shift = (at * _GOLDEN_RATIO) % 1
        numbers = [seen.interval.low, seen.interval.high, *self._between(seen.interval, shift)]
        if self._relation.kind == "monotone" and isinstance(own, int | float) and math.isfinite(own):
            numbers.append(own)
        if self._field.datatype in FLOATS:
            return sorted({float(value) for value in numbers})
        return sorted({_whole(self._field.datatype, value) for value in numbers})

    def _picked(self, at: int, picks: Sequence[Any]) -> list[Any]:
        """Categories, in turn where there are too many; and texts without a known place."""
        most, free = self._most, self._reaches.get(Reach.TEXT) or self._reaches.get(Reach.UNSEEN)
        if self._field.datatype is Datatype.BYTES and self._relation.kind == "invariant" and free is not None:
            unknown = list(free.picks[: min(6, most // 2)])
            return [*self._in_turn(at, picks, most - len(unknown)), *unknown]
        chosen = self._in_turn(at, picks, most)
        return chosen if self._field.datatype is Datatype.BYTES else sorted(chosen)

    def _in_turn(self, at: int, picks: Sequence[Any], most: int) -> list[Any]:
        if len(picks) <= most:
            return list(picks)
        return [picks[(at * most + step) % len(picks)] for step in range(most)]

    def _between(self, allowed: Interval, shift: float) -> list[float]:
        """Values within the data, at places that move with `shift` from 0 to 1."""
        by_rank = (self._most - 1) // 2 if self._known else 0
        evenly = max(0, self._most - 2 - by_rank)
        observed = self._field.observed or Observed()
        low, high = (
            min(max(float(end), allowed.low), allowed.high) if isinstance(end, int | float) else other
            for end, other in ((observed.minimum, allowed.low), (observed.maximum, allowed.high))
        )
        ranks = np.quantile(self._known, [(step + shift) / by_rank for step in range(by_rank)]) if by_rank else []
        even = [low + (high - low) * (step + shift) / evenly for step in range(evenly)]
        return [float(value) for value in (*ranks, *even) if allowed.low <= value <= allowed.high]


def _known(golden: Column) -> list[Any]:
    values = array_of(golden)
    gone = nulls_of(golden)
    flat: list[Any] = (values if gone is None else values[~gone]).reshape(-1).tolist()
    return [value for value in flat if not isinstance(value, float) or math.isfinite(value)]


def _whole(datatype: Datatype, value: float) -> int:
    least, most = INTEGER_RANGES[datatype]
    return min(max(round(value), least), most)


def variants(relation: Relation, records: Sequence[dict[str, Any]], choices: Choices) -> list[list[dict[str, Any]]]:
    """Per row the rows that have to be asked: itself and its variants, or one per value.

    `invariant`: the row, then with each value. `monotone`: with each value, rising. `symmetric`: the row, then with both swapped.
    """
    if relation.kind == "symmetric":
        first, second = relation.field, relation.other
        return [[record, _swapped(record, first, second)] for record in records]
    changed = [
        [{**record, relation.field: value} for value in choices.of_row(at, record.get(relation.field))]
        for at, record in enumerate(records)
    ]
    if relation.kind == "monotone":
        return changed
    return [[record, *others] for record, others in zip(records, changed, strict=True)]


def _swapped(record: dict[str, Any], first: str, second: str) -> dict[str, Any]:
    return {**record, first: record.get(second), second: record.get(first)}


def numbers_of(output: Field, outputs: Table) -> Floats:
    """The answers `(rows, elements)` as numbers that can be subtracted; a text becomes its place in the order of all texts.

    Null is NaN.
    """
    column = outputs.columns[output.name]
    values = array_of(column).reshape(outputs.rows, max(1, math.prod(output.shape)))
    if output.datatype is Datatype.BYTES:
        places = {text: at for at, text in enumerate(sorted({str(text) for text in values.reshape(-1)}))}
        numbers = np.array([[places[str(text)] for text in row] for row in values], dtype=np.float64)
    else:
        numbers = values.astype(np.float64)
    gone = nulls_of(column)
    if gone is not None:
        numbers[gone] = np.nan
    return numbers


def judged(relation: Relation, answers: Sequence[Sequence[Floats | None]]) -> Judged:
    """Which rows break the relation.

    Args:
        relation: what is claimed.
        answers: per row and variant the answer's elements; None where the model had none. Pairs without two answers are not compared.
    """
    compared, rows, broken = 0, 0, []
    for row, found in enumerate(answers):
        pairs = _pairs(relation, found)
        compared += len(pairs)
        rows += bool(pairs)
        over = [
            Broken(row=row, before=before, after=after, excess=excess)
            for before, after in pairs
            if (excess := beyond(relation, found[before], found[after])) > 0
        ]
        if over:
            # Of the changes with at least half of the largest effect, the one between the nearest values is read most easily.
            worst = max(one.excess for one in over)
            large = [one for one in over if one.excess >= worst / 2]
            broken.append(min(large, key=lambda one: (one.after - one.before, -one.excess)))
    return Judged(compared=compared, rows=rows, broken=tuple(broken))


def _pairs(relation: Relation, found: Sequence[Floats | None]) -> list[tuple[int, int]]:
    known = [at for at, answer in enumerate(found) if answer is not None]
    if relation.kind != "monotone":
        return [(0, at) for at in known if at] if known and known[0] == 0 else []
    # Not neighbours alone: with a tolerance, many small steps in the wrong direction are a large one.
    return [(one, other) for at, one in enumerate(known) for other in known[at + 1 :]]


def beyond(relation: Relation, before: Floats | None, after: Floats | None) -> float:
    """By how much a change of the answer is more than the relation allows; 0 or less where it holds."""
    assert before is not None
    assert after is not None
    if (np.isnan(before) != np.isnan(after)).any():
        return math.inf
    change = np.nan_to_num(after - before)
    if relation.kind != "monotone":
        return float(np.abs(change).max(initial=0.0)) - relation.tolerance
    wrong_way = -change if relation.direction == "up" else change
    return float(wrong_way.max(initial=0.0)) - relation.tolerance


def middle(field: Field, low: Any, high: Any) -> Any:
    """A value between two of the field; None where there is none, or the field has no order to be between."""
    if field.datatype in {Datatype.BYTES, Datatype.BOOL} or (field.declared and field.declared.categories is not None):
        return None
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in (low, high)):
        return None  # null, or a number that JSON gives as text
    if field.datatype not in FLOATS:
        found = (int(low) + int(high)) // 2
        return None if found in {int(low), int(high)} else found
    between = float(low) / 2 + float(high) / 2
    return None if between in {float(low), float(high)} else between


def relation_problems(relation: Relation, contract: Contract) -> list[str]:
    """Why a relation says nothing of a contract; empty when it does.

    The names in it are known to be right: muster.toml is refused otherwise.
    """
    where = f"[[relations]] {relation.name[:80]!r}"
    field = contract.input(relation.field)
    output = output_of(relation, contract)
    assert field is not None
    problems = []
    is_number = field.datatype not in {Datatype.BYTES, Datatype.BOOL}
    if is_number and any(isinstance(value, bool | str) for value in relation.values):
        problems.append(f"{where}: `values` of {field.name!r} are numbers")
    if relation.kind == "monotone":
        if field.shape or (field.datatype is Datatype.BYTES and not relation.values):
            problems.append(f"{where}: {field.name!r} has no order; give a text's `values` in the order that is meant")
        if output.shape or output.datatype is Datatype.BYTES:
            problems.append(f"{where}: {output.name!r} is no number that could go up or down")
    elif relation.kind == "symmetric":
        other = contract.input(relation.other)
        if other is None or (other.datatype, other.shape) != (field.datatype, field.shape):
            problems.append(f"{where}: {relation.field!r} and {relation.other!r} are not of one type and shape")
    elif field.shape and not relation.values:
        problems.append(f"{where}: {field.name!r} is a tensor: only single values are changed")
    return problems


def output_of(relation: Relation, contract: Contract) -> Field:
    """The output that a relation is about."""
    found = contract.output(relation.output) if relation.output else contract.outputs[0]
    assert found is not None
    return found
