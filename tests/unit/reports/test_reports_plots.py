"""Drawings: every point inside, ticks that are round, nothing lost silently."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.reports.exhibits import shown
from muster.reports.scales import Scale, span, ticks
from muster.reports.wording import number
from muster.wire.evidence import Bars, Curve, Exhibit, Grid, Histogram, Rows, Series

NUMBERS = st.floats(min_value=-1e12, max_value=1e12, allow_nan=False, allow_infinity=False)


@given(st.lists(NUMBERS, max_size=20))
def test_an_axis_holds_every_value_and_has_a_length(values: list[float]) -> None:
    """Whatever is drawn on it."""
    least, most = span(values)
    assert least < most
    assert all(least <= value <= most for value in values)


@given(NUMBERS, st.floats(min_value=1e-6, max_value=1e12))
def test_ticks_are_few_round_and_on_the_axis(least: float, length: float) -> None:
    """Between the ends, rising, at most a dozen; where the axis is too fine for its numbers, they are fewer."""
    most = least + length
    found = ticks(least, most) if most > least else []
    room = max(abs(least), abs(most), length) * 1e-9
    assert len(found) <= 12
    assert all(least - room <= one <= most + room for one in found)
    assert found == sorted(found)


def test_a_scale_goes_both_ways() -> None:
    """Up is a smaller number in a drawing."""
    assert Scale(0, 10, 100, 0).at(0) == 100
    assert Scale(0, 10, 100, 0).at(10) == 0
    assert Scale(0, 10, 100, 0).at(5) == 50


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=30))
def test_every_point_of_a_line_lies_in_the_drawing(points: list[tuple[float, float]]) -> None:
    """Of any size and sign; no NaN comes of a line that does not rise."""
    xs, ys = zip(*points, strict=True)
    drawn = shown(Curve(title="t", x="x", y="y", series=(Series("a", xs, ys),), diagonal=True))
    width, height = map(int, re.findall(r'viewBox="0 0 (\d+) (\d+)"', drawn)[0])
    found = re.findall(r'<polyline points="([^"]*)"', drawn) or [""]
    places = [tuple(map(float, place.split(","))) for place in found[0].split()]
    circles = re.findall(r'<circle cx="([^"]*)" cy="([^"]*)"', drawn)
    places += [(float(x), float(y)) for x, y in circles]
    assert len(places) == len(points)
    assert all(0 <= x <= width and 0 <= y <= height for x, y in places)
    assert "nan" not in drawn
    assert "inf" not in drawn.replace("info", "")


EMPTY: dict[str, Exhibit] = {
    "curve": Curve(title="none", x="x", y="y", series=()),
    "line": Curve(title="none", x="x", y="y", series=(Series("a", (), ()),)),
    "histogram": Histogram(title="none", x="x", edges=(0.0, 1.0), counts={}),
    "zeroes": Histogram(title="none", x="x", edges=(0.0, 1.0), counts={"a": (0,), "b": (0,)}),
    "bars": Bars(title="none", x="x", names=(), values=()),
    "grid": Grid(title="none", columns=(), rows=()),
    "rows": Rows(title="none", rows=()),
}


@pytest.mark.parametrize("exhibit", EMPTY.values(), ids=EMPTY)
def test_an_exhibit_without_content_is_still_shown(exhibit: Exhibit) -> None:
    """Its title stands there, and no figure is made up."""
    drawn = shown(exhibit)
    assert "none" in drawn
    assert not re.search(r"\bnan\b|\binf\b", drawn)


def test_a_rare_group_is_drawn_as_high_as_a_frequent_one() -> None:
    """Several groups are shares of each, and their sizes stand beside their names."""
    drawn = shown(Histogram(title="s", x="score", edges=(0, 1, 2), counts={"many": (900, 100), "few": (1, 9)}))
    tops = [
        min(map(float, re.findall(r"L[\d.]+ ([\d.]+)", path))) for path in re.findall(r'<path d="(M[^"]*Z)"', drawn)
    ]
    assert tops[0] == pytest.approx(tops[1])
    assert "many (1,000)" in drawn
    assert "few (10)" in drawn


def test_bars_have_their_intervals_and_what_is_too_much_is_told() -> None:
    """Forty bars are drawn, the rest is counted."""
    names = tuple(f"slice-{number}" for number in range(50))
    values = tuple(number / 50 for number in range(50))
    low, high = tuple(max(0, one - 0.1) for one in values), tuple(one + 0.1 for one in values)
    drawn = shown(Bars(title="b", x="auc", names=names, values=values, low=low, high=high))
    assert drawn.count('class="bar k0"') == drawn.count('class="whisker"') == 40
    assert "10 more are in the JSON" in drawn


def test_cells_are_told_as_people_read_them() -> None:
    """Nothing is a dash, a flag is yes or no, a number stands to the right, and hostile text is text."""
    drawn = shown(Grid(title="g", columns=("a", "<b>"), rows=((None, True), (1234.5678, "<script>x</script>"))))
    assert "<td>—</td><td>yes</td>" in drawn
    assert '<td class="number">1,235</td>' in drawn
    assert "<script" not in drawn
    assert "&lt;b&gt;" in drawn


def test_rows_of_different_fields_share_a_table_with_their_reasons() -> None:
    """A field that a row does not have is empty, null is a dash; each row says first why it is shown."""
    drawn = shown(Rows(title="r", rows=({"x": 1.0}, {"y": None}), why=("it crashed", "out of range")))
    head = re.findall(r"<th[^>]*>([^<]*)</th>", drawn)
    assert head == ["why", "x", "y"]
    assert drawn.index("it crashed") < drawn.index("out of range")
    assert "<td></td><td>—</td>" in drawn


@given(NUMBERS)
def test_numbers_keep_four_digits(value: float) -> None:
    """As they are read back they differ by less than a thousandth."""
    again = float(number(value).replace(",", ""))
    assert math.isclose(again, value, rel_tol=1e-3, abs_tol=1e-300)
