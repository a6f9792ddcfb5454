"""Versions on trial: livetest start, livetest status, livetest list, livetest report, livetest stop."""

from typing import TYPE_CHECKING

import click

from muster.cli import exits
from muster.cli.options import factory, reason_option
from muster.cli.output import Output, answering, show_facts, show_table
from muster.vocabulary.states import LiveTestState
from muster.wire import livetests
from muster.wire.evidence import Bars, Grid, Histogram

if TYPE_CHECKING:
    from rich.console import Console

    from muster.client.control import Factory

_NUMBER = click.IntRange(min=1)
_BAR = 40


@click.group()
def livetest() -> None:
    """Put accepted versions on trial beside a release: they see requests, and their answers are given to nobody."""


@livetest.command()
@click.argument("endpoint")
@click.argument("version")
@click.option("--requests", type=_NUMBER, metavar="N", help="How many requests it shall be asked, at least.")
@click.option("--hours", type=float, metavar="H", help="How long it shall last, at least.")
@click.option("--share", type=float, default=1.0, show_default=True, help="Of the requests.")
@reason_option
@answering
def start(
    out: Output, endpoint: str, version: str, requests: int | None, hours: float | None, share: float, reason: str
) -> None:
    """Put an accepted version on trial beside the release that the endpoint serves.

    It ends by itself once it has been asked as many requests and has lasted as many hours as it shall; with neither said, what
    the project's standard asks for.
    """
    with factory() as muster:
        found = muster.start_live_test(endpoint, version, reason, requests=requests, hours=hours, share=share)
    out.document(found, lambda console: _show(console, found))


@livetest.command()
@click.argument("endpoint")
@click.argument("number", type=_NUMBER, required=False)
@answering
def status(out: Output, endpoint: str, number: int | None) -> int:
    """Show how a live-test stands: the newest of the endpoint, or one by its number.

    Exit code 1 says that it has failed, or was stopped.
    """
    with factory() as muster:
        found = muster.live_test(endpoint, _number(muster, endpoint, number))
    out.document(found, lambda console: _show(console, found))
    return exits.VERDICT_NO if found.state in {LiveTestState.FAILED, LiveTestState.STOPPED} else exits.DONE


@livetest.command(name="list")
@click.argument("endpoint", required=False)
@answering
def list_(out: Output, endpoint: str | None) -> None:
    """List the live-tests of an endpoint, or those of the project that have not come to their end."""
    with factory() as muster:
        found = muster.live_tests(endpoint)
    rows = [
        (
            one.endpoint, str(one.number), one.version, str(one.state), str(one.figures.requests),
            _share(one.figures.errors), _share(one.figures.late_share), one.started_at, one.outcome,
        )
        for one in found.live_tests
    ]  # fmt: skip
    heads = ("endpoint", "number", "version", "state", "requests", "errors", "late", "started", "outcome")
    out.document(found, lambda console: show_table(console, heads, rows, none="There are no live-tests."))


@livetest.command()
@click.argument("endpoint")
@click.argument("number", type=_NUMBER, required=False)
@answering
def report(out: Output, endpoint: str, number: int | None) -> int:
    """Show what came of a live-test: figures, how outputs spread, errors, and by what it falls short of the standard.

    Exit code 1 says that it falls short.
    """
    with factory() as muster:
        found = muster.live_test_report(endpoint, _number(muster, endpoint, number))
    out.document(found, lambda console: _show_report(console, found))
    return exits.VERDICT_NO if found.broken else exits.DONE


@livetest.command()
@click.argument("endpoint")
@click.argument("number", type=_NUMBER, required=False)
@reason_option
@answering
def stop(out: Output, endpoint: str, number: int | None, reason: str) -> None:
    """End a live-test before its time; it counts for nothing."""
    with factory() as muster:
        found = muster.stop_live_test(endpoint, _number(muster, endpoint, number), reason)
    out.document(found, lambda console: _show(console, found))


def _number(muster: "Factory", endpoint: str, number: int | None) -> int:
    """The number that was given, or that of the newest; 1 where there is none, which the factory then says."""
    if number is not None:
        return number
    found = muster.live_tests(endpoint).live_tests
    return found[0].number if found else 1


def _show(console: "Console", found: livetests.LiveTest) -> None:
    figures = found.figures
    style = {LiveTestState.PASSED: "green", LiveTestState.FAILED: "red"}.get(found.state)
    console.print(f"{found.endpoint} live-test {found.number}: {found.version} is {found.state}", style=style)
    wanted = [f"{found.requests} requests"] if found.requests is not None else []
    wanted += [f"{found.hours:g} hours"] if found.hours is not None else []
    shift = "" if figures.shift is None else f"{figures.shift:.4g}"
    show_facts(
        console,
        (
            ("outcome", found.outcome),
            ("beside", f"release {found.release}, champion {found.champion}"),
            ("lasts", " and ".join(wanted) + ("" if found.share == 1 else f", a share of {found.share:g}")),
            (
                "asked",
                f"{figures.requests} requests, {figures.left_out} left out, {figures.down} of them while it was down",
            ),
            ("errors", f"{figures.failed} ({_share(figures.errors)})"),
            ("late", f"{figures.late} ({_share(figures.late_share)})"),
            ("disagreement", "" if figures.disagreement is None else f"{figures.disagreement:.4g}"),
            ("unlike", "" if figures.unlike is None else _share(figures.unlike)),
            ("shift", shift),
            ("p99", _latency(figures)),
            ("counted to", found.counted_to or ""),
        ),
    )


def _latency(figures: livetests.LiveTestFigures) -> str:
    if figures.p99_ms is None:
        return ""
    champion = "" if figures.champion_p99_ms is None else f", the champion's {figures.champion_p99_ms:.1f} ms"
    return f"{figures.p99_ms:.1f} ms{champion}"


def _show_report(console: "Console", found: livetests.LiveTestReport) -> None:
    _show(console, found.live_test)
    for line in found.broken:
        console.print(f"falls short: {line}", style="red")
    for exhibit in found.exhibits:
        console.print(f"\n{exhibit.title}", style="bold", markup=False)
        if isinstance(exhibit, Grid):
            rows = [tuple("" if cell is None else _cell(cell) for cell in row) for row in exhibit.rows]
            show_table(console, exhibit.columns, rows, none="")
        elif isinstance(exhibit, Histogram):
            for group, counts in exhibit.counts.items():
                _show_bars(
                    console, group, [(f"{edge:.4g}", count) for edge, count in zip(exhibit.edges, counts, strict=False)]
                )
        elif isinstance(exhibit, Bars):
            _show_bars(console, exhibit.x, list(zip(exhibit.names, exhibit.values, strict=True)))


def _show_bars(console: "Console", group: str, bars: list[tuple[str, float]]) -> None:
    console.print(f"  {group}", markup=False)
    total = sum(value for _, value in bars) or 1.0
    for name, value in bars:
        if value:
            console.print(
                f"  {name:>12}  {'█' * max(1, round(value / total * _BAR))} {value / total:.1%}", markup=False
            )


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _share(value: float) -> str:
    return f"{value:.2%}"
