"""What a wanted policy becomes in a plan, or a word on why not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.packaging.contract import contract_digest
from muster.registry.records import Version
from muster.release.errors import ProposalMalformed
from muster.release.planner import compile_plan
from muster.release.records import Proposal, WantedSplit, WantedVote, WantedWeighted
from muster.serving.plan import Plan, plan_digest
from muster.serving.policies.problems import policy_problems
from muster.vocabulary.digests import digest_of
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import VersionState
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Field
from muster.wire.plans import FirstPolicy, ServingPlan, SplitPolicy, VotePolicy, WeightedPolicy

CONTRACT = Contract(
    inputs=(Field("customer", Datatype.INT64), Field("tenure", Datatype.FP64)),
    outputs=(
        Field("label", Datatype.BYTES),
        Field("score", Datatype.FP64),
        Field("probability", Datatype.FP32, shape=(2,), labels=("stay", "leave")),
    ),
)


def churn(*numbers: int) -> tuple[VersionName, ...]:
    return tuple(VersionName("churn", number) for number in numbers)


ONE, TWO, THREE, FOUR, NINE = churn(1, 2, 3, 4, 9)
ROSTER = Proposal(champion=THREE, challengers=(TWO, FOUR), canaries=(ONE,))


def ms(milliseconds: float) -> timedelta:
    return timedelta(milliseconds=milliseconds)


def version(name: VersionName) -> Version:
    return Version(
        name=name, project="default", digest=digest_of(str(name).encode()), state=VersionState.ACCEPTED,
        registered_by="ana", registered_at=datetime(2026, 11, 21, tzinfo=UTC), description="", owners=("ana",), authors=(),
        tags={}, contract=CONTRACT, contract_digest=contract_digest(CONTRACT), lock_digest=digest_of(b"lock"),
        python="3.11.7", files=3, size=100,
    )  # fmt: skip


def compiled(**said: Any) -> ServingPlan:
    proposal = replace(ROSTER, **said)
    versions = {name: version(name) for name, _ in proposal.variants}
    return compile_plan(project="default", endpoint="churn", release=2, proposal=proposal, versions=versions)


def test_a_vote_is_among_everybody_unless_the_order_says_whom() -> None:
    """A challenger that does not vote would be there for nothing; who shall not vote is left out of the order."""
    everybody = compiled(policy=WantedVote(output="label"))
    assert everybody.policy == VotePolicy(
        order=("churn:3", "churn:2", "churn:4", "churn:1"), output="label", wait_ms=60.0
    )
    some = compiled(policy=WantedVote(output="label", wait=ms(40)), order=(THREE, ONE))
    assert some.policy == VotePolicy(order=("churn:3", "churn:1"), output="label", wait_ms=40.0)


def test_a_mean_is_over_whoever_has_a_weight() -> None:
    """Weights follow the order, whatever order they were given in; what is to be the label is kept."""
    wanted = WantedWeighted(
        weights={TWO: 0.3, THREE: 0.7}, outputs=("score", "probability"), argmax={"label": "probability"}, wait=ms(30)
    )
    assert compiled(policy=wanted).policy == WeightedPolicy(
        order=("churn:3", "churn:2"),
        weights=(0.7, 0.3),
        outputs=("score", "probability"),
        wait_ms=30.0,
        argmax={"label": "probability"},
    )


def test_a_split_is_among_whoever_has_a_share_with_the_canaries_as_stand_ins() -> None:
    """A version that a step does not name has no share in it; nobody's patience reaches the deadline by itself."""
    wanted = WantedSplit(field="customer", steps=({THREE: 1.0}, {THREE: 0.95, FOUR: 0.05}))
    policy = compiled(policy=wanted).policy
    assert isinstance(policy, SplitPolicy)
    assert policy.order == ("churn:3", "churn:4", "churn:1")
    assert [step.shares for step in policy.steps] == [(1.0, 0.0, 0.0), (0.95, 0.05, 0.0)]
    assert policy.patience_ms == (60.0, 60.0, 60.0)


def test_the_same_versions_split_the_same_units_in_every_release() -> None:
    """The salt is made of endpoint and versions, not of the release's number; another one can be said."""

    def salt(**said: Any) -> str:
        policy = compiled(**said).policy
        assert isinstance(policy, SplitPolicy)
        return policy.salt

    wanted = WantedSplit(field="customer", steps=({THREE: 0.5, FOUR: 0.5},))
    assert salt(policy=wanted) == salt(policy=wanted, deadline=ms(50)) == "churn/churn:3+churn:4+churn:1"
    assert salt(policy=wanted, canaries=()) != salt(policy=wanted)
    assert salt(policy=replace(wanted, salt="autumn")) == "autumn"
    names = tuple(VersionName("a" * 60, number) for number in range(1, 9))
    many = WantedSplit(field="customer", steps=(dict.fromkeys(names, 1 / 8),))
    assert len(salt(policy=many, champion=names[0], challengers=names[1:], canaries=())) <= 200


def test_single_versions_have_patience_of_their_own() -> None:
    """Who is not named waits as usual, and no less than the one before."""
    found = compiled(patience_of={THREE: ms(30)}, order=(THREE, TWO, ONE)).policy
    assert found == FirstPolicy(order=("churn:3", "churn:2", "churn:1"), patience_ms=(30.0, 60.0, 100.0))
    found = compiled(patience_of={THREE: ms(80), ONE: ms(90)}, order=(THREE, TWO, ONE)).policy
    assert found == FirstPolicy(order=("churn:3", "churn:2", "churn:1"), patience_ms=(80.0, 80.0, 90.0))


