"""Environments with a real uv: built once, read-only, found when damaged and built again."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from made_wheels import lock_of_wheels, make_wheel
from muster.packaging.environments import BUILDER, Environments, environment_id
from muster.packaging.errors import EnvironmentDamaged, EnvironmentFailed, EnvironmentMissing, InterpreterMissing
from muster.packaging.interpreters import find_interpreter, platform_tag, running_version
from muster.vocabulary.digests import Digest, digest_of

TINY = {"tiny/__init__.py": "from tiny.numbers import ANSWER\n", "tiny/numbers.py": "ANSWER = 42\n"}


@pytest.fixture(autouse=True)
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fetched from anywhere: the wheels of the tests are all there is."""
    monkeypatch.setenv("UV_NO_INDEX", "1")


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with two local wheels."""
    folder = tmp_path / "wheels"
    make_wheel(folder, "tiny", "1.0", TINY, requires=("absent>=1",))
    make_wheel(folder, "other", "2.0", {"other.py": "NAME = 'other'\n"})
    return folder


@pytest.fixture
def lock(wheels: Path) -> bytes:
    """A lock that names both."""
    return lock_of_wheels(*sorted(wheels.iterdir()))


@pytest.fixture
def environments(tmp_path: Path) -> Environments:
    """The environments of a fresh home."""
    return again(tmp_path)


def again(tmp_path: Path) -> Environments:
    """The same environments as another process would see them: nothing is remembered."""
    return Environments(tmp_path / "environments", tmp_path / "cache")


def asked(python: Path, code: str) -> str:
    """What an interpreter prints."""
    answer = subprocess.run([python, "-I", "-B", "-c", code], capture_output=True, text=True, check=True)
    return answer.stdout.strip()


def module_file(environment_folder: Path, name: str) -> Path:
    """A module's file in an environment."""
    return next(environment_folder.glob(f"lib/python*/site-packages/{name}"))


def test_built_from_the_lock_and_nothing_else(environments: Environments, lock: bytes, wheels: Path) -> None:
    """The environment has the lock's packages, not even what they say they need, and its interpreter runs them."""
    environment = environments.ensure(lock, running_version(), wheels)
    assert asked(environment.python, "import tiny, other; print(tiny.ANSWER, other.NAME)") == "42 other"
    assert asked(environment.python, "import sys; print('.'.join(map(str, sys.version_info[:3])))") == running_version()
    names = asked(
        environment.python, "from importlib.metadata import *; print(sorted(d.name for d in distributions()))"
    )
    assert names == "['other', 'tiny']"
    assert environment.lock_digest == digest_of(lock)
    assert environment.interpreter == f"cpython-{running_version()}"


def test_id_is_of_lock_interpreter_platform_and_builder(environments: Environments, lock: bytes, wheels: Path) -> None:
    """The id changes with each of them, and with nothing else."""
    environment = environments.ensure(lock, running_version(), wheels)
    assert environment.id == environment_id(digest_of(lock), environment.interpreter, platform_tag())
    ids = {
        environment_id(Digest(lock_digest), interpreter, platform)
        for lock_digest in ("sha256:1", "sha256:2")
        for interpreter in ("cpython-3.11.7", "cpython-3.11.8")
        for platform in ("manylinux_2_36_x86_64", "manylinux_2_36_aarch64")
    }
    assert len(ids) == 8
    assert BUILDER == "muster-environments/1"


def test_built_once(environments: Environments, lock: bytes, wheels: Path, tmp_path: Path) -> None:
    """The second time, in this process or another, the environment that is there is taken."""
    told: list[str] = []
    first = environments.ensure(lock, running_version(), wheels, told.append)
    assert any("Installed" in line for line in told)
    built = first.folder.stat().st_ino
    told.clear()
    assert environments.ensure(lock, running_version(), wheels, told.append) == first
    assert again(tmp_path).ensure(lock, running_version(), wheels, told.append) == first
    assert told == []
    assert first.folder.stat().st_ino == built


