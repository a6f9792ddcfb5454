"""Bundles as folders on a serving machine: fetched from the blobs by digest, verified, read-only.

    root/<hex of the manifest's digest>/        the bundle, `manifest.json` among its files

A folder is there whole or not at all. Its bytes are held against the manifest the first time a process asks for it, and
whenever sizes, inodes or times have changed since; a damaged one is fetched again.
"""

import errno
import secrets
import stat
import threading
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from muster.blobs.files import named_os_errors, sync_folder
from muster.blobs.protocol import Blobs
from muster.packaging.manifest import MANIFEST_NAME, FileEntry, Manifest, read_manifest
from muster.packaging.trees import listing_of, make_read_only, remove_tree, stat_signature
from muster.vocabulary.digests import Digest, checked_digest, hex_of

_EXECUTABLE = 0o555
_LEFT_OVER_S = 3600  # nobody takes an hour between two files: whoever began it was killed
_seen: dict[Path, str] = {}
"""Signatures of the folders that this process has verified."""
_turns: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)
"""One at a time per bundle; a large one keeps nobody waiting who asks for another."""


def materialise(manifest_digest: Digest, blobs: Blobs, root: Path) -> Path:
    """The folder of a bundle: the one that is there if it is whole, otherwise fetched now.

    Any number of processes may ask for the same bundle at once.

    Args:
        manifest_digest: the bundle's identity.
        blobs: where its files are kept.
        root: folder of all bundles on this machine.

    Raises:
        BlobNotFound: the store lacks the manifest or one of its files.
        BlobDamaged: the store holds other bytes.
        BlobsFull: there is no room on this machine.
    """
    target = root / hex_of(checked_digest(manifest_digest))
    with _turns[target]:
        if target.is_dir() and _seen.get(target) == stat_signature(target):
            return target
        manifest = read_manifest(blobs.read(manifest_digest))
        if target.is_dir():
            if _is_whole(target, manifest):
                _seen[target] = stat_signature(target)
                return target
            _put_away(target)
        _fetch(manifest, blobs, root, target)
        _seen[target] = stat_signature(target)
    return target


def _is_whole(folder: Path, manifest: Manifest) -> bool:
    """Whether the folder holds exactly what it should; here nothing is passed over, as a cached `.pyc` would be run."""
    wanted = {entry.path: (entry.digest, entry.size, entry.executable) for entry in _files(manifest)}
    there = {}
    try:
        for listed in listing_of(folder):
            mode = (folder / listed.path).lstat().st_mode
            there[listed.path] = (f"sha256:{listed.content}", listed.size, bool(mode & stat.S_IXUSR))
        return there.pop(MANIFEST_NAME, ("",))[0] == manifest.digest and there == wanted
    except OSError:
        return False


def _files(manifest: Manifest) -> tuple[FileEntry, ...]:
    """Every file that lies in the folder; on a serving machine those named by reference lie there, too."""
    return (*manifest.files, *(FileEntry(entry.path, entry.digest, entry.size) for entry in manifest.external))


def _fetch(manifest: Manifest, blobs: Blobs, root: Path, target: Path) -> None:
    with named_os_errors(str(root)):
        root.mkdir(parents=True, exist_ok=True)
        _clear_left_overs(root, target.name)
        building = root / f".{target.name}.{secrets.token_hex(4)}.building"
        try:
            building.mkdir()
            for entry in _files(manifest):
                file = building / entry.path
                file.parent.mkdir(parents=True, exist_ok=True)
                blobs.get_to(Digest(entry.digest), file)
                if entry.executable:
                    file.chmod(_EXECUTABLE)
            blobs.get_to(manifest.digest, building / MANIFEST_NAME)
            make_read_only(building)
            with suppress(FileExistsError):
                # Another process may have been quicker; what it made was verified like this one.
                _rename(building, target)
            sync_folder(root)
        finally:
            remove_tree(building)


def _clear_left_overs(root: Path, name: str) -> None:
    """Take away what processes that were killed had begun of this bundle."""
    for path in root.glob(f".{name}.*"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _LEFT_OVER_S:
                remove_tree(path)


def _rename(building: Path, target: Path) -> None:
    """Give the folder its name; `FileExistsError` when there is one."""
    try:
        building.rename(target)
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
            raise FileExistsError(error.errno, "it is there already", str(target)) from error
        raise


def _put_away(damaged: Path) -> None:
    """Take a damaged folder out of the way in one step: whoever still reads from it keeps the files it has open."""
    aside = damaged.with_name(f".{damaged.name}.{secrets.token_hex(4)}.damaged")
    with named_os_errors(str(damaged)), suppress(FileNotFoundError):
        damaged.rename(aside)
        remove_tree(aside)
