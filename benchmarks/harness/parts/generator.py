"""The open-loop generator on itself: what it reaches against the echo server, and how late it is."""

from typing import Any

from harness.open_loop import start_arrivals
from harness.stage import Stage
from harness.tables import Table, ms, number, percent

_RATES = (5_000, 10_000, 15_000, 20_000)
_SECONDS = 3.0


def run(stage: Stage) -> dict[str, Any]:
    """Rate by rate, until it cannot keep up."""
    found: dict[str, Any] = {}
    for contender in stage.echo()[:1]:
        for rate in _RATES:
            stage.settle()
            stage.told(f"generator, {rate:,} requests/s at {contender.name}")
            arrivals = start_arrivals(stage.crew, contender, rate=rate, seconds=_SECONDS).finished()
            found[str(rate)] = {
                "answered_per_s": int(arrivals.ok.sum()) / float(arrivals.done.max() - arrivals.began),
                "p50_ms": arrivals.percentile_ms(50),
                "p99_ms": arrivals.percentile_ms(99),
                "generator": arrivals.lag_ms(),
            }
    return found


def tables(figures: dict[str, Any]) -> list[Table]:
    """What its own lateness does to the figures of others."""
    rows = [
        [
            number(int(rate)),
            number(one["answered_per_s"]),
            f"{ms(one['p50_ms'])} / {ms(one['p99_ms'])}",
            " / ".join(ms(one["generator"][name]) for name in ("sending_p50", "sending_p99", "sending_max")),
            percent(one["generator"]["processor_share"], 0),
        ]
        for rate, one in figures.items()
    ]
    columns = ("asked/s", "answered/s", "p50 / p99 ms", "sent late, p50 / p99 / max ms", "of one core")
    title = "The open-loop generator against the echo server"
    return [Table(title=title, columns=columns, rows=rows)] if rows else []
