"""The services of a factory, over its database and its stores: what control and executor are made of."""

from dataclasses import asdict, dataclass

from muster.access.custom_roles import CustomRoles
from muster.access.groups import Groups
from muster.access.projects import Projects
from muster.access.service import Access
from muster.access.signing.federation import OidcSignIn
from muster.access.signing.passwords import Passwords
from muster.access.signing.service import SignIn
from muster.archive.consumers import Consumers
from muster.archive.depot import ArchiveStore
from muster.archive.export import Exports
from muster.archive.reader import Reader
from muster.archive.retention import Retention
from muster.archive.service import Exporting, Requests
from muster.archive.verify import Verifier
from muster.audit.journal import Journal
from muster.blobs.protocol import Blobs
from muster.bootstrap.archive_store import archive_store_of
from muster.bootstrap.governance import Governance, governance_of
from muster.bootstrap.home import Home
from muster.bootstrap.sign_in import sign_in_options
from muster.bootstrap.signed_certificates import environment_here, keys_of, signed_certificates_of
from muster.bootstrap.stores import blobs_of, environments_of
from muster.certificates.keys import Keys
from muster.certificates.notices import Notices
from muster.certificates.service import Certificates
from muster.certificates.signing import FactorySigner
from muster.certification.metrics import Metrics
from muster.certification.recorded import PastRows
from muster.certification.replay import Replays
from muster.certification.seals import Seals
from muster.certification.service import Certification
from muster.dossiers.service import Dossiers
from muster.environments.shelf import Shelf
from muster.evaluation_sets.service import EvaluationSets
from muster.livetests.rules import StandardRules
from muster.livetests.service import LiveTests
from muster.publishing.board import Board
from muster.registry.service import Registry
from muster.release.approvals import Approvals
from muster.release.champions import LiveChampions
from muster.release.passing import live_variants
from muster.release.service import Releases
from muster.release.simulation import Simulations
from muster.sessions.service import Sessions
from muster.storage.transaction import Database
from muster.training.service import Sources
from muster.training.version_profiles import VersionProfiles
from muster.vocabulary.clock import SystemClock


@dataclass(frozen=True, slots=True, kw_only=True)
class Factory:
    """Every service of a factory, joined."""

    home: Home
    database: Database
    journal: Journal
    board: Board
    blobs: Blobs
    environments: Shelf
    access: Access
    projects: Projects
    groups: Groups
    roles: CustomRoles
    sign_in: SignIn
    oidc: OidcSignIn
    registry: Registry
    sessions: Sessions
    certification: Certification
    keys: Keys
    certificates: Certificates
    notices: Notices
    governance: Governance
    approvals: Approvals
    releases: Releases
    live_tests: LiveTests
    reader: Reader
    requests: Requests
    past: PastRows
    evaluations: EvaluationSets
    metrics: Metrics
    champions: LiveChampions
    replays: Replays
    simulations: Simulations
    exporting: Exporting
    retention: Retention
    consumers: Consumers
    archive_store: ArchiveStore
    sources: Sources
    version_profiles: VersionProfiles
    dossiers: Dossiers


