"""Acceptance: the gate at which people take a certified version for use in production."""

from dataclasses import replace
from typing import Protocol

from muster.access.actor import Call
from muster.access.roles import Right
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.gates.records import Verdict
from muster.gates.service import Gates, approvals_told
from muster.registry.reasons import checked_reason
from muster.registry.records import Version
from muster.registry.service import Registry
from muster.release.judging import Judged, Judging
from muster.release.own_work import waived_for_version
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.errors import MusterError
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import VersionState


class Sealing(Protocol):
    """Tells whether a version could be rebuilt from the store alone."""

    def unsealed(self, project: str, version: VersionName) -> MusterError | None:
        """Why it could not; None: it could, or it is not certified."""
        ...


class Approvals:
    """The gate of versions. The gate of releases is `Releases.approve`.

    Args:
        database: where versions are kept.
        journal: where it is put on record.
        registry: the versions.
        judging: what the gate asks for.
        gates: counts who agrees.
        seals: tells whether a version is sealed; None: it is not asked for.
    """

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        registry: Registry,
        judging: Judging,
        gates: Gates,
        seals: Sealing | None = None,
    ) -> None:
        self._database = database
        self._journal = journal
        self._registry = registry
        self._judging = judging
        self._gates = gates
        self._seals = seals

    def accept(self, call: Call, name: VersionName, reason: str, *, for_person: str | None = None) -> Version:
        """Say yes to a certified version; with the last approval that is needed it is accepted: it may be released from now on.

        Args:
            call: who, and in which project.
            name: of the version.
            reason: why.
            for_person: who is absent, and in whose place the caller votes; None: nobody.

        Raises:
            VersionNotFound: there is none.
            OwnWork: the caller registered, owns or authored it.
            VersionStateUnfit: it is not `certified`.
            EnvironmentUnsealed: the store does not hold what its environment is made of.
            StandardNotMet: something is missing by the project's standard.
            PartInIt, VoiceLost, NotDelegated: the caller, or who is absent, has no voice here.
        """
        call.require(Right.ACCEPT)
        told = checked_reason(reason)
        # Before the transaction, which everybody else waits for: the store may be far away.
        unsealed = None if self._seals is None else self._seals.unsealed(call.project, name)
        with self._database.read() as tx:
            seen = self._registry.version_in(tx, call.project, name)
        self._judging.prepare([seen])
        with self._database.write() as tx:
            entry = self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)
            if entry is not None:
                held = self._registry.version_in(tx, call.project, VersionName.parse(entry.subject))
                return self._told(tx, call, held)
            self._registry.hold_states(tx)
            held = self._registry.version_in(tx, call.project, name)
            with_past = self._registry.with_past_stewards(tx, held)
            waived = waived_for_version(call, with_past, self._judging.deputies([held])[held.digest])
            self._registry.require_move(held, VersionState.ACCEPTED)
            if unsealed is not None:
                raise unsealed
            self._gates.hold(tx)
            judged = self._judging.version(tx, held, solo=call.actor.solo)
            judged.require_complete()
            decision = self._gates.cast(tx, call, judged.matter, Verdict.APPROVE, told, for_person=for_person)
            details: dict[str, object] = {"digest": held.digest} | ({"solo": True} if waived else {})
            if for_person is not None:
                details["for"] = for_person
            if not decision.met:
                said = details | {"verdict": "approve", "missing": list(decision.told)}
                self._gates.record(tx, call, "version.voted", judged.matter, told, said)
                return replace(held, missing=decision.told)
            accepted = self._registry.move(tx, held, VersionState.ACCEPTED)
            if judged.in_force.is_own:
                details |= {"standard": judged.in_force.number, "approvals": approvals_told(decision)}
            self._journal.append(
                tx,
                Deed(
                    actor=call.actor.name,
                    action="version.accepted",
                    subject=str(name),
                    project=held.project,
                    details=details,
                    reason=told,
                    idempotency_key=call.idempotency_key,
                    request_digest=call.request_digest,
                ),
            )
        return accepted

    def told(self, call: Call, version: Version) -> Version:
        """A version with what its acceptance still asks for, where somebody voted on it or the project has a standard."""
        call.require(Right.READ)
        if version.state is not VersionState.CERTIFIED:
            return version
        self._judging.prepare([version])
        with self._database.read() as tx:
            return self._told(tx, call, version)

    def _told(self, tx: Transaction, call: Call, version: Version) -> Version:
        if version.state is not VersionState.CERTIFIED:
            return version
        judged = self._judging.version(tx, version, solo=call.actor.solo)
        return replace(version, missing=told_of(self._gates, tx, judged))


def told_of(gates: Gates, tx: Transaction, judged: Judged) -> tuple[str, ...]:
    """What a gate still asks for, in words; nothing where nobody voted and the project has adopted no standard."""
    review = gates.review(tx, judged.matter)
    if not judged.in_force.is_own and not review.opinions:
        return ()
    return (*(f"{version.name}: {lack}" for version, lack in judged.lacks), *review.missing)
