"""The profile of a table, format 1: what its fields hold, in numbers that can be compared and added up exactly.

It is written once, of the training data of a version. Edges of bins and names of categories are part of it, so that other rows
can be counted into the very same places later, on any machine, in any pieces.
"""

from typing import Literal

import msgspec

from muster.vocabulary.tensors import Datatype

PROFILE_FORMAT: Literal[1] = 1


class Bins(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Numbers, counted between fixed edges: `[e0, e1)`, `[e1, e2)`, … and the last one with both its ends."""

    edges: tuple[float | int, ...]
    """Rising; n of them make n - 1 bins, a single one a bin that holds its value alone."""
    counts: tuple[int, ...]
    below: int = 0
    """Below the first edge."""
    above: int = 0
    """Above the last."""
    nan: int = 0
    """Elements that are no number; only in tensors, as in a column NaN is null."""


class Categories(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Texts or flags, counted by value, the most frequent first."""

    counts: tuple[tuple[str | bool, int], ...]
    others: int = 0
    """Rows with a value that is not named."""
    distinct: int = 0
    """Different values in all, at the time when the profile was made."""


class FieldProfile(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One field of the table."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...] = ()
    nulls: int = 0
    """Rows in which it is null."""
    personal: bool = False
    """Holds personal data: then nothing of its values stands here."""
    minimum: float | int | None = None
    maximum: float | int | None = None
    mean: float | None = None
    quantiles: dict[str, float | int] = {}
    """By share, `0.5`: the smallest value that at least this share of all values do not exceed."""
    infinite: int = 0
    """Elements that are infinite; they are counted below or above the edges as well."""
    bins: Bins | None = None
    categories: Categories | None = None


class TableProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a table holds."""

    format: Literal[1]
    rows: int
    fields: tuple[FieldProfile, ...]

    def field(self, name: str) -> FieldProfile | None:
        """The field of that name."""
        return next((field for field in self.fields if field.name == name), None)
