"""Finds single records for a front: the reader of the whole archive knows Parquet, whose library a front need not carry."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from muster.archive.depot import ArchiveStore, FolderStore
from muster.archive.errors import IndexDamaged
from muster.archive.index import Index
from muster.archive.records import Record
from muster.archive.segments import segments_in
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

    def _may_be_parquet(self, place: RequestPlace) -> bool:
        try:
            return any(
                next(self._index.entries(place.front, number), None) is not None
                for number in range(place.segment, place.segment + _LOOKAHEAD)
            )
        except IndexDamaged:
            return True
