"""Where the catalogue is kept. The words of the entries lie in a table of the database's own kind; see `store.Words`."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from muster.storage.schema import METADATA, name_column, time_column

#: Unlike a name of the vocabulary, the key is a number: the order in which entries came, by which searches are read page by page.
_PLACE = sa.BigInteger().with_variant(sa.Integer, "sqlite")

#: Sorts by code points on every database, so that what begins alike lies together.
_FACT = sa.String(260).with_variant(postgresql.VARCHAR(260, collation="C"), "postgresql")

catalogue_entries = sa.Table(
    "catalogue_entries",
    METADATA,
    sa.Column("place", _PLACE, primary_key=True, autoincrement=True),
    name_column("project"),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    name_column("owner"),
    time_column("at"),
    sa.Column("description", sa.Text, nullable=False),  # as much of it as is shown
    sa.Column("tags", sa.Text, nullable=False),  # JSON object
    sa.Column("digest", sa.String(71), nullable=True),
    sa.UniqueConstraint("project", "kind", "name"),
    sa.Index("ix_catalogue_entries_place", "project", "place"),
    sa.Index("ix_catalogue_entries_kind", "project", "kind", "place"),
    sa.Index("ix_catalogue_entries_state", "project", "state", "place"),
    sa.Index("ix_catalogue_entries_at", "project", "at", "place"),
)

catalogue_facts = sa.Table(
    "catalogue_facts",
    METADATA,
    name_column("project", primary_key=True),
    sa.Column("key", _FACT, primary_key=True),
    sa.Column("value", _FACT, primary_key=True),
    sa.Column("place", _PLACE, sa.ForeignKey("catalogue_entries.place"), primary_key=True, autoincrement=False),
    sa.Index("ix_catalogue_facts_place", "place", "key", "value"),
)

catalogue_figures = sa.Table(
    "catalogue_figures",
    METADATA,
    sa.Column("place", _PLACE, sa.ForeignKey("catalogue_entries.place"), primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(200), primary_key=True),
    name_column("project"),
    sa.Column("value", sa.Double, nullable=False),
    sa.Index("ix_catalogue_figures_value", "project", "name", "value", "place"),
)
