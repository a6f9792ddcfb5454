"""The cases about batches: how many rows there are changes nothing about any of them."""

from collections.abc import Callable, Iterator

import numpy as np

from muster.packaging.columns import Column, Table, column_of, joined, null_column, rows_between
from muster.packaging.golden import compare
from muster.runtimes.channel import Answer
from muster.runtimes.conformance import difficult, echo, echo_rows
from muster.runtimes.conformance.kit import Found, Stand, failed, not_applicable, passed
from muster.runtimes.conformance.tables import ask, changed, error_of, moved, outputs_of
from muster.wire.contracts import Field

_SINGLES = 8
BIG_ROWS = 100_000
_BIG_BYTES = 64 << 20
_BIG_S = 300.0


class EmptyBatch:
    """No rows."""

    name = "empty-batch"
    claim = "a batch without rows is answered without rows, and harms nothing"

    def run(self, stand: Stand) -> Found:
        """Alone and among other requests; a model other than the echo may refuse it."""
        host = stand.host()
        inputs = stand.subject.golden.inputs
        nothing = rows_between(inputs, 0, 0)
        answer = ask(host, nothing)
        if answer.errors and stand.is_echo:
            return failed(error_of(answer))
        if not answer.errors and answer.rows:
            return failed(f"{answer.rows} rows came of none", answer.rows)
        if stand.is_echo:
            among = ask(host, rows_between(inputs, 0, 3), [0, 2, 0, 1, 0])
            lost, told = changed(outputs_of(among, stand.contract), echo.answered(rows_between(inputs, 0, 3)))
            if among.errors or lost:
                return failed(f"among others: {told or error_of(among)}", lost)
        if ask(host, rows_between(inputs, 0, 1)).errors and not stand.is_echo:
            return failed("the first golden row gets an error afterwards")
        return passed(
            "answered without rows" if not answer.errors else f"refused ({error_of(answer)}), and the host goes on"
        )


class BatchIsSingles:
    """A batch is its rows."""

    name = "batch-is-singles"
    claim = "rows are answered alike in one batch, in several requests and one by one"

    def run(self, stand: Stand) -> Found:
        """Bit for bit for the echo model; within the tolerance of the golden answers for others."""
        host = stand.host()
        if stand.is_echo:
            rows = echo.plain(12)
            expected, tolerance = echo.answered(rows), None
        else:
            golden = stand.subject.golden
            count = min(golden.inputs.rows, _SINGLES)
            rows, tolerance = rows_between(golden.inputs, 0, count), golden.tolerance
            first = ask(host, rows)
            if first.errors:
                return not_applicable(f"the golden rows have no answer: {error_of(first)}")
            expected = outputs_of(first, stand.contract)
        half = rows.rows // 2
        ways: list[tuple[str, Callable[[], list[Answer]]]] = [
            ("in one batch", lambda: [ask(host, rows)]),
            ("as a request each", lambda: [ask(host, rows, [1] * rows.rows)]),
            ("in two requests", lambda: [ask(host, rows, [half, rows.rows - half])]),
            (
                "one by one",
                lambda: [ask(host, rows_between(rows, at, at + 1)) for at in range(min(rows.rows, _SINGLES))],
            ),
        ]
        for how, way in ways:
            begin = 0
            for answer in way():
                if answer.errors:
                    return failed(f"{how}: {error_of(answer)}")
                wanted = rows_between(expected, begin, begin + answer.rows)
                given = outputs_of(answer, stand.contract)
                if tolerance is None:
                    wrong, told = moved(given, wanted)
                else:
                    compared = compare(given, wanted, tolerance)
                    wrong, told = compared.wrong, str(compared.where)
                if wrong:
                    return failed(f"{how}: {told}", wrong)
                begin += answer.rows
        return passed(f"{rows.rows} rows in four ways")


