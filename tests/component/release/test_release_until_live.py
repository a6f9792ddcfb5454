"""Between the approval and the moment at which fronts switch, and what control does meanwhile for all the others: on both databases."""

import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from governed_factory import ObedientFront
from muster.access.roles import AccessRole
from muster.blobs.errors import BlobsUnavailable
from muster.registry.records import ModelChanges, Version
from muster.release.records import Release
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.digests import Digest
from muster.vocabulary.states import ReleaseState
from peopled_factory import PeopledFactory


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> PeopledFactory:
    """A factory whose people are really there; on a Saturday, at half past nine."""
    return PeopledFactory(database, tmp_path, clock)


@pytest.fixture
def front(factory: PeopledFactory) -> ObedientFront:
    """A front that is connected, and does as it is told."""
    made = ObedientFront(factory)
    made.poll()
    return made


def followed(factory: PeopledFactory, front: ObedientFront, release: Release) -> Release:
    """The release when the front has done all that it was told, and control has looked again."""
    for _ in range(3):
        front.follow()
        factory.releases.advance()
    return factory.releases.release(factory.call("vic"), release.endpoint, release.number)


def scheduled(factory: PeopledFactory, release: Release, minutes: int) -> None:
    """Paul agrees that it goes live in so many minutes."""
    at = factory.clock.now() + timedelta(minutes=minutes)
    factory.releases.approve(factory.call("paul"), release.endpoint, release.number, "then", at=at)


# Order among those who wait.


def test_the_gate_at_the_moment_takes_its_locks_as_everybody_else_does(
    factory: PeopledFactory, front: ObedientFront
) -> None:
    """Somebody changes a role, and goes on record, while a moment comes: neither of the two loses what it was about to do."""
    release = factory.propose(factory.accepted())
    scheduled(factory, release, 10)
    factory.clock.at += timedelta(minutes=9)
    front.poll()
    with factory.database.write() as tx:
        factory.access.hold_roles(tx)
        clockwork = threading.Thread(target=factory.releases.advance)
        clockwork.start()
        time.sleep(1.0)  # long enough to come to where it waits for the roles
        factory.governance.gates.hold(tx)
    clockwork.join(60)
    assert factory.told()[1] == release.number


def test_a_moment_that_is_near_displaces_no_release_that_is_loaded(
    factory: PeopledFactory, front: ObedientFront
) -> None:
    """Whatever else makes control publish the endpoint meanwhile; in the end the later one is live, after the other."""
    factory.live(factory.accepted(), fronts=(front,))
    at_once, later = factory.propose(factory.accepted()), factory.propose(factory.accepted())
    scheduled(factory, later, 10)
    factory.clock.at += timedelta(minutes=7)
    factory.approve(at_once)
    factory.clock.at += timedelta(minutes=2)
    with factory.database.write() as tx:
        factory.releases._publisher.publish(tx, "churn")  # as any ban or step of a ramp does
    assert factory.told()[1] == at_once.number
    assert followed(factory, front, at_once).state is ReleaseState.LIVE
    factory.clock.at += timedelta(minutes=1)
    assert followed(factory, front, later).state is ReleaseState.LIVE


# An approval for at once, when fronts come late.

STANDARD = """
format = 1
name = "bank"
"""
FREEZE = STANDARD + '[[freeze]]\nfrom = 2026-11-22T00:00:00Z\nto = 2026-11-23T00:00:00Z\nreason = "audit"\n'
NOTEBOOK = STANDARD + '[bundle]\nrequire = ["notebook"]\n'


def hand(factory: PeopledFactory, owner: str) -> None:
    """The model gets another owner, who then leaves."""
    factory.access.add_user(factory.call("adele"), "otto", "scientist")
    factory.registry.set_model(factory.call("adele"), "churn", ModelChanges(owner="otto"), "from now on")
    factory.access.remove_user(factory.call("adele"), owner)


def demote(factory: PeopledFactory, name: str) -> None:
    """Somebody may only read from now on."""
    with factory.database.write() as tx:
        factory.give_role(tx, name, AccessRole.VIEWER)


MEANWHILE: dict[str, Callable[[PeopledFactory], object]] = {
    "freeze": lambda factory: factory.adopt(FREEZE),
    "standard": lambda factory: factory.adopt(NOTEBOOK),
    "voter": lambda factory: demote(factory, "paul"),
    "owner": lambda factory: hand(factory, "otto"),
}


@pytest.mark.parametrize("what", MEANWHILE)
def test_an_approval_for_at_once_holds_no_longer_when_a_front_comes(factory: PeopledFactory, what: str) -> None:
    """The gate is decided again when fronts would switch: the release fails, and says why."""
    release = factory.approve(factory.propose(factory.accepted()))
    MEANWHILE[what](factory)
    factory.clock.at += timedelta(days=1)
    front = ObedientFront(factory)
    found = followed(factory, front, release)
    assert (found.state, found.current) == (ReleaseState.FAILED, False)
    assert found.failure is not None
    assert found.failure.startswith("its approval holds no longer: ")
    assert factory.told() == (None, None, None)
    assert factory.events(release.subject)[-1][1] == "release.failed"


