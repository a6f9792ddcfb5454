"""Files of vulnerabilities: taken in once, kept, and held against what is certified and served."""

import json
from pathlib import Path
from typing import Any

import pytest

from governed_factory import GovernedFactory, ObedientFront
from muster.access.errors import RightMissing
from muster.advisories.errors import VulnerabilitiesMalformed
from muster.advisories.records import VulnerabilityFile
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.digests import Digest, digest_of_file


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    return GovernedFactory(database, tmp_path, clock)


def record(name: str = "cloudpickle", fixed: str = "3.2") -> dict[str, Any]:
    events = [{"introduced": "0"}, {"fixed": fixed}]
    affected = {"package": {"ecosystem": "PyPI", "name": name}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    return {"id": f"PYSEC-{name}", "modified": "2026-11-01T00:00:00Z", "affected": [affected]}


def take_in(factory: GovernedFactory, *records: dict[str, Any], by: str = "adele", **said: str) -> VulnerabilityFile:
    file = factory.folder / "known.json"
    file.write_text(json.dumps(records))
    return factory.governance.advisories.take_in(factory.call(by, **said), file, "known.json", "of today")


def test_a_file_is_numbered_kept_and_on_record(factory: GovernedFactory) -> None:
    """Its bytes lie in the store under its digest; the newest is what certification goes by."""
    first = take_in(factory, record())
    second = take_in(factory, record(), record("numpy"))
    assert (first.source.number, second.source.number, second.records) == (1, 2, 2)
    assert second.source.digest == digest_of_file(factory.folder / "known.json")
    assert factory.blobs.has(Digest(first.source.digest))
    assert factory.governance.advisories.files(factory.call("vic")) == (second, first)
    assert factory.events("vulnerabilities 2 of default") == [("adele", "vulnerabilities.imported")]
    with factory.database.read() as tx:
        assert factory.governance.advisories.newest_in(tx, "default") == second.source
        assert factory.governance.advisories.newest_in(tx, "other") is None


def test_the_same_order_again_is_the_same_file(factory: GovernedFactory) -> None:
    """By its idempotency key; nothing is listed twice."""
    said = {"idempotency_key": "k", "request_digest": "d"}
    first = take_in(factory, record(), **said)
    assert take_in(factory, record(), **said) == first
    assert len(factory.governance.advisories.files(factory.call("vic"))) == 1


def test_who_may_not_and_what_is_malformed_change_nothing(factory: GovernedFactory) -> None:
    """The right is manage-packages; a file that is none says so."""
    for name in ("ana", "petra", "vic"):
        with pytest.raises(RightMissing):
            take_in(factory, record(), by=name)
    with pytest.raises(VulnerabilitiesMalformed, match=r"known\.json: it holds no record"):
        take_in(factory)
    assert factory.governance.advisories.files(factory.call("vic")) == ()


def test_the_versions_that_are_hit_are_listed_and_those_that_are_served_first(factory: GovernedFactory) -> None:
    """Certified and accepted ones, by their locks; registered ones are not looked at, and without a file none is."""
    advisories, vic = factory.governance.advisories, factory.call("vic")
    assert (advisories.affected(vic).file, advisories.affected(vic).affected) == (None, ())
    served, waiting = factory.accepted(), factory.certified()
    factory.register()
    front = ObedientFront(factory)
    front.poll()
    factory.live(served, fronts=(front,))
    file = take_in(factory, record())
    found = advisories.affected(vic)
    assert (found.file, found.looked_at) == (file, 2)
    assert [(one.version, one.served) for one in found.affected] == [
        (served.name, ("churn release 1",)), (waiting.name, ()),
    ]  # fmt: skip
    assert [hit.fixed for one in found.affected for hit in one.hits] == ["3.2", "3.2"]
    take_in(factory, record(fixed="3.0"))
    assert advisories.affected(vic).affected == ()
