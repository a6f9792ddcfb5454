"""Rust: a crate is built by cargo from the crates that its lock names, offline.

A bundle's `Cargo.lock` carries names, versions and checksums and no address: the lines `source` are taken out. The build unpacks the
sealed crates, lets cargo make its own lock from them, holds that against the bundle's, and then builds `--locked --offline`.
"""

import functools
import json
import os
import re
import shutil
import subprocess
import tarfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from muster.environments.errors import BuildFailed, LockUnresolved, PartUnsafe, ToolchainMissing
from muster.environments.offline import run_tool
from muster.environments.protocol import BuildJob, Package, Part, Program, Say, Toolchain
from muster.environments.sources import copy_sources
from muster.packaging.documents import Bundle
from muster.packaging.errors import BundleMalformed
from muster.packaging.findings import Finding
from muster.packaging.runtimes import RustRuntime
from muster.packaging.uv import last_lines

MANIFEST = "Cargo.toml"
#: More than any crate that is no attack.
_MOST_UNPACKED_BYTES = 4 * 1024**3
_INSTALL = "Install Rust with rustup, or by `apt install cargo rustc` where Debian's is new enough"
_ASSEMBLE = "`muster assemble` makes it anew."
_HELPER_FILES = ("Cargo.toml", "src/datatypes.rs", "src/json.rs", "src/lib.rs", "src/serve.rs", "src/table.rs")
_DEPENDENCIES = ("dependencies", "build-dependencies")
#: Names, versions and checksums as cargo's registry has them: they come into a manifest and into paths.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_VERSION = re.compile(r"\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?", re.ASCII)
_CHECKSUM = re.compile(r"[0-9a-f]{64}")


class _Crate(msgspec.Struct, frozen=True):
    """One entry of a Cargo.lock."""

    name: str
    version: str
    source: str | None = None
    checksum: str | None = None


class _Lock(msgspec.Struct, frozen=True):
    """Cargo.lock."""

    package: tuple[_Crate, ...] = ()


