"""Archives, opened in memory and within bounds: zip, tar, and single compressed files.

An archive is refused where unpacking it would write outside of its folder, fill the disk, or where two readers may see two contents.

Source: CVE-2007-4559 (names that lead out of a tar); D. Fifield, "A better zip bomb", WOOT 2019.
"""

import tarfile
import zipfile
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise

from muster.scanning.machine import Unreadable
from muster.scanning.pickles import decompressed

MOST_MEMBERS = 50_000
#: More than this a scan unpacks of no bundle, all of its archives together.
MOST_UNPACKED = 4 * 2**30
#: So many times larger than packed is a bomb, above the size from which it matters.
_MOST_RATIO = 200
_RATIO_FROM = 64 * 2**20
_ENCRYPTED = 0x1
_SYMLINK = 0o120000
#: Archives that nothing here opens; what cannot be looked into is refused.
_CLOSED = {b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!\x1a\x07": "rar", b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4"}
SUFFIXES = (
    ".zip",
    ".tar",
    ".tgz",
    ".gz",
    ".bz2",
    ".xz",
    ".npz",
    ".skops",
    ".whl",
    ".jar",
    ".keras",
    ".pt",
    ".pth",
    ".7z",
    ".rar",
    ".zst",
)


class Escapes(Exception):
    """An archive holds a member that has no place inside of it."""


class Budget:
    """How much may still be unpacked; shared by all archives of a bundle."""

    def __init__(self, most: int = MOST_UNPACKED) -> None:
        self.left = most

    def take(self, size: int) -> None:
        """Count bytes that are unpacked.

        Raises:
            Unreadable: it is too much.
        """
        self.left -= size
        if self.left < 0:
            raise Unreadable("what is packed in the bundle unpacks to more than a scan takes: a bomb")


def kind_of(content: bytes) -> str | None:
    """`zip`, `tar`, `packed`, the name of an archive that nobody opens here, or None: it is none."""
    if content[:4] in {b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"}:
        return "zip"
    if content[257:262] == b"ustar":
        return "tar"
    closed = next((name for magic, name in _CLOSED.items() if content.startswith(magic)), None)
    if closed is not None:
        return closed
    is_packed = content[:2] == b"\x1f\x8b" or content[:3] == b"BZh" or content[:6] == b"\xfd7zXZ\x00"
    return "packed" if is_packed else None


def members(content: bytes, kind: str, budget: Budget) -> Iterator[tuple[str, bytes]]:
    """What an archive holds: name and bytes, one after the other.

    Args:
        content: of the archive.
        kind: as `kind_of` names it.
        budget: of the whole scan.

    Raises:
        Escapes: a member would be written elsewhere.
        Unreadable: it is broken, encrypted, a bomb, or of a kind that nobody opens here.
    """
    if kind == "zip":
        yield from _zipped(content, budget)
    elif kind == "tar":
        yield from _tarred(content, budget)
    elif kind == "packed":
        found = decompressed(content, min(budget.left, max(_RATIO_FROM, len(content) * _MOST_RATIO)))
        if found is None:
            raise Unreadable("it is compressed in a way that nothing here reads")
        budget.take(len(found))
        yield "", found
    else:
        raise Unreadable(f"nothing here looks into {kind}")


def _zipped(content: bytes, budget: Budget) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            entries = archive.infolist()
            _require_sane(entries, len(content))
            for entry in entries:
                if entry.is_dir():
                    continue
                budget.take(entry.file_size)
                with archive.open(entry) as stream:
                    found = stream.read(entry.file_size + 1)
                if len(found) != entry.file_size:
                    raise Unreadable(f"{entry.filename} has another size than the archive says")
                yield entry.filename, found
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError) as error:
        raise Unreadable(f"the archive cannot be read: {error}") from error


def _require_sane(entries: list[zipfile.ZipInfo], size: int) -> None:
    if len(entries) > MOST_MEMBERS:
        raise Unreadable(f"the archive has {len(entries)} members")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > _RATIO_FROM and unpacked > size * _MOST_RATIO:
        raise Unreadable(f"{size} bytes unpack to {unpacked}: a bomb")
    seen: set[str] = set()
    for entry in entries:
        _require_inside(entry.filename.rstrip("/"))
        if entry.filename in seen:
            raise Unreadable(f"{entry.filename} is in it twice: readers differ in which they take")
        seen.add(entry.filename)
        if entry.flag_bits & _ENCRYPTED:
            raise Unreadable(f"{entry.filename} is encrypted")
        if (entry.external_attr >> 16) & 0o170000 == _SYMLINK:
            raise Escapes(f"{entry.filename} is a link")
    begun = sorted((entry.header_offset, entry.compress_size) for entry in entries)
    for (at, length), (after, _) in pairwise(begun):
        if at + length > after:
            raise Unreadable("members of the archive overlap: a bomb")


def _tarred(content: bytes, budget: Budget) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    try:
        with tarfile.open(fileobj=BytesIO(content), mode="r:") as archive:
            for member in archive:
                if len(seen) >= MOST_MEMBERS:
                    raise Unreadable(f"the archive has more than {MOST_MEMBERS} members")
                name = member.name.removeprefix("./").rstrip("/")
                if name:
                    _require_inside(name)
                if member.issym() or member.islnk() or member.isdev():
                    raise Escapes(f"{member.name} is a link or a device")
                if name in seen and member.isreg():
                    raise Unreadable(f"{member.name} is in it twice: readers differ in which they take")
                seen.add(name)
                if not member.isreg():
                    continue
                budget.take(member.size)
                stream = archive.extractfile(member)
                found = b"" if stream is None else stream.read()
                if len(found) != member.size:
                    raise Unreadable(f"{member.name} breaks off")
                yield name, found
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise Unreadable(f"the archive cannot be read: {error}") from error


def _require_inside(name: str) -> None:
    """A name that leads out of the folder where it is unpacked."""
    if name.startswith(("/", "\\")) or "\\" in name or ".." in name.split("/") or name[1:2] == ":" or "\0" in name:
        raise Escapes(f"{name!r} leads out of the folder where it is unpacked")
