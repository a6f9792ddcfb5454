"""Go: go.sum, module zips behind a proxy that is a folder, one static program."""

import base64
import functools
import hashlib
import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from muster.environments.errors import BuildFailed, LockUnresolved, PartDiffers, ToolchainMissing
from muster.environments.offline import run_tool
from muster.environments.parts import place
from muster.environments.protocol import BuildJob, Package, Program, Say, Toolchain
from muster.environments.sources import copy_sources
from muster.packaging.documents import Bundle
from muster.packaging.errors import BundleMalformed
from muster.packaging.findings import Finding
from muster.packaging.runtimes import GoRuntime
from muster.packaging.uv import last_lines, surroundings

#: Marker of a module of which only go.mod is read: nothing of it is compiled.
GRAPH_ONLY = "go.mod"
_HELPER = "musterhost"
_OLDEST = (1, 22)
#: A module's path and version have the letters that Go allows, so that they are never read as an option or a folder.
_ELEMENT = r"[A-Za-z0-9_~][A-Za-z0-9._~-]*"
_LINE = re.compile(
    rf"({_ELEMENT}(?:/{_ELEMENT})*) (v\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)(/go\.mod)? (h1:[A-Za-z0-9+/]{{43}}=)",
    re.ASCII,
)
_REQUIRED = re.compile(r"^\s*(?:require\s+)?([^\s/()]+\.[^\s()]+)\s+(v\S+)", re.MULTILINE)
_REPLACED = re.compile(r"^\s*(?:replace\s+)?\S+(?:\s+v\S+)?\s+=>\s+(\S+)", re.MULTILINE)
_ALIKE = "Run `go mod tidy` where the helper is among the sources, or delete it and run `muster assemble`."
#: A module without dependencies has an empty go.sum, which a bundle cannot tell from a lost one.
_NO_PACKAGES = b"\n"


