"""How far two answers agree."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.packaging.columns import Column, column_of
from muster.release.agreement import Agreement, Given
from muster.serving.decisions import COMBINED, DEFAULT
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Field

SCORE = Field("score", Datatype.FP64, nullable=True)
PAIR = Field("pair", Datatype.FP32, shape=(2,))


def scores(*values: float | None) -> dict[str, Column]:
    plain = np.array([0.0 if value is None else value for value in values])
    return {"score": column_of(Datatype.FP64, plain, np.array([value is None for value in values]))}


def given_(*values: float | None) -> Given:
    return Given((0,), len(values), {0: scores(*values)})


def compared(one: Given, other: Given, *fields: Field) -> Agreement:
    agreement = Agreement(fields or (SCORE,))
    agreement.compare(one, other)
    return agreement


def test_null_agrees_with_null_and_nan_with_nan() -> None:
    """And neither with a number, nor are they part of any distance."""
    nan = float("nan")
    found = compared(given_(None, nan, None, 1.0, 2.0), given_(None, nan, 0.0, nan, 2.5))
    assert (found.rows, found.share) == (5, 0.4)
    assert found.mean_absolute_difference == {"score": 0.5}


def test_rows_come_from_where_each_was_chosen() -> None:
    """The default answer stands for any row; a combined one has its own."""
    mixed = Given((1, DEFAULT, COMBINED), 3, {1: scores(1, 2, 3), DEFAULT: scores(7), COMBINED: scores(4, 5, 6)})
    assert compared(mixed, given_(1, 7, 6)).share == 1.0
    assert compared(Given((DEFAULT,), 3, {DEFAULT: scores(7)}), given_(7, 7, 7)).share == 1.0


def test_a_row_of_a_tensor_agrees_as_a_whole() -> None:
    """One element that differs makes the row differ."""

    def pairs(*values: tuple[float, float]) -> Given:
        return Given((0,), len(values), {0: {"pair": column_of(Datatype.FP32, np.array(values, np.float32))}})

    found = compared(pairs((1, 2), (3, 4)), pairs((1, 2), (3, 5)), PAIR)
    assert found.share == 0.5
    assert found.mean_absolute_difference == {"pair": 0.25}


@pytest.mark.parametrize(
    "other",
    [
        Given((3,), 2, {}),
        Given((0,), 2, {0: {"risk": scores(1, 2)["score"]}}),
        Given((0,), 2, {0: {"score": column_of(Datatype.INT64, np.array([1, 2]))}}),
    ],
    ids=["no answer", "other output", "other type"],
)
def test_what_cannot_be_compared_is_not_counted(other: Any) -> None:
    """An answer that was none, or of another contract."""
    found = compared(given_(1, 2), other)
    assert (found.rows, found.share, found.mean_absolute_difference) == (0, None, {})


@given(st.lists(st.one_of(st.none(), st.floats(allow_infinity=True)), min_size=1, max_size=20))
def test_everything_agrees_with_itself(values: list[float | None]) -> None:
    """Whatever the numbers are."""
    found = compared(given_(*values), given_(*values))
    assert found.share == 1.0
    assert all(difference == 0.0 for difference in found.mean_absolute_difference.values())
