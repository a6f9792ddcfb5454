"""Releases over HTTP, with fronts that follow over HTTP."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from running_control import Control, FollowingFront, wait_for
from small_bundles import SmallBundles

PROJECT = "/api/v1/projects/default"


@pytest.fixture(scope="module")
def versions(control: Control, bundles: SmallBundles) -> list[str]:
    """Three accepted versions."""
    return [control.accepted(bundles.new()) for _ in range(3)]


@pytest.fixture
def front(control: Control) -> Iterator[FollowingFront]:
    """A connected front."""
    with FollowingFront(control) as following:
        yield following


def propose(http: httpx.Client, endpoint: str, champion: str, **more: Any) -> httpx.Response:
    """A proposal."""
    return http.post(
        f"{PROJECT}/endpoints/{endpoint}/releases", json={"champion": champion, "reason": "for a test", **more}
    )


def approve(control: Control, endpoint: str, release: int, wait_s: float = 20) -> dict[str, Any]:
    """Approve as ben and wait."""
    with control.http("ben") as http:
        answer = http.post(
            f"{PROJECT}/endpoints/{endpoint}/releases/{release}/approve", json={"reason": "go", "wait_s": wait_s}
        )
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def test_a_proposal_is_compiled_and_shown(control: Control, versions: list[str]) -> None:
    """A proposal answers with roster, order, times and plan; what it leaves open is filled in."""
    with control.http("ana") as http:
        answer = propose(
            http, "shown", versions[0], challengers=[versions[1]], canaries=[versions[2]], deadline_ms=80,
            default={"score": 0.5},
        )  # fmt: skip
        listed = http.get(f"{PROJECT}/endpoints/shown/releases").json()
        endpoints = http.get(f"{PROJECT}/endpoints").json()["endpoints"]
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert (found["endpoint"], found["release"], found["state"], found["current"]) == ("shown", 1, "proposed", False)
    assert [variant["role"] for variant in found["variants"]] == ["champion", "challenger", "canary"]
    assert found["order"] == [versions[0], versions[2]]
    assert (found["deadline_ms"], found["patience_ms"], found["default"]) == (80, [48, 80], {"score": 0.5})
    assert found["plan"]["release"] == 1
    assert [one["release"] for one in listed["releases"]] == [1]
    assert "plan" not in listed["releases"][0]
    assert next(one for one in endpoints if one["name"] == "shown")["current"] is None


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity", '"nan"', '"inf"'])
def test_a_number_that_is_not_finite_is_malformed(control: Control, versions: list[str], number: str) -> None:
    """JSON has no such number, and nothing that stands for one becomes the default."""
    for more in (
        f'"deadline_ms": {number}',
        f'"patience_ms": {{"{versions[0]}": {number}}}',
        f'"policy": {{"name": "vote", "output": "score", "wait_ms": {number}}}',
        f'"policy": {{"name": "weighted", "outputs": ["score"], "weights": {{"{versions[0]}": {number}}}}}',
    ):
        content = f'{{"champion": "{versions[0]}", "reason": "for a test", {more}}}'
        with control.http("ana") as http:
            answer = http.post(
                f"{PROJECT}/endpoints/infinite/releases", content=content, headers={"content-type": "application/json"}
            )
        assert answer.status_code == 400, answer.text
        assert "default" not in answer.json()["code"]


def test_a_proposal_that_cannot_be_is_refused(control: Control, versions: list[str], bundles: SmallBundles) -> None:
    """Versions that do not exist or are not accepted, strangers in the order and odd times are refused."""
    fresh = control.as_("ana").register(bundles.new()).version
    with control.http("ana") as http:
        assert propose(http, "odd", "adds:999").status_code == 404
        assert propose(http, "odd", fresh).status_code == 422
        assert propose(http, "odd", versions[0], order=[versions[1]]).status_code == 400
        assert propose(http, "odd", versions[0], deadline_ms=-1).status_code == 400
        assert propose(http, "odd", versions[0], deadline_ms=1e12).status_code == 400
        assert propose(http, "odd", versions[0], default={"nothing": 1}).status_code == 400
        assert propose(http, "odd", versions[0], default={"score": 2**70}).status_code == 400
        assert propose(http, "odd", versions[0], limits={"rows": 0}).status_code == 400
        assert propose(http, "Odd", versions[0]).status_code == 400


def test_an_approval_waits_until_every_front_serves(
    control: Control, versions: list[str], front: FollowingFront
) -> None:
    """With `wait_s` the answer to an approval is `live`, and by then the front serves the release."""
    with control.http("ana") as http:
        propose(http, "live", versions[0])
        own = http.post(f"{PROJECT}/endpoints/live/releases/1/approve", json={"reason": "mine"})
    assert own.status_code == 403
    found = approve(control, "live", 1)
    assert (found["state"], found["current"]) == ("live", True)
    assert front.serving["live"] == 1
    with control.http("vera") as http:
        shown = http.get(f"{PROJECT}/endpoints/live").json()
        fronts = http.get("/api/v1/fronts").json()["fronts"]
    assert (shown["current"], shown["champion"]) == (1, versions[0])
    assert [(one["release"], one["cause"]) for one in shown["history"]] == [(1, "went-live")]
    assert [one["name"] for one in fronts] == ["front-0"]


def test_a_front_that_cannot_load_fails_the_release(control: Control, versions: list[str]) -> None:
    """The release is `failed` with the front's reason, and nothing else is served because of it."""
    with FollowingFront(control, "front-bad", loads=False):
        with control.http("ana") as http:
            propose(http, "failing", versions[0])
        found = approve(control, "failing", 1)
    assert found["state"] == "failed"
    assert "answers differ" in found["failure"]


