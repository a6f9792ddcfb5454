"""Rust: what a Cargo.lock names, crates from a registry, a build without a network, and the helper crate over its wire."""

import io
import shutil
import subprocess
import tarfile
import tomllib
from pathlib import Path

import msgspec
import pytest

from built_programs import Built, built, echo_bundle, part_of, question
from muster.blobs.local import LocalBlobs
from muster.environments.errors import BuildFailed, LockUnresolved, PartUnsafe, ToolchainMissing
from muster.environments.languages.rust import Rust, without_addresses
from muster.environments.protocol import Package
from muster.environments.shelf import Shelf
from muster.packaging.columns import Table
from muster.packaging.documents import Bundle, bundle_of
from muster.packaging.errors import BundleMalformed
from muster.packaging.manifest import declared_in
from muster.runtimes.conformance import difficult, echo, echo_rows
from muster_host.programs import ProgramGone
from muster_host.raised import ModelRaised
from program_driver import driven
from toolchains import needs

pytestmark = needs("rust")

HOSTS = Path(__file__).resolve().parents[3] / "hosts" / "rust"
RUST = Rust()
#: A crate without dependencies, small and old.
ITOA = Package(
    ecosystem="cargo",
    name="itoa",
    version="1.0.18",
    hashes=frozenset({"sha256:8f42a60cbdf9a97f5d2305f08a87dc4e09308d1276d28c869c684d7777685682"}),
)
LOCK = b"""version = 4

[[package]]
name = "churn"
version = "1.0.0"
dependencies = ["itoa"]

[[package]]
name = "itoa"
version = "1.0.18"
source = "registry+https://registry.example/index"
checksum = "8f42a60cbdf9a97f5d2305f08a87dc4e09308d1276d28c869c684d7777685682"
"""


