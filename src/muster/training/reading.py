"""Data files as columns: Parquet and CSV, a column at a time, so that memory holds one and not the table."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from muster.packaging.columns import Column, Table, array_of, column_of, nan_as_null, nulls_of
from muster.packaging.errors import SampleUnusable
from muster.packaging.profiling import given_of
from muster.packaging.samples import column_of_arrow
from muster.profiles.columns import Given
from muster.training.errors import DataUnreadable
from muster.vocabulary.tensors import FLOATS, NUMPY_NAMES, Datatype
from muster.wire.contracts import Contract, Field

#: Rows that are looked at; of larger tables the first so many, and it is said.
MOST_ROWS = 2_000_000
_LARGEST_CSV_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """A file of data, opened for reading."""

    path: Path
    rows: int
    """All that it has."""
    schema: dict[str, str]
    """Type of each column, as Arrow names it."""
    table: Any
    """Of a CSV file, what was read; None: the file is Parquet, and read column by column."""

    @property
    def read_rows(self) -> int:
        """Rows that are looked at."""
        return min(self.rows, MOST_ROWS)

    def column(self, name: str, field: Field | None = None) -> Column | None:
        """A column; None where a contract cannot express what it holds.

        Args:
            name: which; the file has it.
            field: what it is in the contract: numbers come in its type, where that loses nothing.
        """
        try:
            found = nan_as_null(column_of_arrow(name, _plain(self._arrow(name))))
        except (SampleUnusable, pa.ArrowException, OSError):
            return None
        return found if field is None else _as_field(found, field)

    def _arrow(self, name: str) -> Any:
        if self.table is not None:
            return self.table.column(name).slice(0, self.read_rows)
        if self.rows <= MOST_ROWS:
            return pq.ParquetFile(self.path).read(columns=[name]).column(name)
        with pq.ParquetFile(self.path) as file:
            parts, have = [], 0
            for batch in file.iter_batches(columns=[name]):
                parts.append(batch.column(0).slice(0, self.read_rows - have))
                have += len(parts[-1])
                if have == self.read_rows:
                    break
            return pa.chunked_array(parts)


def opened(path: Path, name: str) -> DataFile:
    """A data file.

    Args:
        path: where it lies.
        name: what it is called where it comes from; its ending says what it is.

    Raises:
        DataUnreadable: it is neither Parquet nor CSV, or damaged.
    """
    try:
        if name.endswith(".parquet"):
            with pq.ParquetFile(path) as file:
                schema = {field.name: str(field.type) for field in file.schema_arrow}
                return DataFile(path=path, rows=file.metadata.num_rows, schema=schema, table=None)
        if name.endswith(".csv") and path.stat().st_size <= _LARGEST_CSV_BYTES:
            table = pyarrow.csv.read_csv(path)
            schema = {field.name: str(field.type) for field in table.schema}
            return DataFile(path=path, rows=table.num_rows, schema=schema, table=table)
    except (OSError, pa.ArrowException, ValueError) as error:
        raise DataUnreadable(f"{name} cannot be read: {str(error).replace(str(path), name)[:300]}") from error
    raise DataUnreadable(f"{name} is neither .parquet nor .csv of at most {_LARGEST_CSV_BYTES} bytes")


def profiled_columns(file: DataFile, contract: Contract, label: str = "") -> Iterator[Given]:
    """Every column of a file for its profile, one after another; those that nobody can express are left out.

    Training data often has more than the model is given: names, addresses, keys. Nobody has said of these whether they are personal,
    so that of all but the inputs and the label no value is told, only how often it is missing and how many differ.

    Args:
        file: the data.
        contract: says what the inputs are, and which fields are personal.
        label: the column of what really happened; empty: nobody knows it.
    """
    for name in file.schema:
        field = contract.input(name)
        column = file.column(name, field)
        if column is not None:
            said = field or contract.output(name)
            yield given_of(
                name,
                column,
                personal=said is not None and said.personal,
                only_counted=field is None and name != label,
            )


def table_of(file: DataFile, contract: Contract, *others: str) -> Table:
    """The inputs of a contract and some other columns of a file, as far as it has them."""
    columns = {}
    for name in (*(field.name for field in contract.inputs), *others):
        if name in file.schema and (column := file.column(name, contract.input(name))) is not None:
            columns[name] = column
    return Table(file.read_rows, columns)


def _plain(array: Any) -> Any:
    """Dictionaries decoded; the rest as it is."""
    if pa.types.is_dictionary(array.type):
        return pa.chunked_array([chunk.dictionary_decode() for chunk in _chunks(array)], array.type.value_type)
    return array


def _chunks(array: Any) -> list[Any]:
    return array.chunks if hasattr(array, "chunks") else [array]


def _as_field(column: Column, field: Field) -> Column:
    """The column in the type of its field, if no value changes by it; else as it is."""
    wanted = field.datatype
    if column.datatype is wanted or Datatype.BYTES in {column.datatype, wanted}:
        return column
    values = array_of(column)
    with np.errstate(all="ignore"):
        cast = values.astype(NUMPY_NAMES[wanted])
        same = np.array_equal(cast.astype(values.dtype), values, equal_nan=column.datatype in FLOATS)
    return column_of(wanted, cast, nulls_of(column)) if same else column
