"""Where files of vulnerabilities are listed; nothing of it is ever removed. What they hold lies in the store."""

import sqlalchemy as sa

from muster.storage.schema import METADATA, name_column, time_column

vulnerability_files = sa.Table(
    "vulnerability_files",
    METADATA,
    name_column("project", primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("digest", sa.String(71), nullable=False),
    sa.Column("as_of", sa.String(40), nullable=False),
    sa.Column("sheets", sa.Text, nullable=False),  # JSON object: ecosystem → digest
    sa.Column("records", sa.Integer, nullable=False),
    sa.Column("skipped", sa.Integer, nullable=False),
    name_column("imported_by"),
    time_column("at"),
    sa.Column("reason", sa.Text, nullable=False),
    sa.CheckConstraint("number >= 1", name="number_positive"),
)
