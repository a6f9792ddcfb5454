"""Which HTTP status a family of errors is, and what the family is called; the only place that knows."""

from muster.api.errors import BodyTooLarge, ContentTypeUnfit, MethodUnknown
from muster.vocabulary.errors import (
    Conflict,
    Damaged,
    Invalid,
    MusterError,
    NotAllowed,
    NotFound,
    NotIdentified,
    Overloaded,
    Refused,
    TimedOut,
    Unavailable,
    family_of,
)
from muster.wire.problems import Problem, problem_of

#: Family → (status, title).
STATUSES: dict[type[MusterError], tuple[int, str]] = {
    Invalid: (400, "What was given is malformed"),
    NotIdentified: (401, "The caller is not identified"),
    NotAllowed: (403, "The caller may not do this"),
    NotFound: (404, "There is no such thing"),
    Conflict: (409, "The present state does not permit this"),
    Refused: (422, "It was judged and turned down"),
    Overloaded: (429, "Too much at once"),
    TimedOut: (504, "Nothing could be given in time"),
    Unavailable: (503, "A part that is needed does not run"),
    Damaged: (500, "Stored bytes are not what was stored"),
    MusterError: (500, "A fault inside Muster"),
}

#: Leaves for which HTTP has a status of its own.
LEAF_STATUSES: dict[type[MusterError], int] = {MethodUnknown: 405, BodyTooLarge: 413, ContentTypeUnfit: 415}


def described(error: MusterError, *, instance: str = "") -> Problem:
    """The problem document of an error, with its status and its family's title."""
    status, title = STATUSES[family_of(error)]
    return problem_of(error, status=LEAF_STATUSES.get(type(error), status), title=title, instance=instance)
