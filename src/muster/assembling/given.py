"""The rows and expected answers that an author gives as a file, and the contract and columns that follow from them.

CSV says of no cell what it is, so a column of it is whole numbers, numbers, truths or text by what all its cells look like; `007`
and `1e` are text. An empty cell is null in a column of numbers or truths, and empty text in one of text. What `[[contract.inputs]]`
of muster.toml says of a field wins over all that, key by key.
"""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from muster.assembling.errors import RowsUnreadable, SourceUnusable
from muster.packaging.columns import Column, Table
from muster.packaging.field_checks import FieldBroken, FieldCheck
from muster.packaging.golden import conformed
from muster.packaging.inference import infer_contract
from muster.packaging.samples import Sample, read_sample
from muster.vocabulary.tensors import FLOATS, INTEGER_RANGES, Datatype
from muster.wire.contracts import Contract, Field

_WHOLE = re.compile(r"[+-]?(0|[1-9][0-9]{0,18})")
_NUMBER = re.compile(r"[+-]?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][+-]?[0-9]+)?|[+-]?(NaN|Infinity|inf|nan)")
_TRUTHS = {"true": True, "false": False}
_INT64 = INTEGER_RANGES[Datatype.INT64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A file of rows: every column with its values, or with its cells if the file holds nothing but text."""

    path: Path
    rows: int
    columns: Mapping[str, Sequence[Any]]
    """Name → one value per row: Python values, or the text of a cell."""
    is_text: bool
    arrow: Any = None
    """The Arrow table of a Parquet file, whose types are kept."""


def read_given(path: Path) -> Given:
    """The rows of a `.csv`, `.json`, `.jsonl` or `.parquet` file.

    Raises:
        RowsUnreadable: it is missing, of no such kind, broken, or has no rows.
    """
    readers: dict[str, Callable[[Path], Given]] = {
        ".csv": _of_csv, ".json": _of_json, ".jsonl": _of_lines, ".ndjson": _of_lines, ".parquet": _of_parquet, ".pq": _of_parquet,
    }  # fmt: skip
    reader = readers.get(path.suffix.lower())
    if not path.is_file():
        raise RowsUnreadable(f"there is no file {path}", path=str(path))
    if reader is None:
        raise RowsUnreadable(f"{path} is of no kind that is known", path=str(path))
    try:
        given = reader(path)
    except (msgspec.MsgspecError, UnicodeDecodeError, csv.Error, pa.ArrowException, OSError) as error:
        raise RowsUnreadable(f"{path} cannot be read: {error}", path=str(path)) from error
    if given.rows == 0 or not given.columns:
        raise RowsUnreadable(f"{path} has no rows", path=str(path))
    return given


def _of_csv(path: Path) -> Given:
    text = path.read_bytes().decode("utf-8-sig")  # spreadsheets begin with a byte order mark
    lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    header, cells = (lines[0], [line for line in lines[1:] if line]) if lines else ([], [])
    if len(set(header)) != len(header):
        raise RowsUnreadable(f"{path}: two columns of the header have the same name", path=str(path))
    for number, line in enumerate(cells):
        if len(line) != len(header):
            raise RowsUnreadable(
                f"{path}, row {number}: {len(line)} cells, {len(header)} in the header", path=str(path), row=number
            )
    columns = {name: [line[place] for line in cells] for place, name in enumerate(header)}
    return Given(path=path, rows=len(cells), columns=columns, is_text=True)


def _of_json(path: Path) -> Given:
    found = msgspec.json.decode(path.read_bytes())
    if isinstance(found, dict) and isinstance(found.get("rows"), list):
        found = found["rows"]
    return _of_objects(path, found if isinstance(found, list) else [found])


def _of_lines(path: Path) -> Given:
    return _of_objects(path, [msgspec.json.decode(line) for line in path.read_bytes().splitlines() if line.strip()])


def _of_objects(path: Path, rows: list[Any]) -> Given:
    names: dict[str, None] = {}
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise RowsUnreadable(f"{path}, row {number} is no object", path=str(path), row=number)
        names.update(dict.fromkeys(row))
    columns = {name: [row.get(name) for row in rows] for name in names}
    return Given(path=path, rows=len(rows), columns=columns, is_text=False)


def _of_parquet(path: Path) -> Given:
    table = pq.ParquetFile(path).read()
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    return Given(path=path, rows=table.num_rows, columns=columns, is_text=False, arrow=table)


def contract_and_rows(
    given: Given, declared: Sequence[Mapping[str, Any]], outputs: tuple[Field, ...]
) -> tuple[Contract, Table]:
    """The contract of a model that was shown these rows, and the rows as its columns.

    Args:
        given: the rows.
        declared: `[[contract.inputs]]` of the author's muster.toml: fields with any of their keys; the rest is inferred.
        outputs: what the model gives.

    Raises:
        SourceUnusable: what is declared names no column, or cannot be used.
        SampleUnusable: the rows hold what a contract cannot express.
        RowsUnreadable: a value does not fit what is declared.
    """
    said = {str(field.get("name", "")): dict(field) for field in declared}
    for name in said:
        if name not in given.columns:
            raise SourceUnusable(
                f"[[contract.inputs]] names {name!r}, which is no column of {given.path}: {', '.join(given.columns)}", field=name
            )  # fmt: skip
    typed = {name: field["datatype"] for name, field in said.items() if "datatype" in field}
    shown = _sample(given, [name for name in given.columns if name not in typed])
    personal = [name for name, field in said.items() if field.get("personal") and name not in typed]
    inferred = infer_contract(shown, outputs, personal) if shown is not None else None
    found = {field.name: field for field in inferred.inputs} if inferred is not None else {}
    names = list(said) if said.keys() == given.columns.keys() else list(given.columns)
    fields = tuple(_merged(name, found.get(name), said.get(name, {})) for name in names)
    columns = {}
    for field in fields:
        column = shown.table.columns.get(field.name) if shown is not None else None
        columns[field.name] = _column(given, field, column)
    return Contract(fields, outputs), Table(given.rows, columns)


def _sample(given: Given, names: list[str]) -> Sample | None:
    if not names:
        return None
    if given.arrow is not None:
        return read_sample(given.arrow.select(names))
    columns = {name: given.columns[name] for name in names}
    return read_sample({name: _of_cells(cells) for name, cells in columns.items()} if given.is_text else columns)


def _of_cells(cells: Sequence[str]) -> list[Any]:
    """The cells of a CSV column as what all of them look like."""
    filled = [cell for cell in cells if cell != ""]
    if filled and all(_WHOLE.fullmatch(cell) and _INT64[0] <= int(cell) <= _INT64[1] for cell in filled):
        return [int(cell) if cell else None for cell in cells]
    if filled and all(_NUMBER.fullmatch(cell) and cell not in ".+-" and cell[-1] not in "+-" for cell in filled):
        try:
            return [float(cell) if cell else None for cell in cells]
        except ValueError:
            return list(cells)
    if filled and all(cell.lower() in _TRUTHS for cell in filled):
        return [_TRUTHS[cell.lower()] if cell else None for cell in cells]
    return list(cells)


def _merged(name: str, inferred: Field | None, said: Mapping[str, Any]) -> Field:
    known = msgspec.to_builtins(inferred) if inferred is not None else {"name": name}
    try:
        return msgspec.convert({**known, **said}, Field)
    except msgspec.ValidationError as error:
        raise SourceUnusable(f"[[contract.inputs]] {name!r} cannot be used: {error}", field=name) from error


def _column(given: Given, field: Field, inferred: Column | None) -> Column:
    try:
        if inferred is not None:
            return conformed(inferred, field)
        return FieldCheck(field).many(typed_values(given, field))
    except FieldBroken as broken:
        where = "" if broken.row is None else f", row {broken.row}"
        raise RowsUnreadable(
            f"{given.path}{where}, {field.name!r}: expected {broken.expected}, got {broken.value!r}", field=field.name
        ) from None


def typed_values(given: Given, field: Field) -> list[Any]:
    """The values of a column as its field's type; what cannot be one is left as it is, for the contract to refuse."""
    values = list(given.columns[field.name])
    if not given.is_text:
        return values
    return [_of_cell(cell, field) for cell in values]


def _of_cell(cell: str, field: Field) -> Any:
    if cell == "" and field.nullable:
        return None
    read = _reader(field)
    try:
        return read(cell)
    except (ValueError, msgspec.MsgspecError):
        return cell


def _reader(field: Field) -> Callable[[str], Any]:
    if field.shape:
        return msgspec.json.decode
    if field.datatype is Datatype.BOOL:
        return lambda cell: _TRUTHS.get(cell.strip().lower(), cell)
    if field.datatype in INTEGER_RANGES:
        return int
    return float if field.datatype in FLOATS else str


def expected_answers(given: Given, outputs: tuple[Field, ...], rows: int) -> Table:
    """The answers that the training program wrote, as columns of the outputs.

    Raises:
        RowsUnreadable: columns or number of rows are others, or a value is none of its output's.
    """
    missing = [field.name for field in outputs if field.name not in given.columns]
    if missing or given.rows != rows:
        told = f"has no column {missing[0]!r}" if missing else f"has {given.rows} lines, the rows are {rows}"
        raise RowsUnreadable(f"{given.path} {told}", path=str(given.path))
    return Table(rows, {field.name: _column(given, field, None) for field in outputs})
