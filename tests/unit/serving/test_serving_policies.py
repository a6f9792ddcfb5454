"""The policy `first`: one decision per request, in time, by the order."""

from hypothesis import given
from hypothesis import strategies as st

from muster.serving.decisions import Decision, Outcome, WaitUntil
from muster.serving.policies.first import First
from muster.vocabulary.states import Reason

DEADLINE_S = 0.1
Race = tuple[First, list[int], list[float], dict[int, tuple[float, Outcome]]]


@st.composite
def races(draw: st.DrawFn) -> Race:
    """A policy over some variants, and when each of them answers or fails (or never)."""
    variants = draw(st.integers(1, 5))
    order = draw(st.permutations(range(variants)))[: draw(st.integers(1, variants))]
    patience = sorted(draw(st.lists(st.floats(0.001, DEADLINE_S), min_size=len(order), max_size=len(order))))
    moments = st.tuples(st.floats(0.0, 0.2), st.sampled_from([Outcome.ANSWERED, Outcome.FAILED]))
    events = draw(st.dictionaries(st.integers(0, variants - 1), moments))
    return First(order, patience, DEADLINE_S), list(order), patience, events


def play(policy: First, events: dict[int, tuple[float, Outcome]]) -> tuple[float, Decision, list[Outcome]]:
    """What a rendezvous would do: ask at every answer and at every moment the policy named. Gives what was known then, too."""
    outcomes = [Outcome.PENDING] * 5
    pending = sorted((moment, index, outcome) for index, (moment, outcome) in events.items())
    now = 0.0
    for _ in range(100):
        said = policy.choose(outcomes, now)
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
def test_there_is_one_decision_at_the_deadline_at_the_latest(race: Race) -> None:
    """Whatever the variants do, the policy decides by its deadline, and never for a variant that has not answered."""
    policy, order, _, events = race
    at, decision, _ = play(policy, events)
    assert at <= DEADLINE_S
    if decision.variant >= 0:
        moment, outcome = events[decision.variant]
        assert outcome is Outcome.ANSWERED
        assert moment <= at
        assert decision.variant in order
    else:
        assert decision.reason is Reason.DEFAULT
        assert not any(
            events[index][1] is Outcome.ANSWERED and events[index][0] < DEADLINE_S for index in order if index in events
        )


@given(races())
def test_an_earlier_variant_wins_while_its_patience_lasts(race: Race) -> None:
    """No variant is chosen while one before it in the order, within its patience, may still answer."""
    policy, order, patience, events = race
    at, decision, known = play(policy, events)
    for place, index in enumerate(order):
        if index == decision.variant:
            break
        assert known[index] is Outcome.FAILED or at >= patience[place] or decision.variant < 0
        assert known[index] is not Outcome.ANSWERED


@given(races())
def test_the_reason_says_what_became_of_the_champion(race: Race) -> None:
    """`champion` only for the first of the order; `fallback_late` when one before it was too late, `fallback_error` when all failed."""
    policy, order, _, events = race
    _, decision, known = play(policy, events)
    if decision.variant < 0:
        return
    before = order[: order.index(decision.variant)]
    late = [index for index in before if known[index] is Outcome.PENDING]
    if not before:
        assert decision.reason is Reason.CHAMPION
    else:
        assert decision.reason is (Reason.FALLBACK_LATE if late else Reason.FALLBACK_ERROR)


@given(races(), st.lists(st.sampled_from(list(Outcome)), min_size=5, max_size=5), st.floats(0, 0.2))
def test_the_same_inputs_give_the_same_decision(race: Race, outcomes: list[Outcome], elapsed_s: float) -> None:
    """A policy is pure."""
    policy = race[0]
    first, second = policy.choose(outcomes, elapsed_s), policy.choose(outcomes, elapsed_s)
    assert first == second
    assert isinstance(first, Decision | WaitUntil)


def test_the_next_variant_answers_at_once_when_the_champion_fails() -> None:
    """A failure ends the patience with that variant."""
    said = First([0, 1], [0.06, 0.1], 0.1).choose([Outcome.FAILED, Outcome.ANSWERED], 0.001)
    assert said == Decision(1, Reason.FALLBACK_ERROR)
