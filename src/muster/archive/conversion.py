"""One segment becomes Parquet files: its decisions with their late answers, and the late answers of earlier ones.

Which late answers are in the rows is decided by place and not by time: each file notes up to which segment and byte
they were looked for. Segments of a front are compacted in order, so whoever compacts a later one can look that up.

The order of what is written makes a kill at any line harmless: a local note of the files to come, the files, the entry
of the index, and only then the segment goes. While it is there, all of it is done anew, and what an earlier try left
under other names is removed.
"""

import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa
import structlog

from muster.archive.catalogue import Catalogue
from muster.archive.disk import sync_folder
from muster.archive.files import (
    ROWS_PER_GROUP,
    FileFacts,
    NewFile,
    hour_of,
    late_place,
    recovered_place,
    rows_place,
)
from muster.archive.index import AccountedEntry, CountsEntry, FileEntry, IndexEntry, Kind
from muster.archive.late import LateAnswers, LatePlace
from muster.archive.layout import NO_LINK, Damage, Segment, decoded, read_head, read_segment, request_of
from muster.archive.records import Record
from muster.archive.rows import RowLayout, late_layout_of, late_table_of, row_layout_of, table_of
from muster.archive.segments import CLOSED, set_aside
from muster.vocabulary.request_ids import place_of, request_id_text
from muster.wire.records import Accounted, AnsweredLate, Decided, Event, Recovered

_RECOVERED_SCHEMA = pa.schema(
    [
        pa.field("front", pa.int64()),
        pa.field("at", pa.timestamp("ns", "UTC")),
        pa.field("segment", pa.int64()),
        pa.field("events", pa.int64()),
        pa.field("cut_bytes", pa.int64()),
    ]
)
#: How the notes of what a compaction is about to put are called.
INTENT = ".intent"
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """A segment that left the spool."""

    front: int
    segment: int
    requests: int
    late: int
    """Late answers that went to side files."""
    files: tuple[str, ...]
    """Their places in the store."""
    damages: tuple[Damage, ...]
    """What could not be read; if there is any, the segment was not removed but set aside."""


class SegmentChanged(Exception):
    """A late answer that was joined is not there any more: its front ran out of space and took it back. Try again."""


@dataclass(slots=True)
class _Contents:
    """What lies in a segment, as far as it can be told without decoding it."""

    decisions: dict[bytes, tuple[int, int]]
    """Frame of the decision about each request."""
    late: dict[bytes, list[tuple[int, int]]]
    recovered: list[Recovered]
    accounted: Accounted | None
    decided: Counter[str]
    """Decisions per endpoint."""
    decided_before: Counter[str]
    """… before the last `accounted`."""
    doubled: int


