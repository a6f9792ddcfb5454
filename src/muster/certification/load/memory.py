"""What a host and the programs that it started hold of the machine's memory, as the kernel counts it."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

_MIB = 1024 * 1024
_PROC = Path("/proc")
_KIB_FIELDS = {"VmRSS:": "resident", "VmHWM:": "peak"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Memory of a tree of processes, MiB."""

    resident_mib: float
    peak_mib: float
    """The most that each held since it was started, together: they need not have held it at the same moment."""
    processes: int


def held_by(pid: int) -> Held:
    """Memory of a process and of all that it started; nothing, where it has ended.

    Source:
        `VmRSS` and `VmHWM` of proc(5); a forked child begins with what it shares with its parent.
    """
    pids = [pid]
    with suppress(psutil.NoSuchProcess):
        pids += [child.pid for child in psutil.Process(pid).children(recursive=True)]
    found = [held for one in pids if (held := _status(one)) is not None]
    return Held(
        resident_mib=sum(resident for resident, _ in found) / _MIB,
        peak_mib=sum(peak for _, peak in found) / _MIB,
        processes=len(found),
    )


def _status(pid: int) -> tuple[int, int] | None:
    told = {"resident": 0, "peak": 0}
    try:
        with (_PROC / str(pid) / "status").open(encoding="ascii", errors="replace") as lines:
            for line in lines:
                name = _KIB_FIELDS.get(line.split(None, 1)[0] if line.strip() else "")
                if name is not None:
                    told[name] = 1024 * int(line.split()[1])
    except OSError:
        return None
    return told["resident"], max(told["peak"], told["resident"])


class Watch:
    """Notes what a host holds, again and again, while a block runs; a context manager.

    Args:
        pid: of the host.
        every_s: how often.
        read: tells what it holds.
    """

    def __init__(self, pid: int, every_s: float = 0.05, read: Callable[[int], Held] = held_by) -> None:
        self._pid = pid
        self._every_s = every_s
        self._read = read
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory-watch", daemon=True)
        self._begun = time.monotonic()
        self.noted: list[tuple[float, float]] = []
        """Seconds after the start, MiB resident."""
        self.peak_mib = 0.0
        """The most at any look, MiB."""

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._look()

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            self._look()

    def _look(self) -> None:
        held = self._read(self._pid)
        if held.processes:
            self.noted.append((time.monotonic() - self._begun, held.resident_mib))
            self.peak_mib = max(self.peak_mib, held.peak_mib)
