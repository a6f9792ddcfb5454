"""Reads decision records wherever they lie: in segments that a front writes to, in closed ones, in Parquet.

A request id names its front and the segment that was open when it arrived, so one request is found without an index.
The spool is looked at before the Parquet files: compaction publishes those before it removes a segment, so a record is
always in one of the two.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
import pyarrow.compute as pc
import structlog

from muster.archive.errors import ArchiveFileDamaged, SegmentDamaged
from muster.archive.files import (
    LATE_FOLDER,
    ArchiveFile,
    endpoint_folders,
    existing_parts,
    late_path,
    rows_path,
    segments_present,
)
from muster.archive.layout import (
    HEADER_BYTES,
    Segment,
    SegmentHeader,
    decoded,
    frames_about,
    frames_with,
    parse_segment,
    read_head,
    read_header,
    request_of,
)
from muster.archive.records import Record
from muster.archive.rows import lates_of, records_of
from muster.archive.segments import CLOSED, segments_in
from muster.vocabulary.request_ids import place_of, request_id_bytes, request_id_text
from muster.wire.records import AnsweredLate, Decided, VariantAnswer

_SECOND = 1_000_000_000
#: A request waits in its front no longer than this; so the segment it is decided in was created no later.
_LONGEST_WAIT_NS = 600 * _SECOND
#: Late answers are looked for in side files of segments that were created up to this long after the decision.
_LATEST_ANSWER_NS = 86_400 * _SECOND
#: Segments after the one of a request's arrival whose Parquet files are looked at.
_LOOKAHEAD = 64
log = structlog.get_logger()


class Reader:
    """Finds records; stateless, so any number of processes may read while fronts write and compaction runs.

    Args:
        root: the archive's folder, with `spool/` and `parquet/` in it.
    """

    def __init__(self, root: Path) -> None:
        self._spool = root / "spool"
        self._root = root / "parquet"

    def find(self, request_id: str) -> Record | None:
        """The record of a request; None when the archive has none.

        Raises:
            RequestIdMalformed: it is not a request id.
        """
        wanted = request_id_bytes(request_id)
        # Twice: a folder that is listed while a segment in it is renamed may show neither name.
        for _ in range(2):
            found = self._record_in_spool(wanted) or self._record_in_files(wanted)
            if found is not None:
                return self._with_late([found[1]], found[0])[0]
        return None

    def last(self, endpoint: str, n: int) -> list[Record]:
        """The newest records of an endpoint, the newest first."""
        if n <= 0:
            return []
        found: dict[bytes, tuple[int, Record]] = {}
        for front in sorted({*self._fronts(), *segments_present(self._root / endpoint)}):
            count = 0
            for segment, record in self._newest_first(front, endpoint, n):
                if record.decided.request_id not in found:
                    found[record.decided.request_id] = (segment, record)
                    count += 1
                if count == n:
                    break
        newest = sorted(found.values(), key=lambda item: item[1].decided.decided_ns, reverse=True)[:n]
        by_front: dict[int, list[tuple[int, Record]]] = {}
        for segment, record in newest:
            by_front.setdefault(place_of(record.decided.request_id).front, []).append((segment, record))
        complete = {
            record.decided.request_id: record
            for items in by_front.values()
            for record in self._with_late([record for _, record in items], min(segment for segment, _ in items))
        }
        return [complete[record.decided.request_id] for _, record in newest]

    def batch(self, endpoint: str, host: str, batch: int, near: Record) -> list[tuple[Record, VariantAnswer]]:
        """The members of a host's batch that the archive holds, by their position in it.

        They were together on their way, so all of them were decided after `near` arrived. The batch is complete when
        the rows of its members add up to `batch_rows` of their answers.

        Args:
            endpoint: a batch belongs to one endpoint.
            host: id of the host.
            batch: its number on that host.
            near: the record of one member.
        """
        place = place_of(near.decided.request_id)
        until = near.decided.decided_ns + _LONGEST_WAIT_NS
        found = {near.decided.request_id: near}
        wanted: set[bytes] = set()
        needle = msgspec.msgpack.encode(host) + msgspec.msgpack.encode(batch)
        for number, segment in self._segments(place.front, place.segment, until, holding=needle):
            records, others = _members_in(segment, needle, host, batch, endpoint)
            for record in self._with_late(records, number):
                found.setdefault(record.decided.request_id, record)
            wanted |= others
            if _is_complete(found.values(), host, batch):
                break
        else:
            for number, file in self._files(rows_path, self._root / endpoint, place.front, place.segment):
                if file.facts.created_ns > until or _is_complete(found.values(), host, batch):
                    break
                for record in self._with_late(_members_of_file(file, host, batch), number):
                    found.setdefault(record.decided.request_id, record)
            if not _is_complete(found.values(), host, batch):
                wanted |= self._members_of_side_files(endpoint, host, batch, near)
        for request_id in wanted - set(found):
            other = self.find(request_id_text(request_id))
            if other is not None:
                found[request_id] = other
        members = [
            (record, answer)
            for record in found.values()
            if record.decided.endpoint == endpoint and (answer := record.in_batch(host, batch)) is not None
        ]
        return sorted(members, key=lambda member: member[1].position)

    def _fronts(self) -> list[int]:
        try:
            return sorted(int(path.name) for path in self._spool.iterdir() if path.name.isdecimal())
        except FileNotFoundError:
            return []

    def _data(self, front: int, first: int, until_ns: int) -> Iterator[tuple[int, Path, bytes]]:
        """The bytes of a front's segments in the spool, from a number on, up to a time of creation."""
        for number, path in segments_in(self._spool / str(front)).items():
            header = _header(path) if number >= first else None
            if header is None:
                continue
            if header.created_ns > until_ns and number > first + 2:
                return
            data = _read(path)
            if data is not None:
                yield number, path, data

    def _segments(
        self, front: int, first: int, until_ns: int, *, holding: bytes = b""
    ) -> Iterator[tuple[int, Segment]]:
        """The same, parsed; only those that hold some bytes."""
        for number, path, data in self._data(front, first, until_ns):
            segment = _parsed(data, path) if holding in data else None
            if segment is not None:
                yield number, segment

    def _files(
        self, path_of: Callable[[Path, int, int, int], Path], folder: Path, front: int, first: int
    ) -> Iterator[tuple[int, ArchiveFile]]:
        """An endpoint's files of a front, from a segment on, as far as one looks ahead."""
        for number in range(first, first + _LOOKAHEAD):
            for path in existing_parts(path_of, folder, front, number):
                file = _opened(path)
                if file is not None:
                    yield number, file

    def _record_in_spool(self, request_id: bytes) -> tuple[int, Record] | None:
        place = place_of(request_id)
        until = place.at_ms * 1_000_000 + _LONGEST_WAIT_NS
        for number, event in self._events_about(request_id, place.front, place.segment, until):
            if isinstance(event, Decided):
                return number, Record(decided=event)
        return None

    def _events_about(
        self, request_id: bytes, front: int, first: int, until_ns: int
    ) -> Iterator[tuple[int, Decided | AnsweredLate]]:
        """What the spool holds about one request."""
        for number, path, data in self._data(front, first, until_ns):
            for _, (start, end) in frames_about(data, request_id):
                try:
                    event = decoded(data[start:end])
                except msgspec.MsgspecError:
                    log.warning("archive.event_unreadable", path=str(path), offset=start)
                    continue
                if isinstance(event, Decided | AnsweredLate):
                    yield number, event

    def _record_in_files(self, request_id: bytes) -> tuple[int, Record] | None:
        place = place_of(request_id)
        text = request_id_text(request_id)
        for number in range(place.segment, place.segment + _LOOKAHEAD):
            for folder in endpoint_folders(self._root):
                for path in existing_parts(rows_path, folder, place.front, number):
                    file = _opened(path)
                    record = None if file is None else _record_in(file, text)
                    if record is not None:
                        return number, record
        return None

    def _newest_first(self, front: int, endpoint: str, n: int) -> Iterator[tuple[int, Record]]:
        for number, path in reversed(segments_in(self._spool / str(front)).items()):
            data = _read(path)
            segment = None if data is None else _parsed(data, path)
            if segment is None:
                continue
            for frame in reversed(segment.frames):
                head = read_head(segment.data[frame[0] : frame[1]])
                if head is not None and head.endpoint == endpoint:
                    event = _event(segment, frame)
                    if isinstance(event, Decided):
                        yield number, Record(decided=event)
        # Listed only now: a segment that left the spool while it was read is there.
        for number in reversed(segments_present(self._root / endpoint).get(front, [])):
            records: list[Record] = []
            for path in existing_parts(rows_path, self._root / endpoint, front, number):
                file = _opened(path)
                if file is not None:
                    records += _newest_of(file, n)
            for record in sorted(records, key=lambda record: record.decided.decided_ns, reverse=True):
                yield number, record

    def _with_late(self, records: list[Record], first: int) -> list[Record]:
        """Records of one front with the late answers that are not with them yet.

        Args:
            records: all decided in segment `first` or later.
            first: where to begin to look.
        """
        if not records:
            return []
        lates: dict[bytes, list[AnsweredLate]] = {record.decided.request_id: list(record.late) for record in records}
        endpoints = {record.decided.endpoint for record in records}
        front = place_of(records[0].decided.request_id).front
        until = max(record.decided.decided_ns for record in records) + _LATEST_ANSWER_NS
        for endpoint in sorted(endpoints):
            self._add_from_side_files(self._root / endpoint, front, first, until, lates)
        for event in self._late_in_spool(list(lates), front, first, until):
            # Compaction may have written it to a side file while its segment is still there.
            if event not in lates[event.request_id]:
                lates[event.request_id].append(event)
        return [
            Record(
                decided=record.decided,
                late=tuple(sorted(lates[record.decided.request_id], key=lambda event: event.at_ns)),
            )
            for record in records
        ]

    def _late_in_spool(self, ids: list[bytes], front: int, first: int, until_ns: int) -> Iterator[AnsweredLate]:
        if len(ids) == 1:
            for _, about in self._events_about(ids[0], front, first, until_ns):
                if isinstance(about, AnsweredLate):
                    yield about
            return
        wanted = set(ids)
        for _, segment in self._segments(front, first, until_ns):
            for frame in segment.frames:
                known = request_of(segment.data[frame[0] : frame[1]])
                if known is not None and not known[0] and known[1] in wanted:
                    event = _event(segment, frame)
                    if isinstance(event, AnsweredLate):
                        yield event

    def _add_from_side_files(
        self, folder: Path, front: int, first: int, until_ns: int, lates: dict[bytes, list[AnsweredLate]]
    ) -> None:
        texts = {request_id_text(request_id) for request_id in lates}
        for file in self._side_files(folder, front, first):
            if file.facts.created_ns > until_ns:
                return
            if not any(next(file.groups_with(text), None) is not None for text in texts):
                continue
            for event in lates_of(file.facts.layout, file.read()):
                if event.request_id in lates and event not in lates[event.request_id]:
                    lates[event.request_id].append(event)

    def _side_files(self, folder: Path, front: int, first: int) -> Iterator[ArchiveFile]:
        for number in segments_present(folder / LATE_FOLDER).get(front, []):
            if number >= first:
                for path in existing_parts(late_path, folder, front, number):
                    file = _opened(path)
                    if file is not None:
                        yield file

    def _members_of_side_files(self, endpoint: str, host: str, batch: int, near: Record) -> set[bytes]:
        place = place_of(near.decided.request_id)
        return {
            event.request_id
            for file in self._side_files(self._root / endpoint, place.front, place.segment)
            if file.facts.created_ns <= near.decided.decided_ns + _LATEST_ANSWER_NS
            for event in lates_of(file.facts.layout, file.read())
            if event.answer.host == host and event.answer.batch == batch
        }


