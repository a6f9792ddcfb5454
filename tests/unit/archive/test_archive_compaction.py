"""Compaction and reading: every event is found, once, wherever it lies."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import google_crc32c
import pyarrow.parquet as pq
import pytest
from archive_events import START_NS, answer, decided, fp64, late
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from muster.archive.catalogue import Catalogue
from muster.archive.compaction import Compactor
from muster.archive.conversion import Conversion, SegmentChanged, _check_joined
from muster.archive.depot import FolderStore
from muster.archive.errors import ArchiveFileDamaged
from muster.archive.files import ArchiveFile
from muster.archive.late import LateAnswers
from muster.archive.layout import EVENT_HEAD, encode
from muster.archive.reader import Reader
from muster.archive.records import Record
from muster.archive.rows import late_of, records_of
from muster.archive.segments import SegmentWriter, segments_in
from muster.vocabulary.clock import wall_ns
from muster.vocabulary.request_ids import RequestIds, request_id_text
from muster.wire.records import AnsweredLate, Decided


@dataclass
class Factory:
    """A front with its archive, and what it was told to write."""

    root: Path
    writer: SegmentWriter
    ids: RequestIds
    decided: list[Decided] = field(default_factory=list)
    late: list[AnsweredLate] = field(default_factory=list)
    open_ids: list[bytes] = field(default_factory=list)

    @property
    def reader(self) -> Reader:
        return Reader(self.root)

    def compactor(self, settle_s: float = 0.0) -> Compactor:
        """One for which the time to settle is over."""
        shift = int(settle_s * 1.5e9)
        return Compactor(
            self.root / "spool", self.root / "parquet", settle_s=settle_s, now_ns=lambda: wall_ns() + shift
        )

    def arrive(self) -> None:
        """A request arrives now and is decided later, perhaps in another segment."""
        self.open_ids.append(self.ids.next(self.writer.segment))

    def decide(self, **changes: Any) -> Decided:
        if not self.open_ids:
            self.arrive()
        number = len(self.decided)
        event = decided(self.open_ids.pop(0), at_ns=START_NS + number * 1_000_000, **changes)
        self.writer.write([encode(event)])
        self.decided.append(event)
        return event

    def answer_late(self, index: int) -> None:
        of = self.decided[index % len(self.decided)]
        event = late(of, after_ns=1_000_000 * (1 + len(self.late)), host=f"0-1-{len(self.late)}")
        self.writer.write([encode(event)])
        self.late.append(event)

    def do(self, operation: str, number: int) -> None:
        match operation:
            case "arrive":
                self.arrive()
            case "decide":
                self.decide(**KINDS[number])
            case "late" if self.decided:
                self.answer_late(number)
            case "rotate":
                self.writer.rotate()
            case "compact":
                self.compactor().compact()
            case "restart":
                self.writer.close()
                self.writer = SegmentWriter(self.root / "spool", 0)

    def expected(self, of: Decided) -> Record:
        return Record(decided=of, late=tuple(event for event in self.late if event.request_id == of.request_id))

    def close(self) -> None:
        self.writer.close()


def factory_at(root: Path, front: int = 0) -> Factory:
    return Factory(root=root, writer=SegmentWriter(root / "spool", front), ids=RequestIds(front))


@pytest.fixture
def factory(tmp_path: Path) -> Iterator[Factory]:
    made = factory_at(tmp_path)
    yield made
    made.close()


def everything_in_files(root: Path) -> tuple[list[Record], list[AnsweredLate]]:
    rows: list[Record] = []
    late_rows: list[AnsweredLate] = []
    for path in sorted((root / "parquet").glob("*/**/*.parquet")):
        if path.parent.name == "_recovered":
            continue
        file = ArchiveFile(path)
        if path.is_relative_to(root / "parquet" / "_late"):
            late_rows += late_of(file.facts.layout, file.read())
        else:
            rows += records_of(file.facts.layout, file.read())
    return rows, late_rows


OPERATIONS = st.lists(
    st.one_of(
        st.just(("arrive", 0)),
        st.tuples(st.just("decide"), st.integers(0, 5)),
        st.tuples(st.just("late"), st.integers(0, 30)),
        st.just(("rotate", 0)),
        st.just(("compact", 0)),
        st.just(("restart", 0)),
    ),
    max_size=25,
)
KINDS: tuple[dict[str, Any], ...] = (
    {},
    {"endpoint": "credit"},
    {"answers": (), "chosen": (-1,), "default": b"{}"},
    {"inputs": (fp64("age", [40.0]),)},
    {"inputs": (fp64("odd", []),)},
    {"contract": "sha256:" + "d" * 64},
)


@given(OPERATIONS)
@settings(max_examples=60, deadline=None)
def test_every_event_is_found_wherever_it_lies(operations: list[tuple[str, int]]) -> None:
    """Whatever is written, rotated, compacted and restarted in whatever order: each record is whole, and there once."""
    with tempfile.TemporaryDirectory() as name:
        made = factory_at(Path(name))
        for operation, number in operations:
            made.do(operation, number)
        for event in made.decided:
            assert made.reader.find(request_id_text(event.request_id)) == made.expected(event)
        for endpoint in ("churn", "credit"):
            expected = [made.expected(event) for event in made.decided if event.endpoint == endpoint]
            assert made.reader.last(endpoint, 100) == expected[::-1]
            assert made.reader.last(endpoint, 2) == expected[::-1][:2]
        made.close()
        made.compactor().compact()
        assert not segments_in(made.root / "spool" / "0")
        rows, late_rows = everything_in_files(made.root)
        assert sorted(record.request_id for record in rows) == sorted(
            request_id_text(event.request_id) for event in made.decided
        )
        joined = [event for record in rows for event in record.late]
        assert sorted(map(repr, joined + late_rows)) == sorted(map(repr, made.late))
        for event in made.decided:
            assert made.reader.find(request_id_text(event.request_id)) == made.expected(event)


def test_one_file_per_endpoint_and_segment(factory: Factory) -> None:
    """The files lie where the reference says, and rows without any output join the others."""
    first = factory.decide()
    factory.decide(answers=(), chosen=(-1,), default=b'{"churn_probability": 0.5}')
    factory.decide(endpoint="credit")
    number = factory.writer.segment
    factory.writer.rotate()
    (done,) = factory.compactor().compact()
    moment = datetime.fromtimestamp(first.received_ns // 10**9, UTC)
    hour = f"date={moment:%Y-%m-%d}/hour={moment:%H}"
    assert sorted(done.files) == [f"churn/{hour}/0-{number:08d}.parquet", f"credit/{hour}/0-{number:08d}.parquet"]
    assert (done.requests, done.late, done.damages) == (3, 0, ())
    ids = pq.read_table(factory.root / "parquet" / done.files[0]).column("request_id").to_pylist()
    assert ids == sorted(ids)


def test_late_answers_that_came_in_time_are_in_the_row_and_others_beside_it(factory: Factory) -> None:
    """The row holds what was there when it was written; a later answer goes to the side file and is found."""
    event = factory.decide()
    factory.writer.rotate()
    factory.answer_late(0)
    assert factory.reader.find(request_id_text(event.request_id)) == factory.expected(event)
    factory.compactor(60).compact()
    rows, beside = everything_in_files(factory.root)
    assert [len(record.late) for record in rows] == [1]
    factory.answer_late(0)
    number = factory.writer.segment
    factory.writer.rotate()
    factory.compactor().compact()
    rows, beside = everything_in_files(factory.root)
    assert [len(record.late) for record in rows] == [1]
    assert beside == factory.late[1:]
    assert (factory.root / "parquet" / "_late" / "churn" / "0" / "000000" / f"00000001.{number:08d}.parquet").exists()
    assert factory.reader.find(request_id_text(event.request_id)) == factory.expected(event)


def test_a_segment_waits_until_its_deadlines_are_over(tmp_path: Path) -> None:
    """Nothing is compacted before the last deadline and the time to settle are over; everything is, after."""
    factory = factory_at(tmp_path)
    now = wall_ns()
    factory.ids = RequestIds(0)
    event = decided(factory.ids.next(1), at_ns=now)
    factory.writer.write([encode(replace(event, deadline_ns=30_000_000_000))])
    factory.close()
    moment = [now]
    compactor = Compactor(tmp_path / "spool", tmp_path / "parquet", settle_s=60, now_ns=lambda: moment[0])
    moment[0] = now + 89_000_000_000
    assert compactor.compact() == []
    moment[0] = now + 92_000_000_000
    assert [done.requests for done in compactor.compact()] == [1]


def test_a_clock_that_was_wrong_does_not_keep_a_segment_for_ever(tmp_path: Path) -> None:
    """Requests from the future, or a clock set back by days, hold nothing up."""
    factory = factory_at(tmp_path)
    factory.writer.write([encode(decided(at_ns=wall_ns() + 10**18))])
    factory.close()
    (path,) = segments_in(tmp_path / "spool" / "0").values()
    os.utime(path, ns=(wall_ns() + 10**15, wall_ns() + 10**15))
    assert [done.requests for done in factory.compactor(60).compact()] == [1]


def test_a_damaged_segment_is_saved_as_far_as_it_goes_and_kept(factory: Factory) -> None:
    """One spoilt event costs itself: the others become rows, and the file is set aside for people."""
    events = [factory.decide() for _ in range(3)]
    number = factory.writer.segment
    factory.writer.rotate()
    path = segments_in(factory.root / "spool" / "0")[number]
    raw = bytearray(path.read_bytes())
    raw[raw.index(events[1].request_id) + 20] ^= 1
    path.write_bytes(raw)
    (done,) = factory.compactor().compact()
    assert done.damages
    assert (path.parent / "damaged" / path.name).exists()
    assert not path.exists()
    found = [factory.reader.find(request_id_text(event.request_id)) for event in events]
    assert [record is not None for record in found] == [True, False, True]


def test_an_event_of_a_later_version_is_not_thrown_away(factory: Factory) -> None:
    """A payload that is no event known here keeps the segment, and the rest is compacted."""
    event = factory.decide()
    payload = b"\x91\xa7later"
    factory.writer.write([EVENT_HEAD.pack(len(payload), google_crc32c.value(payload)) + payload])
    factory.writer.rotate()
    (done,) = factory.compactor().compact()
    assert len(done.damages) == 1
    assert factory.reader.find(request_id_text(event.request_id)) == factory.expected(event)


def test_a_segment_that_cannot_be_read_does_not_stop_the_others(factory: Factory) -> None:
    """A header that is spoilt sets its segment aside; the next ones are compacted."""
    factory.decide()
    number = factory.writer.segment
    factory.writer.rotate()
    segments_in(factory.root / "spool" / "0")[number].write_bytes(b"x" * 80)
    event = factory.decide()
    factory.writer.rotate()
    assert [done.segment for done in factory.compactor().compact()] == [number + 1]
    assert factory.reader.find(request_id_text(event.request_id)) is not None


def test_a_number_that_was_used_before_overwrites_nothing(tmp_path: Path) -> None:
    """If the spool with its counter is lost, new segments of old numbers stand beside the old ones' files."""
    events = []
    for _ in range(2):
        factory = factory_at(tmp_path)
        events.append(factory.decide())
        factory.close()
        assert len(factory.compactor().compact()) == 1
        (tmp_path / "spool" / "0" / "number").unlink()
        (tmp_path / "spool" / "0" / "chain").unlink()
    names = sorted(path.name for path in (tmp_path / "parquet" / "churn").rglob("*.parquet"))
    assert names == ["0-00000001.1.parquet", "0-00000001.parquet"]
    for event in events:
        assert Reader(tmp_path).find(request_id_text(event.request_id)) == Record(decided=event)


