"""JavaScript and TypeScript: npm's lock, tarballs put where it says, no install script ever run."""

import base64
import functools
import json
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, TypeVar

import msgspec

from muster.environments.errors import BuildFailed, LockUnresolved, PartUnsafe, ToolchainMissing
from muster.environments.offline import run_tool
from muster.environments.protocol import BuildJob, Package, Part, Program, Say, Toolchain
from muster.environments.sources import brought_packages, copy_sources, source_files
from muster.packaging.documents import Bundle
from muster.packaging.errors import BundleMalformed
from muster.packaging.findings import Finding
from muster.packaging.runtimes import NodeRuntime
from muster.packaging.uv import last_lines

_HELPER = "muster_host"
_DESCRIPTION = "package.json"
_COMPILER = "typescript"
_ENTRIES = {".mjs": ".mjs", ".js": ".js", ".cjs": ".cjs", ".ts": ".js", ".mts": ".mjs", ".cts": ".cjs"}
_OLDEST = (18, 0)
_LOCK_FORMATS = (2, 3)
#: Names and versions as npm's registry has them: what npm reads no option, no folder and no address from.
_NAME = re.compile(r"(?:@[A-Za-z0-9][A-Za-z0-9._~-]*/)?[A-Za-z0-9][A-Za-z0-9._~-]*")
_VERSION = re.compile(r"\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?", re.ASCII)
_PLACE = re.compile(rf"node_modules/{_NAME.pattern}(?:/node_modules/{_NAME.pattern})*")
_HASH_BYTES = {"sha256": 32, "sha512": 64}
_MACHINE = re.compile(r"!?[A-Za-z0-9_]+")
_LOCK_ANEW = "Delete it and run `muster assemble`, which locks anew."
#: Packages asked for by one call of npm; beyond it the command line grows long.
_AT_ONCE = 50
#: What one tarball may unpack to; the largest packages there are weigh a few hundred MiB.
_MOST_UNPACKED_BYTES = 2 * 1024**3
#: What npm calls this machine.
_MACHINES = {"x86_64": "x64", "aarch64": "arm64"}
_QUIET = {
    "npm_config_audit": "false",
    "npm_config_fund": "false",
    "npm_config_ignore_scripts": "true",
    "npm_config_update_notifier": "false",
    "npm_config_loglevel": "error",
}


_Kind = TypeVar("_Kind")


class _Entry(msgspec.Struct, frozen=True, rename="camel"):
    """One place of a lock; keys that decide nothing here are passed over."""

    version: str = ""
    name: str | None = None
    resolved: str = ""
    integrity: str = ""
    link: bool = False
    in_bundle: bool = False
    has_install_script: bool = False
    license: Any = None
    os: tuple[str, ...] | str = ()
    cpu: tuple[str, ...] | str = ()
    libc: tuple[str, ...] | str = ()


class _Project(msgspec.Struct, frozen=True, rename="camel"):
    """What a project asks for: package.json, and the place `""` of its lock."""

    dependencies: dict[str, str] = {}
    dev_dependencies: dict[str, str] = {}

    @property
    def wanted(self) -> dict[str, str]:
        """Package → range of versions."""
        return {**self.dependencies, **self.dev_dependencies}


class _Lock(msgspec.Struct, frozen=True, rename="camel"):
    """package-lock.json."""

    lockfile_version: int | None = None
    packages: dict[str, msgspec.Raw] | None = None


