"""The Open Inference Protocol V2 over JSON: bodies to columns, answers to bodies.

Source: Open Inference Protocol V2, REST specification. The deadline comes as `parameters.timeout`, microseconds, as in the schedule
policy extension.
"""

from typing import Any

import msgspec

from muster.packaging.columns import Column, Table
from muster.serving.endpoint import Scored
from muster.serving.errors import OutputUnknown, RequestMalformed
from muster.serving.plan import Plan
from muster.vocabulary.request_ids import request_id_text
from muster.wire.contracts import Field
from muster.wire.inference import InferRequest, ModelMetadata, TensorMetadata

_read = msgspec.json.Decoder(InferRequest)
_write = msgspec.json.Encoder()
_LONGEST_TIMEOUT_US = 2**63


def read_request(body: bytes) -> InferRequest:
    """The request in a body.

    Raises:
        RequestMalformed: the body is no JSON, or no V2 inference request.
    """
    try:
        request = _read.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestMalformed(f"the body is not a V2 inference request: {error}") from error
    if request.parameters is not None:
        timeout_s(request.parameters)
    return request


def timeout_s(parameters: dict[str, Any] | None) -> float | None:
    """The deadline in a request's parameters, in seconds from arrival.

    Raises:
        RequestMalformed: `timeout` is not a positive number.
    """
    timeout = (parameters or {}).get("timeout")
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 <= timeout <= _LONGEST_TIMEOUT_US:
        raise RequestMalformed(f"parameters.timeout is {timeout!r}; it is a number of microseconds above 0")
    return timeout / 1e6 if timeout else None  # V2: 0 means no timeout


def check_outputs(request: InferRequest, plan: Plan) -> None:
    """See that every requested output exists.

    Raises:
        OutputUnknown: one does not.
    """
    for output in request.outputs or ():
        if plan.contract.output(output.name) is None:
            has = ", ".join(field.name for field in plan.contract.outputs)
            raise OutputUnknown(
                f"endpoint {plan.endpoint!r} has no output {output.name!r}; it has {has}", output=output.name
            )


def response(scored: Scored, request: InferRequest) -> bytes:
    """The body of an answer."""
    mailbox, plan = scored.mailbox, scored.mailbox.plan
    wanted = None if not request.outputs else {output.name for output in request.outputs}
    table = scored.outputs()
    request_id = request_id_text(mailbox.request_id)
    return _write.encode(
        {
            "model_name": plan.endpoint,
            "model_version": (
                plan.variants[scored.decision.variant].number if scored.decision.variant >= 0 else "default"
            ),
            "id": request.id if request.id is not None else request_id,
            "parameters": {
                "request_id": request_id,
                "release": plan.release,
                "variant": scored.version,
                "role": scored.role,
                "reason": scored.decision.reason,
            },
            "outputs": [
                {
                    "name": name,
                    "datatype": column.datatype,
                    "shape": [table.rows, *column.shape],
                    "data": _flat(plan, column),
                }
                for name, column in table.columns.items()
                if wanted is None or name in wanted
            ],
        }
    )


def _flat(plan: Plan, column: Column) -> list[Any]:
    values: list[Any] = plan.checker.values_of(column)
    while values and isinstance(values[0], list):
        values = [item for row in values for item in row]
    return values


def metadata(plan: Plan) -> ModelMetadata:
    """What a caller can learn of an endpoint before asking."""
    return ModelMetadata(
        name=plan.endpoint,
        versions=tuple(dict.fromkeys(variant.number for variant in plan.variants)),
        platform="muster",
        inputs=tuple(_tensor(field) for field in plan.contract.inputs),
        outputs=tuple(_tensor(field) for field in plan.contract.outputs),
    )


def _tensor(field: Field) -> TensorMetadata:
    said: dict[str, Any] = {}
    if field.nullable:
        said["nullable"] = True
    if field.unit is not None:
        said["unit"] = field.unit
    if field.labels is not None:
        said["labels"] = ",".join(str(label) for label in field.labels)
    return TensorMetadata(field.name, field.datatype, (-1, *field.shape), said or None)


def rows_of(request: InferRequest, plan: Plan) -> Table:
    """The request's tensors as checked columns; raises what the contract check raises."""
    return plan.checker.check_tensors(request.inputs)
