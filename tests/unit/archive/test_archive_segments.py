"""Segments: whatever is cut off or flipped, whole events come back and the rest is reported."""

import os
import tempfile
from pathlib import Path

import pytest
from archive_events import RECOVERED, decided, events, late
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.archive.errors import ArchiveFull, ArchiveUnwritable, SegmentDamaged, SpoolInUse
from muster.archive.layout import (
    END_MARK_BYTES,
    HEADER_BYTES,
    SegmentHeader,
    encode,
    end_mark,
    frames_about,
    frames_with,
    header_bytes,
    parse_segment,
    request_of,
)
from muster.archive.segments import CLOSED, OPEN, SegmentWriter, read_segment, segments_in
from muster.wire.records import Accounted, AnsweredLate, Decided, Event, Recovered

HEADER = header_bytes(SegmentHeader(front=3, segment=7, created_ns=1))
OPEN_PATH, CLOSED_PATH = Path("00000007.open"), Path("00000007.seg")


def closed_bytes(written: list[bytes]) -> bytes:
    body = HEADER + b"".join(written)
    return body + end_mark(len(written), len(body))


@given(st.data(), events())
@settings(max_examples=100, deadline=None)
def test_a_cut_at_any_byte_loses_only_the_torn_event(data: st.DataObject, written: list[Event]) -> None:
    """An open segment cut anywhere gives back exactly the events that lie wholly before the cut."""
    encoded = [encode(event) for event in written]
    whole = HEADER + b"".join(encoded)
    cut = data.draw(st.integers(HEADER_BYTES, len(whole)))
    segment = parse_segment(whole[:cut], OPEN_PATH)
    ends = [HEADER_BYTES + sum(map(len, encoded[: count + 1])) for count in range(len(encoded))]
    expected = [event for event, end in zip(written, ends, strict=True) if end <= cut]
    assert list(segment.events()) == expected
    assert segment.torn_bytes == cut - max([HEADER_BYTES, *(end for end in ends if end <= cut)])
    assert not segment.damages


@given(st.data(), events())
@settings(max_examples=100, deadline=None)
def test_a_closed_segment_that_is_cut_is_reported(data: st.DataObject, written: list[Event]) -> None:
    """No cut of a closed segment passes for a whole one."""
    whole = closed_bytes([encode(event) for event in written])
    cut = data.draw(st.integers(0, len(whole) - 1))
    if cut < HEADER_BYTES:
        with pytest.raises(SegmentDamaged):
            parse_segment(whole[:cut], CLOSED_PATH)
    else:
        assert parse_segment(whole[:cut], CLOSED_PATH).damages


@given(st.data(), events())
@settings(max_examples=150, deadline=None)
def test_any_flipped_byte_is_found(data: st.DataObject, written: list[Event]) -> None:
    """A changed byte anywhere in a closed segment is reported, and every event it does not touch comes back."""
    encoded = [encode(event) for event in written]
    whole = bytearray(closed_bytes(encoded))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    if place < HEADER_BYTES:
        with pytest.raises(SegmentDamaged):
            parse_segment(bytes(whole), CLOSED_PATH)
        return
    segment = parse_segment(bytes(whole), CLOSED_PATH)
    assert segment.damages
    at, untouched = HEADER_BYTES, []
    for event, part in zip(written, encoded, strict=True):
        if not at <= place < at + len(part):
            untouched.append(event)
        at += len(part)
    assert list(segment.events()) == untouched


@given(events())
@settings(deadline=None)
def test_request_ids_are_read_without_decoding(written: list[Event]) -> None:
    """The short look at a payload says the same as decoding it."""
    for event in written:
        expected = None if isinstance(event, Recovered | Accounted) else (isinstance(event, Decided), event.request_id)
        assert request_of(encode(event)[8:]) == expected


