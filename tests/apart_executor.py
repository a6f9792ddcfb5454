"""An executor in a process of its own, whose sessions are worked on by further processes: `python apart_executor.py DATABASE FOLDER [FAILS]`.

What a session's process does is its subject: `greet`, `die`, `grow`, `stay` (until it is ended, with a child of its own that outlives
its parent), `once` (dies at its first attempt, and has kept what it did), `last` (ends its executor, then itself as by a signal).
The machine gives no process to the first FAILS of them that are asked for.
"""

import errno
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from muster.audit.journal import Journal
from muster.sessions.records import Session
from muster.sessions.service import Sessions
from muster.storage.transaction import Database
from muster.vocabulary.clock import SystemClock
from muster.workflows.apart import Apart, ProcessLimits
from muster.workflows.executor import Executor
from muster.workflows.nursery import Nursery
from muster.workflows.work import Outcome, Say, Worker

MEMORY_MIB = 400


def _wait() -> int:
    time.sleep(60)
    os._exit(0)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _do(session: Session, say: Say, sessions: Sessions, folder: Path) -> Outcome:
    say(f"begun by {os.getpid()}")
    if session.subject.startswith("stay"):
        child = subprocess.Popen(["sleep", "600"])
        (folder / f"{session.subject}.pids").write_text(f"{os.getpid()} {child.pid}")
        while True:
            time.sleep(0.05)  # says nothing: only its executor can end it
    if session.subject == "grow":
        kept = [b"x" * 2**20 * 50 for _ in range(20)]
        time.sleep(60)
        return Outcome(passed=bool(kept), result={})
    if session.subject == "share":
        shared = b"x" * 2**20 * 150
        forked = [os.fork() or _wait() for _ in range(8)]
        time.sleep(3)  # it is weighed every second
        for pid in forked:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        return Outcome(passed=bool(shared), result={})
    if session.subject == "last":
        os.kill(int((folder / "executor.pid").read_text()), signal.SIGTERM)
        os._exit(128 + signal.SIGTERM)
    if session.subject == "die":
        _die()
    if session.subject == "once":
        if session.attempt == 1:
            sessions.keep(session, "first", "key", {"by": os.getpid()})
            _die()
        return Outcome(passed=True, result={"kept": [done.name for done in session.kept]})
    return Outcome(passed=True, result={"pid": os.getpid()})


def _short_of_processes(fails: int) -> None:
    """Have so many forks fail, after the one that makes the nursery."""
    fork, asked = os.fork, itertools.count()

    def scarce() -> int:
        if 0 < next(asked) <= fails:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return fork()

    os.fork = scarce


def main(url: str, folder: Path, fails: int) -> int:
    def work(order: Mapping[str, Any]) -> None:
        database, clock = Database(url), SystemClock()
        sessions = Sessions(database=database, journal=Journal(None, clock), clock=clock)
        worker = Worker(database=database, sessions=sessions, is_stopping=lambda: False)
        worker.do(sessions.claimed(order["session"]), lambda session, say: _do(session, say, sessions, folder))

    _short_of_processes(fails)
    nursery = Nursery.opened(work)
    database, clock = Database(url), SystemClock()
    sessions = Sessions(database=database, journal=Journal(None, clock), clock=clock)
    stopping = threading.Event()
    apart = Apart(
        nursery=nursery,
        sessions=sessions,
        limits=ProcessLimits(memory_mib=MEMORY_MIB, seconds=120),
        is_stopping=stopping.is_set,
    )
    executor = Executor(
        database=database,
        sessions=sessions,
        handlers={"apart": apart},
        name="e1",
        at_once=2,
        look_every_s=0.01,
        is_able=lambda: not nursery.is_gone,
    )

    def end(_number: int, _frame: object) -> None:
        stopping.set()
        executor.stop()

    signal.signal(signal.SIGTERM, end)
    (folder / "executor.pid").write_text(str(os.getpid()))
    executor.run()
    nursery.close()
    return 0 if stopping.is_set() else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
