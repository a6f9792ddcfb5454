"""Sessions as services and doors see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from muster.vocabulary.states import SessionState

CERTIFICATION = "certification"
REPLAY = "replay"


#: How often work that was interrupted is begun, the first time included.
MOST_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A part of the work that is done, and need not be done again when the rest was interrupted."""

    name: str
    """The name of a check."""
    key: str
    """Digest of all that it was made from; made from anything else, it is of no use."""
    content: Mapping[str, Any]
    """JSON-able."""
    attempt: int
    """In which attempt it was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One execution of long work."""

    id: str
    """`s-` and 32 hexadecimal digits."""
    kind: str
    """What work: `certification`, `replay`."""
    subject: str
    """What it is about: `churn:3`, a request id."""
    project: str
    state: SessionState
    requested_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    executor: str | None
    """Who works, or worked, on it."""
    progress: tuple[str, ...]
    """What it has said so far, one line each."""
    result: Mapping[str, Any] | None
    """What came of it, once it is `passed` or `failed`; JSON-able."""
    attempt: int = 0
    """How often the work was begun; 0: not yet."""
    deaths: int = 0
    """How many attempts ended because a process died."""
    ahead: int | None = None
    """How many sessions wait that will be begun before this one; None: it does not wait, or that was not asked for."""
    lines: int = 0
    """How many lines of progress there are; `progress` may begin later than with the first."""
    kept: tuple[Kept, ...] = ()
    """What is done of it already, while it goes on; empty where that was not asked for."""
