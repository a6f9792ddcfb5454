"""Where publications are kept; all of them, so that what a front did at any time can be explained."""

import sqlalchemy as sa

from muster.storage.schema import METADATA, time_column

publications = sa.Table(
    "publications",
    METADATA,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("subject", sa.String(200), nullable=False),
    time_column("at"),
    sa.Column("document", sa.Text, nullable=False),
    sa.Index(None, "subject", "number"),
)
