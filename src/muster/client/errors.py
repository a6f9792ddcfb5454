"""What a caller of the library can meet: the factory's own errors by family, and a few that only a client has.

The factory answers with a problem document (RFC 9457) whose `family` names an exception of `vocabulary.errors` and
whose `code` names the leaf. The client raises that family, with the code, the advice and the facts of the document:

    try:
        factory.accept("churn:3", "looks right")
    except muster.vocabulary.errors.NotAllowed as error:
        error.code        # "release.own-work"
        error.facts       # {"version": "churn:3", …}
"""

from typing import Any

import msgspec

from muster.vocabulary.errors import (
    Conflict,
    Invalid,
    MusterError,
    NotAllowed,
    NotFound,
    NotIdentified,
    Overloaded,
    Refused,
    TimedOut,
    Unavailable,
)
from muster.wire.inference import InferenceError
from muster.wire.problems import FAMILY_NAMES, Problem


class FactoryUnreachable(Unavailable):
    """Nothing answers at the address of the factory or of its scoring side."""

    code = "client.unreachable"
    advice = "Start the factory with `muster up`, or name another address: `muster login URL`, MUSTER_URL, MUSTER_SCORING_URL."


class AnswerLate(TimedOut):
    """The address answers, but this answer did not come in time; what was asked for may have been done."""

    code = "client.answer-late"
    advice = "Ask again; a repeated order is recognised by its key and carried out once."


class AnswerNotUnderstood(Unavailable):
    """What came back is no answer of Muster: another program, or a proxy, listens at the address."""

    code = "client.answer-not-understood"
    advice = "Check the address; `curl URL/api/v1/health` shows who answers there."


class AddressMalformed(Invalid):
    """The address of a factory is not a URL like http://localhost:8600."""

    code = "client.address-malformed"
    advice = "Give an address with its scheme: http://localhost:8600."


class TokenMalformed(Invalid):
    """What was given as a token cannot be one."""

    code = "client.token-malformed"
    advice = "Give the token as it was printed: `mst_` and 43 letters, digits, hyphens and underscores."


class LoginUnreadable(Unavailable):
    """The saved login cannot be read or written."""

    code = "client.login-unreadable"
    advice = "See to the rights of the file, or remove it and log in again: `muster login URL`."


class WorkInterrupted(Unavailable):
    """Long work ended without a verdict: it was cancelled, or its process ended three times, or took more than it may."""

    code = "client.work-interrupted"
    advice = "`muster session show SESSION` tells why; then ask for it again: `muster certify` or `muster replay` begins anew."


class TargetExists(Conflict):
    """The file that an export shall be written to is there already; it was not touched."""

    code = "client.target-exists"
    advice = "Name another file, or say --force (`force=True`) to replace it."


class OrderMalformed(Invalid):
    """An argument is not what the order takes; nothing was sent."""

    code = "client.order-malformed"


class DurationMalformed(Invalid):
    """A duration is not written like 100ms, 2s or 1m30s."""

    code = "client.duration-malformed"
    advice = "Write a number and its unit: 100ms, 2s, 1m. A bare number counts as milliseconds."


class RowsNotUnderstood(Invalid):
    """What was given as rows is not a table that can be sent."""

    code = "client.rows-not-understood"
    advice = "Give a pandas or polars DataFrame, an Arrow table, or a list of one dict per row."


#: What a status says where the body does not (a proxy in between, or the scoring side's `{"error": …}`).
_BY_STATUS: dict[int, type[MusterError]] = {
    401: NotIdentified,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    422: Refused,
    429: Overloaded,
    502: Unavailable,
    503: Unavailable,
    504: TimedOut,
}


def error_of_problem(body: bytes, status: int) -> MusterError:
    """The exception that a problem document stands for.

    Args:
        body: of an answer whose status is 400 or above.
        status: of that answer.
    """
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return AnswerNotUnderstood(f"status {status} without a problem document: {shortened(body)}", status=status)
    family = FAMILY_NAMES.get(problem.family, MusterError)
    return with_code(family(problem.detail), code=problem.code, advice=problem.advice, facts=problem.facts)


def error_of_inference(body: bytes, status: int, code: str | None = None) -> MusterError:
    """The exception that an error of the scoring side stands for; its body has only `{"error": …}`."""
    try:
        message = msgspec.json.decode(body, type=InferenceError).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return AnswerNotUnderstood(
            f"status {status} without an error of the protocol: {shortened(body)}", status=status
        )
    family = _BY_STATUS.get(status, Invalid if status < 500 else MusterError)
    return with_code(family(message), code=code or family.code, advice=family.advice, facts={"status": status})


def with_code(error: MusterError, *, code: str, advice: str, facts: dict[str, Any]) -> MusterError:
    """The error with the code and advice of a leaf whose class lies in a room that a client does not have."""
    error.__dict__.update(code=code, advice=advice, facts=facts)
    return error


def shortened(body: bytes, length: int = 200) -> str:
    """The beginning of a body, for a message."""
    text = body[:length].decode(errors="replace").strip()
    return f"{text!r}…" if len(body) > length else repr(text)
