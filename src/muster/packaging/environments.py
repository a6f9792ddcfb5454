"""Environments: one read-only folder per lock, interpreter and platform, built by uv, checked by hash.

    root/<hex>/        the virtual environment
    root/<hex>.files   every file with its SHA-256
    root/<hex>.json    what it is; written last: without it there is no environment
    root/<hex>.lock    held while one is built

The files of an environment share their bytes with uv's cache (hard links), so damage to one may be damage to the other: after
damage the packages concerned are dropped from the cache as well and fetched again.
"""

import base64
import csv
import fcntl
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import rfc8785
from packaging.utils import canonicalize_name

from muster.packaging.errors import EnvironmentDamaged, EnvironmentFailed, EnvironmentMissing
from muster.packaging.interpreters import find_interpreter, platform_tag
from muster.packaging.lock_file import LockedPackage, read_lock
from muster.packaging.trees import (
    Listed,
    differences,
    listing_of,
    make_read_only,
    read_listing,
    remove_tree,
    stat_signature,
    write_listing,
)
from muster.packaging.uv import last_lines, run_uv
from muster.vocabulary.digests import Digest, checked_digest, digest_of, hex_of

#: Part of every environment's id: raise it when environments are built so differently that answers could differ.
BUILDER = "muster-environments/1"

Progress = Callable[[str], None]

_LOCK_POLL_S = 0.05
_READ_ONLY_FOLDER = 0o555


class _Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """root/<hex>.json."""

    format: Literal[1]
    id: str
    builder: str
    interpreter: str
    platform: str
    lock: str
    python: str
    packages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """An environment that is there."""

    id: Digest
    """SHA-256 of lock, exact interpreter, platform and builder."""
    python: Path
    """Its interpreter."""
    interpreter: str
    """`cpython-3.11.7`."""
    platform: str
    """`manylinux_2_36_x86_64`."""
    lock_digest: Digest

    @property
    def folder(self) -> Path:
        """The virtual environment."""
        return self.python.parent.parent


def environment_id(lock_digest: Digest, interpreter: str, platform: str) -> Digest:
    """The identity of an environment: everything that decides which bytes are in it."""
    return digest_of(
        rfc8785.dumps({"builder": BUILDER, "interpreter": interpreter, "lock": lock_digest, "platform": platform})
    )