@given(events())
@settings(deadline=None)
def test_frames_are_found_by_their_bytes(written: list[Event]) -> None:
    """A search for a request id gives the frames that decoding would give, each once."""
    segment = parse_segment(closed_bytes([encode(event) for event in written]), CLOSED_PATH)
    for event in written:
        if isinstance(event, Decided):
            found = list(frames_with(segment.data, event.request_id, segment.frames))
            assert found == [frame for frame in segment.frames if event.request_id in segment.data[frame[0] : frame[1]]]
            about = [frame for _, frame in frames_about(segment.data, event.request_id)]
            assert [segment.event(frame) for frame in about] == [
                other
                for other in written
                if isinstance(other, Decided | AnsweredLate) and other.request_id == event.request_id
            ]


def test_zeros_at_the_end_are_a_torn_tail() -> None:
    """Blocks of zeros, as a file system leaves after a power cut, are no event."""
    written = [encode(decided()), encode(decided())]
    segment = parse_segment(HEADER + b"".join(written) + bytes(4096), OPEN_PATH)
    assert (len(segment.frames), segment.torn_bytes, segment.damages) == (2, 4096, ())


def test_a_later_format_is_refused_by_name() -> None:
    """A segment of a format to come is not read as if it were one of today."""
    raw = bytearray(HEADER)
    raw[8] = 2
    with pytest.raises(SegmentDamaged):
        parse_segment(bytes(raw), CLOSED_PATH)


def test_what_is_written_can_be_read_at_once(tmp_path: Path) -> None:
    """A record is there for readers as soon as `write` has returned, before any sync."""
    with SegmentWriter(tmp_path, 3) as writer:
        written = [decided(front=3), decided(front=3)]
        writer.write([encode(event) for event in written])
        path = segments_in(tmp_path / "3")[writer.segment]
        assert path.suffix == OPEN
        segment = read_segment(path)
        assert list(segment.events()) == written
        assert segment.header.front == 3
        assert segment.header.segment == writer.segment


def test_more_buffers_than_one_call_takes(tmp_path: Path) -> None:
    """Thousands of events in one `write` are all there, in order."""
    part = encode(decided())
    with SegmentWriter(tmp_path, 0) as writer:
        writer.write([part] * 5000)
        number = writer.segment
    segment = read_segment(segments_in(tmp_path / "0")[number])
    assert len(segment.frames) == 5000
    assert segment.closed
    assert not segment.damages


def test_a_closed_spool_begins_the_next_segment_without_recovery(tmp_path: Path) -> None:
    """After a clean end nothing has to be recovered, and numbers go on."""
    with SegmentWriter(tmp_path, 0) as writer:
        writer.write([encode(decided())])
        first = writer.segment
    with SegmentWriter(tmp_path, 0) as writer:
        assert writer.recovered == ()
        assert writer.segment == first + 1


