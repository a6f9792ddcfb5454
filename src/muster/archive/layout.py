"""Segments, formats 1 and 2: how decision records lie in a file, and how to tell a torn tail from damage.

All numbers are little-endian. A segment is a header of 32 bytes, events, and, once it is closed, an end mark:

    header     8s   "MUSTRSEG"
               u16  format = 2
               u16  front
               u32  segment
               u64  created, nanoseconds since 1970
               u32  zero
               u32  CRC32C of the 28 bytes before

    event      u32  length of the payload, never 0
               u32  CRC32C of the payload
               payload: MessagePack of one event of `wire.records`

    end mark   u32  0
               u32  CRC32C of the 84 bytes that follow
               u64  number of events
               u64  offset of this mark
               u32  the segment that this front closed before; 0: none
               32s  its digest; zeros: none
               32s  digest of this segment: SHA-256 of all that stands before, this mark's head left out

In format 1, written by Muster 0.1, the end mark stops after the offset and nothing is chained.

Whoever writes may be killed at any byte, so an open segment may end in a torn event: it was never acknowledged and
counts for nothing. Bytes that do not fit while something whole comes after them are not torn but damaged, and are
reported. A closed segment has no torn tail: its end mark says how much must be there.
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import msgspec

from muster.archive.errors import SegmentDamaged
from muster.vocabulary.request_ids import MAX_FRONT, MAX_SEGMENT
from muster.wire.records import Event

SEGMENT_FORMAT = 2
#: Segments of Muster 0.1: their end mark holds no digests.
UNCHAINED_FORMAT = 1
MAGIC = b"MUSTRSEG"
HEADER_BYTES = 32
EVENT_HEAD = struct.Struct("<II")
END_MARK_BYTES = 24
CHAINED_MARK_BYTES = 92
DIGEST_BYTES = 32
MAX_EVENT_BYTES = (1 << 32) - 1

_HEADER = struct.Struct("<8sHHIQI")
_CRC = struct.Struct("<I")
_END = struct.Struct("<QQ")
_SEAL = struct.Struct("<QQI32s32s")
_SEALED = struct.Struct("<QQI32s")
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Event)
#: How each kind of event begins, after the head of its array: where to look for the next whole event behind damage.
_TAGS = (b"\xa7decided", b"\xadanswered_late", b"\xa9recovered", b"\xa9accounted")
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
    format: int = UNCHAINED_FORMAT


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A closed segment as a link of its front's chain."""

    segment: int
    digest: bytes
    """SHA-256 of what it holds and of the link before it."""


