"""Probation: who is not worth waiting for is not waited for, and is taken back when it is."""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count, pairwise

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from muster.serving.probation import Probation, ProbationEvent, Probations

ENTERED, LEFT = ProbationEvent
PATIENCE_S, DEADLINE_S = 0.06, 0.1
HUNG = 1e9


@dataclass
class Simulation:
    """A front with two variants that answer one after the other, what waits going next as one batch, on a clock of its own.

    The first of the order is given its patience, the second the deadline. Variants on probation get their probes or, if
    `sends_all`, every request.
    """

    seconds_of: list[Callable[[int], float]]
    """Per variant: how long its call of that number takes."""
    sends_all: bool = False
    probations: Probations = field(default_factory=lambda: Probations({0: PATIENCE_S, 1: DEADLINE_S}, DEADLINE_S))
    events: list[tuple[float, int, ProbationEvent]] = field(default_factory=list)
    waited: list[tuple[float, bool]] = field(default_factory=list)
    """Per request: when it arrived, and whether it waited for somebody until the timer rang."""
    probes: list[float] = field(default_factory=list)

    def run(self, arrivals: list[float]) -> None:  # noqa: C901  # one story, told in one place
        """Let these requests arrive."""
        agenda: list[tuple[float, int, Callable[[], None]]] = []
        ties = count()
        queues: list[deque[int]] = [deque(), deque()]
        calls = [0, 0]
        busy = [False, False]
        answered: list[set[int]] = [set(), set()]
        decided: dict[int, float] = {}
        passed: dict[int, tuple[int, ...]] = {}

        def at(moment: float, what: Callable[[], None]) -> None:
            heapq.heappush(agenda, (moment, next(ties), what))

        def note(now: float, variant: int, event: ProbationEvent | None) -> None:
            if event is not None:
                self.events.append((now, variant, event))

        def arrive(request: int) -> None:
            now = arrivals[request]
            passed[request] = self.probations.passed_over
            for variant in (0, 1):
                probes = variant in passed[request] and self.probations.may_probe(variant, now)
                if probes:
                    self.probes.append(now)
                if variant not in passed[request] or probes or self.sends_all:
                    queues[variant].append(request)
                    call(variant, now)
            consult(request, now)
            at(now + PATIENCE_S, lambda: consult(request, now + PATIENCE_S, rang=True))
            at(now + DEADLINE_S, lambda: consult(request, now + DEADLINE_S, rang=True))

        def call(variant: int, now: float) -> None:
            if busy[variant] or not queues[variant]:
                return
            batch = list(queues[variant])
            queues[variant].clear()
            busy[variant] = True
            done = now + self.seconds_of[variant](calls[variant])
            calls[variant] += 1
            at(done, lambda: answer(variant, batch, done))

        def answer(variant: int, batch: list[int], now: float) -> None:
            busy[variant] = False
            for request in batch:
                answered[variant].add(request)
                waited = PATIENCE_S if variant == 0 else DEADLINE_S
                if request not in decided or decided[request] - arrivals[request] < waited:
                    note(now, variant, self.probations.answered(variant, now, arrivals[request]))
                consult(request, now)
            call(variant, now)

        def consult(request: int, now: float, *, rang: bool = False) -> None:
            if request in decided:
                return
            waiting = [
                variant
                for variant, patience in enumerate((PATIENCE_S, DEADLINE_S))
                if variant not in passed[request]
                and request not in answered[variant]
                and now < arrivals[request] + patience
            ]
            there = [variant for variant in (0, 1) if request in answered[variant]]
            if waiting and (not there or waiting[0] < there[0]):
                return
            decided[request] = now
            self.waited.append((arrivals[request], rang))
            for variant, patience in enumerate((PATIENCE_S, DEADLINE_S)):
                if (
                    request not in answered[variant]
                    and variant not in passed[request]
                    and now >= arrivals[request] + patience
                ):
                    note(now, variant, self.probations.overdue(variant, now, arrivals[request]))

        for request, moment in enumerate(arrivals):
            at(moment, lambda request=request: arrive(request))  # type: ignore[misc]
        while agenda and agenda[0][0] < arrivals[-1] + 5:
            _, _, what = heapq.heappop(agenda)
            what()

    def of(self, variant: int) -> list[tuple[float, ProbationEvent]]:
        """What became of a variant, and when."""
        return [(moment, event) for moment, other, event in self.events if other == variant]


