"""Where the chain is kept."""

import sqlalchemy as sa

from muster.storage.schema import METADATA, name_column, time_column

audit_events = sa.Table(
    "audit_events",
    METADATA,
    sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    time_column("at"),
    sa.Column("project", sa.String(64), nullable=False),
    name_column("actor"),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("subject", sa.String(200), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("details", sa.Text, nullable=False),
    sa.Column("idempotency_key", sa.String(200), nullable=True),
    sa.Column("request_digest", sa.String(71), nullable=True),
    sa.Column("previous", sa.String(71), nullable=False),
    sa.Column("hash", sa.String(71), nullable=False),
    sa.UniqueConstraint("actor", "idempotency_key"),
    sa.Index(None, "subject", "sequence"),
    sa.Index(None, "project", "sequence"),
)
