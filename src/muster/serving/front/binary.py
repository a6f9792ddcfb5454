"""The extension `binary_tensor_data`: tensors as raw bytes behind the JSON, in the order in which the JSON names them.

Source: Triton's extension of the Open Inference Protocol V2, "Binary Tensor Data Extension". Numbers are not copied: a tensor's
data is a view of the body, and that view goes to the hosts.
"""

from typing import Any

import msgspec

from muster.serving.errors import RequestMalformed
from muster.wire.inference import InferRequest, InferTensor

_SIZE = "binary_data_size"
_SHARED_MEMORY = "shared_memory_region"


def json_part(body: bytes, json_bytes: int | None) -> bytes | memoryview:
    """The part of a body that is JSON.

    Args:
        body: the whole body.
        json_bytes: what the header `Inference-Header-Content-Length` says; None: all of it is JSON.

    Raises:
        RequestMalformed: the header names more bytes than there are.
    """
    if json_bytes is None:
        return body
    if not 0 < json_bytes <= len(body):
        raise RequestMalformed(
            f"Inference-Header-Content-Length is {json_bytes}; the body has {len(body)} bytes, and its JSON at least one of them"
        )
    return memoryview(body)[:json_bytes]


def with_raw_tensors(request: InferRequest, body: bytes, json_bytes: int | None) -> InferRequest:
    """The request with the raw bytes of each tensor that has any as its `data`.

    Raises:
        RequestMalformed: a tensor has no data, or two; a size does not fit the body; bytes are left over.
    """
    sizes = [_size_of(tensor) for tensor in request.inputs]
    if json_bytes is None:
        for tensor, size in zip(request.inputs, sizes, strict=True):
            if size is not None:
                raise RequestMalformed(
                    f"tensor {tensor.name!r} has the parameter {_SIZE}, but the header Inference-Header-Content-Length is missing"
                )
        return request
    view, at = memoryview(body), json_bytes
    tensors = []
    for tensor, size in zip(request.inputs, sizes, strict=True):
        if size is None:
            tensors.append(tensor)
            continue
        if at + size > len(body):
            raise RequestMalformed(
                f"tensor {tensor.name!r} has {size} bytes by its {_SIZE}; {len(body) - at} are left in the body"
            )
        tensors.append(msgspec.structs.replace(tensor, data=view[at : at + size]))
        at += size
    if at != len(body):
        raise RequestMalformed(f"{len(body) - at} bytes are left over behind the last tensor")
    return msgspec.structs.replace(request, inputs=tuple(tensors))


def _size_of(tensor: InferTensor) -> int | None:
    """How many raw bytes the tensor has; None: its data is in the JSON."""
    given: Any = None
    if tensor.parameters is not None:
        if _SHARED_MEMORY in tensor.parameters:
            raise RequestMalformed(f"tensor {tensor.name!r} is in shared memory, which this server does not read")
        given = tensor.parameters.get(_SIZE)
    if given is None:
        if type(tensor.data) is not list:
            said = "has no data" if tensor.data is msgspec.UNSET else "has data that is no list"
            raise RequestMalformed(f"tensor {tensor.name!r} {said}")
        return None
    if type(given) is not int or given < 0:
        raise RequestMalformed(f"tensor {tensor.name!r}: {_SIZE} is {given!r}; it is a number of bytes")
    if tensor.data is not msgspec.UNSET:
        raise RequestMalformed(f"tensor {tensor.name!r} has both data and {_SIZE}")
    return given


def flag(parameters: dict[str, Any] | None, name: str, of: str) -> bool | None:
    """A parameter that is true or false; None where it is not there.

    Raises:
        RequestMalformed: it is something else.
    """
    value = None if parameters is None else parameters.get(name)
    if value is not None and type(value) is not bool:
        raise RequestMalformed(f"{of}: {name} is {value!r}; it is true or false")
    return value