def every(interval_s: float, until_s: float) -> list[float]:
    """Arrivals at even distances."""
    return [number * interval_s for number in range(int(until_s / interval_s))]


def at_once(_: int) -> float:
    """A variant that is never late."""
    return 0.005


def hangs(_: int) -> float:
    """A variant that never answers."""
    return HUNG


@pytest.mark.parametrize("sends_all", [False, True])
def test_a_hung_variant_costs_one_caller_five_requests(sends_all: bool) -> None:
    """Asked one at a time, the fifth miss ends the waiting; the other variant is untouched."""
    simulation = Simulation([hangs, at_once], sends_all)
    simulation.run(every(0.1, 60))
    ((entered, _),) = simulation.of(0)
    assert entered == pytest.approx(0.46)
    assert simulation.of(1) == []
    assert [rang for _, rang in simulation.waited] == [True] * 5 + [False] * 595


@pytest.mark.parametrize("sends_all", [False, True])
def test_a_hung_variant_under_load_is_waited_for_a_tenth_of_a_second(sends_all: bool) -> None:
    """At 1,000 requests a second as well: until its patience has passed, and then for one breath."""
    simulation = Simulation([hangs, at_once], sends_all)
    simulation.run(every(0.001, 5))
    ((entered, _),) = simulation.of(0)
    assert entered == pytest.approx(0.11, abs=0.002)
    assert max(moment for moment, rang in simulation.waited if rang) < 0.115


def test_probes_of_a_hung_variant_grow_rare() -> None:
    """At 0.1 s at first, then at twice the distance, at last nearly every two seconds."""
    simulation = Simulation([hangs, at_once])
    simulation.run(every(0.01, 30))
    distances = [later - earlier for earlier, later in pairwise(simulation.probes)]
    assert distances[:5] == pytest.approx([0.2, 0.4, 0.8, 1.6, 1.9], abs=0.02)
    assert distances[5:] == pytest.approx([1.9] * len(distances[5:]), abs=0.02)


def test_a_variant_that_comes_round_is_taken_back() -> None:
    """Three probes 0.1 s apart, after at most two seconds until the first of them."""
    simulation = Simulation([lambda number: 10.0 if number == 100 else 0.005, at_once])
    simulation.run(every(0.01, 20))
    (entered, _), (left, _) = simulation.of(0)
    assert entered == pytest.approx(1.11, abs=0.02)
    assert 11.0 < left < 11.0 + 2 + 0.3
    assert not any(rang for moment, rang in simulation.waited if moment > 1.2)


@pytest.mark.parametrize(
    ("rate", "sends_all"), [(1, False), (10, False), (50, False), (200, False), (1, True), (10, True)]
)
def test_one_that_sleeps_every_tenth_time_neither_flaps_nor_is_banished(rate: int, sends_all: bool) -> None:
    """In five minutes it goes in and out once in some seconds at most, and it always comes back."""
    simulation = Simulation([lambda number: 2.0 if number % 10 == 9 else 0.005, at_once], sends_all)
    simulation.run(every(1 / rate, 300))
    history = simulation.of(0)
    entries = [moment for moment, event in history if event is ENTERED]
    assert len(entries) <= 300 / 4
    assert all(later - earlier > 3 for earlier, later in pairwise(entries[8:]))
    stays = [after - entered for (entered, event), (after, _) in pairwise(history) if event is ENTERED]
    assert all(stay < 60 for stay in stays)
    if rate == 1:
        assert entries == [], "three misses in a row are none too many"
    else:
        assert len(entries) > 5


