"""Columns: values survive the way into the raw layout and back."""

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from muster.packaging.columns import (
    Column,
    Table,
    array_of,
    column_of,
    decode_text,
    encode_text,
    joined,
    null_column,
    nulls_of,
    row_bytes,
    rows_between,
    selected,
    values_of,
)
from muster.vocabulary.tensors import NUMPY_NAMES, Datatype

NUMERIC = [datatype for datatype in Datatype if datatype is not Datatype.BYTES]


def text_column(texts: list[str], nulls: list[bool] | None = None) -> Column:
    """A BYTES column."""
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return column_of(Datatype.BYTES, array, None if nulls is None else np.array(nulls))


@given(st.lists(st.text(), max_size=20))
def test_text_round_trip(texts: list[str]) -> None:
    """Texts come back from their elements as they went in."""
    assert decode_text(encode_text(text.encode() for text in texts)) == texts


@given(st.data(), st.sampled_from(NUMERIC))
def test_arrays_round_trip(data: st.DataObject, datatype: Datatype) -> None:
    """An array of any numeric datatype and shape is its column's array again, bit for bit."""
    array = data.draw(hnp.arrays(np.dtype(NUMPY_NAMES[datatype]), hnp.array_shapes(min_dims=1, max_dims=3, max_side=5)))
    column = column_of(datatype, array)
    assert column.shape == array.shape[1:]
    assert array_of(column).tobytes() == array.tobytes()
    assert len(column.data) == len(array) * row_bytes(datatype, column.shape)


@given(st.lists(st.tuples(st.floats(allow_nan=False), st.booleans()), min_size=1))
def test_places_of_nulls_are_zero(cells: list[tuple[float, bool]]) -> None:
    """Two columns with the same nulls and the same other values have the same bytes, whatever lay under the nulls."""
    values = np.array([value for value, _ in cells])
    nulls = np.array([null for _, null in cells])
    one = column_of(Datatype.FP64, values, nulls)
    other = column_of(Datatype.FP64, np.where(nulls, 7.0, values), nulls)
    assert one == other
    assert values_of(one) == [
        None if null else (value if math.isfinite(value) else repr_of(value)) for value, null in cells
    ]


def repr_of(value: float) -> str:
    """An infinity as JSON carries it."""
    return "Infinity" if value > 0 else "-Infinity"


def test_not_finite_numbers_are_strings_in_json() -> None:
    """NaN and the infinities have no JSON numbers, so they are the three strings."""
    column = Column(Datatype.FP64, (), struct.pack("<4d", math.nan, math.inf, -math.inf, 1.5))
    assert values_of(column) == ["NaN", "Infinity", "-Infinity", 1.5]


def test_sum_that_overflows_is_no_reason_to_call_a_number_infinite() -> None:
    """Two finite numbers whose sum is infinite stay numbers."""
    column = Column(Datatype.FP64, (), struct.pack("<2d", 1.7e308, 1.7e308))
    assert values_of(column) == [1.7e308, 1.7e308]


def test_half_precision_values() -> None:
    """FP16 comes out as the numbers it holds."""
    assert values_of(column_of(Datatype.FP16, np.array([0.5, -2.0], dtype="<f2"))) == [0.5, -2.0]


def test_tensor_values_are_nested_lists() -> None:
    """A tensor of shape [2, 3] is a list of two lists of three, per row."""
    array = np.arange(12).reshape(2, 2, 3)
    assert values_of(column_of(Datatype.INT64, array)) == array.tolist()


def test_column_of_data_in_a_view_of_bytes() -> None:
    """Data may be a memoryview of a frame, as hosts give it."""
    column = Column(Datatype.INT32, (), memoryview(struct.pack("<2i", 4, -5)), memoryview(b"\0\1"))
    assert values_of(column) == [4, None]


@given(
    st.lists(st.tuples(st.text(max_size=5), st.booleans(), st.floats(allow_nan=False)), min_size=1, max_size=20),
    st.data(),
)
def test_cut_and_joined_again(rows: list[tuple[str, bool, float]], data: st.DataObject) -> None:
    """A table cut at any row and joined is the table again."""
    table = Table(
        len(rows),
        {
            "text": text_column([text for text, _, _ in rows], [null for _, null, _ in rows]),
            "pair": column_of(Datatype.FP64, np.array([[number, number] for _, _, number in rows])),
            "name": text_column([text for text, _, _ in rows]),
        },
    )
    cut = data.draw(st.integers(0, len(rows)))
    again = joined([rows_between(table, 0, cut), rows_between(table, cut, len(rows))])
    assert again.rows == table.rows
    for name, column in table.columns.items():
        assert values_of(again.columns[name]) == values_of(column)
        assert bytes(again.columns[name].data) == bytes(column.data)


def test_joining_marks_nulls_where_only_one_part_has_any() -> None:
    """A part without null marks counts as rows without nulls."""
    with_null = Table(1, {"a": null_column(Datatype.INT8, (), 1)})
    without = Table(2, {"a": column_of(Datatype.INT8, np.array([1, 2], dtype="i1"))})
    assert values_of(joined([without, with_null]).columns["a"]) == [1, 2, None]


def test_null_columns() -> None:
    """A column of nulls has its rows, of every kind."""
    for datatype in Datatype:
        assert values_of(null_column(datatype, (), 3)) == [None, None, None]
        assert values_of(null_column(datatype, (2,), 2)) == [None, None]


def test_marks_without_any_null_are_no_nulls() -> None:
    """Null marks that mark nothing are the same as none."""
    assert nulls_of(Column(Datatype.INT8, (), b"\1\2", b"\0\0")) is None


def test_selected_columns_keep_the_asked_order() -> None:
    """A selection is in the order of the names."""
    table = Table(1, {"a": null_column(Datatype.INT8, (), 1), "b": null_column(Datatype.INT8, (), 1)})
    assert list(selected(table, ("b", "a")).columns) == ["b", "a"]


@pytest.mark.parametrize("broken", [b"\1", b"\1\0\0", b"\2\0\0\0a", b"\xff\xff\xff\xff"])
def test_cut_off_text_is_refused(broken: bytes) -> None:
    """Bytes that end inside an element are no text column."""
    with pytest.raises(ValueError, match="cut off"):
        decode_text(broken)
