"""Which files of a bundle an environment is built from."""

import shutil
from pathlib import Path

from muster.packaging.documents import DATA_NAME, GOLDEN_NAME, PROFILE_NAME, Bundle
from muster.packaging.manifest import DESCRIPTION_NAME, MANIFEST_NAME, files_of
from muster.packaging.runtimes import ProgramRuntime

#: Files that tell of a bundle and are no part of what is built.
_DOCUMENTS = frozenset({DESCRIPTION_NAME, MANIFEST_NAME, GOLDEN_NAME, DATA_NAME, PROFILE_NAME, "README.md", "NOTES.md"})
#: Of these kinds nothing is built from the bundle's files: they are read where the bundle lies.
_BUILT_FROM: dict[str, tuple[str, ...]] = {"r": (), "command": (), "remote": (), "pmml": ("muster_host",)}


def source_files(folder: Path, bundle: Bundle) -> list[str]:
    """Files of the bundle that are built, sorted: those that `[runtime] sources` names, else all that are no documents of Muster's."""
    runtime = bundle.runtime
    if not isinstance(runtime, ProgramRuntime):
        return []
    named: tuple[str, ...] | None = tuple(runtime.sources) or _BUILT_FROM.get(runtime.kind)
    there = {path for path, _ in files_of(folder)} - set(brought_packages(folder, runtime))
    if named is None:
        return sorted(there - _DOCUMENTS - {runtime.lock})
    return sorted(path for path in there if any(path == name or path.startswith(f"{name}/") for name in named))


def brought_packages(folder: Path, runtime: ProgramRuntime) -> list[str]:
    """Files in a bundle's own `node_modules`: packages that no lock names, of which nothing is built."""
    return sorted(path for path, _ in files_of(folder) if runtime.kind == "node" and "node_modules" in path.split("/"))


def copy_sources(folder: Path, bundle: Bundle, target: Path) -> None:
    """Copy the files that are built into another folder, under their paths."""
    for path in source_files(folder, bundle):
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / path, place)
