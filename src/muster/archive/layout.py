"""Segments, format 1: how decision records lie in a file, and how to tell a torn tail from damage.

All numbers are little-endian. A segment is a header of 32 bytes, events, and, once it is closed, an end mark:

    header     8s   "MUSTRSEG"
               u16  format = 1
               u16  front
               u32  segment
               u64  created, nanoseconds since 1970
               u32  zero
               u32  CRC32C of the 28 bytes before

    event      u32  length of the payload, never 0
               u32  CRC32C of the payload
               payload: MessagePack of one event of `wire.records`

    end mark   u32  0
               u32  CRC32C of the 16 bytes that follow
               u64  number of events
               u64  offset of this mark

Whoever writes may be killed at any byte, so an open segment may end in a torn event: it was never acknowledged and
counts for nothing. Bytes that do not fit while something whole comes after them are not torn but damaged, and are
reported. A closed segment has no torn tail: its end mark says how much must be there.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import msgspec

from muster.archive.errors import SegmentDamaged
from muster.vocabulary.request_ids import MAX_FRONT, MAX_SEGMENT
from muster.wire.records import Event

SEGMENT_FORMAT = 1
MAGIC = b"MUSTRSEG"
HEADER_BYTES = 32
EVENT_HEAD = struct.Struct("<II")
END_MARK_BYTES = 24
MAX_EVENT_BYTES = (1 << 32) - 1

_HEADER = struct.Struct("<8sHHIQI")
_CRC = struct.Struct("<I")
_END = struct.Struct("<QQ")
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Event)
#: How each kind of event begins, after the head of its array: where to look for the next whole event behind damage.
_TAGS = (b"\xa7decided", b"\xadanswered_late", b"\xa9recovered")
_DECIDED, _LATE = _TAGS[0], _TAGS[1]


class DecidedHead(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="decided"):
    """The first fields of a `Decided`: enough to pick records without decoding their columns."""

    format: int
    request_id: bytes
    client_id: str | None
    idempotency_key: str | None
    consumer: str
    project: str
    endpoint: str
    release: int
    plan: str
    contract: str
    received_ns: int
    decided_ns: int
    elapsed_ns: int
    deadline_ns: int


_HEAD_DECODER = msgspec.msgpack.Decoder(DecidedHead)
_crc_of = google_crc32c.value


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentHeader:
    """Which segment a file is."""

    front: int
    segment: int
    created_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Bytes of a segment that are not what was written."""

    offset: int
    length: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """The whole events of a segment file, and what is wrong with the rest of it."""

    path: Path
    header: SegmentHeader
    data: bytes
    frames: tuple[tuple[int, int], ...]
    """First byte and end of each event's payload in `data`."""
    damages: tuple[Damage, ...]
    torn_bytes: int
    """Bytes of the torn tail; always 0 in a closed segment."""
    closed: bool
    """The end mark is there."""

    @property
    def good_end(self) -> int:
        """Where the next event would go."""
        return self.frames[-1][1] if self.frames else HEADER_BYTES

    def event(self, frame: tuple[int, int]) -> Event:
        """The event of one of `frames`."""
        return decoded(memoryview(self.data)[frame[0] : frame[1]])

    def events(self) -> Iterator[Event]:
        """Every whole event, in the order of writing."""
        return map(self.event, self.frames)


def encode(event: Event) -> bytes:
    """An event as it lies in a segment: head and payload in one piece."""
    payload = _ENCODER.encode(event)
    return EVENT_HEAD.pack(len(payload), _crc_of(payload)) + payload


def decoded(payload: bytes | memoryview) -> Event:
    """The event of a payload.

    Raises:
        msgspec.MsgspecError: it is none that this version knows.
    """
    found: Event = _DECODER.decode(payload)
    return found


def header_bytes(header: SegmentHeader) -> bytes:
    """The first 32 bytes of a segment."""
    start = _HEADER.pack(MAGIC, SEGMENT_FORMAT, header.front, header.segment, header.created_ns, 0)
    return start + _CRC.pack(_crc_of(start))


def end_mark(events: int, offset: int) -> bytes:
    """The last 24 bytes of a closed segment."""
    body = _END.pack(events, offset)
    return EVENT_HEAD.pack(0, _crc_of(body)) + body


def read_header(data: bytes, path: Path) -> SegmentHeader:
    """The header at the beginning of `data`.

    Raises:
        SegmentDamaged: it is none, or of another format.
    """
    if len(data) < HEADER_BYTES:
        raise SegmentDamaged(f"{path} ends within its header, after {len(data)} bytes", path=str(path))
    magic, version, front, segment, created_ns, zero = _HEADER.unpack_from(data)
    (crc,) = _CRC.unpack_from(data, _HEADER.size)
    if magic != MAGIC or crc != _crc_of(data[: _HEADER.size]):
        raise SegmentDamaged(f"{path} does not begin with the header of a segment", path=str(path))
    if version != SEGMENT_FORMAT or zero != 0:
        raise SegmentDamaged(f"{path} is a segment of format {version}; this reads format 1", path=str(path))
    if front > MAX_FRONT or segment > MAX_SEGMENT:
        raise SegmentDamaged(f"{path} names front {front}, segment {segment}: out of range", path=str(path))
    return SegmentHeader(front=front, segment=segment, created_ns=created_ns)


def read_segment(path: Path) -> Segment:
    """Everything whole in a segment file, also while a front writes to it.

    The file is read and not mapped: a writer that runs out of space cuts it back, and touching a mapped page that is
    gone kills the process.

    Raises:
        SegmentDamaged: its header is.
        FileNotFoundError: it is not there (any more): it was closed or compacted in the meantime.
    """
    return parse_segment(path.read_bytes(), path)


