"""Where certificates are kept; rows are only ever added."""

import sqlalchemy as sa

from muster.storage.schema import METADATA, name_column, time_column

certificates = sa.Table(
    "certificates",
    METADATA,
    sa.Column("session", sa.String(40), sa.ForeignKey("sessions.id"), primary_key=True),
    name_column("project"),
    name_column("model"),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("digest", sa.String(71), nullable=False),
    sa.Column("environment", sa.String(71), nullable=False),
    sa.Column("hardware", sa.Text, nullable=False),
    sa.Column("checks", sa.Text, nullable=False),  # JSON list
    name_column("requested_by"),
    time_column("at"),
    sa.ForeignKeyConstraint(["project", "model", "number"], ["versions.project", "versions.model", "versions.number"]),
    sa.Index(None, "project", "model", "number"),
)
