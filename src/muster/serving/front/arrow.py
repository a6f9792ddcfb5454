"""Rows as an Arrow IPC stream: columns become columns, without a detour through values wherever the types agree.

A column of another type is taken if every value comes through unchanged: a wider whole number that fits, a float that is whole, a
double that FP32 holds, a dictionary of texts. Everything is checked before it is believed, and nothing may grow on the way:
compressed batches are refused (a `Content-Encoding` is bounded), and texts are counted before a dictionary is spread out.
"""

import struct
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from muster.packaging.columns import Column, Table, array_of, joined, nan_as_null, nulls_of
from muster.packaging.errors import SampleUnusable
from muster.packaging.field_checks import EXACT_INTEGER, FieldBroken, FieldCheck, InWords, changed_as_floats
from muster.packaging.golden import arrow_of
from muster.packaging.samples import column_of_arrow
from muster.serving.errors import RequestMalformed
from muster.serving.plan import Plan
from muster.vocabulary.tensors import FLOATS, INTEGER_RANGES, NUMPY_NAMES

_NUMBERS = FLOATS | INTEGER_RANGES.keys()


def read_arrow(plan: Plan, body: bytes) -> Table:
    """The checked rows of an Arrow IPC stream.

    Raises:
        RequestMalformed: it is no such stream, or holds what a contract cannot express.
        ContractBroken: its columns do not keep the contract.
    """
    try:
        _refuse_compressed(body)
        with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
            names = reader.schema.names
            batches = []
            for batch in reader:
                batch.validate(full=True)
                batches.append(batch)
    except (pa.ArrowException, OSError, ValueError, KeyError, struct.error) as error:
        raise RequestMalformed(f"the body is not an Arrow IPC stream: {error}") from error
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise RequestMalformed(f"the Arrow stream has the column {twice[:80]!r} twice")
    rows = sum(batch.num_rows for batch in batches)
    most_bytes = plan.document.limits.body_bytes
    given = {name: partial(_column_of, place, batches, most_bytes) for place, name in enumerate(names)}
    try:
        return plan.checker.check_columns(rows, given)
    except (pa.ArrowException, KeyError) as error:  # a type that pyarrow cannot turn, or does not know
        raise RequestMalformed(f"a column of the Arrow stream cannot be read: {error}") from error


def write_arrow(outputs: Table, texts: dict[str, list[str]], facts: dict[str, str]) -> bytes:
    """Outputs as an Arrow IPC stream.

    Args:
        outputs: the columns.
        texts: further columns, of text.
        facts: what goes into the schema's metadata.
    """
    arrays = [arrow_of(column) for column in outputs.columns.values()] + [
        pa.array(text, pa.string()) for text in texts.values()
    ]
    fields = [pa.field(name, array.type) for name, array in zip([*outputs.columns, *texts], arrays, strict=True)]
    schema = pa.schema(fields, metadata=facts)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    written: bytes = sink.getvalue().to_pybytes()
    return written


def _column_of(place: int, batches: list[Any], most_bytes: int, check: FieldCheck, rows: int) -> Column:
    """The column of one field, from its arrays in all batches."""
    parts: list[Table] = []
    before = 0
    for batch in batches:
        if batch.num_rows:
            try:
                column = _column(check, batch.column(place), most_bytes)
            except FieldBroken as broken:
                if broken.row is not None:
                    broken.row += before
                raise
            parts.append(Table(batch.num_rows, {check.name: column}))
            before += batch.num_rows
    table = parts[0] if len(parts) == 1 else joined(parts)
    assert before == rows
    return table.columns[check.name]


def _column(check: FieldCheck, array: Any, most_bytes: int) -> Column:
    kind = array.type
    if pa.types.is_decimal(kind):
        return check.many([_of_decimal(value, check) for value in array.to_pylist()])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _of_lists(check, array, most_bytes)
    shape = None
    if isinstance(kind, pa.FixedShapeTensorType):
        if list(kind.permutation or range(len(kind.shape))) != list(range(len(kind.shape))):
            raise FieldBroken(None, InWords(str(kind)), f"{check.expected()}, not permuted")
        shape, array = tuple(kind.shape), array.storage
    elif pa.types.is_dictionary(kind):
        array = _spread(array, most_bytes)
    if (shape or _fixed_shape(array.type)) != check.shape:
        raise FieldBroken(None, InWords(str(kind)), check.expected())
    _bound(_views_bytes(array), most_bytes)
    try:
        column = column_of_arrow(check.name, array)
    except SampleUnusable as error:
        raise FieldBroken(None, InWords(str(kind)), check.expected()) from error
    if shape is not None:
        column = Column(column.datatype, shape, column.data, column.nulls)
    return _checked(check, column, len(array))


def _fixed_shape(kind: Any) -> tuple[int, ...]:
    shape: tuple[int, ...] = ()
    while pa.types.is_fixed_size_list(kind):
        shape += (kind.list_size,)
        kind = kind.value_type
    return shape


def _of_lists(check: FieldCheck, array: Any, most_bytes: int) -> Column:
    """A column of lists whose lengths Arrow leaves open; each has to be of the field's shape."""
    if not pa.types.is_floating(array.type.value_type) or array.null_count or len(check.shape) != 1:
        _bound(_views_bytes(array), most_bytes)
        return check.many(array.to_pylist())
    wrong = pc.not_equal(array.value_lengths(), check.shape[0]).to_numpy(zero_copy_only=False)
    if wrong.any():
        row = int(wrong.argmax())
        raise FieldBroken(row, array[row].as_py(), check.expected())
    fixed = pa.FixedSizeListArray.from_arrays(array.flatten(), check.shape[0])
    return _checked(check, column_of_arrow(check.name, fixed), len(array))


