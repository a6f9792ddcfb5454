"""Python: a lock of exact versions with hashes, wheels fetched by pip, environments built by uv.

The wheels are fetched as files, because uv's cache keeps only what it has unpacked, and what is sealed for years are the very bytes that
the lock names. The environment itself is built by `packaging.environments`, which the shelf calls for every kind that has an interpreter.
"""

import email
import os
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from packaging.markers import Marker, default_environment
from packaging.tags import platform_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from muster.environments.errors import BuildFailed, LockUnresolved, ToolchainMissing
from muster.environments.offline import run_tool
from muster.environments.protocol import BuildJob, Package, Program, Say, Toolchain
from muster.packaging.documents import Bundle
from muster.packaging.errors import InterpreterMissing
from muster.packaging.findings import Finding
from muster.packaging.interpreters import find_interpreter
from muster.packaging.lock_file import read_lock
from muster.packaging.uv import last_lines, run_uv

#: Settings of uv that say where packages come from, as pip calls them.
_INDEXES = {
    "UV_DEFAULT_INDEX": "PIP_INDEX_URL",
    "UV_INDEX_URL": "PIP_INDEX_URL",
    "UV_INDEX": "PIP_EXTRA_INDEX_URL",
    "UV_EXTRA_INDEX_URL": "PIP_EXTRA_INDEX_URL",
    "UV_FIND_LINKS": "PIP_FIND_LINKS",
    "UV_NO_INDEX": "PIP_NO_INDEX",
}
#: Of these pip takes several, with spaces between.
_SEVERAL = frozenset({"PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"})
#: Where an author may say what an environment shall hold.
WANTED_NAME = "requirements.in"
_LICENCE_CLASSIFIER = "License :: OSI Approved :: "
_LONGEST_LICENCE = 64


class Python:
    """Python, in a virtual environment of its own."""

    kind: ClassVar[str] = "python"
    lock_name: ClassVar[str] = "requirements.lock"

    def problems(self, folder: Path, bundle: Bundle) -> Iterator[Finding]:  # noqa: ARG002 - what there is to say, packaging says
        """Nothing beyond what `muster check` has always found in such bundles, but an interpreter that is not here."""
        try:
            find_interpreter(bundle.runtime.interpreter)
        except InterpreterMissing as error:
            yield Finding(
                "warning", "muster.toml", f"{error.message}; it can be certified where there is one", error.advice
            )

    def toolchain(self, bundle: Bundle) -> Toolchain:
        """The interpreter: of exactly that version, else of the same minor version.

        Raises:
            ToolchainMissing: there is none.
        """
        try:
            interpreter = find_interpreter(bundle.runtime.interpreter)
        except InterpreterMissing as error:
            raise ToolchainMissing(f"{error.message}. {error.advice}", **error.facts) from error
        return Toolchain(name=interpreter.name, programs={"python": interpreter.path})

    def packages(self, lock: bytes) -> tuple[Package, ...]:
        """What requirements.lock names.

        Raises:
            BundleMalformed: a line is no exact pin with hashes.
        """
        return tuple(
            Package(
                ecosystem="pypi",
                name=package.name,
                version=package.version,
                hashes=package.hashes,
                marker=package.marker,
            )
            for package in read_lock(lock)
        )

    def lock(self, folder: Path, bundle: Bundle, scratch: Path, say: Say) -> bytes:
        """A lock of the bundle's requirements.in.

        Raises:
            LockUnresolved: there is no such file, or a package or version does not exist.
        """
        wanted = folder / WANTED_NAME
        if not wanted.is_file():
            raise LockUnresolved(
                f"{bundle.name} has neither {bundle.runtime.lock} nor {WANTED_NAME}; write one requirement a line into the latter",
                file=WANTED_NAME,
            )
        scratch.mkdir(parents=True, exist_ok=True)
        say(f"locking {WANTED_NAME}")
        return locked(wanted.read_text(encoding="utf-8").splitlines(), bundle.runtime.interpreter, scratch)

    def fetch(
        self, packages: Sequence[Package], toolchain: Toolchain, scratch: Path, say: Say
    ) -> Iterator[tuple[Package, str, Path]]:
        """The wheels of packages, as far as this interpreter wants them.

        Raises:
            LockUnresolved: one cannot be had; the message holds what pip said.
        """
        wheels = scratch / "wheels"
        wheels.mkdir(parents=True)
        version = toolchain.name.partition("-")[2]
        here = [package for package in packages if is_wanted(package, version)]
        if not here:
            return
        file = scratch / "wanted.txt"
        file.write_text("".join(f"{_line_of(package)}\n" for package in here), encoding="utf-8")
        answer = run_tool(
            [
                *(sys.executable, "-m", "pip", "download", *_target(toolchain.name)),
                *("--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--no-input", "--quiet"),
                *("--disable-pip-version-check", "--dest", wheels, "--requirement", file),
            ],
            folder=scratch,
            scratch=scratch / "pip",
            variables=_indexes(),
            network=True,
        )
        if answer.returncode != 0:
            raise LockUnresolved(f"the wheels that the lock names cannot be fetched:\n{last_lines(answer.stderr, 4)}")
        wanted = {(package.name, str(Version(package.version))): package for package in here}
        for wheel in sorted(wheels.iterdir()):
            package = wanted.get(_name_of_wheel(wheel.name))
            if package is None:
                raise LockUnresolved(
                    f"{wheel.name} was fetched, which belongs to no package of the lock", file=wheel.name
                )
            say(f"fetched {wheel.name}")
            yield replace(package, licence=_licence_of(wheel)), wheel.name, wheel

    def build(self, job: BuildJob) -> None:
        """Virtual environments are built by `packaging.environments`, which verifies them against the wheels' own records."""
        raise BuildFailed(f"environments of kind {self.kind} are built by the shelf itself, not in {job.tree}")

    def program(self, environment: Path, folder: Path, bundle: Bundle) -> Program | None:  # noqa: ARG002 - a Python host
        """None: a Python host."""
        return None

    def helper(self) -> Mapping[str, str]:
        """None: the host is Muster's own."""
        return {}


