"""Where a bundle is made and how it comes to its place: a folder beside it, which takes the place of an earlier bundle in one step.

Whoever looks finds the earlier bundle or the new one, also when the maker is killed. Where the file system cannot exchange two folders,
the earlier one lies in the maker's folder for a moment; should the maker be killed just then, the next one puts it back.
"""

import ctypes
import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from muster.packaging.trees import remove_tree

_EARLIER = "earlier"
_SUFFIX = ".assembling"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
#: What a kernel or a file system says that cannot exchange.
_CANNOT = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}


@contextmanager
def folder_beside(target: Path) -> Iterator[Path]:
    """An empty folder beside a bundle's place; it is gone afterwards, and an earlier bundle that was moved into it is back."""
    scratch, held = _made(target)
    try:
        yield scratch
    finally:
        try:
            _settle(scratch, target)
        finally:
            os.close(held)


def clear_leavings(target: Path) -> None:
    """Take away what killed makers of a bundle have left beside its place; an earlier bundle among it is put back."""
    if not target.parent.is_dir():
        return
    for path in target.parent.iterdir():
        if not (path.name.startswith(f".{target.name}.") and path.name.endswith(_SUFFIX)):
            continue
        held = _held(path)
        if held is not None:
            try:
                _settle(path, target)
            finally:
                os.close(held)


def put_in_place(folder: Path, target: Path) -> None:
    """Move a bundle to its place; an earlier one that is there goes away with the folder in which the bundle was made."""
    if not target.exists():
        folder.rename(target)
    elif not _exchanged(folder, target):
        earlier = folder.parent / _EARLIER
        target.rename(earlier)
        try:
            folder.rename(target)
        except OSError:
            earlier.rename(target)
            raise


def _made(target: Path) -> tuple[Path, int]:
    while True:
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=_SUFFIX, dir=target.parent))
        held = _held(scratch)
        if held is not None:
            return scratch, held


def _held(scratch: Path) -> int | None:
    """A lock on a maker's folder, for as long as the descriptor is open; None: its maker is at work, or it is gone."""
    try:
        descriptor = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), scratch.stat()):
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _settle(scratch: Path, target: Path) -> None:
    earlier = scratch / _EARLIER
    if earlier.exists() and not target.exists():
        earlier.rename(target)
    remove_tree(scratch)


def _exchanged(one: Path, other: Path) -> bool:
    """Let two folders change places in one step; False where that cannot be done."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    problem = ctypes.get_errno()
    if problem in _CANNOT:
        return False
    raise OSError(problem, os.strerror(problem), str(other))