def test_only_one_compaction_runs(factory: Factory) -> None:
    """While one is at it, another does nothing."""
    factory.decide()
    factory.writer.rotate()
    first, second = factory.compactor(), factory.compactor()
    with first._alone() as alone:
        assert alone
        assert second.compact() == []
    assert len(second.compact()) == 1


def test_unknown_requests_are_not_found(factory: Factory) -> None:
    """An id that nobody was given has no record, in the spool or in the files."""
    factory.decide()
    factory.writer.rotate()
    factory.compactor().compact()
    factory.decide()
    for front, segment in product((0, 9), (1, 2, 77)):
        assert factory.reader.find(request_id_text(RequestIds(front).next(segment))) is None


def test_a_damaged_file_hides_only_itself(factory: Factory) -> None:
    """Reading goes on when one Parquet file is spoilt."""
    first = factory.decide()
    factory.writer.rotate()
    (done,) = factory.compactor().compact()
    path = factory.root / "parquet" / done.files[0]
    path.chmod(0o600)
    path.write_bytes(b"PAR1 and nothing else")
    second = factory.decide()
    with pytest.raises(ArchiveFileDamaged):
        ArchiveFile(path)
    assert factory.reader.find(request_id_text(first.request_id)) is None
    assert factory.reader.last("churn", 5) == [factory.expected(second)]


