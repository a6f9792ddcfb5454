"""Where models and versions are kept; neither is ever removed."""

import sqlalchemy as sa

from muster.storage.schema import METADATA, name_column, time_column

models = sa.Table(
    "models",
    METADATA,
    name_column("project", primary_key=True),
    name_column("name", primary_key=True),
    name_column("created_by"),
    time_column("created_at"),
    # What may change of a model, and so is no part of any digest. Empty only in the migration that adds them.
    sa.Column("owner", sa.String(64), nullable=False, server_default=""),
    sa.Column("deputy", sa.String(64), nullable=True),
    sa.Column("description", sa.Text, nullable=False, server_default=""),
    sa.Column("business_metric", sa.Text, nullable=False, server_default=""),
    sa.Column("tags", sa.Text, nullable=False, server_default="{}"),  # JSON object
)

versions = sa.Table(
    "versions",
    METADATA,
    name_column("project", primary_key=True),
    name_column("model", primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("digest", sa.String(71), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    name_column("registered_by"),
    time_column("registered_at"),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("owners", sa.Text, nullable=False),  # JSON list of names
    sa.Column("authors", sa.Text, nullable=False),  # JSON list of names
    sa.Column("tags", sa.Text, nullable=False),  # JSON object
    sa.Column("contract", sa.Text, nullable=False),  # JSON of wire.contracts.Contract
    sa.Column("contract_digest", sa.String(71), nullable=False),
    sa.Column("lock_digest", sa.String(71), nullable=False),
    sa.Column("python", sa.String(32), nullable=False),
    sa.Column("files", sa.Integer, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("project", "digest"),  # the same bytes are the same version
    sa.ForeignKeyConstraint(["project", "model"], ["models.project", "models.name"]),
    sa.Index(None, "project", "size"),  # what a project's quotas count, without a look at the rows
    sa.CheckConstraint("number >= 1", name="number_positive"),
)

package_rules = sa.Table(
    "package_rules",
    METADATA,
    name_column("project", primary_key=True),
    sa.Column("rules", sa.Text, nullable=False),  # JSON of environments.trust
    name_column("set_by"),
    time_column("at"),
)
