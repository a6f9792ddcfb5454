"""What earlier versions wrote stays readable: flat folders, files and segments of format 1."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from archive_workshop import Workshop
from archive_writer import made_decided, made_late

from muster.archive.compaction import Compactor
from muster.archive.layout import SegmentHeader, encode, end_mark, header_bytes
from muster.archive.reader import Reader
from muster.archive.records import Record
from muster.archive.rows import RowLayout, late_layout_of, late_table_of, row_layout_of, table_of
from muster.archive.segments import SegmentWriter
from muster.archive.verify import Verifier
from muster.vocabulary.clock import wall_ns
from muster.vocabulary.request_ids import RequestIds, request_id_text
from muster.wire.records import AnsweredLate, Decided

_NEW = {"weights", "combined", "step", "overrides"}


def write_old(path: Path, table: pa.Table, layout: RowLayout, segment: int, joined: tuple[int, int]) -> None:
    """A file as Muster 0.1 wrote it: format 1, without the columns of today."""
    table = table.drop_columns([name for name in table.column_names if name in _NEW])
    document = {
        "format": 1, "front": 0, "segment": segment, "created_ns": wall_ns(), "joined": list(joined),
        "layout": layout.to_json(),
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    table = table.replace_schema_metadata({b"muster.archive": json.dumps(document).encode()})
    pq.write_table(table, path, write_page_checksum=True)


def old_archive(root: Path) -> tuple[list[Decided], AnsweredLate]:
    """Three records in the flat layout of Muster 0.1, and a late answer beside them."""
    ids = RequestIds(0)
    events = [made_decided(ids.next(1)) for _ in range(3)]
    late = made_late(events[1])
    rows = [Record(decided=event) for event in events]
    layout = row_layout_of(rows[0])
    assert layout is not None
    write_old(root / "parquet" / "churn" / "0-00000001.parquet", table_of(layout, rows), layout, 1, (1, 10_000))
    beside = late_layout_of(late)
    assert beside is not None
    path = root / "parquet" / "churn" / "late" / "0-00000002.late.parquet"
    write_old(path, late_table_of(beside, [late]), beside, 2, (2, 10_000))
    (root / "spool" / "0").mkdir(parents=True)
    (root / "spool" / "0" / "number").write_text("2")
    return events, late


def test_the_flat_layout_is_read_as_before(tmp_path: Path) -> None:
    """Records are found by their id and as the last ones, with late answers; new ones go beside them."""
    events, late = old_archive(tmp_path)
    made = Workshop(tmp_path)
    new = made.answer(2)
    made.close()
    made.compact()
    reader = Reader(tmp_path)
    expected = [Record(decided=event, late=(late,) if event is events[1] else ()) for event in [*events, *new]]
    for record in expected:
        assert reader.find(record.request_id) == record
    assert reader.last("churn", 10) == expected[::-1]
    assert list(reader.newest("churn")) == expected[::-1]


def test_an_old_archive_is_whole_by_its_own_checksums(tmp_path: Path) -> None:
    """No index proves it, so it is said apart; what is damaged is found."""
    old_archive(tmp_path)
    made = Workshop(tmp_path)
    made.answer(2)
    made.close()
    made.compact()
    verdict = Verifier(tmp_path).verify()
    assert verdict.problems == []
    assert verdict.unproven_files == 1
    assert verdict.endpoints["churn"].recorded == 5
    path = tmp_path / "parquet" / "churn" / "0-00000001.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    assert [problem.kind for problem in Verifier(tmp_path).verify().problems] == ["file"]


def test_segments_of_format_1_become_parquet_and_the_chain_begins_behind_them(tmp_path: Path) -> None:
    """An upgrade with a full spool loses nothing, and verify finds nothing wrong with it."""
    folder = tmp_path / "spool" / "0"
    folder.mkdir(parents=True)
    ids = RequestIds(0)
    event, other = made_decided(ids.next(1)), made_decided(ids.next(2))
    for number, record, closed in ((1, event, True), (2, other, False)):
        body = header_bytes(SegmentHeader(front=0, segment=number, created_ns=wall_ns())) + encode(record)
        (folder / f"{number:08d}.{'seg' if closed else 'open'}").write_bytes(
            body + (end_mark(1, len(body)) if closed else b"torn")
        )
    (folder / "number").write_text("2")
    with SegmentWriter(tmp_path / "spool", 0) as writer:
        assert [one.cut_bytes for one in writer.recovered] == [4]
        writer.write([encode(made_decided(ids.next(writer.segment)))])
    assert Verifier(tmp_path).verify().problems == []
    Compactor(tmp_path / "spool", tmp_path / "parquet", now_ns=lambda: wall_ns() + 10**13).compact()
    assert Verifier(tmp_path).verify().problems == []
    for record in (event, other):
        assert Reader(tmp_path).find(request_id_text(record.request_id)) == Record(decided=record)
