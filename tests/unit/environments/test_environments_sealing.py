"""Seals and exports: what a stranger's may hold."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from muster.blobs.errors import BlobNotFound
from muster.blobs.local import LocalBlobs
from muster.environments.errors import SealMalformed
from muster.environments.sealing import Seal, SealedPart, content_of, export, read_seal, unpack_export
from muster.packaging.errors import BundleDamaged, ManifestMalformed
from muster.packaging.manifest import manifest_of
from muster.vocabulary.digests import digest_of

PART = b"part"


def seal(file: str = "gonum.org/v1/gonum/@v/v0.17.0.zip") -> Seal:
    part = SealedPart(purl="pkg:golang/gonum.org/v1/gonum@v0.17.0", file=file, digest=digest_of(PART), size=len(PART))
    return Seal(
        format=1,
        environment=digest_of(b"environment"),
        kind="go",
        builder="muster-go/1",
        toolchain="go-1.26.8",
        platform="manylinux_2_36_x86_64",
        lock=digest_of(b"lock"),
        sources=digest_of(b"sources"),
        system={},
        packages=(part,),
    )


def tarred(path: Path, files: Mapping[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


@pytest.fixture
def store(tmp_path: Path) -> LocalBlobs:
    """A store with the one part."""
    blobs = LocalBlobs(tmp_path / "store")
    blobs.put(io.BytesIO(PART), digest_of(PART))
    return blobs


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A version's folder as `materialise` makes it."""
    folder = tmp_path / "version"
    (folder / "model").mkdir(parents=True)
    external = (
        f'[[external]]\npath = "model/large"\ndigest = "{digest_of(b"large")}"\nsize = 5\nuri = "s3://models/large"\n'
    )
    (folder / "muster.toml").write_text(f'name = "churn"\n{external}')
    (folder / "model" / "run").write_text("model")
    (folder / "model" / "run").chmod(0o555)
    (folder / "golden.parquet").write_text("golden")
    (folder / "manifest.json").write_bytes(manifest_of(folder).content)
    (folder / "model" / "large").write_bytes(b"large")  # named by reference, and brought
    return folder


def changed(file: Path, changes: Mapping[str, bytes | None]) -> Path:
    """An export of which entries were replaced, added, or (None) taken away."""
    with tarfile.open(file) as archive:
        entries = {member.name: (member, archive.extractfile(member).read()) for member in archive}  # type: ignore[union-attr]
    with tarfile.open(file, "w") as archive:
        for name in entries.keys() | changes.keys():
            member, content = entries.get(name, (tarfile.TarInfo(name), b""))
            wanted = changes.get(name, content)
            if wanted is not None:
                member.size = len(wanted)
                archive.addfile(member, io.BytesIO(wanted))
    return file


@pytest.mark.parametrize("file", ["../../../tmp/x", "/etc/x", "", ".", "a/../../x", "a\\..\\x", "a\nb"])
def test_a_seal_whose_part_would_lie_elsewhere_is_none(file: str) -> None:
    """Parts are put into folders under their names: one that climbs is refused before anything is read of it."""
    with pytest.raises(SealMalformed, match="names the part"):
        read_seal(content_of(seal(file)))
    assert read_seal(content_of(seal())) == seal()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, msgspec.json.encode({"format": 2})])
def test_what_is_no_seal_is_refused(content: bytes) -> None:
    """Whatever the bytes are, the named error comes of them."""
    with pytest.raises(SealMalformed):
        read_seal(content)


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2"])
def test_an_export_that_is_compressed_is_refused(tmp_path: Path, mode: str) -> None:
    """An export is written as it is; a small file that unpacks to a large one is not looked into."""
    file = tarred(tmp_path / "x.tar", {"seal.json": b"0" * 1_000_000}, mode)
    with pytest.raises(SealMalformed, match="no export"):
        unpack_export(file, tmp_path / "in")
    assert not list((tmp_path / "in").iterdir())


def test_an_export_with_holes_is_refused(tmp_path: Path) -> None:
    """A sparse entry of a few bytes would be read as terabytes."""
    entry = tarfile.TarInfo("seal.json")
    entry.type, entry.size = tarfile.GNUTYPE_SPARSE, 0
    header = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"%011o\0" % 2**30  # its size with the hole
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    (tmp_path / "x.tar").write_bytes(bytes(header) + b"\0" * 1024)
    with pytest.raises(SealMalformed, match="no regular file"):
        unpack_export(tmp_path / "x.tar", tmp_path / "in")


def test_an_export_names_its_version_and_holds_its_bundle(tmp_path: Path, store: LocalBlobs, bundle: Path) -> None:
    """Seal, parts and bundle come out as they went in, the same bytes each time; whoever knows the version's digest can ask for it."""
    for name in ("a.tar", "b.tar"):
        export(seal(), bundle, store, tmp_path / name)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    version = digest_of((bundle / "manifest.json").read_bytes())
    found = unpack_export(tmp_path / "a.tar", tmp_path / "in", version)
    assert (found.seal, found.version) == (seal(), version)
    assert [path.read_bytes() for path in found.parts.values()] == [PART]
    files = {path.relative_to(bundle): path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    assert {path: (tmp_path / "in" / "bundle" / path).read_bytes() for path in files} == files
    with pytest.raises(BundleDamaged, match="not sha256"):
        unpack_export(tmp_path / "a.tar", tmp_path / "other", digest_of(b"other"))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"bundle/model/run": b"evil", "bundle/golden.parquet": b"evil"}, "not the file that was sealed"),
        ({"bundle/model/large": b"lorge"}, "large is not the file"),
        ({"bundle/golden.parquet": None}, "golden.parquet is missing"),
        ({"bundle/more": b""}, "more does not belong to it"),
        ({"bundle/model/__pycache__/run.pyc": b""}, "run.pyc does not belong to it"),
    ],
)
def test_a_bundle_that_is_not_its_manifests_is_refused(
    tmp_path: Path, store: LocalBlobs, bundle: Path, changes: dict[str, bytes | None], told: str
) -> None:
    """A model and golden answers put in place of others, or beside them, are told before anything is run."""
    export(seal(), bundle, store, tmp_path / "x.tar")
    with pytest.raises(BundleDamaged, match=told):
        unpack_export(changed(tmp_path / "x.tar", changes), tmp_path / "in")


def test_an_export_without_a_manifest_is_none(tmp_path: Path, store: LocalBlobs, bundle: Path) -> None:
    """Without it nothing says what the bundle has to be."""
    export(seal(), bundle, store, tmp_path / "x.tar")
    with pytest.raises(SealMalformed, match="manifest"):
        unpack_export(changed(tmp_path / "x.tar", {"bundle/manifest.json": None}), tmp_path / "in")
    with pytest.raises(ManifestMalformed):
        unpack_export(changed(tmp_path / "x.tar", {"bundle/manifest.json": b"{}"}), tmp_path / "other")


def test_an_export_that_was_killed_or_runs_beside_is_in_nobodys_way(
    tmp_path: Path, store: LocalBlobs, bundle: Path
) -> None:
    """What another left or still writes stays its own, and the next export is whole."""
    theirs = tmp_path / ".x.tar.partial"
    theirs.write_bytes(b"theirs")
    export(seal(), bundle, store, tmp_path / "x.tar")
    assert theirs.read_bytes() == b"theirs"
    assert unpack_export(tmp_path / "x.tar", tmp_path / "in").seal == seal()
    with pytest.raises(BlobNotFound):
        export(seal(), bundle, LocalBlobs(tmp_path / "empty"), tmp_path / "y.tar")
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"x.tar", ".x.tar.partial"}
