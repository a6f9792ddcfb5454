"""The audit journal: audit list, audit verify."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from muster.audit.verify import verify_file
from muster.cli import exits
from muster.cli.errors import FileMissing
from muster.cli.options import factory
from muster.cli.output import Output, answering, show_table
from muster.wire import control

if TYPE_CHECKING:
    from rich.console import Console


@click.group()
def audit() -> None:
    """List the audit events, or verify their chain."""


@audit.command("list")
@click.option("--after", type=click.IntRange(min=0), metavar="N", help="Begin behind this event; else the last ones.")
@click.option("--last", "limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many at most.")
@click.option("--subject", metavar="TEXT", help="Only those about this, like churn:3 or `user ana`.")
@answering
def list_events(out: Output, after: int | None, limit: int, subject: str | None) -> None:
    """List audit events: who did what to what, when and why."""
    with factory() as muster:
        found = muster.audit_events(after=after, limit=limit, subject=subject)
    rows = [(one.sequence, one.at, one.actor, one.action, one.subject, one.reason) for one in found.events]
    columns = ("event", "at", "who", "did", "to", "reason")
    out.document(found, lambda console: show_table(console, columns, rows, none="There is no such event."))


@audit.command()
@click.option(
    "--database",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Verify this copy of the SQLite database instead.",
)
@click.option(
    "--head", metavar="PATH", type=click.Path(path_type=Path), help="With --database: the head file to hold it against."
)
@answering
def verify(out: Output, database: Path | None, head: Path | None) -> int:
    """Say whether the chain is whole: no event edited, removed, inserted or cut off.

    Exit code 1 says that it is not.
    """
    if database is None:
        with out.progress("Verifying"), factory() as muster:
            found = muster.audit_verify()
    else:
        found = _of_copy(database, head)
    out.document(found, lambda console: _show_verdict(console, found))
    return exits.DONE if found.valid else exits.VERDICT_NO


def _of_copy(database: Path, head: Path | None) -> control.AuditVerdict:
    for path in (database, head):
        if path is not None and not path.is_file():
            raise FileMissing(f"there is no file {path}", path=str(path))
    verdict = verify_file(database, head)
    return control.AuditVerdict(
        valid=verdict.valid,
        events=verdict.events,
        head=verdict.head,
        problem=verdict.problem,
        at_sequence=verdict.at_sequence,
    )


def _show_verdict(console: "Console", found: control.AuditVerdict) -> None:
    if found.valid:
        console.print(f"valid: {found.events} events, head {found.head}", style="green")
        return
    where = f" at event {found.at_sequence}" if found.at_sequence is not None else ""
    console.print(f"not valid{where}: {found.problem}", style="red")
