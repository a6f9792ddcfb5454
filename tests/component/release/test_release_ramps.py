"""Ramps on both databases: the steps that were approved are taken one by one, on record, and kept."""

import json
from pathlib import Path

import pytest

from governed_factory import GovernedFactory, ObedientFront
from muster.access.errors import RightMissing
from muster.audit.verify import verify
from muster.registry.errors import ReasonMissing
from muster.release.errors import EndpointNotFound, ReleaseNotFound, StepUnfit
from muster.release.records import Proposal, Release, WantedSplit
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.states import ReleaseState


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    return GovernedFactory(database, tmp_path, clock)


@pytest.fixture
def front(factory: GovernedFactory) -> ObedientFront:
    """A front that is connected."""
    front = ObedientFront(factory)
    front.poll()
    return front


def ramp(factory: GovernedFactory) -> Release:
    """A proposed release with three steps."""
    old, new = factory.accepted().name, factory.accepted().name
    wanted = WantedSplit(field="plan", steps=({old: 0.95, new: 0.05}, {old: 0.5, new: 0.5}, {new: 1.0}))
    proposal = Proposal(champion=old, challengers=(new,), policy=wanted)
    return factory.releases.propose(factory.call("ana"), "churn", proposal, "carefully")


def go(factory: GovernedFactory, release: Release, *fronts: ObedientFront) -> Release:
    factory.approve(release)
    for _ in range(3):
        for front in fronts:
            front.follow()
    found = factory.releases.release(factory.call("vic"), "churn", release.number)
    assert found.state is ReleaseState.LIVE
    return found


def step(factory: GovernedFactory, number: int, to: int, by: str = "olga", **said: str) -> Release:
    return factory.releases.step(factory.call(by, **said), "churn", number, to, "all is well")


def test_an_operator_moves_along_the_approved_steps(factory: GovernedFactory, front: ObedientFront) -> None:
    """Each move is published at once and on record with its shares; the plan and its digest stay what was approved."""
    release = go(factory, ramp(factory), front)
    assert (release.step, factory.plans().step) == (0, 0)
    number = factory.board.since(0).number
    moved = step(factory, 1, 1)
    assert (moved.step, factory.plans().step) == (1, 1)
    assert factory.board.since(0).number == number + 1
    assert factory.plans().serving == release.plan
    assert moved.plan_digest == release.plan_digest
    assert step(factory, 1, 2, by="adele").step == 2
    assert step(factory, 1, 0).step == 0, "back again"
    assert factory.events("churn release 1")[-3:] == [
        ("olga", "release.stepped"), ("adele", "release.stepped"), ("olga", "release.stepped"),
    ]  # fmt: skip
    with factory.database.read() as tx:
        entries = factory.journal.entries(tx, 0, 1000, "churn release 1")
    details = [json.loads(entry.details) for entry in entries if entry.action == "release.stepped"]
    assert details[0] == {
        "from": 0, "to": 1, "shares": {"churn:1": 0.5, "churn:2": 0.5}, "publication": number + 1,
    }  # fmt: skip
    assert verify(factory.database, factory.head).valid


def test_a_release_keeps_its_step(factory: GovernedFactory, front: ObedientFront) -> None:
    """Over a restart of control, while another release is current, and when it becomes current again."""
    go(factory, ramp(factory), front)
    step(factory, 1, 2)
    factory.start()
    front.follow()
    assert factory.plans().step == 2
    go(factory, factory.propose(factory.accepted()), front)
    assert factory.plans().step == 0, "the other has no ramp"
    step_before = factory.releases.release(factory.call("vic"), "churn", 1).step
    assert step_before == 2
    with pytest.raises(StepUnfit, match="is not current"):
        step(factory, 1, 1)
    factory.seconds.now += 11  # the front is silent, so that the roll back need not be waited for
    factory.releases.rollback(factory.call("olga"), "churn", "too slow")
    assert factory.told() == (1, None, 2)
    assert factory.plans().step == 2


def test_a_step_goes_where_the_release_has_one(factory: GovernedFactory, front: ObedientFront) -> None:
    """Not beyond the ramp, not where there is none, not before it is current."""
    proposed = ramp(factory)
    with pytest.raises(StepUnfit, match="is not current"):
        step(factory, 1, 1)
    go(factory, proposed, front)
    for beyond in (3, -1, 99):
        with pytest.raises(StepUnfit, match="has the steps 0 to 2"):
            step(factory, 1, beyond)
    go(factory, factory.propose(factory.accepted()), front)
    with pytest.raises(StepUnfit, match="its policy is no split"):
        step(factory, 2, 0)
    with pytest.raises(ReleaseNotFound):
        step(factory, 9, 0)
    with pytest.raises(EndpointNotFound):
        factory.releases.step(factory.call("olga", "other"), "churn", 1, 1, "why")


def test_a_step_takes_a_right_and_a_reason(factory: GovernedFactory, front: ObedientFront) -> None:
    """Operators and admins; whoever proposed or approved it has no more right than anybody."""
    go(factory, ramp(factory), front)
    for stranger in ("ana", "paul", "vic", "front"):
        with pytest.raises(RightMissing, match="may not ramp; that takes operator or admin"):
            step(factory, 1, 1, by=stranger)
    with pytest.raises(ReasonMissing):
        factory.releases.step(factory.call("olga"), "churn", 1, 1, " ")
    assert factory.plans().step == 0


def test_a_step_asked_for_twice_is_taken_once(factory: GovernedFactory, front: ObedientFront) -> None:
    """The key of the call makes the repetition harmless, also when somebody moved on meanwhile."""
    go(factory, ramp(factory), front)
    said = {"idempotency_key": "k", "request_digest": "d"}
    step(factory, 1, 1, **said)
    step(factory, 1, 2)
    assert step(factory, 1, 1, **said).step == 2
    assert [action for _, action in factory.events("churn release 1")].count("release.stepped") == 2
