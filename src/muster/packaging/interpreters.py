"""Which Python and which platform: found, named exactly, never downloaded behind anyone's back."""

import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from packaging.tags import platform_tags

from muster.packaging.errors import InterpreterMissing
from muster.packaging.uv import run_uv

_ASK = "import json,platform,sys;print(json.dumps([platform.python_implementation(),platform.python_version(),sys.prefix]))"
_ASK_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python that environments can be built with."""

    path: Path
    version: str
    """Exact: `3.11.7`."""
    implementation: str
    """`cpython`, `pypy`."""

    @property
    def name(self) -> str:
        """`cpython-3.11.7`."""
        return f"{self.implementation}-{self.version}"


def running_version() -> str:
    """The exact version of the Python that runs this."""
    return platform.python_version()


def platform_tag() -> str:
    """This machine as wheels name it, with the version of its C library: `manylinux_2_36_x86_64`."""
    tags = list(platform_tags())
    return next((tag for tag in tags if tag.startswith(("manylinux_", "musllinux_"))), tags[0])


def find_interpreter(version: str) -> Interpreter:
    """A Python of exactly this version; where there is none, of the same minor version.

    Raises:
        InterpreterMissing: there is neither on this machine.
    """
    if version == running_version():
        return Interpreter(
            path=Path(getattr(sys, "_base_executable", sys.executable)),
            version=version,
            implementation=sys.implementation.name,
        )
    minor = ".".join(version.split(".")[:2])
    for wanted in (version, minor):
        found = _found_by_uv(wanted) or _found_in_pyenv(wanted)
        if found is not None and found.version.rpartition(".")[0] == minor:
            return found
    if running_version().rpartition(".")[0] == minor:
        return find_interpreter(running_version())
    raise InterpreterMissing(
        f"the bundle wants Python {version}, and this machine has no Python {minor}", python=version
    )


def _found_by_uv(wanted: str) -> Interpreter | None:
    # pyenv's shims are scripts that fail for every version but the chosen one, at which uv gives up looking.
    path = os.pathsep.join(
        folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if Path(folder).name != "shims"
    )
    answer = run_uv("python", "find", "--system", "--no-project", "--no-python-downloads", wanted, path=path)
    found = answer.stdout.strip()
    return _asked(found) if answer.returncode == 0 and found else None


def _found_in_pyenv(wanted: str) -> Interpreter | None:
    """A Python that pyenv has installed; the newest of several."""
    versions = Path(os.environ.get("PYENV_ROOT") or Path("~/.pyenv").expanduser()) / "versions"
    exact = (versions / wanted / "bin" / "python",)
    folders = (folder for folder in versions.glob(f"{wanted}.*") if folder.name.replace(".", "").isdigit())
    newest = sorted(folders, key=lambda folder: [int(part) for part in folder.name.split(".")], reverse=True)
    for python in (*exact, *(folder / "bin" / "python" for folder in newest)):
        found = _asked(str(python)) if python.is_file() else None
        if found is not None:
            return found
    return None


def _asked(path: str) -> Interpreter | None:
    """What an interpreter says of itself; None: it does not run."""
    try:
        said = subprocess.run(
            [path, "-I", "-c", _ASK], capture_output=True, text=True, timeout=_ASK_SECONDS, check=True
        )
        implementation, version, _ = json.loads(said.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return Interpreter(path=Path(path), version=version, implementation=implementation.lower())
