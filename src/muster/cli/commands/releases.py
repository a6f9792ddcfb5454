"""Who answers at an endpoint: release propose, approve, reject, withdraw; releases, endpoints, withdraw, rollback."""

from typing import TYPE_CHECKING, Any

import click
import msgspec

from muster.cli import exits
from muster.cli.errors import NotLiveYet
from muster.cli.options import duration, factory, reason_option
from muster.cli.output import Output, answering, show_facts, show_table
from muster.vocabulary.states import ReleaseState
from muster.wire import control

if TYPE_CHECKING:
    from rich.console import Console


def json_object(text: Any) -> dict[str, Any]:
    """A JSON object on the command line, such as the default answer; used as the `type` of an option."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise click.BadParameter(f"{text!r} is not a JSON object: {error}") from error


@click.group()
def release() -> None:
    """Propose, approve, reject and withdraw releases."""


@release.command()
@click.argument("endpoint")
@click.option("--champion", required=True, metavar="VERSION", help="The version whose answer is given.")
@click.option("--challenger", "challengers", multiple=True, metavar="VERSION", help="Answers, too; may be repeated.")
@click.option(
    "--canary", "canaries", multiple=True, metavar="VERSION", help="A constant earlier version; may be repeated."
)
@click.option("--order", metavar="VERSION,…", help="Whose answer is preferred; else the champion, then the canaries.")
@click.option("--deadline", type=duration, metavar="DURATION", help="Within which every request is answered; 100ms.")
@click.option(
    "--patience", type=duration, metavar="DURATION", help="How long a preferred version is waited for; 60 % of it."
)
@click.option(
    "--default",
    type=json_object,
    metavar="JSON",
    help="The answer when no version gives one in time: one value per output.",
)
@click.option(
    "--archive",
    "archive_level",
    type=click.Choice(["sync", "group", "async"]),
    default="group",
    help="When a decision record is on disk: before the reply (sync), within 50 ms (group), at leisure (async).",
)
@reason_option
@answering
def propose(
    out: Output,
    endpoint: str,
    *,
    order: str | None,
    challengers: tuple[str, ...],
    canaries: tuple[str, ...],
    **options: Any,
) -> None:
    """Propose who shall answer at an endpoint; the first proposal makes the endpoint."""
    named = None if order is None else [version.strip() for version in order.split(",") if version.strip()]
    with factory() as muster:
        found = muster.propose(endpoint, order=named, challengers=challengers, canaries=canaries, **options)
    out.document(found, lambda console: _show_release(console, found))


@release.command()
@click.argument("endpoint")
@click.argument("release", metavar="RELEASE", type=click.IntRange(min=1))
@click.option("--wait/--no-wait", default=True, help="Wait until every front serves it (the default), or not.")
@click.option("--within", type=duration, metavar="DURATION", default="2m", show_default=True, help="How long to wait.")
@reason_option
@answering
def approve(out: Output, endpoint: str, release: int, *, wait: bool, within: float, reason: str) -> int:
    """Approve a release; it is live once every connected front has loaded, checked and switched to it.

    Exit code 1 says that a front could not: the release is failed, and what was served before goes on.
    """
    with out.progress(f"Release {release} of {endpoint}") as news, factory() as muster:
        found = muster.approve(
            endpoint, release, reason, wait=wait, progress=lambda seen: news(str(seen.state)), patience_s=within / 1000
        )
    if wait and found.state is ReleaseState.APPROVED:
        raise NotLiveYet(
            f"release {release} of {endpoint} is approved, but not live after {within / 1000:g} s",
            endpoint=endpoint,
            release=release,
            state=str(found.state),
        )
    out.document(found, lambda console: _show_release(console, found))
    return exits.VERDICT_NO if found.state is ReleaseState.FAILED else exits.DONE


@release.command()
@click.argument("endpoint")
@click.argument("release", metavar="RELEASE", type=click.IntRange(min=1))
@reason_option
@answering
def reject(out: Output, endpoint: str, release: int, reason: str) -> None:
    """Turn a proposed release down."""
    with factory() as muster:
        found = muster.reject(endpoint, release, reason)
    out.document(found, lambda console: _show_release(console, found))


@click.command("withdraw")
@click.argument("endpoint")
@click.argument("release", metavar="RELEASE", type=click.IntRange(min=1))
@reason_option
@answering
def withdraw(out: Output, endpoint: str, release: int, reason: str) -> None:
    """Take a release back that is not live yet."""
    with factory() as muster:
        found = muster.withdraw(endpoint, release, reason)
    out.document(found, lambda console: _show_release(console, found))


release.add_command(withdraw)


@release.command("show")
@click.argument("endpoint")
@click.argument("release", metavar="RELEASE", type=click.IntRange(min=1))
@answering
def show_one(out: Output, endpoint: str, release: int) -> None:
    """Show a release with its serving plan."""
    with factory() as muster:
        found = muster.release(endpoint, release)
    out.document(found, lambda console: _show_release(console, found))


@click.command()
@click.argument("endpoint")
@answering
def releases(out: Output, endpoint: str) -> None:
    """List the releases of an endpoint, the newest first."""
    with factory() as muster:
        found = muster.releases(endpoint)
    rows = [
        (one.release, "current" if one.current else "", one.state, _roster(one), one.proposed_by, one.reason)
        for one in found.releases
    ]
    columns = ("release", "", "state", "variants", "proposed by", "reason")
    out.document(found, lambda console: show_table(console, columns, rows, none=f"{endpoint} has no release yet."))


@click.command()
@answering
def endpoints(out: Output) -> None:
    """List the endpoints."""
    with factory() as muster:
        found = muster.endpoints()
    rows = [(one.name, one.current, one.champion, one.releases) for one in found.endpoints]
    columns = ("endpoint", "current release", "champion", "releases")
    out.document(found, lambda console: show_table(console, columns, rows, none="There is no endpoint yet."))


@click.command()
@click.argument("endpoint")
@click.option("--to", type=click.IntRange(min=1), metavar="RELEASE", help="Which; else what was current before.")
@reason_option
@answering
def rollback(out: Output, endpoint: str, to: int | None, reason: str) -> None:
    """Make an earlier release current again, at once; needs no approval."""
    with factory() as muster:
        found = muster.rollback(endpoint, reason, to=to)
    out.document(
        found,
        lambda console: console.print(
            f"{endpoint}: release {found.to} is current again instead of {found.from_release}, "
            f"on every connected front after {found.effective_ms:.0f} ms"
        ),
    )


def _roster(found: control.Release) -> str:
    return ", ".join(f"{variant.role} {variant.version}" for variant in found.variants)


def _show_release(console: "Console", found: control.Release) -> None:
    style = {"live": "green", "failed": "red", "rejected": "red"}.get(str(found.state), "bold")
    console.print(f"{found.endpoint} release {found.release}: {found.state}", style=style)
    show_facts(
        console,
        (
            ("variants", _roster(found)),
            ("order", found.order),
            ("deadline", f"{found.deadline_ms:g} ms"),
            ("patience", ", ".join(f"{patience:g} ms" for patience in found.patience_ms)),
            ("default", found.default),
            ("proposed", f"{found.proposed_at} by {found.proposed_by}: {found.reason}"),
            ("decided", found.decided_by and f"{found.decided_at} by {found.decided_by}: {found.decision_reason}"),
            ("live", found.live_at),
            ("failure", found.failure),
        ),
    )
