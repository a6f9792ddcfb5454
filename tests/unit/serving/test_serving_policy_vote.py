"""The policy `vote`: what most say, as early as it is certain."""

from collections import Counter
from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from muster.serving.decisions import DEFAULT, Decision, Outcome, WaitUntil
from muster.serving.policies.vote import Vote
from muster.vocabulary.states import Reason
from muster.vocabulary.tensors import Datatype
from seen_requests import SeenRequest, column_from

PENDING, ANSWERED, FAILED, PASSED_OVER = Outcome
WAIT_S, DEADLINE_S = 0.06, 0.1
NOTHING = object()
"""In place of a ballot: the variant has not answered."""

VALUES: dict[Datatype, list[Any]] = {
    Datatype.BYTES: ["yes", "no", "", None],
    Datatype.BOOL: [True, False, None],
    Datatype.INT64: [0, 1, -(2**63), 2**63 - 1, None],
    Datatype.UINT8: [0, 255, None],
}


def asked(ballots: list[Any], datatype: Datatype = Datatype.BYTES, missing: Outcome = PENDING) -> SeenRequest:
    """A request that each variant answered with its ballot: one value per row, or NOTHING."""
    there = [ballot for ballot in ballots if ballot is not NOTHING]
    return SeenRequest(
        outcomes=[missing if ballot is NOTHING else ANSWERED for ballot in ballots],
        rows=len(there[0]) if there else 1,
        answers={
            index: {"label": column_from(datatype, ballot)}
            for index, ballot in enumerate(ballots)
            if ballot is not NOTHING
        },
    )


def said(request: SeenRequest, elapsed_s: float = 0.001) -> Decision | WaitUntil:
    """What the vote of all says."""
    return Vote(range(len(request.outcomes)), "label", WAIT_S, DEADLINE_S).choose(request, elapsed_s)


def won(ballots: list[Any], row: int) -> tuple[Any, int]:
    """A row's winner and the first to have voted for it, counted by hand."""
    votes = [ballot[row] for ballot in ballots if ballot is not NOTHING]
    most = max(Counter(votes).values())
    winner = next(vote for vote in votes if Counter(votes)[vote] == most)
    return winner, next(
        index for index, ballot in enumerate(ballots) if ballot is not NOTHING and ballot[row] == winner
    )


@st.composite
def elections(draw: st.DrawFn) -> tuple[Datatype, list[Any]]:
    """Some variants' ballots over some rows, some of them missing."""
    datatype = draw(st.sampled_from(list(VALUES)))
    rows = draw(st.integers(1, 4))
    ballot = st.lists(st.sampled_from(VALUES[datatype]), min_size=rows, max_size=rows)
    return datatype, draw(st.lists(st.one_of(ballot, ballot, st.just(NOTHING)), min_size=2, max_size=6))


@given(elections())
def test_each_row_is_answered_by_the_first_who_gave_what_most_gave(election: tuple[Datatype, list[Any]]) -> None:
    """Counted by hand it comes to the same, for every datatype, with nulls, over whoever is in when the wait is over."""
    datatype, ballots = election
    there = [index for index, ballot in enumerate(ballots) if ballot is not NOTHING]
    decision = said(asked(ballots, datatype), WAIT_S)
    if len(there) < 2:
        assert not isinstance(decision, Decision) or decision.reason is not Reason.VOTE
        return
    assert isinstance(decision, Decision)
    assert decision.reason is Reason.VOTE
    by_hand = [won(ballots, row)[1] for row in range(len(ballots[there[0]]))]
    assert list(decision.chosen or [decision.variant] * len(by_hand)) == by_hand


@given(elections())
def test_a_vote_is_taken_early_exactly_when_nothing_can_change_it(election: tuple[Datatype, list[Any]]) -> None:
    """Of all ways in which the missing may vote or fail none changes the value of a row, or else the vote waits."""
    datatype, ballots = election
    there = [ballot for ballot in ballots if ballot is not NOTHING]
    gone = [index for index, ballot in enumerate(ballots) if ballot is NOTHING]
    decision = said(asked(ballots, datatype))
    if not gone:
        assert isinstance(decision, Decision)
        return
    if not there:
        assert decision == WaitUntil(WAIT_S)
        return
    can_change = False
    for row in range(len(there[0])):
        now = won(ballots, row)[0]
        for votes in product([*{ballot[row] for ballot in there}, "another value", NOTHING], repeat=len(gone)):
            after = [[ballot[row]] if ballot is not NOTHING else NOTHING for ballot in ballots]
            for index, vote in zip(gone, votes, strict=True):
                after[index] = NOTHING if vote is NOTHING else [vote]
            can_change |= won(after, 0)[0] != now
    assert isinstance(decision, WaitUntil) is can_change


def test_two_alike_need_no_third() -> None:
    """With three voters the second of the same mind decides, whoever is missing."""
    assert said(asked([NOTHING, ["yes"], ["yes"]])) == Decision(1, Reason.VOTE)
    assert said(asked([["yes"], NOTHING, ["yes"]])) == Decision(0, Reason.VOTE)
    assert said(asked([["yes"], ["no"], NOTHING])) == WaitUntil(WAIT_S)


def test_one_row_that_is_open_keeps_the_request_waiting() -> None:
    """A request is decided when all its rows are."""
    assert said(asked([["yes", "yes"], ["yes", "no"], NOTHING])) == WaitUntil(WAIT_S)
    assert said(asked([["yes", "yes"], ["yes", "no"], NOTHING]), WAIT_S) == Decision(0, Reason.VOTE)
    assert said(asked([["yes", "no"], ["no", "yes"], ["no", "yes"]])) == Decision(1, Reason.VOTE)
    assert said(asked([["yes", "no"], ["no", "no"], ["no", "yes"]])) == Decision(1, Reason.VOTE, chosen=(1, 0))


def test_a_variant_on_probation_does_not_hold_up_the_vote() -> None:
    """The others vote without it, and it votes if it has answered."""
    assert said(asked([NOTHING, ["yes"], ["no"]], missing=PASSED_OVER)) == Decision(1, Reason.VOTE)


def test_one_voter_is_no_vote() -> None:
    """A single answer is given with the reason that `first` would give."""
    assert said(asked([["yes"], NOTHING, NOTHING]), WAIT_S) == Decision(0, Reason.CHAMPION)
    assert said(asked([NOTHING, ["yes"], NOTHING]), WAIT_S) == Decision(1, Reason.FALLBACK_LATE)
    assert said(asked([NOTHING, ["yes"]], missing=FAILED)) == Decision(1, Reason.FALLBACK_ERROR)
    assert said(asked([["yes"], NOTHING])) == Decision(0, Reason.CHAMPION), "a tie would be the champion's"
    assert said(asked([NOTHING, ["yes"]])) == WaitUntil(WAIT_S)


def test_after_the_wait_the_first_answer_until_the_deadline_will_do() -> None:
    """With nobody in there is no vote to take: whoever comes first answers, or the default."""
    nobody = asked([NOTHING, NOTHING])
    assert said(nobody) == WaitUntil(WAIT_S)
    assert said(nobody, WAIT_S) == WaitUntil(DEADLINE_S)
    assert said(nobody, DEADLINE_S) == Decision(DEFAULT, Reason.DEFAULT)
    assert said(asked([NOTHING, NOTHING], missing=FAILED)) == Decision(DEFAULT, Reason.DEFAULT)
