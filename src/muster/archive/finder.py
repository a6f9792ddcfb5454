"""Finds single records for a front: the reader of the whole archive knows Parquet, whose library a front need not carry."""

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from muster.archive.depot import ArchiveStore, FolderStore
from muster.archive.errors import IndexDamaged
from muster.archive.index import Index
from muster.archive.records import Record
from muster.archive.segments import CLOSED, OPEN, segments_in
from muster.archive.spool import Spool
from muster.vocabulary.request_ids import RequestPlace, place_of, request_id_bytes
from muster.wire.records import Decided

_LOOKAHEAD = 64


class Finder:
    """Finds the decision of one request, nearly always in the spool, as only what was asked lately is asked again.

    Args:
        root: the archive's folder, with `spool/` and, without a store, `parquet/` in it.
        store: where the compacted records lie; None: in `parquet/`.
    """

    def __init__(self, root: Path, store: ArchiveStore | None = None) -> None:
        self._root = root
        self._spool = Spool(root / "spool")
        self._store = FolderStore(root / "parquet") if store is None else store
        self._index = Index(self._store)

    def find(self, request_id: str) -> Record | None:
        """The record of a request, without late answers where it is in the spool; None when the archive has none.

        Raises:
            RequestIdMalformed: it is not a request id.
        """
        wanted = request_id_bytes(request_id)
        place = place_of(wanted)
        for event in self._spool.about(wanted, place.front, place.segment, place.segment + _LOOKAHEAD):
            if isinstance(event, Decided):
                return Record(decided=event)
        # Segments leave the spool in order, and only once they are Parquet: as long as the first is there, so are the others.
        if place.segment in segments_in(self._root / "spool" / str(place.front)) or not self._may_be_parquet(place):
            return None
        find: Callable[[str], Record | None] = (
            import_module("muster.archive.reader").Reader(self._root, self._store).find
        )
        return find(request_id)

    def make_safe(self, request_id: str, *, writer_is_gone: bool) -> bool:
        """Whether no power cut can lose the record of a request any more.

        A segment is closed only once it is on the disk. One that is open may be not, and to fsync it from here proves nothing while its
        writer lives: a failure that the writer was told of is not told again, although the bytes never reached the disk.

        Args:
            request_id: of a request that `find` has found.
            writer_is_gone: the front that wrote it has ended; then its segment is fsynced here.
        """
        wanted = request_id_bytes(request_id)
        place = place_of(wanted)
        for number, path in segments_in(self._root / "spool" / str(place.front)).items():
            if path.suffix != OPEN or not place.segment <= number < place.segment + _LOOKAHEAD:
                continue
            if not any(
                isinstance(event, Decided) for event in self._spool.about(wanted, place.front, number, number + 1)
            ):
                continue
            return writer_is_gone and _synced(path)
        return True

    def _may_be_parquet(self, place: RequestPlace) -> bool:
        try:
            return any(
                next(self._index.entries(place.front, number), None) is not None
                for number in range(place.segment, place.segment + _LOOKAHEAD)
            )
        except IndexDamaged:
            return True


def _synced(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:  # it was closed in the meantime
        return path.with_suffix(CLOSED).exists()
    try:
        os.fsync(handle)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
