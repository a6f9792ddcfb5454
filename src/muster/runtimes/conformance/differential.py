"""Both wires against each other: the same rows to two hosts of one model, and every bit of the answers compared.

A NaN is a NaN here: what it carries is lost on the wire of lines, which is the one declared difference. Whatever else differs is a
mistake of one of the two, and both answers are shown.
"""

from collections.abc import Iterator

from muster.packaging.columns import Table, rows_between
from muster.runtimes.channel import Channel
from muster.runtimes.conformance import echo_rows
from muster.runtimes.conformance.kit import Case, Found, Stand, Subject, failed, passed
from muster.runtimes.conformance.tables import ask, error_of, moved, outputs_of
from muster.runtimes.conformance.values import drawn

_DRAWN_ROWS = 200
_FLOAT_ROWS = 2_000
_SINGLES = 8


class _Compared:
    """One table, asked of both.

    Args:
        name: of the case.
        claim: what it says.
        other: the host that the subject's own is compared with.
        tables: what is asked.
    """

    def __init__(self, name: str, claim: str, other: Channel, tables: list[Table]) -> None:
        self.name = name
        self.claim = claim
        self._other = other
        self._tables = tables

    def run(self, stand: Stand) -> Found:
        """Compare in the rows' order; a model that refuses a table has to refuse it on both."""
        rows = 0
        for table in self._tables:
            one, other = ask(stand.host(), table), ask(self._other, table)
            if bool(one.errors) != bool(other.errors):
                refused = (
                    f"{error_of(one)} here, an answer there"
                    if one.errors
                    else f"an answer here, {error_of(other)} there"
                )
                return failed(refused)
            if one.errors:
                continue
            given, wanted = outputs_of(one, stand.contract), outputs_of(other, stand.contract)
            wrong, told = moved(given, wanted, one_nan=True)
            if wrong:
                return failed(f"{wrong} values differ: {told}", wrong)
            rows += table.rows
        return passed(f"{rows} rows alike, bit for bit", 0)


def compared_cases(subject: Subject, other: Channel) -> tuple[Case, ...]:
    """The cases for `conform` that hold a subject against a host of the same model on the other wire.

    Args:
        subject: whose hosts are asked.
        other: the host to compare with; it has the same contract.
    """
    stand = Stand(subject=subject)
    golden = subject.golden.inputs
    singles = [rows_between(golden, at, at + 1) for at in range(min(golden.rows, _SINGLES))]
    cases = [
        _Compared("differential-golden", "golden rows get the same answers on both wires", other, [golden]),
        _Compared("differential-singles", "so they do one by one", other, singles),
        _Compared("differential-empty", "so does a batch without rows", other, [rows_between(golden, 0, 0)]),
    ]
    if stand.is_echo:
        cases.extend(
            _Compared(f"differential-{name}", f"{claim} get the same answers on both wires", other, [table])
            for name, claim, table in _difficult()
        )
    else:
        rows = [drawn(subject.bundle.contract, golden, _DRAWN_ROWS, seed=seed) for seed in range(3)]
        cases.append(_Compared("differential-drawn", "so do rows drawn from the contract", other, rows))
    return tuple(cases)


def _difficult() -> Iterator[tuple[str, str, Table]]:
    yield "datatypes", "ordinary values of every datatype", echo_rows.ordinary()
    yield "nulls", "nulls in every pattern", echo_rows.with_nulls()
    yield "unicode", "difficult texts", echo_rows.texts()
    yield "integers-64", "whole numbers beyond 2^53", echo_rows.large_integers()
    yield "float-bits", "floats of all kinds of bits", echo_rows.float_bits(_FLOAT_ROWS)
    yield "nans", "NaNs", echo_rows.nans()
