"""The shelf with a real uv: fetched, built without a network, shared, found when damaged, swept."""

import io
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from made_bundles import made_bundle
from made_wheels import lock_of_wheels, make_wheel
from muster.blobs.local import LocalBlobs
from muster.environments.errors import BuildFailed, LockUnresolved, MachineDiffers, PartDiffers, PartMissing
from muster.environments.languages.known import LANGUAGES
from muster.environments.parts import Parts
from muster.environments.protocol import BuildJob, Package, Program, Say, Toolchain
from muster.environments.shelf import Built, Shelf
from muster.packaging.bundle import read_bundle
from muster.packaging.documents import Bundle
from muster.packaging.environments import Environments
from muster.packaging.errors import EnvironmentDamaged, EnvironmentFailed, EnvironmentMissing
from muster.packaging.findings import Finding
from muster.packaging.interpreters import platform_tag, running_version
from muster.packaging.runtimes import GoRuntime
from muster.vocabulary.digests import digest_of, hex_of

TINY = {"tiny/__init__.py": "ANSWER = 42\n", "tiny/more.py": "MORE = 43\n"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: an index of two wheels, the lock that names them, and the parts of somebody who has fetched them."""
    root = tmp_path_factory.mktemp("made")
    index = root / "index"
    wheels = make_wheel(index, "tiny", "1.0", TINY), make_wheel(index, "other", "2.0", {"other.py": "NAME = 'x'\n"})
    (root / "lock").write_bytes(lock_of_wheels(*wheels))
    parts = Parts(root / "parts")
    for package, wheel in zip(LANGUAGES["python"].packages((root / "lock").read_bytes()), wheels, strict=True):
        machine = f"cpython-{running_version()} {platform_tag()}"
        parts.keep(package, machine, [(package, wheel.name, wheel)])
    return root


@pytest.fixture(autouse=True)
def only_the_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, made: Path) -> None:
    """Nothing is fetched from anywhere but the wheels of the tests."""
    shutil.copytree(made / "index", tmp_path / "index")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)


@pytest.fixture
def bundle(tmp_path: Path, made: Path) -> Path:
    """A bundle whose lock names the two wheels, and a user who has fetched them for another."""
    shutil.copytree(made / "parts", tmp_path / "home-parts")
    return made_bundle(tmp_path / "bundle", lock=(made / "lock").read_bytes())


def shelf_in(tmp_path: Path, name: str = "home") -> Shelf:
    """A shelf that remembers nothing of an earlier one, with a store."""
    home = tmp_path / name
    return Shelf(
        home / "environments", home / "uv-cache", blobs=LocalBlobs(home / "store"), parts=tmp_path / f"{name}-parts"
    )


def ensured(shelf: Shelf, folder: Path, say: Say | None = None, *, offline: bool = False) -> Built:
    """The environment of a bundle."""
    return shelf.ensure(folder, read_bundle(folder), say, offline=offline)


def spoil(path: Path, content: str = "ANSWER = 41\n") -> None:
    """Change a read-only file in place."""
    path.chmod(0o644)
    path.write_text(content)


def test_ids_of_python_environments_are_what_they_always_were(bundle: Path, tmp_path: Path) -> None:
    """The shelf's environment is the one that `Environments` gives, and the rule for its id has not changed by a byte."""
    from muster.packaging.environments import environment_id  # noqa: PLC0415
    from muster.vocabulary.digests import Digest  # noqa: PLC0415

    literal = "sha256:c92419b04cfafe2147a41dd1598ceb4bfdc0c29885fa5acc4503dbfba769e83e"
    assert environment_id(Digest("sha256:" + "0" * 64), "cpython-3.11.7", "manylinux_2_36_x86_64") == literal
    built = ensured(shelf_in(tmp_path), bundle)
    lock = (bundle / "requirements.lock").read_bytes()
    before = Environments(tmp_path / "before", tmp_path / "cache").ensure(lock, running_version())
    assert built.id == before.id
    assert (built.interpreter, built.platform, built.kind) == (before.interpreter, platform_tag(), "python")
    assert built.lock_digest == digest_of(lock)


def test_parts_are_fetched_once_and_the_next_home_needs_no_index(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one home fetched serves every other of the user, with no index at all."""
    told: list[str] = []
    parts = tmp_path / "parts"
    Shelf(tmp_path / "a", tmp_path / "a-uv", parts=parts).ensure(bundle, read_bundle(bundle), told.append)
    assert any("fetched tiny-1.0" in line for line in told)
    shutil.rmtree(tmp_path / "index")
    monkeypatch.delenv("UV_FIND_LINKS")
    told.clear()
    built = Shelf(tmp_path / "b", tmp_path / "b-uv", parts=parts).ensure(
        bundle, read_bundle(bundle), told.append, offline=True
    )
    assert not any("fetch" in line for line in told)
    said = subprocess.run([built.python, "-c", "import tiny; print(tiny.ANSWER)"], capture_output=True, check=True)
    assert said.stdout == b"42\n"


def test_a_part_that_was_changed_is_not_believed(bundle: Path, tmp_path: Path) -> None:
    """A wheel in the user's cache whose bytes have changed counts as absent and is fetched again."""
    parts = tmp_path / "parts"
    Shelf(tmp_path / "a", tmp_path / "a-uv", parts=parts).ensure(bundle, read_bundle(bundle))
    (wheel,) = parts.glob("*/tiny-1.0-*.whl")
    wheel.chmod(0o644)
    wheel.write_bytes(wheel.read_bytes() + b"x")
    told: list[str] = []
    Shelf(tmp_path / "b", tmp_path / "b-uv", parts=parts).ensure(bundle, read_bundle(bundle), told.append)
    assert [line for line in told if line.startswith("fetched")] == ["fetched tiny-1.0-py3-none-any.whl"]
    (mended,) = parts.glob("*/tiny-1.0-*.whl")
    assert f"sha256:{mended.parent.name}" == digest_of(mended.read_bytes())


def test_wrong_bytes_under_a_right_name_are_refused(bundle: Path, tmp_path: Path) -> None:
    """An index that gives another wheel under the same version gets nothing installed; the message names the package."""
    make_wheel(tmp_path / "index", "tiny", "1.0", {"tiny/__init__.py": "ANSWER = 'evil'\n"})
    shelf = shelf_in(tmp_path, "other")
    with pytest.raises((EnvironmentFailed, LockUnresolved, PartDiffers), match="tiny"):
        ensured(shelf, bundle)
    assert shelf.all() == ()
    assert not list((tmp_path / "other" / "environments").glob(".*"))


def test_offline_says_which_parts_are_missing(bundle: Path, tmp_path: Path) -> None:
    """Nothing is fetched when that is asked for, and every missing package is named."""
    with pytest.raises(PartMissing, match=r"tiny 1\.0") as refused:
        ensured(shelf_in(tmp_path, "other"), bundle, offline=True)
    assert refused.value.facts["packages"] == ["tiny 1.0", "other 2.0"]


def test_a_changed_byte_is_found_named_and_mended(bundle: Path, tmp_path: Path) -> None:
    """The package that differs is named with its version; the next use builds the environment again, from the parts."""
    built = ensured(shelf_in(tmp_path), bundle)
    spoil(next(built.folder.glob("lib/python*/site-packages/tiny/__init__.py")))
    again = shelf_in(tmp_path)
    with pytest.raises(EnvironmentDamaged, match=r"tiny 1\.0: 1 file") as damaged:
        again.verify(built.id)
    assert damaged.value.facts["packages"] == ["tiny 1.0: 1 file"]
    assert ensured(again, bundle, offline=True) == built
    again.verify(built.id)


def test_one_that_is_damaged_and_cannot_be_built_again_says_both(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may not be served is told which package differs, and why it could not be mended."""
    built = ensured(shelf_in(tmp_path), bundle)
    spoil(next(built.folder.glob("lib/python*/site-packages/tiny/__init__.py")))
    shutil.rmtree(tmp_path / "home-parts")
    shutil.rmtree(tmp_path / "index")
    monkeypatch.delenv("UV_FIND_LINKS")
    with pytest.raises((EnvironmentFailed, PartMissing), match=r"(?s)tiny 1\.0: 1 file.*cannot be built again"):
        ensured(shelf_in(tmp_path), bundle)


def test_two_builds_at_once_share_one(bundle: Path, tmp_path: Path) -> None:
    """The second waits and takes what the first has built."""
    shutil.rmtree(tmp_path / "home-parts")
    told: list[str] = []
    shelves = [shelf_in(tmp_path) for _ in range(2)]
    found: list[Built] = []
    threads = [threading.Thread(target=lambda s=s: found.append(ensured(s, bundle, told.append))) for s in shelves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(found) == 2
    assert found[0] == found[1]
    assert len([line for line in told if line.startswith("fetched tiny")]) == 1


def test_another_environment_of_the_same_packages_costs_next_to_nothing(bundle: Path, tmp_path: Path) -> None:
    """A second Python environment of the same packages takes less than a second of computing and less than 10 MB of its own."""
    shelf = shelf_in(tmp_path)
    ensured(shelf, bundle)
    other = made_bundle(
        tmp_path / "other", lock=(bundle / "requirements.lock").read_bytes() + b"# another lock\n", notes="two"
    )
    took_s = min(_timed(shelf, other, suffix) for suffix in (b"", b"# once more\n", b"# and again\n"))
    assert took_s < 1.0
    assert all(standing.own_bytes < 10_000_000 for standing in shelf.all())


def _timed(shelf: Shelf, folder: Path, suffix: bytes) -> float:
    lock = folder / "requirements.lock"
    lock.write_bytes(lock.read_bytes() + suffix)
    begun = _computed_s()
    ensured(shelf, folder)
    return _computed_s() - begun


def _computed_s() -> float:
    """What this process and those that it waited for have computed, seconds: other than the clock, no neighbour's work is in it."""
    own, ended = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime


def test_environments_are_listed_and_swept_unless_wanted_held_or_young(bundle: Path, tmp_path: Path) -> None:
    """What a version needs stays, what a host runs in stays, what was just used stays; the rest goes and is built again when needed."""
    shelf = shelf_in(tmp_path)
    built = ensured(shelf, bundle)
    (standing,) = shelf.all()
    assert (standing.id, standing.kind, standing.packages) == (built.id, "python", 2)
    assert standing.own_bytes <= standing.bytes
    assert shelf.sweep(frozenset(), timedelta(days=30)) == ()
    assert shelf.sweep({built.id}, timedelta(0)) == ()
    with shelf.held(built.id):
        assert shelf_in(tmp_path).sweep(frozenset(), timedelta(0)) == ()
    assert [one.id for one in shelf.sweep(frozenset(), timedelta(0), dry_run=True)] == [built.id]
    shelf.verify(built.id)
    assert [one.id for one in shelf.sweep(frozenset(), timedelta(0))] == [built.id]
    assert shelf.all() == ()
    assert ensured(shelf, bundle, offline=True) == built


def test_a_build_that_was_killed_leaves_nothing_that_counts(bundle: Path, tmp_path: Path) -> None:
    """After kill -9 in the middle of a build there is no environment, and the next build makes a whole one."""
    script = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from muster.blobs.local import LocalBlobs
from muster.environments.shelf import Shelf
from muster.packaging import environments
from muster.packaging.bundle import read_bundle
real = environments.listing_of
def listing_of(tree):
    print("installed", flush=True)
    time.sleep(60)
environments.listing_of = listing_of
home = Path({str(tmp_path / "home")!r})
shelf = Shelf(home / "environments", home / "uv-cache", blobs=LocalBlobs(home / "store"), parts=Path({str(tmp_path / "home-parts")!r}))
folder = Path({str(bundle)!r})
shelf.ensure(folder, read_bundle(folder))
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as building:
        assert building.stdout is not None
        assert building.stdout.readline() == "installed\n"
        os.kill(building.pid, signal.SIGKILL)
    shelf = shelf_in(tmp_path)
    assert shelf.all() == ()
    built = ensured(shelf, bundle)
    assert shelf.verify(built.id) == built
    assert not [path for path in built.folder.parent.iterdir() if path.name.startswith(".")]


# Environments that are no virtual ones, with a language of two lines.


class Tiny:
    """A language whose packages are text files and whose program is a shell script."""

    kind: ClassVar[str] = "go"
    lock_name: ClassVar[str] = "go.sum"
    version: ClassVar[str] = "1.0"

    def __init__(self, content: bytes = b"hello\n") -> None:
        self.content = content
        self.fetched = 0

    def problems(self, folder: Path, bundle: Bundle) -> Iterator[Finding]:
        """None."""
        return iter(())

    def toolchain(self, bundle: Bundle) -> Toolchain:
        """The shell."""
        return Toolchain(name=f"tiny-{self.version}", programs={"sh": Path("/bin/sh")})

    def packages(self, lock: bytes) -> tuple[Package, ...]:
        """`NAME VERSION HASH` a line."""
        found = [line.split() for line in lock.decode().splitlines()]
        return tuple(
            Package(ecosystem="npm", name=name, version=version, hashes=frozenset({digest}))
            for name, version, digest in found
        )

    def lock(self, folder: Path, bundle: Bundle, scratch: Path, say: Say) -> bytes:
        """Not asked for here."""
        raise NotImplementedError

    def fetch(
        self, packages: Sequence[Package], toolchain: Toolchain, scratch: Path, say: Say
    ) -> Iterator[tuple[Package, str, Path]]:
        """The one content that there is."""
        for package in packages:
            self.fetched += 1
            path = scratch / package.name
            path.write_bytes(self.content)
            yield package, f"{package.name}/{package.version}.txt", path

    def build(self, job: BuildJob) -> None:
        """Parts into jars/, a program into bin/."""
        if (job.folder / "broken").exists():
            raise BuildFailed("line 3: syntax error")
        for part in job.parts:
            (job.tree / "jars").mkdir(exist_ok=True)
            (job.tree / "jars" / f"{part.package.name}.jar").write_bytes(part.path.read_bytes())
        (job.tree / "bin").mkdir()
        (job.tree / "bin" / "model").write_bytes((job.folder / "main.go").read_bytes())

    def program(self, environment: Path, folder: Path, bundle: Bundle) -> Program | None:
        """What was built."""
        return Program(argv=(str(environment / "bin" / "model"),), variables={"A": "b"})

    def helper(self) -> Mapping[str, str]:
        """None."""
        return {}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """The language, in the place of another."""
    language = Tiny()
    monkeypatch.setitem(LANGUAGES, "go", language)
    return language


@pytest.fixture
def program(tmp_path: Path) -> tuple[Path, Bundle]:
    """A bundle in that language."""
    folder = made_bundle(tmp_path / "program")
    (folder / "main.go").write_text("program\n")
    (folder / "go.sum").write_text(f"hello 1 {digest_of(b'hello' + bytes([10]))}\n")
    python = read_bundle(folder)
    runtime = GoRuntime(toolchain="tiny-1.0", sources=("main.go",))
    return folder, Bundle(
        format=1, name="churn", runtime=runtime, contract=python.contract, golden=python.golden, owners=("ana",)
    )


def test_a_program_is_built_once_and_ordered(tiny: Tiny, program: tuple[Path, Bundle], tmp_path: Path) -> None:
    """Its tree is read-only and whole, its order names the program, and the same sources are the same environment."""
    folder, bundle = program
    shelf = shelf_in(tmp_path)
    built = shelf.ensure(folder, bundle)
    assert (built.kind, built.toolchain, built.python) == ("go", "tiny-1.0", Path(sys.executable))
    order = built.order(folder, bundle)
    assert order["program"] == {
        "argv": [str(built.folder / "bin" / "model")],
        "variables": {"A": "b"},
        "environment": str(built.folder),
        "wire": "binary",
    }
    assert shelf_in(tmp_path).ensure(folder, bundle) == built
    assert tiny.fetched == 1
    (folder / "README.md").write_text("other words\n")
    assert shelf.ensure(folder, bundle).id == built.id
    (folder / "main.go").write_text("another program\n")
    assert shelf.ensure(folder, bundle).id != built.id


def test_another_toolchain_is_another_environment(
    tiny: Tiny, program: tuple[Path, Bundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exact version of the compiler is part of the identity."""
    shelf = shelf_in(tmp_path)
    built = shelf.ensure(*program)
    monkeypatch.setattr(Tiny, "version", "1.1")
    assert shelf.ensure(*program).id != built.id


def test_a_program_that_was_changed_is_found_and_built_again(
    tiny: Tiny, program: tuple[Path, Bundle], tmp_path: Path
) -> None:
    """A byte of a part or of the program: the message says which, and the next use mends it."""
    built = shelf_in(tmp_path).ensure(*program)
    built.folder.chmod(0o755)
    spoil(built.folder / "jars" / "hello.jar", "hullo\n")
    again = shelf_in(tmp_path)
    with pytest.raises(EnvironmentDamaged, match="hello: 1 file"):
        again.verify(built.id)
    assert again.ensure(*program) == built
    spoil(built.folder / "bin" / "model", "x")
    with pytest.raises(EnvironmentDamaged, match="what was built from the bundle's sources: 1 file"):
        shelf_in(tmp_path).verify(built.id)


def test_a_part_with_another_hash_is_refused(tiny: Tiny, program: tuple[Path, Bundle], tmp_path: Path) -> None:
    """What a registry gives is held against the lock before anything is built from it."""
    tiny.content = b"other bytes\n"
    with pytest.raises(PartDiffers, match="hello 1"):
        shelf_in(tmp_path).ensure(*program)
    assert list((tmp_path / "home" / "environments").glob("*.json")) == []


def test_a_build_that_fails_leaves_nothing(tiny: Tiny, program: tuple[Path, Bundle], tmp_path: Path) -> None:
    """The message is the compiler's, and neither tree nor scratch is left."""
    (program[0] / "broken").touch()
    shelf = shelf_in(tmp_path)
    with pytest.raises(BuildFailed, match="syntax error"):
        shelf.ensure(*program)
    left = {path.suffix for path in (tmp_path / "home" / "environments").iterdir()}
    assert left <= {".lock"}


def test_a_machine_that_differs_is_refused(
    tiny: Tiny, program: tuple[Path, Bundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packages of the machine itself are held against the lock at every use, and named."""

    class Machine(Tiny):
        def differing(self, folder: Path, bundle: Bundle) -> tuple[str, ...]:
            return ("rpart 4.1.19: other files",)

    monkeypatch.setitem(LANGUAGES, "go", Machine())
    with pytest.raises(MachineDiffers, match=r"rpart 4\.1\.19"):
        shelf_in(tmp_path).ensure(*program)


def test_what_is_not_there_is_missing(tmp_path: Path) -> None:
    """An id that nobody has built is not found; ids are checked."""
    with pytest.raises(EnvironmentMissing):
        shelf_in(tmp_path).verify(digest_of(b"nothing"))
    assert shelf_in(tmp_path).all() == ()


# Seals.


def test_a_seal_rebuilds_the_same_environment_from_the_store_alone(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cache, parts, index and home are gone; the store and the bundle give the same environment, and its code runs."""
    shelf = shelf_in(tmp_path)
    built = ensured(shelf, bundle)
    sealed = shelf.seal(built, bundle, read_bundle(bundle))
    assert [part.purl for part in sealed.seal.packages] == ["pkg:pypi/other@2.0", "pkg:pypi/tiny@1.0"]
    assert sealed.bytes_new > sealed.bytes > 0
    assert shelf.seal(built, bundle, read_bundle(bundle)).bytes_new == 0
    for gone in ("index", "home-parts", "home/uv-cache"):
        shutil.rmtree(tmp_path / gone)
    monkeypatch.delenv("UV_FIND_LINKS")
    elsewhere = Shelf(
        tmp_path / "x", tmp_path / "x-uv", blobs=LocalBlobs(tmp_path / "home" / "store"), parts=tmp_path / "x-parts"
    )
    (tmp_path / "rebuilt").mkdir()
    again = elsewhere.rebuild(elsewhere.seal_of(sealed.digest), bundle, read_bundle(bundle), tmp_path / "rebuilt")
    assert again.id == built.id
    said = subprocess.run([again.python, "-c", "import tiny; print(tiny.ANSWER)"], capture_output=True, check=True)
    assert said.stdout == b"42\n"


def test_a_shelf_takes_from_the_store_what_no_index_gives(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An environment that was sealed here and is gone, with the user's cache, comes back by an ordinary `ensure`."""
    shelf = shelf_in(tmp_path)
    built = ensured(shelf, bundle)
    shelf.seal(built, bundle, read_bundle(bundle))
    shelf.sweep(frozenset(), timedelta(0))
    for gone in ("index", "home-parts", "home/uv-cache"):
        shutil.rmtree(tmp_path / gone)
    monkeypatch.delenv("UV_FIND_LINKS")
    assert ensured(shelf_in(tmp_path), bundle, offline=True) == built


def test_a_damaged_or_missing_part_in_the_store_is_told(bundle: Path, tmp_path: Path) -> None:
    """A rebuild from a store that has lost a part says which."""
    shelf = shelf_in(tmp_path)
    built = ensured(shelf, bundle)
    sealed = shelf.seal(built, bundle, read_bundle(bundle))
    lost = sealed.seal.packages[0]
    digest = hex_of(digest_of(next((tmp_path / "home-parts").glob(f"*/{lost.file}")).read_bytes()))
    (tmp_path / "home" / "store" / "sha256" / digest[:2] / digest).unlink()
    (tmp_path / "rebuilt").mkdir()
    with pytest.raises(PartMissing, match=lost.file):
        shelf.rebuild(sealed.seal, bundle, read_bundle(bundle), tmp_path / "rebuilt")


def test_sealed_parts_are_shared_by_versions(bundle: Path, tmp_path: Path) -> None:
    """A second lock with the same packages brings nothing new into the store but its seal."""
    shelf = shelf_in(tmp_path)
    shelf.seal(ensured(shelf, bundle), bundle, read_bundle(bundle))
    other = made_bundle(tmp_path / "other", lock=(bundle / "requirements.lock").read_bytes() + b"# other\n")
    sealed = shelf.seal(ensured(shelf, other), other, read_bundle(other))
    assert sealed.bytes_new < 4096
    assert len(sealed.seal.packages) == 2


def test_a_program_is_rebuilt_from_its_seal(tiny: Tiny, program: tuple[Path, Bundle], tmp_path: Path) -> None:
    """Another language's parts come back from the store just so, and nothing is fetched for it."""
    folder, bundle = program
    shelf = shelf_in(tmp_path)
    built = shelf.ensure(folder, bundle)
    sealed = shelf.seal(built, folder, bundle)
    shutil.rmtree(tmp_path / "home-parts")
    (tmp_path / "rebuilt").mkdir()
    again = shelf.rebuild(sealed.seal, folder, bundle, tmp_path / "rebuilt")
    assert again.id == built.id
    assert tiny.fetched == 1
    assert (again.folder / "jars" / "hello.jar").read_bytes() == b"hello\n"


def test_a_seal_that_names_other_bytes_than_the_lock_is_refused(
    tiny: Tiny, program: tuple[Path, Bundle], tmp_path: Path
) -> None:
    """Whoever forges a seal, or an export, gets nothing built from it: each part is held against the bundle's lock."""
    folder, bundle = program
    shelf = shelf_in(tmp_path)
    sealed = shelf.seal(shelf.ensure(folder, bundle), folder, bundle)
    evil = LocalBlobs(tmp_path / "home" / "store").put(io.BytesIO(b"evil\n"))
    parts = tuple(msgspec.structs.replace(part, digest=evil) for part in sealed.seal.packages)
    (tmp_path / "rebuilt").mkdir()
    with pytest.raises(PartDiffers, match="hello"):
        shelf.rebuild(msgspec.structs.replace(sealed.seal, packages=parts), folder, bundle, tmp_path / "rebuilt")
