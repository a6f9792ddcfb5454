"""The bridge to the fronts over HTTP: long polls that cost no thread and bring news at once."""

import time
from concurrent.futures import ThreadPoolExecutor

import msgspec

from muster.publishing.board import Board
from muster.storage.transaction import Database
from muster.vocabulary.clock import SystemClock
from muster.wire.plans import AccessList, EndpointPlans, Publications
from running_control import Control


def follow(control: Control, after: int, wait: float, front: str = "front-0") -> Publications:
    """One poll of a front."""
    with control.http("front") as http:
        answer = http.get("/api/v1/follow", params={"front": front, "after": after, "wait": wait})
    answer.raise_for_status()
    return msgspec.json.decode(answer.content, type=Publications)


def test_a_new_front_is_given_everything(control: Control) -> None:
    """Who has nothing is told the newest document of every subject at once."""
    began = time.monotonic()
    news = follow(control, 0, 5)
    assert time.monotonic() - began < 2
    documents = {publication.subject: publication.document for publication in news.publications}
    access = documents["access"]
    assert isinstance(access, AccessList)
    assert {entry.name for entry in access.entries} == {"admin", "olga", "shop"}
    assert news.number == max(publication.number for publication in news.publications)


def test_a_poll_without_news_is_answered_with_nothing_in_time(control: Control) -> None:
    """A front with everything waits as long as it asked for; a longer wait is cut to five seconds."""
    number = follow(control, 0, 0).number
    for asked, least, most in ((0.4, 0.35, 2.0), (30.0, 4.5, 7.0)):
        began = time.monotonic()
        assert follow(control, number, asked).publications == ()
        assert least < time.monotonic() - began < most


def test_news_reaches_every_waiting_front_at_once(control: Control) -> None:
    """Sixty fronts wait at the same time, and all hear of a revocation within a second of it."""
    number = follow(control, 0, 0).number
    with control.http("admin") as http:
        made = http.post("/api/v1/projects/default/users", json={"name": "gone", "role": "consumer"}).json()
        number = follow(control, number, 5).number
        with ThreadPoolExecutor(60) as pool:
            waiting = [pool.submit(follow, control, number, 5, f"front-{count}") for count in range(60)]
            time.sleep(0.5)
            assert not any(poll.done() for poll in waiting)
            began = time.monotonic()
            assert http.post(f"/api/v1/projects/default/tokens/{made['token_id']}/revoke").status_code == 200
            news = [poll.result() for poll in waiting]
            took_s = time.monotonic() - began
    for one in news:
        (publication,) = one.publications
        assert isinstance(publication.document, AccessList)
        assert "gone" not in {entry.name for entry in publication.document.entries}
    assert took_s < 3  # sixty answers on a busy machine; the first come within milliseconds


def test_what_another_process_publishes_is_heard_of(control: Control) -> None:
    """A publication that this process did not make reaches a waiting front within a second or so."""
    number = follow(control, 0, 0).number
    other = Database(f"sqlite:///{control.home / 'muster.db'}")
    board = Board(other, SystemClock())
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(follow, control, number, 5)
        with other.write() as tx:
            board.publish(tx, "endpoint/elsewhere", EndpointPlans(endpoint="elsewhere", serving=None))
        began = time.monotonic()
        news = waiting.result()
    other.close()
    assert time.monotonic() - began < 2
    assert [publication.subject for publication in news.publications] == ["endpoint/elsewhere"]


def test_a_front_ahead_of_control_is_told_so_at_once(control: Control) -> None:
    """After an older copy of the database was put back, a front that knows more hears the lower number, with everything."""
    news = follow(control, 1_000_000, 5)
    assert news.number < 1_000_000
    assert news.publications


def test_only_fronts_follow_and_report(control: Control) -> None:
    """Neither a person nor an application may follow or report; not even an admin."""
    report = {
        "front": "front-0", "endpoint": "churn", "release": 1, "state": "serving", "at": "2026-01-01T00:00:00.000000Z",
    }  # fmt: skip
    for name in ("admin", "ana", "ben", "olga", "shop", "vera"):
        with control.http(name) as http:
            assert http.get("/api/v1/follow", params={"front": "front-0"}).status_code == 403
            assert http.post("/api/v1/fronts/reports", json=report).status_code == 403
    with control.http("front") as http:
        assert http.post("/api/v1/fronts/reports", json=report).status_code == 404
        assert http.post("/api/v1/fronts/reports", json=report | {"state": "dancing"}).status_code == 400
        assert http.get("/api/v1/follow", params={"front": "Front 0"}).status_code == 400
        assert http.get("/api/v1/projects/default/models").status_code == 403
