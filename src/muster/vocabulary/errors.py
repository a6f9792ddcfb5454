"""The families of errors, and what each means to whoever meets it.

    MusterError
    ├── Invalid          what was given is malformed: mend it and ask again
    ├── NotIdentified    no token, or one that is unknown, expired or revoked
    ├── NotAllowed       identified, but without the right; or one's own work at a gate
    ├── NotFound         no such thing, or not for this caller
    ├── Conflict         the state of the thing does not permit the deed
    ├── Refused          judged and turned down: a check, a gate or a rule said no
    ├── Overloaded       too much at once: come back later
    ├── TimedOut         nothing could be given in time
    ├── Unavailable      a part that is needed does not run
    └── Damaged          stored bytes are not what was stored

Leaves live in the room that raises them. A leaf has a stable `code` (`room.what-happened`), a docstring that explains
it (it is printed in docs/reference/errors.md) and an `advice` that says what to do next. Doors map families to HTTP
statuses and exit codes; nothing below a door knows either.
"""

from typing import Any, ClassVar


class MusterError(Exception):
    """Something that Muster can name went wrong.

    Args:
        message: what was wrong and where, one sentence, with the values that matter.
        facts: the same as data, JSON-serialisable; they travel in the problem document.
    """

    code: ClassVar[str] = "muster.error"
    advice: ClassVar[str] = ""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts

    def says_instead(self, message: str) -> None:
        """Change the message, where somebody further up knows more of what happened."""
        self.message = message
        self.args = (message,)

    def diagnostics(self) -> str:
        """The message and what to do next, for a person."""
        return f"{self.message}\n{self.advice}" if self.advice else self.message


class Invalid(MusterError):
    """What was given is malformed."""

    code = "muster.invalid"


class NotIdentified(MusterError):
    """The caller gave no token, or one that is unknown, expired or revoked."""

    code = "muster.not-identified"
    advice = "Give a valid token: `muster login URL`, MUSTER_TOKEN, or the header `Authorization: Bearer …`."


class NotAllowed(MusterError):
    """The caller is known but lacks the right."""

    code = "muster.not-allowed"


class NotFound(MusterError):
    """There is no such thing."""

    code = "muster.not-found"


class Conflict(MusterError):
    """The present state does not permit this."""

    code = "muster.conflict"


class Refused(MusterError):
    """It was judged, and turned down."""

    code = "muster.refused"


class Overloaded(MusterError):
    """Too much at once."""

    code = "muster.overloaded"
    advice = "Wait as long as Retry-After says, then ask again."


class TimedOut(MusterError):
    """Nothing could be given in time."""

    code = "muster.timed-out"


class Unavailable(MusterError):
    """A part that is needed does not run or cannot be reached."""

    code = "muster.unavailable"


class Damaged(MusterError):
    """Stored bytes are not the bytes that were stored."""

    code = "muster.damaged"


FAMILIES: tuple[type[MusterError], ...] = (
    Invalid,
    NotIdentified,
    NotAllowed,
    NotFound,
    Conflict,
    Refused,
    Overloaded,
    TimedOut,
    Unavailable,
    Damaged,
)


def family_of(error: MusterError) -> type[MusterError]:
    """The family an error belongs to; `MusterError` itself for one outside every family."""
    return next((family for family in FAMILIES if isinstance(error, family)), MusterError)


def leaves() -> list[type[MusterError]]:
    """Every concrete error class loaded so far, families included, sorted by code."""
    found: list[type[MusterError]] = []
    open_ends: list[type[MusterError]] = [MusterError]
    while open_ends:
        kind = open_ends.pop()
        open_ends.extend(kind.__subclasses__())
        found.append(kind)
    return sorted(found, key=lambda kind: kind.code)
