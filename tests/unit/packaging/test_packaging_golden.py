"""The golden set: bit-equal through Parquet, and compared value by value."""

import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from muster.packaging.columns import Column, Table, column_of, values_of
from muster.packaging.documents import Bundle, GoldenDescription, Tolerance
from muster.packaging.errors import GoldenUnusable
from muster.packaging.golden import arrow_of, compare, read_golden, tolerance_of, write_golden
from muster.packaging.runtimes import PythonRuntime
from muster.packaging.samples import column_of_arrow
from muster.vocabulary.tensors import NUMPY_NAMES, Datatype
from muster.wire.contracts import Contract, Declared, Field

D = Datatype
RUNTIME = PythonRuntime(python="3.11.7", serializer="skops", model="model/model.skops", method="predict", input="lists")


def bundle_of(inputs: tuple[Field, ...], outputs: tuple[Field, ...], rows: int, **tolerance: Tolerance) -> Bundle:
    """A description with this contract."""
    return Bundle(
        format=1,
        name="m",
        runtime=RUNTIME,
        contract=Contract(inputs, outputs),
        golden=GoldenDescription(rows=rows, tolerance=tolerance),
    )


def floats(*values: float, datatype: Datatype = D.FP64) -> Table:
    """A table of one float column."""
    return Table(len(values), {"p": column_of(datatype, np.array(values))})


def column_of_texts(texts: list[str], nulls: list[bool]) -> Column:
    """A BYTES column."""
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return column_of(D.BYTES, array, np.array(nulls))


@given(st.data(), st.sampled_from(list(D)))
def test_columns_survive_parquet(data: st.DataObject, datatype: Datatype) -> None:
    """A column of any datatype and shape comes back from Arrow bit-equal, nulls and all."""
    if datatype is D.BYTES:
        cells = data.draw(
            st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.booleans()), min_size=1)
        )
        column = column_of_texts([text for text, _ in cells], [null for _, null in cells])
    else:
        array = data.draw(hnp.arrays(NUMPY_NAMES[datatype], hnp.array_shapes(min_dims=1, max_dims=3, max_side=4)))
        nulls = data.draw(hnp.arrays(bool, len(array)))
        column = column_of(datatype, array, nulls)
    again = column_of_arrow("c", arrow_of(column))
    assert (again.datatype, again.shape, bytes(again.data)) == (column.datatype, column.shape, bytes(column.data))
    assert values_of(again) == values_of(column)


