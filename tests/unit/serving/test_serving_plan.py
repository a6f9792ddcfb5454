"""A plan makes the policy that it names, for the time that a request has."""

from typing import Any

import pytest

from muster.packaging.contract import contract_digest
from muster.serving.decisions import DEFAULT, Decision, Outcome, WaitUntil
from muster.serving.plan import Plan
from muster.serving.policies.first import First
from muster.serving.policies.split import Split
from muster.serving.policies.vote import Vote
from muster.serving.policies.weighted import Weighted
from muster.vocabulary.states import Reason, Role
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Field
from muster.wire.plans import (
    FirstPolicy,
    PlannedPolicy,
    PlannedVariant,
    ServingPlan,
    SplitPolicy,
    SplitStep,
    VotePolicy,
    WeightedPolicy,
)
from seen_requests import SeenRequest, column_from

PENDING, ANSWERED, FAILED, PASSED_OVER = Outcome
CONTRACT = Contract(
    inputs=(Field("customer", Datatype.BYTES),),
    outputs=(
        Field("label", Datatype.BYTES),
        Field("score", Datatype.FP64),
        Field("classes", Datatype.FP64, (2,), labels=("stays", "leaves")),
    ),
)
ORDER = ("churn:2", "churn:1")
FIRST = FirstPolicy(ORDER, (60, 100))


def plan_of(policy: PlannedPolicy = FIRST, deadline_ms: float = 100) -> Plan:
    """A plan of three variants: churn:3, which answers nothing, churn:2 and churn:1."""
    document = ServingPlan(
        format=1, project="default", endpoint="churn", release=1, contract=CONTRACT, policy=policy,
        contract_digest=contract_digest(CONTRACT), deadline_ms=deadline_ms,
        variants=tuple(
            PlannedVariant(f"churn:{number}", role, "sha256:" + str(number) * 64, ("customer",))
            for number, role in ((3, Role.CHALLENGER), (2, Role.CHAMPION), (1, Role.CANARY))
        ),
    )  # fmt: skip
    return Plan(document)


@pytest.mark.parametrize(
    ("policy", "kind"),
    [
        (FIRST, First),
        (VotePolicy(ORDER, "label", 60), Vote),
        (WeightedPolicy(ORDER, (2, 1), ("score",), 60), Weighted),
        (SplitPolicy(ORDER, (60, 60), "customer", "salt", (SplitStep((1, 0)),)), Split),
    ],
)
def test_a_plan_makes_the_policy_that_it_names(policy: PlannedPolicy, kind: type) -> None:
    """Its order is of indexes of variants, whatever the policy; only a split has a field."""
    plan = plan_of(policy)
    assert isinstance(plan.policy(plan.deadline_s), kind)
    assert plan.order == (1, 2)
    assert plan.split_field == ("customer" if kind is Split else None)
    assert plan.patience_s(1) == 0.06


@pytest.mark.parametrize(
    ("asked_s", "overrides", "granted_s"),
    [
        (None, (), 0.1),
        (None, ("deadline",), 0.1),
        (0.05, (), 0.05),
        (0.5, (), 0.1),
        (0.5, ("variant",), 0.1),
        (0.5, ("deadline",), 0.5),
        (1e300, ("deadline",), 3600.0),
        (float("inf"), ("deadline",), 3600.0),
        (1e300, (), 0.1),
    ],
)
def test_a_caller_grants_less_than_the_release_and_more_only_by_right(
    asked_s: float | None, overrides: tuple[str, ...], granted_s: float
) -> None:
    """However much it is, it stays a time that can be reckoned with."""
    assert plan_of().granted_s(asked_s, overrides) == granted_s


def test_the_policy_for_the_releases_deadline_is_made_once() -> None:
    """So is one with a margin of its own, however much that wavers; callers' own deadlines do not push it out."""
    plan = plan_of()
    assert plan.policy(0.1) is plan.policy(0.1)
    slower = plan.policy(0.1, 0.0123)
    assert slower is not plan.policy(0.1)
    for number in range(1000):
        plan.policy(0.01 + number / 100_000)
    assert plan.policy(0.1, 0.0121) is slower


def waits(policy: Any) -> float:
    """When the last variant is given up."""
    said = policy.choose(SeenRequest([PENDING, FAILED, PENDING]), 0.0)
    assert isinstance(said, WaitUntil)
    return said.elapsed_s


@pytest.mark.parametrize(
    ("deadline_s", "margin_s", "decided_s"),
    [
        (0.1, None, 0.096),
        (0.1, 0.001, 0.096),  # a front that is not behind keeps what it always keeps
        (0.1, 0.01, 0.09),
        (0.1, 0.0101, 0.0895),  # rounded up
        (0.1, 7.0, 0.05),  # half is left for the variants
        (0.02, None, 0.018),
        (0.25, None, 0.1),  # beyond the release's: patience stays what the release says
    ],
)
def test_a_decision_is_taken_a_margin_before_the_deadline(
    deadline_s: float, margin_s: float | None, decided_s: float
) -> None:
    """The margin grows with how late the front runs, up to half of the deadline."""
    plan = plan_of()
    assert waits(plan.policy(deadline_s, margin_s)) == pytest.approx(decided_s)
    if deadline_s <= 0.1 and margin_s is None:
        assert waits(plan.forced(2, deadline_s)) == pytest.approx(decided_s)


def test_a_caller_may_be_given_more_than_the_release_grants() -> None:
    """The last answer is then waited for until the caller's own deadline."""
    said = plan_of().policy(0.25).choose(SeenRequest([PENDING, FAILED, PENDING]), 0.11)
    assert said == WaitUntil(0.25 - 0.004)


def test_a_forced_variant_answers_or_nobody_does() -> None:
    """Even one that the order does not name; others do not stand in for it."""
    plan = plan_of()
    assert plan.forced(0, 0.1).choose(SeenRequest([ANSWERED, ANSWERED, ANSWERED]), 0.0) == Decision(0, Reason.CHAMPION)
    assert plan.forced(0, 0.1).choose(SeenRequest([FAILED, ANSWERED, ANSWERED]), 0.0) == Decision(
        DEFAULT, Reason.DEFAULT
    )
    assert waits(plan.forced(2, 0.1, 0.03)) == pytest.approx(0.07)


def test_patience_is_the_releases_own() -> None:
    """How long each variant is waited for, never beyond the decision; for one that answers nothing that is all."""
    plan = plan_of()
    assert [plan.patience_s(index) for index in range(3)] == pytest.approx([0.096, 0.06, 0.096])
    assert plan.least_patience_s == 0.06


def test_a_plans_labels_come_from_its_contract() -> None:
    """The label that follows from the mean is the one that the contract names for its position."""
    plan = plan_of(WeightedPolicy(ORDER, (1, 1), ("classes",), 60, {"label": "classes"}))
    answers = {
        index: {
            "label": column_from(Datatype.BYTES, ["stays"]),
            "score": column_from(Datatype.FP64, [0.5]),
            "classes": column_from(Datatype.FP64, [[0.2, 0.8]], (2,)),
        }
        for index in (1, 2)
    }
    said = plan.policy(0.1).choose(SeenRequest([PENDING, ANSWERED, ANSWERED], answers=answers), 0.0)
    assert isinstance(said, Decision)
    assert said.outputs is not None
    assert said.outputs["label"] == column_from(Datatype.BYTES, ["leaves"])
    assert said.weights == (0.0, 0.5, 0.5)
