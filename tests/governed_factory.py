"""The control plane's services over a real database, with people in every role, and fronts that do as they are told."""

from pathlib import Path

from known_figures import add_certificate
from made_bundles import made_zip
from muster.access import store as access_store
from muster.access.actor import Actor, Call
from muster.access.roles import AccessRole
from muster.access.service import Access
from muster.access.users import Grant, Profile, UserKind
from muster.audit.journal import Journal
from muster.blobs.local import LocalBlobs
from muster.bootstrap.governance import governance_of
from muster.certificates.keys import Keys
from muster.certificates.signing import FactorySigner
from muster.livetests.rules import StandardRules
from muster.livetests.service import LiveTests
from muster.publishing.board import Board, endpoint_subject
from muster.registry.records import Version
from muster.registry.service import Registry
from muster.release.approvals import Approvals
from muster.release.evolution import Uses
from muster.release.records import Proposal, Release
from muster.release.service import Releases
from muster.sessions.service import Sessions
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import FixedClock, rfc3339
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import VersionState
from muster.wire.plans import EndpointPlans, FrontReport

PEOPLE = {
    "ana": AccessRole.SCIENTIST,
    "sam": AccessRole.SCIENTIST,
    "paul": AccessRole.APPROVER,
    "petra": AccessRole.APPROVER,
    "piet": AccessRole.APPROVER,
    "olga": AccessRole.OPERATOR,
    "adele": AccessRole.ADMIN,
    "vic": AccessRole.VIEWER,
    "front": AccessRole.FRONT,
}
#: Applications; in the database of a `PeopledFactory` only.
CONSUMERS = ("shop", "web", "sandbox")


class Seconds:
    """Monotonic time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class GovernedFactory:
    """Everything that takes part, and shorthands for people's deeds."""

    def __init__(self, database: Database, folder: Path, clock: FixedClock, *, solo: bool = False) -> None:
        self.database = database
        self.folder = folder
        self.clock = clock
        self.solo = solo
        self.seconds = Seconds()
        self.head = folder / "head.jsonl"
        self.blobs = LocalBlobs(folder / "store")
        self._made = 0
        self._settle_people()
        self.start()

    def _settle_people(self) -> None:
        """Everybody has the same role in both projects; gates look at what the database says of them."""
        with self.database.write() as tx:
            if access_store.has_users(tx):
                return
            for name, role in PEOPLE.items():
                access_store.add_user(tx, Profile(name=name, kind=UserKind.PERSON, created_at=self.clock.now()))
                for project in ("default", "other"):
                    self.give_role(tx, name, role, project)

    def give_role(self, tx: Transaction, name: str, role: AccessRole, project: str = "default") -> None:
        """A role in place of what somebody has."""
        access_store.remove_grant(tx, name, project)
        grant = Grant(user=name, project=project, role=role, endpoints=("*",), granted_at=self.clock.now())
        access_store.add_grant(tx, grant)

    def open_books(self) -> None:
        """The journal, with its head file, and the board."""
        self.journal = Journal(self.head, self.clock)
        self.board = Board(self.database, self.clock)

    def start(self, members: Access | None = None, uses: Uses | None = None) -> None:
        """The services as a process that has just started has them.

        Args:
            members: tells who is still there, and who may score; None: it is not asked.
            uses: tells who has used an endpoint.
        """
        self.open_books()
        parts = {"database": self.database, "journal": self.journal, "clock": self.clock}
        self.registry = Registry(blobs=self.blobs, scratch=self.folder / "scratch", members=members, **parts)  # type: ignore[arg-type]
        self.sessions = Sessions(database=self.database, journal=self.journal, clock=self.clock)
        self.keys = Keys(folder=self.folder / "keys", **parts)  # type: ignore[arg-type]
        signer = FactorySigner(self.keys, "f-test")
        rooms = {"registry": self.registry, "sessions": self.sessions, "blobs": self.blobs}
        self.governance = governance_of(signer=signer, **rooms, **parts)  # type: ignore[arg-type]
        self.certification = self.governance.certification
        self.standards = self.governance.standards
        judges = {"judging": self.governance.judging, "gates": self.governance.gates}
        self.approvals = Approvals(
            database=self.database,
            journal=self.journal,
            registry=self.registry,
            **judges,  # type: ignore[arg-type]
        )
        self.releases = Releases(
            board=self.board,
            registry=self.registry,
            certification=self.certification,
            **judges,  # type: ignore[arg-type]
            solo=self.solo,
            monotonic=self.seconds,
            consumers=members,
            uses=uses,
            **parts,  # type: ignore[arg-type]
        )

        self.live_tests = LiveTests(
            registry=self.registry,
            releases=self.releases,
            sessions=self.sessions,
            rules=StandardRules(self.standards),
            **parts,  # type: ignore[arg-type]
        )

    def call(self, name: str, project: str = "default", **said: str) -> Call:
        """A call of somebody; everybody has the same role in every project."""
        role = AccessRole.CONSUMER if name in CONSUMERS else PEOPLE[name]
        roles = {"default": role, "other": role}
        actor = Actor(name=name, roles=roles, token_id=f"t-{name}", solo=self.solo)
        return Call(actor=actor, project=project, **said)

    def zip(self, **said: object) -> Path:
        """A new bundle, like no other unless its notes are the same as another's."""
        self._made += 1
        return made_zip(self.folder / f"bundle-{self._made}", **{"notes": f"bundle {self._made}", **said})

    def register(self, by: str = "ana", **said: object) -> Version:
        """A new version."""
        return self.registry.register(self.call(by), self.zip(**said))

    def accepted(self, by: str = "ana", p999_ms: float | None = 1.0, **said: object) -> Version:
        """A new version that has come as far as to be accepted, and was found to answer one row within so long."""
        version = self.register(by, **said)
        with self.database.write() as tx:
            self.registry.move(tx, version, VersionState.CERTIFIED)
            add_certificate(tx, version, self.clock, p999_ms)
        return self.approvals.accept(self.call("petra"), version.name, "good")

    def certified(self, by: str = "ana", **said: object) -> Version:
        """A new version at the gate of acceptance."""
        version = self.register(by, **said)
        with self.database.write() as tx:
            moved = self.registry.move(tx, version, VersionState.CERTIFIED)
            add_certificate(tx, version, self.clock)
        return moved

    def adopt(self, text: str) -> int:
        """A standard, proposed by ana and agreed to by as many as it takes; its number."""
        number = self.standards.propose(self.call("ana"), text, "as the bank wants it").number
        for name in ("petra", "paul", "adele"):
            if self.standards.approve(self.call(name), number, "so be it").state == "adopted":
                return number
        raise AssertionError("nobody is left who could adopt it")

    def propose(self, *versions: Version, endpoint: str = "churn", by: str = "ana", **said: object) -> Release:
        """A proposal: the first version as champion, the second as challenger, the others as canaries."""
        names = [version.name for version in versions]
        proposal = Proposal(champion=names[0], challengers=tuple(names[1:2]), canaries=tuple(names[2:]), **said)  # type: ignore[arg-type]
        return self.releases.propose(self.call(by), endpoint, proposal, "better")

    def approve(self, release: Release) -> Release:
        """The approver agrees."""
        return self.releases.approve(self.call("paul"), release.endpoint, release.number, "agreed")

    def live(self, *versions: Version, fronts: "tuple[ObedientFront, ...]", endpoint: str = "churn") -> Release:
        """A release that every front serves."""
        release = self.approve(self.propose(*versions, endpoint=endpoint))
        for _ in range(3):
            for front in fronts:
                front.follow()
        return self.releases.release(self.call("vic"), endpoint, release.number)

    def plans(self, endpoint: str = "churn") -> EndpointPlans:
        """What the fronts are told about an endpoint."""
        newest = self.board.newest(endpoint_subject(endpoint))
        assert newest is not None
        assert isinstance(newest.document, EndpointPlans)
        return newest.document

    def told(self, endpoint: str = "churn") -> tuple[int | None, int | None, int | None]:
        """Numbers of the releases that are served, loaded and kept warm."""
        plans = self.plans(endpoint)
        return tuple(plan and plan.release for plan in (plans.serving, plans.loading, plans.warm))  # type: ignore[return-value]

    def state(self, version: Version) -> VersionState:
        """The state of a version now."""
        return self.registry.version(self.call("vic"), version.name).state

    def events(self, subject: str | None = None) -> list[tuple[str, str]]:
        """Who did what."""
        with self.database.read() as tx:
            return [(entry.actor, entry.action) for entry in self.journal.entries(tx, 0, 1000, subject)]


