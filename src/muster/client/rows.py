"""Tables of the lab as rows of the records form: one dict per row, with values that JSON holds exactly.

    missing (pandas NaN, NaT, NA; polars and Arrow null; None)    → null
    NaN and ±Infinity (outside pandas, where NaN means missing)   → "NaN", "Infinity", "-Infinity"
    whole numbers beyond ±2^53                                    → decimal text
    moments and days                                              → ISO 8601 text

The libraries are never imported here: whoever holds a table of one has imported it.
"""

import datetime as dt
import decimal
import math
from collections.abc import Iterable, Mapping
from typing import Any

from muster.client.errors import RowsNotUnderstood

Row = dict[str, Any]
_EXACT = 2**53


def rows_of(table: Any) -> list[Row]:
    """The rows of a table.

    Args:
        table: a pandas or polars DataFrame, an Arrow table or record batch, one dict per row, or a dict of columns.

    Raises:
        RowsNotUnderstood: it is none of these, or holds a value that cannot be sent.
    """
    match _library(table), type(table).__name__:
        case "pandas", "DataFrame":
            return _of_columns(_pandas_columns(table), nan_is_missing=True)
        case "polars", "LazyFrame":
            return rows_of(table.collect())
        case ("polars", "DataFrame"):
            return _of_columns(table.to_dict(as_series=False))
        case "pyarrow", "Table" | "RecordBatch":
            return _of_columns(table.to_pydict())
    if isinstance(table, Mapping):
        return _of_columns({str(name): _as_list(name, values) for name, values in table.items()})
    if isinstance(table, Iterable) and not isinstance(table, str | bytes):
        return [_of_dict(row, position) for position, row in enumerate(table)]
    raise RowsNotUnderstood(f"a {type(table).__name__} is not a table of rows")


def _library(table: Any) -> str:
    return type(table).__module__.partition(".")[0]


def _pandas_columns(frame: Any) -> dict[str, list[Any]]:
    if not frame.columns.is_unique:
        raise RowsNotUnderstood("two columns of the DataFrame have the same name")
    missing = frame.isna()
    columns: dict[str, list[Any]] = {}
    for name in frame.columns:
        pairs = zip(frame[name].tolist(), missing[name].tolist(), strict=True)
        columns[str(name)] = [None if is_missing is True else value for value, is_missing in pairs]
    return columns


def _as_list(name: Any, values: Any) -> list[Any]:
    if hasattr(values, "tolist"):
        values = values.tolist()
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise RowsNotUnderstood(f"column {name!r} is a {type(values).__name__}, not a list of values", column=str(name))
    return list(values)


def _of_columns(columns: Mapping[str, list[Any]], *, nan_is_missing: bool = False) -> list[Row]:
    if len({len(values) for values in columns.values()}) > 1:
        raise RowsNotUnderstood(
            "the columns differ in length", lengths={name: len(values) for name, values in columns.items()}
        )
    names = list(columns)
    sendable = [
        [
            _sendable(value, name, position, nan_is_missing=nan_is_missing)
            for position, value in enumerate(columns[name])
        ]
        for name in names
    ]
    return [dict(zip(names, row, strict=True)) for row in zip(*sendable, strict=True)]


def _of_dict(row: Any, position: int) -> Row:
    if not isinstance(row, Mapping):
        raise RowsNotUnderstood(f"row {position} is a {type(row).__name__}, not a dict", row=position)
    return {str(name): _sendable(value, str(name), position) for name, value in row.items()}


def _sendable(value: Any, name: str, position: int, *, nan_is_missing: bool = False) -> Any:
    """The value as JSON holds it without loss."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value) if -_EXACT <= value <= _EXACT else str(int(value))
    if isinstance(value, float):
        return _sendable_float(float(value), nan_is_missing=nan_is_missing)
    if isinstance(value, list | tuple):  # a tensor: within one, NaN is a number that is none, never a missing row
        return [_sendable(item, name, position) for item in value]
    return _foreign(value, name, position, nan_is_missing=nan_is_missing)


def _sendable_float(value: float, *, nan_is_missing: bool) -> float | str | None:
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return None if nan_is_missing else "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _foreign(value: Any, name: str, position: int, *, nan_is_missing: bool) -> Any:
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise RowsNotUnderstood(f"row {position}, {name!r}: the bytes are no UTF-8 text", row=position) from error
    if hasattr(value, "tolist"):  # NumPy's scalars and arrays
        plain = value.tolist()
        if type(plain) is not type(value):
            return _sendable(plain, name, position, nan_is_missing=nan_is_missing)
    if hasattr(value, "to_list"):  # a polars Series within a column of lists
        return _sendable(value.to_list(), name, position)
    if type(value).__name__ == "NAType":
        return None
    raise RowsNotUnderstood(
        f"row {position}, {name!r}: a {type(value).__name__} cannot be sent", row=position, column=name
    )
