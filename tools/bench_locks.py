"""Writes requirements/bench*.lock: what the servers that Muster is compared with are installed from.

None of it is part of the product or of its development: `benchmarks/serving.py` makes a virtual environment of its own
from each of these files. Versions of the packages that compute the model are those of requirements/dev.lock, so that
every server runs the same model on the same code. Run by `make lock`, after the other locks are written.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "requirements"
HEADER = "# Written by `make lock` (tools/bench_locks.py); do not edit. {what}\n"

#: What computes the model; the same version everywhere.
SHARED = ("cloudpickle", "joblib", "numpy", "scikit-learn", "scipy", "threadpoolctl")
#: File → why it is there, and what is asked for.
ENVIRONMENTS = {
    "bench": (
        "FastAPI, uvicorn and granian, which `make bench` compares with.",
        ("fastapi", "granian", "httptools", "joblib", "scikit-learn", "uvicorn", "uvloop"),
    ),
    # MLServer 1.7.1 starts no worker with uvloop 0.22 or later: "no current event loop".
    "bench-mlserver": (
        "MLServer, which `make bench` compares with.",
        ("mlserver", "mlserver-sklearn", "uvloop<0.22"),
    ),
}


def shared_versions(lock: str) -> str:
    """The lines of a lock that fix what computes the model, without their hashes."""
    kept = re.compile(rf"^(?:{'|'.join(SHARED)})==[^\\]+", re.MULTILINE)
    return "\n".join(found.strip() for found in kept.findall(lock)) + "\n"


def compiled(wanted: tuple[str, ...], constraints: str) -> str:
    """A lock for every platform, with hashes and without the address of an index."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "wanted.in").write_text("\n".join(wanted) + "\n")
        (folder / "constraints.txt").write_text(constraints)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"),
                *("--generate-hashes", "--no-annotate", "--no-header", "--no-emit-index-url", "--no-emit-find-links"),
                *("-c", "constraints.txt", "wanted.in"),
            ],
            cwd=folder,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    return done.stdout


def main() -> None:
    """Write every file."""
    constraints = shared_versions((LOCKS / "dev.lock").read_text())
    for name, (what, wanted) in ENVIRONMENTS.items():
        text = compiled(wanted, constraints)
        if "://" in text:
            sys.exit("uv wrote an address into a lock; see which of its settings asks for that, and take it away")
        (LOCKS / f"{name}.lock").write_text(HEADER.format(what=what) + text)
        print(f"requirements/{name}.lock: {text.count('==')} pinned lines")


if __name__ == "__main__":
    main()
