"""What a command writes: one JSON document for programs, tables and colours for people.

With `--json`, stdout holds one document and nothing else; on failure stdout is empty and one problem document is on
stderr. Without it, results go to stdout, and progress, notes and errors to stderr.

Everything that is written for people leaves through here, made harmless for their terminals.
"""

import functools
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
import msgspec

from muster.api.statuses import described
from muster.cli import harmless
from muster.vocabulary.errors import MusterError

if TYPE_CHECKING:
    from rich.console import Console

SOLO_NOTE = "This is a factory for one person: its gates are passed without a second one."


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command's result goes."""

    as_json: bool

    def document(self, document: Any, human: "Callable[[Console], None]") -> None:
        """Write a result.

        Args:
            document: a document of the API, or what is JSON-able.
            human: writes the same for a person.
        """
        if self.as_json:
            click.echo(_json(document))
            return
        human(_console())
        if document.get("solo") if isinstance(document, dict) else getattr(document, "solo", False):
            self.note(SOLO_NOTE)

    def note(self, text: str) -> None:
        """Say something beside the result, to a person only."""
        if not self.as_json:
            click.secho(harmless.lines(text), fg="yellow", err=True)

    def put_logs_aside(self) -> None:
        """Keep what parts of the factory log in this process from the results: they are on stdout, where logs go by themselves.

        With `--json` stderr is for the problem document alone.
        """
        from muster.telemetry.logs import set_up_logs  # noqa: PLC0415 - slow to load, and most commands do without

        set_up_logs("muster", level=logging.CRITICAL if self.as_json else logging.WARNING)

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[str], None]]:
        """Show that something goes on; what is given to the function it yields is shown as the latest news.

        On a terminal this is one moving line; in a pipe each piece of news is a line; with `--json` it is silent.
        """
        if self.as_json:
            yield lambda _news: None
        elif sys.stderr.isatty():
            from rich.text import Text  # noqa: PLC0415 - rich is slow to load, and most commands do without

            from muster.cli.consoles import of_progress  # noqa: PLC0415 - as above

            with of_progress().status(Text(what)) as status:
                yield lambda news: status.update(Text(harmless.cell(f"{what}: {news}" if news else what)))
        else:
            click.echo(harmless.lines(f"{what} …"), err=True)
            yield _each_once()


def _each_once() -> Callable[[str], None]:
    said: set[str] = set()

    def say(news: str) -> None:
        if news and news not in said:
            said.add(news)
            click.echo(harmless.lines(f"  {news}"), err=True)

    return say


def answering(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """Give a command the option `--json`, and an `Output` as its first argument."""

    @click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, nothing else.")
    @functools.wraps(command)
    def with_output(*args: Any, as_json: bool, **options: Any) -> int | None:
        output = Output(as_json)
        if "structlog" in sys.modules:  # the command brought parts that log
            output.put_logs_aside()
        return command(output, *args, **options)

    return with_output


def report(error: MusterError, *, as_json: bool) -> None:
    """Write an error to stderr: as a problem document, or as what was wrong and what to do."""
    if as_json:
        click.echo(_json(described(error)), err=True)
        return
    click.secho("Error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(harmless.lines(error.message), err=True)
    if error.advice:
        click.echo(harmless.lines(error.advice), err=True)
    click.secho(harmless.cell(f"({error.code})"), dim=True, err=True)


def show_table(
    console: "Console", columns: Sequence[str], rows: Iterable[Sequence[Any]], *, none: str = "none"
) -> None:
    """A table, one line a row where it is not wrapped; `none` where there are no rows."""
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(Text(harmless.cell(column)), overflow="fold")
    filled = [[Text(harmless.cell(_cell(value))) for value in row] for row in rows]
    if not filled:
        console.print(none, style="dim")
        return
    for row in filled:
        table.add_row(*row)
    console.print(table)


def show_facts(console: "Console", facts: Iterable[tuple[str, Any]]) -> None:
    """Names and values, one a line; empty ones are left out. A value of several lines stands beside its name alone."""
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts:
        if value not in (None, "", (), [], {}):
            table.add_row(Text(harmless.cell(name)), Text(harmless.lines(_cell(value))))
    console.print(table)


def percent(share: float) -> str:
    """A share of all, for people: `95 %`, `0.25 %`."""
    return f"{share * 100:.4g} %"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(item) for item in value)
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    return str(value)


def _json(document: Any) -> str:
    return harmless.json_text(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


def _console() -> "Console":
    from muster.cli.consoles import of_results  # noqa: PLC0415 - as above

    return of_results()
