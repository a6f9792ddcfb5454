"""Migrations against both databases."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from muster.access.roles import Right
from muster.access.store import every_project, grants_of, profiles, token_with_id
from muster.access.tokens import WHOLE
from muster.migrations.runner import _config, check, migrate
from muster.migrations.whole_schema import is_declared, whole_schema
from muster.storage.errors import DatabaseDamaged, SchemaMismatch
from muster.storage.transaction import Database
from muster.vocabulary.clock import rfc3339


def _closing(request: pytest.FixtureRequest, url: str) -> Database:
    database = Database(url)
    request.addfinalizer(database.close)
    return database


@pytest.fixture
def empty(empty_database_url: str, request: pytest.FixtureRequest) -> Database:
    return _closing(request, empty_database_url)


def test_the_migrations_make_exactly_the_tables_that_the_rooms_declare(empty: Database) -> None:
    """After all migrations there is no difference to what the rooms' `tables.py` declare."""
    migrate(empty)
    with empty.read() as tx:
        context = MigrationContext.configure(tx.connection, opts={"include_name": is_declared})
        differences = compare_metadata(context, whole_schema())
    assert differences == [], (
        "a table changed: run tools/new_migration.py (with --first, until the first release of Muster)"
    )


def test_constraints_and_indexes_bear_the_declared_names(empty: Database) -> None:
    """Names of constraints are those of the naming convention, so that later migrations can speak of them."""
    migrate(empty)
    with empty.read() as tx:
        found = sa.inspect(tx.connection)
        for table in whole_schema().tables.values():
            assert found.get_pk_constraint(table.name)["name"] == table.primary_key.name
            assert {
                index["name"] for index in found.get_indexes(table.name) if not index.get("duplicates_constraint")
            } == {index.name for index in table.indexes}
            assert {key["name"] for key in found.get_foreign_keys(table.name)} == {
                key.name for key in table.foreign_key_constraints
            }


def test_migrating_again_changes_nothing(empty: Database) -> None:
    """A database that is up to date stays as it is."""
    migrate(empty)
    migrate(empty)
    check(empty)


def test_two_who_migrate_at_once_do_it_once(empty_database_url: str, request: pytest.FixtureRequest) -> None:
    """Control and executor may start at the same moment on a new database."""
    failures: list[BaseException] = []
    begin = threading.Barrier(4)

    def one() -> None:
        database = Database(empty_database_url)
        try:
            begin.wait(30)
            migrate(database)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    check(_closing(request, empty_database_url))


def test_an_empty_database_is_not_up_to_date(empty: Database) -> None:
    """`check` says so rather than making anything."""
    with pytest.raises(SchemaMismatch, match="has schema none"):
        check(empty)
    with empty.read() as tx:
        assert sa.inspect(tx.connection).get_table_names() == []


@pytest.mark.parametrize("deed", [migrate, check])
def test_a_database_of_something_else_is_left_alone(empty: Database, deed: Callable[[Database], None]) -> None:
    """Tables without a mark of Muster's schema are somebody else's."""
    with empty.write() as tx:
        tx.execute(sa.text("CREATE TABLE wine (year INTEGER)"))
    with pytest.raises(SchemaMismatch, match="not one of Muster: it holds wine"):
        deed(empty)


@pytest.mark.parametrize("deed", [migrate, check])
def test_a_newer_schema_is_left_alone(empty: Database, deed: Callable[[Database], None]) -> None:
    """A version of Muster that does not know the schema neither downgrades nor uses it."""
    migrate(empty)
    with empty.write() as tx:
        tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaMismatch, match="schema 9999, of a newer version"):
        deed(empty)


def test_a_migration_that_fails_leaves_nothing_behind(empty: Database) -> None:
    """Schema changes are taken back as a whole, on SQLite as well."""
    statements: list[str] = []

    def watch(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)
        if "CREATE TABLE grants" in statement:
            raise RuntimeError("killed here")

    sa.event.listen(empty.engine, "before_cursor_execute", watch)

    with pytest.raises(RuntimeError, match="killed here"):
        migrate(empty)
    assert any("CREATE TABLE audit_events" in sql for sql in statements)
    sa.event.remove(empty.engine, "before_cursor_execute", watch)
    with empty.read() as tx:
        assert sa.inspect(tx.connection).get_table_names() == []
    migrate(empty)
    check(empty)


