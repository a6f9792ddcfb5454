"""Reports, cards and scores of what is on record, for whoever may read the project."""

from dataclasses import replace
from datetime import datetime

from muster.access.actor import Call
from muster.access.roles import Right
from muster.audit.journal import Journal
from muster.certificates.service import Certificates
from muster.certification.records import Certificate
from muster.certification.service import Certification
from muster.certification.twinned import examined_by
from muster.dossiers.carding import card_of
from muster.dossiers.declarations import Declarations
from muster.dossiers.errors import NoCertification, NotExamined
from muster.dossiers.examinations import Examinations, has_verdict
from muster.dossiers.records import Dossier, Serving
from muster.dossiers.reporting import report_of
from muster.dossiers.rubric import scored
from muster.dossiers.validity import valid_until
from muster.evaluation_sets.service import EvaluationSets
from muster.registry.records import Version
from muster.registry.service import Registry
from muster.release.reviews import Reviews
from muster.release.service import Releases
from muster.sessions.records import CERTIFICATION, MeasuresAsked, Session
from muster.sessions.service import Sessions
from muster.standards.document import NOTHING_ADOPTED, ready
from muster.standards.records import InForce, StandardState
from muster.standards.service import Standards
from muster.storage.transaction import Database
from muster.vocabulary.clock import Clock
from muster.vocabulary.names import VersionName
from muster.wire.reports import CertificationReport, ModelCard, ReportedStandard, TestScore

_MOST_MEASURES = 20_000
_WERE_IN_FORCE = frozenset({StandardState.ADOPTED, StandardState.SUPERSEDED})


