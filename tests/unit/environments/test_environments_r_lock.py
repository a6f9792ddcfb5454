"""R: what r.lock names, what scripts name, and what is wrong with a bundle."""

import json
from pathlib import Path
from typing import Any

import pytest

from muster.blobs.local import LocalBlobs
from muster.environments.languages.r import R, packages_named, read_lock
from muster.environments.protocol import Toolchain
from muster.environments.shelf import Built, Shelf
from muster.packaging.documents import Bundle, bundle_of
from muster.packaging.errors import BundleMalformed
from muster.vocabulary.digests import digest_of

LANGUAGE = R()
HASH = "sha256:" + "0a" * 32
RPART = {"Package": "rpart", "Version": "4.1.19", "Source": "Debian", "Hash": HASH}


def lock(version: str = "4.2.2", **packages: dict[str, str]) -> bytes:
    return json.dumps({"R": {"Version": version}, "Packages": packages}).encode()


def bundle(**runtime: Any) -> Bundle:
    return bundle_of(
        {
            "format": 1,
            "name": "churn",
            "runtime": {"kind": "r", "toolchain": "r-4.2.2", **runtime},
            "contract": {
                "inputs": [{"name": "x", "datatype": "FP64"}],
                "outputs": [{"name": "y", "datatype": "FP64"}],
            },
            "golden": {"rows": 1},
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of a bundle about which nothing is wrong."""
    (tmp_path / "muster_host").mkdir()
    (tmp_path / "muster_host" / "run.R").write_text("")
    (tmp_path / "model.R").write_text("library(rpart)\npredict <- function(data) stats::predict(fit, data)\n")
    (tmp_path / "r.lock").write_bytes(lock(rpart=RPART))
    return tmp_path


def test_a_lock_names_packages_that_are_never_fetched() -> None:
    """They are the machine's or the bundle's own, so no registry is asked."""
    (package,) = LANGUAGE.packages(lock(rpart=RPART))
    assert (package.purl, package.hashes) == ("pkg:cran/rpart@4.1.19", frozenset())


def test_tarballs_of_the_bundle_are_sealed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source package that the bundle brings is a part by its hash, and lies in the store; one of the machine is none."""
    monkeypatch.setattr(R, "toolchain", lambda *_: Toolchain(name="r-4.2.2", programs={}))
    own = {"Package": "own", "Version": "1.0", "Source": "tarball", "Hash": digest_of(b"own")}
    (folder / "r.lock").write_bytes(lock(rpart=RPART, own=own))
    blobs = LocalBlobs(tmp_path / "store")
    shelf = Shelf(tmp_path / "environments", tmp_path / "uv-cache", blobs, parts=tmp_path / "parts")
    built = Built(
        id=digest_of(b"environment"),
        python=Path("/usr/bin/python3"),
        interpreter="r-4.2.2",
        platform="manylinux",
        lock_digest=digest_of(b"lock"),
        folder=tmp_path / "tree",
        kind="r",
        toolchain="r-4.2.2",
    )
    (folder / "tarballs").mkdir()
    (folder / "tarballs" / "own_1.0.tar.gz").write_bytes(b"other")
    assert shelf.seal(built, folder, bundle()).seal.packages == ()
    (folder / "tarballs" / "own_1.0.tar.gz").write_bytes(b"own")
    (part,) = shelf.seal(built, folder, bundle()).seal.packages
    assert (part.purl, part.file, part.digest) == ("pkg:cran/own@1.0", "own_1.0.tar.gz", digest_of(b"own"))
    assert blobs.read(digest_of(b"own")) == b"own"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"R": {}}',
        lock(rpart={**RPART, "Source": "somewhere"}),
        lock(rpart={**RPART, "Hash": ""}),
        lock(rpart={**RPART, "Version": "../4"}),
        lock(other=RPART),
    ],
)
def test_what_is_no_lock_is_refused(content: bytes) -> None:
    """With the remedy."""
    with pytest.raises(BundleMalformed, match="muster assemble"):
        read_lock(content)


def test_packages_are_found_where_scripts_name_them(tmp_path: Path) -> None:
    """By `library`, `require`, `::`, in all scripts beside the entry, and not in comments."""
    (tmp_path / "model.R").write_text("library(rpart) # library(nothing)\nrequire('survival')\n")
    (tmp_path / "more.R").write_text('y <- splines::ns(x)\nif (requireNamespace("lattice")) 1\n')
    assert packages_named(tmp_path, "model.R") == {"rpart", "survival", "splines", "lattice"}


def test_nothing_is_wrong_with_a_whole_bundle(folder: Path) -> None:
    """R's own packages need not be named."""
    assert list(LANGUAGE.problems(folder, bundle())) == []


@pytest.mark.parametrize(
    ("path", "content", "file", "told"),
    [
        ("model.R", b"library(survival)", "r.lock", "uses survival"),
        ("r.lock", b"nonsense", "r.lock", "cannot be read"),
        ("r.lock", lock("4.3.1", rpart=RPART), "r.lock", "it is of R 4.3.1"),
        ("r.lock", lock(rpart={**RPART, "Source": "tarball"}), "tarballs/rpart_4.1.19.tar.gz", "it is missing"),
        ("muster_host/run.R", None, "muster_host/run.R", "it is missing"),
    ],
)
def test_what_is_wrong_is_told_with_its_file(
    folder: Path, path: str, content: bytes | None, file: str, told: str
) -> None:
    """A package that the lock lacks, no lock, one of another R, no tarball, no helper."""
    (folder / path).unlink() if content is None else (folder / path).write_bytes(content)
    findings = list(LANGUAGE.problems(folder, bundle()))
    assert any(finding.path == file and told in finding.problem for finding in findings), findings
