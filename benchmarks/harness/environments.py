"""The virtual environments of the servers that Muster is compared with, made from requirements/bench*.lock.

They lie in `.bench/` of the checkout, one per lock, and are made again when the lock has changed. Nothing of them can get into
Muster's own environment, or the other way round.
"""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".bench"


class NoEnvironment(Exception):
    """An environment cannot be made; what needs it is left out of the run."""


def place() -> Path:
    """The folder for everything that the benchmarks keep; git ignores it."""
    PLACE.mkdir(exist_ok=True)
    (PLACE / ".gitignore").write_text("*\n")
    return PLACE


def environment(name: str, told: Callable[[str], None]) -> Path:
    """The `bin` folder of an environment, which is made if it is not there.

    Raises:
        NoEnvironment: uv cannot make it, with what it said.
    """
    lock = ROOT / "requirements" / f"{name}.lock"
    folder = place() / name
    mark = folder / "made-from"
    wanted = f"{hashlib.sha256(lock.read_bytes()).hexdigest()} {sys.version}"
    if not mark.exists() or mark.read_text() != wanted:
        told(f"making {folder.relative_to(ROOT)} from {lock.relative_to(ROOT)}")
        _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
        _uv(
            *("pip", "install", "--quiet", "--compile-bytecode", "--python", str(folder / "bin" / "python")),
            *("--require-hashes", "-r", str(lock)),
        )
        mark.write_text(wanted)
    return folder / "bin"


def _uv(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "uv", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoEnvironment(done.stderr.strip()[-1000:])
