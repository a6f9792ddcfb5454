"""Where keys, people's signatures and notices are kept; rows are only ever added, but a key may be revoked."""

import sqlalchemy as sa

from muster.storage.schema import METADATA, name_column, time_column

certificate_keys = sa.Table(
    "certificate_keys",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("owner", sa.String(64), nullable=False),  # empty: the factory's own
    sa.Column("pem", sa.Text, nullable=False),
    time_column("added_at"),
    name_column("added_by"),
    time_column("revoked_at", nullable=True),
    sa.Column("revoked_by", sa.String(64), nullable=True),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
)

certificate_signatures = sa.Table(
    "certificate_signatures",
    METADATA,
    sa.Column("session", sa.String(40), sa.ForeignKey("certificates.session"), primary_key=True),
    sa.Column("key", sa.String(64), sa.ForeignKey("certificate_keys.id"), primary_key=True),
    name_column("signed_by"),
    sa.Column("sig", sa.Text, nullable=False),
    time_column("at"),
)

certificate_notices = sa.Table(
    "certificate_notices",
    METADATA,
    sa.Column("certificate", sa.String(40), sa.ForeignKey("certificates.session"), primary_key=True),
    sa.Column("kind", sa.String(32), primary_key=True),
    name_column("project"),
    name_column("model"),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("told", sa.Text, nullable=False),
    sa.Column("work", sa.String(40), nullable=True),
    time_column("at"),
    sa.Index(None, "project", "at"),
)
