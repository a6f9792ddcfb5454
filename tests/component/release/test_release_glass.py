"""Broken glass when nothing is left to go back to, and what people say while it is open: on both databases."""

from datetime import timedelta
from pathlib import Path

import pytest

from governed_factory import GovernedFactory, ObedientFront
from muster.access.errors import RightMissing
from muster.gates.errors import PartInIt, VoteUnfit
from muster.release.errors import GlassClosed, GlassUnfit
from muster.release.records import GlassState, Release
from muster.release.reviews import ReleaseName
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.states import ReleaseState


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    """A factory with people in every role."""
    return GovernedFactory(database, tmp_path, clock)


@pytest.fixture
def front(factory: GovernedFactory) -> ObedientFront:
    """A front that is connected, and does as it is told."""
    made = ObedientFront(factory)
    made.poll()
    return made


def followed(factory: GovernedFactory, front: ObedientFront, release: Release) -> Release:
    """The release when the front has done all that it was told, and control has looked again."""
    for _ in range(3):
        front.follow()
        factory.releases.advance()
    return factory.releases.release(factory.call("vic"), release.endpoint, release.number)


def stuck(factory: GovernedFactory, front: ObedientFront) -> Release:
    """The glass was broken, what was before was banned, and nobody confirmed."""
    before = factory.live(factory.accepted(), fronts=(front,))
    release = factory.propose(factory.accepted())
    factory.releases.break_glass(factory.call("olga"), "churn", release.number, "it must be now")
    assert followed(factory, front, release).state is ReleaseState.LIVE
    factory.registry.ban(factory.call("petra"), before.versions[0], "leaks")
    factory.clock.at += timedelta(days=2)
    return followed(factory, front, release)


def test_no_glass_is_broken_where_nothing_can_be_gone_back_to(factory: GovernedFactory, front: ObedientFront) -> None:
    """All that was ever served is banned: an unconfirmed release would stay for ever."""
    before = factory.live(factory.accepted(), fronts=(front,))
    release = factory.propose(factory.accepted())
    factory.registry.ban(factory.call("petra"), before.versions[0], "leaks")
    with pytest.raises(GlassUnfit):
        factory.releases.break_glass(factory.call("olga"), "churn", release.number, "it must be now")


def test_stuck_glass_is_told_once_and_can_be_confirmed(factory: GovernedFactory, front: ObedientFront) -> None:
    """By others than who broke it; then it stays."""
    release = stuck(factory, front)
    assert release.current
    assert release.glass is not None
    assert release.glass.state is GlassState.STUCK
    for _ in range(10):
        factory.releases.advance()
    assert [action for _, action in factory.events(release.subject)].count("release.glass-expired") == 1
    confirmed = factory.releases.confirm(factory.call("paul"), "churn", release.number, "right after all")
    assert confirmed.glass is not None
    assert confirmed.glass.state is GlassState.CONFIRMED
    with pytest.raises(GlassClosed):
        factory.releases.confirm(factory.call("piet"), "churn", release.number, "once more")


def test_stuck_glass_is_over_when_another_release_is_current(factory: GovernedFactory, front: ObedientFront) -> None:
    """It was tried again at every look."""
    release = stuck(factory, front)
    factory.live(factory.accepted(), fronts=(front,))
    found = followed(factory, front, release)
    assert found.glass is not None
    assert found.glass.state is GlassState.OVERTAKEN


def test_stuck_glass_is_rolled_back_when_that_is_possible_again(
    factory: GovernedFactory, front: ObedientFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bans are for ever, so a registry that forgets them stands for what else may keep a release from being current."""
    release = stuck(factory, front)
    monkeypatch.setattr(factory.registry, "banned_among", lambda *_: set())
    found = followed(factory, front, release)
    assert found.glass is not None
    assert (found.glass.state, found.current) == (GlassState.ROLLED_BACK, False)


# While the glass is open.


def test_people_may_object_to_open_glass_and_think_better_of_it(factory: GovernedFactory, front: ObedientFront) -> None:
    """Paul had asked for changes before the glass was broken, and petra does afterwards: confirmed when both take it back."""
    factory.live(factory.accepted(), fronts=(front,))
    release = factory.propose(factory.accepted())
    about, reviews = ReleaseName("churn", release.number), factory.governance.reviews
    reviews.request_changes(factory.call("paul"), about, "not on a Saturday")
    factory.releases.break_glass(factory.call("olga"), "churn", release.number, "it must be now")
    assert followed(factory, front, release).state is ReleaseState.LIVE
    reviews.request_changes(factory.call("petra"), about, "the deadline is too short")
    held = factory.releases.confirm(factory.call("piet"), "churn", release.number, "right")
    assert held.glass is not None
    assert held.glass.state is GlassState.OPEN
    assert len([told for told in held.missing if "paul" in told or "petra" in told]) == 2
    with pytest.raises(RightMissing):
        reviews.request_changes(factory.call("olga"), about, "who broke it has no voice")
    reviews.withdraw_vote(factory.call("paul"), about, "I see")
    reviews.withdraw_vote(factory.call("petra"), about, "I see")
    confirmed = factory.releases.confirm(factory.call("piet"), "churn", release.number, "right")
    assert confirmed.glass is not None
    assert confirmed.glass.state is GlassState.CONFIRMED
    with pytest.raises(VoteUnfit):
        reviews.request_changes(factory.call("petra"), about, "too late")


def test_an_admin_who_broke_the_glass_has_no_voice_about_it(factory: GovernedFactory, front: ObedientFront) -> None:
    """Neither for it nor against it."""
    factory.live(factory.accepted(), fronts=(front,))
    release = factory.propose(factory.accepted())
    factory.releases.break_glass(factory.call("adele"), "churn", release.number, "it must be now")
    with pytest.raises(PartInIt):
        factory.governance.reviews.request_changes(factory.call("adele"), ReleaseName("churn", release.number), "hm")