def test_one_slow_call_is_no_reason() -> None:
    """Sixty-four requests that waited for one call of 80 ms miss in one breath, and that is forgiven."""
    simulation = Simulation([lambda number: 0.08 if number == 0 else 0.005, at_once])
    simulation.run([number * 0.0001 for number in range(64)] + every(0.001, 1)[70:])
    assert simulation.events == []
    assert any(rang for _, rang in simulation.waited)


def test_one_that_is_late_half_of_the_time_is_put_on_probation() -> None:
    """Although never twice in a row; within a second."""
    probation = Probation(PATIENCE_S)
    told: list[ProbationEvent | None] = []
    for number in range(30):
        now = number / 30
        told.append(probation.kept(now, now - 0.01) if number % 2 else probation.missed(now, now - 0.1))
    assert ENTERED in told[19:]
    assert ENTERED not in told[:19]


def test_one_that_is_late_now_and_then_is_not() -> None:
    """One miss in five costs little and is kept."""
    simulation = Simulation([lambda number: 0.08 if number % 5 == 0 else 0.005, at_once])
    simulation.run(every(0.1, 60))
    assert simulation.events == []


def test_when_all_hang_the_last_is_waited_for_a_second() -> None:
    """Then nobody is waited for any more: the default answers at once."""
    simulation = Simulation([hangs, hangs])
    simulation.run(every(0.01, 10))
    assert [event for _, event in simulation.of(0)] == [ENTERED]
    assert [event for _, event in simulation.of(1)] == [ENTERED]
    assert 1.0 < simulation.of(1)[0][0] < 1.3
    assert not any(rang for moment, rang in simulation.waited if moment > 1.3)


def test_a_front_that_was_held_up_puts_nobody_on_probation() -> None:
    """Everything that came late for its sake came in one breath."""
    probations = Probations({0: PATIENCE_S, 1: DEADLINE_S}, DEADLINE_S)
    for number in range(100):
        probations.answered(0, number / 1000, number / 1000 - 0.005)
    for number in range(100):
        for variant in (0, 1):
            assert probations.answered(variant, 0.5 + number * 1e-5, 0.1 + number / 1000) is None
    assert probations.passed_over == ()


def test_the_last_one_standing_is_judged_by_the_deadline() -> None:
    """A champion that takes 80 ms is late beside a fallback, but good enough when the fallback fails, and late again after."""
    probations = Probations({0: PATIENCE_S, 1: DEADLINE_S}, DEADLINE_S)
    now = 0.0

    def ask(*, fallback_fails: bool) -> list[ProbationEvent]:
        nonlocal now
        now += 0.15
        probes = probations.may_probe(0, now)
        told = [
            probations.failed(1, now + 0.001, now) if fallback_fails else probations.answered(1, now + 0.001, now),
            probations.answered(0, now + 0.08, now) if probes or not probations.passed_over else None,
        ]
        return [event for event in told if event is not None]

    assert [event for _ in range(10) for event in ask(fallback_fails=False)] == [ENTERED]
    assert [event for _ in range(30) for event in ask(fallback_fails=True)] == [LEFT]
    assert [event for _ in range(10) for event in ask(fallback_fails=False)] == [ENTERED]


@pytest.mark.parametrize(("others", "probes"), [(0, 1), (1, 3)])
def test_one_kept_probe_is_enough_where_nobody_else_can_answer(others: int, probes: int) -> None:
    """Beside a variant that answers it takes three; and it is out but in the moments in which a request would be its probe."""
    probations = Probations(dict.fromkeys(range(1 + others), 0.1), 0.2)
    now = 0.0
    while not probations.passed_over:
        now += 0.25
        probations.overdue(0, now, now - 0.25)
    needed = 0
    assert probations.is_out(0, now)
    while probations.passed_over:
        now += 5.0
        assert not probations.is_out(0, now)
        assert probations.may_probe(0, now)
        assert probations.is_out(0, now)
        probations.answered(0, now + 0.01, now)
        needed += 1
    assert needed == probes


