"""Trees that stand: each built in a private place, listed by hash, made read-only, swapped in whole, and verified ever after.

root/<hex>/        the tree
root/<hex>.files   every file with its SHA-256
root/<hex>.json    what it is; written last: without it there is no tree
root/<hex>.lock    held while one is built
root/<hex>.used    its time says when it was last wanted; held, shared, by whoever runs hosts on it
"""

import fcntl
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from muster.packaging.errors import EnvironmentDamaged, EnvironmentMissing
from muster.packaging.trees import (
    Listed,
    differences,
    listing_of,
    make_read_only,
    read_listing,
    remove_tree,
    stat_signature,
    write_listing,
)
from muster.vocabulary.digests import Digest, hex_of

_LOCK_POLL_S = 0.05
_READ_ONLY_FOLDER = 0o555


class StandingTrees:
    """The trees of one folder; safe to use from several threads and several processes at once.

    Args:
        root: where they lie.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._seen: dict[Digest, str] = {}
        self._guard = threading.Lock()

    def folder(self, identity: Digest) -> Path:
        """The tree itself."""
        return self.root / hex_of(identity)

    def beside(self, identity: Digest, suffix: str) -> Path:
        """A file about it: `.json`, `.files`, `.lock`, `.used`."""
        return self.root / (hex_of(identity) + suffix)

    def record(self, identity: Digest) -> bytes:
        """What was said of it when it was built, without a look at its files.

        Raises:
            EnvironmentMissing: there is none on this machine.
        """
        try:
            record = self.beside(identity, ".json").read_bytes()
        except OSError as error:
            raise EnvironmentMissing(f"there is no environment {identity} here", environment=identity) from error
        if not self.folder(identity).is_dir():
            raise EnvironmentMissing(f"the folder of environment {identity} is gone", environment=identity)
        return record

    def require_whole(self, identity: Digest) -> None:
        """Find its files as they were installed.

        Every byte is read the first time in a process, and whenever sizes, inodes or times have changed since; otherwise
        a look at those is enough.

        Raises:
            EnvironmentDamaged: a file is missing, too many, or other than it was; facts: `paths`.
        """
        folder = self.folder(identity)
        with self._guard:
            signature = stat_signature(folder)
            if self._seen.get(identity) == signature:
                return
            try:
                wanted = read_listing(self.beside(identity, ".files"))
            except (OSError, ValueError) as error:
                raise EnvironmentDamaged(
                    f"the list of files of environment {identity} cannot be read", environment=identity, paths=[]
                ) from error
            damaged = differences(wanted, listing_of(folder))
            if damaged:
                raise EnvironmentDamaged(
                    f"environment {identity}: {len(damaged)} files are not as installed, for example {damaged[0]}",
                    environment=identity,
                    paths=damaged,
                )
            self._seen[identity] = signature

    @contextmanager
    def scratch(self, identity: Digest) -> Iterator[Path]:
        """A private place to build it in; what is left there of an earlier try, and the tree that stands, are taken away."""
        self.clear(identity)
        scratch = self.root / f".{hex_of(identity)}.building"
        scratch.mkdir()
        try:
            yield scratch
        finally:
            remove_tree(scratch)

    def settle(self, identity: Digest, scratch: Path, tree: Path, listing: list[Listed], record: bytes) -> None:
        """Give a tree that was built in scratch its place; it counts from the moment its record is there."""
        write_listing(scratch / "files", listing)
        make_read_only(tree)
        _sync(scratch / "files")
        (scratch / "files").replace(self.beside(identity, ".files"))
        # A folder that is not writable can be renamed only where its parent stays the same one.
        tree.chmod(stat.S_IRWXU)
        tree.rename(self.folder(identity))
        self.folder(identity).chmod(_READ_ONLY_FOLDER)
        told = scratch / "json"
        told.write_bytes(record)
        _sync(told)
        told.replace(self.beside(identity, ".json"))
        _sync(self.root)
        with self._guard:  # every byte was read just now, for the listing
            self._seen[identity] = stat_signature(self.folder(identity))

    def clear(self, identity: Digest) -> None:
        """Take it away, with what is left of a build that was broken off."""
        self._seen.pop(identity, None)
        self.beside(identity, ".json").unlink(missing_ok=True)
        self.beside(identity, ".files").unlink(missing_ok=True)
        remove_tree(self.folder(identity))
        remove_tree(self.root / f".{hex_of(identity)}.building")

    @contextmanager
    def only_builder(self, identity: Digest, progress: Callable[[str], None] | None) -> Iterator[None]:
        """Hold the lock of a tree; the kernel gives it back when a process dies."""
        with self.beside(identity, ".lock").open("a") as handle:
            told = False
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if progress is not None and not told:
                        progress("another process is building this environment; waiting for it")
                        told = True
                    time.sleep(_LOCK_POLL_S)
            try:
                yield
            finally:
                fcntl.flock(handle, fcntl.LOCK_UN)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
