"""On what, and beside how much other work, a run was measured."""

import datetime as dt
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

import muster


def described() -> dict[str, Any]:
    """The machine and the versions."""
    model = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    return {
        "at": dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds"),
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "muster": muster.__version__,
        "scikit-learn": metadata.version("scikit-learn"),
        "load_average": load_average(),
    }


def load_average() -> float:
    """Of the last minute, before or while other programs run."""
    return round(os.getloadavg()[0], 2)


def versions_in(binaries: Path, *names: str) -> dict[str, str]:
    """Versions of packages in a virtual environment."""
    (site,) = binaries.parent.glob("lib/python*/site-packages")
    return {
        found.metadata["Name"]: found.version
        for found in metadata.distributions(path=[str(site)])
        if found.metadata["Name"] in names
    }


def _lines(file: str) -> list[str]:
    try:
        return Path(file).read_text().splitlines()
    except OSError:
        return []
