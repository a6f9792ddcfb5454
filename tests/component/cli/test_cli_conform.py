"""`muster conform`: a bundle in its own environment, held against the kit."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from running_cli import Shell

from echo_subjects import PROGRAM
from muster.environments.languages.known import LANGUAGES
from muster.packaging.documents import read_description
from muster.runtimes.conformance import echo
from small_bundles import SmallBundles


@pytest.fixture
def on_this_python(shell: Shell) -> Shell:
    """A shell whose `python3` is the interpreter of these tests."""
    return shell.where(PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def _echo(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Path:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    folder.mkdir()
    shutil.copy(PROGRAM, folder)
    version = ".".join(map(str, sys.version_info[:3]))
    command = ["python3", PROGRAM.name, *arguments]
    echo.write_bundle(folder, {"kind": "command", "command": command, "toolchain": f"python3-{version}"})
    scratch = folder.parent / "locking"
    scratch.mkdir(exist_ok=True)
    lock = LANGUAGES["command"].lock(folder, read_description(folder), scratch, lambda _: None)
    (folder / "command.lock").write_bytes(lock)
    return folder


def test_conform_tells_every_case(on_this_python: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sound bundle ends with 0, on one wire and with both against each other; a table for people names the cases."""
    bundle = _echo(tmp_path / "echo", monkeypatch)
    chosen = ("--case", "golden", "--case", "nulls")
    found = on_this_python.json("conform", bundle, *chosen)
    assert (found["passed"], found["model"], found["kind"]) == (True, "echo", "command")
    assert [case["case"] for case in found["cases"]] == ["golden", "nulls"]
    both = on_this_python.json("conform", bundle, "--differential")
    assert both["passed"]
    assert "differential-unicode" in [case["case"] for case in both["cases"]]
    told = on_this_python.type("conform", bundle, *chosen).stdout
    assert "golden" in told
    assert "passed" in told


def test_conform_ends_with_one_where_a_case_fails(
    on_this_python: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says which value came back as what."""
    bundle = _echo(tmp_path / "echo", monkeypatch, "--fault", "through-double")
    found = on_this_python.json("conform", bundle, "--case", "integers-64", code=1)
    (case,) = found["cases"]
    assert (found["passed"], case["outcome"]) == (False, "failed")
    assert "came back as" in case["detail"]


@pytest.mark.parametrize(
    ("kind", "runtime", "name"),
    [
        ("cpp", {"lock": "cpp.lock"}, "C++"),
        ("rust", {"lock": "Cargo.lock"}, "Rust"),
        ("r", {"entry": "model.R", "lock": "r.lock"}, "R"),
    ],
)
def test_conform_names_what_else_a_helper_of_one_wire_can_be_held_against(
    shell: Shell, tmp_path: Path, kind: str, runtime: dict[str, str], name: str
) -> None:
    """It is said before anything is built, so that no tool of the language is needed to be told."""
    folder = tmp_path / "echo"
    folder.mkdir()
    echo.write_bundle(folder, {"kind": kind, "toolchain": f"{kind}-1.0", **runtime})
    problem = shell.where(PATH="/nowhere").problem("conform", folder, "--differential", code=2)
    assert f"library of {name} speaks the binary wire only" in problem["detail"]
    assert "--against DIR" in problem["detail"]


def test_conform_says_what_it_cannot_compare(shell: Shell, bundles: SmallBundles) -> None:
    """An object of Python has no two wires, --against belongs to --differential, and a folder has to be there."""
    assert shell.problem("conform", "nowhere", code=3)["code"] == "cli.file-missing"
    assert shell.problem("conform", bundles.new(), "--against", "other", code=2)["code"] == "cli.usage"
