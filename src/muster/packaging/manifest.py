"""The manifest: every file of a bundle by path, digest and size, as canonical bytes whose digest is its identity.

Format 1 is RFC 8785 canonical JSON:

    {"declared":{…},"files":[{"digest","executable","path","size"}, …],"format":1}

Paths are POSIX, relative, NFC, sorted by their UTF-8 bytes. `declared` is the content of `muster.toml`, so that the
manifest alone tells what the bundle is, and which files it names without carrying them (`external`).
"""

import os
import stat
import tomllib
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import rfc8785

from muster.packaging.errors import BundleDamaged, BundleMalformed, FileNotPackable, ManifestMalformed
from muster.vocabulary.digests import Digest, checked_digest, digest_of, digest_of_file

MANIFEST_FORMAT: Literal[1] = 1
MANIFEST_NAME = "manifest.json"
DESCRIPTION_NAME = "muster.toml"

#: Left out wherever they lie: what version control, editors, file managers and Python leave behind.
IGNORED_NAMES = frozenset({
    ".git", ".hg", ".svn", ".DS_Store", "Thumbs.db", "desktop.ini", "__pycache__", ".ipynb_checkpoints", ".mypy_cache",
    ".pytest_cache", ".ruff_cache", ".venv", ".idea", ".vscode",
})  # fmt: skip
IGNORED_SUFFIXES = (".pyc", ".pyo", ".swp", "~")

#: A bundle is written by hand or by `save`; more than this is a data set that went astray.
MAX_FILES = 100_000
MAX_PATH_BYTES = 1024
#: A larger file is named by reference: it would be copied with every bundle, zip and upload.
MAX_FILE_BYTES = 4 * 1024**3


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file that travels in the bundle."""

    path: str
    digest: str
    size: int
    executable: bool = False


class ExternalEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file that is named and not carried, as `[[external]]` of muster.toml declares it."""

    path: str
    digest: str
    size: int
    uri: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every file of a bundle. Immutable; identity = its digest."""

    format: Literal[1]
    files: tuple[FileEntry, ...]
    declared: dict[str, Any] = {}

    @property
    def external(self) -> tuple[ExternalEntry, ...]:
        """The files that are named and not carried."""
        return msgspec.convert(self.declared.get("external", ()), tuple[ExternalEntry, ...])

    @property
    def content(self) -> bytes:
        """The canonical bytes: what is stored, and what the digest is of."""
        return rfc8785.dumps(msgspec.to_builtins(self))

    @property
    def digest(self) -> Digest:
        """The bundle's identity."""
        return digest_of(self.content)

    @property
    def total_bytes(self) -> int:
        """What the carried files weigh together."""
        return sum(entry.size for entry in self.files)

    def file(self, path: str) -> FileEntry | None:
        """The carried file of that path."""
        return next((entry for entry in self.files if entry.path == path), None)


def manifest_of(folder: Path) -> Manifest:
    """The manifest of a folder, every byte of it read.

    Raises:
        FileNotPackable: the folder holds a link, a special file, a file that is too large or a name that a bundle cannot hold.
        BundleMalformed: its muster.toml is no TOML, or holds what JSON cannot.
    """
    entries = []
    for path, file in sorted(files_of(folder), key=lambda pair: pair[0].encode("utf-8")):
        try:
            status = file.stat()
            if status.st_size > MAX_FILE_BYTES:  # before it is read
                raise FileNotPackable(
                    f"{path} weighs {status.st_size / 1024**3:.1f} GiB; a file in a bundle has at most "
                    f"{MAX_FILE_BYTES >> 30} GiB. Keep it elsewhere, and name it with its digest under [[external]] in muster.toml",
                    path=path,
                    bytes=status.st_size,
                )
            entries.append(
                FileEntry(path, digest_of_file(file), status.st_size, executable=bool(status.st_mode & stat.S_IXUSR))
            )
        except OSError as error:
            raise FileNotPackable(f"{path} cannot be read: {error.strerror}", path=path) from error
        if len(entries) > MAX_FILES:
            raise FileNotPackable(f"{folder} holds more than {MAX_FILES} files", limit=MAX_FILES)
    manifest = Manifest(MANIFEST_FORMAT, tuple(entries), declared_in(folder))
    _refuse_problems(manifest, FileNotPackable)
    return manifest


def declared_in(folder: Path) -> dict[str, Any]:
    """What muster.toml of a folder says, as JSON-able values; empty when there is none.

    Raises:
        BundleMalformed: it is no TOML, or holds what canonical JSON cannot (dates, NaN, numbers beyond ±2^53).
    """
    file = folder / DESCRIPTION_NAME
    if not file.is_file():
        return {}
    try:
        declared = tomllib.loads(file.read_bytes().decode("utf-8"))
        rfc8785.dumps(declared)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BundleMalformed(f"{file} is no TOML: {error}") from error
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        raise BundleMalformed(f"{file} holds what the manifest cannot: {error}") from error
    return declared


