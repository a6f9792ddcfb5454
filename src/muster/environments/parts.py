"""Parts: what locks name, fetched once per user, held against the lock, read through its hash ever after.

    root/<hex>/<file>      one artefact, read-only; `/` in its name is written %2F
    root/index/<hex>.json  which artefacts a package of a lock has on such a machine; <hex>: of package, hashes and machine
    root/incoming/         what is being taken in

Any number of homes and processes share one folder. Nothing in it is believed: an artefact whose bytes have changed counts as absent.
"""

import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import msgspec
import rfc8785

from muster.blobs.errors import BlobNotFound
from muster.blobs.protocol import Blobs
from muster.environments.errors import PartDiffers
from muster.environments.protocol import Package, Part
from muster.packaging.trees import remove_tree
from muster.vocabulary.digests import Digest, checked_digest, digest_of, digest_of_file, hex_of
from muster.vocabulary.errors import Invalid

_READ_ONLY = 0o444
_LEFT_OVER_S = 86_400
_LONGEST_NAME = 200


class _Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One artefact of a package, in the index."""

    file: str
    digest: str
    licence: str | None = None


def parts_folder(environment: Mapping[str, str]) -> Path:
    """Where this user's parts lie: MUSTER_PARTS, or below the cache folder."""
    own = environment.get("MUSTER_PARTS")
    if own:
        return Path(own)
    cache = environment.get("XDG_CACHE_HOME") or str(Path(environment.get("HOME") or "~").expanduser() / ".cache")
    return Path(cache) / "muster" / "parts"


