"""Projects, groups, roles of one's own, scopes and labels of tokens, and who has asked what."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

#: Tables of which each row belongs to a project.
_OF_PROJECTS = ("grants", "models", "endpoints", "sessions")


def upgrade() -> None:
    """Add what is new; the projects that there are become rows."""
    op.add_column("users", sa.Column("kind", sa.String(length=16), server_default="person", nullable=False))
    for name in ("title", "contact", "channel"):
        op.add_column("users", sa.Column(name, sa.String(length=200), nullable=True))
    op.add_column("tokens", sa.Column("label", sa.String(length=200), server_default="", nullable=False))
    op.add_column("tokens", sa.Column("scope", sa.Text(), nullable=True))
    op.add_column("tokens", sa.Column("last_used_at", sa.String(length=27), nullable=True))
    op.add_column("tokens", sa.Column("replaces", sa.String(length=32), nullable=True))
    op.create_index(op.f("ix_tokens_replaces"), "tokens", ["replaces"])
    with op.batch_alter_table("grants") as grants:  # SQLite makes the table anew
        grants.alter_column(
            "role", existing_type=sa.String(length=16), type_=sa.String(length=64), existing_nullable=False
        )
    _add_tables()
    _note_projects()
    op.execute(
        "UPDATE users SET kind = 'service' WHERE name IN (SELECT user_name FROM grants WHERE role IN ('consumer', 'front'))"
        " AND name NOT IN (SELECT user_name FROM grants WHERE role NOT IN ('consumer', 'front'))"
    )


def _add_tables() -> None:
    op.create_table(
        "projects",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=True),
        sa.Column("contact", sa.String(length=200), nullable=True),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.String(length=27), nullable=False),
        sa.Column("quotas", sa.Text(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_projects")),
    )
    op.create_table(
        "groups",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=True),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.String(length=27), nullable=False),
        sa.Column("removed_at", sa.String(length=27), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_groups")),
    )
    op.create_table(
        "group_members",
        sa.Column("group_name", sa.String(length=64), nullable=False),
        sa.Column("user_name", sa.String(length=64), nullable=False),
        sa.Column("added_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["group_name"], ["groups.name"], name=op.f("fk_group_members_group_name")),
        sa.ForeignKeyConstraint(["user_name"], ["users.name"], name=op.f("fk_group_members_user_name")),
        sa.PrimaryKeyConstraint("group_name", "user_name", name=op.f("pk_group_members")),
    )
    op.create_index(op.f("ix_group_members_user_name"), "group_members", ["user_name"])
    op.create_table(
        "group_grants",
        sa.Column("group_name", sa.String(length=64), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("endpoints", sa.Text(), nullable=False),
        sa.Column("granted_at", sa.String(length=27), nullable=False),
        sa.Column("may", sa.Text(), server_default="[]", nullable=False),
        sa.ForeignKeyConstraint(["group_name"], ["groups.name"], name=op.f("fk_group_grants_group_name")),
        sa.PrimaryKeyConstraint("group_name", "project", name=op.f("pk_group_grants")),
    )
    op.create_table(
        "custom_roles",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("rights", sa.Text(), nullable=False),
        sa.Column("set_by", sa.String(length=64), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("project", "name", name=op.f("pk_custom_roles")),
    )
    op.create_table(
        "consumer_uses",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("endpoint", sa.String(length=64), nullable=False),
        sa.Column("consumer", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=80), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("project", "endpoint", "consumer", "version", "day", name=op.f("pk_consumer_uses")),
    )
    op.create_index(op.f("ix_consumer_uses_endpoint_day"), "consumer_uses", ["endpoint", "day"])
    op.create_table(
        "consumer_files",
        sa.Column("path", sa.String(length=300), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_consumer_files")),
    )


def _note_projects() -> None:
    """`default`, and every project that something belongs to; as old as the factory's first user."""
    connection = op.get_bind()
    names = {"default"}
    for table in _OF_PROJECTS:
        names |= set(connection.execute(sa.text(f"SELECT DISTINCT project FROM {table}")).scalars())  # noqa: S608 - names from above
    oldest = connection.execute(sa.text("SELECT min(created_at) FROM users")).scalar()
    since = oldest or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    for name in sorted(names):
        connection.execute(
            sa.text("INSERT INTO projects (name, created_by, created_at) VALUES (:name, 'muster', :since)"),
            {"name": name, "since": since},
        )