class Rust:
    """A crate with a binary that calls `muster_host::run`."""

    kind: ClassVar[str] = "rust"
    lock_name: ClassVar[str] = "Cargo.lock"

    def problems(self, folder: Path, bundle: Bundle) -> Iterator[Finding]:
        """What is wrong with a bundle as far as it can be seen without tools: unreadable files, dependencies from elsewhere."""
        runtime = _runtime(bundle)
        manifest = f"{runtime.entry}/{MANIFEST}" if runtime.entry not in {"", "."} else MANIFEST
        try:
            document = tomllib.loads((folder / manifest).read_text(encoding="utf-8"))
        except FileNotFoundError:
            yield Finding(
                "error", manifest, "there is no package at [runtime] entry", f"Put {manifest} into the bundle."
            )
            return
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
            yield Finding("error", manifest, f"it cannot be read: {error}", "Mend it; `cargo check` shows the place.")
            return
        yield from _foreign_dependencies(document, manifest)
        lock = folder / runtime.lock
        if lock.is_file() and lock.stat().st_size:
            try:
                self.packages(lock.read_bytes())
            except BundleMalformed as error:
                yield Finding("error", runtime.lock, error.message, _ASSEMBLE)

    def toolchain(self, bundle: Bundle) -> Toolchain:
        """The compiler that the bundle names; where it names none, the first on the PATH.

        Raises:
            ToolchainMissing: it is not here.
        """
        wanted = _runtime(bundle).toolchain
        found: list[str] = []
        for sysroot in _sysroots(os.environ.get("PATH", ""), _rustup_home()):
            name = _name_of(sysroot)
            if name is None or name in found:
                continue
            if wanted in {"", name}:
                programs = {tool: sysroot / "bin" / tool for tool in ("cargo", "rustc")}
                return Toolchain(name=name, programs=programs)
            found.append(name)
        if not found:
            raise ToolchainMissing(f"{wanted or 'Rust'} is not on this machine. {_INSTALL}.", toolchain=wanted)
        version = wanted.removeprefix("rust-")
        raise ToolchainMissing(
            f"the bundle is built by {wanted}, here is {', '.join(found)}. Install it: `rustup toolchain install {version}`.",
            toolchain=wanted,
        )

    def packages(self, lock: bytes) -> tuple[Package, ...]:
        """The crates that a Cargo.lock names by checksum; crates in the bundle itself are none.

        Raises:
            BundleMalformed: it is no Cargo.lock, or a crate comes from elsewhere than a registry.
        """
        try:
            crates = msgspec.convert(tomllib.loads(lock.decode("utf-8")), _Lock).package
        except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError, RecursionError) as error:
            raise BundleMalformed(f"Cargo.lock is none that cargo wrote: {error}. {_ASSEMBLE}") from error
        found = []
        for crate in crates:
            name, version = crate.name, crate.version
            if _NAME.fullmatch(name) is None or _VERSION.fullmatch(version) is None:
                raise BundleMalformed(
                    f"Cargo.lock: {name[:80]!r} {version[:80]!r} is no name and version of a crate. {_ASSEMBLE}"
                )
            source = crate.source or "registry+"
            if not source.startswith(("registry+", "sparse+")):
                raise BundleMalformed(
                    f"Cargo.lock: {name} {version} comes from {source.partition('+')[0]}, which cannot be held against a "
                    "checksum. Use a published version, or put its sources into the bundle as a path dependency."
                )
            if crate.checksum is not None:
                if _CHECKSUM.fullmatch(crate.checksum) is None:
                    raise BundleMalformed(f"Cargo.lock: the checksum of {name} {version} is no SHA-256. {_ASSEMBLE}")
                hashes = frozenset({f"sha256:{crate.checksum}"})
                found.append(Package(ecosystem="cargo", name=name, version=version, hashes=hashes))
            elif crate.source is not None:
                raise BundleMalformed(f"Cargo.lock: {name} {version} has no checksum. {_ASSEMBLE}")
        return tuple(found)

    def lock(self, folder: Path, bundle: Bundle, scratch: Path, say: Say) -> bytes:
        """The author's own Cargo.lock without addresses; where there is none, what cargo resolves today.

        Raises:
            LockUnresolved: a crate or a version does not exist, or no registry answers.
        """
        there = folder / _runtime(bundle).lock
        if not there.is_file() or not there.stat().st_size:
            copy_sources(folder, bundle, scratch / "source")
            there = scratch / "source" / _runtime(bundle).entry / "Cargo.lock"
            say("resolving the crates that Cargo.toml asks for")
            cargo = _Cargo(self.toolchain(bundle), scratch, network=True)
            answer = cargo.run("generate-lockfile", folder=there.parent)
            if answer is not None:
                raise LockUnresolved(f"cargo cannot resolve {MANIFEST}:\n{answer}")
        lock = without_addresses(there.read_bytes())
        self.packages(lock)
        return lock

    def fetch(
        self, packages: Sequence[Package], toolchain: Toolchain, scratch: Path, say: Say
    ) -> Iterator[tuple[Package, str, Path]]:
        """Bring crates, by a package that depends on exactly these.

        Raises:
            LockUnresolved: one does not exist, is withdrawn, or no registry answers.
        """
        if not packages:
            return
        puller = scratch / "fetch"
        puller.mkdir()
        lines = [
            '[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2021"\n[lib]\npath = "lib.rs"\n[dependencies]'
        ]
        lines += [
            f'd{number} = {{ package = "{package.name}", version = "={package.version}", default-features = false }}'
            for number, package in enumerate(packages)
        ]
        (puller / MANIFEST).write_text("\n".join(lines) + "\n", encoding="utf-8")
        (puller / "lib.rs").touch()
        say(f"fetching {len(packages)} crates")
        cargo = _Cargo(toolchain, scratch, network=True)
        answer = cargo.run("fetch", folder=puller)
        if answer is not None:
            raise LockUnresolved(f"cargo cannot fetch what Cargo.lock names:\n{answer}")
        for package in packages:
            file = f"{package.name}-{package.version}.crate"
            crate = next(iter(sorted((cargo.home / "registry" / "cache").glob(f"*/{file}"))), None)
            if crate is None:
                raise LockUnresolved(f"cargo brought another version of {package.name} than {package.version}")
            yield replace(package, licence=_licence_of(crate)), file, crate

    def build(self, job: BuildJob) -> None:
        """Build `bin/model` from the bundle's sources and the crates given.

        Raises:
            BuildFailed: Cargo.lock does not belong to Cargo.toml, or the compiler said no.
            PartUnsafe: a crate holds names that lead out of it.
        """
        runtime = _runtime(job.bundle)
        vendor = job.scratch / "vendor"
        vendor.mkdir()
        for part in job.parts:
            _unpack(part, vendor)
        source = job.scratch / "source"
        copy_sources(job.folder, job.bundle, source)
        package = source / runtime.entry
        (package / "Cargo.lock").unlink(missing_ok=True)
        cargo = _Cargo(job.toolchain, job.scratch, network=False, say=job.say)
        cargo.must("generate-lockfile", "--offline", folder=package)
        self._require_locked((job.folder / runtime.lock).read_bytes(), (package / "Cargo.lock").read_bytes())
        program = _program_of(cargo, package)
        features = ("--features", ",".join(runtime.flags)) if runtime.flags else ()
        cargo.must("build", "--release", "--locked", "--offline", "--bin", program, *features, folder=package)
        target = job.tree / "bin" / "model"
        target.parent.mkdir()
        shutil.copyfile(job.scratch / "target" / "release" / program, target)
        target.chmod(0o755)

    def program(self, environment: Path, folder: Path, bundle: Bundle) -> Program | None:
        """What was built."""
        del folder, bundle
        return Program(argv=(str(environment / "bin" / "model"),))

    def helper(self) -> Mapping[str, str]:
        """The crate `muster-host`, to be named as `{ path = "muster_host" }`."""
        return {f"rust/{path}": f"muster_host/{path}" for path in _HELPER_FILES}

    def _require_locked(self, wanted: bytes, resolved: bytes) -> None:
        def entries(lock: bytes) -> set[str]:
            return {f"{package.name} {package.version}" for package in self.packages(lock)}

        lacking = entries(resolved) ^ entries(wanted)
        if lacking:
            raise BuildFailed(
                f"Cargo.lock is not what {MANIFEST} asks for; they differ in {', '.join(sorted(lacking)[:5])}. {_ASSEMBLE}"
            )


