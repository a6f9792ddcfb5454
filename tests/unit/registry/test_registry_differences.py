"""How versions in other languages than Python differ: package by package, whatever the lock is."""

from pathlib import Path

from muster.packaging.manifest import Manifest, manifest_of
from muster.registry.differences import Diff, diff_of
from muster.vocabulary.digests import Digest, digest_of
from muster.vocabulary.names import VersionName

DESCRIPTION = """
format = 1
name = "churn"
[runtime]
kind = "go"
toolchain = "go-{go}"
[contract]
inputs = [{{ name = "x", datatype = "FP64" }}]
outputs = [{{ name = "y", datatype = "FP64" }}]
[golden]
rows = 1
"""
HASH = "h1:" + "A" * 43 + "="


def version(folder: Path, go: str, *modules: tuple[str, str]) -> Manifest:
    """A version in Go with these modules locked."""
    folder.mkdir()
    (folder / "muster.toml").write_text(DESCRIPTION.format(go=go))
    lines = [line for name, number in modules for line in (f"{name} {number} {HASH}", f"{name} {number}/go.mod {HASH}")]
    (folder / "go.sum").write_text("".join(f"{line}\n" for line in lines))
    return manifest_of(folder)


def difference(root: Path, old: Manifest, new: Manifest) -> Diff:
    """The diff of two versions whose files lie below a folder."""
    files = {digest_of(file.read_bytes()): file for file in root.rglob("go.sum")}

    def read(digest: Digest) -> bytes:
        return files[digest].read_bytes()

    return diff_of(VersionName("churn", 1), VersionName("churn", 2), old, new, read=read)


def test_modules_are_compared_by_name_and_version(tmp_path: Path) -> None:
    """A module of another version, one more and another toolchain are told, each under its ecosystem's name."""
    old = version(tmp_path / "old", "1.26.7", ("gonum.org/v1/gonum", "v0.16.0"), ("golang.org/x/exp", "v0.1.0"))
    new = version(tmp_path / "new", "1.26.8", ("gonum.org/v1/gonum", "v0.17.0"), ("golang.org/x/exp", "v0.1.0"))
    found = difference(tmp_path, old, new)
    assert [(one.what, one.before, one.after) for one in found.packages] == [
        ("golang:gonum.org/v1/gonum", "v0.16.0", "v0.17.0")
    ]
    assert [(one.what, one.after) for one in found.declared] == [("runtime.toolchain", "go-1.26.8")]
    assert [one.what for one in found.files] == ["go.sum", "muster.toml"]


def test_the_same_version_does_not_differ(tmp_path: Path) -> None:
    """Equal bytes have no difference in anything."""
    old = version(tmp_path / "old", "1.26.8", ("gonum.org/v1/gonum", "v0.17.0"))
    assert difference(tmp_path, old, old).same
