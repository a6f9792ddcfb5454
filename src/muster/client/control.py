"""`muster.connect`: a factory's control plane, with the verbs of the CLI.

    factory = muster.connect("http://localhost:8600", token="mst_…")
    version = factory.register("bundles/churn")
    if factory.certify(version).passed: ...

Every method is one call of the REST API and returns its document, frozen and typed. Errors are those of
`vocabulary.errors`, with the code and the facts that the factory gave.
"""

import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec
from msgspec.structs import replace

from muster.client.advisories import Advisories
from muster.client.catalogue import Catalogue
from muster.client.certificates import Certificates
from muster.client.dossiers import Dossiers
from muster.client.durations import Duration, milliseconds_of
from muster.client.errors import AnswerLate, TargetExists, WorkInterrupted
from muster.client.evaluations import Evaluations
from muster.client.evolution import Evolution
from muster.client.governance import Governance
from muster.client.livetests import LiveTesting
from muster.client.login import find_login
from muster.client.orders import moment as _moment
from muster.client.orders import order_of as _order
from muster.client.own_checks import OwnChecks
from muster.client.pages import pages
from muster.client.people import People
from muster.client.sign_in import SigningIn
from muster.client.training import Training
from muster.client.transport import FileBody, Transport
from muster.vocabulary.names import DEFAULT_PROJECT, VersionName, checked_name
from muster.vocabulary.pages import MOST
from muster.vocabulary.request_ids import request_id_bytes, request_id_text
from muster.vocabulary.states import OPEN_SESSIONS, ReleaseState, SessionState
from muster.wire import control
from muster.wire.plans import RequestLimits

Document = TypeVar("Document")
AnyPolicy = Mapping[str, Any] | control.FirstOrder | control.VoteOrder | control.WeightedOrder | control.SplitOrder
AnyVersion = str | VersionName | control.Version | control.VersionSummary
_PATIENCE_S = 3600.0  # an environment may have to be built
_LIVE_PATIENCE_S = 120.0
_PAUSES_S = (0.05, 0.1, 0.2, 0.4)  # between two looks at a session; the last one repeats
_WAIT_S = 20.0


def connect(
    url: str | None = None,
    token: str | None = None,
    *,
    project: str = DEFAULT_PROJECT,
    timeout_s: float = 30.0,
    transport: httpx.BaseTransport | None = None,
) -> "Factory":
    """A factory to work with; nothing is sent yet.

    Args:
        url: address of its control plane; None: MUSTER_URL, the saved login, what runs in MUSTER_HOME, or
            http://127.0.0.1:8600.
        token: who you are there; None: MUSTER_TOKEN, the saved login, or the admin token of MUSTER_HOME if you can
            read it.
        project: the project that names belong to.
        timeout_s: how long one answer may take.
        transport: httpx's own, for tests; None: the network.
    """
    login = find_login(url, token)
    return Factory(Transport(login.url, login.token, timeout_s=timeout_s, transport=transport), project=project)


