"""Where votes, comments, delegations and waivers are kept; nothing of it is ever removed."""

import sqlalchemy as sa

from muster.storage.schema import METADATA, name_column, time_column

votes = sa.Table(
    "votes",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True),
    name_column("project"),
    sa.Column("gate", sa.String(16), nullable=False),
    sa.Column("subject", sa.String(200), nullable=False),
    sa.Column("digest", sa.String(71), nullable=False),
    name_column("voter"),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("for_person", sa.String(64), nullable=True),
    sa.Column("roles", sa.Text, nullable=False),  # JSON list of names, held when the vote was given
    time_column("not_before", nullable=True),
    time_column("at"),
    time_column("withdrawn_at", nullable=True),
    sa.Index(None, "project", "gate", "subject"),
)

comments = sa.Table(
    "gate_comments",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True),
    name_column("project"),
    sa.Column("gate", sa.String(16), nullable=False),
    sa.Column("subject", sa.String(200), nullable=False),
    sa.Column("digest", sa.String(71), nullable=False),
    name_column("author"),
    sa.Column("text", sa.Text, nullable=False),
    time_column("at"),
    sa.Index(None, "project", "gate", "subject"),
)

delegations = sa.Table(
    "delegations",
    METADATA,
    sa.Column("id", sa.String(40), primary_key=True),
    name_column("project"),
    name_column("from_person"),
    name_column("to_person"),
    time_column("starts"),
    time_column("ends"),  # brought forward when it is ended early
    sa.Column("reason", sa.Text, nullable=False),
    name_column("made_by"),
    time_column("made_at"),
    sa.Index(None, "project"),
)

waivers = sa.Table(
    "waivers",
    METADATA,
    sa.Column("id", sa.String(40), primary_key=True),
    name_column("project"),
    sa.Column("subject", sa.String(200), nullable=False),
    sa.Column("digest", sa.String(71), nullable=False),
    sa.Column("check_name", sa.String(64), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    name_column("asked_by"),
    time_column("asked_at"),
    time_column("ends"),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("decided_by", sa.String(64), nullable=True),
    time_column("decided_at", nullable=True),
    sa.Column("decision_reason", sa.Text, nullable=True),
    sa.Index(None, "project", "digest"),
)
