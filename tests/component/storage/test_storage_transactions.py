"""Transactions on both databases."""

import gc
import socket
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from muster.storage.errors import DatabaseDamaged, DatabaseUnavailable, SchemaMismatch, WriteConflict
from muster.storage.transaction import Database, Transaction

THINGS = sa.Table("things", sa.MetaData(), sa.Column("name", sa.String(40), primary_key=True))


@pytest.fixture
def things(empty_database_url: str) -> Iterator[Database]:
    """A database with one table."""
    database = Database(empty_database_url)
    THINGS.metadata.create_all(database.engine)
    yield database
    database.close()


def _names(tx: Transaction) -> set[str]:
    return set(tx.execute(sa.select(THINGS.c.name)).scalars())


def _add(tx: Transaction, name: str) -> None:
    tx.execute(sa.insert(THINGS).values(name=name))


def test_what_is_written_is_there_afterwards(things: Database) -> None:
    """A block that ends well is kept."""
    with things.write() as tx:
        _add(tx, "a")
    with things.read() as tx:
        assert _names(tx) == {"a"}


def test_a_block_that_fails_leaves_no_trace(things: Database) -> None:
    """An error takes everything back, and nothing that was left for afterwards is done."""
    done = []
    with pytest.raises(ZeroDivisionError), things.write() as tx:  # noqa: PT012 - the block is the subject
        _add(tx, "a")
        tx.after_commit(lambda: done.append("a"))
        raise ZeroDivisionError
    with things.read() as tx:
        assert _names(tx) == set()
    assert done == []


def test_what_comes_afterwards_sees_the_change_and_keeps_its_order(things: Database) -> None:
    """Deeds left for after the commit are done in order, once others can see the change."""
    seen: list[object] = []

    def look() -> None:
        with things.read() as reading:
            seen.append(_names(reading))

    with things.write() as tx:
        _add(tx, "a")
        tx.after_commit(look)
        tx.after_commit(lambda: seen.append("then"))
        assert seen == []
    assert seen == [{"a"}, "then"]


def test_a_failure_afterwards_does_not_deny_the_change(things: Database) -> None:
    """The change is kept, so its caller is not told that it failed; what comes after is still done."""
    done = []

    def fail() -> None:
        raise OSError("the head file's disk is full")

    with things.write() as tx:
        _add(tx, "a")
        tx.after_commit(fail)
        tx.after_commit(lambda: done.append("b"))
    assert done == ["b"]


def test_reading_sees_one_state(things: Database) -> None:
    """A change that is committed while somebody reads does not show up half-way through."""
    with things.read() as reading:
        assert _names(reading) == set()
        with things.write() as writing:
            _add(writing, "a")
        assert _names(reading) == set()
    with things.read() as reading:
        assert _names(reading) == {"a"}


def test_a_taken_key_is_a_write_conflict(things: Database) -> None:
    """The second of two who add the same thing is told that somebody came first."""
    with things.write() as tx:
        _add(tx, "a")
    with pytest.raises(WriteConflict, match="another change came first"), things.write() as tx:
        _add(tx, "a")


def test_a_mistake_in_a_statement_is_no_condition_of_the_database(things: Database) -> None:
    """Errors of our own are not given the name of an error that one should wait for."""
    with pytest.raises(sa.exc.DBAPIError), things.write() as tx:
        tx.execute(sa.text("SELECT is not SQL"))
    with pytest.raises(sa.exc.DBAPIError), things.write() as tx:
        tx.execute(sa.text("INSERT INTO things (name) VALUES (NULL)"))


def test_a_missing_table_is_another_schema(things: Database) -> None:
    """An old or foreign database is named as such."""
    with pytest.raises(SchemaMismatch, match="another schema"), things.read() as tx:
        tx.execute(sa.text("SELECT * FROM wine"))


def test_writers_queue(things: Database) -> None:
    """Many writers at once all get their turn, each reading what the ones before it wrote."""
    failures: list[BaseException] = []
    begin = threading.Barrier(8)

    def count() -> None:
        try:
            begin.wait(30)
            for _ in range(10):
                with things.write() as tx:
                    tx.lock("counter")
                    _add(tx, f"{len(_names(tx)):04d}")
        except Exception as error:  # noqa: BLE001 - the main thread looks at it
            failures.append(error)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with things.read() as tx:
        assert _names(tx) == {f"{number:04d}" for number in range(80)}


def test_named_locks_of_different_names_do_not_wait_for_each_other(postgresql_url: str) -> None:
    """On PostgreSQL only those wait who ask for the same lock."""
    database = Database(postgresql_url)
    with database.write() as one:
        one.lock("idempotency", "ana", "1")
        with pytest.raises(DatabaseUnavailable, match="is locked"), database.write() as other:  # noqa: PT012 - the block is the subject
            other.execute(sa.text("SET LOCAL lock_timeout = '50ms'"))
            other.lock("idempotency", "ana", "2")
            other.lock("idempotency", "ana", "1")
    database.close()


@pytest.mark.parametrize(
    "url", ["postgresql://muster:secret@127.0.0.1:1/muster", "sqlite:////nowhere/at/all/muster.db"]
)
def test_a_database_that_is_not_there_is_unavailable(url: str) -> None:
    """No server and no folder are the same to a caller: the database cannot be reached."""
    database = Database(url)
    for transaction in (database.read, database.write):
        with pytest.raises(DatabaseUnavailable), transaction():
            pass
    database.close()


