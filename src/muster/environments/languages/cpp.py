"""C++: one source file, or a CMakeLists.txt, built by g++ with the flags that the lock records.

There is nothing to fetch: what decides is the compiler, its flags, and the libraries of the system that the program is linked with. So
`cpp.lock` names these:

    compiler = "g++-12.2.0"
    standard = "c++17"
    flags = ["-O2", "-ffp-contract=off", "-fno-fast-math"]

    [libraries]
    "libstdc++.so.6" = "sha256:..."

Another compiler than the lock's builds nothing. Another library of the system is told and shown by a comparison of versions; it belongs to
the machine, and a program that must not depend on it is linked with `-static`.
"""

import functools
import os
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import tomli_w

from muster.environments.errors import BuildFailed, LockUnresolved, ToolchainMissing
from muster.environments.offline import run_tool
from muster.environments.protocol import BuildJob, Package, Program, Say, Toolchain
from muster.environments.sources import copy_sources
from muster.environments.surroundings import linked_libraries
from muster.packaging.documents import Bundle
from muster.packaging.errors import BundleMalformed
from muster.packaging.findings import Finding
from muster.packaging.runtimes import CppRuntime
from muster.packaging.uv import last_lines

STANDARD = "c++17"
#: Optimised, and with the same answers on every processor: no fused multiplications, no liberties with floats.
FLAGS = ("-O2", "-ffp-contract=off", "-fno-fast-math")
CMAKE_LISTS = "CMakeLists.txt"

_SUFFIXES = frozenset({".cpp", ".cc", ".cxx", ".c++"})
_SHOWN_DIGITS = 12
_ASSEMBLE = "`muster assemble` makes it anew."


class CppLock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """cpp.lock."""

    compiler: str
    standard: str
    flags: tuple[str, ...]
    libraries: dict[str, str] = {}
    """Shared library → SHA-256 of it on the machine that made the lock."""


