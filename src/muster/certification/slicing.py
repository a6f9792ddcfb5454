"""Rows told apart by the values of a column: `region=north`, or ranges of a number that has many values."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from muster.evaluation_sets.labels import word_of

#: A column of numbers with more values than this is told apart by quarters of its rows.
_MOST_VALUES = 12
#: The most frequent values of a column are slices of their own; the rest is one slice together.
_MOST_SLICES = 20
_MOST_CHARACTERS = 120
_QUARTERS = (0.25, 0.5, 0.75)
_OTHERS = "(others)"

Mask = npt.NDArray[np.bool_]


def groups_of(values: Sequence[Any]) -> list[str]:
    """Of each row, the group of its value: the value itself, or the range of numbers that it lies in."""
    known = [value for value in values if value is not None]
    is_number = bool(known) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in known)
    if is_number and len(set(known)) > _MOST_VALUES:
        return _ranges(values, np.array(known, dtype=np.float64))
    words = [word_of(value)[:_MOST_CHARACTERS] for value in values]
    frequent = {word for word, _ in sorted(Counter(words).items(), key=lambda item: (-item[1], item[0]))[:_MOST_SLICES]}
    return [word if word in frequent else _OTHERS for word in words]


def slices_of(column: str, values: Sequence[Any], min_rows: int) -> list[tuple[str, Mask]]:
    """The slices by a column, by name, with their rows; those with too few rows are left out."""
    groups = np.array(groups_of(values), dtype=object)
    masks = ((f"{column}={name}", groups == name) for name in sorted(set(groups.tolist())))
    return [(name, mask) for name, mask in masks if int(mask.sum()) >= min_rows]


def _ranges(values: Sequence[Any], known: npt.NDArray[np.float64]) -> list[str]:
    edges = sorted(set(np.quantile(known[np.isfinite(known)], _QUARTERS).tolist()))
    names = [f"below {edges[0]:g}", *(f"{low:g} to {high:g}" for low, high in pairwise(edges))]
    names.append(f"from {edges[-1]:g}")
    return ["null" if value is None else names[int(np.searchsorted(edges, value, side="right"))] for value in values]
