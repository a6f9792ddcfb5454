"""Memory and time from start to first answer, with one scikit-learn model and nothing else running."""

import time
from collections.abc import Callable
from typing import Any

from harness.contenders import Contender
from harness.environments import NoEnvironment
from harness.processes import family, pss_mb
from harness.servers import Fastapi, MlServer, wait_for
from harness.stage import Stage
from harness.tables import Table, number

_ASKED_BEFORE = 200
"""Requests before memory is read, so that what is loaded on first use is there."""


def run(stage: Stage) -> dict[str, Any]:
    """Has to come before the parts that add to the factory."""
    found: dict[str, Any] = {}
    if stage.has("muster"):
        (contender,) = stage.muster("one")
        factory = stage.factory
        stage.told("start to first answer: muster up, on a cached plan")
        factory.down()
        start_s = factory.start_to_first_answer(contender)
        _ask(contender)
        found["muster-up"] = {"name": "Muster, `muster up`", "start_s": start_s, "mb": factory.pss_mb()["muster up"]}
        factory.down()
        stage.told("start to first answer: the serving side alone, on a cached plan")
        with factory.serving_side(contender) as (start_s, pids):
            _ask(contender)
            found["muster-serving"] = {
                "name": "Muster, serving side alone (keeper, front, parent, host)",
                "start_s": start_s,
                "mb": pss_mb(pids()),
            }
        factory.up()
        factory.wait_for(contender)
    for key, name, start in (
        ("fastapi-1", "FastAPI, 1 worker", lambda: stage.new_fastapi(1)),
        ("fastapi-2", "FastAPI, 2 workers", lambda: stage.new_fastapi(2)),
        ("mlserver", "MLServer", lambda: stage.new_mlserver(("linear",))),
    ):
        if stage.has(key.partition("-")[0]):
            _other(stage, found, key, name, start)
    return found


def _other(stage: Stage, found: dict[str, Any], key: str, name: str, start: Callable[[], Fastapi | MlServer]) -> None:
    stage.told(f"start to first answer: {name}")
    try:
        stage.binaries("bench-mlserver" if key == "mlserver" else "bench")
        began = time.perf_counter()
        server = start()
        contender = server.contender(stage.trained)
        wait_for(stage.crew, server.process, contender, key)
    except (NoEnvironment, RuntimeError) as error:
        stage.left_out[key.partition("-")[0]] = str(error)
        return
    start_s = time.perf_counter() - began
    _ask(contender)
    found[key] = {"name": name, "start_s": start_s, "mb": pss_mb(family(server.process.pid))}
    stage.crew.end(server.process)


def _ask(contender: Contender) -> None:
    for number_of_request in range(_ASKED_BEFORE):
        contender.ask(number_of_request % len(contender.bodies))


def tables(figures: dict[str, Any]) -> list[Table]:
    """Megabytes and seconds."""
    rows = [[one["name"], number(one["mb"]), number(one["start_s"], 1)] for one in figures.values()]
    columns = ("one scikit-learn model", "memory, MB (PSS)", "start to first answer, s")
    note = "FastAPI's and MLServer's models are loaded from a folder; Muster's plan, bundle and environment are in its home."
    return [Table(title="Memory and start", columns=columns, rows=rows, notes=(note,))] if rows else []
