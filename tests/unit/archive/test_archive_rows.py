"""Rows of Parquet: every record comes back byte for byte."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
from archive_events import LAYOUTS, answer, decided, fp64, late, records, text
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from muster.archive.records import Record
from muster.archive.rows import (
    RowLayout,
    dictionary_columns,
    late_layout_of,
    late_of,
    late_table_of,
    records_of,
    row_layout_of,
    table_of,
)
from muster.wire.records import AnsweredLate, Decided, StoredColumn


def as_record(events: list[Decided | AnsweredLate]) -> Record:
    first = events[0]
    assert isinstance(first, Decided)
    return Record(decided=first, late=tuple(event for event in events if isinstance(event, AnsweredLate)))


def through_parquet(table: pa.Table) -> pa.Table:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", use_dictionary=dictionary_columns(table.schema))
    return pq.read_table(io.BytesIO(sink.getvalue()))


@st.composite
def groups(draw: st.DrawFn) -> list[Record]:
    """Records of one endpoint's layout, as a file holds them."""
    inputs, outputs = draw(LAYOUTS), draw(LAYOUTS)
    made = draw(st.lists(records(inputs=inputs, outputs=outputs), min_size=1, max_size=4))
    return [as_record(events) for events in made]


def grouped(made: list[Record]) -> dict[RowLayout, list[Record]]:
    found: dict[RowLayout, list[Record]] = {}
    for record in made:
        found.setdefault(row_layout_of(record) or RowLayout(), []).append(record)
    return found


@given(groups())
@settings(max_examples=75, deadline=None)
def test_what_a_front_writes_comes_back_bit_for_bit(made: list[Record]) -> None:
    """Typed columns hold floats with their NaN bits, nulls, tensors and texts without loss."""
    for layout, members in grouped(made).items():
        back = records_of(layout, through_parquet(table_of(layout, members)))
        assert back == members
        assert repr(back) == repr(members)


@given(st.lists(records(canonical=False).map(as_record), min_size=1, max_size=3))
@settings(max_examples=75, deadline=None)
def test_what_no_front_writes_comes_back_as_well(made: list[Record]) -> None:
    """Bytes that typed columns cannot hold lie in `raw`: nothing is lost or refused."""
    for layout, members in grouped(made).items():
        back = records_of(layout, through_parquet(table_of(layout, members)))
        assert repr(back) == repr(members)


@given(st.lists(records(canonical=False).map(as_record), min_size=1, max_size=3))
@settings(max_examples=50, deadline=None)
def test_late_answers_come_back_from_side_files(made: list[Record]) -> None:
    """A late answer in a side file is the event that the front wrote."""
    found: dict[RowLayout, list[AnsweredLate]] = {}
    for event in (event for record in made for event in record.late):
        found.setdefault(late_layout_of(event) or RowLayout(), []).append(event)
    for layout, members in found.items():
        assert late_of(layout, through_parquet(late_table_of(layout, members))) == members
        assert RowLayout.from_json(layout.to_json()) == layout


def test_whole_numbers_too_large_for_a_column_lie_in_raw() -> None:
    """A number beyond 64 bits with sign neither fails nor is changed."""
    record = Record(decided=decided(release=2**64 - 1), late=(late(decided(), latency_ns=2**63),))
    assert row_layout_of(record) is None
    assert records_of(RowLayout(), through_parquet(table_of(RowLayout(), [record]))) == [record]


def test_the_typed_columns_say_what_is_in_them() -> None:
    """People read inputs, outputs, texts and nulls with any Parquet tool."""
    made = decided(
        rows=2,
        inputs=(
            fp64("tenure", [1.5, 0.0], b"\0\1"),
            text("contract", ["Two year", "é"]),
            StoredColumn("pixels", "UINT8", (2,), b"\1\2\3\4"),
        ),
        answers=(answer(probability=[0.25, 0.75]), answer("churn:2", status="failed", outputs=None, error="boom")),
    )
    record = Record(decided=made, late=(late(made),))
    layout = row_layout_of(record)
    assert layout is not None
    row = through_parquet(table_of(layout, [record])).select(["request_id", "inputs", "answers", "late_answers", "raw"])
    (shown,) = row.to_pylist()
    assert shown["request_id"] == record.request_id
    assert shown["inputs"] == {"tenure": [1.5, None], "contract": ["Two year", "é"], "pixels": [[1, 2], [3, 4]]}
    assert [found["outputs"] for found in shown["answers"]] == [{"churn_probability": [0.25, 0.75]}, None]
    assert shown["answers"][1]["error"] == "boom"
    assert shown["late_answers"][0]["outputs"] == {"churn_probability": [0.5, 0.5]}
    assert shown["raw"] is None


def test_no_nulls_and_marks_that_are_all_zero_mean_the_same() -> None:
    """Null marks without a single null come back as None."""
    made = decided(inputs=(fp64("tenure", [1.0], b"\0"),))
    record = Record(decided=made)
    layout = row_layout_of(record)
    assert layout is not None
    (back,) = records_of(layout, through_parquet(table_of(layout, [record])))
    assert back.decided == replace(made, inputs=(fp64("tenure", [1.0]),))
