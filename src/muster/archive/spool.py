"""Reads the spools of all fronts while fronts write to them and compaction takes segments away."""

from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec
import structlog

from muster.archive.errors import SegmentDamaged
from muster.archive.layout import (
    HEADER_BYTES,
    Segment,
    SegmentHeader,
    decoded,
    frames_about,
    frames_with,
    parse_segment,
    read_head,
    read_header,
    request_of,
)
from muster.archive.segments import CLOSED, segments_in
from muster.wire.records import AnsweredLate, Decided

#: Segments behind the first that are looked at whatever time they name.
_ALWAYS = 2
log = structlog.get_logger()


class Spool:
    """The segments that are not compacted yet; stateless.

    Args:
        root: the folder of all fronts' spools.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def fronts(self) -> list[int]:
        """Numbers of the fronts that have a spool."""
        try:
            return sorted(int(path.name) for path in self._root.iterdir() if path.name.isdecimal())
        except FileNotFoundError:
            return []

    def present(self) -> set[tuple[int, int]]:
        """Front and number of every segment there is now."""
        return {(front, number) for front in self.fronts() for number in segments_in(self._root / str(front))}

    def about(self, request_id: bytes, front: int, first: int, end: int) -> Iterator[Decided | AnsweredLate]:
        """All that lies here about one request.

        Args:
            request_id: which.
            front: whose spool.
            first: the segment to begin with.
            end: the segment to stop before.
        """
        for _, path, data in self._data(front, first, end):
            for _, frame in frames_about(data, request_id):
                event = _event(data, frame, path)
                if event is not None:
                    yield event

    def late(self, ids: Collection[bytes], front: int, first: int, until_ns: int) -> Iterator[AnsweredLate]:
        """The late answers to some requests, in segments that were created up to some time."""
        if len(ids) == 1:
            (only,) = ids
            for _, path, data in self._data(front, first, until_ns=until_ns):
                for decision, frame in frames_about(data, only):
                    event = None if decision else _event(data, frame, path)
                    if isinstance(event, AnsweredLate):
                        yield event
            return
        for _, segment in self._segments(front, first, until_ns=until_ns):
            for frame in segment.frames:
                known = request_of(segment.data[frame[0] : frame[1]])
                if known is not None and not known[0] and known[1] in ids:
                    event = _event(segment.data, frame, segment.path)
                    if isinstance(event, AnsweredLate):
                        yield event

    def newest(self, front: int, endpoint: str) -> Iterator[Decided]:
        """The decisions of an endpoint, the last one first."""
        for _, path in reversed(segments_in(self._root / str(front)).items()):
            data = _read(path)
            segment = None if data is None else _parsed(data, path)
            if segment is None:
                continue
            for frame in reversed(segment.frames):
                head = read_head(segment.data[frame[0] : frame[1]])
                event = None
                if head is not None and head.endpoint == endpoint:
                    event = _event(segment.data, frame, path)
                if isinstance(event, Decided):
                    yield event

    def decided_in(self, front: int, number: int, endpoint: str) -> Iterator[Decided] | None:
        """The decisions of an endpoint in one segment, in their order; None: the segment has left."""
        path = segments_in(self._root / str(front)).get(number)
        data = None if path is None else _read(path)
        if path is None or data is None:
            return None
        return _decided_of(data, path, endpoint)

    def of_batch(self, host: str, batch: int, front: int, first: int, end: int) -> Iterator[Decided | AnsweredLate]:
        """All that names a batch of a host, sent or answered; see `about`."""
        needle = msgspec.msgpack.encode(host) + msgspec.msgpack.encode(batch)
        for _, segment in self._segments(front, first, end, holding=needle):
            for frame in frames_with(segment.data, needle, segment.frames):
                event = _event(segment.data, frame, segment.path)
                if event is not None:
                    yield event

    def _data(
        self, front: int, first: int, end: int | None = None, *, until_ns: int | None = None
    ) -> Iterator[tuple[int, Path, bytes]]:
        for number, path in segments_in(self._root / str(front)).items():
            if number < first:
                continue
            if end is not None and number >= end:
                return
            # The next ones in any case: a clock may have been set forward meanwhile.
            if until_ns is not None and number > first + _ALWAYS:
                header = _header(path)
                if header is not None and header.created_ns > until_ns:
                    continue
            data = _read(path)
            if data is not None:
                yield number, path, data

    def _segments(
        self, front: int, first: int, end: int | None = None, *, until_ns: int | None = None, holding: bytes = b""
    ) -> Iterator[tuple[int, Segment]]:
        for number, path, data in self._data(front, first, end, until_ns=until_ns):
            segment = _parsed(data, path) if holding in data else None
            if segment is not None:
                yield number, segment


def _decided_of(data: bytes, path: Path, endpoint: str) -> Iterator[Decided]:
    segment = _parsed(data, path)
    for frame in () if segment is None else segment.frames:
        head = read_head(data[frame[0] : frame[1]])
        event = _event(data, frame, path) if head is not None and head.endpoint == endpoint else None
        if isinstance(event, Decided):
            yield event


def _read(path: Path, count: int = -1) -> bytes | None:
    """A segment's first bytes, or all; None when it was compacted in the meantime."""
    for name in (path, path.with_suffix(CLOSED)):
        try:
            with name.open("rb") as stream:
                return stream.read(count)
        except FileNotFoundError:
            continue
    return None


def _header(path: Path) -> SegmentHeader | None:
    start = _read(path, HEADER_BYTES)
    try:
        return None if start is None else read_header(start, path)
    except SegmentDamaged as error:
        log.warning("archive.segment_unreadable", path=str(path), error=str(error))
        return None


def _parsed(data: bytes, path: Path) -> Segment | None:
    try:
        return parse_segment(data, path)
    except SegmentDamaged as error:
        log.warning("archive.segment_unreadable", path=str(path), error=str(error))
        return None


def _event(data: bytes, frame: tuple[int, int], path: Path) -> Decided | AnsweredLate | None:
    start, end = frame
    try:
        event = decoded(data[start:end])
    except msgspec.MsgspecError as error:
        log.warning("archive.event_unreadable", path=str(path), offset=start, error=str(error))
        return None
    return event if isinstance(event, Decided | AnsweredLate) else None
