"""Sessions as services and doors see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from muster.vocabulary.names import VersionName
from muster.vocabulary.states import SessionState

CERTIFICATION = "certification"
REPLAY = "replay"


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
