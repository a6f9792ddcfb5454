"""Any window of an endpoint's records as one file: piece by piece, whatever its size, late answers in their rows.

Row groups that need nothing done are handed through as they are; only where a late answer has to be joined, or where a
record lies in a segment, are records put together anew. What moves from the spool to Parquet meanwhile is found in
either; what arrives after the export began is not in it.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import structlog

from muster.archive.catalogue import Catalogue
from muster.archive.columns import Layout
from muster.archive.depot import ArchiveStore, FolderStore
from muster.archive.errors import ArchiveFileDamaged, WindowMalformed, WindowMixed
from muster.archive.files import ArchiveFile
from muster.archive.late import LateAnswers, key_of
from muster.archive.reader import LONGEST_WAIT_NS, Reader
from muster.archive.records import Record
from muster.archive.rows import ABSENT, RowLayout, dictionary_columns, records_of, row_layout_of, table_of
from muster.archive.segments import segments_in
from muster.archive.spool import Spool
from muster.vocabulary.clock import rfc3339_of_ns, wall_ns
from muster.vocabulary.request_ids import place_of, request_id_bytes

EXPORT_FORMAT = 1
METADATA_KEY = b"muster.export"
_ROWS_TOGETHER = 8192
_BYTES_TOGETHER = 32 << 20
_RECORDS_TOGETHER = 1024
log = structlog.get_logger()
#: Whether a caller may see a record.
Seen = Callable[[Record], bool]
#: A row group of a file, or records from a segment.
_Piece = tuple[RowLayout, pa.Table]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which records: those that arrived in [from_ns, to_ns)."""

    endpoint: str
    project: str
    from_ns: int
    to_ns: int
    complete_to_ns: int
    """Everything that arrived before is in it; later ones may still have been on their way."""


class Exports:
    """Makes exports; stateless.

    Args:
        root: the archive's folder, with `spool/` and, without a store, `parquet/` in it.
        store: where the compacted records lie; None: in `parquet/`.
        now_ns: the present moment in nanoseconds since 1970.
    """

    def __init__(self, root: Path, store: ArchiveStore | None = None, *, now_ns: Callable[[], int] = wall_ns) -> None:
        self._root = root
        self._store = FolderStore(root / "parquet") if store is None else store
        self._now_ns = now_ns

    def window(self, endpoint: str, project: str, from_ns: int | None, to_ns: int | None) -> Window:
        """The window that is meant; it ends now at the latest.

        Raises:
            WindowMalformed: it ends before it begins.
        """
        now = self._now_ns()
        begin, end = from_ns or 0, now if to_ns is None else min(to_ns, now)
        if to_ns is not None and to_ns <= begin:
            raise WindowMalformed("the window ends before it begins", begins_ns=begin, ends_ns=to_ns)
        return Window(
            endpoint=endpoint,
            project=project,
            from_ns=begin,
            to_ns=end,
            complete_to_ns=min(end, now - LONGEST_WAIT_NS),
        )

    def records(self, window: Window, seen: Seen | None = None) -> Iterator[Record]:
        """One by one, about the oldest first."""
        for layout, table in _Run(self._root, self._store, window).pieces():
            for record in records_of(layout, table):
                if seen is None or seen(record):
                    yield record

    def parquet(self, window: Window, seen: Seen | None = None) -> Iterator[bytes]:
        """The bytes of a Parquet file; its schema is known, or refused, before the first of them.

        Raises:
            WindowMixed: a field has had two types within the window.
        """
        layout = _merged(_Run(self._root, self._store, window).layouts())
        return self._parquet(window, layout, seen)

    def _parquet(self, window: Window, layout: RowLayout, seen: Seen | None) -> Iterator[bytes]:
        document = {
            "format": EXPORT_FORMAT,
            "endpoint": window.endpoint,
            "from": rfc3339_of_ns(window.from_ns),
            "to": rfc3339_of_ns(window.to_ns),
            "complete_to": rfc3339_of_ns(window.complete_to_ns),
        }
        schema = layout.schema().with_metadata({METADATA_KEY: json.dumps(document, separators=(",", ":")).encode()})
        outlet = _Outlet()
        writer = pq.ParquetWriter(
            outlet, schema, compression="zstd", use_dictionary=dictionary_columns(schema), write_page_checksum=True
        )
        waiting: list[pa.Table] = []
        for of_piece, table in _Run(self._root, self._store, window).pieces():
            if not (set(of_piece.inputs) <= set(layout.inputs) and set(of_piece.outputs) <= set(layout.outputs)):
                raise WindowMixed("while it was exported, records of another contract came into the window")
            visible = table if seen is None else _seen_of(of_piece, table, seen)
            waiting.append(_conformed(visible, schema))
            if sum(one.num_rows for one in waiting) >= _ROWS_TOGETHER or sum(map(_size, waiting)) >= _BYTES_TOGETHER:
                writer.write_table(pa.concat_tables(waiting).combine_chunks())
                waiting = []
                yield from outlet.taken()
        if waiting:
            writer.write_table(pa.concat_tables(waiting).combine_chunks())
        writer.close()
        yield from outlet.taken()


