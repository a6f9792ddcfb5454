"""The executor: sessions are run, failures are told, a killed one leaves nothing `running`."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from governed_factory import GovernedFactory
from muster.sessions.errors import SessionNotFound
from muster.sessions.records import Session
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.states import SessionState
from muster.workflows.chores import Chore
from muster.workflows.executor import Executor, Handler, Outcome, Say


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    return GovernedFactory(database, tmp_path, clock)


def queued(factory: GovernedFactory, kind: str = "greeting") -> Session:
    with factory.database.write() as tx:
        return factory.sessions.queue(tx, factory.call("ana"), kind, "world")[0]


def seen(factory: GovernedFactory, session: Session) -> Session:
    return factory.sessions.session(factory.call("vic"), session.id)


def until(holds: Callable[[], Any]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.01)


def executor(factory: GovernedFactory, handler: Handler, **said: Any) -> Executor:
    return Executor(
        database=factory.database, sessions=factory.sessions, handlers={"greeting": handler}, name="e1",
        look_every_s=0.01, **said,
    )  # fmt: skip


@contextmanager
def running(work: Executor) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=work.run)
    thread.start()
    try:
        yield thread
    finally:
        work.stop()
        thread.join(30)
        assert not thread.is_alive()


def greet(session: Session, say: Say) -> Outcome:
    say(f"hello {session.subject}")
    return Outcome(passed=True, result={"greeted": session.subject})


def test_a_session_is_run_and_its_outcome_kept(factory: GovernedFactory) -> None:
    """Work that was queued before and after the executor started, in order; other kinds are left alone."""
    before, other = queued(factory), queued(factory, "unknown kind")
    with running(executor(factory, greet)):
        until(lambda: seen(factory, before).state is SessionState.PASSED)
        after = queued(factory)
        until(lambda: seen(factory, after).state is SessionState.PASSED)
    done = seen(factory, before)
    assert (done.result, done.progress, done.executor) == ({"greeted": "world"}, ("hello world",), "e1")
    assert seen(factory, other).state is SessionState.QUEUED


def test_an_error_fails_the_session_and_not_the_executor(factory: GovernedFactory) -> None:
    """One that Muster can name is kept with its advice, any other as internal; the next session is run."""

    def fail(session: Session, say: Say) -> Outcome:
        say("trying")
        if not failed:
            failed.append(session.id)
            raise SessionNotFound("there is no such thing", session="s-0")
        if len(failed) == 1:
            failed.append(session.id)
            raise ZeroDivisionError("by zero")
        return Outcome(passed=False, result={"verdict": "no"})

    failed: list[str] = []
    work = executor(factory, fail)
    results = []
    for _ in range(3):
        session = queued(factory)
        assert work.run_one()
        results.append((seen(factory, session).state, dict(seen(factory, session).result or {})))
    assert {state for state, _ in results} == {SessionState.FAILED}
    assert results[0][1]["error"]["code"] == "sessions.not-found"
    assert results[1][1]["error"]["code"] == "internal"
    assert "ZeroDivisionError" in results[1][1]["error"]["message"]
    assert results[2][1] == {"verdict": "no"}
    assert not work.run_one()


def test_stopping_interrupts_what_is_being_worked_on(factory: GovernedFactory) -> None:
    """At its next line of progress; whoever waits for the session is told."""
    session = queued(factory)
    begun = threading.Event()

    def endless(_: Session, say: Say) -> Outcome:
        while True:
            say("still at it")
            begun.set()
            time.sleep(0.005)

    with running(executor(factory, endless)):
        assert begun.wait(30)
    assert seen(factory, session).state is SessionState.INTERRUPTED
    assert "stopping" in seen(factory, session).progress[-1]


def test_chores_are_done_in_between_and_may_fail(factory: GovernedFactory) -> None:
    """A long session does not keep them waiting, and one that fails is done again."""
    queued(factory)
    done: list[str] = []
    release = threading.Event()

    def wait(_: Session, __: Say) -> Outcome:
        assert release.wait(30)
        return Outcome(passed=True, result={})

    def broken() -> None:
        done.append("broken")
        raise OSError("disk")

    chores = [Chore("broken", broken), Chore("compaction", lambda: done.append("compaction"))]
    with running(executor(factory, wait, chores=chores, chores_every_s=0.01)):
        until(lambda: done.count("compaction") >= 3 and done.count("broken") >= 3)
        release.set()


def test_sessions_of_executors_that_died_are_begun_again(factory: GovernedFactory) -> None:
    """Its own name's at the start, a stranger's when it has been silent for a minute."""
    mine = queued(factory)
    factory.sessions.claim("e1", ["greeting"])
    strange = queued(factory, "other")
    factory.sessions.claim("e2", ["other"])
    with running(executor(factory, greet, beat_every_s=0.01)):
        until(lambda: seen(factory, mine).state is SessionState.PASSED)
        assert seen(factory, mine).progress == (
            "interrupted: its executor e1 ended",
            "begun again: attempt 2",
            "hello world",
        )
        assert seen(factory, strange).state is SessionState.RUNNING
        factory.clock.at = factory.clock.at.replace(hour=factory.clock.at.hour + 1)
        until(lambda: seen(factory, strange).state is SessionState.INTERRUPTED)


def test_a_killed_executor_leaves_a_session_that_its_successor_goes_on_with(
    sqlite_database: Database, tmp_path: Path, clock: FixedClock
) -> None:
    """A process of its own, killed in the middle of the work."""
    factory = GovernedFactory(sqlite_database, tmp_path, clock)
    session = queued(factory)
    code = """
        import sys, time
        from muster.audit.journal import Journal
        from muster.sessions.service import Sessions
        from muster.storage.transaction import Database
        from muster.vocabulary.clock import SystemClock
        from muster.workflows.executor import Executor

        def work(session, say):
            say("begun")
            time.sleep(600)

        database = Database(sys.argv[1])
        clock = SystemClock()
        sessions = Sessions(database=database, journal=Journal(None, clock), clock=clock)
        Executor(database=database, sessions=sessions, handlers={"greeting": work}, name="e1", look_every_s=0.01).run()
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), sqlite_database.url])
    try:
        until(lambda: seen(factory, session).progress == ("begun",))
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert seen(factory, session).state is SessionState.RUNNING
    with running(executor(factory, greet)):
        until(lambda: seen(factory, session).state is SessionState.PASSED)
    assert (seen(factory, session).attempt, seen(factory, session).deaths) == (2, 1)


