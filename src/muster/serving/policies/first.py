"""`first`: the first variant of the order that has answered, each given its patience.

While the first variant's patience lasts, only its answer will do. When it has passed, or the variant has failed, an answer of the
next will do as well, and so on. A variant on probation (`PASSED_OVER`) is not waited for and counts as late, but an answer of it
that is there is taken. When all have failed, or none has answered by the deadline, the default answer is given.
"""

from collections.abc import Sequence

from muster.serving.decisions import DEFAULT, Decision, Outcome, Seen, WaitUntil
from muster.vocabulary.states import Reason

# Every answer of every variant asks: what can be said is made once, and members of an enumeration are looked up once.
_ANSWERED, _FAILED, _PENDING = Outcome.ANSWERED, Outcome.FAILED, Outcome.PENDING
_NOBODY = Decision(DEFAULT, Reason.DEFAULT)
#: What became of those before in the order, the worse the higher.
_NONE_BEFORE, _ERRED_BEFORE, _LATE_BEFORE = range(3)


class First:
    """The policy `first`.

    Args:
        order: indexes of the variants that may answer, the preferred one first.
        patience_s: how long to wait for each before a later one will do, seconds from arrival, never falling.
        deadline_s: when the answer has to leave, seconds from arrival.
        preferred: the reason to give when the first of the order answers.
    """

    def __init__(
        self,
        order: Sequence[int],
        patience_s: Sequence[float],
        deadline_s: float,
        preferred: Reason = Reason.CHAMPION,
    ) -> None:
        self._order = tuple(order)
        self._deadline_s = deadline_s
        self._until_deadline = WaitUntil(deadline_s)
        reasons = (preferred, Reason.FALLBACK_ERROR, Reason.FALLBACK_LATE)
        self._places = tuple(
            (index, waited_s, WaitUntil(waited_s), tuple(Decision(index, reason) for reason in reasons))
            for index, waited_s in zip(order, (min(patience, deadline_s) for patience in patience_s), strict=True)
        )

    def choose(self, seen: Seen, elapsed_s: float) -> Decision | WaitUntil:
        """What to do now.

        Args:
            seen: the request and what came back for it.
            elapsed_s: seconds since the request arrived.
        """
        outcomes = seen.outcomes
        before = _NONE_BEFORE
        for index, patience_s, waiting, decisions in self._places:
            outcome = outcomes[index]
            if outcome is _ANSWERED:
                return decisions[before]
            if outcome is _FAILED:
                before = before or _ERRED_BEFORE
            elif outcome is _PENDING and elapsed_s < patience_s:
                return waiting
            else:
                before = _LATE_BEFORE
        if elapsed_s < self._deadline_s and any(outcomes[index] is _PENDING for index in self._order):
            return self._until_deadline
        return _NOBODY
