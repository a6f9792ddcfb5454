"""Who asks which endpoint: counted from compacted records, so that no request waits for it.

The executor counts each file once: the note that a file is counted, and what it adds, are one transaction. A kill at any line
neither loses a request nor counts one twice. What retention removes from the archive later stays counted.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import structlog

from muster.access.actor import Call
from muster.access.roles import Right
from muster.access.service import Access
from muster.archive import store
from muster.archive.catalogue import Catalogue
from muster.archive.depot import ArchiveStore
from muster.archive.files import HOUR_NS, ArchiveFile
from muster.archive.records import Use, UseKey
from muster.archive.rows import unpacked
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock, rfc3339, rfc3339_of_ns, wall_ns

#: In place of a version: all requests of a day, each once.
ALL = ""
#: In place of a version, as `chosen` in the record says: the default answer, no answer, or one made of several versions'.
BY_DEFAULT, BY_NOBODY, COMBINED = "default", "none", "combined"
_DEFAULT, _COMBINED = -1, -2
_COLUMNS = ["consumer", "project", "received_at", "rows", "chosen", "default", "answers.list.element.version", "raw"]
#: Files appear in the hours just past; those of older hours, which a store that was away got late, are looked for seldom.
_RECENT_NS = 48 * HOUR_NS
_ALL_EVERY = timedelta(hours=24)
log = structlog.get_logger()


@dataclass(slots=True)
class Count:
    """How much it was."""

    requests: int = 0
    rows: int = 0
    last_ns: int = 0

    def add(self, rows: int, at_ns: int) -> None:
        """One request more."""
        self.requests += 1
        self.rows += rows
        self.last_ns = max(self.last_ns, at_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """Who asks an endpoint, or may by name."""

    consumer: str
    endpoint: str
    title: str | None = None
    contact: str | None = None
    channel: str | None = None
    requests: int = 0
    rows: int = 0
    last_at: str | None = None
    versions: tuple[Use, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The consumers of a project, and what was counted."""

    consumers: tuple[Consumer, ...]
    since: str | None
    counted_to: str | None


class Consumers:
    """Who asks the endpoints of a project.

    Args:
        database: where counts are kept.
        access: knows how to reach a consumer, and who may ask what.
        clock: tells which day it is.
    """

    def __init__(self, database: Database, access: Access, clock: Clock) -> None:
        self._database = database
        self._access = access
        self._clock = clock

    def consumers(self, call: Call, endpoint: str | None = None, days: int | None = None) -> Counted:
        """Who asked, how often, when last and who answered; and who may ask by name, but did not.

        Args:
            call: who, and in which project.
            endpoint: only this one's.
            days: only of the last so many days, today among them; None: of all days.
        """
        call.require(Right.READ)
        since = (
            None if days is None else (self._clock.now() - timedelta(days=days - 1)).astimezone(UTC).date().isoformat()
        )
        with self._database.read() as tx:
            uses = store.uses(tx, call.project, endpoint, since)
            counted_to = store.counted_to(tx)
            told = self._access.profiles_in(tx)
            entitled = self._access.entitled_in(tx, call.project)
        found: dict[tuple[str, str], list[Use]] = {
            (of, name): [] for name, of in entitled if endpoint is None or of == endpoint
        }
        for use in uses:
            found.setdefault((use.endpoint, use.consumer), []).append(use)
        consumers = []
        for (of, name), own in sorted(found.items()):
            whole = next((use for use in own if use.version == ALL), None)
            profile = told.get(name)
            consumers.append(
                Consumer(
                    consumer=name,
                    endpoint=of,
                    title=None if profile is None else profile.title,
                    contact=None if profile is None else profile.contact,
                    channel=None if profile is None else profile.channel,
                    requests=0 if whole is None else whole.requests,
                    rows=0 if whole is None else whole.rows,
                    last_at=None if whole is None else whole.last_at,
                    versions=tuple(use for use in own if use.version != ALL),
                )
            )
        return Counted(consumers=tuple(consumers), since=since, counted_to=counted_to)

    def consumers_since(self, tx: Transaction, project: str, endpoint: str, since: datetime) -> frozenset[str]:
        """Who asked an endpoint on the day of a moment or later; by name, for other rooms."""
        day = since.astimezone(UTC).date().isoformat()
        return frozenset(use.consumer for use in store.uses(tx, project, endpoint, day) if use.version == ALL)


