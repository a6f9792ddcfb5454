"""The policy `weighted`: the mean of whoever is in, and what it is made of."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.packaging.columns import values_of
from muster.serving.decisions import COMBINED, DEFAULT, Decision, Outcome, WaitUntil
from muster.serving.policies.weighted import Labelling, Weighted
from muster.vocabulary.states import Reason
from muster.vocabulary.tensors import Datatype
from seen_requests import SeenRequest, column_from

PENDING, ANSWERED, FAILED, PASSED_OVER = Outcome
WAIT_S, DEADLINE_S = 0.06, 0.1
LABELS = ("stays", "leaves")


def scores(*values: Any, datatype: Datatype = Datatype.FP64) -> SeenRequest:
    """A request that each variant answered with these scores, a value or a list of one per row; `...`: it has not."""
    given_scores = {index: value for index, value in enumerate(values) if value is not ...}
    rows = [value if isinstance(value, list) else [value] for value in given_scores.values()]
    return SeenRequest(
        outcomes=[PENDING if value is ... else ANSWERED for value in values],
        rows=len(rows[0]) if rows else 1,
        answers={
            index: {
                "score": column_from(datatype, row),
                "note": column_from(Datatype.BYTES, [f"by {index}"] * len(row)),
            }
            for index, row in zip(given_scores, rows, strict=True)
        },
    )


def said(request: SeenRequest, weights: list[float], elapsed_s: float = WAIT_S) -> Decision | WaitUntil:
    """What the mean of all says."""
    policy = Weighted(range(len(weights)), weights, ["score"], {}, WAIT_S, DEADLINE_S)
    return policy.choose(request, elapsed_s)


def mean_of(decision: Decision | WaitUntil, name: str = "score") -> list[Any]:
    """The values of an output of a combined answer."""
    assert isinstance(decision, Decision)
    assert (decision.variant, decision.reason) == (COMBINED, Reason.WEIGHTED)
    assert decision.outputs is not None
    return values_of(decision.outputs[name])


def test_the_mean_is_weighted_and_the_weights_are_told() -> None:
    """3 parts of 0.2 and 1 part of 0.6 make 0.3; the rest of the answer is the heaviest's."""
    decision = said(scores(0.2, 0.6), [3, 1])
    assert mean_of(decision) == [pytest.approx(0.3)]
    assert mean_of(decision, "note") == ["by 0"]
    assert isinstance(decision, Decision)
    assert decision.weights == (0.75, 0.25)


def test_everybody_is_waited_for_until_the_wait_is_over() -> None:
    """Then the mean is that of whoever is in, with their weights scaled; nobody else has one."""
    late = scores(0.2, ..., 0.6)
    assert said(late, [1, 2, 1], 0.0) == WaitUntil(WAIT_S)
    decision = said(late, [1, 2, 1])
    assert mean_of(decision) == [pytest.approx(0.4)]
    assert isinstance(decision, Decision)
    assert decision.weights == (0.5, 0.0, 0.5)
    assert mean_of(said(scores(0.2, 0.4, 0.6), [1, 2, 1], 0.0)) == [pytest.approx(0.4)]


def test_a_variant_on_probation_does_not_hold_up_the_mean() -> None:
    """The others' mean is given at once; the heaviest of them gives the rest."""
    request = scores(..., 0.2, 0.6)
    request.outcomes[0] = PASSED_OVER
    decision = said(request, [5, 1, 2], 0.0)
    assert mean_of(decision) == [pytest.approx(1.4 / 3)]
    assert mean_of(decision, "note") == ["by 2"]


def test_one_answer_is_no_mean() -> None:
    """It is given as it is, with the reason that `first` would give; with nobody in, the first until the deadline."""
    assert said(scores(0.2, ...), [1, 1]) == Decision(0, Reason.CHAMPION)
    assert said(scores(..., 0.2), [1, 1]) == Decision(1, Reason.FALLBACK_LATE)
    assert said(scores(..., ...), [1, 1]) == WaitUntil(DEADLINE_S)
    assert said(scores(..., ...), [1, 1], DEADLINE_S) == Decision(DEFAULT, Reason.DEFAULT)


def test_of_equally_heavy_ones_the_earlier_in_the_order_gives_the_rest() -> None:
    """What is not averaged does not depend on chance."""
    assert mean_of(said(scores(0.1, 0.2, 0.3), [1, 2, 2]), "note") == ["by 1"]


def test_a_null_is_no_say() -> None:
    """In each row the mean is that of those who gave a number; where nobody did it is null."""
    decision = said(scores([0.2, None, None, 0.4], [0.6, 0.6, None, None]), [3, 1])
    assert mean_of(decision) == [pytest.approx(0.3), 0.6, None, 0.4]


def test_nan_is_no_say_either() -> None:
    """A scalar NaN does not spoil the others' mean; where nobody gave a number it stays what it is."""
    decision = said(scores([math.nan, math.nan, None], [0.6, math.nan, math.nan]), [3, 1])
    assert mean_of(decision) == [0.6, "NaN", None]


