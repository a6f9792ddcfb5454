"""A process that forks others: it has imported everything, has no threads, and does nothing else.

A process that runs threads must not be forked (one of them may hold a lock that nobody in the child gives back), and to start Python
anew costs a second of processor time. So the executor forks one such process before its first thread, and asks it for the rest.

    executor ── order, two pipes ──▶ nursery ── fork ──▶ child: does the work, ends when the executor ends
        ▲                               │
        └────── pid, how it ended ──────┘
"""

import contextlib
import json
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

from muster.sessions.errors import SessionStopped

_MOST_BYTES = 65_536
_LOOK_S = 0.05
_BORN_WITHIN_S = 30.0
_ENDS_WITHIN_S = 10.0
_GONE = "the process that starts others has ended"
_NONE = b"none"

#: Does what an order says, in a process of its own.
Work = Callable[[Mapping[str, Any]], None]


class NoProcess(Exception):
    """The machine has no process to give now."""


class Ended(BaseException):
    """The process was asked to end: everything that it holds is let go on the way out."""


@dataclass(frozen=True, slots=True)
class End:
    """How a process ended."""

    status: int | None
    """Exit status; None when a signal ended it, or nobody can tell."""
    signal: int | None = None

    @property
    def is_well(self) -> bool:
        """Whether it came to the end of its work."""
        return self.status == 0

    @property
    def is_untold(self) -> bool:
        """Whether nobody is left who could tell how, or whether, it ended: the process that starts others has ended itself."""
        return self.status is None and self.signal is None

    def __str__(self) -> str:
        """In words."""
        if self.signal is not None:
            return f"was ended by {signal.Signals(self.signal).name}"
        return "ended" if self.status is None else f"ended with exit status {self.status}"


class Born:
    """A process that was forked; it is asked to end when this is closed."""

    def __init__(self, pid: int, told: int, lifeline: int, rest: bytes) -> None:
        self.pid = pid
        self._told = told
        self._lifeline = lifeline
        self._text = rest
        self._end: End | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._lifeline)
        os.close(self._told)

    def wait(self, seconds: float) -> End | None:
        """How it ended; None while it goes on."""
        until = time.monotonic() + seconds
        while self._end is None:
            ready, _, _ = select.select([self._told], [], [], max(until - time.monotonic(), 0))
            if not ready:
                return None
            read = os.read(self._told, 4096)
            self._text += read
            if not read or self._text.endswith(b"\n"):
                self._end = _end_of(self._text)
        return self._end


