"""The services that the API calls, as bootstrap hands them over, and how handlers are given them."""

from dataclasses import dataclass, field
from pathlib import Path

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from muster.access.actor import Call
from muster.access.custom_roles import CustomRoles
from muster.access.groups import Groups
from muster.access.projects import Projects
from muster.access.service import Access
from muster.access.signing.federation import OidcSignIn
from muster.access.signing.service import SignIn
from muster.advisories.service import Advisories
from muster.api.following import Following
from muster.api.metrics import ControlCounts
from muster.api.threads import WaitingThreads
from muster.archive.consumers import Consumers
from muster.archive.retention import Retention
from muster.archive.service import Exporting, Requests
from muster.audit.journal import Journal
from muster.catalogue.service import Catalogue
from muster.certificates.keys import Keys
from muster.certificates.notices import Notices
from muster.certificates.service import Certificates
from muster.certification.metrics import Metrics
from muster.certification.replay import Replays
from muster.certification.service import Certification
from muster.dossiers.service import Dossiers
from muster.evaluation_sets.service import EvaluationSets
from muster.gates.delegations import Delegations
from muster.livetests.service import LiveTests
from muster.publishing.board import Board
from muster.registry.service import Registry
from muster.release.approvals import Approvals
from muster.release.dry_run import DryRuns
from muster.release.resolving import References
from muster.release.reviews import Reviews
from muster.release.service import Releases
from muster.release.simulation import Simulations
from muster.sessions.service import Sessions
from muster.standards.project_checks import ProjectChecks
from muster.standards.service import Standards
from muster.storage.transaction import Database
from muster.training.service import Sources
from muster.training.version_profiles import VersionProfiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """One factory's services."""

    factory: str
    """The factory's id."""
    solo: bool
    """It is for one person: every answer says so."""
    access: Access
    projects: Projects
    groups: Groups
    roles: CustomRoles
    sign_in: SignIn
    oidc: OidcSignIn
    registry: Registry
    sessions: Sessions
    certification: Certification
    evaluations: EvaluationSets
    metrics: Metrics
    keys: Keys
    certificates: Certificates
    notices: Notices
    advisories: Advisories
    standards: Standards
    project_checks: ProjectChecks
    reviews: Reviews
    delegations: Delegations
    dry_runs: DryRuns
    approvals: Approvals
    releases: Releases
    live_tests: LiveTests
    references: References
    catalogue: Catalogue
    dossiers: Dossiers
    requests: Requests
    replays: Replays
    simulations: Simulations
    exporting: Exporting
    retention: Retention
    consumers: Consumers
    sources: Sources
    version_profiles: VersionProfiles
    journal: Journal
    board: Board
    database: Database
    audit_head: Path | None
    """The file that holds the audit head outside the database."""
    uploads: Path
    """Folder for bundles that are being received; on a disk with room for them."""
    upload_bytes: int
    """Largest bundle that is taken, bytes."""
    scoring_url: str | None
    """Where this factory's own front takes requests."""
    counts: ControlCounts = field(default_factory=ControlCounts)
    metrics_token: str = ""
    """What callers of `/metrics` have to send; empty: callers of this machine need nothing, others may not."""


# Handed over as they are: the framework would otherwise check and copy them for every request.
Given = NamedDependency[SkipValidation[Services]]
Caller = NamedDependency[SkipValidation[Call]]
Waiting = NamedDependency[SkipValidation[Following]]
Threads = NamedDependency[SkipValidation[WaitingThreads]]
