"""The zip of a bundle: a function of the folder alone, and nothing else is let in."""

import hashlib
import io
import os
import stat
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_packaging_manifest import TREES, written

from muster.packaging.bundle import pack, unpack
from muster.packaging.errors import FileNotPackable, ZipRefused
from muster.packaging.manifest import manifest_of


@given(TREES, st.randoms())
def test_same_folder_same_bytes(tree: dict[str, tuple[bytes, bool]], random: object) -> None:
    """Two folders with the same files give the same zip, and what is unpacked is the folder again."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        shuffled = list(tree.items())
        random.shuffle(shuffled)  # type: ignore[attr-defined]
        (root / "one").mkdir()
        (root / "two").mkdir()
        digest = pack(written(root / "one", tree), root / "one.zip")
        os.utime(written(root / "two", dict(shuffled)), (1, 1))
        assert pack(root / "two", root / "two.zip") == digest
        assert (root / "one.zip").read_bytes() == (root / "two.zip").read_bytes()
        manifest = unpack(root / "one.zip", root / "out")
        assert manifest.digest == digest
        assert manifest_of(root / "out") == manifest_of(root / "one")


def test_known_bytes(tmp_path: Path) -> None:
    """The format of zips never changes: this folder gives these bytes for ever."""
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "run.sh").write_bytes(b"#!/bin/sh\n")
    (tmp_path / "x" / "run.sh").chmod(0o700)
    (tmp_path / "x" / "ü").write_bytes(b"text")
    pack(tmp_path / "x", tmp_path / "x.zip")
    assert hashlib.sha256((tmp_path / "x.zip").read_bytes()).hexdigest() == KNOWN_ZIP
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        infos = archive.infolist()
    assert [info.filename for info in infos] == ["manifest.json", "run.sh", "ü"]
    assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}
    assert [stat.S_IMODE(info.external_attr >> 16) for info in infos] == [0o644, 0o755, 0o644]
    assert {(info.compress_type, info.extra, info.comment) for info in infos} == {(zipfile.ZIP_STORED, b"", b"")}


KNOWN_ZIP = "dd9b64ad7478dbd5a80b2bf6d0e1674d3f375d08c6b63a6b51cb7c1e5b24c599"


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A sound zip."""
    folder = tmp_path / "bundle"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "weights").write_bytes(b"0123456789" * 100)
    (folder / "notes").write_bytes(b"notes")
    pack(folder, tmp_path / "sound.zip")
    return tmp_path / "sound.zip"


def rewritten(source: Path, change: Callable[[zipfile.ZipInfo, bytes], list[tuple[zipfile.ZipInfo, bytes]]]) -> Path:
    """The zip with its entries changed."""
    target = source.with_name("changed.zip")
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as changed:
        for info in archive.infolist():
            for new, content in change(info, archive.read(info)):
                changed.writestr(new, content)
    return target


def info_like(info: zipfile.ZipInfo, name: str | None = None) -> zipfile.ZipInfo:
    """A fresh entry with the canonical attributes."""
    new = zipfile.ZipInfo(name or info.filename, (1980, 1, 1, 0, 0, 0))
    new.create_system = 3
    new.external_attr = info.external_attr
    return new


def compressed(info: zipfile.ZipInfo, content: bytes) -> list[tuple[zipfile.ZipInfo, bytes]]:
    """The entry deflated."""
    new = info_like(info)
    new.compress_type = zipfile.ZIP_DEFLATED
    return [(new, content)]


def renamed(name: str) -> Callable[[zipfile.ZipInfo, bytes], list[tuple[zipfile.ZipInfo, bytes]]]:
    """The notes under another name."""
    return lambda info, content: [(info_like(info, name if info.filename == "notes" else None), content)]


def with_attributes(mode: int) -> Callable[[zipfile.ZipInfo, bytes], list[tuple[zipfile.ZipInfo, bytes]]]:
    """The notes with another mode."""

    def change(info: zipfile.ZipInfo, content: bytes) -> list[tuple[zipfile.ZipInfo, bytes]]:
        new = info_like(info)
        if info.filename == "notes":
            new.external_attr = mode << 16
        return [(new, content)]

    return change


def with_time(info: zipfile.ZipInfo, content: bytes) -> list[tuple[zipfile.ZipInfo, bytes]]:
    """Every entry with the present time."""
    new = info_like(info)
    new.date_time = time.gmtime()[:6]
    return [(new, content)]


def with_other_bytes(info: zipfile.ZipInfo, content: bytes) -> list[tuple[zipfile.ZipInfo, bytes]]:
    """The notes say something else than the manifest."""
    return [(info_like(info), b"n0tes" if info.filename == "notes" else content)]


def with_a_file_more(info: zipfile.ZipInfo, content: bytes) -> list[tuple[zipfile.ZipInfo, bytes]]:
    """A file that the manifest does not name."""
    more = [(info_like(info, "zzz"), b"")] if info.filename == "notes" else []
    return [(info_like(info), content), *more]


