"""Decision records for the archive's tests: ready-made ones, and Hypothesis strategies for any."""

import struct
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from muster.vocabulary.clock import wall_ns
from muster.vocabulary.request_ids import RequestIds
from muster.vocabulary.tensors import ITEM_BYTES, Datatype
from muster.wire.records import (
    RECORD_FORMAT,
    Accounted,
    AnsweredLate,
    Decided,
    EndpointCounts,
    Event,
    Recovered,
    StoredColumn,
    VariantAnswer,
)

SECOND = 1_000_000_000
#: A little while ago, so that the deadlines of ready-made requests are over.
START_NS = wall_ns() - 10 * SECOND


def fp64(name: str, values: Sequence[float], nulls: bytes | None = None) -> StoredColumn:
    return StoredColumn(name, "FP64", (), struct.pack(f"<{len(values)}d", *values), nulls)


def text(name: str, values: Sequence[str], nulls: bytes | None = None) -> StoredColumn:
    raw = [value.encode() for value in values]
    return StoredColumn(name, "BYTES", (), b"".join(struct.pack("<I", len(item)) + item for item in raw), nulls)


def answer(version: str = "churn:1", *, probability: Sequence[float] = (0.25,), **changes: Any) -> VariantAnswer:
    made = VariantAnswer(
        version=version,
        role="champion",
        status="answered",
        outputs=(fp64("churn_probability", probability),),
        latency_ns=2_000_000,
        compute_ns=900_000,
        environment="sha256:" + "e" * 64,
        host="0-1-7",
        batch=3,
        position=0,
        batch_rows=len(probability),
        cpu="a cpu",
    )
    return replace(made, **changes)


def decided(
    request_id: bytes | None = None,
    *,
    rows: int = 1,
    at_ns: int = START_NS,
    segment: int = 1,
    front: int = 0,
    **changes: Any,
) -> Decided:
    made = Decided(
        format=RECORD_FORMAT,
        request_id=request_id if request_id is not None else RequestIds(front).next(segment),
        client_id=None,
        idempotency_key=None,
        consumer="shop",
        project="default",
        endpoint="churn",
        release=2,
        plan="sha256:" + "a" * 64,
        contract="sha256:" + "c" * 64,
        received_ns=at_ns,
        decided_ns=at_ns + 3_000_000,
        elapsed_ns=3_000_000,
        deadline_ns=100_000_000,
        rows=rows,
        body_sha256=b"\x07" * 32,
        inputs=(fp64("tenure", [12.5] * rows), text("contract", ["Month-to-month"] * rows)),
        answers=(answer(probability=[0.25] * rows),),
        chosen=(0,),
        reason="champion",
        probability=1.0,
        forced=False,
        front=str(front),
    )
    return replace(made, **changes)


def late(of: Decided, *, after_ns: int = 50_000_000, **changes: Any) -> AnsweredLate:
    return AnsweredLate(
        format=RECORD_FORMAT,
        request_id=of.request_id,
        endpoint=of.endpoint,
        at_ns=of.decided_ns + after_ns,
        answer=answer("churn:2", role="challenger", probability=[0.5] * of.rows, **changes),
    )


NUMBERS = st.integers(-(2**62), 2**62)
SHORT_TEXT = st.text(max_size=12)
NAMES = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789_", min_size=1, max_size=8)


@st.composite
def columns_of(
    draw: st.DrawFn, datatype: Datatype, name: str, shape: tuple[int, ...], rows: int, *, canonical: bool
) -> StoredColumn:
    """A column; `canonical` ones hold what a front writes: zeros under nulls, valid text, BOOL as 0 and 1."""
    per_row = 1
    for length in shape:
        per_row *= length
    nulls = draw(st.none() | st.lists(st.sampled_from([0, 1]), min_size=rows, max_size=rows).map(bytes))
    if datatype is Datatype.BYTES:
        items = st.text(max_size=6).map(str.encode) if canonical else st.binary(max_size=6)
        elements = [draw(st.lists(items, min_size=per_row, max_size=per_row)) for _ in range(rows)]
        if nulls and canonical:
            elements = [[b""] * per_row if null else row for null, row in zip(nulls, elements, strict=True)]
        data = b"".join(struct.pack("<I", len(item)) + item for row in elements for item in row)
    else:
        size = ITEM_BYTES[datatype] * per_row
        raw = st.binary(min_size=size, max_size=size)
        if datatype is Datatype.BOOL and canonical:
            raw = st.lists(st.sampled_from([0, 1]), min_size=size, max_size=size).map(bytes)
        parts = [draw(raw) for _ in range(rows)]
        if nulls and canonical:
            parts = [bytes(size) if null else part for null, part in zip(nulls, parts, strict=True)]
        data = b"".join(parts)
    return StoredColumn(name, str(datatype), shape, data, nulls if nulls and any(nulls) else None)


Layout = tuple[tuple[str, Datatype, tuple[int, ...]], ...]
LAYOUTS = st.lists(
    st.tuples(NAMES, st.sampled_from(list(Datatype)), st.sampled_from([(), (), (1,), (3,), (2, 2)])),
    min_size=1,
    max_size=4,
    unique_by=lambda field: field[0],
).map(tuple)


