"""The supervisor: starts the parts of a factory, starts each again when it ends, ends them all in order.

It holds the listening sockets, so that a part that is started again misses no connection: the kernel keeps them waiting.
"""

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from muster.supervision import state
from muster.supervision.errors import AddressUnusable, AlreadyUp, PartKeepsEnding, PartRefuses, PortInUse

#: Exit codes of a part: something it needs is away and may come back; or it will never start as things are.
FAILED = 1
REFUSED = 78
_POLL_S = 0.05
_SETTLED_AFTER_S = 10.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_GIVE_UP_AFTER = 5
_END_WITHIN_S = 20.0
_BACKLOG = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One process to be kept running."""

    kind: str
    of: str
    arguments: Sequence[str]
    """After `python -m muster.bootstrap.process`."""
    listener: socket.socket | None = None
    """A listening socket it serves; handed over as `--listen-fd`."""
    others: Sequence[socket.socket] = ()
    """Listening sockets of parts of its kind, which it looks after when those do not; handed over as `--others-fds`."""
    log: Path

    @property
    def name(self) -> str:
        """For its log and for people."""
        return self.log.stem


@dataclass(frozen=True, slots=True)
class PartLife:
    """How a part has fared since the supervisor began."""

    part: str
    starts: int
    is_up: bool


@dataclass(slots=True)
class _Kept:
    part: Part
    starts: int = 0
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    quick_ends: int = 0
    start_at: float = 0.0
    lifeline: int = field(default=-1)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        PortInUse: another program has it.
        AddressUnusable: it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(f"port {port} on {host} is in use by another program", host=host, port=port) from error
        raise AddressUnusable(f"{host}:{port} cannot be listened on: {error.strerror}", host=host, port=port) from error
    return listener


def listen_together(host: str, port: int, count: int) -> list[socket.socket]:
    """Listening sockets on one port, over which the kernel spreads connections evenly.

    Raises:
        PortInUse: another program has it.
        AddressUnusable: it cannot be had.
    """
    if count == 1:
        return [listen(host, port)]
    port, family = _free(host, port)
    sockets: list[socket.socket] = []
    try:
        for _ in range(count):
            sockets.append(_shared(host, port, family, over_remains=True))
            sockets[-1].listen(_BACKLOG)
    except BaseException:
        for one in sockets:
            one.close()
        raise
    return sockets


def reserve(host: str, port: int) -> socket.socket:
    """A port that several processes of this user may listen on together, held free for them: the socket takes no connection.

    Raises:
        PortInUse: another program has it.
        AddressUnusable: it cannot be had.
    """
    port, family = _free(host, port)
    try:
        # Without SO_REUSEADDR: that would let any program listen beside a socket that does not.
        return _shared(host, port, family, over_remains=False)
    except PortInUse:  # by what is left of connections that were closed within the last minute
        return _shared(host, port, family, over_remains=True)


def _free(host: str, port: int) -> tuple[int, int]:
    """A port that nobody listens on, and the family of the address: whoever shares a port is never told that it is taken."""
    with listen(host, port) as alone:
        return alone.getsockname()[1], alone.family


def _shared(host: str, port: int, family: int, *, over_remains: bool) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, over_remains)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise PortInUse(f"port {port} on {host} is in use by another program", host=host, port=port) from error
    return bound


class Supervisor:
    """Keeps the parts of one factory running.

    Args:
        folder: where the lock and the list of processes lie (`HOME/run`).
        of: the home, for `muster ps`.

    Raises:
        AlreadyUp: another one has the lock.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path, *, of: str) -> None:
        self._folder = folder
        self._of = of
        self._control = ""
        self._scoring = ""
        self._grpc = ""
        self._kept: list[_Kept] = []
        self._ending = False
        lock = state.lock(folder)
        if lock is None:
            raise AlreadyUp(f"a factory runs on {of} already", home=of)
        self._lock = lock

    def answers_at(self, *, control: str, scoring: str, grpc: str = "") -> None:
        """Where the factory answers, for whoever asks the home; gRPC as `HOST:PORT`."""
        self._control = control
        self._scoring = scoring
        self._grpc = grpc

    def run(self, parts: Sequence[Part], *, is_ready: Callable[[], bool], on_ready: Callable[[], None]) -> int:
        """Keep the parts running until SIGTERM or SIGINT.

        Args:
            parts: in the order to start them; they are ended in the opposite order.
            is_ready: asked now and then until it says yes.
            on_ready: called once, then.

        Raises:
            PartRefuses: one of them cannot start as things are; all others have been ended.
        PartKeepsEnding: one of them does not stay up from the start; all others have been ended.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup muster up` means to stay
                signal.signal(number, self._end)
        self._kept = [_Kept(part) for part in parts]
        ready = False
        ask_again_at = 0.0
        try:
            while not self._ending:
                self._tend(gives_up=not ready)
                if not ready and time.monotonic() >= ask_again_at:
                    ready = is_ready()
                    ask_again_at = time.monotonic() + 2 * _POLL_S
                    if ready:
                        on_ready()
                time.sleep(_POLL_S)
        finally:
            self._end_all()
            with contextlib.suppress(OSError):
                state.write_list(self._folder, "supervisor", state.ProcessList(()))
            os.close(self._lock)
        return 0

    def lives(self) -> list[PartLife]:
        """How every part has fared; safe on another thread."""
        return [PartLife(kept.part.name, kept.starts, kept.process is not None) for kept in self._kept]

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self._ending = True

    def _tend(self, *, gives_up: bool) -> None:
        changed = False
        for kept in self._kept:
            now = time.monotonic()
            if kept.process is not None:
                if kept.process.poll() is None:
                    continue
                self._note_end(kept, now, gives_up=gives_up)
                changed = True
            if now >= kept.start_at:
                try:
                    self._start(kept)
                except OSError:  # no process or file to be had now; the other parts go on
                    kept.start_at = now + _LONGEST_PAUSE_S
                    continue
                changed = True
        if changed:
            self._write_list()

    def _note_end(self, kept: _Kept, now: float, *, gives_up: bool) -> None:
        assert kept.process is not None
        code = kept.process.returncode
        kept.process = None
        os.close(kept.lifeline)
        kept.quick_ends = kept.quick_ends + 1 if now - kept.started_at < _SETTLED_AFTER_S else 0
        pause_s = 0.0 if kept.quick_ends <= 1 else min(_FIRST_PAUSE_S * 2**kept.quick_ends, _LONGEST_PAUSE_S)
        kept.start_at = now + pause_s
        with contextlib.suppress(OSError), kept.part.log.open("ab") as log:
            log.write(
                f'{{"event":"part.ended","process":"supervisor","part":"{kept.part.name}","code":{code}}}\n'.encode()
            )
        if gives_up and code == REFUSED:
            raise _refusal_in(kept.part)
        if gives_up and kept.quick_ends >= _GIVE_UP_AFTER:
            raise PartKeepsEnding(
                f"{kept.part.name} ended {kept.quick_ends} times at its start, last with code {code}:\n{_tail(kept.part.log)}",
                part=kept.part.name,
            )

    def _start(self, kept: _Kept) -> None:
        part = kept.part
        read_end, kept.lifeline = os.pipe()
        arguments = [sys.executable, "-m", "muster.bootstrap.process", *part.arguments, "--lifeline-fd", str(read_end)]
        passed = [read_end]
        if part.listener is not None:
            arguments += ["--listen-fd", str(part.listener.fileno())]
            passed.append(part.listener.fileno())
        if part.others:
            numbers = [other.fileno() for other in part.others]
            arguments += ["--others-fds", ",".join(map(str, numbers))]
            passed += numbers
        with part.log.open("ab") as log:
            kept.process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=passed, start_new_session=True
            )
        os.close(read_end)
        kept.started_at = time.monotonic()
        kept.starts += 1

    def _write_list(self) -> None:
        own = state.ProcessEntry(os.getpid(), "supervisor", self._of)
        others = [
            state.ProcessEntry(kept.process.pid, kept.part.kind, kept.part.of)
            for kept in self._kept
            if kept.process is not None
        ]
        with contextlib.suppress(OSError):  # a full disk makes `muster ps` forgetful; it must not end the factory
            state.write_list(
                self._folder,
                "supervisor",
                state.ProcessList((own, *others), control=self._control, scoring=self._scoring, grpc=self._grpc),
            )

    def _end_all(self) -> None:
        """Fronts drain while their hosts still run; control goes last, so that nobody misses it."""
        for kept in reversed(self._kept):
            process = kept.process
            if process is None:
                continue
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                process.wait(_END_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(kept.lifeline)


def _refusal_in(part: Part) -> PartRefuses:
    """What the part said last before it ended."""
    for line in reversed(_tail(part.log).splitlines()):
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if said.get("event") == "process.refused":
            told = f"{said['message']}\n{said['advice']}".rstrip()
            return PartRefuses(f"{part.name} cannot start: {told}", part=part.name, code=said["code"])
    return PartRefuses(f"{part.name} cannot start", part=part.name)


def _tail(log: Path, lines: int = 15) -> str:
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
