"""Sessions: queue work, claim it, say how it goes, finish it."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from muster.access.actor import Call
from muster.access.roles import Right
from muster.sessions import store
from muster.sessions.errors import SessionInterrupted, SessionNotFound
from muster.sessions.records import Measure, Measured, MeasuresAsked, Session
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import SESSION_MOVES, SessionState

DEAD_AFTER = timedelta(seconds=60)
"""Without a sign of life for so long, an executor counts as dead."""
_LONGEST_LINE = 2000
_MOST_LINES = 2000


class Sessions:
    """Every execution of long work.

    Args:
        database: where sessions are kept.
        clock: tells when.
    """

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    # For whoever asks.

    def session(self, call: Call, session_id: str) -> Session:
        """One session of the project.

        Raises:
            SessionNotFound: there is none.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            return self._held(tx, call.project, session_id)

    def sessions(self, call: Call, limit: int = 20) -> tuple[Session, ...]:
        """The last sessions of the project, the newest first, without their lines of progress."""
        call.require(Right.READ)
        with self._database.read() as tx:
            return store.newest_of(tx, call.project, limit)

    def measures(self, call: Call, asked: MeasuresAsked, limit: int = 1000) -> tuple[Measured, ...]:
        """What was measured of a model, across sessions and periods, the newest first."""
        call.require(Right.READ)
        with self._database.read() as tx:
            return store.measures(tx, call.project, asked, limit)

    # For services that queue work, within their transactions.

    def queue(self, tx: Transaction, call: Call, kind: str, subject: str) -> tuple[Session, bool]:
        """A session for the work, and whether it is new: one that is queued or running already serves as well.

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
        now = store.state_under(tx, session.id, session.executor)
        if state not in SESSION_MOVES[now]:
            raise SessionInterrupted(f"session {session.id} is {now}", session=session.id, state=str(now))
        store.set_finished(tx, session.id, state, result, self._clock.now())
        return self._held(tx, session.project, session.id)

    def keep_measures(
        self, tx: Transaction, session: Session, version: VersionName, measures: Sequence[Measure]
    ) -> None:
        """Keep what was measured of a version in a session; in the transaction that ends it."""
        store.add_measures(tx, session, version, measures, self._clock.now())

    # For executors.

    def claim(self, executor: str, kinds: Collection[str]) -> Session | None:
        """The session of these kinds that has waited longest, now running here; None when none waits."""
        with self._database.read() as tx:
            # Looked for without the write lock first, as an executor asks several times a second.
            if not store.is_queued(tx, kinds):
                return None
        with self._database.write() as tx:
            found = store.oldest_queued(tx, kinds)
            if found is None:
                return None
            store.set_running(tx, found.id, executor, self._clock.now())
            return self._held(tx, found.project, found.id)

    def say(self, session: Session, line: str) -> None:
        """Add a line of progress.

        Raises:
            SessionInterrupted: the session was ended meanwhile: stop the work.
        """
        text = line.replace("\0", "\ufffd").encode("utf-8", "replace").decode()[:_LONGEST_LINE]
        with self._database.write() as tx:
            state = store.state_under(tx, session.id, session.executor)
            if state is not SessionState.RUNNING:
                raise SessionInterrupted(f"session {session.id} is {state}", session=session.id, state=str(state))
            if store.last_line(tx, session.id) < _MOST_LINES:
                store.add_line(tx, session.id, text, self._clock.now())

    def beat(self, executor: str) -> None:
        """A sign of life of an executor, for all its sessions."""
        with self._database.write() as tx:
            store.set_heartbeat(tx, executor, self._clock.now())

    def interrupt(self, session: Session, why: str) -> None:
        """End a running session whose work was given up; nothing, if it is finished."""
        with self._database.write() as tx:
            if store.state_under(tx, session.id, session.executor) is SessionState.RUNNING:
                self._interrupt(tx, session, why)

    def interrupt_left(self, executor: str) -> tuple[Session, ...]:
        """End the sessions that an executor of this name left running when it died; for one that starts. Gives them."""
        with self._database.write() as tx:
            left = [held for held, _ in store.running(tx) if held.executor == executor]
            return self._end(tx, left)

    def interrupt_dead(self) -> tuple[Session, ...]:
        """End the sessions of executors that have given no sign of life for a minute; gives them."""
        since = self._clock.now() - DEAD_AFTER
        with self._database.write() as tx:
            return self._end(tx, [held for held, alive in store.running(tx) if alive < since])

    def _end(self, tx: Transaction, left: Sequence[Session]) -> tuple[Session, ...]:
        for held in left:
            self._interrupt(tx, held, f"its executor {held.executor} ended")
        return tuple(left)

    def _interrupt(self, tx: Transaction, held: Session, why: str) -> None:
        now = self._clock.now()
        store.add_line(tx, held.id, f"interrupted: {why}", now)
        store.set_finished(tx, held.id, SessionState.INTERRUPTED, None, now)

    def _held(self, tx: Transaction, project: str, session_id: str) -> Session:
        found = store.session(tx, session_id)
        if found is None or found.project != project:
            raise SessionNotFound(f"there is no session {session_id}", session=session_id)
        return found
