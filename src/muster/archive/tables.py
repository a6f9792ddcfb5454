"""Where it is kept how long records are kept."""

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
