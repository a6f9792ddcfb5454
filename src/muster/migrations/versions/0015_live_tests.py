"""Live-tests: versions on trial beside releases."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new."""
    op.create_table(
        "live_tests",
        sa.Column("endpoint", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("manifest", sa.String(length=71), nullable=False),
        sa.Column("release", sa.Integer(), nullable=False),
        sa.Column("beside", sa.Text(), nullable=False),
        sa.Column("deadline_ms", sa.Float(precision=53), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=True),
        sa.Column("hours", sa.Float(precision=53), nullable=True),
        sa.Column("share", sa.Float(precision=53), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("started_by", sa.String(length=64), nullable=False),
        sa.Column("started_at", sa.String(length=27), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("running_at", sa.String(length=27), nullable=True),
        sa.Column("ended_at", sa.String(length=27), nullable=True),
        sa.Column("counted_to", sa.String(length=27), nullable=True),
        sa.Column("figures", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("session", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(["endpoint"], ["endpoints.name"], name=op.f("fk_live_tests_endpoint")),
        sa.PrimaryKeyConstraint("endpoint", "number", name=op.f("pk_live_tests")),
    )
    op.create_index(op.f("ix_live_tests_state"), "live_tests", ["state"], unique=False)
    op.create_index(
        op.f("ix_live_tests_project_manifest_state"), "live_tests", ["project", "manifest", "state"], unique=False
    )
