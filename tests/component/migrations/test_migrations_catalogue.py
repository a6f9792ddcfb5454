"""What a factory held before it had a catalogue is found in it afterwards, and its models have owners; on both databases."""

import json

import pytest
from alembic import command

from muster.access.actor import Actor, Call
from muster.access.roles import AccessRole
from muster.catalogue.records import Entry, Kind
from muster.catalogue.service import Catalogue
from muster.migrations.runner import _config, migrate
from muster.registry import store
from muster.storage.transaction import Database
from muster.vocabulary.clock import from_rfc3339
from muster.vocabulary.digests import digest_of

AT = "2026-01-0{}T00:00:00.000000Z"
PLAN = {"variants": [{"version": "churn:2"}, {"version": "fraud:1"}]}
VERSIONS: tuple[tuple[str, int, str, str, dict[str, str]], ...] = (
    ("churn", 1, "retired", "First try", {"team": "größe"}),
    ("churn", 2, "accepted", "Second's try", {}),
    ("fraud", 1, "banned", "", {}),
)


@pytest.fixture
def migrated(empty_database_url: str) -> Database:
    """A database as of schema 0004 with rows in it, brought up to date."""
    database = Database(empty_database_url)
    with database.write() as tx:
        command.upgrade(_config(tx.connection), "0004")
        run = tx.connection.exec_driver_sql
        run(
            "INSERT INTO models (project, name, created_by, created_at) VALUES "
            f"('default', 'churn', 'ana', '{AT.format(1)}'), ('default', 'fraud', 'ben', '{AT.format(2)}')"
        )
        for number, (model, version, state, description, tags) in enumerate(VERSIONS, 3):
            values = (
                "default", model, version, str(digest_of(f"{model}{version}".encode())), state, "ana", AT.format(number), description,
                '["cy", "ana"]', '["ana"]', json.dumps(tags), "{}", "sha256:0", "sha256:0", "3.11", 1, 1,
            )  # fmt: skip
            marks = ", ".join(["?" if database.engine.dialect.name == "sqlite" else "%s"] * len(values))
            run(
                "INSERT INTO versions (project, model, number, digest, state, registered_by, registered_at, description, owners, authors, "
                f"tags, contract, contract_digest, lock_digest, python, files, size) VALUES ({marks})",
                values,
            )
        run(
            f"INSERT INTO endpoints (name, project, created_by, created_at) VALUES ('e', 'default', 'ana', '{AT.format(6)}')"
        )
        run(
            f"INSERT INTO endpoints (name, project, created_by, created_at) VALUES ('new', 'other', 'ana', '{AT.format(7)}')"
        )
        plan = json.dumps(PLAN).replace("%", "%%")
        run(
            "INSERT INTO releases (endpoint, number, project, state, plan, plan_digest, proposed_by, proposed_at, reason) "
            f"VALUES ('e', 1, 'default', 'live', '{plan}', 'sha256:0', 'ana', '2026-01-01', 'first')"
        )
        run(
            "INSERT INTO release_pointers (endpoint, sequence, number, at, by, cause) "
            f"VALUES ('e', 1, 1, '{AT.format(8)}', 'ben', 'went-live')"
        )
    migrate(database)
    return database


def found(database: Database, query: str, project: str = "default") -> list[str]:
    actor = Actor(name="vic", roles={project: AccessRole.VIEWER}, token_id="t")
    page = Catalogue(database).search(Call(actor=actor, project=project), query, limit=100)
    return [f"{one.kind} {one.name}" for one in page.found]


def test_what_was_there_is_found(migrated: Database) -> None:
    """By everything that rows say of it."""
    assert found(migrated, "") == [
        "endpoint e", "version fraud:1", "version churn:2", "version churn:1", "model fraud", "model churn",
    ]  # fmt: skip
    assert found(migrated, "state:accepted") == found(migrated, '"second s try"') == ["version churn:2"]
    assert found(migrated, "tag:team=größe") == found(migrated, "GROSSE") == ["version churn:1"]
    assert found(migrated, "owner:cy") == ["version fraud:1", "version churn:2", "version churn:1"]
    assert found(migrated, "author:ana state:banned") == ["version fraud:1"]
    assert found(migrated, f"digest:{digest_of(b'fraud1')}") == ["version fraud:1"]
    assert found(migrated, "champion:churn:2") == found(migrated, "version:fraud:1 state:served") == ["endpoint e"]
    assert found(migrated, "owner:ben") == ["model fraud"]
    assert found(migrated, "registered:2026-01-04") == ["version churn:2"]
    assert found(migrated, "", "other") == ["endpoint new"]
    migrated.close()


def test_models_are_their_makers_and_further_entries_follow(migrated: Database) -> None:
    """Who made a model owns it; what is entered now has a later place than all that was there."""
    with migrated.write() as tx:
        assert store.owners_of(tx, "default", ["churn", "fraud"]) == {"churn": "ana", "fraud": "ben"}
        entry = Entry(project="default", kind=Kind.MODEL, name="late", owner="ana", at=from_rfc3339(AT.format(9)))
        Catalogue(migrated).enter(tx, entry)
    assert found(migrated, "")[0] == "model late"
    migrated.close()
