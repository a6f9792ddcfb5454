"""Every standard metric is what scikit-learn computes, and refuses where there is no value."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk

from muster.evaluation import binary, definitions, multiclass, numbers, probabilistic, ranking
from muster.evaluation.errors import MetricUndefined, MetricUnknown, PredictionsUnusable
from muster.evaluation.metric import Better, Task
from muster.evaluation.multiclass import ClassPredictions
from muster.evaluation.numbers import NumberPredictions
from muster.evaluation.probabilistic import SpreadPredictions, of_normal
from muster.evaluation.ranking import RankedPredictions
from muster.evaluation.tallies import BinaryPredictions

_ROWS = st.integers(2, 40)
#: A grid, so that ties and scores at the cut-off come often.
_GRID = st.integers(0, 8).map(lambda step: step / 8)


@st.composite
def _binary(draw: st.DrawFn) -> BinaryPredictions:
    rows = draw(_ROWS)
    labels = draw(hnp.arrays(np.bool_, rows))
    scores = draw(hnp.arrays(np.float64, rows, elements=st.one_of(_GRID, st.floats(0, 1))))
    return BinaryPredictions(labels=labels, scores=scores)


@st.composite
def _numbers(draw: st.DrawFn, low: float = -1e6) -> NumberPredictions:
    rows = draw(_ROWS)
    floats = st.floats(low, 1e6).map(lambda value: round(value, 3))
    return NumberPredictions(
        actual=draw(hnp.arrays(np.float64, rows, elements=floats)),
        predicted=draw(hnp.arrays(np.float64, rows, elements=floats)),
    )


def _binary_by_sklearn(name: str, judged: BinaryPredictions) -> float:
    labels, scores, said = judged.labels, judged.scores, judged.scores >= judged.cutoff
    computed: dict[str, Any] = {
        "roc_auc": lambda: sk.roc_auc_score(labels, scores),
        "gini": lambda: 2 * sk.roc_auc_score(labels, scores) - 1,
        "pr_auc": lambda: sk.average_precision_score(labels, scores),
        "ks": lambda: _ks(labels, scores),
        "log_loss": lambda: sk.log_loss(labels, scores, labels=[False, True]),
        "brier": lambda: sk.brier_score_loss(labels, scores, labels=[False, True]),
        "accuracy": lambda: sk.accuracy_score(labels, said),
        "precision": lambda: sk.precision_score(labels, said),
        "recall": lambda: sk.recall_score(labels, said),
        "f1": lambda: sk.f1_score(labels, said),
        "balanced_accuracy": lambda: sk.balanced_accuracy_score(labels, said),
        "mcc": lambda: sk.matthews_corrcoef(labels, said),
    }
    return float(computed[name]())


def _ks(labels: Any, scores: Any) -> float:
    false_alarms, hits, _ = sk.roc_curve(labels, scores, drop_intermediate=False)
    return float(np.abs(hits - false_alarms).max())


@pytest.mark.parametrize("name", [name for name in definitions.names(Task.BINARY) if name != "lift@10%"])
@settings(max_examples=60, deadline=None)
@given(judged=_binary())
def test_a_binary_metric_is_what_sklearn_computes_or_is_refused_by_name(name: str, judged: BinaryPredictions) -> None:
    """With ties, one class only and constant scores alike: the same value, or none where there is none."""
    metric = definitions.named(Task.BINARY, name)
    try:
        found = definitions.value(metric, judged)
    except MetricUndefined:
        assert _has_no_value(name, judged)
        return
    assert found == pytest.approx(_binary_by_sklearn(name, judged), abs=1e-12)


def _has_no_value(name: str, judged: BinaryPredictions) -> bool:
    said, labels = judged.scores >= judged.cutoff, judged.labels
    one_class = bool(labels.all() or not labels.any())
    return {
        "roc_auc": one_class, "gini": one_class, "ks": one_class, "balanced_accuracy": one_class,
        "pr_auc": not labels.any(), "recall": not labels.any(), "precision": not said.any(),
        "f1": not (labels | said).any(), "mcc": one_class or bool(said.all() or not said.any()),
    }.get(name, False)  # fmt: skip


def test_lift_of_a_tenth_counts_ties_in_proportion() -> None:
    """By hand: 20 rows, four positive, of which the two highest scores hold one and a tie of three the second."""
    labels = np.array([True, False, True, True, False] + [False] * 14 + [True])
    scores = np.array([0.9, 0.8, 0.8, 0.7, 0.7] + [0.1] * 15)
    found = definitions.value(binary.lift, BinaryPredictions(labels=labels, scores=scores))
    # The first two of twenty: the row of 0.9, and one of the two of 0.8, half of which are positive.
    assert found == pytest.approx(((1 + 0.5) / 4) / 0.1)


@settings(max_examples=60, deadline=None)
@given(judged=_binary(), seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter(judged: BinaryPredictions, seed: int) -> None:
    """Rows in another order have the same figures, to the last bit."""
    order = np.random.default_rng(seed).permutation(judged.rows)
    assert definitions.figures(Task.BINARY, judged) == definitions.figures(Task.BINARY, judged.taken(order))


def test_labels_instead_of_scores_have_no_order() -> None:
    """A model that gives labels has accuracy, and no area under a curve."""
    judged = BinaryPredictions(labels=np.array([True, False]), scores=np.array([1.0, 0.0]), is_hard=True)
    found = definitions.figures(Task.BINARY, judged)
    assert found.values["accuracy"] == 1.0
    assert set(found.undefined) == {"roc_auc", "gini", "pr_auc", "ks", "lift@10%", "log_loss", "brier"}


def test_scores_that_are_no_probabilities_have_no_log_loss() -> None:
    """Margins are ranked and cut, but Brier score and log loss are refused, with the range that was found."""
    judged = BinaryPredictions(labels=np.array([True, False]), scores=np.array([3.5, -2.0]))
    found = definitions.figures(Task.BINARY, judged)
    assert found.values["roc_auc"] == 1.0
    assert "from -2 to 3.5" in found.undefined["log_loss"]
    assert "brier" in found.undefined


@st.composite
def _classes(draw: st.DrawFn) -> ClassPredictions:
    rows, size = draw(_ROWS), draw(st.integers(2, 4))
    labels = draw(hnp.arrays(np.int64, rows, elements=st.integers(0, size - 1)))
    weights = draw(hnp.arrays(np.float64, (rows, size), elements=st.integers(1, 9).map(float)))
    given_ = weights / weights.sum(axis=1, keepdims=True)
    return ClassPredictions(
        classes=tuple("abcd"[:size]), labels=labels, predicted=given_.argmax(axis=1), probabilities=given_
    )


def _classes_by_sklearn(name: str, judged: ClassPredictions) -> float:
    places = list(range(len(judged.classes)))
    # sklearn wants one column where there are two classes; the other class's area is the same.
    scores = judged.probabilities[:, 1] if len(places) == 2 else judged.probabilities  # type: ignore[index]
    computed: dict[str, Any] = {
        "accuracy": lambda: sk.accuracy_score(judged.labels, judged.predicted),
        "balanced_accuracy": lambda: sk.balanced_accuracy_score(judged.labels, judged.predicted),
        "macro_f1": lambda: sk.f1_score(judged.labels, judged.predicted, average="macro"),
        "log_loss": lambda: sk.log_loss(judged.labels, judged.probabilities, labels=places),
        "roc_auc_ovr_macro": lambda: sk.roc_auc_score(
            judged.labels, scores, multi_class="ovr", average="macro", labels=places
        ),
    }
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # a class that was said and is not there: our mean leaves it out as sklearn's does
        return float(computed[name]())


@pytest.mark.parametrize("name", definitions.names(Task.MULTICLASS))
@settings(max_examples=60, deadline=None)
@given(judged=_classes())
def test_a_metric_of_classes_is_what_sklearn_computes_or_is_refused(name: str, judged: ClassPredictions) -> None:
    """Absent classes and constant answers included."""
    there = np.bincount(judged.labels, minlength=len(judged.classes))
    try:
        found = definitions.value(definitions.named(Task.MULTICLASS, name), judged)
    except MetricUndefined:
        assert (name == "balanced_accuracy" and (there > 0).sum() == 1) or (
            name == "roc_auc_ovr_macro" and (there == 0).any()
        )
        return
    assert found == pytest.approx(_classes_by_sklearn(name, judged), abs=1e-12)


def test_classes_without_probabilities_have_no_log_loss() -> None:
    """A model that gives classes has the metrics of the confusion matrix and no others."""
    places = np.array([0, 1, 2])
    found = definitions.figures(
        Task.MULTICLASS, ClassPredictions(classes=("a", "b", "c"), labels=places, predicted=places)
    )
    assert found.values == {"accuracy": 1.0, "balanced_accuracy": 1.0, "macro_f1": 1.0}
    odd = ClassPredictions(
        classes=("a", "b"), labels=places[:2], predicted=places[:2], probabilities=np.array([[0.5, 0.9], [0.1, 0.9]])
    )
    assert "add up to 1" in definitions.figures(Task.MULTICLASS, odd).undefined["log_loss"]


def _numbers_by_sklearn(name: str, judged: NumberPredictions) -> float:
    actual, said = judged.actual, judged.predicted
    computed: dict[str, Any] = {
        "mae": lambda: sk.mean_absolute_error(actual, said),
        "rmse": lambda: sk.root_mean_squared_error(actual, said),
        "mape": lambda: sk.mean_absolute_percentage_error(actual, said),
        "smape": lambda: np.mean([_smape(a, s) for a, s in zip(actual, said, strict=True)]),
        "r2": lambda: sk.r2_score(actual, said),
        "median_ae": lambda: sk.median_absolute_error(actual, said),
        "bias": lambda: said.mean() - actual.mean(),
        "poisson_deviance": lambda: sk.mean_poisson_deviance(actual, said),
        "rmsle": lambda: sk.root_mean_squared_log_error(actual, said),
    }
    return float(computed[name]())


def _smape(actual: float, said: float) -> float:
    size = abs(actual) + abs(said)
    return 2 * abs(said - actual) / size if size else 0.0


@pytest.mark.parametrize("name", definitions.names(Task.REGRESSION))
@settings(max_examples=50, deadline=None)
@given(judged=_numbers())
def test_a_metric_of_numbers_is_what_sklearn_computes_or_is_refused(name: str, judged: NumberPredictions) -> None:
    """Zeros and constant labels included."""
    try:
        found = definitions.value(definitions.named(Task.REGRESSION, name), judged)
    except MetricUndefined:
        assert (name == "mape" and (judged.actual == 0).any()) or (name == "r2" and np.ptp(judged.actual) == 0)
        return
    assert found == pytest.approx(_numbers_by_sklearn(name, judged), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", definitions.names(Task.COUNTS))
@settings(max_examples=50, deadline=None)
@given(judged=_numbers(low=0))
def test_a_metric_of_counts_is_what_sklearn_computes_or_is_refused(name: str, judged: NumberPredictions) -> None:
    """Zero counts have a value, a zero expectation has none."""
    try:
        found = definitions.value(definitions.named(Task.COUNTS, name), judged)
    except MetricUndefined:
        assert name == "poisson_deviance"
        assert (judged.predicted == 0).any()
        return
    assert found == pytest.approx(_numbers_by_sklearn(name, judged), rel=1e-6, abs=1e-6)


def test_counts_below_zero_are_refused() -> None:
    """A negative label is no count, a negative expectation has no logarithm."""
    below = NumberPredictions(actual=np.array([-1.0, 2.0]), predicted=np.array([1.0, 2.0]))
    assert set(definitions.figures(Task.COUNTS, below).undefined) == {"poisson_deviance", "rmsle"}
    said = NumberPredictions(actual=np.array([1.0, 2.0]), predicted=np.array([-0.5, 2.0]))
    assert set(definitions.figures(Task.COUNTS, said).undefined) == {"poisson_deviance", "rmsle"}


@settings(max_examples=60, deadline=None)
@given(judged=_numbers(), level=st.sampled_from([0.05, 0.25, 0.5, 0.9]))
def test_pinball_loss_is_what_sklearn_computes(judged: NumberPredictions, level: float) -> None:
    """At one level; several are their mean."""
    one = SpreadPredictions(actual=judged.actual, levels=(level,), quantiles=judged.predicted[:, None])
    expected = sk.mean_pinball_loss(judged.actual, judged.predicted, alpha=level)
    assert probabilistic.pinball(one) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    two = SpreadPredictions(
        actual=judged.actual, levels=(level, 0.95), quantiles=np.column_stack([judged.predicted, judged.predicted])
    )
    other = sk.mean_pinball_loss(judged.actual, judged.predicted, alpha=0.95)
    assert probabilistic.pinball(two) == pytest.approx((expected + other) / 2, rel=1e-9, abs=1e-9)


def test_coverage_is_the_share_between_the_outer_quantiles() -> None:
    """By hand, with the ends within; one quantile alone covers nothing."""
    judged = SpreadPredictions(
        actual=np.array([0.0, 1.0, 2.0, 9.0]), levels=(0.1, 0.9), quantiles=np.array([[0.0, 2.0]] * 4)
    )
    assert probabilistic.coverage(judged) == 0.75
    assert probabilistic.coverage_error(judged) == pytest.approx(0.05)
    alone = SpreadPredictions(actual=np.array([0.0]), levels=(0.5,), quantiles=np.array([[0.0]]))
    with pytest.raises(MetricUndefined, match="two quantiles"):
        probabilistic.coverage(alone)


@settings(max_examples=20, deadline=None)
@given(actual=st.floats(-5, 5), mean=st.floats(-5, 5), deviation=st.floats(0.2, 4))
def test_crps_of_a_normal_distribution_is_its_integral(actual: float, mean: float, deviation: float) -> None:
    """The closed form is the integral of (F - step)^2, computed by small steps; quantiles alone have none."""
    judged = of_normal(np.array([actual]), np.array([mean]), np.array([deviation]))
    grid = np.linspace(min(actual, mean) - 10 * deviation, max(actual, mean) + 10 * deviation, 20_001)
    below = np.array([(1 + math.erf((x - mean) / deviation / math.sqrt(2))) / 2 for x in grid])
    expected = float(np.trapezoid((below - (grid >= actual)) ** 2, grid))
    assert probabilistic.crps(judged) == pytest.approx(expected, abs=5e-3)
    with pytest.raises(MetricUndefined, match="gives quantiles"):
        probabilistic.crps(SpreadPredictions(actual=judged.actual, levels=(0.5,), quantiles=judged.quantiles[:, 1:2]))


@st.composite
def _ranked(draw: st.DrawFn) -> RankedPredictions:
    rows = draw(st.integers(2, 30))
    return RankedPredictions(
        relevance=draw(hnp.arrays(np.float64, rows, elements=st.integers(0, 3).map(float))),
        scores=draw(hnp.arrays(np.float64, rows, elements=st.one_of(_GRID, st.floats(0, 1)))),
        groups=draw(hnp.arrays(np.int64, rows, elements=st.integers(0, 3))),
    )


@settings(max_examples=100, deadline=None)
@given(judged=_ranked())
def test_ndcg_is_what_sklearn_computes_per_query(judged: RankedPredictions) -> None:
    """Ties share their places; queries without a relevant row are left out, and without any query there is no value."""
    queries = [judged.groups == group for group in np.unique(judged.groups)]
    expected = [
        sk.ndcg_score([judged.relevance[at]], [judged.scores[at]], k=ranking.DEPTH)
        if at.sum() > 1
        else 1.0  # sklearn refuses a ranking of one row; it cannot be wrong
        for at in queries
        if judged.relevance[at].any()
    ]
    if not expected:
        with pytest.raises(MetricUndefined, match="no query"):
            ranking.ndcg(judged)
        return
    assert ranking.ndcg(judged) == pytest.approx(float(np.mean(expected)), abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(relevance=st.lists(st.integers(0, 1), min_size=2, max_size=9), seed=st.integers(0, 2**32 - 1))
def test_map_and_mrr_are_average_precision_and_reciprocal_rank(relevance: list[int], seed: int) -> None:
    """Of fewer rows than ten and without ties, map is sklearn's average precision, and mrr what a count by hand gives."""
    scores = np.random.default_rng(seed).permutation(len(relevance)).astype(float)
    judged = RankedPredictions(
        relevance=np.array(relevance, float), scores=scores, groups=np.zeros(len(relevance), np.int64)
    )
    if not any(relevance):
        with pytest.raises(MetricUndefined):
            ranking.mrr(judged)
        return
    assert ranking.mean_average_precision(judged) == pytest.approx(sk.average_precision_score(relevance, scores))
    order = [relevance[at] for at in np.argsort(-scores)]
    assert ranking.mrr(judged) == pytest.approx(1 / (order.index(1) + 1))