def test_what_becomes_of_a_full_archive_is_part_of_the_plan() -> None:
    """Refusing is what a release does unless it was proposed otherwise."""
    assert compiled().archive_full == "refuse"
    assert compiled(archive_full="drop").archive_full == "drop"


HALVES = {THREE: 0.5, TWO: 0.5}
MALFORMED: list[tuple[str, dict[str, Any], str]] = [
    ("vote on a number", {"policy": WantedVote(output="score")}, "takes a single text, flag or whole number"),
    ("vote on nothing", {"policy": WantedVote(output="mood")}, "'mood', which the endpoint does not have"),
    ("vote of one", {"policy": WantedVote(output="label"), "order": (THREE,)}, "two versions at least"),
    ("vote too late", {"policy": WantedVote(output="label", wait=ms(101))}, "at most the deadline of 100 ms"),
    ("vote with patience", {"policy": WantedVote(output="label"), "patience": ms(9)}, "the policy vote has no patience"),
    ("mean with patience", {"policy": WantedWeighted(weights=HALVES, outputs=("score",)), "patience_of": {THREE: ms(9)}}, "weighted has no patience"),
    ("mean of text", {"policy": WantedWeighted(weights=HALVES, outputs=("label",))}, "only FP16, FP32 and FP64 have a mean"),
    ("mean of nothing", {"policy": WantedWeighted(weights=HALVES, outputs=())}, "outputs is empty"),
    ("no weight", {"policy": WantedWeighted(weights={THREE: 1.0, TWO: 0.0}, outputs=("score",))}, "a number above 0"),
    ("endless weight", {"policy": WantedWeighted(weights={THREE: float("nan"), TWO: 1.0}, outputs=("score",))}, "a number above 0"),
    ("weighs a stranger", {"policy": WantedWeighted(weights={THREE: 1.0, NINE: 1.0}, outputs=("score",))}, "churn:9, which is not in the release"),
    ("weighs no champion", {"policy": WantedWeighted(weights={TWO: 1.0, ONE: 1.0}, outputs=("score",))}, "begins with the champion churn:3"),
    ("weight missing", {"policy": WantedWeighted(weights=HALVES, outputs=("score",)), "order": (THREE, TWO, ONE)}, "churn:1 is in the order and has no weight"),
    ("weight beyond order", {"policy": WantedWeighted(weights=HALVES, outputs=("score",)), "order": (THREE, ONE)}, "churn:2, which is not in the order"),
    ("split by an output", {"policy": WantedSplit(field="score", steps=(HALVES,))}, "'score', which the endpoint does not have"),
    ("split by decimals", {"policy": WantedSplit(field="tenure", steps=(HALVES,))}, "takes a single text, flag or whole number"),
    ("shares of less", {"policy": WantedSplit(field="customer", steps=({THREE: 0.5, TWO: 0.4},))}, "sum to 0.9, not to 1"),
    ("shares of more", {"policy": WantedSplit(field="customer", steps=(HALVES, {THREE: 1.5, TWO: -0.5}))}, "step 1: a share is a number from 0 to 1"),
    ("no steps", {"policy": WantedSplit(field="customer", steps=())}, "1 to 100 steps, not 0"),
    ("endless steps", {"policy": WantedSplit(field="customer", steps=(HALVES,) * 101)}, "1 to 100 steps, not 101"),
    ("share for a stranger", {"policy": WantedSplit(field="customer", steps=({THREE: 0.5, NINE: 0.5},))}, "churn:9, which is not in the release"),
    ("share beyond order", {"policy": WantedSplit(field="customer", steps=(HALVES,)), "order": (THREE, ONE)}, "churn:2, which is not in the order"),
    ("empty salt", {"policy": WantedSplit(field="customer", steps=(HALVES,), salt="")}, "salt has 1 to 200"),
    ("patience falls", {"patience_of": {ONE: ms(20)}}, "never falls along the order: churn:1 has 20 ms, the version before it 60 ms"),
    ("patience of a stranger", {"patience_of": {TWO: ms(20)}}, "churn:2, which is not in the order"),
    ("patience too long", {"patience_of": {THREE: ms(200)}}, "at most the deadline of 100 ms, not 200 ms"),
    ("unknown fullness", {"archive_full": "explode"}, "refuse or drop"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "message"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
def test_a_policy_that_cannot_run_is_refused_when_it_is_proposed(said: dict[str, Any], message: str) -> None:
    """The message says what does not fit, in the words of the proposal."""
    with pytest.raises(ProposalMalformed, match=message):
        compiled(**said)


SHARES = st.lists(st.integers(0, 100), min_size=3, max_size=3).filter(any)


@given(steps=st.lists(SHARES, min_size=1, max_size=5), deadline_ms=st.integers(1, 1000), share=st.floats(0.01, 1))
def test_every_split_that_is_planned_can_run(steps: list[list[int]], deadline_ms: int, share: float) -> None:
    """Whatever the ramp: a front finds nothing wrong with the plan, and it is the same plan after it was a document."""
    wanted = WantedSplit(
        field="customer",
        steps=tuple(
            {name: part / sum(step) for name, part in zip((THREE, TWO, ONE), step, strict=True)} for step in steps
        ),
    )
    plan = compiled(
        policy=wanted, deadline=ms(deadline_ms), patience_of={THREE: max(ms(deadline_ms * share), ms(0.001))}
    )
    assert policy_problems(plan.policy, plan.contract, plan.variants, plan.deadline_ms) == []
    again = msgspec.json.decode(msgspec.json.encode(plan), type=ServingPlan)
    assert plan_digest(again) == plan_digest(plan)
    assert Plan(again).order[0] == 0