class Dossiers:
    """Gathers what is on record.

    Args:
        database: where all of it is kept.
        journal: tells what happened to a version.
        registry: the versions, and what their bundles say.
        sessions: the examinations, and what they measured.
        certification: the certificates.
        certificates: who has signed them.
        evaluations: tell who may see rows of evaluation sets.
        standards: what the project asks.
        reviews: what people said.
        releases: where versions answer.
        clock: tells when.
    """

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        registry: Registry,
        sessions: Sessions,
        certification: Certification,
        certificates: Certificates,
        evaluations: EvaluationSets,
        standards: Standards,
        reviews: Reviews,
        releases: Releases,
        clock: Clock,
    ) -> None:
        self._database = database
        self._registry = registry
        self._sessions = sessions
        self._certification = certification
        self._certificates = certificates
        self._evaluations = evaluations
        self._standards = standards
        self._reviews = reviews
        self._releases = releases
        self._clock = clock
        self._examinations = Examinations(database=database, journal=journal, sessions=sessions, registry=registry)
        self._declarations = Declarations(database=database, journal=journal, registry=registry)

    def report(self, call: Call, session_id: str) -> CertificationReport:
        """All that one certification found.

        What names single rows of a sealed evaluation set is in it for those alone who may accept versions and have no part in the model.

        Raises:
            SessionNotFound: there is no such session in the project.
            NoCertification: it is of another kind of work.
            CertificateAltered: the certificate that came of it is not what was signed.
        """
        session = self._sessions.session(call, session_id)
        if session.kind != CERTIFICATION:
            raise NoCertification(f"session {session_id} is a {session.kind}", session=session_id, kind=session.kind)
        name, _ = examined_by(session)
        version = self._registry.version(call, name)
        found = next((one for one in self._certification.certificates(call, name) if one.session == session.id), None)
        if found is not None:
            self._certificates.require_as_signed(call, found)
        examination = self._examinations.of(call, session)
        if call.may(Right.ACCEPT) and not self._evaluations.has_part(call, name.model):
            evidence = self._certification.with_sealed_exhibits(call, session.id, examination.evidence)
            examination = replace(examination, evidence=evidence)
        return report_of(
            examination,
            version,
            found,
            self._standard_then(call, session, found),
            signatures=() if found is None else self._certificates.signatures(call, found),
            valid_until=self._valid_until(version, found, self._standards.current(call)),
            solo=call.actor.solo,
        )

    def report_of(self, call: Call, name: VersionName) -> CertificationReport:
        """The report of the newest certification of a version that came to a verdict, else of the newest of all.

        Raises:
            VersionNotFound: there is no such version.
            NotExamined: nobody has had it examined.
        """
        self._registry.version(call, name)
        session = self._examinations.newest(call, name)
        if session is None:
            raise NotExamined(f"{name} has not been examined", version=str(name))
        return self.report(call, session.id)

    def card(self, call: Call, name: VersionName) -> ModelCard:
        """The model card of a version.

        Raises:
            VersionNotFound: there is no such version.
        """
        dossier = self._dossier(call, self._registry.version(call, name))
        score = scored(dossier, solo=call.actor.solo)
        return card_of(dossier, score, solo=call.actor.solo)

    def test_score(self, call: Call, model: str) -> TestScore:
        """The ML Test Score of a model, by the version that answers as champion, else by its newest.

        Raises:
            ModelNotFound: the project has none of this name.
        """
        return scored(self._dossier(call, self._looked_at(call, model)), solo=call.actor.solo)

    def declare(self, call: Call, model: str, test: str, where: str, reason: str) -> TestScore:
        """Keep that people did by hand what a test asks; gives the score with it.

        Raises:
            ModelNotFound: the project has none of this name.
            NotYourModel: the caller neither owns the model nor has the right manage-models.
        """
        self._declarations.declare(call, model, test, where, reason)
        return self.test_score(call, model)

    def withdraw(self, call: Call, model: str, test: str, reason: str) -> TestScore:
        """Take back what was declared; gives the score without it.

        Raises:
            ModelNotFound: the project has none of this name.
            NotYourModel: the caller neither owns the model nor has the right manage-models.
            NotDeclared: it is not declared.
        """
        self._declarations.withdraw(call, model, test, reason)
        return self.test_score(call, model)

    def _looked_at(self, call: Call, model: str) -> Version:
        held = self._registry.model(call, model, limit=1)
        champions = {one.champion for one in self._releases.endpoints(call) if one.champion is not None}
        own = sorted((name for name in champions if name.model == model), key=lambda name: name.number)
        return self._registry.version(call, own[-1]) if own else held.versions[0]

    def _dossier(self, call: Call, version: Version) -> Dossier:
        name = version.name
        model = self._registry.model(call, name.model)
        certificate = self._certification.newest_certificate(call, version)
        if certificate is not None:
            self._certificates.require_as_signed(call, certificate)
        standard = self._standards.current(call)
        session = self._examinations.newest(call, name)
        with self._database.read() as tx:
            declared = self._declarations.of(tx, call.project, name.model)
        measures = self._sessions.measures(call, MeasuresAsked(model=name.model, slice=None), _MOST_MEASURES)
        return Dossier(
            now=self._clock.now(),
            version=version,
            bundle=self._registry.bundle(call, name),
            facts=model.facts,
            certificate=certificate,
            valid_until=self._valid_until(version, certificate, standard),
            standard=standard,
            examination=self._examinations.of(call, session) if session is not None and has_verdict(session) else None,
            measures=measures,
            review=self._reviews.review(call, name),
            servings=self._servings(call, name),
            replayed=self._examinations.replayed(call, name.model),
            tried=self._examinations.tried(call, name, measures),
            declarations=declared,
            versions=model.versions,
        )

    def _servings(self, call: Call, name: VersionName) -> tuple[Serving, ...]:
        releases = self._releases.releases_with(call, name)
        found = []
        for endpoint in dict.fromkeys(one.endpoint for one in releases):
            current = self._releases.current(call, endpoint)
            if current is not None:
                found.append(
                    Serving(
                        endpoint=endpoint,
                        current=self._releases.release(call, endpoint, current),
                        releases=tuple(one for one in releases if one.endpoint == endpoint),
                        history=self._releases.history(call, endpoint),
                    )
                )
        return tuple(found)

    def _valid_until(self, version: Version, certificate: Certificate | None, standard: InForce) -> datetime | None:
        if certificate is None:
            return None
        return valid_until(certificate, standard.standard.of_tier(self._standards.facts(version).tier))

    def _standard_then(self, call: Call, session: Session, certificate: Certificate | None) -> ReportedStandard:
        """The standard that the certificate names, else that held when the session began."""
        if certificate is not None and certificate.standard is not None:
            named = certificate.standard
            return ReportedStandard(name=named.name, number=named.number or None, digest=named.digest)
        moment = session.started_at or session.created_at
        adopted = [
            one
            for one in self._standards.standards(call)
            if one.state in _WERE_IN_FORCE and one.decided_at is not None and one.decided_at <= moment
        ]
        held = max(adopted, key=lambda one: (one.decided_at, one.number), default=None)
        if held is None:
            fallback = ready(NOTHING_ADOPTED)
            return ReportedStandard(name=fallback.name, number=None, digest=fallback.digest)
        return ReportedStandard(name=held.name, number=held.number, digest=held.digest)
