"""Durations as people write them: `100ms`, `2s`, `1m30s`."""

import math
import re
from datetime import timedelta

from muster.client.errors import DurationMalformed

Duration = timedelta | str | float
_UNITS_MS = {"us": 0.001, "µs": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0, "h": 3_600_000.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(us|µs|ms|s|m|h)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")


def milliseconds_of(duration: Duration) -> float:
    """How many milliseconds a duration is.

    Args:
        duration: a `timedelta`, a text like `100ms`, or a bare number, which counts as milliseconds.

    Raises:
        DurationMalformed: it is none of these, or not above zero.
    """
    found = _read(duration)
    if found is None or not math.isfinite(found) or found <= 0:
        raise DurationMalformed(f"{duration!r} is not a duration", duration=str(duration))
    return found


def _read(duration: Duration) -> float | None:
    if isinstance(duration, timedelta):
        return duration / timedelta(milliseconds=1)
    if isinstance(duration, str):
        text = duration.replace(" ", "")
        if _WHOLE.fullmatch(text):
            return sum(float(number) * _UNITS_MS[unit] for number, unit in _PART.findall(text))
        return float(text) if re.fullmatch(r"\d+(?:\.\d+)?", text) else None
    return None if isinstance(duration, bool) else float(duration)
