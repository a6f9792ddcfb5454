"""Certification: have a version examined, keep what came of it."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from muster.access.actor import Call
from muster.access.roles import Right
from muster.access.service import FACTORY
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.certification import store
from muster.certification.errors import VersionNotExaminable
from muster.certification.examination import Examination
from muster.certification.records import Certificate, Examined
from muster.registry.records import Version
from muster.registry.service import Registry
from muster.sessions.records import CERTIFICATION, Session
from muster.sessions.service import Sessions
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import SessionState, VersionState

_EXAMINABLE = frozenset({VersionState.REGISTERED, VersionState.CERTIFIED, VersionState.ACCEPTED})


class Certification:
    """Versions under examination, and their certificates.

    Args:
        database: where certificates are kept.
        journal: where each deed is put on record.
        registry: the versions.
        sessions: the examinations as work.
        clock: tells when.
    """

    def __init__(
        self, *, database: Database, journal: Journal, registry: Registry, sessions: Sessions, clock: Clock
    ) -> None:
        self._database = database
        self._journal = journal
        self._registry = registry
        self._sessions = sessions
        self._clock = clock

    def certify(self, call: Call, name: VersionName) -> Session:
        """Have a version examined by an executor; one that is being examined already is not examined twice at once.

        A version that is certified or accepted may be examined again: it gets a further certificate.

        Raises:
            VersionNotFound: there is none.
            VersionNotExaminable: it is retired or banned.
        """
        call.require(Right.CERTIFY)
        with self._database.write() as tx:
            entry = self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)
            if entry is not None:
                return self._sessions.session_in(tx, call.project, json.loads(entry.details)["session"])
            self._registry.hold_states(tx)
            version = self._registry.version_in(tx, call.project, name)
            if version.state not in _EXAMINABLE:
                raise VersionNotExaminable(f"{name} is {version.state}", version=str(name), state=str(version.state))
            session, _ = self._sessions.queue(tx, call, CERTIFICATION, str(name))
            self._journal.append(
                tx,
                Deed(
                    actor=call.actor.name,
                    action="certification.requested",
                    subject=str(name),
                    project=call.project,
                    details={"session": session.id},
                    idempotency_key=call.idempotency_key,
                    request_digest=call.request_digest,
                ),
            )
        return session

    def certificates(self, call: Call, name: VersionName) -> tuple[Certificate, ...]:
        """The certificates of a version, the newest first.

        Raises:
            VersionNotFound: there is no such version.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            self._registry.version_in(tx, call.project, name)
            return store.certificates_of(tx, call.project, name)

    def certificate(self, call: Call, name: VersionName) -> Certificate | None:
        """The newest certificate of a version.

        Raises:
            VersionNotFound: there is no such version.
        """
        return next(iter(self.certificates(call, name)), None)

    def certificate_in(self, tx: Transaction, project: str, name: VersionName) -> Certificate | None:
        """The newest certificate of a version, as this transaction sees it; None: it has none."""
        return next(iter(store.certificates_of(tx, project, name)), None)

    def run(self, session: Session, say: Callable[[str], None], examination: Examination) -> Session:
        """Examine the version of a claimed session and keep what came of it; called by an executor.

        A version whose checks all pass is certified, in the transaction that ends the session.

        Args:
            session: claimed, running.
            say: takes lines of progress.
            examination: the bench on which versions are examined.

        Raises:
            SessionInterrupted: the session was ended meanwhile; nothing is kept.
        """
        name = VersionName.parse(session.subject)
        with self._database.read() as tx:
            version = self._registry.version_in(tx, session.project, name)
        return self._keep(session, version, examination.examine(version, say))

    def _keep(self, session: Session, version: Version, examined: Examined) -> Session:
        with self._database.write() as tx:
            self._registry.hold_states(tx)
            now = self._registry.version_in(tx, session.project, version.name)
            # It may have been banned while it was examined: then there is nothing left to certify.
            passed = examined.passed and now.state in _EXAMINABLE
            result: dict[str, Any] = {
                "version": str(version.name),
                "passed": passed,
                "state": str(VersionState.CERTIFIED if passed and now.state is VersionState.REGISTERED else now.state),
                "checks": [asdict(check) for check in examined.checks],
                "environment": examined.environment,
                "hardware": examined.hardware,
            }
            finished = self._sessions.finish(
                tx, session, SessionState.PASSED if passed else SessionState.FAILED, result
            )
            if passed:
                self._certify(tx, session, now, examined)
            else:
                failed = [check.name for check in examined.checks if not check.passed]
                self._record(tx, "certification.failed", now, session, {"failed": failed})
        return finished

    def _certify(self, tx: Transaction, session: Session, version: Version, examined: Examined) -> None:
        assert examined.environment is not None
        certificate = Certificate(
            session=session.id,
            version=version.name,
            project=version.project,
            digest=version.digest,
            environment=examined.environment,
            hardware=examined.hardware,
            checks=examined.checks,
            requested_by=session.requested_by,
            at=self._clock.now(),
        )
        store.add(tx, certificate)
        action = "version.certified-again"
        if version.state is VersionState.REGISTERED:
            self._registry.move(tx, version, VersionState.CERTIFIED)
            action = "version.certified"
        self._record(tx, action, version, session, {"environment": examined.environment, "digest": version.digest})

    def _record(
        self, tx: Transaction, action: str, version: Version, session: Session, details: dict[str, object]
    ) -> None:
        self._journal.append(
            tx,
            Deed(
                actor=FACTORY,
                action=action,
                subject=str(version.name),
                project=version.project,
                details={"session": session.id, "requested_by": session.requested_by, **details},
            ),
        )
