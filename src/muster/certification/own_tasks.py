"""How many processes and threads a program of somebody else's may have together, as hosts have a bound on theirs.

Where this process may make control groups the kernel refuses whatever is one too many. Elsewhere it is counted four times a second,
and a program that has too many is ended with all of them.
"""

import contextlib
import os
import signal
import threading
from types import TracebackType
from typing import Self

from muster.runtimes.process_groups import ProcessGroup, tasks_by_session

_COUNT_EVERY_S = 0.25
_STOP_S = 5.0


class TaskBound:
    """A bound for one program; a context manager, which ends no process.

    Args:
        most: how many there may be.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.is_broken = False
        """It had too many, and was ended."""
        self._group: ProcessGroup | None = None
        self._door = -1
        self._done = threading.Event()
        self._counter: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._group = ProcessGroup.new(self.most)
        if self._group is not None:
            with contextlib.suppress(OSError):  # somebody has taken it away: then it is counted
                self._door = self._group.door()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        if self._counter is not None:
            self._counter.join(_STOP_S)
        if self._door >= 0:
            os.close(self._door)
        if self._group is not None:
            self._group.leave()

    def join(self) -> None:
        """Have this process join, with all that it starts from now on; for a child before it becomes the program.

        Raises:
            OSError: the group is gone.
        """
        if self._door >= 0:
            os.write(self._door, b"0")

    def watch(self, pid: int) -> None:
        """Count from now on, where the kernel does not: the processes of the session that this one leads."""
        if self._door < 0:
            self._counter = threading.Thread(target=self._count, args=(pid,), name="own-tasks", daemon=True)
            self._counter.start()

    def _count(self, pid: int) -> None:
        while not self._done.wait(_COUNT_EVERY_S):
            if tasks_by_session()[pid] > self.most:
                self.is_broken = True
                with contextlib.suppress(OSError):
                    os.killpg(pid, signal.SIGKILL)
