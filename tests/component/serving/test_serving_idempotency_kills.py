"""Fronts that are killed between claim, record and reply; real processes, a real spool, real claims."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from keyed_requests import PLAN, CountingEndpoints, asked, id_of, score_of, table_of
from muster.archive.compaction import Compactor
from muster.archive.finder import Finder
from muster.archive.reader import Reader
from muster.archive.segments import SegmentWriter, encode
from muster.serving.claims import Claims
from muster.serving.endpoint import Scored
from muster.serving.idempotency import Idempotency
from muster.serving.recalled import Recalled
from muster.wire.records import Decided

KILLED_FRONT = Path(__file__).with_name("killed_front.py")


def killed_at(home: Path, point: str) -> str:
    """Run a front that dies there; the id of the request that it had."""
    ended = subprocess.run(
        [sys.executable, str(KILLED_FRONT), str(home), point], capture_output=True, timeout=60, check=False, text=True
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    return ended.stdout.strip()


def repeated(home: Path, front: int, *, times: int = 3) -> tuple[list[Scored], list[str]]:
    """Repeat the request on a front that lives: what it answers, and which requests it has carried out."""

    async def story() -> tuple[list[Scored], list[str]]:
        with SegmentWriter(home / "spool", front) as writer:

            def write(decided: Decided) -> None:
                writer.write([encode(decided)])

            endpoints = CountingEndpoints(write, front=front)
            endpoints.segment = writer.segment
            alive = Idempotency(endpoints.as_endpoints(), Claims(home / "claims"), Finder(home))
            async with asyncio.timeout(30):
                asks: dict[str, Any] = asked(deadline_s=5.0)
                answers = [await alive.score("key", PLAN, table_of(1.0), **asks) for _ in range(times)]
            await alive.close()
            return answers, endpoints.carried_out

    return asyncio.run(story())


@pytest.mark.parametrize("front", [0, 1], ids=["the same front, started again", "another front"])
def test_killed_between_claim_and_record_the_request_is_carried_out_once_more(tmp_path: Path, front: int) -> None:
    """Nothing is on record of the first, so the repetition is carried out at once, and is the answer from then on."""
    first = killed_at(tmp_path, "claimed")
    answers, carried_out = repeated(tmp_path, front)
    assert carried_out == [id_of(answers[0])] != [first]
    assert {id_of(answer) for answer in answers} == set(carried_out)
    assert [isinstance(answer, Recalled) for answer in answers] == [False, True, True]
    found = Reader(tmp_path).last("churn", 10)
    assert [record.request_id for record in found] == carried_out
    assert found[0].decided.idempotency_key == "key"


@pytest.mark.parametrize("front", [0, 1], ids=["the same front, started again", "another front"])
def test_killed_between_record_and_reply_the_repetition_gets_the_recorded_answer(tmp_path: Path, front: int) -> None:
    """The request is on record, so nobody carries it out again."""
    first = killed_at(tmp_path, "recorded")
    answers, carried_out = repeated(tmp_path, front)
    assert carried_out == []
    assert {(id_of(answer), score_of(answer)) for answer in answers} == {(first, 2.0)}
    assert [record.request_id for record in Reader(tmp_path).last("churn", 10)] == [first]


def test_a_record_that_became_parquet_is_found(tmp_path: Path) -> None:
    """Compaction takes the segment away within the ten minutes; the answer is the same."""
    first = killed_at(tmp_path, "recorded")
    SegmentWriter(tmp_path / "spool", 0).close()
    Compactor(tmp_path / "spool", tmp_path / "parquet", settle_s=0.0).compact()
    assert not list(tmp_path.glob("spool/0/*.seg"))
    answers, carried_out = repeated(tmp_path, 1)
    assert carried_out == []
    assert {(id_of(answer), score_of(answer)) for answer in answers} == {(first, 2.0)}