def _checked(check: FieldCheck, column: Column, rows: int) -> Column:
    nulls = nulls_of(column)
    if nulls is not None and not check.nullable:
        raise FieldBroken(int(nulls.argmax()), None, f"{check.expected()}, never null")
    if column.datatype is not check.datatype:
        column = Column(check.datatype, check.shape, _converted(check, column), column.nulls)
    if nulls is None:
        return check.raw(column.data, check.datatype, rows)
    if check.datatype in FLOATS:
        column = nan_as_null(column)
    check.check_column(column)
    return column


def _converted(check: FieldCheck, column: Column) -> bytes:
    """The column's data in the field's own datatype, if every value comes through unchanged."""
    given, wanted = column.datatype, check.datatype
    if not {given, wanted} <= _NUMBERS:
        raise FieldBroken(None, InWords(f"a column of {given}"), check.expected())
    values = array_of(column).reshape(-1)
    with np.errstate(all="ignore"):  # what does not fit is found below
        wide = values.astype(NUMPY_NAMES[wanted])
        if given in FLOATS and wanted in FLOATS:
            changed = (wide.astype(values.dtype) != values) & ~np.isnan(values)
        elif given in FLOATS:
            least, most = INTEGER_RANGES[wanted]
            changed = ~(
                (values >= max(least, -EXACT_INTEGER))
                & (values <= min(most, EXACT_INTEGER))
                & (np.rint(values) == values)
            )
        elif wanted in FLOATS:
            changed = changed_as_floats(values, wide)
        else:
            changed = (wide.astype(values.dtype) != values) | ((wide < 0) != (values < 0))
    if changed.any():
        at = int(changed.argmax())
        raise FieldBroken(at // check.size, values[at].item(), f"{wanted} without loss")
    return wide.tobytes()


def _of_decimal(value: Decimal | None, check: FieldCheck) -> Any:
    """A decimal as a number that the check judges; as text, which it refuses, where no float says the same."""
    if value is None:
        return None
    if value == value.to_integral_value():
        return int(value)
    as_float = float(value)
    return as_float if check.datatype in FLOATS and Decimal(repr(as_float)) == value else InWords(str(value))


def _bound(size: int, most: int) -> None:
    if size > most:
        raise FieldBroken(None, InWords(f"{size} bytes of text"), f"at most {most} bytes when it is spread out")


def _spread(array: Any, most_bytes: int) -> Any:
    """The values that a dictionary's indices stand for, counted before they are made."""
    dictionary, indices = array.dictionary, array.indices
    if pa.types.is_string_view(dictionary.type):
        _bound(_views_bytes(dictionary), most_bytes)
        dictionary = dictionary.cast(pa.large_string())
    if pa.types.is_string(dictionary.type) or pa.types.is_large_string(dictionary.type):
        lengths = pc.cast(pc.binary_length(dictionary), pa.int64())
        _bound(pc.sum(lengths.take(indices)).as_py() or 0, most_bytes)
    elif not pa.types.is_primitive(dictionary.type):
        raise FieldBroken(None, InWords(str(array.type)), "a dictionary of texts, numbers or booleans")
    return dictionary.take(indices)


def _views_bytes(array: Any) -> int:
    """Bytes of the texts of an array of views, each of which may show the same bytes again."""
    while isinstance(array, pa.ListArray | pa.LargeListArray | pa.FixedSizeListArray):
        array = array.values
    if pa.types.is_dictionary(array.type):
        raise FieldBroken(None, InWords("lists of a dictionary's values"), "lists of the values themselves")
    if not pa.types.is_string_view(array.type):
        return 0
    views = array.buffers()[1]
    if views is None:
        return 0
    lengths = np.frombuffer(views, dtype="<i4", count=4 * (array.offset + len(array)))[::4]
    return int(lengths[array.offset :].astype(np.int64).sum())


# The metadata of a message is a flatbuffer; of it only two tables are looked at, to see whether a batch is compressed.
# Source: Apache Arrow, format/Message.fbs.


def _refuse_compressed(body: bytes) -> None:
    for message in pa.ipc.MessageReader.open_stream(pa.py_buffer(body)):
        metadata = memoryview(message.metadata)
        if message.type == "record batch":
            batch = _member(metadata, _root(metadata), 2)
        elif message.type == "dictionary":
            dictionary = _member(metadata, _root(metadata), 2)
            batch = None if dictionary is None else _member(metadata, dictionary, 1)
        else:
            continue
        if batch is not None and _member(metadata, batch, 3) is not None:
            raise ValueError(
                "its batches are compressed; send them plain, and compress the body with Content-Encoding: gzip"
            )


def _root(metadata: memoryview) -> int:
    return int(struct.unpack_from("<I", metadata, 0)[0])


def _member(metadata: memoryview, table: int, field: int) -> int | None:
    """Where a table's member of type table is; None where it has none."""
    vtable = table - struct.unpack_from("<i", metadata, table)[0]
    if 4 + 2 * field >= struct.unpack_from("<H", metadata, vtable)[0]:
        return None
    offset = struct.unpack_from("<H", metadata, vtable + 4 + 2 * field)[0]
    if not offset:
        return None
    place = table + offset
    return int(place + struct.unpack_from("<I", metadata, place)[0])
