"""A storm: open loop at 150 % of what the server can do."""

import threading
from typing import Any

import numpy as np

from harness.contenders import Contender
from harness.factory import DEADLINE_MS
from harness.open_loop import start_arrivals
from harness.processes import descendants, rss_mb
from harness.stage import Stage
from harness.tables import Table, counts, ms, number, ratio

SHARE_OF_CAPACITY = 1.5
LIMIT_MS = DEADLINE_MS + 5
_CONNECTIONS = 4096
_LOOK_EVERY_S = 0.5
_REFUSALS = (429, 503)


def run(stage: Stage) -> dict[str, Any]:
    """Muster where the front is the limit and where the model is, and FastAPI with two workers beside it."""
    found = {}
    for contender in stage.muster("one", "slow"):
        front = stage.factory.processes("front")[0].pid
        found[contender.key] = _storm(stage, contender, [front])
    for contender in stage.fastapi(2):
        workers = [process.pid for process in descendants(contender.pid)]
        found[contender.key] = _storm(stage, contender, workers)
    return found


def _storm(stage: Stage, contender: Contender, watched: list[int]) -> dict[str, Any]:
    capacity = stage.capacity(contender)
    rate = SHARE_OF_CAPACITY * capacity
    stage.settle()
    stage.told(f"storm at {contender.name}, {rate:,.0f} requests/s")
    over, memory = threading.Event(), list[float]()

    def watch() -> None:
        while True:
            memory.append(sum(map(rss_mb, watched)))
            if over.wait(_LOOK_EVERY_S):
                return

    watcher = threading.Thread(target=watch, name="memory", daemon=True)
    watcher.start()
    try:
        arrivals = start_arrivals(
            stage.crew, contender, rate=rate, seconds=stage.options.overload_s, connections=_CONNECTIONS
        ).finished()
    finally:
        over.set()
        watcher.join()
    refused = np.isin(arrivals.status, _REFUSALS)
    refused_ms = arrivals.served_ms()[refused]
    in_time = arrivals.share_within(LIMIT_MS) * arrivals.count
    return {
        "name": contender.name,
        "capacity": capacity,
        "rate": rate,
        "goodput": in_time / arrivals.seconds,
        "statuses": arrivals.statuses(),
        "reasons": arrivals.reasons(),
        "ok_p99_ms": arrivals.percentile_ms(99),
        "refused_p50_ms": float(np.percentile(refused_ms, 50)) if len(refused_ms) else None,
        "refused_p99_ms": float(np.percentile(refused_ms, 99)) if len(refused_ms) else None,
        "memory_mb": memory,
        "generator": arrivals.lag_ms(),
        "per_second": arrivals.per_second(LIMIT_MS),
    }


def tables(figures: dict[str, Any]) -> list[Table]:
    """What was answered, and how those who were not were told."""
    rows = [
        [
            one["name"],
            number(one["rate"]),
            f"{number(one['goodput'])} ({ratio(one['goodput'], one['capacity'])})",
            counts(one["statuses"]),
            ms(one["ok_p99_ms"]),
            "-" if one["refused_p50_ms"] is None else f"{ms(one['refused_p50_ms'])} / {ms(one['refused_p99_ms'])}",
            " → ".join(number(value) for value in (one["memory_mb"][0], max(one["memory_mb"]), one["memory_mb"][-1])),
        ]
        for one in figures.values()
    ]
    columns = (
        "open loop at 150 %",
        "asked/s",
        f"answered within {LIMIT_MS:.0f} ms, /s (x capacity)",
        "answers",
        "p99 of 200, ms",
        "refusal p50 / p99, ms",
        "memory: start → most → end, MB",
    )
    note = "Memory is the resident memory of the front, or of FastAPI's workers."
    return [Table(title="A storm of requests", columns=columns, rows=rows, notes=(note,))] if rows else []
