"""`first`: the first variant of the order that has answered, each given its patience.

While the first variant's patience lasts, only its answer will do. When it has passed, or the variant has failed, an answer of the
next will do as well, and so on. When all have failed, or none has answered by the deadline, the default answer is given.
"""

from collections.abc import Sequence

from muster.serving.decisions import Decision, Outcome, Seen, WaitUntil
from muster.vocabulary.states import Reason


class First:
    """The policy `first`.

    Args:
        order: indexes of the variants that may answer, the preferred one first.
        patience_s: how long to wait for each before a later one will do, seconds from arrival, never falling.
        deadline_s: when the answer has to leave, seconds from arrival.
    """

    def __init__(self, order: Sequence[int], patience_s: Sequence[float], deadline_s: float) -> None:
        self._order = tuple(order)
        self._patience_s = tuple(min(patience, deadline_s) for patience in patience_s)
        self._deadline_s = deadline_s

    def choose(self, seen: Seen, elapsed_s: float) -> Decision | WaitUntil:
        """What to do now.

        Args:
            seen: the request and what came back for it.
            elapsed_s: seconds since the request arrived.
        """
        outcomes = seen.outcomes
        skipped = Reason.CHAMPION
        for place, index in enumerate(self._order):
            outcome = outcomes[index]
            if outcome is Outcome.ANSWERED:
                return Decision(index, skipped)
            if outcome is Outcome.FAILED:
                skipped = skipped if skipped is Reason.FALLBACK_LATE else Reason.FALLBACK_ERROR
            elif outcome is Outcome.PENDING and elapsed_s < self._patience_s[place]:
                return WaitUntil(self._patience_s[place])
            else:
                skipped = Reason.FALLBACK_LATE
        if elapsed_s < self._deadline_s and any(outcomes[index] is Outcome.PENDING for index in self._order):
            return WaitUntil(self._deadline_s)
        return Decision(-1, Reason.DEFAULT)
