"""Counts live-tests from the archive: the executor's chore. No request waits for it.

Each live-test is counted window by window, from the moment at which every front had loaded the version. What a window adds, and
that it is counted, are one transaction: a kill at any line neither loses a request nor counts one twice. A window is counted
once everything that will ever be known of its requests is on record.
"""

from datetime import datetime, timedelta

import msgspec
import structlog

from muster.archive.reader import Reader
from muster.livetests import store
from muster.livetests.figures import Figures, count
from muster.livetests.records import COUNTED, LiveTest
from muster.release.service import Releases
from muster.serving.shadow import given_up_after_s
from muster.storage.transaction import Database
from muster.vocabulary.clock import Clock
from muster.vocabulary.states import LiveTestState
from muster.wire.contracts import Field

#: A front looks for what it has to give up ten times a second, and writes late answers within 50 ms; and a little more.
_GRACE = timedelta(seconds=1.5)
#: So much is counted in one transaction; more would be read again after a kill.
WINDOW = timedelta(minutes=5)
#: Less is not due: while one window is counted a little of the next one comes, and counting would never end.
SHORTEST_WINDOW = timedelta(seconds=1)
log = structlog.get_logger()


class LiveTestCounter:
    """Counts the records of live-tests.

    Args:
        database: where live-tests are kept.
        releases: knows the outputs of an endpoint.
        reader: finds records.
        clock: tells when.
    """

    def __init__(self, *, database: Database, releases: Releases, reader: Reader, clock: Clock) -> None:
        self._database = database
        self._releases = releases
        self._reader = reader
        self._clock = clock

    def count(self) -> int:
        """Count what is new of every live-test; how many windows that was."""
        with self._database.read() as tx:
            under_way = store.in_states(tx, COUNTED)
        return sum(self._count(one) for one in under_way)

    def _count(self, seen: LiveTest) -> int:
        windows = 0
        following: LiveTest | None = seen
        while following is not None and self._window(following):
            windows += 1
            with self._database.read() as tx:
                following = store.live_test(tx, seen.endpoint, seen.number)
        return windows

    def _window(self, seen: LiveTest) -> bool:
        """Count one window of a live-test; whether one was due."""
        begin = seen.counted_to or seen.running_at
        end = self._end(seen, begin) if begin is not None and seen.state in COUNTED else None
        if begin is None or end is None:
            return False
        figures = msgspec.json.decode(msgspec.json.encode(seen.figures), type=Figures)
        outputs = self._outputs(seen)
        for record in self._reader.newest(
            seen.endpoint, from_ns=_ns(begin), to_ns=_ns(end), wait_ns=_ns_of(known_after(seen.deadline_ms))
        ):
            count(figures, record, outputs, seen.deadline_ms)
        with self._database.write() as tx:
            store.hold(tx, seen.endpoint)
            held = store.live_test(tx, seen.endpoint, seen.number)
            if held is None or held.state not in COUNTED or held.counted_to != seen.counted_to:
                return False  # it was stopped, or another process was quicker
            store.set_figures(tx, held, figures, end)
        return True

    def _end(self, seen: LiveTest, begin: datetime) -> datetime | None:
        end = min(self._clock.now() - known_after(seen.deadline_ms), begin + WINDOW)
        if seen.ended_at is not None:
            end = min(end, seen.ended_at)
            is_due = end > begin
        else:
            is_due = seen.state is not LiveTestState.COUNTING and end - begin >= SHORTEST_WINDOW
        return end if is_due else None

    def _outputs(self, seen: LiveTest) -> tuple[Field, ...]:
        with self._database.read() as tx:
            return self._releases.outputs_in(tx, seen.endpoint, seen.release)


def known_after(deadline_ms: float) -> timedelta:
    """How long after its arrival everything that a front will ever know of a request is on record."""
    return timedelta(seconds=given_up_after_s(deadline_ms / 1000)) + _GRACE


def _ns(moment: datetime) -> int:
    return _ns_of(moment - _EPOCH)


def _ns_of(span: timedelta) -> int:
    return ((span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds) * 1000


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