def test_rolling_back_names_both_releases_and_its_time(
    control: Control, versions: list[str], front: FollowingFront
) -> None:
    """An operator rolls back without approval; the answer comes when the front serves what was before."""
    wait_for(lambda: len(control.services.releases.fronts(control.call())) == 1, within_s=30)
    with control.http("ana") as http:
        for release, champion in enumerate(versions[:2], 1):
            propose(http, "rolled", champion)
            assert approve(control, "rolled", release)["state"] == "live"
        refused = http.post(f"{PROJECT}/endpoints/rolled/rollback", json={"reason": "I want to"})
    with control.http("olga") as http:
        began = time.monotonic()
        answer = http.post(f"{PROJECT}/endpoints/rolled/rollback", json={"reason": "slow"})
        took_ms = (time.monotonic() - began) * 1000
        nothing = http.post(f"{PROJECT}/endpoints/nowhere/rollback", json={"reason": "slow"})
    assert refused.status_code == 403
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["endpoint"], found["from"], found["to"], found["fronts"]) == ("rolled", 2, 1, 1)
    assert 0 < found["effective_ms"] <= took_ms
    assert front.serving["rolled"] == 1
    assert nothing.status_code == 404


def test_releases_end_without_going_live(control: Control, versions: list[str]) -> None:
    """A proposal is withdrawn by who made it, rejected by an approver, and then is neither any more."""
    with control.http("ana") as ana, control.http("ben") as ben, control.http("olga") as olga:
        for _ in range(2):
            propose(ana, "ended", versions[0])
        base = f"{PROJECT}/endpoints/ended/releases"
        assert olga.post(f"{base}/1/withdraw", json={"reason": "no"}).status_code == 403
        assert ana.post(f"{base}/1/withdraw", json={"reason": "changed my mind"}).json()["state"] == "withdrawn"
        assert ana.post(f"{base}/2/reject", json={"reason": "no"}).status_code == 403
        rejected = ben.post(f"{base}/2/reject", json={"reason": "not now"}).json()
        assert (rejected["state"], rejected["decided_by"], rejected["decision_reason"]) == (
            "rejected",
            "ben",
            "not now",
        )
        assert ben.post(f"{base}/2/approve", json={"reason": "or yes"}).status_code == 409
        assert ben.post(f"{base}/3/approve", json={"reason": "yes"}).status_code == 404


def test_a_waiting_look_is_answered_when_the_release_is_decided(control: Control, versions: list[str]) -> None:
    """GET with `wait` answers at once unless the release is `approved`."""
    with control.http("ana") as http:
        propose(http, "looked-at", versions[0])
        began = time.monotonic()
        found = http.get(f"{PROJECT}/endpoints/looked-at/releases/1", params={"wait": 20}).json()
    assert found["state"] == "proposed"
    assert time.monotonic() - began < 5