class Node:
    """A module that exports `predict`, run by Node."""

    kind: ClassVar[str] = "node"
    lock_name: ClassVar[str] = "package-lock.json"

    def problems(self, folder: Path, bundle: Bundle) -> Iterator[Finding]:
        """What is wrong with a bundle as far as it can be seen without tools."""
        runtime = _runtime(bundle)
        suffix = PurePosixPath(runtime.entry).suffix
        if suffix not in _ENTRIES:
            yield Finding(
                "error",
                "muster.toml",
                f"[runtime] entry = {runtime.entry!r} is no module",
                f"Its name has to end with {', '.join(_ENTRIES)}.",
            )
        if runtime.sources and runtime.entry not in source_files(folder, bundle):
            yield Finding(
                "error",
                "muster.toml",
                f"[runtime] sources do not hold the entry {runtime.entry}",
                "Add it: only what is named there comes into the environment.",
            )
        brought = brought_packages(folder, runtime)
        if brought:
            yield Finding(
                "error",
                brought[0],
                "the bundle brings packages along in node_modules, which are never used",
                f"Take the folder out: packages are those that {runtime.lock} names.",
            )
        for path in (f"{_HELPER}/host.mjs", _DESCRIPTION):
            if not (folder / path).is_file():
                yield Finding(
                    "error",
                    path,
                    "it is missing",
                    "Make the bundle with `muster assemble`, which puts the helper there.",
                )
        lock = folder / runtime.lock
        if not lock.is_file():
            return
        try:
            entries = _entries(lock.read_bytes())
            self.packages(lock.read_bytes())
        except BundleMalformed as error:
            yield Finding("error", runtime.lock, error.message, _LOCK_ANEW)
            return
        yield from _lock_problems(folder, runtime.lock, entries)
        if _ENTRIES.get(suffix, suffix) != suffix:
            yield from _typescript_problems(folder, runtime.lock, entries)

    def toolchain(self, bundle: Bundle) -> Toolchain:
        """Node on this machine, and npm where it is there: only locking and fetching need it.

        Raises:
            ToolchainMissing: there is no Node, or one of another major version than the bundle names.
        """
        node = shutil.which("node")
        if node is None:
            raise ToolchainMissing("node is not on this machine; Debian: apt install nodejs", program="node")
        version = _version_of(node, Path(node).stat().st_mtime_ns)
        if tuple(map(int, version.split(".")[:2])) < _OLDEST:
            raise ToolchainMissing(f"node {version} is too old, 18 or later is needed; Debian: apt install nodejs")
        wanted = _runtime(bundle).toolchain
        if wanted and _major(wanted) != _major(f"node-{version}"):
            raise ToolchainMissing(
                f"{bundle.name} was made with {wanted}, and this machine has node {version}; install one of the same major version",
                program="node",
                wanted=wanted,
                found=f"node-{version}",
            )
        programs = {"node": Path(node).resolve()}
        npm = shutil.which("npm")
        if npm is not None:
            programs["npm"] = Path(npm)
        return Toolchain(name=f"node-{version}", programs=programs)

    def packages(self, lock: bytes) -> tuple[Package, ...]:
        """What package-lock.json names, sorted; a package at several places counts once.

        One that another's tarball brings along has no hash of its own: that tarball's is its.

        Raises:
            BundleMalformed: it is no lock, or names what has no hash.
        """
        found = {package_of(path, entry) for path, entry in _entries(lock).items()}
        found -= {replace(package, hashes=frozenset()) for package in found if package.hashes}
        return tuple(sorted(found, key=lambda package: (package.name, package.version)))

    def lock(self, folder: Path, bundle: Bundle, scratch: Path, say: Say) -> bytes:
        """package-lock.json of package.json, made or completed by npm, without addresses.

        Raises:
            LockUnresolved: there is no package.json, or npm cannot resolve it.
            ToolchainMissing: there is no npm.
        """
        description = folder / _DESCRIPTION
        if not description.is_file():
            raise LockUnresolved(
                f"{folder} has no {_DESCRIPTION}, which says what the model needs; `npm init` writes one"
            )
        work = Path(tempfile.mkdtemp(dir=scratch))
        shutil.copyfile(description, work / _DESCRIPTION)
        if (folder / _runtime(bundle).lock).is_file():
            shutil.copyfile(folder / _runtime(bundle).lock, work / self.lock_name)
        npm = _npm(self.toolchain(bundle))
        variables = _QUIET | {"npm_config_cache": str(scratch / "npm")}
        command = ("install", "--package-lock-only", "--lockfile-version=3")
        done = run_tool([npm, *command], folder=work, scratch=scratch, variables=variables, network=True)
        if done.returncode != 0:
            raise LockUnresolved(f"npm cannot resolve {_DESCRIPTION}:\n{last_lines(done.stderr or done.stdout)}")
        say(f"npm has locked {_DESCRIPTION}")
        return without_addresses((work / self.lock_name).read_bytes())

    def fetch(
        self, packages: Sequence[Package], toolchain: Toolchain, scratch: Path, say: Say
    ) -> Iterator[tuple[Package, str, Path]]:
        """The tarballs of packages, by `npm pack`; those that are for other machines are left out.

        Raises:
            LockUnresolved: a package does not exist, or no registry answers.
            ToolchainMissing: there is no npm.
        """
        wanted = [package for package in packages if is_wanted(package.marker)]
        npm = _npm(toolchain)
        for begin in range(0, len(wanted), _AT_ONCE):
            some = wanted[begin : begin + _AT_ONCE]
            target = scratch / f"packed-{begin}"
            target.mkdir()
            yield from _packed(npm, some, target, scratch, say)

    def build(self, job: BuildJob) -> None:
        """Put sources and packages into `app/`; a TypeScript entry is compiled there.

        Raises:
            BuildFailed: a package was not fetched, or the compiler said no.
            PartUnsafe: a tarball holds what leads out of it.
        """
        app = job.tree / "app"
        copy_sources(job.folder, job.bundle, app)
        runtime = _runtime(job.bundle)
        parts = {(part.package.name, part.package.version): part for part in job.parts}
        # Folders before what lies in them: a package brings no node_modules of its own but what is bundled.
        for place, entry in sorted(_entries((job.folder / runtime.lock).read_bytes()).items()):
            package = package_of(place, entry)
            if not is_wanted(package.marker):
                continue
            if not package.hashes:  # its tarball is another's
                continue
            part = parts.get((package.name, package.version))
            if part is None:
                raise BuildFailed(f"{package.name} {package.version} is in {runtime.lock} and was not fetched")
            unpack(part, app / place)
        if PurePosixPath(runtime.entry).suffix in {".ts", ".mts", ".cts"}:
            _compile(job, app)

    def program(self, environment: Path, folder: Path, bundle: Bundle) -> Program | None:  # noqa: ARG002 - of the protocol
        """How the model is started."""
        entry = PurePosixPath(_runtime(bundle).entry)
        entry = entry.with_suffix(_ENTRIES.get(entry.suffix, entry.suffix))
        app = environment / "app"
        node = self.toolchain(bundle).programs["node"]
        host = app / _HELPER / "host.mjs"
        return Program(argv=(str(node), "--max-old-space-size={memory_mib}", str(host), str(app / entry)))

    def helper(self) -> Mapping[str, str]:
        """Files that travel in the bundle."""
        names = ("host.mjs", "host.d.mts", "columns.mjs", "frames.mjs", "half.mjs", "lines.mjs")
        return {f"node/{name}": f"{_HELPER}/{name}" for name in names}


