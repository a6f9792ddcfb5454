"""Where evaluation sets, and what versions answered to them, are kept; sets are never changed."""

import sqlalchemy as sa

from muster.storage.schema import METADATA, name_column, time_column

evaluation_sets = sa.Table(
    "evaluation_sets",
    METADATA,
    name_column("project", primary_key=True),
    name_column("model", primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("digest", sa.String(71), nullable=False),
    sa.Column("blob", sa.String(71), nullable=False),  # under which the store has it, salted
    sa.Column("source", sa.String(71), nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("columns", sa.Text, nullable=False),  # JSON list
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("against", sa.Integer, nullable=False),
    name_column("sealed_by"),
    time_column("sealed_at"),
    sa.Column("reason", sa.Text, nullable=False),
    sa.ForeignKeyConstraint(["project", "model"], ["models.project", "models.name"]),
    sa.CheckConstraint("number >= 1", name="number_positive"),
)

#: What a version answered to a set in an environment, so that a champion need not be asked again.
evaluation_answers = sa.Table(
    "evaluation_answers",
    METADATA,
    sa.Column("manifest", sa.String(71), primary_key=True),
    sa.Column("evaluation", sa.String(71), primary_key=True),  # digest of the set
    sa.Column("environment", sa.String(71), primary_key=True),
    sa.Column("answers", sa.String(71), nullable=False),
    time_column("at"),
)
