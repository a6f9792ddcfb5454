"""What the lab saw is what the model is handed: a sample goes through the columns of the wire and comes back as it was."""

import struct
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal as assert_polars_equal

from muster.packaging.samples import Sample, read_sample
from muster_host import pandas_inputs
from muster_host.fields import Field, TableBroken
from muster_host.inputs import builder_of

RAW = memoryview


def handed(sample: Sample, **runtime: Any) -> Any:
    """What a host makes of a sample's own columns."""
    fields = [
        Field({"name": name, "datatype": str(column.datatype), "shape": column.shape, "nullable": True})
        for name, column in sample.table.columns.items()
    ]
    wanted = {
        "input": sample.kind,
        "dtypes": sample.dtypes,
        "categories": {
            name: {"values": list(kinds.values), "ordered": kinds.ordered, "dtype": kinds.dtype}
            for name, kinds in sample.categories.items()
        },
        "missing": sample.missing,
        **runtime,
    }
    columns = [
        (RAW(bytes(column.data)), None if column.nulls is None else RAW(bytes(column.nulls)))
        for column in sample.table.columns.values()
    ]
    return builder_of(fields, wanted)(sample.table.rows, columns)


PANDAS = pd.DataFrame(
    {
        "b": [True, False, True],
        "i": np.array([1, -2, 3], "int64"),
        "u8": np.array([1, 255, 0], "uint8"),
        "i16": np.array([1, -300, 0], "int16"),
        "f": [1.5, np.nan, -0.0],
        "f32": np.array([1.5, np.nan, np.inf], "float32"),
        "s": ["a", None, "ä€😀"],
        "s2": ["", "b", None],
        "str_na": pd.array(["x", pd.NA, "z"], dtype="string"),
        "Int": pd.array([1, pd.NA, 3], dtype="Int64"),
        "UInt": pd.array([1, pd.NA, 3], dtype="UInt16"),
        "Float": pd.array([1.25, pd.NA, 3], dtype="Float64"),
        "bool_na": pd.array([True, pd.NA, False], dtype="boolean"),
        "cat": pd.Categorical(["no", "yes", None], categories=["yes", "no", "perhaps"]),
        "ord": pd.Categorical([10, 20, 10], categories=[20, 10], ordered=True),
        "obj": np.array(["a", None, "c"], dtype=object),
        "obj_nan": np.array(["a", float("nan"), "c"], dtype=object),
        "obj_int": np.array([1, 2, None], dtype=object),
        "obj_bool": np.array([True, None, False], dtype=object),
    }
)