def files_of(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file of a folder that belongs to a bundle, as (path in the bundle, path on disk), in no order.

    Raises:
        FileNotPackable: something is neither a regular file nor a folder, or its name is no text.
    """
    yield from _walk(folder, "")


def ignored(name: str) -> bool:
    """Whether a file or folder of that name is never part of a bundle."""
    return name in IGNORED_NAMES or name.endswith(IGNORED_SUFFIXES)


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    try:
        found = list(os.scandir(folder))
    except OSError as error:
        raise FileNotPackable(f"{prefix or folder} cannot be read: {error.strerror}", path=prefix) from error
    for item in found:
        if ignored(item.name) or (not prefix and item.name == MANIFEST_NAME):
            continue
        try:
            item.name.encode("utf-8")
        except UnicodeEncodeError:
            raise FileNotPackable(f"a name in {prefix or folder} is not UTF-8: {item.name!r}") from None
        path = prefix + unicodedata.normalize("NFC", item.name)
        if item.is_symlink():
            raise FileNotPackable(f"{path} is a symbolic link", path=path)
        if item.is_dir(follow_symlinks=False):
            yield from _walk(Path(item.path), path + "/")
        elif item.is_file(follow_symlinks=False):
            yield path, Path(item.path)
        else:
            raise FileNotPackable(f"{path} is no regular file", path=path)


def read_manifest(content: bytes) -> Manifest:
    """The manifest that these bytes are.

    Raises:
        ManifestMalformed: they are no manifest of format 1, or not in canonical form.
    """
    try:
        document: Any = msgspec.json.decode(content)
        if isinstance(document, dict) and document.get("format", MANIFEST_FORMAT) != MANIFEST_FORMAT:
            raise ManifestMalformed(
                f"this is a manifest of format {document['format']!r}, this Muster knows {MANIFEST_FORMAT}"
            )
        manifest = msgspec.convert(document, Manifest)
    except msgspec.MsgspecError as error:
        raise ManifestMalformed(f"this is no manifest: {error}") from error
    except UnicodeDecodeError as error:
        raise ManifestMalformed("this is no manifest: it is not UTF-8") from error
    _refuse_problems(manifest, ManifestMalformed)
    if rfc8785.dumps(msgspec.to_builtins(manifest)) != content:
        raise ManifestMalformed("the manifest is not in canonical form (RFC 8785, files sorted by path)")
    return manifest


def verify_folder(folder: Path, manifest: Manifest) -> None:
    """Hold a folder against its manifest: exactly these files, exactly these bytes.

    Raises:
        BundleDamaged: a file is missing, too many, or other than it was; the message names the first three.
        FileNotPackable: the folder holds what no bundle can.
    """
    there = dict(files_of(folder))
    problems = []
    for entry in manifest.files:
        file = there.pop(entry.path, None)
        if file is None:
            problems.append(f"{entry.path} is missing")
        elif file.stat().st_size != entry.size or digest_of_file(file) != entry.digest:
            problems.append(f"{entry.path} is not the file that was sealed")
        elif bool(file.stat().st_mode & stat.S_IXUSR) is not entry.executable:
            problems.append(f"{entry.path} is {'no longer' if entry.executable else 'suddenly'} executable")
    problems.extend(f"{path} does not belong to it" for path in sorted(there))
    if problems:
        raise BundleDamaged(f"{folder}: {'; '.join(problems[:3])}", problems=problems)
    if declared_in(folder) != manifest.declared:
        raise BundleDamaged(f"{folder}: the manifest does not say what muster.toml says")


def _refuse_problems(manifest: Manifest, kind: type[ManifestMalformed] | type[FileNotPackable]) -> None:
    try:
        external = manifest.external
    except msgspec.ValidationError as error:
        raise kind(f"what is declared as [[external]] cannot be used: {error}") from error
    entries: tuple[FileEntry | ExternalEntry, ...] = (*manifest.files, *external)
    for entry in entries:
        problem = path_problem(entry.path)
        if problem:
            raise kind(f"{entry.path!r} {problem}", path=entry.path)
        checked_digest(entry.digest)
        if entry.size < 0:
            raise kind(f"{entry.path!r} has the size {entry.size}", path=entry.path)
    encoded = [entry.path.encode("utf-8") for entry in manifest.files]
    if encoded != sorted(encoded):
        raise kind("the files of the manifest are not sorted by path")
    _refuse_alike([entry.path for entry in entries], kind)


def _refuse_alike(paths: list[str], kind: type[ManifestMalformed] | type[FileNotPackable]) -> None:
    seen: dict[str, str] = {}
    for path in paths:
        alike = seen.setdefault(path.casefold(), path)
        if alike is not path:
            raise kind(f"{alike!r} and {path!r} are one file where case does not count", path=path)
    files = set(paths)
    for path in paths:
        parts = path.split("/")
        for end in range(1, len(parts)):
            if "/".join(parts[:end]) in files:
                raise kind(f"{'/'.join(parts[:end])!r} is a file and a folder", path=path)


def path_problem(path: str) -> str | None:
    """Why a path cannot be in a bundle, to be read after the path; None when it can."""
    parts = path.split("/")
    problem = None
    if any(part in {"", ".", ".."} for part in parts):
        problem = "is not a plain relative path"
    elif any("\ud800" <= character <= "\udfff" for character in path):
        problem = "is not UTF-8"
    elif len(path.encode("utf-8")) > MAX_PATH_BYTES:
        problem = f"is longer than {MAX_PATH_BYTES} bytes"
    elif "\\" in path or any(ord(character) < 32 or ord(character) == 127 for character in path):
        problem = "holds a backslash or a control character"
    elif unicodedata.normalize("NFC", path) != path:
        problem = "is not in Unicode normal form NFC"
    elif any(ignored(part) for part in parts) or path == MANIFEST_NAME:
        problem = "is a name that bundles leave out"
    return problem
