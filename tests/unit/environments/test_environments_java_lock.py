"""Java: what maven.lock names, and what is wrong with a bundle."""

import zipfile
from pathlib import Path
from typing import Any

import pytest

from built_programs import part_of
from muster.environments.errors import BuildFailed
from muster.environments.languages.java import Java, jars_of, program_of
from muster.environments.protocol import BuildJob, Package, Toolchain
from muster.packaging.documents import Bundle, bundle_of
from muster.packaging.errors import BundleMalformed

JAVA = Java()
HASH = "sha256:" + "0a" * 32
LOCK = f"org.tribuo:tribuo-core:4.3.2 {HASH}\n"
POM = """<project><dependencyManagement><dependencies><dependency>
<groupId>a</groupId><artifactId>managed</artifactId><version>1</version></dependency></dependencies></dependencyManagement>
<dependencies>
  <dependency><groupId>org.tribuo</groupId><artifactId>tribuo-core</artifactId><version>{version}</version></dependency>
  <dependency><groupId>a</groupId><artifactId>tested</artifactId><version>1</version><scope>test</scope></dependency>
  <dependency><groupId>a</groupId><artifactId>named</artifactId><version>${{b.version}}</version></dependency>
</dependencies></project>"""


def bundle(**runtime: Any) -> Bundle:
    return bundle_of(
        {
            "format": 1,
            "name": "churn",
            "runtime": {"kind": "java", "entry": "churn.Model", "toolchain": "jdk-17.0.15", **runtime},
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
    (tmp_path / "src" / "churn").mkdir(parents=True)
    (tmp_path / "src" / "churn" / "Model.java").write_text("package churn; class Model {}\n")
    (tmp_path / "pom.xml").write_text(POM.format(version="4.3.2"))
    (tmp_path / "maven.lock").write_text(LOCK)
    return tmp_path


def test_a_lock_names_jars_by_their_hash() -> None:
    """A classifier is a part of the name; comments and empty lines are none."""
    found = jars_of(f"# jars\n\n{LOCK}org.example:native:2.1.0:linux-x86_64 {HASH}\n".encode())
    assert found == (
        Package(ecosystem="maven", name="org.tribuo:tribuo-core", version="4.3.2", hashes=frozenset({HASH})),
        Package(ecosystem="maven", name="org.example:native:linux-x86_64", version="2.1.0", hashes=frozenset({HASH})),
    )
    assert found[0].purl == "pkg:maven/org.tribuo/tribuo-core@4.3.2"


@pytest.mark.parametrize(
    "line",
    [
        "org.tribuo:tribuo-core:4.3.2",
        "org.tribuo:tribuo-core:4.3.2 sha1:00",
        f"org.tribuo/tribuo-core:4.3.2 {HASH}",
        f"..:tribuo-core:4.3.2 {HASH}",
        f"org.tribuo:tribuo-core:../4.3.2 {HASH}",
        "\xff",
    ],
)
def test_what_is_no_line_of_a_lock_is_told_by_its_number(line: str) -> None:
    """Also what would lead out of a repository, and what is no text."""
    with pytest.raises(BundleMalformed, match=r"line 2.*|no text"):
        jars_of(f"{LOCK}{line}\n".encode("latin-1"))


def test_nothing_is_wrong_with_a_whole_bundle(folder: Path) -> None:
    """Managed, test and computed versions are none that the lock has to name."""
    assert list(JAVA.problems(folder, bundle())) == []


@pytest.mark.parametrize(
    ("change", "file", "told"),
    [
        ({"pom.xml": POM.format(version="4.3.3")}, "maven.lock", "tribuo-core 4.3.3"),
        ({"maven.lock": ""}, "maven.lock", "it is empty"),
        ({"maven.lock": "nonsense"}, "maven.lock", "line 1"),
        ({"src/churn/Model.java": None}, "muster.toml", "no class of the bundle's sources"),
        ({"pom.xml": None}, "pom.xml", "it is missing"),
    ],
)
def test_what_is_wrong_is_told_with_its_file(folder: Path, change: dict[str, str | None], file: str, told: str) -> None:
    """A lock that is not of the pom, no lock, no class, no pom."""
    for path, text in change.items():
        (folder / path).unlink() if text is None else (folder / path).write_text(text)
    findings = list(JAVA.problems(folder, bundle()))
    assert any(finding.path == file and told in finding.problem for finding in findings), findings


def test_a_class_may_come_in_a_jar(folder: Path) -> None:
    """The jar is among the sources; one that is none holds no class."""
    (folder / "src" / "churn" / "Model.java").unlink()
    (folder / "model.jar").write_bytes(b"none")
    assert any(finding.path == "muster.toml" for finding in JAVA.problems(folder, bundle()))
    with zipfile.ZipFile(folder / "model.jar", "w") as jar:
        jar.writestr("churn/Model.class", b"")
    assert list(JAVA.problems(folder, bundle())) == []


def job_with(tmp_path: Path, tree: str, own: str, part: Path) -> BuildJob:
    """A build of a bundle that brings a jar of its own beside the one of its lock."""
    folder = tmp_path / f"bundle-{tree}"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / own).write_bytes(b"own")
    for place in (tmp_path / tree, tmp_path / f"{tree}-scratch"):
        place.mkdir()
    (package,) = jars_of(LOCK.encode())
    return BuildJob(
        folder=folder,
        bundle=bundle(),
        toolchain=Toolchain(name="jdk-17.0.15", programs={}),
        parts=(part_of(package, "tribuo-core-4.3.2.jar", part),),
        tree=tmp_path / tree,
        scratch=tmp_path / f"{tree}-scratch",
        say=lambda _: None,
    )


def test_a_jar_of_the_bundle_takes_no_locked_jars_place(tmp_path: Path) -> None:
    """The locked jar is a link to the part that all environments share: one of the same name lies beside it, and both are on the path."""
    part = tmp_path / "part.jar"
    part.write_bytes(b"locked")
    job = job_with(tmp_path, "tree", "org.tribuo.tribuo-core-4.3.2.jar", part)
    with pytest.raises(BuildFailed, match=r"no \.java file"):
        JAVA.build(job)
    assert part.read_bytes() == b"locked"
    assert (job.tree / "jars" / "org.tribuo.tribuo-core-4.3.2.jar").read_bytes() == b"locked"
    toolchain = Toolchain(name="jdk-17.0.15", programs={"java": Path("/usr/bin/java")})
    path = program_of(job.tree, toolchain, "a.B", "c").argv[-3]
    assert [Path(word).parent.name for word in path.split(":")[1:]] == ["jars", "own-jars"]


def test_two_jars_of_the_bundle_with_one_name_are_refused(tmp_path: Path) -> None:
    """One of them would silently be missing."""
    part = tmp_path / "part.jar"
    part.write_bytes(b"locked")
    job = job_with(tmp_path, "tree", "a.jar", part)
    (job.folder / "other").mkdir()
    (job.folder / "other" / "a.jar").write_bytes(b"other")
    with pytest.raises(BuildFailed, match=r"two jars of the bundle are named a\.jar"):
        JAVA.build(job)
