"""All statements about audit events."""

from collections.abc import Collection, Iterator
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from muster.audit.entries import Entry
from muster.audit.tables import audit_events
from muster.storage.transaction import Transaction

_PAGE = 1000
#: Of so many projects the events are read one project after another; who sees more than that sees nearly all there are.
_MOST_APART = 50


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


def entries(
    tx: Transaction, after: int, limit: int, subject: str | None = None, projects: Collection[str] | None = None
) -> list[Entry]:
    """Events above a sequence number, oldest first; of one subject, or of some projects, if they are named."""
    asked = sa.select(audit_events).where(audit_events.c.sequence > after)
    return [Entry(**row) for row in tx.execute(_first(asked, "sequence", limit, subject, projects)).mappings()]


def newest(
    tx: Transaction, limit: int, subject: str | None = None, projects: Collection[str] | None = None
) -> list[Entry]:
    """The last events, oldest of them first; of one subject, or of some projects, if they are named."""
    rows = tx.execute(_first(sa.select(audit_events), "sequence DESC", limit, subject, projects)).mappings().all()
    return [Entry(**row) for row in reversed(rows)]


def _first(
    asked: sa.Select[Any], order: str, limit: int, subject: str | None, projects: Collection[str] | None
) -> sa.Select[Any]:
    """The first events in an order, of one subject or some projects; so asked that never more than a page of each is read.

    A database without statistics takes any index that fits a condition: a condition that is to take none has an operator in it.
    """
    ordered, project = sa.text(order), audit_events.c.project
    if projects is None or subject is not None or not 0 < len(projects) <= _MOST_APART:
        if subject is not None:
            asked = asked.where(audit_events.c.subject == subject)
        if projects is not None:
            asked = asked.where(project.concat("").in_(sorted(projects)))
        return asked.order_by(ordered).limit(limit)
    apart = [asked.where(project == name).order_by(ordered).limit(limit) for name in sorted(projects)]
    if len(apart) == 1:
        return apart[0]
    numbers = (sa.select(one.with_only_columns(audit_events.c.sequence).subquery()) for one in apart)
    together = audit_events.c.sequence.in_(sa.union_all(*numbers))
    return sa.select(audit_events).where(together).order_by(ordered).limit(limit)


def entries_about(tx: Transaction, subject: str, project: str, actions: Collection[str]) -> Iterator[Entry]:
    """Every event of some actions about a subject in a project, in their order, read in pages."""
    asked = _first(sa.select(audit_events), "sequence", _PAGE, subject, [project])
    asked, after = asked.where(audit_events.c.action.in_(sorted(actions))), -(2**63)
    while page := [Entry(**row) for row in tx.execute(asked.where(audit_events.c.sequence > after)).mappings()]:
        yield from page
        after = page[-1].sequence


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
