"""How many processes and threads a host may have together, so that none can fork the machine to a standstill.

Where this process may make control groups with a pids controller, the kernel refuses whatever is one too many. Elsewhere somebody has to
look: `tasks_by_session` counts, and whoever has too many is ended.
"""

import contextlib
import os
import threading
from collections import Counter
from functools import cache
from itertools import count
from pathlib import Path
from typing import Self

_PREFIX = "muster-"
_numbers = count(1)
_lock = threading.Lock()
#: Groups whose members had not ended yet.
_left: list[Path] = []


class ProcessGroup:
    """A control group with a bound on its tasks; made by `new`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def new(cls, most: int) -> Self | None:
        """A group of at most so many processes and threads; None where this process may not make one."""
        root = _root()
        if root is None:
            return None
        folder = root / f"{_PREFIX}{os.getpid()}-{next(_numbers)}"
        try:
            folder.mkdir()
        except OSError:
            return None
        try:
            (folder / "pids.max").write_text(f"{most}\n", encoding="ascii")
        except OSError:
            with contextlib.suppress(OSError):
                folder.rmdir()
            return None
        return cls(folder)

    def door(self) -> int:
        """A descriptor; whoever writes `0` to it joins the group.

        Raises:
            OSError: the group is gone.
        """
        return os.open(self._folder / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)

    def add(self, pid: int) -> None:
        """Have a process join, if it has not ended."""
        with contextlib.suppress(OSError):
            (self._folder / "cgroup.procs").write_text(f"{pid}\n", encoding="ascii")

    def leave(self) -> None:
        """Take the group away, as soon as nobody is left in it: now, or when the next one is left."""
        with _lock:
            _left.append(self._folder)
            _left[:] = [folder for folder in _left if not _is_removed(folder)]


def sweep() -> None:
    """Take away empty groups that killed processes have left."""
    root = _root()
    for folder in [] if root is None else root.glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            _is_removed(folder)


def _is_removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:  # somebody is left in it
        return False
    return True


def tasks_by_session() -> Counter[int]:
    """How many processes each session has; its number is the process id of the host that began it."""
    found: Counter[int] = Counter()
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                stat = Path(entry.path, "stat").read_bytes()
                fields = stat[stat.rindex(b")") + 2 :].split()  # state, parent, group, session; the 18th are threads
                found[int(fields[3])] += int(fields[17])
    return found


@cache
def _root() -> Path | None:
    """Folder of this process's own group in the hierarchy with the pids controller; None where there is none to make groups in."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
        own = {names: path for _, names, path in (line.split(":", 2) for line in lines)}
        for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
            before, _, after = line.partition(" - ")
            kind, _, options = after.split(" ", 2)
            root, point = before.split(" ")[3:5]
            if kind == "cgroup" and "pids" in options.split(","):
                names = next(names for names in own if "pids" in names.split(","))
                return Path(point, os.path.relpath(own[names], root))
            if kind == "cgroup2" and "" in own:
                folder = Path(point, os.path.relpath(own[""], root))
                with contextlib.suppress(OSError):
                    if "pids" in (folder / "cgroup.subtree_control").read_text(encoding="ascii").split():
                        return folder
    return None
