"""Who answers at an endpoint: release propose, approve, reject, withdraw, step, simulate; releases, endpoints, rollback."""

import time
from datetime import UTC, datetime
from datetime import time as clock_time
from typing import TYPE_CHECKING, Any

import click
import msgspec

from muster.cli import exits
from muster.cli.commands.evolution import acknowledge, breaks
from muster.cli.errors import NotLiveYet
from muster.cli.options import duration, factory, reason_option
from muster.cli.output import Output, answering, percent, show_facts, show_table
from muster.cli.policies import by_version, in_words, policy_of, policy_options, steps_in_words, version_and_number
from muster.vocabulary.states import ReleaseState
from muster.wire import control
from muster.wire.control import MOST_RECORDS

if TYPE_CHECKING:
    from rich.console import Console

_LOOK_AGAIN_S = 0.3


def json_object(text: Any) -> dict[str, Any]:
    """A JSON object on the command line, such as the default answer; used as the `type` of an option."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise click.BadParameter(f"{text!r} is not a JSON object: {error}") from error


def past(text: Any) -> dict[str, Any]:
    """Which past requests; used as the `type` of an option."""
    if text == "today":
        return {"from_": datetime.combine(datetime.now(UTC).date(), clock_time(), UTC), "last": MOST_RECORDS}
    kind, _, count = str(text).partition(":")
    if kind != "last" or not count.isascii() or not count.isdecimal():
        raise click.BadParameter(f"{text!r} is neither last:N, like last:10000, nor today")
    return {"last": int(count)}


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
@click.option(
    "--twin", "twins", multiple=True, metavar="VERSION", help="Serve its compiled twin in its place; may be repeated."
)
@click.option("--order", metavar="VERSION,…", help="Whose answer is preferred; else the champion, then the canaries.")
@policy_options
@click.option("--deadline", type=duration, metavar="DURATION", help="Within which every request is answered; 100ms.")
@click.option(
    "--patience", type=duration, metavar="DURATION", help="How long a preferred version is waited for; 60 % of it."
)
@click.option(
    "--patience-ms",
    multiple=True,
    type=version_and_number,
    metavar="VERSION=MS",
    help="How long one version is waited for; may be repeated.",
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
@click.option(
    "--archive-full",
    type=click.Choice(["refuse", "drop"]),
    default="refuse",
    help="When no decision record can be written: refuse the request, or answer it and count the record as dropped.",
)
@reason_option
@answering
def propose(out: Output, endpoint: str, **options: Any) -> None:
    """Propose who shall answer at an endpoint; the first proposal makes the endpoint."""
    names = ("policy", "on", "wait_ms", "weight", "average", "argmax", "by", "step", "salt")
    policy = policy_of(**{name: options.pop(name) for name in names})
    order, patience, single = (options.pop(name) for name in ("order", "patience", "patience_ms"))
    if patience is not None and single:
        raise click.UsageError("--patience is for all versions, --patience-ms for single ones: give one of the two")
    named = None if order is None else [version.strip() for version in order.split(",") if version.strip()]
    with factory() as muster:
        found = muster.propose(endpoint, order=named, policy=policy, patience=by_version(single) or patience, **options)
    out.document(found, lambda console: _show_release(console, found))
    for warning in found.warnings:
        out.note(warning)


@release.command("step")
@click.argument("endpoint")
@click.argument("release", metavar="RELEASE", type=click.IntRange(min=1))
@click.argument("step", metavar="STEP", type=click.IntRange(min=0))
@reason_option
@answering
def move_to_step(out: Output, endpoint: str, release: int, step: int, reason: str) -> None:
    """Move the current release to a step of its ramp; the first is 0. The steps were approved with the release."""
    with factory() as muster:
        found = muster.step(endpoint, release, step, reason)
    out.document(found, lambda console: _show_release(console, found))


@release.command()
@click.argument("endpoint")
@click.argument("release", metavar="RELEASE", type=click.IntRange(min=1))
@click.option(
    "--on", type=past, metavar="last:N|today", help="Which requests: the newest (last:10000), or those of today, UTC."
)
@click.option("--from", "from_", metavar="MOMENT", help="Those that arrived then or later, like 2026-11-21T00:00:00Z.")
@click.option("--to", metavar="MOMENT", help="Those that arrived before.")
@click.option("--step", type=click.IntRange(min=0), metavar="STEP", help="Of its ramp; else where it stands.")
@answering
def simulate(out: Output, endpoint: str, release: int, on: "dict[str, Any] | None", **options: Any) -> None:
    """Let the policy of a release, proposed or not, decide again about past requests, on paper.

    Each version's recorded answer comes after its recorded time; deadline and patience are those of the release.
    """
    if on is not None and "from_" in on and (options["from_"] or options["to"]):
        raise click.UsageError("--on today says from when on: give it, or --from and --to")
    with factory() as muster:
        found = muster.simulate(endpoint, release, **{**options, **(on or {})})
    out.document(found, lambda console: _show_simulation(console, found))


@release.command()
@click.argument("endpoint")
@click.argument("release", metavar="RELEASE", type=click.IntRange(min=1))
@click.option("--wait/--no-wait", default=True, help="Wait until every front serves it (the default), or not.")
@click.option("--within", type=duration, metavar="DURATION", default="2m", show_default=True, help="How long to wait.")
@click.option("--at", metavar="MOMENT", help="Not before this moment, like 2026-12-01T06:00:00Z; it is not waited for.")
@click.option(
    "--for", "for_person", metavar="NAME", help="Vote in the place of somebody who is absent and has named you."
)
@click.option(
    "--break-glass",
    is_flag=True,
    help="At once, without the approvals: for operators in need. Confirmed in time by others, or rolled back by itself.",
)
@reason_option
@answering
def approve(out: Output, endpoint: str, release: int, **options: Any) -> int:
    """Say yes to a release; with the last approval that is needed it goes live, once every connected front serves it.

    Exit code 1 says that a front could not: the release is failed, and what was served before goes on.
    """
    wait, within, reason = options["wait"], options["within"], options["reason"]
    at, for_person = options["at"], options["for_person"]
    if options["break_glass"] and (at is not None or for_person is not None):
        raise click.UsageError("--break-glass is at once and in nobody's place: leave --at and --for out")
    with out.progress(f"Release {release} of {endpoint}") as news, factory() as muster:
        if options["break_glass"]:
            found = muster.break_glass(endpoint, release, reason)
            deadline = time.monotonic() + within / 1000
            while wait and found.state is ReleaseState.APPROVED and time.monotonic() < deadline:
                news(str(found.state))
                time.sleep(_LOOK_AGAIN_S)
                found = muster.release(endpoint, release)
        else:
            found = muster.approve(
                endpoint, release, reason, wait=wait, progress=lambda seen: news(str(seen.state)),
                patience_s=within / 1000, at=at, for_person=for_person,
            )  # fmt: skip
    if wait and found.state is ReleaseState.APPROVED and found.live_from is None:
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
@click.option(
    "--for", "for_person", metavar="NAME", help="Vote in the place of somebody who is absent and has named you."
)
@reason_option
@answering
def confirm(out: Output, endpoint: str, release: int, for_person: str | None, reason: str) -> None:
    """Agree afterwards with a release for which the glass was broken; never by who broke it."""
    with factory() as muster:
        found = muster.confirm(endpoint, release, reason, for_person=for_person)
    out.document(found, lambda console: _show_release(console, found))


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
release.add_command(breaks)
release.add_command(acknowledge)


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
@click.option("--to", type=click.IntRange(min=1), metavar="RELEASE", help="Which; else the one before the current one.")
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
            ("policy", in_words(found.policy)),
            *(("step", line) for line in steps_in_words(found.policy, found.step)),
            ("default", found.default),
            ("proposed", f"{found.proposed_at} by {found.proposed_by}: {found.reason}"),
            ("decided", found.decided_by and f"{found.decided_at} by {found.decided_by}: {found.decision_reason}"),
            ("live from", found.live_from),
            ("live", found.live_at),
            ("broken glass", found.glass and _glass_in_words(found.glass)),
            ("failure", found.failure),
            ("archive full", "the record is dropped and counted" if found.archive_full == "drop" else None),
            *(("breaks", f"{one.side} {one.field}: {one.what}") for one in found.breaks),
            ("awaited", found.awaited),
            *(("warning", warning) for warning in found.warnings),
            *(("missing", one) for one in found.missing),
        ),
    )


def _glass_in_words(glass: control.BrokenGlass) -> str:
    by = f", to be confirmed by {glass.confirm_by}" if glass.state == "open" else ""
    return f"{glass.state}{by}; broken at {glass.at} by {glass.broken_by}: {glass.reason}"


def _show_simulation(console: "Console", found: control.Simulation) -> None:
    console.print(f"{found.endpoint} release {found.release}, simulated on {found.used} requests", style="bold")
    for version in found.never_seen:
        console.print(f"{version} is in none of these records: simulated as if it were not there", style="yellow")
    seldom = {version: count for version, count in found.absent.items() if version not in found.never_seen}
    if not found.used:
        show_facts(console, _counts(found.skipped))
        return
    show_facts(
        console,
        (
            ("requests", f"{found.first_at} to {found.last_at}, {found.records} looked at"),
            *_counts(found.skipped),
            *(("not asked", f"{version} in {count} of them") for version, count in seldom.items()),
            ("not asked", _unasked(found)),
            ("step", found.step),
            ("champion", percent(found.champion_share)),
            ("fallback", percent(found.fallback_share)),
            ("default", percent(found.default_share)),
            ("on time", percent(found.on_time_share)),
            ("reasons", _shares(found.reasons)),
            ("answered by", _shares(found.answered_by)),
            ("decided after", f"p50 {found.p50_ms or 0:.2f} ms, p99 {found.p99_ms or 0:.2f} ms"),
            (
                "same answer",
                None if found.agreement is None else f"{percent(found.agreement)} of {found.rows_compared} rows",
            ),
            *(
                ("mean |difference|", f"{name} {difference:.6g}")
                for name, difference in found.mean_absolute_difference.items()
            ),
        ),
    )


def _unasked(found: control.Simulation) -> str | None:
    if not found.unasked:
        return None
    none = f"; {found.unasked_and_none} of them count as none" if found.unasked_and_none else ""
    return (
        f"a version of the order in {found.unasked} requests: on probation, without a host, or not in the release then; simulated as "
        f"giving no answer{none}"
    )


def _counts(skipped: dict[str, int]) -> "list[tuple[str, str]]":
    return [("skipped", f"{count}: {why}") for why, count in skipped.items()]


def _shares(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {percent(share)}" for name, share in shares.items())
