"""The contract check: what it accepts it keeps exactly, and what it refuses it explains."""

import math
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from muster.packaging.columns import Column, values_of
from muster.packaging.contract import ContractChecker
from muster.packaging.errors import ContractBroken
from muster.vocabulary.tensors import FLOATS, INTEGER_RANGES, NUMPY_NAMES, Datatype
from muster.wire.contracts import Contract, Declared, Field

D = Datatype
OUTPUT = Field("p", D.FP64)


@dataclass
class Tensor:
    """A V2 tensor as a door decodes it."""

    name: str
    datatype: str
    shape: list[int]
    data: Any
    parameters: dict[str, Any] = field(default_factory=dict)


def checker(*fields: Field, max_rows: int = 100) -> ContractChecker:
    """A checker of these inputs."""
    return ContractChecker(Contract(fields, (OUTPUT,)), max_rows)


def checked(spec: Field, *values: Any) -> Column:
    """The column of these values as records."""
    return checker(spec).check_records([{spec.name: value} for value in values]).columns[spec.name]


def refused(spec: Field, *values: Any) -> ContractBroken:
    """The refusal of these values, the same for one-row and many-row requests."""
    with pytest.raises(ContractBroken) as caught:
        checked(spec, *values)
    return caught.value


def ints(datatype: Datatype) -> st.SearchStrategy[int]:
    """Whole numbers that a datatype holds."""
    least, most = INTEGER_RANGES[datatype]
    return st.integers(least, most)


