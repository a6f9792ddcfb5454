"""Long work: session list, session show, session follow, session cancel."""

from typing import TYPE_CHECKING

import click

from muster.cli import exits, harmless
from muster.cli.options import factory, reason_option
from muster.cli.output import Output, answering, show_facts, show_table
from muster.vocabulary.states import SessionState
from muster.wire import control

if TYPE_CHECKING:
    from rich.console import Console


@click.group()
def session() -> None:
    """See, follow and cancel certifications and replays."""


@session.command("list")
@click.option("--open", "open_only", is_flag=True, help="Only those that will go on.")
@click.option("--about", metavar="VERSION", help="Only those about it.")
@click.option("--limit", type=click.IntRange(min=1, max=1000), default=20, help="How many at most; usually 20.")
@answering
def list_sessions(out: Output, *, open_only: bool, about: str | None, limit: int) -> None:
    """List the last sessions of the project, the newest first."""
    with factory() as muster:
        found = muster.sessions(open_only=open_only, about=about, limit=limit)
    rows = [
        (one.id, one.kind, one.subject, one.state, one.attempt or "", one.requested_by, one.created_at, one.finished_at)
        for one in found.sessions
    ]
    columns = ("session", "kind", "about", "state", "attempt", "asked by", "at", "ended")
    out.document(found, lambda console: show_table(console, columns, rows, none="There is none."))


@session.command("show")
@click.argument("session_id", metavar="SESSION")
@answering
def show_session(out: Output, session_id: str) -> None:
    """Show how far a session is, and what came of it."""
    with factory() as muster:
        found = muster.session(session_id)
    out.document(found, lambda console: _show(console, found))


@session.command("follow")
@click.argument("session_id", metavar="SESSION")
@answering
def follow_session(out: Output, session_id: str) -> int:
    """Show the lines of progress of a session as they come, until it is over; while it waits, its place in the queue.

    Exit code 1 says that it did not pass.
    """
    with factory() as muster:
        told: int | None = None
        for found in muster.follow_session(session_id):
            if found.ahead is not None and found.ahead != told and not out.as_json:
                click.echo(f"{found.state}: {found.ahead} before it", err=True)
            told = found.ahead
            if not out.as_json:
                for line in found.progress:
                    click.echo(harmless.lines(line))
        whole = muster.session(session_id)
    out.document(whole, lambda console: console.print(f"{whole.subject}: {whole.state} (session {whole.id})"))
    return exits.DONE if whole.state is SessionState.PASSED else exits.VERDICT_NO


@session.command("cancel")
@click.argument("session_id", metavar="SESSION")
@reason_option
@answering
def cancel_session(out: Output, session_id: str, reason: str) -> None:
    """End a session for good, wherever it is; what works on it is ended within a second."""
    with factory() as muster:
        found = muster.cancel_session(session_id, reason)
    out.document(found, lambda console: console.print(f"{found.subject}: {found.state} (session {found.id})"))


def _show(console: "Console", found: control.Session) -> None:
    console.print(f"{found.kind} of {found.subject}: {found.state}", style="bold")
    error = (found.result or {}).get("error") or {}
    show_facts(
        console,
        (
            ("asked", f"{found.created_at} by {found.requested_by}"),
            ("before it", None if found.ahead is None else str(found.ahead)),
            ("begun", found.started_at),
            ("attempt", str(found.attempt) if found.attempt > 1 else None),
            ("ended", found.finished_at),
            ("error", error.get("message")),
            ("advice", error.get("advice")),
        ),
    )
    for line in found.progress:
        console.print(f"  {harmless.lines(line)}", markup=False)