def test_read_only(environments: Environments, lock: bytes, wheels: Path) -> None:
    """No file or folder of an environment is writable."""
    environment = environments.ensure(lock, running_version(), wheels)
    for folder, _, files in os.walk(environment.folder):
        paths = [Path(folder), *(Path(folder, name) for name in files)]
        assert [path for path in paths if not path.is_symlink() and path.stat().st_mode & 0o222] == []


def test_find(environments: Environments, lock: bytes, wheels: Path, tmp_path: Path) -> None:
    """An environment is found by its id; an unknown one is not."""
    environment = environments.ensure(lock, running_version(), wheels)
    assert again(tmp_path).find(environment.id) == environment
    assert again(tmp_path).verify(environment.id) == environment
    with pytest.raises(EnvironmentMissing):
        environments.find(digest_of(b"unknown"))


@pytest.mark.parametrize("deed", ["write", "remove", "add", "replace link", "metadata"])
def test_damage_is_found_and_mended(tmp_path: Path, lock: bytes, wheels: Path, deed: str) -> None:
    """A changed, missing or added file is found by the next process; the environment is built again as it was."""
    environment = again(tmp_path).ensure(lock, running_version(), wheels)
    victim = module_file(environment.folder, "tiny/numbers.py")
    victim.parent.chmod(0o755)
    if deed == "write":
        # In place: the file shares its bytes with uv's cache, which is damaged by the same stroke.
        victim.chmod(0o644)
        with victim.open("r+b") as stream:
            stream.write(b"ANSWER = 41\n")
    elif deed == "remove":
        victim.unlink()
    elif deed == "add":
        (victim.parent / "more.py").write_text("")
    elif deed == "metadata":
        record = module_file(environment.folder, "tiny-1.0.dist-info/RECORD")
        record.chmod(0o644)
        record.write_text("")
    else:
        (environment.folder / "bin").chmod(0o755)
        environment.python.unlink()
        environment.python.symlink_to("/bin/true")
    with pytest.raises(EnvironmentDamaged, match="not as installed"):
        again(tmp_path).verify(environment.id)
    told: list[str] = []
    mended = again(tmp_path).ensure(lock, running_version(), wheels, told.append)
    assert "not as installed" in told[0]
    assert mended == environment
    assert again(tmp_path).verify(environment.id) == environment
    assert asked(mended.python, "import tiny; print(tiny.ANSWER)") == "42"
    assert not (mended.folder / "more.py").exists()


def test_damaged_cache(tmp_path: Path, lock: bytes, wheels: Path) -> None:
    """Damage that sits in uv's cache before an environment is built does not get into it."""
    environments = again(tmp_path)
    first = environments.ensure(lock, running_version(), wheels)
    victim = module_file(first.folder, "tiny/numbers.py")
    victim.chmod(0o644)
    with victim.open("r+b") as stream:
        stream.write(b"ANSWER = 41\n")
    second = environments.ensure(lock + b"# another lock\n", running_version(), wheels)
    assert second.id != first.id
    assert asked(second.python, "import tiny; print(tiny.ANSWER)") == "42"


def test_damaged_list_of_files(tmp_path: Path, lock: bytes, wheels: Path) -> None:
    """An environment whose list of files is damaged is built again, as it cannot be checked."""
    environment = again(tmp_path).ensure(lock, running_version(), wheels)
    environment.folder.with_name(environment.folder.name + ".files").write_text("nonsense\n")
    with pytest.raises(EnvironmentDamaged, match="cannot be read"):
        again(tmp_path).verify(environment.id)
    assert again(tmp_path).ensure(lock, running_version(), wheels) == environment


