"""`vote`: each row is answered with the value of one output that most variants gave.

A row's winner is the value with the most votes; of several with as many, the one that the earliest variant of the order gave.
Null is a value like any other. The row is answered, with all its outputs, by the earliest variant in that gave the winner.

The vote is taken when nobody is missing, or as soon as those missing can change the value of no row, and at `wait_s` over
whoever is in. A variant on probation is not missing: it votes if it has answered. One voter alone is no vote: its answer is
given with the reason that `first` would give.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from muster.packaging.columns import Column, array_of, element_ends, nulls_of
from muster.serving.decisions import Decision, Outcome, Seen, WaitUntil
from muster.serving.policies.first import First
from muster.vocabulary.states import Reason
from muster.vocabulary.tensors import Datatype

_ANSWERED, _PENDING = Outcome.ANSWERED, Outcome.PENDING


class Vote:
    """The policy `vote`.

    Args:
        order: indexes of the variants that vote, the one that wins ties first.
        output: the scalar output that is voted on: text, flag or whole number.
        wait_s: how long to wait for every vote, seconds from arrival.
        deadline_s: when the answer has to leave, seconds from arrival.
    """

    def __init__(self, order: Sequence[int], output: str, wait_s: float, deadline_s: float) -> None:
        self._order = tuple(order)
        self._output = output
        self._wait_s = min(wait_s, deadline_s)
        self._waiting = WaitUntil(self._wait_s)
        self._alone = First(order, (0.0,) * len(self._order), deadline_s)
        self._unanimous = {index: Decision(index, Reason.VOTE) for index in self._order}

    def choose(self, seen: Seen, elapsed_s: float) -> Decision | WaitUntil:
        """What to do now.

        Args:
            seen: the request and what came back for it.
            elapsed_s: seconds since the request arrived.
        """
        outcomes = seen.outcomes
        places = [place for place, index in enumerate(self._order) if outcomes[index] is _ANSWERED]
        missing = []
        if elapsed_s < self._wait_s:
            missing = [place for place, index in enumerate(self._order) if outcomes[index] is _PENDING]
            if len(missing) > len(places):  # whatever was voted, as many others may outvote it
                return self._waiting
        if len(places) < 2:
            if missing and (not places or missing[0] < places[0]):
                return self._waiting
            return self._alone.choose(seen, elapsed_s)
        ballots = [seen.outputs(self._order[place])[self._output] for place in places]
        winners = _winner(ballots, places, missing) if seen.rows == 1 else _winners(ballots, places, missing, seen.rows)
        return self._waiting if winners is None else self._decision(winners)

    def _decision(self, winners: Sequence[int]) -> Decision:
        first = self._order[winners[0]]
        if all(place == winners[0] for place in winners):
            return self._unanimous[first]
        return Decision(first, Reason.VOTE, chosen=tuple(self._order[place] for place in winners))


def _winner(ballots: list[Column], places: list[int], missing: list[int]) -> list[int] | None:
    """`_winners` of one row, without arrays: nearly every request has one row."""
    votes = [b"" if ballot.nulls and ballot.nulls[0] else bytes(ballot.data) for ballot in ballots]
    counts: dict[bytes, int] = {}
    firsts: dict[bytes, int] = {}
    for place, vote in zip(places, votes, strict=True):
        counts[vote] = counts.get(vote, 0) + 1
        firsts.setdefault(vote, place)
    most = max(counts.values())
    winner = next(vote for vote in votes if counts[vote] == most)
    if missing:
        # The strongest challenge is that all who are missing vote alike, for a value that is there or for a new one.
        rivals = [(counts[vote], firsts[vote]) for vote in counts if vote != winner]
        for votes_for, first in (*rivals, (0, missing[0])):
            reached = votes_for + len(missing)
            if reached > most or (reached == most and min(first, missing[0]) < firsts[winner]):
                return None
    return [firsts[winner]]


def _winners(ballots: list[Column], places: list[int], missing: list[int], rows: int) -> list[int] | None:
    """The place in the order that answers each row, or None while those missing could change the value of a row."""
    votes, nulls = _votes(ballots)
    count = len(ballots)
    same = [
        [
            (votes[one] == votes[other]) & ~(nulls[one] | nulls[other]) | (nulls[one] & nulls[other])
            for other in range(count)
        ]
        for one in range(count)
    ]
    counts = np.array([np.sum(alike, axis=0) for alike in same])
    # The first of the greatest counts is the earliest voter for a winner, and the winner of a tie.
    winners = np.argmax(counts, axis=0)
    if missing:
        most = counts.max(axis=0)
        firsts = np.asarray(places)[winners]
        row = np.arange(rows)
        agrees = np.array(same)[winners, :, row].T
        for voter, place in enumerate(places):
            reached = counts[voter] + len(missing)
            may_win = (reached > most) | ((reached == most) & (min(place, missing[0]) < firsts))
            if bool((may_win & ~agrees[voter]).any()):
                return None
        if bool(((len(missing) > most) | ((len(missing) == most) & (missing[0] < firsts))).any()):
            return None
    return [places[winner] for winner in winners.tolist()]


def _votes(ballots: list[Column]) -> tuple[list[npt.NDArray[np.generic]], list[npt.NDArray[np.bool_]]]:
    """Per voter its values, comparable as numbers, and which rows are null."""
    if ballots[0].datatype is Datatype.BYTES:
        codes: dict[bytes, int] = {}
        votes: list[npt.NDArray[np.generic]] = [_codes(ballot, codes) for ballot in ballots]
    else:
        votes = [array_of(ballot) for ballot in ballots]
    nulls = [nulls_of(ballot) for ballot in ballots]
    return votes, [
        np.zeros(len(vote), np.bool_) if null is None else null for vote, null in zip(votes, nulls, strict=True)
    ]


def _codes(ballot: Column, codes: dict[bytes, int]) -> npt.NDArray[np.int64]:
    """One number per text; `codes` remembers which, from voter to voter."""
    data = bytes(ballot.data)
    start, numbers = 0, []
    for end in element_ends(data):
        numbers.append(codes.setdefault(data[start:end], len(codes)))
        start = end
    return np.array(numbers, np.int64)