class TestNumbers:
    """Whole numbers and floats."""

    @given(st.data(), st.sampled_from(sorted(INTEGER_RANGES)))
    def test_every_integer_in_range_is_kept(self, data: st.DataObject, datatype: Datatype) -> None:
        """A whole number within the range of its datatype comes out as it went in, alone and among others."""
        values = data.draw(st.lists(ints(datatype), min_size=1, max_size=5))
        assert values_of(checked(Field("a", datatype), *values)) == values

    @given(st.data(), st.sampled_from(sorted(INTEGER_RANGES)))
    def test_integers_out_of_range_are_refused(self, data: st.DataObject, datatype: Datatype) -> None:
        """A whole number outside the range is refused with its row, alone and among others."""
        least, most = INTEGER_RANGES[datatype]
        beyond = data.draw(st.one_of(st.integers(max_value=least - 1), st.integers(min_value=most + 1)))
        assert refused(Field("a", datatype), beyond).facts["row"] == 0
        assert refused(Field("a", datatype), 0, beyond, 0).facts["row"] == 1

    @given(st.floats(allow_nan=False, allow_infinity=False))
    def test_every_double_is_kept(self, value: float) -> None:
        """A double comes out bit-equal."""
        assert bytes(checked(Field("a", D.FP64), value).data) == struct.pack("<d", value)
        assert bytes(checked(Field("a", D.FP64), value, 1).data) == struct.pack("<2d", value, 1.0)

    @given(st.integers())
    def test_integers_become_doubles_only_without_loss(self, value: int) -> None:
        """A whole number is accepted as FP64 exactly if FP64 holds it."""
        try:
            exact = int(float(value)) == value
        except OverflowError:
            exact = False
        if exact:
            assert values_of(checked(Field("a", D.FP64), value)) == [float(value)]
        else:
            assert "without loss" in refused(Field("a", D.FP64), value).message

    def test_2_to_the_53_plus_1_is_no_double(self) -> None:
        """The first whole number that FP64 cannot hold is refused, its neighbours are not."""
        assert "without loss" in refused(Field("a", D.FP64), 2**53 + 1).message
        assert values_of(checked(Field("a", D.FP64), 2**53, 2**53 + 2)) == [2.0**53, 2.0**53 + 2]

    @given(st.floats(allow_nan=False, allow_infinity=False))
    def test_whole_floats_become_integers(self, value: float) -> None:
        """A float is accepted as INT64 exactly if it is whole and within ±2^53."""
        if value.is_integer() and abs(value) <= 2**53:
            assert values_of(checked(Field("a", D.INT64), value)) == [int(value)]
        else:
            refused(Field("a", D.INT64), value)

    @given(st.integers(-(2**63), 2**64 - 1))
    def test_decimal_strings_beyond_2_to_the_53(self, value: int) -> None:
        """A decimal string is a whole number exactly beyond ±2^53, within the range."""
        for datatype in (D.INT64, D.UINT64):
            least, most = INTEGER_RANGES[datatype]
            if abs(value) > 2**53 and least <= value <= most:
                assert values_of(checked(Field("a", datatype), str(value))) == [value]
            else:
                refused(Field("a", datatype), str(value))

    @pytest.mark.parametrize(
        "text",
        ["", "-", "+9007199254740993", "0x20000000000001", "٩٠٠٧١٩٩٢٥٤٧٤٠٩٩٣", "1e20", " 9007199254740993", "9" * 21],
    )
    def test_other_strings_are_no_integers(self, text: str) -> None:
        """Only plain decimal digits with an optional minus count."""
        refused(Field("a", D.INT64), text)

    def test_decimal_strings_only_for_64_bits(self) -> None:
        """A string is never an INT32."""
        refused(Field("a", D.INT32), "9007199254740993")

    @pytest.mark.parametrize("datatype", [*INTEGER_RANGES, *sorted(FLOATS)])
    @pytest.mark.parametrize("value", [True, False])
    def test_a_boolean_is_never_a_number(self, datatype: Datatype, value: bool) -> None:
        """True is not 1, alone or among numbers."""
        assert refused(Field("a", datatype), value).facts["value"] == str(value).lower()
        assert refused(Field("a", datatype), 1, value).facts["row"] == 1

    @pytest.mark.parametrize("value", [0, 1, "true", 1.0, []])
    def test_only_booleans_are_booleans(self, value: object) -> None:
        """0 and 1 are not booleans."""
        assert refused(Field("a", D.BOOL), value).facts["expected"] == "true or false (BOOL)"

    def test_booleans(self) -> None:
        """True and false are kept."""
        assert values_of(checked(Field("a", D.BOOL), True)) == [True]
        assert values_of(checked(Field("a", D.BOOL), False, True)) == [False, True]

    @given(st.floats(width=32, allow_nan=False))
    def test_single_precision(self, value: float) -> None:
        """Every FP32 value is kept; fractions are rounded to the nearest."""
        if math.isinf(value):
            value = 0.1
        column = checked(Field("a", D.FP32), value)
        assert bytes(column.data) == struct.pack("<f", value)

    @pytest.mark.parametrize(("datatype", "most"), [(D.FP32, 3.4028234663852886e38), (D.FP16, 65504.0)])
    def test_floats_that_would_overflow(self, datatype: Datatype, most: float) -> None:
        """A finite number that would become infinite is refused, an infinity is not."""
        assert values_of(checked(Field("a", datatype), most, -most)) == [most, -most]
        refused(Field("a", datatype), most * 1.01)
        refused(Field("a", datatype), -most * 1.01)
        assert values_of(checked(Field("a", datatype), "Infinity")) == ["Infinity"]

    @given(st.integers(-(10**6), 10**6))
    def test_integers_as_half_precision(self, value: int) -> None:
        """A whole number is an FP16 exactly if FP16 holds it."""
        with np.errstate(over="ignore"):
            held = np.float16(value)
        if np.isfinite(held) and int(held) == value:
            assert values_of(checked(Field("a", D.FP16), value)) == [float(value)]
        else:
            refused(Field("a", D.FP16), value)

    def test_not_finite_strings(self) -> None:
        """The three strings are numbers of a float field; other strings are refused with a hint."""
        assert values_of(checked(Field("a", D.FP64), "NaN", "Infinity", "-Infinity")) == [
            "NaN",
            "Infinity",
            "-Infinity",
        ]
        assert "NaN, Infinity" in refused(Field("a", D.FP64), "nan").message

    def test_numpy_scalars(self) -> None:
        """Scalars of NumPy count as the Python values they are."""
        assert values_of(checked(Field("a", D.INT64), np.int32(3), np.int64(4))) == [3, 4]
        assert values_of(checked(Field("a", D.FP64), np.float64(3.5))) == [3.5]
        assert values_of(checked(Field("a", D.BOOL), np.bool_(True))) == [True]
        refused(Field("a", D.INT64), np.bool_(True))