def factory_of(home: Home) -> Factory:
    """The services over a home's database, whose schema is up to date."""
    clock = SystemClock()
    database = Database(home.database_url)
    journal = Journal(home.audit_head, clock)
    board = Board(database, clock)
    blobs = blobs_of(home)
    environments = environments_of(home)
    solo = home.factory.solo
    access = Access(database, journal, board, clock, solo=solo)
    projects = Projects(database, journal, board, clock)
    signing = sign_in_options(home.settings.access, home.path)
    registry = Registry(
        database=database, journal=journal, blobs=blobs, clock=clock, scratch=home.scratch, members=access
    )
    sessions = Sessions(database=database, journal=journal, clock=clock)
    keys = keys_of(home, database, journal, clock)
    governance = governance_of(
        database=database,
        journal=journal,
        registry=registry,
        sessions=sessions,
        blobs=blobs,
        clock=clock,
        signer=FactorySigner(keys, home.factory.factory),
    )
    signed = signed_certificates_of(
        database=database,
        journal=journal,
        certification=governance.certification,
        registry=registry,
        sessions=sessions,
        keys=keys,
        environment_now=environment_here(environments, blobs, home.bundles),
        clock=clock,
    )
    seals = Seals(database, blobs)
    evaluations = EvaluationSets(database=database, journal=journal, blobs=blobs, registry=registry, clock=clock)
    archive_store = archive_store_of(home)
    reader = Reader(home.archive, archive_store)
    requests = Requests(reader, access, registry.owns)
    consumers = Consumers(database, access, clock)
    evaluations = EvaluationSets(database=database, journal=journal, blobs=blobs, registry=registry, clock=clock)
    releases = Releases(
        database=database,
        journal=journal,
        board=board,
        registry=registry,
        certification=governance.certification,
        judging=governance.judging,
        gates=governance.gates,
        clock=clock,
        solo=solo,
        consumers=access,
        uses=consumers,
    )
    projects.counted_by(
        lambda tx, project: asdict(registry.held_by(tx, project)),
        lambda tx, project: {"live_variants": live_variants(tx, project)},
    )
    return Factory(
        home=home,
        database=database,
        journal=journal,
        board=board,
        blobs=blobs,
        environments=environments,
        access=access,
        projects=projects,
        groups=Groups(database, journal, board, clock),
        roles=CustomRoles(database, journal, board, clock),
        sign_in=SignIn(
            database=database, journal=journal, board=board, clock=clock, options=signing, passwords=Passwords()
        ),
        oidc=OidcSignIn(database=database, journal=journal, board=board, clock=clock, options=signing),
        registry=registry,
        sessions=sessions,
        certification=governance.certification,
        keys=keys,
        certificates=signed.certificates,
        notices=signed.notices,
        governance=governance,
        approvals=Approvals(
            database=database,
            journal=journal,
            registry=registry,
            judging=governance.judging,
            gates=governance.gates,
            seals=seals,
        ),
        releases=releases,
        live_tests=LiveTests(
            database=database,
            journal=journal,
            registry=registry,
            releases=releases,
            sessions=sessions,
            rules=StandardRules(governance.standards),
            clock=clock,
        ),
        reader=reader,
        requests=requests,
        past=PastRows(reader=reader, endpoints=releases.endpoints_with),
        evaluations=evaluations,
        metrics=Metrics(database=database, sessions=sessions, blobs=blobs, evaluations=evaluations),
        champions=LiveChampions(database, registry),
        replays=Replays(
            database=database,
            journal=journal,
            sessions=sessions,
            registry=registry,
            requests=requests,
            reader=reader,
            blobs=blobs,
            bundles=home.bundles,
            environments=environments,
            logs=home.logs,
        ),
        simulations=Simulations(database, reader),
        exporting=Exporting(
            Exports(home.archive, archive_store),
            requests,
            lambda endpoint: Verifier(home.archive, archive_store, endpoint=endpoint),
            database,
            journal,
            foreign=releases.foreign_endpoints,
            require_endpoint=releases.endpoint,
        ),
        retention=Retention(
            database,
            journal,
            clock,
            require_endpoint=releases.endpoint,
            default_days=home.settings.archive.retention_days,
        ),
        consumers=consumers,
        archive_store=archive_store,
        sources=Sources(database, journal, clock, private=[home.path]),
        version_profiles=VersionProfiles(database, registry),
        dossiers=Dossiers(
            database=database,
            journal=journal,
            registry=registry,
            sessions=sessions,
            certification=governance.certification,
            certificates=signed.certificates,
            evaluations=evaluations,
            standards=governance.standards,
            reviews=governance.reviews,
            releases=releases,
            clock=clock,
        ),
    )