class ObedientFront:
    """A front as control sees one: it polls, loads what it is told to, and says so."""

    def __init__(self, factory: GovernedFactory, name: str = "front-0") -> None:
        self.factory = factory
        self.name = name
        self.number = 0
        self.fails: dict[int, str] = {}
        """Releases that it cannot load, with what it says about them."""
        self.fails_trials: str = ""
        """What it says of versions on trial; empty: that it has loaded them."""

    def poll(self) -> None:
        """Be seen."""
        self.factory.releases.front_seen(self.factory.call("front"), self.name, self.number)

    def follow(self) -> None:
        """Poll, and do everything that is published now, whether it is new or not."""
        self.poll()
        news = self.factory.board.since(0)
        for publication in news.publications:
            if isinstance(publication.document, EndpointPlans):
                self._obey(publication.document, publication.number)
        self.number = news.number

    def _obey(self, plans: EndpointPlans, number: int) -> None:
        if plans.serving is not None:
            self.report(plans.endpoint, plans.serving.release, "serving", number)
        if plans.loading is not None:
            release = plans.loading.release
            if release in self.fails:
                self.report(plans.endpoint, release, "load_failed", number, self.fails[release])
            else:
                self.report(plans.endpoint, release, "loaded", number)

        if plans.shadow is not None:
            state = "golden_failed" if self.fails_trials else "loaded"
            release, trial = plans.shadow.release, plans.shadow.live_test
            self.report(plans.endpoint, release, state, number, self.fails_trials, trial)

    def report(
        self, endpoint: str, release: int, state: str, number: int, message: str = "", live_test: int = 0
    ) -> None:
        """Tell control."""
        at = rfc3339(self.factory.clock.now())
        report = FrontReport(self.name, endpoint, release, state, at, message, number, live_test)  # type: ignore[arg-type]
        self.factory.releases.reported(self.factory.call("front"), report)


def name(text: str) -> VersionName:
    """`churn:3`."""
    return VersionName.parse(text)
