"""Where users, their roles and their tokens are kept; users and tokens stay for ever, as the record names them."""

import sqlalchemy as sa

from muster.storage.schema import METADATA, name_column, time_column

users = sa.Table(
    "users",
    METADATA,
    name_column("name", primary_key=True),
    time_column("created_at"),
    time_column("removed_at", nullable=True),
)

grants = sa.Table(
    "grants",
    METADATA,
    name_column("user_name", sa.ForeignKey("users.name"), primary_key=True),
    name_column("project", primary_key=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("endpoints", sa.Text, nullable=False),  # JSON list of names; `*` means all
    time_column("granted_at"),
    sa.Column("may", sa.Text, nullable=False, server_default="[]"),  # JSON list of rights beyond those of the role
)

tokens = sa.Table(
    "tokens",
    METADATA,
    sa.Column("token_id", sa.String(32), primary_key=True),
    name_column("user_name", sa.ForeignKey("users.name")),
    sa.Column("sha256", sa.String(64), nullable=False, unique=True),
    time_column("created_at"),
    time_column("expires_at", nullable=True),
    time_column("revoked_at", nullable=True),
    sa.Index(None, "user_name"),
)
