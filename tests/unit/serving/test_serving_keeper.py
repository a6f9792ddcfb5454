"""How long the keeper waits before it starts a host again."""

from collections import deque

from muster.serving.workers.keeper import _pause_after


def test_a_kill_costs_nothing_and_a_host_that_keeps_ending_waits_longer_and_longer() -> None:
    """Ten ends a minute are answered at once; then pauses double, up to ten seconds."""
    ends: deque[float] = deque()
    pauses = [_pause_after(ends) for _ in range(25)]
    assert pauses[:10] == [0.0] * 10
    assert pauses[10:14] == [0.2, 0.4, 0.8, 1.6]
    assert max(pauses) == pauses[-1] == 10.0


def test_ends_of_long_ago_are_forgotten() -> None:
    """A host that ran for more than a minute is as good as new."""
    ends: deque[float] = deque([-1000.0] * 30)
    assert _pause_after(ends) == 0.0
    assert len(ends) == 1
