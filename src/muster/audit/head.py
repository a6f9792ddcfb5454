"""The head of the chain, kept in a file outside the database: one line of JSON per event, appended and fsynced.

    {"at":"2026-11-21T09:30:00.000123Z","hash":"sha256:…","sequence":7}

It is what makes a rewritten or cut-off chain visible. A line is written after the commit, so the file may lag behind
the database (a crash lies between), never run ahead of it. Sequence numbers rise; some may be missing, as two processes
that write at once need not do so in order.
"""

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path

from muster.audit.entries import Entry

_LINE_BYTES = 512  # more than any line has


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadLine:
    """That the chain had this hash at this sequence number."""

    sequence: int
    hash: str


class HeadFile:
    """The file of heads of one factory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, entry: Entry) -> None:
        """Append the head, unless a newer one is there already; it is on disk when this returns."""
        line = json.dumps({"at": entry.at, "hash": entry.hash, "sequence": entry.sequence}, separators=(",", ":"))
        new = not self.path.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # control and executor append to the same file
            end = _cut_torn_tail(descriptor)
            if _last_sequence(descriptor, end) < entry.sequence:
                os.pwrite(descriptor, line.encode() + b"\n", end)
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            _sync_folder(self.path.parent)

    def lines(self) -> list[HeadLine]:
        """Every head, oldest first; a last line without its end is what a crash left, and is passed over.

        Raises:
            ValueError: a line is no head.
        """
        content = self.path.read_bytes()
        return [_head_line(line) for line in content.split(b"\n")[:-1]]


def _head_line(line: bytes) -> HeadLine:
    document = json.loads(line)
    if (
        not isinstance(document, dict)
        or type(document.get("sequence")) is not int
        or not isinstance(document.get("hash"), str)
    ):
        raise ValueError(f"{line[:80]!r} is no head")
    return HeadLine(sequence=document["sequence"], hash=document["hash"])


def _cut_torn_tail(descriptor: int) -> int:
    """Cut off what a crash left after the last line end; gives the new end."""
    end = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, _LINE_BYTES, max(0, end - _LINE_BYTES))
    whole = end - (len(tail) - (tail.rfind(b"\n") + 1))
    if whole < end:
        os.ftruncate(descriptor, whole)
    return whole


def _last_sequence(descriptor: int, end: int) -> int:
    tail = os.pread(descriptor, _LINE_BYTES, max(0, end - _LINE_BYTES)) if end else b""
    lines = tail.rstrip(b"\n").split(b"\n")
    try:
        return _head_line(lines[-1]).sequence
    except ValueError:
        return -1  # empty, or damaged, which `verify` will say


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
