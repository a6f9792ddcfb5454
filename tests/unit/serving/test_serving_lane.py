"""What a lane does when a batch cannot be sent, and what it learns from batches that took long for its front's sake."""

from itertools import count
from time import monotonic
from types import SimpleNamespace
from typing import Any, cast

import pytest

from muster.packaging.columns import Column
from muster.serving.batching import Lane
from muster.serving.decisions import Outcome
from muster.serving.workers.roster import HostStanding
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Field
from muster.wire.records import VariantAnswer
from muster_host import frames

FIELD = Field(name="x", datatype=Datatype.FP64)


class Told:
    """Keeps what the lane tells."""

    def __init__(self) -> None:
        self.answers: list[tuple[Outcome, VariantAnswer]] = []

    def answered(self, _mailbox: object, _index: int, outcome: Outcome, answer: VariantAnswer) -> None:
        self.answers.append((outcome, answer))

    def on_probation(self, *_: object) -> None:
        """Nobody is."""

    def flush(self) -> None:
        """There is nothing to write."""


class Link:
    """A link that fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.standing = HostStanding("a/b:1", "up", host="h1")
        self.failures = failures
        self.sent = 0

    def send(self, _buffers: list[Any]) -> None:
        if self.failures:
            self.failures -= 1
            raise frames.FrameError("a payload is above the limit")
        self.sent += 1


def request() -> Any:
    counts = SimpleNamespace(
        failed=lambda *_: None, unsent=lambda: None, answered=lambda *_: None, computed=lambda *_: None
    )
    probations = SimpleNamespace(failed=lambda *_: None, answered=lambda *_: None, passed_over=())
    plan = SimpleNamespace(variants=(SimpleNamespace(columns=(0,), role="champion"),), patience_s=lambda _: 1.0)
    return SimpleNamespace(
        rows=1, columns=(Column(FIELD.datatype, (), bytes(8)),), plan=plan, answers=[VariantAnswer("b:1", "champion", "pending")],
        arrived_at=monotonic(), deadline_s=0.1, decided=False, overdue=(), variants=(counts,), probations=probations,
    )  # fmt: skip


def lane(told: Told) -> Lane:
    variant = SimpleNamespace(key="a/b:1", version="b:1")
    return Lane(cast("Any", variant), (FIELD,), (FIELD,), cast("Any", told), count(1))


def answer(to: Lane, link: Link, compute_ns: int) -> None:
    columns = [(bytes(8), None)]
    frame = b"".join(frames.answer_frame(to._sequence, b"\0", compute_ns, {}, 1, columns))
    to.answered(cast("Any", link), to._sequence, memoryview(frame)[frames.HEAD_BYTES :])


def test_a_batch_that_cannot_be_sent_fails_and_the_next_one_goes() -> None:
    """Its requests are told so, and the lane does not wait for an answer that cannot come."""
    told, link = Told(), Link(failures=1)
    way = lane(told)
    way.connect(cast("Any", link))
    way.submit(request(), 0)
    assert [outcome for outcome, _ in told.answers] == [Outcome.FAILED]
    assert "could not be sent" in str(told.answers[0][1].error)
    assert way.is_idle
    way.submit(request(), 0)
    assert link.sent == 1


@pytest.mark.parametrize("standing", ["starting", "load_failed"])
@pytest.mark.parametrize(
    ("other", "default"),
    [(Outcome.FAILED, None), (Outcome.PASSED_OVER, None), (Outcome.PENDING, None), (Outcome.FAILED, {})],
)
def test_who_has_no_other_hope_waits_for_a_host_to_come_back(standing: str, other: Outcome, default: object) -> None:
    """With another variant, a default answer, or a host that cannot be loaded, the variant counts as failed after 0.25 s of absence."""
    told, link = Told(), Link()
    way = lane(told)
    way.standing = HostStanding("a/b:1", cast("Any", standing))
    way._absent_since -= 1.0
    asked = request()
    asked.plan.order, asked.plan.default_columns = (0, 1), default
    asked.outcomes = [Outcome.PENDING, other]
    way.submit(asked, 0)
    way.tidy()
    waits = standing == "starting" and other is not Outcome.PENDING and default is None
    assert [outcome for outcome, _ in told.answers] == ([] if waits else [Outcome.FAILED])
    way.connect(cast("Any", link))
    assert link.sent == waits


def test_a_slow_batch_of_long_ago_refuses_nobody() -> None:
    """What a batch took is believed less the longer the host has been idle; right after it, it is believed."""
    told, link = Told(), Link()
    way = lane(told)
    way.connect(cast("Any", link))
    way.submit(request(), 0)
    way._in_flight_since -= 3.0
    answer(way, link, int(3e9))
    way.submit(request(), 0)
    slow_s = way.expected_wait_s
    answer(way, link, int(1e6))
    way._learnt_at -= 10.0
    way.submit(request(), 0)
    assert slow_s > 0.5
    assert way.expected_wait_s < slow_s / 100


@pytest.mark.parametrize("compute_ms", [0.3, 60.0])
def test_what_the_front_itself_takes_is_not_the_hosts(compute_ms: float) -> None:
    """An answer that lay unread for half a second says little of the host; one that was computed for long does."""
    told, link = Told(), Link()
    way = lane(told)
    way.connect(cast("Any", link))
    way.submit(request(), 0)
    way._in_flight_since -= 0.5
    answer(way, link, int(compute_ms * 1e6))
    assert [outcome for outcome, _ in told.answers] == [Outcome.ANSWERED]
    way.submit(request(), 0)
    assert (way.expected_wait_s > 0.02) == (compute_ms > 50)