@dataclass(slots=True)
class UseCounter:
    """Counts the records of the archive's files, each file once; the executor's.

    Args:
        database: where counts are kept.
        depot: where the compacted records lie.
        clock: tells when a file was counted.
        now_ns: the present moment in nanoseconds since 1970.
    """

    database: Database
    depot: ArchiveStore
    clock: Clock
    now_ns: Callable[[], int] = wall_ns
    _catalogue: Catalogue = field(init=False)
    _all_at: datetime | None = field(init=False, default=None)
    _unreadable: set[str] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self._catalogue = Catalogue(self.depot)

    def count(self) -> int:
        """Count what is new; how many files that was."""
        now = self.clock.now()
        everything = self._all_at is None or now - self._all_at >= _ALL_EVERY
        counted = sum(self._count(place) for place in self._uncounted(everything=everything))
        if everything:
            self._all_at = now
        return counted

    def _uncounted(self, *, everything: bool) -> Iterator[str]:
        from_ns = 0 if everything else max(0, self.now_ns() - _RECENT_NS)
        for endpoint in self._catalogue.endpoints():
            for folder in self._catalogue.hours(endpoint, newest_first=False, from_ns=from_ns):
                yield from self._new(place for _, _, place in self._catalogue.files_in(folder))
            if everything:
                flat = self._catalogue.flat
                yield from self._new(place for key in flat.segments(endpoint) for place in flat.rows(*key, endpoint))

    def _new(self, places: Iterator[str]) -> list[str]:
        listed = [place for place in places if place not in self._unreadable]
        if not listed:
            return []
        with self.database.read() as tx:
            known = store.counted_files(tx, listed)
        return [place for place in listed if place not in known]

    def _count(self, place: str) -> bool:
        """Count one file; whether it was new and could be read."""
        endpoint = place.partition("/")[0]
        counts = self._catalogue.look(place, lambda file: _counts_of(file, endpoint), None)
        if counts is None:
            if self.depot.size(place) is not None:  # damaged, not removed: told of once
                self._unreadable.add(place)
            return False
        with self.database.write() as tx:
            tx.lock("muster.consumer-uses")
            if store.counted_files(tx, [place]):
                return False
            store.note_counted(tx, place, rfc3339(self.clock.now()))
            for key, count in sorted(counts.items()):
                store.add_use(tx, key, count.requests, count.rows, rfc3339_of_ns(count.last_ns))
        return True


def _counts_of(file: ArchiveFile, endpoint: str) -> dict[UseKey, Count]:
    """What a file adds."""
    counts: dict[UseKey, Count] = defaultdict(Count)
    for group in range(file.groups):
        table = file.read_group(group, _COLUMNS)
        received = table.column("received_at").cast(pa.int64()).to_pylist()
        for row, at_ns in zip(table.drop_columns(["received_at"]).to_pylist(), received, strict=True):
            day = rfc3339_of_ns(at_ns)[:10]
            key = UseKey(row["project"], endpoint, row["consumer"], ALL, day)
            counts[key].add(row["rows"], at_ns)
            for version, rows in _answered(row).items():
                counts[key._replace(version=version)].add(rows, at_ns)
    return counts


def _answered(row: Mapping[str, object]) -> dict[str, int]:
    """How many rows of a request each version answered."""
    chosen, rows, versions, default = _facts(row)
    by_choice: dict[int, int] = defaultdict(int)
    if len(chosen) == 1:  # one entry stands for all rows
        by_choice[chosen[0]] = rows
    else:
        for choice in chosen:
            by_choice[choice] += 1
    named: dict[str, int] = defaultdict(int)
    for choice, of in by_choice.items():
        if choice == _COMBINED:
            named[COMBINED] += of
        elif 0 <= choice < len(versions):
            named[versions[choice]] += of
        else:
            named[BY_DEFAULT if default else BY_NOBODY] += of
    return dict(named)


def _facts(row: Mapping[str, object]) -> tuple[list[int], int, list[str], bool]:
    raw = row["raw"]
    if isinstance(raw, bytes):
        event = unpacked(raw).decided
        return list(event.chosen), event.rows, [answer.version for answer in event.answers], event.default is not None
    answers, chosen, rows = row["answers"], row["chosen"], row["rows"]
    assert isinstance(rows, int)
    return (
        list(chosen) if isinstance(chosen, list) else [_DEFAULT],
        rows,
        [answer["version"] for answer in answers] if isinstance(answers, list) else [],
        row["default"] is not None,
    )
