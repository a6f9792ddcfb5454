"""The roll back: an earlier release becomes current at once, and the caller is told when every front serves it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from muster.access.actor import Call
from muster.access.roles import Right
from muster.access.service import FACTORY
from muster.audit.entries import Deed, Entry
from muster.audit.journal import Journal
from muster.gates.service import Gates
from muster.registry.reasons import checked_reason
from muster.registry.service import Registry
from muster.release import store
from muster.release.errors import NothingToRollBackTo, RollBackRefused, RollBackUnconfirmed
from muster.release.followers import Followers
from muster.release.held import deed_of, held_release, require_endpoint
from muster.release.judging import Judging
from muster.release.publisher import Publisher
from muster.release.records import Cause, GlassState, Pointer, Release, RolledBack
from muster.release.switch import Switch
from muster.release.thaw import require_thawed
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock
from muster.vocabulary.states import ReleaseState

CONFIRMED_WITHIN_S = 30.0
_LOOK_AGAIN_S = 0.5  # a front that falls silent tells nobody
#: Broken glass of a release that may be current.
_WENT_WELL = frozenset({GlassState.OPEN, GlassState.CONFIRMED})
_ORDERED = "release.rolled-back"
_CONFIRMED = "release.roll-back-confirmed"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """A roll back that is on record."""

    sequence: int
    """Of its audit event."""
    subject: str
    project: str
    endpoint: str
    from_: int
    to: int
    publication: int

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """The order that an audit event tells of."""
        said = _details(entry)
        return cls(
            sequence=entry.sequence,
            subject=entry.subject,
            project=entry.project,
            endpoint=entry.subject.rpartition(" release ")[0],
            from_=said["from"],
            to=said["to"],
            publication=said["publication"],
        )


class RollBacks:
    """Rolls endpoints back.

    Args:
        database: where releases are kept.
        journal: where it is put on record.
        registry: tells which versions are banned.
        judging: what is asked of a release that was rolled back from, before it comes back.
        gates: holds still what it is judged by.
        publisher: publishes the plans.
        followers: the fronts' reports.
        switch: tells which fronts are connected.
        clock: tells when.
        monotonic: tells seconds that only rise.
    """

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        registry: Registry,
        judging: Judging,
        gates: Gates,
        publisher: Publisher,
        followers: Followers,
        switch: Switch,
        clock: Clock,
        monotonic: Callable[[], float],
    ) -> None:
        self._database = database
        self._journal = journal
        self._registry = registry
        self._judging = judging
        self._gates = gates
        self._publisher = publisher
        self._followers = followers
        self._switch = switch
        self._clock = clock
        self._monotonic = monotonic

    def roll_back(self, call: Call, endpoint: str, reason: str, *, to: int | None) -> RolledBack:
        """Order it and wait for the fronts; see `Releases.rollback`."""
        received = self._monotonic()
        call.require(Right.ROLL_BACK)
        told = checked_reason(reason)
        if to is not None:
            self._prepare_forwards(call, endpoint, to)
        with self._database.write() as tx:
            earlier = self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)
            if earlier is None:
                order = self._order(tx, call, endpoint, to, told, is_asked=True)
            else:
                order = _Order.of(earlier)
                if (confirmed := self._confirmed(tx, order)) is not None:
                    return confirmed
        self._followers.tell()
        done = self._wait(order, received)
        self._confirm(order, done)
        return done

    def order_of_itself(self, tx: Transaction, call: Call, endpoint: str, reason: str) -> None:
        """Roll back without anybody's asking, to the latest earlier release that can be current; nobody waits for the fronts.

        Raises:
            NothingToRollBackTo, RollBackRefused: there is none.
        """
        history = store.pointers_of(tx, endpoint)
        came = list(dict.fromkeys(pointer.release for pointer in history[1:]))
        refused: RollBackRefused | None = None
        for number in came:
            try:
                self._order(tx, call, endpoint, number, reason)
            except RollBackRefused as error:
                refused = error
            else:
                return
        raise refused or NothingToRollBackTo(f"nothing was served at {endpoint} before", endpoint=endpoint)

    def _prepare_forwards(self, call: Call, endpoint: str, to: int) -> None:
        """Have at hand what bundles say, if the way leads forwards; backwards it must do without the store."""
        with self._database.read() as tx:
            require_endpoint(tx, call, endpoint)
            found = store.release(tx, endpoint, to)
            if found is None or to in _before(store.pointers_of(tx, endpoint)):
                return
            versions = [self._registry.version_in(tx, call.project, name) for name in found.versions]
        self._judging.prepare(versions)

    def _check_forwards(self, tx: Transaction, target: Release) -> None:
        """Nothing, if no freeze holds and nothing is missing by the standard: whoever goes forwards mends nothing.

        Raises:
            Frozen, StandardNotMet: one of the two.
        """
        self._gates.hold(tx)
        versions = [self._registry.version_in(tx, target.project, name) for name in target.versions]
        judged = self._judging.release(tx, target, versions)
        require_thawed(judged, self._clock.now())
        judged.require_complete()

    def _order(
        self, tx: Transaction, call: Call, endpoint: str, to: int | None, reason: str, *, is_asked: bool = False
    ) -> _Order:
        self._registry.hold_states(tx)
        require_endpoint(tx, call, endpoint)
        history = store.pointers_of(tx, endpoint)
        if not history:
            raise NothingToRollBackTo(f"nothing has been served at endpoint {endpoint}", endpoint=endpoint)
        target = self._target(tx, call, endpoint, history, to)
        if is_asked and target.number not in _before(history):
            self._check_forwards(tx, target)
        why = f"{call.actor.name} rolled back to release {target.number} before every front served it"
        overtaken = store.releases_in(tx, ReleaseState.APPROVED, endpoint)
        for release in overtaken:
            store.move(tx, release, ReleaseState.FAILED, failure=why)
        for release in store.releases_in(tx, ReleaseState.LIVE, endpoint):
            if release.number != target.number:
                store.move(tx, release, ReleaseState.SUPERSEDED)
        if target.state is ReleaseState.SUPERSEDED:
            store.move(tx, target, ReleaseState.LIVE)
        store.add_pointer(tx, endpoint, target.number, self._clock.now(), call.actor.name, Cause.ROLLED_BACK)
        publication = self._publisher.publish(tx, endpoint)
        for release in overtaken:
            self._switch.record_failure(tx, release, why)
        details = {"from": history[0].release, "to": target.number, "publication": publication}
        return _Order.of(self._journal.append(tx, deed_of(call, _ORDERED, target, reason, details)))

    def _target(
        self, tx: Transaction, call: Call, endpoint: str, history: tuple[Pointer, ...], to: int | None
    ) -> Release:
        current = history[0].release
        target = self._before(tx, call, endpoint, history) if to is None else held_release(tx, call, endpoint, to)
        if target.number == current:
            raise RollBackRefused(f"{target.subject} is current already", endpoint=endpoint, release=target.number)
        self._check(tx, call, endpoint, target)
        return target

    def can_go_back(self, tx: Transaction, call: Call, endpoint: str, *, besides: int) -> bool:
        """Whether a release that was current at an endpoint, besides the named one, could be current again now."""
        came = dict.fromkeys(pointer.release for pointer in store.pointers_of(tx, endpoint))
        for number in came:
            if number == besides:
                continue
            try:
                self._check(tx, call, endpoint, held_release(tx, call, endpoint, number))
            except RollBackRefused:
                continue
            return True
        return False

    def _check(self, tx: Transaction, call: Call, endpoint: str, target: Release) -> None:
        """Nothing, if a release could be current again.

        Raises:
            RollBackRefused: it was never live, went live without approvals that never came, or holds a banned version.
        """
        if target.live_at is None:
            raise RollBackRefused(
                f"{target.subject} was never live, it is {target.state}", endpoint=endpoint, release=target.number
            )
        glass = next(iter(store.glass_of(tx, endpoint, target.number)), None)
        if glass is not None and glass.state not in _WENT_WELL:
            raise RollBackRefused(
                f"{target.subject} went live without its approvals, and nobody confirmed it in time",
                endpoint=endpoint,
                release=target.number,
            )
        banned = sorted(self._registry.banned_among(tx, call.project, set(target.versions)))
        if banned:
            raise RollBackRefused(
                f"{target.subject} holds {banned[0]}, which is banned",
                endpoint=endpoint,
                release=target.number,
                banned=[str(version) for version in banned],
            )

    def _before(self, tx: Transaction, call: Call, endpoint: str, history: tuple[Pointer, ...]) -> Release:
        """What was current last of what came before the current release; one that never came to be live does not count.

        What came later does not either: it may be what somebody rolled back from.
        """
        newest_first = [pointer.release for pointer in history]
        current = newest_first[0]
        before = _before(history)
        later = []
        unconfirmed = {glass.number for glass in store.glass_of(tx, endpoint) if glass.state not in _WENT_WELL}
        for number in dict.fromkeys(newest_first):
            release = held_release(tx, call, endpoint, number)
            if release.live_at is None or number == current or number in unconfirmed:
                continue
            if number in before:
                return release
            later.append(number)
        told = f"; later ones were: {', '.join(map(str, sorted(later)))}" if later else ""
        raise NothingToRollBackTo(
            f"no release before release {current} has been live at endpoint {endpoint}{told}",
            endpoint=endpoint,
            current=current,
            later=sorted(later),
        )

    def _wait(self, order: _Order, received: float) -> RolledBack:
        deadline = self._monotonic() + CONFIRMED_WITHIN_S
        while True:
            turn = self._followers.turn()
            connected = self._switch.connected()
            confirmed = self._followers.confirmed(order.endpoint, order.to, "serving", order.publication)
            missing = connected - confirmed.keys()
            if not missing:
                break
            left = deadline - self._monotonic()
            if left <= 0:
                raise RollBackUnconfirmed(
                    f"the roll back of endpoint {order.endpoint} to release {order.to} is on record, but "
                    f"{', '.join(sorted(missing))} did not confirm it within {CONFIRMED_WITHIN_S:g} s",
                    endpoint=order.endpoint,
                    to=order.to,
                    fronts=sorted(missing),
                )
            self._followers.wait(turn, min(left, _LOOK_AGAIN_S))
        last = max((confirmed[front] for front in connected), default=self._monotonic())
        return _done(order, max(0.0, last - received) * 1000, len(connected))

    def _confirm(self, order: _Order, done: RolledBack) -> None:
        with self._database.write() as tx:
            details = {"rollback": order.sequence, "effective_ms": done.effective_ms, "fronts": done.fronts}
            deed = Deed(actor=FACTORY, action=_CONFIRMED, subject=order.subject, project=order.project, details=details)
            self._journal.append(tx, deed)

    def _confirmed(self, tx: Transaction, order: _Order) -> RolledBack | None:
        """What the first request with the same key came to; None when that was not put on record."""
        for entry in self._journal.entries(tx, after=order.sequence, limit=1000, subject=order.subject):
            said = _details(entry)
            if entry.action == _CONFIRMED and said["rollback"] == order.sequence:
                return _done(order, said["effective_ms"], said["fronts"])
        return None


def _before(history: tuple[Pointer, ...]) -> set[int]:
    """Numbers of the releases that were current first before what is current now was; others may have been rolled back from."""
    came = list(dict.fromkeys(pointer.release for pointer in reversed(history)))
    return set(came[: came.index(history[0].release)]) if history else set()


def _done(order: _Order, effective_ms: float, fronts: int) -> RolledBack:
    return RolledBack(
        endpoint=order.endpoint, from_=order.from_, to=order.to, effective_ms=round(effective_ms, 3), fronts=fronts
    )


def _details(entry: Entry) -> dict[str, Any]:
    details: dict[str, Any] = json.loads(entry.details)
    return details