def test_failing_at_once_makes_nobody_wait() -> None:
    """So it leads to no probation; failing late does, and on probation to fail is no proof of health."""
    probations = Probations({0: PATIENCE_S, 1: DEADLINE_S}, DEADLINE_S)
    assert all(probations.failed(0, number + 0.001, number) is None for number in range(100))
    assert ENTERED in [probations.failed(0, 200 + number + 0.07, 200 + number) for number in range(10)]
    for number in range(100):
        if probations.may_probe(0, 300.0 + number):
            assert probations.failed(0, 300.001 + number, 300.0 + number) is None
    assert probations.passed_over == (0,)


def test_who_may_not_answer_is_of_no_interest() -> None:
    """A challenger that is not in the order is neither watched nor waited for."""
    probations = Probations({0: PATIENCE_S}, DEADLINE_S)
    assert all(probations.overdue(7, number + 0.1, number) is None for number in range(20))
    assert probations.answered(7, 30.0, 29.9) is None
    assert probations.failed(7, 30.0, 29.9) is None
    assert not probations.may_probe(7, 31.0)


def test_what_was_asked_before_it_was_taken_back_is_not_held_against_it() -> None:
    """Late answers of requests that nobody had waited for do not put a variant back on probation."""
    probation = Probation(PATIENCE_S)
    for number in range(5):
        probation.missed(number + 0.1, number)
    assert probation.is_on
    for number in range(3):
        assert probation.may_probe(10.0 + number)
        probation.kept(10.001 + number, 10.0 + number)
    assert not probation.is_on
    assert all(probation.missed(13.0 + number, 11.9) is None for number in range(20))
    assert not probation.is_on


