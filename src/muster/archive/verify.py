"""Holds the archive against itself: every byte sealed, every segment in its chain, every request accounted for.

What is found: a changed byte in a closed segment, a Parquet file, the index or a note of a removal; a segment, a file or
an entry that is gone without a removal that says so; files that nobody wrote; fewer records than a front counted. Not
found: whoever can write everything may compute everything anew; anchor `last` of each front elsewhere against that.
"""

import re
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from muster.archive.accounts import accounted_now
from muster.archive.catalogue import Catalogue
from muster.archive.conversion import accounted_entry
from muster.archive.depot import ArchiveStore, FolderStore
from muster.archive.errors import ArchiveFileDamaged, IndexDamaged, SegmentDamaged
from muster.archive.files import LATE_FOLDER, RECOVERED_FOLDER, front_and_segment
from muster.archive.index import AccountedEntry, CountsEntry, FileEntry, IndexEntry
from muster.archive.layout import NO_LINK, SEGMENT_FORMAT, Link, Segment, read_head, read_segment, request_of
from muster.archive.segments import (
    DAMAGED_FOLDER,
    OPEN,
    highest_number,
    last_link,
    segments_in,
)
from muster.archive.spool import Spool
from muster.vocabulary.request_ids import request_id_text
from muster.wire.records import Accounted

_REMEMBERED = 256
_MOST_PROBLEMS = 1000
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that is not as it was written."""

    kind: str
    """`segment`, `chain`, `file`, `missing`, `stray`, `index`, `counts`, `set-aside`."""
    where: str
    message: str

    def is_about(self, endpoint: str) -> bool:
        """Whether it names an endpoint."""
        return (
            re.search(rf"(?<![a-z0-9-]){re.escape(endpoint)}(?![a-z0-9-])", f"{self.where} {self.message}") is not None
        )


@dataclass(slots=True)
class Figures:
    """What became of an endpoint's requests: received = recorded + dropped + refused + unanswered + on the way."""

    received: int = 0
    recorded: int = 0
    dropped: int = 0
    refused: int = 0
    unanswered: int = 0
    on_the_way: int = 0
    late: int = 0
    """Answers that came after the decision."""
    removed: int = 0
    """Records that retention took away; they are among the recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The segments of a front."""

    front: int
    segments: int
    first: int
    last: int
    digest: str
    """Of the segment that was closed last; empty: none was."""