def _read(path: Path, count: int = -1) -> bytes | None:
    """A segment's first bytes, or all; None when it was compacted in the meantime."""
    for name in (path, path.with_suffix(CLOSED)):
        try:
            with name.open("rb") as stream:
                return stream.read(count)
        except FileNotFoundError:
            continue
    return None


def _header(path: Path) -> SegmentHeader | None:
    start = _read(path, HEADER_BYTES)
    try:
        return None if start is None else read_header(start, path)
    except SegmentDamaged as error:
        log.warning("archive.segment_unreadable", path=str(path), error=str(error))
        return None


def _parsed(data: bytes, path: Path) -> Segment | None:
    try:
        return parse_segment(data, path)
    except SegmentDamaged as error:
        log.warning("archive.segment_unreadable", path=str(path), error=str(error))
        return None


def _event(segment: Segment, frame: tuple[int, int]) -> object:
    try:
        return segment.event(frame)
    except msgspec.MsgspecError:
        return None


def _opened(path: Path) -> ArchiveFile | None:
    try:
        return ArchiveFile(path)
    except FileNotFoundError:
        return None
    except ArchiveFileDamaged as error:
        log.warning("archive.file_damaged", path=str(path), error=str(error))
        return None


def _record_in(file: ArchiveFile, request_id: str) -> Record | None:
    for group in file.groups_with(request_id):
        ids = file.read_group(group, ["request_id"]).column("request_id").to_pylist()
        if request_id in ids:
            row = file.read_group(group).slice(ids.index(request_id), 1)
            return records_of(file.facts.layout, row)[0]
    return None


