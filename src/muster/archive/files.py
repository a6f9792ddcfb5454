"""The archive's Parquet files: where they lie, what they say about themselves, and how they come into being.

    <endpoint>/date=2026-11-21/hour=14/<front>-<segment>.parquet    requests that arrived in that hour (UTC), decided in that segment
                                       <front>-<segment>.1.parquet  … those with another layout of inputs or outputs
    _late/<endpoint>/<front>/<target // 100>/<target>.<segment>.parquet
                                 late answers found in `segment` to requests whose ids name `target`, whose rows were written before
    _recovered/<front>-<segment>.parquet                            recoveries noted in that segment
    _index/                                                         see `index`
    _new/                                                           files being written, on the machine that writes them

Numbers are padded, so names sort as numbers. Late answers lie beside the endpoints, for whoever reads all files of one
with another tool expects one schema. Muster 0.1 wrote `<endpoint>/<front>-<segment>.parquet`: see `flat`.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from muster.archive.depot import file_digest
from muster.archive.errors import ArchiveFileDamaged
from muster.archive.index import FileEntry, Kind
from muster.archive.layout import NO_LINK, Link
from muster.archive.rows import ARCHIVE_FORMAT, INT64, READABLE_FORMATS, RowLayout, dictionary_columns

LATE_FOLDER = "_late"
RECOVERED_FOLDER = "_recovered"
#: A lookup reads one row group: few enough rows that this is quick, enough that they compress well.
ROWS_PER_GROUP = 1024
HOUR_NS = 3600 * 1_000_000_000
TARGETS_PER_FOLDER = 100
_KEY = b"muster.archive"


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
    link: Link = NO_LINK
    """The segment as a link of its front's chain."""
    previous: Link = NO_LINK
    """The link before."""

    def to_metadata(self) -> dict[bytes, bytes]:
        """For the schema."""
        document = {
            "format": ARCHIVE_FORMAT,
            "front": self.front,
            "segment": self.segment,
            "created_ns": self.created_ns,
            "joined": list(self.joined),
            "layout": self.layout.to_json(),
            "digest": self.link.digest.hex(),
            "previous_segment": self.previous.segment,
            "previous": self.previous.digest.hex(),
        }
        return {_KEY: json.dumps(document, separators=(",", ":")).encode()}


