"""Whether a contract may take the place of another without its consumers' noticing: field by field, and pure.

What is called compatible really is: every request that keeps the contract before keeps the one after, every answer by the one
after, less the outputs that are new, keeps the one before, and what a request leaves out means what it meant. These are held against
`contract.ContractChecker` by tests with made-up contracts. Where it cannot be promised of every value, it is not called compatible.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from muster.packaging.field_checks import widens
from muster.vocabulary.tensors import FLOATS, INTEGER_RANGES, NUMPY_NAMES, Datatype
from muster.wire.contracts import Contract, Declared, Field

Side = Literal["input", "output"]
#: Up to these, every whole number is a float of its own.
_EXACT = {Datatype.FP16: 2**11, Datatype.FP32: 2**24, Datatype.FP64: 2**53}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that is not as it was, in one field."""

    field: str
    side: Side
    what: str
    """What, in words: `it is new and required`."""
    is_compatible: bool
    """Consumers need not notice it."""


def compatibility(before: Contract, after: Contract) -> list[Change]:
    """What the contract after changes, field by field; fields in the order of the contracts, inputs first.

    Descriptions, and what samples showed, change nothing.
    """
    inputs = _changes("input", before.inputs, after.inputs)
    outputs = _changes("output", before.outputs, after.outputs)
    return [*inputs, *outputs]


def _changes(side: Side, before: tuple[Field, ...], after: tuple[Field, ...]) -> Iterator[Change]:
    was, now = {field.name: field for field in before}, {field.name: field for field in after}
    for name in dict.fromkeys([*was, *now]):
        told = _of_field(side, was.get(name), now.get(name))
        yield from (Change(field=name, side=side, what=what, is_compatible=fits) for what, fits in told)


def _of_field(side: Side, before: Field | None, after: Field | None) -> Iterator[tuple[str, bool]]:
    """What changes, and whether that is compatible."""
    if before is None:
        assert after is not None
        yield _added(side, after)
    elif after is None:
        why = "requests that name it are refused" if side == "input" else "consumers that read it find nothing"
        yield f"it is gone: {why}", False
    elif side == "input":
        yield from _common(before, after)
        yield from _input(before, after)
    else:
        yield from _common(before, after)
        yield from _output(before, after)


def _added(side: Side, field: Field) -> tuple[str, bool]:
    if side == "output":
        return "it is new", True
    if field.required:
        return "it is new and required: requests without it are refused", False
    filled = f"the default {field.default!r}" if field.default is not None else "null"
    return f"it is new; absent, it is {filled}", True


def _common(before: Field, after: Field) -> Iterator[tuple[str, bool]]:
    if before.shape != after.shape:
        yield f"its shape is {list(after.shape)}, and was {list(before.shape)}", False
    if before.unit != after.unit:
        # The values may mean something else, which no check of types can see; also where nothing was said of it before.
        yield f"its unit is {after.unit or 'none'}, and was {before.unit or 'none'}", False


def _input(before: Field, after: Field) -> Iterator[tuple[str, bool]]:
    """An input takes what it took."""
    if before.datatype is not after.datatype:
        yield _retyped(before, after)
    if before.nullable and not after.nullable:
        yield "it may not be null any more", False
    elif after.nullable and not before.nullable:
        yield "it may be null", True
    if after.required and not before.required:
        yield "it is required, and was not", False
    elif before.required and not after.required:
        yield "it may be absent", True
    if before.default != after.default and not before.required and not after.required:
        # Whoever leaves it out is answered otherwise, without having changed anything.
        yield f"absent, it is {after.default!r}, and was {before.default!r}".replace("None", "null"), False
    yield from _limits(before, after, "it takes")


def _retyped(before: Field, after: Field) -> tuple[str, bool]:
    named = f"its datatype is {after.datatype}, and was {before.datatype}"
    if not widens(before.datatype, after.datatype):
        return named, False
    if after.datatype in FLOATS and before.datatype in INTEGER_RANGES:
        low, high = _range(before)
        exact = _EXACT[after.datatype]
        if (
            low <= -exact or high >= exact
        ):  # at the edge, too: a limit of 2.0**53 lets 2**53 + 1 pass, which rounds to it
            return (
                f"{named}: it holds whole numbers only within ±{exact}, and no declared limits keep them there",
                False,
            )
    return named, True


