"""The archive's index: for every compacted segment what it held, in which files that lies now, and its link in the chain.

    _index/<front>/<segment // 1000>/<segment>.json            an entry, written when the segment has become Parquet
    _index/<front>/<segment // 1000>/<segment>.removed.json    what retention took away of it

A request id names front and segment, so one id leads to one small file, however many there are. Entries stay for ever, so
that what was removed is still counted, and the chain can be followed from the first segment to the last.
"""

import hashlib
from collections.abc import Iterator
from typing import Literal, TypeVar

import msgspec
from msgspec.structs import replace

from muster.archive.depot import ArchiveStore
from muster.archive.errors import IndexDamaged

INDEX_FOLDER = "_index"
_PER_FOLDER = 1000

Kind = Literal["rows", "late", "recovered"]


class FileEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Parquet file that was made of a segment."""

    place: str
    kind: Kind
    endpoint: str
    rows: int
    late: int
    """Late answers in it."""
    first: str
    """Lowest request id."""
    last: str
    oldest_ns: int
    """First arrival, or late answer, in it."""
    newest_ns: int
    bytes: int
    sha256: str


class CountsEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the front had counted for an endpoint; see `wire.records.EndpointCounts`."""

    endpoint: str
    since: int
    received: int
    recorded: int
    dropped: int
    refused: int
    unanswered: int


class AccountedEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last `Accounted` event of a segment."""

    epoch: str
    at_ns: int
    counts: tuple[CountsEntry, ...]
    decided_before: dict[str, int]
    """Decisions of the segment before this event, per endpoint."""


class IndexEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A segment that has become Parquet."""

    format: Literal[1] = 1
    front: int
    segment: int
    created_ns: int
    segment_format: int
    bytes: int
    events: int
    digest: str
    """Of the segment, hexadecimal; empty: it was of format 1 and has none."""
    previous_segment: int
    """The segment its front closed before; 0: none."""
    previous: str
    """The digest of that one."""
    decided: dict[str, int]
    """Decisions per endpoint."""
    late: dict[str, int]
    """Answers that came late, per endpoint: in rows, or in side files."""
    doubled: int
    """Decisions whose request had one already; they have no row."""
    joined: tuple[int, int]
    """Segment and byte up to which late answers are in the rows; later ones lie in side files."""
    accounted: AccountedEntry | None
    damages: tuple[str, ...]
    """What could not be read of the segment, which was set aside for that."""
    files: tuple[FileEntry, ...]
    seal: str = ""
    """SHA-256 of this entry without it."""


class Removal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What retention took away of a segment: the proof that it is missing on purpose."""

    format: Literal[1] = 1
    front: int
    segment: int
    entry: str
    """Seal of the segment's entry."""
    files: tuple[FileEntry, ...]
    removals: tuple["Reason", ...]
    seal: str = ""


class Reason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """By which rule files went, and when."""

    at_ns: int
    endpoint: str
    days: int
    before_ns: int
    """Everything in the files had arrived before."""


Sealed = TypeVar("Sealed", IndexEntry, Removal)


class Index:
    """Reads and writes entries.

    Args:
        store: where the compacted records lie.
    """

    def __init__(self, store: ArchiveStore) -> None:
        self._store = store

    def entries(self, front: int, segment: int) -> Iterator[IndexEntry]:
        """The entries of a segment number: one, none, or more where a spool was emptied by hand and counted anew.

        Raises:
            IndexDamaged: one is not what was written.
        """
        part = 0
        while True:
            found = self._read(entry_place(front, segment, part), IndexEntry)
            if found is None:
                return
            yield found
            part += 1

    def place_for(self, front: int, segment: int, created_ns: int) -> tuple[int, IndexEntry | None]:
        """Which part the entry of this segment is, and what stands there of an earlier try."""
        part = -1
        for part, entry in enumerate(self.entries(front, segment)):
            if entry.created_ns == created_ns:
                return part, entry
        return part + 1, None

    def add(self, entry: IndexEntry, part: int) -> IndexEntry:
        """Write the entry of a segment; gives it with its seal."""
        sealed = _sealed(entry)
        self._store.write(entry_place(entry.front, entry.segment, part), msgspec.json.encode(sealed))
        return sealed

    def removal(self, entry: IndexEntry, part: int = 0) -> Removal | None:
        """What retention took away of a segment; None: nothing."""
        return self._read(removal_place(entry.front, entry.segment, part), Removal)

    def add_removal(self, removal: Removal, part: int = 0) -> None:
        """Write what was taken away, before it is."""
        place = removal_place(removal.front, removal.segment, part)
        self._store.write(place, msgspec.json.encode(_sealed(removal)))

    def fronts(self) -> list[int]:
        """Fronts of which segments were compacted."""
        return sorted(int(name[:-1]) for name in self._store.names(INDEX_FOLDER) if name[:-1].isdecimal())

    def segments(self, front: int) -> Iterator[tuple[int, int]]:
        """Number and part of every entry of a front, lowest first."""
        for folder in self._store.names(f"{INDEX_FOLDER}/{front}"):
            for name in self._store.names(f"{INDEX_FOLDER}/{front}/{folder[:-1]}"):
                number, _, rest = name.partition(".")
                part = rest.removesuffix("json").rstrip(".")
                if number.isdecimal() and rest.endswith("json") and (part == "" or part.isdecimal()):
                    yield int(number), int(part or 0)

    def entry(self, front: int, segment: int, part: int) -> IndexEntry | None:
        """One entry by its part."""
        return self._read(entry_place(front, segment, part), IndexEntry)

    def _read(self, place: str, kind: type[Sealed]) -> Sealed | None:
        try:
            data = self._store.read(place)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            found = msgspec.json.decode(data, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise IndexDamaged(f"{self._store.where}/{place} cannot be read: {error}", place=place) from error
        if found.seal != _seal_of(found) or msgspec.json.encode(found) != data:
            raise IndexDamaged(f"{self._store.where}/{place} was changed after it was written", place=place)
        return found


def entry_place(front: int, segment: int, part: int = 0) -> str:
    """Where the entry of a segment lies."""
    return f"{_folder(front, segment)}/{segment:08d}{f'.{part}' if part else ''}.json"


def removal_place(front: int, segment: int, part: int = 0) -> str:
    """Where it is noted what was removed of a segment."""
    return f"{_folder(front, segment)}/{segment:08d}{f'.{part}' if part else ''}.removed.json"


def _folder(front: int, segment: int) -> str:
    return f"{INDEX_FOLDER}/{front}/{segment // _PER_FOLDER:05d}"


def _seal_of(value: IndexEntry | Removal) -> str:
    return hashlib.sha256(msgspec.json.encode(replace(value, seal=""))).hexdigest()


def _sealed(value: Sealed) -> Sealed:
    return replace(value, seal=_seal_of(value))
