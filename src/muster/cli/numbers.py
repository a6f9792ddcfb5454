"""Numbers on the command line: `nan` and `inf` can be typed, and are none."""

import math
from typing import Any

import click


def finite(text: Any) -> float:
    """A number as somebody typed it.

    Raises:
        ValueError: it is none, or not a finite one.
    """
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is not a finite number")
    return number


class FiniteRange(click.FloatRange):
    """A finite number within bounds; used as the `type` of an option. No bound of its own keeps NaN out."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number, if it is one."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number
