"""The journal on both databases."""

import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from muster.audit.entries import Deed, Entry
from muster.audit.errors import AuditFileMissing, DeedMalformed, IdempotencyKeyReused
from muster.audit.journal import Journal
from muster.audit.verify import verify, verify_file
from muster.storage.errors import DatabaseDamaged, SchemaMismatch
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock, SystemClock

DEED = Deed(actor="ana", action="version.registered", subject="churn:1", project="default", details={"z": 1, "a": "é"})


@pytest.fixture
def head(tmp_path: Path) -> Path:
    return tmp_path / "head.jsonl"


@pytest.fixture
def journal(head: Path, clock: FixedClock) -> Journal:
    return Journal(head, clock)


def _append(database: Database, journal: Journal, *deeds: Deed) -> list[Entry]:
    with database.write() as tx:
        return [journal.append(tx, deed) for deed in deeds]


def _fill(database: Database, journal: Journal, count: int) -> None:
    for number in range(count):
        _append(database, journal, replace(DEED, subject=f"churn:{number}"))


def _tamper(database: Database, statement: str) -> None:
    with database.write() as tx:
        tx.connection.exec_driver_sql(statement)


def test_an_event_is_read_as_it_was_appended(database: Database, journal: Journal) -> None:
    """What comes out of the database is what was hashed, to the letter."""
    reason = "für 'die' \"Akten\"\n\t\\ 🎉 %s"
    (appended,) = _append(
        database, journal, replace(DEED, reason=reason, idempotency_key="k", request_digest="sha256:0")
    )
    with database.read() as tx:
        assert journal.entries(tx) == [appended]
    assert (appended.sequence, appended.at, appended.details) == (1, "2026-11-21T09:30:00.000000Z", '{"a":"é","z":1}')


def test_events_are_read_in_pages_and_by_subject(database: Database, journal: Journal) -> None:
    """A reader pages by sequence number, of all events or those of one subject, or asks for the last."""
    _fill(database, journal, 5)
    _fill(database, journal, 2)
    with database.read() as tx:
        assert [entry.sequence for entry in journal.entries(tx, after=2, limit=3)] == [3, 4, 5]
        assert [entry.sequence for entry in journal.entries(tx, subject="churn:1")] == [2, 7]
        assert [entry.sequence for entry in journal.newest(tx, limit=2)] == [6, 7]
        assert [entry.sequence for entry in journal.newest(tx, limit=1, subject="churn:0")] == [6]


def test_every_event_about_a_subject_is_found_in_its_project(database: Database, journal: Journal) -> None:
    """Of the actions asked for and no others, beyond a page of a thousand, and in order."""
    remark = replace(DEED, action="version.commented")
    _append(
        database, journal, DEED, *[remark] * 1001, replace(DEED, project="risk"), DEED, replace(DEED, subject="churn:2")
    )
    with database.read() as tx:
        found = [entry.sequence for entry in journal.about(tx, "churn:1", "default", DEED.action)]
        assert found == [1, 1004]
        assert len([*journal.about(tx, "churn:1", "default", DEED.action, remark.action)]) == 1003
        assert [entry.sequence for entry in journal.about(tx, "churn:1", "risk", DEED.action)] == [1003]
        assert [*journal.about(tx, "churn:1", "fraud", DEED.action)] == []