class Factory(
    People,
    SigningIn,
    Catalogue,
    Evaluations,
    Evolution,
    Governance,
    Training,
    LiveTesting,
    Certificates,
    Dossiers,
    Advisories,
    OwnChecks,
):
    """A factory's control plane, as one caller in one project sees it."""

    def __init__(self, transport: Transport, *, project: str = DEFAULT_PROJECT) -> None:
        self._transport = transport
        self._project = f"/api/v1/projects/{checked_name(project, of='project')}"

    @property
    def url(self) -> str:
        """Where the factory is."""
        return self._transport.url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._transport.close()

    # The factory.

    def health(self) -> control.Health:
        """That it runs; takes no token."""
        return self._transport.get("/api/v1/health", control.Health)

    def whoami(self) -> control.Identity:
        """Who the token says you are."""
        return self._transport.get("/api/v1/whoami", control.Identity)

    def fronts(self) -> control.Fronts:
        """The fronts that are connected now."""
        return self._transport.get("/api/v1/fronts", control.Fronts)

    # Models and versions.

    def register(self, path: str | Path, *, model: str | None = None) -> control.Version:
        """Register a bundle: a folder, or the zip that `muster pack` made of it.

        The same bytes again are the same version.

        Args:
            path: of the folder or zip.
            model: under which model; None: the name in its `muster.toml`.
        """
        if model is not None:
            checked_name(model, of="model")
        source = Path(path)
        if not source.is_dir():
            return self._upload(source, model)
        with tempfile.TemporaryDirectory(prefix="muster-register-") as folder:
            from muster.packaging.bundle import pack  # noqa: PLC0415 - brings NumPy, and few callers register folders

            packed = Path(folder) / "bundle.zip"
            pack(source, packed)
            return self._upload(packed, model)

    def _upload(self, file: Path, model: str | None) -> control.Version:
        return self._transport.post(
            f"{self._project}/versions", control.Version, FileBody(file=file), wait_s=600.0, model=model
        )

    def models(self, *, limit: int | None = None, after: str | None = None) -> control.Models:
        """The models of the project, by name.

        Args:
            limit: how many at most; None: all, fetched page by page.
            after: the `next` of the page before.
        """
        path = f"{self._project}/models"
        first = self._transport.get(path, control.Models, limit=limit or MOST, after=after)
        if limit is not None:
            return first
        every = pages(self._transport, path, first)
        return replace(first, models=tuple(one for page in every for one in page.models), next=None)

    def model(self, name: str, *, limit: int | None = None, after: int | None = None) -> control.Model:
        """A model and its versions, the newest first.

        Args:
            name: of the model.
            limit: how many versions at most; None: all, fetched page by page.
            after: the `next` of the page before.
        """
        path = f"{self._project}/models/{checked_name(name, of='model')}"
        first = self._transport.get(path, control.Model, limit=limit or MOST, after=after)
        if limit is not None:
            return first
        every = pages(self._transport, path, first)
        return replace(first, versions=tuple(one for page in every for one in page.versions), next=None)

    def version(self, version: AnyVersion) -> control.Version:
        """A version: what it is and where it is in its life."""
        return self._transport.get(self._path_of(version), control.Version)

    def manifest(self, version: AnyVersion) -> control.Manifest:
        """A version's manifest."""
        return self._transport.get(f"{self._path_of(version)}/manifest", control.Manifest)

    def download(self, version: AnyVersion, file: str, target: str | Path) -> Path:
        """Write a file of a version to disk; its bytes are verified on the way."""
        path = Path(target)
        self._transport.download(f"{self._path_of(version)}/files/{quote(file)}", path)
        return path

    def diff(self, before: AnyVersion, after: AnyVersion) -> control.VersionDiff:
        """How one version differs from another."""
        return self._transport.get(
            f"{self._path_of(after)}/diff", control.VersionDiff, against=str(_version_name(before))
        )

    def sbom(self, version: AnyVersion) -> dict[str, Any]:
        """What a version consists of: a CycloneDX 1.6 document, made from the seal of its newest certificate."""
        return self._transport.get(f"{self._path_of(version)}/sbom", control.Bill).bom

    def package_rules(self) -> control.PackageRules:
        """Which packages the project trusts."""
        return self._transport.get(f"{self._project}/packages", control.PackageRules)

    def set_package_rules(self, rules: str, reason: str) -> control.PackageRules:
        """Say in TOML which packages the project trusts; certifications from now on go by it."""
        order = _order(control.PackageRulesOrder, rules=rules, reason=reason)
        return self._transport.post(f"{self._project}/packages", control.PackageRules, order)

    def certify(
        self,
        version: AnyVersion,
        *,
        twin: bool = False,
        twin_tolerance: Mapping[str, float] | None = None,
        wait: bool = True,
        progress: Callable[[control.Session], None] | None = None,
        patience_s: float = _PATIENCE_S,
    ) -> control.Certification:
        """Have a version examined; a failed check is an answer, not an error.

        Args:
            version: which.
            twin: make a compiled twin as well, and hold it against the version.
            twin_tolerance: how far its answers may lie from the version's: `{"abs": 1e-6}`; None: as far as those to the
                golden rows may.
            wait: until it is done; otherwise the answer names the session, and `passed` is false for now.
            progress: called with the session whenever it has changed.
            patience_s: how long to wait at most.

        Raises:
            AnswerLate: it is not done after `patience_s`; it goes on.
            WorkInterrupted: it was cancelled, or came to nothing: there is no verdict.
        """
        tolerance = twin_tolerance or {}
        session = self._transport.post(
            f"{self._path_of(version)}/certify",
            control.Session,
            twin="true" if twin else None,
            twin_abs=tolerance.get("abs") if twin else None,
            twin_rel=tolerance.get("rel") if twin else None,
        )
        if wait:
            session = self._finished(session, progress, patience_s)
        found = session.result or {}
        return control.Certification(
            version=str(_version_name(version)),
            passed=session.state is SessionState.PASSED,
            checks=msgspec.convert(found.get("checks", ()), tuple[control.Check, ...]),
            session=session.id,
            state=session.state,
            solo=session.solo,
        )

    def accept(self, version: AnyVersion, reason: str, *, for_person: str | None = None) -> control.Version:
        """Say yes to a certified version; with the last approval that is needed it is accepted. Never one's own work.

        Args:
            version: which.
            reason: why.
            for_person: who is absent, and in whose place you vote; None: nobody.
        """
        order = _order(control.AcceptanceOrder, reason=reason, for_person=for_person)
        return self._transport.post(f"{self._path_of(version)}/accept", control.Version, order)

    def retire(self, version: AnyVersion, reason: str) -> control.Version:
        """End a version's life: new releases refuse it."""
        return self._reasoned(f"{self._path_of(version)}/retire", control.Version, reason)

    def ban(self, version: AnyVersion, reason: str) -> control.Version:
        """Say that a version should not be used: serving stops within a second, new releases refuse it."""
        return self._reasoned(f"{self._path_of(version)}/ban", control.Version, reason)

    # Endpoints and releases.

    def endpoints(self, *, limit: int | None = None, after: str | None = None) -> control.Endpoints:
        """The endpoints of the project, by name.

        Args:
            limit: how many at most; None: all, fetched page by page.
            after: the `next` of the page before.
        """
        path = f"{self._project}/endpoints"
        first = self._transport.get(path, control.Endpoints, limit=limit or MOST, after=after)
        if limit is not None:
            return first
        every = pages(self._transport, path, first)
        return replace(first, endpoints=tuple(one for page in every for one in page.endpoints), next=None)

    def propose(
        self,
        endpoint: str,
        *,
        champion: AnyVersion,
        reason: str,
        challengers: Iterable[AnyVersion] = (),
        canaries: Iterable[AnyVersion] = (),
        twins: Iterable[AnyVersion] = (),
        order: Iterable[AnyVersion] | None = None,
        policy: AnyPolicy | None = None,
        deadline: Duration | None = None,
        patience: Duration | Mapping[str, Duration] | None = None,
        default: dict[str, Any] | None = None,
        archive_level: Literal["sync", "group", "async"] = "group",
        archive_full: Literal["refuse", "drop"] = "refuse",
        limits: RequestLimits | None = None,
    ) -> control.Release:
        """Propose who shall answer at an endpoint; the first proposal makes the endpoint.

        Args:
            endpoint: its name, the same for consumers for ever.
            champion: the version whose answer is given.
            reason: why.
            challengers: versions that answer every request, too, but are given out only if `order` names them.
            canaries: earlier versions as a baseline; they stand in for the champion.
            twins: those of these versions in whose place their compiled twins are served.
            order: whose answer is preferred, first to last; None: the champion, then the canaries, or whom the policy names.
            policy: how one of the answers is chosen, as a document: `{"name": "vote", "output": "label", "wait_ms": 40}`,
                `{"name": "weighted", "weights": {"churn:3": 0.7, "churn:2": 0.3}, "outputs": ["score"]}`,
                `{"name": "split", "field": "customer_id", "steps": [{"churn:3": 0.95, "churn:4": 0.05}, …]}`, or one of
                `wire.control`; None: `first`.
            deadline: within which every request is answered: `100ms`, a `timedelta`, or milliseconds; None: 100 ms.
            patience: how long a preferred version is waited for, or how long each is that is named; None: 60 % of the deadline.
            default: one value per output, given when no version answers in time; None: such requests get an error.
            archive_level: when a decision record is on disk: `sync`, `group` or `async`.
            archive_full: when no record can be written, `refuse` the request, or answer it and `drop` the record.
            limits: what one request may ask at most; None: the defaults.
        """
        body = _order(
            control.ProposalOrder,
            champion=str(_version_name(champion)),
            challengers=_names(challengers),
            canaries=_names(canaries),
            twins=_names(twins),
            order=None if order is None else _names(order),
            deadline_ms=None if deadline is None else milliseconds_of(deadline),
            patience_ms=_patience_ms(patience),
            policy=control.FirstOrder() if policy is None else policy,
            default=default,
            archive_level=archive_level,
            archive_full=archive_full,
            limits=limits,
            reason=reason,
        )
        return self._transport.post(f"{self._endpoint(endpoint)}/releases", control.Release, body)

    def approve(
        self,
        endpoint: str,
        release: int,
        reason: str,
        *,
        wait: bool = True,
        progress: Callable[[control.Release], None] | None = None,
        patience_s: float = _LIVE_PATIENCE_S,
        at: datetime | str | None = None,
        for_person: str | None = None,
    ) -> control.Release:
        """Say yes to a release; with the last approval that is needed it goes live. Never one's own work.

        Args:
            endpoint: of the release.
            release: its number.
            reason: why.
            wait: until every connected front serves it, or one of them cannot (then its state is `failed`).
            progress: called with the release whenever it was looked at.
            patience_s: how long to wait; after it the release is returned as it is, `approved`.
            at: not before this moment, and then it is not waited for; None: at once.
            for_person: who is absent, and in whose place you vote; None: nobody.
        """
        wait = wait and at is None
        path = self._release(endpoint, release)
        first_wait_s = min(_WAIT_S, patience_s) if wait and progress is None else 0.0
        order = _order(control.ApprovalOrder, reason=reason, wait_s=first_wait_s, at=_moment(at), for_person=for_person)
        deadline = time.monotonic() + patience_s
        found = self._transport.post(f"{path}/approve", control.Release, order, wait_s=first_wait_s)
        wait = wait and found.live_from is None
        while wait and found.state is ReleaseState.APPROVED and (left_s := deadline - time.monotonic()) > 0:
            if progress is not None:
                progress(found)
            wait_s = min(_WAIT_S if progress is None else 1.0, left_s)
            found = self._transport.get(path, control.Release, wait_s=wait_s, wait=wait_s)
        if progress is not None:
            progress(found)
        return found

    def reject(self, endpoint: str, release: int, reason: str) -> control.Release:
        """Turn a proposed release down."""
        return self._reasoned(f"{self._release(endpoint, release)}/reject", control.Release, reason)

    def withdraw(self, endpoint: str, release: int, reason: str) -> control.Release:
        """Take a release back that is not live yet."""
        return self._reasoned(f"{self._release(endpoint, release)}/withdraw", control.Release, reason)

    def releases(self, endpoint: str, *, limit: int | None = None, after: int | None = None) -> control.Releases:
        """The releases of an endpoint, the newest first.

        Args:
            endpoint: whose.
            limit: how many at most; None: all, fetched page by page.
            after: the `next` of the page before.
        """
        path = f"{self._endpoint(endpoint)}/releases"
        first = self._transport.get(path, control.Releases, limit=limit or MOST, after=after)
        if limit is not None:
            return first
        every = pages(self._transport, path, first)
        return replace(first, releases=tuple(one for page in every for one in page.releases), next=None)

    def release(self, endpoint: str, release: int) -> control.Release:
        """One release, with its serving plan."""
        return self._transport.get(self._release(endpoint, release), control.Release)

    def step(self, endpoint: str, release: int, step: int, reason: str) -> control.Release:
        """Move the current release to a step of the ramp that was approved with it; the first step is 0."""
        order = _order(control.StepOrder, step=step, reason=reason)
        return self._transport.post(f"{self._release(endpoint, release)}/step", control.Release, order)

    def simulate(
        self,
        endpoint: str,
        release: int,
        *,
        last: int | None = None,
        from_: datetime | str | None = None,
        to: datetime | str | None = None,
        step: int | None = None,
    ) -> control.Simulation:
        """What the policy of a release, approved or not, would have done with past requests of the endpoint.

        Args:
            endpoint: of the release and of the requests.
            release: its number.
            last: how many of the newest records; None: 10,000.
            from_: only requests that arrived then or later.
            to: only requests that arrived before.
            step: of the release's ramp; None: where it stands.
        """
        order = _order(control.SimulationOrder, last=last, to=_moment(to), step=step, **{"from": _moment(from_)})
        path = f"{self._release(endpoint, release)}/simulate"
        return self._transport.post(path, control.Simulation, order, wait_s=300.0)

    def rollback(self, endpoint: str, reason: str, *, to: int | None = None) -> control.RolledBack:
        """Make an earlier release current again, at once.

        Args:
            endpoint: where.
            reason: why.
            to: number of the release; None: what was current last of those that came before the current one.
        """
        order = _order(control.RollbackOrder, to=to, reason=reason)
        return self._transport.post(f"{self._endpoint(endpoint)}/rollback", control.RolledBack, order, wait_s=40.0)

    # What happened.

    def requests(self, endpoint: str, last: int = 20) -> control.Requests:
        """The last requests of an endpoint, the newest first."""
        return self._transport.get(f"{self._endpoint(endpoint)}/requests", control.Requests, last=last)

    def request(self, request_id: str) -> control.Request:
        """The decision record of a request."""
        return self._transport.get(self._request(request_id), control.Request)

    def export(
        self,
        endpoint: str,
        target: str | Path,
        *,
        from_: datetime | str | None = None,
        to: datetime | str | None = None,
        form: Literal["parquet", "ndjson"] = "parquet",
        force: bool = False,
    ) -> str:
        """Write the decision records of a window into a file; it is there whole or not at all.

        Args:
            endpoint: whose.
            target: the file.
            from_: only requests that arrived then or later; None: from the first.
            to: only requests that arrived before; None: up to now.
            form: Parquet, or one JSON object per line.
            force: replace the file if it is there.

        Returns:
            Up to when the export is complete: later requests may still have been on their way.

        Raises:
            TargetExists: the file is there.
        """
        path = Path(target)
        if path.exists() and not force:
            raise TargetExists(f"{path} is there already", path=str(path))
        window = {"from": _moment(from_), "to": _moment(to), "form": form}
        headers = self._transport.download(f"{self._endpoint(endpoint)}/export", path, wait_s=600.0, **window)
        return headers.get("muster-complete-to", "")

    def retention(self, endpoint: str) -> control.Retention:
        """How long the records of an endpoint are kept."""
        return self._transport.get(f"{self._endpoint(endpoint)}/retention", control.Retention)

    def retentions(self) -> control.Retentions:
        """The endpoints whose records are kept for another time than the setting says."""
        return self._transport.get(f"{self._project}/archive/retention", control.Retentions)

    def retain(self, endpoint: str, days: int | None, reason: str) -> control.Retention:
        """Keep the records of an endpoint for so many days; None: for ever."""
        order = _order(control.RetentionOrder, days=days, reason=reason)
        return self._transport.post(f"{self._endpoint(endpoint)}/retention", control.Retention, order)

    def verify_archive(self, endpoint: str | None = None, *, patience_s: float = _PATIENCE_S) -> control.ArchiveVerdict:
        """Whether the archive is whole and complete; about a second per gigabyte."""
        path = f"{self._project}/archive/verify"
        return self._transport.get(path, control.ArchiveVerdict, wait_s=patience_s, endpoint=endpoint)

    def replay(
        self,
        request_id: str,
        *,
        wait: bool = True,
        progress: Callable[[control.Session], None] | None = None,
        patience_s: float = _PATIENCE_S,
    ) -> control.Replay:
        """Compute a past request again on the sealed bundles; answers that are not identical are no error.

        Args:
            request_id: which.
            wait: until it is done; otherwise the answer names the session, and `identical` is false for now.
            progress: called with the session whenever it has changed.
            patience_s: how long to wait at most.
        """
        session = self._transport.post(f"{self._request(request_id)}/replay", control.Session)
        if wait:
            session = self._finished(session, progress, patience_s)
        found = session.result or {}
        return control.Replay(
            request_id=request_id_text(request_id_bytes(request_id)),
            identical=bool(found.get("identical", False)),
            differences=tuple(found.get("differences", ())),
            variants=tuple(found.get("variants", ())),
            session=session.id,
            state=session.state,
            solo=session.solo,
        )

    def audit_events(
        self, *, after: int | None = None, limit: int = 100, subject: str | None = None
    ) -> control.AuditEvents:
        """Audit events in their order.

        Args:
            after: the sequence number before the first one wanted; None: the last `limit` events.
            limit: how many at most.
            subject: only those about this: `churn:3`, `churn release 2`.
        """
        return self._transport.get("/api/v1/audit", control.AuditEvents, after=after, limit=limit, subject=subject)

    def audit_verify(self) -> control.AuditVerdict:
        """Whether the audit chain is whole."""
        return self._transport.get("/api/v1/audit/verify", control.AuditVerdict, wait_s=300.0)

    # Within.

    def _path_of(self, version: AnyVersion) -> str:
        name = _version_name(version)
        return f"{self._project}/models/{name.model}/versions/{name.number}"

    def _endpoint(self, endpoint: str) -> str:
        return f"{self._project}/endpoints/{checked_name(endpoint, of='endpoint')}"

    def _release(self, endpoint: str, release: int) -> str:
        return f"{self._endpoint(endpoint)}/releases/{int(release)}"

    def _request(self, request_id: str) -> str:
        return f"{self._project}/requests/{request_id_text(request_id_bytes(request_id))}"

    def _reasoned(self, path: str, kind: type[Document], reason: str) -> Document:
        return self._transport.post(path, kind, _order(control.ReasonOrder, reason=reason))

    def _finished(
        self, session: control.Session, progress: Callable[[control.Session], None] | None, patience_s: float
    ) -> control.Session:
        """The session once it is done."""
        deadline = time.monotonic() + patience_s
        looks = 0
        while session.state in OPEN_SESSIONS:
            if progress is not None:
                progress(session)
            if time.monotonic() > deadline:
                raise AnswerLate(f"session {session.id} is {session.state} after {patience_s:g} s", session=session.id)
            time.sleep(_PAUSES_S[min(looks // 4, len(_PAUSES_S) - 1)])
            looks += 1
            session = self.session(session.id)
        if progress is not None:
            progress(session)
        if session.state is SessionState.CANCELLED:
            raise WorkInterrupted(f"session {session.id} of {session.subject} was cancelled", session=session.id)
        error = (session.result or {}).get("error") or {}
        if str(error.get("code")).startswith("sessions."):  # other errors are the verdict, as a failed check is
            raise WorkInterrupted(
                f"session {session.id} of {session.subject} came to nothing: {error['message']}",
                session=session.id,
                code=error["code"],
            )
        return session


def _version_name(version: AnyVersion) -> VersionName:
    if isinstance(version, VersionName):
        return version
    return VersionName.parse(version if isinstance(version, str) else version.version)


def _patience_ms(patience: Duration | Mapping[str, Duration] | None) -> float | dict[str, float] | None:
    if isinstance(patience, Mapping):
        return {str(version): milliseconds_of(duration) for version, duration in patience.items()}
    return None if patience is None else milliseconds_of(patience)


def _names(versions: Iterable[AnyVersion]) -> tuple[str, ...]:
    given = [versions] if isinstance(versions, str) else versions  # one version where several may stand
    return tuple(str(_version_name(version)) for version in given)
