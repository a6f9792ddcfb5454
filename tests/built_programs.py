"""Environments of programs built straight from a language: no shelf, no store, no home."""

import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from muster.environments.carried import copy_helper
from muster.environments.protocol import BuildJob, Language, Package, Part, Say
from muster.packaging.columns import Table
from muster.packaging.documents import Bundle, bundle_of
from muster.packaging.manifest import declared_in
from muster.runtimes.conformance import echo
from muster.vocabulary.digests import digest_of_file


@dataclass(frozen=True, slots=True)
class Built:
    """A bundle and its environment."""

    folder: Path
    bundle: Bundle
    tree: Path
    argv: tuple[str, ...]


def echo_bundle(language: Language, sources: Path, folder: Path) -> Path:
    """Make the bundle of a helper's echo model: sources, helper, lock, golden answers."""
    shutil.copytree(sources, folder, dirs_exist_ok=True)
    copy_helper(language, folder)
    runtime = tomllib.loads((folder / "runtime.toml").read_text())
    (folder / "runtime.toml").unlink()
    # The toolchain and the lock are those of this machine, which a bundle without either says to a language.
    echo.write_bundle(folder, {**runtime, "toolchain": "any-0"})
    bundle = bundle_of(declared_in(folder))
    anything = msgspec.structs.replace(bundle, runtime=msgspec.structs.replace(bundle.runtime, toolchain=""))
    toolchain = language.toolchain(anything).name
    scratch = folder.parent / f"{folder.name}.lock"
    scratch.mkdir()
    (folder / bundle.runtime.lock).write_bytes(language.lock(folder, anything, scratch, print))
    shutil.rmtree(scratch)
    echo.write_bundle(folder, {**runtime, "toolchain": toolchain})
    return folder


def question(table: Table) -> tuple[int, list[tuple[bytes, bytes | None]]]:
    """A table as a program is asked it."""
    return table.rows, [
        (bytes(column.data), None if column.nulls is None else bytes(column.nulls)) for column in table.columns.values()
    ]


def part_of(package: Package, file: str, path: Path) -> Part:
    """An artefact as a shelf hands it to a build."""
    return Part(package=package, file=file, digest=digest_of_file(path), path=path)


def built(language: Language, folder: Path, place: Path, *parts: Part, say: Say = print) -> Built:
    """Build a bundle's environment from parts alone, the network cut."""
    bundle = bundle_of(declared_in(folder))
    tree, scratch = place / "tree", place / "scratch"
    tree.mkdir(parents=True)
    scratch.mkdir()
    language.build(
        BuildJob(
            folder=folder,
            bundle=bundle,
            toolchain=language.toolchain(bundle),
            parts=parts,
            tree=tree,
            scratch=scratch,
            say=say,
        )
    )
    program = language.program(tree, folder, bundle)
    assert program is not None
    shutil.rmtree(scratch)
    return Built(folder, bundle, tree, program.argv)
