"""Builds an executor process: certifications, replays, and the archive's compaction."""

import argparse
import signal
from types import FrameType

import structlog

from muster.archive.compaction import Compactor
from muster.bootstrap.executor_counts import ExecutorCounts
from muster.bootstrap.factory import Factory, factory_of
from muster.bootstrap.home import Home
from muster.bootstrap.metrics import metrics_address
from muster.certification.examination import Examination
from muster.certification.options import CertificationOptions
from muster.sessions.records import CERTIFICATION, REPLAY, Session
from muster.telemetry.metrics_door import shown_in_thread
from muster.workflows.executor import Executor, Handler, Say

log = structlog.get_logger()


def run(home: Home, _given: argparse.Namespace) -> None:
    """Work on sessions until SIGTERM."""
    factory = factory_of(home)
    archive = home.settings.archive
    compactor = Compactor(home.archive / "spool", home.archive / "parquet", settle_s=archive.compact_after_s)
    counts = ExecutorCounts(home.archive)
    executor = Executor(
        database=factory.database,
        sessions=factory.sessions,
        handlers=counts.counted(_handlers(factory)),
        name="executor-0",
        chores={"archive.compact": compactor.compact},
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
        options=CertificationOptions(latency_limit_ms=home.settings.certification.latency_limit_ms),
    )

    def certify(session: Session, say: Say) -> None:
        factory.certification.run(session, say, examination)

    def replay(session: Session, say: Say) -> None:
        factory.replays.run(session, say)

    return {CERTIFICATION: certify, REPLAY: replay}
