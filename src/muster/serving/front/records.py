"""The records form: `{"rows": [{…}, …]}` in, one answer per row out."""

import msgspec

from muster.packaging.columns import Table
from muster.serving.endpoint import Scored
from muster.serving.errors import RequestMalformed
from muster.serving.plan import Plan
from muster.vocabulary.request_ids import request_id_text
from muster.wire.inference import ScoreRequest

_read = msgspec.json.Decoder(ScoreRequest)
_write = msgspec.json.Encoder()


def read_request(body: bytes) -> ScoreRequest:
    """The request in a body.

    Raises:
        RequestMalformed: the body is no JSON, or not of the records form.
    """
    try:
        request = _read.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestMalformed(
            f'the body is not of the form {{"rows": [{{…}}, …], "deadline_ms": 50}}: {error}'
        ) from error
    if request.deadline_ms is not None and request.deadline_ms <= 0:
        raise RequestMalformed(f"deadline_ms is {request.deadline_ms!r}; it is a number of milliseconds above 0")
    return request


def response(scored: Scored) -> bytes:
    """The body of an answer."""
    mailbox = scored.mailbox
    table = scored.outputs()
    why = {"variant": scored.version, "role": scored.role, "reason": scored.decision.reason}
    return _write.encode(
        {
            "request_id": request_id_text(mailbox.request_id),
            "release": mailbox.plan.release,
            "answers": [record | why for record in mailbox.plan.checker.records_of(table)],
        }
    )


def rows_of(request: ScoreRequest, plan: Plan) -> Table:
    """The request's rows as checked columns; raises what the contract check raises."""
    return plan.checker.check_records(request.rows)
