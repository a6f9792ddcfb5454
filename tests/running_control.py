"""A control plane for tests: every real service over a real database, behind a real uvicorn on 127.0.0.1."""

import shutil
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

import httpx
import msgspec
import pytest

from known_figures import add_certificate
from muster.access.actor import Call
from muster.access.custom_roles import CustomRoles
from muster.access.groups import Groups
from muster.access.projects import Projects
from muster.access.service import Access
from muster.access.signing.federation import OidcSignIn
from muster.access.signing.options import SignInOptions
from muster.access.signing.passwords import Passwords
from muster.access.signing.service import SignIn
from muster.api.app import create_app
from muster.api.server import ControlServer
from muster.api.services import Services
from muster.archive.consumers import Consumers
from muster.archive.export import Exports
from muster.archive.reader import Reader
from muster.archive.retention import Retention
from muster.archive.service import Exporting, Requests
from muster.archive.verify import Verifier
from muster.audit.journal import Journal
from muster.blobs.local import LocalBlobs
from muster.bootstrap.governance import governance_of
from muster.bootstrap.signed_certificates import environment_here, signed_certificates_of
from muster.catalogue.service import Catalogue
from muster.certificates.keys import Keys
from muster.certificates.signing import FactorySigner
from muster.certification.examination import Examination
from muster.certification.metrics import Metrics
from muster.certification.replay import Replays
from muster.client.control import Factory
from muster.client.transport import Transport
from muster.dossiers.service import Dossiers
from muster.environments.shelf import Shelf
from muster.evaluation_sets.service import EvaluationSets
from muster.livetests.rules import StandardRules
from muster.livetests.service import LiveTests
from muster.publishing.board import Board
from muster.registry.service import Registry
from muster.release.approvals import Approvals
from muster.release.passing import live_variants
from muster.release.resolving import References
from muster.release.service import Releases
from muster.release.simulation import Simulations
from muster.sessions.records import CERTIFICATION, REPLAY
from muster.sessions.service import Sessions
from muster.storage.transaction import Database
from muster.training.service import Sources
from muster.training.version_profiles import VersionProfiles
from muster.vocabulary.clock import SystemClock, rfc3339
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import VersionState
from muster.wire.plans import EndpointPlans, FrontReport, Publications, ServingPlan, Shadow
from small_bundles import SmallBundles

PEOPLE = {
    "ana": "scientist",
    "ben": "approver",
    "olga": "operator",
    "vera": "viewer",
    "shop": "consumer",
}


@dataclass
class Control:
    """A control plane that answers."""

    url: str
    services: Services
    home: Path
    server: ControlServer
    examination: Examination
    tokens: dict[str, str] = field(default_factory=dict)

    def as_(self, name: str) -> Factory:
        """The client of one person; its connection is closed when nobody has it any more."""
        transport = Transport(self.url, self.tokens[name], timeout_s=30)
        factory = Factory(transport)
        weakref.finalize(factory, transport.close)
        return factory

    def http(self, name: str | None = None, **headers: str) -> httpx.Client:
        """Plain HTTP, as somebody or as nobody."""
        if name is not None:
            headers["Authorization"] = f"Bearer {self.tokens[name]}"
        # Without certificates, which nobody asks for here: to load them takes 50 ms for each client.
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False, verify=False)

    def call(self, name: str = "admin") -> Call:
        """A call of a service, past the door."""
        return Call(actor=self.services.access.identify(self.tokens[name]))

    def put_into(self, version: str, *states: VersionState) -> None:
        """Move a version on without its gates, for tests that are not about them."""
        services = self.services
        with services.database.write() as tx:
            for state in states:
                held = services.registry.version_in(tx, "default", VersionName.parse(version))
                services.registry.move(tx, held, state)
                if state is VersionState.CERTIFIED:
                    add_certificate(tx, held, SystemClock(), signer=FactorySigner(services.keys, "f-test"))

    def accepted(self, bundle: Path) -> str:
        """Register a bundle as ana and have it accepted; the version."""
        version = self.as_("ana").register(bundle).version
        self.put_into(version, VersionState.CERTIFIED, VersionState.ACCEPTED)
        return version

    def work_off(self) -> None:
        """Do the work of every queued session, as the executor does."""
        services = self.services
        while session := services.sessions.claim("executor", (CERTIFICATION, REPLAY)):
            if session.kind == REPLAY:
                services.replays.run(session, partial(services.sessions.say, session))
            else:
                services.certification.run(session, partial(services.sessions.say, session), self.examination)

    @contextmanager
    def working(self) -> Iterator[None]:
        """An executor beside the test."""
        ended = threading.Event()

        def work() -> None:
            while not ended.wait(0.02):
                self.work_off()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


