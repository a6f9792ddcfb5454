"""Broken glass: a release goes live without its approvals; others confirm it in time, or it is rolled back by itself."""

from dataclasses import replace
from datetime import timedelta

import structlog

from muster.access.actor import Actor, Call
from muster.access.roles import Right
from muster.access.service import FACTORY
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.gates.records import Matter, Verdict
from muster.gates.service import Gates, approvals_told
from muster.registry.reasons import checked_reason
from muster.registry.service import Registry
from muster.release import store
from muster.release.errors import GlassClosed, GlassUnfit, NothingToRollBackTo, OwnWork, RollBackRefused
from muster.release.followers import Followers
from muster.release.held import deed_of, held_release, present
from muster.release.judging import Judging
from muster.release.publisher import Publisher
from muster.release.records import Glass, GlassState, Release
from muster.release.rollback import RollBacks
from muster.release.switch import Switch
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock, rfc3339
from muster.vocabulary.errors import MusterError
from muster.vocabulary.states import ReleaseState

log = structlog.get_logger()


class BrokenGlass:
    """Keeps watch over releases that went live without their approvals.

    Args:
        database: where they are kept.
        journal: where each step is put on record.
        registry: holds the states of versions still meanwhile.
        judging: what their gate asks for.
        gates: counts who confirms.
        roll_backs: how the endpoint comes back to what was.
        publisher: tells the fronts.
        followers: whoever waits for news of a release.
        switch: puts on record what failed.
        clock: tells when.
    """

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        registry: Registry,
        judging: Judging,
        gates: Gates,
        roll_backs: RollBacks,
        publisher: Publisher,
        followers: Followers,
        switch: Switch,
        clock: Clock,
    ) -> None:
        self._database = database
        self._journal = journal
        self._registry = registry
        self._judging = judging
        self._gates = gates
        self._roll_backs = roll_backs
        self._publisher = publisher
        self._followers = followers
        self._switch = switch
        self._clock = clock

    def broken(self, tx: Transaction, call: Call, held: Release, reason: str, within: timedelta) -> Glass:
        """Note that the glass is broken for a release; the caller has looked that it may go live.

        Raises:
            GlassUnfit: there is nothing to go back to.
        """
        if not self._roll_backs.can_go_back(tx, call, held.endpoint, besides=held.number):
            raise GlassUnfit(
                f"nothing that endpoint {held.endpoint} has served may be current again; there is nothing to go back to",
                endpoint=held.endpoint,
                release=held.number,
            )
        now = self._clock.now()
        glass = Glass(
            endpoint=held.endpoint,
            number=held.number,
            project=held.project,
            broken_by=call.actor.name,
            at=now,
            confirm_by=now + within,
            reason=reason,
            state=GlassState.OPEN,
        )
        store.add_glass(tx, glass)
        return glass

    def confirm(self, call: Call, endpoint: str, number: int, reason: str, *, for_person: str | None = None) -> Release:
        """Agree afterwards with a release that went live without its approvals.

        It takes what its gate would have taken, of people who have no part in it and did not break the glass.

        Raises:
            EndpointNotFound, ReleaseNotFound: there is none.
            GlassClosed: there is nothing to confirm.
            OwnWork: the caller broke the glass.
            PartInIt, PassedBefore, VoiceLost, NotDelegated: the caller, or who is absent, has no voice here.
        """
        call.require(Right.CONFIRM_BREAK_GLASS)
        told = checked_reason(reason)
        with self._database.read() as tx:
            seen = held_release(tx, call, endpoint, number)
            versions = [self._registry.version_in(tx, call.project, name) for name in seen.versions]
        self._judging.prepare(versions)
        with self._database.write() as tx:
            entry = self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)
            if entry is not None:
                return present(tx, call, entry)
            self._registry.hold_states(tx)
            held = held_release(tx, call, endpoint, number)
            self._gates.hold(tx)
            glass = self._open(tx, held)
            if glass.broken_by == call.actor.name and not call.actor.solo:
                raise OwnWork(
                    f"{call.actor.name} broke the glass for {held.subject}, and may not confirm it",
                    actor=call.actor.name,
                    endpoint=endpoint,
                    release=number,
                )
            judged = self._judging.release(tx, held, versions, solo=call.actor.solo)
            matter = to_confirm(judged.matter, glass, solo=call.actor.solo)
            decision = self._gates.cast(tx, call, matter, Verdict.APPROVE, told, for_person=for_person)
            details: dict[str, object] = {"plan": held.plan_digest, "broken_by": glass.broken_by}
            if not decision.met:
                said = details | {"verdict": "approve", "missing": list(decision.told)}
                self._gates.record(tx, call, "release.voted", matter, told, said)
                return replace(held, missing=decision.told, glass=glass)
            store.set_glass(tx, glass, GlassState.CONFIRMED)
            details["approvals"] = approvals_told(decision)
            if judged.lacks:
                details["lacks"] = [f"{version.name}: {lack}" for version, lack in judged.lacks]
            self._journal.append(tx, deed_of(call, "release.glass-confirmed", held, told, details))
            confirmed = replace(held, glass=replace(glass, state=GlassState.CONFIRMED))
        self._followers.tell()
        return confirmed

    def expire(self) -> None:
        """Roll back what nobody has confirmed in time; called every half second, by any number of processes."""
        with self._database.read() as tx:
            overdue = [
                glass for glass in store.overdue_glass(tx, self._clock.now()) if not self._is_stuck_still(tx, glass)
            ]
        for glass in overdue:
            try:
                self._expire(glass)
            except MusterError as error:  # of this one: the others are due as well
                log.error("release.glass-held-up", endpoint=glass.endpoint, release=glass.number, code=error.code)

    def _expire(self, seen: Glass) -> None:
        with self._database.write() as tx:
            self._registry.hold_states(tx)
            glass = next(iter(store.glass_of(tx, seen.endpoint, seen.number)), None)
            release = store.release(tx, seen.endpoint, seen.number)
            if glass is None or release is None or not glass.is_open:
                return  # confirmed, or another process was quicker
            if self._is_stuck_still(tx, glass):
                return
            state = self._undo(tx, glass, release)
            store.set_glass(tx, glass, state)
            self._journal.append(
                tx,
                Deed(
                    actor=FACTORY,
                    action="release.glass-expired",
                    subject=release.subject,
                    project=release.project,
                    details={
                        "broken_by": glass.broken_by,
                        "confirm_by": rfc3339(glass.confirm_by),
                        "state": str(state),
                    },
                ),
            )
        log.warning(
            "release.glass-expired",
            endpoint=glass.endpoint,
            release=glass.number,
            broken_by=glass.broken_by,
            state=str(state),
        )
        self._followers.tell()

    def _is_stuck_still(self, tx: Transaction, glass: Glass) -> bool:
        """Whether it could not be undone before, and cannot now; that is on record once, and not at every look."""
        if glass.state is not GlassState.STUCK or store.current_number(tx, glass.endpoint) != glass.number:
            return False
        return not self._roll_backs.can_go_back(tx, _of_itself(glass), glass.endpoint, besides=glass.number)

    def _undo(self, tx: Transaction, glass: Glass, release: Release) -> GlassState:
        if release.current:
            # Before the target is looked for: whatever was never confirmed is none.
            store.set_glass(tx, glass, GlassState.ROLLED_BACK)
            call = _of_itself(glass)
            why = f"nobody confirmed in time that {glass.broken_by} broke the glass for release {glass.number}"
            try:
                self._roll_backs.order_of_itself(tx, call, glass.endpoint, why)
            except (RollBackRefused, NothingToRollBackTo) as error:
                log.error("release.glass-stuck", endpoint=glass.endpoint, release=glass.number, why=error.message)
                return GlassState.STUCK
            return GlassState.ROLLED_BACK
        if release.state is ReleaseState.APPROVED:
            why = "the glass was broken for it, and nobody confirmed that in time"
            store.move(tx, release, ReleaseState.FAILED, failure=why)
            self._publisher.publish(tx, release.endpoint)
            self._switch.record_failure(tx, release, why)
            return GlassState.ROLLED_BACK
        return GlassState.OVERTAKEN

    def _open(self, tx: Transaction, held: Release) -> Glass:
        glass = next(iter(store.glass_of(tx, held.endpoint, held.number)), None)
        facts = {"endpoint": held.endpoint, "release": held.number}
        if glass is None:
            raise GlassClosed(f"the glass was not broken for {held.subject}", **facts)
        if not glass.is_open:
            raise GlassClosed(f"the glass of {held.subject} is {glass.state}", state=str(glass.state), **facts)
        if glass.state is GlassState.OPEN and glass.confirm_by <= self._clock.now():  # it is about to be rolled back
            raise GlassClosed(
                f"the glass of {held.subject} was to be confirmed by {rfc3339(glass.confirm_by)}", state="open", **facts
            )
        return glass


def to_confirm(matter: Matter, glass: Glass, *, solo: bool) -> Matter:
    """A release at its gate, as those see it who confirm broken glass: who broke it has no voice.

    Args:
        matter: the release at its gate.
        glass: that was broken for it.
        solo: the factory is one person's, who has a voice in everything.
    """
    breaker = frozenset() if solo else frozenset({glass.broken_by.casefold()})
    return replace(matter, right=Right.CONFIRM_BREAK_GLASS, excluded=matter.excluded | breaker)


def _of_itself(glass: Glass) -> Call:
    """The call of control, which nobody asked."""
    return Call(actor=Actor(name=FACTORY, roles={}, token_id=""), project=glass.project)
