"""The journal: services append what was done, in the transaction in which they do it."""

from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

from muster.audit import store
from muster.audit.entries import Deed, Entry, following
from muster.audit.errors import DeedMalformed, IdempotencyKeyReused
from muster.audit.head import HeadFile
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import Clock, rfc3339

_LONGEST = {
    "project": 64,
    "actor": 64,
    "action": 64,
    "subject": 200,
    "idempotency_key": 200,
    "request_digest": 71,
    "reason": 10_000,
}


class Journal:
    """Appends to the chain and reads it.

    Args:
        head_file: where the head is written after every commit; None for none (then a cut-off end cannot be found).
        clock: tells when.
    """

    def __init__(self, head_file: Path | None, clock: Clock) -> None:
        self._head = None if head_file is None else HeadFile(head_file)
        self._clock = clock

    def append(self, tx: Transaction, deed: Deed) -> Entry:
        """Put a deed on record; it stands or falls with the transaction.

        Append last in a transaction, after all row changes: on PostgreSQL everybody else who appends waits from here
        until the commit. Of several deeds in one transaction only one may carry the idempotency key.

        Raises:
            DeedMalformed: a text of it cannot be kept.
        """
        _check(deed)
        tx.lock("muster.order")
        before = store.last(tx)
        entry = following(before, deed, rfc3339(self._clock.now()))
        store.add(tx, entry)
        if self._head is not None:
            tx.after_commit(partial(self._head.write, entry))
        return entry

    def earlier(self, tx: Transaction, actor: str, key: str | None, digest: str | None) -> Entry | None:
        """The event of the first request with this key, if this one repeats it; None for a new one or without a key.

        Ask first of all in a write transaction: of two equal requests at once the second waits here for the first.

        Raises:
            IdempotencyKeyReused: the actor used the key for another request.
        """
        if key is None:
            return None
        if len(key) > _LONGEST["idempotency_key"] or not _storable(key):
            raise DeedMalformed(
                "the idempotency key is longer than 200 characters or holds some that cannot be kept",
                field="idempotency_key",
            )
        tx.lock("muster.idempotency", actor, key)
        entry = store.with_key(tx, actor, key)
        if entry is not None and entry.request_digest != digest:
            raise IdempotencyKeyReused(
                f"{actor} used the idempotency key {key!r} at {entry.at} for another request: "
                f"{entry.action}, {entry.subject}",
                key=key,
                action=entry.action,
                subject=entry.subject,
                at=entry.at,
            )
        return entry

    def entries(
        self,
        tx: Transaction,
        after: int = 0,
        limit: int = 100,
        subject: str | None = None,
        projects: Collection[str] | None = None,
    ) -> list[Entry]:
        """Events above a sequence number, oldest first; of one subject, or of some projects, if they are named."""
        return store.entries(tx, after, limit, subject, projects)

    def newest(
        self,
        tx: Transaction,
        limit: int = 100,
        subject: str | None = None,
        projects: Collection[str] | None = None,
    ) -> list[Entry]:
        """The last events, oldest of them first; of one subject, or of some projects, if they are named."""
        return store.newest(tx, limit, subject, projects)

    def about(self, tx: Transaction, subject: str, project: str, *actions: str) -> Iterator[Entry]:
        """Every event of these actions about a subject in a project, oldest first, however many others there are.

        What is decided by the journal asks here: a page of all that is said of a subject can be filled by anybody who may remark.
        """
        return store.entries_about(tx, subject, project, actions)


def _check(deed: Deed) -> None:
    for field, longest in _LONGEST.items():
        text = getattr(deed, field)
        if text is None:
            continue
        if len(text) > longest:
            raise DeedMalformed(
                f"the {field} has {len(text)} characters; {longest} can be kept", field=field, limit=longest
            )
        if not _storable(text):
            raise DeedMalformed(f"the {field} {text[:80]!r} holds characters that cannot be kept", field=field)


def _storable(text: str) -> bool:
    """Whether every database keeps the text as it is: no NUL, and nothing that UTF-8 cannot write."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
