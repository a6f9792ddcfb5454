"""Back is always possible; forwards, by a roll back or by a ramp, in no freeze and by the standard of now: on both databases."""

from datetime import timedelta
from pathlib import Path

import pytest

from governed_factory import GovernedFactory, ObedientFront
from muster.release.records import Proposal, WantedSplit
from muster.standards.errors import Frozen, StandardNotMet
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock

STANDARD = 'format = 1\nname = "bank"\n'
FREEZE = STANDARD + '[[freeze]]\nfrom = 2026-11-22T00:00:00Z\nto = 2026-11-23T00:00:00Z\nreason = "audit"\n'
NOTEBOOK = STANDARD + '[bundle]\nrequire = ["notebook"]\n'


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    """A factory with people in every role; on a Saturday."""
    return GovernedFactory(database, tmp_path, clock)


@pytest.fixture
def front(factory: GovernedFactory) -> ObedientFront:
    """A front that is connected, and does as it is told."""
    made = ObedientFront(factory)
    made.poll()
    return made


def rolled(factory: GovernedFactory, to: int | None = None) -> int:
    """What is current after a roll back; no front is connected, so nobody waits."""
    factory.seconds.now += 60
    factory.releases.rollback(factory.call("olga"), "churn", "worse", to=to)
    return factory.told()[0] or 0


@pytest.mark.parametrize(("text", "refusal"), [(FREEZE, Frozen), (NOTEBOOK, StandardNotMet)], ids=["freeze", "lack"])
def test_a_roll_back_goes_back_always_and_forwards_by_the_gate(
    factory: GovernedFactory, front: ObedientFront, text: str, refusal: type[Exception]
) -> None:
    """From 3 to 2 and to 1, by number and without; from 1 to nothing that came later."""
    for _ in range(3):
        factory.live(factory.accepted(), fronts=(front,))
    factory.adopt(text)
    factory.clock.at += timedelta(days=1)
    assert rolled(factory) == 2
    assert rolled(factory, 1) == 1
    for later in (2, 3):
        with pytest.raises(refusal):
            rolled(factory, later)
    assert factory.told()[0] == 1
    factory.adopt(STANDARD)
    assert rolled(factory, 3) == 3
    factory.adopt(text)
    assert rolled(factory, 1) == 1, "back once more"


def test_a_ramp_goes_no_further_in_a_freeze(factory: GovernedFactory, front: ObedientFront) -> None:
    """Back it does."""
    old, new = factory.accepted().name, factory.accepted().name
    wanted = WantedSplit(field="plan", steps=({old: 0.95, new: 0.05}, {old: 0.5, new: 0.5}, {new: 1.0}))
    proposal = Proposal(champion=old, challengers=(new,), policy=wanted)
    factory.approve(factory.releases.propose(factory.call("ana"), "churn", proposal, "carefully"))
    for _ in range(3):
        front.follow()
    olga = factory.call("olga")
    factory.releases.step(olga, "churn", 1, 1, "all is well")
    factory.adopt(FREEZE)
    factory.clock.at += timedelta(days=1)
    with pytest.raises(Frozen):
        factory.releases.step(olga, "churn", 1, 2, "all is well")
    assert factory.releases.step(olga, "churn", 1, 0, "it is not").step == 0
