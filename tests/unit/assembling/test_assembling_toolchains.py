"""Which tools of which language are here: asked before tests, demo and set-up, and told with version and remedy."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from toolchains import LANGUAGES

TABLE = LANGUAGES / "toolchains.py"


def said(path: str, *arguments: str) -> str:
    """What the table prints on a machine with these programs."""
    done = subprocess.run(
        [sys.executable, str(TABLE), *arguments], capture_output=True, text=True, env={"PATH": path}, check=False
    )
    assert done.stderr == ""
    return done.stdout


def tool(folder: Path, name: str, prints: str) -> None:
    """A program that prints a version."""
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\nprintf '{prints}\\n'\n")
    program.chmod(0o755)


def test_what_is_missing_is_named_with_what_brings_it(tmp_path: Path) -> None:
    """On a machine without any tool every language is told with its Debian packages; those that need none are ready."""
    told = {line.split()[0]: line for line in said(str(tmp_path)).splitlines()}
    assert "apt install golang-go" in told["go"]
    assert "apt install r-base-core r-cran-rpart r-cran-jsonlite" in told["r"]
    assert "maven" in told["java"]
    assert told["onnx"].split() == ["onnx", "ready"]
    assert {"g++", "cargo", "rustc", "nodejs", "npm"} < set(said(str(tmp_path), "--missing").split())


@pytest.mark.parametrize(
    ("prints", "ready"),
    [
        ("go version go1.19.8 linux/amd64", False),
        ("go version go1.22.0 linux/amd64", True),
        ("go version go1.26.8", True),
    ],
)
def test_a_tool_that_is_too_old_counts_as_missing(tmp_path: Path, prints: str, ready: bool) -> None:
    """The version that is here and the one that is wanted are both told; nothing is installed over it."""
    tool(tmp_path / "bin", "go", prints)
    line = next(line for line in said(str(tmp_path / "bin")).splitlines() if line.startswith("go"))
    assert ("ready" in line) is ready
    if not ready:
        assert "go is 1.19.8, >= 1.22 is needed" in line
    assert "golang-go" not in said(str(tmp_path / "bin"), "--missing").split()


def test_colours_are_no_versions(tmp_path: Path) -> None:
    """Maven prints its version in bold."""
    tool(tmp_path / "bin", "mvn", "\\033[1mApache Maven 3.8.7\\033[m")
    tool(tmp_path / "bin", "javac", "javac 17.0.15")
    java = next(line for line in said(f"{tmp_path / 'bin'}{os.pathsep}/bin").splitlines() if line.startswith("java"))
    assert java.split() == ["java", "ready"]
