"""One field's check, compiled once from its contract: JSON values or raw bytes go in, a column or the reason comes out.

This is on the way of every request. The common case (the right Python type already) is a type test and one call of
`struct` or `array`; everything else goes the slow way, which finds the first value that does not fit and says why.
"""

import math
import struct
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from muster.packaging.columns import (
    Buffer,
    Column,
    array_of,
    decode_text,
    encode_text,
    nan_as_null,
    null_column,
    row_bytes,
    values_of,
)
from muster.vocabulary.tensors import FLOATS, INTEGER_RANGES, NUMPY_NAMES, Datatype
from muster.wire.contracts import Declared, Field

#: Beyond it, a float no longer names one whole number.
EXACT_INTEGER = 2**53

_ARRAY_CODES = {
    Datatype.UINT8: "B", Datatype.UINT16: "H", Datatype.UINT32: "I", Datatype.UINT64: "Q",
    Datatype.INT8: "b", Datatype.INT16: "h", Datatype.INT32: "i", Datatype.INT64: "q",
    Datatype.FP32: "f", Datatype.FP64: "d",
}  # fmt: skip
_PACKS = {
    Datatype.UINT8: "<B", Datatype.UINT16: "<H", Datatype.UINT32: "<I", Datatype.UINT64: "<Q",
    Datatype.INT8: "<b", Datatype.INT16: "<h", Datatype.INT32: "<i", Datatype.INT64: "<q",
}  # fmt: skip
_FLOAT_MAX = {Datatype.FP16: 65504.0, Datatype.FP32: float(np.finfo(np.float32).max), Datatype.FP64: math.inf}
#: Half a step above the largest finite value: from here on, rounding gives infinity.
_FLOAT_BEYOND = {Datatype.FP16: 65520.0, Datatype.FP32: 2.0**128 - 2.0**103, Datatype.FP64: math.inf}
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_ITEM_BITS = {Datatype.FP16: 16, Datatype.FP32: 32, Datatype.FP64: 64}
_JUST_FLOAT = {float}
_JUST_INT = {int}
_JUST_BOOL = {bool}
_JUST_TEXT = {str}


class InWords(str):
    """What was given, described; shown as it is and not as a quoted value."""

    __slots__ = ()


class FieldBroken(Exception):  # caught inside this room; what callers see is ContractBroken
    """A value does not fit its field.

    Args:
        row: index of the row, or None when it is about the whole tensor.
        value: what was given.
        expected: what the contract asks for, to be read after "expected".
    """

    def __init__(self, row: int | None, value: object, expected: str) -> None:
        super().__init__(expected)
        self.row = row
        self.value = value
        self.expected = expected


def widens(given: Datatype, wanted: Datatype) -> bool:
    """Whether every value of `given` may stand for one of `wanted`; whole numbers for floats are checked one by one."""
    if given is wanted:
        return True
    if wanted in FLOATS:
        return given in INTEGER_RANGES or (given in FLOATS and _ITEM_BITS[given] < _ITEM_BITS[wanted])
    if given in INTEGER_RANGES and wanted in INTEGER_RANGES:
        low, high = INTEGER_RANGES[given]
        least, most = INTEGER_RANGES[wanted]
        return least <= low and high <= most
    return False


