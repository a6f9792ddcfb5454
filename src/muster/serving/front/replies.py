"""What leaves by HTTP: answers with their headers, errors with their status. Errors have one body, `{"error": "…"}`."""

from typing import Any

import msgspec

from muster.serving.endpoint import Scored
from muster.serving.errors import AnswerFormUnknown, BodyTooLarge, FormUnknown, MethodUnknown
from muster.serving.front.forms import JSON, Answer
from muster.serving.front.messages import Header, Reply
from muster.serving.recalled import Recalled
from muster.vocabulary import errors
from muster.wire.inference import InferenceError, error_body

STATUS_OF_FAMILY: dict[type[errors.MusterError], int] = {
    errors.Invalid: 400,
    errors.NotIdentified: 401,
    errors.NotAllowed: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Refused: 409,
    errors.Overloaded: 429,
    errors.TimedOut: 504,
    errors.Unavailable: 503,
    errors.Damaged: 500,
}
#: Callers of gRPC get it in a header, of which 8 KiB are all that most take.
_LONGEST_MESSAGE = 1000
_STATUS_OF_LEAF: dict[type[errors.MusterError], int] = {
    AnswerFormUnknown: 406,
    BodyTooLarge: 413,
    FormUnknown: 415,
    MethodUnknown: 405,
}


def told(error: errors.MusterError) -> str:
    """The message of an error, cut short where it would hold pages of what the caller sent."""
    return error.message if len(error.message) <= _LONGEST_MESSAGE else error.message[: _LONGEST_MESSAGE - 1] + "…"


def status_of(error: errors.MusterError) -> int:
    """The HTTP status of an error."""
    return _STATUS_OF_LEAF.get(type(error)) or STATUS_OF_FAMILY.get(errors.family_of(error), 500)


def document(content: Any) -> Reply:
    """A JSON document."""
    return Reply(200, msgspec.json.encode(content))


def scored_reply(scored: Scored, answer: Answer) -> Reply:
    """The reply to a request that was answered."""
    headers: list[Header] = [(b"muster-request-id", scored.request_id)]
    if scored.mailbox.plan.document.solo:
        headers.append((b"muster-solo", b"true"))
    if isinstance(scored, Recalled):
        headers.append((b"muster-replayed", b"true"))
    if answer.json_bytes is not None:
        headers.append((b"inference-header-content-length", b"%d" % answer.json_bytes))
    headers.extend(answer.headers)
    parts = answer.parts
    body = parts[0] if len(parts) == 1 and isinstance(parts[0], bytes) else [memoryview(part) for part in parts]
    return Reply(200, body, tuple(headers), answer.content_type or JSON)


def refusal(error: errors.MusterError) -> Reply:
    """What a caller gets for an error."""
    status = status_of(error)
    headers: list[Header] = [(b"muster-error-code", error.code.encode())]
    if status in {429, 503}:
        headers.append((b"retry-after", str(error.facts.get("retry_after_s", 1)).encode()))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if "allow" in error.facts:
        headers.append((b"allow", str(error.facts["allow"]).encode()))
    if "request_id" in error.facts:
        headers.append((b"muster-request-id", str(error.facts["request_id"]).encode()))
    return Reply(status, error_body(InferenceError(told(error))), tuple(headers))


def internal(error: Exception) -> Reply:
    """What a caller gets when this program is wrong; the log says more."""
    return Reply(500, error_body(InferenceError(f"internal error: {type(error).__name__}")))
