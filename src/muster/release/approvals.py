"""Acceptance: the gate at which a person takes a certified version for use in production."""

from muster.access.actor import Call
from muster.access.roles import Right
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.registry.reasons import checked_reason
from muster.registry.records import Version
from muster.registry.service import Registry
from muster.release.own_work import waived_for_version
from muster.storage.transaction import Database
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import VersionState


class Approvals:
    """The gate of versions. The gate of releases is `Releases.approve`.

    Args:
        database: where versions are kept.
        journal: where it is put on record.
        registry: the versions.
    """

    def __init__(self, *, database: Database, journal: Journal, registry: Registry) -> None:
        self._database = database
        self._journal = journal
        self._registry = registry

    def accept(self, call: Call, name: VersionName, reason: str) -> Version:
        """Take a certified version for use in production: it may be released from now on.

        Raises:
            VersionNotFound: there is none.
            OwnWork: the caller registered, owns or authored it.
            VersionStateUnfit: it is not `certified`.
        """
        call.require(Right.ACCEPT)
        told = checked_reason(reason)
        with self._database.write() as tx:
            entry = self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)
            if entry is not None:
                return self._registry.version_in(tx, call.project, VersionName.parse(entry.subject))
            self._registry.hold_states(tx)
            held = self._registry.version_in(tx, call.project, name)
            waived = waived_for_version(call, held)
            accepted = self._registry.move(tx, held, VersionState.ACCEPTED)
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
