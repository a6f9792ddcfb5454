"""Decision records in the spool of a front, as the serving side writes them."""

import struct
from collections.abc import Sequence
from pathlib import Path

from muster.archive.segments import SegmentWriter, encode
from muster.vocabulary.clock import wall_ns
from muster.vocabulary.request_ids import RequestIds, request_id_text
from muster.wire.records import RECORD_FORMAT, AnsweredLate, Decided, StoredColumn, VariantAnswer


def column(name: str, values: Sequence[float]) -> StoredColumn:
    """A column of numbers."""
    return StoredColumn(name, "FP64", (), struct.pack(f"<{len(values)}d", *values))


def answer_of(
    version: str, role: str, values: Sequence[float] | None, environment: str = "sha256:" + "e" * 64
) -> VariantAnswer:
    """What a version said; None: nothing yet."""
    if values is None:
        return VariantAnswer(version=version, role=role, status="pending")
    return VariantAnswer(
        version=version, role=role, status="answered", outputs=(column("score", values),), latency_ns=2_000_000,
        compute_ns=900_000, environment=environment, host=f"h-{version}", batch=1, position=0, batch_rows=len(values),
    )  # fmt: skip


def record_request(
    archive: Path,
    endpoint: str,
    answers: Sequence[VariantAnswer],
    inputs: Sequence[float],
    late: VariantAnswer | None = None,
    chosen: Sequence[int] = (0,),
    project: str = "default",
    consumer: str = "shop",
) -> str:
    """Write the record of one request; its id."""
    writer = SegmentWriter(archive / "spool", 0)
    request_id = RequestIds(0).next(writer.segment)
    now = wall_ns()
    events: list[bytes] = [
        encode(
            Decided(
                format=RECORD_FORMAT, request_id=request_id, client_id="mine", idempotency_key=None, consumer=consumer,
                project=project, endpoint=endpoint, release=1, plan="sha256:" + "a" * 64,
                contract="sha256:" + "c" * 64, received_ns=now - 3_000_000, decided_ns=now, elapsed_ns=3_000_000,
                deadline_ns=100_000_000, rows=len(inputs), body_sha256=bytes(32), inputs=(column("x", inputs),),
                answers=tuple(answers), chosen=tuple(chosen), reason="champion", probability=1.0, forced=False, front="front-0",
            )
        )
    ]  # fmt: skip
    if late is not None:
        events.append(encode(AnsweredLate(RECORD_FORMAT, request_id, endpoint, now + 5_000_000, late)))
    writer.write(events)
    writer.close()
    return request_id_text(request_id)
