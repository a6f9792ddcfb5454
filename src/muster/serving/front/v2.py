"""The Open Inference Protocol V2: a body becomes a checked request.

Source: Open Inference Protocol V2, REST specification. The deadline comes as `parameters.timeout`, microseconds, as in the schedule
policy extension.
"""

from typing import Any

import msgspec

from muster.serving.errors import FormUnknown, OutputUnknown, RequestMalformed
from muster.serving.front.binary import flag, json_part, with_raw_tensors
from muster.serving.front.compiled import compiled
from muster.serving.front.forms import JSON_NAMES, OCTETS, Asked, is_utf8, media_type
from muster.serving.plan import Plan
from muster.wire.inference import InferRequest, RequestedOutput

_read = msgspec.json.Decoder(InferRequest)
_LONGEST_TIMEOUT_US = 2**63
_REFUSED_OF_OUTPUTS = {
    "classification": "this server does not announce the extension classification",
    "shared_memory_region": "this server does not write to shared memory",
}


def read(plan: Plan, body: bytes, json_bytes: int | None = None) -> Asked:
    """The checked request in a body.

    Args:
        plan: under which it is asked.
        body: the whole body, as it was before any `Content-Encoding`.
        json_bytes: what the header `Inference-Header-Content-Length` says; None: there is none.

    Raises:
        RequestMalformed: it is no V2 inference request.
        OutputUnknown: it asks for an output that there is not.
        ContractBroken: its tensors do not keep the contract.
    """
    usual = compiled(plan).tensors(body) if json_bytes is None else None
    if usual is not None:
        request, table = usual
        if request.parameters is None and request.outputs is None:
            return Asked(table, request.id)
    else:
        try:
            request = _read.decode(json_part(body, json_bytes))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RequestMalformed(f"the body is not a V2 inference request: {error}") from error
        request = with_raw_tensors(request, body, json_bytes)
        table = None
    granted_s = timeout_s(request.parameters)
    flag(request.parameters, "binary_data_output", "parameters")
    if request.outputs:
        check_outputs(request.outputs, plan)
    if table is None:
        table = plan.checker.check_tensors(request.inputs)
    return Asked(table, request.id, granted_s, request.parameters, request.outputs)


def check_content_type(header: bytes | None) -> None:
    """See that a body may be a V2 request.

    Raises:
        FormUnknown: it says that it is something else.
    """
    name, parameters = media_type(header)
    if name and name != OCTETS and (name not in JSON_NAMES or not is_utf8(parameters)):
        raise FormUnknown(
            f"the body is {name.decode('latin-1')!r}; a V2 request is application/json, or application/octet-stream with raw tensors"
        )


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


def check_outputs(outputs: tuple[RequestedOutput, ...], plan: Plan) -> None:
    """See that the outputs that a request wants are there.

    Raises:
        OutputUnknown: one is not.
        RequestMalformed: one is wanted twice, or in a form that is not given.
    """
    for output in outputs:
        if plan.contract.output(output.name) is None:
            has = ", ".join(field.name for field in plan.contract.outputs)
            raise OutputUnknown(
                f"endpoint {plan.endpoint!r} has no output {output.name[:80]!r}; it has {has}", output=output.name[:80]
            )
        flag(output.parameters, "binary_data", f"output {output.name!r}")
        for parameter, why in _REFUSED_OF_OUTPUTS.items():
            if output.parameters is not None and parameter in output.parameters:
                raise RequestMalformed(f"output {output.name!r} has the parameter {parameter}: {why}")
    if len({output.name for output in outputs}) < len(outputs):
        raise RequestMalformed("an output is asked for twice")
