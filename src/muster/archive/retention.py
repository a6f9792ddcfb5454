"""How long records are kept: who may say so, and what is done about it.

Whole files go, once everything in them is older than the endpoint's days. What went stays in the index: how many
records, which ids, by which rule; so the archive can still be proved complete. Each round is put on record in the audit
journal before anything is removed.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog

from muster.access.actor import Call
from muster.access.roles import Right
from muster.archive import store
from muster.archive.catalogue import Catalogue, hour_ns_of
from muster.archive.depot import ArchiveStore
from muster.archive.errors import IndexDamaged, RetentionMalformed
from muster.archive.files import HOUR_NS, LATE_FOLDER, ArchiveFile
from muster.archive.index import FileEntry, IndexEntry, Reason, Removal
from muster.archive.records import RetentionRule
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.storage.transaction import Database
from muster.vocabulary.clock import Clock, rfc3339, rfc3339_of_ns, wall_ns

LONGEST_DAYS = 36_500
_DAY_NS = 86_400 * 1_000_000_000
_AT_ONCE = 1000
_LONGEST_REASON = 4000
#: The clock may run ahead of the time that has passed by so much before nothing is removed any more.
_STEP_NS = 3600 * 1_000_000_000
_MUSTER = "muster"
log = structlog.get_logger()


class Retention:
    """Rules, endpoint by endpoint.

    Args:
        database: where they are kept.
        journal: where changes are put on record.
        clock: tells when.
        require_endpoint: raises unless the caller's project has the endpoint.
        default_days: for endpoints without a rule; 0: for ever.
    """

    def __init__(
        self,
        database: Database,
        journal: Journal,
        clock: Clock,
        *,
        require_endpoint: Callable[[Call, str], object],
        default_days: int = 0,
    ) -> None:
        self._database = database
        self._journal = journal
        self._clock = clock
        self._require_endpoint = require_endpoint
        self.default_days = default_days

    def rules(self, call: Call) -> list[RetentionRule]:
        """The rules of the caller's project."""
        call.require(Right.READ)
        with self._database.read() as tx:
            return store.rules(tx, call.project)

    def rule(self, call: Call, endpoint: str) -> RetentionRule:
        """How long an endpoint's records are kept; with an empty `set_by` where the setting says so."""
        call.require(Right.READ)
        self._require_endpoint(call, endpoint)
        with self._database.read() as tx:
            found = store.rule(tx, endpoint)
        days = self.default_days or None
        return found or RetentionRule(
            endpoint=endpoint, project=call.project, days=days, set_by="", set_at="", reason=""
        )

    def retain(self, call: Call, endpoint: str, days: int | None, reason: str) -> RetentionRule:
        """Keep an endpoint's records for so many days from now on; None: for ever.

        Raises:
            RightMissing: the caller is no admin.
            RetentionMalformed: not 1 to 36,500 days, or no reason.
        """
        call.require(Right.RETAIN)
        self._require_endpoint(call, endpoint)
        if days is not None and not 1 <= days <= LONGEST_DAYS:
            raise RetentionMalformed(f"records cannot be kept for {days} days", days=days, most=LONGEST_DAYS)
        told = reason.strip()
        if not told or len(told) > _LONGEST_REASON:
            raise RetentionMalformed("a reason of 1 to 4000 characters is needed")
        with self._database.write() as tx:
            repeated = self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)
            before = store.rule(tx, endpoint)
            if repeated is not None and before is not None:
                return before
            made = RetentionRule(
                endpoint=endpoint,
                project=call.project,
                days=days,
                set_by=call.actor.name,
                set_at=rfc3339(self._clock.now()),
                reason=told,
            )
            store.put_rule(tx, made)
            was = (self.default_days or None) if before is None else before.days
            details: dict[str, object] = {"days": days, "before": was}
            if call.actor.solo:
                details["solo"] = True
            self._journal.append(
                tx,
                Deed(
                    actor=call.actor.name,
                    action="archive.retention-set",
                    subject=f"endpoint {endpoint}",
                    project=call.project,
                    details=details,
                    reason=told,
                    idempotency_key=call.idempotency_key,
                    request_digest=call.request_digest,
                ),
            )
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What one round took away of an endpoint."""

    endpoint: str
    files: int
    records: int
    first: str
    last: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Old:
    """A file that may go."""

    place: str
    entry: IndexEntry | None
    """Of its segment; None for the files of Muster 0.1."""
    part: int
    file: FileEntry | None


class Remover:
    """Does what the rules say; the executor's.

    Args:
        database: where rules are kept.
        journal: where removals are put on record.
        depot: where the compacted records lie.
        default_days: for endpoints without a rule; 0: for ever.
        now_ns: the present moment in nanoseconds since 1970.
        monotonic_ns: time that only passes.
    """

    def __init__(
        self,
        database: Database,
        journal: Journal,
        depot: ArchiveStore,
        *,
        default_days: int = 0,
        now_ns: Callable[[], int] = wall_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._database = database
        self._journal = journal
        self._depot = depot
        self._default_days = default_days
        self._now_ns = now_ns
        self._monotonic_ns = monotonic_ns
        self._began = (now_ns(), monotonic_ns())
        self._catalogue = Catalogue(depot)
        self._held = False

    def remove(self) -> list[Removed]:
        """Remove what is too old at every endpoint.

        Nothing is removed once the clock was set forward: a wrong clock must not empty an archive.
        """
        if self._clock_ran_ahead():
            return []
        with self._database.read() as tx:
            rules = {rule.endpoint: rule for rule in store.rules(tx)}
        done: list[Removed] = []
        for endpoint in self._catalogue.endpoints():
            rule = rules.get(endpoint)
            days = (self._default_days or None) if rule is None else rule.days
            if days is not None:
                done += self._remove_of(endpoint, days, None if rule is None else rule.project)
        return done

    def _clock_ran_ahead(self) -> bool:
        wall, passed = self._now_ns() - self._began[0], self._monotonic_ns() - self._began[1]
        ahead = wall - passed > _STEP_NS
        if ahead and not self._held:
            log.error("archive.retention_held", why="the clock was set forward; restart the executor when it is right")
        self._held = ahead
        return ahead

    def _remove_of(self, endpoint: str, days: int, project: str | None) -> Iterator[Removed]:
        before_ns = self._now_ns() - days * _DAY_NS
        while old := self._old_files(endpoint, before_ns):
            rows = [one.file for one in old if one.file is not None and one.file.kind == "rows"]
            removed = Removed(
                endpoint=endpoint,
                files=len(old),
                records=sum(file.rows for file in rows),
                first=min((file.first for file in rows), default=""),
                last=max((file.last for file in rows), default=""),
            )
            self._put_on_record(removed, days, before_ns, project)
            self._note(old, Reason(at_ns=self._now_ns(), endpoint=endpoint, days=days, before_ns=before_ns))
            for one in old:
                self._depot.remove(one.place)
            log.info("archive.removed", endpoint=endpoint, files=removed.files, records=removed.records, days=days)
            yield removed

    def _put_on_record(self, removed: Removed, days: int, before_ns: int, project: str | None) -> None:
        details = {
            "days": days,
            "before": rfc3339_of_ns(before_ns),
            "files": removed.files,
            "records": removed.records,
            "first": removed.first,
            "last": removed.last,
        }
        with self._database.write() as tx:
            self._journal.append(
                tx,
                Deed(
                    actor=_MUSTER,
                    action="archive.removed",
                    subject=f"endpoint {removed.endpoint}",
                    project=project or "default",
                    details=details,
                ),
            )

    def _old_files(self, endpoint: str, before_ns: int) -> list[_Old]:
        """Some of the files that may go; those whose index entry is damaged stay."""
        found: list[_Old] = []
        for old in self._all_old_files(endpoint, before_ns):
            found.append(old)
            if len(found) == _AT_ONCE:
                break
        return found

    def _all_old_files(self, endpoint: str, before_ns: int) -> Iterator[_Old]:
        for folder in self._catalogue.hours(endpoint, newest_first=False, to_ns=before_ns):
            if hour_ns_of(folder) + HOUR_NS > before_ns:
                break
            for front, segment, place in self._catalogue.files_in(folder):
                yield from self._entered(place, front, segment, before_ns)
        yield from self._old_late_files(endpoint, before_ns)
        flat = self._catalogue.flat
        for front, segment in flat.segments(endpoint):
            for place in flat.rows(front, segment, endpoint):
                if self._depot.size(place) is not None and self._is_older(place, "received_at", before_ns):
                    yield _Old(place=place, entry=None, part=0, file=None)
        for place in flat.every_late(endpoint):
            if self._depot.size(place) is not None and self._is_older(place, "at", before_ns):
                yield _Old(place=place, entry=None, part=0, file=None)

    def _old_late_files(self, endpoint: str, before_ns: int) -> Iterator[_Old]:
        for front in self._depot.names(f"{LATE_FOLDER}/{endpoint}"):
            for folder in self._depot.names(f"{LATE_FOLDER}/{endpoint}/{front[:-1]}"):
                inside = f"{LATE_FOLDER}/{endpoint}/{front[:-1]}/{folder[:-1]}"
                olds: list[_Old] = []
                names = self._depot.names(inside)
                for name in names:
                    segment = int(name.split(".")[1])
                    olds += self._entered(f"{inside}/{name}", int(front[:-1]), segment, before_ns)
                yield from olds
                if len(olds) < len(names):
                    break  # what comes after is younger

    def _entered(self, place: str, front: int, segment: int, before_ns: int) -> Iterator[_Old]:
        try:
            for part, entry in enumerate(self._catalogue.index.entries(front, segment)):
                for file in entry.files:
                    if file.place == place and file.newest_ns < before_ns:
                        yield _Old(place=place, entry=entry, part=part, file=file)
        except IndexDamaged as error:
            log.warning("archive.index_damaged", place=place, error=error.message)

    def _is_older(self, place: str, column: str, before_ns: int) -> bool:
        def newest(file: ArchiveFile) -> int | None:
            times = [file.times_of(group, column) for group in range(file.groups)]
            return None if not times or None in times else max(time[1] for time in times if time is not None)

        found = self._catalogue.look(place, newest, None)
        return found is not None and found < before_ns

    def _note(self, old: list[_Old], reason: Reason) -> None:
        """Write into the index what goes, before it does."""
        by_entry: dict[tuple[int, int, int], list[_Old]] = {}
        for one in old:
            if one.entry is not None:
                by_entry.setdefault((one.entry.front, one.entry.segment, one.part), []).append(one)
        for (front, segment, part), members in by_entry.items():
            entry = members[0].entry
            if entry is None:
                continue
            known = self._catalogue.index.removal(entry, part)
            files = {file.place: file for file in (() if known is None else known.files)}
            new = {one.place: one.file for one in members if one.file is not None and one.place not in files}
            if not new:
                continue  # noted by a round that was killed
            self._catalogue.index.add_removal(
                Removal(
                    front=front,
                    segment=segment,
                    entry=entry.seal,
                    files=(*files.values(), *new.values()),
                    removals=(*(() if known is None else known.removals), reason),
                ),
                part,
            )
