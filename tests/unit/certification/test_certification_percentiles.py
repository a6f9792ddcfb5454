"""Percentiles are measured values, never interpolated ones."""

from hypothesis import given
from hypothesis import strategies as st

from muster.certification.percentiles import percentile

VALUES = st.lists(st.floats(0, 1e6), min_size=1, max_size=300)


@given(values=VALUES, share=st.floats(0.01, 1))
def test_at_least_the_share_of_values_does_not_exceed_it(values: list[float], share: float) -> None:
    """And it is the smallest value of which that holds."""
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values)


def test_the_99th_of_few_values_is_the_largest() -> None:
    """With less than a hundred calls, the slowest counts."""
    assert percentile([3.0, 1.0, 2.0], 0.99) == 3.0
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.0
