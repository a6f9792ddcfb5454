"""Tables of the lab as rows."""

import datetime as dt
import json
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.client.errors import RowsNotUnderstood
from muster.client.rows import rows_of

ROWS = [{"x": 1.5, "n": 3, "name": "ana", "yes": True}, {"x": None, "n": -4, "name": "ben", "yes": False}]


@pytest.mark.parametrize(
    "table",
    [
        ROWS,
        tuple(ROWS),
        pl.DataFrame(ROWS),
        pl.LazyFrame(ROWS),
        pa.Table.from_pylist(ROWS),
        pa.RecordBatch.from_pylist(ROWS),
        pd.DataFrame(ROWS),
        pd.DataFrame(ROWS).convert_dtypes(),
        pd.DataFrame(ROWS).astype({"name": "category"}),
        {"x": [1.5, None], "n": np.array([3, -4]), "name": ["ana", "ben"], "yes": np.array([True, False])},
        (row for row in ROWS),
    ],
    ids=[
        "dicts",
        "tuple",
        "polars",
        "lazy",
        "arrow",
        "batch",
        "pandas",
        "pandas-na",
        "category",
        "columns",
        "generator",
    ],
)
def test_every_kind_of_table_gives_the_same_rows(table: Any) -> None:
    """pandas, polars, Arrow, NumPy and plain Python say the same thing."""
    found = rows_of(table)
    assert found == ROWS
    assert [type(value) for value in found[0].values()] == [float, int, str, bool]


def test_missing_is_null_and_numbers_that_are_none_are_text() -> None:
    """In pandas NaN means missing; elsewhere it is a value, and JSON has it as text."""
    assert rows_of(pd.DataFrame({"x": [math.nan, 1.0]})) == [{"x": None}, {"x": 1.0}]
    assert rows_of(pd.DataFrame({"t": [pd.NaT]})) == [{"t": None}]
    assert rows_of(pl.DataFrame({"x": [math.nan, None]})) == [{"x": "NaN"}, {"x": None}]
    assert rows_of([{"x": math.inf, "y": -math.inf}]) == [{"x": "Infinity", "y": "-Infinity"}]


def test_values_that_json_would_bend_are_sent_as_text() -> None:
    """Whole numbers beyond 2^53, decimals and moments keep every digit."""
    row = {"n": 2**53 + 1, "d": Decimal("0.1"), "t": dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "b": b"\xc3\xa9"}
    assert rows_of([row]) == [{"n": "9007199254740993", "d": "0.1", "t": "2026-01-02T00:00:00+00:00", "b": "é"}]


def test_tensors_are_nested_lists() -> None:
    """An array per row stays an array, NaN in it a number that is none."""
    frame = pd.DataFrame({"input": [np.array([1.0, math.nan]), np.array([2.0, 3.0])]})
    assert rows_of(frame) == [{"input": [1.0, "NaN"]}, {"input": [2.0, 3.0]}]
    assert rows_of({"input": np.ones((2, 2))}) == [{"input": [1.0, 1.0]}, {"input": [1.0, 1.0]}]


@pytest.mark.parametrize(
    "table",
    [3, "rows", b"rows", [1, 2], {"x": 3}, {"x": "ab"}, {"x": [1], "y": [1, 2]}, [{"x": object()}], [{"x": b"\xff"}]],
)
def test_what_is_no_table_is_refused(table: Any) -> None:
    """The message says what was given instead."""
    with pytest.raises(RowsNotUnderstood):
        rows_of(table)


def test_two_columns_of_one_name_are_refused() -> None:
    """A DataFrame may have them; a row cannot."""
    with pytest.raises(RowsNotUnderstood, match="same name"):
        rows_of(pd.DataFrame([[1, 2]], columns=["x", "x"]))


_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@given(st.lists(st.dictionaries(st.text(max_size=5), _VALUES | st.lists(_VALUES, max_size=3), max_size=4), max_size=5))
def test_rows_survive_json(rows: list[dict[str, Any]]) -> None:
    """Whatever plain Python holds, the rows are strict JSON, and numbers within 2^53 are themselves."""
    found = rows_of(rows)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    for given_row, sent in zip(rows, found, strict=True):
        for name, value in given_row.items():
            if isinstance(value, int) and abs(value) <= 2**53:
                assert sent[name] == value
