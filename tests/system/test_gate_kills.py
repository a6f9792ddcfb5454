"""Control is killed at its gates: a vote is there whole or not at all, and what was promised for a moment happens after the restart.

The glass is broken before anything else, so that its minute passes while the other tests kill control.
"""

import contextlib
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import models
import pytest
from running_factory import RunningFactory, wait_for

from muster.vocabulary.clock import from_rfc3339, rfc3339
from muster.vocabulary.states import ReleaseState

KILLS = 5
GATES = 6
STANDARD = """
format = 1
name = "two-people"
description = "{description}"

[gates.acceptance]
approvals = [{{ count = 1 }}]

[gates.go-live]
approvals = [{{ count = 2 }}]

[gates.standard]
approvals = [{{ count = 2 }}]

[break_glass]
confirm_within = "1m"
"""


@dataclass(kw_only=True)
class Order:
    """A vote that completes what its gate asks for, and how it was answered."""

    path: str
    subject: str
    key: str
    body: dict[str, Any]
    answers: list[int] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What the database holds of an order."""

    votes: int
    """Of everybody."""
    passed: bool
    events: int
    """That the gate was passed."""
    keys: int
    """Events that carry the order's key."""


BEFORE = Kept(votes=1, passed=False, events=0, keys=0)
AFTER = Kept(votes=2, passed=True, events=1, keys=1)


class Gates:
    """The factory, with two approvers more, a standard of two people, and a look into its database."""

    def __init__(self, factory: RunningFactory, bundle: Callable[..., Path]) -> None:
        self.factory = factory
        for name in ("bea", "bo"):
            factory.tokens[name] = str(factory.admin.add_user(name, "approver").token)
        self.versions = [factory.accepted(bundle(f"adds-{step}", models.Adds(step))) for step in (1, 2)]
        self.random = random.Random(6)
        self.adopt("two people at each gate")

    def live_with_one(self, *endpoints: str) -> None:
        """Releases of the first version, live."""
        for endpoint in endpoints:
            number = self.proposed(endpoint, self.versions[0])
            self.factory.as_("ben").approve(endpoint, number, "go", wait=False)
            self.factory.as_("bea").approve(endpoint, number, "go")
            self.is_current(endpoint, number)

    def proposed(self, endpoint: str, version: str, **options: Any) -> int:
        return self.factory.as_("ana").propose(endpoint, champion=version, reason="for a test", **options).release

    def adopt(self, description: str, more: str = "") -> None:
        """A standard in force, by as many as it takes."""
        number = self.proposed_standard(description, more)
        for name in ("ben", "bea"):
            if self.factory.as_(name).approve_standard(number, "agreed").state == "adopted":
                return
        raise AssertionError("two were not enough")

    def proposed_standard(self, description: str, more: str = "") -> int:
        return (
            self.factory.as_("ana").propose_standard(STANDARD.format(description=description) + more, "why not").number
        )

    def is_current(self, endpoint: str, number: int) -> None:
        def found() -> bool:
            seen = self.factory.admin.release(endpoint, number)
            assert seen.state is not ReleaseState.FAILED, seen.failure
            return seen.current and seen.state is ReleaseState.LIVE

        wait_for(found, within_s=90, told=f"{endpoint} {number} is live")

    def asked(self, text: str, *values: object) -> list[Any]:
        """What the database says, whether control runs or not."""
        with contextlib.closing(sqlite3.connect(self.factory.home / "muster.db", timeout=30)) as database:
            return database.execute(text, values).fetchall()

    def kept(self, order: Order) -> Kept:
        """One look, in one transaction."""
        state, action = (
            ("approved", "release.approved") if " release " in order.subject else ("adopted", "standard.adopted")
        )
        subject, number = order.subject.rsplit(" ", 1)
        found = (
            f"SELECT state = '{state}' FROM standards WHERE number = ?4 AND ?3 = ''"
            if state == "adopted"
            else f"SELECT state = '{state}' FROM releases WHERE endpoint = ?3 AND number = ?4"
        )
        [(votes, passed, events, keys)] = self.asked(
            f"SELECT (SELECT count(*) FROM votes WHERE subject = ?1 AND withdrawn_at IS NULL), ({found}), "
            "(SELECT count(*) FROM audit_events WHERE subject = ?1 AND action = ?5), "
            "(SELECT count(*) FROM audit_events WHERE idempotency_key = ?2)",
            order.subject,
            order.key,
            subject.removesuffix(" release") if state == "approved" else "",
            int(number),
            action,
        )
        return Kept(votes=votes, passed=bool(passed), events=events, keys=keys)

    def events(self, subject: str) -> list[str]:
        """What was done to something, in order."""
        return [event.action for event in self.factory.admin.audit_events(subject=subject, limit=1000).events]

    def killed(self) -> None:
        """Control is killed, and there again."""
        self.factory.restarted("control")
        wait_for(self.factory.admin.health)


