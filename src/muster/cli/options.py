"""Options and arguments that several commands share, and the connection they make."""

from collections.abc import Callable
from typing import Any

import click

from muster.cli.main import Meant
from muster.client.control import Factory, connect
from muster.client.durations import milliseconds_of
from muster.client.errors import DurationMalformed

Command = Callable[..., Any]


def duration(text: Any) -> float:
    """The milliseconds of a duration on the command line; used as the `type` of an option."""
    try:
        return milliseconds_of(text)
    except DurationMalformed as error:
        raise click.BadParameter(f"{error.message}; write it like 100ms or 2s") from error


def reason_option(command: Command) -> Command:
    """Give a command the option `--reason`."""
    return click.option("--reason", required=True, metavar="TEXT", help="Why; it is kept in the audit journal.")(
        command
    )


def told_options(command: Command) -> Command:
    """Give a command the options `--title`, `--contact` and `--channel`."""
    command = click.option("--channel", metavar="TEXT", help="Where its people are told of changes.")(command)
    command = click.option("--contact", metavar="TEXT", help="How to reach who answers for it.")(command)
    return click.option("--title", metavar="TEXT", help="One line for people.")(command)


def factory(project: str | None = None) -> Factory:
    """The factory that the command line, the environment or the saved login means.

    Args:
        project: in place of the one that `--project` means.
    """
    meant = click.get_current_context().find_object(Meant) or Meant(None, "default")
    return connect(meant.url, project=project or meant.project)
