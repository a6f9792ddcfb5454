"""The golden set: inputs with the answers the author validated, and how far an answer may lie from them.

golden.parquet has one column per input under its own name and one per output named `expected.<output>`.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from muster.packaging.columns import Column, Table, array_of, nulls_of, values_of
from muster.packaging.documents import EXPECTED_PREFIX, GOLDEN_NAME, Bundle, Tolerance
from muster.packaging.errors import GoldenUnusable, SampleUnusable
from muster.packaging.field_checks import FieldBroken, FieldCheck
from muster.packaging.ranking import order_of
from muster.packaging.samples import column_of_arrow
from muster.vocabulary.tensors import FLOATS, Datatype
from muster.wire.contracts import Field

#: What other processors and thread counts do to the last bits of linear algebra, with room to spare.
DEFAULT_TOLERANCES = {
    Datatype.FP64: Tolerance(abs=1e-12, rel=1e-9),
    Datatype.FP32: Tolerance(abs=1e-7, rel=1e-5),
    Datatype.FP16: Tolerance(abs=1e-4, rel=1e-2),
}
_EXACT = Tolerance()

ARROW_TYPES = {
    Datatype.BOOL: pa.bool_(), Datatype.BYTES: pa.string(),
    Datatype.UINT8: pa.uint8(), Datatype.UINT16: pa.uint16(), Datatype.UINT32: pa.uint32(), Datatype.UINT64: pa.uint64(),
    Datatype.INT8: pa.int8(), Datatype.INT16: pa.int16(), Datatype.INT32: pa.int32(), Datatype.INT64: pa.int64(),
    Datatype.FP16: pa.float16(), Datatype.FP32: pa.float32(), Datatype.FP64: pa.float64(),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """Inputs, expected outputs, and the tolerance of each output."""

    inputs: Table
    expected: Table
    tolerance: dict[str, Tolerance]
    ranked: frozenset[str] = frozenset()
    """Outputs of which only the order of the rows is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How answers compare with what was expected."""

    passed: bool
    largest_deviation: float
    """Largest |answer - expected|; infinite where one is null, NaN or other text and the other is not."""
    where: str | None
    """The worst value in words; None when every answer is equal."""
    compared: int
    """Values compared."""
    wrong: int
    """Values outside the tolerance; of outputs that only rank, pairs of rows that are the other way round."""
    tau: dict[str, float] = field(default_factory=dict)
    """Of outputs that only rank: Kendall's tau-b of answers and expectation."""


def tolerance_of(bundle: Bundle) -> dict[str, Tolerance]:
    """The tolerance of each output: what the author declared, otherwise the default of its datatype."""
    return {
        field.name: bundle.golden.tolerance.get(field.name, DEFAULT_TOLERANCES.get(field.datatype, _EXACT))
        for field in bundle.contract.outputs
    }


def ranked_of(bundle: Bundle) -> frozenset[str]:
    """The outputs of which the author asks for the order of the golden rows, and not for the values."""
    return frozenset(name for name, way in bundle.golden.compare.items() if way == "ranking")


def write_golden(path: Path, inputs: Table, expected: Table) -> None:
    """Write golden.parquet."""
    columns = {name: arrow_of(column) for name, column in inputs.columns.items()}
    columns |= {EXPECTED_PREFIX + name: arrow_of(column) for name, column in expected.columns.items()}
    # One row group and no statistics or compression that depend on chance: small files that are equal for equal tables.
    pq.write_table(pa.table(columns), path, compression="zstd", write_statistics=False)


def _plain(error: Exception, path: Path) -> str:
    """What went wrong, without where the bundle lies on this machine."""
    return str(error).replace(str(path), GOLDEN_NAME)


