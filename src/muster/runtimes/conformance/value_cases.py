"""The cases about values: what goes in comes out, whatever it is.

Of the echo model the right answer to anything is known, so there a case looks at the very values. Of any other model a case asks
what every host does whatever it computes: it answers or says why not, and goes on.
"""

from collections.abc import Callable, Iterator

import numpy as np

from muster.packaging.columns import Column, Table, column_of, null_column, rows_between
from muster.packaging.golden import compare
from muster.runtimes.conformance import difficult, echo, echo_rows
from muster.runtimes.conformance.kit import Found, Stand, failed, not_applicable, passed
from muster.runtimes.conformance.tables import ask, changed, error_of, outputs_of
from muster.runtimes.conformance.values import drawn
from muster.vocabulary.tensors import FLOATS, NUMPY_NAMES, Datatype
from muster.wire.contracts import Field

_DRAWN_ROWS = 20
_LINES_FLOAT_ROWS = 2_000
_LARGE = (Datatype.INT64, Datatype.UINT64)


class GoldenRows:
    """The golden rows."""

    name = "golden"
    claim = "the golden rows are answered as the author validated"

    def run(self, stand: Stand) -> Found:
        """Compare within the bundle's tolerance."""
        golden = stand.subject.golden
        answer = ask(stand.host(), golden.inputs)
        if answer.errors:
            return failed(error_of(answer))
        found = compare(outputs_of(answer, stand.contract), golden.expected, golden.tolerance, golden.ranked)
        if found.passed:
            return passed(f"{found.compared} values within the tolerance", 0)
        return failed(f"{found.wrong} of {found.compared} values outside the tolerance: {found.where}", found.wrong)


class Datatypes:
    """Ordinary values of every datatype."""

    name = "datatypes"
    claim = "ordinary values of every datatype of the contract arrive and come back"

    def run(self, stand: Stand) -> Found:
        """Of another model: rows drawn from its contract."""
        if stand.is_echo:
            return _echoed(stand, echo_rows.ordinary())
        return _survived(stand, [drawn(stand.contract, stand.subject.golden.inputs, _DRAWN_ROWS)])


class Nulls:
    """Nulls."""

    name = "nulls"
    claim = "null stays null, and nothing else becomes null"

    def run(self, stand: Stand) -> Found:
        """In every pattern: none, some, all; in scalars NaN is null, too."""
        if not any(field.nullable for field in stand.contract.inputs):
            return not_applicable("no input is nullable")
        if not stand.is_echo:
            return _survived(stand, list(self._nulled(stand)))
        some, whole = echo_rows.with_nulls(), echo_rows.with_nulls(3, share=1.0)
        for table in (some, whole):
            found = _echoed(stand, table)
            if found.is_failed:
                return found
        return self._nan_is_null(stand, passed(f"{some.rows + whole.rows} rows with null in every pattern came back"))

    def _nan_is_null(self, stand: Stand, well: Found) -> Found:
        table = echo.plain(1)
        expected = dict(table.columns)
        for field in stand.contract.inputs:
            if field.datatype in FLOATS and field.nullable and not field.shape:
                nan = np.full(1, np.nan, dtype=NUMPY_NAMES[field.datatype])
                table.columns[field.name] = Column(field.datatype, (), nan.tobytes())
                expected[field.name] = null_column(field.datatype, (), 1)
        answer = ask(stand.host(), table)
        if answer.errors:
            return failed(f"NaN in nullable fields: {error_of(answer)}")
        lost, told = changed(outputs_of(answer, stand.contract), echo.answered(Table(1, expected)))
        return failed(f"NaN in a nullable field is null: {told}", lost) if lost else well

    def _nulled(self, stand: Stand) -> Iterator[Table]:
        first = rows_between(stand.subject.golden.inputs, 0, 1)
        nullable = [field for field in stand.contract.inputs if field.nullable]
        for fields in (*([field] for field in nullable), nullable):
            gone = {field.name: null_column(field.datatype, field.shape, 1) for field in fields}
            yield Table(1, {**first.columns, **gone})


class Unicode:
    """Texts."""

    name = "unicode"
    claim = "any text arrives and comes back"

    def run(self, stand: Stand) -> Found:
        """A text with U+0000 may be refused, as R has none, but not altered."""
        if stand.is_echo:
            found = _echoed(stand, echo_rows.texts())
            return found if found.is_failed else self._with_zero(stand, found)
        free = _free(stand, Datatype.BYTES)
        if not free:
            return not_applicable("no input takes any text")
        texts = np.array([text for text in difficult.TEXTS if len(text) < 1000], dtype=object)
        return _survived(stand, list(_replaced(stand, free, lambda _: texts)))

    def _with_zero(self, stand: Stand, well: Found) -> Found:
        table = echo_rows.texts(difficult.ZERO_TEXT)
        answer = ask(stand.host(), table)
        if answer.errors:
            return passed(f"{well.detail}; U+0000 is refused: {answer.errors[0].message[:80]}")
        lost, told = changed(outputs_of(answer, stand.contract), echo.answered(table))
        return failed(told, lost) if lost else well


