"""Requests with idempotency keys, carried out without a factory: endpoints that answer x + 1 and record it."""

import asyncio
from collections.abc import Callable
from struct import pack, unpack
from time import monotonic
from typing import Any, cast

from decided_requests import plan_of
from muster.archive.records import Record
from muster.packaging.columns import Column, Table
from muster.serving.endpoint import Endpoints, Scored
from muster.serving.errors import NoAnswerInTime
from muster.serving.plan import Plan
from muster.serving.recalled import recalled
from muster.vocabulary.request_ids import RequestIds, request_id_text
from muster.vocabulary.states import Reason
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Field
from muster.wire.records import RECORD_FORMAT, Decided, StoredColumn, VariantAnswer

PLAN = plan_of(Field("x", Datatype.FP64))


def table_of(x: float) -> Table:
    """One row."""
    return Table(1, {"x": Column(Datatype.FP64, (), pack("<d", x))})


def decided_of(
    plan: Plan, request_id: bytes, table: Table, *, key: str | None = None, segment_at_ns: int = 1, **changed: Any
) -> Decided:
    """The record of a request that the champion answered with x + 1."""
    (x,) = unpack("<d", table.columns["x"].data)
    score = (StoredColumn("score", "FP64", (), pack("<d", x + 1)),)
    known: dict[str, Any] = {
        "format": RECORD_FORMAT,
        "request_id": request_id,
        "client_id": None,
        "idempotency_key": key,
        "consumer": "shop",
        "project": "default",
        "endpoint": plan.endpoint,
        "release": plan.release,
        "plan": plan.digest,
        "contract": plan.document.contract_digest,
        "received_ns": segment_at_ns,
        "decided_ns": segment_at_ns + 1,
        "elapsed_ns": 1,
        "deadline_ns": int(plan.deadline_s * 1e9),
        "rows": 1,
        "body_sha256": bytes(32),
        "inputs": (StoredColumn("x", "FP64", (), bytes(table.columns["x"].data)),),
        "answers": tuple(
            VariantAnswer(
                variant.version,
                variant.planned.role,
                "answered" if place == 0 else "pending",
                score if place == 0 else None,
            )
            for place, variant in enumerate(plan.variants)
        ),
        "chosen": (0,),
        "reason": Reason.CHAMPION,
        "probability": 1.0,
        "forced": False,
    }
    return Decided(**known | changed)


class CountingEndpoints:
    """Carries requests out, and knows which.

    Args:
        record: keeps what was decided.
        front: number of the front, for request ids.
    """

    def __init__(self, record: Callable[[Decided], None], *, front: int = 0) -> None:
        self._record = record
        self._ids = RequestIds(front)
        self.plan = PLAN
        self.carried_out: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.segment = 1
        self.fails = False
        self.gives_nothing = False

    def as_endpoints(self) -> Endpoints:
        """For what takes the real thing."""
        return cast("Endpoints", self)

    def new_request_id(self) -> bytes:
        return self._ids.next(self.segment)

    def find(self, _endpoint: str) -> Plan:
        return self.plan

    async def score(
        self, plan: Plan, table: Table, *, request_id: bytes | None = None, idempotency_key: str | None = None, **_: Any
    ) -> Scored:
        request_id = request_id or self.new_request_id()
        self.carried_out.append(request_id_text(request_id))
        await self.gate.wait()
        if self.fails:
            raise RuntimeError("this front is not well")
        changed: dict[str, Any] = {"chosen": (-1,), "reason": Reason.NONE} if self.gives_nothing else {}
        decided = decided_of(plan, request_id, table, key=idempotency_key, **changed)
        self._record(decided)
        if self.gives_nothing:
            raise NoAnswerInTime("nothing")
        answer = recalled(Record(decided=decided), plan)
        return Scored(answer.mailbox, answer.decision)


def asked(
    *, deadline_s: float = 5.0, consumer: str = "shop", overrides: tuple[str, ...] = ("deadline",)
) -> dict[str, Any]:
    """The other arguments of a request that arrives now."""
    return {
        "consumer": consumer,
        "client_id": None,
        "body_sha256": bytes(32),
        "arrived_at": monotonic(),
        "deadline_s": deadline_s,
        "overrides": overrides,
    }


def score_of(scored: Scored) -> float:
    """The one score of an answer."""
    value: float = unpack("<d", scored.outputs().columns["score"].data)[0]
    return value


def id_of(scored: Scored) -> str:
    """The request's id as people write it."""
    return request_id_text(scored.mailbox.request_id)
