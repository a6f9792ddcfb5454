"""Live-tests: start one, look at it, stop it; and what releases and the registry ask about them."""

from datetime import timedelta

from muster.access.actor import Call
from muster.access.roles import Right
from muster.audit.entries import Entry
from muster.audit.journal import Journal
from muster.livetests import store
from muster.livetests.errors import (
    LiveTestMalformed,
    LiveTestNotFound,
    LiveTestOver,
    LiveTestUnderWay,
    LiveTestUnfit,
)
from muster.livetests.figures import empty_figures
from muster.livetests.moves import LONGEST, Moves, record
from muster.livetests.records import OPEN, SHADOWING, LiveTest
from muster.livetests.rules import Rules, broken_by
from muster.packaging.contract import compatible
from muster.registry.reasons import checked_reason
from muster.registry.records import Version
from muster.registry.service import Registry
from muster.release.records import Release
from muster.release.service import Releases
from muster.sessions.service import Sessions
from muster.standards.evaluation import LiveTestFound
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock
from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import LiveTestState, Role, VersionState
from muster.wire.plans import FrontReport, PlannedVariant, Shadow

MOST_REQUESTS = 1_000_000_000
_SUBJECT = " live-test "


class LiveTests:
    """Which versions are on trial where.

    Args:
        database: where live-tests are kept.
        journal: where each move is put on record.
        registry: the versions.
        releases: what is served, and by whom; it is told to ask here what is on trial.
        sessions: what is measured hangs on a session.
        rules: what a live-test has to keep to.
        clock: tells when.
    """

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        registry: Registry,
        releases: Releases,
        sessions: Sessions,
        rules: Rules,
        clock: Clock,
    ) -> None:
        self._database = database
        self._journal = journal
        self._registry = registry
        self._releases = releases
        self._sessions = sessions
        self._rules = rules
        self._clock = clock
        self._moves = Moves(
            database=database,
            journal=journal,
            registry=registry,
            releases=releases,
            sessions=sessions,
            rules=rules,
            clock=clock,
        )
        registry.used_by(self)
        releases.tried_by(self)

    # What there is.

    def live_tests(
        self, call: Call, endpoint: str, *, limit: int | None = None, after: int | None = None
    ) -> tuple[LiveTest, ...]:
        """The live-tests of an endpoint, the newest first: so many below a number, or all.

        Raises:
            EndpointNotFound: the project has no such endpoint.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            self._releases.served_release(tx, call.project, endpoint)
            return store.live_tests_of(tx, endpoint, limit=limit, after=after)

    def open_live_tests(self, call: Call) -> tuple[LiveTest, ...]:
        """The live-tests of the project that have not come to their end, by endpoint."""
        call.require(Right.READ)
        with self._database.read() as tx:
            return tuple(one for one in store.in_states(tx, OPEN) if one.project == call.project)

    def live_test(self, call: Call, endpoint: str, number: int) -> LiveTest:
        """One live-test with its figures.

        Raises:
            EndpointNotFound, LiveTestNotFound: there is none.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            return self._held(tx, call, endpoint, number)

    def shortfalls(self, call: Call, seen: LiveTest) -> tuple[str, ...]:
        """By what the figures of a live-test fall short of what it has to keep to, as they stand."""
        with self._database.read() as tx:
            version = self._registry.version_in(tx, call.project, seen.version)
            return broken_by(self._rules.rule(tx, version), seen)

    # Deeds.

    def start(
        self,
        call: Call,
        endpoint: str,
        version: VersionName,
        reason: str,
        *,
        requests: int | None = None,
        hours: float | None = None,
        share: float = 1.0,
    ) -> LiveTest:
        """Put an accepted version on trial beside the release that is served.

        Args:
            call: who, and in which project.
            endpoint: whose requests it shall see.
            version: which.
            reason: why.
            requests: how many it shall be asked, at least.
            hours: how long it shall last, at least; with neither, what the project's standard asks for.
            share: of the requests, above 0, at most 1.

        Raises:
            EndpointNotFound, VersionNotFound: there is none.
            LiveTestMalformed: it does not say how long, or no share.
            LiveTestUnfit: the version is not accepted, is served there already, or cannot answer the endpoint's requests.
            LiveTestUnderWay: another one is.
        """
        call.require(Right.LIVE_TEST)
        told = checked_reason(reason)
        with self._database.read() as tx:
            seen = self._registry.version_in(tx, call.project, version)
        self._rules.prepare(seen)
        with self._database.write() as tx:
            if (entry := self._earlier(tx, call)) is not None:
                return self._present(tx, call, entry)
            self._registry.hold_states(tx)
            store.hold(tx, endpoint)
            current = self._releases.served_release(tx, call.project, endpoint)
            held = self._registry.version_in(tx, call.project, version)
            if requests is None and hours is None:
                rule = self._rules.rule(tx, held)
                if rule.requests is not None or rule.hours is not None:
                    requests, hours = rule.least_requests, rule.hours
            _check_length(requests, hours, share)
            _check_fits(held, endpoint, current)
            assert current is not None
            for other in store.in_states(tx, OPEN, endpoint):
                raise LiveTestUnderWay(
                    f"{other.subject} with {other.version} is {other.state}", endpoint=endpoint, live_test=other.number
                )
            champion, *others = current.plan.variants
            canaries = tuple(VersionName.parse(one.version) for one in others if one.role is Role.CANARY)
            made = LiveTest(
                project=call.project,
                endpoint=endpoint,
                number=store.next_number(tx, endpoint),
                version=version,
                manifest=held.digest,
                release=current.number,
                champion=VersionName.parse(champion.version),
                canaries=canaries,
                deadline_ms=current.plan.deadline_ms,
                requests=requests,
                hours=hours,
                share=share,
                state=LiveTestState.QUEUED,
                started_by=call.actor.name,
                started_at=self._clock.now(),
                reason=told,
                figures=empty_figures(str(version), [champion.version, *map(str, canaries)]),
            )
            store.add(tx, made)
            details = {
                "version": str(version),
                "manifest": held.digest,
                "release": current.number,
                "share": share,
                **({} if requests is None else {"requests": requests}),
                **({} if hours is None else {"hours": hours}),
            }
            record(self._journal, tx, call, "live-test.started", made, details, told)
        self._moves.advance_now()
        return self.live_test(call, endpoint, made.number)

    def stop(self, call: Call, endpoint: str, number: int, reason: str) -> LiveTest:
        """End a live-test before its time; it counts for nothing.

        Raises:
            EndpointNotFound, LiveTestNotFound: there is none.
            LiveTestOver: it has come to its end.
        """
        call.require(Right.LIVE_TEST)
        told = checked_reason(reason)
        with self._database.write() as tx:
            if (entry := self._earlier(tx, call)) is not None:
                return self._present(tx, call, entry)
            self._registry.hold_states(tx)
            store.hold(tx, endpoint)
            held = self._held(tx, call, endpoint, number)
            if held.state not in OPEN:
                raise LiveTestOver(
                    f"{held.subject} is {held.state}", endpoint=endpoint, live_test=number, state=str(held.state)
                )
            self._moves.end(
                tx, held, LiveTestState.STOPPED, f"stopped by {call.actor.name}: {told}", call=call, reason=told
            )
            return self._held(tx, call, endpoint, number)

    # What releases ask.

    def shadow(self, tx: Transaction, current: Release) -> Shadow | None:
        """What fronts shall try beside a release."""
        found = next(iter(store.in_states(tx, SHADOWING, current.endpoint)), None)
        if found is None or found.release != current.number:
            return None
        version = self._registry.version_in(tx, found.project, found.version)
        if version.state is not VersionState.ACCEPTED:
            return None
        variant = PlannedVariant(
            version=str(found.version),
            role=Role.SHADOW,
            manifest=found.manifest,
            inputs=tuple(field.name for field in version.contract.inputs),
            owners=version.owners,
        )
        return Shadow(live_test=found.number, release=found.release, variant=variant, share=found.share)

    def judged(self, tx: Transaction, release: Release, manifest: Digest) -> LiveTestFound | None:
        """The newest live-test of some bytes at a release's endpoint that has passed or failed."""
        found = store.newest_judged(tx, release.project, release.endpoint, manifest)
        return None if found is None else found.found()

    def reported(self, report: FrontReport) -> None:
        """A front says what became of a version on trial."""
        self._moves.heard(report)

    def advance(self) -> None:
        """Take every live-test as far as it comes."""
        self._moves.advance()

    # What the registry asks.

    def uses_of(self, tx: Transaction, version: Version) -> tuple[str, ...]:
        """The live-tests that the version is in."""
        return tuple(one.subject for one in store.open_ones_of(tx, version.project, version.name))

    def banned(self, tx: Transaction, call: Call, version: Version) -> None:
        """The version was banned: fronts stop asking it in the same transaction."""
        for one in store.open_ones_of(tx, version.project, version.name):
            self._moves.end(tx, one, LiveTestState.FAILED, f"{version.name} was banned by {call.actor.name}")

    # Within.

    def _held(self, tx: Transaction, call: Call, endpoint: str, number: int) -> LiveTest:
        self._releases.served_release(tx, call.project, endpoint)
        found = store.live_test(tx, endpoint, number)
        if found is None:
            raise LiveTestNotFound(
                f"endpoint {endpoint} has no live-test {number}", endpoint=endpoint, live_test=number
            )
        return found

    def _earlier(self, tx: Transaction, call: Call) -> Entry | None:
        return self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)

    def _present(self, tx: Transaction, call: Call, entry: Entry) -> LiveTest:
        """The live-test that an audit event is about, as it is now."""
        endpoint, _, number = entry.subject.rpartition(_SUBJECT)
        return self._held(tx, call, endpoint, int(number))


