"""The helper libraries, which every bundle carries: in the wheel under `muster/_hosts`, in a checkout under `hosts/`."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import muster
from muster.environments.errors import ToolchainMissing
from muster.environments.protocol import Language

_PACKAGE = Path(muster.__file__).resolve().parent


def hosts_folder() -> Path:
    """Where the helper libraries lie, one folder per language.

    Raises:
        ToolchainMissing: this installation of Muster has none.
    """
    for folder in (_PACKAGE / "_hosts", _PACKAGE.parents[1] / "hosts"):
        if folder.is_dir():
            return folder
    raise ToolchainMissing(f"this installation of Muster has no helper libraries: {_PACKAGE / '_hosts'} is not there")


def helper_files(language: Language) -> Iterator[tuple[Path, str]]:
    """A language's helper: (file here, path in the bundle).

    Raises:
        ToolchainMissing: a file of it is not here.
    """
    root = hosts_folder()
    for path, place in sorted(language.helper().items()):
        file = root / path
        if not file.is_file():
            raise ToolchainMissing(f"the helper library of {language.kind} is not whole: {file} is missing")
        yield file, place


def copy_helper(language: Language, folder: Path) -> list[str]:
    """Put a language's helper into a folder that becomes a bundle; gives the paths written, sorted. What was there is replaced.

    Raises:
        ToolchainMissing: a file of it is not here.
    """
    written = []
    for file, place in helper_files(language):
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        shutil.copymode(file, target)
        written.append(place)
    return sorted(written)
