"""Late answers in the segments of a spool, found without reading every later segment for every segment again.

For each segment it is kept where its late answers lie and to which requests: 24 bytes an answer, whatever its size. A
closed segment is read once; the open one is read again from where it had ended.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from muster.archive.errors import SegmentDamaged
from muster.archive.layout import HEADER_BYTES, Segment, read_segment, request_of
from muster.archive.segments import CLOSED, segments_in

_MOST_KEPT = 4096


@dataclass(frozen=True, slots=True)
class LatePlace:
    """An event that lies in a segment."""

    path: Path
    frame: tuple[int, int]
    payload: bytes
    settled: bool
    """The segment is closed: what is in it stays."""


@dataclass(frozen=True, slots=True)
class _Late:
    """Where the late answers of a segment lie."""

    created_ns: int
    good_end: int
    closed: bool
    keys: npt.NDArray[np.uint64]
    """The lower half of each request's id."""
    frames: npt.NDArray[np.int64]


class LateAnswers:
    """Finds late answers in the segments of fronts; one process, one thread."""

    def __init__(self) -> None:
        self._known: dict[Path, _Late] = {}

    def to(
        self, decisions: Mapping[bytes, Any], folder: Path, after: int, until_ns: int
    ) -> Iterator[tuple[int, int, list[tuple[bytes, LatePlace]]]]:
        """Of each segment above `after`: its number, up to where it is whole, and the late answers to these requests.

        It ends at a segment that was created after `until_ns`, that cannot be read, or that is damaged: what lies in it
        is then not joined but goes to side files.
        """
        wanted = np.fromiter((key_of(one) for one in decisions), np.uint64, len(decisions))
        for number, path in segments_in(folder).items():
            if number <= after:
                continue
            late = self._late_in(path)
            if late is None or late.created_ns > until_ns:
                return
            yield number, late.good_end, self._matching(path, late, wanted, decisions)

    def keys(self, folder: Path) -> Iterator[npt.NDArray[np.uint64]]:
        """The keys of all requests to which a front's segments hold late answers; see `key_of`."""
        for path in segments_in(folder).values():
            late = self._late_in(path)
            if late is not None:
                yield late.keys

    def forget(self, path: Path) -> None:
        """The segment has left the spool."""
        self._known.pop(path, None)

    def _late_in(self, path: Path) -> _Late | None:
        key = path.with_suffix(CLOSED)
        known = self._known.get(key)
        if known is not None and known.closed:
            return known
        try:
            segment = read_segment(path)
        except (FileNotFoundError, SegmentDamaged):
            return None
        if segment.damages:
            return None
        made = _late_of(segment)
        while len(self._known) >= _MOST_KEPT:
            self._known.pop(next(iter(self._known)))
        self._known[key] = made
        return made

    def _matching(
        self, path: Path, late: _Late, wanted: npt.NDArray[np.uint64], decisions: Mapping[bytes, Any]
    ) -> list[tuple[bytes, LatePlace]]:
        hits = np.flatnonzero(np.isin(late.keys, wanted)) if len(late.keys) and len(wanted) else ()
        if not len(hits):
            return []
        found = []
        with _now(path).open("rb") as stream:
            for hit in hits:
                start, end = (int(place) for place in late.frames[hit])
                stream.seek(start)
                payload = stream.read(end - start)
                known = request_of(payload)
                if known is not None and not known[0] and known[1] in decisions:
                    found.append((known[1], LatePlace(path, (start, end), payload, settled=late.closed)))
        return found


def _late_of(segment: Segment) -> _Late:
    keys, frames = [], []
    data = segment.data
    for start, end in segment.frames:
        known = request_of(data[start : start + 40])
        if known is not None and not known[0]:
            keys.append(key_of(known[1]))
            frames.append((start, end))
    return _Late(
        created_ns=segment.header.created_ns,
        good_end=max(segment.good_end, HEADER_BYTES),
        closed=segment.closed,
        keys=np.array(keys, np.uint64),
        frames=np.array(frames, np.int64).reshape(-1, 2),
    )


def key_of(request_id: bytes) -> int:
    """The lower half of an id: it holds a counter and chance, so that two requests hardly ever share it."""
    return int.from_bytes(request_id[-8:], "big")


def _now(path: Path) -> Path:
    """The file under the name that it has now."""
    return path if path.exists() else path.with_suffix(CLOSED)
