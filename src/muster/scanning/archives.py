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
_CLOSED = {
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x02\x21\x4c\x18": "lz4",
    b"LZIP\x01": "lzip",
    b"\x1f\x9d": "compress",
    b"ZF0x": "joblib before 0.10",
}
#: Frames that readers of zstd and lz4 pass over, whatever their first byte.
_SKIPPED = b"\x2a\x4d\x18"
#: So far from the end a zip may be announced: its last record and the longest comment.
_END_OF_ZIP = 22 + 0xFFFF
_BLOCK = 512
_DELETE = 0x7F
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


def kinds_of(content: bytes) -> tuple[str, ...]:
    """All that readers of archives take bytes for: `zip`, `tar`, `packed`, or the name of an archive that nobody opens here.

    One file may be several: a zip is found from its end, so anything may stand before it.
    """
    found = []
    if content[:4] in {b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"} or _ends_as_zip(content):
        found.append("zip")
    if content[257:262] == b"ustar" or _has_sum_of_tar(content):
        found.append("tar")
    closed = next((name for magic, name in _CLOSED.items() if content.startswith(magic)), None)
    if content[1:4] == _SKIPPED and content[0] & 0xF0 == 0x50:
        closed = "zstd"
    if closed is not None:
        found.append(closed)
    if content[:2] == b"\x1f\x8b" or content[:3] == b"BZh" or content[:6] == b"\xfd7zXZ\x00":
        found.append("packed")
    return tuple(found)


def announces_zip(tail: bytes) -> bool:
    """Whether the last bytes of a file say that it is a zip."""
    return b"PK\x05\x06" in tail[-_END_OF_ZIP:]


def _ends_as_zip(content: bytes) -> bool:
    """Whether it opens as a zip although it does not begin as one; the four letters alone stand in programs, too."""
    if not announces_zip(content):
        return False
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            return bool(archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError):
        return False


def _has_sum_of_tar(content: bytes) -> bool:
    """Whether it begins as a tar from before there was a magic: the sum of its first block stands in it."""
    if len(content) < _BLOCK:
        return False
    try:
        told = tarfile.nti(content[148:156])  # type: ignore[attr-defined] # as tarfile itself reads it
    except tarfile.TarError:
        return False
    return bool(told in tarfile.calc_chksums(content[:_BLOCK]))  # type: ignore[attr-defined]


def most_of(content: bytes, budget: Budget) -> int:
    """How much a single compressed file may unpack to."""
    return min(budget.left, max(_RATIO_FROM, len(content) * _MOST_RATIO))


def members(content: bytes, kind: str, budget: Budget) -> Iterator[tuple[str, bytes]]:
    """What an archive holds: name and bytes, one after the other.

    Args:
        content: of the archive.
        kind: as `kinds_of` names it.
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
        found = decompressed(content, most_of(content, budget))
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
        if entry.is_dir() and entry.file_size:
            raise Unreadable(f"{entry.filename} is a folder that holds bytes")
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
            if content[archive.offset :].strip(b"\0"):
                raise Unreadable("it goes on behind its end: readers differ in what they find there")
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise Unreadable(f"the archive cannot be read: {error}") from error


def _require_inside(name: str) -> None:
    """A name that leads out of the folder where it is unpacked, or is more than a name."""
    if any(ord(letter) < ord(" ") or ord(letter) == _DELETE for letter in name.replace("\0", "")):
        raise Unreadable(f"the name {name[:100]!r} holds what no name does")
    if name.startswith(("/", "\\")) or "\\" in name or ".." in name.split("/") or name[1:2] == ":" or "\0" in name:
        raise Escapes(f"{name!r} leads out of the folder where it is unpacked")
