"""Where it is kept how long records are kept, and who has asked what how often."""

import sqlalchemy as sa

from muster.storage.schema import METADATA, name_column, time_column

#: Endpoints whose records are not kept for as long as the setting says.
retention = sa.Table(
    "archive_retention",
    METADATA,
    name_column("endpoint", primary_key=True),  # unique in the factory
    name_column("project"),
    sa.Column("days", sa.Integer, nullable=True),  # NULL: for ever
    name_column("set_by"),
    time_column("set_at"),
    sa.Column("reason", sa.Text, nullable=False),
)

#: Who asked an endpoint how often on a day, counted from compacted records.
consumer_uses = sa.Table(
    "consumer_uses",
    METADATA,
    name_column("project", primary_key=True),
    name_column("endpoint", primary_key=True),
    sa.Column("consumer", sa.String(64), primary_key=True),
    sa.Column("version", sa.String(80), primary_key=True),  # who answered; empty: the day's requests, each once
    sa.Column("day", sa.String(10), primary_key=True),  # UTC
    sa.Column("requests", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    time_column("last_at"),
    sa.Index(None, "endpoint", "day"),
)

#: Files of the archive that are in those counts.
consumer_files = sa.Table(
    "consumer_files",
    METADATA,
    sa.Column("path", sa.String(300), primary_key=True),
    time_column("at"),
)
