"""The shelf: the environments of one machine, whatever their language.

ensure   fetch the parts that the lock names, build from them without a network, swap the tree in whole
verify   every byte is the one that was installed
seal     put every part into the store
rebuild  the same environment from the store alone
sweep    take away what nobody wants any more
"""

import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import msgspec

from muster.blobs.errors import BlobNotFound
from muster.blobs.protocol import Blobs
from muster.environments.errors import (
    BuildFailed,
    EnvironmentUnsealed,
    LockUnresolved,
    MachineDiffers,
    PartMissing,
)
from muster.environments.languages.known import LANGUAGES, VENVS
from muster.environments.languages.r import TARBALLS
from muster.environments.parts import Parts, parts_folder
from muster.environments.protocol import BuildJob, HeldAgainstMachine, Language, Package, Part, Say, Toolchain
from muster.environments.recipe import Recipe, recipe_of
from muster.environments.remotes import REMOTES_NAME, remote_called
from muster.environments.sealing import Seal, Sealed, parts_of, put_in_store, read_seal, sealed_parts
from muster.environments.surroundings import surroundings
from muster.packaging.documents import WHEELS_NAME, Bundle, load_order
from muster.packaging.environments import Environment, Environments
from muster.packaging.errors import EnvironmentDamaged, EnvironmentMissing
from muster.packaging.interpreters import Interpreter, find_interpreter, platform_tag
from muster.packaging.runtimes import ProgramRuntime, RemoteRuntime
from muster.packaging.standing import StandingTrees
from muster.packaging.trees import listing_of, remove_tree
from muster.vocabulary.digests import Digest, checked_digest, digest_of, digest_of_file, hex_of
from muster.vocabulary.errors import MusterError
from muster_host.confine import BEST_EFFORT, Level

#: Ecosystems in which every package of a lock has an artefact, unless a marker says that this machine does not want it.
_ALWAYS_THERE = frozenset({"pypi", "maven", "cargo"})


#: How folders begin in which an environment is built for a proof, beside those that stand.
REBUILDING = ".rebuilding-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """An environment that is there."""

    id: Digest
    python: Path
    """The interpreter of its hosts: its own, or Muster's where the model is a program."""
    interpreter: str
    """What runs the model, exactly: `cpython-3.11.7`, `go-1.26.8`."""
    platform: str
    lock_digest: Digest
    folder: Path
    kind: str
    toolchain: str
    remotes: Path | None = field(default=None, compare=False)
    """File with the servers of remote models."""
    confinement: Level = field(default=BEST_EFFORT, compare=False)
    """What the operator says where this machine cannot shut in whatever runs in it."""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep it from being swept while the block runs.

        Raises:
            EnvironmentMissing: it was swept just before.
        """
        with _hold(self.folder.with_name(f"{self.folder.name}.used")):
            if not self.folder.is_dir():
                raise EnvironmentMissing(f"environment {self.id} was taken away just now", environment=self.id)
            yield

    def order(self, folder: Path, bundle: Bundle, threads: int = 1) -> dict[str, Any]:
        """The load order of a bundle that runs in it.

        Raises:
            RemoteUnknown: the bundle names a server that this factory does not know.
        """
        runtime = bundle.runtime
        if isinstance(runtime, RemoteRuntime):
            remote = remote_called(runtime.remote, self.remotes)
            return load_order(folder, bundle, threads, remote=msgspec.structs.asdict(remote))
        program = LANGUAGES[runtime.kind].program(self.folder, folder, bundle)
        if program is None:
            return load_order(folder, bundle, threads)
        wire = runtime.wire if isinstance(runtime, ProgramRuntime) else "binary"
        described = {
            "argv": list(program.argv),
            "variables": dict(program.variables),
            "environment": str(self.folder),
            "wire": wire,
        }
        return load_order(folder, bundle, threads, program=described)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An environment in a list."""

    id: Digest
    kind: str
    toolchain: str
    platform: str
    packages: int
    bytes: int
    """What its files weigh."""
    own_bytes: int
    """What would be free without it: files that it shares with no other."""
    built_at: datetime
    used_at: datetime
    sealed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """An environment that was taken away, or would be."""

    id: Digest
    kind: str
    bytes: int
    """Freed by it."""
    used_at: datetime


