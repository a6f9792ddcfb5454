"""Transactions: the only way to the database.

A write transaction on SQLite begins IMMEDIATE, so that two writers queue instead of failing half-way; on PostgreSQL it
is READ COMMITTED, with row locks where a store asks for them and named locks (`Transaction.lock`) where an order must
be kept. A read transaction sees one state of the database on both. What must happen only after the commit (telling
followers, writing the audit head) is handed to `after_commit`.
"""

import hashlib
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy import exc, pool

from muster.storage.errors import DatabaseDamaged, DatabaseUnavailable, SchemaMismatch, WriteConflict
from muster.vocabulary.errors import MusterError

_SQLITE_BUSY_MS = 15_000
_SWITCHED_AFTER_S = 0.01
#: SQLSTATE of what a PostgreSQL server says last: it was told to close the connection, it crashed, it is being stopped or started.
_CLOSED = frozenset({"57P01", "57P02", "57P03"})
#: PostgreSQL reads one state in one go only where it is asked to.
_BEGINS_READING = {"sqlite": "BEGIN", "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"}
_BEGINS_WRITING = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "BEGIN ISOLATION LEVEL READ COMMITTED"}
_LOG = structlog.get_logger(__name__)


class Transaction:
    """One unit of work; made by `Database`, used by stores, never kept."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._afterwards: list[Callable[[], None]] = []

    @property
    def connection(self) -> sa.Connection:
        """For migrations only."""
        return self._connection

    @property
    def is_postgresql(self) -> bool:
        """Whether PostgreSQL answers; for the few statements that differ."""
        return self._connection.dialect.name == "postgresql"

    def execute(self, statement: sa.Executable, parameters: Any = None) -> sa.CursorResult[Any]:
        """Run a statement."""
        return self._connection.execute(statement, parameters)

    def lock(self, *name: str) -> None:
        """Hold the lock of this name until the transaction ends; waits for whoever holds it.

        On SQLite a write transaction holds the only write lock there is already.
        """
        if self.is_postgresql:
            key = int.from_bytes(hashlib.sha256("\0".join(name).encode()).digest()[:8], "big", signed=True)
            self._connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.cast(key, sa.BigInteger))))

    def after_commit(self, deed: Callable[[], None]) -> None:
        """Do this once the transaction is committed; it is forgotten when the transaction fails."""
        self._afterwards.append(deed)

    def run_afterwards(self) -> None:
        """Do what was handed to `after_commit`, in order."""
        for deed in self._afterwards:
            try:
                deed()
            except Exception:  # noqa: BLE001 - the change is kept: its caller must not be told that it failed
                _LOG.exception("transaction.afterwards-failed", deed=repr(deed))


class Database:
    """A SQLite file or a PostgreSQL database.

    Args:
        url: `sqlite:///path` or `postgresql://user:password@host/name` (the driver is pg8000).
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = _engine(url)

    @property
    def engine(self) -> sa.Engine:
        """For migrations only."""
        return self._engine

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A transaction that sees one state of the database and changes nothing.

        Raises:
            DatabaseUnavailable: the database is gone.
        """
        with _named_errors(), self._begun(_BEGINS_READING) as connection:
            try:
                yield Transaction(connection)
            finally:
                connection.rollback()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that is committed when the block ends well, and leaves no trace otherwise.

        Raises:
            WriteConflict: a change that came first does not go with this one.
            DatabaseUnavailable: the database is gone, locked for too long, or its disk is full.
        """
        with _named_errors(), self._begun(_BEGINS_WRITING) as connection:
            transaction = Transaction(connection)
            try:
                yield transaction
            except BaseException:
                connection.rollback()
                raise
            connection.commit()
        transaction.run_afterwards()

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()

    @contextmanager
    def _begun(self, beginning: Mapping[str, str]) -> Iterator[sa.Connection]:
        """A connection with a transaction that was begun by a statement of ours.

        That statement also shows whether the connection still lives, so that nothing else need ask: as nothing was done yet, another
        one takes its place.
        """
        connection = self._engine.connect()
        try:
            try:
                connection.exec_driver_sql(beginning[connection.dialect.name])
            except exc.DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                # With it all others of its age are given up, so that this one is new.
                connection.close()
                connection = self._engine.connect()
                connection.exec_driver_sql(beginning[connection.dialect.name])
            yield connection
        finally:
            connection.close()


@contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except exc.TimeoutError as error:
        raise DatabaseUnavailable("no connection to the database became free in time") from error
    except exc.DBAPIError as error:
        named = _named(error)
        if named is None:
            raise
        raise named from error