@pytest.fixture(scope="module")
def gates(factory: RunningFactory, bundles: Callable[..., Path]) -> Gates:
    return Gates(factory, bundles)


@pytest.fixture(scope="module")
def broken(gates: Gates) -> datetime:
    """Broken glass at two endpoints, of which the first is confirmed; control was killed since. The last moment to confirm."""
    gates.live_with_one("agreed", "alone")
    numbers = {
        endpoint: gates.proposed(endpoint, gates.versions[0], deadline="150ms") for endpoint in ("agreed", "alone")
    }
    for endpoint, number in numbers.items():
        gates.factory.as_("olga").break_glass(endpoint, number, "the feed has changed its unit")
    for endpoint, number in numbers.items():
        gates.is_current(endpoint, number)
    for name in ("ben", "bea"):
        gates.factory.as_(name).confirm("agreed", numbers["agreed"], "right")
    gates.factory.as_("ben").confirm("alone", numbers["alone"], "one is not enough")
    glass = gates.factory.admin.release("alone", numbers["alone"]).glass
    assert glass is not None
    assert glass.state == "open"
    gates.killed()
    return from_rfc3339(glass.confirm_by)


def _voted(gates: Gates, orders: list[Order], begun: threading.Event) -> None:
    """Bea passes one gate after the other, until nobody answers any more."""
    headers = {"authorization": f"Bearer {gates.factory.tokens['bea']}"}
    with httpx.Client(base_url=gates.factory.control, headers=headers, timeout=30, trust_env=False) as http:
        http.get("/api/v1/health")
        begun.set()
        for order in orders:
            try:
                answer = http.post(order.path, json=order.body, headers={"idempotency-key": order.key})
            except httpx.TransportError:
                return
            order.answers.append(answer.status_code)


def _orders(gates: Gates, kill: int, at: str) -> list[Order]:
    """Gates at which one approval is missing: releases for a later moment, and a standard."""
    ben, project, made = gates.factory.as_("ben"), "/api/v1/projects/default", []
    for place in range(GATES - 1):
        endpoint = f"gate-{kill}-{place}"
        number = gates.proposed(endpoint, gates.versions[0])
        ben.approve(endpoint, number, "agreed", at=at)
        path, subject = f"{project}/endpoints/{endpoint}/releases/{number}/approve", f"{endpoint} release {number}"
        made.append(Order(path=path, subject=subject, key=f"key-{kill}-{place}", body={"reason": "agreed", "at": at}))
    number = gates.proposed_standard(f"as before, in round {kill}")
    ben.approve_standard(number, "agreed")
    path = f"{project}/standards/{number}/approve"
    made.insert(
        kill % GATES, Order(path=path, subject=f"standard {number}", key=f"key-{kill}", body={"reason": "agreed"})
    )
    return made


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("broken")
def test_a_vote_that_passes_a_gate_is_there_whole_or_not_at_all(gates: Gates) -> None:
    """SIGKILL of control while gates are passed one after the other: vote, gate and event stand or fall together."""
    at = rfc3339(datetime.now(UTC) + timedelta(hours=5))
    outcomes: list[Kept] = []
    unanswered = 0
    for kill in range(KILLS):
        orders = _orders(gates, kill, at)
        begun = threading.Event()
        voter = threading.Thread(target=_voted, args=(gates, orders, begun))
        voter.start()
        assert begun.wait(30)
        time.sleep(gates.random.uniform(0.0, 0.03 * GATES))
        gates.factory.restarted("control")
        voter.join()
        wait_for(gates.factory.admin.health)
        for order in orders:
            kept = gates.kept(order)
            assert kept in (BEFORE, AFTER), (order, kept)
            assert kept == AFTER or not order.answers, f"{order} was answered, and is not there"
            outcomes.append(kept)
            unanswered += kept == AFTER and not order.answers
        for _ in range(2):  # a voter who got no answer asks again, and once more
            headers = {"authorization": f"Bearer {gates.factory.tokens['bea']}"}
            for order in orders:
                answer = httpx.post(
                    f"{gates.factory.control}{order.path}", json=order.body, timeout=30, trust_env=False,
                    headers={**headers, "idempotency-key": order.key},
                )  # fmt: skip
                assert answer.status_code == 200, answer.text
                assert answer.json()["state"] in {"approved", "adopted"}
                assert gates.kept(order) == AFTER
    assert {BEFORE, AFTER} == set(outcomes), "the kills fell into the votes"
    verdict = gates.factory.admin.audit_verify()
    assert verdict.valid, verdict


