"""What a model gives back becomes the columns of the contract, or a clear statement of what is wrong with it.

Names, number of rows, shape and datatype must be the contract's; a value may change its type only where nothing is lost, and
keeps what the output promises (`promises`).
"""

from __future__ import annotations

import math
import struct
import sys
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from muster_host.fields import FLOATS, INTEGER_RANGES, NUMPY_NAMES, STRUCT_CODES, Field, text_bytes
from muster_host.promises import OutputBroken, keep_array, keep_values

#: Data and nulls of one output.
Column = Tuple[bytes, Optional[bytes]]
#: (what the model gave back, number of rows) -> the columns of the contract's outputs
Reader = Callable[[Any, int], List[Column]]


def reader_of(fields: Sequence[Field]) -> Reader:
    """The reader for a contract's outputs."""
    names = [field.name for field in fields]

    def read(result: Any, rows: int) -> list[Column]:
        return [_column(field, value, rows) for field, value in zip(fields, _by_name(result, names))]

    return read


def join(columns: Sequence[Column], rows: Sequence[int]) -> Column:
    """Columns of one output, one after another."""
    data = b"".join([part for part, _ in columns])
    if not any(nulls for _, nulls in columns):
        return data, None
    return data, b"".join([nulls or bytes(count) for (_, nulls), count in zip(columns, rows)])


def _by_name(result: Any, names: list[str]) -> list[Any]:
    """The values of each output, in the contract's order."""
    found = _names_of(result)
    if found is None:
        if len(names) == 1:
            return [result]
        raise OutputBroken(
            "the model gave back one %s; its contract has %d outputs, so a dict with the names %s is expected"
            % (type(result).__name__, len(names), ", ".join(names))
        )
    if sorted(found) != sorted(names):
        raise OutputBroken(
            "the model gave back outputs named %s; its contract names %s"
            % (", ".join(sorted(found)) or "nothing", ", ".join(names))
        )
    return [result[name] for name in names]


def _names_of(result: Any) -> list[str] | None:
    """Names of what was given back; None when it is one array or list."""
    if isinstance(result, dict):
        return [str(name) for name in result]
    for attribute in ("column_names", "columns"):  # Arrow; pandas and polars
        names = getattr(result, attribute, None)
        if names is not None and not callable(names):
            return [str(name) for name in names]
    return None


def _column(field: Field, value: Any, rows: int) -> Column:
    numpy = sys.modules.get("numpy")  # a model that gives back arrays has imported it
    if numpy is not None:
        if type(value) is not numpy.ndarray and not isinstance(value, (list, tuple)):
            value = _array_or_list(numpy, value)
        if isinstance(value, numpy.ndarray):
            _check_shape(field, value.shape, rows)
            if value.dtype.str != NUMPY_NAMES.get(field.datatype) and value.dtype.kind in "biuf":
                value = _cast(numpy, field, value)
            if value.dtype.kind in "biuf":
                if field.is_float or field.has_limits:
                    value, nulls = keep_array(numpy, field, value)
                    return value.tobytes(), nulls
                return value.tobytes(), None
            value = value.tolist()
    return _column_of_values(field, _listed(field, value), rows)


def _array_or_list(numpy: Any, value: Any) -> Any:
    """An array of numbers where the values are that and none is missing, otherwise a list."""
    package = type(value).__module__.partition(".")[0]
    if package == "pandas":
        if hasattr(value, "columns") or isinstance(value.dtype, numpy.dtype):
            return value.to_numpy()
        return value.tolist()
    if package in ("polars", "pyarrow"):
        return value.to_list() if package == "polars" else value.to_pylist()
    if package == "torch":
        value = value.detach().cpu()
    if hasattr(value, "toarray"):  # scipy's sparse matrices
        value = value.toarray()
    if isinstance(value, numpy.ma.MaskedArray) and numpy.ma.is_masked(value):
        return value.tolist()  # None where it is masked
    if hasattr(value, "__array__"):
        return numpy.asarray(value)
    return value


def _check_shape(field: Field, shape: tuple[int, ...], rows: int) -> None:
    wanted = (rows, *field.shape)
    if shape == wanted or (not field.shape and shape == (rows, 1)):
        return
    if not shape:
        raise OutputBroken("output %r is one single value, not one value per row" % field.name)
    if shape[0] != rows:
        raise OutputBroken("output %r has %d rows; %d rows went in" % (field.name, shape[0], rows))
    raise OutputBroken(
        "output %r has the shape %s for %d rows; its contract says %s" % (field.name, list(shape), rows, list(wanted))
    )


def _cast(numpy: Any, field: Field, array: Any) -> Any:
    """An array of numbers in the contract's datatype, if that loses nothing."""
    have = array.dtype.kind
    if field.datatype == "BYTES" or (have == "b") != (field.datatype == "BOOL"):
        raise OutputBroken("output %r is %s; its contract says %s" % (field.name, array.dtype, field.datatype))
    wanted = numpy.dtype(NUMPY_NAMES[field.datatype])
    with numpy.errstate(all="ignore"):
        cast = array.astype(wanted)
        if have == "f" and wanted.kind == "f":
            kept = (cast.astype(array.dtype) == array) | numpy.isnan(array)
        elif have == "f":
            low, high = INTEGER_RANGES[field.datatype]
            kept = (array == numpy.trunc(array)) & (array >= float(low)) & (array < float(high + 1))
        elif wanted.kind == "f":
            kept = _is_exact_float(numpy, array, wanted)
        else:
            low, high = INTEGER_RANGES[field.datatype]
            least, most = numpy.iinfo(array.dtype).min, numpy.iinfo(array.dtype).max
            kept = (array >= max(low, least)) & (array <= min(high, most))
    if not kept.all():
        place = numpy.argwhere(~kept)[0]
        raise OutputBroken(
            "output %r is %r in row %d, which %s cannot hold exactly"
            % (field.name, array[tuple(place)].item(), place[0], field.datatype)
        )
    return cast