@given(st.permutations(range(5)), st.lists(st.sampled_from(["rotate", "compact", "late"]), min_size=5, max_size=5))
@settings(max_examples=25, deadline=None)
def test_the_members_of_a_batch_are_found(order: list[int], between: list[str]) -> None:
    """Requests that one host computed together are found together, in the order of their rows."""
    begun_ns = wall_ns()  # a batch is looked for among what was written within ten minutes of it
    with tempfile.TemporaryDirectory() as name:
        made = factory_at(Path(name))
        for _ in range(5):
            made.arrive()
        rows = [1, 2, 3, 1, 2]
        starts = [0, 1, 3, 6, 7]
        asked = made.open_ids
        for member, event in zip(order, between, strict=True):
            mine = answer(
                probability=[0.5] * rows[member], host="0-1-9", batch=17, position=starts[member], batch_rows=9
            )
            here = decided(
                asked[member],
                rows=rows[member],
                at_ns=begun_ns + member,
                answers=(mine if event != "late" else replace(mine, status="pending", outputs=None),),
            )
            made.writer.write([encode(here), encode(decided(made.ids.next(made.writer.segment)))])
            made.decided.append(here)
            if event == "late":
                made.writer.write(
                    [
                        encode(
                            AnsweredLate(
                                format=1,
                                request_id=here.request_id,
                                endpoint="churn",
                                at_ns=begun_ns + 10**9,
                                answer=mine,
                            )
                        )
                    ]
                )
            if event == "rotate":
                made.writer.rotate()
            if event == "compact":
                made.writer.rotate()
                made.compactor().compact()
        near = made.reader.find(request_id_text(asked[0]))
        assert near is not None
        members = made.reader.batch("churn", "0-1-9", 17, near)
        assert [record.decided.request_id for record, _ in members] == asked
        assert [found.position for _, found in members] == starts
        assert all(found.outputs for _, found in members)
        assert made.reader.batch("churn", "0-1-9", 18, near) == []
        made.close()


