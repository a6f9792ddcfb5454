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
from muster.sessions.errors import SessionInterrupted, SessionNotFound
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
        self.known = {found.id: found.state for found in self.sessions()}

    def sessions(self) -> tuple[Session, ...]:
        return self.factory.sessions.sessions(self.factory.call("vic"), limit=10_000)

    @rule(subject=st.sampled_from(["churn:1", "churn:2"]))
    def queue(self, subject: str) -> None:
        queued(self.factory, subject)

    @rule(executor=st.sampled_from(["e1", "e2"]))
    def claim(self, executor: str) -> None:
        if (claimed := self.factory.sessions.claim(executor, ["certification"])) is not None:
            self.claimed.append(claimed)

    @precondition(lambda self: self.claimed)
    @rule(at=st.integers(0, 10), state=st.sampled_from([SessionState.PASSED, SessionState.FAILED]))
    def finish(self, at: int, state: SessionState) -> None:
        claimed = self.claimed[at % len(self.claimed)]
        if seen(self.factory, claimed).state is SessionState.RUNNING:
            assert finish(self.factory, claimed, state).state is state
        else:
            with pytest.raises(SessionInterrupted):
                finish(self.factory, claimed, state)

    @rule(executor=st.sampled_from(["e1", "e2"]))
    def start_again(self, executor: str) -> None:
        self.factory.sessions.interrupt_left(executor)

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


#: What a session can have become between two looks.
REACHABLE = {
    state: moves | {far for near in moves for far in SESSION_MOVES[near]} for state, moves in SESSION_MOVES.items()
}


def test_sessions_keep_to_their_table_of_moves(sqlite_database: Database, tmp_path: Path, clock: FixedClock) -> None:
    """Whatever happens, moves are legal, and there are never two open sessions for one work."""

    class Here(Lives):
        factory = GovernedFactory(sqlite_database, tmp_path, clock)

    run_state_machine_as_test(Here, settings=settings(max_examples=10, stateful_step_count=20, deadline=None))