def _is_exact_float(numpy: Any, array: Any, wanted: Any) -> Any:
    """Which whole numbers a float type holds exactly; comparing after a cast cannot tell, for that rounds both sides."""
    bound = 2 ** (numpy.finfo(wanted).nmant + 1)
    kept = (array <= min(bound, numpy.iinfo(array.dtype).max)) & (array >= max(-bound, numpy.iinfo(array.dtype).min))
    for place in numpy.argwhere(~kept):
        at = tuple(place)
        cast = float(wanted.type(array[at]))
        kept[at] = math.isfinite(cast) and int(cast) == int(array[at])
    return kept


def _listed(field: Field, value: Any) -> list[Any]:
    """One value per row."""
    if isinstance(value, (list, tuple)):
        return list(value)
    if hasattr(value, "tolist"):  # array.array, and whatever behaves like an array
        listed = value.tolist()
        if isinstance(listed, list):
            return listed
    if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__iter__"):
        raise OutputBroken("output %r is one %s, not one value per row" % (field.name, type(value).__name__))
    return list(value)


def _column_of_values(field: Field, values: list[Any], rows: int) -> Column:
    if len(values) != rows:
        raise OutputBroken("output %r has %d rows; %d rows went in" % (field.name, len(values), rows))
    flat: list[Any] = []
    nulls = bytearray(rows)
    for row, value in enumerate(values):
        if _is_missing(field, value):
            if not field.nullable:
                raise OutputBroken("output %r is null in row %d and is not nullable" % (field.name, row))
            nulls[row] = 1
            flat += [_EMPTY[field.datatype]] * field.elements
        elif field.shape:
            _flatten(field, value, field.shape, row, flat)
        else:
            flat.append(_element(field, _unwrapped(value), row))
    if field.is_float or field.has_limits:
        keep_values(field, flat, nulls)
    marks = bytes(nulls) if any(nulls) else None
    if not field.item_bytes:
        return text_bytes(flat), marks
    return struct.pack("<%d%s" % (len(flat), STRUCT_CODES[field.datatype]), *flat), marks


#: What stands in the place of a null.
_EMPTY: Dict[str, Any] = dict(dict.fromkeys(STRUCT_CODES, 0), BYTES="")


def _is_missing(field: Field, value: Any) -> bool:
    """None and pandas' NA; in text also NaN, the older way of pandas to say so."""
    if value is None or type(value).__name__ == "NAType":
        return True
    return field.datatype == "BYTES" and isinstance(value, float) and math.isnan(value)


def _unwrapped(value: Any) -> Any:
    """The scalar in an array of one, or the value itself."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)) and len(value) == 1:
        return _unwrapped(value[0])
    return value


def _flatten(field: Field, value: Any, shape: tuple[int, ...], row: int, flat: list[Any]) -> None:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if not shape:
        flat.append(_element(field, value, row))
        return
    if not isinstance(value, (list, tuple)) or len(value) != shape[0]:
        have = len(value) if isinstance(value, (list, tuple)) else type(value).__name__
        raise OutputBroken(
            "output %r has %s in row %d where its contract says the shape %s"
            % (field.name, have, row, list(field.shape))
        )
    for item in value:
        _flatten(field, item, shape[1:], row, flat)


def _element(field: Field, value: Any, row: int) -> Any:
    """One value, as `struct` or UTF-8 takes it."""
    datatype = field.datatype
    if datatype == "BYTES":
        if isinstance(value, bytes):
            value = _decoded(field, value, row)
        if isinstance(value, str):
            return value
    elif datatype == "BOOL":
        if isinstance(value, bool):
            return value
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if datatype in FLOATS:
            return _float(field, value, row)
        low, high = INTEGER_RANGES[datatype]
        if math.isfinite(value) and value == int(value) and low <= int(value) <= high:
            return int(value)
        raise _inexact(field, value, row)
    raise OutputBroken(
        "output %r is of type %s in row %d; its contract says %s" % (field.name, type(value).__name__, row, datatype)
    )


def _decoded(field: Field, value: bytes, row: int) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise OutputBroken("output %r has bytes in row %d that are not UTF-8" % (field.name, row)) from None


def _float(field: Field, value: float, row: int) -> float:
    code = "<" + STRUCT_CODES[field.datatype]
    try:
        as_float = float(value)
        (kept,) = struct.unpack(code, struct.pack(code, as_float))
    except OverflowError:
        raise _inexact(field, value, row) from None
    if kept == value or (math.isnan(as_float) and math.isnan(kept)):
        return as_float
    raise _inexact(field, value, row)


def _inexact(field: Field, value: float, row: int) -> OutputBroken:
    return OutputBroken(
        "output %r is %r in row %d, which %s cannot hold exactly" % (field.name, value, row, field.datatype)
    )
