"""Probation: an endpoint stops waiting for a variant that keeps missing its patience, probes it, and takes it back.

A hung variant would cost every request its patience, and every reply would leave on the timer. `Probation` is what one front knows
of one variant of a plan; `Probations` holds them for the plan and sees to it that the last variant standing is judged more mildly,
because after it there is only the default answer. Both are pure: times come in, from one monotonic clock, and events go out.

A variant goes on probation

- after five misses in a row that did not come in the same breath. Requests wait in batches, so one slow call, or a front that was
  held up for a moment, makes dozens of misses at once; they do not count until as much time has passed again as the variant is
  given (at most 50 ms). Whoever asks one request at a time sees a hung variant put on probation at the fifth;
- or when at least half of at least twenty requests of the last half to whole second missed, the first of them a quarter of a second
  ago or more.

While it is on probation nobody waits for it, but the caller whose request is its probe, and he only where nobody else can answer:
he has nothing to lose. One request at a time is its probe: the first 0.1 s after it was put there, and as long as probes miss each
at twice the distance of the one before, up to nearly 2 s. Three kept probes in a row, 0.1 s apart, take it back; one, where
nobody else can answer. A variant that is put on probation again within 30 s of having been taken back has relapsed: its first probe
comes after twice the time that its first probe came after before, up to 5 s. So one that stalls every tenth request goes in and out
once in some seconds at most, and none is sent away for good.

A failure costs nobody any waiting, so it never leads to probation; but it proves nothing either, and on probation it counts as
a probe that missed.
"""

from collections.abc import Mapping
from enum import StrEnum

#: So many misses in a row, and not in the same breath.
_MISSES = 5
_SAME_BREATH_S = 0.05
#: So many requests in the last two windows, at least half of them missed.
_ASKED = 20
_WINDOW_S = 0.5
_SPREAD_S = 0.25
#: So many kept probes in a row take a variant back.
_KEPT_PROBES = 3
_SHORTEST_INTERVAL_S = 0.1
_LONGEST_INTERVAL_S = 1.9  # not 2: who stalls on the second, every second, is not to be met asleep each time
_RELAPSE_S = 30.0
_LONGEST_BREAK_S = 5.0
#: The last variant standing has to miss for so long without an answer in between.
_LAST_STANDING_S = 1.0


class ProbationEvent(StrEnum):
    """What has become of a variant."""

    ENTERED = "entered"
    LEFT = "left"