class Parts:
    """The parts on this machine.

    Args:
        root: where they lie; made when the first comes.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._sound: dict[Path, tuple[int, int, int]] = {}
        self._guard = threading.Lock()

    def known(self, package: Package, machine: str) -> tuple[Part, ...] | None:
        """A package's artefacts, if every one is here and whole; None otherwise. Empty: this machine wants none of it.

        Args:
            package: of a lock.
            machine: what decides which artefacts are wanted: interpreter and platform.
        """
        try:
            listed = msgspec.json.decode(self._index(package, machine).read_bytes(), type=tuple[_Known, ...])
        except (OSError, msgspec.MsgspecError):
            return None
        found = []
        for entry in listed:
            try:
                digest = checked_digest(entry.digest)
                path = self._sound_file(digest, entry.file)
                if path is None:
                    return None
                _require_locked(package, entry.file, path, digest)
            except (Invalid, PartDiffers):  # the index is no more believed than the bytes
                return None
            found.append(Part(package=_licensed(package, entry.licence), file=entry.file, digest=digest, path=path))
        return tuple(found)

    def keep(self, package: Package, machine: str, artefacts: Sequence[tuple[Package, str, Path]]) -> tuple[Part, ...]:
        """Take a package's artefacts in, each held against the lock; the files given may be moved.

        Raises:
            PartDiffers: one has another hash than the lock says.
        """
        found = []
        for described, file, path in artefacts:
            digest = digest_of_file(path)
            _require_locked(package, file, path, digest)
            found.append(Part(package=described, file=file, digest=digest, path=self._take_in(path, file, digest)))
        listed = [_Known(part.file, part.digest, part.package.licence) for part in found]
        index = self._index(package, machine)
        index.parent.mkdir(parents=True, exist_ok=True)
        _write(index, msgspec.json.encode(listed))
        return tuple(found)

    def from_store(self, package: Package, file: str, digest: Digest, blobs: Blobs) -> Part | None:
        """An artefact from the store, or from here if it is here; None: the store does not have it.

        Raises:
            BlobDamaged: the store's bytes are not what was stored.
            PartDiffers: the lock names other bytes for that package.
        """
        path = self._sound_file(digest, file)
        if path is None:
            incoming = self._incoming()
            try:
                blobs.get_to(digest, incoming / "part")
                path = self._take_in(incoming / "part", file, digest)
            except BlobNotFound:
                return None
            finally:
                remove_tree(incoming)
        _require_locked(package, file, path, digest)
        return Part(package=package, file=file, digest=digest, path=path)

    def find(self, digests: Iterable[Digest], file: str) -> Path | None:
        """The first artefact of that name with one of these digests."""
        return next((path for digest in digests if (path := self._sound_file(digest, file)) is not None), None)

    def sweep(self, older_than_s: float, *, dry_run: bool) -> int:
        """Take away what nobody has used for so long; gives the bytes that this frees."""
        freed = 0
        if not self._root.is_dir():
            return 0
        for folder in self._root.iterdir():
            if folder.name in {"index", "incoming"} or not folder.is_dir():
                continue
            names = [file.stat() for file in folder.iterdir()]  # one artefact may be known by several names
            used = max((max(name.st_atime, name.st_ctime) for name in names), default=0.0)
            if time.time() - max(used, folder.stat().st_mtime) > older_than_s:
                freed += sum(name.st_size for name in names if name.st_nlink == 1)
                if not dry_run:
                    remove_tree(folder)
        return freed

    def _sound_file(self, digest: Digest, file: str) -> Path | None:
        """The file, if its bytes are those of the digest; they are read once per process and whenever the file has changed."""
        if file in {"", ".", ".."}:
            return None
        path = self._root / hex_of(digest) / _quoted(file)
        try:
            status = path.stat()
        except OSError:
            return None
        seen = (status.st_size, status.st_mtime_ns, status.st_ino)
        with self._guard:
            if self._sound.get(path) == seen:
                return path
        if digest_of_file(path) != digest:
            remove_tree(path.parent)
            return None
        os.utime(path.parent)  # when it was last used, for the sweep
        with self._guard:
            self._sound[path] = seen
        return path

    def _take_in(self, path: Path, file: str, digest: Digest) -> Path:
        there = self._sound_file(digest, file)
        if there is not None:
            return there
        incoming = self._incoming()
        try:
            target = incoming / "whole" / _quoted(file)
            target.parent.mkdir()
            shutil.copyfile(path, target)
            target.chmod(_READ_ONLY)
            place = self._root / hex_of(digest)
            try:
                target.parent.rename(place)
            except OSError:  # another process was quicker, or the artefact is known by another name
                if not place.is_dir():
                    raise
                (place / target.name).unlink(missing_ok=True)
                target.rename(place / target.name)
        finally:
            remove_tree(incoming)
        status = (place / target.name).stat()
        with self._guard:
            self._sound[place / target.name] = (status.st_size, status.st_mtime_ns, status.st_ino)
        return place / target.name

    def _incoming(self) -> Path:
        folder = self._root / "incoming"
        folder.mkdir(parents=True, exist_ok=True)
        for left_over in folder.iterdir():
            try:
                if time.time() - left_over.stat().st_mtime > _LEFT_OVER_S:
                    remove_tree(left_over)
            except FileNotFoundError:
                continue
        return Path(tempfile.mkdtemp(dir=folder))

    def _index(self, package: Package, machine: str) -> Path:
        key = {
            "ecosystem": package.ecosystem,
            "name": package.name,
            "version": package.version,
            "hashes": sorted(package.hashes),
            "marker": package.marker,
            "machine": machine,
        }
        return self._root / "index" / f"{hex_of(digest_of(rfc8785.dumps(key)))}.json"


def place(part: Part, target: Path) -> None:
    """Put a part into a tree: linked where the disk is the same one, copied elsewhere."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(part.path)
    except OSError:
        shutil.copyfile(part.path, target)


def _require_locked(package: Package, file: str, path: Path, digest: Digest) -> None:
    """Hold an artefact against the hashes of the lock, of those kinds that are hashes of whole files."""
    kinds = {text.partition(":")[0] for text in package.hashes}
    if not kinds & {"sha256", "sha512"}:
        return  # Go's h1 is over what is inside of the archive: its own tool compares it, when it is fetched and when it is built
    if digest in package.hashes:
        return
    if "sha512" in kinds:
        with path.open("rb") as stream:
            if f"sha512:{hashlib.file_digest(stream, 'sha512').hexdigest()}" in package.hashes:
                return
    raise PartDiffers(
        f"{file} of {package.name} {package.version} has the hash {digest}, which the lock does not name",
        package=f"{package.name} {package.version}",
        file=file,
        found=digest,
    )


def _licensed(package: Package, licence: str | None) -> Package:
    if licence is None:
        return package
    return Package(
        ecosystem=package.ecosystem,
        name=package.name,
        version=package.version,
        hashes=package.hashes,
        marker=package.marker,
        licence=licence,
    )


def _quoted(file: str) -> str:
    """A file's own name as one name on the disk."""
    name = quote(file, safe="@+=,!~ ()[]")
    return name if len(name) <= _LONGEST_NAME else name[-_LONGEST_NAME:]


def _write(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
    Path(name).replace(path)