class Conversion:
    """The way of one closed segment.

    Args:
        catalogue: of the store that the files go to.
        scratch: folder on this machine for files that are being written.
        path: the segment.
        late: finds late answers in the segments of a front.
        late_until_ns: segments that were created later hold no late answers that are still joined.

    Raises:
        SegmentDamaged: nothing in it can be read.
    """

    def __init__(
        self, catalogue: Catalogue, scratch: Path, path: Path, late: LateAnswers, *, late_until_ns: int
    ) -> None:
        self._catalogue = catalogue
        self._scratch = scratch
        self._path = path
        self._late = late
        self._late_until_ns = late_until_ns
        self._segment = read_segment(path)
        self._front = self._segment.header.front
        self._number = self._segment.header.segment
        self._damages = list(self._segment.damages)
        if not self._damages and not self._segment.is_as_sealed:
            self._damages.append(Damage(offset=0, length=len(self._segment.data), reason="it is not what was sealed"))
        self._files: list[tuple[NewFile, Callable[[int], str]]] = []
        self._late_counts: Counter[str] = Counter()
        self._entries_seen: dict[int, list[IndexEntry]] = {}
        self._ids_seen: dict[str, frozenset[str]] = {}

    def run(self) -> Compacted:
        """Write all files, put them into the store, remove the segment."""
        contents = self._sorted_out()
        through, late_ones, joined = self._late_answers(contents)
        remaining = [
            LatePlace(self._path, frame, bytes(self._segment.data[frame[0] : frame[1]]), settled=True)
            for request_id, frames in contents.late.items()
            if request_id not in contents.decisions
            for frame in frames
        ]
        try:
            requests = self._write_rows(contents, late_ones, through)
            late = self._write_late(remaining, through)
            self._write_recovered(contents.recovered, through)
            for file, _ in self._files:
                file.finish()
            _check_joined(joined)
            places = self._publish(contents, through)
        except BaseException:
            for file, _ in self._files:
                with suppress(OSError, pa.ArrowException):
                    file.discard()
            raise
        if self._damages:
            kept = set_aside(self._path)
            log.error("archive.segment_damaged", path=str(kept), damages=[damage.reason for damage in self._damages])
        else:
            self._path.unlink()
            sync_folder(self._path.parent)
        _intent_path(self._scratch, self._front, self._number).unlink(missing_ok=True)
        return Compacted(
            front=self._front,
            segment=self._number,
            requests=requests,
            late=late,
            files=places,
            damages=tuple(self._damages),
        )

    def _sorted_out(self) -> _Contents:
        found = _Contents({}, {}, [], None, Counter(), Counter(), 0)
        data = self._segment.data
        for frame in self._segment.frames:
            payload = data[frame[0] : frame[1]]
            known = request_of(payload)
            if known is None:
                event = self._event(payload, frame[0])
                if isinstance(event, Recovered):
                    found.recovered.append(event)
                elif isinstance(event, Accounted):
                    found.accounted = event
                    found.decided_before = Counter(found.decided)
            elif known[0]:
                head = read_head(payload)
                if head is not None:
                    found.decided[head.endpoint] += 1
                if known[1] in found.decisions:
                    found.doubled += 1
                else:
                    found.decisions[known[1]] = frame
            else:
                found.late.setdefault(known[1], []).append(frame)
        return found

    def _late_answers(
        self, contents: _Contents
    ) -> tuple[tuple[int, int], dict[bytes, list[LatePlace]], list[LatePlace]]:
        """Late answers to the requests of this segment, here and in later ones, and up to where they were looked for."""
        data, decisions = self._segment.data, contents.decisions
        late_ones = {
            request_id: [
                LatePlace(self._path, frame, bytes(data[frame[0] : frame[1]]), settled=True) for frame in frames
            ]
            for request_id, frames in contents.late.items()
            if request_id in decisions
        }
        until = self._late_until_ns
        through = (self._number, len(data))
        joined: list[LatePlace] = []
        for number, good_end, found in self._late.to(decisions, self._path.parent, self._number, until):
            for request_id, place in found:
                late_ones.setdefault(request_id, []).append(place)
                joined.append(place)
            through = (number, good_end)
        return through, late_ones, joined

    def _event(self, payload: bytes, offset: int) -> Event | None:
        """The event; None, and a damage noted, when it is none that this version knows."""
        try:
            return decoded(payload)
        except msgspec.MsgspecError as error:
            self._damages.append(
                Damage(offset=offset, length=len(payload), reason=f"no event of this version: {error}")
            )
            return None

    def _write_rows(
        self, contents: _Contents, late_ones: dict[bytes, list[LatePlace]], through: tuple[int, int]
    ) -> int:
        groups = _Groups(lambda key: self._rows_file(key, through))
        count = 0
        data = self._segment.data
        for request_id in sorted(contents.decisions):
            start, end = contents.decisions[request_id]
            decided = self._event(data[start:end], start)
            if not isinstance(decided, Decided):
                continue
            late: tuple[AnsweredLate, ...] = ()
            if request_id in late_ones:
                found = [self._event(place.payload, place.frame[0]) for place in late_ones[request_id]]
                late = tuple(event for event in found if isinstance(event, AnsweredLate))
                self._late_counts[decided.endpoint] += len(late)
            groups.add(Record(decided=decided, late=late))
            count += 1
        groups.flush()
        return count

    def _write_late(self, places: list[LatePlace], through: tuple[int, int]) -> int:
        by_file: dict[tuple[str, int, RowLayout], list[AnsweredLate]] = {}
        count = 0
        for place in places:
            event = self._event(place.payload, place.frame[0])
            if not isinstance(event, AnsweredLate) or self._is_in_a_row(event, place.frame[0]):
                continue
            count += 1
            self._late_counts[event.endpoint] += 1
            key = (event.endpoint, place_of(event.request_id).segment, late_layout_of(event) or RowLayout())
            by_file.setdefault(key, []).append(event)
        for (endpoint, target, layout), members in by_file.items():
            members.sort(key=lambda event: event.request_id)
            file = self._new_file(layout.late_schema(), layout, through, "late", endpoint)
            self._files.append((file, self._late_place_of(endpoint, target)))
            file.write(late_table_of(layout, members), late=len(members))
        return count

    def _late_place_of(self, endpoint: str, target: int) -> Callable[[int], str]:
        return lambda part: late_place(endpoint, self._front, target, self._number, part)

    def _is_in_a_row(self, event: AnsweredLate, offset: int) -> bool:
        """An earlier compaction found this answer in time and wrote it into the row of its request."""
        here, text = (self._number, offset), request_id_text(event.request_id)
        target = place_of(event.request_id).segment
        for segment in range(target, min(self._number, target + _MOST_SEGMENTS_ON_THE_WAY)):
            if segment not in self._entries_seen:
                self._entries_seen[segment] = self._catalogue.entries(self._front, segment)
            for entry in self._entries_seen[segment]:
                if here < entry.joined and any(
                    file.kind == "rows"
                    and file.endpoint == event.endpoint
                    and file.first <= text <= file.last
                    and text in self._ids_in(file.place)
                    for file in entry.files
                ):
                    return True
            for place in self._catalogue.flat.rows(self._front, segment, event.endpoint):
                facts = self._catalogue.look(place, lambda file: file.facts, None)
                if facts is not None and here < facts.joined and text in self._ids_in(place):
                    return True
        return False

    def _ids_in(self, place: str) -> frozenset[str]:
        if place not in self._ids_seen:
            read: frozenset[str] = self._catalogue.look(place, lambda file: frozenset(file.request_ids()), frozenset())
            self._ids_seen[place] = read
        return self._ids_seen[place]

    def _write_recovered(self, events: list[Recovered], through: tuple[int, int]) -> None:
        if not events:
            return
        file = self._new_file(_RECOVERED_SCHEMA, RowLayout(), through, "recovered", "")
        self._files.append((file, lambda part: recovered_place(self._front, self._number, part)))
        columns = [
            [self._front] * len(events),
            [event.at_ns for event in events],
            [event.segment for event in events],
            [event.events for event in events],
            [event.cut_bytes for event in events],
        ]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, _RECOVERED_SCHEMA, strict=True)]
        file.write(pa.Table.from_arrays(arrays, schema=_RECOVERED_SCHEMA))

    def _rows_file(self, key: "_Key", through: tuple[int, int]) -> NewFile:
        endpoint, hour, layout = key
        file = self._new_file(layout.schema(), layout, through, "rows", endpoint)
        self._files.append((file, lambda part: rows_place(endpoint, hour, self._front, self._number, part)))
        return file

    def _new_file(
        self, schema: pa.Schema, layout: RowLayout, through: tuple[int, int], kind: Kind, endpoint: str
    ) -> NewFile:
        seal = self._segment.seal
        facts = FileFacts(
            front=self._front,
            segment=self._number,
            created_ns=self._segment.header.created_ns,
            joined=through,
            layout=layout,
            link=self._segment.link or NO_LINK,
            previous=seal.previous if seal is not None else NO_LINK,
        )
        return NewFile(self._scratch, schema, facts, kind=kind, endpoint=endpoint, number=len(self._files))

    def _publish(self, contents: _Contents, through: tuple[int, int]) -> tuple[str, ...]:
        """Put all files into the store and enter them into the index; remove what a killed compaction had put."""
        index, store = self._catalogue.index, self._catalogue.store
        part, earlier = index.place_for(self._front, self._number, self._segment.header.created_ns)
        intent = _intent_path(self._scratch, self._front, self._number)
        left = {file.place for file in earlier.files} if earlier is not None else set()
        left |= _intended(intent)
        files: list[tuple[NewFile, FileEntry]] = []
        taken: set[str] = set()
        for file, place_of_part in self._files:
            number = 0
            # A name can be taken by a segment of the same number only if somebody emptied the spool by hand.
            while (place := place_of_part(number)) in taken or (
                part > 0 and place not in left and store.size(place) is not None
            ):
                number += 1
            taken.add(place)
            files.append((file, file.entry(place)))
        _note_intent(intent, left | taken)
        for file, entry in files:
            store.put(file.path, entry.place)
        index.add(self._entry_of(contents, through, tuple(entry for _, entry in files)), part)
        for place in left - taken:
            store.remove(place)
        return tuple(entry.place for _, entry in files)

    def _entry_of(self, contents: _Contents, through: tuple[int, int], files: tuple[FileEntry, ...]) -> IndexEntry:
        segment, seal = self._segment, self._segment.seal
        previous = seal.previous if seal is not None else NO_LINK
        return IndexEntry(
            front=self._front,
            segment=self._number,
            created_ns=segment.header.created_ns,
            segment_format=segment.header.format,
            bytes=len(segment.data),
            events=len(segment.frames),
            digest=seal.digest.hex() if seal is not None else "",
            previous_segment=previous.segment,
            previous=previous.digest.hex(),
            decided=dict(sorted(contents.decided.items())),
            late=dict(sorted(self._late_counts.items())),
            doubled=contents.doubled,
            joined=through,
            accounted=accounted_entry(contents.accounted, contents.decided_before),
            damages=tuple(damage.reason for damage in self._damages),
            files=files,
        )


