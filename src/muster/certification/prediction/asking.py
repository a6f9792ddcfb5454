"""A host's answers to all rows of a set, batch by batch; and how they are kept."""

import builtins
import io
import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from muster.certification.judgement import Answers
from muster.packaging.columns import Table, joined, rows_between
from muster.packaging.golden import arrow_of
from muster.packaging.samples import column_of_arrow
from muster.runtimes.channel import Answer, Channel
from muster.runtimes.conformance.tables import ask, outputs_of
from muster.wire.contracts import Contract

BATCH_ROWS = 1000


def answers_of(channel: Channel, contract: Contract, inputs: Table) -> Answers:
    """What a host answers; a batch with an error is asked row by row, so that it is known which rows have none."""
    parts, answered, why = [], [], ""
    for batch in _batches(inputs):
        answer = ask(channel, batch)
        if answer.errors:
            answer = ask(channel, batch, [1] * batch.rows)
            why = why or _why(answer)
            answered.append(np.array([not status for status in answer.statuses], np.bool_))
        else:
            answered.append(np.ones(batch.rows, np.bool_))
        parts.append(outputs_of(answer, contract))
    return Answers(outputs=joined(parts), answered=np.concatenate(answered), why=why)


def _why(answer: Answer) -> str:
    """The first error, without the model's own words: it knows rows that its author must not, and could spell them."""
    for error in answer.errors.values():
        named = re.match(r"\w+(?=:|$)", error.message)
        kind = getattr(builtins, named.group(), None) if named else None
        is_known = isinstance(kind, type) and issubclass(kind, BaseException)
        return f"{error.code}: {named.group()}" if named and is_known else str(error.code)
    return ""


def _batches(inputs: Table) -> Iterator[Table]:
    for start in range(0, inputs.rows, BATCH_ROWS):
        yield rows_between(inputs, start, min(start + BATCH_ROWS, inputs.rows))


def written(answers: Answers) -> bytes | None:
    """Answers as they are kept; None where a row has none: then the version is asked again."""
    if not answers.answered.all():
        return None
    sink = io.BytesIO()
    columns = {name: arrow_of(column) for name, column in answers.outputs.columns.items()}
    pq.write_table(pa.table(columns), sink, compression="zstd", write_statistics=False)
    return sink.getvalue()


def read(content: bytes, contract: Contract) -> Answers:
    """Answers that were kept."""
    table = pq.ParquetFile(io.BytesIO(content)).read()
    columns = {field.name: column_of_arrow(field.name, table.column(field.name)) for field in contract.outputs}
    return Answers(outputs=Table(table.num_rows, columns), answered=np.ones(table.num_rows, np.bool_))