def test_a_session_whose_end_could_not_be_kept_is_begun_again(factory: GovernedFactory) -> None:
    """The database was of no use just then; when it is back, nobody waits for the session for ever."""
    session = queued(factory)
    gone = threading.Event()

    def rename(before: str, after: str) -> None:
        with factory.database.engine.begin() as connection:
            connection.exec_driver_sql(f"ALTER TABLE {before} RENAME TO {after}")

    def work(_: Session, __: Say) -> Outcome:
        if not gone.is_set():
            rename("sessions", "sessions_gone")
            gone.set()
        return Outcome(passed=True, result={})

    with capture_logs() as told, running(executor(factory, work, beat_every_s=0.05)):
        assert gone.wait(30)
        until(lambda: any(said["event"] == "executor.held_up" for said in told))
        rename("sessions_gone", "sessions")
        until(lambda: seen(factory, session).state is SessionState.PASSED)
    assert seen(factory, session).attempt == 2


def test_several_sessions_are_worked_on_at_once(factory: GovernedFactory) -> None:
    """As many as it was told, and no more; one that waits is begun when another ends."""
    sessions = []
    for number in range(3):
        with factory.database.write() as tx:
            sessions.append(factory.sessions.queue(tx, factory.call("ana"), "greeting", f"world {number}")[0])
    together, inside, most = threading.Barrier(2), [], []

    def meet(session: Session, _: Say) -> Outcome:
        inside.append(session.id)
        most.append(len(inside))
        if session.id != sessions[2].id:
            together.wait(30)
        inside.remove(session.id)
        return Outcome(passed=True, result={})

    with running(executor(factory, meet, at_once=2)):
        until(lambda: all(seen(factory, one).state is SessionState.PASSED for one in sessions))
    assert max(most) == 2


def test_a_cancelled_session_is_left_at_its_next_line(factory: GovernedFactory) -> None:
    """Whoever works on it stops, and goes on with the next."""
    session = queued(factory)
    begun = threading.Event()

    def endless(_: Session, say: Say) -> Outcome:
        while True:
            say("still at it")
            begun.set()
            time.sleep(0.005)

    with running(executor(factory, endless)) as thread:
        assert begun.wait(30)
        factory.sessions.cancel(factory.call("ana"), session.id, "enough")
        until(lambda: not any(one.name.startswith("session.") for one in threading.enumerate()))
        assert thread.is_alive()
    assert seen(factory, session).state is SessionState.CANCELLED
