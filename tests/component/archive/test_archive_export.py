"""Exports: every record of the window once, late answers in their rows, wherever the records lie."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from archive_workshop import HOUR_NS, Workshop
from archive_writer import made_answer
from msgspec.structs import replace

from muster.archive.errors import WindowMalformed, WindowMixed
from muster.archive.export import METADATA_KEY, Exports
from muster.vocabulary.clock import wall_ns
from muster.vocabulary.request_ids import request_id_text
from muster.wire.records import StoredColumn


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    made = Workshop(tmp_path / "archive")
    yield made
    made.close()


def exported(made: Workshop, from_ns: int | None = None, to_ns: int | None = None, endpoint: str = "churn") -> pa.Table:
    exports = Exports(made.root, made.store)
    window = exports.window(endpoint, "default", from_ns, to_ns)
    return pq.read_table(pa.BufferReader(b"".join(exports.parquet(window))))


def everywhere(made: Workshop) -> None:
    """Records in Parquet, in a closed segment and in the open one; late answers in rows, beside, and in the spool."""
    first = made.answer(5, at_ns=wall_ns() - 3 * HOUR_NS)
    made.answer_late(first[0])
    made.rotate()
    made.compact()
    made.answer_late(first[1])
    second = made.answer(4, at_ns=wall_ns() - HOUR_NS)
    made.rotate()
    made.compact()
    made.answer(3)
    made.answer_late(first[2])
    made.answer_late(second[0])
    made.rotate()
    made.answer(2)
    made.answer(2, endpoint="credit")
    made.answer(1, project="other")


def test_an_export_holds_every_record_of_the_window_once(workshop: Workshop) -> None:
    """From Parquet, closed and open segments; nothing of other endpoints and projects."""
    everywhere(workshop)
    table = exported(workshop)
    expected = [event for event in workshop.decided if event.endpoint == "churn" and event.project == "default"]
    ids = table.column("request_id").to_pylist()
    assert sorted(ids) == sorted(request_id_text(event.request_id) for event in expected)


def test_late_answers_are_in_their_rows(workshop: Workshop) -> None:
    """Whether they were in the row, in a side file or in a segment."""
    everywhere(workshop)
    table = exported(workshop)
    late = {
        row["request_id"]: [answer["version"] for answer in row["late_answers"]]
        for row in table.select(["request_id", "late_answers"]).to_pylist()
        if row["late_answers"]
    }
    assert late == {request_id_text(event.request_id): ["churn:2"] for event in workshop.late}


def test_a_window_has_its_borders(workshop: Workshop) -> None:
    """From is in it, to is not."""
    everywhere(workshop)
    churn = [event for event in workshop.decided if event.endpoint == "churn"]
    table = exported(workshop, churn[1].received_ns, churn[6].received_ns)
    assert table.num_rows == 5
    assert exported(workshop, churn[1].received_ns, churn[1].received_ns + 1).num_rows == 1
    with pytest.raises(WindowMalformed):
        Exports(workshop.root).window("churn", "default", 5, 5)


def test_an_export_says_up_to_when_it_is_complete(workshop: Workshop) -> None:
    """In its metadata: what arrived later may still have been on its way."""
    workshop.answer(1)
    document = json.loads((exported(workshop).schema.metadata or {})[METADATA_KEY])
    assert document["endpoint"] == "churn"
    assert document["complete_to"] < document["to"]


def test_an_endpoint_without_records_exports_an_empty_table(workshop: Workshop) -> None:
    """No rows, all columns that are always there."""
    table = exported(workshop, endpoint="nothing")
    assert table.num_rows == 0
    assert "request_id" in table.column_names


def test_contracts_that_differ_by_fields_go_into_one_table(workshop: Workshop) -> None:
    """A field that a record does not have is null in its row."""
    workshop.answer(2)
    more = StoredColumn("age", "FP64", (), bytes(8))
    (text,) = workshop.decided[0].inputs
    workshop.answer(2, inputs=(text, more))
    workshop.rotate()
    workshop.compact()
    workshop.answer(1, inputs=(more,))
    table = exported(workshop).sort_by("request_id")
    ages = table.column("inputs").combine_chunks().field("age").to_pylist()
    assert ages == [None, None, [0.0], [0.0], [0.0]]


def test_contracts_that_contradict_each_other_are_refused_before_a_byte_is_given(workshop: Workshop) -> None:
    """A field that was a text and is a number cannot be one column; as single records they can be had."""
    workshop.answer(1)
    workshop.answer(1, inputs=(StoredColumn("text", "FP64", (), bytes(8)),))
    exports = Exports(workshop.root)
    window = exports.window("churn", "default", None, None)
    with pytest.raises(WindowMixed, match="text"):
        exports.parquet(window)
    assert len(list(exports.records(window))) == 2


def test_only_what_may_be_seen_is_exported(workshop: Workshop) -> None:
    """Record by record."""
    workshop.answer(2)
    workshop.answer(3, answers=(replace(made_answer("own:1"), role="champion"),))
    workshop.rotate()
    workshop.compact()
    exports = Exports(workshop.root)
    window = exports.window("churn", "default", None, None)

    def is_own(record: object) -> bool:
        return any(answer.version == "own:1" for answer in record.decided.answers)  # type: ignore[attr-defined]

    assert len(list(exports.records(window, is_own))) == 3
    table = pq.read_table(pa.BufferReader(b"".join(exports.parquet(window, is_own))))
    assert table.num_rows == 3


def test_an_export_while_it_is_written_and_compacted_misses_and_doubles_nothing(workshop: Workshop) -> None:
    """Segments that become Parquet under its hands are found in either place."""
    stop = threading.Event()

    def churn() -> None:
        mine = workshop.compactor()
        while not stop.is_set():
            workshop.rotate()
            mine.compact()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(12):
            workshop.answer(20)
            known = {request_id_text(event.request_id) for event in workshop.decided}
            ids = exported(workshop).column("request_id").to_pylist()
            assert len(ids) == len(set(ids))
            assert known <= set(ids)
    finally:
        stop.set()
        thread.join()


def test_other_tools_read_an_endpoint_by_its_folders(workshop: Workshop) -> None:
    """All hours are one table that knows date and hour; side files are not in the way."""
    everywhere(workshop)
    table = pads.dataset(workshop.root / "parquet" / "churn", partitioning="hive").to_table(["request_id", "hour"])
    assert table.num_rows == 9
    assert len(pc.unique(table.column("hour"))) == 2
