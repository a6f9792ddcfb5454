"""Where certificates, seals and twins are kept; rows are only ever added, but an environment that is sealed anew has its newest seal."""

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
    sa.Column("seal", sa.String(71), nullable=True),
    sa.Column("twin", sa.String(71), nullable=True),
    sa.Column("evidence", sa.String(71), nullable=True),
    sa.Column("standard", sa.Text, nullable=True),  # JSON
    time_column("expires_at", nullable=True),
    time_column("renew_at", nullable=True),
    sa.Column("envelope", sa.Text, nullable=True),  # JSON
    sa.ForeignKeyConstraint(["project", "model", "number"], ["versions.project", "versions.model", "versions.number"]),
    sa.Index(None, "project", "model", "number"),
)

seals = sa.Table(
    "seals",
    METADATA,
    sa.Column("environment", sa.String(71), primary_key=True),
    sa.Column("seal", sa.String(71), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    time_column("at"),
)

twins = sa.Table(
    "twins",
    METADATA,
    name_column("project", primary_key=True),
    name_column("model", primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("manifest", sa.String(71), primary_key=True),
    sa.Column("environment", sa.String(71), nullable=False),
    sa.Column("session", sa.String(40), sa.ForeignKey("sessions.id"), nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("flips", sa.Integer, nullable=False),
    sa.Column("largest", sa.Text, nullable=False),
    sa.Column("tolerance", sa.Text, nullable=False),  # per output, in words
    time_column("at"),
    sa.ForeignKeyConstraint(["project", "model", "number"], ["versions.project", "versions.model", "versions.number"]),
)

#: Tables that curves are derived from, by the session that computed them; of the kind `exhibits`, what it shows of single sealed rows.
session_tables = sa.Table(
    "session_tables",
    METADATA,
    sa.Column("session", sa.String(40), sa.ForeignKey("sessions.id"), primary_key=True),
    sa.Column("computed_over", sa.String(100), primary_key=True),
    sa.Column("slice", sa.String(200), primary_key=True),
    sa.Column("part", sa.String(120), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    name_column("project"),
    name_column("model"),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("digest", sa.String(71), nullable=False),
)