def test_a_wrong_password_is_unavailable_and_not_repeated(postgresql_url: str) -> None:
    """A refused login is named, without the password in the message."""
    database = Database(
        str(sa.make_url(postgresql_url).set(password="wrong-one").render_as_string(hide_password=False))
    )
    with pytest.raises(DatabaseUnavailable, match="refused the login") as refused, database.read():
        pass
    assert "wrong-one" not in str(refused.value)
    database.close()


# The driver leaves the buffer of a dead socket to the garbage collector, which complains of it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_lost_connection_costs_one_call(postgresql_url: str) -> None:
    """After the server dropped a connection the call under way fails, and the next one works."""
    database, other = Database(postgresql_url), Database(postgresql_url)
    with pytest.raises(DatabaseUnavailable), database.write() as tx:  # noqa: PT012 - the block is the subject
        backend = tx.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
        with other.write() as killer:
            killer.execute(sa.select(sa.func.pg_terminate_backend(backend)))
        tx.execute(sa.text("SELECT 1"))
    with database.read() as tx:
        assert tx.execute(sa.text("SELECT 1")).scalar_one() == 1
    database.close()
    other.close()
    gc.collect()


def test_a_locked_sqlite_file_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that holds the file for longer than one waits makes the database unavailable, nothing worse."""
    monkeypatch.setattr("muster.storage.transaction._SQLITE_BUSY_MS", 50)
    path = tmp_path / "muster.db"
    database = Database(f"sqlite:///{path}")
    THINGS.metadata.create_all(database.engine)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailable, match="database is locked"), database.write():
        pass
    with database.read() as tx:
        assert _names(tx) == set()
    holder.close()
    database.close()


def test_those_who_open_a_new_file_at_once_all_get_it(tmp_path: Path) -> None:
    """Each wants to switch its journal, and SQLite lets nobody wait for that: nobody is told that the file is locked."""
    failures: list[BaseException] = []

    def one(url: str, begin: threading.Barrier) -> None:
        database = Database(url)
        try:
            begin.wait(30)
            with database.write():
                pass
        except BaseException as error:  # noqa: BLE001
            failures.append(error)
        finally:
            database.close()

    for number in range(300):
        begin = threading.Barrier(4)
        threads = [threading.Thread(target=one, args=(f"sqlite:///{tmp_path}/{number}.db", begin)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_a_full_disk_is_unavailable_and_takes_the_change_back(tmp_path: Path) -> None:
    """SQLite that cannot grow says so, and what was there before is still readable."""
    database = Database(f"sqlite:///{tmp_path}/muster.db")
    THINGS.metadata.create_all(database.engine)
    with database.write() as tx:
        _add(tx, "kept")
    with pytest.raises(DatabaseUnavailable, match="full"), database.write() as tx:  # noqa: PT012 - the block is the subject
        pages = tx.execute(sa.text("PRAGMA page_count")).scalar_one()
        tx.execute(sa.text(f"PRAGMA max_page_count = {pages}"))
        for number in range(2000):
            _add(tx, f"{number:030d}")
    with database.read() as tx:
        assert _names(tx) == {"kept"}
    database.close()


def test_a_damaged_sqlite_file_is_named_so(tmp_path: Path) -> None:
    """Overwritten pages are damage, not a condition to wait out."""
    path = tmp_path / "muster.db"
    database = Database(f"sqlite:///{path}")
    THINGS.metadata.create_all(database.engine)
    with database.write() as tx:
        for number in range(2000):
            _add(tx, f"{number:030d}")
    database.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(DatabaseDamaged, match="malformed"), database.read() as tx:
        _names(tx)
    database.close()


def test_committed_changes_survive_a_kill(tmp_path: Path) -> None:
    """SQLite is set to write through, and foreign keys hold."""
    database = Database(f"sqlite:///{tmp_path}/muster.db")
    with database.read() as tx:
        settings = {
            name: tx.execute(sa.text(f"PRAGMA {name}")).scalar_one()
            for name in ("synchronous", "journal_mode", "foreign_keys")
        }
    database.close()
    assert settings == {"synchronous": 2, "journal_mode": "wal", "foreign_keys": 1}


@pytest.mark.parametrize("deed", ["read", "write"])
def test_connections_that_the_server_ended_are_replaced(postgresql_url: str, deed: str) -> None:
    """After a restart of PostgreSQL the first transaction is like any other: it gets a new connection, and nothing is done twice."""
    cut, other = Database(postgresql_url), Database(postgresql_url)
    asked = sa.text("SELECT pg_backend_pid()")
    with cut.read() as one, cut.read() as two:
        before = [tx.execute(asked).scalar_one() for tx in (one, two)]
    with other.read() as tx:
        ended = sa.text("SELECT pg_terminate_backend(CAST(:pid AS INTEGER), 10000)")
        assert all(tx.execute(ended, {"pid": pid}).scalar_one() for pid in before)
    with (cut.read if deed == "read" else cut.write)() as one, cut.read() as two:
        assert not set(before) & {tx.execute(asked).scalar_one() for tx in (one, two)}
        is_read_only = one.execute(sa.text("SHOW transaction_read_only")).scalar_one()
    assert is_read_only == ("on" if deed == "read" else "off")
    cut.close()
    other.close()


def test_long_statements_are_sent_at_once(postgresql_url: str) -> None:
    """No piece of one waits for the server to own up to the piece before (Nagle's algorithm)."""
    database = Database(postgresql_url)
    with database.engine.connect() as connection:
        wire = connection.connection.driver_connection._usock  # type: ignore[union-attr]
        assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    database.close()
