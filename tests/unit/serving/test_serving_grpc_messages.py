"""Messages become checked rows and back, for every datatype; nothing is encoded on the way that came raw."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from grpc import StatusCode
from hypothesis import given, settings
from hypothesis import strategies as st

from decided_requests import plan_of, scored
from muster.packaging.columns import Column, encode_text
from muster.packaging.errors import ContractBroken
from muster.serving.decisions import COMBINED
from muster.serving.errors import BodyTooLarge, OutputUnknown, RateExceeded, RequestMalformed
from muster.serving.front.grpc import answers, reading
from muster.serving.front.grpc import open_inference_pb2 as pb
from muster.serving.front.grpc.codes import CODE_OF_FAMILY, code_of, metadata_of
from muster.vocabulary.errors import FAMILIES, MusterError
from muster.vocabulary.states import Reason
from muster.vocabulary.tensors import INTEGER_RANGES, NUMPY_NAMES, Datatype
from muster.wire.contracts import Field

ROOT = Path(__file__).resolve().parents[3]
LISTS = {
    Datatype.BOOL: "bool_contents", Datatype.INT8: "int_contents", Datatype.INT16: "int_contents",
    Datatype.INT32: "int_contents", Datatype.INT64: "int64_contents", Datatype.UINT8: "uint_contents",
    Datatype.UINT16: "uint_contents", Datatype.UINT32: "uint_contents", Datatype.UINT64: "uint64_contents",
    Datatype.FP32: "fp32_contents", Datatype.FP64: "fp64_contents", Datatype.BYTES: "bytes_contents",
}  # fmt: skip


def values_of(datatype: Datatype) -> st.SearchStrategy[Any]:
    """One element of a datatype."""
    if datatype in INTEGER_RANGES:
        return st.integers(*INTEGER_RANGES[datatype])
    if datatype is Datatype.BOOL:
        return st.booleans()
    if datatype is Datatype.BYTES:
        return st.text(max_size=5)
    width = {Datatype.FP16: 16, Datatype.FP32: 32, Datatype.FP64: 64}[datatype]
    return st.floats(width=width, allow_nan=False)  # type: ignore[arg-type]


def raw_of(datatype: Datatype, values: list[Any]) -> bytes:
    """Elements in raw layout."""
    if datatype is Datatype.BYTES:
        return encode_text(text.encode() for text in values)
    return np.array(values, dtype=NUMPY_NAMES[datatype]).tobytes()


def request_of(
    name: str, datatype: str, shape: tuple[int, ...], *, raw: bytes | None = None, **contents: Any
) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name="churn")
    tensor = request.inputs.add(name=name, datatype=datatype, shape=shape)
    if raw is not None:
        request.raw_input_contents.append(raw)
    for field, values in contents.items():
        getattr(tensor.contents, field).extend(values)
    return request


@pytest.mark.parametrize("datatype", list(Datatype))
def test_raw_and_typed_contents_of_every_datatype_are_the_same_column(datatype: Datatype) -> None:
    """Whatever the values: the column's bytes are the raw ones. FP16 comes raw only."""
    plan = plan_of(Field("x", datatype, (2,)))

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.tuples(values_of(datatype), values_of(datatype)), min_size=1, max_size=4))
    def same(rows: list[tuple[Any, Any]]) -> None:
        values = [value for row in rows for value in row]
        shape = (len(values) // 2, 2)
        raw = raw_of(datatype, values)
        read = reading.asked_of(plan, request_of("x", datatype.value, shape, raw=raw))
        assert bytes(read.table.columns["x"].data) == raw
        if datatype is Datatype.FP16:
            with pytest.raises(RequestMalformed, match="raw_input_contents only"):
                reading.asked_of(plan, request_of("x", "FP16", shape))
            return
        elements = [text.encode() for text in values] if datatype is Datatype.BYTES else values
        contents: dict[str, Any] = {LISTS[datatype]: elements}
        typed = reading.asked_of(plan, request_of("x", datatype.value, shape, **contents))
        assert bytes(typed.table.columns["x"].data) == raw

    same()


@pytest.mark.parametrize("datatype", list(Datatype))
def test_every_datatype_goes_out_raw_and_typed(datatype: Datatype) -> None:
    """Raw as it came from the host, or in the list of its datatype; FP16 raw in any case."""
    plan = plan_of(Field("x", Datatype.FP64), outputs=[Field("y", datatype)])
    others: dict[Datatype, list[Any]] = {Datatype.BOOL: [True, False], Datatype.BYTES: ["é", ""]}
    values = others.get(datatype, [1, 2])
    data = raw_of(datatype, values)
    asked = reading.asked_of(plan, request_of("x", "FP64", (2,), fp64_contents=[1.0, 2.0]))
    answered = scored(plan, {"y": Column(datatype, (), data)}, 2)
    raw = answers.answer(answered, asked, raw=True)
    assert (raw.outputs[0].name, raw.outputs[0].datatype, list(raw.outputs[0].shape)) == ("y", datatype.value, [2])
    assert list(raw.raw_output_contents) == [data]
    typed = answers.answer(answered, asked, raw=False)
    if datatype is Datatype.FP16:
        assert typed == raw
        return
    assert not typed.raw_output_contents
    found = list(getattr(typed.outputs[0].contents, LISTS[datatype]))
    assert found == ([text.encode() for text in values] if datatype is Datatype.BYTES else values)


def test_a_null_row_is_named() -> None:
    """GRPC has no null: the row is NaN or empty, and stands in the tensor's parameter `null_rows`."""
    plan = plan_of(
        Field("x", Datatype.FP64),
        outputs=[Field("y", Datatype.FP32, nullable=True), Field("n", Datatype.INT64, nullable=True)],
    )
    asked = reading.asked_of(plan, request_of("x", "FP64", (3,), fp64_contents=[1.0, 2.0, 3.0]))
    columns = {
        "y": Column(Datatype.FP32, (), raw_of(Datatype.FP32, [1, 0, 3]), b"\0\1\0"),
        "n": Column(Datatype.INT64, (), raw_of(Datatype.INT64, [0, 2, 0]), b"\1\0\1"),
    }
    answer = answers.answer(scored(plan, columns, 3), asked, raw=False)
    numbers, whole = answer.outputs
    assert str(list(numbers.contents.fp32_contents)) == "[1.0, nan, 3.0]"
    assert list(whole.contents.int64_contents) == [0, 2, 0]
    assert numbers.parameters["null_rows"].string_param == "1"
    assert whole.parameters["null_rows"].string_param == "0,2"


def test_an_answer_names_who_gave_it() -> None:
    """Variant, role, reason, release and the request's id; weights of a combined answer; each row's variant where they differ."""
    plan = plan_of(Field("x", Datatype.FP64))
    asked = reading.asked_of(plan, request_of("x", "FP64", (2,), fp64_contents=[1.0, 2.0]))
    columns = {"score": Column(Datatype.FP64, (), raw_of(Datatype.FP64, [1.0, 2.0]))}

    def facts(**decided: Any) -> dict[str, Any]:
        answer = answers.answer(scored(plan, columns, 2, **decided), asked, raw=True)
        found = {
            name: getattr(value, value.WhichOneof("parameter_choice")) for name, value in answer.parameters.items()
        }
        assert found.pop("request_id") == answer.id
        assert found.pop("release") == 7
        return {"number": answer.model_version, **found}

    assert facts() == {"number": "2", "variant": "churn:2", "role": "champion", "reason": "champion"}
    combined = facts(variant=COMBINED, reason=Reason.WEIGHTED, weights=(0.25, 0.75, 0.0))
    assert combined["weights"] == "churn:2=0.25,churn:3=0.75"
    assert combined["number"] == "combined"
    apart = facts(reason=Reason.VOTE, chosen=(0, 1))
    assert (apart["variant"], apart["variants"], apart["role"]) == (
        "churn:2,churn:3",
        "churn:2,churn:3",
        "champion,challenger",
    )


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (request_of("x", "FP64", (1,)), "0 bytes"),
        (request_of("x", "FP64", (1,), fp32_contents=[1.0]), "are in fp64_contents, not in fp32_contents"),
        (request_of("x", "FP64", (1,), fp64_contents=[1.0], int_contents=[1]), "not in int_contents"),
        (request_of("x", "INT8", (1,), int_contents=[300]), "no INT8"),
        (request_of("x", "FP64", (1,), raw=bytes(8), fp64_contents=[1.0]), "has contents, and the message has raw"),
        (pb.ModelInferRequest(inputs=request_of("x", "FP64", (1,)).inputs, raw_input_contents=[b"", b""]), "1 inputs and 2"),
        (pb.ModelInferRequest(raw_input_contents=[bytes(8)]), "0 inputs and 1"),
        (request_of("x", "BF16", (1,), raw=bytes(2)), "datatype BF16"),
        (request_of("x", "", (1,)), "datatype"),
        (request_of("x", "FP64", (-1,), raw=bytes(8)), "shape"),
        (request_of("x", "FP64", (2**62,), raw=bytes(8)), "."),
        (request_of("x", "FP64", (), raw=bytes(8)), "shape"),
        (pb.ModelInferRequest(), "x"),
    ],
)  # fmt: skip
def test_a_message_that_contradicts_itself_is_refused(request_: pb.ModelInferRequest, why: str) -> None:
    """With what is wrong."""
    with pytest.raises((RequestMalformed, ContractBroken), match=why):
        reading.asked_of(plan_of(Field("x", Datatype.FP64)), request_)


