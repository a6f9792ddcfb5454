"""Versions on trial in a governed factory: the records that fronts would write, and shorthands for what happens to a live-test."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from governed_factory import GovernedFactory, ObedientFront
from muster.archive.reader import Reader
from muster.archive.segments import SegmentWriter, encode
from muster.livetests.counting import LiveTestCounter, known_after
from muster.livetests.records import LiveTest
from muster.registry.records import Version
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.request_ids import RequestIds
from muster.vocabulary.states import LiveTestState, Role
from muster.wire.records import RECORD_FORMAT, AnsweredLate, Decided, VariantAnswer
from past_requests import floats


@dataclass
class Traffic:
    """Writes the records that a front writes, into a real archive."""

    archive: Path
    clock: FixedClock
    written: int = field(default=0)

    def sees(self, *answers: tuple[str, float | None], error: str = "it raised") -> None:
        """One request for each: what became of the version on trial, and what it answered."""
        writer = SegmentWriter(self.archive / "spool", 0)
        ids = RequestIds(0)
        arrived = int(self.clock.now().timestamp() * 1e6) * 1000
        for status, value in answers:
            self.written += 1
            request = ids.next(writer.segment)
            outputs = None if value is None else (floats("score", value),)
            given = VariantAnswer(
                version="churn:1", role="champion", status="answered", outputs=(floats("score", 0.5),),
                latency_ns=1_000_000,
            )  # fmt: skip
            shadow = VariantAnswer(
                version="churn:2", role=Role.SHADOW, status=status, outputs=outputs, latency_ns=2_000_000,
                error=None if status == "answered" else error,
            )  # fmt: skip
            decided = Decided(
                format=RECORD_FORMAT, request_id=request, client_id=None, idempotency_key=None, consumer="shop",
                project="default", endpoint="churn", release=1, plan="sha256:" + "a" * 64, contract="sha256:" + "c" * 64,
                received_ns=arrived, decided_ns=arrived + 1_000_000, elapsed_ns=1_000_000, deadline_ns=100_000_000, rows=1,
                body_sha256=bytes(32), inputs=(floats("x", 1.0),), answers=(given,), chosen=(0,), reason="champion",
                probability=1.0, forced=False,
            )  # fmt: skip
            late = AnsweredLate(RECORD_FORMAT, request, "churn", arrived + 2_000_000, shadow)
            writer.write([encode(decided), encode(late)])
        writer.close()


def start(factory: GovernedFactory, version: Version, by: str = "olga", **said: object) -> LiveTest:
    """A live-test of ten requests, unless it is said otherwise."""
    length = said or {"requests": 10}
    return factory.live_tests.start(factory.call(by), "churn", version.name, "is it better?", **length)  # type: ignore[arg-type]


def now(factory: GovernedFactory, number: int = 1) -> LiveTest:
    """A live-test as it stands."""
    return factory.live_tests.live_test(factory.call("vic"), "churn", number)


def running(factory: GovernedFactory, front: ObedientFront, version: Version, **said: object) -> LiveTest:
    """A live-test that every front has loaded."""
    started = start(factory, version, **said)  # type: ignore[arg-type]
    front.follow()
    factory.releases.advance()
    found = now(factory, started.number)
    assert found.state is LiveTestState.RUNNING
    return found


def counted(factory: GovernedFactory, after: timedelta = timedelta(0)) -> None:
    """Time passes until everything is known, the executor counts, control looks."""
    factory.clock.at += known_after(100.0) + timedelta(seconds=1) + after
    counter(factory).count()
    factory.releases.advance()


def counter(factory: GovernedFactory, clock: FixedClock | None = None) -> LiveTestCounter:
    """The executor's chore, by the factory's clock unless another is given."""
    return LiveTestCounter(
        database=factory.database,
        releases=factory.releases,
        reader=Reader(factory.folder / "archive"),
        clock=clock or factory.clock,
    )


def over(factory: GovernedFactory, number: int = 1) -> LiveTest:
    """The live-test after all there is has been counted."""
    for _ in range(3):
        counted(factory)
    return now(factory, number)
