"""What the executor counts of its work, and the metrics made of it."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from muster.archive.segments import segments_in
from muster.sessions.records import Session
from muster.telemetry.exposition import Exposition, Metric
from muster.telemetry.process_metrics import say_process
from muster.workflows.executor import Handler, Outcome, Say

SESSIONS = Metric(
    "muster_sessions_total",
    "counter",
    "Sessions that the executor worked on: done, or raised an error.",
    ("kind", "outcome"),
)
SESSION_BUSY = Metric("muster_sessions_running", "gauge", "Sessions that the executor works on now.", ("kind",))
SPOOL = Metric(
    "muster_archive_spool_bytes", "gauge", "What the segments of all fronts take on the disk until they are compacted."
)
SPOOLED = Metric("muster_archive_spool_segments", "gauge", "Segments that are not compacted yet, open ones included.")
FREE = Metric("muster_archive_disk_free_bytes", "gauge", "Room left on the disk of the archive.")
LAPSED = Metric(
    "muster_certificates_lapsed", "gauge", "Versions that are served though their newest certificate has ended."
)
METRICS = (LAPSED, SESSIONS, SESSION_BUSY, SPOOL, SPOOLED, FREE)


class ExecutorCounts:
    """Counts of one executor.

    Args:
        archive: the home's folder of that name.
        lapsed: how many certificates have, of versions that are served.
    """

    def __init__(self, archive: Path, lapsed: Callable[[], int] = lambda: 0) -> None:
        self._archive = archive
        self._lapsed = lapsed
        self._counting = threading.Lock()  # several sessions are worked on at once
        self._done: dict[tuple[str, str], int] = {}
        self._running: dict[str, int] = {}

    def counted(self, handlers: dict[str, Handler]) -> dict[str, Handler]:
        """The same handlers, each session of theirs counted."""
        return {kind: self._counted(kind, handler) for kind, handler in handlers.items()}

    def render(self) -> bytes:
        """The text of all metrics of the executor."""
        out = Exposition()
        out.begin(SESSIONS)
        for labels, count in list(self._done.items()):
            out.sample(count, *labels)
        out.begin(SESSION_BUSY)
        for kind, count in self._running.items():
            out.sample(count, kind)
        out.one(LAPSED, self._lapsed())
        self._say_archive(out)
        say_process(out, "executor")
        return out.encode()

    def _counted(self, kind: str, handler: Handler) -> Handler:
        self._running[kind] = 0
        self._done |= {(kind, "done"): 0, (kind, "error"): 0}

        def work(session: Session, say: Say) -> Outcome | None:
            with self._counting:
                self._running[kind] += 1
            outcome = "error"
            try:
                came_of_it = handler(session, say)
                outcome = "done"
            finally:
                with self._counting:
                    self._running[kind] -= 1
                    self._done[kind, outcome] += 1
            return came_of_it

        return work

    def _say_archive(self, out: Exposition) -> None:
        spool = self._archive / "spool"
        sizes = [size for folder in _folders_in(spool) for size in map(_size, segments_in(folder).values())]
        out.one(SPOOL, sum(sizes))
        out.one(SPOOLED, len(sizes))
        try:
            out.one(FREE, shutil.disk_usage(self._archive).free)
        except OSError:  # the folder comes with the first front
            return


def _folders_in(spool: Path) -> list[Path]:
    try:
        return list(spool.iterdir())
    except OSError:
        return []


def _size(segment: Path) -> int:
    try:
        return segment.stat().st_size
    except OSError:  # compacted at this moment
        return 0
