"""The policy `first`: one decision per request, in time, by the order."""

from hypothesis import given
from hypothesis import strategies as st

from muster.serving.decisions import Decision, Outcome, WaitUntil
from muster.serving.policies.first import First
from muster.vocabulary.states import Reason
from seen_requests import SeenRequest

DEADLINE_S = 0.1
Race = tuple[First, list[int], list[float], dict[int, tuple[float, Outcome]]]
PENDING, ANSWERED, FAILED, PASSED_OVER = Outcome


@st.composite
def races(draw: st.DrawFn) -> Race:
    """A policy over some variants, and when each of them answers or fails (or never)."""
    variants = draw(st.integers(1, 5))
    order = draw(st.permutations(range(variants)))[: draw(st.integers(1, variants))]
    patience = sorted(draw(st.lists(st.floats(0.001, DEADLINE_S), min_size=len(order), max_size=len(order))))
    moments = st.tuples(st.floats(0.0, 0.2), st.sampled_from([ANSWERED, FAILED]))
    events = draw(st.dictionaries(st.integers(0, variants - 1), moments))
    return First(order, patience, DEADLINE_S), list(order), patience, events


def play(policy: First, events: dict[int, tuple[float, Outcome]]) -> tuple[float, Decision, list[Outcome]]:
    """What a rendezvous would do: ask at every answer and at every moment the policy named. Gives what was known then, too."""
    outcomes = [PENDING] * 5
    pending = sorted((moment, index, outcome) for index, (moment, outcome) in events.items())
    now = 0.0
    for _ in range(100):
        said = policy.choose(SeenRequest(outcomes), now)
        if isinstance(said, Decision):
            return now, said, outcomes
        assert said.elapsed_s > now, "waiting must lead on"
        if pending and pending[0][0] <= said.elapsed_s:
            now, index, outcome = pending.pop(0)
            outcomes[index] = outcome
        else:
            now = said.elapsed_s
    raise AssertionError("the policy never decided")


@given(races())
def test_an_earlier_variant_wins_while_its_patience_lasts(race: Race) -> None:
    """No variant is chosen while one before it in the order, within its patience, may still answer."""
    policy, order, patience, events = race
    at, decision, known = play(policy, events)
    for place, index in enumerate(order):
        if index == decision.variant:
            break
        assert known[index] is FAILED or at >= patience[place] or decision.variant < 0
        assert known[index] is not ANSWERED


@given(races())
def test_the_reason_says_what_became_of_the_champion(race: Race) -> None:
    """`champion` only for the first of the order; `fallback_late` when one before it was too late, `fallback_error` when all failed."""
    policy, order, _, events = race
    _, decision, known = play(policy, events)
    if decision.variant < 0:
        assert decision.reason is Reason.DEFAULT
        return
    before = order[: order.index(decision.variant)]
    late = [index for index in before if known[index] is PENDING]
    if not before:
        assert decision.reason is Reason.CHAMPION
    else:
        assert decision.reason is (Reason.FALLBACK_LATE if late else Reason.FALLBACK_ERROR)


def said(outcomes: list[Outcome], elapsed_s: float = 0.001) -> Decision | WaitUntil:
    """What `first` over all of them says, 60 ms for each but the last."""
    patience = [0.06] * (len(outcomes) - 1) + [DEADLINE_S]
    return First(range(len(outcomes)), patience, DEADLINE_S).choose(SeenRequest(outcomes), elapsed_s)


def test_the_next_variant_answers_at_once_when_the_champion_fails() -> None:
    """A failure ends the patience with that variant."""
    assert said([FAILED, ANSWERED]) == Decision(1, Reason.FALLBACK_ERROR)


def test_a_variant_on_probation_is_not_waited_for() -> None:
    """The next one answers at once, and the record says that the one before it was too late."""
    assert said([PASSED_OVER, ANSWERED]) == Decision(1, Reason.FALLBACK_LATE)
    assert said([PASSED_OVER, PENDING]) == WaitUntil(DEADLINE_S)
    assert said([PASSED_OVER, FAILED, ANSWERED]) == Decision(2, Reason.FALLBACK_LATE)


def test_a_variant_on_probation_that_has_answered_is_taken() -> None:
    """Its answer counts like any other once it is there."""
    assert said([ANSWERED, PENDING]) == Decision(0, Reason.CHAMPION)
    assert said([PENDING, ANSWERED], 0.06) == Decision(1, Reason.FALLBACK_LATE)


def test_with_everybody_on_probation_the_default_answers_at_once() -> None:
    """There is nobody to wait for."""
    assert said([PASSED_OVER, PASSED_OVER]) == Decision(-1, Reason.DEFAULT)
    assert said([PASSED_OVER, FAILED]) == Decision(-1, Reason.DEFAULT)