class _Run:
    """One pass over a window."""

    def __init__(self, root: Path, store: ArchiveStore, window: Window) -> None:
        self._window = window
        self._spool_root = root / "spool"
        self._spool = Spool(self._spool_root)
        self._catalogue = Catalogue(store)
        self._reader = Reader(root, store)
        self._late = LateAnswers()
        # First what lies in the spool now: what becomes Parquet meanwhile is looked for there at the end.
        self._in_spool = [(front, number) for front in self._spool.fronts() for number in self._numbers(front)]
        self._late_keys = self._keys_of_late_answers()
        self._done: set[tuple[int, int]] = set()

    def layouts(self) -> Iterator[RowLayout]:
        """Of everything that `pieces` gives."""
        for place in self._places():
            layout = self._catalogue.look(place, lambda file: file.facts.layout, None)
            if layout is not None:
                yield layout
        for folder in {place.rsplit("/", 1)[0] for place in self._late_places()}:
            for name in self._catalogue.store.names(folder):
                layout = self._catalogue.look(f"{folder}/{name}", lambda file: file.facts.layout, None)
                if layout is not None:
                    yield RowLayout((), layout.outputs)
        for records in self._spooled():
            seen = {row_layout_of(record) or RowLayout() for record in records}
            yield from seen

    def pieces(self) -> Iterator[_Piece]:
        """Tables of at most a row group each, with the layout by which they are read."""
        for place in self._places():
            yield from self._of_file(place)
        for records in self._spooled():
            yield from _tables_of(records)

    def _places(self) -> Iterator[str]:
        window, catalogue = self._window, self._catalogue
        for folder in catalogue.hours(window.endpoint, newest_first=False, from_ns=window.from_ns, to_ns=window.to_ns):
            for front, segment, place in catalogue.files_in(folder):
                self._done.add((front, segment))
                yield place
        for front, segment in catalogue.flat.segments(window.endpoint):
            self._done.add((front, segment))
            yield from catalogue.flat.rows(front, segment, window.endpoint)

    def _late_places(self) -> Iterator[str]:
        """One file of late answers of each folder of the endpoint."""
        top = f"_late/{self._window.endpoint}"
        for front in self._catalogue.store.names(top):
            for folder in self._catalogue.store.names(f"{top}/{front[:-1]}"):
                yield f"{top}/{front[:-1]}/{folder[:-1]}/any"

    def _of_file(self, place: str) -> Iterator[_Piece]:
        try:
            file = self._catalogue.open(place)
            for group in range(file.groups):
                times = file.times_of(group)
                if times is not None and (times[0] >= self._window.to_ns or times[1] < self._window.from_ns):
                    continue
                yield from self._of_group(file, group)
        except FileNotFoundError:  # retention took it
            return
        except ArchiveFileDamaged as error:
            log.error("archive.file_damaged", path=place, error=error.message)
            raise

    def _of_group(self, file: ArchiveFile, group: int) -> Iterator[_Piece]:
        layout = file.facts.layout
        table = file.read_group(group)
        table = table.filter(self._wanted(table))
        if not table.num_rows:
            return
        if not self._has_late(table):
            yield layout, table
            return
        yield from _tables_of(self._reader.with_late(records_of(layout, table)))

    def _wanted(self, table: pa.Table) -> Any:
        arrived = table.column("received_at").cast("int64")
        within = pc.and_(pc.greater_equal(arrived, self._window.from_ns), pc.less(arrived, self._window.to_ns))
        return pc.and_(within, pc.equal(table.column("project"), self._window.project))

    def _has_late(self, table: pa.Table) -> bool:
        """Whether there may be answers that are not in the rows."""
        ids = [request_id_bytes(text) for text in table.column("request_id").to_pylist()]
        if len(self._late_keys) and np.isin(np.array([key_of(one) for one in ids], np.uint64), self._late_keys).any():
            return True
        targets = {(place.front, place.segment) for place in map(place_of, ids)}
        return any(
            self._catalogue.late_to(self._window.endpoint, front, segment)
            or next(self._catalogue.flat.late(self._window.endpoint, front, segment), None)
            for front, segment in targets
        )

    def _numbers(self, front: int) -> list[int]:
        return list(segments_in(self._spool_root / str(front)))

    def _keys_of_late_answers(self) -> Any:
        found = [keys for front in self._spool.fronts() for keys in self._late.keys(self._spool_root / str(front))]
        return np.concatenate(found) if found else np.array([], np.uint64)

    def _spooled(self) -> Iterator[list[Record]]:
        """Records of the segments that were in the spool when the pass began, wherever they are now."""
        for front, number in self._in_spool:
            if (front, number) in self._done:
                continue
            decided = self._spool.decided_in(front, number, self._window.endpoint)
            if decided is None:  # it became Parquet
                for place in self._catalogue.rows_of(self._window.endpoint, front, number):
                    for layout, table in self._of_file(place):
                        yield records_of(layout, table)
                continue
            part: list[Record] = []
            for event in decided:
                within = self._window.from_ns <= event.received_ns < self._window.to_ns
                if within and event.project == self._window.project:
                    part.append(Record(decided=event))
                if len(part) == _RECORDS_TOGETHER:
                    yield self._reader.with_late(part, spooled=True)
                    part = []
            if part:
                yield self._reader.with_late(part, spooled=True)


