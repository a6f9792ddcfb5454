"""A check that somebody else has written, as a program: it asks the model through us, line by line, and says at last what it found.

    we    {"format": 1, "name": "parity", "contract": {…}, "golden": {"inputs": [{…}, …], "expected": [{…}, …]}, "bundle": "/…"}
    it    {"predict": [{"age": 41.0, "plan": "yearly"}, …]}
    we    {"answers": [{"score": 0.31}, …], "errors": {}}                      or {"error": {"code": "…", "message": "…"}}
    it    {"passed": true, "figure": 0.03, "limit": 0.1, "detail": "…", "exhibits": []}

It runs in a process of its own, shut in as hosts are, without a network where the kernel can cut it, and with bounds on time, memory,
files, output and processes. Whatever it does besides speaking so is a failed check, with why: a crash, silence, a flood, a verdict that
contradicts itself.
"""

import os
import resource
import selectors
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import psutil

from muster.certification.errors import OwnCheckFailed
from muster.certification.own_tasks import TaskBound
from muster.environments.offline import end_with_parent, tool_variables
from muster.packaging.network import network_cut
from muster.runtimes.confinement import confined_command
from muster.runtimes.parent import PROCESSES
from muster.wire.evidence import MOST_BYTES_OF_A_CHECK, Exhibit
from muster_host.confine import BEST_EFFORT, Level

OWN_CHECK_FORMAT: Literal[1] = 1
_CHUNK = 1 << 16
#: What it may write to its scratch folder and to the log of its errors, bytes of one file.
_FILE_BYTES = 64 << 20
_LONGEST_DETAIL = 2000
#: Before the command: a shell at the head of the group of processes, which ends all of it when Muster dies. What it starts in the
#: background has no standard input unless that is handed on by another number.
_GUARD = ("/bin/sh", "-c", 'exec 3<&0; trap "kill -9 0" TERM; "$@" <&3 3<&- & exec 3<&- 0</dev/null; wait $!', "sh")
_SHOWN = 300
_MOST_UNANSWERED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a program may take."""

    seconds: float = 60.0
    memory_mib: int = 2048
    output_mib: int = 64
    """All that it writes to its standard output."""
    processes: int = PROCESSES
    """Processes and threads that it has together, what starts it and watches over it among them."""


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The last line of a program."""

    passed: bool
    figure: float | int
    limit: float | int | None = None
    detail: str = ""
    exhibits: tuple[Exhibit, ...] = ()


