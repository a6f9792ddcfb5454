"""Commands that a page tells people to type exist as they are typed."""

import re
import shlex
from pathlib import Path

import click
import pytest

from muster.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELLS = {"", "console", "sh", "bash", "shell"}
INLINE = re.compile(r"`((?:make|muster) [^`\n]+)`")
MAKE_TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def commands(page: Path, program: str) -> list[list[str]]:
    """Every command of a program on a page, in words; continuation lines joined, comments and pipes cut off."""
    text = page.read_text()
    blocks = [block for language, block in FENCED.findall(text) if language in SHELLS]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    found = []
    for typed in [*lines, *INLINE.findall(text)]:
        line = re.sub(r"\s#.*$|\s·.*$|\s[|>].*$|\s→.*$|\s…$|[;&].*$", "", typed.strip().removeprefix("$ ")).strip()
        line = re.sub(r"^([A-Z_]+=\S+ )+", "", line)
        if line.split(" ")[0] == program:
            try:
                found.append(shlex.split(line)[1:])
            except ValueError:  # an open quote: the command goes on over several lines
                found.append(line.split()[1:])
    return found


def options_of(command: click.Command, context: click.Context) -> set[str]:
    """Every option of a command, in all its spellings."""
    return {text for parameter in command.get_params(context) for text in (*parameter.opts, *parameter.secondary_opts)}


def fault(words: list[str]) -> str | None:
    """Why a `muster` command line cannot be right; None when nothing speaks against it."""
    command: click.Command = cli
    context = click.Context(cli, info_name="muster")
    ahead = list(words)
    while isinstance(command, click.Group) and ahead:
        name = ahead.pop(0)
        if name in {"--help", "-h", "--version", "-V"}:
            return None
        if name.startswith("-"):  # an option of the group itself, and its value
            if name not in options_of(command, context):
                return f"{' '.join(['muster', *words])!r} has no option {name} there"
            ahead = ahead[1:]
            continue
        inner = command.get_command(context, name)
        if inner is None:
            # A group may take plain arguments as well; without a subcommand of that name it is unknown here.
            return f"there is no command {' '.join(['muster', *words])!r}: {name!r} is unknown"
        command, context = inner, click.Context(inner, info_name=name, parent=context)
    options = options_of(command, context)
    unknown = [word.partition("=")[0] for word in ahead if re.match(r"--?[a-z]", word)]
    unknown = [word for word in unknown if word not in options]
    return f"{' '.join(['muster', *words])!r} has no option {unknown}" if unknown else None


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_muster_commands_exist(page: Path) -> None:
    """Every `muster` command on a page is a command of the program, with options that it has."""
    assert [text for words in commands(page, "muster") if (text := fault(words))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_make_targets_exist(page: Path) -> None:
    """Every `make` command on a page names targets of the Makefile."""
    unknown = [
        word
        for words in commands(page, "make")
        for word in words
        if "=" not in word and word[0] != "-" and word not in MAKE_TARGETS
    ]
    assert unknown == []
