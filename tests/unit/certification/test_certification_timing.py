"""Latency in rounds: the best of them, and what is said of few calls."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.certification.timing import FEWEST_CALLS, Latency, measured


class Host:
    """Takes what it is told, on a clock of its own."""

    def __init__(self, takes_ms: Iterator[float]) -> None:
        self._takes_ms = takes_ms
        self.now = 0.0

    def __call__(self) -> float:
        took = next(self._takes_ms)
        self.now += took / 1000
        return took

    def clock(self) -> float:
        return self.now


def found(*takes_ms: float, within_s: float = 5.0, calls: int = 100, rounds: int = 3) -> Latency:
    host = Host(iter([*takes_ms, *([1.0] * 10_000)]))
    return measured(host, within_s=within_s, calls=calls, rounds=rounds, monotonic=host.clock)


def test_one_pause_of_the_machine_does_not_decide() -> None:
    """Only what every round shows is the model's."""
    assert found(*[1.0] * 99, 40.0).p999_ms == 1.0
    assert found(*([1.0] * 99 + [40.0]) * 3).p999_ms == 40.0
    assert found(*[1.0] * 99, 40.0, rounds=1).p999_ms == 40.0


def test_a_round_that_is_cut_short_counts_only_if_it_is_the_first() -> None:
    """So few fast calls never replace many."""
    latency = found(*[10.0] * 100, *[1.0] * 5, within_s=1.005)
    assert (latency.p999_ms, latency.calls, latency.rounds) == (10.0, 100, 1)
    latency = found(*[100.0] * 200, within_s=4.95)
    assert (latency.calls, latency.rounds) == (50, 1)


def test_time_that_is_shared_out_is_enough_for_every_round() -> None:
    """A round of slow calls is whole after its share of the time, if it has the fewest calls, and the best one counts."""
    host = Host(iter([*[10.0] * 99, 40.0, *[10.0] * 1000]))
    latency = measured(host, within_s=4.0, round_s=1.0, calls=2000, monotonic=host.clock)
    assert (latency.p999_ms, latency.calls, latency.rounds) == (10.0, 100, 3)
    host = Host(iter([100.0] * 1000))
    latency = measured(host, within_s=4.5, round_s=1.0, fewest=20, monotonic=host.clock)
    assert (latency.calls, latency.rounds) == (20, 2)


def test_a_slow_model_is_measured_by_a_few_calls() -> None:
    """There are at least twenty, however long they take, and the words say how much that is worth."""
    latency = found(*[1000.0] * 100, within_s=0.5)
    assert (latency.calls, latency.p999_ms) == (FEWEST_CALLS, 1000.0)
    assert "fewer than 1,000 calls: p99.9 is the longest of them" in str(latency)
    assert "fewer" not in str(found(calls=1000))
    assert "1000 calls, the best of 3 rounds" in str(found(calls=1000))


@given(st.lists(st.floats(0.01, 1000), min_size=FEWEST_CALLS, max_size=300))
def test_percentiles_rise_and_survive_being_kept(takes_ms: list[float]) -> None:
    """p50 ≤ p99 ≤ p99.9 ≤ the longest call, also after a certificate has kept them."""
    latency = found(*takes_ms, calls=len(takes_ms), rounds=1, within_s=1e9)
    assert latency.p50_ms <= latency.p99_ms <= latency.p999_ms <= round(max(takes_ms), 4)
    assert Latency.of(latency.figures()) == latency


@pytest.mark.parametrize("figures", [{}, {"p99_ms": 1.0}])
def test_a_certificate_of_before_tells_no_latency(figures: dict[str, float]) -> None:
    """It was not measured, and nothing is made up."""
    assert Latency.of(figures) is None