def test_a_constant_score_cannot_win_a_ranking_by_the_order_of_rows() -> None:
    """Of rows of one score the irrelevant come first."""
    judged = RankedPredictions(
        relevance=np.array([1.0, 0.0, 0.0, 0.0]), scores=np.zeros(4), groups=np.zeros(4, np.int64)
    )
    assert ranking.mrr(judged) == 0.25
    assert ranking.mean_average_precision(judged) == 0.25


_BAD: dict[str, Callable[[], object]] = {
    "NaN": lambda: BinaryPredictions(labels=np.array([True]), scores=np.array([np.nan])),
    "lengths": lambda: BinaryPredictions(labels=np.array([True, False]), scores=np.array([0.5])),
    "none": lambda: NumberPredictions(actual=np.array([]), predicted=np.array([])),
    "infinite": lambda: NumberPredictions(actual=np.array([np.inf]), predicted=np.array([1.0])),
    "levels": lambda: SpreadPredictions(actual=np.array([1.0]), levels=(0.9, 0.1), quantiles=np.array([[1.0, 2.0]])),
    "deviation": lambda: of_normal(np.array([1.0]), np.array([1.0]), np.array([0.0])),
    "relevance": lambda: RankedPredictions(
        relevance=np.array([-1.0]), scores=np.array([1.0]), groups=np.array([0], np.int64)
    ),
    "classes": lambda: ClassPredictions(
        classes=("a", "b"), labels=np.array([0]), predicted=np.array([0]), probabilities=np.array([[1.0]])
    ),
}