class Go:
    """A program linked with the package musterhost."""

    kind: ClassVar[str] = "go"
    lock_name: ClassVar[str] = "go.sum"

    def problems(self, folder: Path, bundle: Bundle) -> Iterator[Finding]:
        """What is wrong with a bundle as far as it can be seen without tools."""
        runtime = _runtime(bundle)
        entry = folder / runtime.entry
        if not entry.is_dir() or not any(entry.glob("*.go")):
            yield Finding(
                "error",
                "muster.toml",
                f"[runtime] entry = {runtime.entry!r} is no folder with Go files",
                'Name the folder of the package main; "." is the bundle itself.',
            )
        if not (folder / _HELPER / "serve.go").is_file():
            yield Finding(
                "error",
                f"{_HELPER}/serve.go",
                "it is missing",
                "Make the bundle with `muster assemble`, which puts the helper there.",
            )
        if (folder / "go.mod").is_file():
            yield from _module_problems(folder, runtime.lock)

    def toolchain(self, bundle: Bundle) -> Toolchain:
        """Go on this machine.

        Raises:
            ToolchainMissing: there is none, or one of another minor version than the bundle names.
        """
        go = shutil.which("go")
        if go is None:
            raise ToolchainMissing("go is not on this machine; Debian: apt install golang-go", program="go")
        version = _version_of(go, Path(go).stat().st_mtime_ns)
        if tuple(map(int, version.split(".")[:2])) < _OLDEST:
            raise ToolchainMissing(f"go {version} is too old, 1.22 or later is needed", program="go")
        wanted = _runtime(bundle).toolchain
        if wanted and _minor(wanted) != _minor(f"go-{version}"):
            raise ToolchainMissing(
                f"{bundle.name} was made with {wanted}, and this machine has go {version}; install one of the same minor version",
                program="go",
                wanted=wanted,
                found=f"go-{version}",
            )
        return Toolchain(name=f"go-{version}", programs={"go": Path(go).resolve()})

    def packages(self, lock: bytes) -> tuple[Package, ...]:
        """What go.sum names, sorted; a module of which only go.mod is read has the marker `go.mod`.

        Raises:
            BundleMalformed: a line is none of go.sum's; the message names it.
        """
        sums: dict[tuple[str, str], dict[bool, str]] = {}
        try:
            lines = lock.decode().splitlines()
        except UnicodeDecodeError as error:
            raise BundleMalformed(f"go.sum is not UTF-8: {error}") from error
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            match = _LINE.fullmatch(line)
            if match is None:
                raise BundleMalformed(
                    f"go.sum, line {number}: {line[:80]!r} is no module, version and h1 hash. {_ALIKE}"
                )
            module, version, graph, total = match.groups()
            sums.setdefault((module, version), {})[graph is not None] = total
        return tuple(
            Package(
                ecosystem="golang",
                name=module,
                version=version,
                hashes=frozenset(found.values()),
                marker=None if False in found else GRAPH_ONLY,
            )
            for (module, version), found in sorted(sums.items())
        )

    def lock(self, folder: Path, bundle: Bundle, scratch: Path, say: Say) -> bytes:
        """go.sum of the modules that the entry is built from.

        Raises:
            LockUnresolved: a module cannot be had, or go.mod does not name it.
            ToolchainMissing: there is no Go.
        """
        if not (folder / "go.mod").is_file():
            raise LockUnresolved(f"{folder} has no go.mod; `go mod init NAME` writes one")
        runtime = _runtime(bundle)
        work = scratch / "lock"
        copy_sources(folder, bundle, work)
        if (folder / runtime.lock).is_file():
            shutil.copyfile(folder / runtime.lock, work / "go.sum")
        before = _required(work / "go.mod")
        go = self.toolchain(bundle).programs["go"]
        # The standard library is compiled for none of it: packages are listed, not built.
        command = ("list", "-mod=mod", "-deps", _package(runtime.entry))
        done = run_tool([go, *command], folder=work, scratch=scratch, variables=_variables(scratch), network=True)
        if done.returncode != 0:
            raise LockUnresolved(
                f"go cannot find what {runtime.entry} needs:\n{last_lines(done.stderr or done.stdout)}"
            )
        added = sorted(f"{module}@{version}" for module, version in _required(work / "go.mod") - before)
        if added:
            raise LockUnresolved(
                f"go.mod does not name what the sources import; run `go get {' '.join(added)}`", added=added
            )
        say("go has locked go.mod")
        found = work / "go.sum"
        return (found.read_bytes() if found.is_file() else b"") or _NO_PACKAGES

    def fetch(
        self, packages: Sequence[Package], toolchain: Toolchain, scratch: Path, say: Say
    ) -> Iterator[tuple[Package, str, Path]]:
        """go.mod of each module, and the zip of those that are compiled; each is held against its h1 hash.

        Raises:
            LockUnresolved: a module does not exist, or no proxy answers.
            PartDiffers: a module is not the one that go.sum names.
        """
        if not packages:
            return
        go = toolchain.programs["go"]
        say(f"fetching {len(packages)} Go modules")
        for is_graph in (False, True):
            named = [package for package in packages if (package.marker == GRAPH_ONLY) is is_graph]
            if not named:
                continue
            command = ("list", "-m", "-json") if is_graph else ("mod", "download", "-json")
            done = run_tool(
                [go, *command, "--", *(f"{package.name}@{package.version}" for package in named)],
                folder=scratch,
                scratch=scratch,
                variables=_variables(scratch) | {"GOFLAGS": "-mod=mod -modcacherw"},
                network=True,
            )
            found = {(module["Path"], module["Version"]): module for module in _documents(done.stdout)}
            for package in named:
                module = found.get((package.name, package.version), {})
                if "GoMod" not in module:
                    reason = module.get("Error") or last_lines(done.stderr) or "no such version"
                    raise LockUnresolved(f"go cannot fetch {package.name} {package.version}: {reason}")
                yield from _artefacts(package, module, scratch)

    def build(self, job: BuildJob) -> None:
        """Compile the program from sources and modules alone.

        Raises:
            BuildFailed: the compiler said no, or a module is not the one that go.sum names.
        """
        runtime = _runtime(job.bundle)
        proxy, work = job.scratch / "proxy", job.scratch / "source"
        proxy.mkdir()
        for part in job.parts:
            place(part, proxy / part.file)
        copy_sources(job.folder, job.bundle, work)
        shutil.copyfile(job.folder / runtime.lock, work / "go.sum")
        program = job.tree / "bin" / "model"
        variables = _variables(job.scratch) | {
            "GOPROXY": proxy.as_uri(),
            "GOSUMDB": "off",
            "GOFLAGS": "-mod=readonly -modcacherw",
            "CGO_ENABLED": "0",
        }
        tags = (f"-tags={','.join(runtime.flags)}",) if runtime.flags else ()
        command = ["build", "-trimpath", "-buildvcs=false", *tags, "-o", program, _package(runtime.entry)]
        done = run_tool([job.toolchain.programs["go"], *command], folder=work, scratch=job.scratch, variables=variables)
        if done.returncode != 0:
            raise BuildFailed(f"go build failed:\n{last_lines(done.stderr + done.stdout)}")

    def program(self, environment: Path, folder: Path, bundle: Bundle) -> Program | None:  # noqa: ARG002 - of the protocol
        """How the model is started."""
        return Program(argv=(str(environment / "bin" / "model"),))

    def helper(self) -> Mapping[str, str]:
        """Files that travel in the bundle."""
        names = ("doc.go", "serve.go", "columns.go", "fields.go", "frames.go", "half.go", "lines.go")
        return {f"go/{name}": f"{_HELPER}/{name}" for name in names}


