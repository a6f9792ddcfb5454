"""Files of rows as they come from people, as one Arrow table; and how a set lies in the store."""

import io
import secrets
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from muster.evaluation_sets.errors import EvaluationFileMalformed, EvaluationSetDamaged
from muster.packaging.golden import ARROW_TYPES
from muster.vocabulary.digests import Digest, digest_of
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract

MOST_ROWS = 1_000_000
MOST_COLUMNS = 5000
#: Of a set in memory: every certification of the model reads it.
MOST_BYTES = 1 << 30
_MAGIC = b"PAR1"
_BATCH_ROWS = 16_384
#: Before the rows of a set in the store: without it, whoever knows the set's digest could name its blob in a bundle.
SALT_BYTES = 32


def read_rows(file: Path, contract: Contract) -> pa.Table:
    """The rows of a Parquet or CSV file; the columns of CSV have the types of the contract's inputs.

    Raises:
        EvaluationFileMalformed: it cannot be read, has no rows or too many, or a column is there twice.
    """
    try:
        with file.open("rb") as stream:
            is_parquet = stream.read(len(_MAGIC)) == _MAGIC
        table = _of_parquet(file) if is_parquet else _of_csv(file, contract)
    except (pa.ArrowException, OSError, ValueError) as error:  # Arrow tells broken files in all three ways
        told = str(error).replace(str(file), "the file").splitlines()
        raise EvaluationFileMalformed(
            f"the file cannot be read: {told[0][:300] if told else 'no reason given'}"
        ) from error
    names = table.column_names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise EvaluationFileMalformed(f"the column {twice[0][:80]!r} is there {names.count(twice[0])} times")
    if not table.num_rows:
        raise EvaluationFileMalformed("the file has no rows")
    _within(table.num_rows, len(names), table.nbytes)
    return table


def _of_parquet(file: Path) -> pa.Table:
    """Batch by batch: what a file says of its own size is no more than its word."""
    with pq.ParquetFile(file) as parquet:
        _within(parquet.metadata.num_rows, parquet.metadata.num_columns, 0)
        batches, rows, size = [], 0, 0
        for batch in parquet.iter_batches(batch_size=_BATCH_ROWS):
            rows, size = rows + batch.num_rows, size + batch.nbytes
            _within(rows, batch.num_columns, size)
            batches.append(batch)
        return pa.Table.from_batches(batches, parquet.schema_arrow)


def _of_csv(file: Path, contract: Contract) -> pa.Table:
    """An empty cell is null; in a field of text that is never null it is an empty text."""
    scalars = [field for field in contract.inputs if not field.shape and field.datatype is not Datatype.FP16]
    table = pa_csv.read_csv(
        file,
        convert_options=pa_csv.ConvertOptions(
            column_types={field.name: ARROW_TYPES[field.datatype] for field in scalars},
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        ),
    )
    for field in scalars:
        if field.datatype is Datatype.BYTES and not field.nullable and field.name in table.column_names:
            place = table.column_names.index(field.name)
            table = table.set_column(place, field.name, table.column(place).fill_null(""))
    return table


def _within(rows: int, columns: int, size: int) -> None:
    if rows > MOST_ROWS or columns > MOST_COLUMNS or size > MOST_BYTES:
        raise EvaluationFileMalformed(
            f"the file has {rows} rows in {columns} columns, {size} bytes; "
            f"a set has at most {MOST_ROWS} rows, {MOST_COLUMNS} columns and {MOST_BYTES} bytes in memory",
            rows=rows,
            columns=columns,
            bytes=size,
        )


def written(table: pa.Table) -> bytes:
    """The rows as Parquet."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", write_statistics=False)
    return sink.getvalue()


def salted(content: bytes) -> bytes:
    """As it lies in the store."""
    return secrets.token_bytes(SALT_BYTES) + content


def unsalted(stored: bytes, digest: Digest) -> pa.Table:
    """The rows of a set as it lies in the store.

    Raises:
        EvaluationSetDamaged: they are not those of the digest.
    """
    content = memoryview(stored)[SALT_BYTES:]
    if digest_of(content) != digest:
        raise EvaluationSetDamaged(f"the store has other rows than those of {digest}", digest=digest)
    return pq.ParquetFile(io.BytesIO(content)).read()
