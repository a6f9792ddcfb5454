"""What a release breaks of the contract before it, which consumers have agreed; and indexes for lists that have grown long."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new."""
    op.add_column("releases", sa.Column("breaks", sa.Text(), nullable=True))
    op.create_table(
        "release_acknowledgements",
        sa.Column("endpoint", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("consumer", sa.String(length=64), nullable=False),
        sa.Column("before", sa.String(length=71), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("acknowledged_by", sa.String(length=64), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint", "number"],
            ["releases.endpoint", "releases.number"],
            name=op.f("fk_release_acknowledgements_endpoint_number"),
        ),
        sa.PrimaryKeyConstraint("endpoint", "number", "consumer", "before", name=op.f("pk_release_acknowledgements")),
    )
    op.create_index(op.f("ix_audit_events_project_sequence"), "audit_events", ["project", "sequence"])
    op.create_index(op.f("ix_grants_project_user_name"), "grants", ["project", "user_name"])
    op.create_index(op.f("ix_versions_project_size"), "versions", ["project", "size"])
    op.drop_index(op.f("ix_tokens_user_name"), table_name="tokens")
    op.create_index(op.f("ix_tokens_user_name_created_at_token_id"), "tokens", ["user_name", "created_at", "token_id"])
