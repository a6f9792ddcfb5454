"""The console that every command prints on; slow to load, so it is imported by whoever prints."""

import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from muster.cli import harmless


class HarmlessConsole(Console):
    """Prints text as text: no markup is looked for in it, and nothing in it reaches the terminal as a command.

    Styles and cursor movements that a command orders itself are not part of any text, and stay what they are.

    Args:
        options: of `rich.console.Console`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of what is to be printed: every way to the terminal leads through here."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=harmless.lines(segment.text))


def of_results() -> HarmlessConsole:
    """Stdout. In a pipe nothing is wrapped: another program, or grep, reads it line by line."""
    return HarmlessConsole(width=None if sys.stdout.isatty() else 10_000, soft_wrap=False)


def of_progress() -> HarmlessConsole:
    """Stderr."""
    return HarmlessConsole(stderr=True)
