"""Where data sources and the places of profiles are kept."""

import sqlalchemy as sa

from muster.storage.schema import METADATA, name_column, time_column

#: Places from which the factory may read data.
data_sources = sa.Table(
    "data_sources",
    METADATA,
    name_column("project", primary_key=True),
    name_column("name", primary_key=True),
    sa.Column("uri", sa.Text, nullable=False),
    name_column("added_by"),
    time_column("added_at"),
    sa.Column("reason", sa.Text, nullable=False),
)

#: Profiles that the factory computed, one per certification that had the data.
version_profiles = sa.Table(
    "version_profiles",
    METADATA,
    sa.Column("session", sa.String(64), primary_key=True),
    name_column("project"),
    name_column("model"),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("digest", sa.String(71), nullable=False),
    sa.Column("data", sa.String(200), nullable=False),
    sa.Column("data_digest", sa.String(71), nullable=False),
    time_column("at"),
    sa.Index(None, "project", "model", "number"),
)
