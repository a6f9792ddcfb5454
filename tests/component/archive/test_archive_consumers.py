"""Who asks what how often: counted from compacted records, exactly, each file once."""

import subprocess
import sys
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from archive_workshop import DAY_NS, Workshop
from archive_writer import made_answer

from muster.access.actor import Actor, Call
from muster.access.errors import RightMissing
from muster.access.roles import AccessRole
from muster.access.service import Access
from muster.archive.consumers import Consumers, UseCounter
from muster.archive.depot import FolderStore
from muster.audit.journal import Journal
from muster.publishing.board import Board
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock, SystemClock, rfc3339_of_ns, wall_ns


def call(role: AccessRole = AccessRole.VIEWER, project: str = "default") -> Call:
    return Call(actor=Actor(name="vic", roles={project: role}, token_id="t"), project=project)


class Counting:
    """An archive and what is counted of it."""

    def __init__(self, database: Database, root: Path) -> None:
        self.database = database
        self.workshop = Workshop(root)
        clock = SystemClock()
        self.access = Access(database, Journal(None, clock), Board(database, clock), clock)
        self.consumers = Consumers(database, self.access, clock)

    def counter(self) -> UseCounter:
        return UseCounter(self.database, FolderStore(self.workshop.root / "parquet"), SystemClock())

    def compacted(self) -> list[str]:
        self.workshop.rotate()
        return self.workshop.compact()

    def told(
        self, project: str = "default", endpoint: str | None = None, days: int | None = None
    ) -> dict[tuple[str, str], tuple[int, int]]:
        found = self.consumers.consumers(call(project=project), endpoint, days)
        return {(one.consumer, one.endpoint): (one.requests, one.rows) for one in found.consumers}


@pytest.fixture
def counting(database: Database, tmp_path: Path) -> Counting:
    return Counting(database, tmp_path / "archive")


def test_every_request_is_counted_once_whoever_answered(counting: Counting) -> None:
    """Per consumer and endpoint the requests and rows; per version the rows that it answered, whatever the policy."""
    answer = counting.workshop.answer
    both = (made_answer("churn:1"), made_answer("churn:2"))
    answer(3, consumer="shop")
    answer(2, consumer="shop", rows=4, answers=both, chosen=(0, 1, 1, 0))
    answer(1, consumer="shop", rows=5, answers=both, chosen=(1,))
    answer(1, consumer="app", rows=2, answers=both, chosen=(-2,), weights=(0.5, 0.5))
    answer(1, consumer="app", rows=3, chosen=(-1,), default=b'{"churn_probability":0.5}')
    answer(1, consumer="app", chosen=(-1,))
    answer(1, consumer="shop", endpoint="wine", answers=(made_answer("wine:7"),))
    last = answer(1, consumer="app", project="risk")[0]
    files = counting.compacted()
    assert counting.counter().count() == sum(not file.startswith("_") for file in files)
    found = {(one.consumer, one.endpoint): one for one in counting.consumers.consumers(call()).consumers}
    assert counting.told() == {("app", "churn"): (3, 6), ("shop", "churn"): (6, 16), ("shop", "wine"): (1, 1)}
    versions = {key: {use.version: (use.requests, use.rows) for use in one.versions} for key, one in found.items()}
    assert versions == {
        ("app", "churn"): {"combined": (1, 2), "default": (1, 3), "none": (1, 1)},
        ("shop", "churn"): {"churn:1": (5, 7), "churn:2": (3, 9)},
        ("shop", "wine"): {"wine:7": (1, 1)},
    }
    assert counting.told("risk") == {("app", "churn"): (1, 1)}
    (other,) = counting.consumers.consumers(call(project="risk")).consumers
    assert other.last_at == rfc3339_of_ns(last.received_ns)
    assert counting.told(endpoint="wine") == {("shop", "wine"): (1, 1)}


def test_a_file_is_counted_once_however_often_it_is_looked_at(counting: Counting) -> None:
    """Further looks, a new executor and two at the same time add nothing; a new file adds what it holds."""
    counting.workshop.answer(10)
    counting.compacted()
    begin = threading.Barrier(3)
    done: list[int] = []

    def count() -> None:
        counter = counting.counter()
        begin.wait(30)
        done.append(counter.count())

    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(done) == 1
    counter = counting.counter()
    assert counter.count() == 0
    counting.workshop.answer(5)
    counting.compacted()
    assert (counter.count(), counter.count()) == (1, 0)
    assert counting.told() == {("shop", "churn"): (15, 15)}


