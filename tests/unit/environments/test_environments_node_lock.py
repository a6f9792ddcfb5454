"""Node: what package-lock.json names, what is wrong with a bundle, and what a tarball may hold."""

import base64
import io
import json
import platform
import tarfile
from pathlib import Path
from typing import Any

import pytest

from built_programs import part_of
from muster.environments.errors import PartUnsafe
from muster.environments.languages.node import Node, is_wanted, unpack, without_addresses
from muster.environments.protocol import Package
from muster.environments.sources import copy_sources, source_files
from muster.packaging.documents import Bundle, bundle_of
from muster.packaging.errors import BundleMalformed

NODE = Node()
SHA512 = "sha512-" + base64.b64encode(b"\1" * 64).decode()
HASH = "sha512:" + "01" * 64
ROOT = {"name": "churn", "version": "1.0.0", "dependencies": {"ml-matrix": "6.15.1"}}
MATRIX = {"version": "6.15.1", "integrity": SHA512, "license": "MIT"}


def lock(packages: dict[str, Any], version: int = 3) -> bytes:
    return json.dumps({"name": "churn", "lockfileVersion": version, "packages": {"": ROOT, **packages}}).encode()


def bundle(**runtime: Any) -> Bundle:
    return bundle_of(
        {
            "format": 1,
            "name": "churn",
            "runtime": {"kind": "node", "toolchain": "node-20.20.2", **runtime},
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
    (tmp_path / "muster_host" / "host.mjs").write_text("")
    (tmp_path / "model.mjs").write_text("export const predict = ({ x }) => x;\n")
    (tmp_path / "package.json").write_text(json.dumps({"name": "churn", "dependencies": ROOT["dependencies"]}))
    (tmp_path / "package-lock.json").write_bytes(lock({"node_modules/ml-matrix": MATRIX}))
    return tmp_path


def test_a_lock_names_each_package_once() -> None:
    """A package is named by its hash and licence, at however many places it stands; an alias by its real name."""
    found = NODE.packages(
        lock(
            {
                "node_modules/ml-matrix": MATRIX,
                "node_modules/other/node_modules/ml-matrix": MATRIX,
                "node_modules/@types/node": {**MATRIX, "version": "22.0.0"},
                "node_modules/matrix": {**MATRIX, "name": "ml-matrix"},
                "node_modules/other/node_modules/bundled": {"version": "1.0.0", "inBundle": True},
            }
        )
    )
    assert [(package.name, package.version) for package in found] == [
        ("@types/node", "22.0.0"),
        ("bundled", "1.0.0"),
        ("ml-matrix", "6.15.1"),
    ]
    assert found[1].hashes == frozenset(), (
        "it comes with the tarball of another, and is judged as any package all the same"
    )
    assert found[2] == Package(
        ecosystem="npm", name="ml-matrix", version="6.15.1", hashes=frozenset({HASH}), licence="MIT"
    )
    assert found[0].purl == "pkg:npm/%40types/node@22.0.0"


@pytest.mark.parametrize(
    ("packages", "told"),
    [
        ({"node_modules/a": {"resolved": "a", "link": True}}, "a is a link"),
        ({"node_modules/a": {**MATRIX, "resolved": "git+ssh://git@example.com/a.git#1"}}, "a is not from a registry"),
        ({"node_modules/a": {**MATRIX, "resolved": "file:../a"}}, "a is not from a registry"),
        ({"node_modules/a": {"version": "1.0.0"}}, "a 1.0.0 has no sha512"),
        ({"node_modules/a": {"version": "1.0.0", "integrity": "sha1-AAAA"}}, "a 1.0.0 has no sha512"),
        ({"node_modules/../../a": MATRIX}, "no place below node_modules"),
        ({"../a": MATRIX}, "no place below node_modules"),
        ({"node_modules/a": "1.0.0"}, "'node_modules/a' cannot be read: Expected `object`"),
        ({"node_modules/a": {**MATRIX, "integrity": "sha512-abc"}}, "a 6.15.1 has no sha512"),
        ({"node_modules/a": {**MATRIX, "integrity": "sha512-AAAA"}}, "a 6.15.1 has no sha512"),
        ({"node_modules/a": {**MATRIX, "os": 5}}, "cannot be read: Expected `str | array`"),
        ({"node_modules/a": {**MATRIX, "os": ["linux evil"]}}, "which is no machine"),
    ],
)
def test_a_lock_that_cannot_be_kept_is_refused(packages: dict[str, Any], told: str) -> None:
    """Links, repositories, folders, weak hashes and places outside of node_modules are told by name."""
    with pytest.raises(BundleMalformed, match=told):
        NODE.packages(lock(packages))


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"lockfileVersion": 3}', lock({}, version=1)])
def test_what_is_no_lock_is_refused(content: bytes) -> None:
    """What is no JSON, no object or of npm 6 is told with the remedy."""
    with pytest.raises(BundleMalformed, match=r"package-lock\.json"):
        NODE.packages(content)


def test_addresses_are_left_out_of_a_lock() -> None:
    """Where packages were found is not kept, what they are is; a repository stays, so that it can be refused."""
    found = {**MATRIX, "resolved": "https://registry.example/ml-matrix.tgz"}
    bare = without_addresses(lock({"node_modules/ml-matrix": found}))
    assert b"registry.example" not in bare
    assert NODE.packages(bare) == NODE.packages(lock({"node_modules/ml-matrix": MATRIX}))
    repository = without_addresses(lock({"node_modules/a": {**MATRIX, "resolved": "git+ssh://git@example.com/a.git"}}))
    with pytest.raises(BundleMalformed, match="not from a registry"):
        NODE.packages(repository)


def test_a_package_is_wanted_by_the_machines_it_is_for() -> None:
    """Platform packages of npm are told apart by system, processor and C library."""
    here = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
    assert is_wanted(None)
    assert is_wanted(f"os=linux cpu={here}")
    assert is_wanted("os=darwin,linux")
    assert is_wanted("os=!win32")
    assert not is_wanted("os=!linux")
    assert not is_wanted("os=darwin cpu=x64,arm64")
    assert not is_wanted("os=linux cpu=s390x")
    marked = {**MATRIX, "os": ["linux"], "cpu": ["x64", "arm64"], "optional": True}
    assert NODE.packages(lock({"node_modules/ml-matrix": marked}))[0].marker == "os=linux cpu=x64,arm64"
    assert NODE.packages(lock({"node_modules/a": {**MATRIX, "os": "linux"}}))[0].marker == "os=linux"


def test_a_sound_bundle_has_no_problems(folder: Path) -> None:
    """Where nothing is wrong nothing is told."""
    assert list(NODE.problems(folder, bundle(sources=["model.mjs", "package.json", "muster_host"]))) == []


@pytest.mark.parametrize(
    ("runtime", "spoil", "path", "told"),
    [
        ({"entry": "model.py"}, {}, "muster.toml", "no module"),
        ({"sources": ["package.json"]}, {}, "muster.toml", "do not hold the entry"),
        ({}, {"muster_host/host.mjs": None}, "muster_host/host.mjs", "missing"),
        ({}, {"package.json": None}, "package.json", "missing"),
        ({}, {"package.json": "[]"}, "package.json", "cannot be read"),
        ({}, {"package.json": "{}"}, "package-lock.json", "not made of package.json: ml-matrix"),
        ({}, {"package-lock.json": "{}"}, "package-lock.json", "format None"),
        (
            {},
            {"package-lock.json": '{"lockfileVersion": 3, "packages": {"": {"dependencies": []}}}'},
            "package-lock.json",
            "made of",
        ),
        ({}, {"package-lock.json": "[" * 100_000}, "package-lock.json", "cannot be read"),
        ({"entry": "model.ts"}, {"model.ts": ""}, "package-lock.json", "typescript is not in the lock"),
        ({"entry": "model.ts"}, {"model.ts": ""}, "tsconfig.json", "missing"),
    ],
)
def test_what_is_wrong_is_seen_without_tools(
    folder: Path, runtime: dict[str, Any], spoil: dict[str, str | None], path: str, told: str
) -> None:
    """Each mistake is an error that names the file and what to do."""
    for name, content in spoil.items():
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_text(content)
    found = [finding for finding in NODE.problems(folder, bundle(**runtime)) if told in finding.problem]
    assert [(finding.level, finding.path) for finding in found] == [("error", path)]
    assert found[0].remedy


def test_an_install_script_is_told(folder: Path) -> None:
    """A package that wants to run something on installation is a warning: it will not."""
    scripted = {**MATRIX, "hasInstallScript": True}
    (folder / "package-lock.json").write_bytes(lock({"node_modules/ml-matrix": scripted}))
    (finding,) = NODE.problems(folder, bundle())
    assert (finding.level, finding.path) == ("warning", "package-lock.json")
    assert "ml-matrix has an install script" in finding.problem


def tarball(path: Path, *members: tuple[str, bytes | None]) -> Path:
    """A package's tarball; None as content makes a symbolic link to /etc."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if content is None:
                member.type, member.linkname = tarfile.SYMTYPE, "/etc"
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return path


def test_a_tarball_is_unpacked_without_its_first_folder(tmp_path: Path) -> None:
    """Whatever the first folder is called, what lies in it lands where the lock says."""
    path = tarball(tmp_path / "a.tgz", ("package/index.js", b"1"), ("package/lib/a.js", b"2"))
    unpack(part_of(NODE.packages(lock({"node_modules/a": MATRIX}))[0], "a.tgz", path), tmp_path / "a")
    files = {file.relative_to(tmp_path / "a").as_posix(): file.read_bytes() for file in (tmp_path / "a").rglob("*.js")}
    assert files == {"index.js": b"1", "lib/a.js": b"2"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("package/../../evil.js", b""),
        ("/package/evil.js", b""),
        ("package/a\\..\\evil.js", b""),
        ("package/link", None),
    ],
)
def test_a_tarball_that_leads_out_is_refused(tmp_path: Path, name: str, content: bytes | None) -> None:
    """Names that climb, absolute names and links stop the build, and nothing is written outside."""
    path = tarball(tmp_path / "a.tgz", (name, content))
    part = part_of(NODE.packages(lock({"node_modules/a": MATRIX}))[0], "a.tgz", path)
    with pytest.raises(PartUnsafe, match=r"a\.tgz holds"):
        unpack(part, tmp_path / "in" / "a")
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]


def test_a_package_that_is_locked_and_brought_along_counts_once() -> None:
    """Where its own tarball is installed as well, that is the one that is named."""
    brought = {"version": "6.15.1", "inBundle": True, "license": "MIT"}
    (package,) = NODE.packages(
        lock({"node_modules/ml-matrix": MATRIX, "node_modules/a/node_modules/ml-matrix": brought})
    )
    assert package.hashes == {HASH}


@pytest.mark.parametrize("place", ["node_modules/evil", "lib/node_modules/evil"])
def test_packages_in_the_bundle_itself_are_told_and_never_used(folder: Path, tmp_path: Path, place: str) -> None:
    """What no lock names is a finding, and comes into no environment."""
    (folder / place).mkdir(parents=True)
    (folder / place / "index.js").write_text("")
    (finding,) = NODE.problems(folder, bundle())
    assert (finding.level, finding.path) == ("error", f"{place}/index.js")
    named = bundle(sources=["model.mjs", "lib", "node_modules"])
    for one in (bundle(), named):
        assert not [path for path in source_files(folder, one) if "node_modules" in path]
        copy_sources(folder, one, tmp_path / "copied")
    assert not list((tmp_path / "copied").rglob("node_modules"))