@pytest.fixture(scope="module")
def echoing(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The echo model, built without a network."""
    return built(
        RUST, echo_bundle(RUST, HOSTS / "echo", tmp_path_factory.mktemp("echo")), tmp_path_factory.mktemp("one")
    )


@pytest.fixture
def crate(tmp_path: Path) -> Path:
    """A bundle whose program prints a number that the crate `itoa` writes."""
    folder = tmp_path / "bundle"
    echo_bundle(RUST, HOSTS / "echo", folder)
    (folder / "src" / "main.rs").write_text('fn main() { println!("{}", itoa::Buffer::new().format(7)); }\n')
    manifest = '[package]\nname = "churn"\nversion = "1.0.0"\nedition = "2021"\n[dependencies]\nitoa = "1"\n'
    (folder / "Cargo.toml").write_text(manifest)
    (folder / "Cargo.lock").write_bytes(without_addresses(LOCK))
    return folder


def bundle_in(folder: Path) -> Bundle:
    return bundle_of(declared_in(folder))


def test_a_lock_names_crates_by_checksum_and_no_address() -> None:
    """Crates of a registry are packages; those in the bundle itself are none; without addresses the packages are the same."""
    assert RUST.packages(LOCK) == (ITOA,)
    assert RUST.packages(without_addresses(LOCK)) == (ITOA,)
    assert b"registry.example" not in without_addresses(LOCK)
    assert RUST.packages(LOCK)[0].purl == "pkg:cargo/itoa@1.0.18"


@pytest.mark.parametrize(
    ("lock", "told"),
    [
        (LOCK.replace(b"registry+https", b"git+https"), "comes from git"),
        (LOCK.rpartition(b"checksum")[0], "no checksum"),
        (b"[[package]\n", "none that cargo wrote"),
        (b"[[package]]\nversion = '1'\n", "none that cargo wrote"),
        (b"\xff", "none that cargo wrote"),
    ],
)
def test_a_lock_that_cannot_be_sealed_is_refused(lock: bytes, told: str) -> None:
    """A crate from a repository, a crate without a checksum, and what is no lock are told with a remedy."""
    with pytest.raises(BundleMalformed, match=told):
        RUST.packages(lock)


def test_what_is_wrong_is_seen_without_tools(crate: Path) -> None:
    """Dependencies from repositories and from outside the folder, and unreadable files, are findings that name the file."""
    assert list(RUST.problems(crate, bundle_in(crate))) == []
    manifest = (crate / "Cargo.toml").read_text()
    (crate / "Cargo.toml").write_text(manifest + 'a = { git = "https://example.com/a" }\nb = { path = "../b" }\n')
    problems = [finding.problem for finding in RUST.problems(crate, bundle_in(crate))]
    assert [problem.split()[0] for problem in problems] == ["a", "b"]
    (crate / "Cargo.toml").write_text("[package")
    (finding,) = RUST.problems(crate, bundle_in(crate))
    assert (finding.path, finding.level) == ("Cargo.toml", "error")
    (finding,) = RUST.problems(crate, with_runtime(bundle_in(crate), entry="inner"))
    assert (finding.path, finding.problem) == ("inner/Cargo.toml", "there is no package at [runtime] entry")


def test_the_helper_keeps_its_own_tests_and_lints(tmp_path: Path) -> None:
    """`cargo test`, `rustfmt` and clippy have nothing to say about the crate that travels in bundles, or about the echo model."""
    shutil.copytree(HOSTS, tmp_path / "rust", ignore=shutil.ignore_patterns("target"))
    sources = [str(path) for path in (tmp_path / "rust").rglob("*.rs")]
    for command in (
        ["cargo", "test", "--quiet", "--offline"],
        ["cargo", "clippy", "--quiet", "--offline", "--all-targets", "--", "-D", "warnings"],
        ["rustfmt", "--check", "--edition", "2021", *sources],
    ):
        answer = subprocess.run(command, cwd=tmp_path / "rust", capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize(
    "rows",
    [
        echo_rows.with_nulls(),
        echo_rows.texts(*difficult.TEXTS),
        echo_rows.large_integers(),
        echo_rows.float_bits(2000),
    ],
    ids=["nulls", "texts", "integers", "floats"],
)
def test_the_echo_model_gives_back_every_bit(echoing: Built, rows: Table) -> None:
    """All datatypes come back as they went in: nulls, text of many scripts, the largest integers, every kind of float; no rows, too."""
    count, asked = question(rows)
    with driven(echoing.argv, echo.contract(), folder=echoing.folder, environment=echoing.tree) as ask:
        answers = ask(count, asked)
        assert [(bytes(data), None if nulls is None else bytes(nulls)) for data, nulls in answers] == asked
        assert ask(0, [(b"", None)] * len(asked)) == [(b"", None)] * len(asked)


def test_an_error_costs_one_batch(echoing: Built) -> None:
    """What the model raises is told, and the program answers on; what it prints is no part of the wire."""
    with driven(echoing.argv, echo.contract(), folder=echoing.folder, environment=echoing.tree) as ask:
        with pytest.raises(ModelRaised, match=echo.ASKED_TO):
            ask(*question(echo_rows.acting(echo.RAISE)))
        assert ask(*question(echo_rows.acting(echo.PRINT)))
        with pytest.raises(ProgramGone):
            ask(*question(echo_rows.acting(echo.EXIT)))


def test_the_same_sources_give_the_same_bytes(echoing: Built, tmp_path: Path) -> None:
    """Built again at another place, the program is the same bit for bit, and does not hold the place."""
    again = built(RUST, echoing.folder, tmp_path)
    program = (again.tree / "bin" / "model").read_bytes()
    assert program == (echoing.tree / "bin" / "model").read_bytes()
    assert str(tmp_path).encode() not in program


def test_crates_are_fetched_held_against_the_lock_and_built_offline(crate: Path, tmp_path: Path) -> None:
    """A crate comes with its licence and the checksum of the lock; the build with it needs no network."""
    toolchain = RUST.toolchain(bundle_in(crate))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    ((package, file, path),) = RUST.fetch((ITOA,), toolchain, scratch, print)
    part = part_of(package, file, path)
    assert (file, package.licence) == ("itoa-1.0.18.crate", "MIT OR Apache-2.0")
    assert part.digest in ITOA.hashes
    made = built(RUST, crate, tmp_path / "built", part)
    assert subprocess.run(made.argv, capture_output=True, text=True, check=True).stdout == "7\n"


def test_a_seal_builds_the_same_program_again_without_a_network(crate: Path, tmp_path: Path) -> None:
    """What the store holds is enough: rebuilt at another place, the network cut, the program is the same bit for bit."""
    shelf = Shelf(
        tmp_path / "environments", tmp_path / "uv", blobs=LocalBlobs(tmp_path / "store"), parts=tmp_path / "parts"
    )
    bundle = bundle_in(crate)
    first = shelf.ensure(crate, bundle)
    sealed = shelf.seal(first, crate, bundle).seal
    assert [(part.purl, part.licence) for part in sealed.packages] == [("pkg:cargo/itoa@1.0.18", "MIT OR Apache-2.0")]
    (tmp_path / "later").mkdir()
    again = shelf.rebuild(sealed, crate, bundle, tmp_path / "later")
    program = Path("bin", "model")
    assert (again.folder / program).read_bytes() == (first.folder / program).read_bytes()


def test_a_version_that_does_not_exist_is_told(tmp_path: Path, crate: Path) -> None:
    """What no registry has is an unresolved lock, in cargo's own words."""
    gone = Package(ecosystem="cargo", name="itoa", version="1.0.99999", hashes=ITOA.hashes)
    with pytest.raises(LockUnresolved, match="itoa"):
        list(RUST.fetch((gone,), RUST.toolchain(bundle_in(crate)), tmp_path, print))


def test_a_lock_of_other_crates_builds_nothing(crate: Path, tmp_path: Path) -> None:
    """A Cargo.toml that asks for more than the lock names is refused before anything is compiled."""
    part = made_crate(tmp_path / "itoa.crate", {"itoa-1.0.18/Cargo.toml": manifest_of("itoa", "1.0.18")})
    (crate / "Cargo.lock").write_text((crate / "Cargo.lock").read_text().replace("itoa", "atoi"))
    with pytest.raises(BuildFailed, match=r"atoi 1\.0\.18, itoa 1\.0\.18"):
        built(RUST, crate, tmp_path / "built", part_of(ITOA, "itoa-1.0.18.crate", part))


def test_a_compiler_that_says_no_is_quoted(crate: Path, tmp_path: Path) -> None:
    """The last lines of the compiler are in the message."""
    (crate / "src" / "main.rs").write_text('fn main() { let x: i32 = "text"; }\n')
    (crate / "Cargo.toml").write_text('[package]\nname = "churn"\nversion = "1.0.0"\nedition = "2021"\n')
    (crate / "Cargo.lock").write_text('version = 4\n\n[[package]]\nname = "churn"\nversion = "1.0.0"\n')
    with pytest.raises(BuildFailed, match="mismatched types"):
        built(RUST, crate, tmp_path / "built")


@pytest.mark.parametrize("name", ["../outside", "/outside", "other-1.0.0/file"])
def test_a_crate_that_climbs_out_is_refused(name: str, crate: Path, tmp_path: Path) -> None:
    """Names that lead out of a crate's own folder are refused, and nothing lies outside."""
    path = made_crate(tmp_path / "bad.crate", {name: b"x"})
    with pytest.raises(PartUnsafe, match=r"itoa-1\.0\.18\.crate"):
        built(RUST, crate, tmp_path / "built", part_of(ITOA, "itoa-1.0.18.crate", path))
    assert not (tmp_path / "outside").exists()


def test_a_crate_with_a_link_out_is_refused(crate: Path, tmp_path: Path) -> None:
    """A link that leads out of a crate is refused."""
    path = tmp_path / "bad.crate"
    with tarfile.open(path, "w:gz") as archive:
        link = tarfile.TarInfo("itoa-1.0.18/link")
        link.type, link.linkname = tarfile.SYMTYPE, "../../../../etc"
        archive.addfile(link)
    with pytest.raises(PartUnsafe):
        built(RUST, crate, tmp_path / "built", part_of(ITOA, "itoa-1.0.18.crate", path))


def test_another_compiler_than_the_bundle_names_is_missing(crate: Path) -> None:
    """The message says what is here and how to get what is wanted."""
    bundle = bundle_in(crate)
    wanted = with_runtime(bundle, toolchain="rust-1.2.3")
    with pytest.raises(ToolchainMissing, match=r"rustup toolchain install 1\.2\.3"):
        RUST.toolchain(wanted)


@pytest.mark.parametrize(("lock", "crate"), [("Cargo.lock", "serde_json"), ("train/Cargo.lock", "smartcore")])
def test_the_example_keeps_locks_without_addresses(lock: str, crate: str) -> None:
    """The churn example's locks name their crates by checksum and say of none where it comes from."""
    content = (HOSTS.parents[1] / "examples" / "languages" / "rust" / lock).read_bytes()
    assert crate in {package.name for package in RUST.packages(content)}
    assert all("source" not in entry for entry in tomllib.loads(content.decode())["package"])


def made_crate(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def manifest_of(name: str, version: str) -> bytes:
    return f'[package]\nname = "{name}"\nversion = "{version}"\n[lib]\npath = "lib.rs"\n'.encode()


def with_runtime(bundle: Bundle, **keys: object) -> Bundle:
    return msgspec.structs.replace(bundle, runtime=msgspec.structs.replace(bundle.runtime, **keys))
