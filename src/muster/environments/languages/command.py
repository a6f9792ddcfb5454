"""Any program that speaks one of the two wires and is on this machine already: Julia, Octave, a binary of one's own.

Nothing is built and nothing fetched: the program is the machine's. The lock says which it has to be, down to its bytes, so that no version
is served by another one unnoticed.
"""

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import msgspec
import tomli_w

from muster.environments.errors import LockUnresolved, ToolchainMissing
from muster.environments.protocol import BuildJob, Package, Program, Say, Toolchain
from muster.packaging.documents import Bundle
from muster.packaging.errors import BundleMalformed
from muster.packaging.findings import Finding
from muster.packaging.runtimes import CommandRuntime
from muster.vocabulary.digests import digest_of_file

_DEADLINE_S = 60


class _Lock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """command.lock."""

    program: str
    """Its name, as the first word of `command` has it."""
    version: str
    """The first line that it says when it is asked for its version."""
    digest: str
    """Of its executable."""


class Command:
    """A program of the machine's."""

    kind: ClassVar[str] = "command"
    lock_name: ClassVar[str] = "command.lock"

    def problems(self, folder: Path, bundle: Bundle) -> Iterator[Finding]:
        """A lock that is none, or that names another program."""
        runtime = _runtime_of(bundle)
        file = folder / runtime.lock
        if not file.is_file():
            return
        remedy = "Make it anew: take it away and run `muster assemble`."
        try:
            lock = _read(file.read_bytes())
        except BundleMalformed as error:
            yield Finding("error", runtime.lock, error.message, remedy)
            return
        name = Path(runtime.command[0]).name
        if lock.program != name:
            yield Finding("error", runtime.lock, f"it is of {lock.program}, and the command begins with {name}", remedy)
        elif _place_of(runtime, folder) is None:
            said = f"this machine has no {runtime.command[0]}; it can be certified where there is one"
            yield Finding("warning", "muster.toml", said, f"Install {name}, {lock.version}.")

    def toolchain(self, bundle: Bundle) -> Toolchain:
        """The program on the PATH; one that the bundle brings along needs none of the machine's.

        Raises:
            ToolchainMissing: it is not there.
        """
        runtime = _runtime_of(bundle)
        word = runtime.command[0]
        if _is_carried(word):
            return Toolchain(name=runtime.toolchain or f"{Path(word).name}-0", programs={})
        found = shutil.which(word)
        if found is None:
            raise ToolchainMissing(
                f"{bundle.name} is run by {word}, and this machine has no {word} on its PATH: install it", program=word
            )
        return Toolchain(
            name=f"{Path(word).name.lower()}-{_short(_version_of(Path(found)))}", programs={word: Path(found)}
        )

    def packages(self, lock: bytes) -> tuple[Package, ...]:
        """The program itself, which belongs to the machine.

        Raises:
            BundleMalformed: it is no command.lock.
        """
        known = _read(lock)
        return (Package(ecosystem="system", name=known.program, version=known.version, hashes=frozenset()),)

    def differing(self, folder: Path, bundle: Bundle) -> tuple[str, ...]:
        """The program, if it is another one than the lock says."""
        runtime = _runtime_of(bundle)
        lock = _read((folder / runtime.lock).read_bytes())
        place = _place_of(runtime, folder)
        if place is None:
            raise ToolchainMissing(
                f"{bundle.name} is run by {runtime.command[0]}, {lock.version}, and this machine has none: install it",
                program=runtime.command[0],
            )
        if digest_of_file(place.resolve()) == lock.digest:
            return ()
        return (f"{place} is {_version_of(place)!r} with other bytes than the lock's {lock.version!r}",)

    def lock(self, folder: Path, bundle: Bundle, scratch: Path, say: Say) -> bytes:  # noqa: ARG002 - nothing is fetched
        """What the program is on this machine.

        Raises:
            ToolchainMissing: it is not there.
        """
        runtime = _runtime_of(bundle)
        place = _place_of(runtime, folder)
        if place is None:
            raise ToolchainMissing(f"this machine has no {runtime.command[0]}: install it", program=runtime.command[0])
        version = "carried" if _is_carried(runtime.command[0]) else _version_of(place)
        say(f"{place}: {version}")
        locked = _Lock(Path(runtime.command[0]).name, version, digest_of_file(place.resolve()))
        return tomli_w.dumps(msgspec.to_builtins(locked)).encode()

    def fetch(
        self,
        packages: Sequence[Package],
        toolchain: Toolchain,  # noqa: ARG002 - the protocol's
        scratch: Path,  # noqa: ARG002
        say: Say,  # noqa: ARG002
    ) -> Iterator[tuple[Package, str, Path]]:
        """Nothing: the program is the machine's."""
        if packages:
            raise LockUnresolved(f"{packages[0].name} belongs to the machine and cannot be fetched")
        return iter(())

    def build(self, job: BuildJob) -> None:
        """Nothing is built: the tree holds the command, for whoever looks."""
        (job.tree / "command").write_text("\n".join(_runtime_of(job.bundle).command) + "\n", encoding="utf-8")

    def program(self, environment: Path, folder: Path, bundle: Bundle) -> Program | None:  # noqa: ARG002 - its tree is empty
        """The command, its first word made absolute."""
        runtime = _runtime_of(bundle)
        place = _place_of(runtime, folder)
        if place is None:
            raise ToolchainMissing(f"this machine has no {runtime.command[0]}: install it", program=runtime.command[0])
        return Program(argv=(str(place), *runtime.command[1:]))

    def helper(self) -> Mapping[str, str]:
        """None: whoever writes such a program speaks the wire themselves."""
        return {}


def _runtime_of(bundle: Bundle) -> CommandRuntime:
    runtime = bundle.runtime
    if not isinstance(runtime, CommandRuntime):
        raise BundleMalformed(f"{bundle.name} is of kind {runtime.kind}, not command")
    return runtime


def _is_carried(word: str) -> bool:
    """Whether a first word names a file of the bundle: `./host`, `bin/host`."""
    return "/" in word and not word.startswith("/")


def _place_of(runtime: CommandRuntime, folder: Path) -> Path | None:
    word = runtime.command[0]
    if _is_carried(word):
        place = folder.resolve() / word
        return place if place.is_file() and ".." not in word.split("/") else None
    found = shutil.which(word)
    return None if found is None else Path(found).absolute()


def _version_of(program: Path) -> str:
    """The first line that a program says of its version; empty: it says nothing."""
    try:
        said = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_DEADLINE_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return next((line.strip() for line in (said.stdout + said.stderr).splitlines() if line.strip()), "")


def _short(version: str) -> str:
    """The number in a line like `julia version 1.10.4`; `0` where there is none."""
    words = [word.strip("(),;v") for word in version.split()]
    numbers = [word for word in words if word[:1].isdigit()]
    return next(
        (word for word in numbers if "." in word), numbers[0] if numbers else "0"
    )  # perl says "perl 5" before 5.36.0


def _read(content: bytes) -> _Lock:
    try:
        return msgspec.toml.decode(content, type=_Lock)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BundleMalformed(f"command.lock: {error}; it has the keys program, version, digest") from error