def read_golden(folder: Path, bundle: Bundle) -> Golden:
    """The golden set of a bundle, checked against its contract.

    Raises:
        GoldenUnusable: the file is missing, no Parquet, or does not keep the contract.
    """
    path = folder / GOLDEN_NAME
    try:
        # Not pq.read_table: that loads the library of datasets, which costs a keeper 50 MB for as long as it lives.
        table = pq.ParquetFile(path).read()
    except (OSError, pa.ArrowException) as error:
        raise GoldenUnusable(f"{GOLDEN_NAME} cannot be read: {_plain(error, path)}") from error
    wanted = {
        **{field.name: field for field in bundle.contract.inputs},
        **{EXPECTED_PREFIX + field.name: field for field in bundle.contract.outputs},
    }
    names = set(table.column_names)
    missing = [name for name in wanted if name not in names and not _may_be_absent(name, wanted[name])]
    extra = sorted(names - wanted.keys())
    if missing or extra:
        told = [f"lacks the column {name!r}" for name in missing] + [f"has the column {name!r}" for name in extra]
        raise GoldenUnusable(f"{path} {' and '.join(told[:3])}", missing=missing, extra=extra)
    if table.num_rows != bundle.golden.rows:
        raise GoldenUnusable(f"{path} has {table.num_rows} rows, [golden] says {bundle.golden.rows}")
    columns = {
        name: _read_column(path, name, field, table) if name in names else FieldCheck(field).absent(table.num_rows)
        for name, field in wanted.items()
    }
    inputs = {field.name: columns[field.name] for field in bundle.contract.inputs}
    expected = {field.name: columns[EXPECTED_PREFIX + field.name] for field in bundle.contract.outputs}
    return Golden(
        inputs=Table(table.num_rows, inputs),
        expected=Table(table.num_rows, expected),
        tolerance=tolerance_of(bundle),
        ranked=ranked_of(bundle),
    )


def _may_be_absent(name: str, field: Field) -> bool:
    return not field.required and not name.startswith(EXPECTED_PREFIX)


def _read_column(path: Path, name: str, field: Field, table: Any) -> Column:
    try:
        return conformed(column_of_arrow(name, table.column(name)), field)
    except (SampleUnusable, FieldBroken) as error:
        where = f", row {error.row}" if isinstance(error, FieldBroken) and error.row is not None else ""
        told = f"expected {error.expected}" if isinstance(error, FieldBroken) else error.message
        raise GoldenUnusable(f"{path}: column {name!r}{where}: {told}", field=name) from error


def conformed(column: Column, field: Field) -> Column:
    """A column as its field wants it: widened, NaN as null where it is nullable, held against nulls and limits.

    Raises:
        FieldBroken: it does not keep the contract.
    """
    check = FieldCheck(field)
    if column.shape != field.shape:
        raise FieldBroken(None, list(column.shape), check.expected())
    if column.datatype is field.datatype and field.datatype not in FLOATS:
        check.check_column(column)
        return column
    if column.datatype is field.datatype and not (field.nullable and not field.shape):
        check.check_column(column)
        return column
    return check.many(values_of(column))


def arrow_of(column: Column) -> Any:
    """The column as an Arrow array; tensors as fixed-size lists."""
    nulls = nulls_of(column)
    flat = array_of(column).reshape(-1)
    if not column.shape:
        return pa.array(flat, type=ARROW_TYPES[column.datatype], mask=nulls, from_pandas=False)
    array = pa.array(flat, type=ARROW_TYPES[column.datatype], from_pandas=False)
    for depth, size in enumerate(reversed(column.shape)):
        mask = pa.array(nulls) if nulls is not None and depth == len(column.shape) - 1 else None
        array = pa.FixedSizeListArray.from_arrays(array, size, mask=mask)
    return array


