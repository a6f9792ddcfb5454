"""What V2 clients ask about endpoints apart from scores: metadata, configuration, the repository, loading, statistics.

Source: Open Inference Protocol V2, and Triton's extensions `model_configuration`, `model_repository` and `statistics`. An endpoint
is a model to them; its versions are those of the current release.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from muster.serving.errors import ModelNotOrdered, RequestMalformed
from muster.serving.plan import Plan
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Field
from muster.wire.inference import ModelMetadata, RepositoryIndexRequest, RepositoryModel, TensorMetadata

#: What the server metadata announces.
EXTENSIONS = (
    "binary_tensor_data",
    "schedule_policy",
    "model_configuration",
    "model_repository",
    "statistics",
    "muster_records",
)
_read_index = msgspec.json.Decoder(RepositoryIndexRequest)


def metadata(plan: Plan) -> ModelMetadata:
    """What a caller can learn of an endpoint before asking."""
    return ModelMetadata(
        name=plan.endpoint,
        versions=versions(plan),
        platform="muster",
        inputs=tuple(_tensor(field) for field in plan.contract.inputs),
        outputs=tuple(_tensor(field) for field in plan.contract.outputs),
    )


def versions(plan: Plan) -> tuple[str, ...]:
    """The numbers of the versions of a plan, each once."""
    return tuple(dict.fromkeys(variant.number for variant in plan.variants))


def _tensor(field: Field) -> TensorMetadata:
    said: dict[str, Any] = {}
    if field.nullable:
        said["nullable"] = True
    if field.default is not None:
        said["default"] = (
            field.default if isinstance(field.default, str) else msgspec.json.encode(field.default).decode()
        )
    if field.unit is not None:
        said["unit"] = field.unit
    if field.labels is not None:
        said["labels"] = ",".join(str(label) for label in field.labels)
    return TensorMetadata(field.name, field.datatype, (-1, *field.shape), said or None)


def configuration(plan: Plan) -> dict[str, Any]:
    """An endpoint's configuration in Triton's form.

    Source: Triton's model_config.proto, as JSON. Rows are its batch dimension, so they are in `max_batch_size` and not in `dims`.
    """
    document = plan.document
    return {
        "name": plan.endpoint,
        "platform": "muster",
        "backend": "muster",
        "version_policy": {"specific": {"versions": [int(number) for number in versions(plan) if number.isdigit()]}},
        "max_batch_size": document.limits.rows,
        "input": [_configured(field, optional=not field.required) for field in plan.contract.inputs],
        "output": [_configured(field) for field in plan.contract.outputs],
        "parameters": {
            name: {"string_value": value}
            for name, value in (
                ("release", str(plan.release)),
                ("policy", document.policy.__struct_config__.tag),
                ("deadline_ms", f"{document.deadline_ms:g}"),
                ("variants", ",".join(variant.version for variant in plan.variants)),
                ("body_bytes", str(document.limits.body_bytes)),
            )
        },
    }


def _configured(field: Field, *, optional: bool = False) -> dict[str, Any]:
    kind = "STRING" if field.datatype is Datatype.BYTES else field.datatype.value
    said: dict[str, Any] = {"name": field.name, "data_type": f"TYPE_{kind}", "dims": list(field.shape) or [1]}
    if optional:
        said["optional"] = True
    return said


def index(body: bytes, plans: Iterable[tuple[Plan, str | None]]) -> list[RepositoryModel]:
    """The repository index.

    Args:
        body: of the request; empty, or `{"ready": true}` for those alone that can answer.
        plans: the endpoints that the caller may use, each with why it cannot answer now, or None.

    Raises:
        RequestMalformed: the body is something else.
    """
    try:
        asked = _read_index.decode(body) if body.strip() else RepositoryIndexRequest()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestMalformed(f'the body is neither empty nor {{"ready": true}}: {error}') from error
    return [
        RepositoryModel(plan.endpoint, number, "READY" if why is None else "UNAVAILABLE", why or "")
        for plan, why in plans
        if why is None or not asked.ready
        for number in versions(plan)
    ]


def load(plan: Plan, body: bytes) -> None:
    """An order to load an endpoint that is served: there is nothing to do.

    Raises:
        ModelNotOrdered: it comes with a configuration or files, which only a release may bring.
        RequestMalformed: the body is no JSON object.
    """
    if not body.strip():
        return
    try:
        asked = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestMalformed(f"the body is no JSON object: {error}") from error
    if asked.get("parameters"):
        raise ModelNotOrdered(
            f"endpoint {plan.endpoint!r} takes no configuration and no files with an order to load: a release says what it runs",
            endpoint=plan.endpoint,
        )


def unload(plan: Plan) -> ModelNotOrdered:
    """The refusal of an order to unload an endpoint."""
    return ModelNotOrdered(
        f"endpoint {plan.endpoint!r} is not unloaded by order: a release says which models it runs",
        endpoint=plan.endpoint,
    )
