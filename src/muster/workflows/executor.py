"""The executor: claims sessions, has several worked on at once, and does the chores meanwhile.

A session is worked on by one executor at a time. An executor that is killed leaves its session `running`; it is marked
`interrupted` when an executor of the same name starts, or by any other once there has been no sign of life for a minute, and is
then begun again.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from muster.sessions.records import Session
from muster.sessions.service import Sessions
from muster.storage.transaction import Database
from muster.vocabulary.errors import MusterError
from muster.workflows.chores import Chore
from muster.workflows.work import Handler, Outcome, Say, Worker

__all__ = ["Executor", "Handler", "Outcome", "Say"]
log = structlog.get_logger()


class Executor:
    """Runs sessions until it is stopped.

    Args:
        database: where sessions are kept.
        sessions: the sessions.
        handlers: what to do for each kind; sessions of other kinds are left alone.
        name: who works: the same after a restart, another for every executor of the factory.
        at_once: how many sessions are worked on at the same time, each on a thread of its own.
        chores: what else is done, on a thread of their own; one that fails keeps none of the others from its turn.
        look_every_s: how often to look for work, seconds.
        chores_every_s: how often to look which chores are due, seconds.
        beat_every_s: how often to give a sign of life, seconds.
        is_able: whether what the handlers need is there; without it no session is claimed, and `run` ends: whoever keeps
            executors running starts a new one.
    """

    def __init__(
        self,
        *,
        database: Database,
        sessions: Sessions,
        handlers: Mapping[str, Handler],
        name: str,
        at_once: int = 1,
        chores: Iterable[Chore] = (),
        look_every_s: float = 0.2,
        chores_every_s: float = 1.0,
        beat_every_s: float = 5.0,
        is_able: Callable[[], bool] = lambda: True,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._handlers = dict(handlers)
        self._name = name
        self._at_once = at_once
        self._working: dict[str, threading.Thread] = {}
        self._free = threading.Condition()
        self._lost = threading.Event()
        self._chores = tuple(chores)
        self._look_every_s = look_every_s
        self._chores_every_s = chores_every_s
        self._beat_every_s = beat_every_s
        self._is_able = is_able
        self._stopping = threading.Event()
        self._worker = Worker(database=database, sessions=sessions, is_stopping=self._stopping.is_set)

    def run(self) -> None:
        """Work until `stop`, or until it is not able to; what is being worked on then is interrupted at its next line of progress."""
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
                    left = (left and not self._lost.is_set()) or self._interrupt_left()
                    self._wait_for_room()
                    if not self._is_able():
                        log.error("executor.unable")
                        break
                    if not self._begin_one():
                        self._stopping.wait(self._look_every_s)
                except MusterError as error:
                    # The database is away or locked: it comes back, and no session is lost meanwhile.
                    log.warning("executor.held_up", code=error.code, message=error.message)
                    left = False  # the end of a session may not have been kept: what we do not work on is nobody's
                    self._stopping.wait(self._beat_every_s)
        finally:
            self._stopping.set()
            for thread in (*rounds, *self._working.copy().values()):
                thread.join()

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to end."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Have `run` end; safe in a signal handler."""
        self._stopping.set()

    def run_one(self) -> bool:
        """Work on the session that has waited longest, on this thread; False when none waits."""
        session = self._sessions.claim(self._name, self._handlers.keys())
        if session is None:
            return False
        self._worker.do(session, self._handlers[session.kind])
        return True

    def _wait_for_room(self) -> None:
        with self._free:
            while len(self._working) >= self._at_once and not self._stopping.is_set():
                self._free.wait(self._look_every_s)

    def _begin_one(self) -> bool:
        """Have the session that has waited longest worked on by a thread of its own; False when none waits."""
        if self._stopping.is_set():
            return False
        session = self._sessions.claim(self._name, self._handlers.keys())
        if session is None:
            return False
        thread = threading.Thread(target=self._work, args=(session,), name=f"session.{session.id[:10]}")
        with self._free:
            self._working[session.id] = thread
        thread.start()
        return True

    def _work(self, session: Session) -> None:
        is_lost = True
        try:
            self._worker.do(session, self._handlers[session.kind])
            is_lost = False
        except MusterError as error:
            log.warning("executor.held_up", code=error.code, message=error.message)
        except Exception:  # a thread that ends with a traceback helps nobody
            log.exception("executor.lost_session", session=session.id)
        finally:
            with self._free:
                self._working.pop(session.id, None)
                self._free.notify_all()
            if is_lost:  # its end could not be kept: it is found to be nobody's, and begun again
                self._lost.set()

    def _interrupt_left(self) -> bool:
        self._lost.clear()
        with self._free:
            working = tuple(self._working)
        self._tell(self._sessions.interrupt_left(self._name, working))
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
