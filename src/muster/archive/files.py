"""Where the archive's Parquet files lie, what they say about themselves, and how they come into being.

    archive/parquet/<endpoint>/<front>-<segment>.parquet            requests decided in that segment
    archive/parquet/<endpoint>/<front>-<segment>.1.parquet          … those with another layout of inputs or outputs
    archive/parquet/<endpoint>/late/<front>-<segment>.late.parquet  answers in that segment that came after the rows were written
    archive/parquet/_recovered/<front>-<segment>.parquet            recoveries noted in that segment
    archive/parquet/_new/                                           files being written

Segments have eight digits, so names sort as numbers. Late answers lie in a folder of their own, for whoever reads
`<endpoint>/*.parquet` with another tool expects one schema.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from muster.archive.disk import sync_folder
from muster.archive.errors import ArchiveFileDamaged
from muster.archive.rows import ARCHIVE_FORMAT, RowLayout, dictionary_columns

LATE_FOLDER = "late"
RECOVERED_FOLDER = "_recovered"
NEW_FOLDER = "_new"
ROWS_PER_GROUP = 2048
_KEY = b"muster.archive"

#: `rows_path` or `late_path`.
PathOfPart = Callable[[Path, int, int, int], Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What a file says about itself."""

    front: int
    segment: int
    created_ns: int
    """When the segment was created: with front and number it says which segment this was."""
    joined: tuple[int, int]
    """Segment and byte up to which late answers are in the rows; later ones lie in side files."""
    layout: RowLayout

    def to_metadata(self) -> dict[bytes, bytes]:
        """For the schema."""
        document = {
            "format": ARCHIVE_FORMAT,
            "front": self.front,
            "segment": self.segment,
            "created_ns": self.created_ns,
            "joined": list(self.joined),
            "layout": self.layout.to_json(),
        }
        return {_KEY: json.dumps(document, separators=(",", ":")).encode()}


