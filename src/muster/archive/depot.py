"""Where compacted records lie: a folder or a bucket, addressed by places like `churn/date=2026-11-21/hour=14/0-00000041.parquet`.

Whatever is put is there whole or not at all. No lookup ever lists more than one folder. `depot_s3` holds the bucket.
"""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any, Protocol

from muster.archive.disk import sync_folder

#: Files that are being written, on the machine that writes them.
NEW_FOLDER = "_new"


class ArchiveStore(Protocol):
    """Files by their place; FileNotFoundError where there is none, ArchiveStoreUnavailable where the store is away."""

    @property
    def where(self) -> str:
        """For messages."""
        ...

    def source(self, place: str) -> Any:
        """What `pyarrow.parquet` opens: a path or a file."""
        ...

    def read(self, place: str) -> bytes:
        """All bytes of a small file."""
        ...

    def size(self, place: str) -> int | None:
        """Bytes of a file; None: there is none."""
        ...

    def digest(self, place: str) -> bytes:
        """SHA-256 of a file, read piece by piece."""
        ...

    def put(self, file: Path, place: str) -> None:
        """Move a local file, which is on the disk already, to its place; one that is there is replaced."""
        ...

    def write(self, place: str, data: bytes) -> None:
        """Make a small file; one that is there is replaced."""
        ...

    def remove(self, place: str) -> None:
        """Take a file away; nothing if there is none."""
        ...

    def names(self, folder: str) -> list[str]:
        """Names in one folder, sorted; those of folders end in a slash."""
        ...


class FolderStore:
    """A folder of this machine, or one that all machines mount.

    Args:
        root: the folder; it is made when the first file is put.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def where(self) -> str:
        """The folder."""
        return str(self.root)

    def source(self, place: str) -> Path:
        """The path."""
        path = self.root / place
        if not path.exists():
            raise FileNotFoundError(str(path))
        return path

    def read(self, place: str) -> bytes:
        """All bytes of a small file."""
        return (self.root / place).read_bytes()

    def size(self, place: str) -> int | None:
        """Bytes of a file; None: there is none."""
        try:
            return (self.root / place).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def digest(self, place: str) -> bytes:
        """SHA-256 of a file, read piece by piece."""
        return file_digest(self.root / place)

    def put(self, file: Path, place: str) -> None:
        """Rename the file, or copy it where it lies on another disk."""
        target = self.root / place
        self._make(target.parent)
        try:
            file.rename(target)
        except OSError:
            if not file.exists() or file.stat().st_dev == self.root.stat().st_dev:
                raise
            self._copy(file, target)
        sync_folder(target.parent)

    def write(self, place: str, data: bytes) -> None:
        """Make a small file beside, and rename it."""
        target = self.root / place
        self._make(target.parent)
        fresh = target.with_name(f".{target.name}.new")
        try:
            with fresh.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            fresh.replace(target)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise
        sync_folder(target.parent)

    def remove(self, place: str) -> None:
        """Take a file away, and the folders that are empty then."""
        path = self.root / place
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == self.root or not folder.is_relative_to(self.root):
                return
            try:
                folder.rmdir()
            except OSError:  # not empty, or gone already
                return

    def names(self, folder: str) -> list[str]:
        """Names in one folder, sorted; those of folders end in a slash."""
        try:
            with os.scandir(self.root / folder) as found:
                return sorted(f"{one.name}/" if one.is_dir() else one.name for one in found if one.name[0] != ".")
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _make(self, folder: Path) -> None:
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for one in reversed(missing):
            one.mkdir(exist_ok=True)
            sync_folder(one.parent)

    def _copy(self, file: Path, target: Path) -> None:
        beside = target.with_name(f".{target.name}.new")
        try:
            with file.open("rb") as source, beside.open("wb") as stream:
                shutil.copyfileobj(source, stream, 1 << 20)
                stream.flush()
                os.fsync(stream.fileno())
            beside.chmod(0o440)
            beside.replace(target)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        file.unlink()


def file_digest(path: Path) -> bytes:
    """SHA-256 of a local file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
