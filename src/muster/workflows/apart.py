"""Sessions that are worked on by processes of their own, under limits, so that none of them takes the executor with it."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil
import structlog

from muster.sessions.errors import SessionInterrupted, SessionOverLimit, SessionStopped
from muster.sessions.records import Session
from muster.sessions.service import Sessions
from muster.vocabulary.errors import MusterError
from muster.workflows.nursery import Born, End, NoProcess, Nursery
from muster.workflows.work import Say

_LOOK_S = 0.25
_WEIGH_EVERY_S = 1.0
_END_WITHIN_S = 5.0
_AGAIN_AFTER_S = 1.0
_MIB = 2**20
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLimits:
    """What a session's process, and all that it starts, may take."""

    memory_mib: int = 0
    """Resident memory of all of them together, MiB; 0: no limit."""
    seconds: float = 6 * 3600.0
    """Time until its end."""


class Apart:
    """A handler that has each session worked on by a process of its own, and looks after that process.

    It is ended when its session is cancelled or its executor stops, and when it takes more than it may; what it started ends with it.

    Args:
        nursery: makes the processes.
        sessions: tells whether a session is still wanted.
        limits: what a process may take.
        is_stopping: whether the executor is asked to end.
        monotonic: time that only passes, seconds.
        sleep: lets so many seconds pass.
    """

    def __init__(
        self,
        *,
        nursery: Nursery,
        sessions: Sessions,
        limits: ProcessLimits,
        is_stopping: Callable[[], bool],
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._nursery = nursery
        self._sessions = sessions
        self._limits = limits
        self._is_stopping = is_stopping
        self._monotonic = monotonic
        self._sleep = sleep

    def __call__(self, session: Session, _say: Say) -> None:
        """Have the session worked on, until its process has ended.

        Raises:
            SessionStopped: the executor is asked to end, or nobody is left who starts processes and tells how they end.
            SessionInterrupted: the process died.
            SessionOverLimit: it took too much.
        """
        begun = self._monotonic()
        if (found := self._born(session, begun)) is None:
            return
        with found as born:
            family = _Family(born.pid)
            try:
                self._watch(session, born, family, begun)
            finally:
                _end(born, family)

    def _born(self, session: Session, begun: float) -> Born | None:
        """Its process, as soon as the machine has one to give: nothing dies of waiting; None: it is not wanted any more."""
        while True:
            try:
                return self._nursery.begin({"session": session.id, "attempt": session.attempt})
            except NoProcess:
                log.warning("executor.no_process", session=session.id)
            if not self._goes_on(session, begun):
                return None
            self._sleep(_AGAIN_AFTER_S)

    def _watch(self, session: Session, born: Born, family: "_Family", begun: float) -> None:
        weighed = self._monotonic()
        while (end := born.wait(_LOOK_S)) is None:
            if not self._goes_on(session, begun):
                return
            now = self._monotonic()
            if now - weighed >= _WEIGH_EVERY_S:
                weighed = now
                taken = family.resident_bytes() // _MIB
                if 0 < self._limits.memory_mib < taken:
                    taken = family.resident_bytes(is_exact=True) // _MIB
                if 0 < self._limits.memory_mib < taken:
                    raise _over(f"it took {taken} MiB, and may take {self._limits.memory_mib} MiB", session)
        self._judge(end, session)

    def _judge(self, end: End, session: Session) -> None:
        """Nothing, if the process came to its end; whatever ends while everything is asked to end has not died of its work."""
        if end.is_well:
            return
        if self._is_stopping():
            raise SessionStopped("its executor is stopping", session=session.id)
        if end.is_untold:
            raise SessionStopped("the process that starts others has ended", session=session.id)
        raise SessionInterrupted(f"its process {end}", session=session.id)

    def _goes_on(self, session: Session, begun: float) -> bool:
        """Whether it is still wanted, and neither the executor's time nor its own is over."""
        if self._is_stopping():
            raise SessionStopped("its executor is stopping", session=session.id)
        if not self._is_wanted(session):
            return False
        if self._monotonic() - begun > self._limits.seconds:
            raise _over(f"it took more than {self._limits.seconds:g} s", session)
        return True

    def _is_wanted(self, session: Session) -> bool:
        try:
            return self._sessions.is_wanted(session)
        except MusterError as error:  # the database is away: the work itself will notice
            log.warning("executor.held_up", code=error.code, message=error.message)
            return True


class _Family:
    """A process and all that it has started, as far as they were seen: whoever outlives it is found again."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._seen: dict[tuple[int, float], psutil.Process] = {}

    def look(self) -> list[psutil.Process]:
        """Who lives."""
        with contextlib.suppress(psutil.NoSuchProcess):
            head = psutil.Process(self._pid)
            for process in (head, *head.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    self._seen[process.pid, process.create_time()] = process
        for process in psutil.process_iter():  # those whose parent has ended are no children any more
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError, PermissionError):
                if os.getsid(process.pid) == self._pid:
                    self._seen[process.pid, process.create_time()] = process
        return [process for process in self._seen.values() if process.is_running()]

    def resident_bytes(self, *, is_exact: bool = False) -> int:
        """Memory of all of them.

        Args:
            is_exact: what several have together counts once, as forked processes have; it takes longer to ask.
        """
        total = 0
        for process in self.look():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += process.memory_full_info().pss if is_exact else process.memory_info().rss
        return total


def _end(born: Born, family: _Family) -> None:
    """Ask the process to end, and end whoever is left."""
    living = family.look()
    if born.wait(0) is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(born.pid, signal.SIGTERM)
        born.wait(_END_WITHIN_S)
    for process in {*living, *family.look()}:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _over(why: str, session: Session) -> SessionOverLimit:
    return SessionOverLimit(f"session {session.id} was ended: {why}", session=session.id)
