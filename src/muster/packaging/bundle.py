"""A bundle as a folder and as one zip: read, judge, pack, unpack.

The zip is a function of the folder alone: entries stored and sorted by path, time 1980-01-01, mode 0644 or 0755, no
extra fields, `manifest.json` among them. So two people who pack one folder get the same bytes, and a zip that is not
exactly what `pack` makes of its content is refused, which closes every door that zips have (traversal, links, duplicate
names, overlapping entries, bombs) at once.
"""

import filecmp
import os
import shutil
import stat
import tempfile
import zipfile
from pathlib import Path
from typing import BinaryIO

from muster.packaging.documents import Bundle, read_description
from muster.packaging.errors import BundleMalformed, FileNotPackable, ManifestMalformed, ZipRefused
from muster.packaging.findings import Finding, Look, findings_of
from muster.packaging.manifest import (
    MANIFEST_NAME,
    Manifest,
    files_of,
    manifest_of,
    path_problem,
    read_manifest,
    verify_folder,
)
from muster.vocabulary.digests import Digest
from muster.vocabulary.errors import MusterError

#: What a bundle may weigh at most; larger files are named by reference.
MAX_BUNDLE_BYTES = 16 * 1024**3

_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_UTF8_FLAG = 0x800
_COPY_BYTES = 1024 * 1024


def read_bundle(folder: Path) -> Bundle:
    """What the bundle in a folder says of itself.

    Raises:
        BundleMalformed: there is none, or its muster.toml cannot be used.
    """
    return read_description(folder)


def check_bundle(folder: Path, also: Look | None = None) -> list[Finding]:
    """Everything that is missing, superfluous, unreadable or incomplete in a bundle, each with its remedy.

    Findings of level `error` keep it from being registered; with `warning` it may be. An empty list is a sound bundle.

    Args:
        folder: the bundle.
        also: what its language has to say beyond what is common to all; not asked where muster.toml cannot be read.
    """
    if not folder.is_dir():
        return [Finding("error", str(folder), "there is no such folder", "Name the folder that muster.save wrote.")]
    findings = []
    try:
        manifest_of(folder)
    except FileNotPackable as error:
        findings.append(Finding("error", str(error.facts.get("path", "")), error.message, error.advice))
    except BundleMalformed:
        pass  # told below, as what it is
    try:
        bundle = read_description(folder)
    except BundleMalformed as error:
        problems = error.facts.get("problems", [error.message])
        remedy = (
            "Mend muster.toml as docs/reference/bundle.md describes it, "
            "or write the bundle again with muster.save or `muster assemble`."
        )
        return findings + [Finding("error", "muster.toml", said, remedy) for said in problems]
    return findings + findings_of(folder, bundle, also)


def pack(folder: Path, target: Path) -> Digest:
    """Write a folder as one zip, whole or not at all, and give the bundle's digest.

    Raises:
        FileNotPackable: the folder holds what a bundle cannot.
        BundleMalformed: its muster.toml is no TOML.
    """
    manifest = manifest_of(folder)
    if target.resolve().is_relative_to(folder.resolve()):
        raise FileNotPackable(f"{target} lies inside the folder that is packed", path=str(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent)
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            _write_zip(folder, manifest, stream)
            stream.flush()
            os.fchmod(stream.fileno(), 0o644)
            os.fsync(stream.fileno())
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)
    return manifest.digest


def unpack(source: Path, folder: Path, max_bytes: int = MAX_BUNDLE_BYTES) -> Manifest:
    """Write what a zip holds into a new folder, whole or not at all, and give its verified manifest.

    Raises:
        ZipRefused: it is not exactly what `pack` makes of its content, or weighs more than `max_bytes`.
    """
    if folder.exists():
        raise ZipRefused(f"{folder} exists already")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        content = Path(scratch, "content")
        content.mkdir()
        manifest = _extract(source, content, max_bytes)
        again = Path(scratch, "again.zip")
        with again.open("wb") as stream:
            _write_zip(content, manifest, stream)
        if not filecmp.cmp(source, again, shallow=False):
            raise ZipRefused(f"{source.name} is not byte for byte what `muster pack` makes of its content")
        (content / MANIFEST_NAME).write_bytes(manifest.content)
        content.rename(folder)
    return manifest


