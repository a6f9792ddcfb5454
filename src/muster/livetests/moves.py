"""The moves that a live-test makes, each one transaction with its event.

    queued ──► loading ──► running ──► counting ──► passed
       └──────────┴───────────┴────────────┴──────► failed, stopped

Where a live-test stands is a row; what fronts do is worked out from it at each publication. So control may be killed at any line,
and whoever comes next goes on where it was. A switch to another release, a ban or a version that keeps ending ends it.
"""

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from muster.access.actor import Actor, Call
from muster.access.service import FACTORY
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.livetests import store
from muster.livetests.measures import measures_of
from muster.livetests.records import OPEN, SHADOWING, LiveTest
from muster.livetests.rules import Rules, broken_by
from muster.registry.records import Version
from muster.registry.service import Registry
from muster.release.service import Releases
from muster.sessions.records import LIVE_TEST
from muster.sessions.service import Sessions
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock, rfc3339
from muster.vocabulary.errors import MusterError
from muster.vocabulary.states import LIVE_TEST_MOVES, LiveTestState
from muster.wire.plans import FrontReport

#: A live-test that has not come to its end by then fails: what it was held against is another world.
LONGEST = timedelta(days=30)
#: So long after its end its records may be uncounted; then it fails, and says so.
COUNTED_WITHIN = timedelta(hours=1)
_Due = tuple[LiveTestState, str]
log = structlog.get_logger()


class Moves:
    """Takes live-tests on.

    Args:
        database: where live-tests are kept.
        journal: where each move is put on record.
        registry: holds the states of versions still meanwhile.
        releases: what is served, and by whom.
        sessions: what is measured hangs on a session.
        rules: what a live-test has to keep to.
        clock: tells when.
    """

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        registry: Registry,
        releases: Releases,
        sessions: Sessions,
        rules: Rules,
        clock: Clock,
    ) -> None:
        self._database = database
        self._journal = journal
        self._registry = registry
        self._releases = releases
        self._sessions = sessions
        self._rules = rules
        self._clock = clock
        self._one_at_a_time = threading.Lock()
        self._held_up: dict[tuple[str, int], str] = {}
        """Live-tests that something holds up, with the code of what it was last."""
        self._reports_lock = threading.Lock()
        self._reports: dict[str, tuple[int, dict[str, FrontReport]]] = {}
        """By endpoint, the newest live-test that fronts told of, and what each said last.

        In memory, as fronts repeat it to a control that starts anew.
        """

    def heard(self, report: FrontReport) -> None:
        """A front says what became of a version on trial."""
        with self._reports_lock:
            # Numbers rise, and an endpoint has one live-test at a time: what is said of earlier ones counts no longer.
            number, said = self._reports.get(report.endpoint, (0, {}))
            if report.live_test > number:
                number, said = report.live_test, {}
            if report.live_test == number:
                self._reports[report.endpoint] = number, {**said, report.front: report}

    def advance(self) -> None:
        """Take every live-test as far as it comes; by any number of processes at once."""
        if not self._one_at_a_time.acquire(blocking=False):
            return
        try:
            with self._database.read() as tx:
                seen = store.in_states(tx, OPEN)
            for one in seen:
                self._try_to_go_on(one)
            kept = {(one.endpoint, one.number) for one in seen}
            self._held_up = {key: code for key, code in self._held_up.items() if key in kept}
        finally:
            self._one_at_a_time.release()

    def advance_now(self) -> None:
        """Advance without waiting for the clockwork. What the caller asked for is done: what keeps the rest is not theirs to know."""
        try:
            self.advance()
        except MusterError as error:
            log.warning("live-test.advance_held_up", code=error.code, message=error.message)

    def _try_to_go_on(self, seen: LiveTest) -> None:
        """One move, if it is time for it; what holds one up holds up no other, and is told once."""
        key = seen.endpoint, seen.number
        try:
            self._go_on(seen)
        except MusterError as error:
            if self._held_up.get(key) != error.code:
                self._held_up[key] = error.code
                log.warning("live-test.held-up", endpoint=seen.endpoint, live_test=seen.number, code=error.code)
        else:
            self._held_up.pop(key, None)

    def _go_on(self, seen: LiveTest) -> None:
        """One move, if it is time for it."""
        with self._database.read() as tx:
            if self._what_next(seen, tx) is None:
                return
            version = self._registry.version_in(tx, seen.project, seen.version)
        if seen.state is LiveTestState.COUNTING:
            # Only a verdict asks what the bundle says; no other move has to wait for the store.
            self._rules.prepare(version)
        with self._database.write() as tx:
            self._registry.hold_states(tx)
            store.hold(tx, seen.endpoint)
            held = store.live_test(tx, seen.endpoint, seen.number)
            following = None if held is None else self._what_next(held, tx)
            if held is None or following is None:
                return
            to, why = following
            if to in {LiveTestState.FAILED, LiveTestState.STOPPED}:
                self.end(tx, held, to, why)
            elif to is LiveTestState.PASSED:
                self._judge(tx, held, version)
            else:
                self._move(tx, held, to, why)

    def _what_next(self, seen: LiveTest, tx: Transaction) -> _Due | None:
        """The move that is due, and why."""
        if seen.state is LiveTestState.COUNTING:
            return self._counted(seen)
        if seen.state not in OPEN:
            return None
        return self._over(tx, seen) or self._next_of(tx, seen)

    def _over(self, tx: Transaction, seen: LiveTest) -> _Due | None:
        """What ends it before its time."""
        current = self._releases.served_release(tx, seen.project, seen.endpoint)
        if current is None or current.number != seen.release:
            other = "none" if current is None else f"release {current.number}"
            return LiveTestState.STOPPED, f"the endpoint is served by {other}, and it ran beside release {seen.release}"
        if self._clock.now() - seen.started_at > LONGEST:
            return LiveTestState.FAILED, f"it has not come to its end within {LONGEST.days} days"
        reports = self._reports_of(seen).values()
        failure = next((report for report in reports if report.state != "loaded"), None)
        return (
            None if failure is None else (LiveTestState.FAILED, f"{failure.front}: {failure.message or failure.state}")
        )

    def _next_of(self, tx: Transaction, seen: LiveTest) -> _Due | None:
        connected = self._releases.connected()
        if seen.state is LiveTestState.QUEUED:
            is_due, to = connected and not self._releases.is_switching(tx, seen.endpoint), LiveTestState.LOADING
        elif seen.state is LiveTestState.LOADING:
            is_due, to = connected and connected <= self._reports_of(seen).keys(), LiveTestState.RUNNING
        else:
            is_due, to = _has_lasted(seen, self._clock.now()), LiveTestState.COUNTING
        return (to, "") if is_due else None

    def _counted(self, seen: LiveTest) -> _Due | None:
        assert seen.ended_at is not None
        if seen.counted_to is not None and seen.counted_to >= seen.ended_at:
            return LiveTestState.PASSED, ""
        if self._clock.now() - seen.ended_at > COUNTED_WITHIN:
            return LiveTestState.FAILED, "its records were not counted; is the executor at work, and the archive there?"
        return None

    def _reports_of(self, seen: LiveTest) -> Mapping[str, FrontReport]:
        with self._reports_lock:
            number, said = self._reports.get(seen.endpoint, (0, {}))
            return said if number == seen.number else {}

    def _judge(self, tx: Transaction, held: LiveTest, version: Version) -> None:
        broken = broken_by(self._rules.rule(tx, version), held)
        if broken:
            self.end(tx, held, LiveTestState.FAILED, "; ".join(broken))
        else:
            self.end(tx, held, LiveTestState.PASSED, f"it kept to what is asked over {held.figures.taken} requests")

    def end(
        self,
        tx: Transaction,
        held: LiveTest,
        to: LiveTestState,
        why: str,
        *,
        call: Call | None = None,
        reason: str = "",
    ) -> None:
        """Bring a live-test to its end: fronts stop asking, the figures hang on a session from now on."""
        caller = call or _of_itself(held)
        ended_at = held.ended_at or self._clock.now()
        done = replace(held, state=to, ended_at=ended_at, outcome=why)
        session = self._sessions.keep_done(
            tx, caller, LIVE_TEST, held.subject, passed=to is LiveTestState.PASSED, result=result_of(done)
        )
        self._sessions.keep_measures(tx, session, held.version, measures_of(done))
        values = {"outcome": why, "ended_at": rfc3339(ended_at), "session": session.id}
        self._move(tx, held, to, why, values, call=call, reason=reason)

    def _move(
        self,
        tx: Transaction,
        held: LiveTest,
        to: LiveTestState,
        why: str = "",
        values: Mapping[str, str] | None = None,
        *,
        call: Call | None = None,
        reason: str = "",
    ) -> None:
        assert to in LIVE_TEST_MOVES[held.state], (held.state, to)
        now = rfc3339(self._clock.now())
        columns: dict[str, str] = {"state": str(to), **(values or {})}
        if to is LiveTestState.RUNNING:
            columns["running_at"] = now
        if to is LiveTestState.COUNTING:
            columns["ended_at"] = now
        store.change(tx, held, **columns)
        if (held.state in SHADOWING) != (to in SHADOWING):
            self._releases.publish(tx, held.endpoint)
        details: dict[str, object] = {"version": str(held.version), "from": str(held.state)}
        details |= {"why": why} if why else {}
        if to not in OPEN:
            details |= {"requests": held.figures.taken, "session": columns["session"]}
        record(self._journal, tx, call or _of_itself(held), f"live-test.{to}", held, details, reason)
        log.info("live-test.moved", endpoint=held.endpoint, live_test=held.number, to=str(to), why=why)


