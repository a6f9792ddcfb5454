"""Load by a schedule, with latency counted from the moment at which a request was due.

A tool that sends the next request when the last was answered is slowed down by the very pauses that it should measure; that is
coordinated omission. Here a request that had to wait because the host was busy has waited, and that is part of its latency.

What comes while the host computes goes next, as one batch: that is what a front does (`serving.batching`).
"""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from muster.certification.percentiles import percentile

#: A request that is sent later than this after it was due although the host was free was sent late: the machine was busy.
LATE_S = 0.001
#: Rows of one batch, as a front begins with.
BATCH_ROWS = 256
#: Longer than this is not slept at once, seconds.
_NAP_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a batch came to."""

    failed: int
    """Requests of it that were answered with an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a schedule came to."""

    offered_per_s: float
    """Requests a second by the schedule, as it came out."""
    achieved_per_s: float
    """Requests a second by the moments of the answers."""
    requests: int
    """Due by the schedule."""
    answered: int
    failed: int
    """Answered with an error."""
    abandoned: int
    """Not answered when the time was up."""
    late: int
    """Sent late although the host was free: what this machine cost, not the model."""
    largest_batch: int
    """Requests that were under way together at most."""
    due_s: tuple[float, ...]
    """When each request was due, seconds after the start."""
    latency_ms: tuple[float, ...]
    """Of each request, from the moment at which it was due; of an abandoned one as long as it was waited for."""

    @property
    def kept_up(self) -> float:
        """The share of the offered rate that was achieved."""
        return self.achieved_per_s / self.offered_per_s

    def at(self, share: float) -> float:
        """A percentile of the latency, milliseconds."""
        return percentile(self.latency_ms, share)


def driven(
    due: Sequence[float],
    send: Callable[[Sequence[int]], Sent],
    *,
    give_up_s: float,
    batch_requests: int = BATCH_ROWS,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Found:
    """Send what is due when it is due, and see when the answers come.

    Args:
        due: when each request is due, seconds after the start, rising.
        send: sends these requests, by index, as one batch, and returns when the answers are there.
        give_up_s: how long after the last request is due the answers are waited for.
        batch_requests: requests that go together at most.
        monotonic: tells seconds that only rise.
        sleep: waits for so many seconds.
    """
    waiting: deque[int] = deque(range(len(due)))
    answered_at: dict[int, float] = {}
    failed = late = largest = 0
    begun = monotonic()
    until = due[-1] + give_up_s
    free_at = now = 0.0
    while waiting and now <= until:
        if due[waiting[0]] > now:
            sleep(min(_NAP_S, due[waiting[0]] - now))
            now = monotonic() - begun
            continue
        batch: list[int] = []
        while waiting and due[waiting[0]] <= now and len(batch) < batch_requests:
            batch.append(waiting.popleft())
        late += sum(now - max(due[index], free_at) > LATE_S for index in batch)
        largest = max(largest, len(batch))
        failed += send(batch).failed
        now = free_at = monotonic() - begun
        for index in batch:
            answered_at[index] = now
    return found_of(due, answered_at, failed=failed, late=late, largest=largest, waited_s=now)


def found_of(
    due: Sequence[float], answered_at: Mapping[int, float], *, failed: int, late: int, largest: int, waited_s: float
) -> Found:
    """What came of a schedule.

    Args:
        due: when each request was due.
        answered_at: when each was answered, by its index; the others were not.
        failed: how many were answered with an error.
        late: how many were sent late by this machine.
        largest: how many were under way together at most.
        waited_s: until when answers were waited for.
    """
    return Found(
        offered_per_s=_rate(due[0], due[-1], len(due)),
        achieved_per_s=_achieved(due, answered_at),
        requests=len(due),
        answered=len(answered_at) - failed,
        failed=failed,
        abandoned=len(due) - len(answered_at),
        late=late,
        largest_batch=largest,
        due_s=tuple(due),
        latency_ms=tuple(
            1000 * (answered_at.get(index, max(waited_s, moment)) - moment) for index, moment in enumerate(due)
        ),
    )


def _rate(first: float, last: float, count: int) -> float:
    """Requests a second of moments that are so far apart; one alone is taken as one a second."""
    return (count - 1) / (last - first) if count > 1 and last > first else float(count)


def _achieved(due: Sequence[float], answered_at: Mapping[int, float]) -> float:
    """Answers a second, never more than were offered.

    Taken between the first answer and the last: what a host takes for one request delays all answers alike, and says nothing
    about how many it can give. What was abandoned is time spent without an answer: then the rate is that of the schedule's share.
    """
    offered = _rate(due[0], due[-1], len(due))
    if not answered_at:
        return 0.0
    moments = sorted(answered_at.values())
    if len(moments) == 1:
        return offered / len(due)
    measured = _rate(moments[0], moments[-1], len(moments)) if moments[-1] > moments[0] else offered
    return (
        min(offered, measured) if len(answered_at) == len(due) else min(offered * len(answered_at) / len(due), measured)
    )
