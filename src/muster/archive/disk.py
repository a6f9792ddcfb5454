"""Writing so that it stays: whole writes, names that survive a power cut, errors with a name."""

import errno
import os
from pathlib import Path

from muster.archive.errors import ArchiveFull, ArchiveUnwritable

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def write_all(fd: int, rest: memoryview, at: int) -> None:
    """Write all of `rest` at an offset, however many calls it takes."""
    while rest:
        written = os.pwrite(fd, rest, at)
        rest = rest[written:]
        at += written


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def refusal(error: OSError, folder: Path) -> ArchiveFull | ArchiveUnwritable:
    """The archive's error for one of the operating system."""
    what = f"the archive cannot be written to {folder}: {error.strerror or error}"
    if error.errno in _NO_SPACE:
        return ArchiveFull(what, folder=str(folder))
    return ArchiveUnwritable(what, folder=str(folder))
