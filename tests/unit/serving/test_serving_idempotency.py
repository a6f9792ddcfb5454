"""A repeated request is answered as the first time, whichever front it comes to."""

import asyncio
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyed_requests import PLAN, CountingEndpoints, asked, decided_of, id_of, score_of, table_of
from muster.archive.records import Record
from muster.packaging.columns import Column, Table
from muster.serving.claims import Claims
from muster.serving.endpoint import Scored
from muster.serving.errors import (
    ClaimNotWritten,
    IdempotencyKeyReused,
    NoAnswerInTime,
    RequestMalformed,
    RequestUnderWay,
)
from muster.serving.idempotency import Idempotency, checked_key, input_digest
from muster.serving.recalled import Recalled
from muster.vocabulary.request_ids import request_id_text
from muster.vocabulary.tensors import Datatype
from muster.wire.records import Decided


class Machine:
    """Fronts that share claims and an archive."""

    def __init__(self, folder: Path, fronts: int) -> None:
        self.folder = folder
        self.archive: dict[str, Record] = {}
        self.is_safe = True
        self.endpoints = [CountingEndpoints(self.record, front=number) for number in range(fronts)]
        self.fronts = [Idempotency(one.as_endpoints(), Claims(folder), self) for one in self.endpoints]

    def record(self, decided: Decided) -> None:
        self.archive[request_id_text(decided.request_id)] = Record(decided=decided)

    def find(self, request_id: str, /) -> Record | None:
        return self.archive.get(request_id)

    def make_safe(self, _request_id: str, /, *, writer_is_gone: bool) -> bool:
        return writer_is_gone or self.is_safe

    @property
    def carried_out(self) -> list[str]:
        return [request for one in self.endpoints for request in one.carried_out]

    async def score(self, x: float, *, front: int = 0, key: str | None = "key", deadline_s: float = 5.0) -> Scored:
        return await self.fronts[front].score(key, PLAN, table_of(x), **asked(deadline_s=deadline_s))


@asynccontextmanager
async def machine(fronts: int = 2) -> AsyncIterator[Machine]:
    with tempfile.TemporaryDirectory() as folder:
        made = Machine(Path(folder), fronts)
        try:
            yield made
        finally:
            for one in made.endpoints:
                one.gate.set()
            for front in made.fronts:
                await front.close()


