"""Load by a schedule on a clock made by hand: latency counts from when a request was due, and a slow host is found out."""

from collections.abc import Sequence

import numpy as np
import pytest

from muster.certification.load.open_loop import Found, Sent, driven
from muster.certification.load.schedule import Arrivals, moments


class Time:
    """A clock that moves only when somebody sleeps or computes."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def served(due: Sequence[float], base_s: float, each_s: float = 0.0, *, oversleeps_s: float = 0.0) -> Found:
    """What comes of a host that takes so long for a batch and for each request of it."""
    time = Time()

    def send(batch: Sequence[int]) -> Sent:
        time.now += base_s + each_s * len(batch)
        return Sent(failed=0)

    def sleep(seconds: float) -> None:
        time.sleep(seconds + oversleeps_s)

    return driven(due, send, give_up_s=1.0, monotonic=time.monotonic, sleep=sleep)


def test_a_fast_host_answers_every_request_alone_in_its_time() -> None:
    """Without waiting the latency is what the host takes, and the offered rate is achieved."""
    found = served(moments(100, 2.0, "uniform", 0), 0.004)
    assert found.requests == found.answered == 200
    assert found.at(0.5) == pytest.approx(4.0)
    assert found.at(0.99) == pytest.approx(4.0)
    assert found.largest_batch == 1
    assert found.late == 0
    assert found.kept_up == pytest.approx(1.0)


def test_what_waited_for_a_pause_counts_its_waiting() -> None:
    """One pause of a second is met by every request due in it, not by one: no coordinated omission."""
    time = Time()
    paused: list[bool] = []

    def send(batch: Sequence[int]) -> Sent:
        time.now += 0.001
        if batch[0] >= 100 and not paused:
            paused.append(True)
            time.now += 1.0
        return Sent(failed=0)

    found = driven(moments(100, 3.0, "uniform", 0), send, give_up_s=1.0, monotonic=time.monotonic, sleep=time.sleep)
    slow = sum(latency > 100 for latency in found.latency_ms)
    assert 88 <= slow <= 92
    assert found.at(0.99) > 950
    assert found.at(0.5) < 2
    assert found.largest_batch >= 99


def test_a_host_that_batches_keeps_up_although_one_call_is_longer_than_the_distance() -> None:
    """A call of 15 ms at 100 requests a second is no collapse where calls take several rows at once."""
    found = served(moments(100, 3.0, "uniform", 0), 0.015)
    assert found.kept_up > 0.97
    assert found.largest_batch >= 2
    assert found.at(0.99) < 40


def test_a_host_that_is_too_slow_collapses() -> None:
    """20 ms a row are 50 rows a second: offered 100, less than 60 % of them are achieved, and the rest is abandoned."""
    found = served(moments(100, 3.0, "uniform", 0), 0.0, 0.02)
    assert found.kept_up < 0.7
    assert found.at(0.99) > 500
    assert found.answered + found.abandoned == found.requests
    assert found.abandoned > 0


def test_a_constant_latency_is_no_collapse() -> None:
    """Ten requests in a second that take 200 ms in a batch of their own come as often as they were due."""
    found = served(moments(2, 5.0, "uniform", 0), 0.2)
    assert found.kept_up == pytest.approx(1.0)


def test_a_sender_that_oversleeps_says_so() -> None:
    """Requests that this machine sent late are counted, and their wait is in the latency."""
    found = served(moments(50, 1.0, "uniform", 0), 0.001, oversleeps_s=0.005)
    assert found.late == 49
    assert found.at(0.5) == pytest.approx(6.0)


def test_failed_requests_are_no_answers() -> None:
    """An error is counted as one."""
    time = Time()
    found = driven(
        [0.0, 0.1], lambda batch: Sent(failed=len(batch)), give_up_s=1.0, monotonic=time.monotonic, sleep=time.sleep
    )
    assert (found.failed, found.answered) == (2, 0)


@pytest.mark.parametrize("arrivals", ["poisson", "uniform"])
def test_a_schedule_has_the_rate_that_was_asked_for(arrivals: Arrivals) -> None:
    """So many moments in the time, rising, the same for the same seed."""
    due = moments(250.0, 4.0, arrivals, 7)
    assert len(due) == 1000
    assert list(due) == sorted(due)
    assert due[0] >= 0
    assert due[-1] <= 4.0
    assert list(due) == list(moments(250.0, 4.0, arrivals, 7))


def test_independent_callers_come_in_bursts() -> None:
    """The distances of Poisson arrivals vary as much as they are long; equal distances do not vary."""
    gaps = np.diff(moments(1000.0, 5.0, "poisson", 3))
    assert np.std(gaps) / np.mean(gaps) == pytest.approx(1.0, abs=0.1)
    assert np.std(np.diff(moments(1000.0, 5.0, "uniform", 3))) < 1e-9


@pytest.mark.parametrize(("rate", "seconds"), [(0.0, 1.0), (-1.0, 1.0), (1.0, 0.0)])
def test_no_load_is_refused(rate: float, seconds: float) -> None:
    """A rate or a time of nothing is a mistake of the caller."""
    with pytest.raises(ValueError, match="is no load"):
        moments(rate, seconds, "uniform", 0)
