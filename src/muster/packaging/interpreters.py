"""Which Python and which platform: found, named exactly, never downloaded behind anyone's back."""

import json
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
        found = _found_by_uv(wanted)
        if found is not None and found.version.rpartition(".")[0] == minor:
            return found
    if running_version().rpartition(".")[0] == minor:
        return find_interpreter(running_version())
    raise InterpreterMissing(
        f"the bundle wants Python {version}, and this machine has no Python {minor}", python=version
    )


def _found_by_uv(wanted: str) -> Interpreter | None:
    answer = run_uv("python", "find", "--system", "--no-project", "--no-python-downloads", wanted)
    path = answer.stdout.strip()
    if answer.returncode != 0 or not path:
        return None
    try:
        said = subprocess.run(
            [path, "-I", "-c", _ASK], capture_output=True, text=True, timeout=_ASK_SECONDS, check=True
        )
        implementation, version, _ = json.loads(said.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return Interpreter(path=Path(path), version=version, implementation=implementation.lower())