class TestText:
    """BYTES."""

    @given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4))
    def test_every_text_is_kept(self, texts: list[str]) -> None:
        """Text of any script comes out as it went in."""
        assert values_of(checked(Field("a", D.BYTES), *texts)) == texts

    @pytest.mark.parametrize("value", [1, 1.5, True, ["a"], {"a": 1}, b"a"])
    def test_other_things_are_no_text(self, value: object) -> None:
        """Numbers are not turned into text."""
        assert refused(Field("a", D.BYTES), value).facts["expected"] == "text (BYTES)"

    def test_lone_surrogates(self) -> None:
        """Half a character is no text, and the row is named."""
        assert refused(Field("a", D.BYTES), "ok", "\ud800").facts["row"] == 1


class TestNulls:
    """Null, NaN and absence."""

    @pytest.mark.parametrize("datatype", list(D))
    def test_null(self, datatype: Datatype) -> None:
        """Null is accepted where it is allowed and refused where it is not, for every datatype."""
        assert values_of(checked(Field("a", datatype, nullable=True), None)) == [None]
        assert refused(Field("a", datatype), None).facts["value"] == "null"

    def test_null_among_values(self) -> None:
        """The other rows keep their values."""
        assert values_of(checked(Field("a", D.INT64, nullable=True), 1, None, 3)) == [1, None, 3]
        assert values_of(checked(Field("a", D.BYTES, nullable=True), "x", None)) == ["x", None]

    @pytest.mark.parametrize("nan", [None, "NaN", math.nan])
    def test_nan_and_null_are_one_thing_in_a_nullable_float(self, nan: object) -> None:
        """Whichever way it came, the bytes are the same."""
        column = checked(Field("a", D.FP64, nullable=True), nan)
        assert (bytes(column.data), bytes(column.nulls or b"")) == (bytes(8), b"\1")

    def test_nan_is_a_value_where_null_is_not_allowed(self) -> None:
        """A field that is not nullable may hold NaN."""
        assert values_of(checked(Field("a", D.FP64), math.nan, 1.0)) == ["NaN", 1.0]

    def test_absent_optional_fields_are_null(self) -> None:
        """A field that is not required may be absent, from some rows or from all."""
        spec = Field("a", D.INT64, nullable=True, required=False)
        table = checker(spec, Field("b", D.INT64)).check_records([{"b": 1}, {"a": 2, "b": 1}])
        assert values_of(table.columns["a"]) == [None, 2]
        assert values_of(checker(spec, Field("b", D.INT64)).check_records([{"b": 1}]).columns["a"]) == [None]

    def test_absent_optional_tensor(self) -> None:
        """An absent optional tensor is null in all rows."""
        spec = Field("a", D.BYTES, nullable=True, required=False)
        table = checker(spec, Field("b", D.INT64)).check_tensors([Tensor("b", "INT64", [2], [1, 2])])
        assert values_of(table.columns["a"]) == [None, None]