class Cpp:
    """A program that calls `muster::run`."""

    kind: ClassVar[str] = "cpp"
    lock_name: ClassVar[str] = "cpp.lock"

    def problems(self, folder: Path, bundle: Bundle) -> Iterator[Finding]:
        """What is wrong with a bundle as far as it can be seen without tools."""
        runtime = _runtime(bundle)
        name = runtime.entry.rsplit("/", 1)[-1]
        if name != CMAKE_LISTS and Path(name).suffix not in _SUFFIXES:
            remedy = f"Name the C++ source with `main`, or {CMAKE_LISTS}, under [runtime] entry."
            yield Finding("error", "muster.toml", f"[runtime] entry = {runtime.entry!r} is no C++ source", remedy)
        lock = folder / runtime.lock
        if not lock.is_file() or not lock.stat().st_size:
            return
        try:
            locked = read_lock(lock.read_bytes())
        except BundleMalformed as error:
            yield Finding("error", runtime.lock, error.message, _ASSEMBLE)
            return
        if runtime.toolchain and locked.compiler != runtime.toolchain:
            problem = f"it is of {locked.compiler}, [runtime] toolchain is {runtime.toolchain}"
            yield Finding("error", runtime.lock, problem, _ASSEMBLE)
        if runtime.flags and locked.flags != runtime.flags:
            yield Finding("error", runtime.lock, "its flags are not those of [runtime] flags", _ASSEMBLE)

    def toolchain(self, bundle: Bundle) -> Toolchain:
        """The compiler that the bundle names; where it names none, the `g++` of the PATH.

        Raises:
            ToolchainMissing: it is not here, or CMake is not, which the bundle needs.
        """
        runtime = _runtime(bundle)
        path = os.environ.get("PATH", "")
        compiler = _compiler(runtime.toolchain, path)
        programs = {"g++": compiler[1]}
        if runtime.entry.endswith(CMAKE_LISTS):
            cmake = shutil.which("cmake", path=path)
            if cmake is None:
                raise ToolchainMissing(
                    "CMake is not on this machine; install it: `apt install cmake`", toolchain="cmake"
                )
            programs["cmake"] = Path(cmake)
        return Toolchain(name=compiler[0], programs=programs)

    def packages(self, lock: bytes) -> tuple[Package, ...]:
        """Compiler and libraries, which are the machine's own: nothing is fetched.

        Raises:
            BundleMalformed: it is no cpp.lock.
        """
        locked = read_lock(lock)
        name, _, version = locked.compiler.rpartition("-")
        libraries = [
            (library, digest.removeprefix("sha256:")[:_SHOWN_DIGITS])
            for library, digest in sorted(locked.libraries.items())
        ]
        return tuple(
            Package(ecosystem="system", name=name, version=version, hashes=frozenset())
            for name, version in ((name, version), *libraries)
        )

    def lock(self, folder: Path, bundle: Bundle, scratch: Path, say: Say) -> bytes:
        """Compiler and flags of this machine, and the libraries that they link.

        Raises:
            LockUnresolved: a program of nothing cannot be linked with these flags.
            ToolchainMissing: the compiler is not there.
        """
        del folder
        runtime = _runtime(bundle)
        toolchain = self.toolchain(bundle)
        flags = tuple(runtime.flags) or FLAGS
        say(f"recording {toolchain.name} {' '.join(flags)}")
        nothing = scratch / "nothing.cpp"
        nothing.write_text("int main() {}\n", encoding="utf-8")
        settings = [*_settings(STANDARD, flags), "-Wl,--no-as-needed"]
        command: list[str | Path] = [toolchain.programs["g++"], *settings, nothing.name, "-o", "nothing"]
        answer = run_tool(command, folder=scratch, scratch=scratch)
        if answer.returncode != 0:
            raise LockUnresolved(f"{toolchain.name} does not take [runtime] flags:\n{last_lines(answer.stderr)}")
        lock = {
            "compiler": toolchain.name,
            "standard": STANDARD,
            "flags": list(flags),
            "libraries": dict(sorted(linked_libraries(scratch / "nothing").items())),
        }
        return tomli_w.dumps(lock).encode("utf-8")

    def fetch(
        self, packages: Sequence[Package], toolchain: Toolchain, scratch: Path, say: Say
    ) -> Iterator[tuple[Package, str, Path]]:
        """Nothing: what a lock names is the machine's own."""
        del packages, toolchain, scratch, say
        yield from ()

    def build(self, job: BuildJob) -> None:
        """Build `bin/model` from the bundle's sources.

        Raises:
            BuildFailed: the lock is of another compiler, or the compiler said no.
        """
        runtime = _runtime(job.bundle)
        locked = read_lock((job.folder / runtime.lock).read_bytes())
        if locked.compiler != job.toolchain.name:
            raise BuildFailed(f"{runtime.lock} is of {locked.compiler}, here is {job.toolchain.name}. {_ASSEMBLE}")
        source = job.scratch / "source"
        copy_sources(job.folder, job.bundle, source)
        target = job.tree / "bin" / "model"
        target.parent.mkdir()
        # Neither the program nor what it says of itself holds the place where it was built.
        settings = [*_settings(locked.standard, locked.flags), f"-ffile-prefix-map={job.scratch}=/muster"]
        if runtime.entry.endswith(CMAKE_LISTS):
            _build_with_cmake(job, source / runtime.entry, settings, target)
        else:
            files = [runtime.entry, *(path for path in runtime.sources if _is_more_source(source, path, runtime.entry))]
            # Libraries come after what uses them.
            libraries = [word for word in settings if word.startswith(("-l", "-Wl,"))]
            others = [word for word in settings if word not in libraries]
            _must(job, job.toolchain.programs["g++"], *others, "-I.", *files, *libraries, "-o", target, folder=source)
        target.chmod(0o755)
        for name, digest in linked_libraries(target).items():
            if name in locked.libraries and locked.libraries[name] != digest:
                job.say(f"{name} of this machine is not the one that {runtime.lock} records")

    def program(self, environment: Path, folder: Path, bundle: Bundle) -> Program | None:
        """What was built."""
        del folder, bundle
        return Program(argv=(str(environment / "bin" / "model"),))

    def helper(self) -> Mapping[str, str]:
        """The header `muster_host/muster_host.hpp`."""
        return {"cpp/muster_host.hpp": "muster_host/muster_host.hpp"}


