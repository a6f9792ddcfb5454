"""What an author may see of kept tables: steps of many rows, no score, and next to nothing of the labels."""

from itertools import pairwise

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.evaluation import coarse, curves, cutoffs, outcomes
from muster.evaluation.multiclass import ClassPredictions
from muster.evaluation.numbers import NumberPredictions
from muster.evaluation.tallies import BinaryPredictions
from muster.wire.evaluations import ClassTable, CutoffTable

ROWS = 2000


def _judged(rows: int, seed: int, distinct: int) -> BinaryPredictions:
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, distinct, rows) / distinct
    return BinaryPredictions(labels=generator.random(rows) < 0.5, scores=scores)


def _selected(table: CutoffTable) -> list[int]:
    return [right + wrong for right, wrong in zip(table.true_positives, table.false_positives, strict=True)]


@settings(max_examples=80, deadline=None)
@given(
    rows=st.integers(1, 3000),
    seed=st.integers(0, 99),
    distinct=st.sampled_from([1, 2, 7, 300, 10**9]),
    least=st.sampled_from([coarse.LEAST_ROWS, coarse.LEAST_ROWS_OF_A_PART]),
)
def test_no_step_is_of_few_rows(rows: int, seed: int, distinct: int, least: int) -> None:
    """However scores are spread or tied; at most twenty steps, the last of which is everything, each as exact as it was."""
    table = cutoffs.table_of(_judged(rows, seed, distinct).tally)
    few = coarse.cutoffs(table, least)
    ends = [0, *_selected(few)]
    assert len(few.cutoffs) <= coarse.MOST_STEPS
    assert ends[-1] == rows
    assert len(few.cutoffs) == 1 or min(after - before for before, after in pairwise(ends)) >= least
    exact = dict(zip(table.cutoffs, table.true_positives, strict=True))
    assert few.true_positives == tuple(exact[cutoff] for cutoff in few.cutoffs)


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(1, 1500), seed=st.integers(0, 99), distinct=st.sampled_from([1, 7, 10**9]))
def test_bins_are_joined_until_they_hold_many_rows(rows: int, seed: int, distinct: int) -> None:
    """Of predicted numbers and of probabilities; all rows are there, and no bin is small unless all are few."""
    judged = _judged(rows, seed, distinct)
    numbers = NumberPredictions(actual=judged.labels.astype(np.float64), predicted=judged.scores)
    steps = coarse.outcomes(outcomes.table_of(numbers))
    bins = coarse.reliabilities(curves.calibration(cutoffs.table_of(judged.tally)))
    for counts in ([one.rows for one in steps], [one.rows for one in bins]):
        assert sum(counts) == rows
        assert len(counts) == 1 or min(counts) >= coarse.LEAST_ROWS
    assert sum(one.rows * one.came for one in bins) == pytest.approx(judged.labels.sum(), rel=0.01)


def test_a_mean_of_many_rows_tells_three_digits() -> None:
    """Otherwise one row that is spelled among nothing but zeros would be read from it."""
    scores = np.zeros(400)
    scores[-1] = 0.123456789
    judged = BinaryPredictions(labels=np.arange(400) % 2 == 0, scores=scores)
    (only,) = coarse.reliabilities(curves.calibration(cutoffs.table_of(judged.tally)))
    assert only.said == 0.000309
    numbers = NumberPredictions(actual=judged.labels.astype(np.float64), predicted=scores)
    told = msgspec.json.encode(coarse.outcomes(outcomes.table_of(numbers)))
    assert b"123456" not in told


def test_classes_that_a_model_invents_are_one() -> None:
    """A model that answers in text can call each row by its inputs; columns are what really came, and all the others."""
    names = ("cat", "dog", "income 31000", "income 47000")
    predictions = ClassPredictions(classes=names, labels=np.array([0, 0, 1, 1]), predicted=np.array([0, 2, 1, 3]))
    assert coarse.classes(outcomes.classes_of(predictions)) == (
        ("cat", "dog"), ("cat", "dog", "others"), ((1, 0, 1), (0, 1, 1)),
    )  # fmt: skip
    plain = ClassTable(population=2, classes=("cat", "dog"), counts=((1, 0), (0, 1)))
    assert coarse.classes(plain) == (("cat", "dog"), ("cat", "dog"), ((1, 0), (0, 1)))


def test_steps_tell_next_to_nothing_of_labels_that_are_chance() -> None:
    """Whoever knows the place of every row in the order, and the steps, guesses less than 5 % more of the labels than without."""
    gained = []
    for seed in range(30):
        judged = _judged(ROWS, seed, 10**9)
        few = coarse.cutoffs(cutoffs.table_of(judged.tally))
        gained.append(
            _recovered(judged.labels[np.argsort(-judged.scores, kind="stable")], few) - _chance(judged.labels)
        )
    assert 0.02 < np.mean(gained) < 0.05
    whole = cutoffs.table_of(judged.tally)
    told = _recovered(judged.labels[np.argsort(-judged.scores, kind="stable")], whole)
    assert told - _chance(judged.labels) > 0.2  # what the exact table tells: the attack is one


def _chance(labels: npt.NDArray[np.bool_]) -> float:
    return float(max(labels.mean(), 1 - labels.mean()))


def _recovered(ordered: npt.NDArray[np.bool_], table: CutoffTable) -> float:
    """The share of labels that is right if every step is taken for what most of it is."""
    ends, found = [0, *_selected(table)], [0, *table.true_positives]
    steps = zip(pairwise(ends), pairwise(found), strict=True)
    guesses = np.concatenate([np.full(b - a, (q - p) * 2 >= b - a) for (a, b), (p, q) in steps])
    return float((guesses == ordered).mean())
