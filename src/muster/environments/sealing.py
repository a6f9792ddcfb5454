"""Seals: what an environment is made of, part by part, with every part in the store.

A seal is canonical JSON, itself a blob: whoever has its digest and the store has everything that the environment was built from. An export
is a tar of a seal, its parts and the bundle, for a machine that reaches no store.
"""

import io
import secrets
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import rfc8785

from muster.blobs.protocol import Blobs
from muster.environments.errors import PartMissing, SealMalformed
from muster.environments.parts import Parts
from muster.environments.protocol import Package, Part
from muster.packaging.errors import BundleDamaged
from muster.packaging.manifest import (
    MANIFEST_NAME,
    FileEntry,
    Manifest,
    files_of,
    path_problem,
    read_manifest,
    verify_folder,
)
from muster.vocabulary.digests import Digest, checked_digest, digest_of, digest_of_file, hex_of
from muster.vocabulary.errors import Invalid

SEAL_FORMAT: Literal[1] = 1
_SEAL_NAME = "seal.json"
_MOST_SEAL_BYTES = 64 * 1024 * 1024


class SealedPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One artefact of a seal."""

    purl: str
    file: str
    digest: str
    size: int
    licence: str | None = None


class Seal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an environment is made of; docs/reference/seal.md describes every key."""

    format: Literal[1]
    environment: str
    kind: str
    builder: str
    toolchain: str
    platform: str
    lock: str
    sources: str
    system: dict[str, str]
    """What the machine itself brought: C library, system libraries by SHA-256. Recorded, not sealed."""
    packages: tuple[SealedPart, ...]

    @property
    def bytes(self) -> int:
        """What its parts weigh together."""
        return sum({part.digest: part.size for part in self.packages}.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A seal that lies in the store with everything that it names."""

    seal: Seal
    digest: Digest
    """Of the seal."""
    bytes_new: int
    """What came into the store by it; what was there already is not counted."""

    @property
    def bytes(self) -> int:
        """What its parts weigh together."""
        return self.seal.bytes


def content_of(seal: Seal) -> bytes:
    """The bytes of a seal: canonical JSON."""
    return rfc8785.dumps(msgspec.to_builtins(seal))


def read_seal(content: bytes) -> Seal:
    """The seal that bytes are.

    Raises:
        SealMalformed: they are none of a format that this Muster knows.
    """
    try:
        seal = msgspec.json.decode(content, type=Seal)
        for digest in (seal.environment, seal.lock, seal.sources, *(part.digest for part in seal.packages)):
            checked_digest(digest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, Invalid) as error:
        raise SealMalformed(f"this is no seal of format {SEAL_FORMAT}: {error}") from error
    for part in seal.packages:
        problem = path_problem(part.file)
        if problem:  # builds put parts into folders under their own names
            raise SealMalformed(f"the seal names the part {part.file!r}, which {problem}", file=part.file)
    return seal


def sealed_parts(parts: Sequence[Part]) -> tuple[SealedPart, ...]:
    """Parts as a seal lists them, sorted."""
    listed = [
        SealedPart(
            purl=part.package.purl,
            file=part.file,
            digest=part.digest,
            size=part.path.stat().st_size,
            licence=part.package.licence,
        )
        for part in parts
    ]
    return tuple(sorted(listed, key=lambda part: (part.purl, part.file)))


def put_in_store(seal: Seal, parts: Sequence[Part], blobs: Blobs) -> Sealed:
    """Take a seal and its parts into the store; what is there already is not written again.

    Raises:
        BlobsFull, BlobsUnavailable: the store cannot take them.
        BlobUnexpected: a part was changed since it was verified.
    """
    new = 0
    for part in parts:
        if not blobs.has(part.digest):
            blobs.put(part.path, part.digest)
            new += part.path.stat().st_size
    content = content_of(seal)
    digest = digest_of(content)
    if not blobs.has(digest):
        blobs.put(io.BytesIO(content), digest)
        new += len(content)
    return Sealed(seal=seal, digest=digest, bytes_new=new)


def parts_of(seal: Seal, packages: Sequence[Package], parts: Parts, blobs: Blobs) -> tuple[Part, ...]:
    """The parts that a seal names, from the store.

    Args:
        seal: of the environment.
        packages: what the lock names; the parts are theirs.
        parts: where they are put.
        blobs: the store.

    Raises:
        PartMissing: the store does not hold one; the message names it.
        BlobDamaged: the store's bytes are not what was stored.
    """
    by_purl: dict[str, list[Package]] = {}
    for package in packages:
        by_purl.setdefault(package.purl, []).append(package)
    found = []
    for sealed in seal.packages:
        candidates = by_purl.get(sealed.purl, [])
        exact = [one for one in candidates if sealed.digest in one.hashes]
        if not candidates:
            continue  # of an older lock of the same name; what is missing then is told below
        part = parts.from_store((exact or candidates)[0], sealed.file, Digest(sealed.digest), blobs)
        if part is None:
            raise PartMissing(
                f"the store does not hold {sealed.file} ({sealed.digest}), which environment {seal.environment} is made of",
                environment=seal.environment,
                file=sealed.file,
                digest=sealed.digest,
            )
        found.append(part)
    return tuple(found)


def require_in_store(seal: Seal, blobs: Blobs) -> None:
    """See whether the store holds everything that a seal names; the bytes are not read.

    Raises:
        PartMissing: something is not there.
    """
    for part in seal.packages:
        if not blobs.has(Digest(part.digest)):
            raise PartMissing(
                f"the store does not hold {part.file} ({part.digest}), which environment {seal.environment} is made of",
                environment=seal.environment,
                file=part.file,
                digest=part.digest,
            )


def export(seal: Seal, bundle: Path, blobs: Blobs, target: Path) -> int:
    """Write seal, parts and bundle as one tar, whole or not at all; gives its bytes. The same seal gives the same bytes.

    Args:
        seal: what the environment is made of.
        bundle: the version's folder, `manifest.json` among its files.
        blobs: where the parts lie.
        target: the file; replaced if it is there.

    Raises:
        BlobNotFound, BlobDamaged: the store does not have a part.
    """
    partial = target.with_name(
        f".{target.name}.{secrets.token_hex(8)}.partial"
    )  # nobody else's, of a killed export neither
    try:
        with partial.open("xb") as stream, tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
            content = content_of(seal)
            archive.addfile(_entry(_SEAL_NAME, len(content)), io.BytesIO(content))
            for digest, size in sorted({part.digest: part.size for part in seal.packages}.items()):
                with blobs.open(Digest(digest)) as part:
                    archive.addfile(_entry(f"parts/{hex_of(Digest(digest))}", size), part)
                    part.read(1)  # the store tells at the end whether the bytes were right
            for path, file in sorted([*files_of(bundle), (MANIFEST_NAME, bundle / MANIFEST_NAME)]):
                with file.open("rb") as source:
                    archive.addfile(_entry(f"bundle/{path}", file.stat().st_size, file.stat().st_mode), source)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target.stat().st_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """An export that was taken apart."""

    seal: Seal
    parts: Mapping[str, Path]
    """By digest."""
    version: Digest
    """Of the manifest that the bundle is held against: the version's identity."""


def unpack_export(source: Path, folder: Path, version: Digest | None = None) -> Exported:
    """Take an export apart into an empty folder; the bundle is in folder/bundle, and nothing of it has been run or read.

    Args:
        source: the file.
        folder: where to.
        version: the digest that the version has to have; None: any.

    Raises:
        SealMalformed: it is no export, holds names that lead out of it, or a part whose bytes are others.
        ManifestMalformed: its bundle has no manifest.
        BundleDamaged: files of the bundle are not those of its manifest, or it is another version.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(source, "r:") as archive:  # as it is written: what is compressed may unpack to anything
            for member in _members(archive):
                archive.extract(member, folder, filter="data")
        seal = read_seal((folder / _SEAL_NAME).read_bytes())
        manifest = read_manifest((folder / "bundle" / MANIFEST_NAME).read_bytes())
    except (tarfile.TarError, OSError, EOFError) as error:
        raise SealMalformed(f"{source} is no export of an environment: {error}") from error
    found = {}
    for part in seal.packages:
        path = folder / "parts" / hex_of(Digest(part.digest))
        if not path.is_file() or digest_of_file(path) != part.digest:
            raise SealMalformed(f"{source}: the bytes of {part.file} are missing or are not those of {part.digest}")
        found[part.digest] = path
    if version is not None and manifest.digest != version:
        raise BundleDamaged(f"{source} holds the version {manifest.digest}, not {version}", found=manifest.digest)
    _require_bundle(folder / "bundle", manifest)
    return Exported(seal=seal, parts=found, version=manifest.digest)


def _require_bundle(folder: Path, manifest: Manifest) -> None:
    """Find exactly the files of a manifest, and none of those that a bundle leaves out either: bytecode would be run as well."""
    external = tuple(FileEntry(entry.path, entry.digest, entry.size) for entry in manifest.external)
    whole = msgspec.structs.replace(manifest, files=(*manifest.files, *external))
    verify_folder(folder, whole)
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    more = sorted(there - {entry.path for entry in whole.files} - {MANIFEST_NAME})
    if more:
        raise BundleDamaged(f"{folder}: {more[0]} does not belong to it", problems=more)


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in archive:
        if not member.isreg() or member.issparse():
            raise SealMalformed(f"the export holds {member.name!r}, which is no regular file")
        if member.name == _SEAL_NAME and member.size > _MOST_SEAL_BYTES:
            raise SealMalformed(f"the export's seal has {member.size} bytes")
        yield member


def _entry(name: str, size: int, mode: int = 0o644) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size = size
    entry.mode = 0o755 if mode & 0o100 else 0o644
    entry.mtime = 315532800
    return entry
