"""Tables of evidence: what a check lists, and the rows it shows."""

from collections.abc import Iterable, Sequence
from typing import Any

from muster.reports.markup import Child, Html, tag
from muster.reports.wording import shortened, told
from muster.wire.evidence import Grid, Rows

_MOST_ROWS, _MOST_COLUMNS = 200, 60
_CELL_LETTERS, _WHY_LETTERS = 120, 400


def table(
    columns: Sequence[Child], rows: Iterable[Sequence[Child]], *, caption: str | None = None, kind: str = ""
) -> Html:
    """A table that scrolls by itself where it is wider than the page.

    Args:
        columns: what stands at the top.
        rows: cells; text is escaped.
        caption: its name, for those who hear the page.
        kind: a class of the style.
    """
    lines = [[_as_cell(child) for child in row] for row in rows]
    body = [tag("tr", line) for line in lines]
    # The name of a column stands over its numbers.
    numbers = [bool(lines) and all(_is_number(line[at]) for line in lines) for at in range(len(columns))]
    heads = zip(columns, numbers, strict=True)
    head = tag("tr", [tag("th", one, scope="col", class_="number" if right else None) for one, right in heads])
    head = tag("thead", head)
    return tag(
        "div",
        tag("table", tag("caption", caption) if caption else None, head, tag("tbody", body), class_=kind or None),
        class_="wide",
        tabindex=0,
        role="region",
        aria_label=caption or "table",
    )


def cell(value: Any, most: int = _CELL_LETTERS) -> Html:
    """One value; numbers stand to the right, long text is cut."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    whole = told(value)
    short = shortened(whole, most)
    return tag("td", short, class_="number" if is_number else None, title=whole[:2000] if short != whole else None)


def grid(exhibit: Grid) -> Html:
    """A table as the check gives it."""
    columns = exhibit.columns[:_MOST_COLUMNS]
    rows = [[cell(value) for value in row[:_MOST_COLUMNS]] for row in exhibit.rows[:_MOST_ROWS]]
    return _named(exhibit.title, table([*columns], rows, caption=exhibit.title), len(exhibit.rows) - len(rows))


def rows(exhibit: Rows) -> Html:
    """Rows as records, each with why it is shown, the reason first."""
    names = [*dict.fromkeys(name for row in exhibit.rows for name in row)][:_MOST_COLUMNS]
    shown = exhibit.rows[:_MOST_ROWS]
    lines = []
    for place, row in enumerate(shown):
        why = [tag("td", shortened(exhibit.why[place], _WHY_LETTERS), class_="why")] if exhibit.why else []
        lines.append([*why, *(cell(row[name]) if name in row else tag("td", "") for name in names)])
    columns = [*(["why"] if exhibit.why else []), *names]
    if not shown:
        return _named(exhibit.title, tag("p", "None.", class_="note"), 0)
    return _named(
        exhibit.title, table(columns, lines, caption=exhibit.title, kind="rows"), len(exhibit.rows) - len(shown)
    )


def _named(title: str, content: Html, left_out: int) -> Html:
    more = tag("p", f"{left_out} more rows are in the JSON of this report.", class_="note") if left_out > 0 else None
    return tag("figure", tag("figcaption", title), content, more, class_="table")


def _is_number(cell: Html) -> bool:
    return 'class="number"' in cell.partition(">")[0] or cell in {"<td></td>", "<td>—</td>"}


def _as_cell(child: Child) -> Html:
    if isinstance(child, Html) and child.startswith(("<td", "<th")):
        return child
    return tag("td", child)