def compare(
    answered: Table,
    expected: Table,
    tolerance: Mapping[str, Tolerance],
    ranked: Collection[str] = (),
) -> Comparison:
    """How answers compare with what was expected, value by value.

    NaN equals NaN, null equals null, an infinity equals itself. Both tables have the same columns of the same datatype
    and shape, as the host and the contract check have seen to; otherwise nothing is equal.

    Args:
        answered: what came.
        expected: what was expected.
        tolerance: how far values may lie apart, by output.
        ranked: outputs of which the order of the rows is compared and not the values; rows within the tolerance are tied.
    """
    largest, worst_excess, where = 0.0, -1.0, None
    compared = wrong = 0
    taus: dict[str, float] = {}
    for name, wanted in expected.columns.items():
        given = answered.columns.get(name)
        size = max(1, math.prod(wanted.shape)) * expected.rows
        compared += size
        if (
            given is None
            or answered.rows != expected.rows
            or (given.datatype, given.shape) != (wanted.datatype, wanted.shape)
        ):
            wrong += size
            largest, worst_excess, where = math.inf, math.inf, f"{name}: not of the rows and type expected"
            continue
        deviation, allowed = _deviations(given, wanted, tolerance.get(name, _EXACT))
        if name in ranked and not _nulls_differ(given, wanted):
            order = order_of(_scores(given), _scores(wanted), allowed)
            taus[name] = order.tau
            wrong += order.turned
            deviation = deviation[np.isfinite(deviation)]
            largest = max(largest, float(deviation.max(initial=0.0)))
            if order.worst is not None:
                worst_excess, where = math.inf, _turned(name, given, *order.worst)
            continue
        outside = ~(deviation <= allowed)
        wrong += int(outside.sum())
        if not deviation.size:
            continue
        largest = max(largest, float(deviation.max()))
        with np.errstate(over="ignore"):
            excess = np.where(deviation > 0, deviation / np.maximum(allowed, np.finfo(float).tiny), -1.0)
        at = int(excess.argmax())
        if excess[at] > worst_excess:
            worst_excess = float(excess[at])
            where = _place(name, given, wanted, at)
    return Comparison(
        passed=wrong == 0, largest_deviation=largest, where=where, compared=compared, wrong=wrong, tau=taus
    )


def _nulls_differ(given: Column, wanted: Column) -> bool:
    return bool((_gone(given, 1) != _gone(wanted, 1)).any())


def _scores(column: Column) -> npt.NDArray[np.float64]:
    """The scores of the rows, null as NaN."""
    return np.where(_gone(column, 1), np.nan, array_of(column).astype(np.float64))


def _turned(name: str, given: Column, upper: int, lower: int) -> str:
    above, below = _value_at(given, upper, 0), _value_at(given, lower, 0)
    return f"{name}: row {upper} was expected above row {lower}, and is below it ({above} and {below})"


def _place(name: str, given: Column, wanted: Column, element: int) -> str:
    row, inner = divmod(element, max(1, math.prod(wanted.shape)))
    place = f"{name}, row {row}" + (f", element {inner}" if wanted.shape else "")
    return f"{place}: {_value_at(given, row, inner)} instead of {_value_at(wanted, row, inner)}"


def _value_at(column: Column, row: int, inner: int) -> str:
    nulls = nulls_of(column)
    if nulls is not None and nulls[row]:
        return "null"
    value = array_of(column).reshape(-1)[row * max(1, math.prod(column.shape)) + inner]
    return repr(value.item() if isinstance(value, np.generic) else value)


def _deviations(
    given: Column, wanted: Column, tolerance: Tolerance
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """|given - wanted| and what is allowed, per element; infinite where there is no difference to measure."""
    per_row = max(1, math.prod(wanted.shape))
    left, right = array_of(given).reshape(-1), array_of(wanted).reshape(-1)
    allowed = np.zeros(len(right))
    if wanted.datatype in FLOATS:
        a, b = left.astype(np.float64), right.astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            deviation = np.abs(a - b)
            allowed = tolerance.abs + tolerance.rel * np.abs(b)
        deviation = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, deviation)
        deviation = np.where(np.isnan(deviation), np.inf, deviation)
        allowed = np.where(np.isfinite(allowed), allowed, 0.0)
    elif wanted.datatype in {Datatype.BYTES, Datatype.BOOL}:
        deviation = np.where(left == right, 0.0, np.inf)
    else:
        # Python's integers: the difference of two UINT64 has no place in any NumPy integer.
        differences = (abs(int(x) - int(y)) for x, y in zip(left, right, strict=True))
        deviation = np.fromiter((float(difference) for difference in differences), np.float64, len(right))
        allowed = tolerance.abs + tolerance.rel * np.abs(right.astype(np.float64))
    gone_left, gone_right = _gone(given, per_row), _gone(wanted, per_row)
    deviation = np.where(gone_left & gone_right, 0.0, deviation)
    return np.where(gone_left != gone_right, np.inf, deviation), allowed


def _gone(column: Column, per_row: int) -> npt.NDArray[np.bool_]:
    nulls = nulls_of(column)
    if nulls is None:
        return np.zeros(len(array_of(column).reshape(-1)), np.bool_)
    return np.repeat(nulls, per_row)
