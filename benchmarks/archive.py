"""What the archive costs, and how quickly one request is found among many.

    .venv/bin/python benchmarks/archive.py [--rows 200000] [--folder DIR] [--json FILE]

It writes real records (30 numbers in, three variants' answers) through a real spool, compacts them, and finds some of
them again by their id: first in the archive as it is, then with so many further segments beside them that it would
hold 10 million, 100 million and a billion records. The further segments are entries of the index and links to a real
Parquet file: a lookup that depended on how much there is would have to read or list them.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from muster.archive.compaction import Compactor
from muster.archive.export import Exports
from muster.archive.files import rows_place
from muster.archive.index import IndexEntry, entry_place
from muster.archive.layout import encode
from muster.archive.reader import Reader
from muster.archive.segments import SegmentWriter
from muster.archive.verify import Verifier
from muster.vocabulary.clock import wall_ns
from muster.vocabulary.request_ids import RequestIds, request_id_text
from muster.wire.records import RECORD_FORMAT, Decided, StoredColumn, VariantAnswer

ROWS_PER_SEGMENT = 40_000
BATCH = 16
LOOKUPS = 300
SCALES = (10_000_000, 100_000_000, 1_000_000_000)


def main() -> None:
    """Build, measure, print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=200_000, help="real records")
    arguments.add_argument("--folder", type=Path, help="where; a temporary folder otherwise")
    arguments.add_argument("--json", type=Path, help="write the figures here, too")
    given = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="muster-archive-", dir=given.folder))
    try:
        figures = measure(folder, given.rows)
    finally:
        shutil.rmtree(folder)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


