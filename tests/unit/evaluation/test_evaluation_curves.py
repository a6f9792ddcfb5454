"""Curves are derived from the one kept table and are what scikit-learn makes of the rows themselves."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk

from muster.evaluation import curves, cutoffs, outcomes
from muster.evaluation.errors import MetricUndefined
from muster.evaluation.multiclass import ClassPredictions
from muster.evaluation.numbers import NumberPredictions
from muster.evaluation.tallies import BinaryPredictions
from muster.wire.evaluations import CutoffTable, decoded, encoded


def _many(rows: int = 20_000, seed: int = 7) -> BinaryPredictions:
    generator = np.random.default_rng(seed)
    scores = generator.beta(2, 3, rows)
    return BinaryPredictions(labels=generator.random(rows) < scores, scores=scores, cutoff=0.37)


@st.composite
def _few(draw: st.DrawFn) -> BinaryPredictions:
    rows = draw(st.integers(2, 40))
    grid = st.integers(0, 16).map(lambda step: step / 16)
    return BinaryPredictions(
        labels=draw(hnp.arrays(np.bool_, rows)), scores=draw(hnp.arrays(np.float64, rows, elements=grid))
    )


@settings(max_examples=80, deadline=None)
@given(judged=_few(), cutoff=st.floats(-0.1, 1.1))
def test_confusion_at_any_cutoff_is_a_count_of_the_rows(judged: BinaryPredictions, cutoff: float) -> None:
    """A table that was not thinned knows every cut-off exactly."""
    found = curves.confusion(cutoffs.table_of(judged.tally), cutoff)
    said = judged.scores >= cutoff
    tn, fp, fn, tp = sk.confusion_matrix(judged.labels, said, labels=[False, True]).ravel().tolist()
    told = (found.true_negatives, found.false_positives, found.false_negatives, found.true_positives)
    assert told == (tn, fp, fn, tp)
    assert found.is_exact
    assert found.accuracy == pytest.approx((tp + tn) / judged.rows)


@settings(max_examples=80, deadline=None)
@given(judged=_few())
def test_roc_and_precision_recall_are_what_sklearn_draws(judged: BinaryPredictions) -> None:
    """Point by point; without both classes there is no curve, and the refusal says so."""
    table = cutoffs.table_of(judged.tally)
    if judged.labels.all() or not judged.labels.any():
        with pytest.raises(MetricUndefined, match="both classes"):
            curves.roc(table)
    else:
        x, y, at = sk.roc_curve(judged.labels, judged.scores, drop_intermediate=False)
        found = curves.roc(table)
        assert found.x == pytest.approx(x.tolist())
        assert found.y == pytest.approx(y.tolist())
        assert found.cutoffs[1:] == tuple(at[1:].tolist())
    if judged.labels.any():
        precision, recall, _ = sk.precision_recall_curve(judged.labels, judged.scores)
        found = curves.precision_recall(table)
        # sklearn goes from the lowest cut-off, and ends in a point of its own making.
        assert found.x == pytest.approx(recall[:-1][::-1].tolist())
        assert found.y == pytest.approx(precision[:-1][::-1].tolist())


def test_a_thinned_table_keeps_its_ends_and_each_kept_row_is_exact() -> None:
    """Twenty thousand distinct scores become a thousand cut-offs, evenly by rank, of which none is interpolated."""
    judged = _many()
    table = cutoffs.table_of(judged.tally)
    assert 900 <= len(table.cutoffs) <= cutoffs.MOST_ROWS
    assert table.distinct == 20_000
    assert table.cutoffs[0] == judged.scores.max()
    assert table.cutoffs[-1] == judged.scores.min()
    assert table.true_positives[-1] == judged.labels.sum()
    for place in range(0, len(table.cutoffs), 97):
        said = judged.scores >= table.cutoffs[place]
        assert table.true_positives[place] == (said & judged.labels).sum()
        assert table.false_positives[place] == (said & ~judged.labels).sum()
    selected = np.array(table.true_positives) + np.array(table.false_positives)
    assert np.diff(selected).max() <= 2 * judged.rows / (cutoffs.MOST_ROWS - 20)
    assert curves.confusion(table).is_exact
    assert curves.confusion(table).true_positives == ((judged.scores >= 0.37) & judged.labels).sum()


@pytest.mark.parametrize("rows", [50, 20_000])
def test_calibration_is_exact_although_the_table_is_thinned(rows: int) -> None:
    """Tenths of the probability, mean probability and share of positives, and their error, as a loop over rows has them."""
    judged = _many(rows)
    table = cutoffs.table_of(judged.tally)
    expected = 0.0
    found = {one.low: one for one in curves.calibration(table)}
    for step in range(10):
        low = step / 10
        here = (judged.scores >= low) & ((judged.scores < (step + 1) / 10) | (step == 9))
        if not here.any():
            assert low not in found
            continue
        assert found[low].rows == here.sum()
        assert found[low].said == pytest.approx(judged.scores[here].mean())
        assert found[low].came == pytest.approx(judged.labels[here].mean())
        expected += here.sum() / rows * abs(judged.scores[here].mean() - judged.labels[here].mean())
    assert curves.calibration_error(table) == pytest.approx(expected)


def test_margins_have_no_calibration() -> None:
    """Scores beyond 0 and 1 are refused."""
    judged = BinaryPredictions(labels=np.array([True, False]), scores=np.array([2.0, -1.0]))
    with pytest.raises(MetricUndefined, match="between 0 and 1"):
        curves.calibration(cutoffs.table_of(judged.tally))


def test_gains_and_lift_rise_from_nothing_to_everything() -> None:
    """By hand: four rows, two positive."""
    judged = BinaryPredictions(labels=np.array([True, False, True, False]), scores=np.array([0.9, 0.7, 0.7, 0.1]))
    table = cutoffs.table_of(judged.tally)
    assert curves.gains(table).x == (0.0, 0.25, 0.75, 1.0)
    assert curves.gains(table).y == (0.0, 0.5, 1.0, 1.0)
    assert curves.lift(table).y == pytest.approx((2.0, 4 / 3, 1.0))
    assert curves.accuracies(table).y == (0.75, 0.75, 0.5)
    none = cutoffs.table_of(judged.taken(np.array([1, 3])).tally)
    for curve in (curves.gains, curves.lift, curves.precision_recall):
        with pytest.raises(MetricUndefined, match="positive row"):
            curve(none)


@settings(max_examples=60, deadline=None)
@given(
    predicted=st.lists(st.integers(-20, 20), min_size=1, max_size=60), bins=st.integers(1, 12), seed=st.integers(0, 99)
)
def test_bins_of_predictions_hold_every_row_once(predicted: list[int], bins: int, seed: int) -> None:
    """Sums over the bins are those over the rows, bins do not overlap, and rows of one prediction stay together."""
    said = np.array(predicted, float)
    came = said + np.random.default_rng(seed).normal(size=len(said))
    table = outcomes.table_of(NumberPredictions(actual=came, predicted=said), bins)
    assert sum(table.rows) == len(said)
    assert sum(table.predicted_sums) == pytest.approx(said.sum())
    assert sum(table.actual_sums) == pytest.approx(came.sum())
    assert sum(table.absolute_errors) == pytest.approx(np.abs(said - came).sum())
    assert sum(table.squared_errors) == pytest.approx(((said - came) ** 2).sum())
    assert len(table.rows) <= bins
    assert all(high < low for high, low in zip(table.high, table.low[1:], strict=False))


def _tables() -> dict[str, Any]:
    places = np.array([0, 1, 1])
    return {
        "cutoffs": cutoffs.table_of(_many(50).tally),
        "outcomes": outcomes.table_of(NumberPredictions(actual=np.array([1.0, 2.0]), predicted=np.array([1.5, 2.5]))),
        "classes": outcomes.classes_of(ClassPredictions(classes=("a", "b"), labels=places, predicted=places[::-1])),
    }


@pytest.mark.parametrize("kind", ["cutoffs", "outcomes", "classes"])
def test_a_table_comes_back_as_it_was_kept(kind: str) -> None:
    """Through its bytes, to the last bit."""
    table = _tables()[kind]
    assert decoded(encoded(table)) == table
    assert decoded(encoded(table)).format == 1


def test_a_table_of_classes_counts_who_was_called_what() -> None:
    """Rows of the table are what is, columns what was said."""
    table = _tables()["classes"]
    assert table.counts == ((0, 1), (1, 1))
    assert isinstance(_tables()["cutoffs"], CutoffTable)
