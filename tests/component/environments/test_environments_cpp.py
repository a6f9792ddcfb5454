"""C++: what a cpp.lock records, a build without a network by g++ and by CMake, and the helper header over its wire."""

import subprocess
from pathlib import Path

import msgspec
import pytest

from built_programs import Built, built, echo_bundle, question
from muster.environments.errors import BuildFailed, LockUnresolved, ToolchainMissing
from muster.environments.languages.cpp import FLAGS, Cpp, read_lock
from muster.environments.surroundings import linked_libraries
from muster.packaging.columns import Table
from muster.packaging.documents import Bundle, bundle_of
from muster.packaging.errors import BundleMalformed
from muster.packaging.manifest import declared_in
from muster.runtimes.conformance import difficult, echo, echo_rows
from muster_host.programs import ProgramGone
from muster_host.raised import ModelRaised
from program_driver import driven
from toolchains import needs

pytestmark = needs("cpp")

HOSTS = Path(__file__).resolve().parents[3] / "hosts" / "cpp"
CPP = Cpp()


@pytest.fixture(scope="module")
def echoing(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The echo model, built without a network."""
    folder = tmp_path_factory.mktemp("echo") / "bundle"
    return built(CPP, echo_bundle(CPP, HOSTS / "echo", folder), tmp_path_factory.mktemp("one"))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A bundle whose program prints a number; quick to compile."""
    folder = echo_bundle(CPP, HOSTS / "echo", tmp_path / "bundle")
    (folder / "model.cpp").write_text('#include <cstdio>\nint main() { std::printf("%d\\n", 7); }\n')
    return folder


def bundle_in(folder: Path, **runtime: object) -> Bundle:
    """The bundle of a folder, some keys of its `[runtime]` others."""
    bundle = bundle_of(declared_in(folder))
    return msgspec.structs.replace(bundle, runtime=msgspec.structs.replace(bundle.runtime, **runtime))


def test_the_lock_records_what_decides(small: Path) -> None:
    """Compiler, standard, flags and the libraries of the system with their hashes; nothing of it is fetched."""
    lock = (small / "cpp.lock").read_bytes()
    locked = read_lock(lock)
    assert locked.compiler == bundle_in(small).runtime.interpreter
    assert (locked.standard, locked.flags) == ("c++17", FLAGS)
    assert {"libstdc++.so.6", "libc.so.6"} <= set(locked.libraries)
    packages = CPP.packages(lock)
    assert packages[0].purl == f"pkg:generic/g%2B%2B@{packages[0].version}"
    assert not any(package.hashes for package in packages)


@pytest.mark.parametrize("lock", [b"", b"compiler = 1", b"\xff", b"compiler = 'g++-12'\nother = 1\n"])
def test_what_is_no_lock_is_refused(lock: bytes) -> None:
    """A lock that cannot be read, or holds other keys, is told with a remedy."""
    with pytest.raises(BundleMalformed, match=r"cpp\.lock cannot be read"):
        CPP.packages(lock)


def test_what_is_wrong_is_seen_without_tools(small: Path) -> None:
    """An entry that is no source and a lock of another compiler are findings."""
    assert list(CPP.problems(small, bundle_in(small))) == []
    (finding,) = CPP.problems(small, bundle_in(small, entry="model.py"))
    assert "no C++ source" in finding.problem
    (finding,) = CPP.problems(small, bundle_in(small, toolchain="g++-4.0.0"))
    assert finding.path == "cpp.lock"
    (finding,) = CPP.problems(small, bundle_in(small, flags=("-O3",)))
    assert "flags" in finding.problem


def test_the_helper_keeps_its_own_tests(tmp_path: Path) -> None:
    """The header compiles without a warning under CMake, and its tests pass in ctest."""
    for command in (
        ["cmake", "-S", str(HOSTS), "-B", str(tmp_path)],
        ["cmake", "--build", str(tmp_path)],
        ["ctest", "--test-dir", str(tmp_path), "--output-on-failure"],
    ):
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
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
    """What the model throws is told, and the program answers on; what it prints is no part of the wire."""
    with driven(echoing.argv, echo.contract(), folder=echoing.folder, environment=echoing.tree) as ask:
        with pytest.raises(ModelRaised, match=echo.ASKED_TO):
            ask(*question(echo_rows.acting(echo.RAISE)))
        assert ask(*question(echo_rows.acting(echo.PRINT)))
        with pytest.raises(ProgramGone):
            ask(*question(echo_rows.acting(echo.EXIT)))


def test_the_same_sources_give_the_same_bytes(small: Path, tmp_path: Path) -> None:
    """Built at two places, the program is the same bit for bit; with debugging symbols, too."""
    lock = (small / "cpp.lock").read_text().replace('"-O2"', '"-g"')
    (small / "cpp.lock").write_text(lock)
    one, two = built(CPP, small, tmp_path / "one"), built(CPP, small, tmp_path / "two")
    assert (one.tree / "bin" / "model").read_bytes() == (two.tree / "bin" / "model").read_bytes()


def test_several_sources_and_a_library_are_built_together(small: Path, tmp_path: Path) -> None:
    """Sources that `[runtime]` names are compiled with the entry, folders of it are where headers lie, `-l` comes last."""
    (small / "lib").mkdir()
    (small / "lib" / "seven.hpp").write_text("int seven();\n")
    (small / "seven.cpp").write_text(
        '#include "lib/seven.hpp"\n#include <cmath>\nint seven() { return (int)std::cbrt(343.5); }\n'
    )
    (small / "model.cpp").write_text(
        '#include <cstdio>\n#include "lib/seven.hpp"\nint main() { std::printf("%d\\n", seven()); }\n'
    )
    text = (small / "muster.toml").read_text().replace('"model.cpp",', '"model.cpp", "seven.cpp", "lib",', 1)
    (small / "muster.toml").write_text(text)
    (small / "cpp.lock").write_text((small / "cpp.lock").read_text().replace('"-O2"', '"-lm", "-O2"'))
    made = built(CPP, small, tmp_path / "built")
    assert subprocess.run(made.argv, capture_output=True, text=True, check=True).stdout == "7\n"


def test_a_cmake_lists_builds_its_target_model(small: Path, tmp_path: Path) -> None:
    """With a CMakeLists.txt as entry, the target `model` is the program; without one the build says so."""
    (small / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(m LANGUAGES CXX)\nadd_executable(model model.cpp)\n"
    )
    text = (small / "muster.toml").read_text()
    text = text.replace('entry = "model.cpp"', 'entry = "CMakeLists.txt"').replace(
        '"model.cpp",', '"CMakeLists.txt", "model.cpp",', 1
    )
    (small / "muster.toml").write_text(text)
    made = built(CPP, small, tmp_path / "built")
    assert subprocess.run(made.argv, capture_output=True, text=True, check=True).stdout == "7\n"
    lists = (small / "CMakeLists.txt").read_text()
    (small / "CMakeLists.txt").write_text(lists.replace("add_executable(model", "add_executable(other"))
    with pytest.raises(BuildFailed, match="model"):
        built(CPP, small, tmp_path / "again")


def test_a_compiler_that_says_no_is_quoted(small: Path, tmp_path: Path) -> None:
    """The last lines of the compiler are in the message, with the file as the bundle names it."""
    (small / "model.cpp").write_text('int main() { return "seven"; }\n')
    with pytest.raises(BuildFailed, match=r"model\.cpp:1.*invalid conversion"):
        built(CPP, small, tmp_path / "built")


def test_a_lock_of_another_compiler_builds_nothing(small: Path, tmp_path: Path) -> None:
    """What another compiler certified is not built by this one."""
    compiler = read_lock((small / "cpp.lock").read_bytes()).compiler
    (small / "cpp.lock").write_text((small / "cpp.lock").read_text().replace(compiler, "g++-4.0.0"))
    with pytest.raises(BuildFailed, match=r"g\+\+-4\.0\.0"):
        built(CPP, small, tmp_path / "built")


def test_a_compiler_or_a_flag_that_is_not_there_is_told(small: Path, tmp_path: Path) -> None:
    """The message names the compiler wanted and Debian's package; flags that do not link are told when they are locked."""
    with pytest.raises(ToolchainMissing, match=r"apt install g\+\+-4"):
        CPP.toolchain(bundle_in(small, toolchain="g++-4.0.0"))
    with pytest.raises(LockUnresolved, match="nowhere"):
        CPP.lock(small, bundle_in(small, flags=("-lnowhere",)), tmp_path, print)


def test_the_program_stands_on_the_libraries_that_the_lock_records(small: Path, tmp_path: Path) -> None:
    """What is linked is what was recorded; a library that has changed since is told, and is no reason to refuse."""
    said: list[str] = []
    made = built(CPP, small, tmp_path / "built", say=said.append)
    locked = read_lock((small / "cpp.lock").read_bytes())
    linked = linked_libraries(made.tree / "bin" / "model")
    assert linked
    assert linked.items() <= locked.libraries.items()
    assert said == []
    (small / "cpp.lock").write_text((small / "cpp.lock").read_text().replace(linked["libc.so.6"], "sha256:" + "0" * 64))
    built(CPP, small, tmp_path / "again", say=said.append)
    assert said == ["libc.so.6 of this machine is not the one that cpp.lock records"]
