"""A release may serve a compiled twin only as long as the newest certificate of its version names that very twin."""

from datetime import timedelta
from pathlib import Path

import pytest

from governed_factory import GovernedFactory
from known_figures import add_certificate
from muster.registry.records import Version
from muster.release.errors import TwinMissing
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.digests import Digest, digest_of
from muster.vocabulary.states import ReleaseState

TWIN, OTHER = digest_of(b"twin"), digest_of(b"another twin")


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    return GovernedFactory(database, tmp_path, clock)


def certified(factory: GovernedFactory, clock: FixedClock, version: Version, twin: Digest | None) -> None:
    """A further certification a while later."""
    clock.at += timedelta(minutes=1)
    with factory.database.write() as tx:
        add_certificate(tx, version, clock, twin=twin)


def test_a_twin_that_is_still_vouched_for_is_approved(factory: GovernedFactory, clock: FixedClock) -> None:
    """Also by a later certificate that names the same one; the plan holds the twin's manifest."""
    version = factory.accepted()
    certified(factory, clock, version, TWIN)
    proposed = factory.propose(version, twins=(version.name,))
    certified(factory, clock, version, TWIN)
    assert factory.approve(proposed).plan.variants[0].manifest == TWIN != version.digest


@pytest.mark.parametrize(("later", "words"), [(None, "names no compiled twin"), (OTHER, "names another compiled twin")])
def test_a_twin_that_is_vouched_for_no_more_is_not_approved(
    factory: GovernedFactory, clock: FixedClock, later: Digest | None, words: str
) -> None:
    """Certified anew without a twin, or with another: the proposal stays as it is and cannot be approved."""
    version = factory.accepted()
    certified(factory, clock, version, TWIN)
    proposed = factory.propose(version, twins=(version.name,))
    certified(factory, clock, version, later)
    with pytest.raises(TwinMissing, match=words):
        factory.approve(proposed)
    held = factory.releases.release(factory.call("vic"), proposed.endpoint, proposed.number)
    assert held.state is ReleaseState.PROPOSED
    assert ("paul", "release.approved") not in factory.events(proposed.subject)
