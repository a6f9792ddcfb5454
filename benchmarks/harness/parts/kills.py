"""SIGKILL of what computes, under load: how many requests fail, and how long nobody is answered."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import psutil

from harness.contenders import Contender
from harness.open_loop import start_arrivals
from harness.processes import descendants
from harness.stage import Stage
from harness.tables import Table, counts, ms, number

SHARE_OF_CAPACITY = 0.5
_EVERY_S = 3.0
_LOOK_BACK_S = 0.1
_GIVE_UP_S = 10.0
#: A connection in a hundred may hang for good; the others must still find one.
_CONNECTIONS = 2048


def run(stage: Stage) -> dict[str, Any]:
    """Muster's host, a worker of FastAPI's two, MLServer's worker."""
    found = {}
    for contender in stage.muster("one"):
        found[contender.key] = _under_fire(stage, contender, lambda: stage.factory.kill_host("one", "linear-0"))
    for contender in [*stage.fastapi(2), *stage.mlserver()]:
        found[contender.key] = _under_fire(stage, contender, lambda pid=contender.pid: _kill_worker(pid))  # type: ignore[misc]
    return found


def _kill_worker(server: int) -> None:
    """One of the processes that compute; those are what `multiprocessing` has spawned."""
    for process in descendants(server):
        with contextlib.suppress(psutil.Error):
            if "--multiprocessing-fork" in process.cmdline():
                os.kill(process.pid, signal.SIGKILL)
                return
    raise RuntimeError(f"no worker under process {server}")


def _under_fire(stage: Stage, contender: Contender, kill: Callable[[], Any]) -> dict[str, Any]:
    rate = SHARE_OF_CAPACITY * stage.capacity(contender)
    seconds = stage.options.kill_s
    stage.settle()
    stage.told(f"SIGKILL at {contender.name}, {rate:,.0f} requests/s")
    load = start_arrivals(
        stage.crew, contender, rate=rate, seconds=seconds, connections=_CONNECTIONS, give_up_s=_GIVE_UP_S
    )
    begun, killed = time.time(), list[float]()
    while time.time() - begun + _EVERY_S < seconds:
        time.sleep(_EVERY_S)
        moment = time.time()
        with contextlib.suppress(TimeoutError, RuntimeError):  # it is not back yet from the kill before
            kill()
            killed.append(moment)
    arrivals = load.finished()
    edges = [*killed, arrivals.due[-1]]
    pauses = [arrivals.longest_pause_ms(start - _LOOK_BACK_S, end) for start, end in pairwise(edges)]
    return {
        "name": contender.name,
        "rate": rate,
        "requests": arrivals.count,
        "kills": len(killed),
        "failed": int((~arrivals.ok).sum()),
        "statuses": arrivals.statuses(),
        "longest_pause_ms": max(pauses, default=float("nan")),
        "pause_before_ms": arrivals.longest_pause_ms(float(arrivals.due[0]), killed[0]) if killed else float("nan"),
        "p99_9_ms": arrivals.percentile_ms(99.9),
        "max_ms": arrivals.percentile_ms(100),
        "generator": arrivals.lag_ms(),
    }


def tables(figures: dict[str, Any]) -> list[Table]:
    """Who lost what."""
    rows = [
        [
            one["name"],
            number(one["rate"]),
            number(one["kills"]),
            f"{number(one['failed'])} of {number(one['requests'])}",
            f"{ms(one['longest_pause_ms'])} ({ms(one['pause_before_ms'])})",
            f"{ms(one['p99_9_ms'])} / {ms(one['max_ms'])}",
            counts(one["statuses"]),
        ]
        for one in figures.values()
    ]
    columns = (
        "open loop at 50 %, SIGKILL",
        "asked/s",
        "kills",
        "failed",
        "longest pause, ms (before)",
        "p99.9 / max of 200, ms",
        "answers",
    )
    note = "A pause is a time in which nobody was answered; in brackets the longest one before the first kill."
    return [Table(title="SIGKILL under load", columns=columns, rows=rows, notes=(note,))] if rows else []
