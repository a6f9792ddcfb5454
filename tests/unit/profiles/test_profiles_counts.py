"""Profiles count exactly: every value has one place, and pieces add up to the whole."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.profiles.columns import MOST_CATEGORIES, Given
from muster.profiles.errors import ProfileMalformed, ProfilesUnlike
from muster.profiles.whole import added, counted, profile_bytes, profile_of, read_profile
from muster.vocabulary.tensors import Datatype
from muster.wire.profiles import Categories, TableProfile

NUMBERS = st.lists(st.one_of(st.floats(allow_nan=False), st.sampled_from([0.0, 1.0, 2.0])), min_size=1, max_size=80)
INTEGERS = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=60)
TEXTS = st.lists(st.sampled_from(["a", "b", "c", "", "ü"]), min_size=1, max_size=60)


def floats(values: list[float], nulls: list[bool] | None = None) -> Given:
    marks = None if nulls is None else np.array(nulls)
    return Given(name="x", datatype=Datatype.FP64, values=np.array(values, dtype=np.float64), nulls=marks)


def integers(values: list[int]) -> Given:
    return Given(name="x", datatype=Datatype.INT64, values=np.array(values, dtype=np.int64))


def texts(values: list[str]) -> Given:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return Given(name="x", datatype=Datatype.BYTES, values=array)


def by_hand(edges: tuple[float | int, ...], values: list[float] | list[int]) -> tuple[int, list[int], int]:
    """Below, counts and above, one value after another."""
    counts = [0] * max(1, len(edges) - 1)
    below = above = 0
    for value in values:
        if value < edges[0]:
            below += 1
        elif value > edges[-1]:
            above += 1
        else:
            fits = [at for at in range(len(counts)) if edges[at] <= value]
            counts[min(max(fits), len(counts) - 1)] += 1
    return below, counts, above


@given(NUMBERS, NUMBERS)
def test_every_number_is_counted_in_one_place(seen: list[float], later: list[float]) -> None:
    """Counts are those of a count by hand, for the rows of the profile and for any others."""
    profile = profile_of(len(seen), [floats(seen)])
    finite = [value for value in seen if np.isfinite(value)]
    for values, of in ((seen, profile), (later, counted(profile, len(later), [floats(later)]))):
        bins = of.fields[0].bins
        assert bins is not None
        assert sum(bins.counts) + bins.below + bins.above == len(values)
        if finite:
            assert (bins.below, list(bins.counts), bins.above) == by_hand(bins.edges, values)


@given(INTEGERS)
def test_whole_numbers_are_compared_as_whole_numbers(values: list[int]) -> None:
    """Neighbours beyond 2**53 do not fall together, and survive being written and read."""
    profile = profile_of(len(values), [integers(values)])
    field = profile.fields[0]
    assert field.bins is not None
    assert (field.minimum, field.maximum) == (min(values), max(values))
    assert (0, list(field.bins.counts), 0) == by_hand(field.bins.edges, values)
    assert read_profile(profile_bytes(profile)) == profile


@given(NUMBERS, NUMBERS, NUMBERS)
def test_pieces_add_up_to_the_whole(seen: list[float], one: list[float], other: list[float]) -> None:
    """Two tables counted apart and added are the two counted together, bit for bit."""
    profile = profile_of(len(seen), [floats(seen)])
    apart = added(counted(profile, len(one), [floats(one)]), counted(profile, len(other), [floats(other)]))
    together = counted(profile, len(one) + len(other), [floats([*one, *other])])
    assert profile_bytes(apart) == profile_bytes(together)


@given(TEXTS, TEXTS)
def test_categories_are_counted_by_name(seen: list[str], later: list[str]) -> None:
    """A text that the profile does not name is counted among the others, and none is lost."""
    profile = profile_of(len(seen), [texts(seen)])
    of = counted(profile, len(later), [texts(later)]).fields[0].categories
    assert of is not None
    found = Counter(later)
    assert dict(of.counts) == {value: found[value] for value in set(seen)}
    assert of.others == sum(count for value, count in found.items() if value not in set(seen))


def test_the_quantiles_are_values_of_the_column() -> None:
    """Nearest rank: half of 1..100 do not exceed 50, and every bin of distinct values holds as many."""
    field = profile_of(100, [floats([float(value) for value in range(100, 0, -1)])]).fields[0]
    assert field.quantiles["0.5"] == 50
    assert field.quantiles["0.99"] == 99
    assert field.mean == 50.5
    assert field.bins is not None
    assert set(field.bins.counts) == {4, 5, 6}
    assert len(field.bins.counts) == 20


def test_nulls_not_a_number_and_infinities_are_told_apart() -> None:
    """Nulls are rows, infinities lie beyond the edges, and a tensor's NaN is an element."""
    field = profile_of(4, [floats([1.0, 0.0, np.inf, 3.0], [False, True, False, False])]).fields[0]
    assert (field.nulls, field.infinite, field.minimum, field.maximum) == (1, 1, 1.0, 3.0)
    assert field.bins is not None
    assert (field.bins.below, field.bins.above) == (0, 1)
    tensor = Given(name="t", datatype=Datatype.FP32, values=np.array([[1.0, np.nan], [2.0, 3.0]], dtype=np.float32))
    inside = profile_of(2, [tensor]).fields[0]
    assert inside.shape == (2,)
    assert inside.bins is not None
    assert (inside.bins.nan, sum(inside.bins.counts)) == (1, 3)


