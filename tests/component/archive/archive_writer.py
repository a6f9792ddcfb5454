"""A front as far as the archive is concerned: writes records, and says on stdout which ones have been written.

    python archive_writer.py ARCHIVE SEED

Each line is the id of a request and the digest of its record, printed only after `write` has returned.
"""

import hashlib
import random
import struct
import sys
import threading
import time
from pathlib import Path

import msgspec

from muster.archive.layout import encode
from muster.archive.records import Record
from muster.archive.segments import SegmentWriter
from muster.vocabulary.clock import wall_ns
from muster.vocabulary.request_ids import RequestIds
from muster.wire.records import RECORD_FORMAT, AnsweredLate, Decided, StoredColumn, VariantAnswer


def made_decided(request_id: bytes, *, text_bytes: int = 100) -> Decided:
    """A record whose size can be chosen."""
    text = request_id.hex().encode() * (text_bytes // 32 + 1)
    return Decided(
        format=RECORD_FORMAT,
        request_id=request_id,
        client_id=None,
        idempotency_key=None,
        consumer="shop",
        project="default",
        endpoint="churn",
        release=1,
        plan="sha256:" + "a" * 64,
        contract="sha256:" + "c" * 64,
        received_ns=wall_ns(),
        decided_ns=wall_ns(),
        elapsed_ns=1,
        deadline_ns=1,
        rows=1,
        body_sha256=hashlib.sha256(text).digest(),
        inputs=(StoredColumn("text", "BYTES", (), struct.pack("<I", len(text)) + text),),
        answers=(made_answer("churn:1"),),
        chosen=(0,),
        reason="champion",
        probability=1.0,
        forced=False,
    )


def made_answer(version: str) -> VariantAnswer:
    """What a variant answered."""
    outputs = (StoredColumn("churn_probability", "FP64", (), struct.pack("<d", 0.25)),)
    return VariantAnswer(version, "champion", "answered", outputs, host="0-1-1", batch=1, batch_rows=1)


def made_late(of: Decided) -> AnsweredLate:
    """A late answer to it."""
    return AnsweredLate(RECORD_FORMAT, of.request_id, of.endpoint, wall_ns(), made_answer("churn:2"))


def digest_of_record(record: Record) -> str:
    """Changes with every bit of a record."""
    return hashlib.sha256(msgspec.msgpack.encode((record.decided, record.late))).hexdigest()


def main(archive: Path, seed: int) -> None:
    """Write until killed."""
    chance = random.Random(seed)
    writer = SegmentWriter(archive / "spool", 0, segment_bytes=300_000)
    ids = RequestIds(0)

    def file_away() -> None:
        while True:
            writer.sync()
            writer.rotate_if_due()
            time.sleep(0.002)

    threading.Thread(target=file_away, daemon=True).start()
    while True:
        said: list[str] = []
        events: list[Decided | AnsweredLate] = []
        for _ in range(chance.randint(1, 20)):
            decided = made_decided(ids.next(writer.segment), text_bytes=chance.choice([10, 1000, 20_000]))
            late = made_late(decided) if chance.random() < 0.3 else None
            events += [decided] if late is None else [decided, late]
            record = Record(decided=decided, late=() if late is None else (late,))
            said.append(f"{record.request_id} {digest_of_record(record)}\n")
        writer.write([encode(event) for event in events])
        sys.stdout.write("".join(said))
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
