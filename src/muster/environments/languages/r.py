"""R: a script with `predict(data)`, run by the R of the machine with the packages that r.lock names.

`r.lock` is JSON in the shape of renv's, made by base R alone:

    {"R": {"Version": "4.2.2"},
     "Packages": {"rpart": {"Package": "rpart", "Version": "4.1.19", "Source": "Debian", "Hash": "sha256:..."}}}

`Source` says whose a package is: `R` of R itself; `Debian` of the machine, whose files have to be those that `Hash` is of; `tarball` of the
bundle, which brings it as `tarballs/NAME_VERSION.tar.gz`, and `Hash` is the tarball's. Only these are installed, into `TREE/library`.
"""

import functools
import hashlib
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec

from muster.environments.errors import BuildFailed, LockUnresolved, PartDiffers, ToolchainMissing
from muster.environments.offline import run_tool
from muster.environments.protocol import BuildJob, Package, Program, Say, Toolchain
from muster.packaging.documents import Bundle
from muster.packaging.errors import BundleMalformed
from muster.packaging.findings import Finding
from muster.packaging.runtimes import RRuntime
from muster.packaging.uv import last_lines
from muster.vocabulary.digests import digest_of_file

HELPER_FILES = ("columns.R", "frames.R", "host.R", "json.R", "run.R")
TARBALLS = "tarballs"

_HELPER_FOLDER = "muster_host"
_OLDEST = (4, 0)
_ASSEMBLE = "Delete it and run `muster assemble`, which locks anew."
#: No library of the user's own, and texts and their order as everywhere.
_VARIABLES = {"R_LIBS_USER": "NULL", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
_TARBALL = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9.]*)_(?P<version>[0-9][0-9.\-]*)\.tar\.gz")
_NAMED = re.compile(
    r"""(?:\b(?:library|require|requireNamespace|loadNamespace)\s*\(\s*["']?([A-Za-z][A-Za-z0-9.]*)["']?|\b([A-Za-z][A-Za-z0-9.]*):::?)"""
)
_COMMENT = re.compile(r"#.*")
_SHIPPED_WITH_R = frozenset(
    {"base", "compiler", "datasets", "grDevices", "graphics", "grid", "methods", "parallel", "splines", "stats"}
    | {"stats4", "tcltk", "tools", "utils"}
)
_MOST_DESCRIPTION_BYTES = 1 << 20
#: Asked of R once: its version, its libraries, what computes its matrices.
_ABOUT = """
cat(paste(R.version$major, R.version$minor, sep = "."), extSoftVersion()[["BLAS"]], La_version(), sep = "\\n")
cat(.libPaths(), sep = "\\n")
"""


