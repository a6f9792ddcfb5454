"""Blobs in a folder: `sha256/<first two hexadecimal digits>/<all 64>`, read-only files, written beside and renamed."""

import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from muster.blobs.errors import BlobNotFound
from muster.blobs.files import named_os_errors, settle, sync_folder, temporary_beside
from muster.blobs.protocol import copy, verified
from muster.vocabulary.digests import Digest, checked_digest, hex_of

_READ_ONLY = 0o444
_LEFT_OVER_S = 86_400  # nobody takes a day to put a blob: whoever began it was killed


class LocalBlobs:
    """A store in a folder, on one disk; any number of processes may use it at once.

    Args:
        root: the folder; it is made if it is not there.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / "incoming"
        with named_os_errors(str(root)):
            self._incoming.mkdir(parents=True, exist_ok=True)
            self._clear_left_overs()

    def put(self, source: BinaryIO | Path, expected: Digest | None = None) -> Digest:
        """Store the bytes and give their digest; if those under that digest were damaged, they are mended."""
        if isinstance(source, Path):
            with source.open("rb") as stream:
                return self.put(stream, expected)
        with named_os_errors(str(self._root)), temporary_beside(self._incoming) as (target, path):
            digest = copy(source, target, expected)
            place = self._place(digest)
            self._make_folder(place.parent)
            # Renamed even when the file is there already: the bytes are the same, unless the old ones are damaged.
            settle(target, path, place, _READ_ONLY)
        return digest

    def has(self, digest: Digest) -> bool:
        """Whether there is a file of that digest."""
        return self._place(digest).is_file()

    def size(self, digest: Digest) -> int:
        """How many bytes the file has."""
        try:
            return self._place(digest).stat().st_size
        except FileNotFoundError as error:
            raise _not_found(digest, self._root) from error

    def open(self, digest: Digest) -> BinaryIO:
        """The bytes as a stream, verified at its end."""
        place = self._place(digest)
        with named_os_errors(str(place)):
            try:
                stream = place.open("rb", buffering=0)
            except FileNotFoundError as error:
                raise _not_found(digest, self._root) from error
        return verified(stream, digest, str(place))

    def read(self, digest: Digest) -> bytes:
        """All the bytes, verified."""
        with named_os_errors(str(self._root)), self.open(digest) as stream:
            return stream.read()

    def get_to(self, digest: Digest, path: Path) -> None:
        """Write the bytes to a file, verified before the file has its name."""
        with self.open(digest) as source, named_os_errors(str(path)), temporary_beside(path.parent) as (target, beside):
            copy(source, target, digest)
            settle(target, beside, path, _READ_ONLY)

    def _place(self, digest: Digest) -> Path:
        name = hex_of(checked_digest(digest))
        return self._root / "sha256" / name[:2] / name

    def _make_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            sync_folder(folder.parent)
            sync_folder(self._root)

    def _clear_left_overs(self) -> None:
        for path in self._incoming.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _LEFT_OVER_S:
                    path.unlink()


def _not_found(digest: Digest, root: Path) -> BlobNotFound:
    return BlobNotFound(f"the store in {root} holds no {digest}", digest=digest)
