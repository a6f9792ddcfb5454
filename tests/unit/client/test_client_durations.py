"""Durations as people write them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.client.durations import milliseconds_of
from muster.client.errors import DurationMalformed


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [
        ("100ms", 100), ("2s", 2000), ("1m30s", 90_000), ("1h", 3_600_000), ("0.5s", 500), ("500us", 0.5), ("2 s", 2000),
        ("60", 60), (60, 60), (1.5, 1.5), (timedelta(milliseconds=80), 80), (timedelta(seconds=2), 2000),
    ],
)  # fmt: skip
def test_a_duration_is_read(written: object, milliseconds: float) -> None:
    """A number with its unit, several of them, a bare number of milliseconds, a timedelta."""
    assert milliseconds_of(written) == milliseconds  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "written", ["", "ms", "-1s", "1 year", "1s2", "1e3s", "0ms", 0, -5, float("nan"), float("inf"), True, "1.2.3s"]
)
def test_what_is_no_duration_is_refused(written: object) -> None:
    """Everything else is refused with what was given."""
    with pytest.raises(DurationMalformed, match="is not a duration"):
        milliseconds_of(written)  # type: ignore[arg-type]


@given(st.integers(1, 10**6), st.integers(0, 10**6))
def test_parts_add_up(seconds: int, milliseconds: int) -> None:
    """Written with several units, a duration is the sum of its parts."""
    assert milliseconds_of(f"{seconds}s{milliseconds}ms") == seconds * 1000 + milliseconds
