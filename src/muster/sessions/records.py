"""Sessions as services and doors see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from muster.vocabulary.names import VersionName
from muster.vocabulary.states import SessionState

CERTIFICATION = "certification"
REPLAY = "replay"
LIVE_TEST = "live-test"


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
class Measure:
    """A number that was measured in a session, by a definition that does not change."""

    name: str
    """`roc_auc`; of a standard metric, as docs/reference lists it."""
    version: int
    """Of its definition."""
    value: float
    """Finite."""
    over: str
    """What it was computed on: `evaluation:2`, `golden`, `live-test:churn`."""
    slice: str = ""
    """`region=north`; empty: all of it."""
    low: float | None = None
    """Lower end of its interval; None: none was computed."""
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A measure, with where it was taken."""

    session: str
    project: str
    version: VersionName
    measure: Measure
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuresAsked:
    """Which measures are asked for; what is None or empty is any."""

    model: str
    number: int | None = None
    name: str = ""
    over: str = ""
    slice: str | None = ""
    """`region=north`; empty: only those of the whole; None: whole and slices."""
    since: datetime | None = None
    """Of this moment or later."""
    until: datetime | None = None
    """Of before this moment."""
    session: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One execution of long work."""

    id: str
    """`s-` and 32 hexadecimal digits."""
    kind: str
    """What work: `certification`, `replay`, `live-test`."""
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
