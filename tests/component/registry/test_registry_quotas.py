"""Quotas of a project where versions are registered, on both databases."""

import threading
from pathlib import Path

import pytest

from governed_factory import GovernedFactory
from muster.access.actor import Actor, Call
from muster.access.errors import QuotaExceeded
from muster.access.projects import Projects
from muster.registry.records import Version
from muster.release.passing import live_variants
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock

ADMIN = Call(actor=Actor(name="adele", roles={"default": "admin"}, token_id="t"))


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    return GovernedFactory(database, tmp_path, clock)


def limit(factory: GovernedFactory, **quotas: int | None) -> None:
    Projects(factory.database, factory.journal, factory.board, factory.clock).limit(ADMIN, quotas)


def kept(factory: GovernedFactory) -> set[Path]:
    """Every file of the store."""
    return {path for path in (factory.folder / "store").rglob("*") if path.is_file()}


def test_no_more_versions_than_the_quota(factory: GovernedFactory) -> None:
    """The one too many is refused and leaves nothing; the same bytes again are no new version; other projects go on."""
    bundle = factory.zip()
    factory.registry.register(factory.call("ana"), bundle)
    limit(factory, versions=2)
    factory.register()
    before = factory.events()
    with pytest.raises(QuotaExceeded) as refused:
        factory.register()
    assert refused.value.facts == {"project": "default", "quota": "versions", "used": 2, "asked": 1, "limit": 2}
    assert factory.events() == before
    assert factory.registry.register(factory.call("ana"), bundle).name.number == 1
    factory.registry.register(factory.call("ana", "other"), factory.zip())
    limit(factory, versions=None)
    assert factory.register().name.number == 3


def test_no_more_bytes_than_the_quota(factory: GovernedFactory) -> None:
    """What is used, asked and allowed is said; what is there already stays, whatever the quota."""
    first = factory.register()
    limit(factory, bytes=first.size * 2 - 1)
    with pytest.raises(QuotaExceeded) as refused:
        factory.register()
    assert refused.value.facts["used"] == first.size
    assert refused.value.facts["limit"] == first.size * 2 - 1
    limit(factory, bytes=0)
    assert factory.registry.version(factory.call("vic"), first.name) == first


@pytest.mark.parametrize("quota", ["versions", "bytes"])
def test_what_is_refused_takes_no_room_in_the_store(factory: GovernedFactory, quota: str) -> None:
    """However often it is sent; the bytes of a version that is there already are still no new one."""
    bundle = factory.zip()
    first = factory.registry.register(factory.call("ana"), bundle)
    limit(factory, **{quota: 0})
    before = kept(factory)
    for _ in range(2):
        with pytest.raises(QuotaExceeded):
            factory.register()
        assert kept(factory) == before
    assert factory.registry.register(factory.call("sam"), bundle) == first


def test_two_who_register_at_once_do_not_pass_the_quota_together(factory: GovernedFactory) -> None:
    """Exactly as many as fit are registered."""
    limit(factory, versions=2)
    bundles = [factory.zip() for _ in range(4)]
    begin = threading.Barrier(4)
    results: list[Version | QuotaExceeded] = []

    def register(bundle: Path) -> None:
        begin.wait(30)
        try:
            results.append(factory.registry.register(factory.call("ana"), bundle))
        except QuotaExceeded as error:
            results.append(error)

    threads = [threading.Thread(target=register, args=(bundle,)) for bundle in bundles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(isinstance(result, Version) for result in results) == [False, False, True, True]


def test_no_more_live_variants_than_the_quota(factory: GovernedFactory) -> None:
    """Those of all endpoints count, each endpoint once; a release in place of another is held against what is left."""
    one, two, three = (factory.accepted() for _ in range(3))
    limit(factory, live_variants=3)
    factory.approve(factory.propose(one, two))
    wine = factory.propose(three, one, endpoint="wine")
    with pytest.raises(QuotaExceeded) as refused:
        factory.approve(wine)
    assert refused.value.facts == {"project": "default", "quota": "live_variants", "used": 2, "asked": 2, "limit": 3}
    factory.approve(factory.propose(three, endpoint="wine"))
    factory.releases.withdraw(factory.call("paul"), "churn", 1, "room")
    factory.approve(factory.propose(one, endpoint="fraud"))
    with factory.database.read() as tx:
        assert live_variants(tx, "default") == 2
        assert live_variants(tx, "other") == 0
