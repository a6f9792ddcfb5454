"""Values that a contract allows, by how far they lie from what the author's sample showed: the material of generated inputs.

Each is as JSON gives it, so that a row of them can be shown, sent, and checked like any consumer's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from muster.packaging.columns import Column, array_of, nulls_of
from muster.packaging.field_checks import FieldBroken, FieldCheck
from muster.runtimes.conformance.difficult import TEXTS, ZERO_TEXT
from muster.vocabulary.tensors import FLOATS, INTEGER_RANGES, NUMPY_NAMES, Datatype
from muster.wire.contracts import Declared, Field, Observed

#: Beyond it, JSON gives whole numbers as text.
_EXACT = 2**53
_LONG = 1000
#: In place of a value that readers of a report must not see.
PERSONAL = "(personal, not shown)"
_SHORT = tuple(text for text in TEXTS if len(text) < _LONG)
_WORDS = ("never seen", "größer 🌈", "unknown")


class Reach(StrEnum):
    """How far a value lies from what the sample showed, the nearest first."""

    SEEN = "seen"
    """Declared, or like the sample: a known category, a number within the range."""
    NULL = "null"
    """Null, or left out, where the contract allows it."""
    TEXT = "text"
    """Of a field without known categories: empty text, white space, any script, quotes, emoji, text that looks like something else; below
    1,000 characters."""
    UNSEEN = "unseen"
    """A category that the sample did not show, any text in its place; a number up to one range beyond the range."""
    EXTREME = "extreme"
    """The ends of the datatype, subnormals, whole numbers that no double holds, very long text, text with U+0000."""
    NOT_FINITE = "not-finite"
    """NaN and the infinities, where no declared limit keeps them out."""


#: What needs an answer where nobody says otherwise. Beyond it, a clean error is an answer, too: to refuse a category that the model was
#: never taught, or infinity, can be right, and a caller is told so.
ANSWERED = (Reach.SEEN, Reach.NULL, Reach.TEXT)


class _Absent:
    """The field is left out."""

    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()


@dataclass(frozen=True, slots=True)
class Interval:
    """Numbers from one to another, both included."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Values of one element of a field, within one reach."""

    picks: tuple[Any, ...] = ()
    """Single values, as JSON gives them."""
    interval: Interval | None = None
    """Any number between two."""
    any_text: bool = False
    """Any text that UTF-8 can hold, but for U+0000."""


def values_by_reach(field: Field, golden: Column) -> dict[Reach, Values]:
    """What one element of a field may be, by reach; reaches that the contract has no room for are left out.

    Args:
        field: of a contract.
        golden: its column in the golden rows.
    """
    known = _known(golden)
    if field.datatype is Datatype.BYTES:
        found = _texts(field, known)
    elif field.datatype is Datatype.BOOL:
        found = {Reach.SEEN: Values(picks=(False, True))}
    else:
        found = _numbers(field, known)
    allowed = {reach: _allowed(field, values) for reach, values in found.items()}
    if field.nullable or not field.required:
        gone = [*([None] if field.nullable else []), *([ABSENT] if not field.required else [])]
        allowed[Reach.NULL] = Values(picks=tuple(gone))
    return {reach: values for reach, values in allowed.items() if values.picks or values.interval or values.any_text}


def _texts(field: Field, known: Sequence[Any]) -> dict[Reach, Values]:
    categories = _categories(field)
    found = {Reach.SEEN: Values(picks=categories or tuple(dict.fromkeys(known)) or ("",))}
    if field.declared is None or field.declared.categories is None:
        beyond = (*(word for word in _WORDS if word not in found[Reach.SEEN].picks), *_SHORT)
        found[Reach.UNSEEN if categories else Reach.TEXT] = Values(picks=beyond, any_text=True)
        found[Reach.EXTREME] = Values(picks=(ZERO_TEXT, *(text for text in TEXTS if len(text) >= _LONG)))
    return found