class TestFile:
    """golden.parquet."""

    INPUTS = (Field("n", D.INT64), Field("x", D.FP64, nullable=True), Field("t", D.BYTES), Field("v", D.FP32, (2,)))
    OUTPUTS = (Field("p", D.FP64), Field("label", D.BYTES))
    TABLE = Table(
        2,
        {
            "n": column_of(D.INT64, np.array([1, 2])),
            "x": column_of(D.FP64, np.array([0.1, 0]), np.array([False, True])),
            "t": column_of_texts(["a", "ü"], [False, False]),
            "v": column_of(D.FP32, np.array([[1, 2], [3, 4.5]])),
        },
    )
    EXPECTED = Table(
        2, {"p": column_of(D.FP64, np.array([0.25, math.nan])), "label": column_of_texts(["no", "yes"], [False, False])}
    )

    def bundle(self, **changes: Any) -> Bundle:
        """The description of this golden set."""
        return msgspec.structs.replace(bundle_of(self.INPUTS, self.OUTPUTS, 2), **changes)

    def test_round_trip(self, tmp_path: Path) -> None:
        """What is written is read, bit for bit, NaN in an output included."""
        write_golden(tmp_path / "golden.parquet", self.TABLE, self.EXPECTED)
        golden = read_golden(tmp_path, self.bundle())
        assert golden.inputs == self.TABLE
        assert golden.expected == self.EXPECTED
        assert golden.tolerance == {"p": Tolerance(abs=1e-12, rel=1e-9), "label": Tolerance()}

    def test_equal_tables_give_equal_files(self, tmp_path: Path) -> None:
        """The file is a function of the tables."""
        write_golden(tmp_path / "a", self.TABLE, self.EXPECTED)
        write_golden(tmp_path / "b", self.TABLE, self.EXPECTED)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def test_written_by_pandas(self, tmp_path: Path) -> None:
        """A golden set made by hand with pandas is read, widened to the contract's datatypes."""
        frame = pd.DataFrame(
            {"n": [1.0, 2.0], "x": [1, 2], "t": ["a", "b"], "expected.p": [0, 1], "expected.label": "no"}
        )
        bundle = bundle_of(self.INPUTS[:3], self.OUTPUTS, 2)
        frame.to_parquet(tmp_path / "golden.parquet", index=False)
        golden = read_golden(tmp_path, bundle)
        assert values_of(golden.inputs.columns["n"]) == [1, 2]
        assert values_of(golden.inputs.columns["x"]) == [1.0, 2.0]
        assert values_of(golden.expected.columns["p"]) == [0.0, 1.0]

    @pytest.mark.parametrize(
        ("columns", "said"),
        [
            ({"n": [1]}, "lacks the column 'expected.p'"),
            ({"expected.p": [1.0]}, "lacks the column 'n'"),
            ({"n": [1], "expected.p": [1.0], "z": [1]}, "has the column 'z'"),
            ({"n": [1, 2], "expected.p": [1.0, 2.0]}, "has 2 rows"),
            ({"n": ["x"], "expected.p": [1.0]}, "'n', row 0: expected a whole number"),
            ({"n": [1.5], "expected.p": [1.0]}, "'n', row 0"),
            ({"n": [None], "expected.p": [1.0]}, "'n'"),
            ({"n": [-1], "expected.p": [1.0]}, "'n', row 0: expected a value of at least 0"),
            ({"n": [1], "expected.p": [None]}, "'expected.p'"),
            ({"n": [[1]], "expected.p": [1.0]}, "'n'"),
        ],
    )
    def test_what_does_not_keep_the_contract(self, tmp_path: Path, columns: dict[str, list[Any]], said: str) -> None:
        """A golden set that breaks the contract is refused with column, row and reason."""
        bundle = bundle_of((Field("n", D.INT64, declared=Declared(minimum=0)),), (Field("p", D.FP64),), 1)
        pq.write_table(pa.table(columns), tmp_path / "golden.parquet")
        with pytest.raises(GoldenUnusable, match=said):
            read_golden(tmp_path, bundle)

    def test_missing_or_no_parquet(self, tmp_path: Path) -> None:
        """A file that is not there, or is no Parquet, is told."""
        with pytest.raises(GoldenUnusable, match="cannot be read"):
            read_golden(tmp_path, self.bundle())
        (tmp_path / "golden.parquet").write_bytes(b"no")
        with pytest.raises(GoldenUnusable, match="cannot be read"):
            read_golden(tmp_path, self.bundle())

    def test_optional_input_may_be_absent(self, tmp_path: Path) -> None:
        """An input that is not required is null in every golden row when its column is absent."""
        bundle = bundle_of(
            (Field("n", D.INT64), Field("o", D.BYTES, nullable=True, required=False)), (Field("p", D.FP64),), 1
        )
        pq.write_table(pa.table({"n": [1], "expected.p": [1.0]}), tmp_path / "golden.parquet")
        assert values_of(read_golden(tmp_path, bundle).inputs.columns["o"]) == [None]


