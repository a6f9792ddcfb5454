"""What a provider says of somebody's groups, from the browser's coming back until the sign-in is finished."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new."""
    op.add_column("oidc_flows", sa.Column("groups", sa.Text(), nullable=True))
