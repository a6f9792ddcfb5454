"""Closed segments become Parquet: one file per endpoint, hour and segment, then the segment leaves the spool.

A segment waits until its requests' deadlines are a minute over, so that most late answers are in their request's row.
Those that come later go to side files. A kill at any line loses nothing and doubles nothing: files appear whole, under
their final names, before the segment is removed; while the segment is there, its files are written anew. While the store
is away or full nothing is lost either: segments wait in the spool, and are compacted one by one when it is back.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from muster.archive.catalogue import Catalogue
from muster.archive.conversion import INTENT, Compacted, Conversion, SegmentChanged, last_deadline
from muster.archive.depot import NEW_FOLDER, ArchiveStore, FolderStore
from muster.archive.disk import refusal
from muster.archive.errors import SegmentDamaged
from muster.archive.late import LateAnswers
from muster.archive.layout import read_segment
from muster.archive.segments import CLOSED, segments_in, set_aside
from muster.vocabulary.clock import wall_ns

_SECOND = 1_000_000_000
log = structlog.get_logger()


class Compactor:
    """Turns the closed segments of all fronts into Parquet.

    Args:
        spool: the folder of all fronts' spools.
        parquet_root: folder on this machine for files that are being written, and, without a store, for all of them.
        store: where the Parquet files go; None: to `parquet_root`.
        settle_s: how long after the last deadline of its requests a segment is compacted.
        now_ns: the present moment in nanoseconds since 1970.
    """

    def __init__(
        self,
        spool: Path,
        parquet_root: Path,
        *,
        store: ArchiveStore | None = None,
        settle_s: float = 60.0,
        now_ns: Callable[[], int] = wall_ns,
    ) -> None:
        self._spool = spool
        self._root = parquet_root
        self._settle_ns = int(settle_s * _SECOND)
        self._now_ns = now_ns
        self._last_deadlines: dict[Path, int] = {}
        self._catalogue = Catalogue(FolderStore(parquet_root) if store is None else store)
        self._late = LateAnswers()

    def compact(self) -> list[Compacted]:
        """Compact every segment that is due; nothing, if another process is at it.

        Raises:
            ArchiveFull: there is no room for the Parquet files; the segments stay.
            ArchiveStoreUnavailable: the store is away; the segments stay.
            ArchiveUnwritable: they cannot be written for another reason; the segments stay.
        """
        done: list[Compacted] = []
        try:
            with self._alone() as alone:
                for folder in self._fronts() if alone else ():
                    done.extend(self._compact_front(folder))
        except OSError as error:
            raise refusal(error, self._root) from error
        return done

    def _fronts(self) -> list[Path]:
        try:
            found = [path for path in self._spool.iterdir() if path.name.isdecimal()]
        except FileNotFoundError:
            return []
        return sorted(found, key=lambda path: int(path.name))

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        if not self._spool.exists():
            yield False
            return
        self._root.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._root / "_lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            for left in (self._root / NEW_FOLDER).glob("*"):
                if left.suffix != INTENT or not self._is_wanted(left):
                    left.unlink()
            yield True
        finally:
            os.close(lock)

    def _is_wanted(self, intent: Path) -> bool:
        """The segment of the note is still there: its compaction was killed, and the next one goes by the note."""
        front, _, number = intent.stem.partition("-")
        return (self._spool / front / f"{number}{CLOSED}").exists()

    def _compact_front(self, folder: Path) -> Iterator[Compacted]:
        for path in segments_in(folder).values():
            if path.suffix != CLOSED:
                # Segments are compacted in order; behind an open one there is nothing to do yet.
                return
            try:
                last = self._last_deadline(path)
                if not self._is_over(path, last):
                    return
                until = last + self._settle_ns
                yield Conversion(self._catalogue, self._root / NEW_FOLDER, path, self._late, late_until_ns=until).run()
            except SegmentDamaged as error:
                log.error("archive.segment_unreadable", path=str(set_aside(path)), error=str(error))
            except SegmentChanged:
                return
            self._last_deadlines.pop(path, None)
            self._late.forget(path)

    def _last_deadline(self, path: Path) -> int:
        if path not in self._last_deadlines:
            self._last_deadlines[path] = last_deadline(read_segment(path), path.stat().st_mtime_ns)
        return self._last_deadlines[path]

    def _is_over(self, path: Path, last_deadline_ns: int) -> bool:
        closed_ns = path.stat().st_mtime_ns
        # abs: after the clock was set back, the segment seems to be closed in the future.
        return abs(self._now_ns() - closed_ns) >= last_deadline_ns - closed_ns + self._settle_ns