def _tables_of(records: Sequence[Record]) -> Iterator[_Piece]:
    by_layout: dict[RowLayout, list[Record]] = {}
    for record in records:
        by_layout.setdefault(row_layout_of(record) or RowLayout(), []).append(record)
    for layout, members in by_layout.items():
        yield layout, table_of(layout, members)


def _seen_of(layout: RowLayout, table: pa.Table, seen: Seen) -> pa.Table:
    return table.filter(pa.array([seen(record) for record in records_of(layout, table)], pa.bool_()))


def _merged(layouts: Iterator[RowLayout]) -> RowLayout:
    sides: dict[str, dict[str, Any]] = {"inputs": {}, "outputs": {}}
    for layout in set(layouts):
        for side, fields in (("inputs", layout.inputs), ("outputs", layout.outputs)):
            for one in fields:
                known = sides[side].setdefault(one.name, one)
                if known != one:
                    raise WindowMixed(
                        f"in the window the {side[:-1]} {one.name} is {known.datatype} {list(known.shape)} "
                        f"and {one.datatype} {list(one.shape)}",
                        field=one.name,
                        side=side,
                    )
    inputs: Layout = tuple(sides["inputs"].values())
    outputs: Layout = tuple(sides["outputs"].values())
    return RowLayout(inputs, outputs)


def _size(table: pa.Table) -> int:
    return int(table.nbytes)


def _conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the columns and fields of the schema; what it lacks is null, or what its absence stands for."""
    table = table.combine_chunks()
    columns = []
    for field in schema:
        if field.name in table.column_names:
            column = table.column(field.name)
            array = column.chunk(0) if column.num_chunks else pa.nulls(0, field.type)
            columns.append(_array_of(array, field.type))
        else:
            absent = ABSENT.get(field.name)
            columns.append(pa.array([absent] * table.num_rows, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _array_of(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if array.type == kind:
        return array
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), kind)
    if pa.types.is_struct(kind):
        there = {field.name for field in array.type}
        children = [
            _array_of(pc.struct_field(array, field.name), field.type)
            if field.name in there
            else pa.nulls(len(array), field.type)
            for field in kind
        ]
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=array.is_null())
    if pa.types.is_list(kind):
        lengths = pc.fill_null(array.value_lengths(), 0).to_numpy(zero_copy_only=False)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        return pa.ListArray.from_arrays(
            pa.array(offsets), _array_of(array.flatten(), kind.value_type), type=kind, mask=array.is_null()
        )
    return array.cast(kind)


class _Outlet:
    """Takes what a writer of Parquet writes and hands it on."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._at = 0
        self.closed = False

    def write(self, data: bytes) -> int:
        """Take some bytes."""
        self._parts.append(bytes(data))
        self._at += len(data)
        return len(data)

    def tell(self) -> int:
        """How many were taken so far."""
        return self._at

    def flush(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """No more will come."""
        self.closed = True

    def taken(self) -> Iterator[bytes]:
        """What was taken since the last time."""
        parts, self._parts = self._parts, []
        if parts:
            yield b"".join(parts)