class Probation:
    """What one front knows of one variant: whether it is worth waiting for.

    Args:
        patience_s: how long the endpoint waits for the variant, seconds from arrival.
    """

    __slots__ = (
        "_asked", "_asked_before", "_break_s", "_first_missed_at", "_first_missed_before_at", "_interval_s", "_left_at",
        "_missed", "_missed_before", "_misses", "_misses_since", "_next_probe_at", "_patience_s", "_probe_at", "_probes_kept",
        "_same_breath_s", "_window_ends", "is_on",
    )  # fmt: skip

    def __init__(self, patience_s: float) -> None:
        self.is_on = False
        """Nobody waits for the variant."""
        self._patience_s = patience_s
        self._same_breath_s = min(patience_s, _SAME_BREATH_S)
        self._left_at = float("-inf")
        self._break_s = _SHORTEST_INTERVAL_S
        self._interval_s = _SHORTEST_INTERVAL_S
        self._next_probe_at = 0.0
        self._probe_at: float | None = None
        self._probes_kept = 0
        self._forget()

    def kept(
        self, now: float, arrived_at: float, requests: int = 1, *, is_last_standing: bool = False
    ) -> ProbationEvent | None:
        """The variant answered within its patience.

        Args:
            now: when that was known.
            arrived_at: when the request arrived, or the latest of several.
            requests: how many requests of one batch this speaks for.
            is_last_standing: there is nobody else to wait for.
        """
        if self.is_on:
            enough = 1 if is_last_standing else _KEPT_PROBES
            return self._probe_kept(now, enough) if self._is_of_probe(arrived_at) else None
        if arrived_at >= self._left_at:  # what arrived before then was not waited for
            self._misses = 0
            self._count(now, requests, 0)
        return None

    def missed(
        self, now: float, arrived_at: float, requests: int = 1, *, is_last_standing: bool = False
    ) -> ProbationEvent | None:
        """The variant's patience for a request has passed without an answer, or an answer came after it; say it once a request.

        Args:
            now: when that was known.
            arrived_at: when the request arrived, or the latest of several.
            requests: how many requests of one batch this speaks for.
            is_last_standing: there is nobody else to wait for.
        """
        if self.is_on:
            if self._is_of_probe(arrived_at):
                self._probe_missed(now)
            return None
        if arrived_at < self._left_at:
            return None
        if self._misses == 0:
            self._misses_since = now
        self._misses += requests
        self._count(now, requests, requests)
        if self._is_hopeless(now, is_last_standing=is_last_standing):
            self._enter(now)
            return ProbationEvent.ENTERED
        return None

    def failed(self, now: float, arrived_at: float) -> None:
        """The variant failed within its patience."""
        if self.is_on and self._is_of_probe(arrived_at):
            self._probe_missed(now)

    def is_out(self, now: float) -> bool:
        """Whether it is on probation, and a request that came now would not be its probe."""
        if not self.is_on:
            return False
        if self._probe_at is not None:
            return now < self._given_up_at(self._probe_at)
        return now < self._next_probe_at

    def may_probe(self, arrived_at: float) -> bool:
        """Whether the request that arrived then is the next probe; asked once a request, and only while on probation.

        A probe is sent to the variant, and what becomes of it is told as of any other request. Requests that arrive after it and
        are sent, too, are as good a proof.
        """
        if not self.is_on:
            return False
        if self._probe_at is not None:
            if arrived_at < self._given_up_at(self._probe_at):
                return False
            self._probe_missed(arrived_at)  # nobody told what became of it
        if arrived_at < self._next_probe_at:
            return False
        self._probe_at = arrived_at
        return True

    def _given_up_at(self, probe_at: float) -> float:
        """When a probe of which nobody has told what became of it counts as missed."""
        return probe_at + max(self._longer_interval_s(), self._patience_s)

    def _is_of_probe(self, arrived_at: float) -> bool:
        return self._probe_at is not None and arrived_at >= self._probe_at

    def _probe_kept(self, now: float, enough: int) -> ProbationEvent | None:
        self._probes_kept += 1
        if self._probes_kept >= enough:
            self.is_on = False
            self._left_at = now
            self._forget()
            return ProbationEvent.LEFT
        self._wait_for_next_probe(now, _SHORTEST_INTERVAL_S)
        return None

    def _probe_missed(self, now: float) -> None:
        self._probes_kept = 0
        self._wait_for_next_probe(now, self._longer_interval_s())

    def _wait_for_next_probe(self, now: float, interval_s: float) -> None:
        assert self._probe_at is not None
        self._interval_s = interval_s
        self._next_probe_at = max(now, self._probe_at + interval_s)
        self._probe_at = None

    def _longer_interval_s(self) -> float:
        return min(2 * self._interval_s, _LONGEST_INTERVAL_S)

    def _enter(self, now: float) -> None:
        relapsed = now - self._left_at < _RELAPSE_S
        self._break_s = min(2 * self._break_s, _LONGEST_BREAK_S) if relapsed else _SHORTEST_INTERVAL_S
        self._interval_s = _SHORTEST_INTERVAL_S
        self._next_probe_at = now + self._break_s
        self._probe_at = None
        self._probes_kept = 0
        self.is_on = True

    def _forget(self) -> None:
        """What was before does not count any more."""
        self._misses = 0
        self._misses_since = 0.0
        self._window_ends = float("-inf")
        self._asked = 0
        self._missed = 0
        self._asked_before = 0
        self._missed_before = 0
        self._first_missed_at = float("inf")
        self._first_missed_before_at = float("inf")

    def _is_hopeless(self, now: float, *, is_last_standing: bool) -> bool:
        misses_for_s = now - self._misses_since
        if is_last_standing:
            return self._misses >= _MISSES and misses_for_s >= _LAST_STANDING_S
        if self._misses >= _MISSES and misses_for_s >= self._same_breath_s:
            return True
        asked, missed = self._asked + self._asked_before, self._missed + self._missed_before
        return asked >= _ASKED and 2 * missed >= asked and now - self._first_missed_before_at >= _SPREAD_S

    def _count(self, now: float, asked: int, missed: int) -> None:
        if now >= self._window_ends:
            follows = now < self._window_ends + _WINDOW_S
            self._asked_before = self._asked if follows else 0
            self._missed_before = self._missed if follows else 0
            self._first_missed_before_at = self._first_missed_at if follows and self._missed else float("inf")
            self._asked = self._missed = 0
            self._window_ends = (self._window_ends if follows else now) + _WINDOW_S
        if missed and not self._missed:
            self._first_missed_at = now
        self._asked += asked
        self._missed += missed


