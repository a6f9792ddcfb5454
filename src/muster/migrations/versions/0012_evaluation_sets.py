"""Evaluation sets, what versions answered to them, and the tables that curves of sessions are derived from."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new."""
    op.create_table(
        "evaluation_sets",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("blob", sa.String(length=71), nullable=False),
        sa.Column("source", sa.String(length=71), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("columns", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("against", sa.Integer(), nullable=False),
        sa.Column("sealed_by", sa.String(length=64), nullable=False),
        sa.Column("sealed_at", sa.String(length=27), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint("number >= 1", name=op.f("ck_evaluation_sets_number_positive")),
        sa.ForeignKeyConstraint(
            ["project", "model"], ["models.project", "models.name"], name=op.f("fk_evaluation_sets_project_model")
        ),
        sa.PrimaryKeyConstraint("project", "model", "number", name=op.f("pk_evaluation_sets")),
    )
    op.create_table(
        "evaluation_answers",
        sa.Column("manifest", sa.String(length=71), nullable=False),
        sa.Column("evaluation", sa.String(length=71), nullable=False),
        sa.Column("environment", sa.String(length=71), nullable=False),
        sa.Column("answers", sa.String(length=71), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("manifest", "evaluation", "environment", name=op.f("pk_evaluation_answers")),
    )
    op.create_table(
        "session_tables",
        sa.Column("session", sa.String(length=40), nullable=False),
        sa.Column("computed_over", sa.String(length=100), nullable=False),
        sa.Column("slice", sa.String(length=200), nullable=False),
        sa.Column("part", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.ForeignKeyConstraint(["session"], ["sessions.id"], name=op.f("fk_session_tables_session")),
        sa.PrimaryKeyConstraint("session", "computed_over", "slice", "part", name=op.f("pk_session_tables")),
    )