def test_what_a_version_said_in_the_end(factory: Factory) -> None:
    """A late answer stands for what was pending at the decision."""
    pending = answer("churn:2", role="challenger", status="pending", outputs=None)
    event = factory.decide(answers=(answer(), pending), chosen=(0,))
    factory.answer_late(0)
    record = factory.reader.find(request_id_text(event.request_id))
    assert record is not None
    final = record.answer_of("churn:2")
    assert final is not None
    assert final.status == "answered"
    assert record.answer_of("churn:9") is None
    assert [found.version for found in record.answers()] == ["churn:1", "churn:2"]
    assert record.chosen_versions() == ("churn:1",)


def test_a_late_answer_that_its_front_took_back_is_not_joined(factory: Factory) -> None:
    """A front out of space cuts back what it just wrote: a compaction that saw it gives up and tries again later."""
    factory.decide()
    factory.writer.rotate()
    number = factory.writer.segment
    path = segments_in(factory.root / "spool" / "0")[number]
    before = path.stat().st_size
    factory.answer_late(0)
    closed = segments_in(factory.root / "spool" / "0")[number - 1]
    begun = Conversion(
        Catalogue(FolderStore(factory.root / "parquet")),
        factory.root / "parquet" / "_new",
        closed,
        LateAnswers(),
        late_until_ns=2**62,
    )
    _, late_ones, joined = begun._late_answers(begun._sorted_out())
    assert sum(map(len, late_ones.values())) == 1
    _check_joined(joined)
    os.truncate(path, before)
    with pytest.raises(SegmentChanged):
        _check_joined(joined)


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
@settings(max_examples=40, deadline=None)
def test_a_changed_byte_of_a_row_is_never_read_as_a_record(place: float, change: int) -> None:
    """The pages of a Parquet file are checked: what they hold is given as it was written, or not at all."""
    with tempfile.TemporaryDirectory() as name:
        factory = factory_at(Path(name))
        events = [factory.decide() for _ in range(20)]
        factory.close()
        (done,) = factory.compactor().compact()
        (place_in_store,) = done.files
        path = Path(name) / "parquet" / place_in_store
        raw = bytearray(path.read_bytes())
        pages = len(raw) - 8 - int.from_bytes(raw[-8:-4], "little")
        raw[int(place * pages)] ^= change
        path.chmod(0o600)
        path.write_bytes(raw)
        for event in events:
            assert factory.reader.find(request_id_text(event.request_id)) in (None, factory.expected(event))