def record(
    journal: Journal,
    tx: Transaction,
    call: Call,
    action: str,
    about: LiveTest,
    details: Mapping[str, object],
    reason: str,
) -> None:
    """Put a move of a live-test on record."""
    journal.append(
        tx,
        Deed(
            actor=call.actor.name,
            action=action,
            subject=about.subject,
            project=about.project,
            details=dict(details),
            reason=reason,
            idempotency_key=call.idempotency_key,
            request_digest=call.request_digest,
        ),
    )


def result_of(done: LiveTest) -> Mapping[str, Any]:
    """What came of a live-test, for its session."""
    figures = done.figures
    return {
        "endpoint": done.endpoint,
        "live_test": done.number,
        "version": str(done.version),
        "outcome": done.outcome,
        "requests": figures.taken,
        "left_out": figures.left_out,
        "down": figures.down,
        "errors": figures.errors_share,
        "late": figures.late_share,
        "disagreement": figures.disagreement,
        "unlike": figures.unlike,
        "shift": figures.largest_shift,
    }


def _has_lasted(seen: LiveTest, now: datetime) -> bool:
    """Whether it has seen as many requests and lasted as long as it shall."""
    if seen.requests is not None and seen.figures.taken < seen.requests:
        return False
    return seen.hours is None or (seen.running_at is not None and now - seen.running_at >= timedelta(hours=seen.hours))


def _of_itself(about: LiveTest) -> Call:
    """The call of the factory, which nobody asked."""
    return Call(actor=Actor(name=FACTORY, roles={}, token_id=""), project=about.project)