#: What stands in the end mark of the first segment of a chain as the link before it.
NO_LINK = Link(segment=0, digest=bytes(DIGEST_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What the end mark of a closed segment says."""

    events: int
    previous: Link = NO_LINK
    digest: bytes = b""
    """Empty in format 1."""


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
    seal: Seal | None
    """The end mark; None: there is none, the segment was not closed."""

    @property
    def closed(self) -> bool:
        """The end mark is there."""
        return self.seal is not None

    @property
    def link(self) -> Link | None:
        """Its place in the chain; None: it has none."""
        if self.seal is None or not self.seal.digest:
            return None
        return Link(segment=self.header.segment, digest=self.seal.digest)

    @property
    def is_as_sealed(self) -> bool:
        """Whether the bytes are those that the end mark has the digest of; true where there is no digest."""
        if self.seal is None or not self.seal.digest:
            return True
        content = hashlib.sha256(memoryview(self.data)[: self.good_end])
        return sealed_digest(content, self.seal.events, self.good_end, self.seal.previous) == self.seal.digest

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
    start = _HEADER.pack(MAGIC, header.format, header.front, header.segment, header.created_ns, 0)
    return start + _CRC.pack(_crc_of(start))


def end_mark(events: int, offset: int) -> bytes:
    """The last 24 bytes of a closed segment of format 1."""
    body = _END.pack(events, offset)
    return EVENT_HEAD.pack(0, _crc_of(body)) + body


def chained_mark(events: int, offset: int, previous: Link, digest: bytes) -> bytes:
    """The last 92 bytes of a closed segment of format 2."""
    body = _SEAL.pack(events, offset, previous.segment, previous.digest, digest)
    return EVENT_HEAD.pack(0, _crc_of(body)) + body


def sealed_digest(content: "hashlib._Hash", events: int, offset: int, previous: Link) -> bytes:
    """The digest of a segment.

    Args:
        content: of its header and events; it is used up.
        events: how many.
        offset: of the end mark.
        previous: the link before.
    """
    content.update(_SEALED.pack(events, offset, previous.segment, previous.digest))
    return content.digest()


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
    if version not in (UNCHAINED_FORMAT, SEGMENT_FORMAT) or zero != 0:
        raise SegmentDamaged(f"{path} is a segment of format {version}; this reads 1 and 2", path=str(path))
    if front > MAX_FRONT or segment > MAX_SEGMENT:
        raise SegmentDamaged(f"{path} names front {front}, segment {segment}: out of range", path=str(path))
    return SegmentHeader(front=front, segment=segment, created_ns=created_ns, format=version)


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
    mark_bytes = CHAINED_MARK_BYTES if header.format == SEGMENT_FORMAT else END_MARK_BYTES
    frames: list[tuple[int, int]] = []
    damages: list[Damage] = []
    at = _take_events(data, HEADER_BYTES, frames)
    seal = _seal_at(data, at, mark_bytes)
    while at < len(data) and seal is None:
        resumed = _next_whole(data, at, mark_bytes)
        if resumed is None:
            break
        damages.append(Damage(offset=at, length=resumed - at, reason="the bytes have changed since they were written"))
        at = _take_events(data, resumed, frames)
        seal = _seal_at(data, at, mark_bytes)
    torn = 0 if seal is not None else len(data) - at
    if seal is not None:
        damages += _disagreements(data, at, at + mark_bytes, len(frames), seal, found_damaged=bool(damages))
    elif path.suffix == ".seg":
        damages.append(Damage(offset=at, length=torn, reason="the end of a closed segment is missing or damaged"))
        torn = 0
    return Segment(
        path=path,
        header=header,
        data=data,
        frames=tuple(frames),
        damages=tuple(damages),
        torn_bytes=torn,
        seal=seal,
    )


def _take_events(data: bytes, at: int, frames: list[tuple[int, int]]) -> int:
    """Append the frames of all whole events from `at` on; gives the end of the last one."""
    unpack, crc_of, last = EVENT_HEAD.unpack_from, _crc_of, len(data) - 8
    while at <= last:
        length, crc = unpack(data, at)
        start = at + 8
        end = start + length
        if length == 0 or end > len(data) or crc_of(data[start:end]) != crc:
            break
        frames.append((start, end))
        at = end
    return at


def _disagreements(data: bytes, at: int, end: int, events: int, seal: Seal, *, found_damaged: bool) -> Iterator[Damage]:
    if end != len(data):
        yield Damage(offset=end, length=len(data) - end, reason="bytes follow the end mark")
    elif seal.events != events and not found_damaged:
        missing = seal.events - events
        yield Damage(offset=at, length=0, reason=f"the end mark counts {missing} events more than there are")


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


def _seal_at(data: bytes, at: int, mark_bytes: int) -> Seal | None:
    """The end mark at `at`; None: there is none."""
    if at + mark_bytes > len(data):
        return None
    length, crc = EVENT_HEAD.unpack_from(data, at)
    body = data[at + 8 : at + mark_bytes]
    if length != 0 or crc != _crc_of(body):
        return None
    events, offset = _END.unpack_from(body)
    if offset != at:
        return None
    if mark_bytes == END_MARK_BYTES:
        return Seal(events=events)
    _, _, segment, before, digest = _SEAL.unpack(body)
    return Seal(events=events, previous=Link(segment=segment, digest=before), digest=digest)


def _next_whole(data: bytes, after: int, mark_bytes: int) -> int | None:
    """Offset of the first whole event or end mark behind `after`."""
    found = [place for tag in _TAGS if (place := _next_tagged(data, tag, after + 1)) is not None]
    mark = len(data) - mark_bytes
    if mark > after and _seal_at(data, mark, mark_bytes) is not None:
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