class Shelf:
    """The environments of one machine; safe to use from several threads and several processes at once.

    Args:
        root: where they lie.
        uv_cache: uv's cache, on the same file system so that packages are linked and not copied.
        blobs: the store; None: nothing can be sealed or rebuilt from seals.
        remotes: remotes.toml of the home.
        parts: folder of the fetched parts; None: the user's own.
        bytecode: whether Python's modules are compiled beforehand; not worth it where an environment is built for one proof.
        confinement: what counts where this machine cannot shut in whatever runs in them.
    """

    def __init__(
        self,
        root: Path,
        uv_cache: Path,
        blobs: Blobs | None = None,
        remotes: Path | None = None,
        parts: Path | None = None,
        *,
        bytecode: bool = True,
        confinement: Level = BEST_EFFORT,
    ) -> None:
        self._confinement: Level = confinement
        self._root = root
        self._uv_cache = uv_cache
        self._blobs = blobs
        self._remotes = remotes
        self._venvs = Environments(root, uv_cache, bytecode=bytecode)
        self._trees = StandingTrees(root)
        self._parts = Parts(parts or parts_folder(os.environ))

    # Building.

    def ensure(self, folder: Path, bundle: Bundle, say: Say | None = None, *, offline: bool = False) -> Built:
        """The environment of a bundle: the one that is there if it is whole, otherwise built now.

        Args:
            folder: the bundle's.
            bundle: what it says of itself.
            say: told what is being done, a line at a time.
            offline: nothing may be fetched: the parts have to be here, or in the store.

        Raises:
            ToolchainMissing, InterpreterMissing: the tools are not on this machine.
            LockUnresolved, PartDiffers: what the lock names cannot be had, or is something else.
            PartMissing: offline, and a part is not here.
            BuildFailed, EnvironmentFailed: it cannot be built; the message holds the last lines of the tool.
            MachineDiffers: packages of the machine are not those of the lock.
            BundleMalformed: the lock is none.
        """
        return self._ensure(folder, bundle, say, None, offline=offline)

    def identity(self, folder: Path, bundle: Bundle) -> Digest:
        """The id of the environment that this machine would build of a bundle now; nothing is built.

        Raises:
            ToolchainMissing, InterpreterMissing: the tools are not on this machine.
            BundleMalformed: the lock is none.
        """
        language, lock = LANGUAGES[bundle.runtime.kind], _lock_of(folder, bundle)
        if bundle.runtime.kind in VENVS:
            toolchain, packages = find_interpreter(bundle.runtime.interpreter).name, 0
        else:
            toolchain, packages = language.toolchain(bundle).name, len(language.packages(lock))
        return Digest(recipe_of(folder, bundle, lock, toolchain, platform_tag(), packages).id)

    def _ensure(self, folder: Path, bundle: Bundle, say: Say | None, seal: Seal | None, *, offline: bool) -> Built:
        language = LANGUAGES[bundle.runtime.kind]
        self._root.mkdir(parents=True, exist_ok=True)
        if isinstance(language, HeldAgainstMachine):
            differing = language.differing(folder, bundle)
            if differing:
                raise MachineDiffers(
                    f"{bundle.runtime.lock} of {bundle.name} names other packages than this machine has: {'; '.join(differing)}",
                    packages=list(differing),
                )
        if bundle.runtime.kind in VENVS:
            built = self._ensure_venv(language, folder, bundle, say, seal, offline=offline)
        else:
            built = self._ensure_tree(language, folder, bundle, say or _silent, seal, offline=offline)
        self._touch(built.id)
        return built

    def _ensure_venv(
        self, language: Language, folder: Path, bundle: Bundle, say: Say | None, seal: Seal | None, *, offline: bool
    ) -> Built:
        lock = _lock_of(folder, bundle)
        wheels = folder / WHEELS_NAME
        told = say or _silent

        def supply(interpreter: Interpreter) -> tuple[Path, ...] | None:
            toolchain = Toolchain(name=interpreter.name, programs={"python": interpreter.path})
            recipe = recipe_of(folder, bundle, lock, interpreter.name, platform_tag(), 0)
            packages = language.packages(lock)
            try:
                parts = self._gather(language, packages, toolchain, folder, recipe, told, seal, offline=offline)
            except LockUnresolved as error:
                if offline:
                    raise
                # uv may have indexes of its own in its configuration, which the fetching client does not know.
                told(f"{error.message}; uv is asked to get them")
                return None
            return tuple(sorted({part.path.parent for part in parts}))

        python = bundle.runtime.interpreter
        environment = self._venvs.ensure(lock, python, wheels if wheels.is_dir() else None, say, supply)
        return self._of_venv(environment, bundle.runtime.kind)

    def _ensure_tree(
        self, language: Language, folder: Path, bundle: Bundle, say: Say, seal: Seal | None, *, offline: bool
    ) -> Built:
        toolchain = language.toolchain(bundle)
        lock = _lock_of(folder, bundle)
        packages = language.packages(lock)
        recipe = recipe_of(folder, bundle, lock, toolchain.name, platform_tag(), len(packages))
        identity = Digest(recipe.id)
        with self._trees.only_builder(identity, say):
            damage = None
            try:
                return self._whole_tree(identity)
            except EnvironmentMissing:
                pass
            except EnvironmentDamaged as error:
                damage = error
                say(f"{error.message}; it is built again")
            try:
                parts = self._gather(language, packages, toolchain, folder, recipe, say, seal, offline=offline)
                self._build(language, folder, bundle, toolchain, parts, recipe, say)
            except MusterError as error:
                if damage is not None:
                    error.says_instead(f"{damage.message}, and it cannot be built again: {error.message}")
                raise
            return self._whole_tree(identity)

    def _build(
        self,
        language: Language,
        folder: Path,
        bundle: Bundle,
        toolchain: Toolchain,
        parts: tuple[Part, ...],
        recipe: Recipe,
        say: Say,
    ) -> None:
        identity = Digest(recipe.id)
        try:
            with self._trees.scratch(identity) as scratch:
                tree, tools = scratch / "tree", scratch / "tools"
                tree.mkdir()
                tools.mkdir()
                language.build(
                    BuildJob(
                        folder=folder.resolve(),
                        bundle=bundle,
                        toolchain=toolchain,
                        parts=parts,
                        tree=tree,
                        scratch=tools,
                        say=say,
                    )
                )
                record = msgspec.json.format(msgspec.json.encode(recipe))
                self._trees.settle(identity, scratch, tree, listing_of(tree), record)
        except OSError as error:
            raise BuildFailed(
                f"the environment of {bundle.name} cannot be written: {error}", environment=identity
            ) from error

    # Parts.

    def _gather(
        self,
        language: Language,
        packages: Sequence[Package],
        toolchain: Toolchain,
        folder: Path,
        recipe: Recipe,
        say: Say,
        seal: Seal | None,
        *,
        offline: bool,
    ) -> tuple[Part, ...]:
        """Every part that the lock names and this machine wants: from here, from the bundle, from the store, from a registry."""
        if seal is not None:
            return parts_of(seal, packages, self._parts, self._store())
        machine = f"{recipe.toolchain} {recipe.platform}"
        carried = _carried(folder)
        found: list[Part] = []
        missing: list[Package] = []
        for package in packages:
            if not package.hashes:
                continue
            known = self._parts.known(package, machine)
            if not known:
                own = [(package, path.name, path) for digest, path in carried.items() if digest in package.hashes]
                known = self._parts.keep(package, machine, own) if own else known
            if known is None:
                missing.append(package)
            else:
                found.extend(known)
        if not missing:
            return tuple(found)
        sealed = self._sealed_before(Digest(recipe.id))
        if sealed is not None:
            with suppress(PartMissing):
                return parts_of(sealed, packages, self._parts, self._store())
        if offline:
            names = ", ".join(f"{package.name} {package.version}" for package in missing[:5])
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            raise PartMissing(
                f"these parts are neither on this machine nor in its store: {names}{more}",
                environment=recipe.id,
                packages=[f"{package.name} {package.version}" for package in missing],
            )
        found.extend(self._fetch(language, missing, toolchain, machine, recipe, say))
        return tuple(found)

    def _fetch(
        self,
        language: Language,
        missing: Sequence[Package],
        toolchain: Toolchain,
        machine: str,
        recipe: Recipe,
        say: Say,
    ) -> Iterator[Part]:
        say(f"fetching {len(missing)} package{'s' if len(missing) > 1 else ''}")
        with self._place_to_fetch(recipe) as scratch:
            brought: dict[Package, list[tuple[Package, str, Path]]] = {package: [] for package in missing}
            asked = {_name_of(package): package for package in missing}
            for described, file, path in language.fetch(missing, toolchain, scratch, say):
                package = asked.get(_name_of(described))
                if package is None:
                    raise LockUnresolved(f"{file} was fetched, which belongs to no package of the lock", file=file)
                brought[package].append((described, file, path))
            for package, artefacts in brought.items():
                if not artefacts and package.marker is None and package.ecosystem in _ALWAYS_THERE:
                    raise LockUnresolved(
                        f"{package.name} {package.version} has no artefact for {machine}",
                        package=f"{package.name} {package.version}",
                    )
                yield from self._parts.keep(package, machine, artefacts)

    @contextmanager
    def _place_to_fetch(self, recipe: Recipe) -> Iterator[Path]:
        scratch = self._root / f".{hex_of(Digest(recipe.id))}.fetching-{os.getpid()}-{time.monotonic_ns()}"
        scratch.mkdir(parents=True)
        try:
            yield scratch
        finally:
            remove_tree(scratch)

    # Looking.

    def find(self, identity: Digest) -> Built:
        """The environment of that id, without a look at its files.

        Raises:
            EnvironmentMissing: there is none on this machine.
        """
        recipe = self._recipe(checked_digest(identity))
        return self._of_venv(self._venvs.find(identity)) if recipe is None else self._of_tree(recipe)

    def verify(self, identity: Digest) -> Built:
        """The environment of that id, if its files are those that were installed.

        Every byte is read the first time in a process, and whenever sizes, inodes or times have changed since.

        Raises:
            EnvironmentMissing: there is none on this machine.
            EnvironmentDamaged: files are missing, too many, or others than they were; facts: `paths`, `packages`.
        """
        if self._recipe(checked_digest(identity)) is None:
            built = self._of_venv(self._venvs.verify(identity))
        else:
            built = self._whole_tree(identity)
        self._touch(identity)
        return built

    def all(self) -> tuple[Standing, ...]:
        """Every environment that stands here, the one used last first."""
        found = []
        for record in self._root.glob("*.json"):
            with suppress(MusterError, OSError):
                found.append(self._standing(checked_digest(f"sha256:{record.stem}")))
        return tuple(sorted(found, key=lambda standing: standing.used_at, reverse=True))

    @contextmanager
    def held(self, identity: Digest) -> Iterator[None]:
        """Keep an environment from being swept while the block runs."""
        release = self.hold(identity)
        try:
            yield
        finally:
            release()

    def hold(self, identity: Digest) -> Callable[[], None]:
        """Keep an environment from being swept until what this gives is called, or the process ends."""
        self._root.mkdir(parents=True, exist_ok=True)
        return _hold(self._trees.beside(identity, ".used")).close

    # Seals.

    def seal(self, built: Built, folder: Path, bundle: Bundle, say: Say | None = None) -> Sealed:
        """Take everything that an environment is made of into the store.

        Raises:
            EnvironmentUnsealed: there is no store.
            LockUnresolved, PartDiffers: a part cannot be had.
            BlobsFull, BlobsUnavailable: the store cannot take them.
        """
        language = LANGUAGES[bundle.runtime.kind]
        lock = _lock_of(folder, bundle)
        packages = language.packages(lock)
        toolchain = language.toolchain(bundle)
        recipe = recipe_of(folder, bundle, lock, built.toolchain, built.platform, len(packages))
        parts = self._gather(language, packages, toolchain, folder, recipe, say or _silent, None, offline=False)
        seal = Seal(
            format=1,
            environment=built.id,
            kind=bundle.runtime.kind,
            builder=recipe.builder,
            toolchain=built.toolchain,
            platform=built.platform,
            lock=recipe.lock,
            sources=recipe.sources,
            system={**toolchain.system, **surroundings(toolchain.programs.values(), built.folder)},
            packages=sealed_parts(parts),
        )
        sealed = put_in_store(seal, parts, self._store())
        self.remember(built.id, sealed.digest)
        return sealed

    def remember(self, identity: Digest, seal: Digest) -> None:
        """Note which seal an environment has, so that it can be built from the store where no registry answers."""
        self._root.mkdir(parents=True, exist_ok=True)
        self._trees.beside(identity, ".seal").write_text(seal, encoding="ascii")

    def rebuild(self, seal: Seal, folder: Path, bundle: Bundle, root: Path, say: Say | None = None) -> Built:
        """The environment of a seal, built below another folder from the store alone, with the network cut.

        Args:
            seal: what it is made of.
            folder: the bundle's.
            bundle: what it says of itself.
            root: an empty folder; the environment and the caches of the tools come to lie in it.
            say: told what is being done.

        Raises:
            PartMissing, BlobDamaged: the store does not have a part, or other bytes.
            EnvironmentUnsealed: the seal is another bundle's.
        """
        if digest_of(_lock_of(folder, bundle)) != seal.lock:
            raise EnvironmentUnsealed(
                f"the seal of {seal.environment} is of another lock than that of {bundle.name}",
                environment=seal.environment,
            )
        elsewhere = Shelf(
            root,
            root / "uv-cache",
            self._blobs,
            self._remotes,
            root / "parts",
            bytecode=False,
            confinement=self._confinement,
        )
        return elsewhere._ensure(folder, bundle, say, seal, offline=True)

    def restore(
        self, seal: Seal, folder: Path, bundle: Bundle, say: Say | None = None, *, offline: bool = False
    ) -> Built:
        """The environment of a seal on this shelf; where it stands and is whole, it is that one.

        Args:
            seal: what it is made of; its parts are taken from the store.
            folder: the bundle's.
            bundle: what it says of itself.
            say: told what is being done.
            offline: the store has to have everything; else what it lacks may be fetched.

        Raises:
            PartMissing, BlobDamaged: offline, and the store does not have a part, or other bytes.
        """
        if not offline:
            with suppress(PartMissing):
                return self._ensure(folder, bundle, say, seal, offline=True)
        return self._ensure(folder, bundle, say, seal if offline else None, offline=offline)

    def sealed_here(self, identity: Digest) -> Seal | None:
        """The seal that was made of an environment on this machine, if the store still has it."""
        return self._sealed_before(identity)

    def seal_of(self, digest: Digest) -> Seal:
        """The seal with that digest, from the store.

        Raises:
            EnvironmentUnsealed: the store does not have it.
            BlobDamaged, SealMalformed: its bytes are none.
        """
        try:
            return read_seal(self._store().read(digest))
        except BlobNotFound as error:
            raise EnvironmentUnsealed(f"the store does not hold the seal {digest}", seal=digest) from error

    # Taking away.

    def sweep(self, wanted: AbstractSet[Digest], older_than: timedelta, *, dry_run: bool = False) -> tuple[Swept, ...]:
        """Take away environments that nobody wants, that no host runs in, and that were not used for so long.

        Args:
            wanted: ids that stay.
            older_than: since they were last wanted.
            dry_run: only say which.
        """
        swept = []
        for standing in self.all():
            if standing.id in wanted or datetime.now(UTC) - standing.used_at < older_than:
                continue
            with self._unused(standing.id) as unused:
                # Somebody may have used it since it was listed, and be gone again.
                if not unused or datetime.now(UTC) - self._used_at(standing.id) < older_than:
                    continue
                swept.append(
                    Swept(id=standing.id, kind=standing.kind, bytes=standing.own_bytes, used_at=standing.used_at)
                )
                if not dry_run:
                    self._trees.clear(standing.id)
        return tuple(swept)

    def clear_left_overs(self) -> None:
        """Take away what killed processes have left: fetched and not kept, rebuilt for a proof. Called by the one process that proves."""
        for folder in self._root.glob(".*.fetching-*"):
            if not _is_alive(folder.name.rpartition("fetching-")[2].partition("-")[0]):
                remove_tree(folder)
        for folder in self._root.glob(f"{REBUILDING}*"):
            for path in folder.iterdir():
                remove_tree(path)
            remove_tree(folder)

    def sweep_parts(self, older_than: timedelta, *, dry_run: bool = False) -> int:
        """Take away fetched parts that were not used for so long; gives the bytes that this frees. Seals keep theirs in the store."""
        return self._parts.sweep(older_than.total_seconds(), dry_run=dry_run)

    @contextmanager
    def _unused(self, identity: Digest) -> Iterator[bool]:
        """Whether nobody builds an environment or runs in it; nobody begins to while the block runs."""
        since = self._used_at(identity)
        path = self._trees.beside(identity, ".used")
        if not path.exists():  # to look is not to use
            path.touch()
            os.utime(path, (since.timestamp(), since.timestamp()))
        with (
            path.open("a") as used,
            self._trees.beside(identity, ".lock").open("a") as building,
        ):
            try:
                fcntl.flock(used, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.flock(building, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    # What lies beside.

    def _recipe(self, identity: Digest) -> Recipe | None:
        """The recipe of a tree; None for a virtual environment, whose record is of another form."""
        try:
            return msgspec.json.decode(self._trees.record(identity), type=Recipe)
        except msgspec.MsgspecError:
            return None

    def _whole_tree(self, identity: Digest) -> Built:
        recipe = self._recipe(identity)
        if recipe is None:
            raise EnvironmentMissing(f"there is no environment {identity} here", environment=identity)
        try:
            self._trees.require_whole(identity)
        except EnvironmentDamaged as damage:
            named = _damaged_packages(damage.facts.get("paths", []))
            message = f"{damage.message} ({', '.join(named)})" if named else damage.message
            raise EnvironmentDamaged(message, **damage.facts, packages=named) from damage
        return self._of_tree(recipe)

    def _standing(self, identity: Digest) -> Standing:
        built = self.find(identity)
        record = self._trees.beside(identity, ".json")
        packages = msgspec.json.decode(record.read_bytes()).get("packages", 0)
        statuses = [path.lstat() for path in built.folder.rglob("*") if not path.is_dir() or path.is_symlink()]
        return Standing(
            id=identity,
            kind=built.kind,
            toolchain=built.toolchain,
            platform=built.platform,
            packages=packages,
            bytes=sum(status.st_size for status in statuses),
            own_bytes=sum(status.st_size for status in statuses if status.st_nlink == 1),
            built_at=datetime.fromtimestamp(record.stat().st_mtime, UTC),
            used_at=self._used_at(identity),
            sealed=self._trees.beside(identity, ".seal").is_file(),
        )

    def _used_at(self, identity: Digest) -> datetime:
        """When it was last wanted, or built."""
        times = [0.0]
        for suffix in (".json", ".used"):
            with suppress(OSError):
                times.append(self._trees.beside(identity, suffix).stat().st_mtime)
        return datetime.fromtimestamp(max(times), UTC)

    def _sealed_before(self, identity: Digest) -> Seal | None:
        """The seal that was made of it here, if the store still has it."""
        if self._blobs is None:
            return None
        try:
            digest = checked_digest(self._trees.beside(identity, ".seal").read_text(encoding="ascii"))
            return self.seal_of(digest)
        except (OSError, UnicodeDecodeError, MusterError):
            return None

    def _store(self) -> Blobs:
        if self._blobs is None:
            raise EnvironmentUnsealed("there is no store here that seals could lie in")
        return self._blobs

    def _touch(self, identity: Digest) -> None:
        with suppress(OSError):
            self._trees.beside(identity, ".used").touch()

    def _of_venv(self, environment: Environment, kind: str = "python") -> Built:
        return Built(
            id=environment.id,
            python=environment.python,
            interpreter=environment.interpreter,
            platform=environment.platform,
            lock_digest=environment.lock_digest,
            folder=environment.folder,
            kind=kind,
            toolchain=environment.interpreter,
            remotes=self._remotes,
            confinement=self._confinement,
        )

    def _of_tree(self, recipe: Recipe) -> Built:
        return Built(
            id=Digest(recipe.id),
            python=Path(sys.executable),
            interpreter=recipe.toolchain,
            platform=recipe.platform,
            lock_digest=Digest(recipe.lock),
            folder=self._trees.folder(Digest(recipe.id)),
            kind=recipe.kind,
            toolchain=recipe.toolchain,
            remotes=self._remotes,
            confinement=self._confinement,
        )


def _hold(used: Path) -> TextIO:
    """A shared lock upon the file that says when an environment was last wanted; it ends when what this gives is closed."""
    handle = used.open("a")
    fcntl.flock(handle, fcntl.LOCK_SH)
    return handle


def lab_shelf(environment: Mapping[str, str]) -> Shelf:
    """The shelf of a lab, without a factory: environments and uv's cache below the user's cache folder.

    The servers of remote models are those of the home that MUSTER_HOME names, else of `muster/remotes.toml` among the user's settings.
    """
    user = Path(environment.get("HOME") or "~").expanduser()
    folder = Path(environment.get("XDG_CACHE_HOME") or user / ".cache") / "muster"
    settings = Path(environment.get("XDG_CONFIG_HOME") or user / ".config") / "muster"
    remotes = Path(environment.get("MUSTER_HOME") or settings) / REMOTES_NAME
    return Shelf(folder / "environments", folder / "uv-cache", remotes=remotes, parts=parts_folder(environment))


def _lock_of(folder: Path, bundle: Bundle) -> bytes:
    """The bytes of a bundle's lock; none for a kind that has no lock."""
    if not bundle.runtime.lock:
        return b""
    try:
        return (folder / bundle.runtime.lock).read_bytes()
    except OSError as error:
        raise LockUnresolved(
            f"{folder / bundle.runtime.lock} cannot be read: {error.strerror}", file=bundle.runtime.lock
        ) from error


def _carried(folder: Path) -> dict[Digest, Path]:
    """Artefacts that the bundle brings along, by digest: wheels, and source packages of R."""
    places = (folder / WHEELS_NAME, folder / TARBALLS)
    files = [path for place in places if place.is_dir() for path in sorted(place.iterdir()) if path.is_file()]
    return {digest_of_file(path): path for path in files}


def _name_of(package: Package) -> tuple[str, str, str, frozenset[str]]:
    return package.ecosystem, package.name, package.version, package.hashes


def _damaged_packages(paths: Sequence[str]) -> list[str]:
    """Which packages of a tree damaged files belong to, by where languages put them."""
    counts: dict[str, int] = {}
    for path in paths:
        words = path.split("/")
        if "node_modules" in words:
            after = words[len(words) - words[::-1].index("node_modules") :]
            name = "/".join(after[:2]) if after[:1] and after[0].startswith("@") else "".join(after[:1])
        elif words[0] in {"jars", "own-jars", "library"} and len(words) > 1:
            name = words[1].removesuffix(".jar")
        elif words[0] in {"bin", "classes"}:
            name = "what was built from the bundle's sources"
        else:
            name = path
        counts[name] = counts.get(name, 0) + 1
    return [f"{name}: {count} file{'s' if count > 1 else ''}" for name, count in sorted(counts.items())]


def _is_alive(process: str) -> bool:
    return process.isdigit() and Path("/proc", process).exists()


def _silent(_: str) -> None:
    """Say nothing."""
