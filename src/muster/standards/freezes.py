"""Freeze windows: times at which nothing goes live, once or every week, by the clock on somebody's wall."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from muster.standards.errors import StandardMalformed

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EDGE = r"(mon|tue|wed|thu|fri|sat|sun)\s+([01][0-9]|2[0-3]):([0-5][0-9])"
_WEEKLY = re.compile(rf"{_EDGE}\s*[-\u2013\u2014]\s*{_EDGE}")
_WEEK_MINUTES = 7 * 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """A time at which nothing goes live."""

    reason: str
    zone: tzinfo
    zone_name: str
    from_: datetime | None = None
    """Once: from then, aware; None: every week."""
    to: datetime | None = None
    begins: int = 0
    """Every week: minutes after Monday, 00:00."""
    ends: int = 0

    def holds(self, moment: datetime) -> bool:
        """Whether it holds at a moment; its first moment belongs to it, its last does not."""
        if self.from_ is not None and self.to is not None:
            return self.from_ <= moment < self.to
        wall = moment.astimezone(self.zone)
        minute = wall.weekday() * 1440 + wall.hour * 60 + wall.minute
        if self.begins < self.ends:
            return self.begins <= minute < self.ends
        return minute >= self.begins or minute < self.ends

    def over(self, moment: datetime) -> datetime:
        """When a freeze that holds at a moment ends."""
        if self.to is not None:
            return self.to
        wall = moment.astimezone(self.zone)
        minute = wall.weekday() * 1440 + wall.hour * 60 + wall.minute
        left = (self.ends - minute) % _WEEK_MINUTES or _WEEK_MINUTES
        # On the wall, not on the line of time: a night on which clocks are set moves the end, not the hour at which it ends.
        naive = wall.replace(tzinfo=None, second=0, microsecond=0) + timedelta(minutes=left)
        return naive.replace(tzinfo=self.zone).astimezone(UTC)

    def __str__(self) -> str:
        if self.from_ is not None and self.to is not None:
            return f"{self.from_.isoformat()} to {self.to.isoformat()}: {self.reason}"
        return f"every week, {_edge(self.begins)} to {_edge(self.ends)} {self.zone_name}: {self.reason}"


def freeze_of(
    from_: datetime | None, to: datetime | None, weekly: str | None, timezone: str, reason: str, *, where: str
) -> Freeze:
    """The freeze window that a standard describes.

    Raises:
        StandardMalformed: it describes none.
    """
    if not reason.strip():
        raise StandardMalformed(f"{where}: a freeze says why: reason", where=where)
    zone = _zone(timezone, where)
    once = from_ is not None and to is not None
    if (weekly is None) != once or (weekly is not None and (from_ is not None or to is not None)):
        raise StandardMalformed(f"{where}: a freeze has either from and to, or weekly", where=where)
    if from_ is not None and to is not None:
        from_, to = (edge if edge.tzinfo else edge.replace(tzinfo=zone) for edge in (from_, to))
        if from_ >= to:
            raise StandardMalformed(f"{where}: it ends before it begins", where=where)
        return Freeze(reason=reason.strip(), zone=zone, zone_name=timezone, from_=from_, to=to)
    found = _WEEKLY.fullmatch((weekly or "").strip().lower())
    if found is None:
        raise StandardMalformed(f'{where}: weekly is not like "fri 16:00 - mon 06:00"', where=where, value=weekly)
    begins, ends = (_DAYS.index(found[at]) * 1440 + int(found[at + 1]) * 60 + int(found[at + 2]) for at in (1, 4))
    if begins == ends:
        raise StandardMalformed(f"{where}: weekly begins and ends at the same minute", where=where)
    return Freeze(reason=reason.strip(), zone=zone, zone_name=timezone, begins=begins, ends=ends)


def _zone(name: str, where: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise StandardMalformed(
            f"{where}: timezone {name[:80]!r} is none that this machine knows; write it like Europe/Zurich", where=where
        ) from error


def _edge(minutes: int) -> str:
    return f"{_DAYS[minutes // 1440]} {minutes % 1440 // 60:02}:{minutes % 60:02}"
