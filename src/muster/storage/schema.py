"""The one MetaData that every room's tables hang on, and the column types they share."""

import sqlalchemy as sa

METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def name_column(name: str, *args: sa.ForeignKey, primary_key: bool = False) -> sa.Column[str]:
    """A column for a name of the vocabulary."""
    return sa.Column(name, sa.String(64), *args, nullable=False, primary_key=primary_key)


def time_column(name: str, *, nullable: bool = False) -> sa.Column[str]:
    """A moment as RFC 3339 text (27 characters, UTC, microseconds): alike on every database, sorts as time."""
    return sa.Column(name, sa.String(27), nullable=nullable)