#: Segments between the arrival of a request and its decision, at most.
_MOST_SEGMENTS_ON_THE_WAY = 64
#: Endpoint, hour of arrival and layout: what is together in a file.
_Key = tuple[str, int, RowLayout]


class _Groups:
    """Collects records by endpoint, hour and layout, and writes each group's rows when there are enough for a row group."""

    def __init__(self, new_file: Callable[[_Key], NewFile]) -> None:
        self._new_file = new_file
        self._files: dict[_Key, NewFile] = {}
        self._records: dict[_Key, list[Record]] = {}

    def add(self, record: Record) -> None:
        """Take a record in."""
        layout = row_layout_of(record) or RowLayout()
        key = (record.decided.endpoint, hour_of(record.decided.received_ns), layout)
        members = self._records.setdefault(key, [])
        members.append(record)
        if len(members) == ROWS_PER_GROUP:
            self._write(key)

    def flush(self) -> None:
        """Write what is left. Records without any outputs go to the file of their inputs that has outputs."""
        for key in list(self._records):
            endpoint, hour, layout = key
            fuller = next(
                (
                    other
                    for other in self._records
                    if other[:2] == (endpoint, hour) and other[2].inputs == layout.inputs and other[2].outputs
                ),
                key,
            )
            if layout.inputs and not layout.outputs and fuller != key and key not in self._files:
                together = [*self._records.pop(key), *self._records[fuller]]
                self._records[fuller] = sorted(together, key=lambda record: record.decided.request_id)
        for key in self._records:
            self._write(key)

    def _write(self, key: _Key) -> None:
        members = self._records[key]
        if not members:
            return
        if key not in self._files:
            self._files[key] = self._new_file(key)
        self._files[key].write(table_of(key[2], members), late=sum(len(record.late) for record in members))
        self._records[key] = []