@given(cut=st.integers(0, 4000), count=st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_opening_after_a_kill_cuts_the_tail_and_says_so(cut: int, count: int) -> None:
    """Whatever a killed front left, the next one closes it, reports it, and goes on in a new segment."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "3"
        folder.mkdir()
        parts = [encode(decided()) for _ in range(count)]
        left = (HEADER + b"".join(parts))[:cut]
        (folder / "00000007.open").write_bytes(left)
        whole = 0
        while HEADER_BYTES + sum(map(len, parts[: whole + 1])) <= len(left) and whole < count:
            whole += 1
        with SegmentWriter(Path(name), 3) as writer:
            assert writer.segment == (8 if len(left) >= HEADER_BYTES else 1)
            if len(left) < HEADER_BYTES:
                assert writer.recovered == ()
                return
            good = HEADER_BYTES + sum(map(len, parts[:whole]))
            (event,) = writer.recovered
            assert (event.segment, event.events, event.cut_bytes) == (7, whole, len(left) - good)
            assert list(read_segment(folder / "00000008.open").events()) == [event]
            closed = read_segment(folder / "00000007.seg")
            assert closed.closed
            assert len(closed.frames) == whole
            assert not closed.damages


def test_a_spoilt_header_does_not_keep_a_front_from_starting(tmp_path: Path) -> None:
    """A segment that cannot be read at all is set aside, and its number is not used again."""
    folder = tmp_path / "0"
    folder.mkdir()
    (folder / "00000005.open").write_bytes(b"x" * 100)
    with SegmentWriter(tmp_path, 0) as writer:
        assert writer.segment == 6
        assert [event.cut_bytes for event in writer.recovered] == [100]
    assert (folder / "damaged" / "00000005.open").exists()


def test_numbers_are_not_reused_when_segments_are_gone(tmp_path: Path) -> None:
    """A spool that compaction has emptied goes on counting."""
    for expected in (1, 2, 3):
        with SegmentWriter(tmp_path, 0) as writer:
            assert writer.segment == expected
        for path in segments_in(tmp_path / "0").values():
            path.unlink()


def test_one_writer_per_spool(tmp_path: Path) -> None:
    """A second front with the same number is refused; after the first has ended it may start."""
    with SegmentWriter(tmp_path, 0), pytest.raises(SpoolInUse):
        SegmentWriter(tmp_path, 0)
    SegmentWriter(tmp_path, 0).close()


def test_full_and_old_segments_are_closed(tmp_path: Path) -> None:
    """Size and age close a segment; an empty one stays."""
    with SegmentWriter(tmp_path, 0, segment_bytes=1000) as writer:
        assert not writer.rotate_if_due()
        writer.write([encode(decided())] * 2)
        first = writer.segment
        assert writer.rotate_if_due()
        assert writer.segment == first + 1
        assert segments_in(tmp_path / "0")[first].suffix == CLOSED
        assert not writer.rotate_if_due()
    with SegmentWriter(tmp_path, 1, max_age_s=0.0) as writer:
        assert not writer.rotate_if_due()
        writer.write([encode(decided())])
        assert writer.rotate_if_due()


def test_the_limit_of_the_spool_refuses_and_room_helps(tmp_path: Path) -> None:
    """At its limit nothing is written; once segments have left, writing goes on."""
    part = encode(decided())
    with SegmentWriter(tmp_path, 0, spool_bytes=20 * len(part)) as writer:
        writer.write([part] * 10)
        first = writer.segment
        writer.rotate()
        with pytest.raises(ArchiveFull):
            writer.write([part] * 15)
        number = writer.segment
        assert read_segment(segments_in(tmp_path / "0")[number]).frames == ()
        segments_in(tmp_path / "0")[first].unlink()
        writer.write([part])
        writer.rotate()
        writer.write([part] * 15)


def test_a_closed_writer_says_so(tmp_path: Path) -> None:
    """Writing after the end is an error with a name, and closing twice is none."""
    writer = SegmentWriter(tmp_path, 0)
    writer.close()
    writer.close()
    writer.sync()
    with pytest.raises(ArchiveUnwritable):
        writer.write([encode(decided())])
    with pytest.raises(ArchiveUnwritable):
        _ = writer.segment


def test_a_failing_disk_writes_nothing(tmp_path: Path) -> None:
    """When the system call fails, no part of the events is there, and the writer works again afterwards."""
    record = decided()
    with SegmentWriter(tmp_path, 0) as writer:
        assert writer._open is not None
        good = writer._open.fd
        writer._open.fd = os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(ArchiveUnwritable):
            writer.write([encode(record)])
        os.close(writer._open.fd)
        writer._open.fd = good
        writer.write([encode(record), encode(late(record))])
        assert len(read_segment(segments_in(tmp_path / "0")[writer.segment]).frames) == 2


@given(RECOVERED)
@settings(deadline=None)
def test_recovered_events_come_back(event: Recovered) -> None:
    """The note of a recovery is an event like the others."""
    assert list(parse_segment(closed_bytes([encode(event)]), CLOSED_PATH).events()) == [event]


def test_bytes_behind_the_end_mark_are_reported() -> None:
    """Nothing may follow the end mark."""
    assert parse_segment(closed_bytes([encode(decided())]) + b"x", CLOSED_PATH).damages
    assert len(end_mark(1, 1)) == END_MARK_BYTES
