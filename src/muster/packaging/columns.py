"""Columns in the raw layout of V2, the one form in which rows travel from the door to the model and back.

Data is row-major and little-endian, BOOL one byte, BYTES elements a u32 length and that many bytes of UTF-8; see
`muster_host.frames`. Nulls is None, or one byte per row, 1 = null; a null's place in data holds zero or an empty text.
"""

import math
import struct
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from muster.vocabulary.tensors import FLOATS, ITEM_BYTES, NUMPY_NAMES, Datatype

Buffer = bytes | bytearray | memoryview

_LENGTH = struct.Struct("<I")
_EMPTY_ELEMENT = b"\0\0\0\0"
#: Formats of `memoryview.cast`: reading short columns through them is several times faster than through NumPy.
_CASTS = {
    Datatype.BOOL: "?", Datatype.UINT8: "B", Datatype.UINT16: "H", Datatype.UINT32: "I", Datatype.UINT64: "Q",
    Datatype.INT8: "b", Datatype.INT16: "h", Datatype.INT32: "i", Datatype.INT64: "q",
    Datatype.FP32: "f", Datatype.FP64: "d",
}  # fmt: skip


# Structs of msgspec and not dataclasses, although no document is made of them: every request makes one per field, and a
# frozen dataclass costs eight times as much to make.
class Column(msgspec.Struct, frozen=True, gc=False):
    """One field's values for all rows.

    `shape` is that of one row: `()` for a scalar column, `(30,)` for a tensor of 30 elements per row.
    """

    datatype: Datatype
    shape: tuple[int, ...]
    data: Buffer
    nulls: Buffer | None = None


class Table(msgspec.Struct, frozen=True):
    """Rows of named columns, in the order of the contract."""

    rows: int
    columns: dict[str, Column]


def row_bytes(datatype: Datatype, shape: tuple[int, ...]) -> int:
    """Bytes of one row of a fixed-size column; 0 for BYTES, whose rows differ."""
    return ITEM_BYTES.get(datatype, 0) * math.prod(shape)


def null_column(datatype: Datatype, shape: tuple[int, ...], rows: int) -> Column:
    """A column that is null in every row."""
    text = _EMPTY_ELEMENT * (rows * math.prod(shape)) if datatype is Datatype.BYTES else b""
    return Column(datatype, shape, text or bytes(row_bytes(datatype, shape) * rows), b"\1" * rows)


def encode_text(values: Iterable[bytes]) -> bytes:
    """BYTES elements one after another."""
    pack = _LENGTH.pack
    return b"".join([pack(len(value)) + value for value in values])


def element_ends(data: Buffer, most: int | None = None) -> list[int]:
    """Where each BYTES element ends.

    Args:
        data: the elements.
        most: how many there may be at most; None: any number.

    Raises:
        ValueError: the bytes are not elements one after another, or there are more.
    """
    ends: list[int] = []
    at, size = 0, len(data)
    while at < size:
        if at + 4 > size:
            raise ValueError(f"a BYTES length is cut off at byte {at}")
        at += 4 + _LENGTH.unpack_from(data, at)[0]
        if at > size:
            raise ValueError(f"a BYTES element is cut off at byte {size}")
        ends.append(at)
        if most is not None and len(ends) > most:
            raise ValueError(f"there are more than {most} elements")
    return ends


def decode_text(data: Buffer, most: int | None = None) -> list[str]:
    """The texts of a BYTES column, without regard to nulls or shape.

    Args:
        data: the column's elements.
        most: how many there may be at most; None: any number.

    Raises:
        ValueError: the bytes are not elements one after another, one is not UTF-8, or there are more.
    """
    view = memoryview(data)
    start, texts = 0, []
    for end in element_ends(view, most):
        texts.append(str(view[start + 4 : end], "utf-8"))
        start = end
    return texts


def array_of(column: Column) -> npt.NDArray[Any]:
    """The column as an array `(rows, *shape)`, text as objects, all else without a copy; nulls are not marked."""
    if column.datatype is Datatype.BYTES:
        texts = decode_text(column.data)
        array = np.empty(len(texts), dtype=object)
        array[:] = texts
    else:
        array = np.frombuffer(column.data, dtype=NUMPY_NAMES[column.datatype])
    return array.reshape(-1, *column.shape) if column.shape else array


def nulls_of(column: Column) -> npt.NDArray[np.bool_] | None:
    """Which rows are null, or None when none is."""
    if column.nulls is None or len(column.nulls) == 0:
        return None
    marks = np.frombuffer(column.nulls, dtype=np.bool_)
    return marks if marks.any() else None


