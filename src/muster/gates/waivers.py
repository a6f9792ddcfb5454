"""Waivers: a check may fail for a while, because two people say so and one of them gives the reason."""

import secrets
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from muster.access.actor import Call
from muster.access.roles import Right
from muster.audit.entries import Deed, Entry
from muster.audit.journal import Journal
from muster.gates import store
from muster.gates.errors import WaiverMalformed, WaiverNotFound, WaiverOwn, WaiverStateUnfit
from muster.gates.records import Waiver, WaiverState
from muster.gates.words import checked_words
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import Clock, rfc3339
from muster.vocabulary.digests import Digest
from muster.vocabulary.names import is_name

_LONGEST = timedelta(days=2 * 366)


class Waivers:
    """Keeps waivers, within the transactions of the room that owns what they are about.

    Args:
        journal: where each step is put on record.
        clock: tells when.
        names: what can be waived.
    """

    def __init__(self, *, journal: Journal, clock: Clock, names: Collection[str]) -> None:
        self._journal = journal
        self._clock = clock
        self._names = frozenset(names)

    def ask(
        self, tx: Transaction, call: Call, subject: str, digest: Digest, check: str, *, ends: datetime, reason: str
    ) -> Waiver:
        """Ask that a check may fail until a moment.

        Raises:
            WaiverMalformed: it names nothing that can be waived, or its end is past or too far.
        """
        told, now = checked_words(reason), self._clock.now()
        if not self._can_be(check):
            raise WaiverMalformed(
                f"there is nothing called {check[:80]!r} that could be waived",
                check=check[:80],
                known=sorted(self._names),
            )
        if not now < ends <= now + _LONGEST:
            raise WaiverMalformed(
                f"{rfc3339(ends)} is not a moment to come within {_LONGEST.days} days", ends=rfc3339(ends)
            )
        asked = Waiver(
            id=f"waiver-{secrets.token_hex(8)}",
            project=call.project,
            subject=subject,
            digest=digest,
            check=check,
            reason=told,
            asked_by=call.actor.name,
            asked_at=now,
            ends=ends,
            state=WaiverState.ASKED,
        )
        store.add_waiver(tx, asked)
        self._record(tx, call, "waiver.asked", asked, told)
        return asked

    def decide(
        self, tx: Transaction, call: Call, waiver_id: str, state: WaiverState, reason: str, excluded: frozenset[str]
    ) -> Waiver:
        """Grant or refuse a waiver.

        Args:
            tx: where; nobody's role changes in it any more (`Gates.hold`).
            call: who, and in which project.
            waiver_id: which.
            state: granted or refused.
            reason: why.
            excluded: whoever has part in the version, in lower case.

        Raises:
            WaiverNotFound: there is none.
            WaiverStateUnfit: it was decided already, or its time is over.
            WaiverOwn: the caller asked for it, or has part in the version.
        """
        call.require(Right.WAIVE)
        told, held, now = checked_words(reason), self.held(tx, call.project, waiver_id), self._clock.now()
        if held.state is not WaiverState.ASKED or held.ends <= now:
            over = "its time is over" if held.ends <= now else f"it is {held.state}"
            raise WaiverStateUnfit(f"{held.id} cannot be decided: {over}", waiver=held.id, state=str(held.state))
        name = call.actor.name
        if not call.actor.solo and (name == held.asked_by or name.casefold() in excluded):
            raise WaiverOwn(
                f"{name} asked for {held.id}, or has part in {held.subject}, and may not decide it",
                actor=name,
                waiver=held.id,
            )
        store.decide_waiver(tx, held.id, state, name, now, told)
        solo = {"solo": True} if call.actor.solo and (name == held.asked_by or name.casefold() in excluded) else {}
        self._record(tx, call, f"waiver.{state}", held, told, solo)
        return self.held(tx, call.project, waiver_id)

    def held(self, tx: Transaction, project: str, waiver_id: str) -> Waiver:
        """One waiver.

        Raises:
            WaiverNotFound: there is none.
        """
        found = store.waiver(tx, project, waiver_id)
        if found is None:
            raise WaiverNotFound(f"there is no waiver {waiver_id}", waiver=waiver_id)
        return found

    def present(self, tx: Transaction, call: Call, entry: Entry) -> Waiver:
        """The waiver that an audit event is about, as it is now."""
        return self.held(tx, call.project, entry.subject.removeprefix("waiver "))

    def of_project(self, tx: Transaction, project: str) -> tuple[Waiver, ...]:
        """The waivers of a project, the newest first."""
        return store.waivers_of(tx, project)

    def holding(self, tx: Transaction, project: str, digest: Digest, moment: datetime) -> dict[str, Waiver]:
        """Which checks a version may fail at a moment, by name, each by the waiver that lasts longest."""
        found: dict[str, Waiver] = {}
        for waiver in sorted(store.waivers_of(tx, project, digest), key=lambda one: one.ends):
            if waiver.holds(moment):
                found[waiver.check] = waiver
        return found

    def _can_be(self, check: str) -> bool:
        """Whether it can be waived; `own:*` among the names stands for every name that begins so."""
        families = [name.removesuffix("*") for name in self._names if name.endswith("*")]
        return (check in self._names and not check.endswith("*")) or any(
            check.startswith(family) and is_name(check.removeprefix(family)) for family in families
        )

    def _record(
        self,
        tx: Transaction,
        call: Call,
        action: str,
        waiver: Waiver,
        reason: str,
        details: Mapping[str, object] | None = None,
    ) -> None:
        said = {
            "version": waiver.subject, "digest": waiver.digest, "check": waiver.check, "ends": rfc3339(waiver.ends),
            "asked_by": waiver.asked_by,
        }  # fmt: skip
        self._journal.append(
            tx,
            Deed(
                actor=call.actor.name,
                action=action,
                subject=f"waiver {waiver.id}",
                project=waiver.project,
                details={**said, **(details or {})},
                reason=reason,
                idempotency_key=call.idempotency_key,
                request_digest=call.request_digest,
            ),
        )
