"""Tables sent to a host and compared bit for bit: what the cases of the kit have in common."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from muster.packaging.columns import Buffer, Column, Table, array_of, element_ends, encode_text, nulls_of
from muster.runtimes.channel import Answer, Channel
from muster.runtimes.errors import TableRefused
from muster.vocabulary.tensors import FLOATS, ITEM_BYTES, Datatype
from muster.wire.contracts import Contract

#: Columns as a channel takes them.
Columns = list[tuple[bytes, bytes | None]]
_SHOWN = 60


def ask(
    channel: Channel, inputs: Table, requests: Sequence[int] | None = None, timeout_s: float | None = None
) -> Answer:
    """A host's answer to the rows of a table.

    Args:
        channel: to the host.
        inputs: the rows.
        requests: how many rows each request has; None: all are one request.
        timeout_s: how long to wait; the channel's own time when not said.

    Raises:
        HostGone, HostTimedOut, ProtocolBroken, TableRefused: there is no answer.
    """
    columns = [(column.data, column.nulls) for column in inputs.columns.values()]
    return channel.predict([inputs.rows] if requests is None else requests, columns, timeout_s)


def outputs_of(answer: Answer, contract: Contract) -> Table:
    """The table of the answered requests' outputs."""
    columns = {
        field.name: Column(field.datatype, field.shape, data, nulls)
        for field, (data, nulls) in zip(contract.outputs, answer.columns, strict=True)
    }
    return Table(answer.rows, columns)


def error_of(answer: Answer) -> str:
    """The first error of an answer, in words."""
    at, error = next(iter(answer.errors.items()))
    return f"request {at}: {error.code}: {error.message[:200]}"


def are_same(one: Column, other: Column) -> bool:
    """Whether two columns have the same bytes and the same nulls."""
    return raw(one.data, one.nulls) == raw(other.data, other.nulls)


def same_answers(one: Answer, other: Answer) -> bool:
    """Whether two answers are the same, bit for bit."""
    return [raw(*pair) for pair in one.columns] == [raw(*pair) for pair in other.columns]


def raw(data: Buffer, nulls: Buffer | None) -> tuple[bytes, bytes]:
    """A column's bytes, and its null marks if any is set."""
    marks = bytes(nulls or b"")
    return bytes(data), marks if any(marks) else b""


def rows_of(column: Column, *, one_nan: bool = False) -> list[bytes | None]:
    """Each row's bytes, None where it is null.

    Args:
        column: what to take apart.
        one_nan: every NaN is written as the same one.
    """
    data = memoryview(column.data)
    if one_nan and column.datatype in FLOATS:
        values = array_of(column)
        if np.isnan(values).any():
            data = memoryview(np.where(np.isnan(values), values.dtype.type(np.nan), values).tobytes())
    elements = max(1, math.prod(column.shape))
    if column.datatype is Datatype.BYTES:
        ends = [0, *element_ends(data)][::elements]
    else:
        size = ITEM_BYTES[column.datatype] * elements
        ends = list(range(0, len(data) + 1, size))
    gone = nulls_of(column)
    marks: Iterable[bool] = [False] * (len(ends) - 1) if gone is None else gone.tolist()
    return [None if null else bytes(data[begin:end]) for begin, end, null in zip(ends, ends[1:], marks, strict=False)]


def changed(given: Table, wanted: Table, *, one_nan: bool = False) -> tuple[int, str]:
    """How many values of a table were lost on their way, wherever they now stand, and one of them in words.

    The order of the rows is not looked at: it is a matter of its own, and a case that is about values should not fail for it.
    """
    if given.rows != wanted.rows:
        return max(1, abs(given.rows - wanted.rows)), f"{given.rows} rows came back of {wanted.rows}"
    lost, told = 0, ""
    for name, column in wanted.columns.items():
        sent = Counter(rows_of(column, one_nan=one_nan))
        came = Counter(rows_of(given.columns[name], one_nan=one_nan))
        if sent == came:
            continue
        missing, unknown = sent - came, came - sent
        lost += missing.total()
        if not told:
            told = f"{name}: {_shown(column, next(iter(missing)))} came back as {_shown(column, next(iter(unknown)))}"
    return lost, told


def moved(given: Table, wanted: Table, *, one_nan: bool = False) -> tuple[int, str]:
    """How many values do not stand where they should, and the first of them in words."""
    if given.rows != wanted.rows:
        return max(1, abs(given.rows - wanted.rows)), f"{given.rows} rows came back of {wanted.rows}"
    wrong, told = 0, ""
    for name, column in wanted.columns.items():
        answered = given.columns[name]
        if are_same(answered, column):
            continue
        pairs = zip(rows_of(answered, one_nan=one_nan), rows_of(column, one_nan=one_nan), strict=True)
        places = [row for row, (found, right) in enumerate(pairs) if found != right]
        wrong += len(places)
        if places and not told:
            row = places[0]
            found, right = rows_of(answered)[row], rows_of(column)[row]
            told = f"{name}, row {row}: {_shown(column, found)} instead of {_shown(column, right)}"
    return wrong, told


def _shown(column: Column, value: bytes | None) -> str:
    if value is None:
        return "null"
    found = array_of(Column(column.datatype, column.shape, value)).reshape(-1)
    texts = [repr(item.item() if isinstance(item, np.generic) else item) for item in found]
    told = texts[0] if not column.shape else f"[{', '.join(texts)}]"
    told = told if len(told) <= _SHOWN else told[: _SHOWN - 1] + "…"
    return f"{told} ({value.hex()})" if column.datatype in FLOATS else told


def wrong_tables(inputs: Table, contract: Contract) -> Iterator[tuple[str, Columns]]:
    """Tables that no contract check would let through, and that a host may still be sent by a mistake.

    Args:
        inputs: one good row.
        contract: of the model.
    """
    good: Columns = [
        (bytes(column.data), None if column.nulls is None else bytes(column.nulls))
        for column in inputs.columns.values()
    ]
    yield "a table without its last column", good[:-1]
    yield "a table with a column too many", [*good, (b"\0" * 8, None)]
    yield "a column that is cut off", [(good[0][0][:-1], good[0][1]), *good[1:]]
    yield "a column with a row too many", [(good[0][0] * 2, good[0][1]), *good[1:]]
    yield "null marks for more rows than there are", [(good[0][0], b"\0\0"), *good[1:]]
    text = next((at for at, of in enumerate(contract.inputs) if of.datatype is Datatype.BYTES and not of.shape), None)
    if text is not None:
        yield "text that is not UTF-8", _with(good, text, (encode_text([b"\xff\xfe"]), None))
    never_null = next((at for at, of in enumerate(contract.inputs) if not of.nullable), None)
    if never_null is not None:
        name = contract.inputs[never_null].name
        yield f"null for {name}, which is never null", _with(good, never_null, (good[never_null][0], b"\1"))


def is_refused(channel: Channel, columns: Columns) -> bool:
    """Whether a host gives an error for a table of one row."""
    try:
        return bool(channel.predict([1], columns).errors)
    except TableRefused:
        return True


def _with(columns: Columns, place: int, column: tuple[bytes, bytes | None]) -> Columns:
    return [*columns[:place], column, *columns[place + 1 :]]
