"""Where sessions and their lines of progress are kept."""

import sqlalchemy as sa

from muster.storage.schema import METADATA, name_column, time_column

sessions = sa.Table(
    "sessions",
    METADATA,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("subject", sa.String(200), nullable=False),
    name_column("project"),
    sa.Column("state", sa.String(16), nullable=False),
    name_column("requested_by"),
    time_column("created_at"),
    time_column("started_at", nullable=True),
    time_column("finished_at", nullable=True),
    sa.Column("executor", sa.String(200), nullable=True),
    time_column("heartbeat_at", nullable=True),
    sa.Column("result", sa.Text, nullable=True),  # JSON
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.Column("deaths", sa.Integer, nullable=False, server_default="0"),
    sa.Index(None, "state", "created_at"),
    sa.Index(None, "project", "kind", "subject"),
)

session_measures = sa.Table(
    "session_measures",
    METADATA,
    sa.Column("session", sa.String(40), sa.ForeignKey("sessions.id"), primary_key=True),
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("computed_over", sa.String(100), primary_key=True),
    sa.Column("slice", sa.String(200), primary_key=True),
    sa.Column("definition", sa.Integer, nullable=False),
    name_column("project"),
    name_column("model"),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("value", sa.Float(53), nullable=False),
    sa.Column("low", sa.Float(53), nullable=True),
    sa.Column("high", sa.Float(53), nullable=True),
    time_column("at"),
    sa.Index(None, "project", "model", "name", "at"),
)

session_lines = sa.Table(
    "session_lines",
    METADATA,
    sa.Column("session", sa.String(40), sa.ForeignKey("sessions.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    time_column("at"),
    sa.Column("text", sa.Text, nullable=False),
)

session_kept = sa.Table(
    "session_kept",
    METADATA,
    sa.Column("session", sa.String(40), sa.ForeignKey("sessions.id"), primary_key=True),
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("key", sa.String(71), nullable=False),
    sa.Column("content", sa.Text, nullable=False),  # JSON
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),  # their order
)
