"""The lane of a version on trial: it gives nothing back, is left out first, and records each request once, after its decision."""

import struct
from collections.abc import Callable
from itertools import count
from time import monotonic
from types import SimpleNamespace
from typing import Any, cast

import pytest

from decided_requests import plan_of
from muster.packaging.columns import Column
from muster.serving.plan import Plan
from muster.serving.shadow import (
    BATCH_ROWS,
    HOST_DOWN,
    MOST_ENDS,
    MOST_QUEUED,
    NO_ANSWER,
    ShadowLane,
    given_up_after_s,
    shadow_key,
)
from muster.serving.workers.roster import HostStanding
from muster.vocabulary.states import Role
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Field
from muster.wire.plans import PlannedVariant, Shadow
from muster.wire.records import AnsweredLate
from muster_host import frames

X, Y = Field("x", Datatype.FP64), Field("y", Datatype.FP64)


class Link:
    """A link that keeps what is sent over it."""

    def __init__(self, host: str = "h1") -> None:
        self.standing = HostStanding("k", "up", host=host, environment="sha256:e")
        self.sent: list[bytes] = []
        self.is_closed = False

    def send(self, buffers: list[Any]) -> None:
        self.sent.append(b"".join(buffers))

    def close(self) -> None:
        self.is_closed = True


class Trial:
    """A lane with what it told, and the event loop's next turn in the test's hands."""

    def __init__(self, *, share: float = 1.0, inputs: tuple[str, ...] = ("x",)) -> None:
        self.plan: Plan = plan_of(X, Y)
        variant = PlannedVariant("churn:9", Role.SHADOW, "sha256:" + "9" * 64, inputs)
        self.told: list[AnsweredLate] = []
        self.soon: list[Callable[[], None]] = []
        shadow = Shadow(live_test=1, release=7, variant=variant, share=share)
        self.lane = ShadowLane(shadow, self.plan, count(1), self.told.append, self.soon.append)
        self.link = Link()

    def connected(self) -> "Trial":
        self.lane.connect(cast("Any", self.link))
        return self

    def request(self, x: float = 1.0, rows: int = 1, *, decided: bool = True, **said: object) -> Any:
        column = Column(X.datatype, (), struct.pack("<d", x) * rows)
        other = Column(Y.datatype, (), struct.pack("<d", -x) * rows)
        facts = {"forced": False, "deadline_s": 0.05, "plan": self.plan, "arrived_at": monotonic()} | said
        number = len(self.told) + 1
        return SimpleNamespace(
            rows=rows, columns=(column, other), request_id=number.to_bytes(16, "big"), decided=decided, **facts
        )

    def turn(self) -> None:
        """The event loop's next turn."""
        planned, self.soon[:] = list(self.soon), []
        for call in planned:
            call()

    def answers(self, *values: float, statuses: bytes = b"", link: Link | None = None) -> None:
        """The host answers its batch."""
        columns = [(struct.pack(f"<{len(values)}d", *values), None)]
        status = statuses or bytes(len(self.lane._in_flight))
        frame = b"".join(frames.answer_frame(self.lane._sequence, status, 1000, {}, 1, columns))
        self.lane.answered(cast("Any", link or self.link), self.lane._sequence, memoryview(frame)[frames.HEAD_BYTES :])

    @property
    def statuses(self) -> list[str]:
        return [event.answer.status for event in self.told]


def test_a_request_is_sent_at_the_next_turn_and_recorded_in_its_role() -> None:
    """Not in the turn in which its own variants are sent it; with version, role, outputs, host and batch."""
    trial = Trial().connected()
    trial.lane.offer(trial.request(), is_busy=False)
    assert not trial.link.sent
    trial.turn()
    assert len(trial.link.sent) == 1
    trial.answers(4.0)
    (event,) = trial.told
    assert (event.endpoint, event.answer.version, event.answer.role, event.answer.status) == (
        "churn", "churn:9", "shadow", "answered",
    )  # fmt: skip
    assert event.answer.outputs is not None
    assert event.answer.outputs[0].data == struct.pack("<d", 4.0)
    assert (event.answer.host, event.answer.batch_rows) == ("h1", 1)