class Probations:
    """The probations of a plan's variants on one front.

    The last variant standing, beside which all others are on probation or failed last, is judged mildly: by the deadline and not
    by its patience, since nobody else would answer in between; and it has to miss for a whole second without one answer in time.

    Args:
        patience_s: how long the endpoint waits for each variant that may answer, by its index, seconds from arrival.
        deadline_s: when the decision is taken, seconds from arrival.
    """

    def __init__(self, patience_s: Mapping[int, float], deadline_s: float) -> None:
        self._of = {index: Probation(patience) for index, patience in patience_s.items()}
        self._patience_s = dict(patience_s)
        self._deadline_s = deadline_s
        self._failing: set[int] = set()
        self.passed_over: tuple[int, ...] = ()
        """The variants on probation, nearly always none."""

    def answered(self, variant: int, now: float, arrived_at: float, requests: int = 1) -> ProbationEvent | None:
        """A variant answered, before the decision or after; not to be said where `overdue` was.

        Args:
            variant: its index.
            now: when the answer was there.
            arrived_at: when the request arrived. For a whole batch, the latest of them, and only if the earliest was in time.
            requests: how many requests this speaks for.
        """
        probation = self._of.get(variant)
        if probation is None:
            return None
        if self._failing:
            self._failing.discard(variant)
        took_s = now - arrived_at
        if took_s <= self._patience_s[variant] or (took_s <= self._deadline_s and self._is_last_standing(variant)):
            is_last_standing = probation.is_on and self._is_last_standing(variant)
            return self._told(probation.kept(now, arrived_at, requests, is_last_standing=is_last_standing))
        return self._missed(probation, variant, now, arrived_at, requests)

    def overdue(self, variant: int, now: float, arrived_at: float, requests: int = 1) -> ProbationEvent | None:
        """A request is decided, at least a variant's patience after it arrived, and this variant has not answered.

        Args:
            variant: its index.
            now: the time of the decision.
            arrived_at: when the request arrived.
            requests: how many requests this speaks for.
        """
        probation = self._of.get(variant)
        return None if probation is None else self._missed(probation, variant, now, arrived_at, requests)

    def failed(self, variant: int, now: float, arrived_at: float) -> ProbationEvent | None:
        """A variant failed, before the decision or after; not to be said where `overdue` was.

        To fail after the patience is to miss it.
        """
        probation = self._of.get(variant)
        if probation is None:
            return None
        self._failing.add(variant)
        if now - arrived_at > self._patience_s[variant]:
            return self._missed(probation, variant, now, arrived_at, 1)
        probation.failed(now, arrived_at)
        return None

    def is_out(self, variant: int, now: float) -> bool:
        """Whether a request that came now would neither wait for a variant nor probe it; see `Probation.is_out`."""
        probation = self._of.get(variant)
        return probation is not None and probation.is_out(now)

    def may_probe(self, variant: int, arrived_at: float) -> bool:
        """Whether the request that arrived then shall probe a variant that is passed over; see `Probation.may_probe`."""
        probation = self._of.get(variant)
        return probation is not None and probation.may_probe(arrived_at)

    def _missed(
        self, probation: Probation, variant: int, now: float, arrived_at: float, requests: int
    ) -> ProbationEvent | None:
        is_last_standing = not probation.is_on and self._is_last_standing(variant)
        return self._told(probation.missed(now, arrived_at, requests, is_last_standing=is_last_standing))

    def _is_last_standing(self, variant: int) -> bool:
        return all(
            probation.is_on or other in self._failing for other, probation in self._of.items() if other != variant
        )

    def _told(self, event: ProbationEvent | None) -> ProbationEvent | None:
        if event is not None:
            self.passed_over = tuple(index for index, probation in self._of.items() if probation.is_on)
        return event
