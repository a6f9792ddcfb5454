"""What is counted of a live-test, on records made by hand; and how far outputs are shifted."""

import random
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.archive.records import Record
from muster.livetests.figures import Figures, count, empty_figures
from muster.livetests.spreads import MOST_CATEGORIES, OTHERS, REFERENCE_VALUES, Spread, largest_gap, stability_index
from muster.serving.shadow import NO_ANSWER
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Field
from muster.wire.records import StoredColumn, VariantAnswer
from past_requests import answered, failed, floats, pending, record, texts, wholes

SCORE, LABEL = Field("score", Datatype.FP64), Field("label", Datatype.BYTES)
COUNTS = st.lists(st.integers(0, 1000), min_size=2, max_size=12).filter(any)


def shadow(
    *outputs: StoredColumn, status: str = "answered", latency_ms: float = 2.0, error: str | None = None
) -> VariantAnswer:
    """What the version on trial did."""
    return VariantAnswer(
        version="churn:2", role="shadow", status=status, outputs=outputs or None, error=error,
        latency_ns=round(latency_ms * 1e6), host="h",
    )  # fmt: skip


def counted(*records: Record, outputs: tuple[Field, ...] = (SCORE,), beside: tuple[str, ...] = ("churn:1",)) -> Figures:
    """The figures of these records, at a deadline of 100 ms."""
    figures = empty_figures("churn:2", beside)
    for one in records:
        count(figures, one, outputs, 100.0)
    return figures


def test_each_request_is_counted_as_what_became_of_it() -> None:
    """Answered in time, late, not at all, failed, left out; requests that it was not offered are not counted."""
    champion = answered("churn:1", 1.0, floats("score", 0.5))
    figures = counted(
        record(champion, late=[shadow(floats("score", 0.7))]),
        record(champion, late=[shadow(floats("score", 0.5), latency_ms=100.5)]),
        record(champion, late=[shadow(status="failed", error=NO_ANSWER)]),
        record(champion, late=[shadow(status="failed", error="it raised")]),
        record(champion, late=[shadow(status="unsent", error="busy")]),
        record(champion),
        record(champion, late=[answered("churn:2", 1.0, floats("score", 9.0))]),
    )
    assert (figures.taken, figures.answered, figures.late, figures.failed, figures.left_out) == (4, 2, 2, 1, 1)
    assert (figures.errors_share, figures.late_share) == (0.25, 0.5)
    assert figures.errors == {"it raised": 1}
    assert figures.disagreement == pytest.approx(0.1)
    assert figures.mean_differences == {"score": pytest.approx(0.1)}


def test_labels_disagree_row_by_row() -> None:
    """A text, a flag or a whole number differs or does not; then decimal numbers are told apart, and do not count."""
    champion = answered("churn:1", 1.0, texts("label", "a", "b", "b"), floats("score", 1.0, 1.0, 1.0))
    other = shadow(texts("label", "a", "b", "c"), floats("score", 0.0, 0.0, 0.0))
    figures = counted(record(champion, rows=3, late=[other]), outputs=(LABEL, SCORE))
    assert (figures.rows_compared, figures.rows_differing) == (3, 1)
    assert figures.disagreement == pytest.approx(1 / 3)
    assert figures.mean_differences == {"score": 1.0}
    number = Field("n", Datatype.INT64)
    one = record(answered("churn:1", 1.0, wholes("n", 4)), late=[shadow(wholes("n", 5))])
    assert counted(one, outputs=(number,)).disagreement == 1.0


def test_it_is_held_against_the_answer_that_was_given() -> None:
    """Of the variant that was chosen for each row, or put together; the default answer is nobody's opinion."""
    first, second = (
        answered("churn:1", 1.0, floats("score", 1.0, 2.0)),
        answered("churn:3", 1.0, floats("score", 5.0, 6.0)),
    )
    mine = shadow(floats("score", 1.0, 6.0))
    assert counted(record(first, second, rows=2, chosen=(0, 1), late=[mine])).disagreement == 0.0
    assert counted(record(first, second, rows=2, chosen=(1,), late=[mine])).disagreement == 2.0
    combined = record(first, second, rows=2, chosen=(-2,), combined=(floats("score", 3.0, 4.0),), late=[mine])
    assert counted(combined).disagreement == 2.0
    by_default = record(failed("churn:1", 1.0), rows=2, chosen=(-1,), default=b"{}", late=[mine])
    assert counted(by_default).disagreement is None


def test_outputs_of_another_kind_are_not_compared() -> None:
    """Nor those of a damaged record; the request is counted all the same."""
    champion = answered("churn:1", 1.0, wholes("score", 1))
    figures = counted(record(champion, late=[shadow(floats("score", 1.0))]))
    assert (figures.answered, figures.rows_compared, figures.disagreement) == (1, 0, None)
    short = counted(
        record(answered("churn:1", 1.0, floats("score", 1.0)), rows=2, late=[shadow(floats("score", 1.0, 2.0))])
    )
    assert (short.answered, short.rows_compared) == (1, 0)


