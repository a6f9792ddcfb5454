"""Hypothesis strategies for fields of every kind, and for JSON values that fit them, nearly fit them, or do not."""

import math
from typing import Any

import msgspec
from hypothesis import strategies as st

from muster.packaging.contract import contract_problems
from muster.vocabulary.tensors import FLOATS, INTEGER_RANGES, Datatype
from muster.wire.contracts import Contract, Declared, Field

SHAPES: tuple[tuple[int, ...], ...] = ((), (), (), (1,), (3,), (2, 2))
TEXTS = st.text(max_size=4) | st.sampled_from(["a", "b", "größer"])
#: Values that lie on the edges of what the datatypes hold.
EDGES = st.sampled_from(
    [0, 1, -1, 2**11, 2**11 + 1, 2**24, 2**24 + 1, 2**31, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64,
     65504.0, 65519.0, 65520.0, 3.4028235e38, 3.5e38, 1e300, 0.1, -0.0, 3.0, 5e-324, 9007199254740994.0]
)  # fmt: skip
STRANGE: st.SearchStrategy[Any] = (
    st.sampled_from([None, "NaN", "Infinity", "-Infinity", "1", True, False, [], [1.5], {}, "\u00e9", ""]) | EDGES
)


FINITE = {
    Datatype.FP16: st.floats(allow_nan=False, allow_infinity=False, width=16),
    Datatype.FP32: st.floats(allow_nan=False, allow_infinity=False, width=32),
    Datatype.FP64: st.floats(allow_nan=False, allow_infinity=False),
}


@st.composite
def fields(draw: st.DrawFn, name: str, shapes: tuple[tuple[int, ...], ...] = SHAPES) -> Field:
    """A field of any datatype, with or without limits."""
    datatype = draw(st.sampled_from(list(Datatype)))
    nullable = draw(st.booleans())
    field = Field(
        name,
        datatype,
        draw(st.sampled_from(shapes)),
        nullable=nullable,
        required=not nullable or draw(st.booleans()),
        declared=draw(st.none() | limits(datatype)),
    )
    return draw(filled(field)) if draw(st.integers(0, 4)) == 0 else field


@st.composite
def filled(draw: st.DrawFn, field: Field) -> Field:
    """The field with a default that it has when it is left out; as it was, where what was drawn does not fit it."""
    default = draw(row_values(msgspec.structs.replace(field, nullable=False), strange=False))
    made = msgspec.structs.replace(field, required=False, default=_unchanging(default))
    outputs = (Field("p", Datatype.FP64),)
    return field if contract_problems(Contract((made,), outputs)) else made


def _unchanging(value: Any) -> Any:
    return tuple(_unchanging(inner) for inner in value) if isinstance(value, list) else value


@st.composite
def limits(draw: st.DrawFn, datatype: Datatype) -> Declared:
    """What an author may declare of a datatype."""
    if datatype is Datatype.BYTES:
        return Declared(categories=("a", "b", "größer"))
    if datatype is Datatype.BOOL:
        return Declared(categories=(True,))
    if draw(st.booleans()):
        return Declared(categories=(0, 1, 7, 300))
    edges = st.integers(-3, 300) | st.floats(-3, 300) | st.sampled_from([1 - 2**53, 2**53 - 1, 2.0**60])
    low, high = draw(st.none() | edges), draw(st.none() | edges)
    if low is not None and high is not None and low > high:
        low, high = high, low
    return Declared(minimum=low, maximum=high)


@st.composite
def elements(draw: st.DrawFn, field: Field, *, strange: bool = True) -> Any:
    """One JSON value for an element of the field."""
    if strange and draw(st.integers(0, 9)) == 0:
        return draw(STRANGE)
    declared = field.declared
    if declared is not None and declared.categories is not None and draw(st.integers(0, 4)):
        held = [category for category in declared.categories if fits(category, field.datatype)]
        return draw(st.sampled_from(held))
    if field.datatype is Datatype.BYTES:
        return draw(TEXTS)
    if field.datatype is Datatype.BOOL:
        return draw(st.booleans())
    if field.datatype in FLOATS:
        return draw(FINITE[field.datatype] | st.floats(-3, 300, width=16))
    return draw(st.integers(*INTEGER_RANGES[field.datatype]) | st.integers(0, 100))


def fits(value: str | int, datatype: Datatype) -> bool:
    """Whether a datatype holds a category."""
    if isinstance(value, str) or datatype not in INTEGER_RANGES:
        return True
    least, most = INTEGER_RANGES[datatype]
    return least <= value <= most


@st.composite
def row_values(draw: st.DrawFn, field: Field, *, strange: bool = True) -> Any:
    """One JSON value for a row of the field; nested for a tensor."""
    if field.nullable and draw(st.integers(0, 4)) == 0:
        return None
    flat = [draw(elements(field, strange=strange)) for _ in range(math.prod(field.shape))]
    return nested(flat, field.shape)


def nested(flat: list[Any], shape: tuple[int, ...]) -> Any:
    """Row-major elements as nested lists; the only one for a scalar."""
    if not shape:
        return flat[0]
    step = math.prod(shape[1:])
    return [nested(flat[start : start + step], shape[1:]) for start in range(0, len(flat), step)]
