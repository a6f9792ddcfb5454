"""The champion beside a challenger that misbehaves: what callers notice of it."""

import statistics
import time
from typing import Any

from harness.open_loop import start_arrivals
from harness.stage import Stage
from harness.tables import Table, ms, number, percent, ratio

SHARE_OF_CAPACITY = 0.5
#: `quiet` stands before each of the others, because what it is compared with has to be as young.
TRICKS = ("quiet", "spin", "quiet", "leak", "quiet", "sleep")
_TURNS = 2
_SETTLE_S = 1.0
_BACK_WITHIN_S = 30.0
_CONNECTIONS = 2048


def run(stage: Stage) -> dict[str, Any]:
    """Turn by turn."""
    found = stage.muster("dueling")
    if not found:
        return {}
    (contender,) = found
    trigger = stage.factory.trigger("trickster-1")
    rate = SHARE_OF_CAPACITY * stage.capacity(contender)
    turns: dict[str, list[dict[str, float]]] = {}
    for number_of_turn in range(_TURNS):
        for trick in TRICKS:
            stage.settle()
            stage.told(f"challenger: {trick}, {rate:,.0f} requests/s, turn {number_of_turn + 1}")
            try:
                if trick != "quiet":
                    trigger.write_text(trick)
                arrivals = start_arrivals(
                    stage.crew,
                    contender,
                    rate=rate,
                    seconds=stage.options.challenger_s,
                    connections=_CONNECTIONS,
                ).finished()
            finally:
                trigger.unlink(missing_ok=True)
            turns.setdefault(trick, []).append(
                {
                    "p50_ms": arrivals.percentile_ms(50),
                    "p99_ms": arrivals.percentile_ms(99),
                    "p99_9_ms": arrivals.percentile_ms(99.9),
                    "failed": float((~arrivals.ok).sum()),
                    "by_champion": arrivals.reasons().get("champion", 0.0),
                }
            )
            _let_it_recover(stage)
    medians = {
        trick: {name: statistics.median(turn[name] for turn in of) for name in of[0]} for trick, of in turns.items()
    }
    return {"rate": rate, "turns": turns, "medians": medians}


def _let_it_recover(stage: Stage) -> None:
    """Until the challenger's host is there, whatever became of the one before."""
    until = time.monotonic() + _BACK_WITHIN_S
    time.sleep(_SETTLE_S)
    while not stage.factory.hosts("dueling", "trickster-1") and time.monotonic() < until:
        time.sleep(0.1)


def tables(figures: dict[str, Any]) -> list[Table]:
    """Against the quiet challenger."""
    if not figures:
        return []
    words = {
        "quiet": "behaves",
        "spin": "spins 50 ms at every call",
        "leak": "leaks 1 MiB at every call, up to its limit",
        "sleep": "sleeps 2 s at every 10th call",
    }
    quiet = figures["medians"]["quiet"]
    rows = [
        [
            words[trick],
            " / ".join(ms(one[name]) for name in ("p50_ms", "p99_ms", "p99_9_ms")),
            ratio(one["p99_ms"], quiet["p99_ms"]),
            percent(one["by_champion"], 2),
            number(one["failed"]),
        ]
        for trick, one in figures["medians"].items()
    ]
    title = (
        f"The champion beside a challenger that misbehaves, open loop at {number(figures['rate'])} requests/s (50 %)"
    )
    columns = ("the challenger", "p50 / p99 / p99.9 ms", "p99 x behaving", "answered by the champion", "failed")
    return [Table(title=title, columns=columns, rows=rows)]