@pytest.mark.parametrize("rows", [slice(0, 3), slice(0, 1), slice(1, 2), slice(2, 3)])
@pytest.mark.parametrize("has_blocks", [True, False])
def test_pandas_gets_its_own_dtypes_back(rows: slice, has_blocks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every dtype that a sample may have comes back with equal values, missing ones too, in old and new pandas."""
    if not has_blocks:
        monkeypatch.setattr(pandas_inputs, "_frame_of_blocks", None)
    part = PANDAS.iloc[rows].reset_index(drop=True)
    part = part.drop(columns=[name for name in part if part[name].isna().all()])
    frame = handed(read_sample(part))
    pd.testing.assert_frame_equal(frame, part, check_exact=True)
    assert type(frame.index) is pd.RangeIndex
    for name in ("obj", "obj_nan"):
        if name in part:
            assert [type(value) for value in frame[name]] == [type(value) for value in part[name]]


@given(st.integers(1, 5), st.permutations(list(PANDAS.columns)))
def test_pandas_columns_come_in_the_order_of_the_contract(repeat: int, names: list[str]) -> None:
    """Whatever dtypes stand beside each other, for one row and for many."""
    wanted = pd.concat([PANDAS[names]] * repeat, ignore_index=True)
    pd.testing.assert_frame_equal(handed(read_sample(wanted)), wanted, check_exact=True)


def test_a_category_that_the_lab_never_saw_is_missing() -> None:
    """As pandas itself makes of a value that is no category."""
    sample = read_sample(pd.DataFrame({"c": ["new", "yes"]}))
    frame = handed(
        sample,
        dtypes={"c": "category"},
        categories={"c": {"values": ["yes", "no"], "ordered": False, "dtype": "str"}},
    )
    assert frame["c"].tolist()[1] == "yes"
    assert frame["c"].isna().tolist() == [True, False]
    assert frame["c"].cat.categories.tolist() == ["yes", "no"]


def test_many_categories_have_wide_codes() -> None:
    """More than 127 categories are told apart."""
    names = [f"c{number}" for number in range(1000)]
    frame = pd.DataFrame({"c": pd.Categorical(names, categories=names)})
    assert handed(read_sample(frame))["c"].tolist() == names


def test_no_rows_make_an_empty_frame() -> None:
    """A table of no rows keeps its columns and dtypes."""
    fields = [Field({"name": "s", "datatype": "BYTES"}), Field({"name": "x", "datatype": "FP64"})]
    build = builder_of(fields, {"input": "pandas", "dtypes": {"s": "str", "x": "float64"}})
    frame = build(0, [(RAW(b""), None), (RAW(b""), None)])
    assert frame.shape == (0, 2)
    assert [str(dtype) for dtype in frame.dtypes] == ["str", "float64"]


def test_pandas_tensors_are_arrays_in_a_column() -> None:
    """A tensor field is a column of objects, one array per row."""
    frame = pd.DataFrame({"t": [np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])], "x": [1, 2]})
    made = handed(read_sample(frame))
    assert made["t"].dtype == object
    assert [value.tolist() for value in made["t"]] == [[[1.0, 2.0]], [[3.0, 4.0]]]


def test_polars_gets_its_own_dtypes_back() -> None:
    """Numbers, text, categories and arrays, with nulls, come back equal."""
    frame = pl.DataFrame(
        {
            "i": pl.Series([1, None, 3], dtype=pl.Int64),
            "u": pl.Series([1, 2, 3], dtype=pl.UInt8),
            "f": pl.Series([1.5, None, -0.0], dtype=pl.Float64),
            "f32": pl.Series([1.5, 2.5, 3.5], dtype=pl.Float32),
            "b": pl.Series([True, None, False]),
            "s": pl.Series(["a", None, "ä"]),
            "e": pl.Series(["x", "y", None], dtype=pl.Enum(["y", "x", "z"])),
            "c": pl.Series(["x", "y", None], dtype=pl.Categorical),
        }
    )
    assert_polars_equal(handed(read_sample(frame)), frame)
    field = Field({"name": "t", "datatype": "FP64", "shape": [2], "nullable": True})
    tensors = builder_of([field], {"input": "polars"})(2, [(RAW(struct.pack("<4d", 1, 2, 0, 0)), RAW(b"\0\1"))])
    assert tensors.schema == {"t": pl.Array(pl.Float64, 2)}
    assert tensors["t"].to_list() == [[1.0, 2.0], None]


def test_arrow_gets_its_own_types_back() -> None:
    """Numbers, both kinds of text and fixed-size lists, with nulls, come back equal."""
    table = pa.table(
        {
            "i": pa.array([1, None, 3], pa.int64()),
            "u": pa.array([1, 2, 3], pa.uint16()),
            "f": pa.array([1.5, None, -0.0], pa.float64()),
            "f32": pa.array([1.5, 2.5, 3.5], pa.float32()),
            "b": pa.array([True, None, False]),
            "s": pa.array(["a", None, "ä"]),
            "ls": pa.array(["a", None, "ä"], pa.large_string()),
            "t": pa.array([[[1.0], [2.0]], [[3.0], [4.0]], [[5.0], [6.0]]], pa.list_(pa.list_(pa.float64(), 1), 2)),
        }
    )
    made = handed(read_sample(table))
    assert made.schema.types == table.schema.types
    assert made.equals(table)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "uint8", "bool"])
def test_numpy_gets_one_array(dtype: str) -> None:
    """A bare array comes back with its shape and dtype, writable, aligned and in C order."""
    array = (np.arange(60) % 2).reshape(2, 5, 6).astype(dtype)
    made = handed(read_sample(array))
    assert made.dtype == array.dtype
    assert made.flags.c_contiguous
    assert made.flags.writeable
    assert made.flags.aligned
    assert np.array_equal(made, array)


def test_columns_are_arrays_by_name() -> None:
    """Numbers are arrays with NaN for null; text, and whole numbers and booleans with nulls, are objects."""
    sample = read_sample(
        {
            "f": np.array([1.5, np.nan]),
            "i": np.array([1, 2]),
            "s": ["a", None],
            "n": [1, None],
            "b": [None, True],
            "t": np.array([[1.0, 2.0], [3.0, 4.0]]),
        }
    )
    made = handed(sample)
    assert list(made) == ["f", "i", "s", "n", "b", "t"]
    assert made["f"].dtype == np.float64
    assert np.isnan(made["f"][1])
    assert made["i"].dtype == np.int64
    assert made["s"].tolist() == ["a", None]
    assert made["n"].tolist() == [1, None]
    assert made["b"].tolist() == [None, True]
    assert made["t"].tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_lists_are_python_values() -> None:
    """A model without any library gets lists, None for null, nested for tensors."""
    made = handed(read_sample({"f": [1.5, None], "s": ["a", "ä"], "b": [True, False], "t": [[1, 2], [3, 4]]}))
    assert made == {"f": [1.5, None], "s": ["a", "ä"], "b": [True, False], "t": [[1, 2], [3, 4]]}
    assert type(made["b"][0]) is bool


def test_text_tensors_come_in_every_form() -> None:
    """A field of BYTES with a shape is nested text."""
    field = {"name": "t", "datatype": "BYTES", "shape": [2]}
    data = b"".join(struct.pack("<I", len(text)) + text for text in (b"a", b"bb", b"", b"d"))
    wanted = [["a", "bb"], ["", "d"]]
    for kind in ("lists", "columns", "numpy", "arrow", "polars", "pandas"):
        made = builder_of([Field(field)], {"input": kind})(2, [(RAW(data), None)])
        values = made if kind == "numpy" else made["t"]
        plain = values.to_pylist() if kind == "arrow" else [list(value) for value in values]
        assert plain == wanted, kind


def test_the_model_may_change_what_it_is_handed() -> None:
    """Arrays and frames are fresh memory: the frame they came from stays as it was."""
    data = struct.pack("<2d", 1, 2)
    column = [(RAW(data), None)]
    field = [Field({"name": "x", "datatype": "FP64"})]
    array = builder_of(field, {"input": "columns"})(2, column)["x"]
    array[:] = 9
    frame = builder_of(field, {"input": "pandas"})(2, column)
    frame.loc[0, "x"] = 9
    frame["x"].to_numpy(copy=False)
    assert data == struct.pack("<2d", 1, 2)


@pytest.mark.parametrize(
    ("field", "data", "nulls", "said"),
    [
        ({"datatype": "FP64"}, b"\0" * 7, None, "needs 8 bytes for 1 rows of FP64, and has 7"),
        ({"datatype": "FP64", "shape": [2]}, b"\0" * 8, None, "needs 16 bytes"),
        ({"datatype": "BOOL"}, b"\2", None, "neither 0 nor 1"),
        ({"datatype": "INT64"}, b"\0" * 8, b"\1", "is null in row 0 and is not nullable"),
        ({"datatype": "INT64", "nullable": True}, b"\0" * 8, b"\2", "null mark that is neither 0 nor 1"),
        ({"datatype": "BYTES"}, b"\1\0\0\0", None, "cut off|bytes"),
        ({"datatype": "BYTES"}, b"\1\0\0\0ab", None, "has 6 bytes, its elements have 5"),
        ({"datatype": "BYTES"}, b"\1\0\0\0\xff", None, "is not UTF-8"),
        ({"datatype": "BYTES"}, b"", None, "cut off"),
    ],
)
@pytest.mark.parametrize("kind", ["pandas", "columns", "lists"])
def test_bytes_that_do_not_fit_the_contract_are_named(
    kind: str, field: dict[str, Any], data: bytes, nulls: bytes | None, said: str
) -> None:
    """The message names the field and what is wrong."""
    build = builder_of([Field({"name": "x", **field})], {"input": kind})
    with pytest.raises(TableBroken, match=said) as caught:
        build(1, [(RAW(data), None if nulls is None else RAW(nulls))])
    assert "'x'" in str(caught.value)


def test_a_null_that_the_dtype_cannot_hold_is_named() -> None:
    """Whole numbers have no NaN: a null there is an error and no zero."""
    for kind in ("pandas", "columns"):
        build = builder_of(
            [Field({"name": "x", "datatype": "INT64", "nullable": True})], {"input": kind, "dtypes": {"x": "int64"}}
        )
        assert build(1, [(RAW(b"\0" * 8), RAW(b"\0"))]) is not None
        with pytest.raises(TableBroken, match="is null, and the model takes it as int64"):
            build(1, [(RAW(b"\0" * 8), RAW(b"\1"))])


@pytest.mark.parametrize(
    ("runtime", "said"),
    [
        ({"input": "xarray"}, "knows arrow, columns, lists, numpy, pandas, polars"),
        ({"input": "pandas", "dtypes": {"x": "category"}}, "does not list its values"),
        ({"input": "polars", "dtypes": {"x": "Float128"}}, "polars .* lacks"),
    ],
)
def test_what_a_host_cannot_make_is_refused_when_the_model_is_loaded(runtime: dict[str, Any], said: str) -> None:
    """Not by the first request."""
    with pytest.raises(ValueError, match=said):
        builder_of([Field({"name": "x", "datatype": "FP64"})], runtime)


def test_numpy_takes_one_input() -> None:
    """A bare array has no names."""
    fields = [Field({"name": name, "datatype": "FP64"}) for name in "ab"]
    with pytest.raises(ValueError, match="takes a contract with one input"):
        builder_of(fields, {"input": "numpy"})
    with pytest.raises(ValueError, match="FP128"):
        Field({"name": "x", "datatype": "FP128"})
