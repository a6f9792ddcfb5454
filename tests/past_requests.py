"""Decision records made by hand, for tests that look back at them."""

import struct
from collections.abc import Mapping, Sequence
from itertools import count

from muster.archive.records import Record
from muster.packaging.columns import encode_text
from muster.wire.records import RECORD_FORMAT, AnsweredLate, Decided, StoredColumn, VariantAnswer

_IDS = count(1)


def floats(name: str, *values: float) -> StoredColumn:
    """A column of numbers."""
    return StoredColumn(name, "FP64", (), struct.pack(f"<{len(values)}d", *values))


def wholes(name: str, *values: int) -> StoredColumn:
    """A column of whole numbers."""
    return StoredColumn(name, "INT64", (), struct.pack(f"<{len(values)}q", *values))


def texts(name: str, *values: str) -> StoredColumn:
    """A column of texts."""
    return StoredColumn(name, "BYTES", (), encode_text(value.encode() for value in values))


def answered(version: str, latency_ms: float, *outputs: StoredColumn) -> VariantAnswer:
    """A version that answered."""
    return VariantAnswer(
        version=version,
        role="champion",
        status="answered",
        outputs=outputs,
        latency_ns=round(latency_ms * 1e6),
        host="h",
    )


def failed(version: str, latency_ms: float) -> VariantAnswer:
    """A version that erred."""
    return VariantAnswer(
        version=version, role="champion", status="failed", error="model-raised: no", latency_ns=round(latency_ms * 1e6)
    )


def pending(version: str) -> VariantAnswer:
    """A version that had not answered when it was decided."""
    return VariantAnswer(version=version, role="champion", status="pending")


def record(
    *answers: VariantAnswer,
    inputs: Sequence[StoredColumn] = (),
    rows: int = 1,
    chosen: Sequence[int] = (0,),
    late: Sequence[VariantAnswer] = (),
    **said: object,
) -> Record:
    """What happened to one request; it arrived one second after the one before."""
    number = next(_IDS)
    facts: Mapping[str, object] = {
        "format": RECORD_FORMAT, "request_id": number.to_bytes(16, "big"), "client_id": None, "idempotency_key": None,
        "consumer": "shop", "project": "default", "endpoint": "churn", "release": 1, "plan": "sha256:" + "a" * 64,
        "contract": "sha256:" + "c" * 64, "received_ns": number * 10**9, "decided_ns": number * 10**9 + 10**6,
        "elapsed_ns": 10**6, "deadline_ns": 10**8, "rows": rows, "body_sha256": bytes(32), "inputs": tuple(inputs),
        "answers": answers, "chosen": tuple(chosen), "reason": "champion", "probability": 1.0, "forced": False, **said,
    }  # fmt: skip
    decided = Decided(**facts)  # type: ignore[arg-type]
    events = tuple(
        AnsweredLate(RECORD_FORMAT, decided.request_id, "churn", decided.decided_ns + 1, answer) for answer in late
    )
    return Record(decided=decided, late=events)