def _write_zip(folder: Path, manifest: Manifest, stream: BinaryIO) -> None:
    entries = {entry.path: (entry.size, entry.executable) for entry in manifest.files}
    entries[MANIFEST_NAME] = (len(manifest.content), False)
    # Names on disk may be in another Unicode normal form than in the manifest.
    files = dict(files_of(folder))
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for path, (size, executable) in sorted(entries.items(), key=lambda item: item[0].encode("utf-8")):
            info = zipfile.ZipInfo(path, _TIME)
            info.create_system = _UNIX
            info.external_attr = _mode(executable=executable) << 16
            info.file_size = size
            with archive.open(info, "w") as entry:
                if path == MANIFEST_NAME:
                    entry.write(manifest.content)
                else:
                    with files[path].open("rb") as source:
                        shutil.copyfileobj(source, entry, _COPY_BYTES)


def _mode(*, executable: bool) -> int:
    return stat.S_IFREG | (0o755 if executable else 0o644)


def _extract(source: Path, content: Path, max_bytes: int) -> Manifest:
    try:
        with zipfile.ZipFile(source) as archive:
            infos = archive.infolist()
            _refuse_odd_entries(infos, source.stat().st_size, max_bytes)
            for info in infos:
                if info.filename != MANIFEST_NAME:
                    _extract_one(archive, info, content / info.filename)
            manifest = read_manifest(archive.read(MANIFEST_NAME))
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ZipRefused(f"{source.name} is no readable zip: {error}") from error
    except OSError as error:
        raise ZipRefused(f"{source.name} cannot be unpacked: {error}") from error
    except ManifestMalformed as error:
        raise ZipRefused(f"{source.name}: {error.message}") from error
    try:
        verify_folder(content, manifest)
    except MusterError as error:
        told = error.message.removeprefix(f"{content}: ")  # where it was unpacked means nothing to whoever sent it
        raise ZipRefused(f"{source.name} does not hold what its manifest names: {told}") from error
    return manifest


def _extract_one(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    executable = info.external_attr >> 16 == _mode(executable=True)
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o755 if executable else 0o644)
    with os.fdopen(handle, "wb") as stream, archive.open(info) as entry:
        shutil.copyfileobj(entry, stream, _COPY_BYTES)


def _refuse_odd_entries(infos: list[zipfile.ZipInfo], zip_bytes: int, max_bytes: int) -> None:
    """Refuse what no bundle holds before a byte is written."""
    names = [info.filename for info in infos]
    if MANIFEST_NAME not in names:
        raise ZipRefused(f"the zip has no {MANIFEST_NAME}, so `muster pack` did not make it")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ZipRefused(f"the zip has the entry {twice!r} more than once", path=twice)
    for info in infos:
        problem = None if info.filename == MANIFEST_NAME else path_problem(info.filename)
        mode = info.external_attr >> 16
        if problem:
            raise ZipRefused(f"the entry {info.filename!r} {problem}", path=info.filename)
        if mode not in {_mode(executable=False), _mode(executable=True)}:
            raise ZipRefused(
                f"the entry {info.filename!r} is no regular file with mode 0644 or 0755", path=info.filename
            )
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & ~_UTF8_FLAG:
            raise ZipRefused(f"the entry {info.filename!r} is compressed or encrypted", path=info.filename)
    total = sum(info.file_size for info in infos)
    if total > max_bytes:
        raise ZipRefused(f"the bundle weighs {total} bytes, the limit is {max_bytes}", bytes=total, limit=max_bytes)
    if total > zip_bytes:
        raise ZipRefused("the entries of the zip overlap: together they are larger than the zip itself")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