class _Locked(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """One package of r.lock."""

    package: str
    version: str
    source: Literal["R", "Debian", "tarball"]
    hash: str = ""


class _Version(msgspec.Struct, frozen=True, rename="pascal"):
    version: str


class RLock(msgspec.Struct, frozen=True):
    """r.lock."""

    r: _Version = msgspec.field(name="R")
    packages: dict[str, _Locked] = msgspec.field(name="Packages")


class R:
    """A script that defines `predict(data)`."""

    kind: ClassVar[str] = "r"
    lock_name: ClassVar[str] = "r.lock"

    def problems(self, folder: Path, bundle: Bundle) -> Iterator[Finding]:
        """What is wrong with a bundle as far as it can be seen without tools."""
        runtime = _runtime(bundle)
        if not (folder / _HELPER_FOLDER / "run.R").is_file():
            remedy = "Make the bundle with `muster assemble`, which puts the helper there."
            yield Finding("error", f"{_HELPER_FOLDER}/run.R", "it is missing", remedy)
        lock = folder / runtime.lock
        if not lock.is_file():
            return
        try:
            locked = read_lock(lock.read_bytes())
        except BundleMalformed as error:
            yield Finding("error", runtime.lock, error.message, _ASSEMBLE)
            return
        if runtime.toolchain and runtime.toolchain != f"r-{locked.r.version}":
            problem = f"it is of R {locked.r.version}, [runtime] toolchain is {runtime.toolchain}"
            yield Finding("error", runtime.lock, problem, _ASSEMBLE)
        for name in sorted(packages_named(folder, runtime.entry) - locked.packages.keys() - _SHIPPED_WITH_R):
            yield Finding("error", runtime.lock, f"{runtime.entry} uses {name}, which it does not name", _ASSEMBLE)
        for one in locked.packages.values():
            file = f"{TARBALLS}/{one.package}_{one.version}.tar.gz"
            if one.source == "tarball" and not (folder / file).is_file():
                yield Finding("error", file, f"it is missing, and {runtime.lock} names it", "Put it there again.")

    def toolchain(self, bundle: Bundle) -> Toolchain:
        """R on this machine.

        Raises:
            ToolchainMissing: there is none, or one of another minor version than the bundle names.
        """
        program = shutil.which("Rscript")
        if program is None:
            raise ToolchainMissing("R is not on this machine; Debian: apt install r-base-core", program="Rscript")
        about = _about(program, Path(program).resolve().stat().st_mtime_ns)
        if _minor(about.version) < _OLDEST:
            raise ToolchainMissing(f"R {about.version} is too old, 4.0 or later is needed; apt install r-base-core")
        wanted = _runtime(bundle).toolchain
        if wanted and _minor(wanted.removeprefix("r-")) != _minor(about.version):
            raise ToolchainMissing(
                f"{bundle.name} was made with {wanted}, and this machine has R {about.version}; install one of the same minor version",
                program="Rscript",
                wanted=wanted,
                found=f"r-{about.version}",
            )
        return Toolchain(name=f"r-{about.version}", programs={"Rscript": Path(program)}, system=about.system)

    def packages(self, lock: bytes) -> tuple[Package, ...]:
        """What r.lock names: nothing of it is fetched; tarballs, which have hashes, are in the bundle, and all else on the machine.

        Raises:
            BundleMalformed: it is no lock.
        """
        return tuple(
            Package(
                ecosystem="cran",
                name=name,
                version=one.version,
                hashes=frozenset({one.hash} if one.source == "tarball" else ()),
            )
            for name, one in sorted(read_lock(lock).packages.items())
        )

    def lock(self, folder: Path, bundle: Bundle, scratch: Path, say: Say) -> bytes:
        """R's version, and the packages that the script names with those that they need.

        Raises:
            LockUnresolved: a package is neither on this machine nor among the tarballs.
            ToolchainMissing: there is no R.
        """
        toolchain = self.toolchain(bundle)
        version = toolchain.name.removeprefix("r-")
        brought = {
            name: (one, sorted(needed)) for path in _tarballs(folder) for name, one, needed in [_of_tarball(path)]
        }
        waiting = sorted(packages_named(folder, _runtime(bundle).entry))
        libraries = _libraries(toolchain)
        found: dict[str, _Locked] = {}
        while waiting:
            name = waiting.pop()
            if name in found or name == "R":
                continue
            if name in brought:
                found[name], needed = brought[name]
            else:
                found[name], needed = _of_machine(name, libraries)
            waiting.extend(needed)
        say(f"{len(found)} packages for R {version}")
        lock = RLock(r=_Version(version=version), packages=dict(sorted(found.items())))
        del scratch
        return json.dumps(msgspec.to_builtins(lock), indent=2).encode() + b"\n"

    def fetch(
        self, packages: Sequence[Package], toolchain: Toolchain, scratch: Path, say: Say
    ) -> Iterator[tuple[Package, str, Path]]:
        """Nothing: what a lock names is in the bundle or the machine's own."""
        del packages, toolchain, scratch, say
        yield from ()

    def build(self, job: BuildJob) -> None:
        """Install the tarballs into `library/`, each after those that it needs.

        Raises:
            PartDiffers: a tarball is not the one that the lock names.
            BuildFailed: R could not install one.
        """
        library = job.tree / "library"
        library.mkdir()
        runtime = _runtime(job.bundle)
        locked = read_lock((job.folder / runtime.lock).read_bytes())
        wanted = {name for name, one in locked.packages.items() if one.source == "tarball"}
        needs: dict[str, tuple[Path, frozenset[str]]] = {}
        for path in _tarballs(job.folder):
            name, one, needed = _of_tarball(path)
            if name in wanted:
                if one != locked.packages[name]:
                    raise PartDiffers(f"{TARBALLS}/{path.name} is not what {runtime.lock} names", file=path.name)
                needs[name] = path, needed & wanted
        if wanted - needs.keys():
            raise BuildFailed(f"{TARBALLS}/ lacks {', '.join(sorted(wanted - needs.keys()))} of {runtime.lock}")
        while needs:
            ready = sorted(name for name, (_, needed) in needs.items() if not needed & needs.keys())
            if not ready:
                raise BuildFailed(f"these packages need each other: {', '.join(sorted(needs))}")
            for name in ready:
                job.say(f"installing {name}")
                _install(job, needs.pop(name)[0], library)

    def program(self, environment: Path, folder: Path, bundle: Bundle) -> Program | None:
        """How the model is started."""
        command = (str(self.toolchain(bundle).programs["Rscript"]), "--vanilla")
        scripts = (str(folder / _HELPER_FOLDER / "run.R"), str(folder / _runtime(bundle).entry))
        return Program(argv=(*command, *scripts), variables=_VARIABLES | {"R_LIBS": str(environment / "library")})

    def helper(self) -> Mapping[str, str]:
        """Files that travel in the bundle."""
        return {f"r/{name}": f"{_HELPER_FOLDER}/{name}" for name in HELPER_FILES}

    def differing(self, folder: Path, bundle: Bundle) -> tuple[str, ...]:
        """Which packages of the machine are not those that the lock names."""
        locked = read_lock((folder / _runtime(bundle).lock).read_bytes())
        libraries = _libraries(self.toolchain(bundle))
        differing = []
        for name, one in sorted(locked.packages.items()):
            if one.source != "Debian":
                continue
            try:
                here, _ = _of_machine(name, libraries)
            except LockUnresolved:
                differing.append(f"{name} {one.version}: not installed")
                continue
            if here.version != one.version:
                differing.append(f"{name} {one.version}: this machine has {here.version}")
            elif here.hash != one.hash:
                differing.append(f"{name} {one.version}: other files than the lock names")
        return tuple(differing)


class _About(msgspec.Struct, frozen=True):
    version: str
    libraries: tuple[Path, ...]
    system: dict[str, str]


def read_lock(lock: bytes) -> RLock:
    """What an r.lock says.

    Raises:
        BundleMalformed: it is none.
    """
    try:
        found = msgspec.json.decode(lock, type=RLock)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleMalformed(f"r.lock cannot be read: {error}. {_ASSEMBLE}") from error
    for name, one in found.packages.items():
        if one.package != name or _TARBALL.fullmatch(f"{name}_{one.version}.tar.gz") is None:
            raise BundleMalformed(f"r.lock: {name!r} {one.version!r} is no package of R. {_ASSEMBLE}")
        if one.source != "R" and re.fullmatch(r"sha256:[0-9a-f]{64}", one.hash) is None:
            raise BundleMalformed(f"r.lock: {name} has no Hash. {_ASSEMBLE}")
    return found


def packages_named(folder: Path, entry: str) -> set[str]:
    """Packages that the scripts of a bundle name, by `library(x)`, `require(x)` or `x::`; those of the entry's folder count as well."""
    scripts = {folder / entry, *(folder / entry).parent.glob("*.R"), *(folder / "R").glob("*.R")}
    found: set[str] = set()
    for script in scripts:
        if script.is_file():
            text = _COMMENT.sub("", script.read_text(encoding="utf-8", errors="replace"))
            found |= {one or other for one, other in _NAMED.findall(text)}
    return found


def _runtime(bundle: Bundle) -> RRuntime:
    assert isinstance(bundle.runtime, RRuntime)
    return bundle.runtime


def _minor(version: str) -> tuple[int, ...]:
    return tuple(int(word) for word in re.findall(r"\d+", version)[:2])


@functools.lru_cache(maxsize=8)
def _about(program: str, _changed_ns: int) -> _About:
    environment = {**_VARIABLES, "PATH": "/usr/local/bin:/usr/bin:/bin"}
    command = [program, "--vanilla", "-e", _ABOUT]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
        version, blas, lapack, *libraries = done.stdout.splitlines()
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ToolchainMissing(f"{program} does not run: {error}", program="Rscript") from error
    return _About(version=version, libraries=tuple(map(Path, libraries)), system={"blas": blas, "lapack": lapack})


def _libraries(toolchain: Toolchain) -> tuple[Path, ...]:
    program = toolchain.programs["Rscript"]
    return _about(str(program), program.resolve().stat().st_mtime_ns).libraries


def _of_machine(name: str, libraries: Sequence[Path]) -> tuple[_Locked, list[str]]:
    """An installed package, and the names of those that it needs."""
    for library in libraries:
        description = library / name / "DESCRIPTION"
        if not description.is_file():
            continue
        said = _description(description.read_bytes())
        if said.get("Priority") == "base":
            return _Locked(package=name, version=said["Version"], source="R"), []
        digest = _digest_of_tree(library / name)
        return _Locked(package=name, version=said["Version"], source="Debian", hash=digest), sorted(_needed(said))
    raise LockUnresolved(
        f"the package {name} is neither installed in {', '.join(map(str, libraries))} nor in {TARBALLS}/; "
        f"Debian: apt install r-cran-{name.lower()}, or put its source there as {TARBALLS}/{name}_VERSION.tar.gz"
    )


def _of_tarball(path: Path) -> tuple[str, _Locked, frozenset[str]]:
    match = _TARBALL.fullmatch(path.name)
    if match is None:
        raise LockUnresolved(f"{TARBALLS}/{path.name} is not called NAME_VERSION.tar.gz, as packages of R are")
    name = match["name"]
    try:
        with tarfile.open(path) as archive:
            stream = archive.extractfile(f"{name}/DESCRIPTION")
            said = _description(stream.read(_MOST_DESCRIPTION_BYTES) if stream is not None else b"")
    except (tarfile.TarError, OSError, EOFError, KeyError) as error:
        raise LockUnresolved(f"{TARBALLS}/{path.name} is no source package of R: {error}") from error
    if (said.get("Package"), said.get("Version")) != (name, match["version"]):
        raise LockUnresolved(f"{TARBALLS}/{path.name} holds {said.get('Package')} {said.get('Version')}")
    locked = _Locked(package=name, version=match["version"], source="tarball", hash=digest_of_file(path))
    return name, locked, frozenset(_needed(said))


def _tarballs(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / TARBALLS).glob("*") if path.is_file())