@pytest.mark.parametrize("others", [0, 1, 3, 60])
def test_events_of_some_projects_are_read_as_if_there_were_no_others(
    database: Database, journal: Journal, others: int
) -> None:
    """However many projects are named, the pages hold their events, each once and in order."""
    projects = ["default", "risk", "sales", "default", "default", "risk", "fraud", "default"]
    _append(
        database, journal, *(replace(DEED, project=name, subject=f"churn:{at % 2}") for at, name in enumerate(projects))
    )
    named = ["default", "risk", *(f"none-{number}" for number in range(others))][: others + 1 if others < 2 else None]
    wanted = [at for at, name in enumerate(projects, 1) if name in named]
    with database.read() as tx:
        assert [entry.sequence for entry in journal.entries(tx, projects=named)] == wanted
        assert [entry.sequence for entry in journal.entries(tx, after=1, limit=2, projects=named)] == wanted[1:3]
        assert [entry.sequence for entry in journal.newest(tx, limit=3, projects=named)] == wanted[-3:]
        even = [at for at in wanted if at % 2 == 1]
        assert [entry.sequence for entry in journal.entries(tx, subject="churn:0", projects=named)] == even
        assert [entry.sequence for entry in journal.newest(tx, limit=1, subject="churn:0", projects=named)] == even[-1:]
        assert journal.entries(tx, projects=[]) == []


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({"subject": "churn:1", "projects": ["default"]}, "ix_audit_events_subject_sequence"),
        ({"projects": ["default"]}, "ix_audit_events_project_sequence"),
        ({"projects": ["default", "risk"]}, "ix_audit_events_project_sequence"),
    ],
)
def test_no_page_reads_all_events(
    sqlite_database: Database, journal: Journal, wanted: dict[str, Any], index: str
) -> None:
    """SQLite has no statistics: of two indexes that fit it may take the one that leads through a million events."""
    asked: list[tuple[str, Any]] = []
    engine = sqlite_database.engine
    sa.event.listen(engine, "before_cursor_execute", lambda *given: asked.append((given[2], given[3])))
    with sqlite_database.read() as tx:
        journal.newest(tx, limit=10, **wanted)
        statement, values = asked[-1]
        plan = [row[3] for row in tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
    assert any(index in step for step in plan), plan
    assert not [step for step in plan if step.startswith("SCAN audit_events")], plan


def test_the_chain_of_many_events_is_proved(database: Database, journal: Journal, head: Path) -> None:
    """The verdict names the number of events and the head, across pages of the reader."""
    with database.write() as tx:
        last = [journal.append(tx, replace(DEED, subject=f"churn:{number}")) for number in range(1203)][-1]
    verdict = verify(database, head)
    assert (verdict.valid, verdict.events, verdict.head) == (True, 1203, last.hash)
    assert json.loads(head.read_text().splitlines()[-1])["hash"] == verdict.head


def test_an_event_falls_with_its_transaction(database: Database, journal: Journal, head: Path) -> None:
    """A deed that did not happen leaves neither event nor head, and its number goes to the next."""

    def fail() -> None:
        with database.write() as tx:
            journal.append(tx, DEED)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not head.exists()
    assert [entry.sequence for entry in _append(database, journal, DEED)] == [1]


def test_many_append_at_once(database: Database, head: Path) -> None:
    """Appenders in several threads get numbers without gaps, and the chain and its heads are right."""
    begin = threading.Barrier(6)
    failures: list[BaseException] = []

    def append() -> None:
        journal = Journal(head, SystemClock())
        try:
            begin.wait(30)
            _fill(database, journal, 10)
        except Exception as error:  # noqa: BLE001 - the main thread looks at it
            failures.append(error)

    threads = [threading.Thread(target=append) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    verdict = verify(database, head)
    assert (verdict.valid, verdict.events) == (True, 60)


def test_a_repeated_request_finds_its_first_event(database: Database, journal: Journal) -> None:
    """The key finds the event again, for this actor and this request alone."""
    (first,) = _append(database, journal, replace(DEED, idempotency_key="k", request_digest="sha256:1"))
    with database.write() as tx:
        assert journal.earlier(tx, "ana", "k", "sha256:1") == first
        assert journal.earlier(tx, "ben", "k", "sha256:1") is None
        assert journal.earlier(tx, "ana", "other", "sha256:1") is None
        assert journal.earlier(tx, "ana", None, None) is None
        with pytest.raises(IdempotencyKeyReused, match=r"'k' at .* for another request"):
            journal.earlier(tx, "ana", "k", "sha256:2")


def test_of_two_equal_requests_at_once_one_does_it(database: Database, journal: Journal) -> None:
    """A client that repeats while its first request is still under way does not do the deed twice."""
    begin = threading.Barrier(2)
    found: list[Entry | None] = []

    def request() -> None:
        begin.wait(30)
        with database.write() as tx:
            entry = journal.earlier(tx, "ana", "k", "sha256:1")
            if entry is None:
                journal.append(tx, replace(DEED, idempotency_key="k", request_digest="sha256:1"))
        found.append(entry)

    threads = [threading.Thread(target=request) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(entry is None for entry in found) == [False, True]
    with database.read() as tx:
        assert len(journal.entries(tx)) == 1


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        (replace(DEED, reason="a\0b"), "the reason 'a\\x00b' holds characters"),
        (replace(DEED, reason="\ud800"), "the reason '\\ud800' holds characters"),
        (replace(DEED, subject="x" * 201), "the subject has 201 characters; 200 can be kept"),
        (replace(DEED, idempotency_key="x" * 201), "the idempotency_key has 201 characters"),
    ],
)
def test_texts_that_cannot_be_kept_are_refused_alike(
    database: Database, journal: Journal, deed: Deed, said: str
) -> None:
    """What one database would cut, or refuse in its own words, is refused by the journal on both."""
    with pytest.raises(DeedMalformed) as refused:
        _append(database, journal, deed)
    assert said in refused.value.message
    with database.write() as tx, pytest.raises(DeedMalformed):
        journal.earlier(tx, "ana", "x" * 201, "sha256:1")


@pytest.mark.parametrize(
    ("statement", "at", "said"),
    [
        ("UPDATE audit_events SET actor = 'eve' WHERE sequence = 3", 3, "was edited"),
        ("UPDATE audit_events SET at = '2020-01-01T00:00:00.000000Z' WHERE sequence = 1", 1, "was edited"),
        ("UPDATE audit_events SET reason = 'because' WHERE sequence = 5", 5, "was edited"),
        ('UPDATE audit_events SET details = \'{"a": "é","z":1}\' WHERE sequence = 2', 2, "was edited"),
        ("UPDATE audit_events SET idempotency_key = 'k' WHERE sequence = 2", 2, "was edited"),
        ("UPDATE audit_events SET hash = previous WHERE sequence = 4", 4, "was edited"),
        ("DELETE FROM audit_events WHERE sequence = 3", 3, "event 3 is missing: 4 comes next"),
        ("DELETE FROM audit_events WHERE sequence = 1", 1, "event 1 is missing"),
        ("DELETE FROM audit_events WHERE sequence = 5", 5, "the events 5 to 5 were cut off"),
        ("DELETE FROM audit_events", 1, "the events 1 to 5 were cut off"),
        ("UPDATE audit_events SET sequence = -7 WHERE sequence = 5", 1, "event -7 was inserted"),
        ("UPDATE audit_events SET sequence = 9 WHERE sequence = 5", 5, "event 5 is missing: 9 comes next"),
    ],
)
def test_tampering_in_the_database_is_found(
    database: Database, journal: Journal, head: Path, statement: str, at: int, said: str
) -> None:
    """Each way of changing the table shows, at its place and in words."""
    _fill(database, journal, 5)
    _tamper(database, statement)
    verdict = verify(database, head)
    assert not verdict.valid
    assert verdict.at_sequence == at
    assert said in (verdict.problem or "")


def test_what_comes_after_tampering_does_not_heal_it(database: Database, journal: Journal, head: Path) -> None:
    """A cut-off end stays visible however much is appended afterwards."""
    _fill(database, journal, 5)
    _tamper(database, "DELETE FROM audit_events WHERE sequence > 3")
    for _ in range(4):
        _fill(database, journal, 1)
        assert not verify(database, head).valid


def test_rows_outside_the_chain_are_found(sqlite_database: Database, journal: Journal, head: Path) -> None:
    """Who rebuilds the table without its key and hides rows where no number leads is found by counting."""
    _fill(sqlite_database, journal, 3)
    _tamper(sqlite_database, "CREATE TABLE rebuilt AS SELECT * FROM audit_events")
    _tamper(sqlite_database, "DROP TABLE audit_events")
    _tamper(sqlite_database, "ALTER TABLE rebuilt RENAME TO audit_events")
    assert verify(sqlite_database, head).valid
    _tamper(sqlite_database, "INSERT INTO audit_events (actor) VALUES ('eve')")
    verdict = verify(sqlite_database, head)
    assert verdict.problem == "the table holds 4 events, of which 1 have no place in the chain"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is missing or empty although there are 2 events"),
        ("", "is missing or empty although there are 2 events"),
        ("nonsense\n", "cannot be read, or was edited"),
        (
            '{"sequence":2,"hash":"sha256:0"}\n{"sequence":1,"hash":"sha256:0"}\n',
            "cannot be read, or was edited: 1 comes after 2",
        ),
        ('{"sequence":2,"hash":"sha256:0"}\n', "event 2 has another hash than the head file knows"),
        ('{"sequence":3,"hash":"sha256:0"}\n', "the events 3 to 3 were cut off"),
    ],
)
def test_tampering_with_the_head_file_is_found(
    sqlite_database: Database, journal: Journal, head: Path, content: str | None, said: str
) -> None:
    """A head file that is gone, edited or of another history makes the verdict invalid."""
    _fill(sqlite_database, journal, 2)
    head.unlink()
    if content is not None:
        head.write_text(content)
    verdict = verify(sqlite_database, head)
    assert not verdict.valid
    assert said in (verdict.problem or "")