class TestTensors:
    """Fields with a shape."""

    SPEC = Field("a", D.FP64, (2, 3))

    def test_nested_rows(self) -> None:
        """Rows of nested lists keep their elements."""
        value = [[1.0, 2, 3], [4, 5, 6.5]]
        assert values_of(checked(self.SPEC, value)) == [[[1.0, 2.0, 3.0], [4.0, 5.0, 6.5]]]

    @pytest.mark.parametrize("value", [[1, 2, 3], [[1, 2], [3, 4]], [[1, 2, 3]], 7, [[1, 2, 3], 4], "ab"])
    def test_other_shapes(self, value: object) -> None:
        """A value of another shape is refused."""
        assert "tensor [2, 3]" in refused(self.SPEC, [[1, 2, 3], [4, 5, 6]], value).message

    def test_the_row_of_an_element(self) -> None:
        """A wrong element is found in its row."""
        assert refused(Field("a", D.INT64, (2,)), [1, 2], [3, "x"]).facts["row"] == 1

    def test_null_rows_and_null_elements(self) -> None:
        """A null row is null; a null element of a nullable float tensor is NaN."""
        spec = Field("a", D.FP32, (2,), nullable=True)
        assert values_of(checked(spec, [1, None], None)) == [[1.0, "NaN"], None]
        refused(Field("a", D.FP32, (2,)), [1, None])

    def test_numpy_rows(self) -> None:
        """A row may be an array."""
        assert values_of(checked(Field("a", D.INT64, (2,)), np.array([1, 2]))) == [[1, 2]]


class TestDeclared:
    """Declared limits refuse, observed ones never."""

    def test_range(self) -> None:
        """Both ends are inside."""
        spec = Field("a", D.INT64, declared=Declared(minimum=0, maximum=10))
        assert values_of(checked(spec, 0, 10)) == [0, 10]
        broken = refused(spec, 5, 11)
        assert (broken.facts["row"], broken.facts["expected"]) == (1, "a value from 0 to 10")
        assert refused(spec, -1).facts["value"] == "-1"

    def test_nan_is_in_no_range(self) -> None:
        """A declared range refuses NaN, and null passes where it is allowed."""
        refused(Field("a", D.FP64, declared=Declared(minimum=0)), math.nan)
        assert values_of(checked(Field("a", D.FP64, nullable=True, declared=Declared(minimum=0)), None, 1.0)) == [
            None,
            1.0,
        ]

    def test_categories(self) -> None:
        """Only the declared words."""
        spec = Field("a", D.BYTES, declared=Declared(categories=("yes", "no")))
        assert values_of(checked(spec, "yes")) == ["yes"]
        assert "one of 'yes', 'no'" in refused(spec, "no", "perhaps").message

    def test_tensor_elements(self) -> None:
        """A limit holds for every element, and the row is named."""
        spec = Field("a", D.FP64, (2,), declared=Declared(maximum=1))
        assert refused(spec, [0, 1], [0, 2]).facts["row"] == 1

    def test_binary_tensors_too(self) -> None:
        """A limit holds for raw bytes as well."""
        spec = Field("a", D.INT64, declared=Declared(minimum=0))
        with pytest.raises(ContractBroken, match="row 1"):
            checker(spec).check_tensors([Tensor("a", "INT64", [2], struct.pack("<2q", 1, -1))])
        words = Field("a", D.BYTES, declared=Declared(categories=("x",)))
        with pytest.raises(ContractBroken, match="row 0"):
            checker(words).check_tensors([Tensor("a", "BYTES", [1], b"\1\0\0\0y")])


