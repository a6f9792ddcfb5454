"""Seals of environments, compiled twins, rules about packages."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new."""
    op.create_table(
        "package_rules",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("set_by", sa.String(length=64), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("project", name=op.f("pk_package_rules")),
    )
    op.create_table(
        "seals",
        sa.Column("environment", sa.String(length=71), nullable=False),
        sa.Column("seal", sa.String(length=71), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("environment", name=op.f("pk_seals")),
    )
    op.create_table(
        "twins",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("manifest", sa.String(length=71), nullable=False),
        sa.Column("environment", sa.String(length=71), nullable=False),
        sa.Column("session", sa.String(length=40), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("flips", sa.Integer(), nullable=False),
        sa.Column("largest", sa.Text(), nullable=False),
        sa.Column("tolerance", sa.Text(), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(
            ["project", "model", "number"],
            ["versions.project", "versions.model", "versions.number"],
            name=op.f("fk_twins_project_model_number"),
        ),
        sa.ForeignKeyConstraint(["session"], ["sessions.id"], name=op.f("fk_twins_session")),
        sa.PrimaryKeyConstraint("project", "model", "number", "manifest", name=op.f("pk_twins")),
    )
    op.add_column("certificates", sa.Column("seal", sa.String(length=71), nullable=True))
    op.add_column("certificates", sa.Column("twin", sa.String(length=71), nullable=True))
