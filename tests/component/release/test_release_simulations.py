"""Releases decide again about a real archive, on both databases: who may ask, which records count."""

import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from governed_factory import GovernedFactory
from muster.access.errors import RightMissing
from muster.archive.compaction import Compactor
from muster.archive.layout import encode
from muster.archive.reader import Reader
from muster.archive.segments import SegmentWriter
from muster.release.errors import EndpointNotFound, ReleaseNotFound, SimulationUnderWay, StepUnfit, WindowMalformed
from muster.release.records import Release, Window
from muster.release.simulation import Simulations
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock, wall_ns
from muster.vocabulary.request_ids import RequestIds
from muster.wire.records import AnsweredLate, VariantAnswer
from past_requests import answered, floats, pending, record

SECOND = 10**9


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    return GovernedFactory(database, tmp_path, clock)


@pytest.fixture
def simulations(factory: GovernedFactory) -> Simulations:
    return Simulations(factory.database, Reader(factory.folder / "archive"))


@pytest.fixture
def release(factory: GovernedFactory) -> Release:
    """Proposed: churn:1 answers, churn:2 stands in."""
    champion, canary = factory.accepted(), factory.accepted()
    return factory.propose(champion, canary, order=(champion.name, canary.name))


class Front:
    """Writes records as a front does."""

    def __init__(self, archive: Path, number: int = 0) -> None:
        self.writer = SegmentWriter(archive / "spool", number)
        self.ids = RequestIds(number)

    def write(
        self,
        *answers: VariantAnswer,
        late: VariantAnswer | None = None,
        ago_s: float = 60.0,
        project: str = "default",
        endpoint: str = "churn",
        rows: int = 1,
    ) -> None:
        """One request."""
        at = wall_ns() - int(ago_s * SECOND)
        made = record(
            *answers, request_id=self.ids.next(self.writer.segment), received_ns=at, decided_ns=at + 1, project=project,
            endpoint=endpoint, inputs=(floats("tenure", *[1.0] * rows),), rows=rows,
        ).decided  # fmt: skip
        events = [encode(made)]
        if late is not None:
            events.append(encode(AnsweredLate(1, made.request_id, made.endpoint, at + 2, late)))
        self.writer.write(events)


@pytest.fixture
def front(factory: GovernedFactory) -> Iterator[Front]:
    made = Front(factory.folder / "archive")
    yield made
    made.writer.close()


def one(latency_ms: float, score: float = 0.5) -> VariantAnswer:
    return answered("churn:1", latency_ms, floats("score", score))


def two(latency_ms: float, score: float = 0.5) -> VariantAnswer:
    return answered("churn:2", latency_ms, floats("score", score))


def test_a_proposed_release_is_tried_on_what_is_in_the_archive(
    factory: GovernedFactory, simulations: Simulations, release: Release, front: Front
) -> None:
    """In the spool and in Parquet alike, late answers with their requests, each record once."""
    front.write(one(10.0, 0.5), two(5.0, 0.7), ago_s=300)
    front.write(pending("churn:1"), two(5.0), late=one(90.0), ago_s=200)
    front.writer.close()
    Compactor(factory.folder / "archive" / "spool", factory.folder / "archive" / "parquet", settle_s=0).compact()
    other = Front(factory.folder / "archive", 1)
    other.write(one(20.0), two(5.0))
    other.writer.close()
    before = factory.events()
    found = simulations.simulate(factory.call("olga"), "churn", release.number, Window())
    assert (found.records, found.used, found.skipped, found.never_seen) == (3, 3, {}, ())
    assert found.reasons == {"champion": pytest.approx(2 / 3), "fallback_late": pytest.approx(1 / 3)}
    assert (found.rows_compared, found.on_time_share) == (2, 1.0)
    assert found.agreement == 1.0
    assert factory.events() == before, "looking is not on record"
    assert factory.releases.release(factory.call("vic"), "churn", release.number).state == "proposed"


