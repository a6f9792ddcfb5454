"""The Open Inference Protocol V2: a decision becomes the body of an answer.

What is the same in every answer of a plan is encoded once. Tensors that are wanted as bytes are handed on as they came from the
host.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from muster.packaging.columns import Buffer, Column, array_of, elements_of, nulls_of, values_of
from muster.serving.endpoint import Scored
from muster.serving.front.answered import Answerer, answerer, answerers, weights_of, weights_text
from muster.serving.front.binary import flag
from muster.serving.front.forms import JSON, OCTETS, Answer, Asked
from muster.serving.plan import Plan
from muster.vocabulary.tensors import FLOATS
from muster.wire.contracts import Field

#: Up to so many rows, an answer names the variant of each.
_ROWS_NAMED = 64
_KEPT = 1024
_encode = msgspec.json.Encoder().encode
_heads: dict[tuple[str, int, str], bytes] = {}
_tensor_heads_kept: dict[tuple[str, int], tuple[tuple[str, bytes], ...]] = {}


def answer(scored: Scored, asked: Asked) -> Answer:
    """The answer to a V2 request."""
    mailbox = scored.mailbox
    request_id = scored.request_id
    parts = [
        _head(scored),
        b'"request_id":"',
        request_id,
        b'"},"id":',
        b'"%b"' % request_id if asked.id is None else _encode(asked.id),
        b',"outputs":[',
    ]
    columns = scored.outputs().columns
    raw: list[Buffer] = []
    if asked.parameters is None and asked.outputs is None:  # nearly always
        separator = b""
        for name, head in _tensor_heads(mailbox.plan, mailbox.rows):
            column = columns.get(name)
            if column is not None:
                parts += (separator, head, b'"data":', _encode(_flat(column)), b"}")
                separator = b","
    else:
        _add_wanted(parts, raw, mailbox.plan, mailbox.rows, columns, asked)
    parts.append(b"]}")
    document = b"".join(parts)
    if not raw:
        return Answer((document,), JSON)
    return Answer((document, *raw), OCTETS, len(document))


def _add_wanted(
    parts: list[bytes], raw: list[Buffer], plan: Plan, rows: int, columns: Mapping[str, Column], asked: Asked
) -> None:
    """The outputs that were asked for, each as text or as bytes."""
    by_default = flag(asked.parameters, "binary_data_output", "parameters") or False
    wanted = {output.name: output for output in asked.outputs} if asked.outputs else None
    separator = b""
    for name, head in _tensor_heads(plan, rows):
        column = columns.get(name)
        if column is None or (wanted is not None and name not in wanted):
            continue
        is_raw = by_default
        if wanted is not None:
            said = flag(wanted[name].parameters, "binary_data", name)
            is_raw = by_default if said is None else said
        data = _raw(column) if is_raw else None
        parts += (separator, head)
        if data is None:
            parts += (b'"data":', _encode(_flat(column)), b"}")
        else:
            parts.append(b'"parameters":{"binary_data_size":%d}}' % len(data))
            raw.append(data)
        separator = b","


def _head(scored: Scored) -> bytes:
    """The beginning of an answer's document, up to and into its parameters."""
    decision, plan = scored.decision, scored.mailbox.plan
    if decision.chosen is None and decision.weights is None:
        key = plan.digest, decision.variant, decision.reason
        head = _heads.get(key)
        if head is None:
            if len(_heads) >= _KEPT:
                _heads.clear()
            head = _heads[key] = _made_head(plan, answerer(plan, decision.variant), decision.reason, {})
        return head
    rows = answerers(scored)
    if rows is None:
        weights = weights_of(scored)
        further = {} if weights is None else {"weights": weights_text(weights)}
        return _made_head(plan, answerer(plan, decision.variant), decision.reason, further)
    distinct = list(dict.fromkeys(rows))
    together = (
        distinct[0]
        if len(distinct) == 1
        else Answerer(
            ",".join(one.version for one in distinct), "combined", ",".join(dict.fromkeys(one.role for one in distinct))
        )
    )
    named = {"variants": ",".join(one.version for one in rows)} if len(rows) <= _ROWS_NAMED else {}
    return _made_head(plan, together, decision.reason, named)


def _made_head(plan: Plan, by: Answerer, reason: str, further: dict[str, str]) -> bytes:
    parameters: dict[str, Any] = {
        "release": plan.release,
        "variant": by.version,
        "role": by.role,
        "reason": reason,
        **further,
    }
    document = {"model_name": plan.endpoint, "model_version": by.number, "parameters": parameters}
    return _encode(document)[:-2] + b","


def _tensor_heads(plan: Plan, rows: int) -> tuple[tuple[str, bytes], ...]:
    """For each output of the contract its name, and the beginning of its tensor."""
    key = plan.digest, rows
    heads = _tensor_heads_kept.get(key)
    if heads is None:
        if len(_tensor_heads_kept) >= _KEPT:
            _tensor_heads_kept.clear()
        heads = _tensor_heads_kept[key] = tuple(
            (field.name, _tensor_head(field, rows)) for field in plan.contract.outputs
        )
    return heads


def _tensor_head(field: Field, rows: int) -> bytes:
    document = {"name": field.name, "datatype": field.datatype, "shape": [rows, *field.shape]}
    return _encode(document)[:-1] + b","


def _flat(column: Column) -> list[Any]:
    """The elements of a column, row-major; null for each element of a row that is null."""
    if not column.shape:
        return values_of(column)
    elements = elements_of(column)
    nulls = nulls_of(column)
    if nulls is not None:
        size = len(elements) // len(nulls)
        for row in np.flatnonzero(nulls).tolist():
            elements[row * size : (row + 1) * size] = [None] * size
    return elements


def _raw(column: Column) -> Buffer | None:
    """The column's bytes; None where they cannot say which rows are null, as only a scalar float can, by NaN."""
    nulls = nulls_of(column)
    if nulls is None:
        return column.data
    if column.datatype not in FLOATS or column.shape:
        return None
    values = array_of(column).copy()
    values[nulls] = np.nan
    return values.tobytes()
