"""The tutorial `docs/how-to/first-model-in-production.md`, done: every file is written and every command typed, in order."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "first-model-in-production.md"
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FREE_PORTS = ("--port", "0", "--scoring-port", "0", "--grpc-port", "0")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A user's variables: the programs of this interpreter come first, and nothing is known of any factory."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return kept | {
        "PATH": programs,
        "HOME": str(tmp_path / "user"),
        "XDG_CONFIG_HOME": str(tmp_path / "user" / "config"),
    }


class Typed:
    """A terminal in which the commands of the page are typed one after the other; variables last from one to the next."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.shell = subprocess.Popen(
            ["bash"], cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip

    def type(self, command: str) -> tuple[int, str]:
        """Exit code and output of a command."""
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        # What a command prints need not end with a new line.
        self.shell.stdin.write(f"{command}\nprintf '\\n=== %s\\n' $?\n")
        self.shell.stdin.flush()
        said = ""
        for line in self.shell.stdout:
            if line.startswith("=== "):
                return int(line.removeprefix("=== ")), said
            said += line
        raise AssertionError(f"the shell ended at {command!r}: {said}")

    def close(self) -> None:
        self.shell.communicate(timeout=30)


@pytest.fixture
def terminal(tmp_path: Path, environment: dict[str, str]) -> Iterator[Typed]:
    folder = tmp_path / "work"
    folder.mkdir()
    typed = Typed(folder, environment)
    yield typed
    typed.close()


def come_up(folder: Path, environment: dict[str, str]) -> tuple["subprocess.Popen[str]", dict[str, str]]:
    """`muster up` in a second terminal, on free ports, because others may use the usual ones."""
    up = subprocess.Popen(
        ["muster", "up", *FREE_PORTS, "--json"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    )
    said = ""
    assert up.stdout is not None
    for line in up.stdout:
        said += line
        if line == "}\n":
            return up, json.loads(said)
    raise AssertionError(f"muster up ended with {up.wait()}")


@pytest.mark.timeout(600)
def test_every_step_of_the_tutorial_works(tmp_path: Path, terminal: Typed, environment: dict[str, str]) -> None:
    """Every command of the page exits 0, or with the code that the page says, and the last ones say what they should."""
    folder, up = tmp_path / "work", None
    addresses: dict[str, str] = {}
    said: dict[str, str] = {}
    try:
        for language, text in BLOCK.findall(PAGE.read_text()):
            if language == "python":
                name = text.partition("\n")[0].removeprefix("# ")
                (folder / name).write_text(text.replace("http://localhost:8601", addresses.get("scoring", "-")))
                continue
            for line in text.splitlines():
                command = line.removeprefix("$ ")
                assert command != line, f"{line!r} is no command; what commands print does not stand on the page"
                if command == "muster up":
                    up, addresses = come_up(folder, environment)
                    continue
                command = command.replace("http://localhost:8601", addresses.get("scoring", "-"))
                refused = re.search(r"# refused: exit code (\d+)", command)
                code, said[command] = terminal.type(command)
                assert code == (int(refused.group(1)) if refused else 0), f"{command}\n{said[command]}"
        assert up is not None
        assert up.wait(60) == 0
    finally:
        if up is not None:
            if up.poll() is None:
                up.terminate()
                up.wait(60)
            assert up.stdout is not None
            up.stdout.close()
    answered = next(text for command, text in said.items() if "ask.py" in command)
    assert len(re.findall(r"^[01]\.\d{4}  tumour:1  champion$", answered, re.MULTILINE)) == 5
    replayed = next(text for command, text in said.items() if "muster replay" in command)
    assert "identical, bit for bit" in replayed
    assert '"reason":"champion"' in next(text for command, text in said.items() if command.startswith("curl"))