def test_infinities_stay_infinite() -> None:
    """They are averaged as numbers are; two opposite ones have no mean."""
    decision = said(scores([math.inf, math.inf, 0.0], [0.6, -math.inf, 0.0]), [1, 1])
    assert mean_of(decision) == ["Infinity", "NaN", 0.0]


@pytest.mark.parametrize("datatype", [Datatype.FP16, Datatype.FP32, Datatype.FP64])
@given(data=st.data())
def test_the_mean_lies_between_the_least_and_the_greatest(datatype: Datatype, data: st.DataObject) -> None:
    """So equal probabilities stay what they are, and one row is averaged as it is among many."""
    count = data.draw(st.integers(2, 4))
    width: Any = {Datatype.FP16: 16, Datatype.FP32: 32, Datatype.FP64: 64}[datatype]
    number = st.floats(allow_nan=False, allow_infinity=False, width=width)
    values = data.draw(st.lists(number, min_size=count, max_size=count))
    weights = data.draw(st.lists(st.floats(0.001, 1000), min_size=count, max_size=count))
    alone = said(scores(*values, datatype=datatype), weights)
    among = said(scores(*([value, value] for value in values), datatype=datatype), weights)
    (mean,) = mean_of(alone)
    assert min(values) <= mean <= max(values)
    assert mean_of(among) == [mean, mean]


def classes(*rows_of: list[list[float]], labels: list[list[str | None]]) -> SeenRequest:
    """A request that each variant answered with class probabilities and a label."""
    return SeenRequest(
        outcomes=[ANSWERED] * len(rows_of),
        rows=len(labels[0]),
        answers={
            index: {
                "label": column_from(Datatype.BYTES, labels[index]),
                "probability": column_from(Datatype.FP32, rows, (2,)),
            }
            for index, rows in enumerate(rows_of)
        },
    )


def labelled(request: SeenRequest) -> Decision:
    """The mean of two, with the label that follows from it."""
    labelling = Labelling(probabilities="probability", labels=LABELS)
    policy = Weighted([0, 1], [2, 1], ["probability"], {"label": labelling}, WAIT_S, DEADLINE_S)
    decision = policy.choose(request, 0.0)
    assert isinstance(decision, Decision)
    return decision


def test_the_label_follows_from_the_mean() -> None:
    """The heaviest says `stays`, but the mean says `leaves`: so does the answer."""
    decision = labelled(classes([[0.55, 0.45]], [[0.1, 0.9]], labels=[["stays"], ["leaves"]]))
    assert mean_of(decision, "probability") == [[pytest.approx(0.4), pytest.approx(0.6)]]
    assert mean_of(decision, "label") == ["leaves"]


def test_without_a_mean_the_label_is_the_heaviests() -> None:
    """Probabilities that are not numbers have no greatest; a tie is the first class's."""
    no = math.nan
    decision = labelled(
        classes(
            [[no, no], [0.5, 0.5], [no, 1]], [[1, 0], [0.5, 0.5], [0, 1]], labels=[[None, "x", "y"], ["a", "b", "c"]]
        )
    )
    assert mean_of(decision, "label") == [None, "stays", "y"]


@given(st.data())
def test_label_and_mean_never_contradict(data: st.DataObject) -> None:
    """The label is that of the greatest of the probabilities that are given with it."""
    rows = data.draw(st.integers(1, 4))
    row = st.lists(st.floats(0, 1, width=32), min_size=2, max_size=2)
    answers = [data.draw(st.lists(row, min_size=rows, max_size=rows)) for _ in range(2)]
    labels: list[list[str | None]] = [
        data.draw(st.lists(st.sampled_from(LABELS), min_size=rows, max_size=rows)) for _ in range(2)
    ]
    decision = labelled(classes(*answers, labels=labels))
    for label, probabilities in zip(mean_of(decision, "label"), mean_of(decision, "probability"), strict=True):
        assert label == LABELS[int(np.argmax(probabilities))]


@given(st.data())
def test_a_row_alone_is_answered_as_it_is_among_many(data: st.DataObject) -> None:
    """Bit for bit: what is quick for one row is what is done for all."""
    rows = data.draw(st.integers(2, 4))
    row = st.lists(st.floats(width=32), min_size=2, max_size=2)
    answers = [data.draw(st.lists(row, min_size=rows, max_size=rows)) for _ in range(2)]
    labels: list[list[str | None]] = [
        data.draw(st.lists(st.sampled_from([*LABELS, None]), min_size=rows, max_size=rows)) for _ in range(2)
    ]
    together = labelled(classes(*answers, labels=labels))
    for place in range(rows):
        alone = labelled(classes(*([answer[place]] for answer in answers), labels=[[voter[place]] for voter in labels]))
        for name in ("label", "probability"):
            assert mean_of(alone, name) == [mean_of(together, name)[place]]
