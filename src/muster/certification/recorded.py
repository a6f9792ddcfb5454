"""Rows of past requests as a version takes them: what replay computes again, and what a twin has to answer as its original does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from muster.archive.reader import Reader
from muster.archive.records import Record
from muster.packaging.columns import Column, Table, joined, rows_between
from muster.packaging.field_checks import FieldCheck
from muster.registry.records import Version
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Field
from muster.wire.records import StoredColumn

#: Records of an endpoint that are looked at for rows, at most.
_MOST_RECORDS = 20_000


def inputs_of(record: Record, contract: Contract) -> Table:
    """A request's inputs as a version takes them: its own fields, in its own order; its default, or null, where the request has none."""
    stored = {column.name: column for column in record.decided.inputs}
    rows = record.decided.rows
    return Table(
        rows,
        {
            field.name: column_of(stored[field.name]) if field.name in stored else FieldCheck(field).absent(rows)
            for field in contract.inputs
        },
    )


def column_of(stored: StoredColumn) -> Column:
    """A column as the archive has it."""
    return Column(Datatype(stored.datatype), stored.shape, stored.data, stored.nulls)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRows:
    """What callers have asked a model, whichever version of it was asked."""

    reader: Reader
    endpoints: Callable[[str, str], Sequence[str]]
    """Names of the endpoints to which versions of a model were released, by project and model."""

    def newest(self, version: Version, rows: int) -> Table | None:
        """The newest rows that the version could have been asked, at most so many; None where there are none."""
        found: list[Table] = []
        missing = rows
        for endpoint in self.endpoints(version.project, version.name.model):
            for record in islice(self.reader.newest(endpoint), _MOST_RECORDS):
                if missing and _fits(record, version.contract):
                    found.append(inputs_of(record, version.contract))
                    missing = max(0, missing - record.decided.rows)
                if not missing:
                    break
        if not found:
            return None
        table = joined(found)
        return rows_between(table, 0, min(rows, table.rows))


def _fits(record: Record, contract: Contract) -> bool:
    """Whether a version of the contract could have been asked the request."""
    stored = {column.name: column for column in record.decided.inputs}
    return bool(record.decided.rows) and all(_has(stored.get(field.name), field) for field in contract.inputs)


def _has(column: StoredColumn | None, field: Field) -> bool:
    """Whether a column is what the field declares; one that is missing is all its default, or null."""
    if column is None:
        return field.nullable or field.default is not None
    is_alike = (column.datatype, column.shape) == (str(field.datatype), field.shape)
    return is_alike and (field.nullable or column.nulls is None or not any(column.nulls))