def test_every_byte_first_then_a_look(tmp_path: Path, lock: bytes, wheels: Path) -> None:
    """A process that has read every byte looks at sizes and times afterwards; the next process reads again."""
    environments = again(tmp_path)
    environment = environments.ensure(lock, running_version(), wheels)
    victim = module_file(environment.folder, "tiny/numbers.py")
    status = victim.stat()
    victim.chmod(0o644)
    with victim.open("r+b") as stream:
        stream.write(b"ANSWER = 43\n")
    os.utime(victim, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert environments.verify(environment.id) == environment
    with pytest.raises(EnvironmentDamaged, match=r"numbers\.py"):
        again(tmp_path).verify(environment.id)
    os.utime(victim)
    with pytest.raises(EnvironmentDamaged):
        environments.verify(environment.id)


def test_wheel_with_other_bytes(tmp_path: Path, lock: bytes, wheels: Path) -> None:
    """A wheel that is not the locked one is refused, and nothing is left behind."""
    make_wheel(wheels, "tiny", "1.0", {**TINY, "tiny/evil.py": ""})
    with pytest.raises(EnvironmentFailed, match="uv pip sync failed"):
        again(tmp_path).ensure(lock, running_version(), wheels)
    left = [path.name for path in (tmp_path / "environments").iterdir() if path.suffix != ".lock"]
    assert left == []


def test_missing_package(tmp_path: Path, lock: bytes) -> None:
    """A package that is nowhere to be had is named."""
    with pytest.raises(EnvironmentFailed, match=r"(?s)tiny|other"):
        again(tmp_path).ensure(lock, running_version())


def test_wheel_of_another_platform(tmp_path: Path) -> None:
    """A wheel for another platform is not installed."""
    wheel = make_wheel(tmp_path / "wheels", "tiny", "1.0", TINY, tag="cp311-cp311-win_amd64")
    with pytest.raises(EnvironmentFailed):
        again(tmp_path).ensure(lock_of_wheels(wheel), running_version(), wheel.parent)


BUILD = """
import os, signal, sys
from pathlib import Path
from muster.packaging.environments import Environments
root, python, deed = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
def progress(line):
    print(line, flush=True)
    if deed == "die" and "Installed" in line:
        os.kill(os.getpid(), signal.SIGKILL)
lock = (root / "lock").read_bytes()
environment = Environments(root / "environments", root / "cache").ensure(lock, python, root / "wheels", progress)
print("id", environment.id, flush=True)
"""


def builder(tmp_path: Path, deed: str) -> "subprocess.Popen[str]":
    """A process that builds the environment."""
    return subprocess.Popen(
        [sys.executable, "-c", BUILD, str(tmp_path), running_version(), deed], stdout=subprocess.PIPE, text=True
    )


def test_several_processes_at_once(tmp_path: Path, lock: bytes, wheels: Path) -> None:
    """Processes that want the same environment at once get one, built by one of them."""
    (tmp_path / "lock").write_bytes(lock)
    assert wheels.is_dir()
    builders = [builder(tmp_path, "live") for _ in range(3)]
    said = [process.communicate(timeout=120)[0] for process in builders]
    assert [process.returncode for process in builders] == [0, 0, 0]
    assert sum("Installed" in text for text in said) == 1
    assert len({text.strip().splitlines()[-1] for text in said}) == 1


def test_killed_while_building(tmp_path: Path, lock: bytes, wheels: Path) -> None:
    """After kill -9 in the middle, the next process builds the environment, and nothing half-built is taken for it."""
    (tmp_path / "lock").write_bytes(lock)
    with builder(tmp_path, "die") as process:
        process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert [path for path in (tmp_path / "environments").iterdir() if path.suffix == ".json"] == []
    environment = again(tmp_path).ensure(lock, running_version(), wheels)
    assert asked(environment.python, "import tiny; print(tiny.ANSWER)") == "42"
    assert [path for path in (tmp_path / "environments").iterdir() if "building" in path.name] == []


def test_several_threads_at_once(tmp_path: Path, lock: bytes, wheels: Path) -> None:
    """Threads of one process share one object."""
    environments = again(tmp_path)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(environments.ensure(lock, running_version(), wheels)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(found) == 3
    assert len({environment.id for environment in found}) == 1


def test_interpreters() -> None:
    """The exact version is taken, otherwise the same minor version; another minor version never."""
    assert find_interpreter(running_version()).version == running_version()
    minor = running_version().rpartition(".")[0]
    assert find_interpreter(f"{minor}.99").version.startswith(f"{minor}.")
    with pytest.raises(InterpreterMissing, match=r"3\.2"):
        find_interpreter("3.2.1")
