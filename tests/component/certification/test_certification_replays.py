"""Asking for a replay: who may, and what is put on record."""

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace as replaced

from made_bundles import PLANS, SCORES, TENURES, made_zip
from muster.access.actor import Actor, Call
from muster.access.errors import RightMissing
from muster.access.roles import AccessRole
from muster.access.service import Access
from muster.archive.errors import RequestNotFound
from muster.archive.layout import encode
from muster.archive.reader import Reader
from muster.archive.segments import SegmentWriter
from muster.archive.service import Requests
from muster.audit.journal import Journal
from muster.blobs.local import LocalBlobs
from muster.certification.replay import Replays
from muster.environments.shelf import Shelf
from muster.packaging.bundle import read_bundle
from muster.packaging.trees import remove_tree
from muster.publishing.board import Board
from muster.registry.service import Registry
from muster.sessions.records import REPLAY
from muster.sessions.service import Sessions
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock, wall_ns
from muster.vocabulary.request_ids import RequestIds, request_id_text
from muster.vocabulary.states import SessionState
from muster.wire.records import RECORD_FORMAT, Decided, StoredColumn, VariantAnswer


class Factory:
    """What a replay needs, put together as bootstrap does."""

    def __init__(self, home: Path, database: Database, clock: FixedClock) -> None:
        self.home = home
        self.database = database
        self.journal = Journal(None, clock)
        self.sessions = Sessions(database=database, journal=self.journal, clock=clock)
        blobs = LocalBlobs(home / "store")
        self.environments = Shelf(home / "environments", home / "uv-cache", blobs)
        self.registry = Registry(database=database, journal=self.journal, blobs=blobs, clock=clock)
        access = Access(database, self.journal, Board(database, clock), clock)
        reader = Reader(home / "archive")
        self.replays = Replays(
            database=database,
            journal=self.journal,
            sessions=self.sessions,
            registry=self.registry,
            requests=Requests(reader, access, lambda actor, version, _: (actor.name, version) == ("ana", "own:1")),
            reader=reader,
            blobs=blobs,
            bundles=home / "bundles",
            environments=self.environments,
            logs=home / "logs",
        )

    def request(self, version: str, score: float = 0.0, **changes: object) -> str:
        """A request that a version answered; its id."""
        outputs = (StoredColumn("score", "FP64", (), struct.pack("<d", score)),)
        answer = VariantAnswer(version, "champion", "answered", outputs, host="0-1-1", batch=1, batch_rows=1)
        made = Decided(
            format=RECORD_FORMAT,
            request_id=RequestIds(0).next(1),
            client_id=None,
            idempotency_key=None,
            consumer="shop",
            project="default",
            endpoint="churn",
            release=1,
            plan="",
            contract="",
            received_ns=wall_ns(),
            decided_ns=wall_ns(),
            elapsed_ns=1,
            deadline_ns=1,
            rows=1,
            body_sha256=b"",
            inputs=(
                StoredColumn("tenure", "FP64", (), struct.pack("<d", TENURES[1])),
                StoredColumn("plan", "BYTES", (), struct.pack("<I", len(PLANS[1])) + PLANS[1].encode()),
            ),
            answers=(replaced(answer, **changes),),
            chosen=(0,),
            reason="champion",
            probability=1.0,
            forced=False,
        )
        with SegmentWriter(self.home / "archive" / "spool", 0) as writer:
            writer.write([encode(made)])
        return request_id_text(made.request_id)

    def deeds(self) -> list[tuple[str, str, str]]:
        with self.database.read() as tx:
            return [(entry.actor, entry.action, entry.subject) for entry in self.journal.entries(tx)]

    def run(self) -> dict[str, object]:
        """Do the work that waits, as an executor does; what came of it."""
        session = self.sessions.claim("executor", {REPLAY})
        assert session is not None
        done = self.replays.run(session, lambda line: self.sessions.say(session, line))
        assert done.result is not None
        return {"state": done.state, **done.result}


