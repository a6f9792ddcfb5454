"""Joins the rooms that govern: gates, standards, certification, release."""

from dataclasses import dataclass

from muster.advisories.service import Advisories
from muster.audit.journal import Journal
from muster.blobs.protocol import Blobs
from muster.bootstrap.standard_limits import StandardLimits
from muster.certificates.signing import FactorySigner
from muster.certification.demands import STANDARD_CHECK
from muster.certification.questions import KNOWN
from muster.certification.service import Certification
from muster.gates.delegations import Delegations
from muster.gates.service import Gates
from muster.gates.waivers import Waivers
from muster.registry.service import Registry
from muster.release.dry_run import DryRuns
from muster.release.judging import Judging
from muster.release.reviews import Reviews
from muster.sessions.service import Sessions
from muster.standards.document import CERTIFICATE, LIVE_TEST, REQUIREMENTS
from muster.standards.project_checks import ProjectChecks
from muster.standards.service import Standards
from muster.storage.transaction import Database
from muster.vocabulary.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Governance:
    """What versions and releases are judged by."""

    gates: Gates
    delegations: Delegations
    waivers: Waivers
    standards: Standards
    project_checks: ProjectChecks
    certification: Certification
    judging: Judging
    reviews: Reviews
    dry_runs: DryRuns
    advisories: Advisories


def governance_of(
    *,
    database: Database,
    journal: Journal,
    registry: Registry,
    sessions: Sessions,
    blobs: Blobs,
    clock: Clock,
    signer: FactorySigner | None = None,
) -> Governance:
    """The services that judge, over a database and a registry; certificates are signed, and known again, where there is a signer."""
    # What the check `standard` finds is waived one by one, by the names of what is lacking.
    waivable = {*KNOWN, *REQUIREMENTS, CERTIFICATE, LIVE_TEST} - {STANDARD_CHECK}
    gates, waivers = Gates(journal=journal, clock=clock), Waivers(journal=journal, clock=clock, names=waivable)
    standards = Standards(
        database=database,
        journal=journal,
        gates=gates,
        waivers=waivers,
        registry=registry,
        clock=clock,
        checks=KNOWN,
    )
    advisories = Advisories(database=database, journal=journal, registry=registry, blobs=blobs, clock=clock)
    certification = Certification(
        database=database,
        journal=journal,
        registry=registry,
        sessions=sessions,
        clock=clock,
        standard=StandardLimits(standards),
        signer=signer,
        advisories=advisories,
    )
    judging = Judging(
        journal=journal,
        registry=registry,
        certification=certification,
        standards=standards,
        gates=gates,
        waivers=waivers,
        clock=clock,
        doubt=None if signer is None else signer.doubt,
    )
    return Governance(
        gates=gates,
        delegations=Delegations(database=database, journal=journal, clock=clock),
        waivers=waivers,
        standards=standards,
        project_checks=ProjectChecks(database=database, journal=journal, registry=registry, clock=clock),
        certification=certification,
        judging=judging,
        reviews=Reviews(
            database=database,
            journal=journal,
            registry=registry,
            judging=judging,
            standards=standards,
            gates=gates,
            waivers=waivers,
        ),
        dry_runs=DryRuns(database=database, registry=registry, judging=judging, clock=clock),
        advisories=advisories,
    )