def test_the_host_gets_the_inputs_that_the_version_takes_in_its_order() -> None:
    """Whatever the endpoint's order is; of several requests as one batch."""
    trial = Trial(inputs=("y", "x")).connected()
    for x in (1.0, 2.0):
        trial.lane.offer(trial.request(x), is_busy=False)
    trial.turn()
    assert struct.pack("<4d", -1.0, -2.0, 1.0, 2.0) in trial.link.sent[0].replace(b"\0" * 0, b"") or all(
        struct.pack("<2d", *pair) in trial.link.sent[0] for pair in ((-1.0, -2.0), (1.0, 2.0))
    )
    assert trial.link.sent[0].index(struct.pack("<2d", -1.0, -2.0)) < trial.link.sent[0].index(
        struct.pack("<2d", 1.0, 2.0)
    )


def test_while_it_computes_others_wait_as_one_batch() -> None:
    """What came meanwhile goes next, at the next turn and not within the answer's own."""
    trial = Trial().connected()
    trial.lane.offer(trial.request(), is_busy=False)
    trial.turn()
    for _ in range(3):
        trial.lane.offer(trial.request(), is_busy=False)
    trial.turn()
    assert len(trial.link.sent) == 1
    trial.answers(1.0)
    assert len(trial.link.sent) == 1
    trial.turn()
    assert len(trial.link.sent) == 2
    trial.answers(1.0, 2.0, 3.0)
    assert trial.statuses == ["answered"] * 4
    assert [event.answer.position for event in trial.told] == [0, 0, 1, 2]


def test_an_answer_before_the_decision_is_recorded_after_it() -> None:
    """A record never tells of an answer to nothing."""
    trial = Trial().connected()
    request = trial.request(decided=False)
    trial.lane.offer(request, is_busy=False)
    trial.turn()
    trial.answers(1.0)
    trial.lane.tidy()
    assert not trial.told
    request.decided = True
    trial.lane.tidy()
    assert trial.statuses == ["answered"]
    trial.lane.tidy()
    assert len(trial.told) == 1


def test_it_is_left_out_first() -> None:
    """While the front has much to do, or enough waits already; each is on record as not sent."""
    trial = Trial().connected()
    trial.lane.offer(trial.request(), is_busy=True)
    assert trial.statuses == ["unsent"]
    for _ in range(MOST_QUEUED + 2):
        trial.lane.offer(trial.request(), is_busy=False)
    assert trial.statuses == ["unsent"] * 3
    assert "left out first" in str(trial.told[-1].answer.error)
    trial.lane.offer(trial.request(rows=10_000), is_busy=False)
    assert trial.statuses == ["unsent"] * 4


def test_a_batch_has_so_many_rows() -> None:
    """Unless one request has more alone."""
    trial = Trial().connected()
    for rows in (BATCH_ROWS - 1, 1, 1, BATCH_ROWS + 5):
        trial.lane.offer(trial.request(rows=rows), is_busy=False)
    trial.turn()
    assert trial.lane._sizes == [BATCH_ROWS - 1, 1]
    trial.answers(*[0.0] * BATCH_ROWS)
    trial.turn()
    assert trial.lane._sizes == [1]
    trial.answers(0.0)
    trial.turn()
    assert trial.lane._sizes == [BATCH_ROWS + 5]


def test_only_requests_of_its_plan_are_seen_and_none_that_ask_for_a_version() -> None:
    """Nor any before a host is there, or once the trial is over."""
    trial = Trial()
    trial.lane.offer(trial.request(), is_busy=False)
    trial.connected()
    trial.lane.offer(trial.request(plan=plan_of(X, Y)), is_busy=False)
    trial.lane.offer(trial.request(forced=True), is_busy=False)
    trial.turn()
    trial.lane.close()
    trial.lane.offer(trial.request(), is_busy=False)
    assert not trial.link.sent
    assert not trial.told


def test_what_comes_while_its_host_is_down_is_on_record() -> None:
    """Else a version that keeps ending would be judged by its good moments; of other requests nothing is told."""
    trial = Trial(share=0.5).connected()
    trial.lane.lost(cast("Any", trial.link))
    for number in range(1000):
        request = trial.request(forced=number >= 900)
        request.request_id = number.to_bytes(16, "big")
        trial.lane.offer(request, is_busy=False)
    assert len(trial.told) / 900 == pytest.approx(0.5, abs=0.06), "its share of those that it may see"
    assert {(event.answer.status, event.answer.error) for event in trial.told} == {("unsent", HOST_DOWN)}
    before = len(trial.told)
    trial.connected()
    for number in range(1000):
        request = trial.request()
        request.request_id = number.to_bytes(16, "big")
        trial.lane.offer(request, is_busy=False)
        trial.turn()
        if trial.lane._in_flight:
            trial.answers(1.0)
    assert set(trial.statuses[before:]) == {"answered"}


