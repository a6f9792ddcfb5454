"""On time with one of three variants hung: open loop, at 80 % of what the three can do."""

import time
from typing import Any

from harness.factory import DEADLINE_MS
from harness.open_loop import Arrivals, start_arrivals
from harness.stage import Stage
from harness.tables import Table, ms, number, percent

SHARE_OF_CAPACITY = 0.8
LIMIT_MS = DEADLINE_MS + 5
_CALM_S = 10.0
_HANGS_AFTER_S = 2.0
_CONNECTIONS = 4096


def run(stage: Stage) -> dict[str, Any]:
    """The calm case first, then the champion hangs for ever, from the third second on."""
    found = stage.muster("hanging")
    if not found:
        return {}
    (contender,) = found
    trigger = stage.factory.trigger("trickster-0")
    rate = SHARE_OF_CAPACITY * stage.capacity(contender)
    stage.settle()
    stage.told(f"open loop, {rate:,.0f} requests/s, nothing hangs")
    seconds = min(_CALM_S, stage.options.on_time_s)
    calm = start_arrivals(stage.crew, contender, rate=rate, seconds=seconds, connections=_CONNECTIONS).finished()
    stage.settle()
    stage.told(f"open loop, {rate:,.0f} requests/s, the champion hangs, {stage.options.on_time_s:.0f} s")
    load = start_arrivals(stage.crew, contender, rate=rate, seconds=stage.options.on_time_s, connections=_CONNECTIONS)
    try:
        time.sleep(_HANGS_AFTER_S)
        trigger.write_text("hang")
        hung = load.finished()
    finally:
        trigger.unlink(missing_ok=True)
    return {"rate": rate, "calm": _figures(calm), "hung": _figures(hung)}


def _figures(arrivals: Arrivals) -> dict[str, Any]:
    return {
        "requests": arrivals.count,
        "on_time": arrivals.share_within(LIMIT_MS),
        "on_time_server": arrivals.share_within(LIMIT_MS, served=True),
        "p50_ms": arrivals.percentile_ms(50),
        "p99_ms": arrivals.percentile_ms(99),
        "p99_9_ms": arrivals.percentile_ms(99.9),
        "max_ms": arrivals.percentile_ms(100),
        "statuses": arrivals.statuses(),
        "reasons": arrivals.reasons(),
        "generator": arrivals.lag_ms(),
        "per_second": arrivals.per_second(LIMIT_MS),
    }


def tables(figures: dict[str, Any]) -> list[Table]:
    """Shares and percentiles."""
    if not figures:
        return []
    rows = []
    for name, key in (("all three answer", "calm"), ("the champion hangs", "hung")):
        one = figures[key]
        rows.append(
            [
                name,
                number(one["requests"]),
                percent(one["on_time"]),
                percent(one["on_time_server"]),
                " / ".join(ms(one[field]) for field in ("p50_ms", "p99_ms", "p99_9_ms", "max_ms")),
                ", ".join(f"{percent(share, 1)} {reason}" for reason, share in one["reasons"].items()),
                f"{ms(one['generator']['sending_p99'])} / {ms(one['generator']['sending_max'])}",
            ]
        )
    title = (
        f"On time with one of three variants hung, open loop at {number(figures['rate'])} requests/s (80 % of capacity)"
    )
    columns = (
        "three variants",
        "requests",
        f"within {LIMIT_MS:.0f} ms",
        "server's own part",
        "p50 / p99 / p99.9 / max ms",
        "reasons",
        "generator late p99 / max ms",
    )
    note = (
        "Times count from the moment a request was due. The server's own part counts from the moment it was sent, so what the "
        "generator itself was late is not charged to the server."
    )
    return [Table(title=title, columns=columns, rows=rows, notes=(note,))]
