"""By replaying, editing and racing, by changing who one is or whose a model is: nobody passes their own work; on both databases."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from governed_factory import ObedientFront
from known_figures import add_certificate
from muster.access.actor import Actor, Call
from muster.access.groups import Groups
from muster.gates.errors import PartInIt, VoiceLost
from muster.gates.records import WaiverState
from muster.registry.records import ModelChanges, Version
from muster.release.errors import OwnWork
from muster.release.records import Release
from muster.release.reviews import ReleaseName
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.errors import MusterError
from muster.vocabulary.states import ReleaseState, VersionState
from peopled_factory import PeopledFactory

TWO = """
format = 1
name = "two"
[gates.acceptance]
approvals = [{ count = 2 }]
[gates.go-live]
approvals = [{ count = 2 }]
"""


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> PeopledFactory:
    """A factory whose people are really there, and can come and leave."""
    return PeopledFactory(database, tmp_path, clock)


def hand(factory: PeopledFactory, version: Version, **to: str) -> None:
    """The model of a version gets other people."""
    factory.registry.set_model(factory.call("adele"), version.model, ModelChanges(**to), "from now on")  # type: ignore[arg-type]


def at_once(*deeds: Callable[[], object]) -> list[object]:
    """What the deeds gave, all of them begun at the same instant, each in a connection of its own."""
    start = threading.Barrier(len(deeds))
    given: list[object] = [None] * len(deeds)

    def do(index: int, deed: Callable[[], object]) -> None:
        start.wait(10)
        try:
            given[index] = deed()
        except MusterError as error:
            given[index] = error

    threads = [threading.Thread(target=do, args=pair) for pair in enumerate(deeds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return given


@pytest.mark.parametrize("part", ["owner", "deputy"])
def test_a_voter_who_becomes_owner_or_deputy_has_not_voted(factory: PeopledFactory, part: str) -> None:
    """Between the vote and the passing: of a version, and of a release."""
    factory.adopt(TWO)
    version, served = factory.certified(), factory.register()
    with factory.database.write() as tx:
        for state in (VersionState.CERTIFIED, VersionState.ACCEPTED):
            served = factory.registry.move(tx, served, state)
        add_certificate(tx, served, factory.clock, 1.0)
    release = factory.propose(served)
    factory.approvals.accept(factory.call("petra"), version.name, "good")
    factory.releases.approve(factory.call("petra"), "churn", release.number, "good")
    hand(factory, version, **{part: "petra"})
    assert factory.approvals.accept(factory.call("paul"), version.name, "good").state is VersionState.CERTIFIED
    held = factory.releases.approve(factory.call("paul"), "churn", release.number, "good")
    assert held.state is ReleaseState.PROPOSED
    # Given back again it is petra's work all the same: the model was hers while the version was at its gate.
    hand(factory, version, **{part: "ana" if part == "owner" else ""})
    with pytest.raises((OwnWork, PartInIt)):
        factory.approvals.accept(factory.call("petra"), version.name, "now")
    with pytest.raises((OwnWork, PartInIt)):
        factory.releases.approve(factory.call("petra"), "churn", release.number, "now")
    assert factory.approvals.accept(factory.call("piet"), version.name, "good").state is VersionState.ACCEPTED
    assert (
        factory.releases.approve(factory.call("piet"), "churn", release.number, "good").state is ReleaseState.APPROVED
    )


def test_a_model_that_is_handed_on_stays_ones_own_work(factory: PeopledFactory) -> None:
    """Adele owns it, hands it to sam, and passes it by no door; of versions that come after that she may."""
    front = ObedientFront(factory)
    front.poll()
    factory.live(factory.accepted(), fronts=(front,))
    hand(factory, factory.register(), owner="adele")
    factory.clock.at = factory.clock.at.replace(hour=10)
    version, accepted = factory.certified(), factory.accepted()
    release = factory.propose(accepted)
    waiver = factory.governance.reviews.ask_waiver(
        factory.call("ana"), version.name, "notebook", factory.clock.at.replace(hour=20), "later"
    )
    factory.clock.at = factory.clock.at.replace(hour=11)
    hand(factory, version, owner="sam")
    factory.clock.at = factory.clock.at.replace(hour=12)
    adele, reviews = factory.call("adele"), factory.governance.reviews
    doors: list[Callable[[], object]] = [
        lambda: factory.approvals.accept(adele, version.name, "good"),
        lambda: factory.releases.approve(adele, "churn", release.number, "good"),
        lambda: factory.releases.break_glass(adele, "churn", release.number, "now"),
        lambda: reviews.request_changes(adele, version.name, "why"),
        lambda: reviews.request_changes(adele, ReleaseName("churn", release.number), "why"),
        lambda: reviews.decide_waiver(adele, waiver.id, WaiverState.GRANTED, "fine"),
    ]
    for door in doors:
        with pytest.raises(MusterError) as refused:
            door()
        assert refused.value.code in {"release.own-work", "gates.has-part", "gates.waiver-own"}
    later = factory.certified()
    assert factory.approvals.accept(adele, later.name, "good").state is VersionState.ACCEPTED


def test_a_proposer_who_becomes_an_approver_through_a_group(factory: PeopledFactory) -> None:
    """Sam proposed and registered as a scientist; with the role of an approver it is sam's own still."""
    factory.register("ana")  # so that the model is not sam's
    version, release = factory.certified("sam"), factory.propose(factory.accepted(), by="sam")
    groups = Groups(factory.database, factory.journal, factory.board, factory.clock)
    groups.add(factory.call("adele"), "desk")
    groups.grant(factory.call("adele"), "desk", "approver")
    groups.join(factory.call("adele"), "desk", "sam")
    sam = _as(factory, "sam", "approver")
    with pytest.raises(OwnWork):
        factory.approvals.accept(sam, version.name, "mine")
    with pytest.raises(OwnWork):
        factory.releases.approve(sam, release.endpoint, release.number, "mine")
    other = factory.certified("ana")
    assert factory.approvals.accept(sam, other.name, "good").state is VersionState.ACCEPTED
    # And what was voted through the group ends with it.
    factory.adopt(TWO)
    third = factory.certified("ana")
    factory.approvals.accept(sam, third.name, "good")
    groups.leave(factory.call("adele"), "desk", "sam")
    assert factory.approvals.accept(factory.call("paul"), third.name, "good").state is VersionState.CERTIFIED
    with pytest.raises(VoiceLost):
        factory.approvals.accept(sam, third.name, "still here")


