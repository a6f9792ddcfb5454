"""What the checks of a certification show besides their figures: format 1, read by reports and by whoever verifies them.

Nothing in it is infinite or NaN: points without a value are left out, cells without one are null.
"""

from typing import Any, Literal

import msgspec

EVIDENCE_FORMAT: Literal[1] = 1
#: What all exhibits of one check come to at most, bytes of JSON: a report with all checks stays below a megabyte.
MOST_BYTES_OF_A_CHECK = 60_000

Cell = str | float | int | bool | None


class _Titled(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """Something with a title."""

    title: str


class _Exhibit(_Titled, frozen=True, kw_only=True):
    """Something that can be shown."""

    sealed: bool = False
    """Names single rows of a sealed evaluation set: shown to those alone who may accept versions and have no part in the model."""


class Series(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a curve; `x` and `y` have the same length."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


class Curve(_Exhibit, frozen=True, tag="curve"):
    """Lines over one pair of axes."""

    x: str
    """What the horizontal axis shows, with its unit."""
    y: str
    series: tuple[Series, ...]
    diagonal: bool = False
    """Whether the line from the lower left to the upper right is drawn for comparison."""


class Histogram(_Exhibit, frozen=True, tag="histogram"):
    """How often values fall between edges, of one or several groups."""

    x: str
    edges: tuple[float, ...]
    """Rising, one more than there are counts; the last bin holds its upper edge, too."""
    counts: dict[str, tuple[int, ...]]
    """By group."""


class Bars(_Exhibit, frozen=True, tag="bars"):
    """One value per name, with an interval where it is known."""

    x: str
    """What the values are, with their unit."""
    names: tuple[str, ...]
    values: tuple[float, ...]
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None


class Grid(_Exhibit, frozen=True, tag="grid"):
    """A table."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


class Rows(_Exhibit, frozen=True, tag="rows"):
    """Input rows as JSON records: the ones that a check failed on, the worst ones."""

    rows: tuple[dict[str, Any], ...]
    why: tuple[str, ...] = ()
    """Why each is shown; empty, or one text per row."""


Exhibit = Curve | Histogram | Bars | Grid | Rows


class CheckEvidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one check shows."""

    name: str
    exhibits: tuple[Exhibit, ...]


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the checks of one session show, in their order; checks that show nothing are left out."""

    format: Literal[1]
    checks: tuple[CheckEvidence, ...]
