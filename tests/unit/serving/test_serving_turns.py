"""How a front tells a storm from a pause, and what share of a storm it reads."""

from hypothesis import given
from hypothesis import strategies as st

from muster.serving.admission import FEWEST, MOST, Admission
from muster.serving.front.turns import Turns


class Loop:
    """A loop whose turns take as long as the requests that came since the last: `read_s` for one that is read, `refused_s` else."""

    def __init__(self, *, read_s: float, refused_s: float) -> None:
        self.turns = Turns()
        self.now = 1000.0
        self.read = self.refused = 0
        self._read_s = read_s
        self._refused_s = refused_s
        self._owed = 0.0

    def run(self, rate: float, seconds: float) -> None:
        until = self.now + seconds
        last = self.now - 0.001
        while self.now < until:
            self._owed += (self.now - last) * rate
            last = self.now
            self.turns.begin(self.now)
            came, self._owed = int(self._owed), self._owed % 1
            for _ in range(came):
                refuses = self.turns.refuses()
                self.refused += refuses
                self.read += not refuses
                self.now += self._refused_s if refuses else self._read_s
            self.now += 0.0001
            self.turns.end(self.now)

    def pause(self, seconds: float) -> None:
        self.turns.begin(self.now)
        self.now += seconds
        self.turns.end(self.now)


def test_a_front_that_keeps_up_refuses_nobody() -> None:
    """At four fifths of what it can read, with pauses of the machine of 60 ms in between, every request is read."""
    loop = Loop(read_s=50e-6, refused_s=15e-6)
    for _ in range(20):
        loop.run(rate=16_000, seconds=0.4)
        loop.pause(0.06)
    assert loop.refused == 0


def test_a_storm_is_refused_as_far_as_it_has_to_be() -> None:
    """At half as much again as it can read a front still answers most of what it could, turns are short again, and afterwards nobody is refused."""
    loop = Loop(read_s=50e-6, refused_s=15e-6)
    loop.run(rate=30_000, seconds=2.0)  # finds its share
    before = loop.read
    loop.run(rate=30_000, seconds=2.0)
    goodput = (loop.read - before) / 2.0
    possible = (1 - 30_000 * 15e-6) / (50e-6 - 15e-6)  # so many are read where all time goes into reading and refusing
    assert 0.7 * possible <= goodput <= possible
    begun = loop.now
    loop.run(rate=30_000, seconds=0.001)
    assert loop.now - begun < 0.05
    loop.run(rate=5_000, seconds=1.0)
    refused = loop.refused
    loop.run(rate=5_000, seconds=1.0)
    assert loop.refused == refused


def test_a_front_that_was_idle_takes_what_comes_first() -> None:
    """What has piled up while nothing was read is no storm."""
    loop = Loop(read_s=50e-6, refused_s=15e-6)
    loop.run(rate=10_000, seconds=0.2)
    loop.now += 60.0
    loop.run(rate=19_000, seconds=0.3)
    assert loop.refused == 0


def test_one_request_that_takes_long_is_no_storm() -> None:
    """Nor are three in a row: whoever comes next is read."""
    loop = Loop(read_s=50e-6, refused_s=15e-6)
    for _ in range(3):
        loop.pause(0.5)
    assert loop.turns.share == 1.0
    assert not loop.turns.refuses()


def test_what_comes_after_a_storm_and_a_moment_of_quiet_is_read() -> None:
    """Where nothing waited for some milliseconds, nothing is refused any more."""
    loop = Loop(read_s=50e-6, refused_s=15e-6)
    loop.run(rate=30_000, seconds=2.0)
    assert loop.turns.share < 1.0
    loop.now += 0.01
    loop.turns.begin(loop.now)
    assert not loop.turns.refuses()


@given(st.lists(st.tuples(st.integers(0, 200), st.booleans()), min_size=1, max_size=60))
def test_the_limit_is_never_beyond_its_bounds_and_quiet_does_not_lower_it(rounds: list[tuple[int, bool]]) -> None:
    """Whatever is measured; it falls only while many requests are under way."""
    admission = Admission()
    decided, now = 0, 5.0
    for step, is_busy in rounds:
        decided += step * 100
        now += 0.1
        before = admission.limit
        admission.learn(decided, before if is_busy else 0, now, 0.1)
        assert FEWEST <= admission.limit <= MOST
        if not is_busy:
            assert admission.limit >= before
