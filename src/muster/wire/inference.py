"""The Open Inference Protocol V2 over JSON, as structs.

Source: Open Inference Protocol V2, REST specification (server and model metadata, health, inference), and the extension
`model_repository` of Triton. Unknown fields pass, as the protocol allows extensions; values of parameters are text, numbers or
booleans.
"""

from typing import Any

import msgspec

Parameters = dict[str, str | float | int | bool]


class InferTensor(msgspec.Struct, frozen=True):
    """One input tensor; `data` nested or flat, row-major, or the raw bytes that came behind the JSON."""

    name: str
    shape: tuple[int, ...]
    datatype: str
    data: Any = msgspec.UNSET
    parameters: Parameters | None = None


class RequestedOutput(msgspec.Struct, frozen=True):
    """An output that the caller wants; others are left out."""

    name: str
    parameters: Parameters | None = None


class InferRequest(msgspec.Struct, frozen=True):
    """A V2 inference request."""

    inputs: tuple[InferTensor, ...]
    id: str | None = None
    parameters: Parameters | None = None
    outputs: tuple[RequestedOutput, ...] | None = None


class TensorMetadata(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tensor in a model's metadata; -1 stands for the number of rows."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: dict[str, Any] | None = None


class ModelMetadata(msgspec.Struct, frozen=True):
    """V2 model metadata; the model is an endpoint."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]


class RepositoryIndexRequest(msgspec.Struct, frozen=True):
    """Asks which models there are; an empty body asks for all."""

    ready: bool = False
    """Only those that can answer now."""


class RepositoryModel(msgspec.Struct, frozen=True):
    """One line of the repository index."""

    name: str
    version: str
    state: str
    """`READY` or `UNAVAILABLE`."""
    reason: str


class ScoreRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The records form: `{"rows": [{…}, …], "deadline_ms": 50}`."""

    rows: list[dict[str, Any]]
    deadline_ms: float | None = None
    id: str | None = None


class InferenceError(msgspec.Struct, frozen=True):
    """The only body an error of the scoring side has."""

    error: str


def error_body(error: InferenceError) -> bytes:
    """The body of an error."""
    return msgspec.json.encode(error)
