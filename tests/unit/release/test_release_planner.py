"""What a proposal becomes: the plan, or a word on why not."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.packaging.contract import contract_digest
from muster.registry.records import Version
from muster.release.errors import DefaultUnfit, ProposalMalformed, VersionNotReleasable, VersionsIncompatible
from muster.release.planner import MAX_VARIANTS, compile_plan
from muster.release.records import Proposal
from muster.serving.plan import Plan, plan_digest
from muster.vocabulary.digests import digest_of
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import Role, VersionState
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Field
from muster.wire.plans import FirstPolicy, RequestLimits, ServingPlan

SCORE = Field("score", Datatype.FP64)
CONTRACT = Contract(inputs=(Field("tenure", Datatype.INT64), Field("plan", Datatype.BYTES)), outputs=(SCORE,))


def version(number: int, contract: Contract = CONTRACT, state: VersionState = VersionState.ACCEPTED) -> Version:
    return Version(
        name=VersionName("churn", number),
        project="default",
        digest=digest_of(f"bundle {number}".encode()),
        state=state,
        registered_by="ana",
        registered_at=datetime(2026, 11, 21, tzinfo=UTC),
        description="",
        owners=("ana", "bo"),
        authors=(),
        tags={},
        contract=contract,
        contract_digest=contract_digest(contract),
        lock_digest=digest_of(b"lock"),
        python="3.11.7",
        files=3,
        size=100,
    )


def compiled(proposal: Proposal, versions: Sequence[Version] = ()) -> ServingPlan:
    known = {found.name: found for found in versions or [version(number) for number in range(1, 30)]}
    return compile_plan(project="default", endpoint="churn", release=2, proposal=proposal, versions=known)


def named(*numbers: int) -> tuple[VersionName, ...]:
    return tuple(VersionName("churn", number) for number in numbers)


THREE = Proposal(champion=VersionName("churn", 3), challengers=named(2), canaries=named(1))


def test_a_plan_names_every_variant_with_role_digest_inputs_and_owners() -> None:
    """A front needs nothing but the plan to know which bytes to run for whom."""
    plan = compiled(THREE)
    assert [(variant.version, variant.role) for variant in plan.variants] == [
        ("churn:3", Role.CHAMPION), ("churn:2", Role.CHALLENGER), ("churn:1", Role.CANARY),
    ]  # fmt: skip
    assert plan.variants[0].manifest == version(3).digest
    assert plan.variants[0].inputs == ("tenure", "plan")
    assert plan.variants[0].owners == ("ana", "bo")
    assert (plan.endpoint, plan.release, plan.project, plan.solo) == ("churn", 2, "default", False)
    assert plan.contract_digest == contract_digest(CONTRACT)


def test_what_a_proposal_leaves_open_is_filled_in() -> None:
    """The champion answers, then the canary; challengers never; 100 ms, of which the champion is waited for 60."""
    plan = compiled(THREE)
    assert plan.policy == FirstPolicy(order=("churn:3", "churn:1"), patience_ms=(60, 100))
    assert plan.deadline_ms == 100
    assert plan.default is None
    assert plan.limits == RequestLimits()
    alone = compiled(Proposal(champion=VersionName("churn", 1)))
    assert alone.policy == FirstPolicy(order=("churn:1",), patience_ms=(100,))


def test_a_challenger_answers_only_if_the_order_names_it() -> None:
    """The order of the proposal is taken as it is."""
    plan = compiled(replace(THREE, order=named(3, 2), deadline=timedelta(milliseconds=40)))
    assert plan.policy == FirstPolicy(order=("churn:3", "churn:2"), patience_ms=(24, 40))


@given(
    deadline_us=st.integers(1000, 3_600_000_000),
    share=st.floats(0.001, 1),
    order=st.permutations([1, 2, 4, 5]).map(lambda rest: (3, *rest)),
    length=st.integers(1, 5),
)
def test_patience_never_falls_and_never_exceeds_the_deadline(
    deadline_us: int, share: float, order: tuple[int, ...], length: int
) -> None:
    """Whatever is proposed, the plan keeps what fronts rely on: one patience per version, the last is the deadline."""
    deadline = timedelta(microseconds=deadline_us)
    patience = max(deadline * share, timedelta(microseconds=1))
    proposal = Proposal(
        champion=VersionName("churn", 3),
        canaries=named(1, 2, 4, 5),
        order=named(*order[:length]),
        deadline=deadline,
        patience=patience,
    )
    plan = compiled(proposal)
    assert isinstance(plan.policy, FirstPolicy)
    given_ms = plan.policy.patience_ms
    assert len(given_ms) == length
    assert list(given_ms) == sorted(given_ms)
    assert given_ms[-1] == plan.deadline_ms == deadline_us / 1000
    assert Plan(plan).order[0] == 0


def test_a_plan_is_a_function_of_the_proposal() -> None:
    """The same proposal gives the same digest, also after the plan has been a document."""
    one, other = compiled(THREE), compiled(THREE)
    again = msgspec.json.decode(msgspec.json.encode(one), type=ServingPlan)
    assert plan_digest(one) == plan_digest(other) == plan_digest(again)
    assert plan_digest(compiled(replace(THREE, deadline=timedelta(milliseconds=99)))) != plan_digest(one)


MALFORMED: list[tuple[str, dict[str, Any], str]] = [
    ("twice", {"canaries": named(3)}, "churn:3 is in the release twice"),
    ("twice among others", {"challengers": named(2, 2)}, "churn:2 is in the release twice"),
    ("stranger in order", {"order": named(3, 9)}, "churn:9, which is not in the release"),
    ("order without champion", {"order": named(1)}, "begins with the champion churn:3"),
    ("champion second", {"order": named(1, 3)}, "begins with the champion"),
    ("empty order", {"order": ()}, "begins with the champion"),
    ("twice in order", {"order": named(3, 1, 1)}, "names a version twice"),
    ("no deadline", {"deadline": timedelta(0)}, "between 1 ms and 1 hour"),
    ("endless deadline", {"deadline": timedelta(days=1)}, "between 1 ms and 1 hour"),
    ("patience beyond deadline", {"patience": timedelta(milliseconds=101)}, "at most the deadline of 100 ms"),
    ("no patience", {"patience": timedelta(0)}, "above 0"),
    ("no rows", {"limits": RequestLimits(rows=0)}, "limit rows"),
    ("negative rate", {"limits": RequestLimits(requests_per_s=-1)}, "limit requests_per_s"),
    ("endless body", {"limits": RequestLimits(body_bytes=1 << 40)}, "limit body_bytes"),
    ("unknown level", {"archive_level": "never"}, "sync, group or async"),
    ("too many", {"canaries": named(*range(4, 4 + MAX_VARIANTS))}, f"at most {MAX_VARIANTS} variants"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "message"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
def test_a_proposal_that_contradicts_itself_is_refused(said: dict[str, Any], message: str) -> None:
    """The message says what does not fit."""
    with pytest.raises(ProposalMalformed, match=message):
        compiled(replace(THREE, **said))


@pytest.mark.parametrize("state", [state for state in VersionState if state is not VersionState.ACCEPTED])
def test_only_accepted_versions_are_released(state: VersionState) -> None:
    """Whatever its role, a version that is not accepted is refused by name."""
    with pytest.raises(VersionNotReleasable, match=f"churn:2 is {state}"):
        compiled(THREE, [version(1), version(2, state=state), version(3)])


def contract(**changed: Any) -> Contract:
    fields = {"tenure": Field("tenure", Datatype.INT64), "plan": Field("plan", Datatype.BYTES), "score": SCORE}
    fields |= changed
    outputs = tuple(field for name, field in fields.items() if name.startswith("score"))
    return Contract(
        inputs=tuple(field for name, field in fields.items() if not name.startswith("score")), outputs=outputs
    )


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (contract(tenure=Field("tenure", Datatype.FP64)), "tenure"),
        (contract(extra=Field("extra", Datatype.INT64)), "extra"),
        (contract(score=Field("probability", Datatype.FP64)), "score"),
        (contract(score=Field("score", Datatype.FP64, shape=(2,))), "score"),
    ],
)
def test_every_variant_must_serve_the_champions_contract(other: Contract, message: str) -> None:
    """A variant that needs more, or answers otherwise, is refused with the field."""
    with pytest.raises(VersionsIncompatible, match=f"churn:1 cannot serve .*{message}"):
        compiled(THREE, [version(1, other), version(2), version(3)])


def test_a_variant_may_take_fewer_inputs_in_another_order() -> None:
    """The plan says which of the endpoint's inputs each version takes, in the version's own order."""
    fewer = Contract(inputs=(Field("plan", Datatype.BYTES),), outputs=(SCORE,))
    turned = Contract(inputs=tuple(reversed(CONTRACT.inputs)), outputs=(SCORE,))
    plan = compiled(THREE, [version(1, fewer), version(2, turned), version(3)])
    assert [variant.inputs for variant in plan.variants] == [("tenure", "plan"), ("plan", "tenure"), ("plan",)]
    assert [variant.columns for variant in Plan(plan).variants] == [(0, 1), (1, 0), (1,)]


@pytest.mark.parametrize("default", [{"score": 0.27}, {"score": 1}, {"score": "NaN"}])
def test_a_default_answer_of_the_outputs_types_is_taken(default: dict[str, Any]) -> None:
    """A front can make columns of it."""
    plan = compiled(replace(THREE, default=default))
    assert plan.default == default
    assert Plan(plan).default_columns is not None


@pytest.mark.parametrize(
    ("default", "message"),
    [
        ({}, "score"),
        ({"score": "high"}, "score"),
        ({"score": None}, "score"),
        ({"score": 0.2, "other": 1}, "other"),
        ({"score": [0.2]}, "score"),
        ({"score": float("nan")}, "default answer"),
        ({"score": True}, "score"),
        ({"score": "\ud800"}, "score"),
    ],
)
def test_a_default_answer_that_is_none_is_refused(default: dict[str, Any], message: str) -> None:
    """The message names the field, as for a request."""
    with pytest.raises(DefaultUnfit, match=message):
        compiled(replace(THREE, default=default))


def test_a_default_answer_keeps_numbers_that_json_cannot_hold_as_text() -> None:
    """A whole number beyond 2^53 is given as text, as in a request; as a number its digest would not be defined."""
    whole = Contract(inputs=CONTRACT.inputs, outputs=(Field("score", Datatype.INT64),))
    versions = [version(number, whole) for number in (1, 2, 3)]
    assert compiled(replace(THREE, default={"score": str(2**60)}), versions).default == {"score": str(2**60)}
    with pytest.raises(DefaultUnfit):
        compiled(replace(THREE, default={"score": 2**60}), versions)
