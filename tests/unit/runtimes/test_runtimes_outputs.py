"""What a model gives back: taken in every usual form, changed in type only without loss, refused with the reason."""

import array
import math
import struct
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from muster_host.fields import FLOATS, INTEGER_RANGES, NUMPY_NAMES, STRUCT_CODES, Field
from muster_host.outputs import join, reader_of
from muster_host.promises import OutputBroken

FP64 = {"name": "y", "datatype": "FP64"}
INT64 = {"name": "y", "datatype": "INT64"}
TEXT = {"name": "y", "datatype": "BYTES", "nullable": True}
NUMBERS = sorted(set(STRUCT_CODES) - {"BOOL"})


def given_back(field: dict[str, Any], value: Any, rows: int) -> tuple[list[Any], list[int] | None]:
    """(values, rows that are null) that a host makes of one output."""
    known = Field(field)
    ((data, nulls),) = reader_of([known])(value, rows)
    marks = None if nulls is None else [row for row, null in enumerate(nulls) if null]
    if not known.item_bytes:
        return known.texts(memoryview(data), rows * known.elements), marks
    return list(struct.unpack(f"<{rows * known.elements}{STRUCT_CODES[known.datatype]}", data)), marks


@pytest.mark.parametrize(
    "value",
    [
        np.array([0.25, 0.5]),
        np.array([[0.25], [0.5]]),
        np.array([0.25, 0.5], "float32"),
        np.array([0.25, 0.5], ">f8"),
        np.array([9, 0.25, 9, 0.5])[1::2],
        np.array([0.25, 0.5], dtype=object),
        [0.25, 0.5],
        (0.25, 0.5),
        [np.float64(0.25), np.float32(0.5)],
        [np.array(0.25), np.array([0.5])],
        [[0.25], [0.5]],
        array.array("d", [0.25, 0.5]),
        (value for value in [0.25, 0.5]),
        pd.Series([0.25, 0.5], index=[7, 3]),
        pd.Series([0.25, 0.5], dtype="Float64"),
        pd.Series([0.25, 0.5]).to_frame("y"),
        pl.Series([0.25, 0.5]),
        pl.DataFrame({"y": [0.25, 0.5]}),
        pa.array([0.25, 0.5]),
        pa.chunked_array([[0.25], [0.5]]),
        pa.table({"y": [0.25, 0.5]}),
        {"y": np.array([0.25, 0.5])},
        {"y": [0.25, 0.5]},
        scipy.sparse.csr_matrix([[0.25], [0.5]]),
        np.ma.masked_array([0.25, 0.5]),
    ],
    ids=lambda value: type(value).__module__ + "." + type(value).__name__,
)
def test_one_column_of_floats_may_come_in_any_form(value: Any) -> None:
    """Arrays, lists, generators, series, frames and tables are all taken."""
    assert given_back(FP64, value, 2) == ([0.25, 0.5], None)


@pytest.mark.parametrize(
    "value",
    [
        ["a", "ä€"],
        np.array(["a", "ä€"]),
        np.array(["a", "ä€"], dtype=object),
        [b"a", "ä€".encode()],
        pd.Series(["a", "ä€"]),
        pd.Series(["a", "ä€"], dtype="category"),
        pd.Series(["a", "ä€"], dtype="string"),
        pl.Series(["a", "ä€"]),
        pa.array(["a", "ä€"]),
    ],
)
def test_text_may_come_in_any_form(value: Any) -> None:
    """Text is UTF-8 on the wire, whatever held it."""
    assert given_back(TEXT, value, 2) == (["a", "ä€"], None)


@pytest.mark.parametrize(
    "value",
    [
        ["a", None],
        ["a", float("nan")],
        np.array(["a", None], dtype=object),
        pd.Series(["a", None]),
        pd.Series(["a", pd.NA], dtype="string"),
        pl.Series(["a", None]),
        pa.array(["a", None]),
    ],
)
def test_missing_text_is_null(value: Any) -> None:
    """None, NA and pandas' NaN are null where the output is nullable, and an error where it is not."""
    assert given_back(TEXT, value, 2) == (["a", ""], [1])
    with pytest.raises(OutputBroken, match="null in row 1 and is not nullable"):
        given_back({**TEXT, "nullable": False}, value, 2)


