"""An answer made again from its decision record, for a request that was repeated with its idempotency key.

What it gives is what the first answer gave: the request's id, the outputs, who answered and why. It has the interface of `Scored`,
so every form of an answer can be made of it. The plan may be gone by now, after a switch or a restart; then what answers say of it is
taken from the record.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from muster.archive.records import Record
from muster.packaging.columns import Column, Table
from muster.packaging.contract import ContractChecker
from muster.packaging.errors import ContractBroken
from muster.serving.decisions import COMBINED, DEFAULT, Decision, Outcome
from muster.serving.endpoint import Scored
from muster.serving.plan import Plan
from muster.serving.rendezvous import Mailbox
from muster.vocabulary.states import Reason, Role
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Field
from muster.wire.records import Decided, StoredColumn, VariantAnswer

_OUTCOMES = {"answered": Outcome.ANSWERED, "failed": Outcome.FAILED}


class Recalled(Scored):
    """The answer that an earlier request with the same key and input was given."""

    __slots__ = ()


def recalled(record: Record, current: Plan) -> Recalled:
    """The answer that a record holds.

    Args:
        record: of a request that was answered; see `was_answered`.
        current: the plan that is served now, which may be another than the record's.
    """
    decided = record.decided
    plan = current if current.digest == decided.plan else _RecordedPlan(decided, current)
    rows_apart = decided.rows > 1 and len(decided.chosen) > 1
    decision = Decision(
        decided.chosen[0],
        Reason(decided.reason),
        decided.probability,
        chosen=decided.chosen if rows_apart else None,
        weights=decided.weights or None,
        outputs=_columns(decided.combined) if decided.chosen[0] == COMBINED else None,
    )
    return Recalled(cast("Mailbox", _RecordedMailbox(decided, cast("Plan", plan))), decision)


def was_answered(record: Record) -> bool:
    """Whether the caller was given an answer; where nothing answered and there was no default, it was an error."""
    decided = record.decided
    return decided.chosen[0] != DEFAULT or decided.default is not None


class _RecordedMailbox:
    """What a mailbox was like when it was decided."""

    def __init__(self, decided: Decided, plan: Plan) -> None:
        self.plan = plan
        self.rows = decided.rows
        self.table = Table(decided.rows, _columns(decided.inputs))
        self.columns = tuple(self.table.columns.values())
        self.request_id = decided.request_id
        self.client_id = decided.client_id
        self.consumer = decided.consumer
        self.body_sha256 = decided.body_sha256
        self.received_ns = decided.received_ns
        self.elapsed_ns = decided.elapsed_ns
        self.deadline_s = decided.deadline_ns / 1e9
        self.forced = decided.forced
        self.step = decided.step
        self.overrides = decided.overrides
        self.idempotency_key = decided.idempotency_key
        self.answers = list(decided.answers)
        self.outcomes = [_OUTCOMES.get(answer.status, Outcome.PENDING) for answer in decided.answers]
        self.decided = True

    def outputs(self, variant: int) -> Mapping[str, Column]:
        """The columns of a variant that had answered, by output."""
        return _columns(self.answers[variant].outputs or ())

    def input(self, name: str) -> Column:
        """One column of the request."""
        return self.table.columns[name]


@dataclass(frozen=True, slots=True)
class _RecordedVariant:
    """What answers say of a variant."""

    version: str
    role: Role

    @property
    def number(self) -> str:
        """Of the version: `3`."""
        return self.version.partition(":")[2]

    @property
    def planned(self) -> "_RecordedVariant":
        """A recorded variant holds what a plan says of one itself."""
        return self


class _RecordedPlan:
    """What answers say of a plan that is served no more."""

    def __init__(self, decided: Decided, current: Plan) -> None:
        self.endpoint = decided.endpoint
        self.release = decided.release
        self.digest = decided.plan
        self.deadline_s = decided.deadline_ns / 1e9
        self.variants = tuple(_RecordedVariant(answer.version, Role(answer.role)) for answer in decided.answers)
        self.document = current.document  # whether the factory is solo; the rest is not the record's
        if decided.contract == current.document.contract_digest:
            self.contract = current.contract
        else:
            self.contract = Contract(inputs=_fields(decided.inputs), outputs=_fields(_some_outputs(decided)))
        self.checker = ContractChecker(self.contract, max(1, decided.rows))
        self.default_json = decided.default
        self.default_columns = None if decided.default is None else _default_columns(decided.default, self.contract)


def _columns(stored: tuple[StoredColumn, ...]) -> dict[str, Column]:
    return {
        column.name: Column(Datatype(column.datatype), column.shape, column.data, column.nulls) for column in stored
    }


def _fields(stored: tuple[StoredColumn, ...]) -> tuple[Field, ...]:
    return tuple(
        Field(name=column.name, datatype=Datatype(column.datatype), shape=column.shape, nullable=True)
        for column in stored
    )


def _some_outputs(decided: Decided) -> tuple[StoredColumn, ...]:
    """The outputs of an answer, which all have the same columns."""
    answered: list[VariantAnswer] = [answer for answer in decided.answers if answer.outputs]
    if decided.combined or answered:
        return decided.combined or answered[0].outputs or ()
    return ()


def _default_columns(default: bytes, contract: Contract) -> dict[str, Column]:
    """The default answer's row as columns; where the contract does not tell their datatypes, by what JSON shows."""
    row: dict[str, Any] = msgspec.json.decode(default)
    try:
        checker = ContractChecker(msgspec.structs.replace(contract, inputs=contract.outputs), max_rows=1)
        return dict(checker.check_records([row]).columns)
    except ContractBroken:
        shown = tuple(_field_like(name, value) for name, value in row.items())
        checker = ContractChecker(Contract(inputs=shown, outputs=()), max_rows=1)
        return dict(checker.check_records([row]).columns)


def _field_like(name: str, value: Any) -> Field:
    shape: list[int] = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    if isinstance(value, bool):
        datatype = Datatype.BOOL
    elif isinstance(value, str) and value not in {"NaN", "Infinity", "-Infinity"}:
        datatype = Datatype.BYTES
    else:
        datatype = Datatype.FP64
    return Field(name=name, datatype=datatype, shape=tuple(shape), nullable=True)
