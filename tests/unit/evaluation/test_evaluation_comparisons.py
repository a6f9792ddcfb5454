"""Intervals, fairness and importance."""

import time

import numpy as np
import pytest

from muster.evaluation import binary, bootstrap, multiclass, numbers, ranking
from muster.evaluation.errors import MetricUndefined
from muster.evaluation.fairness import fairness
from muster.evaluation.importance import importances
from muster.evaluation.multiclass import ClassPredictions
from muster.evaluation.numbers import NumberPredictions
from muster.evaluation.ranking import RankedPredictions
from muster.evaluation.tallies import BinaryPredictions

_SEED = bootstrap.seed_of("sha256:a", "sha256:b")


def _scored(rows: int, noise: float, seed: int = 1) -> BinaryPredictions:
    """Rows whose score is the truth and a noise; the same seed has the same truth."""
    truth = np.random.default_rng(seed).random(rows) < 0.4
    scores = truth + np.random.default_rng(seed + 1).normal(0, noise, rows)
    return BinaryPredictions(labels=truth, scores=scores)


def test_the_same_documents_give_the_same_interval() -> None:
    """The seed is made of digests, so nobody can draw until it fits."""
    judged = _scored(400, 1.0)
    once, again = (bootstrap.interval(binary.roc_auc, judged, _SEED) for _ in range(2))
    assert once == again
    assert once.low < once.value < once.high
    assert bootstrap.seed_of("sha256:a", "sha256:c") != _SEED


def test_an_interval_of_a_mean_is_the_one_that_theory_has() -> None:
    """For accuracy the bootstrap's interval is the normal approximation's, within what a thousand resamples can tell."""
    judged = BinaryPredictions(labels=np.ones(1000, bool), scores=np.repeat([1.0, 0.0], [800, 200]))
    found = bootstrap.interval(binary.accuracy, judged, _SEED)
    half = 1.96 * np.sqrt(0.8 * 0.2 / 1000)
    assert found.low == pytest.approx(0.8 - half, abs=0.004)
    assert found.high == pytest.approx(0.8 + half, abs=0.004)


def test_a_paired_interval_is_narrower_than_two_single_ones() -> None:
    """The same rows judge both models, so what the rows have in common is not counted as difference."""
    better, worse = _scored(600, 0.9), _scored(600, 0.95)
    found = bootstrap.paired(binary.roc_auc, better, worse, _SEED)
    alone = bootstrap.interval(binary.roc_auc, better, _SEED)
    assert found.value == pytest.approx(binary.roc_auc(better.tally) - binary.roc_auc(worse.tally))
    assert found.high - found.low < (alone.high - alone.low) / 2


def test_a_model_against_itself_differs_by_nothing() -> None:
    """The interval of the difference is zero to zero."""
    judged = _scored(200, 1.0)
    found = bootstrap.paired(binary.roc_auc, judged, judged, _SEED)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_a_worse_model_is_found_whichever_way_the_metric_goes() -> None:
    """The whole interval is below zero for a metric that is better when higher, and for one that is better when lower."""
    better, worse = _scored(800, 0.6), _scored(800, 3.0)
    assert bootstrap.paired(binary.roc_auc, worse, better, _SEED).high < 0
    actual = np.arange(300.0)
    near = NumberPredictions(actual=actual, predicted=actual + 1)
    far = NumberPredictions(actual=actual, predicted=actual + np.where(actual % 2, 9, -9))
    assert bootstrap.paired(numbers.rmse, far, near, _SEED).high < 0
    assert bootstrap.paired(numbers.rmse, near, far, _SEED).low > 0


def test_resamples_of_counts_are_those_of_the_rows_themselves() -> None:
    """Counting each drawn row as often as it is drawn gives what judging the drawn rows gives."""
    judged = _scored(60, 1.0)
    places = np.random.default_rng(3).integers(0, 60, 60)
    drawn = judged.taken(places)
    assert bootstrap._judge(binary.roc_auc, judged)(places) == pytest.approx(binary.roc_auc(drawn.tally))
    assert bootstrap._judge(binary.pr_auc, judged)(places) == pytest.approx(binary.pr_auc(drawn.tally))