@pytest.mark.parametrize(
    "value",
    [
        [1, None],
        pd.Series([1, pd.NA], dtype="Int64"),
        pl.Series([1, None]),
        pa.array([1, None]),
        np.ma.masked_array([1, 5], [False, True]),
        np.array([1, None], dtype=object),
    ],
)
@pytest.mark.parametrize("datatype", ["INT64", "FP32", "UINT8"])
def test_missing_numbers_are_null(value: Any, datatype: str) -> None:
    """A null keeps a zero in its place, so that the rows after it are where they belong."""
    field = {"name": "y", "datatype": datatype, "nullable": True}
    assert given_back(field, value, 2) == ([1, 0], [1])


@pytest.mark.parametrize(
    "value",
    [np.array([math.nan, 0.5]), [math.nan, 0.5], pd.Series([math.nan, 0.5]), np.array([[math.nan], [0.5]], "float32")],
)
def test_nan_is_null_where_the_output_is_nullable_and_an_error_where_it_is_not(value: Any) -> None:
    """NaN and null are one thing in a nullable scalar, as in inputs; elsewhere NaN is no answer."""
    assert given_back({**FP64, "nullable": True}, value, 2) == ([0, 0.5], [0])
    with pytest.raises(OutputBroken, match="is nan in row 0 and is not nullable; an output is a finite number"):
        given_back(FP64, value, 2)


def test_an_infinity_is_no_answer_anywhere() -> None:
    """Nullable or not, as an array or as Python's own numbers, whatever the width."""
    for value in (np.array([0.5, -math.inf]), [0.5, -math.inf], np.array([0.5, -math.inf], "float16")):
        for nullable in (True, False):
            with pytest.raises(OutputBroken, match="is -inf in row 1"):
                given_back({**FP64, "nullable": nullable}, value, 2)


def test_a_nullable_tensor_may_lack_elements() -> None:
    """There NaN stays what it is, for null is about the whole row; a tensor that is not nullable holds numbers only."""
    field = {**FP64, "shape": [2], "nullable": True}
    for value in (np.array([[0.5, math.nan], [1, 2]]), [[0.5, math.nan], [1, 2]]):
        values, nulls = given_back(field, value, 2)
        assert nulls is None
        assert math.isnan(values[1])
        with pytest.raises(OutputBroken, match="is nan in row 0"):
            given_back({**field, "nullable": False}, value, 2)
    assert given_back(field, [[1, 2], None], 2) == ([1, 2, 0, 0], [1])


_SHARE = {**FP64, "declared": {"minimum": 0, "maximum": 1}}
_CLASS = {"name": "y", "datatype": "BYTES", "declared": {"categories": ["yes", "no"]}}
_GRADE = {"name": "y", "datatype": "INT64", "declared": {"categories": [1, 2, 3], "maximum": 3}}


@pytest.mark.parametrize(
    ("field", "good", "bad", "said"),
    [
        (_SHARE, [0.0, 1.0], [0.5, 1.1], "is 1.1 in row 1; its contract declares at least 0 and at most 1"),
        (_SHARE, [0.0, 1.0], [-1e-9, 0.5], "in row 0; its contract declares at least 0"),
        ({**_SHARE, "shape": [1]}, [[0.0], [1.0]], [[0.0], [2.0]], "is 2.0 in row 1"),
        (_CLASS, ["no", "yes"], ["yes", "maybe"], "is 'maybe' in row 1; its contract declares one of 2 declared categories"),
        (_GRADE, [1, 3], [1, 4], "is 4 in row 1"),
        ({**FP64, "declared": {"maximum": 1}}, [-5.0, 1.0], [1.5, 0.0], "is 1.5 in row 0; its contract declares at most 1"),
    ],
)  # fmt: skip
def test_declared_limits_hold_for_answers(field: dict[str, Any], good: list[Any], bad: list[Any], said: str) -> None:
    """What lies outside is no answer, as an array and as Python's own values; a null lies nowhere."""
    for form in (np.array, list):
        values, _ = given_back(field, form(good), 2)
        assert len(values) == 2
        with pytest.raises(OutputBroken, match=said):
            given_back(field, form(bad), 2)
    if not field.get("shape"):
        assert given_back({**field, "nullable": True}, [good[0], None], 2)[1] == [1]