@pytest.mark.timeout(240)
def test_a_count_that_is_killed_counts_nothing_twice_and_leaves_nothing_out(
    sqlite_database: Database, tmp_path: Path
) -> None:
    """Whichever row it was about to write when it was killed, the next one makes the counts exact."""
    counting = Counting(sqlite_database, tmp_path / "archive")
    script = Path(__file__).with_name("archive_killed_count.py")
    expected: Counter[str] = Counter()
    for fatal in (1, 2, 3, 5, 0):
        for consumer in ("app", "shop"):
            counting.workshop.answer(fatal + 2, consumer=consumer)
            expected[consumer] += fatal + 2
        counting.compacted()
        parquet = counting.workshop.root / "parquet"
        ended = subprocess.run(
            [sys.executable, script, sqlite_database.url, parquet, str(fatal)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == (9 if fatal else 0), ended.stderr
    assert counting.told() == {(name, "churn"): (count, count) for name, count in expected.items()}
    assert counting.counter().count() == 0


def test_days_are_counted_apart(counting: Counting) -> None:
    """One asks about the last days, today among them; what retention removed stays counted."""
    now = wall_ns()
    counting.workshop.answer(2, at_ns=now - 40 * DAY_NS)
    counting.workshop.answer(3, at_ns=now - 5 * DAY_NS)
    files = [place for place in counting.compacted() if not place.startswith("_")]
    counting.counter().count()
    for place in files:
        (counting.workshop.root / "parquet" / place).unlink()
    assert counting.counter().count() == 0
    assert counting.told(days=7) == {("shop", "churn"): (3, 3)}
    assert counting.told(days=90) == {("shop", "churn"): (5, 5)}
    assert counting.told(days=2) == {}
    with counting.database.read() as tx:
        asked = counting.consumers.consumers_since(tx, "default", "churn", datetime.now(UTC) - timedelta(days=30))
        none = counting.consumers.consumers_since(tx, "other", "churn", datetime.now(UTC) - timedelta(days=30))
    assert asked == {"shop"}
    assert none == frozenset()


def test_a_damaged_file_holds_up_no_other(counting: Counting) -> None:
    """It is told of and left out; the rest is counted."""
    counting.workshop.answer(1)
    (damaged,) = (place for place in counting.compacted() if not place.startswith("_"))
    counting.workshop.answer(1, endpoint="wine")
    counting.compacted()
    (counting.workshop.root / "parquet" / damaged).write_bytes(b"no parquet")
    counter = counting.counter()
    assert (counter.count(), counter.count()) == (1, 0)
    assert counting.told() == {("shop", "wine"): (1, 1)}


def test_consumers_are_told_with_how_to_reach_them(counting: Counting) -> None:
    """Name, contact and channel; whoever may ask an endpoint by name is listed before the first request."""
    admin = Call(actor=counting.access.identify(counting.access.bootstrap().admin.token))
    told = {"contact": "shop@example.com", "channel": "#shop"}
    counting.access.add_user(admin, "shop", "consumer", ["churn"], told=told)
    counting.access.add_user(admin, "batch", "consumer")
    (shop,) = counting.consumers.consumers(admin).consumers
    assert (shop.consumer, shop.endpoint, shop.contact, shop.channel) == ("shop", "churn", *told.values())
    assert (shop.requests, shop.last_at, shop.versions) == (0, None, ())
    counting.workshop.answer(1, consumer="gone")
    counting.compacted()
    counting.counter().count()
    assert [one.consumer for one in counting.consumers.consumers(admin, "churn").consumers] == ["gone", "shop"]
    for role in (AccessRole.CONSUMER, AccessRole.FRONT):
        with pytest.raises(RightMissing):
            counting.consumers.consumers(call(role))


def test_the_first_look_is_at_all_hours_and_later_ones_at_the_last(counting: Counting, clock: FixedClock) -> None:
    """A file of an old hour, which a store that was away got late, is found within a day."""
    counter = UseCounter(counting.database, FolderStore(counting.workshop.root / "parquet"), clock)
    counting.workshop.answer(1)
    counting.compacted()
    assert counter.count() == 1
    counting.workshop.answer(1, at_ns=wall_ns() - 30 * DAY_NS)
    counting.compacted()
    assert counter.count() == 0
    clock.at += timedelta(hours=24)
    assert counter.count() == 1