class Neighbours:
    """Other requests."""

    name = "neighbours"
    claim = "what another request of the batch holds changes nobody else's answer"

    def run(self, stand: Stand) -> Found:
        """Beside nulls, large whole numbers, difficult texts and floats; whether those are answered does not matter."""
        host = stand.host()
        if stand.is_echo:
            rows, tolerance = echo.plain(12), None
            expected = echo.answered(rows)
        else:
            golden = stand.subject.golden
            rows, tolerance = rows_between(golden.inputs, 0, min(golden.inputs.rows, _SINGLES)), golden.tolerance
            alone = ask(host, rows)
            if alone.errors:
                return not_applicable(f"the golden rows have no answer: {error_of(alone)}")
            expected = outputs_of(alone, stand.contract)
        asked = 0
        for what, neighbour in _neighbours(stand, rows):
            answer = ask(host, joined([rows, neighbour]), [rows.rows, neighbour.rows])
            if 0 in answer.errors:
                return failed(f"beside {what}: {error_of(answer)}")
            given = rows_between(outputs_of(answer, stand.contract), 0, rows.rows)
            if tolerance is None:
                wrong, told = moved(given, expected)
            else:
                compared = compare(given, expected, tolerance)
                wrong, told = compared.wrong, str(compared.where)
            if wrong:
                return failed(f"beside {what}: {told}", wrong)
            asked += 1
        if not asked:
            return not_applicable("no input takes anything difficult")
        return passed(f"{rows.rows} rows, {asked} times beside another request", asked)


def _neighbours(stand: Stand, rows: Table) -> Iterator[tuple[str, Table]]:
    """Difficult rows, and what they are; of a model that is no echo, in the inputs that take any value."""
    if stand.is_echo:
        yield "nulls", echo_rows.with_nulls()
        yield "texts", echo_rows.texts()
        yield "large whole numbers", echo_rows.large_integers()
        yield "floats of all kinds", echo_rows.float_bits(_SINGLES)
        return
    first = rows_between(rows, 0, 1)
    for field in stand.contract.inputs:
        if field.nullable:
            yield f"a null in {field.name}", _with(first, field, null_column(field.datatype, field.shape, 1))
        if field.declared is not None:
            continue
        for value in difficult.extremes(field.datatype):
            shown = repr(value if isinstance(value, str) else value.item())
            column = column_of(field.datatype, np.full((1, *field.shape), value))
            yield f"{shown} in {field.name}", _with(first, field, column)


def _with(row: Table, field: Field, column: Column) -> Table:
    return Table(1, {**row.columns, field.name: column})


class BigBatch:
    """Very many rows.

    Args:
        rows: at most.
    """

    def __init__(self, rows: int = BIG_ROWS) -> None:
        self._rows = rows

    name = "big-batch"
    claim = "100,000 rows or 64 MiB are answered in one batch, in their order"

    def run(self, stand: Stand) -> Found:
        """On the wire of lines a tenth of that."""
        most_rows, most_bytes = (self._rows // 10, _BIG_BYTES // 10) if stand.speaks_lines else (self._rows, _BIG_BYTES)
        golden = stand.subject.golden
        sample = echo.plain(100) if stand.is_echo else golden.inputs
        rows = max(1, min(most_rows, most_bytes * sample.rows // max(1, _bytes(sample))))
        table = echo.plain(rows) if stand.is_echo else _repeated(sample, rows)
        answer = ask(stand.host(), table, timeout_s=_BIG_S)
        if answer.errors:
            return failed(f"{rows} rows: {error_of(answer)}", rows)
        given = outputs_of(answer, stand.contract)
        if stand.is_echo:
            wrong, told = moved(given, echo.answered(table))
        else:
            compared = compare(given, _repeated(golden.expected, rows), golden.tolerance)
            wrong, told = compared.wrong, str(compared.where)
        if wrong:
            return failed(f"{rows} rows: {told}", rows)
        return passed(f"{rows} rows, {_bytes(table) / 2**20:.0f} MiB in {answer.latency_ns / 1e6:.0f} ms", rows)


def _repeated(table: Table, rows: int) -> Table:
    whole, part = divmod(rows, table.rows)
    columns = {}
    for name, column in table.columns.items():
        rest = rows_between(Table(table.rows, {name: column}), 0, part).columns[name]
        nulls = None if column.nulls is None else bytes(column.nulls) * whole + bytes(rest.nulls or b"")
        columns[name] = Column(column.datatype, column.shape, bytes(column.data) * whole + bytes(rest.data), nulls)
    return Table(rows, columns)


def _bytes(table: Table) -> int:
    return sum(len(column.data) + len(column.nulls or b"") for column in table.columns.values())
