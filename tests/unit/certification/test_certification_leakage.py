"""Rules of leakage, held against scikit-learn and against a count by hand."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from muster.certification.data.leakage import (
    Thresholds,
    auc,
    correlation,
    is_cut_apart,
    label_hints,
    mapped,
    midranks,
    shared_hint,
    shared_rows,
)
from muster.packaging.columns import Table
from muster.packaging.samples import read_sample

NUMBERS = st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.5]), min_size=4, max_size=40)
SMALL = Thresholds(min_rows=10)


def made(**columns: Any) -> Table:
    return read_sample(columns).table


@given(NUMBERS, st.data())
def test_the_area_is_that_of_scikit_learn(values: list[float], data: st.DataObject) -> None:
    """Ties count half, whatever the order."""
    scores = np.array(values)
    labels = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
    if labels.all() or not labels.any():
        labels[0] = not labels[0]
    assert auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=6, max_size=60))
def test_the_mapping_is_the_best_there_is_by_balanced_accuracy(rows: list[tuple[int, int]]) -> None:
    """No other answer per value has a higher balanced accuracy: all of them are tried."""
    values, labels = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    labels = np.unique(labels, return_inverse=True)[1]
    kinds, classes = np.unique(values), int(labels.max()) + 1
    best = 0.0
    for number in range(classes ** len(kinds)):
        answers = {kind: number // classes**at % classes for at, kind in enumerate(kinds)}
        told = np.array([answers[value] for value in values])
        recalls = [float((told[labels == one] == one).mean()) for one in range(classes)]
        best = max(best, float(np.mean(recalls)))
    assert mapped(values, labels) == pytest.approx(best)


def test_the_mapping_agrees_with_scikit_learn_on_what_it_answers() -> None:
    """Balanced accuracy means what it means elsewhere."""
    values, labels = np.array([0, 0, 1, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 1])
    assert mapped(values, labels) == pytest.approx(balanced_accuracy_score(labels, [0, 0, 1, 1, 1, 1]))


@given(NUMBERS)
def test_ranks_of_ties_are_their_mean(values: list[float]) -> None:
    """By hand: how many are smaller, and half of those that are equal."""
    array = np.array(values)
    by_hand = [(array < one).sum() + ((array == one).sum() + 1) / 2 for one in array]
    assert midranks(array).tolist() == by_hand


def test_what_does_not_vary_goes_with_nothing() -> None:
    """A constant has no correlation, instead of a division by nothing."""
    assert correlation(np.ones(5), np.arange(5.0)) == 0.0
    assert correlation(np.arange(5.0), -2 * np.arange(5.0)) == pytest.approx(-1.0)


def test_classes_are_cut_apart_only_without_a_mistake() -> None:
    """One row on the wrong side, or one value of two classes, is a mistake."""
    assert is_cut_apart(np.array([1.0, 2.0, 3.0, 4.0]), np.array([2, 2, 0, 1]))
    assert not is_cut_apart(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 1, 0, 1]))
    assert not is_cut_apart(np.array([1.0, 2.0, 2.0, 4.0]), np.array([0, 0, 1, 1]))


RANDOM = np.random.default_rng(11)
NOISE = RANDOM.normal(size=200)
LABEL = RANDOM.random(200) < 0.2
CLASSES = RANDOM.integers(0, 3, 200)
AMOUNT = RANDOM.gamma(2.0, 100.0, 200)
LEAKY = {
    "a number that ranks a flag": (LABEL, np.where(LABEL, 10.0, 0.0) + NOISE * 0.1),
    "a text with a label each": (LABEL, [f"{'closed' if one else 'open'}-{at % 3}" for at, one in enumerate(LABEL)]),
    "null exactly where it happened": (LABEL, [None if one else f"{at % 5}" for at, one in enumerate(LABEL)]),
    "classes cut apart by a number": (CLASSES, CLASSES * 10.0 + RANDOM.random(200)),
    "an amount in other money": (AMOUNT, AMOUNT * 1.1 + 3),
    "an amount in the same order": (AMOUNT, np.log(AMOUNT)),
}
INNOCENT = {
    "noise": (LABEL, NOISE),
    "a good field": (LABEL, np.where(LABEL, 1.5, 0.0) + NOISE),
    "the number of the row": (LABEL, [f"customer-{at}" for at in range(200)]),
    "a rare label and one value": (LABEL, ["same"] * 200),
    "one class alone cut apart": (CLASSES, np.where(CLASSES == 0, -50.0, 0.0) + NOISE),
    "an amount with noise": (AMOUNT, AMOUNT + RANDOM.normal(0, 50, 200)),
}


@pytest.mark.parametrize(("label", "field"), LEAKY.values(), ids=LEAKY)
def test_a_field_that_tells_the_label_is_a_hint(label: Any, field: Any) -> None:
    """And it alone: noise beside it is none."""
    hints = label_hints(made(field=field, noise=NOISE, label=label), "label", SMALL)
    assert [(hint.kind, hint.field) for hint in hints] == [("determines-label", "field")]
    assert hints[0].figure >= hints[0].limit
    assert label_hints(made(field=field, label=label), "label", Thresholds(min_rows=10, ignore=("field",))) == []


@pytest.mark.parametrize(("label", "field"), INNOCENT.values(), ids=INNOCENT)
def test_a_field_that_does_not_is_none(label: Any, field: Any) -> None:
    """Good fields, names of rows and classes that one field knows are no leaks."""
    assert label_hints(made(field=field, label=label), "label", SMALL) == []


def test_the_label_itself_among_the_inputs_is_called_so() -> None:
    """A copy of the label under another name."""
    (hint,) = label_hints(made(copy=LABEL, label=LABEL), "label", SMALL)
    assert (hint.kind, hint.field) == ("label-among-inputs", "copy")


def test_few_rows_say_nothing() -> None:
    """Four rows are told apart by anything."""
    assert label_hints(made(x=[1.0, 2.0, 3.0, 4.0], label=[False, False, True, True]), "label", Thresholds()) == []


ROWS = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, None]), st.sampled_from(["a", "b", None])), min_size=1, max_size=30
)


@given(ROWS, ROWS)
def test_shared_rows_are_those_of_a_count_by_hand(
    training: list[tuple[Any, Any]], other: list[tuple[Any, Any]]
) -> None:
    """By all inputs, null being a value like any other."""
    tables = [
        made(x=[0.0, *(row[0] for row in rows)], y=["c", *(row[1] for row in rows)]) for rows in (training, other)
    ]
    shared, rows, repeated = shared_rows(tables[0], tables[1], ["x", "y"])
    mine = [(0.0, "c"), *training]
    assert (shared, rows) == (1 + sum(row in mine for row in other), len(other) + 1)
    assert repeated == pytest.approx(sum(mine.count(row) > 1 for row in mine) / len(mine))


def test_rows_that_repeat_by_their_nature_are_no_hint() -> None:
    """Where the training data is made of few kinds of rows, sharing them is chance."""
    few = made(x=[float(at % 4) for at in range(200)])
    assert shared_hint("test", few, made(x=[0.0, 1.0, 2.0]), ["x"], SMALL) is None
    many = made(x=[float(at) for at in range(200)])
    hint = shared_hint("test", many, made(x=[0.0, 1.0, -5.0, -6.0]), ["x"], SMALL)
    assert hint is not None
    assert hint.figure == 0.5


def test_tensors_are_compared_whole() -> None:
    """A row of a tensor is shared if all its elements are."""
    one = made(t=np.array([[1.0, 2.0], [3.0, 4.0]]))
    other = made(t=np.array([[1.0, 2.0], [3.0, 5.0]]))
    assert shared_rows(one, other, ["t"])[:2] == (1, 2)