@pytest.mark.parametrize("at", ["approved", "loaded", "switching"])
def test_whoever_restarts_on_the_way_stops_no_release(factory: PeopledFactory, at: str) -> None:
    """Control and front, at any step; the default answer is not measured again, on which a busy minute would tell."""
    factory.adopt(STANDARD)
    front = ObedientFront(factory)
    if at != "approved":
        front.poll()
    release = factory.approve(factory.propose(factory.accepted(), default={"score": 0.27}))
    if at == "switching":
        front.follow()  # loaded, so it is current; nobody has said yet that it is served
    factory.start()
    assert followed(factory, ObedientFront(factory), release).state is ReleaseState.LIVE


def test_broken_glass_passes_over_freeze_and_standard_but_not_over_the_owner(
    factory: PeopledFactory, front: ObedientFront
) -> None:
    """Until fronts switch, too."""
    factory.live(factory.accepted(), fronts=(front,))
    release, other = factory.propose(factory.accepted()), factory.propose(factory.accepted())
    factory.adopt(NOTEBOOK + FREEZE.removeprefix(STANDARD))
    factory.clock.at += timedelta(days=1)
    factory.releases.break_glass(factory.call("olga"), "churn", release.number, "it must be now")
    assert followed(factory, front, release).state is ReleaseState.LIVE
    factory.releases.break_glass(factory.call("olga"), "churn", other.number, "and this")
    hand(factory, "otto")
    assert followed(factory, front, other).state is ReleaseState.FAILED


def test_a_waiting_release_is_judged_when_fronts_would_switch_and_not_at_every_tick(
    factory: PeopledFactory, front: ObedientFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred ticks without a front, and a hundred with one that loads still: the gate is asked once, at the end."""
    judged = []
    unfit = factory.releases._passing.unfit

    def judging(release: Release) -> Callable[[Transaction], str | None]:
        judged.append(release)
        return unfit(release)

    monkeypatch.setattr(factory.releases._switch, "_unfit", judging)
    release = factory.approve(factory.propose(factory.accepted()))
    for _ in range(100):
        factory.releases.advance()
    assert judged == []
    assert followed(factory, front, release).state is ReleaseState.LIVE
    assert len(judged) == 1


# One release that cannot be judged, and all the others.


def gone(factory: PeopledFactory, version: Version) -> None:
    """Somebody removed the manifest from the store."""
    for path in (factory.folder / "store").rglob("*"):
        if path.is_file() and version.digest.removeprefix("sha256:")[2:] in path.name:
            path.chmod(0o600)
            path.unlink()
            return
    raise AssertionError("the store has another layout")


def test_a_bundle_that_is_gone_fails_its_release_and_stops_no_other(factory: PeopledFactory) -> None:
    """With words that name no path; whoever approves another release, or reports, hears nothing of it."""
    version = factory.accepted()
    lost = factory.propose(version, endpoint="aaa")
    scheduled(factory, lost, 10)
    other = factory.propose(factory.accepted(), endpoint="zzz")
    factory.clock.at += timedelta(minutes=9)
    gone(factory, version)
    factory.start()  # nothing is remembered of the bundle
    front = ObedientFront(factory)
    front.poll()
    factory.approve(other)
    assert followed(factory, front, other).state is ReleaseState.LIVE
    found = factory.releases.release(factory.call("vic"), "aaa", lost.number)
    assert found.state is ReleaseState.FAILED
    assert found.failure is not None
    assert "missing in the store" in found.failure
    assert str(factory.folder) not in found.failure


def test_a_store_that_is_away_holds_a_release_up_and_is_told_once(
    factory: PeopledFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its release goes on when the store is back; all others go on meanwhile."""
    lost = factory.propose(factory.accepted(), endpoint="aaa")
    scheduled(factory, lost, 10)
    other = factory.propose(factory.accepted(), endpoint="zzz")
    factory.clock.at += timedelta(minutes=10)
    factory.start()
    prepare = factory.governance.judging.prepare

    def away(versions: Iterable[Version]) -> None:
        if any(version.name in lost.versions for version in versions):
            raise BlobsUnavailable(f"the store in {factory.folder} is away")
        prepare(versions)

    monkeypatch.setattr(factory.governance.judging, "prepare", away)
    front = ObedientFront(factory)
    with capture_logs() as logs:
        front.poll()
        factory.approve(other)
        assert followed(factory, front, other).state is ReleaseState.LIVE
    assert [(one["release"], one["code"]) for one in logs if one["event"] == "release.held-up"] == [
        (lost.number, "blobs.unavailable")
    ]
    monkeypatch.undo()
    assert followed(factory, front, lost).state is ReleaseState.LIVE


def test_a_release_is_shown_while_the_store_is_away(factory: PeopledFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a warning in place of what its gate asks for."""
    release = factory.propose(factory.accepted())
    factory.start()

    def away(_digest: Digest) -> bytes:
        raise BlobsUnavailable(f"the store in {factory.folder} is away")

    monkeypatch.setattr(factory.blobs, "read", away)
    found = factory.releases.release(factory.call("vic"), "churn", release.number)
    assert found.state is ReleaseState.PROPOSED
    assert "blobs.unavailable" in found.warnings[0]
    assert str(factory.folder) not in found.warnings[0]
