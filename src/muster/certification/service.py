"""Certification: have a version examined, keep what came of it."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, Protocol

import msgspec
import rfc8785

from muster.access.actor import Actor, Call
from muster.access.roles import Right
from muster.access.service import FACTORY
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.certification import sealed_exhibits, store
from muster.certification.demands import NONE, STANDARD_CHECK, Limits, Standard
from muster.certification.errors import VersionNotExaminable
from muster.certification.examination import Examination
from muster.certification.keeping import KeptInSession
from muster.certification.records import Certificate, Examined
from muster.certification.twinned import Twin, Twinned, TwinOrder, examined_by
from muster.certification.twins import TwinAgrees
from muster.certification.vulnerabilities import KnownVulnerabilities
from muster.environments.bills import bill_of
from muster.environments.errors import EnvironmentUnsealed
from muster.environments.languages.known import LANGUAGES
from muster.environments.sealing import Seal, read_seal
from muster.registry.differences import Difference, differences
from muster.registry.records import Version
from muster.registry.service import Registry
from muster.scanning.licences import expression_of
from muster.scanning.parts import licences_of
from muster.sessions.records import CERTIFICATION, Measure, Session
from muster.sessions.service import Sessions
from muster.storage.transaction import Database, Transaction
from muster.training.records import Kept
from muster.training.version_profiles import VersionProfiles
from muster.vocabulary.clock import Clock
from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import SessionState, VersionState
from muster.wire.evidence import Evidence

_EXAMINABLE = frozenset({VersionState.REGISTERED, VersionState.CERTIFIED, VersionState.ACCEPTED})
_FIRST = "version.certified"
_AGAIN = "version.certified-again"
_FAILED = "certification.failed"
_NOT_OF_THE_VERSION = frozenset({TwinAgrees.name, STANDARD_CHECK})


class Signer(Protocol):
    """Signs certificates: handed down by bootstrap, as keys are no business of this room."""

    def signed(self, tx: Transaction, certificate: Certificate, examined: Examined) -> bytes:
        """The certificate as a signed statement, in the transaction that keeps it."""
        ...


class Certification:
    """Versions under examination, and their certificates.

    Args:
        database: where certificates are kept.
        journal: where each deed is put on record.
        registry: the versions.
        sessions: the examinations as work.
        clock: tells when.
        standard: what projects ask for; None: nothing.
        signer: signs certificates; None: they are not signed.
        advisories: what vulnerabilities projects know of; None: of none.
    """

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        registry: Registry,
        sessions: Sessions,
        clock: Clock,
        standard: Standard | None = None,
        signer: Signer | None = None,
        advisories: KnownVulnerabilities | None = None,
    ) -> None:
        self._signer = signer
        self._standard = standard
        self._advisories = advisories
        self._database = database
        self._journal = journal
        self._registry = registry
        self._sessions = sessions
        self._clock = clock
        self._profiles = VersionProfiles(database, registry)

    def certify(self, call: Call, name: VersionName, twin: TwinOrder | None = None) -> Session:
        """Have a version examined by an executor; one that is being examined already is not examined twice at once.

        A version that is certified or accepted may be examined again: it gets a further certificate.

        Args:
            call: who, and in which project.
            name: which version.
            twin: the compiled twin that shall be made and held against it; None: none.

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
            subject = str(name) if twin is None else twin.subject(name)
            session, _ = self._sessions.queue(tx, call, CERTIFICATION, subject)
            self._journal.append(
                tx,
                Deed(
                    actor=call.actor.name,
                    action="certification.requested",
                    subject=str(name),
                    project=call.project,
                    details={"session": session.id, **({} if twin is None else {"twin": True})},
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

    def newest_certificate(self, call: Call, version: Version) -> Certificate | None:
        """The newest certificate of a version that the caller was just given."""
        call.require(Right.READ)
        with self._database.read() as tx:
            return self.certificate_in(tx, version.project, version.name)

    def bill(self, call: Call, name: VersionName) -> dict[str, Any]:
        """What a version consists of: a CycloneDX 1.6 document.

        Raises:
            VersionNotFound: there is no such version.
            EnvironmentUnsealed: its environment is not sealed, so nobody can say which bytes it is made of.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            version = self._registry.version_in(tx, call.project, name)
            seal = self._seal_in(tx, call.project, name)
        if seal is None:
            raise EnvironmentUnsealed(f"the environment of {name} is not sealed", version=str(name))
        bundle = self._registry.bundle(call, name)
        lock = self._registry.document(version.lock_digest) if bundle.runtime.lock else b""
        packages = LANGUAGES[bundle.runtime.kind].packages(lock)
        licences = {package.purl: expression_of(package.licence) for package in packages}
        licences |= licences_of(seal, self._registry.document)
        return bill_of(name, version.digest, bundle, seal, packages, licences)

    def sealed_differences(self, call: Call, before: VersionName, after: VersionName) -> tuple[Difference, ...]:
        """In what the sealed environments of two versions differ, their packages aside; empty where one is not sealed.

        Raises:
            VersionNotFound: there is no such version.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            seals = [self._seal_in(tx, call.project, name) for name in (before, after)]
        old, new = (None if seal is None else _surroundings(seal) for seal in seals)
        return () if old is None or new is None else differences(old, new)

    def twins(self, call: Call, name: VersionName) -> tuple[Twin, ...]:
        """The compiled twins of a version that were found to agree with it, the newest first.

        Raises:
            VersionNotFound: there is no such version.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            self._registry.version_in(tx, call.project, name)
            return store.twins_of(tx, call.project, name)

    def twin_in(self, tx: Transaction, project: str, name: VersionName) -> Twin | None:
        """The newest twin of a version, as this transaction sees it; None: it has none."""
        return next(iter(store.twins_of(tx, project, name)), None)

    def certificate_in(self, tx: Transaction, project: str, name: VersionName) -> Certificate | None:
        """The newest certificate of a version, as this transaction sees it; None: it has none."""
        return next(iter(store.certificates_of(tx, project, name)), None)

    def measures_in(self, tx: Transaction, certificate: Certificate) -> tuple[Measure, ...]:
        """What was measured in the session of a certificate, as this transaction sees it."""
        return self._sessions.measures_in(tx, certificate.project, certificate.session, certificate.version)

    def failed_in(self, tx: Transaction, project: str, name: VersionName) -> frozenset[str]:
        """The checks that failed in the newest examination of a version, if it did not pass; empty where it did.

        What a twin failed says nothing of the version, and what its bundle lacks is looked at where it is asked for.
        """
        ended = [*self._journal.about(tx, str(name), project, _FIRST, _AGAIN, _FAILED)]
        if not ended or ended[-1].action != _FAILED:
            return frozenset()
        return frozenset(json.loads(ended[-1].details)["failed"]) - _NOT_OF_THE_VERSION

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
        name, twin = examined_by(session)
        with self._database.read() as tx:
            version = self._registry.version_in(tx, session.project, name)
            rules = self._registry.package_rules_in(tx, session.project).rules
            known = None if self._advisories is None else self._advisories.newest_in(tx, session.project)
        limits = NONE if self._standard is None else self._standard.limits(session.project, version)
        keeping = KeptInSession(self._sessions, session)
        examined = examination.examine(
            version, say, rules=rules, twin=twin, limits=limits, keeping=keeping, advisories=known
        )
        return self._keep(session, version, examined, limits)

    def with_sealed_exhibits(self, call: Call, session: str, evidence: Evidence) -> Evidence:
        """The evidence of a session with the exhibits that name single rows of a sealed evaluation set.

        Whoever asks answers for it that the caller may see such rows.
        """
        call.require(Right.ACCEPT)
        with self._database.read() as tx:
            digest = store.sealed_exhibits(tx, call.project, session)
        if digest is None:
            return evidence
        return sealed_exhibits.whole(evidence, sealed_exhibits.read(self._registry.document(digest)))

    def examine_again(self, tx: Transaction, project: str, name: VersionName, why: str) -> Session:
        """Have a version examined by the factory's own wish; one that is examined already is not examined twice at once.

        Args:
            tx: the transaction of whoever finds it necessary.
            project: whose.
            name: which version.
            why: put on record.
        """
        call = Call(actor=Actor(name=FACTORY, roles={}, token_id=""), project=project)
        session, is_new = self._sessions.queue(tx, call, CERTIFICATION, str(name))
        if is_new:
            self._journal.append(
                tx,
                Deed(
                    actor=FACTORY,
                    action="certification.requested",
                    subject=str(name),
                    project=project,
                    details={"session": session.id},
                    reason=why,
                ),
            )
        return session

    def newest_certificates(self, tx: Transaction, *states: VersionState) -> tuple[Certificate, ...]:
        """The newest certificate of every version of the factory in one of these states, as this transaction sees it."""
        return store.newest_of_all(tx, states)

    def _keep(self, session: Session, version: Version, examined: Examined, limits: Limits) -> Session:
        for_all, apart = sealed_exhibits.parted(examined.evidence)
        evidence = self._registry.keep_document(rfc8785.dumps(msgspec.to_builtins(for_all)))
        sealed = None if apart is None else self._registry.keep_document(sealed_exhibits.stored(apart))
        profiled = examined.profiled
        profile = None if profiled is None else self._registry.keep_document(profiled.document)
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
                "seal": None if examined.sealed is None else examined.sealed.digest,
                "twin": None if examined.twinned is None else examined.twinned.manifest,
                "evidence": evidence,
                "profile": profile,
                "may_fail": sorted(examined.may_fail),
            }
            finished = self._sessions.finish(
                tx, session, SessionState.PASSED if passed else SessionState.FAILED, result
            )
            self._sessions.keep_measures(tx, session, version.name, examined.measures)
            store.add_tables(tx, session.id, session.project, version.name, examined.tables)
            if sealed is not None:
                store.add_sealed_exhibits(tx, session.id, session.project, version.name, sealed)
            if profiled is not None and profile is not None:
                self._profiles.keep(
                    tx,
                    Kept(
                        version=version.name,
                        project=session.project,
                        digest=profile,
                        data=profiled.data,
                        data_digest=profiled.data_digest,
                        session=session.id,
                        at=self._clock.now(),
                    ),
                )
            if passed:
                self._certify(tx, session, now, examined, evidence, limits)
            else:
                failed = [check.name for check in examined.checks if not check.passed]
                self._record(tx, _FAILED, now, session, {"failed": failed})
        return finished

    def _certify(
        self,
        tx: Transaction,
        session: Session,
        version: Version,
        examined: Examined,
        evidence: Digest,
        limits: Limits,
    ) -> None:
        assert examined.environment is not None
        at = self._clock.now()
        expires = None if limits.valid is None else at + limits.valid
        certificate = Certificate(
            session=session.id,
            version=version.name,
            project=version.project,
            digest=version.digest,
            environment=examined.environment,
            hardware=examined.hardware,
            checks=examined.checks,
            requested_by=session.requested_by,
            at=at,
            seal=None if examined.sealed is None else examined.sealed.digest,
            twin=None if examined.twinned is None else examined.twinned.manifest,
            evidence=evidence,
            standard=limits.standard,
            expires=expires,
            renew_at=None if expires is None or limits.renew is None else expires - limits.renew,
        )
        if self._signer is not None:
            certificate = replace(certificate, envelope=self._signer.signed(tx, certificate, examined))
        if examined.sealed is not None:
            store.add_seal(tx, examined.sealed, certificate.at)
        store.add(tx, certificate)
        self._registry.measured(tx, version, _figures(certificate))
        if examined.twinned is not None:
            self._keep_twin(tx, certificate, examined.twinned)
        action = _AGAIN
        if version.state is VersionState.REGISTERED:
            self._registry.move(tx, version, VersionState.CERTIFIED)
            action = _FIRST
        self._record(
            tx,
            action,
            version,
            session,
            {
                "environment": examined.environment,
                "digest": version.digest,
                **({} if certificate.seal is None else {"seal": certificate.seal}),
                **({} if certificate.twin is None else {"twin": certificate.twin}),
                **_passed_over(examined),
            },
        )

    def _keep_twin(self, tx: Transaction, certificate: Certificate, twinned: Twinned) -> None:
        if twinned.sealed is not None:
            store.add_seal(tx, twinned.sealed, certificate.at)
        store.add_twin(
            tx,
            Twin(
                version=certificate.version,
                project=certificate.project,
                session=certificate.session,
                twinned=twinned,
                at=certificate.at,
            ),
        )

    def _seal_in(self, tx: Transaction, project: str, name: VersionName) -> Seal | None:
        """What the environment of a version is made of, by its newest certificate."""
        certificate = self.certificate_in(tx, project, name)
        if certificate is None or certificate.seal is None:
            return None
        return read_seal(self._registry.document(certificate.seal))

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


def _figures(certificate: Certificate) -> dict[str, float]:
    """What was measured, by check and name, as a search may ask for it: `one-row-latency.p99_ms`."""
    found = {}
    for check in certificate.checks:
        if isinstance(check.figure, int | float) and not isinstance(check.figure, bool):
            found[check.name] = float(check.figure)
        found |= {f"{check.name}.{name}": float(value) for name, value in check.figures.items()}
    return found


def _passed_over(examined: Examined) -> dict[str, object]:
    """Checks that failed and did not have to pass."""
    failed = [check.name for check in examined.checks if not check.passed]
    return {"failed": failed} if failed else {}


def _surroundings(seal: Seal) -> dict[str, str]:
    """What an environment stands on besides its packages."""
    system = {f"system {name}": value for name, value in seal.system.items()}
    return {"builder": seal.builder, "platform": seal.platform, "toolchain": seal.toolchain, **system}