@dataclass(slots=True)
class Verdict:
    """What `verify` found."""

    endpoints: dict[str, Figures] = field(default_factory=dict)
    chains: list[Chain] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    files: int = 0
    unproven_files: int = 0
    """Files of Muster 0.1: whole by their own checksums, but no index names them."""

    @property
    def valid(self) -> bool:
        """Nothing is wrong."""
        return not self.problems

    def figures(self, endpoint: str) -> Figures:
        """Those of an endpoint."""
        return self.endpoints.setdefault(endpoint, Figures())

    def add(self, kind: str, where: str, message: str) -> None:
        """Note a problem; after a thousand the rest is left out."""
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(Problem(kind=kind, where=where, message=message))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A segment, from the index or from the spool."""

    number: int
    where: str
    link: Link | None
    previous: Link
    chained: bool
    decided: Counter[str]
    accounted: AccountedEntry | None
    open: bool = False


class Verifier:
    """Verifies an archive while it is written, compacted and read.

    Args:
        root: the archive's folder, with `spool/` and, without a store, `parquet/` in it.
        store: where the compacted records lie; None: in `parquet/`.
        endpoint: look only at the files of this one; None: at all.
        say: told how far it has come.
    """

    def __init__(
        self, root: Path, store: ArchiveStore | None = None, *, endpoint: str | None = None, say: Say | None = None
    ) -> None:
        self._root = root / "spool"
        self._store = FolderStore(root / "parquet") if store is None else store
        self._catalogue = Catalogue(self._store)
        self._endpoint = endpoint
        self._say = say or (lambda _line: None)
        self._verdict = Verdict()
        self._known: set[int] = set()

    def verify(self) -> Verdict:
        """Walk through all of it.

        Raises:
            ArchiveStoreUnavailable: the store is away.
        """
        # First what lies in the spool now: what leaves it meanwhile is in the index when it is asked.
        in_spool = {front: segments_in(self._root / str(front)) for front in Spool(self._root).fronts()}
        for front in sorted({*in_spool, *self._catalogue.index.fronts()}):
            self._say(f"front {front}")
            _Front(self, self._verdict, front, self._root / str(front)).walk(in_spool.get(front))
        self._look_for_strays()
        if self._endpoint is not None:
            known = self._verdict.endpoints
            self._verdict.endpoints = {name: known[name] for name in known if name == self._endpoint}
        self._verdict.endpoints = dict(sorted(self._verdict.endpoints.items()))
        return self._verdict

    def entries(self, front: int, number: int) -> Iterator[tuple[int, IndexEntry]]:
        """Part and entry of a segment number; a damaged one is a problem."""
        part = 0
        while True:
            try:
                entry = self._catalogue.index.entry(front, number, part)
            except IndexDamaged as error:
                self._verdict.add("index", str(error.facts.get("place", "")), error.message)
                part += 1
                continue
            if entry is None:
                return
            yield part, entry
            part += 1

    def numbers(self, front: int) -> list[int]:
        """Numbers of the segments of a front that are in the index, lowest first."""
        return sorted({number for number, _ in self._catalogue.index.segments(front)})

    def check_files(self, entry: IndexEntry, part: int) -> None:
        """See that what a segment became is there, byte for byte."""
        removed: dict[str, FileEntry] = {}
        try:
            removal = self._catalogue.index.removal(entry, part)
        except IndexDamaged as error:
            self._verdict.add("index", str(error.facts.get("place", "")), error.message)
        else:
            if removal is not None and removal.entry != entry.seal:
                self._verdict.add(
                    "index", f"front {entry.front}, segment {entry.segment}", "a removal of another entry"
                )
            elif removal is not None:
                removed = {file.place: file for file in removal.files}
        for file in entry.files:
            self._known.add(hash(file.place))
            if file.place in removed:
                if file.kind == "rows":
                    self._verdict.figures(file.endpoint).removed += file.rows
                continue
            if self._endpoint is None or file.endpoint == self._endpoint:
                self._check_file(file)
        rows = sum(file.rows for file in entry.files if file.kind == "rows")
        if rows != sum(entry.decided.values()) - entry.doubled and not entry.damages:
            where = f"front {entry.front}, segment {entry.segment}"
            self._verdict.add("counts", where, f"{sum(entry.decided.values())} decisions became {rows} rows")

    def _check_file(self, file: FileEntry) -> None:
        self._verdict.files += 1
        try:
            found = self._store.digest(file.place).hex()
        except (FileNotFoundError, NotADirectoryError):
            self._verdict.add("missing", file.place, "the file is gone, and no removal says so")
            return
        except OSError as error:
            self._verdict.add("file", file.place, f"the file cannot be read: {error}")
            return
        if found != file.sha256:
            self._verdict.add("file", file.place, "the file has changed since it was written")

    def _look_for_strays(self) -> None:
        for endpoint in self._catalogue.endpoints():
            if self._endpoint is not None and endpoint != self._endpoint:
                continue
            self._say(f"files of {endpoint}")
            for folder in self._catalogue.hours(endpoint, newest_first=False):
                self._look_in(folder)
            self._check_flat(endpoint)
            for front in self._store.names(f"{LATE_FOLDER}/{endpoint}"):
                for folder in self._store.names(f"{LATE_FOLDER}/{endpoint}/{front[:-1]}"):
                    self._look_in(f"{LATE_FOLDER}/{endpoint}/{front[:-1]}/{folder[:-1]}")
        if self._endpoint is None:
            # Recoveries of Muster 0.1 have no entry.
            for name in self._store.names(RECOVERED_FOLDER):
                if hash(f"{RECOVERED_FOLDER}/{name}") not in self._known:
                    self._verdict.unproven_files += 1

    def _look_in(self, folder: str) -> None:
        for name in self._store.names(folder):
            place = f"{folder}/{name}"
            if hash(place) in self._known or not name.endswith(".parquet"):
                continue
            key = front_and_segment(name)
            # It may have been put since its front was walked through.
            if key is not None and any(
                file.place == place for entry in self._catalogue.entries(*key) for file in entry.files
            ):
                continue
            if key is not None and (self._root / str(key[0]) / f"{key[1]:08d}.seg").exists():
                continue  # being compacted
            self._verdict.add("stray", place, "no segment became this file")

    def _check_flat(self, endpoint: str) -> None:
        flat = self._catalogue.flat
        for front, segment in flat.segments(endpoint):
            for place in flat.rows(front, segment, endpoint):
                self._verdict.unproven_files += 1
                try:
                    file = self._catalogue.open(place)
                    for group in range(file.groups):
                        self._verdict.figures(endpoint).recorded += file.read_group(group).num_rows
                except (ArchiveFileDamaged, FileNotFoundError) as error:
                    self._verdict.add("file", place, str(error))


class _Front:
    """The walk through the segments of one front, in their order."""

    def __init__(self, verifier: Verifier, verdict: Verdict, front: int, folder: Path) -> None:
        self._verifier = verifier
        self._verdict = verdict
        self._front = front
        self._folder = folder
        self._last = NO_LINK
        self._count = 0
        self._first = 0
        self._highest = 0
        self._decided: Counter[str] = Counter()
        self._starts: deque[tuple[int, Counter[str]]] = deque(maxlen=_REMEMBERED)
        self._bases: dict[tuple[str, str], int] = {}
        self._counts: dict[str, dict[str, CountsEntry]] = {}
        #: Of the last entries: up to where their late answers were joined, and the ids of their rows.
        self._joined: deque[tuple[tuple[int, int], list[tuple[str, str]]]] = deque(maxlen=_REMEMBERED)

    def walk(self, in_spool: dict[int, Path] | None) -> None:
        """All of it, and whether the end is where the notes of the spool say."""
        numbers = self._verifier.numbers(self._front)
        by_part: dict[int, list[IndexEntry]] = {}
        for number in numbers:
            for part, entry in self._verifier.entries(self._front, number):
                if part == 0:
                    self._take_entry(entry, part)
                else:
                    by_part.setdefault(part, []).append(entry)
        for part, entries in sorted(by_part.items()):
            for entry in entries:
                self._take_entry(entry, part)
        if in_spool is None:
            if self._count:
                where = str(self._folder)
                self._verdict.add("missing", where, "the spool is gone: what was not compacted is lost")
            self._finish()
            return
        compacted = set(numbers)
        for number, path in in_spool.items():
            if number not in compacted or not self._is_entered(number, path):
                self._take_spooled(number, path)
        self._check_notes(in_spool)
        self._finish()

    def _is_entered(self, number: int, path: Path) -> bool:
        """The segment is in the index and about to leave the spool; another of that number is not."""
        try:
            created_ns = read_segment(path).header.created_ns
        except (FileNotFoundError, SegmentDamaged):
            return True
        return any(entry.created_ns == created_ns for _, entry in self._verifier.entries(self._front, number))

    def _take_entry(self, entry: IndexEntry, part: int) -> None:
        where = f"front {self._front}, segment {entry.segment}"
        for damage in entry.damages:
            self._verdict.add("segment", where, f"it was damaged before it became Parquet: {damage}")
        self._verifier.check_files(entry, part)
        for endpoint, late in entry.late.items():
            self._verdict.figures(endpoint).late += late
        self._joined.append((entry.joined, [(file.first, file.last) for file in entry.files if file.kind == "rows"]))
        digest = bytes.fromhex(entry.digest)
        self._take(
            _Part(
                number=entry.segment,
                where=where,
                link=Link(segment=entry.segment, digest=digest) if digest else None,
                previous=Link(segment=entry.previous_segment, digest=bytes.fromhex(entry.previous)),
                chained=entry.segment_format >= SEGMENT_FORMAT,
                decided=Counter(entry.decided),
                accounted=entry.accounted,
            )
        )

    def _take_spooled(self, number: int, path: Path) -> None:
        for name in (path, path.with_suffix(".seg")):
            try:
                segment = read_segment(name)
                break
            except FileNotFoundError:
                continue
            except SegmentDamaged as error:
                self._verdict.add("segment", str(name), error.message)
                return
        else:
            found = list(self._verifier.entries(self._front, number))
            for part, entry in found:
                self._take_entry(entry, part)
            if not found:
                self._verdict.add("missing", str(path), "the segment is gone and not in the index")
            return
        for damage in segment.damages:
            self._verdict.add("segment", str(name), f"at byte {damage.offset}: {damage.reason}")
        if not segment.damages and not segment.is_as_sealed:
            self._verdict.add("segment", str(name), "it is not what was sealed")
        if (segment.header.front, segment.header.segment) != (self._front, number):
            self._verdict.add("segment", str(name), "its header names another segment")
        self._take(self._part_of(segment, name))

    def _part_of(self, segment: Segment, path: Path) -> _Part:
        decided: Counter[str] = Counter()
        before: Counter[str] = Counter()
        accounted: Accounted | None = None
        for start, end in segment.frames:
            payload = segment.data[start:end]
            known = request_of(payload)
            if known is None:
                event = segment.event((start, end))
                if isinstance(event, Accounted):
                    accounted, before = event, Counter(decided)
            elif known[0]:
                head = read_head(payload)
                if head is not None:
                    decided[head.endpoint] += 1
            else:
                self._take_late(segment, (start, end), request_id_text(known[1]))
        seal = segment.seal
        return _Part(
            number=segment.header.segment,
            where=str(path),
            link=segment.link,
            previous=seal.previous if seal is not None else NO_LINK,
            chained=segment.header.format >= SEGMENT_FORMAT,
            decided=decided,
            accounted=accounted_entry(accounted, before),
            open=path.suffix == OPEN and seal is None,
        )

    def _take_late(self, segment: Segment, frame: tuple[int, int], request_id: str) -> None:
        """Count a late answer of the spool, unless it was joined to its row already."""
        here = (segment.header.segment, frame[0])
        for joined, ids in self._joined:
            if here < joined and any(first <= request_id <= last for first, last in ids):
                return
        event = segment.event(frame)
        endpoint = getattr(event, "endpoint", "")
        self._verdict.figures(endpoint).late += 1

    def _take(self, part: _Part) -> None:
        self._count += 1
        self._first = self._first or part.number
        self._highest = max(self._highest, part.number)
        if not part.open:
            self._check_link(part)
        self._starts.append((part.number, Counter(self._decided)))
        if part.accounted is not None:
            self._check_counts(part, part.accounted)
        self._decided.update(part.decided)
        for endpoint, count in part.decided.items():
            self._verdict.figures(endpoint).recorded += count

    def _check_link(self, part: _Part) -> None:
        if part.link is None:
            if part.chained or self._last != NO_LINK:
                self._verdict.add("chain", part.where, "the segment is no link of the chain")
            return
        if part.previous != self._last:
            if part.previous == NO_LINK:
                message = f"the chain begins anew; what came after segment {self._last.segment} may be missing"
            elif part.previous.segment == self._last.segment:
                message = f"segment {self._last.segment} is not the one that this follows"
            else:
                message = f"segment {part.previous.segment}, which comes before, is missing"
            self._verdict.add("chain", part.where, message)
        self._last = part.link

    def _check_counts(self, part: _Part, accounted: AccountedEntry) -> None:
        for one in accounted.counts:
            key = (accounted.epoch, one.endpoint)
            if key not in self._bases:
                start = next((decided for number, decided in self._starts if number == one.since), None)
                if start is None:  # older than what is remembered, or the segment is missing, which was said
                    continue
                self._bases[key] = start[one.endpoint]
            there = self._decided[one.endpoint] + accounted.decided_before.get(one.endpoint, 0) - self._bases[key]
            if there != one.recorded:
                message = f"the front had recorded {one.recorded} decisions of {one.endpoint}, {there} are there"
                self._verdict.add("counts", part.where, message)
                self._bases[key] += there - one.recorded  # said once
            ends = one.recorded + one.dropped + one.refused + one.unanswered
            if ends > one.received:
                message = f"{one.endpoint}: {one.received} requests came, and {ends} had an end"
                self._verdict.add("counts", part.where, message)
        self._counts[accounted.epoch] = {one.endpoint: one for one in accounted.counts}

    def _check_notes(self, in_spool: dict[int, Path]) -> None:
        link, number = last_link(self._folder), highest_number(self._folder)
        where = str(self._folder)
        if link != self._last and not self._has_gone_on(link):
            self._verdict.add(
                "chain", where, f"the segment closed last was {link.segment}, {self._last.segment} is there"
            )
        if number > self._highest and not any(one > self._highest for one in segments_in(self._folder)):
            self._verdict.add("missing", where, f"segment {number} was begun and is not there")
        if in_spool and number < max(in_spool) and highest_number(self._folder) < max(in_spool):
            self._verdict.add("chain", where, "the note of the highest number is gone or was changed")
        for path in sorted((self._folder / DAMAGED_FOLDER).glob("*")):
            self._verdict.add("set-aside", str(path), "a damaged segment that was set aside")

    def _has_gone_on(self, link: Link) -> bool:
        """The front has closed another segment since its spool was listed."""
        return link.segment > self._last.segment and link.segment in {
            *segments_in(self._folder),
            *self._verifier.numbers(self._front),
        }

    def _finish(self) -> None:
        now = accounted_now(self._folder, self._front) if self._folder.exists() else None
        live = accounted_entry(now, Counter())
        if live is not None:
            self._counts[live.epoch] = {one.endpoint: one for one in live.counts}
        recorded: Counter[str] = Counter()
        for counts in self._counts.values():
            for one in counts.values():
                figures = self._verdict.figures(one.endpoint)
                figures.received += one.received
                figures.dropped += one.dropped
                figures.refused += one.refused
                figures.unanswered += one.unanswered
                ends = one.recorded + one.dropped + one.refused + one.unanswered
                figures.on_the_way += max(0, one.received - ends)
                recorded[one.endpoint] += one.recorded
        # What was recorded without being counted, by an earlier version, was received too.
        for endpoint, there in self._decided.items():
            self._verdict.figures(endpoint).received += max(0, there - recorded[endpoint])
        digest = self._last.digest.hex() if self._last != NO_LINK else ""
        self._verdict.chains.append(
            Chain(front=self._front, segments=self._count, first=self._first, last=self._highest, digest=digest)
        )