def test_limits_are_held_where_nan_is_null() -> None:
    """The null is passed over, the value beside it is not; an element that is missing in a tensor is outside every range."""
    field = {**_SHARE, "nullable": True}
    for form in (np.array, list):
        assert given_back(field, form([math.nan, 0.5]), 2) == ([0, 0.5], [0])
        with pytest.raises(OutputBroken, match=r"is 1\.5 in row 1"):
            given_back(field, form([math.nan, 1.5]), 2)
        with pytest.raises(OutputBroken, match="is nan in row 1"):
            given_back({**field, "shape": [1]}, form([[0.5], [math.nan]]), 2)


@pytest.mark.parametrize(
    "value", [np.arange(6.0).reshape(2, 3), [[0, 1, 2], [3.0, 4, 5]], [np.arange(3), np.array([3.0, 4, 5])]]
)
def test_tensors_are_laid_out_row_by_row(value: Any) -> None:
    """An output with a shape is row-major."""
    assert given_back({**FP64, "shape": [3]}, value, 2) == ([0, 1, 2, 3, 4, 5], None)
    fortran = np.asfortranarray(np.array(value, dtype=float))
    assert given_back({**FP64, "shape": [3]}, fortran, 2) == ([0, 1, 2, 3, 4, 5], None)


def _holds(datatype: str, value: float) -> bool:
    """Whether a datatype holds a Python number exactly, said as slowly and surely as possible."""
    if datatype in INTEGER_RANGES:
        low, high = INTEGER_RANGES[datatype]
        return math.isfinite(value) and value == math.floor(value) and low <= value <= high
    if math.isnan(value):
        return True
    with np.errstate(all="ignore"):
        try:
            kept = np.dtype(NUMPY_NAMES[datatype]).type(value)
        except OverflowError:
            return False
    if math.isinf(kept):
        return math.isinf(value)
    exact: bool = int(kept) == value if isinstance(value, int) else float(kept) == value
    return exact


edges = st.sampled_from(
    [edge + step for low, high in INTEGER_RANGES.values() for edge in (low, high) for step in (-1, 0, 1)]
    + [2**11 + 1, 2**24 + 1, 2**53 + 1, -(2**53) - 1, 2**62, 65504, 65520]
)


