"""Tables as Markdown: aligned, so that they can be read in a terminal and pasted into a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """The table under its title."""
        cells = [self.columns, *self.rows]
        widths = [max(len(row[at]) for row in cells) for at in range(len(self.columns))]

        def line(row: Sequence[str]) -> str:
            first, *rest = (
                cell.ljust(width) if at == 0 else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            return "| " + " | ".join([first, *rest]) + " |"

        rule = (
            "|"
            + "|".join(
                "-" * (width + 2 if at == 0 else width + 1) + ("" if at == 0 else ":")
                for at, width in enumerate(widths)
            )
            + "|"
        )
        notes = [f"\n{note}" for note in self.notes]
        return "\n".join([f"### {self.title}\n", line(self.columns), rule, *map(line, self.rows), *notes])


def number(value: float | None, digits: int = 0) -> str:
    """A figure with thousands separated; a dash where there is none."""
    if value is None or value != value:  # noqa: PLR0124 - not a number
        return "-"
    return f"{value:,.{digits}f}"


def ms(value: float) -> str:
    """Milliseconds with as many digits as mean something."""
    return number(value, 2 if value < 10 else 1 if value < 100 else 0)


def ratio(value: float | None, of: float | None) -> str:
    """How many times as much."""
    return f"{value / of:.2f}x" if value and of else "-"


def percent(value: float, digits: int = 3) -> str:
    """A share."""
    return f"{100 * value:.{digits}f} %"


def counts(found: dict[str, Any]) -> str:
    """Counts by what they count."""
    return ", ".join(f"{number(count)} x {name}" for name, count in found.items()) or "-"
