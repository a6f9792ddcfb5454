"""All statements about how long records are kept."""

import sqlalchemy as sa

from muster.archive.records import RetentionRule
from muster.archive.tables import retention
from muster.storage.transaction import Transaction


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
