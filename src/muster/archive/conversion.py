"""One segment becomes Parquet files: its decisions with their late answers, and the late answers of earlier ones.

Which late answers are in the rows is decided by place and not by time: each file notes up to which segment and byte
they were looked for. Segments of a front are compacted in order, so whoever compacts a later one can look that up.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa
import structlog

from muster.archive.disk import sync_folder
from muster.archive.errors import ArchiveFileDamaged, SegmentDamaged
from muster.archive.files import (
    RECOVERED_FOLDER,
    ROWS_PER_GROUP,
    ArchiveFile,
    FileFacts,
    NewFile,
    PathOfPart,
    endpoint_folders,
    existing_parts,
    late_path,
    rows_path,
)
from muster.archive.layout import Damage, Segment, read_head, read_segment, request_of
from muster.archive.records import Record
from muster.archive.rows import RowLayout, late_layout_of, late_table_of, row_layout_of, table_of
from muster.archive.segments import CLOSED, segments_in, set_aside
from muster.vocabulary.request_ids import place_of, request_id_text
from muster.wire.records import AnsweredLate, Decided, Recovered

_RECOVERED_SCHEMA = pa.schema(
    [
        pa.field("front", pa.int64()),
        pa.field("at", pa.timestamp("ns", "UTC")),
        pa.field("segment", pa.int64()),
        pa.field("events", pa.int64()),
        pa.field("cut_bytes", pa.int64()),
    ]
)
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """A segment that left the spool."""

    front: int
    segment: int
    requests: int
    late: int
    """Late answers that went to side files."""
    files: tuple[Path, ...]
    damages: tuple[Damage, ...]
    """What could not be read; if there is any, the segment was not removed but set aside."""


class SegmentChanged(Exception):
    """A late answer that was joined is not there any more: its front ran out of space and took it back. Try again."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an event lies."""

    segment: Segment
    frame: tuple[int, int]


