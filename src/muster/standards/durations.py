"""Spans of time as a standard writes them: `180d`, `4h`, `30m`."""

import re
from datetime import timedelta

from muster.standards.errors import StandardMalformed

_SPAN = re.compile(r"([1-9][0-9]{0,5})(m|h|d)")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_LONGEST = timedelta(days=3660)


def span_of(text: str, where: str) -> timedelta:
    """The span of time that a text means.

    Raises:
        StandardMalformed: it means none, or more than ten years.
    """
    found = _SPAN.fullmatch(text)
    if found is None or (span := int(found[1]) * _UNITS[found[2]]) > _LONGEST:
        raise StandardMalformed(
            f"{where}: {text!r} is not like 180d, 4h or 30m, ten years at most", where=where, value=text[:80]
        )
    return span


def span_text(span: timedelta) -> str:
    """A span of time as a standard writes it."""
    minutes = int(span.total_seconds() // 60)
    if minutes % 1440 == 0:
        return f"{minutes // 1440}d"
    return f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"
