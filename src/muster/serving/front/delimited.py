"""Rows as lines of text: NDJSON and CSV.

Types come from the contract. An error names the line, counted from 1, beside the row, counted from 0.
"""

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from muster.packaging.columns import Table
from muster.packaging.errors import ContractBroken
from muster.serving.errors import RequestMalformed
from muster.serving.front.compiled import compiled
from muster.serving.plan import Plan
from muster.vocabulary.tensors import FLOATS, Datatype
from muster.wire.contracts import Field

_BOOLEANS = {"true": True, "false": False}
_NOT_FINITE = frozenset({"NaN", "Infinity", "-Infinity"})
_MOST_DIGITS = 40
_row = msgspec.json.Decoder(dict[str, Any])
_cell = msgspec.json.Decoder()


def read_lines(plan: Plan, body: bytes) -> Table:
    """The checked rows of NDJSON: one JSON object a line; empty lines are passed over.

    Raises:
        RequestMalformed: a line is no JSON object.
        ContractBroken: a row does not keep the contract.
    """
    usual = compiled(plan).lines(body)
    if usual is not None:
        return usual
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    for number, line in enumerate(body.split(b"\n"), 1):
        if not line.strip():
            continue
        if len(rows) > plan.checker.max_rows:
            break
        try:
            rows.append(_row.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RequestMalformed(f"line {number} is no JSON object: {error}") from error
        lines.append(number)
    return _checked(plan, rows, lines)


def read_csv(plan: Plan, body: bytes) -> Table:
    """The checked rows of CSV: a line of field names, then one row a line.

    Raises:
        RequestMalformed: it is no CSV, or a line has another number of cells than the first.
        ContractBroken: a row does not keep the contract.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestMalformed(f"the CSV is not UTF-8: byte {error.start} is {error.object[error.start]:#x}") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: list[int] = []
    rows: list[dict[str, Any]] = []
    records = _records(reader)
    _, names = next(records, (0, []))
    if not names:
        raise RequestMalformed("the CSV is empty; its first line names the fields")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise RequestMalformed(f"line 1: the CSV names the field {twice[:80]!r} twice")
    readers = [_reader_of(plan.contract.input(name)) for name in names]
    for number, cells in records:
        if len(cells) != len(names):
            raise RequestMalformed(f"line {number}: {len(cells)} cells, where the first line has {len(names)}")
        if len(rows) > plan.checker.max_rows:
            break
        lines.append(number)
        rows.append({name: read(cell) for name, read, cell in zip(names, readers, cells, strict=True)})
    return _checked(plan, rows, lines)


def _records(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line it begins on; lines that are quite empty are passed over."""
    begins = 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise RequestMalformed(f"line {reader.line_num}: {error}") from error
        if cells is None:
            return
        if cells:
            yield begins, cells
        begins = reader.line_num + 1


def _checked(plan: Plan, rows: list[dict[str, Any]], lines: list[int]) -> Table:
    try:
        return plan.checker.check_records(rows)
    except ContractBroken as broken:
        row = broken.facts.get("row")
        if row is None:
            raise
        raise ContractBroken(f"line {lines[row]}, {broken.message}", **broken.facts, line=lines[row]) from None


def _reader_of(field: Field | None) -> Callable[[str], Any]:
    """How a cell of the field is read: to the JSON value that it means, or as it is, for the check to refuse."""
    if field is None:
        return str
    read = _tensor if field.shape else _SCALARS[_kind(field.datatype)]
    if field.nullable:
        return lambda cell: read(cell) if cell else None
    return read


def _kind(datatype: Datatype) -> str:
    if datatype in FLOATS:
        return "float"
    return {Datatype.BYTES: "text", Datatype.BOOL: "flag"}.get(datatype, "integer")


def _integer(cell: str) -> Any:
    if len(cell) <= _MOST_DIGITS and cell.isascii():
        if cell.removeprefix("-").isdigit():
            return int(cell)
        return _number(cell)
    return cell


def _float(cell: str) -> Any:
    return cell if cell in _NOT_FINITE else _number(cell)


def _number(cell: str) -> Any:
    """A number as JSON writes it, or with a leading plus, point or zero; the cell itself where it is none."""
    if not cell.isascii() or not cell or cell[0] not in "+-.0123456789" or not set(cell) <= set("+-.0123456789eE"):
        return cell
    try:
        return float(cell)
    except ValueError:
        return cell


def _flag(cell: str) -> Any:
    return _BOOLEANS.get(cell.lower(), cell)


def _tensor(cell: str) -> Any:
    try:
        return _cell.decode(cell)
    except (msgspec.DecodeError, RecursionError):
        return cell


_SCALARS: dict[str, Callable[[str], Any]] = {"float": _float, "text": str, "flag": _flag, "integer": _integer}
