"""Reads decision records wherever they lie: in segments that a front writes to, in closed ones, in Parquet.

A request id names its front and the segment that was open when it arrived, so one request is found by looking at that
segment, or at its entry of the index, and at few after it, however large the archive is.
Compaction publishes Parquet files before it removes a segment, so a record is always in one of the two; when a segment
goes while a reader is at it, the reader looks again.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow.compute as pc

from muster.archive.catalogue import LOOKAHEAD, Catalogue
from muster.archive.depot import ArchiveStore, FolderStore
from muster.archive.errors import ArchiveStoreUnavailable
from muster.archive.files import ArchiveFile
from muster.archive.records import Record
from muster.archive.rows import late_of, records_of
from muster.archive.spool import Spool
from muster.vocabulary.request_ids import place_of, request_id_bytes, request_id_text
from muster.wire.records import AnsweredLate, Decided, VariantAnswer

_SECOND = 1_000_000_000
#: A request waits in its front no longer than this; so the segment it is decided in was created no later.
LONGEST_WAIT_NS = 600 * _SECOND
#: Late answers are looked for in side files of segments that were created up to this long after the decision.
_LATEST_ANSWER_NS = 86_400 * _SECOND
#: Segments after the one of a request's arrival that are looked at before all others: it was nearly always decided there.
_NEXT = 2
_MOST_TRIES = 5
#: Records whose late answers are looked for together, and the bytes of their columns.
_PART_RECORDS = 4096
_PART_BYTES = 16 * 1024 * 1024
_Found = TypeVar("_Found")


class Reader:
    """Finds records; stateless, so any number of processes may read while fronts write and compaction runs.

    A file or an event that is damaged hides itself and nothing else; it is logged.

    Args:
        root: the archive's folder, with `spool/` and, without a store, `parquet/` in it.
        store: where the compacted records lie; None: in `parquet/`.
    """

    def __init__(self, root: Path, store: ArchiveStore | None = None) -> None:
        self._spool = Spool(root / "spool")
        self._catalogue = Catalogue(FolderStore(root / "parquet") if store is None else store)

    def find(self, request_id: str) -> Record | None:
        """The record of a request; None when the archive has none.

        Raises:
            RequestIdMalformed: it is not a request id.
        """
        wanted = request_id_bytes(request_id)
        return self._settled(lambda: self._find(wanted))

    def last(self, endpoint: str, n: int) -> list[Record]:
        """The newest records of an endpoint, the newest first."""
        return self._settled(lambda: self._last(endpoint, n)) if n > 0 else []

    def newest(
        self, endpoint: str, *, from_ns: int = 0, to_ns: int | None = None, wait_ns: int = LONGEST_WAIT_NS
    ) -> Iterator[Record]:
        """The records of an endpoint, about the newest first, one by one: for who looks at more than memory holds.

        Each comes once, with the late answers that are known. What is decided meanwhile may be missing.

        Args:
            endpoint: which.
            from_ns: arrived then or later.
            to_ns: arrived before; None: up to now.
            wait_ns: what arrived then was decided within so much time; the less, the less is looked through.
        """
        fronts = self._fronts()
        streams = [self._newest_of_front(front, endpoint, from_ns, to_ns, wait_ns) for front in fronts]
        seen: set[bytes] = set()  # a segment may become Parquet meanwhile
        for record in heapq.merge(*streams, key=lambda record: -record.decided.decided_ns):
            if record.decided.request_id not in seen:
                seen.add(record.decided.request_id)
                yield record

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
        records = self._settled(lambda: self._batch(endpoint, host, batch, near))
        members = [
            (record, answer)
            for record in records
            if record.decided.endpoint == endpoint and (answer := record.in_batch(host, batch)) is not None
        ]
        return sorted(members, key=lambda member: member[1].position)

    def _settled(self, look: Callable[[], _Found]) -> _Found:
        """What is found while no segment leaves the spool: what leaves may be missed in the one place and the other."""
        for _ in range(_MOST_TRIES):
            before = self._spool.present()
            found = look()
            if before <= self._spool.present():
                break
        return found

    # One request.

    def _find(self, request_id: bytes) -> Record | None:
        place = place_of(request_id)
        found = self._find_in_spool(request_id, place.segment, place.segment + _NEXT)
        if found is not None:
            return self.with_late([found], spooled=True)[0]
        found = self._find_in_files(request_id)
        if found is not None:
            return self.with_late([found])[0]
        found = self._find_in_spool(request_id, place.segment + _NEXT, place.segment + LOOKAHEAD)
        return None if found is None else self.with_late([found], spooled=True)[0]

    def _find_in_spool(self, request_id: bytes, first: int, end: int) -> Record | None:
        for event in self._spool.about(request_id, place_of(request_id).front, first, end):
            if isinstance(event, Decided):
                return Record(decided=event)
        return None

    def _find_in_files(self, request_id: bytes) -> Record | None:
        place, text = place_of(request_id), request_id_text(request_id)
        for _, file_place in self._catalogue.rows_about(text, place.front, place.segment, place.at_ms):
            record = self._catalogue.look(file_place, lambda file: _record_in(file, text), None)
            if record is not None:
                return record
        return None

    # The newest ones.

    def _fronts(self) -> list[int]:
        return sorted({*self._spool.fronts(), *self._catalogue.index.fronts()})

    def _last(self, endpoint: str, n: int) -> list[Record]:
        found: dict[bytes, Record] = {}
        for front in self._spool.fronts():
            for count, event in enumerate(self._spool.newest(front, endpoint)):
                if count == n:
                    break
                found[event.request_id] = Record(decided=event)
        in_spool = set(found)
        try:
            self._add_newest_of_files(endpoint, n, found)
        except ArchiveStoreUnavailable:
            if len(found) < n:
                raise
        newest = sorted(found.values(), key=lambda record: record.decided.decided_ns, reverse=True)[:n]
        spooled = [record for record in newest if record.decided.request_id in in_spool]
        others = [record for record in newest if record.decided.request_id not in in_spool]
        complete = {
            record.decided.request_id: record
            for record in [*self.with_late(spooled, spooled=True), *self.with_late(others)]
        }
        return [complete[record.decided.request_id] for record in newest]

    def _add_newest_of_files(self, endpoint: str, n: int, found: dict[bytes, Record]) -> None:
        for hour in self._hours_newest_first(endpoint):
            of_front: Counter[int] = Counter()
            for (front, _), places in hour:
                if of_front[front] < n:
                    for place in places:
                        records = self._catalogue.look_all(place, lambda file: _newest_of(file, n))
                        found.update((record.decided.request_id, record) for record in records)
                        of_front[front] += len(records)
            if len(found) >= n:
                break

    def _hours_newest_first(self, endpoint: str) -> Iterator[list[tuple[tuple[int, int], list[str]]]]:
        """The files of an endpoint's requests by front and segment, the newest first, hour by hour."""
        for folder in self._catalogue.hours(endpoint, newest_first=True):
            of_segment: dict[tuple[int, int], list[str]] = {}
            for front, segment, place in reversed(self._catalogue.files_in(folder)):
                of_segment.setdefault((front, segment), []).append(place)
            yield list(of_segment.items())
        flat = self._catalogue.flat
        yield [(key, list(flat.rows(*key, endpoint))) for key in reversed(flat.segments(endpoint))]

    def _newest_of_front(
        self, front: int, endpoint: str, from_ns: int, to_ns: int | None, wait_ns: int
    ) -> Iterator[Record]:
        part: list[Record] = []
        size = 0
        for record in self._newest_first(front, endpoint, from_ns, wait_ns):
            arrived = record.decided.received_ns
            if arrived < from_ns or (to_ns is not None and arrived >= to_ns):
                continue
            part.append(record)
            size += _bytes_of(record.decided)
            # Late answers are looked for in all later segments at once, so few large parts are quicker than many small ones.
            if len(part) == _PART_RECORDS or size > _PART_BYTES:
                yield from self.with_late(part)
                part, size = [], 0
        yield from self.with_late(part)

    def _newest_first(self, front: int, endpoint: str, from_ns: int, wait_ns: int) -> Iterator[Record]:
        for event in self._spool.newest(front, endpoint):
            if event.received_ns < from_ns - wait_ns:
                break
            yield Record(decided=event)
        for folder in self._catalogue.hours(endpoint, newest_first=True, from_ns=from_ns):
            for of_front, _, place in reversed(self._catalogue.files_in(folder)):
                if of_front == front:
                    yield from self._catalogue.look_all(place, _all_newest_first)
        for of_front, segment in reversed(self._catalogue.flat.segments(endpoint)):
            if of_front != front:
                continue
            for place in self._catalogue.flat.rows(front, segment, endpoint):
                records = self._catalogue.look_all(place, _all_newest_first)
                if records and records[0].decided.received_ns < from_ns - wait_ns:
                    return
                yield from records

    # A batch.

    def _batch(self, endpoint: str, host: str, batch: int, near: Record) -> list[Record]:
        found = {near.decided.request_id: near}
        if _is_complete(found.values(), host, batch):
            return [near]
        for records in self._members(endpoint, host, batch, near):
            for record in records:
                found.setdefault(record.decided.request_id, record)
            if _is_complete(found.values(), host, batch):
                break
        return list(found.values())

    def _members(self, endpoint: str, host: str, batch: int, near: Record) -> Iterator[list[Record]]:
        """Records that name the batch, from the likeliest place to the least likely."""
        place = place_of(near.decided.request_id)
        end = place.segment + LOOKAHEAD
        answered_late: set[bytes] = set()
        for event in self._spool.of_batch(host, batch, place.front, place.segment, end):
            if isinstance(event, AnsweredLate):
                answered_late.add(event.request_id)
            elif event.endpoint == endpoint:
                yield self.with_late([Record(decided=event)])
        for number in range(place.segment, end):
            for file_place in self._catalogue.rows_of(endpoint, place.front, number):
                yield self.with_late(self._catalogue.look_all(file_place, lambda file: _members_in(file, host, batch)))
        # A request may name the batch only in an answer that came late: its decision says pending, on another host.
        targets = range(max(0, place.segment - LOOKAHEAD), end)
        for event in self._side_answers(endpoint, place.front, targets):
            if (event.answer.host, event.answer.batch) == (host, batch):
                answered_late.add(event.request_id)
        for request_id in sorted(answered_late):
            record = self._find(request_id)
            if record is not None:
                yield [record]

    # Late answers.

    def with_late(self, records: Sequence[Record], *, spooled: bool = False) -> list[Record]:
        """Records with the late answers that are not with them yet.

        Args:
            records: of any fronts and endpoints.
            spooled: they were found in the spool, so there is nothing about them in the store yet.
        """
        late_ones: dict[bytes, list[AnsweredLate]] = {
            record.decided.request_id: list(record.late) for record in records
        }
        by_front: dict[int, dict[bytes, str]] = {}
        for record in records:
            request_id = record.decided.request_id
            by_front.setdefault(place_of(request_id).front, {})[request_id] = record.decided.endpoint
        for front, asked in by_front.items():
            targets = sorted({place_of(request_id).segment for request_id in asked})
            until = max(record.decided.decided_ns for record in records) + _LATEST_ANSWER_NS
            found = list(self._spool.late(asked.keys(), front, targets[0], until))
            for endpoint in () if spooled else sorted(set(asked.values())):
                found += self._side_answers(endpoint, front, targets, only=asked.keys())
            for event in found:
                # Compaction may have written it to a row or a side file while its segment is still there.
                if event.request_id in late_ones and event not in late_ones[event.request_id]:
                    late_ones[event.request_id].append(event)
        return [
            Record(
                decided=record.decided,
                late=tuple(sorted(late_ones[record.decided.request_id], key=lambda event: event.at_ns)),
            )
            for record in records
        ]

    def _side_answers(
        self, endpoint: str, front: int, targets: Iterable[int], *, only: Iterable[bytes] | None = None
    ) -> Iterator[AnsweredLate]:
        """Late answers from the side files of an endpoint, to requests whose ids name these segments.

        Args:
            endpoint: whose.
            front: of the requests.
            targets: the segments, lowest first.
            only: skips files that hold none of these requests.
        """
        texts = None if only is None else [request_id_text(request_id) for request_id in only]
        first: int | None = None
        for target in targets:
            first = target if first is None else first
            for place in self._catalogue.late_to(endpoint, front, target):
                yield from self._catalogue.look_all(place, lambda file: _late_in(file, texts))
        if first is not None:
            for place in self._catalogue.flat.late(endpoint, front, first):
                yield from self._catalogue.look_all(place, lambda file: _late_in(file, texts))


