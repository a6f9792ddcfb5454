"""Columns become what the model saw in the lab: a DataFrame, an Arrow table, an array, a dict of arrays or of lists.

Whatever the model gets is its own fresh memory: it may change it in place, and the frame stays as it came, so that
a request can be computed again alone.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, Sequence

from muster_host.fields import FLOATS, NUMPY_NAMES, Field, TableBroken, nested
from muster_host.frames import Views

#: (rows, columns of the frame) -> what the model is handed
Builder = Callable[[int, Sequence[Views]], Any]


def builder_of(fields: Sequence[Field], runtime: Mapping[str, Any]) -> Builder:
    """The builder for a bundle's `[runtime]`; imports what the model wants to be handed.

    Raises:
        ValueError: `input` or a dtype is not known.
    """
    kind = runtime.get("input")
    makers = {
        "pandas": pandas_builder,
        "polars": _polars_builder,
        "arrow": _arrow_builder,
        "numpy": _numpy_builder,
        "columns": _columns_builder,
        "lists": _lists_builder,
    }
    if kind not in makers:
        raise ValueError("runtime.input is %r; host protocol 1 knows %s" % (kind, ", ".join(sorted(makers))))
    build = makers[kind](fields, runtime)

    def checked(rows: int, columns: Sequence[Views]) -> Any:
        if len(columns) != len(fields):
            raise TableBroken("the model takes %d columns, the table has %d" % (len(fields), len(columns)))
        for field, (data, nulls) in zip(fields, columns):
            field.check(rows, data, nulls)
        return build(rows, columns)

    return checked


def _with_nones(values: list[Any], nulls: memoryview | None, none: Any = None) -> list[Any]:
    """The values, with `none` where a row is null."""
    if nulls is None:
        return values
    return [none if null else value for value, null in zip(values, nulls)]


def _rows_of(field: Field, rows: int, data: memoryview, nulls: memoryview | None, none: Any = None) -> list[Any]:
    """One Python value per row, tensors as nested lists."""
    return _with_nones(nested(field.values(rows, data), field.shape), nulls, none)


def _lists_builder(fields: Sequence[Field], runtime: Mapping[str, Any]) -> Builder:  # noqa: ARG001 - one signature for all
    def build(rows: int, columns: Sequence[Views]) -> dict[str, list[Any]]:
        return {field.name: _rows_of(field, rows, data, nulls) for field, (data, nulls) in zip(fields, columns)}

    return build


def array_maker(field: Field, dtype: Any) -> Callable[[int, memoryview, memoryview | None], Any]:
    """Makes an array `(rows, *shape)` of a numeric column; null becomes NaN, which only floats can hold."""
    import numpy as np  # noqa: PLC0415 - only where the model wants arrays

    wire = np.dtype(NUMPY_NAMES[field.datatype])
    wanted = np.dtype(dtype)
    shape = field.shape

    def make(rows: int, data: memoryview, nulls: memoryview | None) -> Any:
        array = np.frombuffer(data, wire).astype(wanted)  # always a copy
        if shape:
            array = array.reshape((rows, *shape))
        if nulls is not None:
            mask = np.frombuffer(nulls, np.bool_)
            if mask.any():
                if wanted.kind != "f":
                    raise TableBroken("field %r is null, and the model takes it as %s" % (field.name, wanted))
                array[mask] = np.nan
        return array

    return make


def object_maker(field: Field, none: Any = None) -> Callable[[int, memoryview, memoryview | None], Any]:
    """Makes an object array of Python values; in a tensor field each is an array of its own."""
    import numpy as np  # noqa: PLC0415 - only where the model wants arrays

    wire = np.dtype(NUMPY_NAMES[field.datatype]) if field.item_bytes else None

    def make(rows: int, data: memoryview, nulls: memoryview | None) -> Any:
        array = np.empty(rows, dtype=object)
        values: Any
        if not field.shape:
            values = field.values(rows, data)
        elif wire is None:
            values = [
                np.array(texts, dtype=object).reshape(field.shape)
                for texts in nested(field.values(rows, data), (field.elements,))
            ]
        else:
            values = np.frombuffer(data, wire).reshape((rows, *field.shape)).copy()
        for row, value in enumerate(_with_nones(values, nulls, none)):
            array[row] = value
        return array

    return make


def _numpy_builder(fields: Sequence[Field], runtime: Mapping[str, Any]) -> Builder:
    if len(fields) != 1:
        raise ValueError('runtime.input = "numpy" takes a contract with one input, and this one has %d' % len(fields))
    field = fields[0]
    dtype = _dtypes(runtime).get(field.name, NUMPY_NAMES.get(field.datatype, "object"))
    make = _column_maker(field, dtype)

    def build(rows: int, columns: Sequence[Views]) -> Any:
        return make(rows, *columns[0])

    return build


def _columns_builder(fields: Sequence[Field], runtime: Mapping[str, Any]) -> Builder:
    dtypes = _dtypes(runtime)
    makers = [_column_maker(field, dtypes.get(field.name, _plain_dtype(field))) for field in fields]
    names = [field.name for field in fields]

    def build(rows: int, columns: Sequence[Views]) -> dict[str, Any]:
        return {name: make(rows, data, nulls) for name, make, (data, nulls) in zip(names, makers, columns)}

    return build


def _plain_dtype(field: Field) -> str:
    """The dtype of a column for which nothing was recorded."""
    if not field.item_bytes or (field.nullable and field.datatype not in FLOATS):
        return "object"
    return NUMPY_NAMES[field.datatype]


def _column_maker(field: Field, dtype: str) -> Callable[[int, memoryview, memoryview | None], Any]:
    import numpy as np  # noqa: PLC0415 - only where the model wants arrays

    if dtype == "object" or not field.item_bytes:
        if field.shape and not field.nullable:
            return _object_tensor_maker(field, dtype)
        make = object_maker(field)
        if dtype == "object":
            return make
        return lambda rows, data, nulls: make(rows, data, nulls).astype(np.dtype(dtype))
    return array_maker(field, dtype)


def _object_tensor_maker(field: Field, dtype: str) -> Callable[[int, memoryview, memoryview | None], Any]:
    """Makes an array `(rows, *shape)` of text or of Python values."""
    import numpy as np  # noqa: PLC0415 - only where the model wants arrays

    def make(rows: int, data: memoryview, nulls: memoryview | None) -> Any:  # noqa: ARG001 - one signature for all
        flat = np.empty(rows * field.elements, dtype=object)
        flat[:] = field.values(rows, data)
        return flat.reshape((rows, *field.shape)).astype(np.dtype(dtype))

    return make


def _dtypes(runtime: Mapping[str, Any]) -> Mapping[str, str]:
    return runtime.get("dtypes") or {}


def pandas_builder(fields: Sequence[Field], runtime: Mapping[str, Any]) -> Builder:
    """Builds a DataFrame with the dtypes that the lab's had."""
    from muster_host.pandas_inputs import builder_of as of_pandas  # noqa: PLC0415 - pandas may not be there

    return of_pandas(fields, runtime)