_KILLED = """
import os, sys
from pathlib import Path
from typing import Any
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.storage.transaction import Database
from muster.vocabulary.clock import SystemClock
database, journal = Database(sys.argv[1]), Journal(Path(sys.argv[2]), SystemClock())
with database.write() as tx:
    tx.after_commit(lambda: os.kill(os.getpid(), 9))
    journal.append(tx, Deed(actor="ana", action="a", subject="s", project="default", details={}))
"""


def test_a_kill_between_commit_and_head_leaves_a_valid_chain(database: Database, journal: Journal, head: Path) -> None:
    """The head may lag behind by what was being written when the process was killed; the next event brings it up."""
    _fill(database, journal, 2)
    killed = subprocess.run([sys.executable, "-c", _KILLED, database.url, head], check=False)
    assert killed.returncode == -9
    assert head.read_text().count("\n") == 2
    assert (verify(database, head).valid, verify(database, head).events) == (True, 3)
    _fill(database, journal, 1)
    assert (verify(database, head).valid, verify(database, head).events) == (True, 4)


def test_a_copy_is_proved_by_its_path_and_left_as_it_is(
    sqlite_database: Database, journal: Journal, head: Path, tmp_path: Path
) -> None:
    """A SQLite file anywhere can be verified, even one in use with its log beside it, and no byte of it changes."""
    _fill(sqlite_database, journal, 3)
    used = Path(sqlite_database.url.removeprefix("sqlite:///"))
    assert used.with_name("muster.db-wal").stat().st_size > 0
    copies = tmp_path / "copies"
    copies.mkdir()
    for suffix in ("", "-wal"):
        shutil.copyfile(used.with_name(used.name + suffix), copies / f"copy.db{suffix}")
    before = {path.name: path.read_bytes() for path in copies.iterdir()}
    assert verify_file(copies / "copy.db", head).events == 3
    assert {path.name: path.read_bytes() for path in copies.iterdir()} == before
    with sqlite3.connect(copies / "copy.db") as connection:
        connection.execute("UPDATE audit_events SET reason = 'because' WHERE sequence = 2")
    connection.close()
    assert verify_file(copies / "copy.db", head).at_sequence == 2
    assert verify_file(used, head).valid


def test_a_file_that_is_no_factory_is_named(tmp_path: Path) -> None:
    """No file, no database and no audit events are three different errors."""
    with pytest.raises(AuditFileMissing, match="there is no database at"):
        verify_file(tmp_path / "nothing.db")
    (tmp_path / "text.db").write_text("no database" * 1000)
    with pytest.raises(DatabaseDamaged):
        verify_file(tmp_path / "text.db")
    sqlite3.connect(tmp_path / "empty.db").close()
    (tmp_path / "empty.db").touch()
    with pytest.raises(SchemaMismatch):
        verify_file(tmp_path / "empty.db")