def test_the_window_says_which_requests(
    factory: GovernedFactory, simulations: Simulations, release: Release, front: Front
) -> None:
    """The newest of them, or those of a time; other endpoints and projects are no part of it."""
    for ago_s, latency_ms in ((3600, 1.0), (1800, 2.0), (60, 3.0)):
        front.write(one(latency_ms), two(1.0), ago_s=ago_s)
    front.write(one(50.0), endpoint="other")
    front.write(one(50.0), project="other")
    call = factory.call("olga")
    now = datetime.now(UTC)

    def p99(**window: object) -> tuple[int, float | None]:
        found = simulations.simulate(call, "churn", release.number, Window(**window))  # type: ignore[arg-type]
        return found.used, found.p99_ms

    assert p99() == (3, 3.0)
    assert p99(last=1) == (1, 3.0)
    assert p99(to=now - timedelta(minutes=5)) == (2, 2.0)
    assert p99(from_=now - timedelta(minutes=45), to=now - timedelta(minutes=5)) == (1, 2.0)
    assert p99(from_=now + timedelta(minutes=5)) == (0, None)


def test_who_may_not_read_requests_may_not_simulate(
    factory: GovernedFactory, simulations: Simulations, release: Release
) -> None:
    """Also there has to be such a release, in the project of the call."""
    for stranger in ("ana", "vic", "front"):
        with pytest.raises(RightMissing, match="read-requests"):
            simulations.simulate(factory.call(stranger), "churn", release.number, Window())
    for reader in ("olga", "paul", "adele"):
        assert simulations.simulate(factory.call(reader), "churn", release.number, Window()).used == 0
    with pytest.raises(ReleaseNotFound):
        simulations.simulate(factory.call("olga"), "churn", 9, Window())
    with pytest.raises(EndpointNotFound):
        simulations.simulate(factory.call("olga", "other"), "churn", release.number, Window())
    with pytest.raises(StepUnfit, match="has no ramp"):
        simulations.simulate(factory.call("olga"), "churn", release.number, Window(), step=0)
    for window in (Window(last=0), Window(last=100_001), Window(from_=factory.clock.now(), to=factory.clock.now())):
        with pytest.raises(WindowMalformed):
            simulations.simulate(factory.call("olga"), "churn", release.number, window)


def test_one_simulation_at_a_time(
    factory: GovernedFactory, simulations: Simulations, release: Release, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes second is told to come again, and the next one after the first is let in."""
    front.write(one(1.0))
    refused: list[str] = []
    real = Reader.newest

    def newest(reader: Reader, endpoint: str, **window: int) -> object:
        with pytest.raises(SimulationUnderWay) as told:
            simulations.simulate(factory.call("olga"), "churn", release.number, Window())
        refused.append(told.value.code)
        return real(reader, endpoint, **window)

    monkeypatch.setattr(Reader, "newest", newest)
    assert simulations.simulate(factory.call("olga"), "churn", release.number, Window()).used == 1
    assert refused == ["release.simulation-under-way"]
    monkeypatch.undo()
    assert simulations.simulate(factory.call("olga"), "churn", release.number, Window()).used == 1


def test_memory_does_not_grow_with_the_number_of_records(
    sqlite_database: Database, tmp_path: Path, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice as many records, in as many segments, take about the same memory."""
    monkeypatch.setattr("muster.archive.reader._PART_BYTES", 1_000_000)
    factory = GovernedFactory(sqlite_database, tmp_path, clock)
    champion, canary = factory.accepted(), factory.accepted()
    release = factory.propose(champion, canary)
    simulations = Simulations(factory.database, Reader(tmp_path / "archive"))
    peaks = []
    for segments in (4, 8):
        for _ in range(4):
            front = Front(tmp_path / "archive")
            scores = floats("score", *[0.5] * 10_000)
            for _ in range(10):
                front.write(answered("churn:1", 1.0, scores), answered("churn:2", 1.0, scores), rows=10_000)
            front.writer.close()
        tracemalloc.start()
        try:
            found = simulations.simulate(factory.call("olga"), "churn", release.number, Window())
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert found.used == segments * 10
    assert peaks[1] < peaks[0] * 1.5, peaks


def test_the_stream_of_records_is_what_the_list_of_the_newest_holds(
    factory: GovernedFactory, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same records with the same late answers in the same order, from several fronts, in parts of any size."""
    other = Front(factory.folder / "archive", 1)
    for number in range(7):
        writer = (front, other)[number % 2]
        writer.write(pending("churn:1"), late=one(90.0 + number), ago_s=1000 - number)
    other.writer.close()
    reader = Reader(factory.folder / "archive")
    for part in (1, 2, 4096):
        monkeypatch.setattr("muster.archive.reader._PART_RECORDS", part)
        assert list(reader.newest("churn")) == reader.last("churn", 100)
    assert list(reader.newest("elsewhere")) == []
