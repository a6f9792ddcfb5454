"""What decides the bytes of an environment, and so its identity.

A virtual environment of Python has the identity that it always had: lock, exact interpreter, platform. For everything else also the sources
count, since what is built from them lies in the tree.
"""

from pathlib import Path
from typing import Literal

import msgspec
import rfc8785

from muster.environments.languages.known import VENVS
from muster.environments.sources import source_files
from muster.packaging.documents import Bundle
from muster.packaging.environments import BUILDER, environment_id
from muster.packaging.runtimes import ProgramRuntime
from muster.vocabulary.digests import Digest, digest_of, digest_of_file


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an environment that is no virtual one is built from; its file is root/<hex>.json."""

    format: Literal[2]
    id: str
    builder: str
    kind: str
    toolchain: str
    platform: str
    lock: str
    sources: str
    packages: int


def builder_of(kind: str) -> str:
    """Part of the identity: raise it when a kind is built so differently that answers could differ."""
    return BUILDER if kind in VENVS else f"muster-{kind}/1"


def recipe_of(folder: Path, bundle: Bundle, lock: bytes, toolchain: str, platform: str, packages: int) -> Recipe:
    """The recipe of a bundle's environment on this machine."""
    runtime = bundle.runtime
    sources = sources_digest(folder, bundle)
    flags = list(runtime.flags) if isinstance(runtime, ProgramRuntime) else []
    lock_digest = digest_of(lock)
    identity = (
        environment_id(lock_digest, toolchain, platform)
        if runtime.kind in VENVS
        else digest_of(
            rfc8785.dumps(
                {
                    "builder": builder_of(runtime.kind),
                    "kind": runtime.kind,
                    "toolchain": toolchain,
                    "platform": platform,
                    "lock": lock_digest,
                    "sources": sources,
                    "flags": flags,
                }
            )
        )
    )
    return Recipe(
        format=2,
        id=identity,
        builder=builder_of(runtime.kind),
        kind=runtime.kind,
        toolchain=toolchain,
        platform=platform,
        lock=lock_digest,
        sources=sources,
        packages=packages,
    )


def sources_digest(folder: Path, bundle: Bundle) -> Digest:
    """The digest of the files that are built, by path."""
    if bundle.runtime.kind in VENVS:
        return digest_of(b"")
    listed = sorted((path, digest_of_file(folder / path)) for path in source_files(folder, bundle))
    return digest_of(rfc8785.dumps([list(pair) for pair in listed]))
