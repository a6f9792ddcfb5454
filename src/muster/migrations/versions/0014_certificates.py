"""Signed certificates that end, the keys they are signed with, notices; sessions that are begun again and keep what is done."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new."""
    op.add_column("sessions", sa.Column("attempt", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("sessions", sa.Column("deaths", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "session_kept",
        sa.Column("session", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("key", sa.String(length=71), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["session"], ["sessions.id"], name=op.f("fk_session_kept_session")),
        sa.PrimaryKeyConstraint("session", "name", name=op.f("pk_session_kept")),
    )
    op.add_column("certificates", sa.Column("standard", sa.Text(), nullable=True))
    op.add_column("certificates", sa.Column("expires_at", sa.String(length=27), nullable=True))
    op.add_column("certificates", sa.Column("renew_at", sa.String(length=27), nullable=True))
    op.add_column("certificates", sa.Column("envelope", sa.Text(), nullable=True))
    op.create_table(
        "certificate_keys",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("pem", sa.Text(), nullable=False),
        sa.Column("added_at", sa.String(length=27), nullable=False),
        sa.Column("added_by", sa.String(length=64), nullable=False),
        sa.Column("revoked_at", sa.String(length=27), nullable=True),
        sa.Column("revoked_by", sa.String(length=64), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificate_keys")),
    )
    op.create_table(
        "certificate_signatures",
        sa.Column("session", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("signed_by", sa.String(length=64), nullable=False),
        sa.Column("sig", sa.Text(), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["session"], ["certificates.session"], name=op.f("fk_certificate_signatures_session")),
        sa.ForeignKeyConstraint(["key"], ["certificate_keys.id"], name=op.f("fk_certificate_signatures_key")),
        sa.PrimaryKeyConstraint("session", "key", name=op.f("pk_certificate_signatures")),
    )
    op.create_table(
        "certificate_notices",
        sa.Column("certificate", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("work", sa.String(length=40), nullable=True),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(
            ["certificate"], ["certificates.session"], name=op.f("fk_certificate_notices_certificate")
        ),
        sa.PrimaryKeyConstraint("certificate", "kind", name=op.f("pk_certificate_notices")),
    )
    op.create_index(op.f("ix_certificate_notices_project_at"), "certificate_notices", ["project", "at"], unique=False)
    # What was interrupted before this version of Muster stays as it was left: nobody waits for it any more.
    op.execute("UPDATE sessions SET state = 'failed' WHERE state = 'interrupted'")