class OneVariant(RuleBasedStateMachine):
    """Any history of one variant, on a clock that never goes back."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.probation = Probation(PATIENCE_S)
        self.was_on = False
        self.in_row = 0
        self.kept_probes = 0
        self.probe: float | None = None
        self.left_at = float("-inf")

    def told(self, event: ProbationEvent | None) -> None:
        """An event is told exactly when it happens."""
        assert (event is ENTERED) is (self.probation.is_on and not self.was_on)
        assert (event is LEFT) is (self.was_on and not self.probation.is_on)
        if event is LEFT:
            assert self.kept_probes == 3, "only three kept probes in a row take a variant back"
            self.in_row, self.left_at = 0, self.now
        if event is not None:
            self.kept_probes, self.probe = 0, None
        self.was_on = self.probation.is_on

    @rule(seconds=st.sampled_from([0.0, 0.001, 0.03, 0.1, 0.5, 3.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(requests=st.integers(1, 64), age=st.floats(0, PATIENCE_S))
    def kept(self, requests: int, age: float) -> None:
        arrived_at = self.now - age
        counts = self.was_on and self.probe is not None and arrived_at >= self.probe
        if counts:
            self.kept_probes, self.probe = self.kept_probes + 1, None
        elif not self.was_on and arrived_at >= self.left_at:
            self.in_row = 0
        self.told(self.probation.kept(self.now, arrived_at, requests))

    @rule(requests=st.integers(1, 64), age=st.floats(PATIENCE_S, 1.0))
    def missed(self, requests: int, age: float) -> None:
        arrived_at = self.now - age
        if self.was_on and self.probe is not None and arrived_at >= self.probe:
            self.kept_probes, self.probe = 0, None
        self.in_row += requests
        event = self.probation.missed(self.now, arrived_at, requests)
        assert event is not ENTERED or self.in_row >= 5 or requests >= 5 or self.probation.is_on
        self.told(event)

    @rule(age=st.floats(0, PATIENCE_S))
    def failed(self, age: float) -> None:
        arrived_at = self.now - age
        if self.was_on and self.probe is not None and arrived_at >= self.probe:
            self.kept_probes, self.probe = 0, None
        self.probation.failed(self.now, arrived_at)
        self.told(None)

    @rule()
    def probed(self) -> None:
        before = self.probe
        if self.probation.may_probe(self.now):
            assert self.was_on
            if before is not None:
                assert self.now - before >= PATIENCE_S, "one probe at a time, until it cannot be in time any more"
                self.kept_probes = 0
            self.probe = self.now
            assert not self.probation.may_probe(self.now), "one probe at a time"

    @precondition(lambda self: self.was_on)
    @rule()
    def comes_round(self) -> None:
        """However long it was on probation, a variant that keeps its probes is back within some seconds."""
        begun = self.now
        while self.was_on:
            assert self.now - begun < 8.0
            self.now += 0.05
            if self.probation.may_probe(self.now):
                if self.probe is not None:
                    self.kept_probes = 0
                self.probe = None
                self.kept_probes += 1
                arrived_at, self.now = self.now, self.now + 0.001
                self.told(self.probation.kept(self.now, arrived_at))

    @precondition(lambda self: not self.was_on)
    @rule()
    def hangs(self) -> None:
        """Whatever was before, five callers in turn are the last who wait for a variant that hangs."""
        for _ in range(5):
            arrived_at, self.now = self.now, self.now + PATIENCE_S + 0.001
            self.in_row += 1
            self.told(self.probation.missed(self.now, arrived_at))
            if self.was_on:
                return
        raise AssertionError("still waited for")

    @invariant()
    def is_on_as_told(self) -> None:
        """Nothing changes but by an event."""
        assert self.probation.is_on is self.was_on


class SomeVariants(RuleBasedStateMachine):
    """Any history of three variants of a plan."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.probations = Probations({0: 0.03, 2: PATIENCE_S, 3: DEADLINE_S}, DEADLINE_S)
        self.in_time_at = {0: 100.0, 2: 100.0, 3: 100.0}
        """When each last answered in time, or came back."""
        self.on: set[int] = set()

    variants = st.sampled_from([0, 2, 3])

    def told(self, variant: int, event: ProbationEvent | None) -> None:
        """The last one standing is put on probation only after a second without an answer by the deadline."""
        if event is ENTERED:
            if len(self.on) == 2:
                assert self.now - self.in_time_at[variant] >= 1.0
            self.on.add(variant)
        elif event is LEFT:
            self.on.remove(variant)
            self.in_time_at[variant] = self.now
        assert set(self.probations.passed_over) == self.on

    @rule(seconds=st.floats(0, 0.3))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(variant=variants, took_s=st.floats(0, 0.2), requests=st.integers(1, 9))
    def answered(self, variant: int, took_s: float, requests: int) -> None:
        if took_s <= {0: 0.03, 2: PATIENCE_S, 3: DEADLINE_S}[variant]:
            self.in_time_at[variant] = self.now
        self.told(variant, self.probations.answered(variant, self.now, self.now - took_s, requests))

    @rule(variant=variants, requests=st.integers(1, 9))
    def overdue(self, variant: int, requests: int) -> None:
        self.told(variant, self.probations.overdue(variant, self.now, self.now - DEADLINE_S, requests))

    @rule(variant=variants, took_s=st.floats(0, 0.2))
    def failed(self, variant: int, took_s: float) -> None:
        self.told(variant, self.probations.failed(variant, self.now, self.now - took_s))

    @rule(variant=variants)
    def probed(self, variant: int) -> None:
        if self.probations.may_probe(variant, self.now):
            assert variant in self.on


TestOneVariant = OneVariant.TestCase
TestSomeVariants = SomeVariants.TestCase
