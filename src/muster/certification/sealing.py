"""Questions about environments: is it sealed, is it the lab's, and does the seal alone give it back?"""

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.metadata import distributions
from pathlib import Path
from typing import ClassVar

from packaging.utils import canonicalize_name

from muster.certification.checks import Bench, Finding
from muster.certification.records import Figure
from muster.environments.languages.known import LANGUAGES, VENVS
from muster.environments.languages.python import is_wanted
from muster.environments.protocol import HeldAgainstMachine
from muster.environments.shelf import REBUILDING, Built
from muster.packaging.documents import Bundle
from muster.packaging.runtimes import RemoteRuntime
from muster.packaging.trees import remove_tree
from muster.runtimes.conformance.tables import ask, same_answers
from muster.runtimes.host import running_host

_MIB = 2**20
_SHOWN = 5


class EnvironmentSealed:
    """Everything that the environment is made of lies in the store, so that no registry is needed to build it again."""

    name: ClassVar[str] = "environment-sealed"
    asks: ClassVar[str] = "is everything that its environment is made of in the store?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = False
    remedy: ClassVar[str] = "Lock packages that an index or the bundle can give as files, with their hashes."

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - nothing to end
        """How many parts the store does not have; and the bytes that came into it."""
        assert bench.folder is not None
        assert bench.bundle is not None
        assert bench.environment is not None
        begun = time.monotonic()
        sealed = bench.environments.seal(bench.environment, bench.folder, bench.bundle, bench.say)
        bench.seal = sealed
        took_s = time.monotonic() - begun
        detail = (
            f"{len(sealed.seal.packages)} parts, {sealed.bytes / _MIB:.1f} MiB, "
            f"{sealed.bytes_new / _MIB:.1f} MiB of it new in the store; seal {sealed.digest}"
        )
        figures = {"bytes": sealed.bytes, "bytes_new": sealed.bytes_new, "seconds": round(took_s, 3)}
        return Finding(passed=True, figure=0, limit=0, detail=detail, figures=figures)


class EnvironmentsAlike:
    """What serves is what trained: the same interpreter or toolchain, and every package that can be looked at the one that the lab had.

    Of Python those are the installed ones. What R, C++ and command models need of the machine is held against their lock, file by file.
    Jars, tarballs, modules and crates are what their hashes say when the environment is built: of these kinds only the toolchain is
    compared, and the lock with what the bundle says of the lab.
    """

    name: ClassVar[str] = "environments-alike"
    asks: ClassVar[str] = "is its environment the one it was made in?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = False
    is_kept: ClassVar[bool] = True
    remedy: ClassVar[str] = (
        "Save the bundle again with the packages and the interpreter that this factory has, or bring the factory to those of the lab."
    )

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - nothing to end
        """How many packages, the interpreter among them, are others."""
        assert bench.folder is not None
        assert bench.bundle is not None
        assert bench.environment is not None
        differing = list(_differing(bench.environment, bench.folder, bench.bundle))
        more = f", and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
        alike = _alike(bench.environment, bench.bundle)
        detail = "; ".join(differing[:_SHOWN]) + more if differing else alike
        return Finding(passed=not differing, figure=len(differing), limit=0, detail=detail)


