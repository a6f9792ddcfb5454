"""What there is is found again, on both databases, by everything that is said of it."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from governed_factory import GovernedFactory, ObedientFront
from muster.access.errors import RightMissing
from muster.catalogue import service as catalogue_service
from muster.catalogue.errors import QueryMalformed
from muster.catalogue.records import Entry, Kind
from muster.catalogue.service import Catalogue
from muster.registry.records import ModelChanges
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock

NASTY = [
    "'; DROP TABLE catalogue_entries; --",
    'a" OR words : "b',
    "NEAR(a b)",
    "a & !b",
    "a:* | b",
    "%_\\",
    "$1",
    "(((",
    "* *",
]


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    return GovernedFactory(database, tmp_path, clock)


@pytest.fixture
def search(factory: GovernedFactory) -> Any:
    """Names of what a query finds, for a viewer."""
    catalogue = Catalogue(factory.database)

    def found(query: str, project: str = "default") -> list[str]:
        page = catalogue.search(factory.call("vic", project), query, limit=100)
        assert page.next is None
        return [f"{one.kind} {one.name}" for one in page.found]

    return found


def test_versions_models_and_endpoints_are_found_by_what_is_said_of_them(factory: GovernedFactory, search: Any) -> None:
    """Name, tag, people, state, digest, time, kind, and the words of descriptions, notes and tags."""
    first = factory.accepted(notes="größer risk of credit default", tags={"team": "risk", "area": "retail banking"})
    second = factory.register(by="sam", notes="second attempt", owners=("sam",), authors=("ana",))
    factory.propose(first)
    assert search("") == ["endpoint churn", "version churn:2", "version churn:1", "model churn"]
    assert search("state:accepted") == ["version churn:1"]
    assert search("state:unserved") == ["endpoint churn"]
    assert search("tag:team=risk") == search("tag:team") == search("tag:team=ri*") == ["version churn:1"]
    assert search('tag:"area=retail banking"') == ["version churn:1"]
    assert search("owner:sam") == ["version churn:2"]
    assert search("by:ana kind:version") == ["version churn:1"]
    assert search("author:ana") == ["version churn:2"]
    assert search(f"digest:{first.digest}") == search(f"digest:{first.digest[7:15]}") == ["version churn:1"]
    assert search("registered:2026-11-21 kind:model") == ["model churn"]
    assert search("registered>2026-11-21") == []
    assert search("GROSSER") == search("größer") == search('"credit default"') == search("cred*") == ["version churn:1"]
    assert search('"default credit"') == search("credi") == []
    assert search("retail") == ["version churn:1"]
    assert search("attempt kind:version") == [f"version {second.name}"]
    assert search("name:churn kind:endpoint") == ["endpoint churn"]


def test_what_changes_is_found_as_it_is(factory: GovernedFactory, search: Any) -> None:
    """States, what models carry, and what answers at an endpoint: in the transaction in which they change."""
    front = ObedientFront(factory)
    front.poll()
    version = factory.accepted()
    factory.live(version, fronts=(front,))
    assert search("champion:churn:1") == search("state:served") == ["endpoint churn"]
    factory.registry.ban(factory.call("paul"), version.name, "no more")
    assert search("state:accepted") == []
    assert search("state:banned") == ["version churn:1"]
    changes = ModelChanges(
        owner="sam", deputy="vic", description="Wer geht?", business_metric="kept customers", tags={"a": "b"}
    )
    factory.registry.set_model(factory.call("adele"), "churn", changes, "handed over")
    assert search("owner:sam") == search("deputy:vic") == search("geht") == search("kept") == ["model churn"]
    assert search("owner:ana kind:model") == []
    factory.registry.set_model(factory.call("sam"), "churn", ModelChanges(deputy="", tags={"a": None}), "alone")
    assert search("deputy:vic") == search("tag:a") == []


def test_figures_are_compared(factory: GovernedFactory, search: Any) -> None:
    """Those of the author and those of certification; one that is measured anew stands for the one before."""
    first, second = factory.register(), factory.register()
    with factory.database.write() as tx:
        factory.registry.measured(tx, first, {"auc": 0.7, "latency.p99_ms": 4, "odd": float("nan")})
        factory.registry.measured(tx, second, {"auc": 0.9})
        factory.registry.measured(tx, first, {"auc": 0.8})
    assert search("metric:auc>0.8") == ["version churn:2"]
    assert search("metric:auc>=0.8") == ["version churn:2", "version churn:1"]
    assert search("metric:auc<0.8") == search("metric:odd>0") == []
    assert search("metric:auc=0.8 metric:latency.p99_ms<=4") == ["version churn:1"]


def test_nobody_finds_what_is_another_projects(factory: GovernedFactory, search: Any) -> None:
    """By no key and no word; and nobody without the right to read finds anything."""
    factory.register(notes="secret sauce")
    for query in (
        "",
        "sauce",
        "owner:ana",
        "name:churn",
        "state:registered",
        "kind:version",
        "digest:sha256",
        "registered>2026-01-01",
    ):
        assert search(query, "other") == []
    # The word that stands for a project in the index is a word like any other, and opens nothing.
    assert search("p" + b"default".hex(), "other") == []
    with pytest.raises(RightMissing):
        Catalogue(factory.database).search(factory.call("front"), "", limit=10)


@pytest.mark.parametrize("nasty", NASTY)
def test_no_text_is_anything_but_text(factory: GovernedFactory, search: Any, nasty: str) -> None:
    """As word, value, tag or description it is looked for, or refused as no query; it never becomes part of a statement."""
    factory.register(notes=f"before {nasty} after", tags={"odd": nasty})
    for query in (nasty, f'"{nasty}"', f"owner:{nasty}", f"tag:odd={nasty}", f"name:{nasty}*", f"digest:{nasty}"):
        try:
            search(query)
        except QueryMalformed:
            continue
    assert search("before after") == ["version churn:1"]
    if '"' not in nasty:
        assert search(f'tag:"odd={nasty}"') == ["version churn:1"]


def test_pages_follow_one_another(factory: GovernedFactory) -> None:
    """Every entry once, whatever comes meanwhile; the last page says that it is the last."""
    catalogue = Catalogue(factory.database)
    for _ in range(5):
        factory.register()
    call, names, after = factory.call("vic"), [], None
    while True:
        page = catalogue.search(call, "kind:version", limit=2, after=after)
        names += [one.name for one in page.found]
        factory.register()  # newer than all that is still to be read
        if page.next is None:
            break
        after = page.next
    assert names == ["churn:5", "churn:4", "churn:3", "churn:2", "churn:1"]


def test_rare_and_frequent_terms_find_what_a_plain_look_at_every_entry_finds(
    factory: GovernedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever way the search goes about it: by the rare terms first, or through the newest entries."""
    monkeypatch.setattr(catalogue_service, "FEW", 7)
    catalogue, chance = Catalogue(factory.database), random.Random(6)
    entries = []
    with factory.database.write() as tx:
        for number in range(120):
            entry = Entry(
                project="default",
                kind=Kind.VERSION,
                name=f"m{number % 9}:{number + 1}",
                state=chance.choice(["accepted", "accepted", "registered", "banned"]),
                owner=chance.choice(["ana", "ana", "ben"]),
                at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number),
                tags={"team": chance.choice(["risk", "sales", "rare"])} if number % 3 else {},
                figures={"auc": number / 120},
                text="common words " + ("seldom" if number % 40 == 0 else ""),
            )
            catalogue.enter(tx, entry)
            entries.append(entry)
    asked: dict[str, Callable[[Entry], bool]] = {
        "state:accepted": lambda e: e.state == "accepted",
        "state:banned": lambda e: e.state == "banned",
        "owner:ana": lambda e: e.owner == "ana",
        "tag:team=risk": lambda e: e.tags.get("team") == "risk",
        "tag:team": lambda e: "team" in e.tags,
        "metric:auc>0.5": lambda e: e.figures["auc"] > 0.5,
        "metric:auc>0.98": lambda e: e.figures["auc"] > 0.98,
        "common": lambda _: True,
        "seldom": lambda e: "seldom" in e.text,
        "registered<2026-02-01": lambda e: e.at < datetime(2026, 2, 1, tzinfo=UTC),
        "name:m3": lambda e: e.name.startswith("m3:"),
    }
    call = factory.call("vic")
    for _ in range(60):
        terms = chance.sample(sorted(asked), chance.randint(1, 4))
        wanted = [entry.name for entry in reversed(entries) if all(asked[term](entry) for term in terms)]
        found, after = [], None
        while True:
            page = catalogue.search(call, " ".join(terms), limit=11, after=after)
            found += [one.name for one in page.found]
            if page.next is None:
                break
            after = page.next
        assert found == wanted, terms


def test_an_entry_that_is_entered_again_leaves_nothing_behind(factory: GovernedFactory, search: Any) -> None:
    """Facts and words of before are gone."""
    catalogue = Catalogue(factory.database)
    made = datetime(2026, 1, 1, tzinfo=UTC)
    with factory.database.write() as tx:
        for text, owner in (("first words", "ana"), ("other words", "ben")):
            catalogue.enter(tx, Entry(project="default", kind=Kind.MODEL, name="m", owner=owner, at=made, text=text))
    assert search("first") == search("owner:ana") == []
    assert search("other owner:ben") == ["model m"]
    with factory.database.read() as tx:
        count = sa.text("SELECT count(*) FROM catalogue_entries")
        assert tx.execute(count).scalar() == 1
