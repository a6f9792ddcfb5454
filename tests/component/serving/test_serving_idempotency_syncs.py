"""Level `sync` on a disk that fails: real claims, a real recorder and spool, and fsyncs that report errors."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from keyed_requests import PLAN, CountingEndpoints, asked, decided_of, id_of, score_of, table_of
from muster.archive.finder import Finder
from muster.archive.reader import Reader
from muster.archive.records import Record
from muster.archive.segments import CLOSED, OPEN, SegmentWriter, read_segment, segments_in
from muster.packaging.columns import Table
from muster.serving.claims import Claims
from muster.serving.counts import FrontCounts
from muster.serving.endpoint import Scored
from muster.serving.errors import RecordNotWritten, RequestUnderWay
from muster.serving.idempotency import Idempotency
from muster.serving.plan import Plan
from muster.serving.recalled import Recalled, recalled
from muster.serving.recorder import Recorder
from muster.vocabulary.request_ids import request_id_text

SYNCED = Plan(msgspec.structs.replace(PLAN.document, archive_level="sync"))


class Disk:
    """Says whether the disk works; what goes through the page cache always does."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.failing: set[str] = set()
        for name in ("fdatasync", "fsync", "pwritev"):
            patch.setattr(os, name, self._failing_at_times(name, getattr(os, name)))

    def _failing_at_times(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if name in self.failing:
                raise OSError(errno.EIO, "Input/output error")
            return real(*arguments)

        return call


class RecordingEndpoints(CountingEndpoints):
    """Endpoints whose decisions go through a real recorder, at level `sync`."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(lambda _: None)
        self.plan = SYNCED
        self._recorder = recorder
        self._ledger = recorder.ledger("churn", FrontCounts().endpoint("churn"))

    async def score(self, plan: Plan, table: Table, **given: Any) -> Scored:
        told: asyncio.Future[RecordNotWritten | None] = asyncio.get_running_loop().create_future()
        decided = decided_of(plan, given["request_id"], table, key=given["idempotency_key"])
        self.carried_out.append(request_id_text(decided.request_id))
        self._recorder.decided(decided, "sync", "refuse", Waits(told), self._ledger)
        problem = await told
        if problem is not None:
            raise problem
        answer = recalled(Record(decided=decided), plan)
        return Scored(answer.mailbox, answer.decision)


class Waits:
    def __init__(self, future: "asyncio.Future[RecordNotWritten | None]") -> None:
        self._future = future

    def told(self, problem: RecordNotWritten | None, /) -> None:
        self._future.set_result(problem)


class Front:
    """One front on a disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.writer = SegmentWriter(folder / "spool", 0)
        self.recorder = Recorder(self.writer)
        self.endpoints = RecordingEndpoints(self.recorder)
        self.endpoints.segment = self.writer.segment
        self.idempotency = Idempotency(self.endpoints.as_endpoints(), Claims(folder / "claims"), Finder(folder))

    async def score(self, *, deadline_s: float = 5.0) -> Scored:
        return await self.idempotency.score("key", SYNCED, table_of(1.0), **asked(deadline_s=deadline_s))

    def segments(self, suffix: str) -> list[Path]:
        return [path for path in segments_in(self.folder / "spool" / "0").values() if path.suffix == suffix]


@asynccontextmanager
async def front(folder: Path) -> AsyncIterator[Front]:
    async with asyncio.timeout(30):
        made = Front(folder)
        yield made
        await made.idempotency.close()
        await made.recorder.close()


def on_record(folder: Path) -> list[str]:
    return [record.request_id for record in Reader(folder).last("churn", 10)]


def test_a_decision_whose_fsync_failed_is_the_answer_once_it_is_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first caller is told of the error; the repetition is answered from that decision, on record once, in a closed segment."""
    disk = Disk(monkeypatch)

    async def story() -> str:
        async with front(tmp_path) as one:
            disk.failing = {"fdatasync"}
            with pytest.raises(RecordNotWritten, match="made safe"):
                await one.score()
            again = await one.score()
            assert isinstance(again, Recalled)
            assert (score_of(again), one.endpoints.carried_out) == (2.0, [id_of(again)])
            (closed,) = one.segments(CLOSED)
            assert read_segment(closed).closed
            return id_of(again)

    answered = asyncio.run(story())
    assert on_record(tmp_path) == [answered]


def test_nothing_is_answered_from_a_record_that_is_not_safe_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the disk fails the repetition is told to come again; nobody carries the request out a second time."""
    disk = Disk(monkeypatch)

    async def story() -> str:
        async with front(tmp_path) as one:
            disk.failing = {"fdatasync", "fsync"}
            with pytest.raises(RecordNotWritten, match="made safe"):
                await one.score()
            assert on_record(tmp_path) == one.endpoints.carried_out  # whoever looks finds it, in an open segment
            assert one.segments(CLOSED) == []
            for _ in range(2):
                with pytest.raises(RequestUnderWay, match="not made its record safe"):
                    await one.score(deadline_s=0.1)
            disk.failing = set()
            again = await one.score()
            assert isinstance(again, Recalled)
            assert one.endpoints.carried_out == [id_of(again)]
            assert len(one.segments(CLOSED)) == len(one.segments(OPEN)) == 1
            return id_of(again)

    answered = asyncio.run(story())
    assert on_record(tmp_path) == [answered]


def test_a_decision_that_was_not_written_leaves_its_key_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it is on record, so the repetition is carried out."""
    disk = Disk(monkeypatch)

    async def story() -> str:
        async with front(tmp_path) as one:
            disk.failing = {"pwritev"}
            with pytest.raises(RecordNotWritten, match="recorded"):
                await one.score()
            disk.failing = set()
            again = await one.score()
            assert not isinstance(again, Recalled)
            assert len(one.endpoints.carried_out) == 2
            return id_of(again)

    answered = asyncio.run(story())
    assert on_record(tmp_path) == [answered]
