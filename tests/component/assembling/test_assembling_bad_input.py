"""Bad bundles: each is told with file and remedy at the first door where it can be known, and leaves nothing behind."""

import os
import shutil
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil
import pytest

from governed_factory import GovernedFactory
from muster.certification.examination import Examination
from muster.certification.options import CertificationOptions
from muster.environments.carried import copy_helper
from muster.environments.languages.known import LANGUAGES, language_problems
from muster.environments.shelf import Shelf
from muster.packaging.bundle import check_bundle, pack
from muster.packaging.documents import Bundle, read_description
from muster.packaging.errors import FileNotPackable, ZipRefused
from muster.packaging.manifest import MANIFEST_NAME
from muster.packaging.trees import remove_tree
from muster.registry.records import Version
from muster.runtimes.conformance import echo
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.errors import MusterError
from toolchains import needs

PROGRAM = Path(__file__).parents[2] / "echo_program.py"
_COMMAND = {"kind": "command", "command": ["python3", "echo_program.py"], "lock": "command.lock"}


@pytest.fixture
def factory(sqlite_database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    return GovernedFactory(sqlite_database, tmp_path / "home", clock)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A sound bundle of kind command: the echo model as a script."""
    return command_bundle(tmp_path / "bundle")


def command_bundle(folder: Path, command: tuple[str, ...] = ("python3", "echo_program.py"), locked: str = "") -> Path:
    folder.mkdir()
    shutil.copy(PROGRAM, folder)
    version = ".".join(map(str, sys.version_info[:3]))
    runtime = {**_COMMAND, "command": list(command), "toolchain": f"python3-{version}"}
    echo.write_bundle(folder, runtime)
    if locked:
        (folder / "command.lock").write_text(locked)
    else:
        scratch = folder.parent / "locking"
        scratch.mkdir()
        lock = LANGUAGES["command"].lock(folder, read_description(folder), scratch, lambda _: None)
        (folder / "command.lock").write_bytes(lock)
        scratch.rmdir()
    return folder


# Told by `muster check` and at registration.


def _no_lock(folder: Path) -> None:
    (folder / "command.lock").unlink()


def _empty_lock(folder: Path) -> None:
    (folder / "command.lock").write_bytes(b"")


def _foreign_lock(folder: Path) -> None:
    (folder / "command.lock").write_text('program = "octave"\nversion = "8"\ndigest = "sha256:' + "0" * 64 + '"\n')


def _lock_of_noise(folder: Path) -> None:
    (folder / "command.lock").write_bytes(b"\x00\xff no lock")


def _no_entry(folder: Path) -> None:
    _declare(folder, 'lock = "command.lock"', 'lock = "command.lock"\nentry = "model/weights.bin"')


def _no_sources(folder: Path) -> None:
    _declare(folder, 'lock = "command.lock"', 'lock = "command.lock"\nsources = ["src"]')


def _entry_outside(folder: Path) -> None:
    _declare(folder, 'lock = "command.lock"', 'lock = "command.lock"\nentry = "../other/model.bin"')


def _lock_outside(folder: Path) -> None:
    _declare(folder, 'lock = "command.lock"', 'lock = "/etc/hostname"')


def _unknown_kind(folder: Path) -> None:
    _declare(folder, 'kind = "command"', 'kind = "cobol"')


def _unknown_key(folder: Path) -> None:
    _declare(folder, 'lock = "command.lock"', 'lock = "command.lock"\nmemory = 5')


def _no_toolchain(folder: Path) -> None:
    lines = (folder / "muster.toml").read_text().splitlines()
    (folder / "muster.toml").write_text("\n".join(line for line in lines if not line.startswith("toolchain")))


def _foreign_machine(folder: Path) -> None:
    (folder / "model.bin").write_bytes(elf(183))
    (folder / "model.bin").chmod(0o755)
    _declare(folder, 'command = [\n    "python3",\n    "echo_program.py",\n]', 'command = ["./model.bin"]')


def _no_golden(folder: Path) -> None:
    (folder / "golden.parquet").unlink()


def _declare(folder: Path, line: str, instead: str) -> None:
    text = (folder / "muster.toml").read_text()
    assert line in text, text[:600]
    (folder / "muster.toml").write_text(text.replace(line, instead))


def elf(machine: int) -> bytes:
    """The head of an executable for another processor: 183 is that of 64-bit ARM."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 2, machine, 1) + bytes(40)


@dataclass(frozen=True)
class Told:
    """A mutilation, the file that is named, and words of problem and remedy."""

    spoil: Callable[[Path], None]
    path: str
    problem: str
    remedy: str = "assemble"


CHECKED = {
    "missing lock": Told(_no_lock, "command.lock", "the lock is missing"),
    "empty lock": Told(_empty_lock, "command.lock", "the lock is empty"),
    "lock of another program": Told(_foreign_lock, "command.lock", "octave"),
    "lock that is none": Told(_lock_of_noise, "command.lock", "command.lock"),
    "entry that does not exist": Told(_no_entry, "model/weights.bin", "entry names what is missing", "mend entry"),
    "sources that do not exist": Told(_no_sources, "src", "sources names what is missing", "out of sources"),
    "entry outside of the folder": Told(_entry_outside, "muster.toml", "../other/model.bin", "Mend muster.toml"),
    "lock outside of the folder": Told(_lock_outside, "muster.toml", "/etc/hostname", "Mend muster.toml"),
    "unknown kind": Told(_unknown_kind, "muster.toml", "cobol", "Mend muster.toml"),
    "unknown key": Told(_unknown_key, "muster.toml", "memory", "Mend muster.toml"),
    "no toolchain": Told(_no_toolchain, "muster.toml", "toolchain is missing"),
    "program for another machine": Told(_foreign_machine, "./model.bin", "built for aarch64", "go, rust or cpp"),
    "no golden set": Told(_no_golden, "golden.parquet", "the golden set is missing"),
}


@pytest.mark.parametrize("case", CHECKED)
def test_a_bad_bundle_is_told_by_check_and_refused_at_registration(
    factory: GovernedFactory, bundle: Path, case: str
) -> None:
    """With the file and the remedy; store, database and scratch stay as they were."""
    told = CHECKED[case]
    told.spoil(bundle)
    findings = [one for one in check_bundle(bundle, language_problems) if one.level == "error"]
    found = [one for one in findings if one.path == told.path and told.problem in one.problem]
    assert found, findings
    assert told.remedy in found[0].remedy
    before = standing(factory.folder)
    with pytest.raises(MusterError) as refused:
        factory.registry.register(factory.call("ana"), packed(bundle))
    assert told.problem in refused.value.message
    assert refused.value.code in {"registry.bundle-refused", "bundle.malformed"}
    assert standing(factory.folder) == before


def packed(folder: Path) -> Path:
    target = folder.with_suffix(".zip")
    pack(folder, target)
    return target


def standing(folder: Path) -> set[str]:
    """Every file below a folder, but for those of the database."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith((".db", ".db-wal", ".db-shm", ".jsonl", ".lock", ".log"))
    }


# Told when it is packed.


def _link(folder: Path) -> None:
    (folder / "weights").symlink_to("/etc/hostname")


def _link_to_folder(folder: Path) -> None:
    (folder / "weights").symlink_to("..", target_is_directory=True)


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "weights")


def _long_name(folder: Path) -> None:
    deep = folder.joinpath(*["d" * 200] * 6)
    deep.mkdir(parents=True)
    (deep / "weights").write_bytes(b"1")


def _name_without_text(folder: Path) -> None:
    (Path(os.fsdecode(os.fsencode(folder) + b"/weights-\xff"))).write_bytes(b"1")


def _name_with_newline(folder: Path) -> None:
    (folder / "weights\nof the model").write_bytes(b"1")


def _name_with_backslash(folder: Path) -> None:
    (folder / "..\\weights").write_bytes(b"1")


def _twins(folder: Path) -> None:
    (folder / "weights").write_bytes(b"1")
    (folder / "Weights").write_bytes(b"2")


def _five_gigabytes(folder: Path) -> None:
    with (folder / "weights").open("wb") as stream:
        stream.truncate(5_000_000_000)  # a hole: it weighs nothing on the disk


PACKED = {
    "symbolic link": (_link, "weights"),
    "link to a folder above": (_link_to_folder, "weights"),
    "named pipe": (_pipe, "weights"),
    "path of 1,200 bytes": (_long_name, "1024 bytes"),
    "name that is no text": (_name_without_text, "weights-"),
    "name with a line end": (_name_with_newline, "weights"),
    "name with a backslash": (_name_with_backslash, "weights"),
    "names that differ in case only": (_twins, "eights"),
    "file of 5 GB": (_five_gigabytes, "[[external]]"),
}


@pytest.mark.parametrize("case", PACKED)
def test_what_a_bundle_cannot_hold_is_told_when_it_is_packed(bundle: Path, case: str) -> None:
    """At once, by `muster check`, too; no half of a zip stays behind."""
    spoil, words = PACKED[case]
    spoil(bundle)
    with pytest.raises(FileNotPackable) as refused:
        packed(bundle)
    assert words in refused.value.message
    assert refused.value.advice or "[[external]]" in refused.value.message
    assert any(one.level == "error" and words in one.problem for one in check_bundle(bundle))
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


# Told when a zip comes in.


def _compressed(source: Path, target: Path) -> None:
    with zipfile.ZipFile(source) as good, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bad:
        for info in good.infolist():
            bad.writestr(info, good.read(info))
        bad.writestr(_plain("zeros"), bytes(50_000_000), zipfile.ZIP_DEFLATED)


def _climbing(source: Path, target: Path) -> None:
    shutil.copy(source, target)
    with zipfile.ZipFile(target, "a") as bad:
        entry = zipfile.ZipInfo("../outside")
        entry.external_attr = 0o100644 << 16
        bad.writestr(entry, b"out of it")


def _linked(source: Path, target: Path) -> None:
    shutil.copy(source, target)
    with zipfile.ZipFile(target, "a") as bad:
        entry = zipfile.ZipInfo("link")
        entry.external_attr = 0o120777 << 16
        bad.writestr(entry, b"/etc/hostname")


def _overlapping(source: Path, target: Path) -> None:
    """Many entries that share one stretch of bytes."""
    shutil.copy(source, target)
    with zipfile.ZipFile(target, "a") as bad:
        bad.writestr(_plain("first"), bytes(1_000_000))
        first = bad.getinfo("first")
        for number in range(200):
            again = _plain(f"again-{number}")
            again.header_offset, again.CRC = first.header_offset, first.CRC
            again.file_size = again.compress_size = first.file_size
            bad.filelist.append(again)
            bad.NameToInfo[again.filename] = again


def _cut_off(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes()[:-200])


def _without_manifest(source: Path, target: Path) -> None:
    with zipfile.ZipFile(source) as good, zipfile.ZipFile(target, "w") as bad:
        for info in good.infolist():
            if info.filename != MANIFEST_NAME:
                bad.writestr(info, good.read(info))


def _plain(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o100644 << 16
    return entry


ZIPS = {
    "bomb": (_compressed, "compressed"),
    "entry that climbs out": (_climbing, "../outside"),
    "entry that is a link": (_linked, "no regular file"),
    "entries that overlap": (_overlapping, "overlap"),
    "cut off": (_cut_off, "zip"),
    "without a manifest": (_without_manifest, MANIFEST_NAME),
}


@pytest.mark.parametrize("case", ZIPS)
def test_an_odd_zip_is_refused_at_registration(factory: GovernedFactory, bundle: Path, case: str) -> None:
    """Before anything of it is kept, and before anything is written outside."""
    spoil, words = ZIPS[case]
    target = bundle.with_name("odd.zip")
    spoil(packed(bundle), target)
    before, outside = standing(factory.folder), standing(bundle.parent)
    with pytest.raises(ZipRefused) as refused:
        factory.registry.register(factory.call("ana"), target)
    assert words in refused.value.message
    assert "odd.zip" in refused.value.message or refused.value.advice
    assert (standing(factory.folder), standing(bundle.parent)) == (before, outside)


# Told when it is certified.


class Laboratory:
    """What an executor does, without one."""

    def __init__(self, factory: GovernedFactory) -> None:
        self.factory = factory
        home = factory.folder
        self.shelf = Shelf(home / "environments", home / "uv-cache", blobs=factory.blobs)

    def examined(self, folder: Path) -> dict[str, str]:
        """The checks that were not passed, with what they said."""
        factory = self.factory
        version: Version = factory.registry.register(factory.call("ana"), packed(folder))
        options = CertificationOptions(latency_calls=20, latency_rounds=1, load_limit_s=60.0)
        home = factory.folder
        bench = Examination(
            blobs=factory.blobs,
            environments=self.shelf,
            bundles=home / "bundles",
            logs=home / "logs",
            options=options,
        )
        done = bench.examine(version, lambda _: None)
        return {check.name: f"{check.figure}: {check.detail}" for check in done.checks if not check.passed}

    def left(self) -> set[str]:
        """What lies among the environments, but for locks and what is whole."""
        root = self.factory.folder / "environments"
        return {path.name for path in root.iterdir() if path.name.startswith(".")} if root.is_dir() else set()


@pytest.fixture
def laboratory(factory: GovernedFactory) -> Iterator[Laboratory]:
    """Ends with a look at the processes: none that the examination started is left."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    laboratory = Laboratory(factory)
    yield laboratory
    after = {child.pid for child in psutil.Process().children(recursive=True)}
    assert after <= before
    remove_tree(factory.folder / "environments")


def test_a_sound_command_is_certified(laboratory: Laboratory, bundle: Path) -> None:
    """So that the other tests of this module fail for what they are about."""
    assert laboratory.examined(bundle) == {}


TALKERS = {
    "talks nonsense": ("import os\nos.write(4, b'this is no frame at all, whatever you ask')\n", "no frame of host protocol"),
    "is silent and ends": ("import sys\nprint('the weights are missing', file=sys.stderr)\nsys.exit(4)\n", "the weights are missing"),
    "cannot be read": ("def nothing(:\n", "SyntaxError"),
}  # fmt: skip


@pytest.mark.parametrize("case", TALKERS)
def test_a_program_that_is_no_host_fails_to_load(laboratory: Laboratory, bundle: Path, case: str) -> None:
    """Certification ends there, with what the program said; no process stays."""
    source, words = TALKERS[case]
    (bundle / "echo_program.py").write_text(source)
    failed = laboratory.examined(bundle)
    assert list(failed) == ["model-loads"]
    assert "runtimes.load-failed" in failed["model-loads"]
    assert words in failed["model-loads"]
    assert laboratory.left() == set()


def test_a_program_that_is_not_there_fails_the_environment(laboratory: Laboratory, tmp_path: Path) -> None:
    """With its name; registration had only a warning, for another machine may have it."""
    lock = 'program = "no-such-program"\nversion = "no-such-program 1.0"\ndigest = "sha256:' + "0" * 64 + '"\n'
    folder = command_bundle(tmp_path / "bundle", ("no-such-program", "model.x"), lock)
    assert any(
        one.level == "warning" and "no-such-program" in one.problem for one in check_bundle(folder, language_problems)
    )
    failed = laboratory.examined(folder)
    assert list(failed) == ["environment-builds"]
    assert failed["environment-builds"].startswith("environments.toolchain-missing")
    assert "no-such-program" in failed["environment-builds"]
    assert laboratory.left() == set()


def test_another_program_of_that_name_fails_the_environment(laboratory: Laboratory, bundle: Path) -> None:
    """What was locked is what runs, or nothing is."""
    text = (bundle / "command.lock").read_text()
    digest = text.partition("sha256:")[2][:64]
    (bundle / "command.lock").write_text(text.replace(digest, "1" * 64))
    failed = laboratory.examined(bundle)
    assert list(failed) == ["environment-builds"]
    assert failed["environment-builds"].startswith("environments.machine-differs")


_CPP = {"kind": "cpp", "entry": "model.cpp", "sources": ["model.cpp"]}


@needs("cpp")
def test_a_build_that_fails_tells_what_the_compiler_said(laboratory: Laboratory, tmp_path: Path) -> None:
    """File and line, at the end of the message; nothing half built stays behind."""
    folder = _sources(tmp_path / "bundle", "cpp", {"model.cpp": "int main() { return the_answer; }\n"}, _CPP)
    failed = laboratory.examined(folder)
    assert list(failed) == ["environment-builds"]
    assert failed["environment-builds"].startswith("environments.build-failed")
    assert "the_answer" in failed["environment-builds"]
    assert laboratory.left() == set()


@needs("node")
def test_a_package_that_does_not_exist_fails_the_environment(laboratory: Laboratory, tmp_path: Path) -> None:
    """A lock that does not resolve names the package and the remedy."""
    lock = (
        '{"name": "churn", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": {"": {"name": "churn", '
        '"version": "1.0.0", "dependencies": {"muster-no-such-package-here": "1.0.0"}}, '
        '"node_modules/muster-no-such-package-here": {"version": "1.0.0", "integrity": "sha512-' + "A" * 86 + '=="}}}'
    )
    package = '{"name": "churn", "version": "1.0.0", "dependencies": {"muster-no-such-package-here": "1.0.0"}}'
    files = {
        "model.mjs": "export function predict(c) { return c }\n",
        "package.json": package,
        "package-lock.json": lock,
    }
    folder = _sources(tmp_path / "bundle", "node", files, {"kind": "node", "entry": "model.mjs"})
    failed = laboratory.examined(folder)
    assert list(failed) == ["environment-builds"]
    assert failed["environment-builds"].startswith("environments.lock-unresolved")
    assert "muster-no-such-package-here" in failed["environment-builds"]
    assert laboratory.left() == set()


def _sources(folder: Path, kind: str, files: dict[str, str], runtime: Mapping[str, object]) -> Path:
    """A bundle of the echo contract with these sources."""
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    language = LANGUAGES[kind]
    copy_helper(language, folder)
    draft = msgspec.convert(echo.described(runtime), Bundle)
    runtime = {**runtime, "toolchain": language.toolchain(draft).name}
    echo.write_bundle(folder, runtime)
    lock = folder / draft.runtime.lock
    if not lock.exists():
        scratch = folder.parent / "locking"
        scratch.mkdir()
        lock.write_bytes(language.lock(folder, read_description(folder), scratch, lambda _: None))
    return folder
