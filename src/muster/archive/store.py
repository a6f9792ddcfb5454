"""All statements about how long records are kept, and about who asked what how often."""

from collections.abc import Sequence

import sqlalchemy as sa

from muster.archive.records import RetentionRule, Use, UseKey
from muster.archive.tables import consumer_files, consumer_uses, retention
from muster.storage.transaction import Transaction

_AT_ONCE = 500


def rules(tx: Transaction, project: str | None = None) -> list[RetentionRule]:
    """The rules of a project, or of all, by endpoint."""
    asked = sa.select(retention).order_by(retention.c.endpoint)
    if project is not None:
        asked = asked.where(retention.c.project == project)
    return [RetentionRule(**row) for row in tx.execute(asked).mappings()]


def rule(tx: Transaction, endpoint: str) -> RetentionRule | None:
    """The rule of an endpoint; None: the setting counts."""
    row = tx.execute(sa.select(retention).where(retention.c.endpoint == endpoint)).mappings().first()
    return None if row is None else RetentionRule(**row)


def put_rule(tx: Transaction, made: RetentionRule) -> None:
    """Set the rule of an endpoint."""
    tx.execute(sa.delete(retention).where(retention.c.endpoint == made.endpoint))
    tx.execute(
        sa.insert(retention).values(
            endpoint=made.endpoint,
            project=made.project,
            days=made.days,
            set_by=made.set_by,
            set_at=made.set_at,
            reason=made.reason,
        )
    )


def counted_files(tx: Transaction, places: Sequence[str]) -> frozenset[str]:
    """Those of some files that are in the counts."""
    found: set[str] = set()
    for start in range(0, len(places), _AT_ONCE):
        some = places[start : start + _AT_ONCE]
        found.update(tx.execute(sa.select(consumer_files.c.path).where(consumer_files.c.path.in_(some))).scalars())
    return frozenset(found)


def counted_to(tx: Transaction) -> str | None:
    """When a file was counted last; None: none was."""
    return tx.execute(sa.select(sa.func.max(consumer_files.c.at))).scalar()


def note_counted(tx: Transaction, place: str, at: str) -> None:
    """Note that a file is in the counts; it must not have been."""
    tx.execute(sa.insert(consumer_files).values(path=place, at=at))


def add_use(tx: Transaction, key: UseKey, requests: int, rows: int, last_at: str) -> None:
    """Add to what is counted."""
    uses = consumer_uses.c
    here = (
        uses.project == key.project,
        uses.endpoint == key.endpoint,
        uses.consumer == key.consumer,
        uses.version == key.version,
        uses.day == key.day,
    )
    held = tx.execute(sa.select(uses.requests, uses.rows, uses.last_at).where(*here)).mappings().first()
    if held is None:
        tx.execute(sa.insert(consumer_uses).values(**key._asdict(), requests=requests, rows=rows, last_at=last_at))
        return
    more = {
        "requests": held["requests"] + requests,
        "rows": held["rows"] + rows,
        "last_at": max(held["last_at"], last_at),
    }
    tx.execute(sa.update(consumer_uses).where(*here).values(more))


def uses(tx: Transaction, project: str, endpoint: str | None = None, since: str | None = None) -> tuple[Use, ...]:
    """What was counted of a project from a day on, by endpoint, consumer and version."""
    columns = consumer_uses.c
    asked = (
        sa.select(
            columns.consumer,
            columns.endpoint,
            columns.version,
            sa.func.sum(columns.requests).label("requests"),
            sa.func.sum(columns.rows).label("rows"),
            sa.func.max(columns.last_at).label("last_at"),
        )
        .where(columns.project == project)
        .group_by(columns.endpoint, columns.consumer, columns.version)
        .order_by(columns.endpoint, columns.consumer, columns.version)
    )
    if endpoint is not None:
        asked = asked.where(columns.endpoint == endpoint)
    if since is not None:
        asked = asked.where(columns.day >= since)
    return tuple(
        Use(
            consumer=row["consumer"],
            endpoint=row["endpoint"],
            version=row["version"],
            requests=int(row["requests"]),  # PostgreSQL sums whole numbers as decimals
            rows=int(row["rows"]),
            last_at=row["last_at"],
        )
        for row in tx.execute(asked).mappings()
    )
