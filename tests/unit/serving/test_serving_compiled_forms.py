"""The typed decoders accept less than the general way, and mean the same."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from contract_values import elements, fields, row_values
from decided_requests import plan_of
from muster.packaging.columns import Column, Table
from muster.packaging.contract import ContractChecker
from muster.packaging.errors import ContractBroken
from muster.serving.front import compiled, records, v2
from muster.serving.front.compiled import CompiledForms
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Declared, Field
from muster.wire.inference import InferRequest, ScoreRequest

D = Datatype
OUTPUT = Field("p", D.FP64)


def checker_of(inputs: list[Field], max_rows: int = 5) -> ContractChecker:
    return ContractChecker(Contract(tuple(inputs), (OUTPUT,)), max_rows)


def plain(table: Table) -> tuple[int, dict[str, tuple[Any, ...]]]:
    """A table as values that can be compared: nulls are absent, or one byte per row."""
    return table.rows, {name: flat(column) for name, column in table.columns.items()}


def flat(column: Column) -> tuple[Any, ...]:
    nulls = None if column.nulls is None or not any(column.nulls) else bytes(column.nulls)
    return column.datatype, column.shape, bytes(column.data), nulls


@st.composite
def contracts(draw: st.DrawFn) -> list[Field]:
    return [draw(fields(f"field {place}")) for place in range(draw(st.integers(1, 4)))]


@given(st.data())
@settings(max_examples=120)
def test_records_are_read_alike(data: st.DataObject) -> None:
    """What the typed decoder of rows takes, the general way takes too, and makes the same columns of it."""
    inputs = data.draw(contracts())
    checker = checker_of(inputs)
    rows = []
    for _ in range(data.draw(st.integers(0, 3))):
        row = {field.name: data.draw(row_values(field)) for field in inputs}
        if data.draw(st.integers(0, 9)) == 0:
            row.pop(data.draw(st.sampled_from(sorted(row))))
        if data.draw(st.integers(0, 19)) == 0:
            row["unknown"] = 1
        rows.append(row)
    body = json.dumps({"rows": rows}).encode()
    usual = CompiledForms(checker).records(body)
    if usual is not None:
        assert plain(usual[1]) == plain(checker.check_records(msgspec.json.decode(body, type=ScoreRequest).rows))


@given(st.data())
@settings(max_examples=120)
def test_tensors_are_read_alike(data: st.DataObject) -> None:
    """What the typed decoder of V2 tensors takes, flat or nested, the general way takes too, and makes the same of it."""
    inputs = data.draw(contracts())
    checker = checker_of(inputs)
    rows = data.draw(st.integers(0, 3))
    tensors = []
    for field in inputs:
        shape = [rows, *field.shape]
        if data.draw(st.booleans()):
            values = [data.draw(row_values(field)) for _ in range(rows)]
        else:
            size = 1
            for extent in shape:
                size *= extent
            values = [data.draw(elements(field)) for _ in range(size)]
        if not field.shape and data.draw(st.booleans()):
            shape.append(1)
        if data.draw(st.integers(0, 19)) == 0:
            values = values[1:]
        tensors.append({"name": field.name, "datatype": field.datatype, "shape": shape, "data": values})
    body = json.dumps({"inputs": tensors, "id": "é"}).encode()
    usual = CompiledForms(checker).tensors(body)
    if usual is not None:
        assert usual[0].id == "é"
        assert plain(usual[1]) == plain(checker.check_tensors(msgspec.json.decode(body, type=InferRequest).inputs))


@given(st.data())
def test_the_usual_request_is_of_the_usual_form(data: st.DataObject) -> None:
    """Values that fit, below the whole numbers that a float may lose, are read by the typed decoders."""
    inputs = data.draw(contracts())
    checker = checker_of(inputs)
    forms = CompiledForms(checker)
    rows = [{field.name: data.draw(row_values(field, strange=False)) for field in inputs} for _ in range(2)]
    body = json.dumps({"rows": rows}).encode()
    try:
        table = checker.check_records(rows)
    except ContractBroken:
        assume(False)
    numbers = [abs(value) for row in rows for value in row.values() if type(value) in {int, float}]
    assume(all(not field.shape and field.datatype is not D.UINT64 for field in inputs))
    assume(max(numbers, default=0) < 2048)
    usual = forms.records(body)
    assert usual is not None
    assert plain(usual[1]) == plain(table)
    lines = forms.lines(b"\n".join(json.dumps(row).encode() for row in rows))
    assert lines is not None
    assert plain(lines) == plain(table)


class TestForms:
    """What goes which way."""

    def test_both_layouts_of_a_tensor_are_usual(self) -> None:
        """Flat and nested data of a tensor are both read by typed decoders, whichever came before."""
        forms = CompiledForms(checker_of([Field("x", D.FP64, (2,)), Field("n", D.INT64)]))
        for data in ([1.5, 2.0], [[1.5, 2.0]], [[1.5, 2.0]], [1.5, 2.0]):
            tensors = [
                {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": data},
                {"name": "n", "shape": [1], "datatype": "INT64", "data": [3]},
            ]
            usual = forms.tensors(json.dumps({"inputs": tensors}).encode())
            assert usual is not None
            assert flat(usual[1].columns["n"])[2] == (3).to_bytes(8, "little")

    def test_names_that_a_decoder_cannot_look_for(self) -> None:
        """A field whose name holds a quotation mark is read in the general way."""
        forms = CompiledForms(checker_of([Field('a"b', D.FP64)]))
        body = json.dumps({"rows": [{'a"b': 1.5}]}).encode()
        assert forms.records(body) is None
        assert records.read(plan_of(Field('a"b', D.FP64)), body).table.rows == 1
        tensor = {"name": 'a"b', "shape": [1], "datatype": "FP64", "data": [1.5]}
        assert forms.tensors(json.dumps({"inputs": [tensor]}).encode()) is not None

    def test_other_order_of_tensors(self) -> None:
        """Tensors in another order than the contract's are read in the general way, and are in the contract's order then."""
        plan = plan_of(Field("a", D.FP64), Field("b", D.INT64))
        tensors = [
            {"name": "b", "shape": [1], "datatype": "INT64", "data": [3]},
            {"name": "a", "shape": [1], "datatype": "FP64", "data": [1.5]},
        ]
        body = json.dumps({"inputs": tensors}).encode()
        assert compiled.compiled(plan).tensors(body) is None
        assert list(v2.read(plan, body).table.columns) == ["a", "b"]

    @pytest.mark.parametrize(
        ("spec", "value"),
        [
            (Field("a", D.FP64), 2**53 + 1),
            (Field("a", D.FP32), 2**24 + 1),
            (Field("a", D.FP16), 2**11 + 1),
            (Field("a", D.INT8), 128),
            (Field("a", D.FP64, declared=Declared(maximum=1)), 1.5),
            (Field("a", D.BYTES, declared=Declared(categories=("x",))), "y"),
            (Field("a", D.FP64), None),
        ],
    )
    def test_what_breaks_the_contract_is_told_by_the_general_way(self, spec: Field, value: Any) -> None:
        """A value that the contract refuses is refused with field, row and expectation."""
        with pytest.raises(ContractBroken) as caught:
            records.read(plan_of(spec), json.dumps({"rows": [{"a": value}]}).encode())
        assert caught.value.facts["row"] == 0

    def test_forms_are_compiled_once_per_plan(self) -> None:
        """Two plans of the same digest share their decoders; the number of kept ones is bounded."""
        one, other = plan_of(Field("a", D.FP64)), plan_of(Field("a", D.FP64))
        assert compiled.compiled(one) is compiled.compiled(other)
        for number in range(300):
            compiled.compiled(plan_of(Field(f"a{number}", D.FP64)))
        assert len(compiled._compiled) <= 256