def test_queries_are_drawn_whole() -> None:
    """Of rankings the queries are the sample; two perfect ones and a wrong one have an interval from wrong to perfect."""
    judged = RankedPredictions(
        relevance=np.array([1.0, 0, 1, 0, 0, 1]),
        scores=np.array([2.0, 1, 2, 1, 2, 1]),
        groups=np.array([7, 7, 9, 9, 4, 4], np.int64),
    )
    found = bootstrap.interval(ranking.mrr, judged, _SEED)
    assert found.value == pytest.approx((1 + 1 + 0.5) / 3)
    assert (found.low, found.high) == (0.5, 1.0)


def test_classes_are_compared_row_by_row() -> None:
    """Any metric of rows can be compared, also one that is not counted."""
    labels = np.arange(300) % 3
    right = ClassPredictions(classes=("a", "b", "c"), labels=labels, predicted=labels)
    wrong = ClassPredictions(classes=("a", "b", "c"), labels=labels, predicted=np.zeros(300, np.int64))
    assert bootstrap.paired(multiclass.macro_f1, wrong, right, _SEED).high < -0.5


def test_too_few_rows_have_no_interval() -> None:
    """Where most resamples have one class only, no interval is made up."""
    judged = BinaryPredictions(labels=np.array([True, False]), scores=np.array([0.9, 0.1]))
    with pytest.raises(MetricUndefined, match="too few rows"):
        bootstrap.interval(binary.roc_auc, judged, _SEED)


def test_the_work_of_a_large_set_is_bounded() -> None:
    """A hundred thousand rows get fewer resamples, two hundred at least of them in seconds and not minutes."""
    assert bootstrap.resamples_for(1000) == 1000
    assert bootstrap.resamples_for(100_000) == 300
    assert bootstrap.resamples_for(10**9) == 100
    begun = time.monotonic()
    bootstrap.interval(binary.roc_auc, _scored(20_000, 1.0), _SEED)
    assert time.monotonic() - begun < 20


def test_fairness_is_the_gaps_between_groups() -> None:
    """By hand: group a is selected twice as often as b, and all its positive rows are found."""
    labels = np.array([True, True, False, False, True, True, False, False])
    scores = np.array([0.9, 0.8, 0.1, 0.2, 0.9, 0.3, 0.2, 0.1])
    found = fairness(BinaryPredictions(labels=labels, scores=scores), list("aaaabbbb"))
    assert found is not None
    assert [one.selection for one in found.groups] == [0.5, 0.25]
    assert [one.recall for one in found.groups] == [1.0, 0.5]
    assert found.parity_difference == 0.25
    assert found.parity_ratio == 0.5
    assert found.odds_difference == 0.5


def test_small_groups_and_absent_classes_are_not_compared() -> None:
    """A group of a row says nothing; where nobody is selected there is no ratio; without positive rows no recall."""
    judged = BinaryPredictions(labels=np.zeros(5, bool), scores=np.full(5, 0.1))
    assert fairness(judged, list("aaaab"), min_rows=2) is None
    found = fairness(judged, list("aaabb"), min_rows=2)
    assert found is not None
    assert found.parity_ratio is None
    assert [one.recall for one in found.groups] == [None, None]
    assert found.odds_difference == 0.0


def test_importance_is_what_shuffling_an_input_costs() -> None:
    """An input that the model leans on costs, one that it ignores costs nothing, and the same seed gives the same figures."""
    values = {"used": np.random.default_rng(1).normal(size=500), "ignored": np.random.default_rng(2).normal(size=500)}
    actual = values["used"] * 2

    def loses(name: str, order: np.ndarray) -> float:
        shuffled = {**values, name: values[name][order]}
        return numbers.mae(NumberPredictions(actual=actual, predicted=shuffled["used"] * 2))

    found = importances(["ignored", "used"], 500, 3, 5, loses)
    assert [one.name for one in found] == ["used", "ignored"]
    assert found[0].low > 1
    assert found[1].high == 0.0
    assert found == importances(["ignored", "used"], 500, 3, 5, loses)
