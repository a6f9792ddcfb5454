"""What the keeper sees of a host from outside: does it run, how much memory it takes, how many processors it wants.

A host is looked at together with the processes that its model has started. Nothing here needs the host to answer.
"""

import contextlib
import os
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
#: Looks in a row, two a second, in which a host wants more processors than it may before it is confined.
_GREEDY_LOOKS = 4
#: Looks in a row in which a host is stopped before it is ended.
_STOPPED_LOOKS = 6
_NICENESS_OF_THE_CONFINED = 19
_MEMORY_SHARE = 0.8
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class HostWatch:
    """Looks at one host, twice a second.

    Args:
        pid: the host's process.
        threads: how many threads it may compute with at once.
        memory_bytes: what it may take, together with the processes it has started; 0: no limit.
    """

    def __init__(self, pid: int, threads: int, memory_bytes: int) -> None:
        self.pid = pid
        self._threads = max(1, threads)
        self._memory_bytes = memory_bytes
        self._stopped_looks = 0
        self._greedy_looks = 0
        self._is_confined = False
        self.confined_now = False
        """The last look has confined it."""

    def look(self) -> str | None:
        """Why the host has to be ended, None when it may go on."""
        self.confined_now = False
        try:
            family = _family(self.pid)
            states = [state for pid in family for state in _states(pid)]
            if self._is_over(family):
                return "memory"
            is_stopped = _state(f"/proc/{self.pid}/stat") == "T"
        except (OSError, ValueError, IndexError):  # it ends at this moment, or the system does not tell
            return None
        self._stopped_looks = self._stopped_looks + 1 if is_stopped else 0
        if self._stopped_looks >= _STOPPED_LOOKS:
            return "stopped"
        self._greedy_looks = self._greedy_looks + 1 if states.count("R") > self._threads else 0
        if self._greedy_looks >= _GREEDY_LOOKS and not self._is_confined:
            self._is_confined = self.confined_now = True
            self._confine(family)
        return None

    def _is_over(self, family: list[int]) -> bool:
        if not self._memory_bytes:
            return False
        resident = _resident_bytes(self.pid)
        if resident > self._memory_bytes:
            return True
        others = family[1:]
        if resident + sum(map(_resident_bytes, others)) <= self._memory_bytes:
            return False
        # Forked processes share pages, and each counts all of them: divide before judging.
        return resident + sum(map(_proportional_bytes, others)) > self._memory_bytes

    def _confine(self, family: list[int]) -> None:
        """From now on it has as many processors as it has threads, and those only while nobody else wants them."""
        usable = sorted(os.sched_getaffinity(0))
        first = self.pid % len(usable)
        places = {usable[(first + step) % len(usable)] for step in range(min(self._threads, len(usable)))}
        for pid in family:
            for thread in _threads(pid):
                with contextlib.suppress(OSError):
                    os.sched_setaffinity(thread, places)
                    os.setpriority(os.PRIO_PROCESS, thread, _NICENESS_OF_THE_CONFINED)


def usable_memory_bytes(wanted: int) -> int:
    """A limit for a host that is a limit on this machine, too: at most four fifths of what there is.

    Args:
        wanted: the limit that is set; 0: none.
    """
    if not wanted:
        return 0
    there = [os.sysconf("SC_PHYS_PAGES") * _PAGE]
    for path in _CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):
            there.append(int(Path(path).read_text(encoding="ascii")))
    return min(wanted, int(min(there) * _MEMORY_SHARE))


def _family(pid: int) -> list[int]:
    """The process and all that it has started and that still run, itself first."""
    found = [pid]
    for member in found:
        for thread in _threads(member):
            with contextlib.suppress(OSError):
                children = Path(f"/proc/{member}/task/{thread}/children").read_text(encoding="ascii")
                found.extend(int(child) for child in children.split())
    return found


def _threads(pid: int) -> list[int]:
    try:
        return [int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return []


def _states(pid: int) -> list[str]:
    states = []
    for thread in _threads(pid):
        with contextlib.suppress(OSError, IndexError):
            states.append(_state(f"/proc/{pid}/task/{thread}/stat"))
    return states


def _state(path: str) -> str:
    """`R` runs or would like to, `S` waits, `T` is stopped; the name before it may hold anything."""
    return Path(path).read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _proportional_bytes(pid: int) -> int:
    """Resident memory, with each shared page divided among those who share it."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for entry in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if entry.startswith("Pss:"):
                return int(entry.split()[1]) * 1024
    return _resident_bytes(pid)
