"""Answers judged by the order of their rows: pairs that are turned, ties within the tolerance, Kendall's tau."""

import math
from pathlib import Path

import hypothesis.strategies as st
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from scipy.stats import kendalltau

from made_bundles import made_bundle
from muster.packaging.bundle import read_bundle
from muster.packaging.columns import Table
from muster.packaging.documents import GoldenDescription, Tolerance, bundle_of, description_problems
from muster.packaging.errors import BundleMalformed
from muster.packaging.golden import compare
from muster.packaging.ranking import order_of
from muster.packaging.samples import read_sample

SCORES = st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=2, max_size=30)


@settings(max_examples=200)
@given(SCORES, st.sampled_from([0.0, 0.5, 1.0, 2.0]))
def test_turned_pairs_and_tau_are_what_their_definitions_say(pairs: list[tuple[int, int]], tolerance: float) -> None:
    """Counted one by one, and by scipy."""
    given_, wanted = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    found = order_of(given_, wanted, np.full(len(pairs), tolerance))
    apart = [(i, j) for i in range(len(pairs)) for j in range(len(pairs)) if wanted[i] - wanted[j] > tolerance]
    turned = [(i, j) for i, j in apart if given_[i] - given_[j] < -tolerance]
    assert (found.pairs, found.turned) == (len(apart), len(turned))
    assert (found.worst in turned) if turned else found.worst is None
    expected = kendalltau(given_, wanted).statistic
    if not math.isnan(expected):
        assert found.tau == pytest.approx(expected)


def test_many_rows_are_compared_in_blocks() -> None:
    """More rows than one block holds count as few do, wherever the turned pair stands."""
    wanted = np.arange(1300.0)
    given_ = wanted.copy()
    given_[[3, 1297]] = given_[[1297, 3]]
    found = order_of(given_, wanted, np.zeros(1300))
    assert found.pairs == 1300 * 1299 // 2
    assert found.turned == 2 * (1297 - 3) - 1
    assert found.worst == (1297, 3)


def test_what_has_no_place_is_below_everything() -> None:
    """NaN ranks below all numbers, tied with minus infinity and itself; infinities are numbers like others."""
    wanted = np.array([math.nan, -math.inf, 0.0, math.inf])
    assert order_of(wanted, wanted, np.zeros(4)).turned == 0
    assert order_of(wanted[::-1], wanted, np.zeros(4)).turned == 4
    same = order_of(np.zeros(3), np.zeros(3), np.zeros(3))
    assert (same.pairs, same.tau) == (0, 1.0)


def table(*scores: float | None) -> Table:
    return read_sample({"score": list(scores)}).table


def test_golden_answers_that_only_rank_may_move() -> None:
    """The order decides, not the values; rows within the tolerance are tied; a turned pair is named."""
    expected, tolerance = table(0.1, 0.2, 0.21, 0.9), {"score": Tolerance(abs=0.05)}
    moved = table(1.0, 22.0, 21.96, 95.0)
    assert not compare(moved, expected, tolerance).passed
    ranked = compare(moved, expected, tolerance, ["score"])
    assert (ranked.passed, ranked.wrong, ranked.where) == (True, 0, None)
    assert 0.6 < ranked.tau["score"] < 0.7
    turned = compare(table(22.0, 1.0, 23.0, 95.0), expected, tolerance, ["score"])
    assert (turned.passed, turned.wrong) == (False, 1)
    assert turned.where == "score: row 1 was expected above row 0, and is below it (1.0 and 22.0)"
    gone = compare(table(1.0, 2.0, None, 4.0), expected, tolerance, ["score"])
    assert not gone.passed


def test_only_numbers_can_rank(tmp_path: Path) -> None:
    """A ranking of an output that is no single number, or of none, is refused when the bundle is read."""
    bundle = read_bundle(made_bundle(tmp_path / "bundle"))
    for compared, told in (({"scores": "ranking"}, "which is no output"), ({"score": "ranking"}, None)):
        golden = GoldenDescription(rows=4, compare=compared)  # type: ignore[arg-type]
        found = description_problems(msgspec.structs.replace(bundle, golden=golden))
        assert (told is None and not found) or (told is not None and told in found[0])
    document = msgspec.to_builtins(bundle) | {"golden": {"rows": 4, "compare": {"score": "order"}}}
    with pytest.raises(BundleMalformed, match="Invalid enum value 'order'"):
        bundle_of(document)