def call(role: AccessRole, name: str = "olga", key: str | None = None) -> Call:
    actor = Actor(name=name, roles={"default": role}, token_id="t")
    return Call(actor=actor, idempotency_key=key, request_digest=None if key is None else "sha256:" + "0" * 64)


@pytest.fixture
def factory(tmp_path: Path, database: Database, clock: FixedClock) -> Iterator[Factory]:
    yield Factory(tmp_path, database, clock)
    remove_tree(tmp_path / "environments")
    remove_tree(tmp_path / "bundles")


def test_asking_is_put_on_record_and_queued_once(factory: Factory) -> None:
    """Two who ask while it waits get the same session, and both are on record; a repeated call is one call."""
    request_id = factory.request("other:1")
    first = factory.replays.replay(call(AccessRole.OPERATOR, key="k"), request_id)
    again = factory.replays.replay(call(AccessRole.OPERATOR, key="k"), request_id)
    other = factory.replays.replay(call(AccessRole.APPROVER, "bea"), request_id)
    assert first.id == again.id == other.id
    assert (first.kind, first.subject, first.state) == ("replay", request_id, SessionState.QUEUED)
    assert factory.deeds() == [("olga", "replay.requested", request_id), ("bea", "replay.requested", request_id)]


def test_a_scientist_replays_only_own_models(factory: Factory) -> None:
    """Own requests may be replayed, foreign ones are not there, and viewers may not ask."""
    own, foreign = factory.request("own:1"), factory.request("other:1")
    factory.replays.replay(call(AccessRole.SCIENTIST, "ana"), own)
    with pytest.raises(RequestNotFound):
        factory.replays.replay(call(AccessRole.SCIENTIST, "ana"), foreign)
    with pytest.raises(RightMissing):
        factory.replays.replay(call(AccessRole.VIEWER), own)
    assert len(factory.deeds()) == 1


def test_a_replay_that_cannot_be_done_says_why(factory: Factory) -> None:
    """Where the version's bundle is not there any more the session fails with the reason, and is never identical."""
    factory.replays.replay(call(AccessRole.OPERATOR), factory.request("gone:1"))
    found = factory.run()
    assert (found["state"], found["identical"]) == (SessionState.FAILED, False)
    assert "gone:1" in str(found["differences"])
    assert "registry.version-not-found" in str(found["error"])


def test_a_request_that_nothing_computed_has_nothing_to_replay(factory: Factory) -> None:
    """A default answer is no computation."""
    factory.replays.replay(
        call(AccessRole.OPERATOR), factory.request("other:1", status="unsent", outputs=None, host="")
    )
    found = factory.run()
    assert (found["state"], found["identical"], found["variants"]) == (SessionState.FAILED, False, [])


def test_a_registered_version_answers_again_as_it_did(factory: Factory) -> None:
    """From store to folder to environment to host: the recorded bits come again, and other bits are told."""
    version = factory.registry.register(call(AccessRole.SCIENTIST, "ana"), made_zip(factory.home / "bundle"))
    folder = factory.home / "bundle"
    environment = factory.environments.ensure(folder, read_bundle(folder)).id
    right = factory.request(str(version.name), SCORES[1], environment=environment)
    factory.replays.replay(call(AccessRole.OPERATOR), right)
    found = factory.run()
    assert (found["state"], found["identical"], found["differences"]) == (SessionState.PASSED, True, [])
    wrong = factory.request(str(version.name), SCORES[1] + 1.0, environment="sha256:" + "0" * 64)
    factory.replays.replay(call(AccessRole.OPERATOR), wrong)
    found = factory.run()
    assert (found["state"], found["identical"]) == (SessionState.FAILED, False)
    assert "differ by up to 1.0" in str(found["differences"])
    assert "environment: sha256:000000000000… then" in str(found["differences"])