def accounted_entry(event: Accounted | None, before: Counter[str]) -> AccountedEntry | None:
    """For the index."""
    if event is None:
        return None
    return AccountedEntry(
        epoch=event.epoch,
        at_ns=event.at_ns,
        counts=tuple(
            CountsEntry(
                endpoint=one.endpoint,
                since=one.since,
                received=one.received,
                recorded=one.recorded,
                dropped=one.dropped,
                refused=one.refused,
                unanswered=one.unanswered,
            )
            for one in event.counts
        ),
        decided_before=dict(sorted(before.items())),
    )


def last_deadline(segment: Segment, closed_ns: int) -> int:
    """When the last deadline of its requests was over; never before it was closed."""
    last = closed_ns
    for frame in segment.frames:
        head = read_head(segment.data[frame[0] : frame[1]])
        if head is not None:
            # From the closing at most: a clock that ran ahead must not keep a segment for years.
            last = max(last, min(head.received_ns, closed_ns) + head.deadline_ns)
    return last


def _intent_path(scratch: Path, front: int, segment: int) -> Path:
    return scratch / f"{front}-{segment:08d}{INTENT}"


def _intended(path: Path) -> set[str]:
    """Where an earlier try meant to put files."""
    try:
        return set(msgspec.json.decode(path.read_bytes(), type=list[str]))
    except (FileNotFoundError, msgspec.MsgspecError):
        return set()


def _note_intent(path: Path, places: set[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".note")
    with fresh.open("wb") as stream:
        stream.write(msgspec.json.encode(sorted(places)))
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


def _check_joined(joined: list[LatePlace]) -> None:
    """See that what was joined from a segment that is still open has stayed."""
    checked: dict[Path, bytes] = {}
    for place in joined:
        if place.settled:
            continue
        if place.path not in checked:
            checked[place.path] = _bytes_now(place.path)
        start, end = place.frame
        if checked[place.path][start:end] != place.payload:
            raise SegmentChanged


def _bytes_now(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return path.with_suffix(CLOSED).read_bytes()