def locked(
    wanted: Iterable[str],
    python: str,
    scratch: Path,
    constraints: Iterable[Package] = (),
    wheels: Path | None = None,
) -> bytes:
    """A requirements.lock of what is wanted, with hashes and without an address.

    Args:
        wanted: requirements as pip reads them.
        python: version of the interpreter that it is for: `3.11.7`.
        scratch: a folder to work in.
        constraints: packages that have to keep their versions, if they are wanted at all.
        wheels: folder of wheels that no index has.

    Raises:
        LockUnresolved: no set of versions fits, a package does not exist, or no index answers.
    """
    wanted = [line for line in (line.strip() for line in wanted) if line and not line.startswith("#")]
    (scratch / "wanted.in").write_text("".join(f"{line}\n" for line in wanted), encoding="utf-8")
    pins = {canonicalize_name(package.name): package.version for package in constraints}
    (scratch / "constraints.in").write_text(
        "".join(f"{name}=={version}\n" for name, version in pins.items()), encoding="utf-8"
    )
    output = scratch / "requirements.lock"
    answer = run_uv(
        *("pip", "compile", "--universal", "--generate-hashes", "--no-emit-index-url", "--no-header", "--no-annotate"),
        *("--no-build", "--no-sources", "--python-version", ".".join(python.split(".")[:2]), "--quiet"),
        *(() if wheels is None else ("--no-emit-find-links", "--find-links", str(wheels))),
        *("--constraints", str(scratch / "constraints.in"), "--output-file", str(output), str(scratch / "wanted.in")),
        folder=scratch,
    )
    if answer.returncode != 0:
        raise LockUnresolved(
            f"uv cannot lock {', '.join(wanted)} for Python {python}:\n{last_lines(answer.stderr)}", wanted=list(wanted)
        )
    return output.read_bytes()


def _line_of(package: Package) -> str:
    hashes = " ".join(f"--hash={text}" for text in sorted(package.hashes))
    return f"{package.name}=={package.version} {hashes}"


def is_wanted(package: Package, version: str) -> bool:
    """Whether a package is wanted on this machine by an interpreter of that version."""
    if package.marker is None:
        return True
    minor = ".".join(version.split(".")[:2])
    surroundings = default_environment()
    surroundings["python_version"] = minor
    surroundings["python_full_version"] = surroundings["implementation_version"] = version
    return Marker(package.marker).evaluate({name: str(value) for name, value in surroundings.items()})


def _target(interpreter: str) -> list[str]:
    """For which interpreter and machine pip takes wheels: it runs in Muster's own, which may be another."""
    implementation, _, version = interpreter.partition("-")
    short = {"cpython": "cp", "pypy": "pp"}.get(implementation, implementation)
    minor = "".join(version.split(".")[:2])
    platforms = [word for tag in platform_tags() for word in ("--platform", tag)]
    abis = [word for abi in (f"{short}{minor}", "abi3", "none") for word in ("--abi", abi)]
    return ["--python-version", version, "--implementation", short, *abis, *platforms]


def _indexes() -> dict[str, str]:
    """Where packages come from, for pip: what it was told itself, and what uv was told, which builds the environments, on top."""
    told = {"PIP_REQUIRE_VIRTUALENV": "0"}
    for ours, theirs in _INDEXES.items():
        value = os.environ.get(ours, "").replace(",", " ").strip()
        if value and theirs in _SEVERAL:
            told[theirs] = " ".join(filter(None, (told.get(theirs) or os.environ.get(theirs), value)))
        elif value:
            told[theirs] = value
    return told


def _name_of_wheel(file: str) -> tuple[str, str]:
    try:
        name, version, _, _ = parse_wheel_filename(file)
    except InvalidWheelFilename as error:
        raise LockUnresolved(f"{file} was fetched, which is no wheel: {error}", file=file) from error
    return canonicalize_name(name), str(version)


def _licence_of(wheel: Path) -> str | None:
    """What a wheel says of its licence: its expression, else its classifier, else a short text of its own."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            told = email.message_from_bytes(archive.read(name))
    except (OSError, zipfile.BadZipFile, StopIteration, KeyError):
        return None
    if told["License-Expression"]:
        return str(told["License-Expression"])
    classifiers = [text for text in told.get_all("Classifier", []) if text.startswith(_LICENCE_CLASSIFIER)]
    if classifiers:
        return str(classifiers[0]).removeprefix(_LICENCE_CLASSIFIER)
    own = str(told["License"] or "").strip()
    return own if 0 < len(own) <= _LONGEST_LICENCE and "\n" not in own else None
