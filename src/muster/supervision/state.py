"""What runs on a home, as files: the lock that says somebody does, and the lists of processes."""

import fcntl
import os
import tempfile
from pathlib import Path

import msgspec
import psutil

LOCK = "supervisor.lock"


class ProcessEntry(msgspec.Struct, frozen=True):
    """One process, as `muster ps` shows it."""

    pid: int
    kind: str
    """`supervisor`, `control`, `executor`, `keeper`, `front`, `parent` or `host`."""
    of: str
    """Which one: a home, a front's name, an environment's id, a version at an endpoint."""


class ProcessList(msgspec.Struct, frozen=True):
    """What one process says it has started, itself first."""

    processes: tuple[ProcessEntry, ...]
    control: str = ""
    """Address of the control API; only the supervisor says it."""
    scoring: str = ""
    """Address of the scoring side; only the supervisor says it."""
    grpc: str = ""
    """`HOST:PORT` of gRPC scoring; empty where it is not served. Only the supervisor says it."""


def write_list(folder: Path, name: str, processes: ProcessList) -> None:
    """Replace a list, whole."""
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}-")
    with os.fdopen(handle, "wb") as stream:
        stream.write(msgspec.json.encode(processes))
    Path(temporary).replace(folder / f"{name}.json")


def read_list(folder: Path, name: str) -> ProcessList:
    """A list; empty when there is none or it cannot be read."""
    try:
        return msgspec.json.decode((folder / f"{name}.json").read_bytes(), type=ProcessList)
    except (OSError, msgspec.MsgspecError):
        return ProcessList(())


def running(folder: Path) -> list[ProcessEntry]:
    """Every process of the factory that is alive, in the order they were started."""
    if not is_locked(folder):
        return []
    entries = [entry for name in ("supervisor", "keeper") for entry in read_list(folder, name).processes]
    seen: dict[int, ProcessEntry] = {}
    for entry in entries:
        if psutil.pid_exists(entry.pid) and _is_alive(entry.pid):
            seen.setdefault(entry.pid, entry)
    return list(seen.values())


def lock(folder: Path) -> int | None:
    """Take the home's lock for this process's life; the open file, or None when somebody else has it."""
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def is_locked(folder: Path) -> bool:
    """Whether a supervisor runs on this home."""
    try:
        handle = os.open(folder / LOCK, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
