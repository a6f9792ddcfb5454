"""A folder made read-only and listed by hash, so that damage is found; and taken away again, read-only or not."""

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_WRITE_BITS = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Listed:
    """One file or link of a tree; `content` is a file's SHA-256 in hexadecimal, or `-> target`."""

    path: str
    size: int
    content: str


def make_read_only(root: Path) -> None:
    """Take the write permission from every file and folder of a tree."""
    for path, entry in _entries(root):
        if not entry.is_symlink():
            Path(path).chmod(stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode) & ~_WRITE_BITS)
    root.chmod(stat.S_IMODE(root.stat().st_mode) & ~_WRITE_BITS)


def remove_tree(root: Path) -> None:
    """Remove a tree, read-only or not; nothing happens when there is none."""
    if not root.is_dir() or root.is_symlink():
        root.unlink(missing_ok=True)
        return
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(stat.S_IRWXU)
    shutil.rmtree(root, ignore_errors=True)
    if root.exists():
        shutil.rmtree(root)


def listing_of(root: Path) -> list[Listed]:
    """Every file and link of a tree, sorted by path, every byte read."""
    found = []
    for path, entry in _entries(root):
        relative = os.path.relpath(path, root)
        if entry.is_symlink():
            found.append(Listed(relative, 0, f"-> {Path(path).readlink()}"))
        elif entry.is_file(follow_symlinks=False):
            with Path(path).open("rb", buffering=0) as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            found.append(Listed(relative, entry.stat(follow_symlinks=False).st_size, digest))
    return sorted(found, key=lambda listed: listed.path)


def stat_signature(root: Path) -> str:
    """A digest of names, sizes, inodes and times of modification: cheap, and other when a file was written to."""
    lines = []
    for path, entry in _entries(root):
        status = entry.stat(follow_symlinks=False)
        if not entry.is_dir(follow_symlinks=False):
            lines.append(f"{path}\0{status.st_size}\0{status.st_ino}\0{status.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest()


def write_listing(path: Path, listing: list[Listed]) -> None:
    """Write a listing: one line per entry, size, content and path."""
    text = "".join(f"{entry.size} {entry.content.replace(' ', chr(9))} {entry.path}\n" for entry in listing)
    path.write_text(text, encoding="utf-8", errors="surrogateescape")


def read_listing(path: Path) -> list[Listed]:
    """What `write_listing` wrote.

    Raises:
        ValueError: it is damaged.
    """
    listing = []
    for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        size, content, name = line.split(" ", 2)
        listing.append(Listed(name, int(size), content.replace("\t", " ")))
    return listing


def differences(wanted: list[Listed], there: list[Listed]) -> list[str]:
    """Paths that are missing, too many or other than they were, sorted."""
    before = {entry.path: entry for entry in wanted}
    now = {entry.path: entry for entry in there}
    return sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))


def _entries(root: Path) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    """Every entry below a folder, links not followed."""
    with os.scandir(root) as found:
        for entry in found:
            yield entry.path, entry
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(Path(entry.path))
