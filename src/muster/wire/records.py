"""The decision record, format 1: what happened to one request, as events in a segment.

`Decided` is written before the reply leaves; `AnsweredLate` when a variant answers, or fails, after the decision.
They are MessagePack arrays in this field order; fields are only ever added at the end, each with a default.
Times are nanoseconds since 1970, durations nanoseconds on the monotonic clock.

`gc=False`: they hold only numbers, text, bytes and tuples, so no cycle can form, and the garbage collector need not
walk through the tens of thousands that a segment holds (decoding a segment takes a sixth of the time).
"""

from typing import Any

import msgspec

RECORD_FORMAT = 1


class StoredColumn(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A column as the models saw it: raw V2 layout, little-endian, row-major; a null's place holds zero or empty."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: bytes
    nulls: bytes | None = None
    """One byte per row, 1 = null; None: no nulls."""


class VariantAnswer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one variant did with the request.

    `status`: `answered`, `failed` (the model or its host erred), `pending` (not yet, at the decision), `unsent`
    (it had no host, or the request was decided before it could be sent).
    """

    version: str
    role: str
    status: str
    outputs: tuple[StoredColumn, ...] | None = None
    error: str | None = None
    latency_ns: int = 0
    """From the request's arrival until its answer was there; 0 when there is none."""
    compute_ns: int = 0
    """What the host spent on the batch."""
    environment: str = ""
    host: str = ""
    """Id of the host process: unique for ever, not the pid."""
    batch: int = -1
    """Number of the batch on that host; -1: never sent."""
    position: int = 0
    """First row of this request in the batch."""
    batch_rows: int = 0
    """Rows of the batch; equal to the request's own rows when it was computed alone."""
    alone: bool = False
    """The batch failed as a whole and its requests were computed one by one."""
    threads: int = 1
    cpu: str = ""


class Decided(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="decided"):
    """The decision about one request."""

    format: int
    request_id: bytes
    client_id: str | None
    idempotency_key: str | None
    consumer: str
    project: str
    endpoint: str
    release: int
    plan: str
    contract: str
    received_ns: int
    decided_ns: int
    elapsed_ns: int
    """Arrival to decision on the monotonic clock."""
    deadline_ns: int
    """Granted time, from arrival."""
    rows: int
    body_sha256: bytes
    inputs: tuple[StoredColumn, ...]
    answers: tuple[VariantAnswer, ...]
    chosen: tuple[int, ...]
    """Per row: index into `answers` of the one given; -1 for the default answer or none. One entry stands for all rows."""
    reason: str
    probability: float
    """With which the policy chose as it did; 1.0 for policies without chance."""
    forced: bool
    default: bytes | None = None
    """The default answer that was given, as JSON; None when a variant's answer was given or nothing was."""
    front: str = ""
    weights: tuple[float, ...] = ()
    """The weight that each of `answers` had in a combined answer (`chosen` is then -2); empty otherwise."""
    combined: tuple[StoredColumn, ...] = ()
    """The outputs of a combined answer."""
    step: int = 0
    """The step of the release's ramp."""
    overrides: tuple[str, ...] = ()
    """What the caller overrode by right: `variant`, `deadline`."""


class AnsweredLate(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="answered_late"):
    """An answer that came after the decision."""

    format: int
    request_id: bytes
    endpoint: str
    at_ns: int
    answer: VariantAnswer


class Recovered(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="recovered"):
    """A front started again and found its last segment; its torn tail, if any, was cut off."""

    format: int
    at_ns: int
    segment: int
    events: int
    cut_bytes: int


class EndpointCounts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What became of an endpoint's requests at one front: received = the sum of the others and of what is still on its way."""

    endpoint: str
    since: int
    """The segment from whose beginning it is counted."""
    received: int
    """Requests that were given an id."""
    recorded: int
    """Decisions in segments."""
    dropped: int
    """Answered without a record, as the endpoint chose for a full archive, or at level `async`."""
    refused: int
    """Turned away because no record could be written."""
    unanswered: int
    """On their way when the front was killed: neither answered nor recorded."""

    @property
    def on_the_way(self) -> int:
        """Received, and nothing has become of them yet."""
        return self.received - self.recorded - self.dropped - self.refused - self.unanswered


class Accounted(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="accounted"):
    """What a front has counted so far; `recorded` holds exactly for the decisions before this event in the front's segments."""

    format: int
    front: int
    epoch: str
    """Changes when counting has begun anew, because the file of the counts was lost."""
    at_ns: int
    counts: tuple[EndpointCounts, ...]


Event = Decided | AnsweredLate | Recovered | Accounted


def document_of(value: Any) -> Any:
    """Plain JSON-able values; bytes become hexadecimal text."""
    return msgspec.to_builtins(value, builtin_types=(bytes,))
