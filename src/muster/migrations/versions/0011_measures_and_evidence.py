"""Measures of sessions and evidence of certificates."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new."""
    op.create_table(
        "session_measures",
        sa.Column("session", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("computed_over", sa.String(length=100), nullable=False),
        sa.Column("slice", sa.String(length=200), nullable=False),
        sa.Column("definition", sa.Integer(), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("value", sa.Float(precision=53), nullable=False),
        sa.Column("low", sa.Float(precision=53), nullable=True),
        sa.Column("high", sa.Float(precision=53), nullable=True),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["session"], ["sessions.id"], name=op.f("fk_session_measures_session")),
        sa.PrimaryKeyConstraint("session", "name", "computed_over", "slice", name=op.f("pk_session_measures")),
    )
    op.create_index(
        op.f("ix_session_measures_project_model_name_at"),
        "session_measures",
        ["project", "model", "name", "at"],
        unique=False,
    )
    op.add_column("certificates", sa.Column("evidence", sa.String(length=71), nullable=True))