def test_parameters_and_outputs_are_read_as_by_rest() -> None:
    """`timeout` in microseconds; an unknown output, shared memory and a class list are refused."""
    plan = plan_of(Field("x", Datatype.FP64))
    request = request_of("x", "FP64", (1,), fp64_contents=[1.0])
    request.parameters["timeout"].int64_param = 20_000
    request.parameters["nothing"].SetInParent()
    request.outputs.add(name="score")
    read = reading.asked_of(plan, request)
    assert (read.deadline_s, read.id, read.parameters) == (0.02, None, {"timeout": 20_000})
    request.outputs[0].name = "other"
    with pytest.raises(OutputUnknown):
        reading.asked_of(plan, request)
    request.outputs[0].name = "score"
    request.parameters["timeout"].string_param = "soon"
    with pytest.raises(RequestMalformed, match="timeout"):
        reading.asked_of(plan, request)
    request.parameters["timeout"].int64_param = 1
    request.inputs[0].parameters["shared_memory_region"].string_param = "region"
    with pytest.raises(RequestMalformed, match="shared memory"):
        reading.asked_of(plan, request)


def test_bytes_that_are_no_message_are_the_callers_mistake() -> None:
    """Whatever they are."""
    for wrong in (b"\xff", b"\x0a\x02\xff\xfe", b"\x0a\x7f", bytes(9)):
        with pytest.raises(RequestMalformed):
            reading.parsed(pb.ModelInferRequest, wrong)