class _Cargo:
    """cargo with a home in scratch; nothing of the user's own configuration decides a build."""

    def __init__(self, toolchain: Toolchain, scratch: Path, *, network: bool, say: Say | None = None) -> None:
        self._toolchain = toolchain
        self._scratch = scratch
        self._network = network
        self._say = say
        self.home = scratch / "cargo"
        self.home.mkdir(exist_ok=True)
        if network:
            # Mirrors and tokens of registries, which only fetching needs.
            own = Path(os.environ.get("CARGO_HOME") or Path("~/.cargo").expanduser())
            for name in ("config.toml", "credentials.toml"):
                if (own / name).is_file() and not (self.home / name).exists():
                    (self.home / name).symlink_to(own / name)

    def must(self, *arguments: str, folder: Path) -> None:
        """Run cargo.

        Raises:
            BuildFailed: it did not succeed; the message ends with its last lines.
        """
        problem = self.run(*arguments, folder=folder)
        if problem is not None:
            raise BuildFailed(f"cargo {arguments[0]} failed:\n{problem}")

    def run(self, *arguments: str, folder: Path) -> str | None:
        """None where cargo succeeded, otherwise its last lines."""
        answer = self._start(arguments, folder, self._say)
        return None if answer.returncode == 0 else last_lines(answer.stderr or answer.stdout)

    def metadata(self, folder: Path) -> dict[str, Any]:
        """What cargo knows of the package in a folder."""
        answer = self._start(("metadata", "--no-deps", "--offline", "--format-version", "1"), folder, None)
        if answer.returncode != 0:
            raise BuildFailed(f"cargo metadata failed:\n{last_lines(answer.stderr)}")
        found: dict[str, Any] = json.loads(answer.stdout)
        return found

    def _start(self, arguments: Sequence[str], folder: Path, say: Say | None) -> Any:
        sealed = self._scratch / "vendor"
        settings = (
            [] if self._network else ['source.crates-io.replace-with="sealed"', f'source.sealed.directory="{sealed}"']
        )
        return run_tool(
            [
                self._toolchain.programs["cargo"],
                *(word for line in settings for word in ("--config", line)),
                *arguments,
            ],
            folder=folder,
            scratch=self._scratch,
            variables={
                "CARGO_HOME": str(self.home),
                "CARGO_TARGET_DIR": str(self._scratch / "target"),
                "CARGO_INCREMENTAL": "0",
                "CARGO_TERM_COLOR": "never",
                "RUSTC": str(self._toolchain.programs["rustc"]),
                # The place where it is built is in no program: the same sources give the same bytes anywhere.
                "CARGO_ENCODED_RUSTFLAGS": f"--remap-path-prefix={self._scratch}=/muster",
            },
            say=say,
            network=self._network,
        )


def without_addresses(lock: bytes) -> bytes:
    """A Cargo.lock without the lines that say from which registry a crate comes."""
    lines = lock.splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith((b'source = "registry+', b'source = "sparse+')))


def _runtime(bundle: Bundle) -> RustRuntime:
    assert isinstance(bundle.runtime, RustRuntime)
    return bundle.runtime