def measure(folder: Path, rows: int) -> dict[str, Any]:
    """All figures."""
    figures: dict[str, Any] = {"rows": rows}
    say(f"{'':32}{'p50':>12}{'p99':>12}")
    ids, cost = build(folder, rows)
    figures |= cost
    for name, value in cost.items():
        say(f"{name:32}{value:12.2f}")
    figures["find"] = {}
    reader = Reader(folder)
    figures["find"][str(rows)] = timed(f"find among {rows:,}", reader, ids)
    add_ballast = ballast(folder, rows // ROWS_PER_SEGMENT or 1)
    for scale in SCALES:
        add_ballast(scale // ROWS_PER_SEGMENT)
        figures["find"][str(scale)] = timed(f"find among {scale:,}", Reader(folder), ids)
    figures["find_unknown"] = timed("find what is not there", Reader(folder), unknown(), expected=False)
    return figures


def build(folder: Path, rows: int) -> tuple[list[str], dict[str, float]]:
    """Write and compact real records; some of their ids, and what it cost per record."""
    writer, request_ids = SegmentWriter(folder / "spool", 0), RequestIds(0)
    account = writer.account("churn")
    chance = random.Random(1)
    kept: list[str] = []
    encoding = writing = 0.0
    for first in range(0, rows, ROWS_PER_SEGMENT):
        count = min(ROWS_PER_SEGMENT, rows - first)
        records = [made_record(request_ids.next(writer.segment), number) for number in range(count)]
        kept += [request_id_text(one.request_id) for one in chance.sample(records, k=min(200, count))]
        begun = time.process_time()
        encoded = [encode(record) for record in records]
        encoding += time.process_time() - begun
        begun = time.process_time()
        for at in range(0, count, BATCH):
            account.received(BATCH)
            writer.write(encoded[at : at + BATCH], [(account, len(encoded[at : at + BATCH]))])
        writing += time.process_time() - begun
        writer.rotate()
    writer.close()
    spooled = sum(path.stat().st_size for path in folder.glob("spool/0/*.seg"))
    begun = time.process_time()
    Compactor(folder / "spool", folder / "parquet", now_ns=lambda: wall_ns() + 10**13).compact()
    compacting = time.process_time() - begun
    parquet = sum(path.stat().st_size for path in folder.glob("parquet/churn/**/*.parquet"))
    begun = time.process_time()
    verdict = Verifier(folder).verify()
    verifying = time.process_time() - begun
    if not verdict.valid:
        raise SystemExit(f"the archive is not whole: {verdict.problems[:3]}")
    exports = Exports(folder)
    begun = time.process_time()
    size = sum(map(len, exports.parquet(exports.window("churn", "default", None, None))))
    exporting = time.process_time() - begun
    return kept, {
        "encode, us per record": encoding / rows * 1e6,
        "write, us per record": writing / rows * 1e6,
        "compact, us per record": compacting / rows * 1e6,
        "verify, us per record": verifying / rows * 1e6,
        "export, us per record": exporting / rows * 1e6,
        "spool, bytes per record": spooled / rows,
        "Parquet, bytes per record": parquet / rows,
        "export, bytes per record": size / rows,
    }


def made_record(request_id: bytes, number: int) -> Decided:
    """Thirty numbers, and three variants' answers."""
    chance = random.Random(number)
    inputs = struct.pack("<30d", *(chance.gauss(0, 1) for _ in range(30)))
    answers = tuple(
        VariantAnswer(
            version=version,
            role=role,
            status="answered",
            outputs=(StoredColumn("probability", "FP64", (), struct.pack("<d", chance.random())),),
            latency_ns=2_000_000 + number,
            compute_ns=900_000 + number,
            environment="sha256:" + "e" * 64,
            host=f"0-{place}-1",
            batch=number // BATCH,
            position=number % BATCH,
            batch_rows=BATCH,
            cpu="some processor",
        )
        for place, (version, role) in enumerate(
            (("churn:3", "champion"), ("churn:4", "challenger"), ("churn:1", "canary"))
        )
    )
    now = wall_ns()
    return Decided(
        format=RECORD_FORMAT, request_id=request_id, client_id=str(number), idempotency_key=None, consumer="shop",
        project="default", endpoint="churn", release=2, plan="sha256:" + "a" * 64, contract="sha256:" + "c" * 64,
        received_ns=now, decided_ns=now + 3_000_000, elapsed_ns=3_000_000, deadline_ns=100_000_000, rows=1,
        body_sha256=chance.randbytes(32), inputs=(StoredColumn("x", "FP64", (30,), inputs),), answers=answers,
        chosen=(0,), reason="champion", probability=1.0, forced=False, front="front-0",
    )  # fmt: skip


def ballast(folder: Path, first: int) -> Callable[[int], None]:
    """Adds segments up to a number: an entry of the index each, and a Parquet file in an hour of its own time."""
    pattern = msgspec.json.decode((folder / "parquet" / entry_place(0, 1)).read_bytes(), type=IndexEntry)
    model = next(file for file in pattern.files if file.kind == "rows")
    source = folder / "parquet" / model.place
    hour = model.oldest_ns // 3_600_000_000_000
    reached = [first + 1]

    def add(up_to: int) -> None:
        for number in range(reached[0] + 1, up_to + 1):
            # A minute a segment, backwards in time: their ids are of other moments than the real ones.
            place = rows_place("churn", hour - number // 60, 0, number, 0)
            low = request_id_text(((number << 80) | (8 << 76)).to_bytes(16, "big"))
            entry = replace(pattern, segment=number, files=(replace(model, place=place, first=low, last=low),), seal="")
            target = folder / "parquet" / entry_place(0, number)
            for path in (target, folder / "parquet" / place):
                path.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(sealed(entry))
            link(source, folder / "parquet" / place)
        reached[0] = max(reached[0], up_to)

    return add


def sealed(entry: IndexEntry) -> bytes:
    """As the index writes it."""
    seal = hashlib.sha256(msgspec.json.encode(entry)).hexdigest()
    return msgspec.json.encode(replace(entry, seal=seal))


def link(source: Path, target: Path) -> None:
    """A hard link, or where there may be no more of them, a symbolic one."""
    try:
        os.link(source, target)
    except OSError:
        target.symlink_to(source)


def unknown() -> list[str]:
    """Ids that nobody was given, of segments that there are."""
    ids = RequestIds(0)
    return [request_id_text(ids.next(segment)) for segment in range(1, LOOKUPS)]


def timed(name: str, reader: Reader, ids: list[str], *, expected: bool = True) -> dict[str, float]:
    """How long one lookup takes."""
    chance = random.Random(2)
    taken = []
    for request_id in chance.choices(ids, k=LOOKUPS):
        begun = time.perf_counter()
        found = reader.find(request_id)
        taken.append((time.perf_counter() - begun) * 1000)
        if (found is not None) != expected:
            raise SystemExit(f"{request_id}: found {found is not None}, expected {expected}")
    cuts = statistics.quantiles(taken, n=100)
    say(f"{name:32}{cuts[49]:9.2f} ms{cuts[98]:9.2f} ms")
    return {"p50_ms": cuts[49], "p99_ms": cuts[98]}


def say(line: str) -> None:
    """To the terminal, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