def parse_segment(data: bytes, path: Path) -> Segment:
    """As `read_segment`, of bytes in memory."""
    header = read_header(data, path)
    frames: list[tuple[int, int]] = []
    damages: list[Damage] = []
    at = HEADER_BYTES
    while (end := _event_end(data, at)) is not None:
        frames.append((at + 8, end))
        at = end
    closed = _is_end_mark(data, at)
    while at < len(data) and not closed:
        resumed = _next_whole(data, at)
        if resumed is None:
            break
        damages.append(Damage(offset=at, length=resumed - at, reason="the bytes have changed since they were written"))
        at = resumed
        while (end := _event_end(data, at)) is not None:
            frames.append((at + 8, end))
            at = end
        closed = _is_end_mark(data, at)
    torn = 0 if closed else len(data) - at
    if closed and at + END_MARK_BYTES != len(data):
        left = len(data) - at - END_MARK_BYTES
        damages.append(Damage(offset=at + END_MARK_BYTES, length=left, reason="bytes follow the end mark"))
    if closed and (missing := _events_marked(data, at) - len(frames)) and not damages:
        damages.append(Damage(offset=at, length=0, reason=f"the end mark counts {missing} events more than there are"))
    if path.suffix == ".seg" and not closed:
        damages.append(Damage(offset=at, length=torn, reason="the end of a closed segment is missing or damaged"))
        torn = 0
    return Segment(
        path=path,
        header=header,
        data=data,
        frames=tuple(frames),
        damages=tuple(damages),
        torn_bytes=torn,
        closed=closed,
    )


def request_of(payload: bytes | memoryview) -> tuple[bool, bytes] | None:
    """(is it the decision, request id) of an encoded `decided` or `answered_late`, without decoding it."""
    start = bytes(payload[:40])
    at = 3 if start[:1] == b"\xdc" else 1
    for tag, decision in ((_DECIDED, True), (_LATE, False)):
        end = at + len(tag)
        # After the tag: the format, below 128 one byte, and the head of 16 bytes of binary.
        if start[at:end] == tag and start[end + 1 : end + 3] == b"\xc4\x10":
            return decision, bytes(payload[end + 3 : end + 19])
    return None


def frames_about(data: bytes, request_id: bytes) -> Iterator[tuple[bool, tuple[int, int]]]:
    """(is it the decision, frame) of each whole event about a request, found without reading the others.

    A search for the id and a look at what surrounds it: on a full segment a hundred times quicker than parsing it.
    """
    needle = b"\xc4\x10" + request_id
    found = data.find(needle)
    while found >= 0:
        for tag, decision in ((_DECIDED, True), (_LATE, False)):
            for head_bytes in (1, 3):
                start = found - 1 - len(tag) - head_bytes
                if start < HEADER_BYTES + 8 or data[start + head_bytes : found - 1] != tag:
                    continue
                end = _event_end(data, start - 8)
                if end is not None:
                    yield decision, (start, end)
        found = data.find(needle, found + 1)


def read_head(payload: bytes) -> DecidedHead | None:
    """The first fields of an encoded decision; None when it is something else."""
    known = request_of(payload)
    if known is None or not known[0]:
        return None
    try:
        found: DecidedHead = _HEAD_DECODER.decode(payload)
    except msgspec.MsgspecError:
        return None
    return found


def frames_with(data: bytes, needle: bytes, frames: tuple[tuple[int, int], ...]) -> Iterator[tuple[int, int]]:
    """Those of `frames` whose bytes hold `needle`, found with one pass over `data`."""
    at = 0
    found = data.find(needle)
    while found >= 0:
        while at < len(frames) and frames[at][1] <= found:
            at += 1
        if at == len(frames):
            return
        start, end = frames[at]
        if start <= found:
            yield frames[at]
            found = end - 1
        found = data.find(needle, found + 1)


def _event_end(data: bytes, at: int) -> int | None:
    """The end of the whole event at `at`; None: there is none."""
    if at + 8 > len(data):
        return None
    length, crc = EVENT_HEAD.unpack_from(data, at)
    end: int = at + 8 + length
    if length == 0 or end > len(data) or _crc_of(data[at + 8 : end]) != crc:
        return None
    return end


def _is_end_mark(data: bytes, at: int) -> bool:
    if at + END_MARK_BYTES > len(data):
        return False
    length, crc = EVENT_HEAD.unpack_from(data, at)
    body = data[at + 8 : at + END_MARK_BYTES]
    return bool(length == 0 and crc == _crc_of(body) and _END.unpack(body)[1] == at)


def _events_marked(data: bytes, at: int) -> int:
    events: int = _END.unpack_from(data, at + 8)[0]
    return events


def _next_whole(data: bytes, after: int) -> int | None:
    """Offset of the first whole event or end mark behind `after`."""
    found = [place for tag in _TAGS if (place := _next_tagged(data, tag, after + 1)) is not None]
    mark = len(data) - END_MARK_BYTES
    if mark > after and _is_end_mark(data, mark):
        found.append(mark)
    return min(found, default=None)


def _next_tagged(data: bytes, tag: bytes, after: int) -> int | None:
    at = data.find(tag, after)
    while at >= 0:
        for head_bytes in (1, 3):
            start = at - head_bytes - 8
            if start >= after and _event_end(data, start) is not None:
                return start
        at = data.find(tag, at + 1)
    return None
