"""What holds for every policy. A new one joins by one line in `CASES`: how to draw a document of it for some order."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.packaging.columns import Column
from muster.serving.decisions import COMBINED, DEFAULT, Decision, Outcome, Policy, WaitUntil
from muster.serving.policies.compiled import compiled, waited_s
from muster.serving.policies.problems import policy_problems
from muster.vocabulary.states import Reason, Role
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Field
from muster.wire.plans import (
    FirstPolicy,
    PlannedPolicy,
    PlannedVariant,
    SplitPolicy,
    SplitStep,
    VotePolicy,
    WeightedPolicy,
)
from seen_requests import SeenRequest, column_from

DEADLINE_MS = 100.0
DEADLINE_S = DEADLINE_MS / 1000
LABELS = ("stays", "leaves", "unsure")
CONTRACT = Contract(
    inputs=(Field("customer", Datatype.BYTES, nullable=True),),
    outputs=(
        Field("label", Datatype.BYTES, nullable=True),
        Field("score", Datatype.FP64, nullable=True),
        Field("classes", Datatype.FP32, (3,), labels=LABELS),
    ),
)
DISTRIBUTIONS = ([1.0, 0.0, 0.0], [0.25, 0.75, 0.0], [0.2, 0.3, 0.5], [0.3, 0.3, 0.4])
PENDING, ANSWERED, FAILED, PASSED_OVER = Outcome

Order = tuple[str, ...]


def _patience(order: Order) -> st.SearchStrategy[tuple[float, ...]]:
    times = st.lists(st.floats(0.1, DEADLINE_MS), min_size=len(order), max_size=len(order))
    return times.map(sorted).map(tuple)


def _shares(order: Order) -> st.SearchStrategy[SplitStep]:
    parts = st.lists(st.integers(0, 5), min_size=len(order), max_size=len(order)).filter(any)
    return parts.map(lambda drawn: SplitStep(tuple(part / sum(drawn) for part in drawn)))


def _first(order: Order) -> st.SearchStrategy[PlannedPolicy]:
    return st.builds(FirstPolicy, st.just(order), _patience(order))


def _vote(order: Order) -> st.SearchStrategy[PlannedPolicy]:
    return st.builds(VotePolicy, st.just(order), st.just("label"), st.floats(0.1, DEADLINE_MS))


def _weighted(order: Order) -> st.SearchStrategy[PlannedPolicy]:
    weights = st.lists(st.floats(0.01, 100), min_size=len(order), max_size=len(order)).map(tuple)
    argmax = st.sampled_from([{}, {"label": "classes"}])
    outputs = st.just(("classes", "score"))
    return st.builds(WeightedPolicy, st.just(order), weights, outputs, st.floats(0.1, DEADLINE_MS), argmax)


def _split(order: Order) -> st.SearchStrategy[PlannedPolicy]:
    steps = st.lists(_shares(order), min_size=1, max_size=3).map(tuple)
    return st.builds(SplitPolicy, st.just(order), _patience(order), st.just("customer"), st.just("salt"), steps)


#: By name: documents of the policy for an order of at least two versions, over `CONTRACT`.
CASES: dict[str, Callable[[Order], st.SearchStrategy[PlannedPolicy]]] = {
    "first": _first,
    "vote": _vote,
    "weighted": _weighted,
    "split": _split,
}


@dataclass(frozen=True)
class Race:
    """A policy, a request, and when each variant answers or fails; those not in `events` never do."""

    document: PlannedPolicy
    order: tuple[int, ...]
    request: SeenRequest
    events: dict[int, tuple[float, Outcome]]

    def policy(self) -> Policy:
        """A fresh one."""
        return compiled(self.document, _indexes(len(self.request.outcomes)), CONTRACT, DEADLINE_S)


def _versions(count: int) -> tuple[str, ...]:
    return tuple(f"churn:{number}" for number in range(1, count + 1))


def _indexes(count: int) -> dict[str, int]:
    return {version: index for index, version in enumerate(_versions(count))}


@st.composite
def _answers(draw: st.DrawFn, rows: int) -> dict[str, Column]:
    labels = draw(st.lists(st.sampled_from([*LABELS, None]), min_size=rows, max_size=rows))
    scores = draw(st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=rows, max_size=rows))
    classes = draw(st.lists(st.sampled_from(DISTRIBUTIONS), min_size=rows, max_size=rows))
    return {
        "label": column_from(Datatype.BYTES, labels),
        "score": column_from(Datatype.FP64, scores),
        "classes": column_from(Datatype.FP32, classes, (3,)),
    }


@st.composite
def races(draw: st.DrawFn, name: str) -> Race:
    """Any policy of that name over some of a plan's variants, any answers at any time."""
    count = draw(st.integers(3, 5))
    ranking = tuple(draw(st.permutations(range(count))))
    order = ranking[: draw(st.integers(2, count - 1))]  # there is always one variant that may not answer
    document = draw(CASES[name](tuple(_versions(count)[index] for index in order)))
    rows = draw(st.sampled_from([1, 1, 2, 5]))
    customers = draw(st.lists(st.one_of(st.none(), st.text(max_size=3)), min_size=rows, max_size=rows))
    request = SeenRequest(
        outcomes=draw(st.lists(st.sampled_from([PENDING, PENDING, PASSED_OVER]), min_size=count, max_size=count)),
        rows=rows,
        step=draw(st.integers(0, 4)),
        answers={index: draw(_answers(rows)) for index in range(count)},
        inputs={"customer": column_from(Datatype.BYTES, customers)},
    )
    moments = st.tuples(st.floats(0.0, 2 * DEADLINE_S), st.sampled_from([ANSWERED, ANSWERED, FAILED]))
    return Race(document, order, request, draw(st.dictionaries(st.integers(0, count - 1), moments)))


