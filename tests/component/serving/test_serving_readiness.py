"""What is looked at anew whenever a host is started: the machine as well as what lies in folders of ours."""

import os
import sys
from pathlib import Path

import pytest

from muster.blobs.local import LocalBlobs
from muster.environments.errors import MachineDiffers
from muster.environments.languages.known import LANGUAGES
from muster.environments.shelf import Shelf
from muster.packaging.bundle import read_bundle
from muster.packaging.documents import read_description
from muster.packaging.manifest import manifest_of
from muster.runtimes.conformance import echo
from muster.serving.workers.readiness import Preparer
from muster.serving.workers.roster import WantedHost
from muster.vocabulary.digests import Digest, digest_of

PROGRAM = "spoken"


def write_program(folder: Path, said: str) -> None:
    """A program of the machine, on the PATH, that runs Python scripts."""
    file = folder / PROGRAM
    file.write_text(
        f'#!/bin/sh\n# {said}\n[ "$1" = --version ] && echo \'spoken 1.0\' && exit\nexec {sys.executable} "$@"\n'
    )
    file.chmod(0o755)


def kept(blobs: LocalBlobs, folder: Path) -> Digest:
    """The digest of a bundle's manifest, once all of it is in the store."""
    manifest = manifest_of(folder)
    for entry in manifest.files:
        blobs.put(folder / entry.path, Digest(entry.digest))
    digest = digest_of(manifest.content)
    source = folder.parent / "manifest"
    source.write_bytes(manifest.content)
    blobs.put(source, digest)
    return digest


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that is first on the PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.fixture
def wanted(machine: Path, tmp_path: Path) -> WantedHost:
    """A host of a bundle of kind command, whose program is the machine's; the bundle is in the store."""
    write_program(machine, "as it was locked")
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "model.py").write_text("")
    echo.write_bundle(folder, {"kind": "command", "command": [PROGRAM, "model.py"], "toolchain": "spoken-1.0"})
    scratch = tmp_path / "locking"
    scratch.mkdir()
    lock = LANGUAGES["command"].lock(folder, read_description(folder), scratch, lambda _: None)
    (folder / "command.lock").write_bytes(lock)
    assert read_bundle(folder).runtime.kind == "command"
    return WantedHost(key="echo/echo:1@1", version="echo:1", manifest=kept(LocalBlobs(tmp_path / "blobs"), folder))


@pytest.fixture
def preparer(tmp_path: Path) -> Preparer:
    """What prepares bundles for a keeper."""
    blobs = LocalBlobs(tmp_path / "blobs")
    return Preparer(blobs, tmp_path / "bundles", Shelf(tmp_path / "environments", tmp_path / "uv-cache", blobs))


def test_a_program_that_has_changed_since_starts_no_further_host(
    preparer: Preparer, wanted: WantedHost, machine: Path
) -> None:
    """Another program of the same name and version, put there while the keeper runs, is refused by name at the next start."""
    first, again = preparer.prepare(wanted), preparer.prepare(wanted)
    assert first.environment.id == again.environment.id
    write_program(machine, "as somebody has upgraded it")
    with pytest.raises(MachineDiffers, match=PROGRAM):
        preparer.prepare(wanted)
    write_program(machine, "as it was locked")
    assert preparer.prepare(wanted).environment.id == first.environment.id


def test_a_bundle_that_was_edited_on_the_disk_is_not_believed(
    preparer: Preparer, wanted: WantedHost, tmp_path: Path
) -> None:
    """A file of the unpacked bundle that was changed is put back before a host is started."""
    preparer.prepare(wanted)
    (script,) = (tmp_path / "bundles").rglob("model.py")
    script.chmod(0o644)
    script.write_text("print('not registered')")
    preparer.prepare(wanted)
    (script,) = (tmp_path / "bundles").rglob("model.py")
    assert script.read_text() == ""