def _as(factory: PeopledFactory, name: str, role: str) -> Call:
    """A call with a role that the token gave when it was looked at."""
    actor = Actor(name=name, roles={"default": role}, token_id=f"t-{name}")
    return replace(factory.call(name), actor=actor)


def test_a_replayed_approval_says_nothing_about_what_is_there_now(factory: PeopledFactory) -> None:
    """After another certificate, and after another proposal, the old key neither votes anew nor brings the old vote back."""
    factory.adopt(TWO)
    version = factory.certified()
    call = factory.call("petra", idempotency_key="k1", request_digest="d1")
    factory.approvals.accept(call, version.name, "good")
    factory.clock.at += timedelta(seconds=1)
    with factory.database.write() as tx:
        add_certificate(tx, version, factory.clock)
    factory.approvals.accept(call, version.name, "good")
    assert factory.approvals.accept(factory.call("paul"), version.name, "good").state is VersionState.CERTIFIED
    assert factory.approvals.accept(factory.call("piet"), version.name, "good").state is VersionState.ACCEPTED

    served = factory.registry.version(factory.call("vic"), version.name)
    with factory.database.write() as tx:
        add_certificate(tx, served, factory.clock, 1.0)
    first = factory.propose(served)
    call = factory.call("petra", idempotency_key="k2", request_digest="d2")
    factory.releases.approve(call, "churn", first.number, "good")
    factory.releases.withdraw(factory.call("ana"), "churn", first.number, "again")
    second = factory.propose(served)
    replayed: Release = factory.releases.approve(call, "churn", first.number, "good")
    assert (replayed.number, replayed.state) == (first.number, ReleaseState.WITHDRAWN)
    held = factory.releases.approve(factory.call("paul"), "churn", second.number, "good")
    assert held.missing == ("approval by 1 person with the right to it",)


def test_who_becomes_owner_at_the_same_instant_counts_before_or_not_at_all(factory: PeopledFactory) -> None:
    """In the order of the journal no gate is passed by the vote of somebody who was made owner before."""
    factory.adopt(TWO)
    for _ in range(6):
        factory.clock.at += timedelta(seconds=1)
        version = factory.certified()
        factory.approvals.accept(factory.call("petra"), version.name, "good")
        at_once(
            partial(factory.approvals.accept, factory.call("paul"), version.name, "good"),
            partial(hand, factory, version, owner="petra"),
        )
        factory.clock.at += timedelta(seconds=1)
        hand(factory, version, owner="ana")
        with factory.database.read() as tx:
            entries = factory.journal.entries(tx, 0, 10_000)
        made_owner = [e.sequence for e in entries if e.action == "model.changed"][-2]
        accepted = [e for e in entries if e.action == "version.accepted" and e.subject == str(version.name)]
        assert factory.state(version) is (VersionState.ACCEPTED if accepted else VersionState.CERTIFIED)
        assert all(entry.sequence < made_owner for entry in accepted)
