"""Sessions in processes of their own: whatever dies or is ended, the session says so, goes on where it can, and nothing is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from governed_factory import GovernedFactory
from muster.sessions.records import Session
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.states import SessionState

_PROGRAM = Path(__file__).parents[2] / "apart_executor.py"


@pytest.fixture
def factory(sqlite_database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    return GovernedFactory(sqlite_database, tmp_path, clock)


def queued(factory: GovernedFactory, subject: str) -> Session:
    with factory.database.write() as tx:
        return factory.sessions.queue(tx, factory.call("ana"), "apart", subject)[0]


def seen(factory: GovernedFactory, session: Session) -> Session:
    return factory.sessions.session(factory.call("vic"), session.id)


def until(holds: Callable[[], Any]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


@contextmanager
def executor(factory: GovernedFactory, fails: int = 0) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, str(_PROGRAM), factory.database.url, str(factory.folder), str(fails)]
    process = subprocess.Popen(command, start_new_session=True)  # as a supervisor starts it: a group of its own
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def pids_of(factory: GovernedFactory, subject: str) -> list[int]:
    file = factory.folder / f"{subject}.pids"
    until(lambda: file.exists() and len(file.read_text().split()) == 2)
    found = [int(pid) for pid in file.read_text().split()]
    file.unlink()
    return found


def test_sessions_end_as_their_processes_do(factory: GovernedFactory) -> None:
    """Well; dead three times; dead once and gone on with what was kept; too large; large together. The executor outlives them all."""
    well, dying, once, growing, sharing = (
        queued(factory, subject) for subject in ("greet", "die", "once", "grow", "share")
    )
    with executor(factory) as process:
        until(lambda: all(seen(factory, one).finished_at for one in (well, dying, once, growing, sharing)))
        pid = (factory.folder / "executor.pid").read_text()
        assert process.poll() is None
    result = seen(factory, well).result
    assert result is not None
    assert str(result["pid"]) != pid
    given_up = seen(factory, dying)
    assert given_up.state is SessionState.FAILED
    assert given_up.result is not None
    assert given_up.result["error"]["code"] == "sessions.given-up"
    assert sum("ended by SIGKILL" in line for line in given_up.progress) == 3
    went_on = seen(factory, once)
    assert (went_on.state, went_on.result, went_on.attempt) == (SessionState.PASSED, {"kept": ["first"]}, 2)
    large = seen(factory, growing)
    assert large.result is not None
    assert large.result["error"]["code"] == "sessions.over-limit"
    assert "may take 400 MiB" in large.result["error"]["message"]
    assert seen(factory, sharing).state is SessionState.PASSED, "what forked processes share counts once"


def test_a_cancelled_session_takes_its_processes_with_it(factory: GovernedFactory) -> None:
    """Within seconds, though it says nothing any more; the other session goes on."""
    cancelled, other = queued(factory, "stay 1"), queued(factory, "stay 2")
    with executor(factory):
        mine, others = pids_of(factory, "stay 1"), pids_of(factory, "stay 2")
        factory.sessions.cancel(factory.call("ana"), cancelled.id, "enough")
        until(lambda: not any(map(lives, mine)))
        assert all(map(lives, others))
        assert seen(factory, other).state is SessionState.RUNNING
    assert not any(map(lives, others)), "an executor that ends takes them with it"
    assert seen(factory, cancelled).state is SessionState.CANCELLED
    stopped = seen(factory, other)
    assert (stopped.state, stopped.deaths) == (SessionState.INTERRUPTED, 0)
    assert "stopping" in stopped.progress[-1]


def test_a_killed_process_or_executor_is_an_interruption(factory: GovernedFactory) -> None:
    """The session is begun again by itself; of the processes before nothing is left."""
    session = queued(factory, "stay")
    with executor(factory):
        first = pids_of(factory, "stay")
        os.kill(first[0], signal.SIGKILL)
        second = pids_of(factory, "stay")
        assert second[0] != first[0]
        until(lambda: not any(map(lives, first)))
        assert seen(factory, session).deaths == 1
        nursery = psutil.Process(second[0]).parent()
        assert nursery is not None
        os.kill(int((factory.folder / "executor.pid").read_text()), signal.SIGKILL)
        until(lambda: not any(map(lives, (*second, nursery.pid))))
    with executor(factory):
        pids_of(factory, "stay")
        again = seen(factory, session)
        assert (again.state, again.attempt, again.deaths) == (SessionState.RUNNING, 3, 2)
        factory.sessions.cancel(factory.call("ana"), session.id, "seen enough")


def test_a_dead_nursery_ends_its_executor_and_nobodys_work(factory: GovernedFactory) -> None:
    """Whatever waits or was worked on is begun again by the next executor, and has died of nothing."""
    working = queued(factory, "stay")
    waiting = [queued(factory, f"greet {number}") for number in range(3)]
    with executor(factory) as process:
        mine = pids_of(factory, "stay")
        until(lambda: all(seen(factory, one).finished_at for one in waiting))
        waiting = [queued(factory, f"greet again {number}") for number in range(3)]
        os.kill(psutil.Process(mine[0]).ppid(), signal.SIGKILL)
        assert process.wait(30) == 3, "it says that it could not go on"
    assert not any(map(lives, mine))
    left = seen(factory, working)
    assert (left.state, left.deaths) == (SessionState.INTERRUPTED, 0)
    assert not [one for one in [seen(factory, it) for it in waiting] if one.deaths or one.state is SessionState.FAILED]
    with executor(factory):
        until(lambda: all(seen(factory, one).finished_at for one in waiting))
        pids_of(factory, "stay")
        factory.sessions.cancel(factory.call("ana"), working.id, "seen enough")
    assert {seen(factory, one).state for one in waiting} == {SessionState.PASSED}


def test_a_signal_to_the_whole_group_is_no_death(factory: GovernedFactory) -> None:
    """The executor is stopped in order, though what starts processes for it was told to end as well."""
    session = queued(factory, "stay")
    with executor(factory) as process:
        mine = pids_of(factory, "stay")
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(30) == 0
    assert not any(map(lives, mine))
    stopped = seen(factory, session)
    assert (stopped.state, stopped.deaths) == (SessionState.INTERRUPTED, 0)
    assert "its executor is stopping" in stopped.progress[-1]


def test_what_ends_while_its_executor_stops_has_not_died(factory: GovernedFactory) -> None:
    """A service manager sends its signal to every process at once; which of them ends first says nothing of the work."""
    session = queued(factory, "last")
    with executor(factory) as process:
        assert process.wait(30) == 0
    stopped = seen(factory, session)
    assert (stopped.state, stopped.deaths) == (SessionState.INTERRUPTED, 0)


def test_a_machine_short_of_processes_is_waited_for(factory: GovernedFactory) -> None:
    """Neither the session nor its executor ends because none could be started twice."""
    session = queued(factory, "greet")
    with executor(factory, fails=2) as process:
        until(lambda: seen(factory, session).finished_at)
        assert process.poll() is None
    done = seen(factory, session)
    assert (done.state, done.attempt, done.deaths) == (SessionState.PASSED, 1, 0)