@contextmanager
def running_control(
    database: Database,
    home: Path,
    *,
    solo: bool = False,
    upload_bytes: int = 1 << 26,
    port: int = 0,
    signing: SignInOptions | None = None,
    passwords: Passwords | None = None,
) -> Iterator[Control]:
    """A control plane over a migrated database, with one person of every role."""
    for folder in ("uploads", "archive/spool", "archive/parquet", "audit", "logs"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    services, examination = _services(
        database, home, solo=solo, upload_bytes=upload_bytes, signing=signing or SignInOptions(), passwords=passwords
    )
    first = services.access.bootstrap()
    listener = socket.socket()
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    app = create_app(services)
    server = ControlServer(app)
    ticking = threading.Event()
    threads = [
        threading.Thread(target=server.run, kwargs={"sockets": [listener]}),
        threading.Thread(target=_tick, args=(services.releases, ticking)),
    ]
    for thread in threads:
        thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    control = Control(url, services, home, server, examination)
    assert first.admin.token is not None
    assert first.front.token is not None
    control.tokens |= {"admin": first.admin.token, "front": first.front.token}
    for name, role in PEOPLE.items():
        made = services.access.add_user(control.call(), name, role)
        assert made.token is not None
        control.tokens[name] = made.token
    wait_for(lambda: server.started)
    try:
        yield control
    finally:
        ticking.set()
        server.should_exit = True
        for thread in threads:
            thread.join(30)
        listener.close()


def _tick(releases: Releases, ended: threading.Event) -> None:
    while not ended.wait(0.5):
        releases.advance()


def _services(
    database: Database,
    home: Path,
    *,
    solo: bool,
    upload_bytes: int,
    signing: SignInOptions,
    passwords: Passwords | None,
) -> tuple[Services, Examination]:
    clock = SystemClock()
    head = home / "audit" / "head.jsonl"
    journal, board = Journal(head, clock), Board(database, clock)
    access = Access(database, journal, board, clock, solo=solo)
    blobs = LocalBlobs(home / "store")
    environments = Shelf(home / "environments", home / "uv-cache", blobs)
    registry = Registry(
        database=database, journal=journal, blobs=blobs, clock=clock, scratch=home / "uploads", members=access
    )
    sessions = Sessions(database=database, journal=journal, clock=clock)
    keys = Keys(database=database, journal=journal, clock=clock, folder=home / "keys")
    governance = governance_of(
        database=database,
        journal=journal,
        registry=registry,
        sessions=sessions,
        blobs=blobs,
        clock=clock,
        signer=FactorySigner(keys, "f-test"),
    )
    certification = governance.certification
    signed = signed_certificates_of(
        database=database,
        journal=journal,
        certification=certification,
        registry=registry,
        sessions=sessions,
        keys=keys,
        environment_now=environment_here(environments, blobs, home / "bundles"),
        clock=clock,
    )
    judges = {"judging": governance.judging, "gates": governance.gates}
    evaluations = EvaluationSets(database=database, journal=journal, blobs=blobs, registry=registry, clock=clock)
    reader = Reader(home / "archive")
    requests = Requests(reader, access, registry.owns)
    sources = Sources(database, journal, clock, private=[home])
    evaluations = EvaluationSets(database=database, journal=journal, blobs=blobs, registry=registry, clock=clock)
    examination = Examination(
        blobs=blobs,
        environments=environments,
        bundles=home / "bundles",
        logs=home / "logs",
        sources=sources.of,
        evaluations=evaluations,
    )
    releases = Releases(
        database=database,
        journal=journal,
        board=board,
        registry=registry,
        certification=certification,
        **judges,  # type: ignore[arg-type]
        clock=clock,
        solo=solo,
        consumers=access,
    )
    projects = Projects(database, journal, board, clock)
    projects.counted_by(
        lambda tx, project: asdict(registry.held_by(tx, project)),
        lambda tx, project: {"live_variants": live_variants(tx, project)},
    )
    services = Services(
        factory="f-test",
        solo=solo,
        access=access,
        projects=projects,
        groups=Groups(database, journal, board, clock),
        roles=CustomRoles(database, journal, board, clock),
        sign_in=SignIn(
            database=database,
            journal=journal,
            board=board,
            clock=clock,
            options=signing,
            passwords=passwords or Passwords(memory_kib=1024, passes=1),
        ),
        oidc=OidcSignIn(database=database, journal=journal, board=board, clock=clock, options=signing),
        registry=registry,
        sessions=sessions,
        certification=certification,
        evaluations=evaluations,
        metrics=Metrics(database=database, sessions=sessions, blobs=blobs, evaluations=evaluations),
        keys=keys,
        certificates=signed.certificates,
        notices=signed.notices,
        advisories=governance.advisories,
        standards=governance.standards,
        reviews=governance.reviews,
        delegations=governance.delegations,
        dry_runs=governance.dry_runs,
        project_checks=governance.project_checks,
        approvals=Approvals(database=database, journal=journal, registry=registry, **judges),  # type: ignore[arg-type]
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
        references=References(database, registry),
        catalogue=Catalogue(database),
        dossiers=Dossiers(
            database=database,
            journal=journal,
            registry=registry,
            sessions=sessions,
            certification=certification,
            certificates=signed.certificates,
            evaluations=evaluations,
            standards=governance.standards,
            reviews=governance.reviews,
            releases=releases,
            clock=clock,
        ),
        requests=requests,
        replays=Replays(
            database=database,
            journal=journal,
            sessions=sessions,
            registry=registry,
            requests=requests,
            reader=reader,
            blobs=blobs,
            bundles=home / "bundles",
            environments=environments,
            logs=home / "logs",
        ),
        simulations=Simulations(database, reader),
        exporting=Exporting(
            Exports(home / "archive"),
            requests,
            lambda endpoint: Verifier(home / "archive", endpoint=endpoint),
            database,
            journal,
            foreign=releases.foreign_endpoints,
            require_endpoint=releases.endpoint,
        ),
        retention=Retention(database, journal, clock, require_endpoint=releases.endpoint),
        consumers=Consumers(database, access, clock),
        sources=sources,
        version_profiles=VersionProfiles(database, registry),
        journal=journal,
        board=board,
        database=database,
        audit_head=head,
        uploads=home / "uploads",
        upload_bytes=upload_bytes,
        scoring_url=None,
    )
    return services, examination


@pytest.fixture(scope="module")
def control(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    """A control plane for the tests of a module, on SQLite."""
    home = tmp_path_factory.mktemp("control")
    shutil.copyfile(sqlite_template, home / "muster.db")
    database = Database(f"sqlite:///{home / 'muster.db'}")
    with running_control(database, home) as running:
        yield running
    database.close()


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> SmallBundles:
    """Makes bundles."""
    return SmallBundles(tmp_path_factory.mktemp("bundles"))


def wait_for(what: Callable[[], Any], within_s: float = 20.0) -> Any:
    """The first true value of `what`."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {within_s} s")


class FollowingFront:
    """A front without hosts: follows control over HTTP and reports, as a real one does.

    Args:
        control: what it follows.
        name: its own.
        loads: whether it can load what it is told to.
    """

    def __init__(self, control: Control, name: str = "front-0", *, loads: bool = True) -> None:
        self._control = control
        self._name = name
        self._loads = loads
        self._ended = threading.Event()
        self.serving: dict[str, int] = {}
        self._reported: set[tuple[str, int, str, int]] = set()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        with self._control.http("front") as http:
            while not self._ended.is_set():
                query: dict[str, str | float] = {"front": self._name, "after": number, "wait": 0.5}
                answer = http.get("/api/v1/follow", params=query)
                answer.raise_for_status()
                news = msgspec.json.decode(answer.content, type=Publications)
                number = news.number
                for publication in news.publications:
                    if isinstance(publication.document, EndpointPlans):
                        self._take(http, publication.document, publication.number)

    def _take(self, http: httpx.Client, plans: EndpointPlans, number: int) -> None:
        if plans.loading is not None:
            self._report(http, plans.loading, "loaded" if self._loads else "golden_failed", number)
        if plans.shadow is not None:
            self._report_shadow(http, plans.endpoint, plans.shadow, number)
        if plans.serving is not None:
            self.serving[plans.endpoint] = plans.serving.release
            self._report(http, plans.serving, "serving", number)

    def _report_shadow(self, http: httpx.Client, endpoint: str, shadow: Shadow, number: int) -> None:
        state = "loaded" if self._loads else "golden_failed"
        report = FrontReport(
            self._name, endpoint, shadow.release, state, rfc3339(SystemClock().now()),  # type: ignore[arg-type]
            "" if self._loads else "answers differ", number, shadow.live_test,
        )  # fmt: skip
        http.post("/api/v1/fronts/reports", content=msgspec.json.encode(report)).raise_for_status()

    def _report(self, http: httpx.Client, plan: ServingPlan, state: str, number: int) -> None:
        report = FrontReport(
            self._name, plan.endpoint, plan.release, state, rfc3339(SystemClock().now()),  # type: ignore[arg-type]
            "answers differ" if state == "golden_failed" else "", number,
        )  # fmt: skip
        http.post("/api/v1/fronts/reports", content=msgspec.json.encode(report)).raise_for_status()