def _bytes_of(decided: Decided) -> int:
    """About how much memory it takes."""
    columns = [*decided.inputs, *(column for answer in decided.answers for column in answer.outputs or ())]
    return 1000 + sum(100 + len(column.data) for column in columns)


def _record_in(file: ArchiveFile, request_id: str) -> Record | None:
    for group in file.groups_with(request_id):
        ids = file.read_group(group, ["request_id"]).column("request_id").to_pylist()
        if request_id in ids:
            row = file.read_group(group).slice(ids.index(request_id), 1)
            return records_of(file.facts.layout, row)[0]
    return None


def _newest_of(file: ArchiveFile, n: int) -> Sequence[Record]:
    times = file.read(["decided_at"]).column("decided_at").cast("int64").to_pylist()
    newest = sorted(range(len(times)), key=times.__getitem__, reverse=True)[:n]
    return records_of(file.facts.layout, file.rows(newest))


def _all_newest_first(file: ArchiveFile) -> Sequence[Record]:
    records = records_of(file.facts.layout, file.read())
    return sorted(records, key=lambda record: record.decided.decided_ns, reverse=True)


def _members_in(file: ArchiveFile, host: str, batch: int) -> Sequence[Record]:
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


def _late_in(file: ArchiveFile, only: list[str] | None) -> Sequence[AnsweredLate]:
    if only is not None and not any(True for text in only for _ in file.groups_with(text)):
        return []
    return late_of(file.facts.layout, file.read())


def _is_complete(records: Iterable[Record], host: str, batch: int) -> bool:
    members = [(record, answer) for record in records if (answer := record.in_batch(host, batch)) is not None]
    wanted = max((answer.batch_rows for _, answer in members), default=0)
    return bool(members) and sum(record.decided.rows for record, _ in members) >= wanted
