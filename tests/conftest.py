"""What every test may ask for: real databases on SQLite and PostgreSQL, a clock that stands still, an object store.

And how two processes share the tests (`make test`): one takes the factories of tests/system, one after another, as each of them
wants the machine for itself; the other takes the rest by file.
"""

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
import structlog
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from muster.migrations.runner import migrate
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from real_postgresql import running_postgresql
from real_s3 import running_s3

_BOTH = ["sqlite", "postgresql"]
_NUMBERS = itertools.count(1)
_FACTORIES = "tests/system/"


class _FactoriesApart(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """All tests that start whole factories are one unit of work, every other file is one."""

    def _split_scope(self, nodeid: str) -> str:
        return _FACTORIES if nodeid.startswith(_FACTORIES) else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """How the tests are shared where there are several processes for them (`-n 2`)."""
    return _FactoriesApart(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The factories first: they are the longest unit of work."""
    items.sort(key=lambda item: not item.nodeid.startswith(_FACTORIES))


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command that runs in this process puts its logs aside: not those of the tests that follow."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def clock() -> FixedClock:
    """A clock that stands still until the test moves it."""
    return FixedClock(datetime(2026, 11, 21, 9, 30, tzinfo=UTC))


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A real PostgreSQL that this test run started for itself; without its programs the run fails, it never skips."""
    with running_postgresql() as url:
        yield url


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of an object store that speaks S3, in a process of its own."""
    with running_s3() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("template") / "muster.db"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    database.close()  # the last connection writes the log back, so that the file alone is the database
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgresql_url: str) -> str:
    """The name of a migrated PostgreSQL database to copy."""
    url = _create(postgresql_url, "muster_template")
    database = Database(url)
    migrate(database)
    database.close()
    return "muster_template"


@pytest.fixture
def sqlite_database(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    """A migrated database without rows, on SQLite: for tests to which the kind of database does not matter."""
    path = tmp_path / "muster.db"
    shutil.copyfile(sqlite_template, path)
    database = Database(f"sqlite:///{path}")
    yield database
    database.close()


@pytest.fixture(params=_BOTH)
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A migrated database without rows, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_database")
        return
    template = request.getfixturevalue("postgresql_template")
    with _postgresql_database(request.getfixturevalue("postgresql_url"), of=template) as url:
        database = Database(url)
        yield database
        database.close()


@pytest.fixture(params=_BOTH)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a database may be made that holds nothing yet, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
        return
    with _postgresql_database(request.getfixturevalue("postgresql_url"), of="template1") as url:
        yield url


@contextmanager
def _postgresql_database(server: str, of: str) -> Iterator[str]:
    name = f"test_{next(_NUMBERS)}"
    yield _create(server, name, of)
    _tell(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def _create(server: str, name: str, of: str = "template1") -> str:
    _tell(server, f'CREATE DATABASE "{name}" TEMPLATE "{of}" STRATEGY file_copy')
    return sa.make_url(server).set(database=name).render_as_string(hide_password=False)


def _tell(server: str, statement: str) -> None:
    """Databases are made and dropped outside of transactions."""
    url = sa.make_url(server).set(drivername="postgresql+pg8000")
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()