class Conversion:
    """The way of one closed segment.

    Args:
        root: where the Parquet files go.
        front: whose segment.
        number: of the segment.
        path: the segment.
        settle_ns: how long after its last deadline late answers are still looked for.

    Raises:
        SegmentDamaged: nothing in it can be read.
    """

    def __init__(self, root: Path, front: int, number: int, path: Path, settle_ns: int) -> None:
        self._root = root
        self._front = front
        self._number = number
        self._path = path
        self._settle_ns = settle_ns
        self._segment = read_segment(path)
        self._damages = list(self._segment.damages)
        self._files: list[tuple[NewFile, PathOfPart, Path]] = []
        self._joined: list[_Place] = []

    def run(self) -> Compacted:
        """Write all files, publish them, remove the segment."""
        decisions, own_late, recovered = self._sorted_out()
        through, late_ones = self._late_answers(decisions, own_late)
        remaining = [
            place for request_id, places in own_late.items() if request_id not in decisions for place in places
        ]
        try:
            requests = self._write_rows(decisions, late_ones, through)
            late = self._write_late(remaining, through)
            self._write_recovered(recovered, through)
            for file, _, _ in self._files:
                file.finish()
            self._check_joined()
            files = self._publish()
        except BaseException:
            for file, _, _ in self._files:
                with suppress(OSError, pa.ArrowException):
                    file.discard()
            raise
        if self._damages:
            kept = set_aside(self._path)
            log.error("archive.segment_damaged", path=str(kept), damages=[damage.reason for damage in self._damages])
        else:
            self._path.unlink()
            sync_folder(self._path.parent)
        return Compacted(
            front=self._front,
            segment=self._number,
            requests=requests,
            late=late,
            files=files,
            damages=tuple(self._damages),
        )

    def _sorted_out(self) -> tuple[dict[bytes, _Place], dict[bytes, list[_Place]], list[Recovered]]:
        decisions: dict[bytes, _Place] = {}
        late: dict[bytes, list[_Place]] = {}
        recovered: list[Recovered] = []
        for frame in self._segment.frames:
            known = request_of(self._segment.data[frame[0] : frame[1]])
            if known is None:
                event = self._event(_Place(self._segment, frame))
                if isinstance(event, Recovered):
                    recovered.append(event)
            elif known[0]:
                decisions.setdefault(known[1], _Place(self._segment, frame))
            else:
                late.setdefault(known[1], []).append(_Place(self._segment, frame))
        return decisions, late, recovered

    def _late_answers(
        self, decisions: dict[bytes, _Place], own: dict[bytes, list[_Place]]
    ) -> tuple[tuple[int, int], dict[bytes, list[_Place]]]:
        """Late answers to the requests of this segment, here and in later ones, and up to where they were looked for."""
        late_ones = {request_id: list(places) for request_id, places in own.items() if request_id in decisions}
        through = (self._number, len(self._segment.data))
        until = last_deadline(self._segment, self._path.stat().st_mtime_ns) + self._settle_ns
        for number, path in segments_in(self._path.parent).items():
            if number <= self._number:
                continue
            try:
                later = read_segment(path)
            except (FileNotFoundError, SegmentDamaged):
                break
            if later.header.created_ns > until:
                break
            for frame in later.frames:
                known = request_of(later.data[frame[0] : frame[1]])
                if known is not None and not known[0] and known[1] in decisions:
                    place = _Place(later, frame)
                    late_ones.setdefault(known[1], []).append(place)
                    self._joined.append(place)
            through = (number, later.good_end)
        return through, late_ones

    def _event(self, place: _Place) -> Decided | AnsweredLate | Recovered | None:
        """The event; None, and a damage noted, when it is none that this version knows."""
        try:
            return place.segment.event(place.frame)
        except msgspec.MsgspecError as error:
            start, end = place.frame
            if place.segment is self._segment:
                self._damages.append(Damage(offset=start, length=end - start, reason=f"no event of format 1: {error}"))
            return None

    def _write_rows(
        self, decisions: dict[bytes, _Place], late_ones: dict[bytes, list[_Place]], through: tuple[int, int]
    ) -> int:
        groups = _Groups(lambda layout, endpoint: self._rows_file(layout, endpoint, through))
        count = 0
        for request_id in sorted(decisions):
            decided = self._event(decisions[request_id])
            if not isinstance(decided, Decided):
                continue
            found = [self._event(place) for place in late_ones.get(request_id, ())]
            late = tuple(event for event in found if isinstance(event, AnsweredLate))
            groups.add(Record(decided=decided, late=late))
            count += 1
        groups.flush()
        return count

    def _write_late(self, places: list[_Place], through: tuple[int, int]) -> int:
        events = [
            event
            for place in places
            if isinstance(event := self._event(place), AnsweredLate) and not self._is_in_a_row(event, place)
        ]
        by_file: dict[tuple[str, RowLayout], list[AnsweredLate]] = {}
        for event in sorted(events, key=lambda event: event.request_id):
            by_file.setdefault((event.endpoint, late_layout_of(event) or RowLayout()), []).append(event)
        for (endpoint, layout), members in by_file.items():
            file = self._new_file(layout.late_schema(), layout, through, late_path, self._root / endpoint)
            file.write(late_table_of(layout, members))
        return len(events)

    def _is_in_a_row(self, event: AnsweredLate, place: _Place) -> bool:
        """An earlier compaction found this answer in time and wrote it into the row of its request."""
        folder = self._root / event.endpoint
        here = (self._number, place.frame[0])
        for segment in range(place_of(event.request_id).segment, self._number):
            for path in existing_parts(rows_path, folder, self._front, segment):
                file = _opened(path)
                if file is not None and here < file.facts.joined and _holds(file, event):
                    return True
        return False

    def _write_recovered(self, events: list[Recovered], through: tuple[int, int]) -> None:
        if not events:
            return
        file = self._new_file(_RECOVERED_SCHEMA, RowLayout(), through, rows_path, self._root / RECOVERED_FOLDER)
        columns = [
            [self._front] * len(events),
            [event.at_ns for event in events],
            [event.segment for event in events],
            [event.events for event in events],
            [event.cut_bytes for event in events],
        ]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, _RECOVERED_SCHEMA, strict=True)]
        file.write(pa.Table.from_arrays(arrays, schema=_RECOVERED_SCHEMA))

    def _rows_file(self, layout: RowLayout, endpoint: str, through: tuple[int, int]) -> NewFile:
        return self._new_file(layout.schema(), layout, through, rows_path, self._root / endpoint)

    def _new_file(
        self, schema: pa.Schema, layout: RowLayout, through: tuple[int, int], path_of: PathOfPart, folder: Path
    ) -> NewFile:
        facts = FileFacts(
            front=self._front,
            segment=self._number,
            created_ns=self._segment.header.created_ns,
            joined=through,
            layout=layout,
        )
        file = NewFile(self._root, schema, facts, len(self._files))
        self._files.append((file, path_of, folder))
        return file

    def _check_joined(self) -> None:
        """See that what was joined from a segment that is still open has stayed."""
        checked: dict[Path, bytes] = {}
        for place in self._joined:
            path = place.segment.path
            if place.segment.closed:
                continue
            if path not in checked:
                checked[path] = _bytes_now(path)
            start, end = place.frame
            if checked[path][start:end] != place.segment.data[start:end]:
                raise SegmentChanged

    def _publish(self) -> tuple[Path, ...]:
        """Give all files their names, after removing those of a compaction of this segment that was killed."""
        created_ns = self._segment.header.created_ns
        for folder in [*endpoint_folders(self._root), self._root / RECOVERED_FOLDER]:
            for path_of in (rows_path, late_path):
                for path in list(existing_parts(path_of, folder, self._front, self._number)):
                    left = _opened(path)
                    if left is None or left.facts.created_ns == created_ns:
                        path.unlink()
        published = []
        for file, target_of, folder in self._files:
            part = 0
            # A name can be taken by a segment of the same number only if somebody emptied the spool by hand.
            while (target := target_of(folder, self._front, self._number, part)).exists():
                part += 1
            file.publish(target)
            published.append(target)
        return tuple(published)


