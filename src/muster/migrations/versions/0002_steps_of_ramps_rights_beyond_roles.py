"""Steps of ramps, rights beyond roles."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new."""
    op.add_column("grants", sa.Column("may", sa.Text(), server_default="[]", nullable=False))
    op.add_column("releases", sa.Column("step", sa.Integer(), server_default="0", nullable=False))
