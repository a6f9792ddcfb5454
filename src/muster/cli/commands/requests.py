"""What happened to requests: requests, request, replay."""

from typing import TYPE_CHECKING

import click

from muster.cli import exits
from muster.cli.options import factory
from muster.cli.output import Output, answering, show_facts, show_table
from muster.wire import control

if TYPE_CHECKING:
    from rich.console import Console

_SHOWN_ROWS = 20


@click.command()
@click.argument("endpoint")
@click.option("--last", type=click.IntRange(1, 1000), default=20, show_default=True, metavar="N", help="How many.")
@answering
def requests(out: Output, endpoint: str, last: int) -> None:
    """List the last requests of an endpoint, the newest first."""
    with factory() as muster:
        found = muster.requests(endpoint, last)
    rows = [
        (one.request_id, one.at, one.release, one.consumer, one.rows, one.variants, one.reason, f"{one.elapsed_ms:.1f}")
        for one in found.requests
    ]
    columns = ("request", "at", "release", "consumer", "rows", "answered by", "reason", "ms")
    out.document(found, lambda console: show_table(console, columns, rows, none=f"{endpoint} has had no request."))


@click.command()
@click.argument("request_id", metavar="ID")
@answering
def request(out: Output, request_id: str) -> None:
    """Show the decision record of a request: what came, what every variant answered, who was chosen and why."""
    with factory() as muster:
        found = muster.request(request_id)
    out.document(found, lambda console: _show_request(console, found))


@click.command()
@click.argument("request_id", metavar="ID")
@click.option("--wait/--no-wait", default=True, help="Wait for the result (the default), or only ask for it.")
@answering
def replay(out: Output, request_id: str, wait: bool) -> int:  # noqa: FBT001 - click's own
    """Compute a past request again on the sealed bundles, in the same batch, and compare bit by bit.

    Exit code 1 says that the answers are not identical; the differences are listed.
    """
    with out.progress(f"Replaying {request_id}") as news, factory() as muster:
        found = muster.replay(
            request_id,
            wait=wait,
            progress=lambda session: news(session.progress[-1] if session.progress else str(session.state)),
        )
    out.document(found, lambda console: _show_replay(console, found))
    return exits.DONE if found.identical or not wait else exits.VERDICT_NO


def _show_request(console: "Console", found: control.Request) -> None:
    console.print(f"request {found.request_id}", style="bold")
    show_facts(
        console,
        (
            ("endpoint", f"{found.endpoint}, release {found.release}"),
            ("consumer", found.consumer),
            ("client id", found.client_id),
            ("received", found.received_at),
            ("decided", f"after {found.elapsed_ms:.2f} ms of {found.deadline_ms:g} ms"),
            ("chosen", found.chosen),
            ("reason", f"{found.reason} (probability {found.probability:g})"),
            ("default", found.default),
            ("plan", found.plan_digest),
            ("front", found.front),
        ),
    )
    console.print("\ninputs", style="bold")
    rows = list(zip(*found.inputs.values(), strict=True))
    show_table(console, tuple(found.inputs), rows[:_SHOWN_ROWS])
    if len(rows) > _SHOWN_ROWS:
        console.print(f"… and {len(rows) - _SHOWN_ROWS} rows more; --json shows all")
    console.print("\nanswers", style="bold")
    show_table(
        console,
        ("version", "role", "status", "outputs", "ms", "host", "batch", "rows of it"),
        [
            (
                answer.version,
                answer.role,
                f"{answer.status}, late" if answer.late else answer.status,
                answer.error or _first_outputs(answer),
                f"{answer.latency_ms:.2f}",
                answer.host,
                answer.batch,
                f"{answer.position} to {answer.position + found.rows - 1} of {answer.batch_rows}",
            )
            for answer in found.answers
        ],
    )


def _first_outputs(answer: control.RequestAnswer) -> str:
    shown = []
    for name, values in (answer.outputs or {}).items():
        more = f", … {len(values)} in all" if len(values) > 3 else ""
        shown.append(f"{name} = {', '.join(str(value) for value in values[:3])}{more}")
    return "; ".join(shown)


def _show_replay(console: "Console", found: control.Replay) -> None:
    if found.state in {"queued", "running"}:
        console.print(f"replay of {found.request_id} is {found.state} (session {found.session})")
    elif found.identical:
        console.print(f"{found.request_id}: identical, bit for bit", style="green")
    else:
        console.print(f"{found.request_id}: not identical", style="red")
        for difference in found.differences:
            console.print(f"  {difference}")