@pytest.mark.timeout(300)
def test_what_was_approved_for_a_moment_goes_live_after_a_kill_once_or_is_cancelled(gates: Gates) -> None:
    """Control is killed between approval and moment: it goes live then, once; not if its version was banned meanwhile."""
    factory = gates.factory
    for endpoint, version in (("fit", gates.versions[0]), ("unfit", gates.versions[1])):
        gates.proposed(endpoint, version)
    moment = datetime.now(UTC) + timedelta(seconds=8)
    for endpoint in ("fit", "unfit"):
        for name in ("ben", "bea"):
            factory.as_(name).approve(endpoint, 1, "on the hour", at=moment)
    factory.admin.ban(gates.versions[1], "it divides by zero")
    assert not factory.admin.release("fit", 1).current
    assert datetime.now(UTC) < moment
    gates.killed()  # it may come back after the moment: then it is made good
    gates.is_current("fit", 1)
    [(went_live,)] = gates.asked("SELECT at FROM release_pointers WHERE endpoint = 'fit'")
    assert from_rfc3339(went_live) >= moment
    cancelled = wait_for(lambda: _failed(gates, "unfit"))
    assert "banned" in cancelled
    assert gates.asked("SELECT * FROM release_pointers WHERE endpoint = 'unfit'") == []
    gates.killed()
    time.sleep(1.5)  # three looks of control's clockwork
    assert gates.asked("SELECT at FROM release_pointers WHERE endpoint = 'fit'") == [(went_live,)]
    assert gates.events("fit release 1").count("release.live") == 1


@pytest.mark.timeout(300)
def test_a_freeze_that_was_adopted_meanwhile_cancels_it_after_a_kill(gates: Gates) -> None:
    """Approved for a moment that a later standard freezes: cancelled at the moment, by the control that was started since."""
    number = gates.proposed("frozen", gates.versions[0])
    moment = datetime.now(UTC) + timedelta(seconds=10)
    for name in ("ben", "bea"):
        gates.factory.as_(name).approve("frozen", number, "on the hour", at=moment)
    window = (
        f"[[freeze]]\nfrom = {rfc3339(moment - timedelta(seconds=1))}\nto = {rfc3339(moment + timedelta(days=1))}\n"
    )
    gates.adopt("as before, and nothing goes live today", f'{window}reason = "the books are closed"\n')
    assert datetime.now(UTC) < moment
    gates.killed()
    assert "the books are closed" in wait_for(lambda: _failed(gates, "frozen"))
    assert datetime.now(UTC) >= moment
    assert gates.asked("SELECT * FROM release_pointers WHERE endpoint = 'frozen'") == []


def _failed(gates: Gates, endpoint: str) -> str | None:
    found = gates.factory.admin.release(endpoint, 1)
    return found.failure if found.state is ReleaseState.FAILED else None


@pytest.mark.timeout(300)
def test_broken_glass_that_nobody_confirmed_is_rolled_back_though_control_was_killed(
    gates: Gates, broken: datetime
) -> None:
    """At its last moment it is rolled back by itself, once and on record; a confirmed one stays."""
    factory = gates.factory
    if datetime.now(UTC) < broken:
        assert factory.admin.release("alone", 2).current
    gates.killed()
    wait_for(lambda: factory.admin.release("alone", 1).current, within_s=90, told="it is rolled back")
    assert datetime.now(UTC) >= broken
    gates.killed()
    states = {}
    for endpoint in ("agreed", "alone"):
        glass = factory.admin.release(endpoint, 2).glass
        assert glass is not None
        states[endpoint] = (glass.state, gates.events(f"{endpoint} release 2").count("release.glass-expired"))
    assert states == {"agreed": ("confirmed", 0), "alone": ("rolled-back", 1)}
    assert factory.admin.release("agreed", 2).current
    pointers = gates.asked("SELECT number, cause FROM release_pointers WHERE endpoint = 'alone' ORDER BY sequence")
    assert [number for number, _ in pointers] == [1, 2, 1]
    assert wait_for(lambda: factory.score("alone", {"x": 1.0}).release == 1)
    assert factory.admin.audit_verify().valid