def running(what: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(30):
            await what()

    asyncio.run(within())


def dead_process() -> str:
    """The name of a process that has ended."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    return f"{ended.pid}:1"


def test_a_repetition_gets_the_recorded_answer_on_every_front() -> None:
    """The same id, the same outputs, marked as replayed; carried out once."""

    async def story() -> None:
        async with machine() as fronts:
            first = await fronts.score(1.0)
            assert not isinstance(first, Recalled)
            for front in (0, 1, 0):
                again = await fronts.score(1.0, front=front)
                assert isinstance(again, Recalled)
                assert (id_of(again), score_of(again), again.decision) == (id_of(first), 2.0, first.decision)
            assert fronts.carried_out == [id_of(first)]
            assert fronts.archive[id_of(first)].decided.idempotency_key == "key"

    running(story)


def test_the_same_key_with_another_input_is_refused() -> None:
    """On the same front and on another, while the first is under way and after it."""

    async def story() -> None:
        async with machine() as fronts:
            fronts.endpoints[0].gate.clear()
            first = asyncio.create_task(fronts.score(1.0))
            await until(lambda: bool(fronts.carried_out))
            for front in (0, 1):
                with pytest.raises(IdempotencyKeyReused):
                    await fronts.score(2.0, front=front)
            fronts.endpoints[0].gate.set()
            await first
            for front in (0, 1):
                with pytest.raises(IdempotencyKeyReused):
                    await fronts.score(2.0, front=front)
            assert len(fronts.carried_out) == 1

    running(story)


def test_a_repetition_waits_for_the_one_under_way() -> None:
    """Here and on another front; if that takes longer than it has time, it is told so."""

    async def story() -> None:
        async with machine() as fronts:
            fronts.endpoints[0].gate.clear()
            first = asyncio.create_task(fronts.score(1.0))
            await until(lambda: bool(fronts.carried_out))
            for front in (0, 1):
                with pytest.raises(RequestUnderWay):
                    await fronts.score(1.0, front=front, deadline_s=0.05)
            waiting = [asyncio.create_task(fronts.score(1.0, front=front)) for front in (0, 1, 0, 1)]
            await asyncio.sleep(0)
            fronts.endpoints[0].gate.set()
            answers = [await first, *(await asyncio.gather(*waiting))]
            assert len({id_of(answer) for answer in answers}) == 1
            assert [isinstance(answer, Recalled) for answer in answers] == [False, True, True, True, True]
            assert len(fronts.carried_out) == 1

    running(story)


def test_who_hangs_up_leaves_the_answer_for_the_repetition() -> None:
    """A caller that goes away does not end what it began."""

    async def story() -> None:
        async with machine() as fronts:
            fronts.endpoints[0].gate.clear()
            first = asyncio.create_task(fronts.score(1.0))
            await until(lambda: bool(fronts.carried_out))
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            again = asyncio.create_task(fronts.score(1.0))
            fronts.endpoints[0].gate.set()
            assert isinstance(await again, Recalled)
            assert len(fronts.carried_out) == 1

    running(story)


def test_without_an_answer_the_key_is_free() -> None:
    """A request that failed, and one that nothing answered, are carried out when they are repeated."""

    async def story() -> None:
        async with machine() as fronts:
            fronts.endpoints[0].fails = True
            with pytest.raises(RuntimeError):
                await fronts.score(1.0)
            fronts.endpoints[0].fails, fronts.endpoints[0].gives_nothing = False, True
            with pytest.raises(NoAnswerInTime):
                await fronts.score(1.0)
            fronts.endpoints[0].gives_nothing = False
            assert score_of(await fronts.score(1.0)) == 2.0
            assert len(fronts.carried_out) == 3

    running(story)


def test_a_claim_of_a_front_that_died_before_it_decided_is_taken_over_at_once() -> None:
    """Whatever its deadline was; of many that repeat the request one carries it out."""

    async def story() -> None:
        async with machine() as fronts:
            abandoned = Claims(fronts.folder)
            digest = input_digest(table_of(1.0), "")
            dead = fronts.endpoints[0].new_request_id()
            abandoned.claim(("shop", "churn", "key"), digest, dead, dead_process(), monotonic() + 3600)
            abandoned.close()
            answers = await asyncio.gather(*(fronts.score(1.0, front=number % 2) for number in range(6)))
            assert len({id_of(answer) for answer in answers}) == 1
            assert len(fronts.carried_out) == 1

    running(story)


def test_a_record_of_a_front_that_died_before_it_replied_is_the_answer() -> None:
    """Nobody carries the request out again."""

    async def story() -> None:
        async with machine() as fronts:
            left = Claims(fronts.folder)
            digest = input_digest(table_of(1.0), "")
            dead = fronts.endpoints[0].new_request_id()
            left.claim(("shop", "churn", "key"), digest, dead, dead_process(), monotonic() + 3600)
            left.close()
            fronts.record(decided_of(PLAN, dead, table_of(1.0)))
            again = await fronts.score(1.0, front=1)
            assert isinstance(again, Recalled)
            assert id_of(again) == request_id_text(dead)
            assert fronts.carried_out == []

    running(story)


def test_a_front_that_hangs_is_waited_for_until_its_deadline() -> None:
    """Then the request is carried out elsewhere."""

    async def story() -> None:
        async with machine() as fronts:
            fronts.endpoints[0].gate.clear()
            first = asyncio.create_task(fronts.score(1.0, deadline_s=0.1))
            await until(lambda: bool(fronts.carried_out))
            begun = monotonic()
            assert score_of(await fronts.score(1.0, front=1)) == 2.0
            assert monotonic() - begun > 0.1
            assert len(fronts.carried_out) == 2
            fronts.endpoints[0].gate.set()
            await first

    running(story)


def test_what_cannot_be_claimed_is_not_carried_out() -> None:
    """A disk that takes no claims refuses requests with a key, and no others."""

    async def story() -> None:
        async with machine(1) as fronts:
            with pytest.MonkeyPatch.context() as patch:

                def full(*_: object) -> None:
                    raise ClaimNotWritten("the disk is full")

                patch.setattr(Claims, "claim", full)
                with pytest.raises(ClaimNotWritten):
                    await fronts.score(1.0)
                assert fronts.carried_out == []
                assert score_of(await fronts.score(1.0, key=None)) == 2.0
            assert score_of(await fronts.score(1.0)) == 2.0

    running(story)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2), st.sampled_from(["a", "b", "c"]), st.sampled_from(["shop", "bank"]), st.integers(0, 2)
        ),
        min_size=1,
        max_size=25,
    ),
    st.booleans(),
)
def test_any_requests_in_any_order_are_each_carried_out_once(
    asks: list[tuple[int, str, str, int]], together: bool
) -> None:
    """For each consumer and key, the first input is carried out once and given to all who repeat it; others are refused."""

    async def story() -> None:
        async with machine(3) as fronts:

            async def ask(front: int, key: str, consumer: str, x: int) -> Scored | IdempotencyKeyReused:
                try:
                    return await fronts.fronts[front].score(key, PLAN, table_of(x), **asked(consumer=consumer))
                except IdempotencyKeyReused as refused:
                    return refused

            if together:
                results = await asyncio.gather(*(ask(*one) for one in asks))
            else:
                results = [await ask(*one) for one in asks]
            won: dict[tuple[str, str], tuple[int, str]] = {}
            for (_, key, consumer, x), result in zip(asks, results, strict=True):
                if isinstance(result, Scored):
                    assert score_of(result) == x + 1
                    assert won.setdefault((consumer, key), (x, id_of(result))) == (x, id_of(result))
            for (_, key, consumer, x), result in zip(asks, results, strict=True):
                assert isinstance(result, Scored) == (won[consumer, key][0] == x)
            assert sorted(fronts.carried_out) == sorted(request for _, request in won.values())

    running(story)


def test_the_digest_is_of_the_rows_and_not_of_their_form() -> None:
    """Views and copies are the same; another value, null, name, datatype, variant or division into columns is not."""
    plain = table_of(1.0)
    data = bytes(plain.columns["x"].data)
    same = [
        Table(1, {"x": Column(Datatype.FP64, (), memoryview(data))}),
        Table(1, {"x": Column(Datatype.FP64, (), bytearray(data), b"\0")}),
    ]
    others = [
        table_of(2.0),
        Table(1, {"x": Column(Datatype.FP64, (), data, b"\1")}),
        Table(1, {"y": Column(Datatype.FP64, (), data)}),
        Table(1, {"x": Column(Datatype.INT64, (), data)}),
        Table(1, {"x": Column(Datatype.FP64, (1,), data)}),
        Table(1, {"x": Column(Datatype.FP32, (), data[:4]), "y": Column(Datatype.FP32, (), data[4:])}),
    ]
    assert {input_digest(table, "") for table in same} == {input_digest(plain, "")}
    assert len({input_digest(table, "") for table in [plain, *others]}) == len(others) + 1
    assert input_digest(plain, "churn:2") != input_digest(plain, "")


def test_keys_are_short_printable_text() -> None:
    """A key is 1 to 200 ASCII characters without spaces."""
    assert checked_key(b"8e03978e-40d5-43dd") == "8e03978e-40d5-43dd"
    for wrong in (b"", b"a b", b"k" * 201, b"\xc3\xa9", "é", b"a\n"):
        with pytest.raises(RequestMalformed):
            checked_key(wrong)


async def until(what: Callable[[], bool]) -> None:
    """Wait until it is so."""
    while not what():
        await asyncio.sleep(0.001)
