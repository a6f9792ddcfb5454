"""Which idempotency keys have been used, in one file for all fronts of a machine.

A claim says: this consumer's request to this endpoint, under this key, with an input of this digest, is or was carried out as that
request id. The answer itself stands in the decision record, and nowhere else.

The file is SQLite with a write-ahead log and without fsync: what a commit has written, the kernel has, so no kill of a process
loses it. A power cut may, and may even spoil the file; therefore each boot of the machine has a file of its own, and an older one
is removed. That also lets claims be timed by the monotonic clock, which no one can set.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from muster.serving.errors import ClaimNotWritten

#: How long a key is remembered, seconds.
KEPT_S = 600.0
_NAME = "claims-{boot}.sqlite"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_BUSY_S = 2.0
_TIDY_EVERY_S = 15.0
_REMOVED_AT_ONCE = 10_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS claims (
  consumer TEXT NOT NULL, endpoint TEXT NOT NULL, key TEXT NOT NULL,
  digest BLOB NOT NULL, request_id BLOB NOT NULL,
  owner TEXT NOT NULL, at REAL NOT NULL, until REAL NOT NULL, decided INTEGER NOT NULL,
  PRIMARY KEY (consumer, endpoint, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS claims_at ON claims (at);
"""
_TAKE_OVER = """
UPDATE claims SET request_id = ?, owner = ?, at = ?, until = ?, decided = 0
WHERE consumer = ? AND endpoint = ? AND key = ? AND request_id = ?
"""
_NOTE_DECIDED = "UPDATE claims SET decided = 1 WHERE consumer = ? AND endpoint = ? AND key = ? AND request_id = ?"
_RELEASE = "DELETE FROM claims WHERE consumer = ? AND endpoint = ? AND key = ? AND request_id = ?"

#: (consumer, endpoint, key)
Name = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Claim:
    """One used key; times by `time.monotonic`."""

    digest: bytes
    request_id: bytes
    owner: str
    """The process that carries the request out."""
    at: float
    until: float
    """By then the request is decided, unless its front has died."""
    decided: bool
    """It is decided and recorded. Where its front has died since, this may never be noted."""


class Claims:
    """The claims of a machine; for one thread at a time.

    Args:
        folder: where the file lies; the same for all fronts.

    Raises:
        ClaimNotWritten: the file cannot be had.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME.format(boot=_boot())
        self._tidy_at = 0.0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for path in folder.glob(_NAME.format(boot="*") + "*"):
                if not path.name.startswith(self._path.name):
                    path.unlink(missing_ok=True)
            self._file = self._opened()
        except (OSError, sqlite3.Error) as error:
            raise _not_written(error) from error

    def claim(self, name: Name, digest: bytes, request_id: bytes, owner: str, until: float) -> Claim | None:
        """Lay a claim under a key that is free; None: it is laid. Otherwise the claim that is there.

        Args:
            name: consumer, endpoint and key.
            digest: of the input.
            request_id: under which the request is carried out.
            owner: the process that does.
            until: by when it is decided.

        Raises:
            ClaimNotWritten: it could not be written.
        """
        now = time.monotonic()
        try:
            with self._changing() as file:
                there = self._found(file, name, now)
                if there is None:
                    file.execute(
                        "INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
                        (*name, digest, request_id, owner, now, until),
                    )
            if now >= self._tidy_at:
                self._tidy(now)
        except (OSError, sqlite3.Error) as error:
            raise _not_written(error) from error
        return there

    def find(self, name: Name) -> Claim | None:
        """The claim under a key.

        Raises:
            ClaimNotWritten: the file cannot be read.
        """
        try:
            return self._found(self._file, name, time.monotonic())
        except sqlite3.Error as error:
            raise _not_written(error) from error

    def take_over(self, name: Name, abandoned: bytes, request_id: bytes, owner: str, until: float) -> bool:
        """Carry a request out anew whose front has died before it was decided; False: somebody else was quicker.

        Args:
            name: consumer, endpoint and key.
            abandoned: the request id of the claim.
            request_id: the new one.
            owner: the process that carries it out now.
            until: by when it is decided.

        Raises:
            ClaimNotWritten: it could not be written.
        """
        return self._change(
            _TAKE_OVER,
            (request_id, owner, time.monotonic(), until, *name, abandoned),
        )

    def note_decided(self, name: Name, request_id: bytes) -> None:
        """The request is decided and recorded.

        Raises:
            ClaimNotWritten: that could not be written; whoever waits for it elsewhere finds the record a little later.
        """
        self._change(_NOTE_DECIDED, (*name, request_id))

    def release(self, name: Name, request_id: bytes) -> None:
        """The request was not carried out; its key is free again.

        Raises:
            ClaimNotWritten: that could not be written.
        """
        self._change(_RELEASE, (*name, request_id))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _change(self, statement: str, values: tuple[object, ...]) -> bool:
        try:
            with self._changing() as file:
                return file.execute(statement, values).rowcount > 0
        except (OSError, sqlite3.Error) as error:
            raise _not_written(error) from error

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that has the file for itself from its first statement."""
        file = self._file
        file.execute("BEGIN IMMEDIATE")
        try:
            yield file
        except BaseException:
            file.execute("ROLLBACK")
            raise
        file.execute("COMMIT")

    def _found(self, file: sqlite3.Connection, name: Name, now: float) -> Claim | None:
        row = file.execute(
            "SELECT digest, request_id, owner, at, until, decided FROM claims"
            " WHERE consumer = ? AND endpoint = ? AND key = ? AND at > ?",
            (*name, now - KEPT_S),
        ).fetchone()
        if row is None:
            return None
        digest, request_id, owner, at, until, decided = row
        return Claim(digest, request_id, owner, at, until, bool(decided))

    def _tidy(self, now: float) -> None:
        """Forget what is too old, a part at a time, and give its room back."""
        self._tidy_at = now + _TIDY_EVERY_S
        with self._changing() as file:
            old = file.execute(
                "SELECT at FROM claims WHERE at <= ? ORDER BY at LIMIT 1 OFFSET ?", (now - KEPT_S, _REMOVED_AT_ONCE)
            ).fetchone()
            file.execute("DELETE FROM claims WHERE at <= ?", (now - KEPT_S if old is None else old[0],))
            if old is not None:
                self._tidy_at = now
        self._file.execute("PRAGMA incremental_vacuum(1000)").fetchall()

    def _opened(self) -> sqlite3.Connection:
        file = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            file.execute("PRAGMA auto_vacuum = INCREMENTAL")
            file.execute("PRAGMA journal_mode = WAL")
            file.execute("PRAGMA synchronous = OFF")
            file.executescript(_SCHEMA)
        except sqlite3.Error:
            file.close()
            raise
        return file


def _boot() -> str:
    try:
        return _BOOT_ID.read_text().strip().replace("-", "")[:16]
    except OSError:
        return "0"


def _not_written(error: Exception) -> ClaimNotWritten:
    return ClaimNotWritten(f"the idempotency key could not be noted: {error}")