def column_of(datatype: Datatype, array: npt.NDArray[Any], nulls: npt.NDArray[np.bool_] | None = None) -> Column:
    """The column of an array `(rows, *shape)` that already has the datatype's values; text arrays hold `str`.

    The places of nulls are set to zero or empty, so that equal columns have equal bytes.
    """
    shape = tuple(int(size) for size in array.shape[1:])
    if nulls is not None and not nulls.any():
        nulls = None
    if datatype is Datatype.BYTES:
        flat = array.reshape(-1)
        hidden = np.zeros(len(flat), bool) if nulls is None else np.repeat(nulls, math.prod(shape))
        data = encode_text(b"" if null else str(text).encode("utf-8") for text, null in zip(flat, hidden, strict=True))
    else:
        plain = np.ascontiguousarray(array, dtype=NUMPY_NAMES[datatype])
        if nulls is not None:
            plain = plain.copy()
            plain[nulls] = 0
        data = plain.tobytes()
    return Column(datatype, shape, data, None if nulls is None else nulls.astype(np.uint8).tobytes())


def nan_as_null(column: Column) -> Column:
    """The same column, null wherever a scalar float is NaN: in a nullable field the two are one thing.

    In tensors NaN stays what it is: there, null is about the whole row.
    """
    if column.datatype not in FLOATS or column.shape:
        return column
    values = array_of(column)
    gone = np.isnan(values)
    if not gone.any():
        return column
    nulls = nulls_of(column)
    return column_of(column.datatype, values, gone if nulls is None else gone | nulls)


def values_of(column: Column) -> list[Any]:
    """One JSON-able value per row: numbers, text, booleans, nested lists for tensors.

    Null becomes None. NaN and the infinities become `"NaN"`, `"Infinity"` and `"-Infinity"`: JSON has no such numbers.
    """
    values = elements_of(column)
    if column.shape:
        values = _nested(values, column.shape)
    if column.nulls is not None and len(column.nulls):
        return [None if null else value for value, null in zip(values, bytes(column.nulls), strict=True)]
    return values


def elements_of(column: Column) -> list[Any]:
    """The elements of all rows one after another, as `values_of` gives them; a null's are whatever its place holds."""
    datatype = column.datatype
    if datatype is Datatype.BYTES:
        return decode_text(column.data)
    if datatype is Datatype.FP16:
        values: list[Any] = np.frombuffer(column.data, dtype="<f2").astype("<f8").tolist()
    else:
        values = memoryview(column.data).cast("B").cast(_CASTS[datatype]).tolist()  # type: ignore[call-overload]
    if datatype in FLOATS:
        # One sum finds whether there is anything but finite numbers (or an overflow, which costs only the closer look).
        total = sum(values)
        if not math.isfinite(total):
            return [value if math.isfinite(value) else _not_finite(value) for value in values]
    return values


def _not_finite(value: float) -> str:
    if value != value:  # noqa: PLR0124  # NaN is the only value that differs from itself
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _nested(flat: list[Any], shape: tuple[int, ...]) -> list[Any]:
    for size in reversed(shape):
        flat = [flat[start : start + size] for start in range(0, len(flat), size)]
    return flat


def rows_between(table: Table, start: int, stop: int) -> Table:
    """The rows `start <= row < stop` of a table; numbers without a copy."""
    columns = {name: _rows_of_column(column, start, stop) for name, column in table.columns.items()}
    return Table(stop - start, columns)


def _rows_of_column(column: Column, start: int, stop: int) -> Column:
    view = memoryview(column.data)
    if column.datatype is Datatype.BYTES:
        per_row = math.prod(column.shape)
        ends = [0, *element_ends(view)]
        data = view[ends[start * per_row] : ends[stop * per_row]]
    else:
        size = row_bytes(column.datatype, column.shape)
        data = view[start * size : stop * size]
    nulls = None if column.nulls is None else memoryview(column.nulls)[start:stop]
    return Column(column.datatype, column.shape, data, nulls)


def joined(tables: Sequence[Table]) -> Table:
    """The rows of several tables of the same columns, one after another."""
    columns = {}
    for name, first in tables[0].columns.items():
        parts = [table.columns[name] for table in tables]
        nulls = None
        if any(part.nulls is not None for part in parts):
            nulls = b"".join(
                bytes(table.rows) if part.nulls is None else part.nulls
                for table, part in zip(tables, parts, strict=True)
            )
        columns[name] = Column(first.datatype, first.shape, b"".join(part.data for part in parts), nulls)
    return Table(sum(table.rows for table in tables), columns)


def selected(table: Table, names: Iterable[str]) -> Table:
    """The named columns of a table, in the order of the names."""
    return Table(table.rows, {name: table.columns[name] for name in names})