def test_every_family_of_errors_has_its_code() -> None:
    """One table; none of them is INTERNAL or UNKNOWN."""
    assert set(CODE_OF_FAMILY) == set(FAMILIES)
    assert not {StatusCode.INTERNAL, StatusCode.UNKNOWN, StatusCode.OK} & set(CODE_OF_FAMILY.values())
    assert code_of(BodyTooLarge("much")) is StatusCode.RESOURCE_EXHAUSTED
    assert code_of(MusterError("what")) is StatusCode.INTERNAL
    told = dict(metadata_of(RateExceeded("slowly", retry_after_s=2)))
    assert told == {"muster-error-code": "serving.rate-exceeded", "retry-after": "2", "grpc-retry-pushback-ms": "2000"}


def _fields(message: Any, path: str = "") -> dict[str, tuple[Any, ...]]:
    """Every field of a message and those in it, with number, type and label."""
    name = f"{path}.{message.name}"
    found = {
        f"{name}.{field.name}": (field.number, field.type, field.label, field.type_name, field.HasField("oneof_index"))
        for field in message.field
    }
    for inner in message.nested_type:
        found |= _fields(inner, name)
    return found


def test_the_definition_agrees_with_tritons() -> None:
    """Each message, field, number and type that we have is Triton's too, and each method."""
    ours = FileDescriptorProto()
    pb.DESCRIPTOR.CopyToProto(ours)
    theirs: dict[str, tuple[Any, ...]] = {}
    for module in (triton.service_pb2, triton.model_config_pb2):
        definition = FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(definition)
        messages: list[DescriptorProto] = list(definition.message_type)
        for message in messages:
            theirs |= _fields(message)
        methods = {method.name: method for service in definition.service for method in service.method}
        if methods:
            for method in ours.service[0].method:
                assert method == methods[method.name]
    mine: dict[str, tuple[Any, ...]] = {}
    for message in ours.message_type:
        mine |= _fields(message)
    assert len(mine) > 100
    assert {name: theirs.get(name) for name in mine} == mine
