"""The switch to an approved release, in two phases, driven by what the fronts report; docs/adr/0009-two-phase-switch.md.

Where a switch stands is read from what is on record: an approved release that is not current is being loaded, one that is
current is being switched to. So control may be killed at any line, and goes on where it was.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from muster.access.service import FACTORY
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.publishing.board import Board, endpoint_subject
from muster.registry.service import Registry
from muster.release import store
from muster.release.followers import Followers
from muster.release.publisher import Publisher, has_begun
from muster.release.records import Cause, Release
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock, rfc3339
from muster.vocabulary.errors import MusterError
from muster.vocabulary.states import ReleaseState
from muster.wire.plans import EndpointPlans, Publication

_COOL_EVERY = timedelta(seconds=30)
log = structlog.get_logger()


class Switch:
    """Makes approved releases live.

    Args:
        database: where releases are kept.
        journal: where each step is put on record.
        board: tells what the fronts were told last.
        registry: holds the states of versions still while a step is taken.
        publisher: publishes the plans.
        followers: the fronts.
        clock: tells when.
        unfit: of an approved release: gives what tells, in a transaction, why it cannot go live after all.
    """

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        board: Board,
        registry: Registry,
        publisher: Publisher,
        followers: Followers,
        clock: Clock,
        unfit: Callable[[Release], Callable[[Transaction], str | None]],
    ) -> None:
        self._unfit = unfit
        self._database = database
        self._journal = journal
        self._board = board
        self._registry = registry
        self._publisher = publisher
        self._followers = followers
        self._clock = clock
        self._one_at_a_time = threading.Lock()
        self._cooled_at: datetime | None = None
        self._noted: frozenset[str] | None = None
        """Fronts that the database knows; None: it was not asked yet."""
        self._held_up: dict[tuple[str, int], str] = {}
        """Releases that something holds up, by endpoint and number, with the code of what it was last."""

    def saw(self, front: str, number: int) -> None:
        """A front polled or reported; it has this publication."""
        self.connected()  # whoever followed before a restart is expected, before one that came back seems to be alone
        self._followers.saw(front, number)

    def connected(self) -> frozenset[str]:
        """The fronts that are waited for now."""
        if self._noted is None:
            with self._one_at_a_time:
                self._recall()
        return self._followers.connected()

    def advance(self) -> None:
        """Take every switch as far as the reports allow, and let go of what is warm no longer."""
        with self._one_at_a_time:
            self._recall()
            self._note_followers()
            with self._database.read() as tx:
                approved = store.releases_in(tx, ReleaseState.APPROVED)
            for release in approved:
                self._go_on(release, approved)
            self._held_up = {key: code for key, code in self._held_up.items() if key in set(map(_key, approved))}
            for endpoint in self._cooled():
                with self._database.write() as tx:
                    self._registry.hold_states(tx)
                    self._publisher.publish(tx, endpoint)

    def record_failure(self, tx: Transaction, release: Release, why: str) -> None:
        """Put on record that a release failed."""
        self._record(tx, "release.failed", release, {"failure": why})

    def _go_on(self, release: Release, approved: Sequence[Release]) -> None:
        """Take one release as far as it comes; what holds it up holds up no other, and is told once."""
        try:
            if release.live_from is not None and not release.current:
                self._begin(release, approved)
            self._step(release)
        except MusterError as error:
            if self._held_up.get(_key(release)) != error.code:
                self._held_up[_key(release)] = error.code
                log.warning(
                    "release.held-up",
                    endpoint=release.endpoint,
                    release=release.number,
                    code=error.code,
                    message=error.message,
                )
        else:
            self._held_up.pop(_key(release), None)

    def _step(self, release: Release) -> None:
        told = self._board.newest(endpoint_subject(release.endpoint))
        connected = self._followers.connected()
        if told is None or not connected:
            return
        if release.current:
            self._finish(release, told, connected)
            return
        if release.live_from is not None and not self._is_told(release, told):
            return  # its time has not come, or another release is being loaded
        failure = self._followers.failure(release.endpoint, release.number, told.number)
        if failure is not None:
            self._fail(release, f"{failure.front}: {failure.message or failure.state}")
        elif self._all(release, "loaded", told, connected):
            self._serve(release)

    def _begin(self, release: Release, approved: Sequence[Release]) -> None:
        """Have a release loaded whose moment is near, if it still may go live, and once no other is being loaded."""
        now = self._clock.now()
        told = self._board.newest(endpoint_subject(release.endpoint))
        if not has_begun(release, now) or self._is_told(release, told):
            return
        others = (one for one in approved if one.endpoint == release.endpoint and one.number != release.number)
        if any(not other.current and has_begun(other, now) for other in others):
            return
        unfit = self._unfit(release)
        with self._database.write() as tx:
            self._registry.hold_states(tx)
            if not self._stands(tx, release):
                return
            why = unfit(tx)
            if why is not None:
                self._cancel(tx, release, why)
            else:
                self._publisher.publish(tx, release.endpoint)
        self._followers.tell()

    def _is_told(self, release: Release, told: Publication | None) -> bool:
        """Whether the fronts were told to load it."""
        if told is None or not isinstance(told.document, EndpointPlans):
            return False
        return told.document.loading is not None and told.document.loading.release == release.number

    def _cancel(self, tx: Transaction, release: Release, why: str) -> None:
        told = (
            "its approval holds no longer"
            if release.live_from is None
            else "cancelled at the moment it was approved for"
        )
        failure = f"{told}: {why}"
        store.move(tx, release, ReleaseState.FAILED, failure=failure)
        self.record_failure(tx, release, failure)
        log.warning("release.cancelled", endpoint=release.endpoint, release=release.number, why=why)

    def _all(self, release: Release, state: str, told: Publication, connected: frozenset[str]) -> bool:
        confirmed = self._followers.confirmed(release.endpoint, release.number, state, told.number)
        return connected <= confirmed.keys()

    def _fail(self, release: Release, why: str) -> None:
        with self._database.write() as tx:
            self._registry.hold_states(tx)
            if not self._stands(tx, release):
                return
            store.move(tx, release, ReleaseState.FAILED, failure=why)
            self._publisher.publish(tx, release.endpoint)
            self.record_failure(tx, release, why)
        log.warning("release.failed", endpoint=release.endpoint, release=release.number, failure=why)
        self._followers.tell()

    def _serve(self, release: Release) -> None:
        """Every connected front has loaded it: let them switch, if its moment has come."""
        if release.live_from is not None and self._clock.now() < release.live_from:
            return
        unfit = self._unfit(release)
        with self._database.write() as tx:
            self._registry.hold_states(tx)
            if not self._stands(tx, release):
                return
            # Days may have gone by since its approval, if no front was there: what holds now holds for it, too.
            if (problem := unfit(tx)) is not None:
                self._cancel(tx, release, problem)
                self._publisher.publish(tx, release.endpoint)
                tx.after_commit(self._followers.tell)
                return
            why = f"release {release.number} was approved and loaded before every front served it"
            approved = store.releases_in(tx, ReleaseState.APPROVED, release.endpoint)
            # One that waits for its moment, or for this one to be done, is not overtaken.
            overtaken = [
                other
                for other in approved
                if other.number != release.number and (other.live_from is None or other.current)
            ]
            for other in overtaken:
                store.move(tx, other, ReleaseState.FAILED, failure=why)
            by = release.decided_by or FACTORY
            store.add_pointer(tx, release.endpoint, release.number, self._clock.now(), by, Cause.WENT_LIVE)
            self._publisher.publish(tx, release.endpoint)
            for other in overtaken:
                self.record_failure(tx, other, why)
            self._record(tx, "release.switched", release, {"plan": release.plan_digest})
        log.info("release.switched", endpoint=release.endpoint, release=release.number)
        self._followers.tell()

    def _finish(self, release: Release, told: Publication, connected: frozenset[str]) -> None:
        """Every connected front serves it: it is live."""
        if not self._all(release, "serving", told, connected):
            return
        with self._database.write() as tx:
            self._registry.hold_states(tx)
            if not self._stands(tx, release):
                return
            superseded = store.releases_in(tx, ReleaseState.LIVE, release.endpoint)
            store.move(tx, release, ReleaseState.LIVE, live_at=rfc3339(self._clock.now()))
            for other in superseded:
                store.move(tx, other, ReleaseState.SUPERSEDED)
            for other in superseded:
                self._record(tx, "release.superseded", other, {"by": release.number})
            self._record(tx, "release.live", release, {"fronts": sorted(connected)})
        log.info("release.live", endpoint=release.endpoint, release=release.number, fronts=sorted(connected))
        self._followers.tell()

    def _stands(self, tx: Transaction, release: Release) -> bool:
        """Whether the release still is where it was when its step was chosen."""
        now = store.release(tx, release.endpoint, release.number)
        return now is not None and (now.state, now.current) == (release.state, release.current)

    def _cooled(self) -> list[str]:
        """Endpoints whose fronts keep a plan warm for which the time is over; looked for now and then."""
        now = self._clock.now()
        if self._cooled_at is not None and now - self._cooled_at < _COOL_EVERY:
            return []
        self._cooled_at = now
        with self._database.read() as tx:
            long_current = [p.endpoint for p in store.newest_pointers(tx) if not self._publisher.is_warm(p)]
        told = (self._board.newest(endpoint_subject(endpoint)) for endpoint in long_current)
        documents = (publication.document for publication in told if publication is not None)
        return [doc.endpoint for doc in documents if isinstance(doc, EndpointPlans) and doc.warm is not None]

    def _recall(self) -> None:
        if self._noted is None:
            with self._database.read() as tx:
                self._noted = store.known_followers(tx)
            self._followers.expect(self._noted)

    def _note_followers(self) -> None:
        connected = self._followers.connected()
        assert self._noted is not None
        come, gone = connected - self._noted, self._noted - connected
        if not come and not gone:
            return
        with self._database.write() as tx:
            store.note_followers(tx, come, gone, self._clock.now())
        self._noted = connected
        log.info("fronts.changed", connected=sorted(connected), gone=sorted(gone))
        self._followers.tell()

    def _record(self, tx: Transaction, action: str, release: Release, details: Mapping[str, object]) -> None:
        self._journal.append(
            tx,
            Deed(
                actor=FACTORY,
                action=action,
                subject=release.subject,
                project=release.project,
                details=dict(details),
            ),
        )


def _key(release: Release) -> tuple[str, int]:
    return release.endpoint, release.number
