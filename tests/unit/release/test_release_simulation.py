"""A release decides again about records made by hand: shares, times, agreement, and what cannot be known."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.packaging.contract import contract_digest
from muster.release.past import Past
from muster.release.records import Release, Simulation
from muster.release.simulation import FORCED, NO_UNIT, NOBODY_ASKED, simulated
from muster.serving.decisions import Outcome
from muster.serving.plan import Plan, plan_digest
from muster.vocabulary.states import ReleaseState, Role
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
from muster.wire.records import VariantAnswer
from past_requests import answered, failed, floats, pending, record, texts, wholes

CONTRACT = Contract(
    inputs=(Field("customer", Datatype.INT64),),
    outputs=(Field("label", Datatype.BYTES), Field("score", Datatype.FP64)),
)
ORDER = ("churn:3", "churn:2", "churn:1")
FIRST = FirstPolicy(order=ORDER, patience_ms=(30.0, 60.0, 100.0))


def release(policy: PlannedPolicy = FIRST, **said: Any) -> Release:
    plan = ServingPlan(
        format=1, project="default", endpoint="churn", release=3, contract=CONTRACT,
        contract_digest=contract_digest(CONTRACT),
        variants=tuple(
            PlannedVariant(version, Role.CHAMPION if version == "churn:3" else Role.CANARY, "sha256:" + "b" * 64, ("customer",))
            for version in ORDER
        ),
        policy=policy, deadline_ms=100.0, **said,
    )  # fmt: skip
    return Release(
        endpoint="churn", number=3, project="default", state=ReleaseState.PROPOSED, current=False, plan=plan,
        plan_digest=plan_digest(plan), proposed_by="ana", proposed_at=datetime(2026, 11, 21, tzinfo=UTC), reason="better",
        decided_by=None, decided_at=None, decision_reason=None, live_at=None, failure=None,
    )  # fmt: skip


def said(version: str, latency_ms: float, score: float = 0.5, label: str = "stay") -> VariantAnswer:
    return answered(version, latency_ms, texts("label", label), floats("score", score))


def test_a_champion_that_was_in_time_answers_and_one_that_was_not_does_not() -> None:
    """Recorded times are held against the patience of the release that is simulated, late answers included."""
    found = simulated(
        release(),
        [
            record(said("churn:3", 10.0), said("churn:2", 5.0)),
            record(pending("churn:3"), said("churn:2", 5.0), chosen=(1,), late=[said("churn:3", 25.0)]),
            record(pending("churn:3"), said("churn:2", 5.0), chosen=(1,), late=[said("churn:3", 45.0)]),
            record(failed("churn:3", 2.0), said("churn:2", 5.0), chosen=(1,)),
        ],
        0,
    )
    assert found.used == found.records == 4
    assert found.reasons == {"champion": 0.5, "fallback_error": 0.25, "fallback_late": 0.25}
    assert found.answered_by == {"churn:2": 0.5, "churn:3": 0.5}
    assert (found.champion_share, found.fallback_share, found.on_time_share) == (0.5, 0.5, 1.0)
    assert (found.never_seen, found.absent) == (("churn:1",), {"churn:1": 4})
    assert (found.p50_ms, found.p99_ms) == (10.0, 30.0)


def test_agreement_is_told_by_rows_and_by_distance() -> None:
    """What would be given is compared with what was, row by row; scores also by how far they are apart."""
    both = [
        answered("churn:3", 5.0, texts("label", "stay", "leave"), floats("score", 0.2, 0.9)),
        answered("churn:2", 5.0, texts("label", "stay", "stay"), floats("score", 0.2, 0.5)),
    ]
    found = simulated(release(), [record(*both, rows=2, chosen=(1,)), record(*both, rows=2, chosen=(0, 1))], 0)
    assert (found.rows_compared, found.agreement) == (4, 0.5)
    assert found.mean_absolute_difference == {"score": pytest.approx(0.2)}


def test_requests_without_an_answer_get_the_default_or_none() -> None:
    """With a default answer all is on time; without one, such a request would have got an error."""
    past = [record(pending("churn:3"), pending("churn:2"), chosen=(-1,), reason="none")]
    without = simulated(release(), past, 0)
    assert (without.reasons, without.on_time_share, without.default_share) == ({"none": 1.0}, 0.0, 0.0)
    assert (without.agreement, without.rows_compared) == (None, 0)
    default = release(default={"label": "stay", "score": 0.25})
    given_then = [
        record(pending("churn:3"), chosen=(-1,), reason="default", default=b'{"label":"stay","score":0.5}', rows=3)
    ]
    found = simulated(default, [*past, *given_then], 0)
    assert (found.default_share, found.on_time_share) == (1.0, 1.0)
    assert (found.rows_compared, found.agreement) == (3, 0.0)
    assert found.mean_absolute_difference == {"score": 0.25}


def test_votes_and_means_are_made_of_what_was_recorded() -> None:
    """Also a combined answer of then is compared with."""
    answers = [said("churn:3", 5.0, 0.2, "leave"), said("churn:2", 6.0, 0.4), said("churn:1", 7.0, 0.6)]
    then = record(
        *answers, chosen=(-2,), combined=(texts("label", "stay"), floats("score", 0.4)), weights=(0.3, 0.3, 0.4)
    )
    vote = simulated(release(VotePolicy(order=ORDER, output="label", wait_ms=50.0)), [then], 0)
    assert (vote.answered_by, vote.reasons, vote.agreement) == ({"churn:2": 1.0}, {"vote": 1.0}, 1.0)
    mean = WeightedPolicy(order=ORDER, weights=(1.0, 1.0, 2.0), outputs=("score",), wait_ms=50.0)
    weighted = simulated(release(mean), [then], 0)
    assert (weighted.answered_by, weighted.reasons) == ({"combined": 1.0}, {"weighted": 1.0})
    assert weighted.mean_absolute_difference == {"score": pytest.approx(0.05)}


def test_a_split_can_be_simulated_at_any_step() -> None:
    """The shares of the step decide; rows of one request may be answered by several versions."""
    policy = SplitPolicy(
        order=ORDER, patience_ms=(60.0,) * 3, field="customer", salt="s",
        steps=(SplitStep((1.0, 0.0, 0.0)), SplitStep((0.5, 0.5, 0.0))),
    )  # fmt: skip
    rows = 400
    outputs = (texts("label", *["stay"] * rows), floats("score", *[0.5] * rows))
    past = [
        record(
            answered("churn:3", 5.0, *outputs), answered("churn:2", 5.0, *outputs), rows=rows,
            inputs=(wholes("customer", *range(rows)),),
        )
    ]  # fmt: skip
    assert simulated(release(policy), past, 0).answered_by == {"churn:3": 1.0}
    found = simulated(release(policy), past, 1)
    assert found.step == 1
    assert found.reasons == {"split": 1.0}
    assert found.champion_share == pytest.approx(0.5, abs=0.1)
    assert found.agreement == 1.0
    assert simulated(release(policy), [record(said("churn:3", 5.0))], 1).skipped == {NO_UNIT: 1}


def test_what_cannot_be_used_is_counted_by_its_reason() -> None:
    """Requests that asked for a version, and those in which nobody of the order was asked."""
    found = simulated(
        release(),
        [record(said("churn:3", 5.0), forced=True), record(said("churn:9", 5.0)), record(said("churn:1", 5.0))],
        0,
    )
    assert (found.records, found.used, found.skipped) == (3, 1, {FORCED: 1, NOBODY_ASKED: 1})
    assert found.never_seen == ("churn:2",)
    assert found.absent == {"churn:3": 1, "churn:2": 1}
    nothing = simulated(release(), [], 0)
    assert (nothing.used, nothing.p50_ms, nothing.agreement, nothing.first_ns) == (0, None, None, None)


def test_outputs_of_another_contract_are_no_answers() -> None:
    """A record whose outputs the release does not know is used for nothing but its inputs."""
    found = simulated(release(), [record(answered("churn:3", 5.0, floats("risk", 0.5)), said("churn:2", 7.0))], 0)
    assert found.answered_by == {"churn:2": 1.0}
    assert found.rows_compared == 0


LATENCIES = st.one_of(st.none(), st.floats(0, 150))
POLICIES = st.sampled_from(
    [
        FIRST,
        VotePolicy(order=ORDER, output="label", wait_ms=40.0),
        WeightedPolicy(order=ORDER, weights=(1.0, 2.0, 3.0), outputs=("score",), wait_ms=40.0),
        SplitPolicy(
            order=ORDER, patience_ms=(50.0,) * 3, field="customer", salt="s", steps=(SplitStep((0.4, 0.3, 0.3)),)
        ),
    ]
)  # fmt: skip


@given(policy=POLICIES, latencies=st.tuples(LATENCIES, LATENCIES, LATENCIES), fails=st.tuples(*[st.booleans()] * 3))
def test_every_request_is_decided_once_by_the_deadline_from_what_was_in(
    policy: PlannedPolicy, latencies: tuple[float | None, ...], fails: tuple[bool, ...]
) -> None:
    """Whatever happened then: one decision, not after the deadline, by an answer that had come, the same every time."""
    answers = [
        pending(version) if latency is None else failed(version, latency) if fails_ else said(version, latency)
        for version, latency, fails_ in zip(ORDER, latencies, fails, strict=True)
    ]
    plan = Plan(release(policy).plan)
    happened = record(*answers, inputs=(wholes("customer", 7),))
    past = Past(happened, plan, 0)
    decision, elapsed_s = past.decided(plan.policy(plan.deadline_s))
    assert 0 <= elapsed_s <= plan.deadline_s
    if decision.variant >= 0:
        assert past.outcomes[decision.variant] is Outcome.ANSWERED
        latency = latencies[decision.variant]
        assert latency is not None
        assert latency / 1000 <= elapsed_s + 1e-9
    again = Past(happened, plan, 0).decided(plan.policy(plan.deadline_s))
    assert (again[0].variant, again[0].reason, again[1]) == (decision.variant, decision.reason, elapsed_s)
    found = simulated(release(policy), [happened], 0)
    assert sum(found.reasons.values()) == 1
    assert sum(found.answered_by.values()) == pytest.approx(1)


def test_a_simulation_is_a_value() -> None:
    """The same records give the same figures."""
    past = [record(said("churn:3", 10.0 * number)) for number in range(8)]
    one, other = simulated(release(), past, 0), simulated(replace(release(), reason="other"), iter(past), 0)
    assert isinstance(one, Simulation)
    assert one == other
