"""What is counted of a live-test, on records made by hand; and how far outputs are shifted."""

import math
import random
import struct
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.archive.records import Record
from muster.livetests.figures import Figures, count, empty_figures
from muster.livetests.spreads import (
    LEAST_VALUES,
    MOST_CATEGORIES,
    MOST_WAITING,
    OTHERS,
    REFERENCE_VALUES,
    Spread,
    largest_gap,
    stability_index,
)
from muster.serving.shadow import HOST_DOWN, NO_ANSWER
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


def with_nulls(name: str, *values: float | None) -> StoredColumn:
    """A column of numbers, some of them null."""
    data = struct.pack(f"<{len(values)}d", *(0.0 if value is None else value for value in values))
    return StoredColumn(name, "FP64", (), data, bytes(value is None for value in values))


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("theirs", "ours", "unlike"),
    [
        ((0.5, 0.5, 0.5, 0.5), (0.5, NAN, INF, None), 0.75),
        ((NAN, INF, None, -INF), (0.5, 0.5, 0.5, 0.5), 1.0),
        ((NAN, INF, -INF, None), (NAN, INF, -INF, None), 0.0),
        ((INF, NAN, None, NAN), (-INF, INF, NAN, None), 1.0),
    ],
    ids=["ours-none", "theirs-none", "both-the-same", "both-none-otherwise"],
)
def test_a_row_with_a_number_on_one_side_only_is_no_agreement(
    theirs: tuple[float | None, ...], ours: tuple[float | None, ...], unlike: float
) -> None:
    """A value that is none can be subtracted from nothing, and is told apart; with labels such rows differ."""
    champion = answered("churn:1", 1.0, with_nulls("score", *theirs), texts("label", "a", "a", "a", "a"))
    one = record(champion, rows=4, late=[shadow(with_nulls("score", *ours), texts("label", "a", "a", "a", "a"))])
    figures = counted(one)
    assert (figures.rows_compared, figures.unlike) == (4, unlike)
    assert counted(one, outputs=(SCORE, LABEL)).disagreement == unlike
    assert counted().unlike is None


@pytest.mark.parametrize("odd", [NAN, INF, None], ids=["nan", "infinite", "null"])
def test_a_version_that_answers_no_numbers_is_shifted(odd: float | None) -> None:
    """Its few numbers lie as the champion's do, and the others are in a bin of their own."""
    figures = counted(
        *(
            record(
                answered("churn:1", 1.0, floats("score", number % 10)),
                late=[shadow(with_nulls("score", number % 10 if number < 100 else odd))],
            )
            for number in range(1000)
        )
    )
    assert (figures.unlike, figures.mean_differences) == (0.9, {"score": 0.0})
    assert figures.largest_shift is not None
    assert figures.largest_shift > 1.0


def test_an_index_of_few_values_does_not_count() -> None:
    """Against a canary that answered little it is told and not judged by; with one value more it counts."""

    def beside_canary(many: int) -> Figures:
        return counted(
            *(
                record(
                    answered("churn:1", 1.0, floats("score", float(number % 10))),
                    *([answered("churn:3", 1.0, floats("score", 50.0))] if number < many else []),
                    late=[shadow(floats("score", float(number % 10)))],
                )
                for number in range(600)
            ),
            beside=("churn:1", "churn:3"),
        )

    few, enough = beside_canary(LEAST_VALUES - 1), beside_canary(LEAST_VALUES)
    assert [(shift.against, shift.values) for shift in few.shifts] == [("churn:1", 600), ("churn:3", LEAST_VALUES - 1)]
    assert few.largest_shift == pytest.approx(0.0, abs=1e-9)
    assert enough.largest_shift is not None
    assert enough.largest_shift > 1.0
    assert (
        counted(
            record(answered("churn:1", 1.0, floats("score", 1.0)), late=[shadow(floats("score", 1.0))])
        ).largest_shift
        is None
    )


def test_bins_that_are_empty_on_both_sides_are_no_difference() -> None:
    """Half a value of few and half a value of many are not the same share, and there is nothing there to compare."""
    assert stability_index([20, 30, *[0] * 40], [2000, 3000, *[0] * 40]) == pytest.approx(0.0)
    assert stability_index([20, 0, 0], [10, 10, 0]) == stability_index([20, 0], [10, 10]) > 0.1


def test_requests_that_came_while_it_was_down_are_told_apart() -> None:
    """They are left out, too; both shares are of everything that it was to see."""
    figures = counted(
        *(record(late=[shadow(floats("score", 1.0))]) for _ in range(6)),
        *(record(late=[shadow(status="unsent", error=HOST_DOWN)]) for _ in range(1)),
        *(record(late=[shadow(status="unsent", error="busy")]) for _ in range(3)),
    )
    assert (figures.taken, figures.left_out, figures.down) == (6, 4, 1)
    assert (figures.left_out_share, figures.down_share) == (0.4, 0.1)


@pytest.mark.parametrize("said", [NAN, None], ids=["none-is-a-number", "nothing"])
def test_a_champion_that_gives_no_numbers_makes_nothing_wait_for_ever(said: float | None) -> None:
    """What waits for its values is bounded; then the other's own values fix the edges, and the spread is whole."""
    spread = Spread(reference="a")
    for _ in range(3 * MOST_WAITING // 100):
        spread.add_numbers("a", np.array([] if said is None else [said] * 100))
        spread.add_numbers("b", np.arange(100.0))
        assert sum(map(len, spread.waiting.values())) <= MOST_WAITING
    assert sum(spread.counts["b"]) == 3 * MOST_WAITING
    counts = spread.of("b", "a")
    assert (counts is None) == (said is None)
    assert counts is None or stability_index(*counts) > 1.0


def test_the_champions_values_of_a_request_fix_the_edges_before_the_others() -> None:
    """However many values one request has."""
    many = 2 * MOST_WAITING
    one = record(
        answered("churn:1", 1.0, floats("score", *range(many))),
        rows=many,
        late=[shadow(floats("score", *[3.0] * many))],
    )
    assert counted(one).spreads["score"].reference == "churn:1"
    assert len(counted(one).spreads["score"].edges or ()) > 5


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
    """All values alike, values that are no numbers (in a bin of their own), and nothing at all."""
    spread = Spread(reference="a")
    spread.add_numbers("a", np.full(REFERENCE_VALUES, 3.0))
    spread.add_numbers("b", np.array([3.0, np.nan, np.inf]))
    counts = spread.of("b", "a")
    assert counts == ([0, 1, 0, 2], [0, REFERENCE_VALUES, 0, 0])
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