def _runtime(bundle: Bundle) -> NodeRuntime:
    assert isinstance(bundle.runtime, NodeRuntime)
    return bundle.runtime


@functools.lru_cache(maxsize=8)
def _version_of(node: str, _changed_ns: int) -> str:
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolchainMissing(f"{node} does not run: {error}", program="node") from error
    return said.strip().removeprefix("v")


def _major(toolchain: str) -> str:
    return toolchain.partition(".")[0]


def _npm(toolchain: Toolchain) -> Path:
    if "npm" not in toolchain.programs:
        raise ToolchainMissing("npm is not on this machine; Debian: apt install npm", program="npm")
    return toolchain.programs["npm"]


def _entries(lock: bytes) -> dict[str, _Entry]:
    """Place → entry of everything that a lock wants installed."""
    found = {}
    for place, entry in _packages(lock).items():
        if place:  # else it is the project itself
            _require_place(place)
            found[place] = _read(entry, _Entry, f"package-lock.json, {place!r}")
    return found


def _packages(lock: bytes) -> dict[str, msgspec.Raw]:
    document = _read(lock, _Lock, "package-lock.json")
    if document.lockfile_version not in _LOCK_FORMATS or document.packages is None:
        version = document.lockfile_version
        raise BundleMalformed(f"package-lock.json has the format {version!r}; npm 7 and later write 3: {_LOCK_ANEW}")
    return document.packages


def _read(content: bytes | msgspec.Raw, kind: type[_Kind], what: str) -> _Kind:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BundleMalformed(f"{what} cannot be read: {error}") from error


def _require_place(place: str) -> None:
    if _PLACE.fullmatch(place) is None:
        raise BundleMalformed(
            f"package-lock.json names {place!r}, which is no place below node_modules: "
            "packages come from a registry, not from folders; publish it there, or put its files among the sources"
        )