def without_manifest(info: zipfile.ZipInfo, content: bytes) -> list[tuple[zipfile.ZipInfo, bytes]]:
    """No manifest."""
    return [] if info.filename == "manifest.json" else [(info_like(info), content)]


def without_a_file(info: zipfile.ZipInfo, content: bytes) -> list[tuple[zipfile.ZipInfo, bytes]]:
    """One file less than the manifest names."""
    return [] if info.filename == "notes" else [(info_like(info), content)]


@pytest.mark.parametrize(
    "change",
    [
        compressed,
        renamed("../notes"),
        renamed("/etc/notes"),
        renamed("a/../../notes"),
        renamed("a\\notes"),
        renamed("__pycache__/notes"),
        with_attributes(stat.S_IFLNK | 0o777),
        with_attributes(stat.S_IFDIR | 0o755),
        with_attributes(stat.S_IFREG | 0o4755),
        with_attributes(0),
        with_time,
        with_other_bytes,
        with_a_file_more,
        without_a_file,
        without_manifest,
    ],
)
def test_changed_zips_are_refused(packed: Path, tmp_path: Path, change: Callable[..., object]) -> None:
    """Whatever is not exactly what `pack` makes is refused, and nothing of it is left on disk."""
    bad = rewritten(packed, change)  # type: ignore[arg-type]
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(ZipRefused):
        unpack(bad, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicate_names(packed: Path, tmp_path: Path) -> None:
    """Two entries of one name are refused."""
    bad = rewritten(packed, lambda info, content: [(info_like(info), content)] * 2)
    with pytest.raises(ZipRefused, match="more than once"):
        unpack(bad, tmp_path / "out")


@pytest.mark.parametrize("around", [(b"x", b""), (b"", b"x"), (b"PK", b"")])
def test_bytes_around_the_zip(packed: Path, tmp_path: Path, around: tuple[bytes, bytes]) -> None:
    """Bytes before or after the zip, which many readers overlook, are refused."""
    bad = tmp_path / "bad.zip"
    bad.write_bytes(around[0] + packed.read_bytes() + around[1])
    with pytest.raises(ZipRefused):
        unpack(bad, tmp_path / "out")


@given(st.data())
def test_any_flipped_byte(data: st.DataObject) -> None:
    """A single changed byte anywhere in the zip is found."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "bundle").mkdir()
        (root / "bundle" / "file").write_bytes(b"content")
        pack(root / "bundle", root / "sound.zip")
        content = bytearray((root / "sound.zip").read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= 1 << data.draw(st.integers(0, 7))
        (root / "bad.zip").write_bytes(content)
        with pytest.raises(ZipRefused):
            unpack(root / "bad.zip", root / "out")


@given(st.integers(min_value=0))
def test_any_truncation(at: int) -> None:
    """A zip that is cut off anywhere is refused."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "bundle").mkdir()
        (root / "bundle" / "file").write_bytes(b"content")
        pack(root / "bundle", root / "sound.zip")
        content = (root / "sound.zip").read_bytes()
        (root / "bad.zip").write_bytes(content[: at % len(content)])
        with pytest.raises(ZipRefused):
            unpack(root / "bad.zip", root / "out")


@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    """Bytes that are no zip are refused."""
    with tempfile.TemporaryDirectory() as name:
        Path(name, "bad.zip").write_bytes(content)
        with pytest.raises(ZipRefused):
            unpack(Path(name, "bad.zip"), Path(name, "out"))


def test_too_large(packed: Path, tmp_path: Path) -> None:
    """A bundle above the limit is refused before a byte is written."""
    with pytest.raises(ZipRefused, match="the limit is 100"):
        unpack(packed, tmp_path / "out", max_bytes=100)


def test_overlapping_entries(tmp_path: Path) -> None:
    """Entries that share their bytes, the trick of zip bombs, are refused."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("manifest.json", "a"):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, b"x" * 1000)
        archive.infolist()[0].file_size = 10**7
        archive.infolist()[0].compress_size = 10**7
    (tmp_path / "bad.zip").write_bytes(buffer.getvalue())
    with pytest.raises(ZipRefused, match="overlap"):
        unpack(tmp_path / "bad.zip", tmp_path / "out")


def test_target_inside_the_folder(tmp_path: Path) -> None:
    """A zip cannot be written into what it packs."""
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(FileNotPackable, match="inside"):
        pack(tmp_path, tmp_path / "out.zip")


def test_existing_folder(packed: Path, tmp_path: Path) -> None:
    """Nothing is unpacked over something else."""
    (tmp_path / "out").mkdir()
    with pytest.raises(ZipRefused, match="exists"):
        unpack(packed, tmp_path / "out")


def test_failed_packing_leaves_the_old_zip(packed: Path, tmp_path: Path) -> None:
    """When packing fails, an earlier zip of that name is still there, and nothing half-written beside it."""
    before = packed.read_bytes()
    (tmp_path / "bundle" / "link").symlink_to("notes")
    with pytest.raises(FileNotPackable):
        pack(tmp_path / "bundle", packed)
    assert packed.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "sound.zip"]
