"""The program itself: help, usage, exit codes, what goes to stdout and what to stderr."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator

import click
import pytest
from running_cli import MUSTER, Shell

import muster
from muster.cli import exits
from muster.cli.main import COMMANDS, cli
from muster.vocabulary import errors


def every_command(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command, with the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))
        else:
            yield (*path, name), command


def test_the_program_names_itself_and_all_its_commands(shell: Shell) -> None:
    """`muster --help` lists every command in its section; `--version` says which Muster it is."""
    told = shell.type("--help").stdout
    for section, entries in COMMANDS.items():
        assert f"{section}:" in told
        assert all(re.search(rf"^  {name} ", told, re.MULTILINE) for name in entries)
    assert shell.type("--version").stdout.strip() == f"muster {muster.__version__}"


def test_every_command_takes_json_and_explains_itself() -> None:
    """Each command has `--json`, a sentence, and options and arguments that say what they are."""
    for path, command in every_command(cli):
        options = {text for parameter in command.params for text in parameter.opts}
        assert "--json" in options, path
        assert command.help, path
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, (path, parameter.name)


def test_the_summaries_are_those_of_the_commands() -> None:
    """What `muster --help` says of a command without importing it is there for a command that exists."""
    context = click.Context(cli)
    for entries in COMMANDS.values():
        for name, entry in entries.items():
            assert cli.get_command(context, name) is not None, name
            assert re.fullmatch(r"[A-Z].*\.", entry.summary), name


def test_the_commands_that_others_build_on_are_there() -> None:
    """The fixed names, with their fixed options."""
    fixed = {
        "init": {"--solo"}, "up": {"--home", "--port", "--scoring-port", "--grpc-port", "--host"}, "ps": set(),
        "logs": set(), "down": set(), "user add": {"--role"}, "login": set(), "token revoke": set(), "check": set(),
        "try": set(), "pack": {"-o"}, "register": set(), "models": set(), "show": set(), "diff": set(), "certify": set(),
        "accept": {"--reason"}, "withdraw": {"--reason"}, "retire": {"--reason"}, "releases": set(),
        "release propose": {
            "--champion", "--challenger", "--canary", "--order", "--deadline", "--patience", "--default", "--reason",
        },
        "release approve": {"--reason", "--no-wait"}, "rollback": {"--to", "--reason"}, "score": set(),
        "requests": {"--last"}, "request": set(), "replay": set(), "audit list": set(), "audit verify": {"--database"},
        "demo": set(),
    }  # fmt: skip
    there = {
        " ".join(path): {text for one in command.params for text in (*one.opts, *one.secondary_opts)}
        for path, command in every_command(cli)
    }
    for name, options in fixed.items():
        assert options <= there[name], name


def test_every_family_of_errors_has_an_exit_code_of_its_own() -> None:
    """A program can tell the families apart by the exit code, and each code has a meaning."""
    codes = [exits.EXIT_CODES[family] for family in errors.FAMILIES]
    assert len(set(codes)) == len(codes)
    assert not {0, 1} & set(codes)
    assert set(codes) <= set(exits.MEANINGS)


@pytest.mark.parametrize(
    "arguments",
    [["nothing"], ["show"], ["models", "--nothing"], ["accept", "churn:1"], ["release", "approve", "churn", "one", "--reason", "x"],
     ["release", "propose", "churn", "--champion", "churn:1", "--deadline", "soon", "--reason", "x"],
     ["release", "propose", "churn", "--champion", "churn:1", "--default", "[1]", "--reason", "x"],
     ["user", "add", "ana", "--role", "viewer", "--kind", "king"], ["requests", "churn", "--last", "0"], ["user"]],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_is_told_without_a_factory(shell: Shell, arguments: list[str]) -> None:
    """A command that is not used as it is meant ends with 2: a problem for programs, a sentence for people."""
    assert shell.problem(*arguments, code=2)["code"] == "cli.usage"
    told = shell.type(*arguments, code=2)
    assert told.stdout == ""
    assert told.stderr


@pytest.mark.parametrize("name", ["churn", "Churn:1", "churn:0", "churn:-1", "churn:x", ""])
def test_a_version_that_cannot_be_is_malformed(shell: Shell, name: str) -> None:
    """What is no version is refused before anybody is asked."""
    assert shell.problem("certify", name, code=2)["code"] == "names.malformed"


def test_no_factory_is_told_to_people_and_programs(shell: Shell) -> None:
    """Where nothing listens, exit code 10 and what to do."""
    problem = shell.where(MUSTER_URL="http://127.0.0.1:9").problem("models", code=10)
    assert (problem["code"], problem["family"]) == ("client.unreachable", "unavailable")
    told = shell.where(MUSTER_URL="http://127.0.0.1:9").type("models", code=10)
    assert told.stdout == ""
    assert "muster up" in told.stderr


def test_who_stops_reading_ends_the_program_quietly(as_: Callable[[str], Shell]) -> None:
    """`muster … | head -0` is no fault."""
    shell = as_("admin")
    piped = subprocess.run(
        ["bash", "-c", f"{' '.join(MUSTER)} audit list --json | true; echo ${{PIPESTATUS[0]}}"],
        capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin", "HOME": str(shell.folder), **shell.variables},
    )  # fmt: skip
    assert piped.stdout.strip() in {"0", "141"}
    assert "Traceback" not in piped.stderr


def test_the_program_starts_fast(shell: Shell) -> None:
    """Help imports neither a web framework nor a database nor NumPy."""
    code = (
        "import sys; from muster.cli.main import run; run(['--help']);"
        "print(sorted({'litestar','sqlalchemy','numpy','httpx','rich','pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([MUSTER[0], "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_python_dash_m_is_the_same_program(shell: Shell) -> None:
    """The document of a failure is JSON whatever way the program was started."""
    assert (
        json.loads(shell.where(MUSTER_URL="http://127.0.0.1:9").type("show", "a:1", "--json", code=10).stderr)["status"]
        == 503
    )
