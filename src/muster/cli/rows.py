"""Rows from a file: `.json`, `.jsonl`, `.csv` or `.parquet`.

JSON and Parquet say what is a number and what is text; CSV does not. Its columns are read as the contract says, so that a
postal code `01234` stays text; an empty cell is null where the field may be null, and empty text otherwise.
"""

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from muster.cli.errors import FileMissing, FileNotUnderstood
from muster.client.rows import Row, rows_of
from muster.vocabulary.tensors import FLOATS, INTEGER_RANGES, Datatype
from muster.wire.contracts import Contract
from muster.wire.inference import ModelMetadata

_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What the values of an input are."""

    datatype: Datatype
    shape: tuple[int, ...] = ()
    nullable: bool = False


def kinds_of_contract(contract: Contract) -> dict[str, Kind]:
    """The kinds of a contract's inputs."""
    return {
        field.name: Kind(datatype=field.datatype, shape=field.shape, nullable=field.nullable)
        for field in contract.inputs
    }


def kinds_of_metadata(metadata: ModelMetadata) -> dict[str, Kind]:
    """The kinds of an endpoint's inputs, as the scoring side tells them."""
    return {
        tensor.name: Kind(
            datatype=Datatype(tensor.datatype),
            shape=tuple(tensor.shape[1:]),
            nullable=bool((tensor.parameters or {}).get("nullable", False)),
        )
        for tensor in metadata.inputs
    }


def read_rows(path: Path, kinds: Callable[[], Mapping[str, Kind]]) -> list[Row]:
    """The rows of a file.

    Args:
        path: of the file; its suffix says what it is.
        kinds: asked only for CSV.

    Raises:
        FileMissing: there is no such file.
        FileNotUnderstood: it is of no kind that is known, or broken.
    """
    if not path.is_file():
        raise FileMissing(f"there is no file {path}", path=str(path))
    try:
        match path.suffix.lower():
            case ".json":
                return _of_json(path)
            case ".jsonl" | ".ndjson":
                lines = path.read_bytes().splitlines()
                return rows_of([msgspec.json.decode(line) for line in lines if line.strip()])
            case ".csv":
                return _of_csv(path, kinds())
            case ".parquet" | ".pq":
                return _of_parquet(path)
    except (msgspec.MsgspecError, UnicodeDecodeError, csv.Error, OSError) as error:
        raise FileNotUnderstood(f"{path} cannot be read: {error}", path=str(path)) from error
    raise FileNotUnderstood(f"{path} is of no kind that is known", path=str(path))


def _of_json(path: Path) -> list[Row]:
    found = msgspec.json.decode(path.read_bytes())
    if isinstance(found, dict) and isinstance(found.get("rows"), list):
        found = found["rows"]
    if isinstance(found, dict):
        found = [found]  # one row, given as it is
    return rows_of(found)


def _of_parquet(path: Path) -> list[Row]:
    import pyarrow as pa  # noqa: PLC0415 - slow to load, and only needed here
    from pyarrow import parquet  # noqa: PLC0415

    try:
        return rows_of(parquet.ParquetFile(path).read())
    except pa.ArrowException as error:
        raise FileNotUnderstood(f"{path} cannot be read: {error}", path=str(path)) from error


def _of_csv(path: Path, kinds: Mapping[str, Kind]) -> list[Row]:
    text = path.read_bytes().decode("utf-8-sig")  # spreadsheets begin with a byte order mark
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    names = reader.fieldnames or []
    if len(set(names)) != len(names):
        raise FileNotUnderstood(f"{path}: two columns of the header have the same name", path=str(path))
    rows = []
    for number, cells in enumerate(reader):
        if None in cells or None in cells.values():
            raise FileNotUnderstood(
                f"{path}, row {number}: {_count(cells)} cells, {len(names)} in the header", path=str(path), row=number
            )
        rows.append({name: _value(cell, kinds.get(name), path, number, name) for name, cell in cells.items()})
    return rows


def _count(cells: Mapping[str | None, Any]) -> int:
    return sum(len(cell) if isinstance(cell, list) else cell is not None for cell in cells.values())


def _value(cell: str, kind: Kind | None, path: Path, row: int, name: str) -> Any:
    """A cell as its field's type; what cannot be one is left as it is, for the contract to refuse by name and row."""
    if kind is None:
        return cell
    if cell == "" and kind.nullable:
        return None
    if kind.shape:
        try:
            return msgspec.json.decode(cell)
        except msgspec.MsgspecError as error:
            problem = f"{path}, row {row}, {name!r}: a tensor is written as a JSON list, not as {cell!r}"
            raise FileNotUnderstood(problem, path=str(path), row=row, column=name) from error
    return _scalar(cell, kind.datatype)


def _scalar(cell: str, datatype: Datatype) -> Any:
    text = cell.strip()
    if datatype is Datatype.BOOL:
        return _TRUTHS.get(text.lower(), cell)
    try:
        if datatype in INTEGER_RANGES:
            return int(text)
        if datatype in FLOATS:
            return float(text)
    except ValueError:
        return cell
    return cell
