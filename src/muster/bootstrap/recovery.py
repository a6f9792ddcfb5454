"""A way back in for whoever owns a factory's files: a new token for a user whose own is lost. It is on record."""

from pathlib import Path

from muster.access.service import Access
from muster.access.users import TokenHolder
from muster.audit.journal import Journal
from muster.bootstrap.home import Home, write_secret
from muster.migrations.runner import check
from muster.publishing.board import Board
from muster.storage.transaction import Database
from muster.vocabulary.clock import SystemClock


def reissue_token(home: Home, name: str) -> tuple[TokenHolder, Path | None]:
    """A new token in place of all that a user has, whether the factory runs or not.

    Nobody is asked: whoever can write the factory's database could do anything else to it. The event `token.replaced` stands in
    the audit journal under the factory's own name.

    Returns:
        The user with the token, and the file of the home that it was written to as well; None for other users than the first
        admin and the front.

    Raises:
        UserNotFound: there is no such user.
        SchemaMismatch: the database is not one of this version of Muster.
        DatabaseUnavailable: it cannot be written.
    """
    clock = SystemClock()
    database = Database(home.database_url)
    try:
        check(database)
        access = Access(
            database, Journal(home.audit_head, clock), Board(database, clock), clock, solo=home.factory.solo
        )
        made = access.reissue(name)
    finally:
        database.close()
    file = {"admin": home.admin_token, "front": home.front_token}.get(name)
    if file is not None:
        _replace_secret(file, made.token)
    return made, file


def _replace_secret(file: Path, secret: str) -> None:
    """Put a secret in place of another: the file holds the one or the other, never a part."""
    partial = file.with_name(f".{file.name}.new")
    partial.unlink(missing_ok=True)
    write_secret(partial, secret)
    partial.replace(file)
