"""A field as a type for a typed decoder, and the shortest way from a value of that type to a column.

A decoder that knows the types checks while it reads, in C. What it takes is never more than `FieldCheck` takes, and means
the same; it may be less: a null inside a tensor, `"NaN"`, a whole number that only an exact look can judge. Those go the way of
`FieldCheck`, which accepts them or says why not.
"""

import math
import struct
from array import array
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec

from muster.packaging.columns import Column, encode_text, null_column
from muster.packaging.field_checks import FieldCheck
from muster.vocabulary.tensors import FLOATS, INTEGER_RANGES, Datatype

#: Below these, every whole number is a float of its own, so that no value has changed by being read as one.
_EXACT_FLOAT = {Datatype.FP16: 2.0**11, Datatype.FP32: 2.0**24, Datatype.FP64: 2.0**53}
_FORMATS = {
    Datatype.BOOL: "?", Datatype.UINT8: "B", Datatype.UINT16: "H", Datatype.UINT32: "I", Datatype.UINT64: "Q",
    Datatype.INT8: "b", Datatype.INT16: "h", Datatype.INT32: "i", Datatype.INT64: "q",
    Datatype.FP16: "e", Datatype.FP32: "f", Datatype.FP64: "d",
}  # fmt: skip
#: What msgspec can compare a whole number with.
_LEAST, _MOST = -(2**63), 2**63 - 1
#: Above this, unpacking a list into a call costs more than an array.
_LONG = 512
_length = struct.Struct("<I").pack


class TypedField(NamedTuple):
    """How a typed decoder reads one field."""

    element: Any
    """The type of one element of a tensor in a flat list, or of a scalar; None where only the slow way will do."""
    value: Any
    """The type of one row's value in a record; None where only the slow way will do."""
    one: Callable[[Any], Column]
    """The column of one row: of a value of type `value`, or of a tensor's list of elements."""
    flat: Callable[[Sequence[Any], int], Column]
    """The column of elements of type `element`, row-major, for a number of rows."""


def typed_field(check: FieldCheck) -> TypedField:
    """The typed form of a field's check.

    `one` and `flat` raise `FieldBroken`, `ValueError`, `TypeError`, `LookupError` or `struct.error` for what they cannot take; the
    slow way then judges.
    """
    element = _element(check)
    if element is None or len(check.shape) > 1:
        many = check.many
        return TypedField(None, Any, lambda value: many((value,)), check.flat)
    flat = _flat(check)
    if check.shape:
        row: Any = list.__class_getitem__(element)
        return TypedField(element, row | None if check.nullable else row, _or_null(check, _one_tensor(check)), flat)
    optional = element | None if check.nullable else element
    return TypedField(optional, optional, _or_null(check, _one_scalar(check)), flat)


def _flat(check: FieldCheck) -> Callable[[Sequence[Any], int], Column]:
    datatype, shape, size = check.datatype, check.shape, check.size
    if check.field.declared is not None and datatype is Datatype.BYTES:
        return check.flat
    encode = _encoder(datatype)
    if check.nullable and not shape:
        many = check.many

        def or_null(elements: Sequence[Any], rows: int) -> Column:
            if len(elements) != rows:
                raise ValueError(len(elements))
            if None in elements:
                return many(elements)
            return Column(datatype, shape, encode(elements))

        return or_null

    def never_null(elements: Sequence[Any], rows: int) -> Column:
        if len(elements) != rows * size:
            raise ValueError(len(elements))
        return Column(datatype, shape, encode(elements))

    return never_null


def _encoder(datatype: Datatype) -> Callable[[Sequence[Any]], bytes]:
    if datatype is Datatype.BYTES:
        return lambda texts: encode_text([text.encode() for text in texts])
    if datatype is Datatype.BOOL:
        return bytes
    code = _FORMATS[datatype]
    if datatype is Datatype.FP16:
        return lambda elements: struct.pack(f"<{len(elements)}{code}", *elements)
    return lambda elements: array(code, elements).tobytes()


def _element(check: FieldCheck) -> Any:
    datatype, declared = check.datatype, check.field.declared
    if datatype is Datatype.BYTES:
        return str if declared is None or not check.shape else None
    if datatype is Datatype.BOOL:
        return bool if declared is None else None
    if declared is not None and declared.categories is not None:
        return None
    low = None if declared is None else declared.minimum
    high = None if declared is None else declared.maximum
    return _ranged_float(datatype, low, high) if datatype in FLOATS else _ranged_integer(datatype, low, high)


def _ranged_float(datatype: Datatype, low: float | None, high: float | None) -> Any:
    exact = _EXACT_FLOAT[datatype]
    return Annotated[
        float,
        msgspec.Meta(ge=float(low)) if low is not None and low > -exact else msgspec.Meta(gt=-exact),
        msgspec.Meta(le=float(high)) if high is not None and high < exact else msgspec.Meta(lt=exact),
    ]


def _ranged_integer(datatype: Datatype, low: float | None, high: float | None) -> Any:
    least, most = INTEGER_RANGES[datatype]
    least = max(least, _LEAST, least if low is None else math.ceil(low))
    most = min(most, _MOST, most if high is None else math.floor(high))
    return Annotated[int, msgspec.Meta(ge=least, le=most)] if least <= most else None


def _or_null(check: FieldCheck, one: Callable[[Any], Column]) -> Callable[[Any], Column]:
    if not check.nullable:
        return one
    nothing = null_column(check.datatype, check.shape, 1)
    return lambda value: nothing if value is None else one(value)


def _one_scalar(check: FieldCheck) -> Callable[[Any], Column]:
    datatype = check.datatype
    if datatype is Datatype.BOOL:
        yes, no = Column(datatype, (), b"\1"), Column(datatype, (), b"\0")
        return lambda value: yes if value else no
    if datatype is Datatype.BYTES:
        declared = check.field.declared
        if declared is not None and declared.categories is not None:
            # An unknown one raises KeyError, a LookupError: the slow way says what it should have been.
            return {text: check.many((text,)) for text in declared.categories}.__getitem__
        return _one_text
    pack = struct.Struct("<" + _FORMATS[datatype]).pack
    return lambda value: Column(datatype, (), pack(value))


def _one_text(value: str) -> Column:
    data = value.encode()
    return Column(Datatype.BYTES, (), _length(len(data)) + data)


def _one_tensor(check: FieldCheck) -> Callable[[Sequence[Any]], Column]:
    datatype, shape, size = check.datatype, check.shape, check.size
    if datatype is Datatype.BYTES:

        def texts(values: Sequence[str]) -> Column:
            if len(values) != size:
                raise ValueError(len(values))
            return Column(datatype, shape, encode_text([value.encode() for value in values]))

        return texts
    if size <= _LONG or datatype in {Datatype.FP16, Datatype.BOOL}:
        pack = struct.Struct(f"<{size}{_FORMATS[datatype]}").pack
        return lambda values: Column(datatype, shape, pack(*values))
    code = _FORMATS[datatype]

    def numbers(values: Sequence[Any]) -> Column:
        if len(values) != size:
            raise ValueError(len(values))
        return Column(datatype, shape, array(code, values).tobytes())

    return numbers