def test_personal_data_leaves_no_value() -> None:
    """A personal field tells how often it is missing and nothing else."""
    given_ = Given(
        name="name", datatype=Datatype.BYTES, values=np.array(["ana", ""], dtype=object),
        nulls=np.array([False, True]), personal=True,
    )  # fmt: skip
    profile = profile_of(2, [given_])
    assert profile.fields[0].nulls == 1
    assert b"ana" not in profile_bytes(profile)
    again = counted(profile, 2, [given_])
    assert b"ana" not in profile_bytes(again)


def test_many_and_long_texts_are_bounded() -> None:
    """The most frequent are named; the rest, and what is too long for a category, is counted."""
    values = [f"v{at}" for at in range(500)] + ["often"] * 3 + ["x" * 5000]
    found = profile_of(len(values), [texts(values)]).fields[0].categories
    assert found is not None
    assert len(found.counts) == MOST_CATEGORIES
    assert found.counts[0] == ("often", 3)
    assert sum(count for _, count in found.counts) + found.others == len(values)
    assert found.distinct == 502


@pytest.mark.parametrize(
    "spoilt",
    [
        b"{}",
        b"[]",
        b'{"format":2,"rows":1,"fields":[]}',
        b'{"format":1,"rows":-1,"fields":[]}',
        b'{"format":1,"rows":1,"fields":[{"name":"x","datatype":"FP64","nulls":2}]}',
        b'{"format":1,"rows":1,"fields":[{"name":"x","datatype":"FP64","bins":{"edges":[2,1],"counts":[1]}}]}',
        b'{"format":1,"rows":1,"fields":[{"name":"x","datatype":"FP64","bins":{"edges":[1,2],"counts":[1,1]}}]}',
        b'{"format":1,"rows":1,"fields":[{"name":"x","datatype":"BYTES","personal":true,"minimum":1}]}',
    ],
    ids=["empty", "list", "format", "rows", "nulls", "edges", "counts", "personal"],
)
def test_what_is_no_profile_is_refused(spoilt: bytes) -> None:
    """A document that contradicts itself is not taken for a profile."""
    with pytest.raises(ProfileMalformed):
        read_profile(spoilt)


def test_unlike_profiles_are_not_added() -> None:
    """Other fields, edges or categories are refused by name."""
    numbers, words = profile_of(1, [floats([1.0])]), profile_of(1, [texts(["a"])])
    for one, other in (
        (numbers, words),
        (numbers, profile_of(1, [floats([2.0])])),
        (words, profile_of(1, [texts(["b"])])),
    ):
        with pytest.raises(ProfilesUnlike):
            added(one, other)
    with pytest.raises(ProfilesUnlike):
        counted(TableProfile(format=1, rows=0, fields=()), 1, [floats([1.0])])


@pytest.mark.parametrize(
    ("given_", "different"),
    [(texts(["ana@x.nl", "ben@x.nl", "ana@x.nl"]), 2), (floats([1.5, 2.5, 2.5]), 2), (integers([7, 7, 7]), 1)],
    ids=["text", "numbers", "whole-numbers"],
)
def test_of_what_is_only_counted_no_value_is_told(given_: Given, different: int) -> None:
    """How many there are and how many differ; other rows are counted into it and added up all the same."""
    only = replace(given_, only_counted=True)
    profile = profile_of(3, [only])
    (field,) = profile.fields
    assert field.categories == Categories(counts=(), others=3, distinct=different)
    assert (field.bins, field.minimum, field.maximum, field.mean, field.quantiles) == (None, None, None, None, {})
    assert read_profile(profile_bytes(profile)) == profile
    both = added(profile, counted(profile, 3, [only])).fields[0].categories
    assert both == Categories(counts=(), others=6, distinct=different)
