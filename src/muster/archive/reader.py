"""Reads decision records wherever they lie: in segments that a front writes to, in closed ones, in Parquet.

A request id names its front and the segment that was open when it arrived, so one request is found without an index.
Compaction publishes Parquet files before it removes a segment, so a record is always in one of the two; when a segment
goes while a reader is at it, the reader looks again.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import structlog

from muster.archive.errors import ArchiveFileDamaged
from muster.archive.files import (
    LATE_FOLDER,
    ArchiveFile,
    endpoint_folders,
    existing_parts,
    late_path,
    rows_path,
    segments_present,
)
from muster.archive.records import Record
from muster.archive.rows import late_of, records_of
from muster.archive.spool import Spool
from muster.vocabulary.request_ids import place_of, request_id_bytes, request_id_text
from muster.wire.records import AnsweredLate, Decided, VariantAnswer

_SECOND = 1_000_000_000
#: A request waits in its front no longer than this; so the segment it is decided in was created no later.
_LONGEST_WAIT_NS = 600 * _SECOND
#: Late answers are looked for in side files of segments that were created up to this long after the decision.
_LATEST_ANSWER_NS = 86_400 * _SECOND
#: Segments after the one of a request's arrival whose Parquet files are looked at.
_LOOKAHEAD = 64
_MOST_TRIES = 5
_NOTHING_LATE: tuple[bool, list[AnsweredLate]] = (False, [])
_Found = TypeVar("_Found")
log = structlog.get_logger()


class Reader:
    """Finds records; stateless, so any number of processes may read while fronts write and compaction runs.

    A file or an event that is damaged hides itself and nothing else; it is logged.

    Args:
        root: the archive's folder, with `spool/` and `parquet/` in it.
    """

    def __init__(self, root: Path) -> None:
        self._spool = Spool(root / "spool")
        self._root = root / "parquet"

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
        until = place.at_ms * 1_000_000 + _LONGEST_WAIT_NS
        for segment, event in self._spool.about(request_id, place.front, place.segment, until):
            if isinstance(event, Decided):
                return self._with_late([Record(decided=event)], segment)[0]
        for segment, path in self._files_of_all(place.front, place.segment):
            record = _from(path, lambda file: _record_in(file, request_id_text(request_id)), None)
            if record is not None:
                return self._with_late([record], segment)[0]
        return None

    def _files_of_all(self, front: int, first: int) -> Iterator[tuple[int, Path]]:
        folders = endpoint_folders(self._root)
        for number in range(first, first + _LOOKAHEAD):
            for folder in folders:
                for path in existing_parts(rows_path, folder, front, number):
                    yield number, path

    # The newest ones.

    def _last(self, endpoint: str, n: int) -> list[Record]:
        found: dict[bytes, tuple[int, Record]] = {}
        for front in sorted({*self._spool.fronts(), *segments_present(self._root / endpoint)}):
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

    def _newest_first(self, front: int, endpoint: str, n: int) -> Iterator[tuple[int, Record]]:
        for number, event in self._spool.newest(front, endpoint):
            yield number, Record(decided=event)
        for number in reversed(segments_present(self._root / endpoint).get(front, [])):
            records: list[Record] = []
            for path in existing_parts(rows_path, self._root / endpoint, front, number):
                records += _from(path, lambda file: _newest_of(file, n), [])
            for record in sorted(records, key=lambda record: record.decided.decided_ns, reverse=True):
                yield number, record

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
        until = near.decided.decided_ns + _LONGEST_WAIT_NS
        answered_late: set[bytes] = set()
        for number, event in self._spool.of_batch(host, batch, place.front, place.segment, until):
            if isinstance(event, AnsweredLate):
                answered_late.add(event.request_id)
            elif event.endpoint == endpoint:
                yield self._with_late([Record(decided=event)], number)
        for number in range(place.segment, place.segment + _LOOKAHEAD):
            for path in existing_parts(rows_path, self._root / endpoint, place.front, number):
                yield self._with_late(_from(path, lambda file: _members_in(file, host, batch), []), number)
        # A request may name the batch only in an answer that came late: its decision says pending, on another host.
        for event in self._side_answers(self._root / endpoint, place.front, place.segment, until):
            if (event.answer.host, event.answer.batch) == (host, batch):
                answered_late.add(event.request_id)
        for request_id in sorted(answered_late):
            record = self._find(request_id)
            if record is not None:
                yield [record]

    # Late answers.

    def _with_late(self, records: list[Record], first: int) -> list[Record]:
        """Records of one front with the late answers that are not with them yet.

        Args:
            records: all decided in segment `first` or later.
            first: where to begin to look.
        """
        if not records:
            return []
        late_ones: dict[bytes, list[AnsweredLate]] = {
            record.decided.request_id: list(record.late) for record in records
        }
        front = place_of(records[0].decided.request_id).front
        until = max(record.decided.decided_ns for record in records) + _LATEST_ANSWER_NS
        found = list(self._spool.late(late_ones.keys(), front, first, until))
        for endpoint in sorted({record.decided.endpoint for record in records}):
            found += self._side_answers(self._root / endpoint, front, first, until, only=late_ones.keys())
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
        self, folder: Path, front: int, first: int, until_ns: int, *, only: Iterable[bytes] | None = None
    ) -> Iterator[AnsweredLate]:
        """Late answers from the side files of an endpoint; `only` skips files that hold none of these requests."""
        texts = None if only is None else [request_id_text(request_id) for request_id in only]
        for number in segments_present(folder / LATE_FOLDER).get(front, []):
            for path in existing_parts(late_path, folder, front, number) if number >= first else ():
                is_over, events = _from(path, lambda file: _late_in(file, until_ns, texts), _NOTHING_LATE)
                if is_over:
                    return
                yield from events


def _from(path: Path, read: Callable[[ArchiveFile], _Found], otherwise: _Found) -> _Found:
    """What is read from a file; `otherwise` when it is gone or damaged."""
    try:
        return read(ArchiveFile(path))
    except FileNotFoundError:
        return otherwise
    except (ArchiveFileDamaged, pa.ArrowException, ValueError) as error:
        log.warning("archive.file_damaged", path=str(path), error=str(error))
        return otherwise


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


def _members_in(file: ArchiveFile, host: str, batch: int) -> list[Record]:
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


def _late_in(file: ArchiveFile, until_ns: int, only: list[str] | None) -> tuple[bool, list[AnsweredLate]]:
    """Whether the file is of a later time than is looked for, and the answers in it."""
    if file.facts.created_ns > until_ns:
        return True, []
    if only is not None and not any(True for text in only for _ in file.groups_with(text)):
        return False, []
    return False, late_of(file.facts.layout, file.read())


def _is_complete(records: Iterable[Record], host: str, batch: int) -> bool:
    members = [(record, answer) for record in records if (answer := record.in_batch(host, batch)) is not None]
    wanted = max((answer.batch_rows for _, answer in members), default=0)
    return bool(members) and sum(record.decided.rows for record, _ in members) >= wanted
