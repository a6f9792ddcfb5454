"""Values as people read them: numbers, moments, digests, cells."""

import json
import math
from datetime import datetime
from typing import Any

_DIGITS = 4
_MOST_PLAIN = 1e6
_LEAST_PLAIN = 1e-4


def number(value: float) -> str:
    """A number with four significant digits, whole ones in full.

    Example:
        >>> [number(one) for one in (0.84761, 12345, 0.0000123, 1234.5678, 2.0)]
        ['0.8476', '12,345', '1.23e-05', '1,235', '2']
    """
    if isinstance(value, int) or (math.isfinite(value) and value == int(value) and abs(value) < _MOST_PLAIN):
        return f"{int(value):,}"
    if not math.isfinite(value):
        return str(value)
    if not _LEAST_PLAIN <= abs(value) < _MOST_PLAIN:
        return f"{value:.{_DIGITS}g}"
    places = max(_DIGITS - 1 - math.floor(math.log10(abs(value))), 0)
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def told(value: Any) -> str:
    """A figure, a limit or a cell in words; nothing is an dash.

    Example:
        >>> [told(one) for one in (None, True, 0.5, "scoring.late", ["a", 1])]
        ['—', 'yes', '0.5', 'scoring.late', '["a", 1]']
    """
    match value:
        case None:
            return "—"
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return number(value)
        case str():
            return value
        case _:
            return json.dumps(value, ensure_ascii=False)


def shortened(text: str, most: int) -> str:
    """The text, cut where it is longer.

    Example:
        >>> shortened("region=north", 8)
        'region=…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def moment(text: str | None) -> str:
    """A moment of RFC 3339 to the minute, with its zone; as it is, if it is none.

    Example:
        >>> moment("2026-11-22T05:25:14.000000Z")
        '2026-11-22 05:25 UTC'
    """
    if not text:
        return "—"
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return text
    zone = "" if found.tzinfo is None else f" {'UTC' if not found.utcoffset() else found.strftime('%z')}"
    return f"{found:%Y-%m-%d %H:%M}{zone}"


def digest(text: str | None) -> str:
    """The first twelve digits of a digest.

    Example:
        >>> digest("sha256:acfa969f8629e54d0000")
        'sha256:acfa969f8629…'
    """
    if not text:
        return "—"
    kind, colon, digits = text.rpartition(":")
    return f"{kind}{colon}{shortened(digits, 13)}"


def counted(count: int, one: str, many: str = "") -> str:
    """A number of things.

    Example:
        >>> counted(1, "check"), counted(3, "check")
        ('1 check', '3 checks')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"
