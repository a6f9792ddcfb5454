"""What happened to requests: requests, request, replay."""

from typing import TYPE_CHECKING, Any

import click

from muster.cli import exits
from muster.cli.options import factory
from muster.cli.output import Output, answering, show_facts, show_table
from muster.wire import control

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

_SHOWN_ROWS = 20
_SHOWN_ELEMENTS = 8
_SHOWN_CHARACTERS = 200


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
            ("chosen", _chosen(found)),
            ("reason", f"{found.reason} (probability {found.probability:g})"),
            (
                "default",
                None if found.default is None else {name: _brief(value) for name, value in found.default.items()},
            ),
            ("plan", found.plan_digest),
            ("front", found.front),
        ),
    )
    console.print("\ninputs", style="bold")
    rows = list(zip(*found.inputs.values(), strict=True))
    show_table(console, tuple(found.inputs), [[_brief(value) for value in row] for row in rows[:_SHOWN_ROWS]])
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
                _brief(answer.error) or _first_outputs(answer),
                f"{answer.latency_ms:.2f}",
                answer.host,
                answer.batch,
                f"{answer.position} to {answer.position + found.rows - 1} of {answer.batch_rows}",
            )
            for answer in found.answers
        ],
    )


def _chosen(found: control.Request) -> str:
    """Once where it is the same for all rows; else row by row, as far as rows are shown."""
    if len(set(found.chosen)) == 1:
        return found.chosen[0]
    more = len(found.chosen) - _SHOWN_ROWS
    return ", ".join(found.chosen[:_SHOWN_ROWS]) + (f", … and for {more} rows more" if more > 0 else "")


def _first_outputs(answer: control.RequestAnswer) -> str:
    return "; ".join(f"{name} = {_first(values, 3)}" for name, values in (answer.outputs or {}).items())


def _first(values: "Sequence[Any]", count: int) -> str:
    """The first of them, and how many there are."""
    more = f", … {len(values)} in all" if len(values) > count else ""
    return ", ".join(str(_brief(value)) for value in values[:count]) + more


def _brief(value: Any) -> Any:
    """A value for a cell: of a long tensor or text the beginning."""
    if isinstance(value, list):
        return f"[{_first(value, _SHOWN_ELEMENTS)}]"
    if isinstance(value, str) and len(value) > _SHOWN_CHARACTERS:
        return f"{value[:_SHOWN_CHARACTERS]}… {len(value)} characters in all"
    return value


def _show_replay(console: "Console", found: control.Replay) -> None:
    if found.state in {"queued", "running"}:
        console.print(f"replay of {found.request_id} is {found.state} (session {found.session})")
    elif found.identical:
        console.print(f"{found.request_id}: identical, bit for bit", style="green")
    else:
        console.print(f"{found.request_id}: not identical", style="red")
        for difference in found.differences:
            console.print(f"  {difference}")
