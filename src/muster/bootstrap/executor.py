"""Builds an executor process: certifications, replays, and what the archive needs done: compaction and retention."""

import argparse
import os
import signal
import threading
from types import FrameType

import structlog

from muster.archive.compaction import Compactor
from muster.archive.consumers import UseCounter
from muster.archive.retention import Remover
from muster.bootstrap.executor_counts import ExecutorCounts
from muster.bootstrap.factory import Factory, factory_of
from muster.bootstrap.home import Home
from muster.bootstrap.metrics import metrics_address
from muster.bootstrap.session import session_memory_mib, work_of
from muster.certification.examination import SCRATCH
from muster.livetests.counting import LiveTestCounter
from muster.packaging.trees import remove_tree
from muster.sessions.records import CERTIFICATION, REPLAY, Session
from muster.telemetry.metrics_door import shown_in_thread
from muster.vocabulary.clock import SystemClock
from muster.workflows.apart import Apart, ProcessLimits
from muster.workflows.chores import Chore
from muster.workflows.errors import NurseryEnded
from muster.workflows.executor import Executor, Handler, Say
from muster.workflows.nursery import Nursery
from muster_host.machine import share_fairly

#: Whoever asks for scores goes first: under load what the executor does can wait, and gets what the fronts leave.
_NICENESS = 10
_COMPACT_EVERY_S = 5.0
_REMOVE_EVERY_S = 300.0
_COUNT_EVERY_S = 20.0
_COUNT_LIVE_TESTS_EVERY_S = 5.0
_LOOK_AT_CERTIFICATES_EVERY_S = 30.0
_LOOK_AT_MACHINE_EVERY_S = 600.0
log = structlog.get_logger()


def run(home: Home, _given: argparse.Namespace) -> None:
    """Work on sessions until SIGTERM.

    Raises:
        NurseryEnded: no session can be worked on any more, as the process that forks others has ended; the supervisor starts anew.
    """
    share_fairly(_NICENESS)
    nursery = Nursery.opened(work_of(home))  # first of all: it must have no threads, and no connection of ours
    factory = factory_of(home)
    factory.environments.clear_left_overs()
    for left in home.bundles.glob(f"{SCRATCH}*"):
        remove_tree(left)
    stopping = threading.Event()
    archive = home.settings.archive
    compactor = Compactor(
        home.archive / "spool",
        home.archive / "parquet",
        store=factory.archive_store,
        settle_s=archive.compact_after_s,
    )
    remover = Remover(factory.database, factory.journal, factory.archive_store, default_days=archive.retention_days)
    uses = UseCounter(factory.database, factory.archive_store, SystemClock())
    live_tests = LiveTestCounter(
        database=factory.database, releases=factory.releases, reader=factory.reader, clock=SystemClock()
    )
    counts = ExecutorCounts(home.archive, lapsed=lambda: factory.notices.lapsed)
    executor = Executor(
        database=factory.database,
        sessions=factory.sessions,
        handlers=counts.counted(_handlers(factory, nursery, stopping)),
        name="executor-0",
        at_once=home.settings.certification.at_once or min(2, os.cpu_count() or 1),
        chores=[
            Chore("archive.compact", compactor.compact, every_s=_COMPACT_EVERY_S),
            Chore("archive.count_uses", uses.count, every_s=_COUNT_EVERY_S),
            Chore("livetests.count", live_tests.count, every_s=_COUNT_LIVE_TESTS_EVERY_S),
            Chore("archive.remove", remover.remove, every_s=_REMOVE_EVERY_S),
            Chore("certificates.look", factory.notices.look, every_s=_LOOK_AT_CERTIFICATES_EVERY_S),
            Chore("certificates.environments", factory.notices.look_at_environments, every_s=_LOOK_AT_MACHINE_EVERY_S),
        ],
        is_able=lambda: not nursery.is_gone,
    )

    def end(_number: int, _frame: FrameType | None) -> None:
        stopping.set()
        executor.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    log.info("executor.started")
    try:
        with shown_in_thread(metrics_address(home, "executor"), counts.render):
            executor.run()
        if not stopping.is_set():
            raise NurseryEnded("the process that starts those of sessions has ended: a new executor begins")
    finally:
        nursery.close()
        factory.database.close()
        log.info("executor.stopped")


def _handlers(factory: Factory, nursery: Nursery, stopping: threading.Event) -> dict[str, Handler]:
    settings = factory.home.settings.certification

    def replay(session: Session, say: Say) -> None:
        factory.replays.run(session, say)

    certify = Apart(
        nursery=nursery,
        sessions=factory.sessions,
        limits=ProcessLimits(
            memory_mib=session_memory_mib(factory.home.settings), seconds=settings.session_hours * 3600
        ),
        is_stopping=stopping.is_set,
    )
    return {CERTIFICATION: certify, REPLAY: replay}