@pytest.mark.parametrize("case", sorted(_BAD))
def test_what_cannot_be_judged_is_refused(case: str) -> None:
    """NaN, nothing at all, and numbers that do not fit together are errors with a name and never a figure."""
    with pytest.raises(PredictionsUnusable):
        _BAD[case]()


def test_every_metric_has_a_definition_with_its_source() -> None:
    """Name, version, direction, and a docstring that says from where; no name twice in a task, every primary one is there."""
    for task, metrics in definitions.METRICS.items():
        assert len({metric.name for metric in metrics}) == len(metrics)
        assert definitions.named(task, definitions.PRIMARY[task]).name == definitions.PRIMARY[task]
        for metric in metrics:
            assert metric.version >= 1
            assert "Source: " in metric.told
    with pytest.raises(MetricUnknown, match="roc_auc"):
        definitions.named(Task.BINARY, "auroc")


def test_a_gain_is_above_zero_where_the_candidate_is_better() -> None:
    """Whichever way the metric goes."""
    assert binary.roc_auc.gain(0.9, 0.8) == pytest.approx(0.1)
    assert binary.brier.gain(0.1, 0.3) == pytest.approx(0.2)
    assert numbers.bias.better is Better.NEAR_ZERO
    assert numbers.bias.gain(-0.1, 0.4) == pytest.approx(0.3)
    assert multiclass.log_loss.gain(2.0, 1.0) == -1.0