def _foreign_dependencies(document: dict[str, Any], manifest: str) -> Iterator[Finding]:
    """Dependencies that no registry has: of repositories, and of folders outside the bundle."""
    for table in _DEPENDENCIES:
        for name, wanted in document.get(table, {}).items():
            if not isinstance(wanted, dict):
                continue
            if "git" in wanted:
                remedy = f"Use a published version, or put the sources into the bundle: {name} = {{ path = … }}."
                yield Finding("error", manifest, f"{name} comes from a repository, which is sealed nowhere", remedy)
            path = wanted.get("path", "")
            if path.startswith("/") or ".." in path.split("/"):
                remedy = f"Put its folder into the bundle and write {name} = {{ path = … }} relative to {manifest}."
                yield Finding("error", manifest, f"{name} lies outside of the bundle: {path}", remedy)


def _rustup_home() -> Path:
    return Path(os.environ.get("RUSTUP_HOME") or Path("~/.rustup").expanduser())


def _sysroots(path: str, rustup: Path) -> Iterator[Path]:
    """Folders with `bin/rustc` and `bin/cargo`: that of the PATH first, then rustup's others."""
    rustc = shutil.which("rustc", path=path)
    if rustc is not None:
        sysroot = _sysroot_of(rustc)
        if sysroot is not None:
            yield sysroot
    if (rustup / "toolchains").is_dir():
        yield from sorted((rustup / "toolchains").iterdir())


@functools.cache
def _sysroot_of(rustc: str) -> Path | None:
    """Where the compiler really lies: rustup puts a proxy into the PATH, which wants its own home and may switch versions."""
    said = _said([rustc, "--print", "sysroot"])
    return Path(said) if said else None


@functools.cache
def _name_of(sysroot: Path) -> str | None:
    """`rust-1.95.0`; None where compiler or cargo are not there."""
    if not (sysroot / "bin" / "cargo").is_file():
        return None
    words = _said([str(sysroot / "bin" / "rustc"), "--version"]).split()
    return f"rust-{words[1]}" if len(words) > 1 else None


def _said(command: list[str]) -> str:
    """What a program of the toolchain says of itself; empty where it cannot be started."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _program_of(cargo: _Cargo, package: Path) -> str:
    """The binary that serves: the only one, or the one that is named `model` or like its package."""
    described = cargo.metadata(package)["packages"]
    here = next((entry for entry in described if Path(entry["manifest_path"]).parent == package), None)
    if here is None:
        raise BuildFailed(f"{MANIFEST} at [runtime] entry describes no package")
    names = [target["name"] for target in here["targets"] if "bin" in target["kind"]]
    for wanted in ("model", here.get("default_run"), here["name"]):
        if wanted in names:
            return str(wanted)
    if len(names) == 1:
        return str(names[0])
    raise BuildFailed(
        f"{MANIFEST} has {len(names)} programs ({', '.join(names)}) and none is named `model` or {here['name']}"
        if names
        else f"{MANIFEST} has no program: src/main.rs is missing"
    )


def _unpack(part: Part, vendor: Path) -> None:
    """Put a crate where cargo looks for it as a directory source."""
    name = f"{part.package.name}-{part.package.version}"
    try:
        with tarfile.open(part.path, "r:gz") as archive:
            members = archive.getmembers()
            outside = [member.name for member in members if member.name.split("/")[0] != name]
            if outside or sum(member.size for member in members) > _MOST_UNPACKED_BYTES:
                raise PartUnsafe(f"{part.file} holds {outside[0] if outside else 'more than 4 GiB'}", file=part.file)
            archive.extractall(vendor, filter="data")
    except tarfile.FilterError as error:
        raise PartUnsafe(f"{part.file} holds a name that leads out of it: {error}", file=part.file) from error
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BuildFailed(f"{part.file} is no crate: {error}") from error
    checksum = next(iter(part.package.hashes)).removeprefix("sha256:")
    (vendor / name / ".cargo-checksum.json").write_text(json.dumps({"files": {}, "package": checksum}))


def _licence_of(crate: Path) -> str | None:
    """What a crate says of its licence, an SPDX expression."""
    name = f"{crate.name.removesuffix('.crate')}/{MANIFEST}"
    try:
        with tarfile.open(crate, "r:gz") as archive:
            file = archive.extractfile(name)
            document = tomllib.loads(file.read().decode("utf-8")) if file is not None else {}
    except (KeyError, tarfile.TarError, EOFError, OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return None
    licence = document.get("package", {}).get("license")
    return licence.replace("/", " OR ") if isinstance(licence, str) else None
