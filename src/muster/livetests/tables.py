"""Where live-tests are kept."""

import sqlalchemy as sa

from muster.storage.schema import METADATA, name_column, time_column

live_tests = sa.Table(
    "live_tests",
    METADATA,
    name_column("endpoint", sa.ForeignKey("endpoints.name"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    name_column("project"),
    name_column("model"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("manifest", sa.String(71), nullable=False),
    sa.Column("release", sa.Integer, nullable=False),
    sa.Column("beside", sa.Text, nullable=False),  # JSON: champion and canaries of that release
    sa.Column("deadline_ms", sa.Float(53), nullable=False),
    sa.Column("requests", sa.BigInteger, nullable=True),
    sa.Column("hours", sa.Float(53), nullable=True),
    sa.Column("share", sa.Float(53), nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    name_column("started_by"),
    time_column("started_at"),
    sa.Column("reason", sa.Text, nullable=False),
    time_column("running_at", nullable=True),
    time_column("ended_at", nullable=True),
    time_column("counted_to", nullable=True),
    sa.Column("figures", sa.Text, nullable=False),  # JSON of livetests.figures.Figures
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("session", sa.String(40), nullable=True),
    sa.Index(None, "project", "manifest", "state"),
)