@pytest.mark.parametrize("share", [0.25, 0.9])
def test_a_share_is_that_of_the_requests_on_every_front(share: float) -> None:
    """By a hash of the id, so that no front need know of another."""
    trial = Trial(share=share).connected()
    seen = 0
    for number in range(4000):
        before = len(trial.told)
        request = trial.request()
        request.request_id = number.to_bytes(16, "big")
        trial.lane.offer(request, is_busy=True)
        seen += len(trial.told) - before
    assert seen / 4000 == pytest.approx(share, abs=0.03)


def test_what_has_no_answer_is_given_up_and_a_later_answer_is_nobodys() -> None:
    """Recorded once; the others of its batch keep their own answers."""
    trial = Trial().connected()
    long_ago = monotonic() - given_up_after_s(0.05) - 1
    trial.lane.offer(trial.request(arrived_at=long_ago), is_busy=False)
    trial.lane.offer(trial.request(), is_busy=False)
    trial.turn()
    trial.lane.offer(trial.request(arrived_at=long_ago), is_busy=False)
    trial.lane.tidy()
    assert trial.statuses == ["failed", "unsent"]
    assert trial.told[0].answer.error == NO_ANSWER
    trial.answers(7.0, 8.0)
    assert trial.statuses == ["failed", "unsent", "answered"]
    assert trial.told[2].answer.outputs is not None
    assert trial.told[2].answer.outputs[0].data == struct.pack("<d", 8.0)


def test_a_host_that_ends_takes_its_batch_along_and_ends_the_trial_if_it_keeps_ending() -> None:
    """Nothing is sent again: an input that ends a host ends it once."""
    trial = Trial()
    for number in range(MOST_ENDS):
        assert not trial.lane.keeps_ending
        link = Link(f"h{number}")
        trial.lane.connect(cast("Any", link))
        trial.lane.offer(trial.request(), is_busy=False)
        trial.turn()
        trial.lane.offer(trial.request(), is_busy=False)
        trial.lane.lost(cast("Any", link))
    assert trial.statuses == ["failed", "unsent"] * MOST_ENDS
    assert trial.lane.keeps_ending
    assert not trial.lane.is_up


def test_answers_that_are_none_fail_their_requests() -> None:
    """A frame that cannot be read, an error for the batch, one for a request, an answer of another host."""
    trial = Trial().connected()

    def sent(many: int = 1) -> None:
        for _ in range(many):
            trial.lane.offer(trial.request(), is_busy=False)
        trial.turn()

    sent()
    trial.lane.answered(cast("Any", trial.link), trial.lane._sequence, memoryview(b"garbage"))
    sent()
    trial.lane.erred(cast("Any", trial.link), trial.lane._sequence, memoryview(b"no room"))
    sent(2)
    trial.answers(3.0, statuses=b"\1\0")
    sent()
    trial.answers(9.0, link=Link("stranger"))
    assert trial.statuses == ["failed", "failed", "failed", "answered"]
    unread, refused = (str(event.answer.error) for event in trial.told[:2])
    assert unread.startswith("the host's answer cannot")
    assert refused.startswith("the host refused the b")


def test_the_end_of_a_trial_leaves_no_request_untold() -> None:
    """With the host, waiting, answered before the decision: all on record, and the link is closed."""
    trial = Trial().connected()
    early = trial.request(decided=False)
    trial.lane.offer(early, is_busy=False)
    trial.turn()
    trial.answers(1.0)
    for _ in range(2):
        trial.lane.offer(trial.request(), is_busy=False)
        trial.turn()
    trial.lane.close()
    assert sorted(trial.statuses) == ["answered", "unsent", "unsent"]
    assert trial.link.is_closed


def test_its_host_is_never_that_of_a_variant() -> None:
    """Which would run at the lowest priority, were the version released while it is on trial."""
    trial = Trial()
    assert shadow_key("churn", trial.lane.shadow) not in {variant.key for variant in trial.plan.variants}
    assert shadow_key("churn", trial.lane.shadow).startswith("churn/churn:9@")
