"""Samples: what each table library holds becomes the same columns, and what it was is remembered."""

import math
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.packaging.columns import array_of, nulls_of, values_of
from muster.packaging.errors import ContractMalformed, SampleUnusable
from muster.packaging.inference import infer_contract
from muster.packaging.samples import Categories, as_kind, dtype_when_nullable, read_sample
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Declared, Field

D = Datatype
OUTPUTS = (Field("p", D.FP64),)


def only(table: Any) -> Any:
    """The one column of a table."""
    (column,) = read_sample(table).table.columns.values()
    return column


ROWS = {
    "whole": [1, 2, 3],
    "real": [0.5, None, -1.5],
    "flag": [True, False, True],
    "text": ["a", None, "ü"],
}


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame(ROWS),
        pd.DataFrame(ROWS).convert_dtypes(),
        pl.DataFrame(ROWS),
        pl.DataFrame(ROWS).lazy(),
        pa.table(ROWS),
        pa.RecordBatch.from_pydict(ROWS),
        ROWS,
    ],
    ids=["pandas", "pandas nullable", "polars", "polars lazy", "arrow", "arrow batch", "lists"],
)
def test_every_library_gives_the_same_columns(table: Any) -> None:
    """The same rows are the same columns, whichever library holds them."""
    sample = read_sample(table)
    assert sample.table.rows == 3
    assert {name: (column.datatype, values_of(column)) for name, column in sample.table.columns.items()} == {
        "whole": (D.INT64, [1, 2, 3]),
        "real": (D.FP64, [0.5, None, -1.5]),
        "flag": (D.BOOL, [True, False, True]),
        "text": (D.BYTES, ["a", None, "ü"]),
    }


@pytest.mark.parametrize(
    "name", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"]
)
def test_numeric_dtypes(name: str) -> None:
    """Each numeric dtype of each library is its own datatype, with the dtype's name remembered."""
    array = np.array([0, 1, 100], dtype=name)
    wanted = D(name.upper().replace("FLOAT", "FP"))
    tables = {
        "pandas": pd.DataFrame({"a": array}),
        "polars": pl.DataFrame({"a": array}),
        "arrow": pa.table({"a": array}),
        "columns": {"a": array},
    }
    for kind, table in tables.items():
        sample = read_sample(table)
        assert (sample.kind, sample.table.columns["a"].datatype) == (kind, wanted)
        assert array_of(sample.table.columns["a"]).tolist() == [0, 1, 100]
    assert read_sample(tables["pandas"]).dtypes == {"a": name}
    assert read_sample(tables["columns"]).dtypes == {"a": name}


def test_pandas_nullable_dtypes() -> None:
    """Masked integers and booleans keep datatype, nulls and the dtype's name."""
    frame = pd.DataFrame(
        {
            "i": pd.array([1, None, 3], dtype="Int16"),
            "b": pd.array([True, None, False], dtype="boolean"),
            "s": pd.array(["x", None, "y"], dtype="string"),
        }
    )
    sample = read_sample(frame)
    assert sample.dtypes == {"i": "Int16", "b": "boolean", "s": "string"}
    assert [column.datatype for column in sample.table.columns.values()] == [D.INT16, D.BOOL, D.BYTES]
    assert [values_of(column)[1] for column in sample.table.columns.values()] == [None, None, None]


def test_pandas_categories() -> None:
    """A category keeps its values in their order, of text and of numbers."""
    frame = pd.DataFrame(
        {
            "size": pd.Categorical(["m", "s", None], categories=["s", "m", "l"], ordered=True),
            "code": pd.Categorical([3, 1, 1], categories=[1, 3]),
        }
    )
    sample = read_sample(frame)
    size = sample.categories["size"]
    assert (size.values, size.dtype) == (("s", "m", "l"), "str")  # noqa: PD011  # not a pandas object
    assert sample.categories["size"].ordered
    assert sample.categories["code"].dtype == "int64"
    assert values_of(sample.table.columns["size"]) == ["m", "s", None]
    assert values_of(sample.table.columns["code"]) == [3, 1, 1]


@pytest.mark.parametrize(("nothing", "missing"), [(math.nan, {"a": "nan"}), (None, {})])
def test_what_object_columns_have_for_null(nothing: object, missing: dict[str, str]) -> None:
    """Whether text of dtype object has NaN or None for null is remembered, as models may tell them apart."""
    frame = pd.DataFrame({"a": pd.Series(["x", nothing], dtype=object)})
    sample = read_sample(frame)
    assert sample.dtypes == {"a": "object"}
    assert sample.missing == missing
    assert values_of(sample.table.columns["a"]) == ["x", None]


