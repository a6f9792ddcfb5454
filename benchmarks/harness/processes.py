"""The processes of a benchmark run: started as a crew, measured, and ended by their ids."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import psutil

_END_WITHIN_S = 20.0


class Crew:
    """Every process that the run has started; used as a context, after which none of them is left.

    Args:
        logs: folder for what they print.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._members: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        signal.signal(signal.SIGTERM, _as_interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A second Ctrl-C must not leave half of them running.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for process in reversed(self._members):
            self.end(process, forget=False)
        self._members.clear()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def start(
        self, name: str, command: Sequence[str], *, environment: dict[str, str] | None = None, **options: Any
    ) -> "subprocess.Popen[bytes]":
        """Start a process in a session of its own: Ctrl-C reaches the harness alone, which ends the others in order."""
        with (self._logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=options.pop("stdout", log),
                stderr=options.pop("stderr", log),
                env=environment,
                start_new_session=True,
                **options,
            )
        self._members.append(process)
        return process

    def log_of(self, name: str) -> str:
        """The end of what a process printed."""
        file = self._logs / f"{name}.log"
        return file.read_text(errors="replace")[-2000:] if file.exists() else ""

    def members(self) -> list["subprocess.Popen[bytes]"]:
        """Everything that was started and not yet ended."""
        return list(self._members)

    def forget(self, process: "subprocess.Popen[bytes]") -> None:
        """A process that has ended by itself."""
        if process in self._members:
            self._members.remove(process)

    def end(self, process: "subprocess.Popen[bytes]", *, forget: bool = True) -> None:
        """End a process and all that it started."""
        family = descendants(process.pid)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_WITHIN_S)
        for survivor in family:
            # psutil compares the time of start, so a process that was given the same id later is safe.
            with contextlib.suppress(psutil.Error):
                survivor.kill()
        if process.poll() is None:
            process.kill()
            process.wait()
        if forget:
            self.forget(process)


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def descendants(pid: int) -> list[psutil.Process]:
    """All processes below one."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def family(pid: int) -> list[int]:
    """Ids of a process and all below it."""
    return [pid, *(process.pid for process in descendants(pid))]


def pss_mb(pids: Iterable[int]) -> float:
    """Memory of these processes in megabytes, pages that several of them share counted once.

    What is shared with processes outside is counted in proportion (PSS of smaps_rollup).
    """
    total_kib = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total_kib += int(line.split()[1])
    return total_kib * 1024 / 1e6


def rss_mb(pid: int) -> float:
    """Resident memory of one process in megabytes; 0 when it is gone."""
    with contextlib.suppress(psutil.Error):
        return float(psutil.Process(pid).memory_info().rss) / 1e6
    return 0.0


def wait_until(what: Callable[[], Any], *, within_s: float, told: str) -> Any:
    """The first true value of `what`."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.02)
    raise TimeoutError(f"not within {within_s:.0f} s: {told}")
