"""The author's own table (pandas, polars, Arrow, NumPy, lists) as columns, and what it was, so hosts can make it again.

Heavy libraries are never imported here: a value of theirs can only come in when its library is already loaded.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from muster.packaging.columns import Column, Table, column_of, nan_as_null
from muster.packaging.errors import SampleUnusable
from muster.vocabulary.tensors import Datatype

Kind = Literal["pandas", "polars", "arrow", "numpy", "columns", "lists"]

#: The one input of a contract whose sample is a bare array.
ARRAY_INPUT = "input"

_NUMPY_DATATYPES = {
    "bool": Datatype.BOOL, "float16": Datatype.FP16, "float32": Datatype.FP32, "float64": Datatype.FP64,
    **{f"{sign}int{bits}": Datatype(f"{sign.upper()}INT{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)},
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Categories:
    """The values of a categorical column, in their order."""

    values: tuple[Any, ...]
    ordered: bool
    dtype: str
    """Dtype of the categories themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A table as columns, and what each column was in its own library."""

    kind: Kind
    table: Table
    dtypes: dict[str, str]
    categories: dict[str, Categories] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    """Fields of pandas dtype object whose nulls are NaN: `{"note": "nan"}`."""


def read_sample(table: Any) -> Sample:
    """The table as columns.

    Args:
        table: a pandas or polars DataFrame, an Arrow table, an array `(rows, …)`, or a dict from name to list or array.

    Raises:
        SampleUnusable: it is none of these, has no rows, or holds what a contract cannot express.
    """
    library = type(table).__module__.partition(".")[0]
    if isinstance(table, np.ndarray):
        sample = _of_numpy(table)
    elif library == "pandas" and hasattr(table, "columns"):
        sample = _of_pandas(table)
    elif library == "polars" and hasattr(table, "lazy"):
        sample = _of_polars(table.collect() if hasattr(table, "collect") else table)
    elif library == "pyarrow" and hasattr(table, "schema"):
        sample = _of_arrow(table)
    elif isinstance(table, Mapping):
        sample = _of_mapping(table)
    else:
        raise SampleUnusable(
            f"a {type(table).__module__}.{type(table).__name__} is no table; give a pandas or polars DataFrame, "
            "an Arrow table, a NumPy array with the rows first, or a dict from name to list"
        )
    if sample.table.rows == 0:
        raise SampleUnusable("the sample has no rows")
    if not sample.table.columns:
        raise SampleUnusable("the sample has no columns")
    return sample


def _of_numpy(array: npt.NDArray[Any]) -> Sample:
    if array.ndim < 2:
        raise SampleUnusable(
            f"an array of shape {array.shape} has no columns; give (rows, columns), for one column array.reshape(-1, 1)"
        )
    column = _of_array(ARRAY_INPUT, array)
    return Sample(kind="numpy", table=Table(len(array), {ARRAY_INPUT: column}), dtypes={ARRAY_INPUT: array.dtype.name})


def _of_array(name: str, array: npt.NDArray[Any], nulls: npt.NDArray[np.bool_] | None = None) -> Column:
    """The column of an array of numbers, booleans or Python objects; NaN in a scalar column of floats is null."""
    datatype = _NUMPY_DATATYPES.get(array.dtype.name)
    if datatype is None:
        if array.dtype.kind in {"O", "U"} and array.ndim == 1:
            return _of_objects(name, array.tolist())
        raise SampleUnusable(f"column {name!r} holds {array.dtype}, which a contract cannot express", field=name)
    if array.dtype.kind == "f" and array.ndim == 1:
        gone = np.isnan(array)
        nulls = gone if nulls is None else gone | nulls
    return column_of(datatype, array, nulls)


def _of_objects(name: str, values: Sequence[Any]) -> Column:
    """The column of Python values, all text, booleans, numbers or tensors of one shape; None and NaN are null."""
    nulls = np.fromiter((_is_null(value) for value in values), np.bool_, len(values))
    kept = [value for value, null in zip(values, nulls, strict=True) if not null]
    kinds = {_python_kind(value) for value in kept}
    if kinds == {"text"}:
        array = np.empty(len(values), dtype=object)
        array[:] = ["" if null else value for value, null in zip(values, nulls, strict=True)]
        return column_of(Datatype.BYTES, array, nulls)
    if kinds == {"flag"}:
        return column_of(
            Datatype.BOOL, np.array([bool(v) and not n for v, n in zip(values, nulls, strict=True)]), nulls
        )
    if kinds == {"integer"}:
        whole = [0 if null else int(value) for value, null in zip(values, nulls, strict=True)]
        if all(-(2**63) <= value < 2**63 for value in whole):
            return column_of(Datatype.INT64, np.array(whole, dtype=np.int64), nulls)
        raise SampleUnusable(f"column {name!r} holds whole numbers beyond 64 bits", field=name)
    if kinds and kinds <= {"integer", "float"}:
        floats = [0.0 if null else float(value) for value, null in zip(values, nulls, strict=True)]
        return column_of(Datatype.FP64, np.array(floats), nulls)
    if kinds == {"tensor"}:
        return _of_tensors(name, values, nulls)
    if not kinds:
        raise SampleUnusable(f"every value of column {name!r} is missing, so its type cannot be seen", field=name)
    odd = sorted({type(value).__name__ for value in kept})
    raise SampleUnusable(f"column {name!r} mixes or holds what a contract cannot express: {', '.join(odd)}", field=name)


def _of_tensors(name: str, values: Sequence[Any], nulls: npt.NDArray[np.bool_]) -> Column:
    arrays = [None if null else np.asarray(value) for value, null in zip(values, nulls, strict=True)]
    shapes = {array.shape for array in arrays if array is not None}
    dtypes = {array.dtype.name for array in arrays if array is not None}
    if len(shapes) != 1 or len(dtypes) != 1 or not dtypes <= _NUMPY_DATATYPES.keys():
        raise SampleUnusable(
            f"the tensors of column {name!r} have not one shape and type of number: {sorted(shapes)}, {sorted(dtypes)}",
            field=name,
        )
    (shape,), (dtype,) = shapes, dtypes
    blank = np.zeros(shape, dtype)
    stacked = np.stack([blank if array is None else array for array in arrays])
    return column_of(_NUMPY_DATATYPES[dtype], stacked, nulls)


def _is_null(value: Any) -> bool:
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return True
    return isinstance(value, float | np.floating) and math.isnan(value)


def _python_kind(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "flag"
    if isinstance(value, int | np.integer):
        return "integer"
    if isinstance(value, float | np.floating):
        return "float"
    if isinstance(value, str):
        return "text"
    if isinstance(value, np.ndarray | list | tuple):
        return "tensor"
    return "other"


def _of_pandas(frame: Any) -> Sample:
    names = list(frame.columns)
    odd = [name for name in names if not isinstance(name, str)]
    if odd:
        raise SampleUnusable(
            f"column names must be text, {odd[0]!r} is not; for example frame.columns = frame.columns.astype(str)"
        )
    _refuse_twice(names)
    columns, dtypes, categories, missing = {}, {}, {}, {}
    for name in names:
        series = frame[name]
        dtypes[name] = str(series.dtype)
        if dtypes[name] == "category":
            kinds = series.cat.categories
            categories[name] = Categories(
                values=tuple(kinds.tolist()), ordered=bool(series.cat.ordered), dtype=str(kinds.dtype)
            )
            columns[name] = _of_objects(name, [None if _is_null(v) else v for v in series.tolist()])
            continue
        columns[name] = _of_series(name, series)
        if dtypes[name] == "object" and columns[name].nulls is not None and None not in series.tolist():
            missing[name] = "nan"
    return Sample(
        kind="pandas", table=Table(len(frame), columns), dtypes=dtypes, categories=categories, missing=missing
    )


def _of_series(name: str, series: Any) -> Column:
    dtype = series.dtype
    if isinstance(dtype, np.dtype):
        if dtype.kind in "mM":
            raise SampleUnusable(
                f"column {name!r} holds {dtype}; contracts have no times: give text or a number "
                "(seconds, days) and convert it inside the model",
                field=name,
            )
        return _of_array(name, series.to_numpy())
    text = str(dtype)
    numeric = _NUMPY_DATATYPES.get("bool" if text == "boolean" else text.lower())
    if numeric is not None:
        nulls = series.isna().to_numpy(dtype=bool)
        plain = series.to_numpy(dtype="bool" if text == "boolean" else text.lower(), na_value=0)
        return column_of(numeric, plain, nulls)
    if text in {"str", "string"}:
        return _of_objects(name, series.tolist())
    raise SampleUnusable(
        f"column {name!r} has the pandas dtype {dtype}, which a contract cannot express; convert it with astype "
        "to a number, bool, str or category",
        field=name,
    )


def _of_polars(frame: Any) -> Sample:
    columns, dtypes, categories = {}, {}, {}
    for series in frame.get_columns():
        name, dtype = series.name, series.dtype
        kind = dtype.base_type().__name__
        dtypes[name] = kind
        numeric = _NUMPY_DATATYPES.get("bool" if kind == "Boolean" else kind.lower().replace("float", "float"))
        nulls = series.is_null().to_numpy()
        if numeric is not None:
            plain = series.fill_null(False if kind == "Boolean" else 0).to_numpy()
            columns[name] = _of_array(name, plain, nulls)
        elif kind in {"String", "Categorical", "Enum"}:
            if kind == "Enum":
                categories[name] = Categories(values=tuple(dtype.categories), ordered=True, dtype="String")
            columns[name] = _of_objects(name, series.to_list())
        elif kind == "Array":
            rows = [None if null else value.to_numpy() for value, null in zip(series, nulls, strict=True)]
            columns[name] = _of_objects(name, rows)
        else:
            raise SampleUnusable(f"column {name!r} holds {dtype}, which a contract cannot express", field=name)
    return Sample(kind="polars", table=Table(frame.height, columns), dtypes=dtypes, categories=categories)


def _of_arrow(table: Any) -> Sample:
    names = list(table.schema.names)
    _refuse_twice(names)
    columns, dtypes = {}, {}
    for name, kind in zip(names, table.schema.types, strict=True):
        column = table.column(name)
        chunk = column.combine_chunks() if hasattr(column, "combine_chunks") else column
        dtypes[name] = str(kind)
        columns[name] = nan_as_null(column_of_arrow(name, chunk))
    return Sample(kind="arrow", table=Table(table.num_rows, columns), dtypes=dtypes)


#: Arrow's names of what a contract can hold.
_ARROW_DATATYPES = {
    "bool": Datatype.BOOL, "halffloat": Datatype.FP16, "float": Datatype.FP32, "double": Datatype.FP64,
    "string": Datatype.BYTES, "large_string": Datatype.BYTES, "string_view": Datatype.BYTES,
    **{f"{sign}int{bits}": Datatype(f"{sign.upper()}INT{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)},
}  # fmt: skip


def column_of_arrow(name: str, chunk: Any) -> Column:
    """The column of an Arrow array (or chunked array) of numbers, booleans, text, or fixed-size lists of them.

    Raises:
        SampleUnusable: it is of another type.
    """
    if hasattr(chunk, "combine_chunks"):
        chunk = chunk.combine_chunks()
    nulls = chunk.is_null().to_numpy(zero_copy_only=False)
    shape: tuple[int, ...] = ()
    kind, values = chunk.type, chunk
    while hasattr(kind, "list_size"):
        shape += (kind.list_size,)
        # Not flatten(), which leaves out the places of null rows.
        values = values.values.slice(values.offset * kind.list_size, len(values) * kind.list_size)
        kind = kind.value_type
    datatype = _ARROW_DATATYPES.get(str(kind))
    if datatype is None:
        hint = "; decode it with dictionary_decode()" if str(kind).startswith("dictionary") else ""
        raise SampleUnusable(f"column {name!r} holds {chunk.type}, which a contract cannot express{hint}", field=name)
    if shape and (values.is_null().to_numpy(zero_copy_only=False) & ~np.repeat(nulls, math.prod(shape))).any():
        raise SampleUnusable(f"column {name!r} has nulls inside its tensors; use NaN", field=name)
    if datatype is Datatype.BYTES:
        flat = np.array(["" if text is None else text for text in values.to_pylist()], dtype=object)
    else:
        filled = values.fill_null(False if datatype is Datatype.BOOL else 0) if values.null_count else values
        flat = filled.to_numpy(zero_copy_only=False)
    return column_of(datatype, flat.reshape(-1, *shape), nulls)


def _of_mapping(columns: Mapping[Any, Any]) -> Sample:
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise SampleUnusable(f"the columns have different lengths: {lengths}")
    odd = [name for name in columns if not isinstance(name, str)]
    if odd:
        raise SampleUnusable(f"column names must be text, {odd[0]!r} is not")
    arrays = any(isinstance(values, np.ndarray) for values in columns.values())
    made = {
        name: _of_array(name, values) if isinstance(values, np.ndarray) else _of_objects(name, list(values))
        for name, values in columns.items()
    }
    sample = Sample(
        kind="columns" if arrays else "lists",
        table=Table(next(iter(lengths.values()), 0), made),
        dtypes={},
    )
    return as_kind(sample, sample.kind)


def as_kind(sample: Sample, kind: Kind) -> Sample:
    """The sample as a model that takes plain columns or lists is handed it, whatever library it came from."""
    name_of: dict[str, Callable[[Column], str]] = {"columns": _array_dtype, "lists": lambda _: "list"}
    if kind not in name_of:
        return sample
    dtypes = {name: name_of[kind](column) for name, column in sample.table.columns.items()}
    return Sample(kind=kind, table=sample.table, dtypes=dtypes)


def _array_dtype(column: Column) -> str:
    if column.datatype is Datatype.BYTES:
        return "object"
    name = next(name for name, datatype in _NUMPY_DATATYPES.items() if datatype is column.datatype)
    return "object" if column.nulls is not None and not name.startswith("float") else name


def dtype_when_nullable(kind: Kind, dtype: str) -> str:
    """The dtype that can hold a null as well, for a field that is declared nullable although the sample shows none."""
    if kind not in {"pandas", "columns"} or dtype not in _NUMPY_DATATYPES or dtype.startswith("float"):
        return dtype
    return "float64" if kind == "pandas" and dtype != "bool" else "object"


def _refuse_twice(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SampleUnusable(f"the column {twice[0]!r} is there {names.count(twice[0])} times", field=twice[0])