class ArchiveFile:
    """A Parquet file of the archive, open for reading.

    Raises:
        ArchiveFileDamaged: it is none, or of another format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.parquet = pq.ParquetFile(path, page_checksum_verification=True)
            document = json.loads(self.parquet.schema_arrow.metadata[_KEY])
        except FileNotFoundError:
            raise
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
            raise ArchiveFileDamaged(
                f"{path} cannot be read as a file of the archive: {error}", path=str(path)
            ) from error
        if document["format"] != ARCHIVE_FORMAT:
            raise ArchiveFileDamaged(
                f"{path} is of format {document['format']}; this reads format {ARCHIVE_FORMAT}", path=str(path)
            )
        self.facts = FileFacts(
            front=document["front"],
            segment=document["segment"],
            created_ns=document["created_ns"],
            joined=(document["joined"][0], document["joined"][1]),
            layout=RowLayout.from_json(document["layout"]),
        )

    def groups_with(self, request_id: str) -> Iterator[int]:
        """Row groups in which the request may lie, by their statistics."""
        for group in range(self.parquet.num_row_groups):
            statistics = self.parquet.metadata.row_group(group).column(0).statistics
            if statistics is None or not statistics.has_min_max or statistics.min <= request_id <= statistics.max:
                yield group

    def request_ids(self) -> list[str]:
        """The request ids of all rows."""
        ids: list[str] = self.read(["request_id"]).column("request_id").to_pylist()
        return ids

    def read(self, columns: list[str] | None = None) -> pa.Table:
        """Some or all columns of all rows."""
        try:
            return self.parquet.read(columns=columns)
        except (OSError, pa.ArrowException) as error:
            raise ArchiveFileDamaged(f"{self.path} is damaged: {error}", path=str(self.path)) from error

    def read_group(self, group: int, columns: list[str] | None = None) -> pa.Table:
        """Some or all columns of a row group."""
        try:
            return self.parquet.read_row_group(group, columns=columns)
        except (OSError, pa.ArrowException) as error:
            raise ArchiveFileDamaged(f"{self.path} is damaged: {error}", path=str(self.path)) from error

    def rows(self, indices: list[int]) -> pa.Table:
        """Whole rows by their number in the file, in the given order; only the row groups they lie in are read."""
        firsts, at = [], 0
        for group in range(self.parquet.num_row_groups):
            firsts.append(at)
            at += self.parquet.metadata.row_group(group).num_rows
        firsts.append(at)
        needed = [
            group
            for group in range(self.parquet.num_row_groups)
            if any(firsts[group] <= index < firsts[group + 1] for index in indices)
        ]
        starts, at = {}, 0
        for group in needed:
            starts[group] = at
            at += firsts[group + 1] - firsts[group]
        places = [
            starts[group] + index - firsts[group]
            for index in indices
            for group in needed
            if firsts[group] <= index < firsts[group + 1]
        ]
        if not needed:
            return self.parquet.schema_arrow.empty_table()
        return pa.concat_tables([self.read_group(group) for group in needed]).take(pa.array(places, pa.int64()))


class NewFile:
    """A Parquet file being written; it appears under its name only by `publish`."""

    def __init__(self, root: Path, schema: pa.Schema, facts: FileFacts, number: int) -> None:
        folder = root / NEW_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{facts.front}-{facts.segment:08d}-{number}"
        self.rows = 0
        self._schema = schema.with_metadata(facts.to_metadata())
        self._writer = pq.ParquetWriter(
            self.path,
            self._schema,
            compression="zstd",
            use_dictionary=dictionary_columns(schema),
            store_schema=True,
            write_page_checksum=True,
        )

    def write(self, table: pa.Table) -> None:
        """Append a row group."""
        self._writer.write_table(table.replace_schema_metadata(self._schema.metadata), row_group_size=ROWS_PER_GROUP)
        self.rows += table.num_rows

    def finish(self) -> None:
        """Write the footer, and wait until all of it is on the disk."""
        self._writer.close()
        self.path.chmod(0o440)
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def publish(self, target: Path) -> None:
        """Give it its name."""
        target.parent.mkdir(parents=True, exist_ok=True)
        self.path.rename(target)
        sync_folder(target.parent)
        sync_folder(target.parent.parent)

    def discard(self) -> None:
        """Remove it, if it was not published."""
        self._writer.close()
        self.path.unlink(missing_ok=True)


def rows_path(folder: Path, front: int, segment: int, part: int) -> Path:
    """A file of requests, in the endpoint's folder."""
    return folder / f"{front}-{segment:08d}{_part(part)}.parquet"


def late_path(folder: Path, front: int, segment: int, part: int) -> Path:
    """A side file of late answers, in the endpoint's folder."""
    return folder / LATE_FOLDER / f"{front}-{segment:08d}{_part(part)}.late.parquet"


def existing_parts(path_of_part: PathOfPart, folder: Path, front: int, segment: int) -> Iterator[Path]:
    """The files of a segment, in the order of their parts."""
    part = 0
    while (path := path_of_part(folder, front, segment, part)).exists():
        yield path
        part += 1


def endpoint_folders(root: Path) -> list[Path]:
    """The folders of all endpoints that have requests in the archive."""
    try:
        return sorted(path for path in root.iterdir() if path.name[:1] not in "_." and path.is_dir())
    except FileNotFoundError:
        return []


def segments_present(folder: Path) -> dict[int, list[int]]:
    """Numbers of the segments that have files in a folder, per front, lowest first."""
    found: dict[int, set[int]] = {}
    try:
        names = [path.name for path in folder.iterdir() if path.suffix == ".parquet"]
    except FileNotFoundError:
        return {}
    for name in names:
        front, _, rest = name.partition("-")
        number = rest.partition(".")[0]
        if front.isdecimal() and number.isdecimal():
            found.setdefault(int(front), set()).add(int(number))
    return {front: sorted(numbers) for front, numbers in sorted(found.items())}


def _part(part: int) -> str:
    return f".{part}" if part else ""
