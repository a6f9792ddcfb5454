"""Signed certificates that end, the keys they are signed with, notices; sessions that are begun again and keep what is done."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0011"
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
    # What was interrupted before this version of Muster stays as it was left: nobody waits for it any more.
    op.execute("UPDATE sessions SET state = 'failed' WHERE state = 'interrupted'")
