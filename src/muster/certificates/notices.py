"""Watches certificates until they end: renews them in time, and says so when one has lapsed or its environment is another by now.

Called again and again, by several executors perhaps; each thing is said once for a certificate, and each version examined once.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

import structlog

from muster.access.actor import Call
from muster.access.roles import Right
from muster.access.service import FACTORY
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.certificates import store
from muster.certificates.records import URGENT, Notice, NoticeKind
from muster.certificates.service import EnvironmentNow
from muster.certification.records import Certificate
from muster.certification.service import Certification
from muster.registry.service import Registry
from muster.sessions.service import Sessions
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock, rfc3339
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import OPEN_SESSIONS, SessionState, VersionState

_WATCHED = (VersionState.CERTIFIED, VersionState.ACCEPTED, VersionState.RETIRED)
#: What may have the version examined again.
_EXAMINE_AGAIN = (NoticeKind.RENEWAL, NoticeKind.ENVIRONMENT_CHANGED)
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A version in a release that is live."""

    project: str
    version: VersionName
    endpoint: str


#: Tells what is live, in whatever project.
Live = Callable[[Transaction], Iterable[Served]]


class Notices:
    """What people should know about certificates.

    Args:
        database: where notices are kept.
        journal: where each is put on record.
        certification: gives certificates, and renews them.
        registry: the versions.
        sessions: tells what came of a renewal.
        live: what is served.
        environment_now: what this machine would build.
        clock: tells when.
    """

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        certification: Certification,
        registry: Registry,
        sessions: Sessions,
        live: Live,
        environment_now: EnvironmentNow,
        clock: Clock,
    ) -> None:
        self._database = database
        self._journal = journal
        self._certification = certification
        self._registry = registry
        self._sessions = sessions
        self._live = live
        self._environment_now = environment_now
        self._clock = clock
        self._lapsed = 0

    @property
    def lapsed(self) -> int:
        """How many versions were served under a certificate that has ended, when it was last looked."""
        return self._lapsed

    def notices(self, call: Call, *, urgent_only: bool = False) -> tuple[Notice, ...]:
        """What holds in the project now, the newest first; what was said of a certificate that has a successor is over."""
        call.require(Right.READ)
        with self._database.read() as tx:
            newest = self._certification.newest_certificates(tx, *_WATCHED)
            found = store.notices_about(tx, [one.session for one in newest if one.project == call.project])
        return tuple(one for one in found if not urgent_only or one.kind in URGENT)

    def look(self) -> None:
        """Renew what ends soon, and say what has lapsed."""
        now = self._clock.now()
        with self._database.read() as tx:
            newest = self._certification.newest_certificates(tx, *_WATCHED)
            served = {(one.project, one.version): one.endpoint for one in self._live(tx)}
            said = {(one.certificate, one.kind): one for one in store.notices_about(tx, [c.session for c in newest])}
            failed = [one for one in said.values() if one.kind in _EXAMINE_AGAIN and self._has_failed(tx, one)]
            accepted = {
                one.session
                for one in newest
                if self._registry.version_in(tx, one.project, one.version).state is VersionState.ACCEPTED
            }
        lapsed = 0
        for certificate in newest:
            endpoint = served.get((certificate.project, certificate.version))
            due = certificate.renew_at is not None and certificate.renew_at <= now
            has_ended = certificate.expires is not None and certificate.expires <= now
            if due and certificate.session in accepted and (certificate.session, NoticeKind.RENEWAL) not in said:
                told = f"the certificate ends at {_at(certificate.expires)}: the version is examined again"
                self._examine_again(certificate, NoticeKind.RENEWAL, told)
            if has_ended and endpoint is not None:
                lapsed += 1
                if (certificate.session, NoticeKind.LAPSED) not in said:
                    told = f"the certificate ended at {_at(certificate.expires)}, and endpoint {endpoint} serves the version"
                    self._say(certificate, NoticeKind.LAPSED, told)
        for renewal in failed:
            if (renewal.certificate, NoticeKind.RENEWAL_FAILED) not in said:
                certificate = next(one for one in newest if one.session == renewal.certificate)
                self._say(
                    certificate,
                    NoticeKind.RENEWAL_FAILED,
                    f"its renewal did not pass: session {renewal.work}",
                    renewal.work,
                )
        self._lapsed = lapsed

    def look_at_environments(self) -> None:
        """Say which versions that are served would be built otherwise on this machine by now, and renew what a standard lets be renewed.

        That takes a moment for each.
        """
        with self._database.read() as tx:
            served = {(one.project, one.version) for one in self._live(tx)}
            newest = [
                one
                for one in self._certification.newest_certificates(tx, *_WATCHED)
                if (one.project, one.version) in served
            ]
            said = {(one.certificate, one.kind) for one in store.notices_about(tx, [c.session for c in newest])}
            versions = {one.session: self._registry.version_in(tx, one.project, one.version) for one in newest}
        for certificate in newest:
            if (certificate.session, NoticeKind.ENVIRONMENT_CHANGED) in said:
                continue
            now = self._environment_now(versions[certificate.session])
            if now is not None and now != certificate.environment:
                told = f"this machine would build {now}; certified was {certificate.environment}"
                is_accepted = versions[certificate.session].state is VersionState.ACCEPTED
                if is_accepted and certificate.renew_at is not None:
                    again = f"{told}: the version is examined again"
                    self._examine_again(certificate, NoticeKind.ENVIRONMENT_CHANGED, again)
                else:
                    self._say(certificate, NoticeKind.ENVIRONMENT_CHANGED, told)

    def _examine_again(self, certificate: Certificate, kind: NoticeKind, told: str) -> None:
        with self._database.write() as tx:
            if not self._is_news(tx, certificate, kind):
                return
            self._registry.hold_states(tx)
            session = self._certification.examine_again(tx, certificate.project, certificate.version, told)
            self._keep(tx, certificate, kind, told, session.id)

    def _say(self, certificate: Certificate, kind: NoticeKind, told: str, work: str | None = None) -> None:
        with self._database.write() as tx:
            if self._is_news(tx, certificate, kind):
                self._keep(tx, certificate, kind, told, work)

    def _is_news(self, tx: Transaction, certificate: Certificate, kind: NoticeKind) -> bool:
        """Whether nobody has said it yet; other executors wait here."""
        tx.lock("muster.certificate-notices")
        said = store.notices_about(tx, [certificate.session])
        newest = self._certification.certificate_in(tx, certificate.project, certificate.version)
        is_newest = newest is not None and newest.session == certificate.session
        return is_newest and all(one.kind is not kind for one in said)

    def _keep(self, tx: Transaction, certificate: Certificate, kind: NoticeKind, told: str, work: str | None) -> None:
        notice = Notice(
            certificate=certificate.session,
            kind=kind,
            project=certificate.project,
            version=certificate.version,
            told=told,
            at=self._clock.now(),
            work=work,
        )
        store.add_notice(tx, notice)
        self._journal.append(
            tx,
            Deed(
                actor=FACTORY,
                action=f"certificate.{kind}",
                subject=str(certificate.version),
                project=certificate.project,
                details={"certificate": certificate.session, **({} if work is None else {"session": work})},
                reason=told,
            ),
        )
        log.warning("certificate.notice", kind=str(kind), version=str(certificate.version), told=told)

    def _has_failed(self, tx: Transaction, renewal: Notice) -> bool:
        if renewal.work is None:  # nobody has asked for an examination
            return False
        state = self._sessions.session_in(tx, renewal.project, renewal.work).state
        return state not in OPEN_SESSIONS and state is not SessionState.PASSED


def _at(moment: datetime | None) -> str:
    return "" if moment is None else rfc3339(moment)
