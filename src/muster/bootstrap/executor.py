"""Builds an executor process: certifications, replays, and what the archive needs done: compaction and retention."""

import argparse
import signal
from types import FrameType

import structlog

from muster.archive.compaction import Compactor
from muster.archive.consumers import UseCounter
from muster.archive.retention import Remover
from muster.bootstrap.executor_counts import ExecutorCounts
from muster.bootstrap.factory import Factory, factory_of
from muster.bootstrap.home import Home
from muster.bootstrap.metrics import metrics_address
from muster.certification.examination import Examination
from muster.certification.options import CertificationOptions
from muster.sessions.records import CERTIFICATION, REPLAY, Session
from muster.telemetry.metrics_door import shown_in_thread
from muster.vocabulary.clock import SystemClock
from muster.workflows.chores import Chore
from muster.workflows.executor import Executor, Handler, Say
from muster_host.machine import share_fairly

#: Whoever asks for scores goes first: under load what the executor does can wait, and gets what the fronts leave.
_NICENESS = 10
_COMPACT_EVERY_S = 5.0
_REMOVE_EVERY_S = 300.0
_COUNT_EVERY_S = 20.0
log = structlog.get_logger()


def run(home: Home, _given: argparse.Namespace) -> None:
    """Work on sessions until SIGTERM."""
    share_fairly(_NICENESS)
    factory = factory_of(home)
    factory.environments.clear_left_overs()
    archive = home.settings.archive
    compactor = Compactor(
        home.archive / "spool",
        home.archive / "parquet",
        store=factory.archive_store,
        settle_s=archive.compact_after_s,
    )
    remover = Remover(factory.database, factory.journal, factory.archive_store, default_days=archive.retention_days)
    uses = UseCounter(factory.database, factory.archive_store, SystemClock())
    counts = ExecutorCounts(home.archive)
    executor = Executor(
        database=factory.database,
        sessions=factory.sessions,
        handlers=counts.counted(_handlers(factory)),
        name="executor-0",
        chores=[
            Chore("archive.compact", compactor.compact, every_s=_COMPACT_EVERY_S),
            Chore("archive.count_uses", uses.count, every_s=_COUNT_EVERY_S),
            Chore("archive.remove", remover.remove, every_s=_REMOVE_EVERY_S),
        ],
    )

    def end(_number: int, _frame: FrameType | None) -> None:
        executor.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    log.info("executor.started")
    try:
        with shown_in_thread(metrics_address(home, "executor"), counts.render):
            executor.run()
    finally:
        factory.database.close()
        log.info("executor.stopped")


def _handlers(factory: Factory) -> dict[str, Handler]:
    home = factory.home
    examination = Examination(
        blobs=factory.blobs,
        environments=factory.environments,
        bundles=home.bundles,
        logs=home.logs,
        options=CertificationOptions(
            latency_limit_ms=home.settings.certification.latency_limit_ms,
            prove_rebuild=home.settings.certification.prove_rebuild,
        ),
        past=factory.past,
        evaluations=factory.evaluations,
        champions=factory.champions.of_model,
    )

    def certify(session: Session, say: Say) -> None:
        factory.certification.run(session, say, examination)

    def replay(session: Session, say: Say) -> None:
        factory.replays.run(session, say)

    return {CERTIFICATION: certify, REPLAY: replay}