def _runtime(bundle: Bundle) -> GoRuntime:
    assert isinstance(bundle.runtime, GoRuntime)
    return bundle.runtime


@functools.lru_cache(maxsize=8)
def _version_of(go: str, _changed_ns: int) -> str:
    own = {**surroundings(), "GOTOOLCHAIN": "local", "GO111MODULE": "off"}
    try:
        command = [go, "env", "GOVERSION"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True, env=own).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolchainMissing(f"{go} does not run: {error}", program="go") from error
    return said.strip().removeprefix("go").partition(" ")[0]


def _minor(toolchain: str) -> list[str]:
    return toolchain.split(".")[:2]


def _variables(scratch: Path) -> dict[str, str]:
    return {
        "GOMODCACHE": str(scratch / "modules"),
        # Each build's own: whoever could write into one that builds share, any model's process, would write into the programs of others.
        "GOCACHE": str(scratch / "compiled"),
        "GOPATH": str(scratch / "go"),
        "GOENV": "off",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-modcacherw",
        "GOWORK": "off",
    }


def _package(entry: str) -> str:
    """An entry as the go command wants it."""
    return "." if entry in {"", "."} else f"./{entry}"


def _required(module_file: Path) -> set[tuple[str, str]]:
    """Modules and versions that a go.mod requires."""
    text = "\n".join(line.partition("//")[0] for line in module_file.read_text(encoding="utf-8").splitlines())
    replaced = {match.start() for match in _REPLACED.finditer(text)}
    return {match.groups() for match in _REQUIRED.finditer(text) if match.start() not in replaced}  # type: ignore[misc]


def _module_problems(folder: Path, lock: str) -> Iterator[Finding]:
    for target in _REPLACED.findall((folder / "go.mod").read_text(encoding="utf-8", errors="replace")):
        if target.startswith(("../", "/")):
            yield Finding(
                "error",
                "go.mod",
                f"it replaces a module by {target}, which lies outside of the bundle",
                "Put that folder among the sources, or require a published version.",
            )
    if not (folder / lock).is_file():
        return
    try:
        locked = {(package.name, package.version) for package in Go().packages((folder / lock).read_bytes())}
    except BundleMalformed as error:
        yield Finding("error", lock, error.message, _ALIKE)
        return
    for module, version in sorted(_required(folder / "go.mod") - locked):
        yield Finding("error", lock, f"it does not name {module} {version}, which go.mod requires", _ALIKE)


def _documents(text: str) -> Iterator[dict[str, str]]:
    """JSON documents one after another, as the go command prints them."""
    decoder = json.JSONDecoder()
    at = 0
    while text[at:].strip():
        begin = at + len(text[at:]) - len(text[at:].lstrip())
        document, at = decoder.raw_decode(text, begin)
        yield document


def _artefacts(package: Package, module: Mapping[str, str], scratch: Path) -> Iterator[tuple[Package, str, Path]]:
    cache = scratch / "modules" / "cache" / "download"
    named = [(Path(module["GoMod"]), sum_of_file)]
    if package.marker != GRAPH_ONLY:
        named.append((Path(module["Zip"]), sum_of_zip))
    for path, total in named:
        found = total(path)
        if found not in package.hashes:
            raise PartDiffers(
                f"{path.name} of {package.name} {package.version} has the hash {found}, which go.sum does not name",
                package=f"{package.name} {package.version}",
                file=path.name,
                found=found,
            )
        yield package, path.relative_to(cache).as_posix(), path


def sum_of_file(path: Path) -> str:
    """Go's h1 hash of a go.mod."""
    return _sum({"go.mod": path.read_bytes()})


def sum_of_zip(path: Path) -> str:
    """Go's h1 hash of a module zip."""
    with zipfile.ZipFile(path) as archive:
        return _sum({name: archive.read(name) for name in archive.namelist()})


def _sum(files: Mapping[str, bytes]) -> str:
    """SHA-256 over a sorted list of SHA-256 and name.

    Source: golang.org/x/mod/sumdb/dirhash, Hash1.
    """
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n".encode())
    return "h1:" + base64.b64encode(total.digest()).decode()
