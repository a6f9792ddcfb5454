"""The extension `binary_tensor_data`: raw bytes in and out say the same as JSON, and nothing that does not fit gets through."""

import json
import struct
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract_values import elements, fields
from decided_requests import REQUEST_ID_TEXT, plan_of, scored
from muster.packaging.columns import Column, column_of, values_of
from muster.packaging.errors import ContractBroken
from muster.serving.errors import OutputUnknown, RequestMalformed
from muster.serving.front import v2, v2_answers
from muster.serving.front.forms import Asked, json_length_of
from muster.serving.plan import Plan
from muster.vocabulary.states import Reason
from muster.vocabulary.tensors import NUMPY_NAMES, Datatype
from muster.wire.contracts import Declared, Field

D = Datatype


def body_of(tensors: list[tuple[dict[str, Any], bytes | None]], **more: Any) -> tuple[bytes, int]:
    """A request whose tensors have raw bytes where they are given."""
    inputs, raw = [], b""
    for tensor, data in tensors:
        if data is None:
            inputs.append(tensor)
        else:
            inputs.append({**tensor, "parameters": {"binary_data_size": len(data)}})
            raw += data
    head = json.dumps({"inputs": inputs, **more}).encode()
    return head + raw, len(head)


def head_of(name: str, datatype: Datatype, *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


def raw_of(values: list[Any], datatype: Datatype) -> bytes:
    """Values as NumPy and Triton's own description lay them out."""
    if datatype is D.BYTES:
        return b"".join(struct.pack("<I", len(value.encode())) + value.encode() for value in values)
    return np.array(values, dtype=NUMPY_NAMES[datatype]).tobytes()


@given(st.data())
@settings(max_examples=150)
def test_raw_bytes_mean_what_json_means(data: st.DataObject) -> None:
    """For every datatype and shape, a tensor as raw bytes becomes the column that the same values in JSON become, or neither does."""
    field = data.draw(fields("x", ((), (1,), (3,), (2, 2))))
    rows = data.draw(st.integers(1, 3))
    count = rows * int(np.prod(field.shape, dtype=int))
    values = [data.draw(elements(field, strange=False)) for _ in range(count)]
    plan = plan_of(field)
    tensor = head_of("x", field.datatype, rows, *field.shape)
    body, json_bytes = body_of([(tensor, raw_of(values, field.datatype))])
    as_json = json.dumps({"inputs": [{**tensor, "data": values}]}).encode()
    try:
        wanted = v2.read(plan, as_json).table.columns["x"]
    except ContractBroken as broken:
        row = broken.facts["row"]
        with pytest.raises(ContractBroken, match=f"row {row}"):
            v2.read(plan, body, json_bytes)
        return
    column = v2.read(plan, body, json_bytes).table.columns["x"]
    assert bytes(column.data) == bytes(wanted.data)
    assert not any(column.nulls or b"")
    assert isinstance(column.data, memoryview)


@given(st.data())
def test_answers_in_raw_bytes_say_what_answers_in_json_say(data: st.DataObject) -> None:
    """For every datatype, the bytes of an output are what its JSON says, and its size is the announced one."""
    field = data.draw(fields("y", ((), (2,), (2, 2))))
    rows = data.draw(st.integers(1, 70))
    plain = Field("y", field.datatype, field.shape)
    count = rows * int(np.prod(field.shape, dtype=int))
    values = data.draw(st.lists(elements(plain, strange=False), min_size=count, max_size=count))
    column = Column(field.datatype, field.shape, raw_of(values, field.datatype))
    done = scored(plan_of(Field("x", D.FP64), outputs=(field,)), {"y": column}, rows)
    asked = Asked(done.outputs())
    in_json = json.loads(v2_answers.answer(done, asked).body())["outputs"][0]
    answer = v2_answers.answer(done, Asked(asked.table, parameters={"binary_data_output": True}))
    assert answer.json_bytes is not None
    (output,) = json.loads(answer.body()[: answer.json_bytes])["outputs"]
    raw = answer.body()[answer.json_bytes :]
    assert output["parameters"] == {"binary_data_size": len(raw)}
    assert {key: output[key] for key in ("name", "datatype", "shape")} == {
        key: in_json[key] for key in ("name", "datatype", "shape")
    }
    assert raw_of(in_json["data"], field.datatype) == raw
    assert answer.parts[1] is column.data


class TestRequests:
    """What a request with raw tensors may be."""

    PLAN = plan_of(Field("x", D.FP64), Field("t", D.BYTES), Field("v", D.FP32, (2,)))

    def tensors(self, rows: int = 2) -> list[tuple[dict[str, Any], bytes | None]]:
        return [
            (head_of("x", D.FP64, rows), raw_of([1.5] * rows, D.FP64)),
            (head_of("t", D.BYTES, rows, 1), raw_of(["größer"] * rows, D.BYTES)),
            (head_of("v", D.FP32, rows, 2), raw_of([0.5] * rows * 2, D.FP32)),
        ]

    def refused(self, plan: Plan, body: bytes, json_bytes: int | None) -> str:
        with pytest.raises((RequestMalformed, ContractBroken)) as caught:
            v2.read(plan, body, json_bytes)
        return caught.value.message

    def test_json_and_raw_tensors_may_be_mixed(self) -> None:
        """Each tensor comes as it likes; raw ones are taken in the order of the JSON."""
        tensors = self.tensors()
        tensors[1] = ({**head_of("t", D.BYTES, 2), "data": ["a", "b"]}, None)
        body, json_bytes = body_of(tensors)
        table = v2.read(self.PLAN, body, json_bytes).table
        assert [values_of(column) for column in table.columns.values()] == [[1.5, 1.5], ["a", "b"], [[0.5, 0.5]] * 2]

    def test_a_header_over_plain_json(self) -> None:
        """The header may name the whole body."""
        body, _ = body_of([({**head_of("a", D.INT8, 1), "data": [1]}, None)])
        assert v2.read(plan_of(Field("a", D.INT8)), body, len(body)).table.rows == 1

    def test_an_integer_tensor_widens(self) -> None:
        """Raw INT32 for an FP64 field become doubles."""
        body, json_bytes = body_of([(head_of("a", D.INT32, 2), raw_of([1, -7], D.INT32))])
        table = v2.read(plan_of(Field("a", D.FP64)), body, json_bytes).table
        assert values_of(table.columns["a"]) == [1.0, -7.0]

    def test_nan_is_null_in_nullable_scalars_alone(self) -> None:
        """NaN as raw bytes is null in a nullable scalar field, and stays NaN in a tensor."""
        data = raw_of([float("nan"), 1.0], D.FP32)
        body, json_bytes = body_of([(head_of("a", D.FP32, 2), data), (head_of("b", D.FP32, 2, 1), data)])
        plan = plan_of(Field("a", D.FP32, nullable=True), Field("b", D.FP32, (1,), nullable=True))
        columns = v2.read(plan, body, json_bytes).table.columns
        assert [values_of(column) for column in columns.values()] == [[None, 1.0], [["NaN"], [1.0]]]

    @pytest.mark.parametrize("said", [0, -1, 10**9])
    def test_lengths_of_the_json_that_cannot_be(self, said: int) -> None:
        """The header names at least one byte and at most the body's."""
        body, _ = body_of(self.tensors())
        assert "Inference-Header-Content-Length" in self.refused(self.PLAN, body, said)

    def test_the_json_is_cut_off(self) -> None:
        """A header that names too few bytes leaves broken JSON."""
        body, json_bytes = body_of(self.tensors())
        assert "not a V2 inference request" in self.refused(self.PLAN, body, json_bytes - 1)

    def test_bytes_are_missing(self) -> None:
        """A size that goes beyond the body is refused by name."""
        body, json_bytes = body_of(self.tensors())
        assert "tensor 'v' has 16 bytes" in self.refused(self.PLAN, body[:-1], json_bytes)

    def test_bytes_are_left_over(self) -> None:
        """Bytes behind the last tensor are refused."""
        body, json_bytes = body_of(self.tensors())
        assert "3 bytes are left over" in self.refused(self.PLAN, body + b"abc", json_bytes)

    @pytest.mark.parametrize("size", [-1, 1.5, "8", True])
    def test_sizes_that_are_none(self, size: Any) -> None:
        """A size is a whole number from 0."""
        tensor = {**head_of("a", D.FP64, 1), "parameters": {"binary_data_size": size}}
        body = json.dumps({"inputs": [tensor]}).encode()
        assert "binary_data_size" in self.refused(plan_of(Field("a", D.FP64)), body + bytes(8), len(body))

    def test_sizes_that_do_not_fit_the_shape(self) -> None:
        """A tensor with too many or too few bytes for its shape is refused with both numbers."""
        plan = plan_of(Field("a", D.FP64))
        for size in (0, 7, 9, 16):
            body, json_bytes = body_of([(head_of("a", D.FP64, 1), bytes(size))])
            assert f"got {size} bytes" in self.refused(plan, body, json_bytes)

    def test_data_twice_or_not_at_all(self) -> None:
        """A tensor has its data in one place."""
        plan = plan_of(Field("a", D.FP64))
        both = json.dumps(
            {"inputs": [{**head_of("a", D.FP64, 1), "data": [1.0], "parameters": {"binary_data_size": 8}}]}
        ).encode()
        assert "both" in self.refused(plan, both + bytes(8), len(both))
        alone = json.dumps({"inputs": [{**head_of("a", D.FP64, 1), "parameters": {"binary_data_size": 8}}]}).encode()
        assert "header Inference-Header-Content-Length is missing" in self.refused(plan, alone, None)
        for data in ({}, {"data": None}, {"data": 1.5}, {"data": "x"}):
            body = json.dumps({"inputs": [{**head_of("a", D.FP64, 1), **data}]}).encode()
            assert "tensor 'a' has" in self.refused(plan, body, None)

    def test_texts_that_are_none(self) -> None:
        """BYTES that are cut off, no UTF-8, or more than the rows are refused."""
        plan = plan_of(Field("a", D.BYTES))
        for raw in (b"\1\0\0", b"\2\0\0\0x", b"\1\0\0\0\xff", b"\0\0\0\0" * 2, b""):
            body, json_bytes = body_of([(head_of("a", D.BYTES, 1), raw)])
            assert "field 'a'" in self.refused(plan, body, json_bytes)

    def test_limits_hold_for_raw_bytes(self) -> None:
        """Declared limits and categories are checked, and the row is named."""
        plan = plan_of(Field("a", D.INT64, declared=Declared(categories=(1, 2))))
        body, json_bytes = body_of([(head_of("a", D.INT64, 3), raw_of([1, 2, 3], D.INT64))])
        assert "row 2" in self.refused(plan, body, json_bytes)

    def test_shared_memory_is_refused(self) -> None:
        """A tensor in shared memory is refused by that name."""
        tensor = {**head_of("a", D.FP64, 1), "parameters": {"shared_memory_region": "r"}}
        assert "shared memory" in self.refused(
            plan_of(Field("a", D.FP64)), json.dumps({"inputs": [tensor]}).encode(), None
        )

    @pytest.mark.parametrize("header", [b"-1", b"", b"1.5", b"9" * 20, b"abc", b"+1", b" 7"])
    def test_headers_that_are_no_length(self, header: bytes) -> None:
        """The header is a plain whole number."""
        with pytest.raises(RequestMalformed):
            json_length_of(header)
        assert json_length_of(None) is None
        assert json_length_of(b"17") == 17


class TestMalformed:
    """JSON that is no V2 request is told so, exactly."""

    PLAN = plan_of(Field("a", D.FP64))
    GOOD: ClassVar = {"name": "a", "datatype": "FP64", "shape": [1], "data": [1.5]}

    @pytest.mark.parametrize(
        "document",
        [
            {},
            [],
            {"inputs": {}},
            {"inputs": [{}]},
            {"inputs": [GOOD | {"shape": ["1"]}]},
            {"inputs": [GOOD | {"shape": None}]},
            {"inputs": [GOOD | {"name": 1}]},
            {"inputs": [GOOD | {"parameters": []}]},
            {"inputs": [GOOD | {"parameters": {"a": None}}]},
            {"inputs": [GOOD | {"parameters": {"a": {}}}]},
            {"inputs": [GOOD], "id": 7},
            {"inputs": [GOOD], "parameters": []},
            {"inputs": [GOOD], "parameters": {"timeout": "1"}},
            {"inputs": [GOOD], "parameters": {"timeout": True}},
            {"inputs": [GOOD], "parameters": {"timeout": -1}},
            {"inputs": [GOOD], "parameters": {"binary_data_output": 1}},
            {"inputs": [GOOD], "parameters": {"x": [1]}},
            {"inputs": [GOOD], "outputs": [{"name": "score", "parameters": {"binary_data": "yes"}}]},
            {"inputs": [GOOD], "outputs": [{"name": "score", "parameters": {"classification": 3}}]},
            {"inputs": [GOOD], "outputs": [{"name": "score"}, {"name": "score"}]},
            {"inputs": [GOOD], "outputs": ["score"]},
        ],
    )
    def test_documents(self, document: Any) -> None:
        """Each is refused as malformed, none of them is an error of ours."""
        with pytest.raises(RequestMalformed):
            v2.read(self.PLAN, json.dumps(document).encode())

    @pytest.mark.parametrize(
        "inputs",
        [
            [],
            [GOOD, GOOD],
            [GOOD | {"name": "b"}],
            [GOOD | {"datatype": "FP65"}],
            [GOOD | {"datatype": "BYTES"}],
            [GOOD | {"shape": [2]}],
            [GOOD | {"shape": [1, 2]}],
            [GOOD | {"shape": []}],
            [GOOD | {"shape": [-1]}],
            [GOOD | {"shape": [0], "data": []}],
            [GOOD | {"shape": [10**30]}],
            [GOOD | {"data": ["x"]}],
            [GOOD | {"data": [True]}],
            [GOOD | {"data": [[[1.5]]]}],
        ],
    )
    def test_tensors_that_break_the_contract(self, inputs: Any) -> None:
        """Missing, doubled, unknown, mistyped and misshapen tensors are refused by the contract."""
        with pytest.raises(ContractBroken):
            v2.read(self.PLAN, json.dumps({"inputs": inputs}).encode())

    @pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"inputs": "\xff"}', b"null"])
    def test_bodies_that_are_no_json(self, body: bytes) -> None:
        """Broken JSON is refused as malformed."""
        with pytest.raises(RequestMalformed):
            v2.read(self.PLAN, body)

    def test_unknown_outputs(self) -> None:
        """An output that there is not is refused with those that there are."""
        with pytest.raises(OutputUnknown, match="it has score"):
            v2.read(self.PLAN, json.dumps({"inputs": [self.GOOD], "outputs": [{"name": "x"}]}).encode())

    def test_timeout_and_id(self) -> None:
        """The deadline is in microseconds, 0 means none; the id comes through, an empty one as well."""
        read = v2.read(
            self.PLAN, json.dumps({"inputs": [self.GOOD], "id": "", "parameters": {"timeout": 2500}}).encode()
        )
        assert (read.id, read.deadline_s) == ("", 0.0025)
        read = v2.read(self.PLAN, json.dumps({"inputs": [self.GOOD], "parameters": {"timeout": 0, "x": "y"}}).encode())
        assert (read.id, read.deadline_s, read.parameters) == (None, None, {"timeout": 0, "x": "y"})