class TestRecords:
    """Whole requests as records."""

    FIELDS = (Field("n", D.INT64), Field("t", D.BYTES))

    def test_order_of_the_contract(self) -> None:
        """Columns are in the order of the contract, whatever the order of the members."""
        assert list(checker(*self.FIELDS).check_records([{"t": "x", "n": 1}]).columns) == ["n", "t"]

    @pytest.mark.parametrize("rows", [[{"n": 1, "t": "x", "z": 2}], [{"n": 1, "t": "x"}, {"n": 1, "t": "x", "z": 2}]])
    def test_unknown_fields(self, rows: list[dict[str, Any]]) -> None:
        """A field that is not in the contract is named, with its row and the known ones."""
        with pytest.raises(ContractBroken, match=r"'z'.*unknown") as caught:
            checker(*self.FIELDS).check_records(rows)
        assert caught.value.facts["row"] == len(rows) - 1
        assert "n, t" in caught.value.facts["expected"]

    @pytest.mark.parametrize("rows", [[{"n": 1}], [{"n": 1, "t": "x"}, {"n": 1}]])
    def test_missing_fields(self, rows: list[dict[str, Any]]) -> None:
        """A required field that is missing is named with its row."""
        with pytest.raises(ContractBroken, match="field 't', row") as caught:
            checker(*self.FIELDS).check_records(rows)
        assert caught.value.facts == {
            "field": "t",
            "row": len(rows) - 1,
            "value": "nothing",
            "expected": "text (BYTES)",
        }

    def test_renamed_field(self) -> None:
        """One unknown and one missing field in a single row are found although the count is right."""
        with pytest.raises(ContractBroken, match="unknown"):
            checker(*self.FIELDS).check_records([{"n": 1, "tt": "x"}])

    def test_no_rows_and_too_many(self) -> None:
        """There is at least one row, and at most the limit."""
        with pytest.raises(ContractBroken, match="at least one row"):
            checker(*self.FIELDS).check_records([])
        with pytest.raises(ContractBroken, match="at most 2 rows"):
            checker(*self.FIELDS, max_rows=2).check_records([{"n": 1, "t": "x"}] * 3)

    @pytest.mark.parametrize("row", [[1, "x"], "x", 3, None])
    def test_rows_that_are_no_objects(self, row: Any) -> None:
        """A row that is no object is named."""
        with pytest.raises(ContractBroken, match="row 1: expected an object"):
            checker(*self.FIELDS).check_records([{"n": 1, "t": "x"}, row])
        with pytest.raises(ContractBroken, match="row 0"):
            checker(*self.FIELDS).check_records([row])

    def test_long_values_are_cut_short(self) -> None:
        """A message never carries a whole document."""
        with pytest.raises(ContractBroken) as caught:
            checker(Field("n", D.INT64)).check_records([{"n": "x" * 10_000}])
        assert len(caught.value.message) < 300

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
            max_leaves=6,
        ),
        st.sampled_from(
            [
                Field("a", D.INT64),
                Field("a", D.UINT8, nullable=True),
                Field("a", D.FP64),
                Field("a", D.FP32, (2,), nullable=True),
                Field("a", D.BYTES),
                Field("a", D.BOOL),
                Field("a", D.FP16, declared=Declared(minimum=-1, maximum=1)),
            ]
        ),
    )
    def test_any_json_is_accepted_or_refused(self, value: Any, spec: Field) -> None:
        """Whatever JSON comes, the answer is a table or a ContractBroken, one row and many alike."""
        outcomes = []
        for rows in ([{"a": value}], [{"a": value}, {"a": value}]):
            try:
                table = checker(spec).check_records(rows)
                outcomes.append(values_of(table.columns["a"])[0])
            except ContractBroken as broken:
                outcomes.append((broken.facts["expected"], broken.facts["value"]))
        assert outcomes[0] == outcomes[1]


