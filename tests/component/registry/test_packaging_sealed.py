"""Bundles as folders on a serving machine: whole, verified, read-only, whatever happened to them."""

import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from made_bundles import made_bundle
from muster.blobs.errors import BlobDamaged, BlobNotFound
from muster.blobs.local import LocalBlobs
from muster.packaging.manifest import MANIFEST_NAME, manifest_of, verify_folder
from muster.packaging.sealed import materialise
from muster.vocabulary.digests import Digest, digest_of, hex_of


class Sealed:
    """A bundle in a store, and where it is to be a folder."""

    def __init__(self, folder: Path) -> None:
        source = made_bundle(folder / "source")
        (source / "run.sh").write_text("#!/bin/sh\n")
        (source / "run.sh").chmod(0o755)
        self.manifest = manifest_of(source)
        self.store = folder / "store"
        self.blobs = LocalBlobs(self.store)
        for entry in self.manifest.files:
            self.blobs.put(source / entry.path, Digest(entry.digest))
        content = folder / MANIFEST_NAME
        content.write_bytes(self.manifest.content)
        self.digest = self.blobs.put(content)
        self.root = folder / "bundles"

    def here(self) -> Path:
        return materialise(self.digest, self.blobs, self.root)


@pytest.fixture
def sealed(tmp_path: Path) -> Sealed:
    return Sealed(tmp_path)


def test_a_bundle_becomes_a_read_only_folder(sealed: Sealed) -> None:
    """Named by its digest, with exactly the files of the manifest, executable where they were."""
    folder = sealed.here()
    assert folder == sealed.root / hex_of(sealed.digest)
    verify_folder(folder, sealed.manifest)
    assert (folder / MANIFEST_NAME).read_bytes() == sealed.manifest.content
    for path in (folder, *folder.rglob("*")):
        assert not path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH), path
    assert (folder / "run.sh").stat().st_mode & stat.S_IXUSR
    assert sealed.here() == folder


def test_asking_again_costs_no_reading(sealed: Sealed) -> None:
    """What this process has verified is looked at by sizes and times only: the store is not even needed."""
    folder = sealed.here()
    (sealed.store / "sha256").rename(sealed.store / "gone")
    assert sealed.here() == folder


@pytest.mark.parametrize("damage", ["edited", "same size", "removed", "added", "cached code", "mode", "manifest"])
def test_a_damaged_folder_is_fetched_again(sealed: Sealed, damage: str) -> None:
    """Whatever was done to it, files that bundles leave out included: a planted `.pyc` would be run."""
    folder = sealed.here()
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode | stat.S_IWUSR)
    notes = folder / "NOTES.md"
    match damage:
        case "edited":
            notes.write_text("other notes, longer")
        case "same size":
            notes.write_text("FIRST\n")
        case "removed":
            notes.unlink()
        case "added":
            (folder / "extra.txt").write_text("extra")
        case "cached code":
            (folder / "src" / "__pycache__").mkdir()
            (folder / "src" / "__pycache__" / "the_model.cpython-311.pyc").write_bytes(b"planted")
        case "mode":
            (folder / "run.sh").chmod(0o644)
            (folder / "README.md").write_text("so that a change is seen")
        case "manifest":
            (folder / MANIFEST_NAME).write_bytes(b"{}")
    again = sealed.here()
    verify_folder(again, sealed.manifest)
    assert not (again / "src" / "__pycache__").exists()
    assert (again / MANIFEST_NAME).read_bytes() == sealed.manifest.content
    assert [path.name for path in sealed.root.iterdir()] == [again.name]


def test_a_folder_that_another_process_left_is_verified_first(sealed: Sealed) -> None:
    """Every process reads every byte once, however the folder came there."""
    folder = sealed.here()
    notes = folder / "NOTES.md"
    notes.chmod(0o644)
    before = notes.stat()
    notes.write_text("FIRST\n")
    os.utime(notes, ns=(before.st_atime_ns, before.st_mtime_ns))
    code = """
        import sys
        from pathlib import Path
        from muster.blobs.local import LocalBlobs
        from muster.packaging.sealed import materialise
        folder = materialise(sys.argv[1], LocalBlobs(Path(sys.argv[2])), Path(sys.argv[3]))
        print((folder / "NOTES.md").read_text(), end="")
    """
    arguments = [sys.executable, "-c", textwrap.dedent(code), sealed.digest, str(sealed.store), str(sealed.root)]
    assert subprocess.run(arguments, capture_output=True, text=True, check=True).stdout == "first\n"


def test_many_may_ask_at_once(sealed: Sealed) -> None:
    """Threads and processes get the same whole folder, and nothing is left beside it."""
    code = """
        import sys
        from pathlib import Path
        from muster.blobs.local import LocalBlobs
        from muster.packaging.sealed import materialise
        sys.stdin.read()
        materialise(sys.argv[1], LocalBlobs(Path(sys.argv[2])), Path(sys.argv[3]))
    """
    arguments = [sys.executable, "-c", textwrap.dedent(code), sealed.digest, str(sealed.store), str(sealed.root)]
    others = [subprocess.Popen(arguments, stdin=subprocess.PIPE) for _ in range(3)]
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(sealed.here())) for _ in range(4)]
    for other in others:
        other.communicate(b"", timeout=60)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [other.returncode for other in others] == [0, 0, 0]
    assert set(found) == {sealed.root / hex_of(sealed.digest)}
    assert len(list(sealed.root.iterdir())) == 1


def test_a_store_that_lacks_or_damaged_a_file_gives_no_folder(sealed: Sealed) -> None:
    """Nothing half-made is left to be taken for a bundle."""
    with pytest.raises(BlobNotFound):
        materialise(digest_of(b"nothing"), sealed.blobs, sealed.root)
    entry = sealed.manifest.file("NOTES.md")
    assert entry is not None
    blob = sealed.store / "sha256" / entry.digest[7:9] / hex_of(Digest(entry.digest))
    blob.chmod(0o644)
    blob.write_bytes(b"forged")
    with pytest.raises(BlobDamaged):
        sealed.here()
    assert list(sealed.root.iterdir()) == []
    blob.unlink()
    with pytest.raises(BlobNotFound):
        sealed.here()


def test_a_process_killed_over_it_leaves_nothing_that_counts(sealed: Sealed) -> None:
    """Its half is passed over, and taken away once it is old."""
    code = """
        import os, signal, sys
        from pathlib import Path
        from muster.blobs.local import LocalBlobs
        from muster.packaging import sealed
        sealed.make_read_only = lambda _: os.kill(os.getpid(), signal.SIGKILL)
        sealed.materialise(sys.argv[1], LocalBlobs(Path(sys.argv[2])), Path(sys.argv[3]))
    """
    arguments = [sys.executable, "-c", textwrap.dedent(code), sealed.digest, str(sealed.store), str(sealed.root)]
    assert subprocess.run(arguments, check=False).returncode == -signal.SIGKILL
    (left,) = sealed.root.iterdir()
    assert left.name.endswith(".building")
    os.utime(left, (0, 0))
    folder = sealed.here()
    verify_folder(folder, sealed.manifest)
    assert list(sealed.root.iterdir()) == [folder]
