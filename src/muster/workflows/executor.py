"""The executor: claims sessions, runs them, says how they ended.

A session is worked on by one executor at a time. An executor that is killed leaves its session `running`; it is marked
`interrupted` when an executor of the same name starts, or by any other once there has been no sign of life for a minute.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from muster.sessions.errors import SessionInterrupted
from muster.sessions.records import Session
from muster.sessions.service import Sessions
from muster.storage.errors import DatabaseUnavailable
from muster.storage.transaction import Database
from muster.vocabulary.errors import MusterError
from muster.vocabulary.states import SessionState
from muster.workflows.chores import Chore

Say = Callable[[str], None]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a session's work, for the executor to keep."""

    passed: bool
    result: Mapping[str, Any]
    """JSON-able."""


#: Does the work of a session. Gives its outcome, or None when it has finished the session itself.
Handler = Callable[[Session, Say], Outcome | None]


class Executor:
    """Runs sessions until it is stopped.

    Args:
        database: where sessions are kept.
        sessions: the sessions.
        handlers: what to do for each kind; sessions of other kinds are left alone.
        name: who works: the same after a restart, another for every executor of the factory.
        chores: what else is done, on a thread of their own; one that fails keeps none of the others from its turn.
        look_every_s: how often to look for work, seconds.
        chores_every_s: how often to look which chores are due, seconds.
        beat_every_s: how often to give a sign of life, seconds.
    """

    def __init__(
        self,
        *,
        database: Database,
        sessions: Sessions,
        handlers: Mapping[str, Handler],
        name: str,
        chores: Iterable[Chore] = (),
        look_every_s: float = 0.2,
        chores_every_s: float = 1.0,
        beat_every_s: float = 5.0,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._handlers = dict(handlers)
        self._name = name
        self._chores = tuple(chores)
        self._look_every_s = look_every_s
        self._chores_every_s = chores_every_s
        self._beat_every_s = beat_every_s
        self._stopping = threading.Event()

    def run(self) -> None:
        """Work until `stop`; what is being worked on then is interrupted at its next line of progress."""
        rounds = [
            threading.Thread(target=self._every, args=(self._beat_every_s, self._beat), name="executor.heartbeat"),
            threading.Thread(target=self._every, args=(self._chores_every_s, self._do_chores), name="executor.chores"),
        ]
        for thread in rounds:
            thread.start()
        try:
            left = False
            while not self._stopping.is_set():
                try:
                    left = left or self._interrupt_left()
                    if not self.run_one():
                        self._stopping.wait(self._look_every_s)
                except MusterError as error:
                    # The database is away or locked: it comes back, and no session is lost meanwhile.
                    log.warning("executor.held_up", code=error.code, message=error.message)
                    left = False  # the end of a session may not have been kept: nothing of ours runs now
                    self._stopping.wait(self._beat_every_s)
        finally:
            self._stopping.set()
            for thread in rounds:
                thread.join()

    def stop(self) -> None:
        """Have `run` end; safe in a signal handler."""
        self._stopping.set()

    def run_one(self) -> bool:
        """Work on the session that has waited longest; False when none waits."""
        session = self._sessions.claim(self._name, self._handlers.keys())
        if session is None:
            return False
        log.info("session.started", session=session.id, kind=session.kind, subject=session.subject)
        try:
            outcome = self._handlers[session.kind](session, self._say_of(session))
        except (SessionInterrupted, DatabaseUnavailable) as error:
            self._sessions.interrupt(session, error.message)
            log.warning("session.interrupted", session=session.id, why=error.message)
        except MusterError as error:
            log.warning("session.failed", session=session.id, code=error.code, message=error.message)
            self._finish(session, Outcome(passed=False, result=_error(error.code, error.message, error.advice)))
        except Exception as error:
            log.exception("session.broke", session=session.id)
            self._finish(session, Outcome(passed=False, result=_error("internal", repr(error), "See the logs.")))
        else:
            if outcome is not None:
                self._finish(session, outcome)
            log.info("session.finished", session=session.id)
        return True

    def _say_of(self, session: Session) -> Say:
        def say(line: str) -> None:
            if self._stopping.is_set():
                raise SessionInterrupted(f"the executor {self._name} is stopping", session=session.id)
            self._sessions.say(session, line)

        return say

    def _finish(self, session: Session, outcome: Outcome) -> None:
        state = SessionState.PASSED if outcome.passed else SessionState.FAILED
        try:
            with self._database.write() as tx:
                self._sessions.finish(tx, session, state, outcome.result)
        except SessionInterrupted as error:
            log.warning("session.outcome_unwanted", session=session.id, message=error.message)

    def _interrupt_left(self) -> bool:
        self._tell(self._sessions.interrupt_left(self._name))
        return True

    def _tell(self, left: Sequence[Session]) -> None:
        for session in left:
            log.warning("session.left_behind", session=session.id, kind=session.kind, subject=session.subject)

    def _every(self, seconds: float, deed: Callable[[], None]) -> None:
        while not self._stopping.wait(seconds):
            try:
                deed()
            except Exception:  # a chore that fails is done again; it must not end those that do not
                log.exception("executor.chore_failed")

    def _beat(self) -> None:
        self._sessions.beat(self._name)
        self._tell(self._sessions.interrupt_dead())

    def _do_chores(self) -> None:
        for chore in self._chores:
            if self._stopping.is_set():
                return
            chore.do_if_due()


def _error(code: str, message: str, advice: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "advice": advice}}