class Environments:
    """The environments of one machine; safe to use from several threads and several processes at once.

    Args:
        root: where they lie.
        cache: uv's cache, on the same file system so that packages are linked and not copied.
    """

    def __init__(self, root: Path, cache: Path) -> None:
        self._root = root
        self._cache = cache
        self._seen: dict[Digest, str] = {}
        self._guard = threading.Lock()

    def ensure(
        self, lock: bytes, python: str, wheels: Path | None = None, progress: Progress | None = None
    ) -> Environment:
        """The environment of a lock: the one that is there if it is whole, otherwise built now.

        Args:
            lock: content of requirements.lock.
            python: the exact version of Python that the bundle wants; the nearest of the same minor version is taken.
            wheels: folder of the local wheels that the lock names.
            progress: told what is being done, a line at a time.

        Raises:
            InterpreterMissing: no suitable Python is installed.
            EnvironmentFailed: uv could not build it.
            BundleMalformed: the lock is none.
        """
        packages = read_lock(lock)
        interpreter = find_interpreter(python)
        lock_digest = digest_of(lock)
        identity = environment_id(lock_digest, interpreter.name, platform_tag())
        description = _Description(
            format=1,
            id=identity,
            builder=BUILDER,
            interpreter=interpreter.name,
            platform=platform_tag(),
            lock=lock_digest,
            python=str(interpreter.path),
            packages=len(packages),
        )
        self._root.mkdir(parents=True, exist_ok=True)
        with self._only_builder(identity, progress):
            try:
                return self._whole(identity)
            except EnvironmentMissing:
                pass
            except EnvironmentDamaged as damage:
                self._drop(identity, damage, packages, progress)
            self._build(description, lock, packages, wheels, progress)
            return self._whole(identity)

    def find(self, identity: Digest) -> Environment:
        """The environment of that id, without a look at its files.

        Raises:
            EnvironmentMissing: there is none on this machine.
        """
        checked_digest(identity)
        try:
            description = msgspec.json.decode(self._beside(identity, ".json").read_bytes(), type=_Description)
        except (OSError, msgspec.MsgspecError) as error:
            raise EnvironmentMissing(f"there is no environment {identity} here", environment=identity) from error
        folder = self._folder(identity)
        if not folder.is_dir():
            raise EnvironmentMissing(f"the folder of environment {identity} is gone", environment=identity)
        return Environment(
            id=identity,
            python=folder / "bin" / "python",
            interpreter=description.interpreter,
            platform=description.platform,
            lock_digest=Digest(description.lock),
        )

    def verify(self, identity: Digest) -> Environment:
        """The environment of that id, if its files are those that were installed.

        Every byte is read the first time in a process, and whenever sizes, inodes or times have changed since; otherwise
        a look at those is enough.

        Raises:
            EnvironmentMissing: there is none on this machine.
            EnvironmentDamaged: a file is missing, too many, or other than it was.
        """
        return self._whole(checked_digest(identity))

    def _whole(self, identity: Digest) -> Environment:
        environment = self.find(identity)
        folder = self._folder(identity)
        with self._guard:
            signature = stat_signature(folder)
            if self._seen.get(identity) == signature:
                return environment
            try:
                wanted = read_listing(self._beside(identity, ".files"))
            except (OSError, ValueError) as error:
                raise EnvironmentDamaged(
                    f"the list of files of environment {identity} cannot be read", environment=identity, paths=[]
                ) from error
            damaged = differences(wanted, listing_of(folder))
            if damaged:
                raise EnvironmentDamaged(
                    f"environment {identity}: {len(damaged)} files are not as installed, for example {damaged[0]}",
                    environment=identity,
                    paths=damaged,
                )
            self._seen[identity] = signature
        return environment

    def _build(
        self,
        description: _Description,
        lock: bytes,
        packages: tuple[LockedPackage, ...],
        wheels: Path | None,
        progress: Progress | None,
    ) -> None:
        identity = Digest(description.id)
        self._clear(identity)
        scratch = self._root / f".{hex_of(identity)}.building"
        scratch.mkdir()
        try:
            tree = scratch / "tree"
            self._install(description, lock, wheels, scratch, tree, progress)
            _refuse_unlocked(tree, packages)
            listing = listing_of(tree)
            spoilt = _unlike_their_wheels(tree, listing)
            if spoilt:
                # The cache was damaged before: what uv took from it is not what it once fetched.
                self._forget(spoilt)
                remove_tree(tree)
                self._install(description, lock, wheels, scratch, tree, progress)
                listing = listing_of(tree)
                spoilt = _unlike_their_wheels(tree, listing)
            if spoilt:
                raise EnvironmentFailed(f"files of {', '.join(sorted(spoilt))} are not those that their wheels list")
            write_listing(scratch / "files", listing)
            make_read_only(tree)
            _sync(scratch / "files")
            (scratch / "files").replace(self._beside(identity, ".files"))
            # A folder that is not writable can be renamed only where its parent stays the same one.
            tree.chmod(stat.S_IRWXU)
            tree.rename(self._folder(identity))
            self._folder(identity).chmod(_READ_ONLY_FOLDER)
            record = scratch / "json"
            record.write_bytes(msgspec.json.format(msgspec.json.encode(description)))
            _sync(record)
            record.replace(self._beside(identity, ".json"))
            _sync(self._root)
        except OSError as error:
            raise EnvironmentFailed(f"the environment cannot be written: {error}", environment=identity) from error
        finally:
            remove_tree(scratch)

    def _install(
        self,
        description: _Description,
        lock: bytes,
        wheels: Path | None,
        scratch: Path,
        tree: Path,
        progress: Progress | None,
    ) -> None:
        file = scratch / "requirements.lock"
        file.write_bytes(lock)
        links: tuple[str, ...] = ()
        if wheels is not None and wheels.is_dir():
            links = ("--find-links", str(wheels))
        self._uv("venv", "--quiet", "--relocatable", "--no-project", "--python", description.python, str(tree))
        self._uv(
            *("pip", "sync", "--require-hashes", "--no-build", "--compile-bytecode", "--allow-empty-requirements"),
            *("--python", str(tree / "bin" / "python"), *links, str(file)),
            progress=progress,
        )
        # Activation scripts and uv's own lock name the place where it was built; hosts need none of them.
        for name in ("activate", "activate.bat", "activate.csh", "activate.fish", "activate.nu", "activate.ps1"):
            (tree / "bin" / name).unlink(missing_ok=True)
        (tree / ".lock").unlink(missing_ok=True)

    def _uv(self, *arguments: str, progress: Progress | None = None) -> None:
        answer = run_uv(*arguments, cache=self._cache, folder=self._root, progress=progress)
        if answer.returncode != 0:
            raise EnvironmentFailed(f"uv {arguments[0]} {arguments[1]} failed:\n{last_lines(answer.stderr)}")

    def _drop(
        self,
        identity: Digest,
        damage: EnvironmentDamaged,
        packages: tuple[LockedPackage, ...],
        progress: Progress | None,
    ) -> None:
        """Take a damaged environment away, and whatever of it the cache may share."""
        paths = damage.facts.get("paths", [])
        owners = _owners_of(self._folder(identity), paths) or {package.name for package in packages}
        if progress is not None:
            progress(f"{damage.message}; fetching {', '.join(sorted(owners))} again")
        self._clear(identity)
        self._forget(owners)

    def _forget(self, packages: set[str]) -> None:
        """Drop packages from uv's cache."""
        run_uv("cache", "clean", *sorted(packages), cache=self._cache, folder=self._root)

    def _clear(self, identity: Digest) -> None:
        self._seen.pop(identity, None)
        self._beside(identity, ".json").unlink(missing_ok=True)
        self._beside(identity, ".files").unlink(missing_ok=True)
        remove_tree(self._folder(identity))
        remove_tree(self._root / f".{hex_of(identity)}.building")

    @contextmanager
    def _only_builder(self, identity: Digest, progress: Progress | None) -> Iterator[None]:
        """Hold the lock of an environment; the kernel gives it back when a process dies."""
        with self._beside(identity, ".lock").open("a") as handle:
            told = False
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if progress is not None and not told:
                        progress("another process is building this environment; waiting for it")
                        told = True
                    time.sleep(_LOCK_POLL_S)
            try:
                yield
            finally:
                fcntl.flock(handle, fcntl.LOCK_UN)

    def _folder(self, identity: Digest) -> Path:
        return self._root / hex_of(identity)

    def _beside(self, identity: Digest, suffix: str) -> Path:
        return self._root / (hex_of(identity) + suffix)