def _description(content: bytes) -> dict[str, str]:
    """The fields of a DESCRIPTION; a line that begins with a space goes on with the one before."""
    text = content.decode("utf-8", errors="replace")
    lines = re.sub(r"\r?\n[ \t]+", " ", text).splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _needed(said: Mapping[str, Any]) -> set[str]:
    listed = ",".join(str(said.get(key, "")) for key in ("Depends", "Imports", "LinkingTo"))
    return {word.split("(")[0].strip() for word in listed.split(",") if word.split("(")[0].strip()} - {"R"}


def _digest_of_tree(folder: Path) -> str:
    """SHA-256 over paths and contents of an installed package."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(f"{path.relative_to(folder).as_posix()}\0{digest_of_file(path)}\n".encode())
    return f"sha256:{total.hexdigest()}"


def _install(job: BuildJob, tarball: Path, library: Path) -> None:
    program = job.toolchain.programs["Rscript"].with_name("R")
    command: list[str | Path] = [program, "CMD", "INSTALL", "--no-docs", "--no-lock", "-l", library, tarball]
    variables = _VARIABLES | {"R_LIBS": str(library)}
    answer = run_tool(command, folder=job.scratch, scratch=job.scratch, variables=variables)
    if answer.returncode != 0:
        raise BuildFailed(f"R cannot install {tarball.name}:\n{last_lines(answer.stderr or answer.stdout)}")
