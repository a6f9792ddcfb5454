"""Proves that the chain is what was written: nothing edited, removed, inserted, exchanged or cut off.

The chain itself shows every change but two: a rewriting of all hashes from some event on, and a cut-off end. The head
file shows these. What nobody can show from inside is a machine whose owner rewrites both: for that, keep the head that
a verification gives somewhere else, and compare it later.
"""

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import rfc8785

from muster.audit import store
from muster.audit.entries import BEGINNING, Entry, hash_of
from muster.audit.errors import AuditFileMissing
from muster.audit.head import HeadFile
from muster.storage.transaction import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a verification found; of a broken chain, the first break."""

    valid: bool
    events: int
    """How many events were read and are right."""
    head: str
    """Hash of the last event that is right: what to keep elsewhere."""
    problem: str | None = None
    at_sequence: int | None = None
    """Where the problem is; None: nowhere in particular."""


def verify(database: Database, head_file: Path | None) -> Verdict:
    """Read the whole chain and compare it with the head file; None: there is none to compare with."""
    try:
        # Heads first: whatever is appended in between makes the chain longer than they are, which is allowed.
        heads = {} if head_file is None else _heads(head_file)
    except (ValueError, OSError) as error:
        problem = f"the head file {head_file} cannot be read, or was edited: {error}"
        return Verdict(valid=False, events=0, head=BEGINNING, problem=problem)
    with database.read() as tx:
        verdict = verdict_on(store.every_entry(tx), heads)
        rows = store.count(tx)
    if verdict.valid and rows != verdict.events:
        problem = f"the table holds {rows} events, of which {rows - verdict.events} have no place in the chain"
        return Verdict(valid=False, events=verdict.events, head=verdict.head, problem=problem)
    if verdict.valid and rows and head_file is not None and not heads:
        problem = f"the head file {head_file} is missing or empty although there are {rows} events: a cut-off end cannot be found"
        return Verdict(valid=False, events=verdict.events, head=verdict.head, problem=problem)
    return verdict


def verify_file(path: Path, head_file: Path | None = None) -> Verdict:
    """The same for a SQLite file, which is copied first (with its write-ahead log) and never written.

    Raises:
        AuditFileMissing: there is no such file.
        DatabaseDamaged: it is no SQLite database, or one that cannot be read.
        SchemaMismatch: it has no audit events of this format.
    """
    if not path.is_file():
        raise AuditFileMissing(f"there is no database at {path}", path=str(path))
    with tempfile.TemporaryDirectory(prefix="muster-verify-") as folder:
        copy = Path(folder) / "copy.db"
        for suffix in ("", "-wal"):
            source = path.with_name(path.name + suffix)
            if source.exists():
                shutil.copyfile(source, copy.with_name(copy.name + suffix))
        database = Database(f"sqlite:///{copy}")
        try:
            return verify(database, head_file)
        finally:
            database.close()


def verdict_on(entries: Iterable[Entry], heads: Mapping[int, str]) -> Verdict:
    """The verdict on events in the order of their numbers, and on heads: which hash the chain had at which number."""
    events, head = 0, str(BEGINNING)
    for entry in entries:
        due = events + 1
        if problem := _problem(entry, due, head, heads.get(entry.sequence)):
            return Verdict(valid=False, events=events, head=head, problem=problem, at_sequence=due)
        events, head = due, entry.hash
    if (highest := max(heads, default=0)) > events:
        problem = f"the events {events + 1} to {highest} were cut off: the head file knows them"
        return Verdict(valid=False, events=events, head=head, problem=problem, at_sequence=events + 1)
    return Verdict(valid=True, events=events, head=head)


def _problem(entry: Entry, due: int, head: str, known: str | None) -> str | None:
    """What is wrong with the event that has the next place in the chain; None: nothing."""
    if entry.sequence > due:
        return f"event {due} is missing: {entry.sequence} comes next"
    if entry.sequence < due:
        return f"event {entry.sequence} was inserted"
    if not _has_its_hash(entry):
        return f"event {due} was edited: it does not have the hash that it names"
    if entry.previous != head:
        return f"event {due} does not follow the one before it: one of the two was exchanged"
    if known is not None and known != entry.hash:
        return f"event {due} has another hash than the head file knows: the chain was rewritten"
    return None


def _has_its_hash(entry: Entry) -> bool:
    try:
        return hash_of(entry) == entry.hash
    except (rfc8785.CanonicalizationError, TypeError, ValueError):
        return False  # something was written into a column that Muster never writes there


def _heads(head_file: Path) -> dict[int, str]:
    """The heads by number.

    Raises:
        ValueError: a line is no head, or the numbers do not rise.
    """
    try:
        lines = HeadFile(head_file).lines()
    except FileNotFoundError:
        return {}
    for earlier, later in pairwise(lines):
        if later.sequence <= earlier.sequence:
            raise ValueError(f"{later.sequence} comes after {earlier.sequence}")
    return {line.sequence: line.hash for line in lines}
