"""A decision becomes the message of an answer: the facts in `parameters`, the outputs raw where the inputs were raw."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from muster.packaging.columns import Buffer, Column, array_of, element_ends, nulls_of
from muster.serving.endpoint import Scored
from muster.serving.front.answered import Answerer, answerer, answerers, weights_of, weights_text
from muster.serving.front.forms import Asked
from muster.serving.front.grpc import open_inference_pb2 as pb
from muster.serving.recalled import Recalled
from muster.vocabulary.request_ids import request_id_text
from muster.vocabulary.tensors import FLOATS, Datatype

#: Up to so many rows, an answer names the variant of each.
_ROWS_NAMED = 64
_CONTENTS = {
    Datatype.BOOL: "bool_contents",
    **dict.fromkeys((Datatype.INT8, Datatype.INT16, Datatype.INT32), "int_contents"),
    **dict.fromkeys((Datatype.UINT8, Datatype.UINT16, Datatype.UINT32), "uint_contents"),
    Datatype.INT64: "int64_contents",
    Datatype.UINT64: "uint64_contents",
    Datatype.FP32: "fp32_contents",
    Datatype.FP64: "fp64_contents",
    Datatype.BYTES: "bytes_contents",
}


def answer(scored: Scored, asked: Asked, *, raw: bool) -> pb.ModelInferResponse:
    """The answer to a request.

    Args:
        scored: what was decided.
        asked: what was asked.
        raw: whether the tensors came as raw contents; the outputs then go so too.
    """
    mailbox = scored.mailbox
    plan = mailbox.plan
    request_id = request_id_text(mailbox.request_id)
    number, facts = _facts(scored)
    response = pb.ModelInferResponse(
        model_name=plan.endpoint, model_version=number, id=request_id if asked.id is None else asked.id
    )
    _put(response.parameters, {**facts, "request_id": request_id})
    wanted = {output.name for output in asked.outputs} if asked.outputs else None
    columns = {
        field: column
        for field in plan.contract.outputs
        if (wanted is None or field.name in wanted) and (column := scored.outputs().columns.get(field.name)) is not None
    }
    # There are no typed contents for FP16, and an answer is wholly the one or the other.
    raw = raw or any(column.datatype is Datatype.FP16 for column in columns.values())
    for field, column in columns.items():
        tensor = response.outputs.add(
            name=field.name, datatype=column.datatype.value, shape=(mailbox.rows, *column.shape)
        )
        data = _without_nulls(column, tensor)
        if raw:
            response.raw_output_contents.append(bytes(data))
        else:
            getattr(tensor.contents, _CONTENTS[column.datatype]).extend(_elements(column.datatype, data))
    return response


def _facts(scored: Scored) -> tuple[str, dict[str, Any]]:
    """What V2 calls the version that answered, and what the answer's parameters say."""
    decision, plan = scored.decision, scored.mailbox.plan
    by = answerer(plan, decision.variant)
    further: dict[str, Any] = {}
    rows = answerers(scored)
    if rows is not None:
        distinct = list(dict.fromkeys(rows))
        by = distinct[0] if len(distinct) == 1 else _together(distinct)
        if len(rows) <= _ROWS_NAMED:
            further["variants"] = ",".join(one.version for one in rows)
    elif (weights := weights_of(scored)) is not None:
        further["weights"] = weights_text(weights)
    if isinstance(scored, Recalled):
        further["replayed"] = True
    facts = {"release": plan.release, "variant": by.version, "role": by.role, "reason": str(decision.reason)}
    return by.number, facts | further


def _together(distinct: Sequence[Answerer]) -> Answerer:
    return Answerer(
        ",".join(one.version for one in distinct), "combined", ",".join(dict.fromkeys(one.role for one in distinct))
    )


def _put(parameters: Any, facts: dict[str, Any]) -> None:
    for name, value in facts.items():
        if isinstance(value, bool):
            parameters[name].bool_param = value
        elif isinstance(value, int):
            parameters[name].int64_param = value
        else:
            parameters[name].string_param = value


def _without_nulls(column: Column, tensor: pb.ModelInferResponse.InferOutputTensor) -> Buffer:
    """The column's bytes; a row that is null is NaN or empty there, and is named in the tensor's parameter `null_rows`."""
    nulls = nulls_of(column)
    if nulls is None:
        return column.data
    tensor.parameters["null_rows"].string_param = ",".join(map(str, np.flatnonzero(nulls).tolist()))
    if column.datatype not in FLOATS:
        return column.data
    values = array_of(column).copy()
    values[nulls] = np.nan
    return values.tobytes()


def _elements(datatype: Datatype, data: Buffer) -> Sequence[Any]:
    if datatype is Datatype.BYTES:
        view, start, found = memoryview(data), 0, []
        for end in element_ends(view):
            found.append(bytes(view[start + 4 : end]))
            start = end
        return found
    values: list[Any] = array_of(Column(datatype, (), data)).tolist()
    return values