@given(st.sampled_from(NUMBERS), st.sampled_from(NUMBERS), st.data())
def test_numbers_change_type_only_without_loss(have: str, want: str, data: st.DataObject) -> None:
    """Any array of any type of number is taken exactly, or refused; what Python's own numbers say decides."""
    dtype = np.dtype(NUMPY_NAMES[have])
    if have in INTEGER_RANGES:
        low, high = INTEGER_RANGES[have]
        number = st.one_of(st.integers(low, high), edges.filter(lambda edge: low <= edge <= high))
        values = np.array(data.draw(st.lists(number, min_size=1, max_size=4)), dtype)
    else:
        widths = {"FP16": 16, "FP32": 32, "FP64": 64}
        floats = st.one_of(st.floats(width=widths[have]), st.integers(-300, 300).map(float))  # type: ignore[arg-type]
        values = np.array(data.draw(st.lists(floats, min_size=1, max_size=4)), dtype)
    plain = values.tolist()
    field = {"name": "y", "datatype": want}
    for form in (values, plain):
        if want in FLOATS and not all(map(math.isfinite, plain)):
            with pytest.raises(OutputBroken, match=r"cannot hold exactly|finite number"):
                given_back(field, form, len(plain))
        elif all(_holds(want, value) for value in plain):
            found, nulls = given_back(field, form, len(plain))
            assert nulls is None
            assert found == plain
        else:
            with pytest.raises(OutputBroken, match="cannot hold exactly"):
                given_back(field, form, len(plain))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        (FP64, np.array([1.0]), "has 1 rows; 2 rows went in"),
        (FP64, [1.0, 2.0, 3.0], "has 3 rows; 2 rows went in"),
        (FP64, np.array([[1.0, 2.0], [3.0, 4.0]]), r"has the shape \[2, 2\] for 2 rows; its contract says \[2\]"),
        ({**FP64, "shape": [3]}, np.zeros((2, 2)), r"its contract says \[2, 3\]"),
        ({**FP64, "shape": [3]}, [[1, 2], [3, 4]], r"has 2 in row 0 where its contract says the shape \[3\]"),
        ({**FP64, "shape": [1]}, [1.0, 2.0], "has float in row 0"),
        (FP64, np.float64(3), "one single value"),
        (FP64, 3.0, "not one value per row"),
        (FP64, "text", "is one str"),
        (FP64, None, "is one NoneType"),
        (FP64, ["1", "2"], "type str in row 0; its contract says FP64"),
        (FP64, np.array(["1", "2"]), "type str in row 0"),
        (FP64, [True, False], "type bool in row 0"),
        (FP64, np.array([True, False]), "is bool; its contract says FP64"),
        (FP64, np.array([1j, 2j]), "type complex in row 0"),
        (FP64, np.array(["2026-11-21", "2026-11-22"], "datetime64[D]"), "type date in row 0"),
        (FP64, [Decimal(1), Decimal(2)], "type Decimal"),
        (FP64, [1.0, object()], "type object in row 1"),
        ({"name": "y", "datatype": "BOOL"}, np.array([0, 1]), "is int64; its contract says BOOL"),
        ({"name": "y", "datatype": "BOOL"}, [0, 1], "type int in row 0; its contract says BOOL"),
        (INT64, [1.5, 2], "1.5 in row 0, which INT64 cannot hold exactly"),
        (INT64, [2**63, 2], "cannot hold exactly"),
        (INT64, [math.nan, 2], "cannot hold exactly"),
        (TEXT, [1, 2], "type int in row 0; its contract says BYTES"),
        (TEXT, np.array([1, 2]), "is int64; its contract says BYTES"),
        (TEXT, [b"\xff", "a"], "not UTF-8"),
        (FP64, {"z": [1.0, 2.0]}, "outputs named z; its contract names y"),
        (FP64, {"y": [1.0, 2.0], "z": [1.0, 2.0]}, "outputs named y, z; its contract names y"),
        (FP64, {}, "outputs named nothing"),
        (FP64, pd.DataFrame({"other": [1.0, 2.0]}), "outputs named other"),
    ],
)
def test_what_breaks_the_contract_is_named(field: dict[str, Any], value: Any, said: str) -> None:
    """The message says which output, which row, what it is and what it should be."""
    with pytest.raises(OutputBroken, match=said):
        given_back(field, value, 2)


def test_several_outputs_go_by_name() -> None:
    """The order is the contract's, whatever the model's; one array for two outputs is an error."""
    read = reader_of([Field({**FP64, "name": "a"}), Field({**TEXT, "name": "b"})])
    for result in (
        {"b": ["x"], "a": [1.0]},
        pd.DataFrame({"b": ["x"], "a": [1.0]}),
        pl.DataFrame({"b": "x", "a": 1.0}),
    ):
        assert read(result, 1) == [(struct.pack("<d", 1), None), (b"\1\0\0\0x", None)]
    with pytest.raises(OutputBroken, match="has 2 outputs, so a dict with the names a, b is expected"):
        read(np.zeros((1, 2)), 1)


def test_columns_are_joined_with_their_nulls() -> None:
    """Where one of them has nulls, all get marks."""
    assert join([(b"ab", None), (b"c", None)], [2, 1]) == (b"abc", None)
    assert join([(b"ab", None), (b"c", b"\1")], [2, 1]) == (b"abc", b"\0\0\1")
    assert join([], []) == (b"", None)
