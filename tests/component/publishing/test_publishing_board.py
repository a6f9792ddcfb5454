"""The board on both databases."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from muster.publishing.board import ACCESS_SUBJECT, Board, endpoint_subject
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.wire.plans import AccessEntry, AccessList, EndpointPlans

NOBODY = AccessList(format=1, entries=())
ANA = AccessList(format=1, entries=(AccessEntry(token_id="tok_1", sha256="0" * 64, name="ana", endpoints=("*",)),))


@pytest.fixture
def board(database: Database, clock: FixedClock) -> Board:
    return Board(database, clock)


def _publish(database: Database, board: Board, subject: str, document: AccessList | EndpointPlans) -> int:
    with database.write() as tx:
        return board.publish(tx, subject, document)


def _gone(endpoint: str) -> EndpointPlans:
    return EndpointPlans(endpoint=endpoint, serving=None)


def _waiting(board: Board, number: int, timeout_s: float) -> Callable[[], tuple[int, float]]:
    """Waits in a thread; what it gives tells the number got and how long that took."""
    got: list[tuple[int, float]] = []

    def wait() -> None:
        begin = time.monotonic()
        got.append((board.wait(number, timeout_s).number, time.monotonic() - begin))

    thread = threading.Thread(target=wait)
    thread.start()

    def result() -> tuple[int, float]:
        thread.join(60)
        return got[0]

    return result


def test_publications_are_numbered_for_the_whole_factory(database: Database, board: Board) -> None:
    """Numbers rise by one, whatever the subject."""
    assert board.since(0).number == 0
    numbers = [_publish(database, board, endpoint_subject(name), _gone(name)) for name in ("churn", "wine", "churn")]
    assert numbers == [1, 2, 3]


def test_a_follower_gets_the_newest_of_each_subject(database: Database, board: Board) -> None:
    """Of each subject the newest publication above the number named, in the order of numbers."""
    for name in ("churn", "wine", "churn"):
        _publish(database, board, endpoint_subject(name), _gone(name))
    _publish(database, board, ACCESS_SUBJECT, ANA)
    everything = board.since(0)
    assert [(p.number, p.subject) for p in everything.publications] == [
        (2, "endpoint/wine"),
        (3, "endpoint/churn"),
        (4, "access"),
    ]
    assert everything.number == 4
    assert everything.publications[2].document == ANA
    assert everything.publications[1].document == _gone("churn")
    assert [p.number for p in board.since(2).publications] == [3, 4]
    assert board.since(4).publications == ()


def test_a_follower_of_another_history_gets_everything(database: Database, board: Board) -> None:
    """After an older copy of the database was restored, fronts ahead of it are given all there is, at once."""
    _publish(database, board, ACCESS_SUBJECT, ANA)
    assert [p.number for p in board.since(17).publications] == [1]
    assert board.wait(17, 30).number == 1


def test_a_publication_falls_with_its_transaction(database: Database, board: Board) -> None:
    """What was not committed is not published, and nobody is woken for it."""
    woken: list[str] = []
    board.listen(lambda: woken.append("woken"))

    def fail() -> None:
        with database.write() as tx:
            board.publish(tx, ACCESS_SUBJECT, ANA)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert board.since(0).number == 0
    assert woken == []
    assert _publish(database, board, ACCESS_SUBJECT, ANA) == 1


def test_waiting_ends_at_its_time(board: Board) -> None:
    """With nothing new, the answer is that, when the time is over."""
    begin = time.monotonic()
    assert board.wait(0, 0.2).publications == ()
    assert 0.2 <= time.monotonic() - begin < 5


def test_waiting_for_what_is_there_takes_no_time(database: Database, board: Board) -> None:
    """Who is behind is answered at once."""
    _publish(database, board, ACCESS_SUBJECT, ANA)
    begin = time.monotonic()
    assert board.wait(0, 30).number == 1
    assert time.monotonic() - begin < 5


def test_a_publication_wakes_those_who_wait(database: Database, board: Board) -> None:
    """Every follower in this process learns of a publication long before it would look again by itself."""
    for turn in range(1, 6):
        waiting = [_waiting(board, turn - 1, 30) for _ in range(3)]
        published = time.monotonic()
        _publish(database, board, ACCESS_SUBJECT, ANA)
        assert [result()[0] for result in waiting] == [turn] * 3
        assert time.monotonic() - published < 5


_ANOTHER = """
import sys
from muster.publishing.board import Board
from muster.storage.transaction import Database
from muster.vocabulary.clock import SystemClock
from muster.wire.plans import AccessList
database = Database(sys.argv[1])
with database.write() as tx:
    Board(database, SystemClock()).publish(tx, "access", AccessList(format=1, entries=()))
"""


def test_a_publication_by_another_process_is_noticed(database: Database, board: Board) -> None:
    """Who waits here learns within a second of what another process published."""
    result = _waiting(board, 0, 60)
    subprocess.run([sys.executable, "-c", _ANOTHER, database.url], check=True)
    done = time.monotonic()
    assert result()[0] == 1
    assert time.monotonic() - done < 1


def test_listeners_are_called_until_they_end(database: Database, board: Board) -> None:
    """A door without a thread of its own is called at each publication, and no more once it has ended that."""
    heard: list[int] = []
    end = board.listen(lambda: heard.append(board.since(0).number))
    _publish(database, board, ACCESS_SUBJECT, ANA)
    end()
    _publish(database, board, ACCESS_SUBJECT, NOBODY)
    assert heard == [1]


def test_the_newest_of_one_subject(database: Database, board: Board) -> None:
    """A subject's present document, or nothing when there is none."""
    assert board.newest(ACCESS_SUBJECT) is None
    _publish(database, board, ACCESS_SUBJECT, ANA)
    _publish(database, board, endpoint_subject("churn"), _gone("churn"))
    _publish(database, board, ACCESS_SUBJECT, NOBODY)
    newest = board.newest(ACCESS_SUBJECT)
    assert newest is not None
    assert (newest.number, newest.document) == (3, NOBODY)


def test_a_follower_misses_nothing_while_many_publish(database: Database, board: Board) -> None:
    """Whoever asks on from the number of the last answer sees the last publication of every subject, in whatever order they ran."""
    publishers, each = 4, 12
    seen: dict[str, int] = {}

    def publish(name: str) -> None:
        own = Board(database, FixedClock(board._clock.now()))
        for _ in range(each):
            _publish(database, own, endpoint_subject(name), _gone(name))

    threads = [threading.Thread(target=publish, args=(f"e{number}",)) for number in range(publishers)]
    for thread in threads:
        thread.start()
    number, until = 0, time.monotonic() + 60
    while number < publishers * each and time.monotonic() < until:
        got = board.wait(number, 1)
        assert got.number >= number
        for publication in got.publications:
            assert publication.number > number
            seen[publication.subject] = publication.number
        number = got.number
    for thread in threads:
        thread.join()
    assert number == publishers * each
    assert seen == {p.subject: p.number for p in board.since(0).publications}
