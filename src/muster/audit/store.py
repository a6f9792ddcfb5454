"""All statements about audit events."""

from collections.abc import Iterator
from dataclasses import asdict

import sqlalchemy as sa

from muster.audit.entries import Entry
from muster.audit.tables import audit_events
from muster.storage.transaction import Transaction

_PAGE = 1000


def add(tx: Transaction, entry: Entry) -> None:
    """Append an event; its sequence must be free."""
    tx.execute(sa.insert(audit_events).values(asdict(entry)))


def last(tx: Transaction) -> Entry | None:
    """The newest event."""
    row = tx.execute(sa.select(audit_events).order_by(audit_events.c.sequence.desc()).limit(1)).mappings().first()
    return None if row is None else Entry(**row)


def with_key(tx: Transaction, actor: str, key: str) -> Entry | None:
    """The event that an actor caused with an idempotency key."""
    asked = sa.select(audit_events).where(audit_events.c.actor == actor, audit_events.c.idempotency_key == key)
    row = tx.execute(asked).mappings().first()
    return None if row is None else Entry(**row)


def entries(tx: Transaction, after: int, limit: int, subject: str | None = None) -> list[Entry]:
    """Events above a sequence number, oldest first; of one subject if it is named."""
    asked = sa.select(audit_events).where(audit_events.c.sequence > after)
    if subject is not None:
        asked = asked.where(audit_events.c.subject == subject)
    rows = tx.execute(asked.order_by(audit_events.c.sequence).limit(limit))
    return [Entry(**row) for row in rows.mappings()]


def newest(tx: Transaction, limit: int, subject: str | None = None) -> list[Entry]:
    """The last events, oldest of them first; of one subject if it is named."""
    asked = sa.select(audit_events)
    if subject is not None:
        asked = asked.where(audit_events.c.subject == subject)
    rows = tx.execute(asked.order_by(audit_events.c.sequence.desc()).limit(limit)).mappings().all()
    return [Entry(**row) for row in reversed(rows)]


def every_entry(tx: Transaction) -> Iterator[Entry]:
    """Every event in the order of sequence numbers, read in pages so that memory stays flat."""
    # From below every whole number there is: an event inserted at zero or less must be seen, too.
    after = -(2**63)
    while page := entries(tx, after, _PAGE):
        yield from page
        after = page[-1].sequence


def count(tx: Transaction) -> int:
    """How many rows there are, in the chain or not."""
    return int(tx.execute(sa.select(sa.func.count()).select_from(audit_events)).scalar_one())
