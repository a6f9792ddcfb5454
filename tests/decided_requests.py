"""Plans without a factory, and requests decided by hand: what the forms of the scoring side are tested with."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

from muster.packaging.columns import Column, Table
from muster.serving.decisions import Decision
from muster.serving.endpoint import Scored
from muster.serving.plan import Plan
from muster.vocabulary.states import Reason, Role
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Field
from muster.wire.plans import FirstPolicy, PlannedVariant, RequestLimits, ServingPlan

REQUEST_ID = bytes.fromhex("01935d3c8a408000800000000000002a")
REQUEST_ID_TEXT = "01935d3c-8a40-8000-8000-00000000002a"
SCORE = Field("score", Datatype.FP64)


def plan_of(
    *inputs: Field,
    outputs: Sequence[Field] = (SCORE,),
    rows: int = 1000,
    body_bytes: int = 16 * 1024 * 1024,
    default: dict[str, Any] | None = None,
    endpoint: str = "churn",
    project: str = "default",
) -> Plan:
    """A plan of three variants, `churn:2`, `churn:3` and `churn:4`, over these fields."""
    versions = ("churn:2", "churn:3", "churn:4")
    roles = (Role.CHAMPION, Role.CHALLENGER, Role.CANARY)
    names = tuple(field.name for field in inputs)
    return Plan(
        ServingPlan(
            format=1,
            project=project,
            endpoint=endpoint,
            release=7,
            contract=Contract(inputs, tuple(outputs)),
            contract_digest="sha256:" + "0" * 64,
            variants=tuple(
                PlannedVariant(version, role, "sha256:" + str(place) * 64, names)
                for place, (version, role) in enumerate(zip(versions, roles, strict=True))
            ),
            policy=FirstPolicy(versions, (50.0, 50.0, 50.0)),
            deadline_ms=50.0,
            default=default,
            limits=RequestLimits(rows=rows, body_bytes=body_bytes),
        )
    )


def scored(
    plan: Plan,
    columns: Mapping[str, Column],
    rows: int,
    *,
    variant: int = 0,
    reason: Reason = Reason.CHAMPION,
    chosen: tuple[int, ...] | None = None,
    weights: tuple[float, ...] | None = None,
) -> Scored:
    """A request that was answered with these columns."""
    decision = Decision(variant, reason, chosen=chosen, weights=weights)
    mailbox = SimpleNamespace(plan=plan, request_id=REQUEST_ID, rows=rows)
    return cast(
        "Scored",
        SimpleNamespace(
            mailbox=mailbox,
            decision=decision,
            request_id=REQUEST_ID_TEXT.encode(),
            outputs=lambda: Table(rows, dict(columns)),
        ),
    )
