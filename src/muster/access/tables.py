"""Where projects, users, groups, roles and tokens are kept; users, groups and tokens stay for ever: the record names them."""

import sqlalchemy as sa

from muster.storage.schema import METADATA, name_column, time_column

users = sa.Table(
    "users",
    METADATA,
    name_column("name", primary_key=True),
    time_column("created_at"),
    time_column("removed_at", nullable=True),
    sa.Column("kind", sa.String(16), nullable=False, server_default="person"),  # or service
    sa.Column("title", sa.String(200), nullable=True),
    sa.Column("contact", sa.String(200), nullable=True),
    sa.Column("channel", sa.String(200), nullable=True),
)

projects = sa.Table(
    "projects",
    METADATA,
    name_column("name", primary_key=True),
    sa.Column("title", sa.String(200), nullable=True),
    sa.Column("contact", sa.String(200), nullable=True),
    name_column("created_by"),
    time_column("created_at"),
    sa.Column("quotas", sa.Text, nullable=False, server_default="{}"),  # JSON object; what is absent has no limit
)

grants = sa.Table(
    "grants",
    METADATA,
    name_column("user_name", sa.ForeignKey("users.name"), primary_key=True),
    name_column("project", primary_key=True),
    name_column("role"),  # of those that Muster has, or one of `custom_roles`
    sa.Column("endpoints", sa.Text, nullable=False),  # JSON list of names; `*` means all
    time_column("granted_at"),
    sa.Column("may", sa.Text, nullable=False, server_default="[]"),  # JSON list of rights beyond those of the role
    sa.Index(None, "project", "user_name"),
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
    sa.Column("label", sa.String(200), nullable=False, server_default=""),
    sa.Column("scope", sa.Text, nullable=True),  # JSON object; NULL: all that its holder may do
    time_column("last_used_at", nullable=True),
    sa.Column("replaces", sa.String(32), nullable=True),  # the token in whose place it was given
    sa.Index(None, "user_name", "created_at", "token_id"),
    sa.Index(None, "replaces"),
    sa.Index(None, "expires_at"),
)

groups = sa.Table(
    "groups",
    METADATA,
    name_column("name", primary_key=True),
    sa.Column("title", sa.String(200), nullable=True),
    name_column("created_by"),
    time_column("created_at"),
    time_column("removed_at", nullable=True),
)

group_members = sa.Table(
    "group_members",
    METADATA,
    name_column("group_name", sa.ForeignKey("groups.name"), primary_key=True),
    name_column("user_name", sa.ForeignKey("users.name"), primary_key=True),
    time_column("added_at"),
    sa.Index(None, "user_name"),
)

group_grants = sa.Table(
    "group_grants",
    METADATA,
    name_column("group_name", sa.ForeignKey("groups.name"), primary_key=True),
    name_column("project", primary_key=True),
    name_column("role"),
    sa.Column("endpoints", sa.Text, nullable=False),  # JSON list of names; `*` means all
    time_column("granted_at"),
    sa.Column("may", sa.Text, nullable=False, server_default="[]"),  # JSON list of rights beyond those of the role
)

custom_roles = sa.Table(
    "custom_roles",
    METADATA,
    name_column("project", primary_key=True),
    name_column("name", primary_key=True),
    sa.Column("rights", sa.Text, nullable=False),  # JSON list
    name_column("set_by"),
    time_column("at"),
)
