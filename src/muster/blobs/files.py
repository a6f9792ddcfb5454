"""Files that are there whole or not at all, whatever dies when."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from muster.blobs.errors import BlobsFull, BlobsUnavailable
from muster.vocabulary.errors import MusterError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def named_os_errors(where: str) -> Iterator[None]:
    """Raises what the system says in the words of this room.

    Raises:
        BlobsFull: no room, a quota, a limit on file sizes.
        BlobsUnavailable: anything else that the system refused.
    """
    try:
        yield
    except OSError as error:
        raise _named(error, where) from error


@contextmanager
def temporary_beside(folder: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A new file to write in a folder, and its path; it is removed at the end unless it was renamed."""
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".", suffix=".part")
    path = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream, path
    finally:
        with suppress(FileNotFoundError):
            path.unlink()


def settle(stream: BinaryIO, temporary: Path, target: Path, mode: int) -> None:
    """Bring what was written to the disk and give it its name, in one step."""
    stream.flush()
    os.fchmod(stream.fileno(), mode)
    os.fsync(stream.fileno())
    temporary.replace(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _named(error: OSError, where: str) -> MusterError:
    if error.errno in _FULL:
        return BlobsFull(f"there is no room left in {where}: {error.strerror}", where=where)
    return BlobsUnavailable(f"{where} cannot be used: {error.strerror or error}", where=where)
