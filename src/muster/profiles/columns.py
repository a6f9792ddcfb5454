"""Profiles of single columns, and columns counted into the places of a profile."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from muster.vocabulary.tensors import FLOATS, Datatype
from muster.wire.profiles import Bins, Categories, FieldProfile

#: Bins of a column that has many values; each holds about as many of the rows.
MOST_BINS = 20
#: Values of a text that are named.
MOST_CATEGORIES = 100
#: A longer text is no category: it is counted among the others.
LONGEST_CATEGORY = 200
SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
#: What a field that holds no bins and no categories has instead.
_COUNTED = frozenset({Datatype.BOOL, Datatype.BYTES})


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One column as it comes: values and which of them are null."""

    name: str
    datatype: Datatype
    values: npt.NDArray[Any]
    """`(rows, *shape)`; text as `str` objects."""
    nulls: npt.NDArray[np.bool_] | None = None
    personal: bool = False
    """Nothing is told of its values."""
    only_counted: bool = False
    """Of its values nothing is told but how many different ones there are."""

    @property
    def null_rows(self) -> int:
        """Rows in which it is null."""
        return 0 if self.nulls is None else int(self.nulls.sum())

    @property
    def present(self) -> npt.NDArray[Any]:
        """Every element of the rows that are not null, one after another."""
        kept = self.values if self.nulls is None else self.values[~self.nulls]
        return kept.reshape(-1)


def profile_of_column(given: Given) -> FieldProfile:
    """What a column holds; of personal data only how often it is missing, of data that is only counted how many values differ."""
    shape = tuple(int(size) for size in given.values.shape[1:])
    if given.personal:
        return FieldProfile(name=given.name, datatype=given.datatype, shape=shape, nulls=given.null_rows, personal=True)
    present = given.present
    if given.only_counted:
        return FieldProfile(
            name=given.name,
            datatype=given.datatype,
            shape=shape,
            nulls=given.null_rows,
            categories=Categories(counts=(), others=len(present), distinct=_different(given.datatype, present)),
        )
    if given.datatype in _COUNTED:
        return FieldProfile(
            name=given.name,
            datatype=given.datatype,
            shape=shape,
            nulls=given.null_rows,
            categories=_categories(Counter(_listed(present)).items()),
        )
    numbers, infinite = _finite(given.datatype, present)
    ordered = np.sort(numbers)
    edges = _edges(ordered)
    return FieldProfile(
        name=given.name,
        datatype=given.datatype,
        shape=shape,
        nulls=given.null_rows,
        minimum=_plain(ordered[0]) if len(ordered) else None,
        maximum=_plain(ordered[-1]) if len(ordered) else None,
        mean=_mean(numbers),
        quantiles={f"{share:g}": _plain(_ranked(ordered, share)) for share in SHARES} if len(ordered) else {},
        infinite=infinite,
        bins=binned(edges, given.datatype, present),
    )


def counted_column(like: FieldProfile, given: Given) -> FieldProfile:
    """Another column, counted into the places of a profile; what cannot be added up (quantiles, mean) is left out."""
    plain = FieldProfile(
        name=like.name, datatype=like.datatype, shape=like.shape, nulls=given.null_rows, personal=like.personal
    )
    if like.personal:
        return plain
    present = given.present
    if like.categories is not None:
        return _with(plain, categories=_into(like.categories, Counter(_listed(present))))
    numbers, infinite = _finite(like.datatype, present)
    return _with(
        plain,
        minimum=_plain(numbers.min()) if len(numbers) else None,
        maximum=_plain(numbers.max()) if len(numbers) else None,
        infinite=infinite,
        bins=binned(() if like.bins is None else like.bins.edges, like.datatype, present),
    )


def binned(edges: Sequence[float | int], datatype: Datatype, values: npt.NDArray[Any]) -> Bins:
    """Values, counted between edges; whole numbers are compared as whole numbers, however large."""
    nan = 0
    if datatype in FLOATS:
        values = values.astype(np.float64)
        gone = np.isnan(values)
        nan, values = int(gone.sum()), values[~gone]
    if not edges:  # no finite value was ever seen: nothing lies between
        below = int((values < 0).sum())
        return Bins(edges=(), counts=(), below=below, above=len(values) - below, nan=nan)
    kind = np.float64 if datatype in FLOATS else values.dtype
    fixed = np.array(edges, dtype=kind)
    inside = (values >= fixed[0]) & (values <= fixed[-1])
    bins = max(1, len(fixed) - 1)
    places = np.minimum(np.searchsorted(fixed, values[inside], side="right") - 1, bins - 1)
    return Bins(
        edges=tuple(edges),
        counts=tuple(np.bincount(places, minlength=bins).tolist()),
        below=int((values < fixed[0]).sum()),
        above=int((values > fixed[-1]).sum()),
        nan=nan,
    )


def _edges(ordered: npt.NDArray[Any]) -> tuple[float | int, ...]:
    """Values of the column themselves, so that no rounding decides where a value belongs."""
    if not len(ordered):
        return ()
    shares = (bin_ / MOST_BINS for bin_ in range(MOST_BINS + 1))
    return tuple(dict.fromkeys(_plain(_ranked(ordered, share)) for share in shares))


def _ranked(ordered: npt.NDArray[Any], share: float) -> Any:
    """The smallest value that at least this share of all do not exceed (nearest rank)."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _finite(datatype: Datatype, values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], int]:
    if datatype not in FLOATS:
        return values, 0
    finite = values[np.isfinite(values)].astype(np.float64)
    return finite, int(np.isinf(values).sum())


def _mean(numbers: npt.NDArray[Any]) -> float | None:
    if not len(numbers):
        return None
    with np.errstate(over="ignore"):
        mean = float(np.mean(numbers, dtype=np.float64))
    return mean if math.isfinite(mean) else None


def _plain(value: Any) -> float | int:
    found: float | int = value.item()
    return found


def _listed(values: npt.NDArray[Any]) -> list[str | bool]:
    listed: list[str | bool] = values.tolist()
    return listed


def _different(datatype: Datatype, values: npt.NDArray[Any]) -> int:
    return len(set(_listed(values))) if datatype in _COUNTED else len(np.unique(values))


def _categories(found: Iterable[tuple[str | bool, int]]) -> Categories:
    ranked = sorted(found, key=lambda item: (-item[1], str(item[0])))
    short = [item for item in ranked if not isinstance(item[0], str) or len(item[0]) <= LONGEST_CATEGORY]
    named = short[:MOST_CATEGORIES]
    return Categories(
        counts=tuple(named),
        others=sum(count for _, count in ranked) - sum(count for _, count in named),
        distinct=len(ranked),
    )


def _into(like: Categories, found: Counter[str | bool]) -> Categories:
    counts = tuple((value, found.get(value, 0)) for value, _ in like.counts)
    return Categories(counts=counts, others=found.total() - sum(count for _, count in counts), distinct=len(found))


def _with(profile: FieldProfile, **changes: Any) -> FieldProfile:
    return FieldProfile(**{name: getattr(profile, name) for name in profile.__struct_fields__} | changes)