def test_late_answers_of_champion_and_canaries_are_part_of_the_shift() -> None:
    """Their distributions are held against the same requests; whoever did not answer is left out."""
    figures = counted(
        *(
            record(
                pending("churn:1"), answered("churn:3", 1.0, floats("score", float(number % 10))), chosen=(1,),
                late=[answered("churn:1", 3.0, floats("score", float(number % 10))), shadow(floats("score", 20.0))],
            )
            for number in range(200)
        ),
        beside=("churn:1", "churn:3"),
    )  # fmt: skip
    assert {shift.against for shift in figures.shifts} == {"churn:1", "churn:3"}
    assert all(shift.index > 1.0 and shift.gap is not None and shift.gap == 1.0 for shift in figures.shifts)
    assert sum(figures.champion_latency) == 200


def test_figures_are_the_same_however_they_are_cut() -> None:
    """Kept as JSON between any two requests, as the executor does."""
    chance = random.Random(5)
    records = [
        record(
            answered("churn:1", 1.0, floats("score", chance.random()), texts("label", chance.choice("ab"))),
            late=[shadow(floats("score", chance.random()), texts("label", chance.choice("ab")), latency_ms=chance.random() * 200)],
        )
        for _ in range(REFERENCE_VALUES + 100)
    ]  # fmt: skip
    whole = counted(*records, outputs=(SCORE, LABEL))
    cut = empty_figures("churn:2", ["churn:1"])
    for place, one in enumerate(records):
        count(cut, one, (SCORE, LABEL), 100.0)
        if place % 37 == 0:
            cut = msgspec.json.decode(msgspec.json.encode(cut), type=Figures)
    assert msgspec.json.encode(cut) == msgspec.json.encode(whole)
    assert whole.largest_shift is not None
    assert whole.largest_shift < 0.25, "both are drawn alike"


def test_many_errors_and_many_texts_take_no_more_room() -> None:
    """The first are told by name, the others together."""
    figures = counted(
        *(record(late=[shadow(status="failed", error=f"error {number}" * 200)], chosen=(-1,)) for number in range(40))
    )
    assert len(figures.errors) == 11
    assert figures.errors["…"] == 30
    spread = Spread(reference="a")
    spread.add_texts("a", [f"text {number}" for number in range(200)])
    assert len(spread.categories["a"]) == MOST_CATEGORIES + 1
    assert spread.categories["a"][OTHERS] == 150


def test_constant_and_odd_outputs_have_a_spread() -> None:
    """All values alike, values that are no numbers, and nothing at all."""
    spread = Spread(reference="a")
    spread.add_numbers("a", np.full(REFERENCE_VALUES, 3.0))
    spread.add_numbers("b", np.array([3.0, np.nan, np.inf]))
    counts = spread.of("b", "a")
    assert counts == ([0, 1, 0], [0, REFERENCE_VALUES, 0])
    assert Spread(reference="a").of("a", "b") is None


@given(COUNTS, st.data())
@settings(max_examples=100, deadline=None)
def test_an_index_is_none_for_equal_shares_and_never_below(one: list[int], data: st.DataObject) -> None:
    """It is symmetric, and grows with nothing but a difference."""
    other = data.draw(st.lists(st.integers(0, 1000), min_size=len(one), max_size=len(one)).filter(any))
    assert stability_index(one, other) >= 0
    assert stability_index(one, other) == pytest.approx(stability_index(other, one))
    assert stability_index(one, one) == 0
    assert 0 <= largest_gap(one, other) <= 1


@given(st.lists(st.integers(0, 20), min_size=1, max_size=60), st.lists(st.integers(0, 20), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_with_a_bin_for_each_value_the_gap_is_the_distance(one: list[int], other: list[int]) -> None:
    """That of Kolmogorov and Smirnov, as it is defined."""
    counts = [[values.count(value) for value in range(21)] for values in (one, other)]

    def below(values: list[int], value: int) -> float:
        return sum(known <= value for known in values) / len(values)

    distance = max(abs(below(one, value) - below(other, value)) for value in range(21))
    assert largest_gap(*counts) == pytest.approx(distance)


def test_edges_stay_as_the_reference_had_them() -> None:
    """What comes later moves none of them, and every value is in one bin."""
    spread = Spread(reference="a")
    chance = random.Random(1)
    spread.add_numbers("a", np.array([chance.gauss(0, 1) for _ in range(REFERENCE_VALUES)]))
    edges = list(spread.edges or ())
    spread.add_numbers("a", np.array([chance.gauss(50, 1) for _ in range(1000)]))
    assert spread.edges == edges
    assert all(low < high for low, high in pairwise(edges))
    assert sum(spread.counts["a"]) == REFERENCE_VALUES + 1000
