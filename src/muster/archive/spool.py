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

    def about(
        self, request_id: bytes, front: int, first: int, until_ns: int
    ) -> Iterator[tuple[int, Decided | AnsweredLate]]:
        """Segment and event of all that lies here about one request.

        Args:
            request_id: which.
            front: whose spool.
            first: the segment to begin with.
            until_ns: segments created later are not looked at.
        """
        for number, path, data in self._data(front, first, until_ns):
            for _, frame in frames_about(data, request_id):
                event = _event(data, frame, path)
                if event is not None:
                    yield number, event

    def late(self, ids: Collection[bytes], front: int, first: int, until_ns: int) -> Iterator[AnsweredLate]:
        """The late answers to some requests; see `about`."""
        if len(ids) == 1:
            (only,) = ids
            events = self.about(only, front, first, until_ns)
            yield from (event for _, event in events if isinstance(event, AnsweredLate))
            return
        for _, segment in self._segments(front, first, until_ns):
            for frame in segment.frames:
                known = request_of(segment.data[frame[0] : frame[1]])
                if known is not None and not known[0] and known[1] in ids:
                    event = _event(segment.data, frame, segment.path)
                    if isinstance(event, AnsweredLate):
                        yield event

    def newest(self, front: int, endpoint: str) -> Iterator[tuple[int, Decided]]:
        """Segment and event of the decisions of an endpoint, the last one first."""
        for number, path in reversed(segments_in(self._root / str(front)).items()):
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
                    yield number, event

    def of_batch(
        self, host: str, batch: int, front: int, first: int, until_ns: int
    ) -> Iterator[tuple[int, Decided | AnsweredLate]]:
        """Segment and event of all that names a batch of a host, sent or answered; see `about`."""
        needle = msgspec.msgpack.encode(host) + msgspec.msgpack.encode(batch)
        for number, segment in self._segments(front, first, until_ns, holding=needle):
            for frame in frames_with(segment.data, needle, segment.frames):
                event = _event(segment.data, frame, segment.path)
                if event is not None:
                    yield number, event

    def _data(self, front: int, first: int, until_ns: int) -> Iterator[tuple[int, Path, bytes]]:
        for number, path in segments_in(self._root / str(front)).items():
            header = _header(path) if number >= first else None
            if header is None:
                continue
            # The next two in any case: a clock may have been set back meanwhile.
            if header.created_ns > until_ns and number > first + 2:
                return
            data = _read(path)
            if data is not None:
                yield number, path, data

    def _segments(
        self, front: int, first: int, until_ns: int, *, holding: bytes = b""
    ) -> Iterator[tuple[int, Segment]]:
        for number, path, data in self._data(front, first, until_ns):
            segment = _parsed(data, path) if holding in data else None
            if segment is not None:
                yield number, segment


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
