"""Whether a front is behind with reading: how long the turns of its loop take, and what share of the requests it can read.

In one turn of its loop a front reads every request that has come, and meanwhile further ones wait unread. A long turn now and
then is a pause of the machine, and what has piled up is best answered: that takes some milliseconds, the deadline is far. Where
all turns are long it is a storm, and every request that is read makes all others wait longer. Then a part is refused unread, which
costs less than reading and answering it; how large a part follows the turns, so that they come back to a few milliseconds and no
more is refused than has to be.

The distinction between a queue that is a burst and one that stands is that of CoDel (RFC 8289, section 3).
"""

#: A turn that is not longer is one of a front that keeps up, seconds.
_CALM_S = 0.004
#: Where no turn was calm for so long, and not in so many, the queue stands: a storm. One request may take a turn of a second.
_STANDS_AFTER_S = 0.1
_STANDS_AFTER_TURNS = 4
#: How long turns shall be in a storm, seconds.
_WANTED_S = 0.008
#: By how much one turn may lower or raise the share that is read.
_DOWN, _UP = 0.15, 0.05
#: To refuse costs more than half of what it costs to read and answer, as most of both is the kernel's: to refuse still more would
#: help nobody.
_LEAST_SHARE = 0.35


class Turns:
    """The turns of one loop, as far as they read requests."""

    def __init__(self) -> None:
        self.is_open = False
        """A turn has begun and not ended."""
        self.share = 1.0
        """Of the requests, how many are read; the others are refused."""
        self._read = 0.0
        self._began = 0.0
        self._ended = 0.0
        self._calm_at = 0.0
        self._took_s = 0.0
        self._long_turns = 0

    def begin(self, now: float) -> None:
        """The first request of a turn is there.

        Args:
            now: monotonic, seconds.
        """
        self.is_open = True
        self._began = now
        if now - self._ended > _CALM_S:  # nothing was there to be read for a while, so nobody waits unread
            self._be_calm(now)
            self.share = 1.0

    @property
    def is_calm(self) -> bool:
        """Whether the last turn left time for more."""
        return self._took_s <= _CALM_S

    def refuses(self) -> bool:
        """Whether the next request is one of those that are not read."""
        if self.share == 1.0:
            return False
        self._read += self.share
        if self._read < 1.0:
            return True
        self._read -= 1.0
        return False

    def end(self, now: float) -> None:
        """All that had come is read, and what was to be answered at once is."""
        self.is_open = False
        self._ended = now
        took_s = self._took_s = now - self._began
        self._long_turns += 1
        if took_s <= _CALM_S:
            self._be_calm(now)
        if took_s <= _WANTED_S:
            self.share = min(1.0, self.share + _UP * (1.0 - took_s / _WANTED_S))
        elif self._long_turns >= _STANDS_AFTER_TURNS and now - self._calm_at > _STANDS_AFTER_S:
            self.share = max(_LEAST_SHARE, self.share - _DOWN * min(1.0, took_s / _WANTED_S - 1.0))

    def _be_calm(self, now: float) -> None:
        self._calm_at = now
        self._long_turns = 0
