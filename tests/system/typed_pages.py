"""A page that is done as it is read: its files are written, its commands typed in one shell, one after the other."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

BLOCK = re.compile(r"^```(python|toml|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FREE_PORTS = ("--port", "0", "--scoring-port", "0", "--grpc-port", "0")


def environment_of_a_user(folder: Path) -> dict[str, str]:
    """A user's variables: the programs of this interpreter come first, and nothing is known of any factory."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": programs, "HOME": str(folder / "user"), "XDG_CONFIG_HOME": str(folder / "user" / "config")}


class Typed:
    """A terminal in which the commands of a page are typed one after the other; variables last from one to the next."""

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
        """Leave it."""
        self.shell.communicate(timeout=30)


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


def done(page: Path, folder: Path, environment: dict[str, str]) -> dict[str, str]:
    """What each command of a page printed; every one exits 0, or with the code that the page says, and the factory ends.

    Args:
        page: which; each block of Python or TOML begins with the name of its file, each line of a console is a command.
        folder: where it is done.
        environment: variables of the terminals.
    """
    folder.mkdir()
    terminal, up = Typed(folder, environment), None
    addresses = {"http://localhost:8600": "-", "http://localhost:8601": "-"}
    said: dict[str, str] = {}
    try:
        for language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
            for usual, found in addresses.items():
                text = text.replace(usual, found)  # noqa: PLW2901 - the same text, with the addresses of this run
            if language != "console":
                (folder / text.partition("\n")[0].removeprefix("# ")).write_text(text)
                continue
            for line in text.splitlines():
                command = line.removeprefix("$ ")
                assert command != line, f"{line!r} is no command; what commands print does not stand on the page"
                if command == "muster up":
                    up, told = come_up(folder, environment)
                    addresses = {"http://localhost:8600": told["control"], "http://localhost:8601": told["scoring"]}
                    continue
                refused = re.search(r"# refused: exit code (\d+)", command)
                code, said[command] = terminal.type(command)
                assert code == (int(refused.group(1)) if refused else 0), f"{command}\n{said[command]}"
        assert up is not None
        assert up.wait(60) == 0
    finally:
        terminal.close()
        if up is not None:
            if up.poll() is None:
                up.terminate()
                up.wait(60)
            assert up.stdout is not None
            up.stdout.close()
    return said
