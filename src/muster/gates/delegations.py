"""Delegations: who is absent names somebody who votes meanwhile."""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta

from muster.access.actor import Call
from muster.access.held import held_by
from muster.access.roles import Right
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.gates import store
from muster.gates.errors import DelegateUnfit, DelegationMalformed, DelegationNotFound
from muster.gates.records import Delegation
from muster.gates.words import checked_words
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock, rfc3339
from muster.vocabulary.names import checked_name

_LONGEST = timedelta(days=366)
_VOTING = frozenset({Right.ACCEPT, Right.APPROVE, Right.ADOPT_STANDARD, Right.CONFIRM_BREAK_GLASS})


class Delegations:
    """Who stands in for whom.

    Args:
        database: where they are kept.
        journal: where they are put on record.
        clock: tells when.
    """

    def __init__(self, *, database: Database, journal: Journal, clock: Clock) -> None:
        self._database = database
        self._journal = journal
        self._clock = clock

    def delegations(self, call: Call) -> tuple[Delegation, ...]:
        """The delegations of the project, past ones too."""
        call.require(Right.READ)
        with self._database.read() as tx:
            return store.delegations_of(tx, call.project)

    def delegate(
        self, call: Call, to: str, ends: datetime, reason: str, *, starts: datetime | None = None
    ) -> Delegation:
        """Let somebody vote in the caller's place for a while; it gives that person no right of its own.

        Args:
            call: who is absent, and in which project.
            to: who votes meanwhile.
            ends: when that is over.
            reason: why.
            starts: from when; None: from now.

        Raises:
            DelegationMalformed: it is to oneself, or its time is none.
            DelegateUnfit: that person has no right to vote in the project.
        """
        call.require(Right.DELEGATE)
        name, told = checked_name(to, of="user"), checked_words(reason)
        with self._database.write() as tx:
            entry = self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)
            if entry is not None:
                return self._held(tx, call, entry.subject.removeprefix("delegation "))
            now = self._clock.now()
            begins = starts or now
            if name == call.actor.name:
                raise DelegationMalformed("nobody stands in for themselves", to=name)
            if not begins < ends or ends <= now or ends - begins > _LONGEST:
                raise DelegationMalformed(
                    f"from {rfc3339(begins)} to {rfc3339(ends)} is not a time to come of at most {_LONGEST.days} days",
                    starts=rfc3339(begins),
                    ends=rfc3339(ends),
                )
            if not held_by(tx, call.project, name).rights & _VOTING:
                raise DelegateUnfit(f"{name} has no right to vote in project {call.project}", to=name)
            made = Delegation(
                id=f"delegation-{secrets.token_hex(8)}",
                project=call.project,
                from_=call.actor.name,
                to=name,
                starts=begins,
                ends=ends,
                reason=told,
                made_by=call.actor.name,
                made_at=now,
            )
            store.add_delegation(tx, made)
            details = {"from": made.from_, "to": made.to, "starts": rfc3339(begins), "ends": rfc3339(ends)}
            self._record(tx, call, "delegation.made", made, told, details)
        return made

    def end(self, call: Call, delegation_id: str, reason: str) -> Delegation:
        """End a delegation before its time: by who made it, by who stands in, or by an admin. Votes given by it count no longer.

        Of the two themselves it takes no right, which they may have lost since, but a token that is limited to some rights has
        to be for it: of who made it `delegate`, of who stands in one to vote.

        Raises:
            DelegationNotFound: there is none.
            RightMissing: the caller is none of the three, or the token is for something else.
        """
        call.require(Right.READ)
        told = checked_words(reason)
        with self._database.write() as tx:
            repeated = self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)
            held = self._held(tx, call, delegation_id)
            now = self._clock.now()
            if repeated is not None or held.ends <= now:
                return held
            meant = {held.from_: frozenset({Right.DELEGATE}), held.to: _VOTING}.get(call.actor.name, frozenset())
            if not call.actor.scope.rights_of(meant):
                call.require(Right.MANAGE_USERS)
            store.end_delegation(tx, held.id, now)
            self._record(tx, call, "delegation.ended", held, told, {"from": held.from_, "to": held.to})
            return self._held(tx, call, delegation_id)

    def _held(self, tx: Transaction, call: Call, delegation_id: str) -> Delegation:
        found = store.delegation(tx, call.project, delegation_id)
        if found is None:
            raise DelegationNotFound(f"there is no delegation {delegation_id}", delegation=delegation_id)
        return found

    def _record(
        self, tx: Transaction, call: Call, action: str, made: Delegation, reason: str, details: Mapping[str, object]
    ) -> None:
        self._journal.append(
            tx,
            Deed(
                actor=call.actor.name,
                action=action,
                subject=f"delegation {made.id}",
                project=made.project,
                details=dict(details),
                reason=reason,
                idempotency_key=call.idempotency_key,
                request_digest=call.request_digest,
            ),
        )
