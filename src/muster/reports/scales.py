"""From values to places on a drawing, and the round numbers that stand at an axis."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight line from values to places."""

    least: float
    most: float
    first: float
    """Where the least value lies."""
    last: float

    def at(self, value: float) -> float:
        """Where a value lies, to a tenth of a unit of the drawing."""
        return round(self.first + (value - self.least) / (self.most - self.least) * (self.last - self.first), 1)


def span(values: Iterable[float], *, from_zero: bool = False) -> tuple[float, float]:
    """From where to where an axis goes; parts of one go from 0 to 1, and what does not vary gets some room.

    Example:
        >>> span([0.2, 0.9]), span([3.0, 40.0]), span([7.0])
        ((0.0, 1.0), (3.0, 40.0), (6.5, 7.5))
    """
    found = [*values]
    if not found:
        return 0.0, 1.0
    least, most = min(found), max(found)
    if least >= 0 and most <= 1 and most > 0.3:  # small rates would lie flat on the axis
        return 0.0, 1.0
    if from_zero:
        least, most = min(least, 0.0), max(most, 0.0)
    if most - least <= abs(most) * 1e-9:
        room = max(abs(most) * 1e-3, 0.5)
        return least - room, most + room
    return least, most


def ticks(least: float, most: float, wanted: int = 5) -> list[float]:
    """Round numbers between two values, about as many as wanted.

    Example:
        >>> ticks(0.0, 1.0)
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    raw = (most - least) / max(wanted, 1)
    if not raw > 0 or not math.isfinite(raw):
        return [least]
    size = 10.0 ** math.floor(math.log10(raw))
    step = min((part * size for part in _STEPS), key=lambda one: abs(one - raw))
    digits = max(0, 2 - math.floor(math.log10(step)))
    first = math.ceil(least / step - 1e-9)
    last = math.floor(most / step + 1e-9)
    return [round(number * step, min(digits, 300)) + 0.0 for number in range(first, last + 1)]
