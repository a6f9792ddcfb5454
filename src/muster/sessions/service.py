"""Sessions: queue work, claim it, say how it goes, finish it."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from muster.access.actor import Call
from muster.access.roles import Right
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.sessions import store
from muster.sessions.errors import SessionCancelled, SessionGivenUp, SessionInterrupted, SessionNotFound, SessionOver
from muster.sessions.records import MOST_ATTEMPTS, Kept, Measure, Measured, MeasuresAsked, Session
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import OPEN_SESSIONS, SESSION_MOVES, SessionState

DEAD_AFTER = timedelta(seconds=60)
"""Without a sign of life for so long, an executor counts as dead."""
_LONGEST_LINE = 2000
_MOST_LINES = 2000


class Sessions:
    """Every execution of long work.

    Args:
        database: where sessions are kept.
        journal: where it is put on record who cancelled one.
        clock: tells when.
    """

    def __init__(self, *, database: Database, journal: Journal, clock: Clock) -> None:
        self._database = database
        self._journal = journal
        self._clock = clock

    # For whoever asks.

    def session(self, call: Call, session_id: str, after: int = 0) -> Session:
        """One session of the project.

        Args:
            call: who, and in which project.
            session_id: which.
            after: only lines of progress after this one, counted from 1.

        Raises:
            SessionNotFound: there is none.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            return self._held(tx, call.project, session_id, after)

    def sessions(
        self, call: Call, limit: int = 20, *, open_only: bool = False, subject: str = "", kind: str = ""
    ) -> tuple[Session, ...]:
        """The last sessions of the project, the newest first, without their lines of progress.

        Args:
            call: who, and in which project.
            limit: how many at most.
            open_only: only those that will go on.
            subject: only those about it; empty: about anything.
            kind: only those of this kind of work; empty: of any.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            return store.newest_of(tx, call.project, limit, OPEN_SESSIONS if open_only else (), subject, kind)

    def cancel(self, call: Call, session_id: str, reason: str) -> Session:
        """End a session for good, wherever it is; what works on it is ended within a second.

        Whoever asked for the work may, and whoever may certify in the project.

        Raises:
            SessionNotFound: there is none.
            SessionOver: it has come to its end already.
            RightMissing: it is somebody else's.
        """
        call.require(Right.READ)
        with self._database.write() as tx:
            if self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest) is not None:
                return self._held(tx, call.project, session_id)
            found = store.held(tx, session_id)
            if found is None or found.project != call.project:
                raise _not_found(session_id)
            if found.requested_by != call.actor.name:
                call.require(Right.CERTIFY)
            if found.state not in OPEN_SESSIONS:
                raise SessionOver(f"session {session_id} is {found.state}", session=session_id, state=str(found.state))
            now = self._clock.now()
            store.add_line(tx, found.id, _told(f"cancelled by {call.actor.name}: {reason}"), now)
            store.set_finished(tx, found.id, SessionState.CANCELLED, None, now)
            store.forget_kept(tx, found.id)
            self._journal.append(
                tx,
                Deed(
                    actor=call.actor.name,
                    action="session.cancelled",
                    subject=found.subject,
                    project=call.project,
                    details={"session": found.id, "kind": found.kind, "was": str(found.state)},
                    reason=reason,
                    idempotency_key=call.idempotency_key,
                    request_digest=call.request_digest,
                ),
            )
            return self._held(tx, call.project, session_id)

    def measures(self, call: Call, asked: MeasuresAsked, limit: int = 1000) -> tuple[Measured, ...]:
        """What was measured of a model, across sessions and periods, the newest first."""
        call.require(Right.READ)
        with self._database.read() as tx:
            return store.measures(tx, call.project, asked, limit)

    # For services that queue work, within their transactions.

    def queue(self, tx: Transaction, call: Call, kind: str, subject: str) -> tuple[Session, bool]:
        """A session for the work, and whether it is new: one that will go on already serves as well.

        The caller has checked the right, and puts a new one on record.
        """
        tx.lock("muster.sessions", call.project, kind, subject)
        open_one = store.open_about(tx, call.project, kind, subject)
        if open_one is not None:
            return open_one, False
        session = Session(
            id=f"s-{secrets.token_hex(16)}",
            kind=kind,
            subject=subject,
            project=call.project,
            state=SessionState.QUEUED,
            requested_by=call.actor.name,
            created_at=self._clock.now(),
            started_at=None,
            finished_at=None,
            executor=None,
            progress=(),
            result=None,
        )
        store.add(tx, session)
        return session, True

    def session_in(self, tx: Transaction, project: str, session_id: str) -> Session:
        """One session of a project, as this transaction sees it.

        Raises:
            SessionNotFound: there is none.
        """
        return self._held(tx, project, session_id)

    def finish(
        self, tx: Transaction, session: Session, state: SessionState, result: Mapping[str, Any] | None
    ) -> Session:
        """Keep what came of the work.

        Raises:
            SessionInterrupted: the session was ended meanwhile; nothing may be kept of the work.
        """
        self._require_running(tx, session)
        assert state in SESSION_MOVES[SessionState.RUNNING]
        store.set_finished(tx, session.id, state, result, self._clock.now())
        store.forget_kept(tx, session.id)
        return self._held(tx, session.project, session.id)

    def keep_measures(
        self, tx: Transaction, session: Session, version: VersionName, measures: Sequence[Measure]
    ) -> None:
        """Keep what was measured of a version in a session; in the transaction that ends it."""
        store.add_measures(tx, session, version, measures, self._clock.now())

    def measures_in(self, tx: Transaction, project: str, session_id: str, version: VersionName) -> tuple[Measure, ...]:
        """Everything that was measured of a version in one session, as this transaction sees it."""
        asked = MeasuresAsked(model=version.model, number=version.number, session=session_id, slice=None)
        return tuple(one.measure for one in store.measures(tx, project, asked, None))

    def keep_done(
        self, tx: Transaction, call: Call, kind: str, subject: str, *, passed: bool, result: Mapping[str, Any]
    ) -> Session:
        """A session of work that no executor had to do, and that is done: what was measured in it hangs on it."""
        session, _ = self.queue(tx, call, kind, subject)
        now = self._clock.now()
        store.set_running(tx, session, call.actor.name, now)
        store.set_finished(tx, session.id, SessionState.PASSED if passed else SessionState.FAILED, result, now)
        return self._held(tx, call.project, session.id)

    # For executors.

    def claim(self, executor: str, kinds: Collection[str]) -> Session | None:
        """The session of these kinds that has waited longest, now running here; None when none waits.

        One that was interrupted waits, too: it is begun again.
        """
        with self._database.read() as tx:
            # Looked for without the write lock first, as an executor asks several times a second.
            if not store.is_queued(tx, kinds):
                return None
        with self._database.write() as tx:
            found = store.oldest_queued(tx, kinds)
            if found is None:
                return None
            store.set_running(tx, found, executor, self._clock.now())
            if found.attempt:
                store.add_line(tx, found.id, f"begun again: attempt {found.attempt + 1}", self._clock.now())
            return self._held(tx, found.project, found.id)

    def claimed(self, session_id: str) -> Session:
        """A session that was claimed, for the process that works on it; whose project it is was asked before.

        Raises:
            SessionNotFound: there is none.
        """
        with self._database.read() as tx:
            found = store.session(tx, session_id)
        if found is None:
            raise _not_found(session_id)
        return found

    def is_wanted(self, session: Session) -> bool:
        """Whether a claimed session is still worked on by whoever claimed it: not cancelled, not begun again by another."""
        with self._database.read() as tx:
            return store.state_of(tx, session) is SessionState.RUNNING

    def keep(self, session: Session, name: str, key: str, content: Mapping[str, Any]) -> None:
        """Keep a part of the work that is done, so that it need not be done again after an interruption.

        Raises:
            SessionInterrupted: the session was ended meanwhile: stop the work.
        """
        with self._database.write() as tx:
            self._require_running(tx, session)
            store.keep(tx, session, Kept(name=name, key=key, content=content, attempt=session.attempt))

    def say(self, session: Session, line: str) -> None:
        """Add a line of progress.

        Raises:
            SessionInterrupted: the session was ended meanwhile: stop the work.
        """
        text = _told(line)
        with self._database.write() as tx:
            self._require_running(tx, session)
            if store.last_line(tx, session.id) < _MOST_LINES:
                store.add_line(tx, session.id, text, self._clock.now())

    def beat(self, executor: str) -> None:
        """A sign of life of an executor, for all its sessions."""
        with self._database.write() as tx:
            store.set_heartbeat(tx, executor, self._clock.now())

    def interrupt(self, session: Session, why: str, *, is_death: bool = True) -> None:
        """Have a running session begun again, as its work was given up; nothing, if it is finished.

        Args:
            session: claimed.
            why: in words.
            is_death: something died of it; after the third death nobody tries again.
        """
        with self._database.write() as tx:
            if store.state_under(tx, session) is SessionState.RUNNING:
                self._interrupt(tx, session, why, is_death=is_death)

    def interrupt_left(self, executor: str, but: Collection[str] = ()) -> tuple[Session, ...]:
        """Interrupt the sessions that an executor of this name left running when it died. Gives them.

        Args:
            executor: its name, by one that starts.
            but: ids of those that it works on now.
        """
        with self._database.write() as tx:
            left = [held for held, _ in store.running(tx) if held.executor == executor and held.id not in but]
            return self._end(tx, left)

    def interrupt_dead(self) -> tuple[Session, ...]:
        """Interrupt the sessions of executors that have given no sign of life for a minute; gives them."""
        since = self._clock.now() - DEAD_AFTER
        with self._database.write() as tx:
            return self._end(tx, [held for held, alive in store.running(tx) if alive < since])

    def _end(self, tx: Transaction, left: Sequence[Session]) -> tuple[Session, ...]:
        for held in left:
            self._interrupt(tx, held, f"its executor {held.executor} ended", is_death=True)
        return tuple(left)

    def _interrupt(self, tx: Transaction, held: Session, why: str, *, is_death: bool) -> None:
        now, deaths = self._clock.now(), held.deaths + is_death
        store.add_line(tx, held.id, _told(f"interrupted: {why}"), now)
        if deaths < MOST_ATTEMPTS:
            store.set_interrupted(tx, held.id, deaths)
            return
        error = SessionGivenUp(f"interrupted {deaths} times, the last time: {why}")
        told = {"code": error.code, "message": error.message, "advice": error.advice}
        store.set_finished(tx, held.id, SessionState.FAILED, {"error": told}, now)
        store.forget_kept(tx, held.id)

    def _require_running(self, tx: Transaction, session: Session) -> None:
        state = store.state_under(tx, session)
        if state is SessionState.CANCELLED:
            raise SessionCancelled(f"session {session.id} was cancelled", session=session.id, state=str(state))
        if state is not SessionState.RUNNING:
            raise SessionInterrupted(f"session {session.id} is {state}", session=session.id, state=str(state))

    def _held(self, tx: Transaction, project: str, session_id: str, after: int = 0) -> Session:
        found = store.session(tx, session_id, after)
        if found is None or found.project != project:
            raise _not_found(session_id)
        return found


def _not_found(session_id: str) -> SessionNotFound:
    return SessionNotFound(f"there is no session {session_id}", session=session_id)


def _told(line: str) -> str:
    """A line as every database keeps it."""
    return line.replace("\0", "\ufffd").encode("utf-8", "replace").decode()[:_LONGEST_LINE]