def _numbers(field: Field, known: Sequence[Any]) -> dict[Reach, Values]:
    categories = _categories(field)
    declared = field.declared or Declared()
    if declared.categories is not None:
        return {Reach.SEEN: Values(picks=tuple(declared.categories))}
    low, high = _range(declared, field.observed or Observed(), known)
    least, most = _ends(field.datatype)
    low, high = min(max(low, least), most), min(max(high, least), most)
    span = max(high - low, 1)
    beyond = Interval(_within(low - span, declared, least, most), _within(high + span, declared, least, most))
    found = {
        Reach.SEEN: Values(picks=categories or (), interval=None if categories else Interval(low, high)),
        Reach.UNSEEN: Values(interval=beyond),
        Reach.EXTREME: Values(picks=_extremes(field.datatype)),
    }
    if field.datatype in FLOATS:
        found[Reach.NOT_FINITE] = Values(
            picks=("Infinity", "-Infinity") if field.nullable and not field.shape else ("NaN", "Infinity", "-Infinity")
        )
    return found


def _categories(field: Field) -> tuple[Any, ...] | None:
    """Declared ones, else those of the sample."""
    if field.declared is not None and field.declared.categories is not None:
        return tuple(field.declared.categories)
    if field.declared is None and field.observed is not None and field.observed.categories:
        return tuple(field.observed.categories)
    return None


def _known(golden: Column) -> list[Any]:
    """Every element of the golden rows that are not null, as Python's own value."""
    values = array_of(golden)
    gone = nulls_of(golden)
    if gone is not None:
        values = values[~gone]
    flat: list[Any] = values.reshape(-1).tolist()
    return [value for value in flat if not isinstance(value, float) or math.isfinite(value)]


def _range(declared: Declared, observed: Observed, known: Sequence[Any]) -> tuple[Any, Any]:
    """Smallest and largest value: declared, else observed, else of the golden rows, else 0 and 1."""
    golden = (min(known), max(known)) if known else (0, 1)
    low = _first_number(declared.minimum, observed.minimum, golden[0])
    high = _first_number(declared.maximum, observed.maximum, golden[1])
    if low > high:  # one side is declared, and the sample lies beyond it
        low = high = declared.minimum if declared.minimum is not None else declared.maximum
    return low, high


def _first_number(*values: Any) -> Any:
    return next(value for value in values if type(value) in {int, float} and math.isfinite(value))


def _within(value: float, declared: Declared, least: float, most: float) -> float:
    low = least if declared.minimum is None else max(least, declared.minimum)
    high = most if declared.maximum is None else min(most, declared.maximum)
    return min(max(value, low), high)


def _ends(datatype: Datatype) -> tuple[float, float]:
    if datatype in FLOATS:
        info = np.finfo(NUMPY_NAMES[datatype])
        return float(info.min), float(info.max)
    return INTEGER_RANGES[datatype]


def _extremes(datatype: Datatype) -> tuple[Any, ...]:
    if datatype in FLOATS:
        info = np.finfo(NUMPY_NAMES[datatype])
        small = [float(info.smallest_subnormal), float(info.tiny), float(info.eps)]
        return (0.0, -0.0, 1.0, -1.0, *small, float(info.max), float(info.min))
    low, high = INTEGER_RANGES[datatype]
    candidates = (0, 1, -1, high, low, _EXACT - 1, _EXACT + 1, -_EXACT - 1)
    return tuple(dict.fromkeys(_json_integer(value) for value in candidates if low <= value <= high))


def _json_number(value: float) -> float | str:
    return _json_integer(value) if isinstance(value, int) else value


def _json_integer(value: int) -> int | str:
    """A whole number as JSON gives it: beyond 2^53 as a decimal text."""
    return value if abs(value) <= _EXACT else str(value)


def _allowed(field: Field, values: Values) -> Values:
    """Without the single values that the contract refuses."""
    check = FieldCheck(field)
    return Values(
        picks=tuple(pick for pick in values.picks if _is_taken(check, pick)),
        interval=_taken(check, values.interval),
        any_text=values.any_text,
    )


def _taken(check: FieldCheck, between: Interval | None) -> Interval | None:
    """The interval, of numbers that the datatype has; None where the contract refuses its ends: limits beyond the datatype."""
    if between is None:
        return None
    low, high = between.low, between.high
    if check.datatype in FLOATS:
        low, high = float(low), float(high)  # a whole number that the datatype does not hold exactly would be refused
    else:
        low, high = math.ceil(low), math.floor(high)
    is_taken = low <= high and all(_is_taken(check, _json_number(value)) for value in (low, high))
    return Interval(low, high) if is_taken else None


def _is_taken(check: FieldCheck, element: Any) -> bool:
    value = element
    for size in reversed(check.shape):
        value = [value] * size
    try:
        check.many((value,))
    except FieldBroken:
        return False
    return True
