"""Data sources over a real database: who may register them, what is on record; and profiles of versions."""

import json
from pathlib import Path

import pytest

from governed_factory import GovernedFactory
from made_bundles import made_bundle
from muster.access.errors import RightMissing
from muster.audit.errors import IdempotencyKeyReused
from muster.packaging.bundle import pack
from muster.packaging.profiling import given_of
from muster.packaging.samples import read_sample
from muster.profiles.columns import Given
from muster.profiles.whole import profile_bytes, profile_of
from muster.registry.errors import BundleRefused, ReasonMissing, VersionNotFound
from muster.storage.transaction import Database
from muster.training.errors import ProfileNotFound, SourceMalformed, SourceNotFound, SourceTaken
from muster.training.service import Sources
from muster.training.version_profiles import VersionProfiles
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.names import VersionName


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    return GovernedFactory(database, tmp_path, clock)


@pytest.fixture
def sources(factory: GovernedFactory) -> Sources:
    return Sources(factory.database, factory.journal, factory.clock, private=[factory.folder])


def test_an_admin_registers_a_source_and_it_is_on_record(factory: GovernedFactory, sources: Sources) -> None:
    """Everybody of the project sees it; the event tells address and reason."""
    made = sources.add(factory.call("adele"), "lake", "/srv/lake", "the bank's data")
    assert made.uri == "file:///srv/lake/"
    assert sources.listed(factory.call("vic")) == (made,)
    assert sources.of("other") == ()
    with factory.database.read() as tx:
        (entry,) = factory.journal.entries(tx, subject="source lake")
    assert (entry.actor, entry.action, entry.reason) == ("adele", "source.added", "the bank's data")
    assert json.loads(entry.details) == {"uri": "file:///srv/lake/"}


@pytest.mark.parametrize("who", ["ana", "paul", "olga", "vic"])
def test_nobody_else_may(factory: GovernedFactory, sources: Sources, who: str) -> None:
    """Who registers models does not say from where the factory reads."""
    sources.add(factory.call("adele"), "lake", "/srv/lake", "so")
    with pytest.raises(RightMissing):
        sources.add(factory.call(who), "sea", "/srv/sea", "so")
    with pytest.raises(RightMissing):
        sources.remove(factory.call(who), "lake", "so")


def test_a_name_is_taken_once_and_free_again_when_removed(factory: GovernedFactory, sources: Sources) -> None:
    """In another project it is another source."""
    adele = factory.call("adele")
    sources.add(adele, "lake", "/srv/lake", "so")
    with pytest.raises(SourceTaken):
        sources.add(adele, "lake", "/srv/other", "so")
    assert sources.remove(adele, "lake", "moved").uri == "file:///srv/lake/"
    with pytest.raises(SourceNotFound):
        sources.remove(adele, "lake", "again")
    assert sources.add(adele, "lake", "s3://bucket/lake", "new place").uri == "s3://bucket/lake/"
    for wrong in ("/", str(factory.folder / "store")):
        with pytest.raises(SourceMalformed):
            sources.add(adele, "home", wrong, "so")
    with pytest.raises(ReasonMissing):
        sources.add(adele, "sea", "/srv/sea", " ")


def test_a_repeated_request_is_answered_as_the_first(factory: GovernedFactory, sources: Sources) -> None:
    """Added, removed and asked again: the key tells what was done then, and does nothing."""
    adding = factory.call("adele", idempotency_key="a", request_digest="1")
    removing = factory.call("adele", idempotency_key="r", request_digest="2")
    made = sources.add(adding, "lake", "/srv/lake", "so")
    assert sources.add(adding, "lake", "/srv/lake", "so") == made
    gone = sources.remove(removing, "lake", "so")
    assert sources.remove(removing, "lake", "so").uri == gone.uri
    assert sources.add(adding, "lake", "/srv/lake", "so") == made
    assert sources.of("default") == ()
    with pytest.raises(IdempotencyKeyReused):
        sources.remove(factory.call("adele", idempotency_key="a", request_digest="3"), "lake", "so")


def bundle_with_profile(factory: GovernedFactory, content: bytes | None) -> VersionName:
    folder = made_bundle(factory.folder / f"b{len(content or b'')}", notes=str(content))
    if content is not None:
        (folder / "profile.json").write_bytes(content)
    pack(folder, folder.with_suffix(".zip"))
    return factory.registry.register(factory.call("ana"), folder.with_suffix(".zip")).name


def test_a_declared_profile_is_read_from_the_bundle_and_called_so(factory: GovernedFactory) -> None:
    """Without one, and for a version that is not there, it is said; a bundle with something else in its place is refused."""
    table = read_sample({"tenure": [1.0, 2.0, 3.0], "plan": ["a", "a", "b"]}).table
    columns: list[Given] = [given_of(name, column) for name, column in table.columns.items()]
    profile = profile_of(3, columns)
    profiles, vic = VersionProfiles(factory.database, factory.registry), factory.call("vic")
    found = profiles.of(vic, bundle_with_profile(factory, profile_bytes(profile)))
    assert (found.origin, found.at, found.profile) == ("declared", None, profile)
    with pytest.raises(ProfileNotFound):
        profiles.of(vic, bundle_with_profile(factory, None))
    with pytest.raises(BundleRefused, match="profile"):
        bundle_with_profile(factory, b'{"format": 1}')
    with pytest.raises(VersionNotFound):
        profiles.of(vic, VersionName("churn", 99))
