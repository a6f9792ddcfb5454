"""data.toml: the training and test data of a version, by address, digest, rows and schema where they can be read."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import tomli_w

from muster.packaging.documents import DataSource
from muster.packaging.errors import SampleUnusable
from muster.packaging.source import without_secrets
from muster.vocabulary.digests import digest_of_file

DATA_FORMAT = 1

#: Data below a source that a factory knows by name, and data that travels in the bundle.
_NAMED = ("source:", "bundle:")
#: Larger CSV files are named by digest and size only: reading them would make saving slow.
_LARGEST_CSV_BYTES = 512 * 1024 * 1024


def described_data(data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What can be said of `{"training": path or address, or a description with its uri}`, by name.

    Raises:
        SampleUnusable: a path does not exist, or a value is neither a path nor an address.
    """
    return {name: _described(name, where) for name, where in data.items()}


def data_toml(data: Mapping[str, Any]) -> bytes:
    """data.toml for `{"training": path or address}`.

    Raises:
        SampleUnusable: a path does not exist, or a value is neither a path nor an address.
    """
    return data_toml_of(described_data(data))


def data_toml_of(described: Mapping[str, Mapping[str, Any]]) -> bytes:
    """data.toml: every source with its schema, where that could be read."""
    return tomli_w.dumps({"format": DATA_FORMAT, **described}).encode("utf-8")


def data_sources(described: Mapping[str, Mapping[str, Any]]) -> tuple[DataSource, ...]:
    """The same for muster.toml: name, address, span, rows and digest.

    Raises:
        SampleUnusable: a value is of another type.
    """
    kept = ("uri", "from", "to", "rows", "digest")
    try:
        return tuple(
            msgspec.convert({"name": name, **{key: one[key] for key in kept if key in one}}, DataSource)
            for name, one in described.items()
        )
    except msgspec.ValidationError as error:
        raise SampleUnusable(f"data cannot be described: {error}") from error


def _described(name: str, where: Any) -> dict[str, Any]:
    if isinstance(where, Mapping):
        if "uri" not in where:
            raise SampleUnusable(f"data[{name!r}] names no uri", field=name)
        told = {
            key: value.isoformat() if isinstance(value, date) else value for key, value in where.items() if key != "uri"
        }
        return {"uri": without_secrets(str(where["uri"])), **told}
    if not isinstance(where, str | Path):
        raise SampleUnusable(f"data[{name!r}] is a {type(where).__name__}; give a path or an address", field=name)
    text = str(where)
    if text.startswith(_NAMED):
        return {"uri": text}
    if "://" in text and not text.startswith("file://"):
        return {"uri": without_secrets(text)}
    path = Path(unquote(urlsplit(text).path)) if text.startswith("file://") else Path(text)
    if not path.exists():
        raise SampleUnusable(f"data[{name!r}]: there is no file {path}", field=name)
    described: dict[str, Any] = {"uri": path.resolve().as_uri()}
    if path.is_file():
        described |= {"digest": digest_of_file(path), "size": path.stat().st_size}
        described |= _rows_and_schema(path)
    return described


def _rows_and_schema(path: Path) -> dict[str, Any]:
    """Rows and column types of a Parquet or CSV file; nothing for other files, nor where it cannot be read."""
    try:
        if path.suffix == ".parquet":
            with pq.ParquetFile(path) as file:
                rows, schema = file.metadata.num_rows, file.schema_arrow
        elif path.suffix == ".csv" and path.stat().st_size <= _LARGEST_CSV_BYTES:
            table = pyarrow.csv.read_csv(path)
            rows, schema = table.num_rows, table.schema
        else:
            return {}
    except (OSError, pa.ArrowException):
        return {}
    return {"rows": rows, "schema": {field.name: str(field.type) for field in schema}}
