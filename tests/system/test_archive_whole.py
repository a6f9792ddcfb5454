"""The archive of a running factory: after load and kill -9 it is whole, exact, exported and catching up."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from load import run_load
from running_factory import ROWS, RunningFactory, wait_for

from muster.wire.control import Account, ArchiveVerdict

pytestmark = pytest.mark.timeout(240)


def test_an_archive_is_whole_and_exact_after_kills_under_load(
    factory: RunningFactory, adds: list[str], tmp_path: Path
) -> None:
    """Fronts and the executor die; verify finds every request accounted for, and an export holds every answered one."""
    factory.release("kept", adds[0], challengers=[adds[1]], deadline="2s", patience="1500ms")
    ended = threading.Event()
    with ThreadPoolExecutor(1) as beside:
        load = beside.submit(
            asyncio.run,
            run_load(
                factory.scoring, factory.tokens["shop"], "kept", ROWS, connections=8, rate=200, until=ended.is_set
            ),
        )  # fmt: skip
        try:
            for kind in ("front", "executor", "front"):
                time.sleep(0.7)  # something to lose
                factory.restarted(kind)
                wait_for(lambda: factory.score("kept", ROWS[0]), told="the front answers again")
        finally:
            ended.set()
        outcome = load.result(60)
    answered = {answer.body["request_id"] for answer in outcome.answers if answer.status == 200}
    assert answered
    admin = factory.admin
    wait_for(lambda: _kept(admin.verify_archive("kept")).on_the_way == 0)
    verdict = admin.verify_archive()
    assert verdict.valid, verdict.problems
    kept = _kept(verdict)
    assert kept.recorded >= len(answered)
    assert kept.received == kept.recorded + kept.dropped + kept.refused + kept.unanswered
    target = tmp_path / "kept.parquet"
    admin.export("kept", target)
    assert answered <= set(pq.read_table(target, columns=["request_id"]).column("request_id").to_pylist())


def _kept(verdict: ArchiveVerdict) -> Account:
    return next(one for one in verdict.endpoints if one.endpoint == "kept")
