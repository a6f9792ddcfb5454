"""Answered means recorded: the recorder over a real segment writer."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from muster.archive.reader import Reader
from muster.archive.segments import SegmentWriter
from muster.serving.counts import EndpointCounts
from muster.serving.errors import RecordNotWritten
from muster.serving.recorder import Recorder
from muster.vocabulary.request_ids import RequestIds, request_id_text
from muster.wire.records import RECORD_FORMAT, Decided, StoredColumn, VariantAnswer


def decided(request_id: bytes, size: int = 8) -> Decided:
    column = StoredColumn("x", "FP64", (), bytes(size))
    answer = VariantAnswer("adds:1", "champion", "answered", (column,))
    return Decided(
        format=RECORD_FORMAT, request_id=request_id, client_id=None, idempotency_key=None, consumer="shop",
        project="default", endpoint="plus", release=1, plan="sha256:" + "0" * 64, contract="sha256:" + "1" * 64,
        received_ns=1, decided_ns=2, elapsed_ns=1, deadline_ns=10, rows=size // 8, body_sha256=bytes(32),
        inputs=(column,), answers=(answer,), chosen=(0,), reason="champion", probability=1.0, forced=False,
    )  # fmt: skip


class Waits:
    """Whoever waits for a record."""

    def __init__(self, told: Callable[[RecordNotWritten | None], None]) -> None:
        self.told = told


@pytest.mark.parametrize("level", ["sync", "group"])
def test_a_decision_is_told_only_when_the_archive_can_show_it(tmp_path: Path, level: Any) -> None:
    """At the moment the reply may leave, another process finds the record."""

    async def play() -> list[bool]:
        recorder = Recorder(SegmentWriter(tmp_path / "spool", 0))
        ledger = recorder.ledger("plus", EndpointCounts("plus"))
        ids = RequestIds(0)
        reader = Reader(tmp_path)
        found: list[bool] = []
        waiting = []
        for _ in range(50):
            request_id = ids.next(recorder.segment)
            future = asyncio.get_running_loop().create_future()

            def told(
                problem: RecordNotWritten | None,
                request_id: bytes = request_id,
                future: asyncio.Future[None] = future,
            ) -> None:
                found.append(problem is None and reader.find(request_id_text(request_id)) is not None)
                future.set_result(None)

            recorder.decided(decided(request_id), level, "refuse", Waits(told), ledger)
            waiting.append(future)
        await asyncio.wait_for(asyncio.gather(*waiting), 10)
        await recorder.close()
        return found

    assert asyncio.run(play()) == [True] * 50


def test_a_spool_that_is_full_refuses_and_loses_nothing_of_what_was_told(tmp_path: Path) -> None:
    """Replies whose record does not fit are errors, counted; those before are all on record; `async` never waits."""

    async def play() -> tuple[list[bytes], int, int]:
        recorder = Recorder(SegmentWriter(tmp_path / "spool", 0, spool_bytes=64 * 1024))
        ledger = recorder.ledger("plus", EndpointCounts("plus"))
        ids = RequestIds(0)
        good: list[bytes] = []
        refused = 0
        for _ in range(40):
            request_id = ids.next(recorder.segment)
            future = asyncio.get_running_loop().create_future()
            recorder.decided(decided(request_id, 1600), "group", "refuse", Waits(future.set_result), ledger)
            problem = await asyncio.wait_for(future, 10)
            if problem is None:
                good.append(request_id)
            else:
                assert isinstance(problem, RecordNotWritten)
                refused += 1
        told: list[object] = []
        recorder.decided(decided(ids.next(recorder.segment), 1600), "async", "refuse", Waits(told.append), ledger)
        assert told == [None]
        await recorder.close()
        return good, refused, recorder.lost

    good, refused, lost = asyncio.run(play())
    assert good
    assert refused
    assert lost == refused + 1
    reader = Reader(tmp_path)
    assert all(reader.find(request_id_text(request_id)) for request_id in good)
