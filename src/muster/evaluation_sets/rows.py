"""The rows of a set as a version takes them, with what really happened beside them."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from muster.evaluation_sets.errors import EvaluationSetUnfit
from muster.packaging.columns import Column, Table, nan_as_null
from muster.packaging.errors import SampleUnusable
from muster.packaging.field_checks import FieldBroken, FieldCheck
from muster.packaging.golden import conformed
from muster.packaging.samples import column_of_arrow
from muster.wire.contracts import Contract, Field

_SIMPLE = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_string, pa.types.is_large_string)


class EvaluationRows:
    """Rows for a version of one contract.

    Args:
        table: the set's.
        contract: of the version.
        label: the column that holds what really happened.

    Raises:
        EvaluationSetUnfit: the version cannot be asked these rows, or they cannot be judged.
    """

    def __init__(self, table: pa.Table, contract: Contract, label: str) -> None:
        self._table = table
        self.label_name = label
        self.rows: int = table.num_rows
        self.inputs = Table(self.rows, {field.name: _input(table, field) for field in contract.inputs})
        self._check_label(contract)

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns: inputs, label, and others."""
        return tuple(self._table.column_names)

    @property
    def labels(self) -> Sequence[Any]:
        """What really happened, row by row: numbers, text or booleans."""
        return self.values(self.label_name)

    def values(self, column: str) -> Sequence[Any]:
        """A column's values row by row; None where there is none.

        Raises:
            EvaluationSetUnfit: the set has no such column, or its values are no numbers, text or booleans.
        """
        if column not in self._table.column_names:
            raise EvaluationSetUnfit(
                f"the evaluation set has no column {column[:80]!r}: {', '.join(self.columns[:20])}", column=column
            )
        found = self._table.column(column)
        if not _is_simple(found.type):
            raise EvaluationSetUnfit(f"the column {column[:80]!r} holds {found.type}", column=column)
        values: list[Any] = found.to_pylist()
        return values

    def whole(self) -> Table:
        """All columns that a contract could express: inputs as the version takes them, the label, and others."""
        columns = dict(self.inputs.columns)
        for name in self.columns:
            if name not in columns:
                try:
                    columns[name] = nan_as_null(column_of_arrow(name, self._table.column(name)))
                except SampleUnusable:  # a moment, a decimal: it is no input, and nobody slices by it
                    continue
        return Table(self.rows, columns)

    def _check_label(self, contract: Contract) -> None:
        label = self.label_name
        if contract.input(label) is not None:
            raise EvaluationSetUnfit(f"the label {label[:80]!r} is an input: the model would be told", column=label)
        self.values(label)
        gone = self._table.column(label).null_count
        if gone:
            raise EvaluationSetUnfit(f"the label {label[:80]!r} is missing in {gone} of {self.rows} rows", column=label)


def _input(table: pa.Table, field: Field) -> Column:
    if field.name not in table.column_names:
        if field.required:
            raise EvaluationSetUnfit(f"the rows have no column for the input {field.name!r}", column=field.name)
        return FieldCheck(field).absent(table.num_rows)
    try:
        return conformed(column_of_arrow(field.name, table.column(field.name)), field)
    except FieldBroken as error:
        where = "" if error.row is None else f", row {error.row}"
        raise EvaluationSetUnfit(
            f"the column {field.name!r}{where}: expected {error.expected}", column=field.name, row=error.row
        ) from error
    except SampleUnusable as error:
        raise EvaluationSetUnfit(error.message, column=field.name) from error


def _is_simple(kind: pa.DataType) -> bool:
    return any(test(kind) for test in _SIMPLE)