class RebuildsOffline:
    """The environment is built once more, from the store alone with the network cut, and the model answers there with the same bits."""

    name: ClassVar[str] = "rebuilds-offline"
    asks: ClassVar[str] = "can its environment be built again from the store alone?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = False
    is_kept: ClassVar[bool] = True
    remedy: ClassVar[str] = (
        "A part of the environment is not in its seal, or its build is not repeatable: the detail names it."
    )

    def is_asked(self, bench: Bench) -> bool:
        """Unless the factory's settings leave it out."""
        return bench.options.prove_rebuild

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - ended here, so that nothing lies about while others are asked
        """How many golden answers have other bits; and the seconds that it took."""
        assert bench.folder is not None
        assert bench.bundle is not None
        assert bench.environment is not None
        assert bench.golden is not None
        if bench.seal is None:
            return Finding(
                passed=False, figure="unsealed", limit=0, detail="it is not sealed, so there is nothing to build from"
            )
        begun = time.monotonic()
        with _beside(bench.environment.folder) as root:
            built = bench.environments.rebuild(bench.seal.seal, bench.folder, bench.bundle, root, bench.say)
            built_s = time.monotonic() - begun
            order = built.order(bench.folder, bench.bundle)
            with running_host(
                built,
                bench.folder,
                order,
                bench.log,
                limits=bench.host_limits,
                load_timeout_s=bench.options.load_limit_s,
            ) as channel:
                answered = ask(channel, bench.golden.inputs)
        figures = {"seconds": round(built_s, 3)}
        if built.id != bench.environment.id:
            detail = f"it came out as {built.id}, not as {bench.environment.id}"
            return Finding(passed=False, figure=built.id, limit=0, detail=detail, figures=figures)
        if answered.errors:
            told = answered.errors[0]
            detail = f"{told.code}: {told.message}"
            return Finding(passed=False, figure=told.code, limit=0, detail=detail, figures=figures)
        if bench.answered and not same_answers(answered, bench.answered[0]):
            detail = "the golden rows are answered with other bits there"
            return Finding(passed=False, figure=1, limit=0, detail=detail, figures=figures)
        detail = f"built in {built_s:.1f} s from {len(bench.seal.seal.packages)} parts with the network cut; golden answers identical"
        return Finding(passed=True, figure=0, limit=0, detail=detail, figures=figures)


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """An empty folder on the disk of the environments, taken away afterwards."""
    root = Path(tempfile.mkdtemp(prefix=REBUILDING, dir=folder.parent))
    try:
        yield root
    finally:
        for path in root.iterdir():
            remove_tree(path)
        shutil.rmtree(root, ignore_errors=True)


def _alike(environment: Built, bundle: Bundle) -> str:
    """What was compared and found to be the same, and nothing beyond it."""
    runtime = bundle.runtime
    if isinstance(runtime, RemoteRuntime):
        return "a remote model's environment is not ours to compare"
    if runtime.kind in VENVS:
        compared = len(bundle.made.packages) if bundle.made is not None else 0
        return f"{environment.interpreter} and {compared} packages as where it was made"
    if isinstance(LANGUAGES[runtime.kind], HeldAgainstMachine):
        return (
            f"{environment.interpreter} as where it was made, and what it needs of this machine is what its lock names"
        )
    return f"{environment.interpreter} as where it was made; its packages are held to their hashes where they are built, not compared here"


def _differing(environment: Built, folder: Path, bundle: Bundle) -> Iterator[str]:
    runtime, made = bundle.runtime, bundle.made
    if isinstance(runtime, RemoteRuntime):
        return
    wanted = f"cpython-{runtime.interpreter}" if runtime.kind in VENVS else runtime.interpreter
    if environment.interpreter != wanted:
        yield f"{environment.interpreter} here, {wanted} where it was made"
    language = LANGUAGES[runtime.kind]
    if isinstance(language, HeldAgainstMachine):
        yield from language.differing(folder, bundle)
    packages = {} if made is None else made.packages
    if runtime.kind in VENVS:
        yield from _differing_installed(environment, folder, bundle, packages)
        return
    if not packages:
        return
    locked = {package.name: package.version for package in language.packages((folder / runtime.lock).read_bytes())}
    for name, version in sorted(packages.items()):
        if locked.get(name) != version:
            yield f"{name} {locked.get(name) or 'missing'} in {runtime.lock}, {version} where it was made"


def _differing_installed(
    environment: Built, folder: Path, bundle: Bundle, packages: Mapping[str, str]
) -> Iterator[str]:
    """Packages that are not in an environment of Python as they were in the lab."""
    sites = [str(path) for path in environment.folder.glob("lib/python*/site-packages")]
    here = {canonicalize_name(found.metadata["Name"]): found.version for found in distributions(path=sites)}
    elsewhere = _wanted_elsewhere(folder, bundle) if packages else set()
    for name, version in sorted(packages.items()):
        plain = canonicalize_name(name)
        if plain in here and here[plain] != version:
            yield f"{name} {here[plain]} here, {version} where it was made"
        elif plain not in here and plain not in elsewhere:
            yield f"{name} {version} is not in the environment"


def _wanted_elsewhere(folder: Path, bundle: Bundle) -> set[str]:
    """Packages that the lock names for other systems; the lab may have had them all the same, for a model's sake or another's."""
    runtime = bundle.runtime
    named = LANGUAGES[runtime.kind].packages((folder / runtime.lock).read_bytes())
    return {canonicalize_name(package.name) for package in named if not is_wanted(package, runtime.interpreter)}