class Nursery:
    """The process that forks others, as whoever asks it holds it. Safe on several threads.

    Args:
        pid: its process id.
        link: the socket to it.
    """

    def __init__(self, pid: int, link: socket.socket) -> None:
        self._pid = pid
        self._link = link
        self._one = threading.Lock()
        self._is_gone = False

    @property
    def is_gone(self) -> bool:
        """Whether it has ended by itself, or tells nothing any more: no process is to be had from it."""
        if not self._is_gone:
            try:
                ended = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                self._is_gone = True
            else:
                self._is_gone = ended is not None
        return self._is_gone

    @classmethod
    def opened(cls, work: Work) -> Self:
        """Fork it: from a process that has no threads yet.

        Args:
            work: what a child does with its order.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            ours.close()
            _leave(lambda: _Cradle(theirs, work).run())
        theirs.close()
        return cls(pid, ours)

    def begin(self, order: Mapping[str, Any]) -> Born:
        """A new process that does what the order says.

        Raises:
            SessionStopped: nobody starts processes any more; nothing died of the work.
            NoProcess: the machine has none to give now.
        """
        told, tell = os.pipe()
        life, lifeline = os.pipe()
        try:
            with self._one, contextlib.suppress(OSError):  # nobody is there: then nothing is told, either
                socket.send_fds(self._link, [json.dumps(dict(order)).encode()], [tell, life])
        finally:
            os.close(tell)
            os.close(life)
        line = _first_line(told)
        number, _, rest = line.partition(b"\n") if line is not None else (_NONE, b"", b"")
        if number.isdigit():
            return Born(int(number), told, lifeline, rest)
        os.close(told)
        os.close(lifeline)
        if number == _NONE:
            raise NoProcess
        self._is_gone = True
        raise SessionStopped(_GONE)

    def close(self) -> None:
        """End it, and with it the processes that it has forked."""
        self._link.close()
        until = time.monotonic() + 2 * _ENDS_WITHIN_S  # it gives those that it has forked half of this
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(self._pid, os.WNOHANG) == (0, 0):
                if time.monotonic() > until:  # it tells nothing and does nothing, as when somebody has stopped it
                    os.kill(self._pid, signal.SIGKILL)
                    os.waitpid(self._pid, 0)
                    return
                time.sleep(_LOOK_S)


class _Cradle:
    """The process itself."""

    def __init__(self, link: socket.socket, work: Work) -> None:
        self._link = link
        self._work = work
        self._living: dict[int, int] = {}  # pid → where to tell how it ended

    def run(self) -> None:
        """Fork as it is told, and tell how each ends, until nobody asks any more."""
        # Whoever asked for the processes ends them. A signal to the whole group reaches this process, too, which must be there
        # until they have ended, and tell how.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        while True:
            # Nobody tells of an end while it waits, so it looks now and then; without children it only waits.
            ready, _, _ = select.select([self._link], [], [], _LOOK_S if self._living else None)
            self._reap()
            if not ready:
                continue
            order, passed, _, _ = socket.recv_fds(self._link, _MOST_BYTES, 2)
            if not order:
                return self._end_all()
            self._fork(order, *passed)

    def _fork(self, order: bytes, tell: int, life: int) -> None:
        try:
            pid = os.fork()
        except OSError:  # processes or memory are short
            _tell(tell, f"{_NONE.decode()}\n")
            os.close(tell)
            os.close(life)
            return
        if pid == 0:
            self._link.close()
            for other in (tell, *self._living.values()):
                os.close(other)
            _leave(lambda: _live(json.loads(order), self._work, life))
        os.close(life)
        self._living[pid] = tell
        _tell(tell, f"{pid}\n")

    def _reap(self) -> None:
        for pid, tell in [*self._living.items()]:
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)  # before its number can be another's: what it has started and left
                _, status = os.waitpid(pid, 0)
                code = os.waitstatus_to_exitcode(status)
                _tell(tell, f"signal {-code}\n" if code < 0 else f"exit {code}\n")
                os.close(tell)
                del self._living[pid]

    def _end_all(self) -> None:
        """They were asked to end, all of them, when whoever asked for them let go; whoever does not is ended."""
        until = time.monotonic() + _ENDS_WITHIN_S
        while self._living and time.monotonic() < until:
            time.sleep(_LOOK_S)
            self._reap()
        for pid in self._living:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)


def _live(order: Mapping[str, Any], work: Work, life: int) -> None:
    """What a child does."""
    os.setsid()  # what it starts can be found by its session, and ended with it

    def end(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: on the way out nothing may be left half-way
        raise Ended

    signal.signal(signal.SIGTERM, end)
    _end_with(life)
    work(order)


def _end_with(life: int) -> None:
    """Be asked to end when the other end of the pipe is closed, however that came about."""

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(life, 1):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def _leave(deed: Callable[[], None]) -> NoReturn:
    """Do it, then end without what the forked process would do at its own end."""
    code = 1
    try:
        deed()
        code = 0
    except Ended:
        code = 128 + signal.SIGTERM
    except BaseException:  # noqa: BLE001 - told by whoever reads the log; nothing may run on in a forked copy
        import traceback  # noqa: PLC0415 - only here, in a process that ends

        traceback.print_exc()
    finally:
        os._exit(code)


def _first_line(told: int) -> bytes | None:
    """What is told first; nothing where nobody is left to tell, and None where nothing was told in time."""
    text, until = b"", time.monotonic() + _BORN_WITHIN_S
    while b"\n" not in text:
        ready, _, _ = select.select([told], [], [], max(until - time.monotonic(), 0))
        if not ready:
            return None
        read = os.read(told, 4096)
        if not read:
            return b""
        text += read
    return text


def _end_of(text: bytes) -> End:
    how, _, number = text.decode().strip().partition(" ")
    if how == "exit":
        return End(int(number))
    return End(None, int(number)) if how == "signal" else End(None)


def _tell(where: int, text: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(where, text.encode())
