"""Bytecode of an environment: shared with another that has the very same sources, compiled where there is none.

Compiling the sources of a few large packages takes half a minute of computing and tens of megabytes. Environments share their sources by
hard links; with the bytecode shared as well, another environment of the same packages costs next to nothing.
"""

import hashlib
import os
import struct
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from muster.packaging.trees import read_listing
from muster.packaging.uv import surroundings

_DEADLINE_S = 900
#: Below so many files, starting processes takes longer than compiling.
_ALONE = 100
#: Magic number, flags (0: the time of the source counts), time and size of the source.
_HEADER = struct.Struct("<4sIII")


@dataclass(frozen=True, slots=True)
class Sibling:
    """An environment of the same interpreter that stands already."""

    folder: Path
    files: Path
    """Every file of it with its SHA-256."""


def give_bytecode(tree: Path, siblings: Iterable[Sibling]) -> None:
    """Give every source in a virtual environment its bytecode; a source that cannot be compiled has none.

    Bytecode of a sibling is linked where its source is the same file as ours and its bytes are those that were listed when it was built.
    """
    missing = dict(_sources(tree))
    for sibling in siblings:
        if not missing:
            return
        for source in list(_shared(tree, missing, sibling)):
            del missing[source]
    _compile(tree, [tree / source for source in missing])


def _sources(tree: Path) -> Iterator[tuple[str, str]]:
    """Every source without bytecode, and where an interpreter looks for it (`__pycache__/name.cpython-311.pyc`); both from the tree on.

    Plain strings: an environment has thousands of them.
    """
    for site in tree.glob("lib/python*/site-packages"):
        tag = f".cpython-{site.parent.name.removeprefix('python').replace('.', '')}.pyc"
        for folder, _, names in os.walk(site):
            inside = os.path.relpath(folder, tree)
            for name in names:
                compiled = f"{inside}/__pycache__/{name.removesuffix('.py')}{tag}"
                if name.endswith(".py") and not os.access(f"{tree}/{compiled}", os.F_OK):
                    yield f"{inside}/{name}", compiled


def _shared(tree: Path, missing: dict[str, str], sibling: Sibling) -> Iterator[str]:
    """Link what a sibling has; gives the sources that have their bytecode by it."""
    try:
        listed = {entry.path: entry.content for entry in read_listing(sibling.files)}
    except (OSError, ValueError):
        return
    made: set[str] = set()
    for source, target in missing.items():
        content = listed.get(target)
        if content is None:
            continue
        try:
            own, theirs = os.stat(f"{tree}/{source}"), os.stat(f"{sibling.folder}/{source}")  # noqa: PTH116 - thousands of them
            if not os.path.samestat(own, theirs):
                continue
            with open(f"{sibling.folder}/{target}", "rb", buffering=0) as stream:  # noqa: PTH123
                compiled = stream.readall()
            if hashlib.sha256(compiled).hexdigest() != content or not _is_of(compiled, own):
                continue
            folder = target.rpartition("/")[0]
            if folder not in made:
                (tree / folder).mkdir(exist_ok=True)
                made.add(folder)
            os.link(f"{sibling.folder}/{target}", f"{tree}/{target}")
        except OSError:
            continue
        yield source


def _is_of(compiled: bytes, source: os.stat_result) -> bool:
    if len(compiled) < _HEADER.size:
        return False
    _, flags, changed, size = _HEADER.unpack_from(compiled)
    return bool(flags == 0 and changed == int(source.st_mtime) & 0xFFFFFFFF and size == source.st_size & 0xFFFFFFFF)


def _compile(tree: Path, sources: list[Path]) -> None:
    """Compile sources by the environment's own interpreter; what is no Python for it (templates, tests of errors) is passed over."""
    if not sources:
        return
    environment = {name: value for name, value in surroundings().items() if name != "SOURCE_DATE_EPOCH"}
    processes = "1" if len(sources) < _ALONE else "0"
    subprocess.run(
        [
            *(tree / "bin" / "python", "-I", "-m", "compileall", "-qq", "-j", processes),
            *("--invalidation-mode", "timestamp", "-i", "-"),
        ],
        input="".join(f"{source}\n" for source in sources).encode("utf-8", "surrogateescape"),
        capture_output=True,
        env=environment,
        timeout=_DEADLINE_S,
        check=False,
    )
