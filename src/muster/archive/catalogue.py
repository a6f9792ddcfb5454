"""Which compacted files may hold what is looked for; every question costs the same however many files there are."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar

import pyarrow as pa
import structlog

from muster.archive.depot import ArchiveStore
from muster.archive.errors import ArchiveFileDamaged, IndexDamaged
from muster.archive.files import ArchiveFile, front_and_segment, hour_folder, hour_of, late_folder
from muster.archive.flat import FlatFiles
from muster.archive.index import Index, IndexEntry

#: Segments after the one of a request's arrival in which it may have been decided.
LOOKAHEAD = 64
_MS = 1_000_000
_Found = TypeVar("_Found")
log = structlog.get_logger()


class Catalogue:
    """Finds files in a store.

    Args:
        store: where the compacted records lie.
    """

    def __init__(self, store: ArchiveStore) -> None:
        self.store = store
        self.index = Index(store)
        self.flat = FlatFiles(store, self.endpoints)

    def endpoints(self) -> list[str]:
        """Endpoints that have requests here."""
        return [name[:-1] for name in self.store.names("") if name.endswith("/") and name[0] not in "_."]

    def entries(self, front: int, segment: int) -> list[IndexEntry]:
        """The index entries of a segment; a damaged one is logged and left out."""
        found: list[IndexEntry] = []
        try:
            found.extend(self.index.entries(front, segment))
        except IndexDamaged as error:
            log.warning("archive.index_damaged", place=str(error.facts.get("place")), error=error.message)
        return found

    def rows_about(self, request_id: str, front: int, first: int, at_ms: int) -> Iterator[tuple[int, str]]:
        """Segment and place of the files that may hold the row of a request, the likeliest first.

        Args:
            request_id: as people write it.
            front: that answered it.
            first: the segment that was open when it arrived.
            at_ms: when that was.
        """
        for number in range(first, first + LOOKAHEAD):
            try:
                for entry in self.index.entries(front, number):
                    for file in entry.files:
                        if file.kind == "rows" and file.first <= request_id <= file.last:
                            yield number, file.place
            except IndexDamaged as error:
                log.warning("archive.index_damaged", error=error.message)
                yield from ((number, place) for place in self._by_name(front, number, at_ms))
            yield from ((number, place) for place in self.flat.rows(front, number))

    def rows_of(self, endpoint: str, front: int, segment: int) -> Iterator[str]:
        """Files of an endpoint's requests that a segment became."""
        for entry in self.entries(front, segment):
            yield from (file.place for file in entry.files if file.kind == "rows" and file.endpoint == endpoint)
        yield from self.flat.rows(front, segment, endpoint)

    def late_to(self, endpoint: str, front: int, target: int) -> list[str]:
        """Files of late answers to requests whose ids name a segment."""
        folder, wanted = late_folder(endpoint, front, target), f"{target:08d}."
        return [f"{folder}/{name}" for name in self.store.names(folder) if name.startswith(wanted)]

    def hours(self, endpoint: str, *, newest_first: bool, from_ns: int = 0, to_ns: int | None = None) -> Iterator[str]:
        """Folders of the hours in which requests of an endpoint arrived, within a window."""
        low = hour_folder(endpoint, hour_of(from_ns))
        high = None if to_ns is None else hour_folder(endpoint, hour_of(max(to_ns - 1, 0)))
        dates = [name for name in self.store.names(endpoint) if name.startswith("date=") and name.endswith("/")]
        for date in reversed(dates) if newest_first else dates:
            day = f"{endpoint}/{date[:-1]}"
            if day < low[: len(day)] or (high is not None and day > high[: len(day)]):
                continue
            hours = [name for name in self.store.names(day) if name.startswith("hour=") and name.endswith("/")]
            for hour in reversed(hours) if newest_first else hours:
                folder = f"{day}/{hour[:-1]}"
                if folder >= low and (high is None or folder <= high):
                    yield folder

    def files_in(self, folder: str) -> list[tuple[int, int, str]]:
        """Front, segment and place of the files of requests in a folder, by front and segment."""
        found = []
        for name in self.store.names(folder):
            key = front_and_segment(name)
            if key is not None:
                found.append((*key, f"{folder}/{name}"))
        return sorted(found)

    def look(self, place: str, read: Callable[[ArchiveFile], _Found], otherwise: _Found) -> _Found:
        """What is read from a file; `otherwise` when it is gone or damaged."""
        try:
            return read(self.open(place))
        except FileNotFoundError:
            return otherwise
        except (ArchiveFileDamaged, pa.ArrowException, ValueError) as error:
            log.warning("archive.file_damaged", path=place, error=str(error))
            return otherwise

    def look_all(self, place: str, read: Callable[[ArchiveFile], Sequence[_Found]]) -> Sequence[_Found]:
        """As `look`, of many; nothing when the file is gone or damaged."""
        nothing: Sequence[_Found] = ()
        return self.look(place, read, nothing)

    def open(self, place: str) -> ArchiveFile:
        """A file.

        Raises:
            FileNotFoundError: it is gone.
            ArchiveFileDamaged: it is none of the archive's.
        """
        return ArchiveFile(self.store.source(place), f"{self.store.where}/{place}")

    def _by_name(self, front: int, segment: int, at_ms: int) -> Iterator[str]:
        """Without the index: by the hour of arrival and the name."""
        for endpoint in self.endpoints():
            for hour in (hour_of(at_ms * _MS), hour_of(at_ms * _MS) + 1):
                for of_front, number, place in self.files_in(hour_folder(endpoint, hour)):
                    if (of_front, number) == (front, segment):
                        yield place


def hour_ns_of(folder: str) -> int:
    """When the hour of a folder begins, nanoseconds since 1970."""
    _, date, hour = folder.rsplit("/", 2)
    moment = datetime.fromisoformat(f"{date.removeprefix('date=')}T{hour.removeprefix('hour=')}:00:00+00:00")
    return int(moment.timestamp()) * 1_000_000_000
