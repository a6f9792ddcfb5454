"""Environments: one read-only folder per lock, interpreter and platform, built by uv, checked by hash.

Where they lie and how they come there whole is the affair of `standing`. Their files share bytes with uv's cache (hard links), so
damage to one may be damage to the other: after damage the packages concerned are dropped from the cache as well and taken anew.
"""

import base64
import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import rfc8785
from packaging.utils import canonicalize_name

from muster.packaging.bytecode import Sibling, give_bytecode
from muster.packaging.errors import EnvironmentDamaged, EnvironmentFailed, EnvironmentMissing
from muster.packaging.interpreters import Interpreter, find_interpreter, platform_tag
from muster.packaging.lock_file import LockedPackage, read_lock
from muster.packaging.standing import StandingTrees
from muster.packaging.trees import Listed, listing_of, remove_tree
from muster.packaging.uv import last_lines, run_uv
from muster.vocabulary.digests import Digest, checked_digest, digest_of
from muster.vocabulary.errors import MusterError

#: Part of every environment's id: raise it when environments are built so differently that answers could differ.
BUILDER = "muster-environments/1"

#: Of so many environments that stand, bytecode may be shared.
_MOST_SIBLINGS = 12

Progress = Callable[[str], None]
#: Gives folders that hold every wheel which the interpreter wants, so that no index is asked; None: uv may ask its own.
Supply = Callable[[Interpreter], tuple[Path, ...] | None]


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
        bytecode: whether modules are compiled beforehand; without it every process that imports them compiles them anew.
    """

    def __init__(self, root: Path, cache: Path, *, bytecode: bool = True) -> None:
        self._root = root
        self._cache = cache
        self._bytecode = bytecode
        self._trees = StandingTrees(root)

    def ensure(
        self,
        lock: bytes,
        python: str,
        wheels: Path | None = None,
        progress: Progress | None = None,
        supply: Supply | None = None,
    ) -> Environment:
        """The environment of a lock: the one that is there if it is whole, otherwise built now.

        Args:
            lock: content of requirements.lock.
            python: the exact version of Python that the bundle wants; the nearest of the same minor version is taken.
            wheels: folder of the local wheels that the lock names.
            progress: told what is being done, a line at a time.
            supply: asked for the wheels when the environment has to be built; None: uv gets them.

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
        with self._trees.only_builder(identity, progress):
            damage = None
            try:
                return self._whole(identity)
            except EnvironmentMissing:
                pass
            except EnvironmentDamaged as error:
                damage = error
                self._drop(identity, damage, packages, progress)
            try:
                links = None if supply is None else supply(interpreter)
                self._build(description, lock, packages, (wheels, links), progress)
            except MusterError as error:
                if damage is not None:
                    error.says_instead(f"{damage.message}, and it cannot be built again: {error.message}")
                raise
            return self._whole(identity)

    def find(self, identity: Digest) -> Environment:
        """The environment of that id, without a look at its files.

        Raises:
            EnvironmentMissing: there is none on this machine.
        """
        checked_digest(identity)
        try:
            description = msgspec.json.decode(self._trees.record(identity), type=_Description)
        except msgspec.MsgspecError as error:
            raise EnvironmentMissing(f"there is no environment {identity} here", environment=identity) from error
        folder = self._trees.folder(identity)
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
        try:
            self._trees.require_whole(identity)
        except EnvironmentDamaged as damage:
            named = _named(self._trees.folder(identity), damage.facts.get("paths", []))
            message = f"{damage.message} ({', '.join(named)})" if named else damage.message
            raise EnvironmentDamaged(message, **damage.facts, packages=named) from damage
        return environment

    def _build(
        self,
        description: _Description,
        lock: bytes,
        packages: tuple[LockedPackage, ...],
        sources: "_Sources",
        progress: Progress | None,
    ) -> None:
        identity = Digest(description.id)
        try:
            with self._trees.scratch(identity) as scratch:
                tree = scratch / "tree"
                self._install(description, lock, sources, scratch, tree, progress)
                _refuse_unlocked(tree, packages)
                listing = listing_of(tree)
                spoilt = _unlike_their_wheels(tree, listing)
                if spoilt:
                    # The cache was damaged before: what uv took from it is not what it once fetched.
                    self._forget(spoilt)
                    remove_tree(tree)
                    self._install(description, lock, sources, scratch, tree, progress)
                    listing = listing_of(tree)
                    spoilt = _unlike_their_wheels(tree, listing)
                if spoilt:
                    raise EnvironmentFailed(
                        f"files of {', '.join(sorted(spoilt))} are not those that their wheels list"
                    )
                record = msgspec.json.format(msgspec.json.encode(description))
                self._trees.settle(identity, scratch, tree, listing, record)
        except OSError as error:
            raise EnvironmentFailed(f"the environment cannot be written: {error}", environment=identity) from error

    def _install(
        self,
        description: _Description,
        lock: bytes,
        sources: "_Sources",
        scratch: Path,
        tree: Path,
        progress: Progress | None,
    ) -> None:
        file = scratch / "requirements.lock"
        file.write_bytes(lock)
        wheels, supplied = sources
        folders = [wheels] if wheels is not None and wheels.is_dir() else []
        links = [word for folder in (*folders, *(supplied or ())) for word in ("--find-links", str(folder))]
        if supplied is not None:
            links += ["--offline", "--no-index"]
        self._uv("venv", "--quiet", "--relocatable", "--no-project", "--python", description.python, str(tree))
        self._uv(
            *("pip", "sync", "--require-hashes", "--no-build", "--no-compile-bytecode", "--allow-empty-requirements"),
            *("--python", str(tree / "bin" / "python"), *links, str(file)),
            progress=progress,
            offline=supplied is not None,
        )
        if self._bytecode:
            give_bytecode(tree, self._siblings(description))
        # Activation scripts and uv's own lock name the place where it was built; hosts need none of them.
        for name in ("activate", "activate.bat", "activate.csh", "activate.fish", "activate.nu", "activate.ps1"):
            (tree / "bin" / name).unlink(missing_ok=True)
        (tree / ".lock").unlink(missing_ok=True)

    def _siblings(self, description: _Description) -> Iterator[Sibling]:
        """Environments of the same interpreter that stand here, the newest first."""
        records = sorted(self._root.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        for record in records[:_MOST_SIBLINGS]:
            with suppress(OSError, msgspec.MsgspecError):
                other = msgspec.json.decode(record.read_bytes(), type=_Description)
                if (other.interpreter, other.platform) == (description.interpreter, description.platform):
                    yield Sibling(record.with_suffix(""), record.with_suffix(".files"))

    def _uv(self, *arguments: str, progress: Progress | None = None, offline: bool = False) -> None:
        answer = run_uv(*arguments, cache=self._cache, folder=self._root, progress=progress, offline=offline)
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
        owners = _owners_of(self._trees.folder(identity), paths) or {package.name for package in packages}
        if progress is not None:
            progress(f"{damage.message}; fetching {', '.join(sorted(owners))} again")
        self._trees.clear(identity)
        self._forget(owners)

    def _forget(self, packages: set[str]) -> None:
        """Drop packages from uv's cache."""
        run_uv("cache", "clean", *sorted(packages), cache=self._cache, folder=self._root)


#: A folder of local wheels, and what a supply gave.
_Sources = tuple[Path | None, tuple[Path, ...] | None]


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
            # Scripts are written for this place and so differ; they lie outside of site-packages. Some wheels bring bytecode,
            # which is made anew here.
            is_made_here = path.startswith("..") or path.endswith(".pyc")
            if digest and not is_made_here and there.get(f"{site}/{path}") != digest:
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
    owners = set(_owner_of_each(tree, paths))
    return set() if None in owners else {owner for owner in owners if owner is not None}


def _named(tree: Path, paths: list[str]) -> list[str]:
    """Which packages damaged files belong to: `numpy 2.4.6: 1 file`."""
    installed = _installed(tree)
    counts = Counter(_owner_of_each(tree, paths))
    named = []
    for owner, count in sorted(counts.items(), key=lambda item: item[0] or "~"):
        version = installed[owner].name.removesuffix(".dist-info").partition("-")[2] if owner in installed else ""
        what = "of no package" if owner is None else f"{owner} {version}".strip()
        named.append(f"{what}: {count} file{'s' if count > 1 else ''}")
    return named


def _owner_of_each(tree: Path, paths: list[str]) -> list[str | None]:
    records = {name: _record(info).keys() for name, info in _installed(tree).items()}
    owners: list[str | None] = []
    for path in paths:
        inside = re.sub(r"^lib/python[^/]*/site-packages/", "", path)
        source = re.sub(r"__pycache__/([^/]+)\.cpython-\d+(?:\.opt-\d)?\.pyc$", r"\1.py", inside)
        owners.append(
            next((name for name in records if _is_metadata_of(inside, name)), None)
            or next((name for name, listed in records.items() if source in listed), None)
        )
    return owners


def _is_metadata_of(path: str, name: str) -> bool:
    folder = path.partition("/")[0]
    return folder.endswith(".dist-info") and canonicalize_name(folder.partition("-")[0]) == name
