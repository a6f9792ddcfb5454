"""Profiles of whole tables: made, counted into, added up, written and read."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec
import rfc8785

from muster.profiles.columns import Given, counted_column, profile_of_column
from muster.profiles.errors import ProfileMalformed, ProfilesUnlike
from muster.wire.profiles import PROFILE_FORMAT, Bins, Categories, FieldProfile, TableProfile

#: A profile of a thousand wide fields has less; more is something else that went astray.
MOST_BYTES = 8 * 1024 * 1024


def profile_of(rows: int, columns: Iterable[Given]) -> TableProfile:
    """What a table of so many rows holds; a column is let go before the next is taken."""
    return TableProfile(format=PROFILE_FORMAT, rows=rows, fields=tuple(profile_of_column(column) for column in columns))


def counted(like: TableProfile, rows: int, columns: Sequence[Given]) -> TableProfile:
    """Another table, counted into the places of a profile.

    Raises:
        ProfilesUnlike: it has other fields.
    """
    given = {column.name: column for column in columns}
    names = [field.name for field in like.fields]
    if set(names) != set(given):
        raise ProfilesUnlike("the table has other fields than the profile", fields=sorted(set(names) ^ set(given)))
    return TableProfile(
        format=PROFILE_FORMAT,
        rows=rows,
        fields=tuple(counted_column(field, given[field.name]) for field in like.fields),
    )


def added(one: TableProfile, other: TableProfile) -> TableProfile:
    """The profile of both tables together, as if their rows had been counted at once.

    Quantiles and means are left out, as they do not add up exactly.

    Raises:
        ProfilesUnlike: they have other fields, edges or categories.
    """
    if [field.name for field in one.fields] != [field.name for field in other.fields]:
        raise ProfilesUnlike("the profiles have other fields")
    pairs = zip(one.fields, other.fields, strict=True)
    return TableProfile(
        format=PROFILE_FORMAT, rows=one.rows + other.rows, fields=tuple(_added_field(mine, its) for mine, its in pairs)
    )


def _added_field(mine: FieldProfile, its: FieldProfile) -> FieldProfile:
    if (mine.datatype, mine.shape, mine.personal) != (its.datatype, its.shape, its.personal):
        raise ProfilesUnlike(f"the field {mine.name!r} is another one in the other profile", field=mine.name)
    lows = [field.minimum for field in (mine, its) if field.minimum is not None]
    highs = [field.maximum for field in (mine, its) if field.maximum is not None]
    return FieldProfile(
        name=mine.name,
        datatype=mine.datatype,
        shape=mine.shape,
        nulls=mine.nulls + its.nulls,
        personal=mine.personal,
        minimum=min(lows) if lows else None,
        maximum=max(highs) if highs else None,
        infinite=mine.infinite + its.infinite,
        bins=_added_bins(mine.name, mine.bins, its.bins),
        categories=_added_categories(mine.name, mine.categories, its.categories),
    )


def _added_bins(name: str, mine: Bins | None, its: Bins | None) -> Bins | None:
    if mine is None or its is None:
        if mine is its:
            return None
        raise ProfilesUnlike(f"only one of the profiles has bins of {name!r}", field=name)
    if mine.edges != its.edges:
        raise ProfilesUnlike(f"the bins of {name!r} have other edges in the other profile", field=name)
    return Bins(
        edges=mine.edges,
        counts=tuple(one + other for one, other in zip(mine.counts, its.counts, strict=True)),
        below=mine.below + its.below,
        above=mine.above + its.above,
        nan=mine.nan + its.nan,
    )


def _added_categories(name: str, mine: Categories | None, its: Categories | None) -> Categories | None:
    if mine is None or its is None:
        if mine is its:
            return None
        raise ProfilesUnlike(f"only one of the profiles has categories of {name!r}", field=name)
    values = [value for value, _ in mine.counts]
    if values != [value for value, _ in its.counts]:
        raise ProfilesUnlike(f"{name!r} has other categories in the other profile", field=name)
    counts = zip(mine.counts, its.counts, strict=True)
    return Categories(
        counts=tuple((value, count + more) for (value, count), (_, more) in counts),
        others=mine.others + its.others,
        distinct=max(mine.distinct, its.distinct),
    )


def profile_bytes(profile: TableProfile) -> bytes:
    """The profile as canonical JSON: equal profiles have equal bytes."""
    document = msgspec.to_builtins(profile)
    try:
        return rfc8785.dumps(document)
    except rfc8785.IntegerDomainError:  # whole numbers beyond 2**53, which RFC 8785 refuses and a bin has to keep
        return msgspec.json.encode(document, order="sorted")


def read_profile(data: bytes) -> TableProfile:
    """The profile that a document is.

    Raises:
        ProfileMalformed: it is none.
    """
    if len(data) > MOST_BYTES:
        raise ProfileMalformed(f"the profile has more than {MOST_BYTES} bytes", limit=MOST_BYTES)
    try:
        profile = msgspec.json.decode(data, type=TableProfile)
    except msgspec.MsgspecError as error:
        raise ProfileMalformed(f"this is no profile: {error}") from error
    problems = list(_problems(profile))
    if problems:
        raise ProfileMalformed(f"the profile contradicts itself: {problems[0]}", problems=problems[:20])
    return profile


def _problems(profile: TableProfile) -> Iterable[str]:
    if profile.rows < 0:
        yield f"it has {profile.rows} rows"
    names = [field.name for field in profile.fields]
    if len(set(names)) != len(names):
        yield "a field is there twice"
    for field in profile.fields:
        if not 0 <= field.nulls <= profile.rows:
            yield f"{field.name!r} is null in {field.nulls} of {profile.rows} rows"
        if field.personal and (field.bins, field.categories, field.minimum, field.quantiles) != (None, None, None, {}):
            yield f"{field.name!r} is personal and tells of its values"
        if field.bins is not None:
            yield from _bin_problems(field.name, field.bins)
        if field.categories is not None and any(count < 0 for _, count in field.categories.counts):
            yield f"{field.name!r} counts less than nothing"


def _bin_problems(name: str, bins: Bins) -> Iterable[str]:
    edges = bins.edges
    if any(high <= low for low, high in pairwise(edges)):
        yield f"the edges of {name!r} do not rise"
    if len(bins.counts) != (max(1, len(edges) - 1) if edges else 0):
        yield f"{name!r} has {len(bins.counts)} bins between {len(edges)} edges"
    if min((*bins.counts, bins.below, bins.above, bins.nan)) < 0:
        yield f"{name!r} counts less than nothing"
