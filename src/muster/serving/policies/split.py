"""`split`: each unit is answered by the variant that a hash of it assigns it to.

A unit is a value of one input field; `shares` says which variant has which units at which step of the ramp. A variant that fails,
misses its patience or is on probation is replaced along the order, as with `first`. Rows of one request are units of their own:
each has its own variant, and the request is decided when all rows are. Its reason is that of the rows that fared worst:
`fallback_late`, then `fallback_error`, then `split`.

The probability is that of the first row's variant: the sum of the shares, at this step, of all variants whose units would be given
this answer now. While all is well that is the share of the variant; where it also stands in for others, their shares are in it.
"""

from collections.abc import Sequence

from muster.serving.decisions import Decision, Seen, WaitUntil
from muster.serving.policies.first import First
from muster.serving.policies.shares import layouts, placing, units
from muster.vocabulary.states import Reason

#: Of a request whose rows have several reasons, the last of these that occurs.
_WORSE = (Reason.SPLIT, Reason.FALLBACK_ERROR, Reason.FALLBACK_LATE, Reason.DEFAULT)


class Split:
    """The policy `split`.

    Args:
        order: indexes of the variants that may answer.
        patience_s: how long to wait for each, seconds from arrival.
        field: the input whose values are the units.
        salt: makes this split independent of others over the same field.
        steps: for each step of the ramp, each variant's share.
        deadline_s: when the answer has to leave, seconds from arrival.
    """

    def __init__(
        self,
        order: Sequence[int],
        patience_s: Sequence[float],
        field: str,
        salt: str,
        steps: Sequence[Sequence[float]],
        deadline_s: float,
    ) -> None:
        self._field = field
        self._place = placing(salt)
        self._steps = tuple(tuple(shares) for shares in steps)
        self._layouts = layouts(self._steps)
        self._firsts = tuple(_beginning_with(place, order, patience_s, deadline_s) for place in range(len(order)))

    def choose(self, seen: Seen, elapsed_s: float) -> Decision | WaitUntil:
        """What to do now.

        Args:
            seen: the request and what came back for it.
            elapsed_s: seconds since the request arrived.
        """
        step = min(max(seen.step, 0), len(self._layouts) - 1)
        owner, place = self._layouts[step].owner, self._place
        owners = [owner(place(unit)) for unit in units(seen.input(self._field))]
        decided: dict[int, Decision] = {}
        wait: WaitUntil | None = None
        for assigned in set(owners):
            said = self._firsts[assigned].choose(seen, elapsed_s)
            if isinstance(said, Decision):
                decided[assigned] = said
            elif wait is None or said.elapsed_s < wait.elapsed_s:
                wait = said
        if wait is not None:
            return wait
        first = decided[owners[0]]
        probability = self._probability(first.variant, self._steps[step], decided, seen, elapsed_s)
        if len({said.variant for said in decided.values()}) == 1:
            return Decision(first.variant, _worst(decided), probability)
        chosen = tuple(decided[assigned].variant for assigned in owners)
        return Decision(first.variant, _worst(decided), probability, chosen=chosen)

    def _probability(
        self, variant: int, shares: tuple[float, ...], decided: dict[int, Decision], seen: Seen, elapsed_s: float
    ) -> float:
        """Of all units, how many would be given this variant's answer now."""
        probability = 0.0
        for assigned, share in enumerate(shares):
            if share > 0.0:
                said = decided.get(assigned) or self._firsts[assigned].choose(seen, elapsed_s)
                if isinstance(said, Decision) and said.variant == variant:
                    probability += share
        return min(probability, 1.0)


def _worst(decided: dict[int, Decision]) -> Reason:
    return max((said.reason for said in decided.values()), key=_WORSE.index)


def _beginning_with(place: int, order: Sequence[int], patience_s: Sequence[float], deadline_s: float) -> First:
    """`first` over the order with one variant drawn to its front; patience never falls along it."""
    places = [place, *(other for other in range(len(order)) if other != place)]
    waited_s, longest = [], 0.0
    for other in places:
        longest = max(longest, patience_s[other])
        waited_s.append(longest)
    return First([order[other] for other in places], waited_s, deadline_s, Reason.SPLIT)
