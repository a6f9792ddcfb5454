"""What can go wrong with the database itself."""

from muster.vocabulary.errors import Conflict, Damaged, Unavailable


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached, or does not accept writes."""

    code = "storage.unavailable"
    advice = "Check that the database named by `database` in settings.toml runs; for SQLite, that the disk is not full."


class SchemaMismatch(Damaged):
    """The database holds another schema than this version of Muster needs, or is no database of Muster."""

    code = "storage.schema-mismatch"
    advice = (
        "Use the version of Muster that made it, or restore a copy; an older schema is migrated when control starts."
    )


class DatabaseDamaged(Damaged):
    """The database's own files are not what it wrote: a bad disk, or something else wrote into them."""

    code = "storage.damaged"
    advice = "Stop the factory, keep the file for inspection, and restore a copy."


class WriteConflict(Conflict):
    """Two changes met, and this one lost; nothing of it was kept."""

    code = "storage.write-conflict"
    advice = "Ask again."
