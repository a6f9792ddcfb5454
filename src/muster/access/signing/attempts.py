"""How often somebody may fail: counted in the database, so that several control processes count together.

An attempt is counted before its password is looked at, and taken back when it was right: of many attempts at the same moment
no more are looked at than one after the other.
"""

import hashlib
import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from muster.access.service import FACTORY
from muster.access.signing import store
from muster.access.signing.errors import SignInLocked
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock
from muster.vocabulary.names import DEFAULT_PROJECT

WINDOW = timedelta(minutes=15)
MOST_PER_USER = 5
MOST_PER_ADDRESS = 50
#: One for all names: who counts also lets go of what counts no more, whoever's it is.
_LOCK = "muster.sign-in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt that counts until it is taken back."""

    attempt_id: str
    who: str
    address: str
    is_last_of_user: bool
    """No further one is looked at until the first leaves the window."""
    is_last_of_address: bool


class Attempts:
    """Counts attempts to sign in.

    Args:
        database: where they are counted.
        journal: where it is put on record that a name or an address was locked out.
        clock: tells when.
    """

    def __init__(self, database: Database, journal: Journal, clock: Clock) -> None:
        self._database = database
        self._journal = journal
        self._clock = clock

    def begin(self, name: str, address: str) -> Attempt:
        """Count an attempt at a user's name, whether there is such a user or not.

        Raises:
            SignInLocked: there were too many.
        """
        who, now, attempt_id = _digest(name), self._clock.now(), secrets.token_hex(16)
        with self._database.write() as tx:
            tx.lock(_LOCK)
            store.forget_attempts_before(tx, now - WINDOW)
            of_address = store.attempts(tx, address=address, since=now - WINDOW)
            of_user = store.attempts(tx, who=who, since=now - WINDOW)
            _require_room(of_address, MOST_PER_ADDRESS, now)
            _require_room(of_user, MOST_PER_USER, now)
            store.add_attempt(tx, attempt_id, who, address, now)
        return Attempt(
            attempt_id=attempt_id,
            who=who,
            address=address,
            is_last_of_user=len(of_user) + 1 == MOST_PER_USER,
            is_last_of_address=len(of_address) + 1 == MOST_PER_ADDRESS,
        )

    def failed(self, attempt: Attempt, user: str | None) -> None:
        """Let an attempt count; the one with which a lock-out begins is put on record.

        Args:
            attempt: as it was begun.
            user: whose name it was; None where there is no such user: what was typed may be a password.
        """
        if not (attempt.is_last_of_user or attempt.is_last_of_address):
            return
        with self._database.write() as tx:
            if attempt.is_last_of_user:
                subject = "an unknown user" if user is None else f"user {user}"
                self._journal.append(tx, _locked(subject, attempt, MOST_PER_USER))
            if attempt.is_last_of_address:
                self._journal.append(tx, _locked(f"address {attempt.address}", attempt, MOST_PER_ADDRESS))

    def drop(self, attempt: Attempt) -> None:
        """Take back an attempt whose password was not looked at."""
        with self._database.write() as tx:
            store.drop_attempt(tx, attempt.attempt_id)

    def forget(self, tx: Transaction, attempt: Attempt) -> None:
        """Take back all attempts at the user's name, in the transaction in which the user signs in, before it takes other locks."""
        tx.lock(_LOCK)
        store.forget_attempts(tx, attempt.who)


def _require_room(counted: Sequence[datetime], most: int, now: datetime) -> None:
    if len(counted) < most:
        return
    free_at = counted[len(counted) - most] + WINDOW
    raise SignInLocked(
        "there were too many failed attempts to sign in; no further one is looked at for now",
        retry_after_s=max(1, math.ceil((free_at - now).total_seconds())),
    )


def _locked(subject: str, attempt: Attempt, most: int) -> Deed:
    return Deed(
        actor=FACTORY,
        action="sign-in.locked",
        subject=subject,
        project=DEFAULT_PROJECT,
        details={"address": attempt.address, "attempts": most, "window_s": int(WINDOW.total_seconds())},
    )


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", errors="surrogatepass")).hexdigest()
