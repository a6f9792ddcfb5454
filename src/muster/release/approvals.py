"""Acceptance: the gate at which a person takes a certified version for use in production."""

from typing import Protocol

from muster.access.actor import Call
from muster.access.roles import Right
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.registry.reasons import checked_reason
from muster.registry.records import Version
from muster.registry.service import Registry
from muster.release.own_work import waived_for_version
from muster.storage.transaction import Database
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
        seals: tells whether a version is sealed; None: it is not asked for.
    """

    def __init__(
        self, *, database: Database, journal: Journal, registry: Registry, seals: Sealing | None = None
    ) -> None:
        self._database = database
        self._journal = journal
        self._registry = registry
        self._seals = seals

    def accept(self, call: Call, name: VersionName, reason: str) -> Version:
        """Take a certified version for use in production: it may be released from now on.

        Raises:
            VersionNotFound: there is none.
            OwnWork: the caller registered, owns or authored it.
            VersionStateUnfit: it is not `certified`.
            EnvironmentUnsealed: the store does not hold what its environment is made of.
        """
        call.require(Right.ACCEPT)
        told = checked_reason(reason)
        # Before the transaction, which everybody else waits for: the store may be far away.
        unsealed = None if self._seals is None else self._seals.unsealed(call.project, name)
        with self._database.write() as tx:
            entry = self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)
            if entry is not None:
                return self._registry.version_in(tx, call.project, VersionName.parse(entry.subject))
            self._registry.hold_states(tx)
            held = self._registry.version_in(tx, call.project, name)
            waived = waived_for_version(call, held)
            accepted = self._registry.move(tx, held, VersionState.ACCEPTED)
            if unsealed is not None:
                raise unsealed
            details: dict[str, object] = {"digest": held.digest} | ({"solo": True} if waived else {})
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