class TestV2:
    """Whole requests as V2 tensors."""

    FIELDS = (Field("n", D.INT64), Field("x", D.FP64, (2,)), Field("t", D.BYTES, nullable=True))

    def tensors(self, **changes: Any) -> list[Tensor]:
        """A request that keeps the contract, but for the changes."""
        made = {
            "n": Tensor("n", "INT64", [2], [1, 2]),
            "x": Tensor("x", "FP64", [2, 2], [1, 2, 3, 4]),
            "t": Tensor("t", "BYTES", [2, 1], [["a"], [None]]),
        }
        made.update({name: tensor for name, tensor in changes.items() if tensor is not None})
        return [tensor for name, tensor in made.items() if changes.get(name, tensor) is not None]

    def test_flat_and_nested_data(self) -> None:
        """Data may be flat or nested, shapes [rows] or [rows, 1]."""
        table = checker(*self.FIELDS).check_tensors(self.tensors())
        nested = checker(*self.FIELDS).check_tensors(
            self.tensors(x=Tensor("x", "FP64", [2, 2], [[1, 2], [3, 4]]), t=Tensor("t", "BYTES", [2], ["a", None]))
        )
        assert table == nested
        assert {name: values_of(column) for name, column in table.columns.items()} == {
            "n": [1, 2],
            "x": [[1.0, 2.0], [3.0, 4.0]],
            "t": ["a", None],
        }

    def test_raw_data(self) -> None:
        """Raw bytes give the same table as JSON, from bytes and from a view alike."""
        raw = struct.pack("<4d", 1, 2, 3, 4)
        for data in (raw, memoryview(raw), bytearray(raw)):
            table = checker(*self.FIELDS).check_tensors(self.tensors(x=Tensor("x", "FP64", [2, 2], data)))
            assert values_of(table.columns["x"]) == [[1.0, 2.0], [3.0, 4.0]]

    @pytest.mark.parametrize(
        ("tensor", "said"),
        [
            (Tensor("n", "INT64", [2, 2], [1, 2, 3, 4]), r"shape \[2, 2\]"),
            (Tensor("n", "INT64", [3], [1, 2, 3]), "rows"),
            (Tensor("n", "INT64", [2], [1]), "1 elements"),
            (Tensor("n", "INT64", [], [1]), "shape"),
            (Tensor("n", "INT64", [-1], [1]), "number of rows"),
            (Tensor("n", "FP64", [2], [1, 2]), "datatype FP64"),
            (Tensor("n", "INT65", [2], [1, 2]), "datatype INT65"),
            (Tensor("n", "INT64", [2], [[1, 2], [3, 4]]), "flat list"),
            (Tensor("n", "INT64", [2], {"a": 1}), "a list of elements"),
            (Tensor("n", "INT64", [2], b"1234567"), "16 bytes"),
            (Tensor("n", "INT64", [2], [1, "2"]), "row 1"),
            (Tensor("x", "FP64", [2], [1, 2]), r"\[rows, 2\]"),
            (Tensor("x", "FP64", [2, 2], [[1, 2], [3]]), "row 1"),
            (Tensor("x", "FP64", [2, 2], [1, 2, 3, "z"]), "row 1"),
            (Tensor("t", "BYTES", [2], b"\1\0\0\0a"), "1 came"),
            (Tensor("t", "BYTES", [2], b"\1\0\0\0a\1\0\0\0\xff"), "UTF-8"),
            (Tensor("t", "BYTES", [2], b"\1\0\0\0a\1\0"), "cut off"),
        ],
    )
    def test_refusals(self, tensor: Tensor, said: str) -> None:
        """What does not fit is refused with the field's name and the reason."""
        with pytest.raises(ContractBroken, match=said) as caught:
            checker(*self.FIELDS).check_tensors(self.tensors(**{tensor.name: tensor}))
        assert "field" in caught.value.message

    def test_names(self) -> None:
        """Twice the same tensor, an unknown one and a missing one are refused."""
        check = checker(*self.FIELDS)
        with pytest.raises(ContractBroken, match="two tensors"):
            check.check_tensors([*self.tensors(), Tensor("n", "INT64", [2], [1, 2])])
        with pytest.raises(ContractBroken, match="unknown"):
            check.check_tensors([*self.tensors(), Tensor("q", "INT64", [2], [1, 2])])
        with pytest.raises(ContractBroken, match="'n': expected a whole number"):
            check.check_tensors(self.tensors(n=None)[1:])
        with pytest.raises(ContractBroken, match="got nothing"):
            check.check_tensors([])

    def test_rows(self) -> None:
        """No rows and too many rows are refused."""
        with pytest.raises(ContractBroken, match="at least one row"):
            checker(Field("n", D.INT64)).check_tensors([Tensor("n", "INT64", [0], [])])
        with pytest.raises(ContractBroken, match="at most 100 rows"):
            checker(Field("n", D.INT64)).check_tensors([Tensor("n", "INT64", [101], [1] * 101)])

    def test_raw_booleans(self) -> None:
        """A BOOL byte is 0 or 1."""
        check = checker(Field("b", D.BOOL))
        assert values_of(check.check_tensors([Tensor("b", "BOOL", [2], b"\0\1")]).columns["b"]) == [False, True]
        with pytest.raises(ContractBroken, match="row 1"):
            check.check_tensors([Tensor("b", "BOOL", [2], b"\0\2")])

    def test_raw_nan_is_null_in_a_nullable_field(self) -> None:
        """NaN in a binary tensor of a nullable field is null; elsewhere it is NaN."""
        data = struct.pack("<2d", math.nan, 1)
        nullable = checker(Field("a", D.FP64, nullable=True)).check_tensors([Tensor("a", "FP64", [2], data)])
        assert values_of(nullable.columns["a"]) == [None, 1.0]
        assert nullable.columns["a"] == checked(Field("a", D.FP64, nullable=True), None, 1.0)
        plain = checker(Field("a", D.FP64)).check_tensors([Tensor("a", "FP64", [2], data)])
        assert values_of(plain.columns["a"]) == ["NaN", 1.0]

    @given(st.data(), st.sampled_from(sorted(NUMPY_NAMES)), st.sampled_from(sorted(NUMPY_NAMES)))
    def test_widening_never_changes_a_value(self, data: st.DataObject, given_as: Datatype, wanted: Datatype) -> None:
        """A raw tensor of another datatype is refused, or every value is the same number as before."""
        assume(given_as is not D.BOOL and wanted is not D.BOOL)
        strategy: st.SearchStrategy[Any]
        if given_as in FLOATS:
            width = {D.FP16: 16, D.FP32: 32, D.FP64: 64}[given_as]
            strategy = st.floats(width=width, allow_nan=False)  # type: ignore[arg-type]
        else:
            strategy = ints(given_as)
        values = data.draw(st.lists(strategy, min_size=1, max_size=4))
        raw = np.array(values, dtype=NUMPY_NAMES[given_as]).tobytes()
        try:
            table = checker(Field("a", wanted)).check_tensors([Tensor("a", given_as, [len(values)], raw)])
        except ContractBroken:
            return
        infinite = {"Infinity": math.inf, "-Infinity": -math.inf}
        assert [infinite.get(v, v) for v in values_of(table.columns["a"])] == values

    @given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4))
    def test_int64_as_fp64(self, values: list[int]) -> None:
        """INT64 for an FP64 field is accepted exactly if each number is held, in raw bytes as in JSON."""
        exact = all(int(float(value)) == value for value in values)
        for data in (np.array(values, dtype="<i8").tobytes(), values):
            tensor = Tensor("a", "INT64", [len(values)], data)
            if exact:
                table = checker(Field("a", D.FP64)).check_tensors([tensor])
                assert [int(value) for value in values_of(table.columns["a"])] == values
            else:
                with pytest.raises(ContractBroken, match="without loss"):
                    checker(Field("a", D.FP64)).check_tensors([tensor])


def test_outputs_as_records() -> None:
    """A table of outputs is one object per row."""
    check = checker(Field("n", D.INT64), Field("t", D.BYTES))
    table = check.check_records([{"n": 1, "t": "a"}, {"n": 2, "t": "b"}])
    assert check.records_of(table) == [{"n": 1, "t": "a"}, {"n": 2, "t": "b"}]
    assert check.values_of(table.columns["t"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (Field("x", D.FP32, shape=(4,)), "a tensor [4] of numbers (FP32)"),
        (Field("x", D.INT64, shape=(2, 2)), "a tensor [2, 2] of whole numbers (INT64)"),
        (Field("x", D.BOOL, shape=(2,)), "a tensor [2] of true or false (BOOL)"),
        (Field("x", D.BYTES, shape=(2,)), "a tensor [2] of texts (BYTES)"),
        (Field("x", D.FP32), "a number (FP32)"),
    ],
)
def test_what_was_expected_is_said_in_words_that_can_be_read(spec: Field, said: str) -> None:
    """Of one value and of many."""
    assert said in refused(spec, {"no": "such"}).message