def test_polars_enum_and_categorical() -> None:
    """An Enum keeps its values; a Categorical is text."""
    frame = pl.DataFrame(
        {"e": pl.Series(["b", "a"], dtype=pl.Enum(["a", "b"])), "c": pl.Series(["x", None], dtype=pl.Categorical)}
    )
    sample = read_sample(frame)
    assert sample.dtypes == {"e": "Enum", "c": "Categorical"}
    assert sample.categories == {"e": Categories(values=("a", "b"), ordered=True, dtype="String")}
    assert values_of(sample.table.columns["c"]) == ["x", None]


def test_tensor_columns() -> None:
    """Arrays in a pandas column, fixed-size lists of Arrow and arrays of polars are tensors."""
    array = np.arange(6, dtype="float32").reshape(2, 3)
    frame = pd.DataFrame({"a": pd.Series(list(array), dtype=object)})
    arrow = pa.table({"a": pa.FixedSizeListArray.from_arrays(pa.array(array.reshape(-1)), 3)})
    polars = pl.DataFrame({"a": pl.Series(array, dtype=pl.Array(pl.Float32, 3))})
    for table in (frame, arrow, polars, {"a": array}):
        column = only(table)
        assert (column.datatype, column.shape) == (D.FP32, (3,))
        assert values_of(column) == array.tolist()


def test_nested_arrow_tensors_with_null_rows() -> None:
    """A fixed-size list of fixed-size lists is a matrix per row; a null row is null."""
    kind = pa.list_(pa.list_(pa.float64(), 2), 2)
    column = only(pa.table({"a": pa.array([[[1, 2], [3, 4]], None], type=kind)}))
    assert column.shape == (2, 2)
    assert values_of(column) == [[[1.0, 2.0], [3.0, 4.0]], None]


def test_numpy_samples() -> None:
    """An array (rows, 30) is one input of shape [30]."""
    sample = read_sample(np.zeros((4, 30), dtype="float32"))
    assert sample.kind == "numpy"
    assert sample.dtypes == {"input": "float32"}
    assert (sample.table.columns["input"].shape, sample.table.rows) == ((30,), 4)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (np.zeros(3), "no columns"),
        (np.array([[object()]]), "cannot express"),
        (np.zeros((2, 2), dtype="complex128"), "complex128"),
        (np.zeros((2, 2), dtype="datetime64[s]"), "datetime64"),
        (np.zeros((0, 2)), "no rows"),
        (pd.DataFrame({"a": []}), "a"),
        (pd.DataFrame(index=[0, 1]), "no columns"),
        (pd.DataFrame([[1, 2]]), "column names must be text"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "2 times"),
        (pd.DataFrame({"a": pd.to_datetime(["2026-01-01"])}), "no times"),
        (pd.DataFrame({"a": pd.to_timedelta([1])}), "no times"),
        (pd.DataFrame({"a": pd.period_range("2026", periods=1)}), "period"),
        (pd.DataFrame({"a": pd.array([1], dtype="int64[pyarrow]")}), "int64"),
        (pd.DataFrame({"a": pd.Series(["x", 1], dtype=object)}), "int, str"),
        (pd.DataFrame({"a": pd.Series([{}, {}], dtype=object)}), "dict"),
        (pd.DataFrame({"a": pd.Series([None, None], dtype=object)}), "every value"),
        (pd.DataFrame({"a": pd.Series([2**70], dtype=object)}), "64 bits"),
        (pd.DataFrame({"a": pd.Series([np.zeros(2), np.zeros(3)], dtype=object)}), "one shape"),
        (pl.DataFrame({"a": [[1], [2, 3]]}), "List"),
        (pl.DataFrame({"a": ["2026-01-01"]}).with_columns(pl.col("a").str.to_date()), "Date"),
        (pa.table({"a": pa.array(["x"]).dictionary_encode()}), "dictionary_decode"),
        (pa.table({"a": pa.array([[1.0, None]], type=pa.list_(pa.float64(), 2))}), "inside its tensors"),
        ({"a": [1], "b": [1, 2]}, "different lengths"),
        ({1: [1]}, "must be text"),
        ({}, "no rows"),
        ([1, 2], "is no table"),
        (pd.Series([1]), "is no table"),
    ],
)
def test_what_a_contract_cannot_express(table: Any, said: str) -> None:
    """Everything else is refused with the column and the reason."""
    with pytest.raises(SampleUnusable, match=said):
        read_sample(table)


@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=1).filter(any))
def test_python_integers(values: list[int | None]) -> None:
    """Whole numbers in lists are INT64 without loss, nulls and all."""
    assert values_of(only({"a": values})) == values


def test_as_plain_columns() -> None:
    """A model that takes plain columns is told NumPy dtypes: object for text and for numbers with gaps."""
    sample = as_kind(read_sample(pa.table({**ROWS, "gaps": [1, None, 3]})), "columns")
    assert sample.dtypes == {"whole": "int64", "real": "float64", "flag": "bool", "text": "object", "gaps": "object"}
    assert set(as_kind(sample, "lists").dtypes.values()) == {"list"}


