"""The closed loop: how many requests a second, and how long one takes."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from harness.closed_loop import run_rounds
from harness.contenders import Contender
from harness.stage import Stage, best
from harness.tables import Table, ms, number, ratio

Figures = dict[str, Any]
_OTHERS = ("fastapi", "mlserver")
_BOOSTED_AT = (16,)
_BUSY = (16, 64)
#: Two that differ by a tenth need more rounds than two that differ by a factor.
_MORE_ROUNDS = 2


def _measured(
    stage: Stage, contenders: Sequence[Contender], connections: Sequence[int], *, more_rounds: int = 0
) -> Figures:
    stage.settle()
    found = run_rounds(
        contenders,
        connections,
        rounds=stage.options.rounds + more_rounds,
        seconds=stage.options.seconds,
        told=stage.told,
    )
    return {
        contender.key: {
            "name": contender.name,
            "at": {str(count): asdict(found[contender.key, count]) for count in connections},
        }
        for contender in contenders
    }


def run_linear(stage: Stage) -> Figures:
    """Everybody, logistic regression."""
    endpoints = ("one", "three", "null", *(("tensors",) if stage.options.tensors else ()))
    contenders = [
        *stage.muster(*endpoints),
        *stage.fastapi(1),
        *stage.fastapi(2),
        *stage.fastapi(1, has_duties=True),
        *stage.fastapi(2, has_duties=True),
        *stage.mlserver(),
        *stage.mlserver("linear-adaptive"),
        *stage.echo(),
    ]
    return _measured(stage, contenders, stage.options.connections)


def run_boosted(stage: Stage) -> Figures:
    """Histogram gradient boosting."""
    contenders = [
        *stage.muster("boosted"),
        *stage.fastapi(1, model="boosted"),
        *stage.fastapi(2, model="boosted"),
        *stage.mlserver("boosted-adaptive"),
    ]
    return _measured(stage, contenders, _BOOSTED_AT)


def run_archive(stage: Stage) -> Figures:
    """Level `group` beside level `async`, the least that an endpoint can ask for."""
    return _measured(stage, stage.muster("one", "one-async"), _BUSY, more_rounds=_MORE_ROUNDS)


def run_fronts(stage: Stage) -> Figures:
    """One front, then two on the same port."""
    contenders = stage.muster("one", "three")
    if not contenders:
        return {}
    before = _measured(stage, contenders, _BUSY)
    stage.told("starting the factory again with two fronts")
    stage.factory.down()
    stage.factory.up(fronts=2)
    try:
        for contender in contenders:
            stage.factory.wait_for(contender)
        after = _measured(stage, contenders, _BUSY)
    finally:
        stage.factory.down()
        stage.factory.up()
        for contender in contenders:
            stage.factory.wait_for(contender)
    return {
        **{key: {**found, "name": f"{found['name']}, 1 front"} for key, found in before.items()},
        **{f"{key}-2-fronts": {**found, "name": f"{found['name']}, 2 fronts"} for key, found in after.items()},
    }


def per_s(figures: Figures, count: str) -> dict[str, float]:
    """Requests a second by key at one number of connections."""
    return {key: found["at"][count]["per_s"] for key, found in figures.items() if count in found["at"]}


def _table(title: str, figures: Figures, against: dict[str, float | None], word: str, *notes: str) -> Table:
    columns = ["requests/s (p50 / p99 in ms)"]
    for count in against:
        columns += [f"c={count}", f"p50 / p99, c={count}", f"{word}, c={count}"]
    rows = []
    for found in figures.values():
        cells = [found["name"]]
        for count, reference in against.items():
            one = found["at"][count]
            failed = f" ({number(one['failed'])} failed)" if one["failed"] else ""
            cells += [
                number(one["per_s"]) + failed,
                f"{ms(one['p50_ms'])} / {ms(one['p99_ms'])}",
                ratio(one["per_s"], reference),
            ]
        rows.append(cells)
    return Table(title=title, columns=tuple(columns), rows=rows, notes=notes)


def tables_linear(figures: Figures) -> list[Table]:
    """Requests a second, and how many times the best of the others that is."""
    against = {count: best(per_s(figures, count), _OTHERS) for count in _counts(figures)}
    note = "`x best`: against the fastest of FastAPI bare with 1 and 2 workers and MLServer, in the same column."
    return [_table("Closed loop, logistic regression", figures, against, "x best", note)]


def tables_boosted(figures: Figures) -> list[Table]:
    """The same for the other model."""
    against = {count: best(per_s(figures, count), _OTHERS) for count in _counts(figures)}
    return [_table("Closed loop, histogram gradient boosting", figures, against, "x best")]


def tables_archive(figures: Figures) -> list[Table]:
    """What recording before the reply costs."""
    against = {count: per_s(figures, count).get("muster-one-async") for count in _counts(figures)}
    note = "A release cannot switch the archive off; `async` replies before the record is written."
    return [_table("Archive level `group` against `async`", figures, against, "x async", note)]


def tables_fronts(figures: Figures) -> list[Table]:
    """What a second front does."""
    against = {count: per_s(figures, count).get("muster-one") for count in _counts(figures)}
    return [_table("One front and two", figures, against, "x one variant, 1 front")]


def _counts(figures: Figures) -> list[str]:
    return list(next(iter(figures.values()))["at"]) if figures else []