def _polars_builder(fields: Sequence[Field], runtime: Mapping[str, Any]) -> Builder:
    import polars as pl  # noqa: PLC0415 - only where the model wants it

    inner = {
        "BOOL": pl.Boolean, "UINT8": pl.UInt8, "UINT16": pl.UInt16, "UINT32": pl.UInt32, "UINT64": pl.UInt64,
        "INT8": pl.Int8, "INT16": pl.Int16, "INT32": pl.Int32, "INT64": pl.Int64, "FP16": pl.Float32,
        "FP32": pl.Float32, "FP64": pl.Float64, "BYTES": pl.String,
    }  # fmt: skip
    dtypes = _dtypes(runtime)
    categories = runtime.get("categories") or {}

    def dtype_of(field: Field) -> Any:
        if field.shape:
            return pl.Array(inner[field.datatype], field.shape)
        name = dtypes.get(field.name, "").partition("(")[0]
        if name == "Enum":
            return pl.Enum(list(categories[field.name]["values"]))
        if name and not isinstance(getattr(pl, name, None), type):
            raise ValueError(
                "field %r has the polars dtype %r, which polars %s lacks" % (field.name, name, pl.__version__)
            )
        return getattr(pl, name) if name else inner[field.datatype]

    wanted = [dtype_of(field) for field in fields]

    def build(rows: int, columns: Sequence[Views]) -> Any:
        return pl.DataFrame(
            [
                pl.Series(field.name, _rows_of(field, rows, data, nulls), dtype=dtype)
                for field, dtype, (data, nulls) in zip(fields, wanted, columns)
            ]
        )

    return build


def _arrow_builder(fields: Sequence[Field], runtime: Mapping[str, Any]) -> Builder:
    import pyarrow as pa  # noqa: PLC0415 - only where the model wants it

    names = {
        "BOOL": "bool", "FP16": "halffloat", "FP32": "float", "FP64": "double", "BYTES": "string",
    }  # fmt: skip
    dtypes = _dtypes(runtime)
    categories = runtime.get("categories") or {}

    def type_of(field: Field) -> Any:
        plain = names.get(field.datatype, field.datatype.lower())
        if field.shape:
            whole = pa.type_for_alias(plain)
            for extent in reversed(field.shape):
                whole = pa.list_(whole, extent)
            return whole
        name = dtypes.get(field.name, plain)
        if name.startswith("dictionary"):
            return pa.dictionary(
                pa.int32(), pa.type_for_alias(plain), bool(categories.get(field.name, {}).get("ordered"))
            )
        return pa.type_for_alias(name)

    wanted = [type_of(field) for field in fields]
    schema = pa.schema([pa.field(field.name, kind) for field, kind in zip(fields, wanted)])

    def build(rows: int, columns: Sequence[Views]) -> Any:
        arrays = [
            pa.array(_rows_of(field, rows, data, nulls), type=kind)
            for field, kind, (data, nulls) in zip(fields, wanted, columns)
        ]
        return pa.Table.from_arrays(arrays, schema=schema)

    return build
