"""Where the standards of projects are kept; nothing of it is ever removed."""

import sqlalchemy as sa

from muster.storage.schema import METADATA, name_column, time_column

standards = sa.Table(
    "standards",
    METADATA,
    name_column("project", primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    name_column("name"),
    sa.Column("digest", sa.String(71), nullable=False),
    sa.Column("text", sa.Text, nullable=False),  # TOML, as it was proposed
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("basis", sa.Integer, nullable=False),  # number of what was in force when it was proposed; 0: a ready one
    name_column("proposed_by"),
    time_column("proposed_at"),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("decided_by", sa.String(64), nullable=True),
    time_column("decided_at", nullable=True),
    sa.Column("decision_reason", sa.Text, nullable=True),
    sa.CheckConstraint("number >= 1", name="number_positive"),
)

#: Programs of the project's own checks, kept in the store by their digest; a standard names them by it.
project_checks = sa.Table(
    "project_checks",
    METADATA,
    name_column("project", primary_key=True),
    name_column("name", primary_key=True),
    sa.Column("digest", sa.String(71), primary_key=True),
    sa.Column("size", sa.Integer, nullable=False),
    name_column("added_by"),
    time_column("added_at"),
    sa.Column("reason", sa.Text, nullable=False),
)