class Integers64:
    """Whole numbers beyond 2^53."""

    name = "integers-64"
    claim = "whole numbers of 64 bits arrive and come back exactly"

    def run(self, stand: Stand) -> Found:
        """INT64 and UINT64 up to both ends."""
        if stand.is_echo:
            return _echoed(stand, echo_rows.large_integers())
        free = _free(stand, *_LARGE)
        if not free:
            return not_applicable("no input takes any INT64 or UINT64")
        return _survived(stand, list(_replaced(stand, free, lambda field: difficult.large_integers(field.datatype))))


class FloatBits:
    """The last bits of floats.

    Args:
        rows: how many; of the default, three floats each, all finite FP16 are among them.
    """

    def __init__(self, rows: int = echo_rows.EVERY_FP16_ROWS) -> None:
        self._rows = rows

    name = "float-bits"
    claim = "floats arrive and come back bit for bit; infinity and NaN are no answers"

    def run(self, stand: Stand) -> Found:
        """Every finite FP16, both zeros, subnormals, drawn bits; NaN with what it carries in tensors that may be null."""
        if not stand.is_echo:
            free = _free(stand, *FLOATS)
            if not free:
                return not_applicable("no input takes any float")
            return _survived(
                stand, list(_replaced(stand, free, lambda field: difficult.finite_bits(field.datatype, 16)))
            )
        rows = min(self._rows, _LINES_FLOAT_ROWS) if stand.speaks_lines else self._rows
        found = _echoed(stand, echo_rows.float_bits(rows))
        if found.is_failed:
            return found
        nans = _echoed(stand, echo_rows.nans(), one_nan=stand.speaks_lines)
        if nans.is_failed:
            return nans
        for value in (np.inf, -np.inf, np.nan):
            table = echo.plain(1)
            table.columns["x_fp64"] = Column(Datatype.FP64, (), np.float64(value).tobytes())
            answer = ask(stand.host(), table)
            if not answer.errors or answer.errors[0].code != "output-broken":
                told = error_of(answer) if answer.errors else "an answer"
                return failed(f"{value} in an output that is never null got {told}, not output-broken")
        return passed(f"{rows * 3} values of each float datatype came back bit for bit")


def _echoed(stand: Stand, table: Table, *, one_nan: bool = False) -> Found:
    answer = ask(stand.host(), table)
    if answer.errors:
        return failed(error_of(answer))
    lost, told = changed(outputs_of(answer, stand.contract), echo.answered(table), one_nan=one_nan)
    if lost:
        return failed(f"{lost} values changed on their way: {told}", lost)
    return passed(f"{table.rows} rows of {len(table.columns)} columns came back", 0)


def _free(stand: Stand, *datatypes: Datatype) -> list[Field]:
    """Inputs of these datatypes for which no limits are declared."""
    return [field for field in stand.contract.inputs if field.datatype in datatypes and field.declared is None]


def _replaced(stand: Stand, fields: list[Field], values: Callable[[Field], difficult.Array]) -> Iterator[Table]:
    """The first golden row with each of the values in turn, in all of these fields at once."""
    first = rows_between(stand.subject.golden.inputs, 0, 1)
    chosen = {field.name: values(field) for field in fields}
    for turn in range(max(len(found) for found in chosen.values())):
        columns = dict(first.columns)
        for field in fields:
            value = chosen[field.name][turn % len(chosen[field.name])]
            columns[field.name] = column_of(field.datatype, np.full((1, *field.shape), value))
        yield Table(1, columns)


def _survived(stand: Stand, tables: list[Table]) -> Found:
    """Each of the rows gets an answer or an error of its own, and the host goes on as before."""
    host = stand.host()
    pid = host.hello.pid
    answered, rows, said = 0, 0, ""
    for table in tables:
        answer = ask(host, table, [1] * table.rows)
        rows += table.rows
        answered += table.rows - len(answer.errors)
        if answer.errors and not said:
            said = f"; the first of the others: {error_of(answer)}"
    if host.health().pid != pid:
        return failed("the host was another one afterwards")
    told = f"{answered} of {rows} rows answered{said}"
    return passed(told, answered) if answered or not rows else failed(told, 0)