@st.composite
def tables_of(draw: st.DrawFn, layout: Layout, rows: int, *, canonical: bool) -> tuple[StoredColumn, ...]:
    return tuple(draw(columns_of(kind, name, shape, rows, canonical=canonical)) for name, kind, shape in layout)


@st.composite
def answers_of(draw: st.DrawFn, version: str, layout: Layout, rows: int, *, canonical: bool) -> VariantAnswer:
    status = draw(st.sampled_from(["answered", "failed", "pending", "unsent"]))
    outputs = draw(tables_of(layout, rows, canonical=canonical)) if status == "answered" else None
    return VariantAnswer(
        version=version,
        role=draw(st.sampled_from(["champion", "challenger", "canary"])),
        status=status,
        outputs=outputs,
        error=draw(st.none() | SHORT_TEXT),
        latency_ns=draw(NUMBERS),
        compute_ns=draw(NUMBERS),
        environment=draw(SHORT_TEXT),
        host=draw(SHORT_TEXT),
        batch=draw(NUMBERS),
        position=draw(st.integers(0, 2**31 - 1)),
        batch_rows=draw(st.integers(0, 2**31 - 1)),
        alone=draw(st.booleans()),
        threads=draw(st.integers(0, 1000)),
        cpu=draw(SHORT_TEXT),
    )


@st.composite
def records(
    draw: st.DrawFn, *, canonical: bool = True, inputs: Layout | None = None, outputs: Layout | None = None
) -> list[Decided | AnsweredLate]:
    """A decision and its late answers."""
    inputs = draw(LAYOUTS) if inputs is None else inputs
    outputs = draw(LAYOUTS) if outputs is None else outputs
    rows = draw(st.integers(0, 4))
    answers = [
        draw(answers_of(f"churn:{number}", outputs, rows, canonical=canonical))
        for number in range(draw(st.integers(0, 3)))
    ]
    record = Decided(
        format=RECORD_FORMAT,
        request_id=RequestIds(draw(st.integers(0, 3))).next(draw(st.integers(1, 9))),
        client_id=draw(st.none() | SHORT_TEXT),
        idempotency_key=draw(st.none() | SHORT_TEXT),
        consumer=draw(SHORT_TEXT),
        project=draw(SHORT_TEXT),
        endpoint=draw(st.sampled_from(["churn", "credit"])),
        release=draw(st.integers(0, 2**31)),
        plan=draw(SHORT_TEXT),
        contract=draw(SHORT_TEXT),
        received_ns=draw(st.integers(0, 2**62)),
        decided_ns=draw(st.integers(0, 2**62)),
        elapsed_ns=draw(NUMBERS),
        deadline_ns=draw(st.integers(0, 10**10)),
        rows=rows,
        body_sha256=draw(st.binary(max_size=32)),
        inputs=draw(tables_of(inputs, rows, canonical=canonical)),
        answers=tuple(answers),
        chosen=tuple(draw(st.lists(st.integers(-1, 3), max_size=4))),
        reason=draw(SHORT_TEXT),
        probability=draw(st.floats(allow_nan=False)),
        forced=draw(st.booleans()),
        default=draw(st.none() | st.text(max_size=9).map(str.encode) | st.binary(max_size=4)),
        front=draw(SHORT_TEXT),
        weights=tuple(draw(st.lists(st.floats(allow_nan=False), max_size=3))),
        combined=draw(st.just(()) | tables_of(outputs, rows, canonical=canonical)),
        step=draw(st.integers(0, 99)),
        overrides=tuple(draw(st.lists(SHORT_TEXT, max_size=2))),
    )
    late_answers = [
        AnsweredLate(
            format=RECORD_FORMAT,
            request_id=record.request_id,
            endpoint=record.endpoint,
            at_ns=draw(st.integers(0, 2**62)),
            answer=draw(answers_of(f"late:{number}", outputs, rows, canonical=canonical)),
        )
        for number in range(draw(st.integers(0, 2)))
    ]
    return [record, *late_answers]


RECOVERED = st.builds(
    Recovered,
    format=st.just(RECORD_FORMAT),
    at_ns=st.integers(0, 2**62),
    segment=st.integers(0, 2**24 - 1),
    events=st.integers(0, 2**40),
    cut_bytes=st.integers(0, 2**40),
)


ACCOUNTED = st.builds(
    Accounted,
    format=st.just(RECORD_FORMAT),
    front=st.integers(0, 4095),
    epoch=SHORT_TEXT,
    at_ns=st.integers(0, 2**62),
    counts=st.lists(st.builds(EndpointCounts, SHORT_TEXT, *[st.integers(0, 2**40)] * 6), max_size=2).map(tuple),
)


@st.composite
def events(draw: st.DrawFn, *, max_records: int = 4) -> list[Event]:
    """What a segment may hold."""
    groups = draw(st.lists(records(canonical=False), min_size=1, max_size=max_records))
    found: list[Event] = [event for group in groups for event in group]
    before: list[Event] = draw(st.lists(RECOVERED, max_size=1))
    return before + found + draw(st.lists(ACCOUNTED, max_size=1))
