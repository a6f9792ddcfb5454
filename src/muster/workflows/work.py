"""One session's work: done, and its end kept, in whichever process does it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from muster.sessions.errors import SessionCancelled, SessionInterrupted, SessionStopped
from muster.sessions.records import Session
from muster.sessions.service import Sessions
from muster.storage.errors import DatabaseUnavailable
from muster.storage.transaction import Database
from muster.vocabulary.errors import MusterError
from muster.vocabulary.states import SessionState

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


class Worker:
    """Does the work of claimed sessions, and keeps how each of them ended.

    Args:
        database: where sessions are kept.
        sessions: the sessions.
        is_stopping: whether the process is asked to end; what is being worked on then is left at its next line of progress.
    """

    def __init__(self, *, database: Database, sessions: Sessions, is_stopping: Callable[[], bool]) -> None:
        self._database = database
        self._sessions = sessions
        self._is_stopping = is_stopping

    def do(self, session: Session, handler: Handler) -> None:
        """Work on a session; whatever goes wrong is an end of the session, and none of the process."""
        log.info("session.started", session=session.id, kind=session.kind, subject=session.subject)
        try:
            outcome = handler(session, self._say_of(session))
        except SessionStopped as error:
            self._sessions.interrupt(session, error.message, is_death=False)
            log.info("session.stopped", session=session.id, why=error.message)
        except SessionCancelled as error:
            log.info("session.cancelled", session=session.id, why=error.message)
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

    def _say_of(self, session: Session) -> Say:
        def say(line: str) -> None:
            if self._is_stopping():
                raise SessionStopped("its executor is stopping", session=session.id)
            self._sessions.say(session, line)

        return say

    def _finish(self, session: Session, outcome: Outcome) -> None:
        state = SessionState.PASSED if outcome.passed else SessionState.FAILED
        try:
            with self._database.write() as tx:
                self._sessions.finish(tx, session, state, outcome.result)
        except SessionInterrupted as error:
            log.warning("session.outcome_unwanted", session=session.id, message=error.message)


def _error(code: str, message: str, advice: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "advice": advice}}