def _site_packages(tree: Path) -> list[Path]:
    return sorted(tree.glob("lib/python*/site-packages"))


def _installed(tree: Path) -> dict[str, Path]:
    """Name → metadata folder of every distribution in an environment."""
    return {
        canonicalize_name(info.name.partition("-")[0]): info
        for site in _site_packages(tree)
        for info in site.glob("*.dist-info")
    }


def _record(info: Path) -> dict[str, str]:
    """Path → SHA-256 in hexadecimal of the files that a distribution's RECORD lists; empty where there is none."""
    try:
        with (info / "RECORD").open(encoding="utf-8", errors="replace", newline="") as stream:
            return {row[0]: _hexadecimal(row[1]) for row in csv.reader(stream) if len(row) > 1}
    except OSError:
        return {}


def _hexadecimal(recorded: str) -> str:
    """`sha256=<urlsafe base64>` of a RECORD as hexadecimal; empty for a file without a hash."""
    kind, _, text = recorded.partition("=")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).hex() if kind == "sha256" else ""
    except ValueError:
        return "damaged"


def _unlike_their_wheels(tree: Path, listing: list[Listed]) -> set[str]:
    """Distributions with a file that is not the one its wheel listed."""
    there = {entry.path: entry.content for entry in listing}
    spoilt = set()
    for name, info in _installed(tree).items():
        site = info.parent.relative_to(tree).as_posix()
        for path, digest in _record(info).items():
            # Scripts are written for this place and so differ; they lie outside of site-packages.
            if digest and not path.startswith("..") and there.get(f"{site}/{path}") != digest:
                spoilt.add(name)
    return spoilt


def _refuse_unlocked(tree: Path, packages: tuple[LockedPackage, ...]) -> None:
    """Nothing may be installed beside the lock's packages."""
    locked = {package.name for package in packages}
    beside = sorted(_installed(tree).keys() - locked)
    if beside:
        raise EnvironmentFailed(f"packages were installed that the lock does not name: {', '.join(beside)}")


def _owners_of(tree: Path, paths: list[str]) -> set[str]:
    """The distributions that damaged files belong to; empty when that cannot be told of every one of them."""
    records = {name: _record(info).keys() for name, info in _installed(tree).items()}
    owners = set()
    for path in paths:
        inside = re.sub(r"^lib/python[^/]*/site-packages/", "", path)
        source = re.sub(r"__pycache__/([^/]+)\.cpython-\d+(?:\.opt-\d)?\.pyc$", r"\1.py", inside)
        owner = next((name for name in records if _is_metadata_of(inside, name)), None) or next(
            (name for name, listed in records.items() if source in listed), None
        )
        if owner is None:
            return set()
        owners.add(owner)
    return owners


def _is_metadata_of(path: str, name: str) -> bool:
    folder = path.partition("/")[0]
    return folder.endswith(".dist-info") and canonicalize_name(folder.partition("-")[0]) == name


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