def _output(before: Field, after: Field) -> Iterator[tuple[str, bool]]:
    """An output gives nothing that it did not give."""
    if before.datatype is not after.datatype:
        yield f"its datatype is {after.datatype}, and was {before.datatype}", False
    if after.nullable and not before.nullable:
        yield "it may be null, and was not", False
    elif before.nullable and not after.nullable:
        yield "it is never null any more", True
    if before.labels != after.labels:
        yield f"its labels are {after.labels}, and were {before.labels}".replace("None", "none"), False
    yield from _limits(after, before, "it gives", is_given=True)


def _limits(inner: Field, outer: Field, verb: str, *, is_given: bool = False) -> Iterator[tuple[str, bool]]:
    """Whether everything within the limits of one field is within those of the other; said where they differ."""
    if (inner.declared or Declared()) == (outer.declared or Declared()) and inner.datatype is outer.datatype:
        return
    was, now = (outer, inner) if is_given else (inner, outer)
    if outer.declared is None or outer.declared == Declared():
        if inner.declared not in {None, Declared()}:
            yield f"{verb} {_in_words(now.declared)}, and {_in_words(was.declared)} before", True
        return
    is_within = _within(inner, outer)
    if is_within and inner.declared == outer.declared:
        return  # only the datatype differs, and the limits stand as they are
    yield f"{verb} {_in_words(now.declared)}, and {_in_words(was.declared)} before", is_within


def _within(inner: Field, outer: Field) -> bool:
    """Whether every value that one field's limits let pass is let pass by the other's."""
    declared = outer.declared
    assert declared is not None
    if inner.datatype not in INTEGER_RANGES and inner.datatype not in FLOATS:
        return _categories_within(inner, declared)
    low, high = _range(inner)
    if inner.datatype in FLOATS and inner.datatype is not outer.datatype:
        if declared.categories is not None:
            return False  # a number that was rounded to a category is none of its own now
        low, high = _before_rounding(inner.datatype, low, high)
    if declared.minimum is not None and not low >= declared.minimum:
        return False
    if declared.maximum is not None and not high <= declared.maximum:
        return False
    if inner.datatype in FLOATS and not _refuses_nan(inner):
        return False  # NaN lies outside every range
    return _categories_within(inner, declared)


def _categories_within(inner: Field, outer: Declared) -> bool:
    if outer.categories is None:
        return True
    known = None if inner.declared is None else inner.declared.categories
    if known is None and inner.datatype is Datatype.BOOL:
        known = (False, True)
    return known is not None and set(known) <= set(outer.categories)


def _range(field: Field) -> tuple[float, float]:
    """The smallest and the largest number that a field's datatype and limits let pass."""
    least, most = INTEGER_RANGES.get(field.datatype, (-math.inf, math.inf))
    low: float = least
    high: float = most
    declared = field.declared
    if declared is None:
        return low, high
    low = max([low, *([] if declared.minimum is None else [declared.minimum])])
    high = min([high, *([] if declared.maximum is None else [declared.maximum])])
    if declared.categories:
        numbers = [category for category in declared.categories if isinstance(category, int)]
        low, high = max([low, min(numbers)]), min([high, max(numbers)])
    return low, high


def _before_rounding(datatype: Datatype, low: float, high: float) -> tuple[float, float]:
    """How far beyond a limit a number may lie that this datatype rounds to it: a wider one does not round it."""
    kind: Any = np.dtype(NUMPY_NAMES[datatype]).type
    with np.errstate(over="ignore"):
        least, most = np.nextafter(kind(low), kind(-math.inf)), np.nextafter(kind(high), kind(math.inf))
    return float(least), float(most)


def _refuses_nan(field: Field) -> bool:
    """Whether NaN does not pass as a value: limits refuse it, and in a nullable scalar it is null."""
    declared = field.declared
    has_limits = declared is not None and declared != Declared()
    return has_limits or (field.nullable and not field.shape)


def _in_words(declared: Declared | None) -> str:
    if declared is None or declared == Declared():
        return "any value"
    low = "" if declared.minimum is None else f"from {declared.minimum} "
    high = "" if declared.maximum is None else f"up to {declared.maximum} "
    known = "" if declared.categories is None else "one of " + ", ".join(map(str, declared.categories[:12]))
    more = "" if declared.categories is None or len(declared.categories) <= 12 else " …"
    return f"values {low}{high}{known}{more}".strip()
