"""`muster`: the group of all commands, and the one place where errors become exit codes.

A command's module is imported when the command is called or asked for its help; the summaries of `muster --help` stand
here, so that it imports none of them. Add a command: write it in a module of `commands`, and name it in COMMANDS.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click

import muster
from muster.cli import exits
from muster.cli.errors import InternalFault, UsageWrong
from muster.cli.output import report
from muster.vocabulary.errors import Invalid, MusterError


@dataclass(frozen=True, slots=True)
class Entry:
    """A command that is not imported yet."""

    module: str
    summary: str


#: Section → name → command; the order is that of `muster --help`.
COMMANDS: dict[str, dict[str, Entry]] = {
    "The factory": {
        "demo": Entry("demo", "Play the whole story on real data, in a factory of its own."),
        "init": Entry("factory", "Make a home for a factory."),
        "up": Entry("processes", "Start the factory and stay until it is told to stop."),
        "ps": Entry("processes", "Show the processes of the factory."),
        "top": Entry("top", "Show what goes on at the endpoints, live."),
        "logs": Entry("processes", "Show what the processes log."),
        "down": Entry("processes", "Stop the factory."),
        "login": Entry("factory", "Keep an address and a token for the commands to come."),
        "logout": Entry("factory", "Forget the saved login."),
        "sign-in": Entry("sign_in", "Sign in with a password or at an OpenID provider."),
        "sign-out": Entry("sign_in", "End the token that you got by signing in."),
        "password": Entry("sign_in", "Set passwords."),
        "whoami": Entry("factory", "Say who the factory takes you for."),
        "project": Entry("projects", "Make projects, show what they use, limit what they hold."),
        "user": Entry("people", "Add, list, describe, change and remove users."),
        "group": Entry("projects", "Make groups, say who is in them, give them roles."),
        "role": Entry("projects", "Show the roles, make roles of the project's own."),
        "token": Entry("people", "Give out tokens, list, rotate and take them back."),
    },
    "In the lab, without a factory": {
        "check": Entry("lab", "Say what is missing or wrong in a bundle."),
        "try": Entry("lab", "Run a bundle on some rows, in its own environment."),
        "pack": Entry("lab", "Make the one zip that a folder gives on every machine."),
        "assemble": Entry("assemble", "Make a bundle of a model in any language: lock, build, golden answers."),
        "import": Entry("import_", "Make a bundle of a model that another tool saved."),
        "conform": Entry("conform", "Hold a bundle against the conformance kit."),
        "env": Entry("env", "Build, list, verify, export and rebuild environments."),
    },
    "Versions": {
        "register": Entry("versions", "Register a bundle as a version of a model."),
        "models": Entry("versions", "List the models."),
        "model": Entry("catalogue", "List and show models, and say what they carry."),
        "search": Entry("catalogue", "Find models, versions and endpoints."),
        "resolve": Entry("catalogue", "Say which versions references stand for."),
        "show": Entry("versions", "Show a version, or a model with its versions."),
        "diff": Entry("versions", "Show how one version differs from another."),
        "certificate": Entry("certificates", "Show, export, verify and sign certificates; their keys."),
        "notices": Entry("certificates", "Show what is to be said of certificates: renewals, ends."),
        "session": Entry("sessions", "See, follow and cancel certifications and replays."),
        "certify": Entry("versions", "Have a version examined and wait for the verdict."),
        "evaluation": Entry("evaluations", "Seal rows on which the versions of a model are judged."),
        "metrics": Entry("evaluations", "Show how well versions predict: metrics, curves."),
        "source": Entry("training", "Say from where the factory may read data that bundles name."),
        "profile": Entry("training", "Look at the data that versions were trained on, in numbers."),
        "card": Entry("dossiers", "Show the model card of a version."),
        "test-score": Entry("dossiers", "Show how ready a model is, by the ML Test Score; declare tests."),
        "accept": Entry("versions", "Pass a certified version for production use."),
        "vulnerabilities": Entry("advisories", "Take in what is known against packages, see which versions it hits."),
        "retire": Entry("versions", "End a version's life: new releases refuse it."),
        "ban": Entry("versions", "Say that a version should not be used; serving stops."),
    },
    "Releases": {
        "release": Entry("releases", "Propose, approve, reject, withdraw, agree to releases."),
        "livetest": Entry("livetests", "Put versions on trial beside a release, see how they do."),
        "releases": Entry("releases", "List the releases of an endpoint."),
        "endpoints": Entry("releases", "List the endpoints."),
        "consumers": Entry("projects", "List who asks which endpoint, how often, and which versions answered."),
        "withdraw": Entry("releases", "Take a release back that is not live yet."),
        "rollback": Entry("releases", "Make an earlier release current again, at once."),
    },
    "Standards and gates": {
        "standard": Entry("governance", "Show, propose, adopt and try the standard of a project."),
        "review": Entry("governance", "See and say what people think of what is at a gate."),
        "delegate": Entry("governance", "Let somebody vote in your place while you are absent."),
        "own-check": Entry("own_checks", "Add, show and try checks of your own."),
        "waive": Entry("governance", "Let a version fail a check for a while; takes two people."),
    },
    "Requests": {
        "score": Entry("scoring", "Ask an endpoint about the rows of a file."),
        "requests": Entry("requests", "List the last requests of an endpoint."),
        "request": Entry("requests", "Show the decision record of a request."),
        "replay": Entry("requests", "Compute a past request again and compare."),
        "archive": Entry("archive", "Export records, say how long they are kept, verify them."),
        "audit": Entry("audit", "List the audit events, or verify their chain."),
    },
}
_COMPLETION = "_MUSTER_COMPLETE"
_ENTRIES = {name: entry for section in COMMANDS.values() for name, entry in section.items()}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Every name, in the order of the sections."""
        return list(_ENTRIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command, imported now."""
        entry = _ENTRIES.get(cmd_name)
        if entry is None:
            return None
        module = import_module(f"muster.cli.commands.{entry.module}")
        return next((found for found in vars(module).values() if _is_command(found, cmd_name)), None)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """The sections, from their summaries alone."""
        for section, entries in COMMANDS.items():
            with formatter.section(section):
                formatter.write_dl([(name, entry.summary) for name, entry in entries.items()])


def _is_command(found: Any, name: str) -> bool:
    return isinstance(found, click.Command) and found.name == name


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(muster.__version__, "-V", "--version", message="%(prog)s %(version)s")
@click.option("--url", metavar="URL", help="Address of the factory; else MUSTER_URL, the saved login or the home.")
@click.option(
    "--project", metavar="NAME", envvar="MUSTER_PROJECT", default="default", help="Project that names belong to."
)
@click.pass_context
def cli(ctx: click.Context, url: str | None, project: str) -> None:
    """Muster, the model factory: packages, certifies, releases, serves, archives and replays models.

    Every command takes --json. Exit codes: 0 done, 1 the verdict is no, 2 malformed, 3 not found, 4 conflict, 5 not
    allowed, 6 not identified, 7 refused, 8 overloaded, 9 timed out, 10 unavailable, 11 damaged, 70 internal.
    """
    ctx.obj = Meant(url, project)


@dataclass(frozen=True, slots=True)
class Meant:
    """Which factory and project the commands are about."""

    url: str | None
    project: str


def run(arguments: Sequence[str]) -> int:
    """Carry out a command line; gives the exit code."""
    as_json = "--json" in arguments
    try:
        code = cli.main(list(arguments), prog_name="muster", standalone_mode=False)
        sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return exits.INTERRUPTED
    except (BrokenPipeError, SystemExit):
        if _COMPLETION in os.environ:  # the shell asked what could be typed next
            raise
        # click ends the program itself only when nobody reads on. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return exits.BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - the outermost door: whatever happens has an exit code
        return _told(error, as_json=as_json)
    return code if isinstance(code, int) else exits.DONE


def _told(error: Exception, *, as_json: bool) -> int:
    """Say what went wrong; gives the exit code."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError) and not as_json:
        click.echo(error.format_message(), err=True)  # the help
        return exits.EXIT_CODES[Invalid]
    named: MusterError
    if isinstance(error, MusterError):
        named = error
    elif isinstance(error, click.ClickException):
        named = UsageWrong(_sentence(error))
    else:
        if not as_json:
            traceback.print_exception(error)
        named = InternalFault(f"{type(error).__name__}: {error}")
    report(named, as_json=as_json)
    return exits.exit_code_of(named)


def _sentence(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    where = f"{context.command_path}: " if context is not None else ""
    return f"{where}{error.format_message()}"


def main() -> None:
    """The program `muster`."""
    sys.exit(run(sys.argv[1:]))
