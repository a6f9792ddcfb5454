"""The Open Inference Protocol V2 over JSON, as structs.

Source: Open Inference Protocol V2, REST specification (server and model metadata, health, inference). Unknown fields pass,
as the protocol allows extensions.
"""

from typing import Any

import msgspec

Parameters = dict[str, str | float | int | bool]


class InferTensor(msgspec.Struct, frozen=True, omit_defaults=True):
    """One input or output tensor; `data` nested or flat, row-major."""

    name: str
    shape: tuple[int, ...]
    datatype: str
    data: list[Any]
    parameters: dict[str, Any] | None = None


class RequestedOutput(msgspec.Struct, frozen=True):
    """An output that the caller wants; others are left out."""

    name: str
    parameters: dict[str, Any] | None = None


class InferRequest(msgspec.Struct, frozen=True):
    """A V2 inference request."""

    inputs: tuple[InferTensor, ...]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: tuple[RequestedOutput, ...] | None = None


class InferResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """A V2 inference response."""

    model_name: str
    model_version: str
    id: str
    parameters: Parameters
    outputs: tuple[InferTensor, ...]


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


class ScoreRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The records form: `{"rows": [{…}, …], "deadline_ms": 50}`."""

    rows: list[dict[str, Any]]
    deadline_ms: float | None = None
    id: str | None = None


class InferenceError(msgspec.Struct, frozen=True):
    """The only body an error of the scoring side has."""

    error: str
