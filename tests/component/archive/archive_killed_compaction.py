"""Compactions that die at a chosen line, each in a process of its own.

    python archive_killed_compaction.py FOLDER TRIES

For each of some lines that a compaction executes: lays out an archive, forks a process that compacts
and ends at that line without any tidying up, then forks another that compacts to the end and one that counts what is
there. Prints one JSON object of counts per try. This process itself never touches Arrow, so that forking is safe.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pandas as pd  # noqa: F401  # Arrow imports it at its first use: here once, not in every forked process
from archive_writer import digest_of_record, made_decided, made_late

from muster.archive import compaction, conversion, depot, disk, files, index, late
from muster.archive.compaction import Compactor
from muster.archive.files import ArchiveFile
from muster.archive.layout import encode
from muster.archive.reader import Reader
from muster.archive.records import Record
from muster.archive.rows import late_of, records_of
from muster.archive.segments import SegmentWriter
from muster.vocabulary.clock import wall_ns
from muster.vocabulary.request_ids import RequestIds

_DELICATE = {"_publish", "put", "add", "finish"}
_WATCHED = {module.__file__ for module in (compaction, conversion, files, disk, index, late, depot)}


def lay_out(root: Path) -> dict[str, str]:
    """Two closed segments and an open one, with late answers across them; digests of the records by id."""
    ids = RequestIds(0)
    expected: dict[str, str] = {}
    with SegmentWriter(root / "spool", 0) as writer:
        first = [made_decided(ids.next(writer.segment)) for _ in range(5)]
        writer.write([encode(event) for event in first])
        late = made_late(first[0])
        writer.write([encode(late)])
        expected |= digests([Record(decided=first[0], late=(late,)), *(Record(decided=event) for event in first[3:])])
        writer.rotate()
        second = [made_decided(ids.next(writer.segment)) for _ in range(5)]
        crossing = made_late(first[1])
        writer.write([*(encode(event) for event in second), encode(crossing)])
        writer.rotate()
        later = made_late(first[2]), made_late(second[0])
        writer.write([encode(event) for event in later])
        expected |= digests([Record(decided=first[1], late=(crossing,)), Record(decided=first[2], late=(later[0],))])
        expected |= digests(
            [Record(decided=second[0], late=(later[1],)), *(Record(decided=event) for event in second[1:])]
        )
    return expected


def digests(records: list[Record]) -> dict[str, str]:
    return {record.request_id: digest_of_record(record) for record in records}


def compact(root: Path) -> None:
    shift = 120_000_000_000
    Compactor(root / "spool", root / "parquet", settle_s=60, now_ns=lambda: wall_ns() + shift).compact()


def dying_at(line: int, root: Path) -> list[str]:
    """Compact, and end at the given executed line of the archive's code; if it is not reached, whose lines there are."""
    executed: list[str] = []

    def watch(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in _WATCHED:
            return None
        if event == "line":
            executed.append(frame.f_code.co_name)
            if len(executed) == line:
                os._exit(9)
        return watch

    sys.settrace(watch)
    compact(root)
    sys.settrace(None)
    return executed


def checked(root: Path, expected: dict[str, str]) -> dict[str, int]:
    """What is wrong with the archive: all zero when nothing is."""
    reader = Reader(root)
    found = {request_id: reader.find(request_id) for request_id in expected}
    rows: Counter[str] = Counter()
    late_ones: Counter[str] = Counter()
    for path in (root / "parquet").glob("**/churn/**/*.parquet"):
        file = ArchiveFile(path)
        if path.is_relative_to(root / "parquet" / "_late"):
            late_ones.update(repr(event) for event in late_of(file.facts.layout, file.read()))
        else:
            records = records_of(file.facts.layout, file.read())
            rows.update(record.request_id for record in records)
            late_ones.update(repr(event) for record in records for event in record.late)
    return {
        "lost": sum(record is None for record in found.values()),
        "changed": sum(
            record is not None and digest_of_record(record) != expected[name] for name, record in found.items()
        ),
        "doubled": sum(count - 1 for count in (rows + late_ones).values()),
        "missing_rows": len(expected) - len(rows),
        "missing_late": 4 - len(late_ones),
        "left_in_spool": len(list((root / "spool" / "0").glob("*.seg"))),
        "left_unpublished": len(list((root / "parquet" / "_new").glob("*"))),
    }


def forked(deed: Callable[..., Any], *arguments: Any) -> tuple[int, str]:
    """Exit status of a deed in a process of its own, and what it returned, as JSON."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.write(writing, json.dumps(deed(*arguments)).encode())
            os._exit(0)
        except BaseException as error:  # noqa: BLE001  # whatever it is, it must be seen by the parent
            os.write(2, repr(error).encode())
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as stream:
        said = stream.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said


def main(folder: Path, tries: int) -> None:
    lay_out(folder / "counted")
    status, said = forked(dying_at, -1, folder / "counted")
    assert status == 0
    functions = json.loads(said)
    lines = len(functions)
    # Where files appear and go, every third line; elsewhere, evenly spread.
    spread = {1 + number * (lines - 1) // max(1, tries - 1) for number in range(tries)}
    delicate = [index + 1 for index, name in enumerate(functions) if name in _DELICATE]
    for line in sorted(spread | set(delicate[1 :: 3 if tries < lines else 1])):
        root = folder / str(line)
        expected = lay_out(root)
        status, _ = forked(dying_at, line, root)
        assert status == 9, f"line {line} of {lines}: {status}"
        _, found = forked(checked_reads, root, expected)
        _, counts = forked(compacted_and_checked, root, expected)
        sys.stdout.write(json.dumps({"line": line, "of": lines, **json.loads(found), **json.loads(counts)}) + "\n")


def compacted_and_checked(root: Path, expected: dict[str, str]) -> dict[str, int]:
    compact(root)
    return checked(root, expected)


def checked_reads(root: Path, expected: dict[str, str]) -> dict[str, int]:
    """What a reader misses right after the kill."""
    reader = Reader(root)
    found = {request_id: reader.find(request_id) for request_id in expected}
    last = [record.request_id for record in reader.last("churn", 100)]
    wrong = sum(record is None or digest_of_record(record) != expected[name] for name, record in found.items())
    return {"wrong_after_kill": wrong, "last_wrong": len(set(last) ^ set(expected)) + len(last) - len(set(last))}


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
