"""Stored columns as Arrow arrays and back, without loss.

One `StoredColumn` holds the rows of one request. In Parquet a field is one list column: an entry per request, the list
its rows. A tensor field is a list of lists, row-major. All requests of a file are turned at once, so the cost per
value is that of a copy.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from functools import lru_cache
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from muster.vocabulary.tensors import ITEM_BYTES, NUMPY_NAMES, Datatype
from muster.wire.records import StoredColumn

_LENGTH = struct.Struct("<I")
_ARROW_TYPES: dict[Datatype, pa.DataType] = {
    Datatype.BOOL: pa.bool_(), Datatype.BYTES: pa.string(),
    Datatype.UINT8: pa.uint8(), Datatype.UINT16: pa.uint16(), Datatype.UINT32: pa.uint32(),
    Datatype.UINT64: pa.uint64(), Datatype.INT8: pa.int8(), Datatype.INT16: pa.int16(), Datatype.INT32: pa.int32(),
    Datatype.INT64: pa.int64(),
    Datatype.FP16: pa.float16(), Datatype.FP32: pa.float32(), Datatype.FP64: pa.float64(),
}  # fmt: skip
_DATATYPES = {str(datatype): datatype for datatype in Datatype}
_ONLY_MARKS = frozenset({0, 1})
#: Of which every byte is a value.
_ANY_BITS = frozenset(Datatype) - {Datatype.BYTES, Datatype.BOOL}


@dataclass(frozen=True, slots=True)
class LaidField:
    """Name, datatype and shape of a field: what decides how it lies in Parquet."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    per_row: int = attribute(init=False, compare=False)
    """Elements of one row."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "per_row", math.prod(self.shape))

    @property
    def arrow_type(self) -> pa.DataType:
        """The list column's type."""
        element = _ARROW_TYPES[self.datatype]
        return pa.list_(pa.list_(element)) if self.shape else pa.list_(element)


#: The fields of one side, inputs or outputs, in order.
Layout = tuple[LaidField, ...]


def layout_of(columns: Sequence[StoredColumn], rows: int) -> Layout | None:
    """How these columns lie in Parquet; None when Parquet cannot give back exactly these bytes.

    That is so for columns that no front writes: unknown datatypes, lengths that do not match the rows, duplicate names,
    BYTES that are not UTF-8, BOOL other than 0 and 1, and anything but zero under a null.
    """
    fields = _fields_of(tuple((column.name, column.datatype, column.shape) for column in columns))
    if fields is None:
        return None
    for column, field in zip(columns, fields, strict=True):
        if column.nulls is None and field.datatype in _ANY_BITS:
            if len(column.data) != ITEM_BYTES[field.datatype] * field.per_row * rows:
                return None
        elif not _comes_back(column, field, rows):
            return None
    return fields


@lru_cache(maxsize=256)
def _fields_of(declared: tuple[tuple[str, str, tuple[int, ...]], ...]) -> Layout | None:
    """The layout that these names, datatypes and shapes make; None where they make none."""
    fields = tuple(
        field for name, datatype, shape in declared if (field := _laid_of(name, datatype, shape)) is not None
    )
    if not fields or len(fields) != len(declared) or len({field.name for field in fields}) != len(fields):
        return None
    return fields


def rows_of(column: StoredColumn) -> int | None:
    """How many rows a column holds, from its bytes alone; None when that cannot be told."""
    if column.nulls is not None:
        return len(column.nulls)
    field = _laid(column)
    if field is None or field.per_row == 0:
        return None
    if field.datatype is not Datatype.BYTES:
        return len(column.data) // (ITEM_BYTES[field.datatype] * field.per_row)
    at, count = 0, 0
    while at + 4 <= len(column.data):
        at += 4 + _LENGTH.unpack_from(column.data, at)[0]
        count += 1
    return count // field.per_row


def _laid(column: StoredColumn) -> LaidField | None:
    return _laid_of(column.name, column.datatype, column.shape)


def _laid_of(name: str, datatype: str, shape: tuple[int, ...]) -> LaidField | None:
    known = _DATATYPES.get(datatype)
    if known is None or not name or any(length < 0 for length in shape):
        return None
    return LaidField(name, known, shape)


def _comes_back(column: StoredColumn, field: LaidField, rows: int) -> bool:
    nulls = column.nulls
    if nulls is not None and (len(nulls) != rows or not _ONLY_MARKS.issuperset(nulls)):
        return False
    has_nulls = nulls is not None and 1 in nulls
    if field.datatype is Datatype.BYTES:
        return _texts_come_back(column.data, rows * field.per_row, nulls if has_nulls else None, field.per_row)
    size = ITEM_BYTES[field.datatype] * field.per_row
    if len(column.data) != size * rows:
        return False
    if field.datatype is Datatype.BOOL and not _ONLY_MARKS.issuperset(column.data):
        return False
    if nulls is None or not has_nulls:
        return True
    return not any(any(column.data[row * size : (row + 1) * size]) for row in range(rows) if nulls[row])