class _Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of a program that asks."""

    predict: list[dict[str, Any]]


#: Answers to rows: a document that goes back as it is.
Predicts = Callable[[list[dict[str, Any]]], Mapping[str, Any]]


def verdict_of(
    command: Sequence[str | Path],
    first: Mapping[str, Any],
    predicts: Predicts,
    scratch: Path,
    bounds: Bounds,
    reads: Sequence[str] = (),
    level: Level = BEST_EFFORT,
) -> Verdict:
    """What a program finds.

    Args:
        command: the program, absolute, and its arguments.
        first: the line that it is given first.
        predicts: asks the model.
        scratch: an empty folder in which it runs.
        bounds: what it may take.
        reads: files and folders that it may read, beside the system's, where the kernel can keep it from others.

        level: what counts where the kernel cannot shut it in; `off`: it is not shut in at all.

    Raises:
        OwnCheckFailed: it did not come to a verdict; the message says why.
    """
    environment = {**tool_variables(scratch, network=False), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    errors = scratch / "errors.log"
    shut_in = confined_command(scratch, map(Path, reads), level)
    with TaskBound(bounds.processes) as tasks:
        try:
            with errors.open("wb") as log:
                process = subprocess.Popen(
                    [*_GUARD, *network_cut(), *shut_in, *map(str, command)],
                    cwd=scratch,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=lambda: _bounded(bounds, tasks),  # noqa: PLW1509 - system calls only, and no lock is taken
                )
        except (OSError, subprocess.SubprocessError) as error:
            raise OwnCheckFailed(f"it cannot be started: {error}") from error
        with process:
            tasks.watch(process.pid)
            try:
                return _Talk(process, predicts, bounds).verdict(first)
            except OwnCheckFailed as error:
                why = f"it had more than {tasks.most} processes" if tasks.is_broken else error.message
                raise OwnCheckFailed(f"{why}{_last_words(errors)}") from error
            finally:
                _end(process)


def _bounded(bounds: Bounds, tasks: TaskBound) -> None:
    end_with_parent()
    tasks.join()
    memory = bounds.memory_mib << 20
    for what, most in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CPU, int(bounds.seconds) + 5),
    ):
        _, hard = resource.getrlimit(what)
        kept = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (kept, kept))
    os.nice(5)


class _Talk:
    """One conversation with a program."""

    def __init__(self, process: "subprocess.Popen[bytes]", predicts: Predicts, bounds: Bounds) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._input, self._output = process.stdin, process.stdout
        self._predicts = predicts
        self._seconds = bounds.seconds
        self._until = time.monotonic() + bounds.seconds
        self._most = bounds.output_mib << 20
        self._read = 0
        self._begun: list[bytes] = []
        self._lines: deque[bytes] = deque()
        for pipe in (self._input, self._output):
            os.set_blocking(pipe.fileno(), False)

    def verdict(self, first: Mapping[str, Any]) -> Verdict:
        """The program's last line."""
        self._write(first)
        while True:
            line = self._line()
            if line is None:
                raise OwnCheckFailed(f"it ended ({_exit(self._process)}) without a verdict")
            said = _said(line)
            if isinstance(said, Verdict):
                return self._ended_with(said)
            self._write(self._predicts(said.predict))

    def _ended_with(self, verdict: Verdict) -> Verdict:
        self._input.close()
        if (line := self._line()) is not None:
            raise OwnCheckFailed(f"it went on after its verdict: {_told(line)}")
        if (status := _exit(self._process)) != "exit status 0":
            raise OwnCheckFailed(f"it came to a verdict and then ended with {status}")
        return verdict

    def _write(self, document: Mapping[str, Any]) -> None:
        """Send a line, while what comes is read: a program that writes before it reads must not stand still."""
        line = memoryview(msgspec.json.encode(document) + b"\n")
        with selectors.DefaultSelector() as selector:
            selector.register(self._input, selectors.EVENT_WRITE)
            selector.register(self._output, selectors.EVENT_READ)
            while line:
                for key, _ in self._ready(selector):
                    if key.fileobj is self._output:
                        if not self._take():
                            selector.unregister(self._output)
                        continue
                    try:
                        line = line[os.write(self._input.fileno(), line[:_CHUNK]) :]
                    except BrokenPipeError:
                        return  # it does not listen any more; what it has said still counts

    def _line(self) -> bytes | None:
        """Its next line that is not blank; None when it has said all."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            while not self._lines:
                self._ready(selector)
                if not self._take():
                    rest, self._begun = b"".join(self._begun), []
                    return rest if rest.strip() else None
        return self._lines.popleft()

    def _ready(self, selector: selectors.BaseSelector) -> list[tuple[selectors.SelectorKey, int]]:
        left = self._until - time.monotonic()
        ready = selector.select(left) if left > 0 else []
        if not ready:
            raise OwnCheckFailed(f"it came to no verdict within {self._seconds:g} s")
        return ready

    def _take(self) -> bool:
        """Read what is there; whether there may be more."""
        chunk = os.read(self._output.fileno(), _CHUNK)
        self._read += len(chunk)
        if self._read > self._most:
            raise OwnCheckFailed(f"it wrote more than {self._most >> 20} MiB")
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            line = b"".join((*self._begun, part))
            self._begun = []
            if line.strip():
                self._lines.append(line)
        if rest:
            self._begun.append(rest)
        if len(self._lines) > _MOST_UNANSWERED:
            raise OwnCheckFailed(f"it wrote {len(self._lines):,} lines without waiting for an answer")
        return bool(chunk)


def _said(line: bytes) -> _Question | Verdict:
    """What a line says."""
    try:
        found: Any = msgspec.json.decode(line)
        if isinstance(found, dict) and "predict" in found:
            return msgspec.convert(found, _Question)
        verdict = msgspec.convert(found, Verdict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OwnCheckFailed(f"it said what is neither a question nor a verdict ({error}): {_told(line)}") from error
    if len(verdict.detail) > _LONGEST_DETAIL:
        raise OwnCheckFailed(f"the detail of its verdict has more than {_LONGEST_DETAIL:,} characters")
    if len(msgspec.json.encode(verdict.exhibits)) > MOST_BYTES_OF_A_CHECK:
        raise OwnCheckFailed(f"the exhibits of its verdict are larger than {MOST_BYTES_OF_A_CHECK:,} bytes")
    return verdict


def _told(line: bytes) -> str:
    text = line[:_SHOWN].decode("utf-8", "backslashreplace")
    return repr(text) + ("…" if len(line) > _SHOWN else "")


def _exit(process: "subprocess.Popen[bytes]") -> str:
    """How it ended, or will at once: it has closed its output."""
    try:
        status = process.wait(2.0)
    except subprocess.TimeoutExpired:
        return "still running, with its output closed"
    return (
        f"signal {status - 128 if status > 128 else -status}" if status < 0 or status > 128 else f"exit status {status}"
    )


def _last_words(errors: Path) -> str:
    """The end of what it wrote to its standard error."""
    with errors.open("rb") as log:
        log.seek(max(0, errors.stat().st_size - 4 * _SHOWN))
        text = log.read().decode("utf-8", "replace").strip()
    return f"; it last wrote: …{text[-_SHOWN:]}" if len(text) > _SHOWN else f"; it wrote: {text}" if text else ""


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End it and whatever it started: those that it moved to other groups, too, as long as they are its children."""
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        process.kill()
    for one in family:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