class FieldCheck:
    """What one field accepts.

    Args:
        field: the field of the contract.

    Raises:
        FieldBroken: its own default does not fit it.
    """

    def __init__(self, field: Field) -> None:
        self.field = field
        self.name = field.name
        self.datatype = field.datatype
        self.shape = field.shape
        self.size = math.prod(field.shape)
        self.nullable = field.nullable
        self.required = field.required
        self._encode = _ENCODERS[_family(field.datatype)]
        self._within = None if field.declared is None else _declared_check(field)
        self.one: Callable[[Any], Column] = self._compile_one()
        self._default = None if field.default is None else self.many((field.default,))
        self.default: Any = None if self._default is None else values_of(self._default)[0]
        """What fills the field in where it is absent, as its own type; None: null."""

    def absent(self, rows: int) -> Column:
        """The column of a field that was left out, which stands for its default in every row, or for null where it has none."""
        if self._default is None:
            return null_column(self.datatype, self.shape, rows)
        return Column(self.datatype, self.shape, bytes(self._default.data) * rows)

    def many(self, values: Sequence[Any]) -> Column:
        """The column of one JSON value per row.

        Raises:
            FieldBroken: a value does not fit.
        """
        nulls = None
        if type(None) in set(map(type, values)):
            if not self.nullable:
                row = next(row for row, value in enumerate(values) if value is None)
                raise FieldBroken(row, None, f"{self.expected()}, never null")
            nulls = bytearray(value is None for value in values)
            blank = self._blank()
            values = [blank if value is None else value for value in values]
        flat = values if not self.shape else self._flatten(values)
        return self._column(flat, nulls)

    def flat(self, elements: Sequence[Any], rows: int) -> Column:
        """The column of row-major elements, as V2 JSON gives a tensor in a flat list.

        Raises:
            FieldBroken: an element does not fit.
        """
        if not self.shape:
            return self.many(elements)
        if len(elements) != rows * self.size:
            raise FieldBroken(None, elements, f"{rows * self.size} elements for {rows} rows of {self.expected()}")
        return self._column(self._without_inner_nulls(elements), None)

    def raw(self, data: Buffer, datatype: Datatype, rows: int) -> Column:
        """The column of raw V2 bytes of that datatype, which widens to the field's.

        Raises:
            FieldBroken: the bytes are too few or too many, or a value does not fit.
        """
        if self.datatype is Datatype.BYTES:
            return self._raw_text(data, rows)
        wanted = row_bytes(datatype, self.shape) * rows
        if len(data) != wanted:
            raise FieldBroken(None, data, f"{wanted} bytes for {rows} rows of {self.expected()}")
        if datatype is not self.datatype:
            data = self._widened(np.frombuffer(data, dtype=NUMPY_NAMES[datatype]))
        column = Column(self.datatype, self.shape, data)
        if self.datatype is Datatype.BOOL:
            marks = np.frombuffer(data, dtype=np.uint8)
            if len(marks) and marks.max() > 1:
                at = int((marks > 1).argmax())
                raise FieldBroken(at // self.size, int(marks[at]), "BOOL: one byte, 0 or 1")
        elif self.nullable:
            column = nan_as_null(column)
        if self._within is not None:
            self._within_limits(column)
        return column

    def expected(self) -> str:
        """What the field accepts, in words."""
        family = _family(self.datatype)
        if self.shape:
            return f"a tensor {list(self.shape)} of {_WORDS_FOR_MANY[family]} ({self.datatype})"
        what = _WORDS[family]
        return f"{what} ({self.datatype})" if self.datatype is not Datatype.BYTES else "text (BYTES)"

    def check_column(self, column: Column) -> None:
        """Hold a column of the field's own datatype and shape against nullability and declared limits.

        Raises:
            FieldBroken: a row does not fit.
        """
        if column.nulls is not None and not self.nullable and any(column.nulls):
            raise FieldBroken(bytes(column.nulls).index(1), None, f"{self.expected()}, never null")
        if self._within is not None:
            self._within_limits(column)

    def _compile_one(self) -> Callable[[Any], Column]:
        """The check of a single value, as a closure without attribute look-ups for the plain cases."""
        many = self.many
        compiled = _ONES.get(_family(self.datatype))
        if self.shape or self._within is not None or self.datatype in _ROUNDED or compiled is None:
            return lambda value: many((value,))
        return compiled(self.datatype, many)

    def _blank(self) -> Any:
        element: Any = {"text": "", "flag": False}.get(_family(self.datatype), 0)
        for size in reversed(self.shape):
            element = [element] * size
        return element

    def _column(self, flat: Sequence[Any], nulls: bytearray | None) -> Column:
        try:
            data = self._encode(flat, self.datatype)
        except FieldBroken as broken:
            if broken.row is not None:
                broken.row //= self.size
            raise
        column = Column(self.datatype, self.shape, data, None if nulls is None else bytes(nulls))
        if self.nullable:
            column = nan_as_null(column)
        if self._within is not None:
            self._within_limits(column)
        return column

    def _flatten(self, values: Sequence[Any]) -> Sequence[Any]:
        elements: list[Any] = []
        for row, value in enumerate(values):
            _unnest(value.tolist() if isinstance(value, np.ndarray) else value, self.shape, elements, self, row)
        return self._without_inner_nulls(elements)

    def _without_inner_nulls(self, elements: Sequence[Any]) -> Sequence[Any]:
        """In a nullable floating-point tensor a single null element is NaN; the row as a whole is not null."""
        if self.nullable and self.datatype in FLOATS and None in elements:
            return [math.nan if element is None else element for element in elements]
        return elements

    def _raw_text(self, data: Buffer, rows: int) -> Column:
        try:
            texts = decode_text(data, rows * self.size)
        except UnicodeDecodeError as error:
            raise FieldBroken(None, bytes(error.object[:40]), "text in UTF-8") from error
        except ValueError as error:
            raise FieldBroken(None, data, f"BYTES elements, each a u32 length and that many bytes; {error}") from error
        if len(texts) != rows * self.size:
            raise FieldBroken(None, data, f"{rows * self.size} elements for {rows} rows, {len(texts)} came")
        column = Column(self.datatype, self.shape, data)
        if self._within is not None:
            self._within_limits(column)
        return column

    def _widened(self, values: npt.NDArray[Any]) -> bytes:
        target = NUMPY_NAMES[self.datatype]
        with np.errstate(over="ignore"):  # what overflows is found below
            wide = values.astype(target)
        if self.datatype in FLOATS and np.issubdtype(values.dtype, np.integer):
            lost = changed_as_floats(values, wide)
            if lost.any():
                at = int(lost.argmax())
                raise FieldBroken(at // self.size, int(values[at]), f"{self.datatype} without loss")
        return wide.tobytes()

    def _within_limits(self, column: Column) -> None:
        assert self._within is not None
        values = array_of(column).reshape(-1)
        bad = self._within.outside(values)
        if column.nulls is not None:
            bad &= ~np.repeat(np.frombuffer(column.nulls, dtype=np.bool_), self.size)
        if bad.any():
            at = int(bad.argmax())
            value = values[at]
            raise FieldBroken(
                at // self.size, value.item() if isinstance(value, np.generic) else value, self._within.expected
            )


def changed_as_floats(values: npt.NDArray[Any], floats: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """True where a whole number is not the float that it became.

    Compared as whole numbers: NumPy would compare both as floats, which hides the very loss looked for.
    """
    exact = floats.astype(np.float64)
    beyond = 2.0 ** (np.iinfo(values.dtype).bits - (values.dtype.kind == "i"))
    fits = np.isfinite(exact) & (exact < beyond)
    changed: npt.NDArray[np.bool_] = ~fits | (np.where(fits, exact, 0).astype(values.dtype) != values)
    return changed


def _family(datatype: Datatype) -> str:
    if datatype is Datatype.BYTES:
        return "text"
    if datatype is Datatype.BOOL:
        return "flag"
    return "float" if datatype in FLOATS else "integer"


_WORDS = {"text": "text", "flag": "true or false", "float": "a number", "integer": "a whole number"}
_WORDS_FOR_MANY = {"text": "texts", "flag": "true or false", "float": "numbers", "integer": "whole numbers"}


def _one_float(datatype: Datatype, many: Callable[[Sequence[Any]], Column]) -> Callable[[Any], Column]:
    pack = struct.Struct("<d").pack

    def one(value: Any) -> Column:
        if type(value) is float and value == value:  # noqa: PLR0124  # NaN may be a null: the slow way
            return Column(datatype, (), pack(value))
        return many((value,))

    return one


def _one_text(datatype: Datatype, many: Callable[[Sequence[Any]], Column]) -> Callable[[Any], Column]:
    pack = struct.Struct("<I").pack

    def one(value: Any) -> Column:
        if type(value) is str and value.isascii():
            return Column(datatype, (), pack(len(value)) + value.encode("ascii"))
        return many((value,))

    return one


def _one_flag(datatype: Datatype, many: Callable[[Sequence[Any]], Column]) -> Callable[[Any], Column]:
    yes, no = Column(datatype, (), b"\1"), Column(datatype, (), b"\0")

    def one(value: Any) -> Column:
        if value is True:
            return yes
        return no if value is False else many((value,))

    return one


def _one_integer(datatype: Datatype, many: Callable[[Sequence[Any]], Column]) -> Callable[[Any], Column]:
    pack = struct.Struct(_PACKS[datatype]).pack
    least, most = INTEGER_RANGES[datatype]

    def one(value: Any) -> Column:
        if type(value) is int and least <= value <= most:
            return Column(datatype, (), pack(value))
        return many((value,))

    return one


_ONES = {"float": _one_float, "text": _one_text, "flag": _one_flag, "integer": _one_integer}
#: Floats that need a look at what rounding does to them.
_ROUNDED = frozenset({Datatype.FP16, Datatype.FP32})


def _plain(value: Any) -> Any:
    """A NumPy scalar as the Python value it is; everything else as it came."""
    return value.item() if isinstance(value, np.generic) else value


def _encode_floats(values: Sequence[Any], datatype: Datatype) -> bytes:
    if set(map(type, values)) != _JUST_FLOAT:
        values = [_float(_plain(value), index, datatype) for index, value in enumerate(values)]
    if datatype is Datatype.FP64:
        return array("d", values).tobytes()
    beyond = _FLOAT_BEYOND[datatype]
    for index, value in enumerate(values):
        if abs(value) >= beyond and math.isfinite(value):
            raise FieldBroken(index, value, f"a number ({datatype}), at most {_FLOAT_MAX[datatype]:g} in size")
    if datatype is Datatype.FP32:
        return array("f", values).tobytes()
    return np.array(values, dtype="<f2").tobytes()


def _float(value: Any, index: int, datatype: Datatype) -> float:
    if type(value) is float:
        return value
    if type(value) is int:
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        kept = float(np.float32(number)) if datatype is Datatype.FP32 else number
        if datatype is Datatype.FP16 and abs(number) < _FLOAT_BEYOND[datatype]:
            kept = float(np.float16(number))
        if math.isfinite(kept) and int(kept) == value:
            return number
        raise FieldBroken(index, value, f"a number that {datatype} holds without loss")
    if type(value) is str and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    hint = ", or one of the strings NaN, Infinity, -Infinity" if type(value) is str else ""
    raise FieldBroken(index, value, f"a number ({datatype}){hint}")


def _encode_integers(values: Sequence[Any], datatype: Datatype) -> bytes:
    if set(map(type, values)) != _JUST_INT:
        values = [_integer(_plain(value), index, datatype) for index, value in enumerate(values)]
    try:
        return array(_ARRAY_CODES[datatype], values).tobytes()
    except OverflowError:
        least, most = INTEGER_RANGES[datatype]
        index = next(index for index, value in enumerate(values) if not least <= value <= most)
        raise FieldBroken(index, values[index], f"a whole number ({datatype}) from {least} to {most}") from None


def _integer(value: Any, index: int, datatype: Datatype) -> int:
    if type(value) is int:
        return value
    if type(value) is float and value.is_integer():
        if abs(value) <= EXACT_INTEGER:
            return int(value)
        raise FieldBroken(
            index, value, f"a whole number ({datatype}); beyond 2^53 as an integer or a decimal string, not a float"
        )
    if type(value) is str and datatype in {Datatype.INT64, Datatype.UINT64} and value.isascii():
        digits = value.removeprefix("-")
        if digits.isdigit() and len(digits) <= 20 and abs(int(value)) > EXACT_INTEGER:
            return int(value)
        if digits.isdigit():
            raise FieldBroken(index, value, f"a whole number ({datatype}); decimal strings only beyond 2^53")
    raise FieldBroken(index, value, f"a whole number ({datatype})")


def _encode_flags(values: Sequence[Any], datatype: Datatype) -> bytes:
    if set(map(type, values)) != _JUST_BOOL:
        values = [_plain(value) for value in values]
        for index, value in enumerate(values):
            if type(value) is not bool:
                raise FieldBroken(index, value, f"true or false ({datatype})")
    return bytes(values)


def _encode_texts(values: Sequence[Any], datatype: Datatype) -> bytes:
    if set(map(type, values)) != _JUST_TEXT:
        for index, value in enumerate(values):
            if not isinstance(value, str):
                raise FieldBroken(index, value, f"text ({datatype})")
    try:
        return encode_text([value.encode("utf-8") for value in values])
    except UnicodeEncodeError as error:
        index = values.index(error.object)
        raise FieldBroken(index, error.object, "text that UTF-8 can hold; this has a lone surrogate") from None


_ENCODERS: dict[str, Callable[[Sequence[Any], Datatype], bytes]] = {
    "text": _encode_texts,
    "flag": _encode_flags,
    "float": _encode_floats,
    "integer": _encode_integers,
}


def _unnest(value: Any, shape: tuple[int, ...], into: list[Any], check: FieldCheck, row: int) -> None:
    if not isinstance(value, list | tuple) or len(value) != shape[0]:
        raise FieldBroken(row, value, check.expected())
    if len(shape) == 1:
        into.extend(value)
    else:
        for inner in value:
            _unnest(inner, shape[1:], into, check, row)


class _declared_check:  # noqa: N801  # a compiled function with its sentence
    """Which values lie outside the declared limits, and what the limits say in words."""

    def __init__(self, field: Field) -> None:
        declared = field.declared
        assert declared is not None
        self._declared: Declared = declared
        self._categories = None if declared.categories is None else frozenset(declared.categories)
        self._known_numbers = _known_numbers(field)
        self.expected = _limits_in_words(declared)

    def outside(self, values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """True where a value is outside; NaN lies outside every range."""
        bad = np.zeros(len(values), dtype=np.bool_)
        with np.errstate(
            over="ignore"
        ):  # a limit beyond what FP16 or FP32 hold becomes infinite, which is what it is there
            if self._declared.minimum is not None:
                bad |= ~(values >= self._declared.minimum)
            if self._declared.maximum is not None:
                bad |= ~(values <= self._declared.maximum)
        if self._known_numbers is not None:
            bad |= ~np.isin(values, self._known_numbers)
        elif self._categories is not None:
            known = self._categories
            bad |= np.fromiter((value not in known for value in values.tolist()), np.bool_, len(values))
        return bad


def _known_numbers(field: Field) -> npt.NDArray[Any] | None:
    """The categories of a field of numbers that its datatype holds exactly; None for other fields."""
    declared = field.declared
    if declared is None or declared.categories is None or field.datatype not in _ARRAY_CODES:
        return None
    kind = np.dtype(NUMPY_NAMES[field.datatype])
    known = []
    for category in declared.categories:
        with np.errstate(over="ignore"):
            try:
                held = kind.type(category)
            except (OverflowError, ValueError):
                continue
        if np.isfinite(held) and int(held) == category:
            known.append(held)
    return np.array(known, dtype=kind)


def _limits_in_words(declared: Declared) -> str:
    words = []
    if declared.minimum is not None and declared.maximum is not None:
        words.append(f"a value from {declared.minimum} to {declared.maximum}")
    elif declared.minimum is not None:
        words.append(f"a value of at least {declared.minimum}")
    elif declared.maximum is not None:
        words.append(f"a value of at most {declared.maximum}")
    if declared.categories is not None:
        shown = ", ".join(repr(category) for category in declared.categories[:12])
        more = len(declared.categories) - 12
        words.append(f"one of {shown}" + (f" and {more} more" if more > 0 else ""))
    return " and ".join(words) or "any value"
