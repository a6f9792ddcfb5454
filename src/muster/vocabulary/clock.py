"""Time as Muster keeps it: RFC 3339 UTC with microseconds in documents, int64 nanoseconds in segments."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time; handed to whatever needs it, so that tests can hold it still."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.now(UTC)


class FixedClock:
    """A clock that stands still until it is moved."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        """The moment it was set to."""
        return self.at


def rfc3339(moment: datetime) -> str:
    """`2026-11-21T09:30:00.000123Z`: always UTC, always six digits, so that text sorts as time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_rfc3339(text: str) -> datetime:
    """The moment that `rfc3339` wrote."""
    return datetime.fromisoformat(text)


def rfc3339_of_ns(nanoseconds: int) -> str:
    """A moment given as nanoseconds since 1970, as a document writes it (microseconds, cut off)."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest // 1000:06d}Z"


def wall_ns() -> int:
    """Nanoseconds since 1970 by the machine's clock, as segments hold them."""
    return time.time_ns()
