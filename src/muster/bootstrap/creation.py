"""Makes a factory: the home, its database, the first admin and the service account of the fronts. Whole or not at all."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from muster.access.service import Access
from muster.audit.journal import Journal
from muster.bootstrap.home import Home, lay_out, move_into_place, write_secret
from muster.certificates.keys import make_first_key
from muster.migrations.runner import migrate
from muster.publishing.board import Board
from muster.settings import read_settings
from muster.storage.transaction import Database
from muster.vocabulary.clock import SystemClock


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedHome:
    """A new home."""

    home: Path
    admin_token: str
    """Also in `HOME/admin.token`, for whoever may read that file."""
    solo: bool


def create_home(path: Path, *, solo: bool) -> CreatedHome:
    """Make a home with an empty factory.

    Args:
        path: a folder that does not exist or is empty.
        solo: a factory for one person: gates are passed without a second one.

    Raises:
        HomeExists: something is there already; nothing was changed.
        HomeUnusable: the folder cannot be made.
        FactoryHasUsers: `MUSTER_DATABASE` names a database that belongs to another factory.
    """
    built = lay_out(path.absolute(), solo=solo)
    try:
        token = _found(built, solo=solo)
        home = move_into_place(built, path.absolute())
    except BaseException:
        shutil.rmtree(built.path, ignore_errors=True)
        raise
    return CreatedHome(home=home.path, admin_token=token, solo=solo)


def _found(built: Home, *, solo: bool) -> str:
    settings = read_settings(built.path / "settings.toml")
    database = Database(Home(built.path, built.factory, settings).database_url)
    try:
        migrate(database)
        clock = SystemClock()
        first = Access(database, Journal(built.audit_head, clock), Board(database, clock), clock, solo=solo).bootstrap()
    finally:
        database.close()
    make_first_key(built.keys)
    write_secret(built.admin_token, first.admin.token)
    write_secret(built.front_token, first.front.token)
    return first.admin.token
