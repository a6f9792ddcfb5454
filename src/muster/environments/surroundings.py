"""What a machine brings to an environment without being part of it: the libraries that its programs are linked with, by hash.

Recorded in the seal and shown by `muster diff`, never sealed: they belong to the machine, as its kernel does.
"""

import functools
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from muster.vocabulary.digests import digest_of_file

_ELF = b"\x7fELF"
_LINKED = re.compile(r"^\s*(?:(\S+) => )?(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)
_DEADLINE_S = 20
#: Folders of a tree that hold programs; libraries of packages bring what they need or are linked with the same.
_PROGRAMS = ("bin",)


def surroundings(programs: Iterable[Path], tree: Path) -> dict[str, str]:
    """Library → SHA-256 of its file, of everything that these programs and those of the tree are linked with; and the C library's name."""
    name, version = platform.libc_ver()
    found = {"libc": f"{name}-{version}"} if name else {}
    for program in sorted({*programs, *_programs_of(tree)}):
        found |= linked_libraries(program)
    return found


def linked_libraries(program: Path) -> dict[str, str]:
    """Shared library → SHA-256 of the file that the loader takes on this machine; empty for what is linked statically, or is no program."""
    real = Path(os.path.realpath(program))
    return dict(_linked(real, real.stat().st_mtime_ns)) if _is_elf(real) else {}


def _programs_of(tree: Path) -> Iterator[Path]:
    for folder in _PROGRAMS:
        place = tree / folder
        if place.is_dir():
            yield from (path for path in place.iterdir() if path.is_file())


def _is_elf(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(4) == _ELF
    except OSError:
        return False


@functools.lru_cache(maxsize=64)
def _linked(program: Path, _changed_ns: int) -> tuple[tuple[str, str], ...]:
    """Name and SHA-256 of the libraries of a program; none for one that is linked with nothing, or where there is no ldd."""
    try:
        said = subprocess.run(["ldd", program], capture_output=True, text=True, timeout=_DEADLINE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(
        (Path(name or path).name, digest_of_file(Path(path)))
        for name, path in _LINKED.findall(said.stdout)
        if Path(path).is_file()
    )