def _newest_of(file: ArchiveFile, n: int) -> list[Record]:
    times = file.read(["decided_at"]).column("decided_at").cast("int64").to_pylist()
    newest = sorted(range(len(times)), key=times.__getitem__, reverse=True)[:n]
    return records_of(file.facts.layout, file.rows(newest))


def _members_in(
    segment: Segment, needle: bytes, host: str, batch: int, endpoint: str
) -> tuple[list[Record], set[bytes]]:
    """Decisions of the batch in a segment, and the ids of requests whose late answer came from it."""
    records, others = [], set()
    for frame in frames_with(segment.data, needle, segment.frames):
        event = _event(segment, frame)
        if isinstance(event, Decided) and event.endpoint == endpoint:
            if Record(decided=event).in_batch(host, batch) is not None:
                records.append(Record(decided=event))
        elif isinstance(event, AnsweredLate) and (event.answer.host, event.answer.batch) == (host, batch):
            others.add(event.request_id)
    return records, others


def _members_of_file(file: ArchiveFile, host: str, batch: int) -> list[Record]:
    names = [f"{side}.list.element.{name}" for side in ("answers", "late_answers") for name in ("host", "batch")]
    table = file.read([*names, "raw"])
    rows: set[int] = set()
    for side in ("answers", "late_answers"):
        lists = table.column(side).combine_chunks()
        parents = pc.list_parent_indices(lists).to_pylist()
        answers = lists.flatten()
        hosts, batches = answers.field("host").to_pylist(), answers.field("batch").to_pylist()
        rows |= {
            parent
            for parent, of_host, number in zip(parents, hosts, batches, strict=True)
            if of_host == host and number == batch
        }
    rows |= {row for row, raw in enumerate(table.column("raw").to_pylist()) if raw is not None}
    records = records_of(file.facts.layout, file.rows(sorted(rows)))
    return [record for record in records if record.in_batch(host, batch) is not None]


def _is_complete(records: Iterable[Record], host: str, batch: int) -> bool:
    members = [(record, answer) for record in records if (answer := record.in_batch(host, batch)) is not None]
    wanted = max((answer.batch_rows for _, answer in members), default=0)
    return bool(members) and sum(record.decided.rows for record, _ in members) >= wanted