def _check_length(requests: int | None, hours: float | None, share: float) -> None:
    if requests is None and hours is None:
        raise LiveTestMalformed("a live-test says how many requests or how many hours it lasts")
    if requests is not None and not 1 <= requests <= MOST_REQUESTS:
        raise LiveTestMalformed(f"a live-test lasts 1 to {MOST_REQUESTS} requests, not {requests}", requests=requests)
    most_hours = LONGEST / timedelta(hours=1)
    if hours is not None and not 0 < hours <= most_hours:
        raise LiveTestMalformed(f"a live-test lasts up to {most_hours:g} hours, not {hours:g}", hours=hours)
    if not 0 < share <= 1:
        raise LiveTestMalformed(f"a share is above 0 and at most 1, not {share:g}", share=share)


def _check_fits(version: Version, endpoint: str, current: Release | None) -> None:
    facts = {"endpoint": endpoint, "version": str(version.name)}
    if version.state is not VersionState.ACCEPTED:
        raise LiveTestUnfit(f"{version.name} is {version.state}; only an accepted version is put on trial", **facts)
    if current is None:
        raise LiveTestUnfit(f"endpoint {endpoint} serves nothing yet: there are no requests to see", **facts)
    if version.name in current.versions:
        raise LiveTestUnfit(f"{version.name} is in {current.subject} already", **facts)
    reasons = compatible(current.plan.contract, version.contract)
    if reasons:
        raise LiveTestUnfit(
            f"{version.name} cannot answer what endpoint {endpoint} is asked: {'; '.join(reasons[:3])}",
            reasons=reasons,
            **facts,
        )