def _named(error: exc.DBAPIError) -> MusterError | None:
    """What the driver's error means; None for one that is a mistake in Muster's own statements."""
    name = getattr(error.orig, "sqlite_errorname", None)
    if name is not None:
        return _named_sqlite(str(name), str(error.orig))
    told = error.orig.args[0] if error.orig is not None and error.orig.args else None
    if isinstance(
        told, dict
    ):  # pg8000 hands on the fields of the server's ErrorResponse: C is the SQLSTATE, M the message
        return _named_postgresql(str(told.get("C")), str(told.get("M")))
    if isinstance(error, exc.InterfaceError | exc.OperationalError):
        return DatabaseUnavailable(f"the database cannot be reached: {error.orig}")
    return None


def _named_sqlite(name: str, message: str) -> MusterError | None:
    match name.removeprefix("SQLITE_"):
        case "CONSTRAINT_UNIQUE" | "CONSTRAINT_PRIMARYKEY" | "CONSTRAINT_FOREIGNKEY":
            return WriteConflict(f"another change came first: {message}")
        case "CORRUPT" | "NOTADB":
            return DatabaseDamaged(f"the database file cannot be read: {message}")
        case "ERROR" if message.startswith(("no such table", "no such column")):
            return SchemaMismatch(f"the database holds another schema: {message}")
        case code if code.startswith(("BUSY", "LOCKED", "FULL", "IOERR", "CANTOPEN", "READONLY", "PROTOCOL")):
            return DatabaseUnavailable(f"the database did not do it: {message}")
    return None


#: SQLSTATE codes and classes (first two characters), with what they mean to a caller.
_MEANINGS: dict[str, tuple[type[MusterError], str]] = {
    "23505": (WriteConflict, "another change came first"),  # unique_violation
    "23503": (WriteConflict, "another change came first"),  # foreign_key_violation
    "40001": (WriteConflict, "two changes met"),  # serialization_failure
    "40P01": (WriteConflict, "two changes met"),  # deadlock_detected
    "42P01": (SchemaMismatch, "the database holds another schema"),  # undefined_table
    "42703": (SchemaMismatch, "the database holds another schema"),  # undefined_column
    "XX001": (DatabaseDamaged, "the database cannot be read"),  # data_corrupted
    "XX002": (DatabaseDamaged, "the database cannot be read"),  # index_corrupted
    "25006": (DatabaseUnavailable, "the database accepts no writes"),  # read_only_sql_transaction
    "55P03": (DatabaseUnavailable, "the database is locked"),  # lock_not_available
    "3D000": (DatabaseUnavailable, "the database does not exist"),  # invalid_catalog_name
    "42501": (DatabaseUnavailable, "the database's user lacks a privilege"),  # insufficient_privilege
    "08": (DatabaseUnavailable, "the database cannot be reached"),  # connection_exception
    "28": (DatabaseUnavailable, "the database refused the login"),  # invalid_authorization_specification
    "53": (DatabaseUnavailable, "the database is out of resources"),  # disk full, out of memory, too many connections
    "57": (DatabaseUnavailable, "the database was interrupted"),  # shutdown, cancelled statement
    "58": (DatabaseUnavailable, "the database met an error of its system"),  # io_error
}


def _named_postgresql(state: str, message: str) -> MusterError | None:
    meaning = _MEANINGS.get(state) or _MEANINGS.get(state[:2])
    return meaning and meaning[0](f"{meaning[1]}: {message}")


def _engine(url: str) -> sa.Engine:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return _postgresql_engine(parsed.set(drivername="postgresql+pg8000"))
    engine = sa.create_engine(
        parsed, poolclass=pool.QueuePool, connect_args={"check_same_thread": False, "timeout": _SQLITE_BUSY_MS / 1000}
    )

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
        connection.execute(f"PRAGMA busy_timeout={_SQLITE_BUSY_MS}")
        _switch_to_wal(connection)
        for pragma in ("synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _postgresql_engine(url: sa.URL) -> sa.Engine:
    # "AUTOCOMMIT" is what SQLAlchemy calls it when transactions begin where we say, not where the driver guesses.
    engine = sa.create_engine(url, pool_size=8, max_overflow=8, isolation_level="AUTOCOMMIT")

    @sa.event.listens_for(engine, "connect")
    def _send_at_once(connection: Any, _record: Any) -> None:
        """The driver writes a long statement in pieces, and the second would wait for the server to own up to the first: 40 ms."""
        wire = connection._usock  # noqa: SLF001 - the driver has no option for it
        if wire.family != socket.AF_UNIX:
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @sa.event.listens_for(engine, "handle_error")
    def _notice_the_end(context: sa.ExceptionContext) -> None:
        """The server says goodbye to a connection that it closes; the driver takes that for an error of the statement."""
        told = context.original_exception.args[0] if context.original_exception.args else None
        if isinstance(told, dict) and told.get("C") in _CLOSED:
            context.is_disconnect = True

    return engine


def _switch_to_wal(connection: Any) -> None:
    """Have the journal written ahead.

    Several who open a new file at once all want to switch it, and SQLite waits for none of them while it switches: whoever comes
    too late is told at once that the file is locked, and tries again.
    """
    until = time.monotonic() + _SQLITE_BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_SWITCHED_AFTER_S)
        else:
            return