@pytest.mark.parametrize(
    ("kind", "dtype", "wide"),
    [
        ("pandas", "int64", "float64"),
        ("pandas", "bool", "object"),
        ("pandas", "float32", "float32"),
        ("pandas", "Int64", "Int64"),
        ("pandas", "str", "str"),
        ("columns", "int64", "object"),
        ("columns", "float64", "float64"),
        ("polars", "Int64", "Int64"),
        ("arrow", "int64", "int64"),
        ("lists", "list", "list"),
    ],
)
def test_dtype_that_can_hold_null(kind: Any, dtype: str, wide: str) -> None:
    """A field that may be null gets a dtype that can hold it."""
    assert dtype_when_nullable(kind, dtype) == wide


class TestInference:
    """The contract of a sample."""

    def test_nullability_is_seen_or_declared(self) -> None:
        """A field is nullable where the sample shows a null or the author says so."""
        contract = infer_contract(pd.DataFrame(ROWS), OUTPUTS, nullable=["whole"])
        assert {field.name: field.nullable for field in contract.inputs} == {
            "whole": True,
            "real": True,
            "flag": False,
            "text": True,
        }

    def test_observations(self) -> None:
        """Ranges, categories and counts of the sample are kept."""
        contract = infer_contract(ROWS, OUTPUTS)
        observed = {field.name: field.observed for field in contract.inputs}
        assert observed["real"] is not None
        assert (observed["real"].minimum, observed["real"].maximum, observed["real"].nulls) == (-1.5, 0.5, 1)
        assert observed["text"] is not None
        assert observed["text"].categories == ("a", "ü")

    def test_personal_values_are_not_kept(self) -> None:
        """Of a personal field only counts are in the contract."""
        contract = infer_contract(ROWS, OUTPUTS, personal=["text", "whole"])
        for name in ("text", "whole"):
            field = contract.input(name)
            assert field is not None
            assert field.personal
            assert field.observed is not None
            assert (field.observed.minimum, field.observed.maximum, field.observed.categories) == (None, None, None)

    def test_many_words_are_no_categories(self) -> None:
        """A column of ids does not become a list of categories."""
        contract = infer_contract({"id": [f"id-{number}" for number in range(100)]}, OUTPUTS)
        assert contract.inputs[0].observed is not None
        assert contract.inputs[0].observed.categories is None

    def test_large_numbers_stay_canonical(self) -> None:
        """Whole numbers beyond ±2^53 are observed as text, as canonical JSON has no place for them."""
        contract = infer_contract({"a": [2**60, 5]}, OUTPUTS)
        assert contract.inputs[0].observed is not None
        assert contract.inputs[0].observed.maximum == str(2**60)

    def test_infinities_are_not_observed(self) -> None:
        """Only finite numbers are a range; NaN elements make a tensor nullable."""
        contract = infer_contract(np.array([[math.inf, 1.0], [math.nan, 2.0]]), OUTPUTS)
        field = contract.inputs[0]
        assert field.nullable
        assert field.observed is not None
        assert (field.observed.minimum, field.observed.maximum) == (1.0, 2.0)

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"personal": ["nobody"]}, "'nobody'"),
            ({"nullable": ["nobody"]}, "'nobody'"),
            ({"declared": {"nobody": {}}}, "'nobody'"),
            ({"declared": {"whole": {"least": 1}}}, "cannot be used"),
            ({"declared": {"whole": {"minimum": 2}}}, "the sample itself breaks.*row 0 is 1"),
            ({"declared": {"text": Declared(categories=("a",))}}, "row 2 is 'ü'"),
            ({"declared": {"flag": {"minimum": 0}}}, "for numbers"),
        ],
    )
    def test_what_does_not_fit_the_sample(self, arguments: dict[str, Any], said: str) -> None:
        """Names and limits that do not fit the sample are refused when they are declared, not in production."""
        with pytest.raises(ContractMalformed, match=said):
            infer_contract(ROWS, OUTPUTS, **arguments)

    def test_tensors_of_whole_numbers_cannot_be_null(self) -> None:
        """A null row of an integer tensor could not be handed to a model."""
        kind = pa.list_(pa.int64(), 2)
        with pytest.raises(SampleUnusable, match="only floating-point tensors"):
            infer_contract(pa.table({"a": pa.array([[1, 2], None], type=kind)}), OUTPUTS)

    def test_nulls_of_a_sample_column(self) -> None:
        """The marks are there for whoever needs them."""
        marks = nulls_of(read_sample(ROWS).table.columns["text"])
        assert marks is not None
        assert marks.tolist() == [False, True, False]