def read_lock(lock: bytes) -> CppLock:
    """What a cpp.lock says.

    Raises:
        BundleMalformed: it is none.
    """
    try:
        return msgspec.convert(tomllib.loads(lock.decode("utf-8")), CppLock)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError, RecursionError) as error:
        raise BundleMalformed(f"cpp.lock cannot be read: {error}. {_ASSEMBLE}") from error


def _runtime(bundle: Bundle) -> CppRuntime:
    assert isinstance(bundle.runtime, CppRuntime)
    return bundle.runtime


def _settings(standard: str, flags: Sequence[str]) -> list[str]:
    """Standard and flags as the compiler is given them; a `-std=` of the author's wins."""
    return [*flags] if any(flag.startswith("-std=") for flag in flags) else [f"-std={standard}", *flags]


def _compiler(wanted: str, path: str) -> tuple[str, Path]:
    """Name and place of the compiler that is wanted; of the first, where any will do."""
    major = wanted.removeprefix("g++-").partition(".")[0]
    found = []
    for program in ("g++", f"g++-{major}" if major else "c++"):
        place = shutil.which(program, path=path)
        name = None if place is None else _name_of(place)
        if place is not None and name is not None:
            if wanted in {"", name}:
                return name, Path(place)
            found.append(name)
    if not found:
        raise ToolchainMissing(f"{wanted or 'g++'} is not on this machine; `apt install g++`", toolchain=wanted)
    here = ", ".join(dict.fromkeys(found))
    raise ToolchainMissing(
        f"the bundle is built by {wanted}, here is {here}; `apt install g++-{major}`, or assemble it anew",
        toolchain=wanted,
    )


@functools.cache
def _name_of(program: str) -> str | None:
    """`g++-12.2.0`; None where it is no g++."""
    try:
        answer = subprocess.run([program, "-dumpfullversion"], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = answer.stdout.strip()
    return f"g++-{version}" if answer.returncode == 0 and version else None


def _is_more_source(source: Path, path: str, entry: str) -> bool:
    return path != entry and Path(path).suffix in _SUFFIXES and (source / path).is_file()


def _build_with_cmake(job: BuildJob, lists: Path, settings: Sequence[str], target: Path) -> None:
    """Build the target `model` of a CMakeLists.txt."""
    cmake, build = job.toolchain.programs["cmake"], job.scratch / "build"
    _must(
        *(
            job,
            cmake,
            "-S",
            lists.parent,
            "-B",
            build,
            "-DCMAKE_BUILD_TYPE=",
            f"-DCMAKE_CXX_FLAGS={' '.join(settings)}",
        ),
        *(
            f"-DCMAKE_CXX_COMPILER={job.toolchain.programs['g++']}",
            f"-DCMAKE_RUNTIME_OUTPUT_DIRECTORY={job.scratch / 'bin'}",
        ),
        folder=job.scratch,
    )
    _must(job, cmake, "--build", build, "--target", "model", folder=job.scratch)
    made = job.scratch / "bin" / "model"
    if not made.is_file():
        raise BuildFailed(f"{CMAKE_LISTS} has no program named `model`: add_executable(model …)")
    shutil.copyfile(made, target)


def _must(job: BuildJob, *command: Any, folder: Path) -> None:
    answer = run_tool(command, folder=folder, scratch=job.scratch)
    if answer.returncode != 0:
        raise BuildFailed(f"{Path(command[0]).name} failed:\n{last_lines(answer.stderr or answer.stdout)}")
