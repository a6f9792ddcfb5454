"""Brings a database to the schema of this version of Muster, and says whether it is there."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from muster.storage.errors import SchemaMismatch
from muster.storage.transaction import Database


def migrate(database: Database) -> None:
    """Make the schema, or bring it up to date; two at once do it once, and a failure leaves the schema as it was.

    Raises:
        SchemaMismatch: the database belongs to a newer version of Muster, or to something else.
        DatabaseUnavailable: it cannot be reached or written.
    """
    with database.write() as tx:
        tx.lock("muster.migrations")
        present = _present(tx.connection)
        if present != _scripts().get_current_head():
            command.upgrade(_config(tx.connection), "head")


def check(database: Database) -> None:
    """Nothing, if the schema is the one this version needs.

    Raises:
        SchemaMismatch: it is older, newer or none of Muster's.
    """
    needed = _scripts().get_current_head()
    with database.read() as tx:
        present = _present(tx.connection)
    if present != needed:
        raise SchemaMismatch(
            f"the database has schema {present or 'none'}; this version of Muster needs {needed}",
            present=present,
            needed=needed,
        )


def _present(connection: sa.Connection) -> str | None:
    """The schema the database has; None for an empty database.

    Raises:
        SchemaMismatch: a schema this version does not know, or tables that are not Muster's.
    """
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is None:
        if tables := sa.inspect(connection).get_table_names():
            raise SchemaMismatch(
                f"the database is not one of Muster: it holds {', '.join(tables[:5])} and no mark of a schema",
                tables=tables[:5],
            )
        return None
    known = [script.revision for script in _scripts().walk_revisions()]
    if revision not in known:
        raise SchemaMismatch(
            f"the database has schema {revision}, of a newer version of Muster; this one knows {', '.join(sorted(known))}",
            present=revision,
            known=sorted(known),
        )
    return revision


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config(connection: sa.Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
