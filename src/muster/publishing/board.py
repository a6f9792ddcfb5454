"""The board on which the control plane publishes and from which fronts read."""

import threading
import time
from collections.abc import Callable

import msgspec

from muster.publishing import store
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock, rfc3339
from muster.wire.plans import AccessList, EndpointPlans, Publication, Publications

ACCESS_SUBJECT = "access"
_OTHERS_S = 0.5  # how soon a publication by another process is noticed


def endpoint_subject(endpoint: str) -> str:
    """The subject under which an endpoint's plans are published."""
    return f"endpoint/{endpoint}"


class Board:
    """Numbered publications: the one bridge from the control plane to the data plane."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._news = threading.Condition()
        self._published = 0
        """Highest number published by this process: followers that wait look at it, not at the clock."""
        self._listeners: set[Callable[[], None]] = set()

    def publish(self, tx: Transaction, subject: str, document: EndpointPlans | AccessList) -> int:
        """Give the document its number, in the caller's transaction; followers are told once that is committed."""
        # Held until the commit: were a lower number to become visible after a higher one, a follower would miss it. The
        # journal takes the same lock, so that a transaction that does both cannot meet another in a deadlock.
        tx.lock("muster.order")
        number = store.highest_number(tx) + 1
        store.add(tx, number, subject, rfc3339(self._clock.now()), msgspec.json.encode(document).decode())
        tx.after_commit(lambda: self._tell(number))
        return number

    def since(self, number: int) -> Publications:
        """The newest publication of each subject above a number, and the highest number there is.

        A number above the highest comes from a follower of another history (an older copy of the database was
        restored): it is given everything.
        """
        with self._database.read() as tx:
            highest = store.highest_number(tx)
            rows = store.newest_above(tx, number if number <= highest else 0)
        return Publications(number=highest, publications=tuple(_publication(*row) for row in rows))

    def newest(self, subject: str) -> Publication | None:
        """The newest publication of a subject."""
        with self._database.read() as tx:
            row = store.newest_of(tx, subject)
        return row and _publication(row[0], subject, row[1])

    def wait(self, number: int, timeout_s: float) -> Publications:
        """As `since`, but waits until something is newer than `number`, at most so long; blocks its thread."""
        deadline = time.monotonic() + timeout_s
        while True:
            with self._news:
                seen = self._published
            highest = self._highest()
            left = deadline - time.monotonic()
            if highest != number or left <= 0:
                return self.since(number)
            with self._news:
                # `seen` was read before the database: what was published in between is not slept through.
                self._news.wait_for(lambda: self._published != seen, timeout=min(left, _OTHERS_S))  # noqa: B023 - used within the turn

    def listen(self, deed: Callable[[], None]) -> Callable[[], None]:
        """Call `deed` from the publishing thread whenever this process has published; gives what ends it.

        For a door that waits without a thread of its own: `lambda: loop.call_soon_threadsafe(event.set)`.
        """
        with self._news:
            self._listeners.add(deed)

        def end() -> None:
            with self._news:
                self._listeners.discard(deed)

        return end

    def _highest(self) -> int:
        with self._database.read() as tx:
            return store.highest_number(tx)

    def _tell(self, number: int) -> None:
        with self._news:
            self._published = max(self._published, number)
            self._news.notify_all()
            listeners = tuple(self._listeners)
        for deed in listeners:
            deed()


def _publication(number: int, subject: str, document: str) -> Publication:
    read: EndpointPlans | AccessList = msgspec.json.decode(document, type=EndpointPlans | AccessList)
    return Publication(number=number, subject=subject, document=read)
