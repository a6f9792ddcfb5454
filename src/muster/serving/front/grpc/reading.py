"""A message becomes a checked request.

Numbers are not encoded anew: raw contents are handed on as they came, typed contents are laid down once in the layout that hosts
take.
"""

from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from muster.packaging.columns import Buffer, encode_text
from muster.serving.errors import RequestMalformed
from muster.serving.front import v2
from muster.serving.front.binary import flag
from muster.serving.front.forms import Asked
from muster.serving.front.grpc import open_inference_pb2 as pb
from muster.serving.plan import Plan
from muster.vocabulary.tensors import Datatype
from muster.wire.inference import InferTensor, Parameters, RequestedOutput

_M = TypeVar("_M", bound=Message)


def _array(code: str) -> Callable[[Sequence[Any]], bytes]:
    return lambda elements: array(code, elements).tobytes()


#: Which list of `InferTensorContents` holds a datatype, and how its elements are laid down. There is none for FP16.
_CONTENTS: dict[str, tuple[str, Callable[[Sequence[Any]], bytes]]] = {
    Datatype.BOOL: ("bool_contents", bytes),
    Datatype.INT8: ("int_contents", _array("b")),
    Datatype.INT16: ("int_contents", _array("h")),
    Datatype.INT32: ("int_contents", _array("i")),
    Datatype.INT64: ("int64_contents", _array("q")),
    Datatype.UINT8: ("uint_contents", _array("B")),
    Datatype.UINT16: ("uint_contents", _array("H")),
    Datatype.UINT32: ("uint_contents", _array("I")),
    Datatype.UINT64: ("uint64_contents", _array("Q")),
    Datatype.FP32: ("fp32_contents", _array("f")),
    Datatype.FP64: ("fp64_contents", _array("d")),
    Datatype.BYTES: ("bytes_contents", encode_text),
}


def parsed(kind: type[_M], message: bytes) -> _M:
    """A message of that kind.

    Raises:
        RequestMalformed: the bytes are none.
    """
    try:
        read: _M = kind.FromString(message)
    except (DecodeError, RecursionError) as error:
        raise RequestMalformed(f"the message is no {kind.DESCRIPTOR.name}: {error}") from error
    return read


def asked_of(plan: Plan, request: pb.ModelInferRequest) -> Asked:
    """The checked request in a message.

    Args:
        plan: under which it is asked.
        request: the message.

    Raises:
        RequestMalformed: it contradicts itself.
        OutputUnknown: it asks for an output that there is not.
        ContractBroken: its tensors do not keep the contract.
    """
    parameters = parameters_of(request.parameters)
    granted_s = v2.timeout_s(parameters)
    flag(parameters, "binary_data_output", "parameters")
    outputs = tuple(RequestedOutput(output.name, parameters_of(output.parameters)) for output in request.outputs)
    if outputs:
        v2.check_outputs(outputs, plan)
    return Asked(plan.checker.check_tensors(_tensors(request)), request.id or None, granted_s, parameters, outputs)


def parameters_of(given: Mapping[str, pb.InferParameter]) -> Parameters | None:
    """Parameters as plain values; one without a value is as if it were not there."""
    said = {name: value.WhichOneof("parameter_choice") for name, value in given.items()}
    return {name: getattr(given[name], choice) for name, choice in said.items() if choice is not None} or None


def _tensors(request: pb.ModelInferRequest) -> list[InferTensor]:
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise RequestMalformed(f"there are {len(request.inputs)} inputs and {len(raw)} raw_input_contents")
    contents = iter(raw) if raw else None
    tensors = []
    for tensor in request.inputs:
        if "shared_memory_region" in tensor.parameters:
            raise RequestMalformed(f"tensor {tensor.name[:80]!r} is in shared memory, which this server does not read")
        if contents is None:
            data: Buffer = _laid_down(tensor)
        elif tensor.HasField("contents"):
            raise RequestMalformed(f"tensor {tensor.name[:80]!r} has contents, and the message has raw_input_contents")
        else:
            data = next(contents)
        tensors.append(InferTensor(tensor.name, tuple(tensor.shape), tensor.datatype, data))
    return tensors


def _laid_down(tensor: pb.ModelInferRequest.InferInputTensor) -> bytes:
    """The typed contents of a tensor, in raw layout."""
    where = _CONTENTS.get(tensor.datatype)
    if where is None:
        if tensor.datatype == Datatype.FP16:
            raise RequestMalformed(f"tensor {tensor.name[:80]!r} is FP16, which comes in raw_input_contents only")
        return b""  # no datatype of the protocol: the check of the contract says what it should be
    name, lay_down = where
    for field, _ in tensor.contents.ListFields():
        if field.name != name:
            raise RequestMalformed(
                f"tensor {tensor.name[:80]!r} is {tensor.datatype}, whose elements are in {name}, not in {field.name}"
            )
    try:
        return lay_down(getattr(tensor.contents, name))
    except OverflowError as error:
        raise RequestMalformed(f"tensor {tensor.name[:80]!r}: an element is no {tensor.datatype}: {error}") from error
