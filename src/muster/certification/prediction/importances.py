"""Permutation importance of a version's inputs: the host is asked again with the values of one input shuffled."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from muster.certification.checks import Bench
from muster.certification.judgement import Judgement, judged_output, predictions_of
from muster.certification.prediction import asking
from muster.evaluation import definitions
from muster.evaluation.errors import MetricUndefined
from muster.evaluation.importance import Importance, Order, importances
from muster.evaluation.metric import Metric
from muster.packaging.columns import Column, Table, array_of, column_of, nulls_of

ROWS = 1000
_REPEATS = 2


def importances_of(
    bench: Bench, found: Judgement, metric: Metric[Any], seed: int, seconds: float
) -> tuple[Importance, ...]:
    """How much worse the metric is with each input shuffled, the most important first; as many as there is time for.

    Args:
        bench: with the version's host.
        found: its answers to the set.
        metric: by which it is judged.
        seed: of the rows that are taken and of the shuffles.
        seconds: after which no further input is begun.
    """
    assert bench.confidential is not None
    drawn = np.random.default_rng(seed).permutation(len(found.places))[:ROWS]
    inputs = taken(found.rows.inputs, found.places[drawn])
    try:
        whole = definitions.value(metric, found.predictions.taken(drawn))
    except MetricUndefined:
        return ()
    loses = _loses(bench, found, metric, inputs, drawn, whole)
    told: list[Importance] = []
    until = time.monotonic() + seconds
    for name in inputs.columns:
        if time.monotonic() >= until:
            bench.say(
                f"importance: {len(told)} of {len(inputs.columns)} inputs in {seconds:g} s, the others are left out"
            )
            break
        told.extend(importances([name], len(drawn), _REPEATS, seed, loses))
    return tuple(sorted(told, key=lambda one: (-one.loss, one.name)))


def _loses(
    bench: Bench, found: Judgement, metric: Metric[Any], inputs: Table, drawn: npt.NDArray[np.intp], whole: float
) -> Callable[[str, Order], float]:
    contract = bench.version.contract
    field = judged_output(found.claim, contract)
    every = found.values(found.rows.label_name)
    ranked = found.values(found.claim.group) if found.claim.group else []
    labels = [every[at] for at in drawn.tolist()]
    groups = [ranked[at] for at in drawn.tolist()] if ranked else []
    confidential = bench.confidential
    assert confidential is not None

    def loses(name: str, order: Order) -> float:
        columns = {**inputs.columns, name: _taken(inputs.columns[name], order)}
        with confidential.asked() as channel:
            answers = asking.answers_of(channel, contract, Table(inputs.rows, columns))
        column = answers.outputs.columns[field.name]
        nulls = nulls_of(column)
        if nulls is not None or not answers.answered.all():
            return 0.0  # it does not answer such rows: that is for robustness to find
        given = array_of(column)
        predictions = predictions_of(found.claim, field, given, labels, groups, _cutoff(found))
        try:
            return metric.gain(whole, definitions.value(metric, predictions))
        except MetricUndefined:
            return 0.0

    return loses


def _cutoff(found: Judgement) -> float:
    return getattr(found.predictions, "cutoff", 0.5)


def taken(table: Table, rows: npt.NDArray[np.intp]) -> Table:
    """The rows at these places."""
    return Table(len(rows), {name: _taken(column, rows) for name, column in table.columns.items()})


def _taken(column: Column, rows: npt.NDArray[np.intp]) -> Column:
    nulls = nulls_of(column)
    return column_of(column.datatype, array_of(column)[rows], None if nulls is None else nulls[rows])
