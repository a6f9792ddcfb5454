"""Sessions as services and doors see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from muster.vocabulary.states import SessionState

CERTIFICATION = "certification"
REPLAY = "replay"


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
