"""All statements about publications."""

import sqlalchemy as sa

from muster.publishing.tables import publications
from muster.storage.transaction import Transaction


def highest_number(tx: Transaction) -> int:
    """The number of the newest publication; 0 when there is none."""
    number = tx.execute(sa.select(sa.func.max(publications.c.number))).scalar()
    return int(number) if number is not None else 0


def add(tx: Transaction, number: int, subject: str, at: str, document: str) -> None:
    """Keep a publication; its number must be free."""
    tx.execute(sa.insert(publications).values(number=number, subject=subject, at=at, document=document))


def newest_above(tx: Transaction, number: int) -> list[tuple[int, str, str]]:
    """Number, subject and document of each subject's newest publication, of those above a number; by number."""
    newest = (
        sa.select(sa.func.max(publications.c.number).label("number"))
        .where(publications.c.number > number)
        .group_by(publications.c.subject)
        .subquery()
    )
    asked = (
        sa.select(publications.c.number, publications.c.subject, publications.c.document)
        .join(newest, newest.c.number == publications.c.number)
        .order_by(publications.c.number)
    )
    return [(row.number, row.subject, row.document) for row in tx.execute(asked)]


def newest_of(tx: Transaction, subject: str) -> tuple[int, str] | None:
    """Number and document of a subject's newest publication."""
    asked = sa.select(publications.c.number, publications.c.document).where(publications.c.subject == subject)
    row = tx.execute(asked.order_by(publications.c.number.desc()).limit(1)).first()
    return row and (row.number, row.document)