@st.composite
def moments(draw: st.DrawFn, name: str) -> tuple[Race, SeenRequest, float]:
    """A race in the middle: what is known then, and how much time has passed."""
    race = draw(races(name))
    count = len(race.request.outcomes)
    outcomes = draw(st.lists(st.sampled_from(Outcome), min_size=count, max_size=count))
    return race, replace(race.request, outcomes=outcomes), draw(st.floats(0, 2 * DEADLINE_S))


def play(race: Race) -> tuple[float, Decision, SeenRequest]:
    """What a rendezvous does: ask at once, at every answer and at every moment that the policy named."""
    policy = race.policy()
    request = replace(race.request, outcomes=list(race.request.outcomes))
    coming = sorted((moment, index, outcome) for index, (moment, outcome) in race.events.items())
    now = 0.0
    for _ in range(100):
        said = policy.choose(request, now)
        if isinstance(said, Decision):
            return now, said, request
        assert now < said.elapsed_s <= DEADLINE_S, "waiting leads on, and never beyond the deadline"
        if coming and coming[0][0] <= said.elapsed_s:
            now, index, outcome = coming.pop(0)
            request.outcomes[index] = outcome
        else:
            now = said.elapsed_s
    raise AssertionError("the policy never decided")


def judge(decision: Decision, request: SeenRequest, order: tuple[int, ...]) -> None:
    """Whether a decision is one that the rest of the serving side can carry out."""
    answered = {index for index in order if request.outcomes[index] is ANSWERED}
    assert 0 < decision.probability <= 1
    assert decision.reason not in {Reason.FORCED, Reason.NONE}
    assert (decision.variant == DEFAULT) is (decision.reason is Reason.DEFAULT)
    assert (decision.variant == COMBINED) is (decision.outputs is not None) is (decision.weights is not None)
    assert decision.variant in {*answered, DEFAULT, COMBINED}
    if decision.chosen is not None:
        assert len(decision.chosen) == request.rows
        assert decision.chosen[0] == decision.variant
        assert len(set(decision.chosen)) > 1, "one variant for all rows is said in one word"
        assert set(decision.chosen) <= answered
    if decision.weights is not None and decision.outputs is not None:
        assert len(decision.weights) == len(request.outcomes)
        assert sum(decision.weights) == pytest.approx(1, abs=1e-12)
        assert {index for index, weight in enumerate(decision.weights) if weight} == answered
        assert list(decision.outputs) == [field.name for field in CONTRACT.outputs]
        for field in CONTRACT.outputs:
            column = decision.outputs[field.name]
            assert (column.datatype, column.shape) == (field.datatype, field.shape)
            assert column.nulls is None or (field.nullable and len(column.nulls) == request.rows)


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_there_is_one_decision_at_the_deadline_at_the_latest(name: str, data: st.DataObject) -> None:
    """Whatever the variants do and whoever is on probation, the policy decides in time, for nobody but who has answered."""
    race = data.draw(races(name))
    at, decision, request = play(race)
    assert at <= DEADLINE_S
    judge(decision, request, race.order)


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_every_moment_has_an_answer(name: str, data: st.DataObject) -> None:
    """Asked at any moment, the policy decides or names a later one up to the deadline, where it has to decide."""
    race, request, elapsed_s = data.draw(moments(name))
    said = race.policy().choose(request, elapsed_s)
    if isinstance(said, WaitUntil):
        assert elapsed_s < said.elapsed_s <= DEADLINE_S
    else:
        judge(said, request, race.order)


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_the_same_inputs_give_the_same_decision(name: str, data: st.DataObject) -> None:
    """A policy keeps nothing between calls and changes nothing: asked twice, or made anew, it says the same."""
    race, request, elapsed_s = data.draw(moments(name))
    before = list(request.outcomes)
    policy = race.policy()
    said = policy.choose(request, elapsed_s)
    policy.choose(race.request, elapsed_s)
    assert policy.choose(request, elapsed_s) == said
    assert race.policy().choose(request, elapsed_s) == said
    assert request.outcomes == before


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_who_is_not_in_the_order_does_not_matter(name: str, data: st.DataObject) -> None:
    """Whatever a variant does that is not named, nobody notices it in the answer."""
    race, request, elapsed_s = data.draw(moments(name))
    others = [
        outcome if index in race.order else data.draw(st.sampled_from(Outcome))
        for index, outcome in enumerate(request.outcomes)
    ]
    policy = race.policy()
    assert policy.choose(replace(request, outcomes=others), elapsed_s) == policy.choose(request, elapsed_s)


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_when_all_are_in_it_does_not_matter_when_they_came(name: str, data: st.DataObject) -> None:
    """With nobody to wait for there is a decision at once, the same at any time and whatever came first."""
    race, request, elapsed_s = data.draw(moments(name))
    outcomes = [
        data.draw(st.sampled_from([ANSWERED, FAILED])) if index in race.order else outcome
        for index, outcome in enumerate(request.outcomes)
    ]
    in_turn = replace(request, outcomes=outcomes)
    shuffled = dict(data.draw(st.permutations(list(request.answers.items()))))
    said = race.policy().choose(in_turn, 0.0)
    assert isinstance(said, Decision)
    assert race.policy().choose(replace(in_turn, answers=shuffled), elapsed_s) == said


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_the_default_is_for_want_of_an_answer(name: str, data: st.DataObject) -> None:
    """The default answer is never given while a variant of the order has answered."""
    race = data.draw(races(name))
    _, decision, request = play(race)
    there = any(request.outcomes[index] is ANSWERED for index in race.order)
    assert (decision.variant == DEFAULT) is not there


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_nobody_on_probation_is_waited_for(name: str, data: st.DataObject) -> None:
    """With nobody pending there is nothing to wait for."""
    race, request, elapsed_s = data.draw(moments(name))
    outcomes = [PASSED_OVER if outcome is PENDING else outcome for outcome in request.outcomes]
    assert isinstance(race.policy().choose(replace(request, outcomes=outcomes), elapsed_s), Decision)


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_what_is_drawn_here_may_be_released(name: str, data: st.DataObject) -> None:
    """Nothing is wrong with these documents, and each says how long every version of its order is waited for."""
    race = data.draw(races(name))
    variants = [
        PlannedVariant(version, Role.CHAMPION if index == race.order[0] else Role.CHALLENGER, "sha256:0", ("customer",))
        for version, index in _indexes(len(race.request.outcomes)).items()
    ]
    assert policy_problems(race.document, CONTRACT, variants, DEADLINE_MS) == []
    waited = waited_s(race.document)
    assert len(waited) == len(race.order)
    assert all(0 < wait <= DEADLINE_S for wait in waited)
