"""How many requests a front takes on at a time: about as many as it can answer in time, and the rest is told so at once.

By Little's law the requests that are under way are the rate of answers times the time each takes. Where more are under way than
the measured rate answers within a share of the deadline, one more would only make all of them late.
"""

#: The share of the shortest deadline that requests may spend under way before new ones are refused.
_SHARE = 1.0
#: So many are always taken on: a burst after a quiet time must not be refused because nothing was measured.
FEWEST = 1024
MOST = 20_000
_SMOOTHING = 0.1
#: With more than this share of its limit under way a front is busy all the time.
_BUSY_SHARE = 0.5


class Admission:
    """The limit on requests under way, learnt from what the front gets done."""

    def __init__(self) -> None:
        self.limit = FEWEST
        """Requests that may be under way."""
        self._rate = 0.0
        self._decided = 0
        self._at = 0.0

    def learn(self, decided: int, under_way: int, now: float, deadline_s: float) -> None:
        """Look at the count of decisions; called several times a second.

        Args:
            decided: decisions since the start.
            under_way: requests that are not decided yet.
            now: monotonic, seconds.
            deadline_s: the shortest deadline that is served.
        """
        if self._at:
            rate = (decided - self._decided) / max(now - self._at, 1e-3)
            # Fewer answers say less of what the front can do where there was no more to answer.
            if rate > self._rate:
                self._rate = rate
            elif under_way > self.limit * _BUSY_SHARE:
                self._rate += (rate - self._rate) * _SMOOTHING
        self._decided, self._at = decided, now
        self.limit = min(MOST, max(FEWEST, int(self._rate * deadline_s * _SHARE)))