def package_of(place: str, entry: _Entry) -> Package:
    """The package of one entry of a lock.

    Args:
        place: `node_modules/ml-array-max/node_modules/is-any-array`.
        entry: what the lock says of it.

    Raises:
        BundleMalformed: it is a link, comes from elsewhere than a registry, or has no strong hash.
    """
    name = entry.name or place.rpartition("node_modules/")[2]
    version = entry.version
    if entry.link or not version or entry.resolved.startswith(("git", "file:")):
        raise BundleMalformed(
            f"package-lock.json: {name} is {'a link' if entry.link else 'not from a registry'}; "
            "only packages of a registry can be kept for years: publish it there, or put its files among the sources"
        )
    if _NAME.fullmatch(name) is None or _VERSION.fullmatch(version) is None:
        raise BundleMalformed(
            f"package-lock.json: {name[:80]!r} {version[:80]!r} is no name and version of a registry: {_LOCK_ANEW}"
        )
    hashes = frozenset(hashed for word in entry.integrity.split() for hashed in _hash_of(word))
    if not hashes and not entry.in_bundle:
        raise BundleMalformed(f"package-lock.json: {name} {version} has no sha512 `integrity`: {_LOCK_ANEW}")
    return Package(
        ecosystem="npm",
        name=name,
        version=version,
        hashes=frozenset() if entry.in_bundle else hashes,
        marker=_marker_of(name, entry),
        licence=entry.license if isinstance(entry.license, str) else None,
    )


def _hash_of(word: str) -> Iterator[str]:
    """`sha512:<hex>` of a word of `integrity`; none of one that is weak or no hash."""
    algorithm, _, code = word.partition("-")
    if algorithm in _HASH_BYTES:
        with suppress(ValueError):
            content = base64.b64decode(code, validate=True)
            if len(content) == _HASH_BYTES[algorithm]:
                yield f"{algorithm}:{content.hex()}"


def _marker_of(name: str, entry: _Entry) -> str | None:
    """`os=linux cpu=x64,arm64 libc=glibc`, of packages that are for some machines only."""
    listed = {"os": entry.os, "cpu": entry.cpu, "libc": entry.libc}
    words = {key: (values,) if isinstance(values, str) else values for key, values in listed.items()}
    for key, values in words.items():
        if not all(map(_MACHINE.fullmatch, values)):
            raise BundleMalformed(
                f"package-lock.json: {name} has {key} = {list(values)}, which is no machine: {_LOCK_ANEW}"
            )
    return " ".join(f"{key}={','.join(values)}" for key, values in words.items() if values) or None


def is_wanted(marker: str | None) -> bool:
    """Whether this machine is among those that a package is for."""
    libc = "glibc" if platform.libc_ver()[0] == "glibc" else "musl"
    here = {"os": "linux", "cpu": _MACHINES.get(platform.machine(), platform.machine()), "libc": libc}
    for word in (marker or "").split():
        key, _, listed = word.partition("=")
        values = listed.split(",")
        refused = {value[1:] for value in values if value.startswith("!")}
        allowed = {value for value in values if not value.startswith("!")}
        if here[key] in refused or (allowed and here[key] not in allowed):
            return False
    return True


def without_addresses(lock: bytes) -> bytes:
    """A lock without the addresses that its packages were found at; hashes say what they are."""
    document = json.loads(lock)
    for entry in document["packages"].values():
        if not str(entry.get("resolved", "")).startswith(("git", "file:")):
            entry.pop("resolved", None)
    document.pop("dependencies", None)  # the same once more, for npm 6
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def _lock_problems(folder: Path, lock: str, entries: Mapping[str, _Entry]) -> Iterator[Finding]:
    try:
        wanted = _read((folder / _DESCRIPTION).read_bytes(), _Project, "it").wanted
    except OSError as error:
        yield Finding("error", _DESCRIPTION, f"it cannot be read: {error}", "`npm init` writes one.")
        return
    except BundleMalformed as error:
        yield Finding("error", _DESCRIPTION, error.message, "`npm init` writes one.")
        return
    try:
        root = _packages((folder / lock).read_bytes()).get("", msgspec.Raw(b"{}"))
        locked = _read(root, _Project, "what it was made of").wanted
    except BundleMalformed as error:
        yield Finding("error", lock, error.message, _LOCK_ANEW)
        return
    differing = sorted(name for name in wanted.keys() | locked.keys() if wanted.get(name) != locked.get(name))
    if differing:
        yield Finding("error", lock, f"it was not made of {_DESCRIPTION}: {', '.join(differing)}", _LOCK_ANEW)
    for place, entry in entries.items():
        if entry.has_install_script:
            yield Finding(
                "warning",
                lock,
                f"{place.rpartition('node_modules/')[2]} has an install script, which is never run",
                "See whether it works without: a package that fetches or compiles its binary on installation does not.",
            )


