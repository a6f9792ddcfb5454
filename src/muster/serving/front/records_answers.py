"""The records form: a decision becomes one answer per row, as JSON, NDJSON or Arrow."""

from importlib import import_module
from typing import Any

import msgspec

from muster.packaging.columns import Column, Table, values_of
from muster.serving.endpoint import Scored
from muster.serving.front.answered import Answerer, answerer, answerers, fact_names, weights_of, weights_text
from muster.serving.front.forms import ARROW, JSON, NDJSON, Answer
from muster.serving.plan import Plan

_encoder = msgspec.json.Encoder()
_encode = _encoder.encode
_KEPT = 1024
_tails: dict[tuple[str, int, str], bytes] = {}
_members: dict[str, bytes] = {}


def answer(scored: Scored, form: bytes = JSON) -> Answer:
    """The answer in a form that `records.answer_form` gave."""
    if form is JSON:
        return Answer((_json(scored),), JSON)
    mailbox = scored.mailbox
    request_id, release = scored.request_id.decode(), str(mailbox.plan.release)
    facts = {"request-id": request_id, "release": release}
    weights = weights_of(scored)
    if weights is not None:
        facts["weights"] = weights_text(weights)
    # The lead header Muster-Request-Id is on every answer, whatever its form.
    headers = tuple(
        (f"muster-{name}".encode(), value.encode()) for name, value in facts.items() if name != "request-id"
    )
    outputs = scored.outputs()
    if form == ARROW:
        columns = _fact_columns(scored, outputs)
        named = {f"muster.{name.replace('-', '_')}": value for name, value in facts.items()}
        body: bytes = import_module("muster.serving.front.arrow").write_arrow(outputs, columns, named)
        return Answer((body,), ARROW, headers=headers)
    return Answer((_encoder.encode_lines(_rows(scored, outputs)),), NDJSON, headers=headers)


def _json(scored: Scored) -> bytes:
    mailbox = scored.mailbox
    plan, decision = mailbox.plan, scored.decision
    outputs = scored.outputs()
    document = b'{"request_id":"%b","release":%d,' % (scored.request_id, plan.release)
    if mailbox.rows == 1 and decision.chosen is None and decision.weights is None:
        # Nearly every answer: what is the same in each is encoded once.
        members = [_member(name, column) for name, column in outputs.columns.items()]
        return b'%b"answers":[{%b%b' % (
            document,
            b"".join(members),
            _tail(plan, decision.variant, decision.reason, outputs),
        )
    weights = weights_of(scored)
    if weights is not None:
        document += b'"weights":%b,' % _encode(weights)
    return b'%b"answers":%b}' % (document, _encode(_rows(scored, outputs)))


def _member(name: str, column: Column) -> bytes:
    key = _members.get(name)
    if key is None:
        if len(_members) >= _KEPT:
            _members.clear()
        key = _members[name] = _encode(name)
    return b"%b:%b," % (key, _encode(values_of(column)[0]))


def _tail(plan: Plan, variant: int, reason: str, outputs: Table) -> bytes:
    key = plan.digest, variant, reason
    tail = _tails.get(key)
    if tail is None:
        if len(_tails) >= _KEPT:
            _tails.clear()
        by = answerer(plan, variant)
        facts = dict(zip(fact_names(tuple(outputs.columns)), (by.version, by.role, reason), strict=True))
        tail = _tails[key] = _encode(facts)[1:] + b"]}"
    return tail


def _rows(scored: Scored, outputs: Table) -> list[dict[str, Any]]:
    """One object per row: its outputs, and who answered it."""
    columns = _fact_columns(scored, outputs)
    names = (*outputs.columns, *columns)
    values = [*(values_of(column) for column in outputs.columns.values()), *columns.values()]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def _fact_columns(scored: Scored, outputs: Table) -> dict[str, list[str]]:
    """Variant, role and reason of each row, under names that no output has."""
    mailbox, decision = scored.mailbox, scored.decision
    by: list[Answerer] = answerers(scored) or [answerer(mailbox.plan, decision.variant)] * mailbox.rows
    variant, role, reason = fact_names(tuple(outputs.columns))
    return {
        variant: [one.version for one in by],
        role: [one.role for one in by],
        reason: [decision.reason] * mailbox.rows,
    }
