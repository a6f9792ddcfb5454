"""Sessions on both databases: queued once, claimed once, never lost without a word."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from governed_factory import GovernedFactory
from muster.access.errors import RightMissing
from muster.sessions.errors import SessionCancelled, SessionInterrupted, SessionNotFound, SessionOver
from muster.sessions.records import Session
from muster.sessions.service import DEAD_AFTER
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.states import SESSION_MOVES, SessionState


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    return GovernedFactory(database, tmp_path, clock)


def queued(factory: GovernedFactory, subject: str = "churn:1", kind: str = "certification", by: str = "ana") -> Session:
    with factory.database.write() as tx:
        session, _ = factory.sessions.queue(tx, factory.call(by), kind, subject)
    factory.clock.at += timedelta(seconds=1)
    return session


def seen(factory: GovernedFactory, session: Session) -> Session:
    return factory.sessions.session(factory.call("vic"), session.id)


def finish(factory: GovernedFactory, session: Session, state: SessionState = SessionState.PASSED) -> Session:
    with factory.database.write() as tx:
        return factory.sessions.finish(tx, session, state, {"figure": 1.5, "lines": ["ä"]})


def test_a_session_goes_from_queued_to_passed(factory: GovernedFactory) -> None:
    """With its times, its lines in order and its result."""
    session = queued(factory)
    assert (session.state, session.requested_by, session.subject) == (SessionState.QUEUED, "ana", "churn:1")
    claimed = factory.sessions.claim("e1", ["certification"])
    assert claimed is not None
    assert (claimed.id, claimed.state, claimed.executor) == (session.id, SessionState.RUNNING, "e1")
    for line in ("building", "lädt\0", "x" * 5000):
        factory.sessions.say(claimed, line)
    done = finish(factory, claimed)
    assert done == seen(factory, session)
    assert (done.state, done.result) == (SessionState.PASSED, {"figure": 1.5, "lines": ["ä"]})
    assert [line[:10] for line in done.progress] == ["building", "lädt\ufffd", "x" * 10]
    assert done.started_at is not None
    assert done.finished_at is not None
    assert done.created_at < done.started_at <= done.finished_at
    assert factory.sessions.claim("e1", ["certification"]) is None


def test_the_same_work_is_queued_once(factory: GovernedFactory) -> None:
    """While it waits or runs, whoever asks again is given the same session; afterwards a new one."""
    first = queued(factory)
    assert queued(factory, by="sam").id == first.id
    assert queued(factory, "churn:2").id != first.id
    assert queued(factory, kind="replay").id != first.id
    claimed = factory.sessions.claim("e1", ["certification"])
    assert claimed is not None
    assert queued(factory).id == first.id
    finish(factory, claimed, SessionState.FAILED)
    assert queued(factory).id != first.id


def test_the_oldest_is_claimed_first_and_by_one_alone(factory: GovernedFactory) -> None:
    """Executors that claim at once get different sessions, and kinds that they do not know stay where they are."""
    sessions = [queued(factory, f"churn:{number}") for number in range(6)]
    queued(factory, kind="replay")
    first = factory.sessions.claim("e0", ["certification"])
    assert first is not None
    assert first.id == sessions[0].id
    found: list[Session] = []
    gate = threading.Barrier(4)

    def claim(executor: str) -> None:
        gate.wait()
        while (claimed := factory.sessions.claim(executor, ["certification"])) is not None:
            found.append(claimed)

    threads = [threading.Thread(target=claim, args=(f"e{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed.id for claimed in found) == sorted(session.id for session in sessions[1:])


def test_what_a_dead_executor_left_is_interrupted(factory: GovernedFactory) -> None:
    """By its successor of the same name at once, by anybody after a minute without a sign of life."""
    mine, other = queued(factory), queued(factory, "churn:2")
    for name in ("e1", "e2"):
        factory.sessions.claim(name, ["certification"])
    assert [session.id for session in factory.sessions.interrupt_left("e1")] == [mine.id]
    assert seen(factory, mine).state is SessionState.INTERRUPTED
    assert seen(factory, mine).progress == ("interrupted: its executor e1 ended",)
    factory.clock.at += DEAD_AFTER - timedelta(seconds=10)
    factory.sessions.beat("e2")
    factory.clock.at += DEAD_AFTER
    assert factory.sessions.interrupt_dead() == ()
    factory.clock.at += timedelta(seconds=1)
    assert [session.id for session in factory.sessions.interrupt_dead()] == [other.id]


def test_an_interrupted_session_is_begun_again_before_younger_ones(factory: GovernedFactory) -> None:
    """The same session, another attempt; whoever worked on the one before is told, and what was kept is there."""
    session, younger = queued(factory), queued(factory, "churn:2")
    first = factory.sessions.claim("e1", ["certification"])
    assert first is not None
    factory.sessions.keep(first, "golden-answers", "sha256:1", {"figure": 0})
    factory.sessions.keep(first, "load", "sha256:2", {"figure": 1})
    factory.sessions.keep(first, "golden-answers", "sha256:3", {"figure": 2})
    factory.sessions.interrupt(first, "its process ended")
    assert queued(factory).id == session.id, "it will go on: nobody needs another"
    assert (seen(factory, session).ahead, seen(factory, younger).ahead) == (0, 1)
    again = factory.sessions.claim("e1", ["certification"])
    assert again is not None
    assert (again.id, again.attempt, again.deaths, again.started_at) == (session.id, 2, 1, first.started_at)
    assert [(one.name, one.key, one.content, one.attempt) for one in again.kept] == [
        ("load", "sha256:2", {"figure": 1}, 1),
        ("golden-answers", "sha256:3", {"figure": 2}, 1),
    ]
    assert again.progress == ("interrupted: its process ended", "begun again: attempt 2")
    assert factory.sessions.is_wanted(again)
    assert not factory.sessions.is_wanted(first)
    with pytest.raises(SessionInterrupted):
        factory.sessions.say(first, "still there")
    with pytest.raises(SessionInterrupted):
        factory.sessions.keep(first, "x", "y", {})
    factory.sessions.interrupt(first, "of no effect")
    assert finish(factory, again).state is SessionState.PASSED
    assert seen(factory, session).kept == ()


def test_the_third_death_ends_a_session_and_stopping_is_no_death(factory: GovernedFactory) -> None:
    """It fails with what was said last; an executor that is stopped orderly may be so any number of times."""
    session = queued(factory)
    for _ in range(5):
        claimed = factory.sessions.claim("e1", ["certification"])
        assert claimed is not None
        factory.sessions.interrupt(claimed, "its executor is stopping", is_death=False)
    for death in range(3):
        assert seen(factory, session).state is SessionState.INTERRUPTED
        claimed = factory.sessions.claim("e1", ["certification"])
        assert claimed is not None
        assert claimed.attempt == 6 + death
        factory.sessions.interrupt(claimed, f"its process was ended by SIGKILL, number {death}")
    over = seen(factory, session)
    assert over.state is SessionState.FAILED
    assert over.result is not None
    assert over.result["error"]["code"] == "sessions.given-up"
    assert "number 2" in over.result["error"]["message"]
    assert factory.sessions.claim("e1", ["certification"]) is None


@pytest.mark.parametrize("where", ["queued", "running", "interrupted"])
def test_a_session_is_cancelled_wherever_it_is(factory: GovernedFactory, where: str) -> None:
    """By whoever asked for it, with a reason on record; nobody takes it up again."""
    session = queued(factory)
    claimed = None if where == "queued" else factory.sessions.claim("e1", ["certification"])
    if where == "interrupted":
        factory.sessions.interrupt_left("e1")
    done = factory.sessions.cancel(factory.call("ana"), session.id, "the wrong one")
    assert (done.state, done.progress[-1]) == (SessionState.CANCELLED, "cancelled by ana: the wrong one")
    assert done.finished_at is not None
    assert factory.sessions.claim("e1", ["certification"]) is None
    if claimed is not None:
        assert not factory.sessions.is_wanted(claimed)
        with pytest.raises(SessionCancelled if where == "running" else SessionInterrupted):
            factory.sessions.say(claimed, "still there")
    with factory.database.read() as tx:
        last = factory.journal.newest(tx, 1)[0]
    assert (last.actor, last.action, last.subject, last.reason) == (
        "ana",
        "session.cancelled",
        "churn:1",
        "the wrong one",
    )
    with pytest.raises(SessionOver):
        factory.sessions.cancel(factory.call("ana"), session.id, "twice")
    assert queued(factory).id != session.id


def test_not_everybody_cancels_a_session(factory: GovernedFactory) -> None:
    """Who may certify may, who only looks on may not; nobody of another project; the same request twice is one deed."""
    session = queued(factory)
    for name in ("vic", "paul", "olga"):
        with pytest.raises(RightMissing):
            factory.sessions.cancel(factory.call(name), session.id, "why not")
    with pytest.raises(SessionNotFound):
        factory.sessions.cancel(factory.call("ana", "other"), session.id, "elsewhere")
    call = factory.call("sam", idempotency_key="k", request_digest="sha256:1")
    assert factory.sessions.cancel(call, session.id, "mine now").state is SessionState.CANCELLED
    assert factory.sessions.cancel(call, session.id, "mine now").state is SessionState.CANCELLED
    assert [action for _, action in factory.events()].count("session.cancelled") == 1


def test_progress_is_read_from_a_line_on(factory: GovernedFactory) -> None:
    """Whoever follows asks for what is new, and is told how many lines there are."""
    queued(factory)
    claimed = factory.sessions.claim("e1", ["certification"])
    assert claimed is not None
    for line in "abc":
        factory.sessions.say(claimed, line)
    found = factory.sessions.session(factory.call("vic"), claimed.id, after=2)
    assert (found.progress, found.lines) == (("c",), 3)
    assert factory.sessions.session(factory.call("vic"), claimed.id, after=9).progress == ()
    listed = factory.sessions.sessions(factory.call("vic"), open_only=True, subject="churn:1")
    assert [one.id for one in listed] == [claimed.id]
    finish(factory, claimed)
    assert factory.sessions.sessions(factory.call("vic"), open_only=True) == ()


def test_an_interrupted_session_takes_nothing_any_more(factory: GovernedFactory) -> None:
    """Whoever still works on it is told, and cannot keep a result."""
    queued(factory)
    claimed = factory.sessions.claim("e1", ["certification"])
    assert claimed is not None
    factory.sessions.interrupt_left("e1")
    with pytest.raises(SessionInterrupted):
        factory.sessions.say(claimed, "still there")
    with pytest.raises(SessionInterrupted):
        finish(factory, claimed)
    factory.sessions.interrupt(claimed, "twice")
    assert len(seen(factory, claimed).progress) == 1


def test_a_session_belongs_to_its_project(factory: GovernedFactory) -> None:
    """Another project does not find it, and whoever may not read sees none."""
    session = queued(factory)
    with pytest.raises(SessionNotFound):
        factory.sessions.session(factory.call("vic", "other"), session.id)
    with pytest.raises(SessionNotFound):
        factory.sessions.session(factory.call("vic"), "s-unknown")
    with pytest.raises(RightMissing):
        factory.sessions.session(factory.call("front"), session.id)
    assert [found.id for found in factory.sessions.sessions(factory.call("vic"))] == [session.id]
    assert factory.sessions.sessions(factory.call("vic", "other")) == ()


class Lives(RuleBasedStateMachine):
    """Executors come, work, die and return, while people ask for work and time passes."""

    factory: ClassVar[GovernedFactory]

    def __init__(self) -> None:
        super().__init__()
        self.claimed: list[Session] = []
        self.asked: list[str] = []
        self.known = {found.id: found.state for found in self.sessions()}

    def sessions(self) -> tuple[Session, ...]:
        return self.factory.sessions.sessions(self.factory.call("vic"), limit=10_000)

    @rule(subject=st.sampled_from(["churn:1", "churn:2"]))
    def queue(self, subject: str) -> None:
        self.asked.append(queued(self.factory, subject).id)

    @rule(executor=st.sampled_from(["e1", "e2"]))
    def claim(self, executor: str) -> None:
        if (claimed := self.factory.sessions.claim(executor, ["certification"])) is not None:
            self.claimed.append(claimed)

    @precondition(lambda self: self.claimed)
    @rule(at=st.integers(0, 10), state=st.sampled_from([SessionState.PASSED, SessionState.FAILED]))
    def finish(self, at: int, state: SessionState) -> None:
        claimed = self.claimed[at % len(self.claimed)]
        now = seen(self.factory, claimed)
        if (now.state, now.attempt) == (SessionState.RUNNING, claimed.attempt):
            assert finish(self.factory, claimed, state).state is state
        else:
            with pytest.raises(SessionInterrupted):
                finish(self.factory, claimed, state)

    @rule(executor=st.sampled_from(["e1", "e2"]))
    def start_again(self, executor: str) -> None:
        self.factory.sessions.interrupt_left(executor)

    @precondition(lambda self: self.asked)
    @rule(at=st.integers(0, 10))
    def cancel(self, at: int) -> None:
        found = self.asked[at % len(self.asked)]
        try:
            done = self.factory.sessions.cancel(self.factory.call("ana"), found, "enough")
        except SessionOver:
            assert not SESSION_MOVES[self.factory.sessions.claimed(found).state]
        else:
            assert done.state is SessionState.CANCELLED

    @rule(seconds=st.sampled_from([1, 30, 61]))
    def pass_time(self, seconds: int) -> None:
        self.factory.clock.at += timedelta(seconds=seconds)
        self.factory.sessions.interrupt_dead()

    @invariant()
    def moves_are_legal(self) -> None:
        for found in self.sessions():
            before = self.known.get(found.id, SessionState.QUEUED)
            assert found.state is before or found.state in REACHABLE[before]
            self.known[found.id] = found.state

    @invariant()
    def work_is_open_once(self) -> None:
        opened = [found.subject for found in self.sessions() if SESSION_MOVES[found.state]]
        assert len(opened) == len(set(opened))


def _reachable(state: SessionState) -> set[SessionState]:
    found: set[SessionState] = set()
    ends = {state}
    while ends:
        ends = {after for end in ends for after in SESSION_MOVES[end]} - found
        found |= ends
    return found


#: What a session can have become between two looks.
REACHABLE = {state: _reachable(state) for state in SESSION_MOVES}


def test_sessions_keep_to_their_table_of_moves(sqlite_database: Database, tmp_path: Path, clock: FixedClock) -> None:
    """Whatever happens, moves are legal, and there are never two open sessions for one work."""

    class Here(Lives):
        factory = GovernedFactory(sqlite_database, tmp_path, clock)

    run_state_machine_as_test(Here, settings=settings(max_examples=10, stateful_step_count=20, deadline=None))