def _typescript_problems(folder: Path, lock: str, entries: Mapping[str, Any]) -> Iterator[Finding]:
    if f"node_modules/{_COMPILER}" not in entries:
        yield Finding(
            "error",
            lock,
            f"the entry is TypeScript and {_COMPILER} is not in the lock",
            f"`npm install --save-dev {_COMPILER}`, then `muster assemble`.",
        )
    if not (folder / "tsconfig.json").is_file():
        yield Finding(
            "error", "tsconfig.json", "the entry is TypeScript and it is missing", "`npx tsc --init` writes one."
        )


def _packed(
    npm: Path, packages: Sequence[Package], target: Path, scratch: Path, say: Say
) -> Iterator[tuple[Package, str, Path]]:
    named = {f"{package.name}@{package.version}": package for package in packages}
    say(f"fetching {len(named)} packages from npm's registry")
    done = run_tool(
        [npm, "pack", "--json", f"--pack-destination={target}", "--", *named],
        folder=scratch,
        scratch=scratch,
        variables=_QUIET | {"npm_config_cache": str(scratch / "npm")},
        network=True,
    )
    if done.returncode != 0:
        raise LockUnresolved(f"npm cannot fetch what the lock names:\n{last_lines(done.stderr or done.stdout)}")
    for packed in json.loads(done.stdout):
        package = named[f"{packed['name']}@{packed['version']}"]
        path = target / str(packed["filename"]).removeprefix("@").replace("/", "-")
        file = f"{package.name}/-/{package.name.rpartition('/')[2]}-{package.version}.tgz"
        yield package, file, path


def unpack(part: Part, target: Path) -> None:
    """Unpack a tarball as npm does: without its first folder, files only.

    Raises:
        PartUnsafe: an entry leads out of it or is no file, or it unpacks to more than 2 GiB.
    """
    unpacked = 0
    with tarfile.open(part.path) as archive:
        for member in archive:
            names = PurePosixPath(member.name).parts[1:]
            if member.isdir() or not names:
                continue
            unsafe = PurePosixPath(member.name).is_absolute() or ".." in names or "\\" in member.name
            if unsafe or not member.isfile():
                raise PartUnsafe(
                    f"{part.file} holds {member.name!r}, which {'leads out of it' if unsafe else 'is no file'}",
                    file=part.file,
                    entry=member.name,
                )
            unpacked += member.size
            if unpacked > _MOST_UNPACKED_BYTES:
                raise PartUnsafe(f"{part.file} unpacks to more than 2 GiB", file=part.file)
            source = archive.extractfile(member)
            assert source is not None
            path = target.joinpath(*names)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as stream:
                shutil.copyfileobj(source, stream)
            path.chmod(0o755 if member.mode & 0o111 else 0o644)


def _compile(job: BuildJob, app: Path) -> None:
    compiler = app / "node_modules" / _COMPILER / "bin" / "tsc"
    if not compiler.is_file():
        raise BuildFailed(
            f"the entry is TypeScript and {_COMPILER} is not in the lock: `npm install --save-dev {_COMPILER}`"
        )
    # tsc looks into no folder that it writes to, so its output is put beside the sources afterwards.
    compiled = job.scratch / "compiled"
    options = ("--outDir", compiled, "--rootDir", ".", "--noEmit", "false", "--noEmitOnError")
    done = run_tool([job.toolchain.programs["node"], compiler, "-p", ".", *options], folder=app, scratch=job.scratch)
    if done.returncode != 0:
        raise BuildFailed(f"tsc failed:\n{last_lines(done.stdout + done.stderr)}")
    shutil.copytree(compiled, app, dirs_exist_ok=True)