class TestComparison:
    """Answers against expectations."""

    def test_equal(self) -> None:
        """Equal answers pass with no deviation."""
        comparison = compare(floats(1, math.nan, math.inf), floats(1, math.nan, math.inf), {})
        assert (comparison.passed, comparison.largest_deviation, comparison.where, comparison.compared) == (
            True,
            0,
            None,
            3,
        )

    @given(
        st.floats(allow_nan=False, allow_infinity=False),
        st.floats(allow_nan=False, allow_infinity=False),
        st.floats(0, 1e3),
        st.floats(0, 1),
    )
    def test_tolerance_is_what_it_says(self, answer: float, expected: float, absolute: float, relative: float) -> None:
        """It passes exactly if |answer - expected| <= abs + rel * |expected|."""
        tolerance = {"p": Tolerance(abs=absolute, rel=relative)}
        passed = answer == expected or abs(answer - expected) <= absolute + relative * abs(expected)
        assert compare(floats(answer), floats(expected), tolerance).passed is passed

    def test_the_worst_is_named(self) -> None:
        """The message names the output, the row and both values of the worst deviation."""
        comparison = compare(floats(1, 2.5, 3.1), floats(1, 2, 3), {"p": Tolerance(abs=0.2)})
        assert (comparison.passed, comparison.wrong) == (False, 1)
        assert comparison.largest_deviation == 0.5
        assert comparison.where == "p, row 1: 2.5 instead of 2.0"

    @pytest.mark.parametrize(
        ("answer", "expected"), [(math.nan, 1), (1, math.nan), (math.inf, 1), (1, math.inf), (math.inf, -math.inf)]
    )
    def test_not_finite_is_never_near(self, answer: float, expected: float) -> None:
        """NaN and infinities are equal to themselves only, whatever the tolerance."""
        comparison = compare(floats(answer), floats(expected), {"p": Tolerance(abs=1e300, rel=1.0)})
        assert (comparison.passed, comparison.largest_deviation) == (False, math.inf)

    def test_text_and_flags_are_exact(self) -> None:
        """There is no tolerance for words."""
        expected = Table(2, {"p": column_of_texts(["a", "b"], [False, False])})
        comparison = compare(
            Table(2, {"p": column_of_texts(["a", "c"], [False, False])}), expected, {"p": Tolerance(abs=9)}
        )
        assert (comparison.passed, comparison.where) == (False, "p, row 1: 'c' instead of 'b'")

    def test_whole_numbers(self) -> None:
        """Whole numbers are compared as such, also beyond 2^53 and without overflow."""
        one = Table(1, {"p": column_of(D.UINT64, np.array([0], dtype="u8"))})
        other = Table(1, {"p": column_of(D.UINT64, np.array([2**64 - 1], dtype="u8"))})
        assert compare(one, other, {}).largest_deviation == float(2**64 - 1)
        near = Table(1, {"p": column_of(D.INT64, np.array([2**53 + 1]))})
        assert not compare(near, Table(1, {"p": column_of(D.INT64, np.array([2**53]))}), {}).passed

    def test_nulls(self) -> None:
        """Null equals null and nothing else."""
        null = Table(1, {"p": column_of(D.FP64, np.array([0.0]), np.array([True]))})
        assert compare(null, null, {}).passed
        comparison = compare(null, floats(0.0), {"p": Tolerance(abs=1)})
        assert (comparison.passed, comparison.where) == (False, "p, row 0: null instead of 0.0")

    def test_tensors(self) -> None:
        """The element of a tensor is named, and a null row counts for all its elements."""
        expected = Table(2, {"p": column_of(D.FP64, np.array([[1.0, 2], [3, 4]]))})
        comparison = compare(Table(2, {"p": column_of(D.FP64, np.array([[1.0, 2], [3, 5]]))}), expected, {})
        assert comparison.where == "p, row 1, element 1: 5.0 instead of 4.0"
        null = Table(2, {"p": column_of(D.FP64, np.array([[1.0, 2], [3, 4]]), np.array([False, True]))})
        assert compare(null, expected, {}).wrong == 2

    @pytest.mark.parametrize("answered", [Table(1, {}), floats(1, 2), floats(1, datatype=D.FP32)])
    def test_other_shapes_of_answers(self, answered: Table) -> None:
        """A missing output, other rows or another datatype never pass."""
        assert not compare(answered, floats(1), {"p": Tolerance(abs=1e9)}).passed

    def test_single_precision_has_a_wider_default(self) -> None:
        """An FP32 output is compared as finely as FP32 allows."""
        bundle = bundle_of((Field("n", D.INT64),), (Field("p", D.FP32), Field("q", D.INT64)), 1, q=Tolerance(abs=1))
        assert tolerance_of(bundle) == {"p": Tolerance(abs=1e-7, rel=1e-5), "q": Tolerance(abs=1)}