class _Groups:
    """Collects records by endpoint and layout, and writes each group's rows when there are enough for a row group."""

    def __init__(self, new_file: Callable[[RowLayout, str], NewFile]) -> None:
        self._new_file = new_file
        self._files: dict[tuple[str, RowLayout], NewFile] = {}
        self._records: dict[tuple[str, RowLayout], list[Record]] = {}

    def add(self, record: Record) -> None:
        """Take a record in."""
        layout = row_layout_of(record) or RowLayout()
        key = (record.decided.endpoint, layout)
        members = self._records.setdefault(key, [])
        members.append(record)
        if len(members) == ROWS_PER_GROUP:
            self._write(key)

    def flush(self) -> None:
        """Write what is left. Records without any outputs go to the file of their inputs that has outputs."""
        for key in list(self._records):
            endpoint, layout = key
            fuller = next(
                (
                    other
                    for other in self._records
                    if other[0] == endpoint and other[1].inputs == layout.inputs and other[1].outputs
                ),
                key,
            )
            if layout.inputs and not layout.outputs and fuller != key and key not in self._files:
                together = [*self._records.pop(key), *self._records[fuller]]
                self._records[fuller] = sorted(together, key=lambda record: record.decided.request_id)
        for key in self._records:
            self._write(key)

    def _write(self, key: tuple[str, RowLayout]) -> None:
        members = self._records[key]
        if not members:
            return
        if key not in self._files:
            self._files[key] = self._new_file(key[1], key[0])
        self._files[key].write(table_of(key[1], members))
        self._records[key] = []


def last_deadline(segment: Segment, closed_ns: int) -> int:
    """When the last deadline of its requests was over; never before it was closed."""
    last = closed_ns
    for frame in segment.frames:
        head = read_head(segment.data[frame[0] : frame[1]])
        if head is not None:
            # From the closing at most: a clock that ran ahead must not keep a segment for years.
            last = max(last, min(head.received_ns, closed_ns) + head.deadline_ns)
    return last


def _opened(path: Path) -> ArchiveFile | None:
    try:
        return ArchiveFile(path)
    except ArchiveFileDamaged as error:
        log.error("archive.file_damaged", path=str(path), error=str(error))
        return None


def _holds(file: ArchiveFile, event: AnsweredLate) -> bool:
    text = request_id_text(event.request_id)
    return any(
        text in file.read_group(group, ["request_id"]).column("request_id").to_pylist()
        for group in file.groups_with(text)
    )


def _bytes_now(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return path.with_suffix(CLOSED).read_bytes()