class ArchiveFile:
    """A Parquet file of the archive, open for reading.

    Raises:
        ArchiveFileDamaged: it is none, or of another format.
    """

    def __init__(self, source: Any, place: str | None = None) -> None:
        """Open it.

        Args:
            source: a path, or an open file.
            place: what it is called in messages; None: the path.
        """
        self.place = str(source) if place is None else place
        try:
            self.parquet = pq.ParquetFile(
                source, page_checksum_verification=True, pre_buffer=not isinstance(source, Path)
            )
            document = json.loads(self.parquet.schema_arrow.metadata[_KEY])
        except FileNotFoundError:
            raise
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
            raise self._damaged(f"cannot be read as a file of the archive: {error}") from error
        if document["format"] not in READABLE_FORMATS:
            raise self._damaged(f"is of format {document['format']}; this reads format 1 to {ARCHIVE_FORMAT}")
        self.facts = FileFacts(
            front=document["front"],
            segment=document["segment"],
            created_ns=document["created_ns"],
            joined=(document["joined"][0], document["joined"][1]),
            layout=RowLayout.from_json(document["layout"]),
            link=Link(segment=document["segment"], digest=bytes.fromhex(document.get("digest", ""))),
            previous=Link(
                segment=document.get("previous_segment", 0), digest=bytes.fromhex(document.get("previous", ""))
            ),
        )

    def _damaged(self, what: str) -> ArchiveFileDamaged:
        return ArchiveFileDamaged(f"{self.place} {what}", path=self.place)

    @property
    def groups(self) -> int:
        """How many row groups it has."""
        return int(self.parquet.num_row_groups)

    def times_of(self, group: int, time_column: str = "received_at") -> tuple[int, int] | None:
        """First and last moment in a row group, by its statistics; None: they do not say."""
        metadata = self.parquet.metadata.row_group(group)
        for number in range(metadata.num_columns):
            column = metadata.column(number)
            if column.path_in_schema == time_column:
                statistics = column.statistics
                if statistics is None or not statistics.has_min_max:
                    return None
                low, high = (
                    pa.scalar(value).cast("int64").as_py() for value in (statistics.min_raw, statistics.max_raw)
                )
                return low, high
        return None

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
            raise self._damaged(f"is damaged: {error}") from error

    def read_group(self, group: int, columns: list[str] | None = None) -> pa.Table:
        """Some or all columns of a row group."""
        try:
            return self.parquet.read_row_group(group, columns=columns)
        except (OSError, pa.ArrowException) as error:
            raise self._damaged(f"is damaged: {error}") from error

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
    """A Parquet file being written on this machine; the store has it only by `put`.

    Args:
        folder: for files that are being written.
        schema: of its rows.
        facts: what it says about itself.
        kind: rows, late answers or recoveries.
        endpoint: whose; empty for recoveries.
        number: among the files of its segment.
    """

    def __init__(
        self, folder: Path, schema: pa.Schema, facts: FileFacts, *, kind: Kind, endpoint: str, number: int
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{facts.front}-{facts.segment:08d}-{number}"
        self.kind = kind
        self.endpoint = endpoint
        self._rows = 0
        self._late = 0
        self._ids: tuple[str, str] | None = None
        self._times: tuple[int, int] | None = None
        self._schema = schema.with_metadata(facts.to_metadata())
        self._writer = pq.ParquetWriter(
            self.path,
            self._schema,
            compression="zstd",
            use_dictionary=dictionary_columns(schema),
            store_schema=True,
            write_page_checksum=True,
            write_page_index=True,
            sorting_columns=[pq.SortingColumn(0)],
        )

    def write(self, table: pa.Table, late: int = 0) -> None:
        """Append a row group.

        Args:
            table: its rows, in the order of their ids.
            late: how many late answers are in it.
        """
        self._writer.write_table(table.replace_schema_metadata(self._schema.metadata), row_group_size=ROWS_PER_GROUP)
        self._rows += table.num_rows
        self._late += late
        if self.kind == "recovered" or not table.num_rows:
            return
        ids = table.column("request_id")
        first, last = ids[0].as_py(), ids[-1].as_py()
        self._ids = (first, last) if self._ids is None else (min(self._ids[0], first), max(self._ids[1], last))
        times = pc.min_max(table.column("at" if self.kind == "late" else "received_at").cast("int64")).as_py()
        low, high = times["min"], times["max"]
        self._times = (low, high) if self._times is None else (min(self._times[0], low), max(self._times[1], high))

    def finish(self) -> None:
        """Write the footer, and wait until all of it is on the disk."""
        self._writer.close()
        self.path.chmod(0o440)
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def entry(self, place: str) -> FileEntry:
        """What the index says of it, once it is finished."""
        first, last = self._ids or ("", "")
        oldest, newest = self._times or (0, 0)
        return FileEntry(
            place=place,
            kind=self.kind,
            endpoint=self.endpoint,
            rows=self._rows,
            late=self._late,
            first=first,
            last=last,
            oldest_ns=oldest,
            newest_ns=newest,
            bytes=self.path.stat().st_size,
            sha256=file_digest(self.path).hex(),
        )

    def discard(self) -> None:
        """Remove it, if it was not put."""
        self._writer.close()
        self.path.unlink(missing_ok=True)


def hour_of(ns: int) -> int:
    """The hour since 1970 of a moment; what no calendar knows counts as its nearest hour."""
    return min(max(ns, 0), INT64.stop - 1) // HOUR_NS


def hour_folder(endpoint: str, hour: int) -> str:
    """The folder of an hour."""
    moment = datetime.fromtimestamp(hour * 3600, UTC)
    return f"{endpoint}/date={moment:%Y-%m-%d}/hour={moment:%H}"


def rows_place(endpoint: str, hour: int, front: int, segment: int, part: int) -> str:
    """A file of requests."""
    return f"{hour_folder(endpoint, hour)}/{front}-{segment:08d}{_part(part)}.parquet"


def late_folder(endpoint: str, front: int, target: int) -> str:
    """The folder of the late answers to requests whose ids name a segment, and some others."""
    return f"{LATE_FOLDER}/{endpoint}/{front}/{target // TARGETS_PER_FOLDER:06d}"


def late_place(endpoint: str, front: int, target: int, segment: int, part: int) -> str:
    """A file of late answers."""
    return f"{late_folder(endpoint, front, target)}/{target:08d}.{segment:08d}{_part(part)}.parquet"


def recovered_place(front: int, segment: int, part: int) -> str:
    """A file of recoveries."""
    return f"{RECOVERED_FOLDER}/{front}-{segment:08d}{_part(part)}.parquet"


def front_and_segment(name: str) -> tuple[int, int] | None:
    """What the name of a file of requests says; None: it is none."""
    if not name.endswith(".parquet"):
        return None
    front, _, rest = name.partition("-")
    number = rest.partition(".")[0]
    return (int(front), int(number)) if front.isdecimal() and number.isdecimal() else None


def _part(part: int) -> str:
    return f".{part}" if part else ""
