"""What the demo shows: numbered steps, claims with a tick, figures, and progress bars where it takes time."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from muster.demo.errors import ClaimDoesNotHold

_INDENT = 3
#: Called with what has been done so far, and with news if there are any.
Advance = Callable[..., None]


@dataclass(slots=True, kw_only=True)
class Step:
    """One step of the story: what it claimed and measured."""

    number: int
    title: str
    console: Console
    claims: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    passed: bool = False

    def say(self, text: str) -> None:
        """Tell something that is no claim."""
        self._print(Text(text))

    def claim(self, text: str, *, holds: bool) -> None:
        """Say something that is checked.

        Raises:
            ClaimDoesNotHold: it is not so.
        """
        if not holds:
            self._print(Text.assemble(("✗ ", "bold red"), text))
            raise ClaimDoesNotHold(f"step {self.number}: not so: {text}", step=self.number, claim=text)
        self.claims.append(text)
        self._print(Text.assemble(("✓ ", "green"), text))

    def measured(self, **figures: Any) -> None:
        """Keep figures for the document that `--json` prints."""
        self.figures |= figures

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Show figures side by side; columns of numbers stand on the right."""
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        for number, column in enumerate(columns):
            is_text = all(isinstance(row[number], str) and not row[number][:1].isdigit() for row in rows)
            table.add_column(column, justify="left" if is_text else "right", overflow="fold")
        for row in rows:
            table.add_row(*(Text(str(cell)) for cell in row))
        self._print(table)

    def _print(self, what: RenderableType) -> None:
        self.console.print(Padding(what, (0, 0, 0, _INDENT), expand=False), highlight=False)

    @contextmanager
    def progress(self, what: str, total: float | None = None) -> Iterator[Advance]:
        """Show a bar while something goes on; the function it yields takes `done=` and `news=`."""
        if not self.console.is_terminal:
            self._print(Text(f"{what} …", style="dim"))
            yield lambda **_: None
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TimeElapsedColumn(),
            TextColumn(
                "{task.fields[news]}", "dim", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")
            ),
        )
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(what, total=total, news="")

            def advance(*, done: float | None = None, news: str | None = None) -> None:
                bar.update(task, completed=done)
                if news is not None:
                    bar.update(task, news=news)

            yield advance


class Screen:
    """Where the story appears.

    Args:
        console: rich's; a quiet one shows nothing, and the story is played all the same.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.steps: list[Step] = []

    @contextmanager
    def step(self, number: int, title: str) -> Iterator[Step]:
        """A step, timed; it has passed when the block is left without an error."""
        step = Step(number=number, title=title, console=self.console)
        self.steps.append(step)
        self.console.print(Text.assemble("\n", (f"{number:>2} ", "bold cyan"), (title, "bold")))
        began = time.monotonic()
        try:
            yield step
            step.passed = True
        finally:
            step.seconds = round(time.monotonic() - began, 3)
        step.say(f"({step.seconds:.1f} s)")