class TestAnswers:
    """What an answer says beside its tensors."""

    PLAN = plan_of(
        Field("x", D.FP64), outputs=(Field("score", D.FP64, nullable=True), Field("label", D.BYTES, nullable=True))
    )

    def columns(self, nulls: list[bool]) -> dict[str, Column]:
        marks = np.array(nulls)
        return {
            "score": column_of(D.FP64, np.arange(len(nulls)) + 0.5, marks),
            "label": column_of(D.BYTES, np.array(["a"] * len(nulls), dtype=object), marks),
        }

    def document(self, asked: Asked | None = None, rows: int = 1, **options: Any) -> dict[str, Any]:
        columns = self.columns([False] * rows)
        done = scored(self.PLAN, columns, rows, **options)
        answer = v2_answers.answer(done, asked or Asked(done.outputs()))
        document: dict[str, Any] = json.loads(answer.body()[: answer.json_bytes])
        return document

    @pytest.mark.parametrize("given", ["", "a", 'with "quotes" and é', "\u2028"])
    def test_the_id_comes_back_as_sent(self, given: str) -> None:
        """Whatever text the id is; without one it is the request id."""
        assert self.document(Asked(self.PLAN.checker.check_records([{"x": 1.5}]), given))["id"] == given
        assert self.document()["id"] == REQUEST_ID_TEXT

    def test_who_answered(self) -> None:
        """The parameters name release, variant, role and reason; the version is the variant's number."""
        document = self.document(variant=1, reason=Reason.FALLBACK_LATE)
        assert (document["model_name"], document["model_version"]) == ("churn", "3")
        assert document["parameters"] == {
            "request_id": REQUEST_ID_TEXT,
            "release": 7,
            "variant": "churn:3",
            "role": "challenger",
            "reason": "fallback_late",
        }
        document = self.document(variant=-1, reason=Reason.DEFAULT)
        assert (document["model_version"], document["parameters"]["variant"]) == ("default", "default")

    def test_a_combined_answer_names_its_weights(self) -> None:
        """Versions without weight are left out."""
        document = self.document(variant=-2, reason=Reason.WEIGHTED, weights=(0.3, 0.7, 0.0))
        assert document["model_version"] == "combined"
        assert document["parameters"]["variant"] == "combined"
        assert document["parameters"]["weights"] == "churn:2=0.3,churn:3=0.7"

    def test_rows_answered_by_several(self) -> None:
        """Distinct versions by comma; one per row as long as there are few."""
        chosen = (1, 0, 1)
        parameters = self.document(rows=3, variant=1, reason=Reason.VOTE, chosen=chosen)["parameters"]
        assert parameters["variant"] == "churn:3,churn:2"
        assert parameters["variants"] == "churn:3,churn:2,churn:3"
        parameters = self.document(rows=65, variant=1, reason=Reason.VOTE, chosen=(1,) * 64 + (0,))["parameters"]
        assert "variants" not in parameters
        document = self.document(rows=2, variant=1, reason=Reason.VOTE, chosen=(1, 1))
        assert (document["model_version"], document["parameters"]["variant"]) == ("3", "churn:3")

    def test_outputs_that_were_asked_for(self) -> None:
        """Only they are in the answer, each in its own form, in the order of the contract."""
        request = {
            "inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "data": [1.5]}],
            "outputs": [{"name": "label", "parameters": {"binary_data": True}}, {"name": "score"}],
        }
        asked = v2.read(self.PLAN, json.dumps(request).encode())
        done = scored(self.PLAN, self.columns([False]), 1)
        answer = v2_answers.answer(done, asked)
        outputs = json.loads(answer.body()[: answer.json_bytes])["outputs"]
        assert [output["name"] for output in outputs] == ["score", "label"]
        assert outputs[0]["data"] == [0.5]
        assert outputs[1]["parameters"] == {"binary_data_size": 5}
        assert answer.parts[1:] == (b"\1\0\0\0a",)

    def test_one_output_may_be_excepted_from_raw_bytes(self) -> None:
        """`binary_data` of an output overrides `binary_data_output` of the request."""
        request = {
            "inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "data": [1.5]}],
            "outputs": [{"name": "label", "parameters": {"binary_data": False}}, {"name": "score"}],
            "parameters": {"binary_data_output": True},
        }
        asked = v2.read(self.PLAN, json.dumps(request).encode())
        answer = v2_answers.answer(scored(self.PLAN, self.columns([False]), 1), asked)
        outputs = json.loads(answer.body()[: answer.json_bytes])["outputs"]
        assert outputs[1]["data"] == ["a"]
        assert answer.parts[1:] == (struct.pack("<d", 0.5),)

    def test_nulls(self) -> None:
        """As raw bytes a null float is NaN; a null of another kind can only be said in JSON."""
        done = scored(self.PLAN, self.columns([False, True]), 2)
        answer = v2_answers.answer(done, Asked(done.outputs(), parameters={"binary_data_output": True}))
        outputs = json.loads(answer.body()[: answer.json_bytes])["outputs"]
        assert outputs[1]["data"] == ["a", None]
        assert answer.parts[1] == struct.pack("<2d", 0.5, float("nan"))
        in_json = json.loads(v2_answers.answer(done, Asked(done.outputs())).body())["outputs"]
        assert in_json[0]["data"] == [0.5, None]

    def test_a_null_row_of_a_tensor(self) -> None:
        """Each of its elements is null, so that the elements still fit the shape."""
        field = Field("v", D.FP64, (2,), nullable=True)
        column = column_of(D.FP64, np.ones((2, 2)), np.array([True, False]))
        done = scored(plan_of(Field("x", D.FP64), outputs=(field,)), {"v": column}, 2)
        for parameters in (None, {"binary_data_output": True}):
            answer = v2_answers.answer(done, Asked(done.outputs(), parameters=parameters))
            assert json.loads(answer.body())["outputs"][0]["data"] == [None, None, 1.0, 1.0]
