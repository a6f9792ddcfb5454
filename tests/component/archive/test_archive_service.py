"""Past requests for people: everybody sees what is theirs to see, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from archive_writer import made_decided
from msgspec.structs import replace

from muster.access.actor import Actor, Call
from muster.access.errors import RightMissing
from muster.access.roles import AccessRole
from muster.access.service import Access
from muster.archive.errors import CountOutOfRange, RequestNotFound
from muster.archive.layout import encode
from muster.archive.reader import Reader
from muster.archive.segments import SegmentWriter
from muster.archive.service import Requests
from muster.audit.journal import Journal
from muster.publishing.board import Board
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.names import NameMalformed
from muster.vocabulary.request_ids import RequestIdMalformed, RequestIds, request_id_text


def call(role: AccessRole, name: str = "somebody", project: str = "default") -> Call:
    return Call(actor=Actor(name=name, roles={project: role}, token_id="t"), project=project)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[SegmentWriter]:
    with SegmentWriter(tmp_path / "archive" / "spool", 0) as made:
        yield made


@pytest.fixture
def requests(tmp_path: Path, sqlite_database: Database, clock: FixedClock) -> Requests:
    journal = Journal(None, clock)
    access = Access(sqlite_database, journal, Board(sqlite_database, clock), clock)
    return Requests(
        Reader(tmp_path / "archive"),
        access,
        lambda actor, version, project: (actor.name, version, project) == ("ana", "own:1", "default"),
    )


def write(writer: SegmentWriter, *versions: str, project: str = "default") -> str:
    """A request that these versions answered; its id."""
    ids = RequestIds(0)
    made = made_decided(ids.next(writer.segment))
    (answer,) = made.answers
    answers = tuple(replace(answer, version=version) for version in versions)
    writer.write([encode(replace(made, answers=answers, project=project))])
    return request_id_text(made.request_id)


def test_whoever_may_read_requests_sees_all_of_the_project(requests: Requests, writer: SegmentWriter) -> None:
    """Approvers, operators and admins see every request of their project, the newest first, and no other project's."""
    first, second = write(writer, "other:1"), write(writer, "own:1")
    foreign = write(writer, "own:1", project="elsewhere")
    for role in (AccessRole.APPROVER, AccessRole.OPERATOR, AccessRole.ADMIN):
        assert [record.request_id for record in requests.last(call(role), "churn", 10)] == [second, first]
        assert requests.request(call(role), first).request_id == first
        with pytest.raises(RequestNotFound):
            requests.request(call(role), foreign)
    elsewhere = call(AccessRole.OPERATOR, project="elsewhere")
    assert [record.request_id for record in requests.last(elsewhere, "churn", 10)] == [foreign]


def test_a_scientist_sees_the_requests_of_own_models(requests: Requests, writer: SegmentWriter) -> None:
    """Requests in which no own version took part are not there for a scientist, in lists or by id."""
    mine = [write(writer, "other:1", "own:1") for _ in range(3)]
    foreign = [write(writer, "other:1") for _ in range(40)]
    ana, ben = call(AccessRole.SCIENTIST, "ana"), call(AccessRole.SCIENTIST, "ben")
    assert [record.request_id for record in requests.last(ana, "churn", 2)] == mine[:0:-1]
    assert len(requests.last(ana, "churn", 20)) == 3
    assert requests.last(ben, "churn", 20) == ()
    assert requests.request(ana, mine[0]).request_id == mine[0]
    with pytest.raises(RequestNotFound):
        requests.request(ana, foreign[0])
    with pytest.raises(RequestNotFound):
        requests.request(ben, mine[0])


def test_others_may_not_even_ask(requests: Requests, writer: SegmentWriter) -> None:
    """Viewers, consumers and fronts get the same answer whether or not there is such a request."""
    known = write(writer, "own:1")
    for role in (AccessRole.VIEWER, AccessRole.CONSUMER, AccessRole.FRONT):
        for request_id in (known, request_id_text(RequestIds(0).next(5))):
            with pytest.raises(RightMissing):
                requests.request(call(role), request_id)
        with pytest.raises(RightMissing):
            requests.last(call(role), "churn", 10)


def test_what_is_asked_must_make_sense(requests: Requests) -> None:
    """Counts out of range, ids that are none and names that are none are refused by name."""
    operator = call(AccessRole.OPERATOR)
    for count in (0, -1, 1001):
        with pytest.raises(CountOutOfRange):
            requests.last(operator, "churn", count)
    with pytest.raises(NameMalformed):
        requests.last(operator, "../../etc", 10)
    with pytest.raises(RequestIdMalformed):
        requests.request(operator, "nonsense")
    with pytest.raises(RequestNotFound):
        requests.request(operator, request_id_text(RequestIds(3).next(5)))
    assert requests.last(operator, "unknown", 10) == ()
