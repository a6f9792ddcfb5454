"""`muster top`: what goes on at the endpoints of a factory on this machine, live."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from muster.bootstrap.home import Home, open_home
from muster.bootstrap.metrics import metrics_sockets
from muster.cli.commands.processes import home_option
from muster.cli.endpoint_figures import EndpointFigures, FactoryFigures, Looks, as_document, figures
from muster.cli.numbers import FiniteRange
from muster.cli.output import Output, answering
from muster.supervision import state
from muster.supervision.errors import NotUp
from muster.telemetry.scrape import scrape

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

#: Longer than this a front does not go without hearing from control where all is well: it hears every four seconds. The alert
#: MusterFrontWithoutControl has the same limit, and fires when it has lasted.
OFFLINE_S = 30.0
_ROLES = {"champion": "champ", "challenger": "chall"}


@click.command("top")
@home_option
@click.option(
    "--interval",
    type=FiniteRange(0.2, 3600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two looks; rates, shares and times are those of the requests in between.",
)
@click.option("--once", is_flag=True, help="One table, then end; so too in a pipe and with --json.")
@answering
def top(output: Output, *, home: Path, interval: float, once: bool) -> None:
    """Show what goes on at the endpoints, live, until Ctrl-C.

    It reads the metrics of the factory's processes on this machine; the factory's settings need not show them at a port.
    """
    opened = open_home(home)
    before, before_at = _looked(opened), time.monotonic()
    if once or output.as_json or not sys.stdout.isatty():
        time.sleep(interval)
        found = figures(before, _looked(opened), time.monotonic() - before_at)
        output.document(as_document(found), lambda console: console.print(table_of(found), width=_width(console)))
        return
    _show_live(lambda: _looked(opened), before, before_at, interval)


def _looked(home: Home) -> Looks:
    """The metrics of every process that answers.

    Raises:
        NotUp: none could, for the factory does not run.
    """
    if not state.is_locked(home.state):
        raise NotUp(f"no factory runs on {home.path}", home=str(home.path))
    looks = {name: scrape(socket) for name, socket in metrics_sockets(home).items()}
    return {name: look for name, look in looks.items() if look is not None}


def _show_live(look: Callable[[], Looks], before: Looks, before_at: float, interval: float) -> None:
    from rich.live import Live  # noqa: PLC0415 - rich is slow to load, and most commands do without

    from muster.cli.consoles import of_results  # noqa: PLC0415 - as above

    console = of_results()
    try:
        with Live(table_of(figures({}, before, 1.0)), console=console, screen=True, auto_refresh=False) as live:
            while True:
                time.sleep(interval)
                after, after_at = look(), time.monotonic()
                live.update(table_of(figures(before, after, after_at - before_at)), refresh=True)
                before, before_at = after, after_at
    except KeyboardInterrupt:
        return


def _width(console: "Console") -> int:
    """In a pipe the console is as wide as anything; a table of figures need not be."""
    return min(console.width, 120)


def table_of(found: FactoryFigures) -> "RenderableType":
    """The figures for people; fits in 80 columns."""
    from rich.console import Group  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415

    requests = sum(endpoint.requests_per_s for endpoint in found.endpoints)
    head = (
        f"{found.fronts} front{'' if found.fronts == 1 else 's'} · {_rate(requests)} requests/s · {found.open_requests} open · "
        f"lag {found.loop_lag_ms:.1f} ms · spool {found.spool_bytes / 2**20:.0f} MiB"
    )
    parts: list[RenderableType] = [Text(head, style="bold", no_wrap=True, overflow="ellipsis")]
    if found.offline_s > OFFLINE_S:
        parts.append(Text(f"control has not been reached for {found.offline_s:.0f} s", style="red"))
    if not found.fronts:
        parts.append(Text("no front answers", style="red"))
    elif not found.endpoints:
        parts.append(Text("no endpoint is served", style="dim"))
    else:
        parts += [Text(""), _endpoints_table(found.endpoints), Text(""), _variants_table(found.endpoints), Text("")]
        parts += [Text(trouble, style="yellow") for trouble in _troubles(found.endpoints)]
    return Group(*parts)


def _endpoints_table(endpoints: tuple[EndpointFigures, ...]) -> "Table":
    table = _table("endpoint", "req/s", "p50 ms", "p99 ms", "first", "fallbk", "deflt", "none", "late", "refu/s")
    for of in endpoints:
        table.add_row(
            f"{of.endpoint} r{of.release}", _rate(of.requests_per_s), _ms(of.p50_ms), _ms(of.p99_ms), _percent(of.first_share),
            _percent(of.fallback_share), _percent(of.default_share), _percent(of.none_share), _percent(of.late_share),
            _rate(of.refused_per_s), style=None if of.is_ready else "red",
        )  # fmt: skip
    return table


def _variants_table(endpoints: tuple[EndpointFigures, ...]) -> "Table":
    table = _table("variant", "answ/s", "p50 ms", "p99 ms", "chosen", "late/s", "fail/s", "unst/s", "queue")
    for endpoint in endpoints:
        for of in endpoint.variants:
            table.add_row(
                f"{endpoint.endpoint} {of.version} {_ROLES.get(of.role, of.role)}", _rate(of.answers_per_s), _ms(of.p50_ms),
                _ms(of.p99_ms), _percent(of.chosen_share), _rate(of.late_per_s), _rate(of.failed_per_s), _rate(of.unsent_per_s),
                str(of.queue), style="yellow" if of.on_probation or not of.hosts_up else None,
            )  # fmt: skip
    return table


def _troubles(endpoints: tuple[EndpointFigures, ...]) -> list[str]:
    """What is wrong, a line for each endpoint and variant."""
    said = []
    for endpoint in endpoints:
        troubles = [] if endpoint.is_ready else ["is not ready"]
        if endpoint.dropped_records:
            troubles.append(f"has dropped {endpoint.dropped_records} records")
        said += [f"{endpoint.endpoint} {', '.join(troubles)}"] if troubles else []
        for of in endpoint.variants:
            troubles = [] if of.hosts_up else ["has no host"]
            if of.on_probation:
                troubles.append("is on probation")
            if of.restarts:
                troubles.append(f"was restarted {of.restarts} time{'' if of.restarts == 1 else 's'}")
            said += [f"{endpoint.endpoint} {of.version} {', '.join(troubles)}"] if troubles else []
    return said


def _table(first: str, *others: str) -> "Table":
    from rich.table import Table  # noqa: PLC0415 - as above

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    table.add_column(first, no_wrap=True, overflow="ellipsis", min_width=16)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _rate(per_s: float) -> str:
    if 0 < per_s < 9.95:
        return f"{per_s:.1f}"
    return f"{per_s:.0f}" if per_s < 100_000 else f"{per_s / 1000:.0f}k"


def _ms(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def _percent(share: float | None) -> str:
    """At most five characters, and never 0 or 100 for what is not."""
    if share is None:
        return "-"
    if share in {0.0, 1.0}:
        return f"{share:.0%}"
    return f"{min(max(share * 100, 0.01), 99.99):.{2 if share < 0.0995 else 1 if share < 0.9995 else 2}f}"