def _texts_come_back(data: bytes, count: int, nulls: bytes | None, per_row: int) -> bool:
    at = 0
    for index in range(count):
        if at + 4 > len(data):
            return False
        (length,) = _LENGTH.unpack_from(data, at)
        end = at + 4 + length
        if end > len(data) or (length and nulls is not None and nulls[index // per_row]):
            return False
        try:
            data[at + 4 : end].decode()
        except UnicodeDecodeError:
            return False
        at = end
    return at == len(data)


def to_arrow(field: LaidField, columns: Sequence[StoredColumn | None], rows: Sequence[int]) -> pa.Array:
    """One list entry per request; None, an empty list, where a request has no such column.

    Args:
        field: what all of the columns are.
        columns: one per request.
        rows: rows of each request; 0 where there is no column.
    """
    total = sum(rows)
    marks = np.zeros(total, dtype=np.bool_)
    at = 0
    for column, count in zip(columns, rows, strict=True):
        if column is not None and column.nulls:
            marks[at : at + count] = np.frombuffer(column.nulls, dtype=np.uint8).view(np.bool_)
        at += count
    data = b"".join(column.data for column in columns if column is not None)
    if field.shape:
        values = _drop_null_rows(_elements(field, data, total * field.per_row), marks, field.per_row)
        lengths = np.where(marks, 0, field.per_row)
        inner = pa.ListArray.from_arrays(_offsets(lengths), values, mask=pa.array(marks))
    else:
        inner = _elements(field, data, total, marks)
    return pa.ListArray.from_arrays(pa.array([0, *accumulate(rows)], pa.int32()), inner)


def from_arrow(field: LaidField, lists: pa.ListArray) -> list[StoredColumn]:
    """What `to_arrow` was given, one column per entry; an empty column for an entry that is null."""
    inner = lists.flatten()
    starts = [0, *accumulate(_lengths(lists))]
    marks = np.asarray(inner.is_null(nan_is_null=False).to_numpy(zero_copy_only=False), dtype=np.uint8)
    if field.shape:
        elements = inner.flatten()
        if marks.any():
            elements = _with_null_rows(elements, marks, field.per_row)
    else:
        elements = inner
    raw, places = _raw(field.datatype, elements)
    per_row = field.per_row
    return [
        StoredColumn(
            field.name,
            str(field.datatype),
            field.shape,
            raw[places[start * per_row] : places[end * per_row]],
            marks[start:end].tobytes() if marks[start:end].any() else None,
        )
        for start, end in pairwise(starts)
    ]


def _elements(field: LaidField, data: bytes, count: int, marks: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Raw elements as a flat array, null where marked."""
    if field.datatype is Datatype.BYTES:
        texts = _texts(data, count)
        return pa.array(texts, pa.string(), mask=marks) if marks is not None else pa.array(texts, pa.string())
    values = np.frombuffer(data, dtype=NUMPY_NAMES[field.datatype])
    # from_pandas would turn NaN into null; here NaN is a value.
    return pa.array(values, _ARROW_TYPES[field.datatype], mask=marks, from_pandas=False)


def _texts(data: bytes, count: int) -> list[str]:
    texts, at = [], 0
    for _ in range(count):
        (length,) = _LENGTH.unpack_from(data, at)
        texts.append(data[at + 4 : at + 4 + length].decode())
        at += 4 + length
    return texts


def _drop_null_rows(values: pa.Array, marks: npt.NDArray[np.bool_], per_row: int) -> pa.Array:
    """Parquet keeps nothing under a null, so a null row has no elements."""
    return values.filter(pa.array(np.repeat(~marks, per_row))) if marks.any() else values


def _with_null_rows(elements: pa.Array, marks: npt.NDArray[np.uint8], per_row: int) -> pa.Array:
    """Put a null element back for each element of a null row."""
    kept = np.repeat(marks == 0, per_row)
    places = np.cumsum(kept) - 1
    return elements.take(pa.array(np.where(kept, places, 0), mask=~kept))


def _offsets(lengths: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))


def _lengths(lists: pa.ListArray) -> list[int]:
    return [length or 0 for length in lists.value_lengths().to_pylist()]


def _raw(datatype: Datatype, elements: pa.Array) -> tuple[bytes, Sequence[int]]:
    """The raw V2 layout of elements, zero or empty for nulls, and where each begins, with the end after the last."""
    if datatype is Datatype.BYTES:
        parts = [
            _LENGTH.pack(len(item)) + item for item in (text.encode() if text else b"" for text in elements.to_pylist())
        ]
        return b"".join(parts), [0, *accumulate(map(len, parts))]
    size = ITEM_BYTES[datatype]
    places = range(0, size * len(elements) + 1, size)
    if datatype is Datatype.BOOL:
        return bytes(value is True for value in elements.to_pylist()), places
    # The buffer and not to_numpy, which makes floats of whole numbers that hold nulls.
    buffer = elements.buffers()[1]
    if buffer is None:
        return b"", places
    values = np.frombuffer(buffer, dtype=NUMPY_NAMES[datatype])[elements.offset : elements.offset + len(elements)]
    if elements.null_count:
        values = values.copy()
        values[elements.is_null().to_numpy(zero_copy_only=False)] = 0
    return values.tobytes(), places