def test_a_file_that_is_no_database_is_named_damaged(tmp_path: Path) -> None:
    """Whatever lies at the database's path is not overwritten."""
    path = tmp_path / "muster.db"
    path.write_bytes(b"these are not the pages you are looking for" * 100)
    before = path.read_bytes()
    database = Database(f"sqlite:///{path}")
    with pytest.raises(DatabaseDamaged, match="file is not a database"):
        migrate(database)
    database.close()
    assert path.read_bytes() == before


def test_what_was_there_before_ramps_stands_at_their_beginning(empty: Database) -> None:
    """Releases and users of the first schema keep all they have: step 0, and no right beyond the role."""
    with empty.write() as tx:
        command.upgrade(_config(tx.connection), "0001")
        tx.connection.exec_driver_sql("INSERT INTO users (name, created_at) VALUES ('app', '2026-01-01')")
        tx.connection.exec_driver_sql(
            "INSERT INTO grants (user_name, project, role, endpoints, granted_at) "
            "VALUES ('app', 'default', 'consumer', '[\"churn\"]', '2026-01-01T00:00:00.000000Z')"
        )
        tx.connection.exec_driver_sql(
            "INSERT INTO endpoints (name, project, created_by, created_at) VALUES ('churn', 'default', 'ana', '2026-01-01')"
        )
        tx.connection.exec_driver_sql(
            "INSERT INTO releases (endpoint, number, project, state, plan, plan_digest, proposed_by, proposed_at, reason) "
            "VALUES ('churn', 1, 'default', 'live', '{}', 'sha256:0', 'ana', '2026-01-01', 'first')"
        )
    migrate(empty)
    with empty.read() as tx:
        assert tx.connection.exec_driver_sql("SELECT step FROM releases").scalars().all() == [0]
        (grant,) = grants_of(tx, "app")
    assert (grant.may, grant.endpoints) == ((), ("churn",))


def test_what_was_there_before_projects_belongs_to_them(empty: Database) -> None:
    """Every project that something belongs to becomes a row, programs become services, tokens stay good for all."""
    moment = "2026-01-01T00:00:00.000000Z"
    with empty.write() as tx:
        command.upgrade(_config(tx.connection), "0004")
        for name, project, role in (
            ("app", "risk", "consumer"),
            ("ana", "default", "admin"),
            ("olga", "risk", "operator"),
        ):
            tx.connection.exec_driver_sql(f"INSERT INTO users (name, created_at) VALUES ('{name}', '{moment}')")
            tx.connection.exec_driver_sql(
                "INSERT INTO grants (user_name, project, role, endpoints, granted_at, may) "
                f"VALUES ('{name}', '{project}', '{role}', '[\"*\"]', '{moment}', '[\"override\"]')"
            )
            tx.connection.exec_driver_sql(
                "INSERT INTO tokens (token_id, user_name, sha256, created_at) "
                f"VALUES ('tok_{name}', '{name}', '{name:0>64}', '{moment}')"
            )
        tx.connection.exec_driver_sql(
            f"INSERT INTO models (project, name, created_by, created_at) VALUES ('wine', 'red', 'ana', '{moment}')"
        )
    migrate(empty)
    check(empty)
    with empty.read() as tx:
        projects = {project.name: project for project in every_project(tx)}
        kinds = {name: str(profile.kind) for name, profile in profiles(tx).items()}
        (grant,) = grants_of(tx, "olga")
        token = token_with_id(tx, "tok_olga")
    assert set(projects) == {"default", "risk", "wine"}
    assert {(rfc3339(project.created_at), project.created_by) for project in projects.values()} == {(moment, "muster")}
    assert projects["risk"].quotas.as_document() == {}
    assert kinds == {"app": "service", "ana": "person", "olga": "person"}
    assert (grant.role, grant.endpoints, grant.may) == ("operator", ("*",), (Right.OVERRIDE,))
    assert token is not None
    assert (token.scope, token.label, token.last_used_at, token.replaces) == (WHOLE, "", None, None)
