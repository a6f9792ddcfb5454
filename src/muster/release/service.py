"""Releases: propose, approve, reject, withdraw, roll back; and what is current at each endpoint."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from muster.access.actor import Call
from muster.access.roles import Right
from muster.audit.entries import Entry
from muster.audit.journal import Journal
from muster.certification.service import Certification
from muster.publishing.board import Board
from muster.registry.reasons import checked_reason
from muster.registry.records import Version
from muster.registry.service import Registry
from muster.release import store
from muster.release.errors import EndpointTaken, NotYoursToWithdraw, SwitchUnderWay, TwinMissing
from muster.release.followers import Followers
from muster.release.held import (
    check_move,
    deed_of,
    held_release,
    no_endpoint,
    no_release,
    present,
    require_endpoint,
    unfit,
)
from muster.release.last_resort import LastResorts
from muster.release.own_work import waived_for_release
from muster.release.planner import check_proposal, check_releasable, compile_plan
from muster.release.publisher import Publisher
from muster.release.ramp import Ramps
from muster.release.records import Endpoint, Front, Pointer, Proposal, Release, RolledBack
from muster.release.rollback import RollBacks
from muster.release.switch import Switch
from muster.serving.plan import plan_digest
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock, rfc3339
from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName, checked_name
from muster.vocabulary.states import ReleaseState
from muster.wire.plans import FrontReport

_LOOK_AGAIN_S = 0.5  # as another process may have changed it


class Releases:
    """Who may answer at an endpoint, and who agreed to it.

    Args:
        database: where releases are kept.
        journal: where each deed is put on record.
        board: where plans are published.
        registry: the versions; it is told to ask here what uses them.
        certification: the evidence of how fast a version answers.
        clock: tells when.
        solo: the factory is one person's; its plans say so.
        monotonic: tells how long fronts have been silent, seconds.
    """

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        board: Board,
        registry: Registry,
        certification: Certification,
        clock: Clock,
        solo: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._journal = journal
        self._registry = registry
        self._clock = clock
        self._solo = solo
        self._certification = certification
        self._last_resorts = LastResorts(certification)
        self._publisher = Publisher(board, registry, clock)
        self._followers = Followers(monotonic)
        self._switch = Switch(
            database=database,
            journal=journal,
            board=board,
            registry=registry,
            publisher=self._publisher,
            followers=self._followers,
            clock=clock,
        )
        self._roll_backs = RollBacks(
            database=database,
            journal=journal,
            registry=registry,
            publisher=self._publisher,
            followers=self._followers,
            switch=self._switch,
            clock=clock,
            monotonic=monotonic,
        )
        self._ramps = Ramps(
            database=database,
            journal=journal,
            registry=registry,
            publisher=self._publisher,
            followers=self._followers,
        )
        registry.used_by(self)

    # What there is.

    def endpoints(self, call: Call) -> tuple[Endpoint, ...]:
        """The endpoints of the project, by name."""
        call.require(Right.READ)
        with self._database.read() as tx:
            return store.endpoints_of(tx, call.project)

    def endpoint(self, call: Call, name: str) -> Endpoint:
        """One endpoint.

        Raises:
            EndpointNotFound: the project has none of this name.
        """
        found = next((endpoint for endpoint in self.endpoints(call) if endpoint.name == name), None)
        if found is None:
            raise no_endpoint(name)
        return found

    def releases(self, call: Call, endpoint: str) -> tuple[Release, ...]:
        """The releases of an endpoint, the newest first.

        Raises:
            EndpointNotFound: the project has no such endpoint.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            require_endpoint(tx, call, endpoint)
            return store.releases_of(tx, endpoint)

    def release(self, call: Call, endpoint: str, number: int) -> Release:
        """One release; if it is proposed, with what would keep it from being approved now.

        Raises:
            EndpointNotFound, ReleaseNotFound: there is none.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            found = held_release(tx, call, endpoint, number)
        return self._with_warnings(found)

    def history(self, call: Call, endpoint: str) -> tuple[Pointer, ...]:
        """What was current when, the newest first.

        Raises:
            EndpointNotFound: the project has no such endpoint.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            require_endpoint(tx, call, endpoint)
            return store.pointers_of(tx, endpoint)

    def releases_with(self, call: Call, version: VersionName) -> tuple[Release, ...]:
        """The releases of the project that a version is in, by endpoint, the newest first."""
        call.require(Right.READ)
        with self._database.read() as tx:
            return store.releases_with(tx, call.project, version)

    def awaited(self, call: Call, endpoint: str, number: int, wait_s: float) -> Release:
        """The release as soon as it is not `approved`, or as it is after so long; blocks its thread."""
        call.require(Right.READ)
        deadline = time.monotonic() + wait_s
        while True:
            turn = self._followers.turn()
            with self._database.read() as tx:
                found = held_release(tx, call, endpoint, number)
            left = deadline - time.monotonic()
            if found.state is not ReleaseState.APPROVED or left <= 0:
                return self._with_warnings(found)
            self._followers.wait(turn, min(left, _LOOK_AGAIN_S))

    # Deeds.

    def propose(self, call: Call, endpoint: str, proposal: Proposal, reason: str) -> Release:
        """Propose who shall answer at an endpoint; the first proposal makes the endpoint.

        Raises:
            ProposalMalformed, DefaultUnfit: the proposal contradicts itself or the contract.
            VersionNotFound: a version does not exist.
            VersionNotReleasable: a version is not accepted.
            VersionsIncompatible: a version cannot serve the champion's contract.
            TwinMissing: a version is to be served as its twin, and its certificate names none.
            EndpointTaken: another project has an endpoint of this name.
        """
        call.require(Right.PROPOSE)
        checked_name(endpoint, of="endpoint")
        told = checked_reason(reason)
        check_proposal(proposal)
        with self._database.write() as tx:
            if (entry := self._earlier(tx, call)) is not None:
                return self._with_warnings(present(tx, call, entry))
            self._registry.hold_states(tx)
            versions = {name: self._registry.version_in(tx, call.project, name) for name, _ in proposal.variants}
            project = store.project_of_endpoint(tx, endpoint)
            if project not in {None, call.project}:
                raise EndpointTaken(f"another project has an endpoint {endpoint}", endpoint=endpoint)
            now = self._clock.now()
            number = store.next_number(tx, endpoint)
            plan = compile_plan(
                project=call.project,
                endpoint=endpoint,
                release=number,
                proposal=proposal,
                versions=versions,
                twins=self._twins(tx, call.project, proposal.twins),
                solo=self._solo,
            )
            if project is None:
                store.add_endpoint(tx, endpoint, call.project, call.actor.name, now)
            proposed = Release(
                endpoint=endpoint,
                number=number,
                project=call.project,
                state=ReleaseState.PROPOSED,
                current=False,
                plan=plan,
                plan_digest=plan_digest(plan),
                proposed_by=call.actor.name,
                proposed_at=now,
                reason=told,
                decided_by=None,
                decided_at=None,
                decision_reason=None,
                live_at=None,
                failure=None,
            )
            store.add_release(tx, proposed)
            details = {
                "plan": proposed.plan_digest,
                "variants": {variant.version: str(variant.role) for variant in plan.variants},
                **({"twins": [str(name) for name in proposal.twins]} if proposal.twins else {}),
            }
            self._record(tx, call, "release.proposed", proposed, told, details)
        self._followers.tell()
        return self._with_warnings(proposed)

    def _twins(self, tx: Transaction, project: str, names: Iterable[VersionName]) -> dict[VersionName, Digest]:
        """Manifests of the twins that are to be served; only the newest certificate of a version vouches for one."""
        found = {}
        for name in names:
            certificate = self._certification.certificate_in(tx, project, name)
            if certificate is None or certificate.twin is None:
                raise TwinMissing(f"the certificate of {name} names no compiled twin", version=str(name))
            found[name] = certificate.twin
        return found

    def _check_twins(self, tx: Transaction, held: Release, versions: Iterable[Version]) -> None:
        """Nothing, if the twins in a release are those that the newest certificates name."""
        for version, variant in zip(versions, held.plan.variants, strict=True):
            if variant.manifest == version.digest:
                continue
            if self._twins(tx, held.project, [version.name])[version.name] != variant.manifest:
                raise TwinMissing(
                    f"the certificate of {version.name} names another compiled twin since the release was proposed",
                    version=str(version.name),
                )

    def approve(self, call: Call, endpoint: str, number: int, reason: str, *, wait_s: float = 0.0) -> Release:
        """Pass a release at the go-live gate: fronts load it, and when all have, they serve it.

        Args:
            call: who, and in which project.
            endpoint: of the release.
            number: of the release.
            reason: why.
            wait_s: how long to wait for it to be live or failed; blocks its thread.

        Raises:
            EndpointNotFound, ReleaseNotFound: there is none.
            ReleaseStateUnfit: it is not `proposed`.
            SwitchUnderWay: another release of the endpoint is being made live.
            OwnWork: the caller proposed it, or has part in a version of it.
            VersionNotReleasable: a version of it is no longer accepted.
            TwinMissing: a twin in it is not the one that the newest certificate names.
            LastResortTooSlow, LastResortUnmeasured: what would answer last is not known to do so within a quarter of the
                deadline.
        """
        call.require(Right.APPROVE)
        told = checked_reason(reason)
        self._prepare(call, endpoint, number)
        with self._database.write() as tx:
            if (entry := self._earlier(tx, call)) is not None:
                approved = present(tx, call, entry)
            else:
                approved = self._approve(tx, call, endpoint, number, told)
        self.advance()
        if wait_s > 0:
            return self.awaited(call, approved.endpoint, approved.number, wait_s)
        return approved

    def reject(self, call: Call, endpoint: str, number: int, reason: str) -> Release:
        """Turn a proposed release down.

        Raises:
            EndpointNotFound, ReleaseNotFound: there is none.
            ReleaseStateUnfit: it is not `proposed`.
        """
        call.require(Right.APPROVE)
        told = checked_reason(reason)
        with self._database.write() as tx:
            if (entry := self._earlier(tx, call)) is not None:
                return present(tx, call, entry)
            self._registry.hold_states(tx)
            held = held_release(tx, call, endpoint, number)
            rejected = self._decide(tx, call, held, ReleaseState.REJECTED, told)
            self._record(tx, call, "release.rejected", held, told, {})
        self._followers.tell()
        return rejected

    def withdraw(self, call: Call, endpoint: str, number: int, reason: str) -> Release:
        """Take a release back that is not served yet; fronts forget what they have loaded of it.

        Raises:
            EndpointNotFound, ReleaseNotFound: there is none.
            NotYoursToWithdraw: the caller neither proposed it nor may approve.
            ReleaseStateUnfit: it is neither `proposed` nor `approved`, or fronts are switching to it.
        """
        call.require(Right.READ)
        told = checked_reason(reason)
        with self._database.write() as tx:
            if (entry := self._earlier(tx, call)) is not None:
                return present(tx, call, entry)
            self._registry.hold_states(tx)
            held = held_release(tx, call, endpoint, number)
            if held.proposed_by != call.actor.name and not call.may(Right.APPROVE):
                raise NotYoursToWithdraw(
                    f"{held.subject} was proposed by {held.proposed_by}; {call.actor.name} may not withdraw it",
                    endpoint=endpoint,
                    release=number,
                    proposed_by=held.proposed_by,
                )
            if held.current:
                raise unfit(held, "is being switched to; roll back instead of withdrawing it")
            withdrawn = self._decide(tx, call, held, ReleaseState.WITHDRAWN, told)
            if held.state is ReleaseState.APPROVED:
                self._publisher.publish(tx, endpoint)
            self._record(tx, call, "release.withdrawn", held, told, {})
        self._followers.tell()
        return withdrawn

    def rollback(self, call: Call, endpoint: str, reason: str, *, to: int | None = None) -> RolledBack:
        """Make an earlier release current again, at once, and wait until every connected front serves it.

        A release that is being made live meanwhile becomes `failed`: who rolls back wants to see nothing new.

        Args:
            call: who, and in which project.
            endpoint: where.
            reason: why.
            to: number of the release; None: what was current last of those that came before the current one.

        Raises:
            EndpointNotFound, ReleaseNotFound: there is none.
            NothingToRollBackTo: no number is given, and no earlier release was live.
            RollBackRefused: the release is current, was never live, or holds a banned version.
            RollBackUnconfirmed: it is ordered, but a front has not confirmed it within 30 seconds.
        """
        return self._roll_backs.roll_back(call, endpoint, reason, to=to)

    def step(self, call: Call, endpoint: str, number: int, step: int, reason: str) -> Release:
        """Move the current release to a step of its ramp; the steps were approved with it, so this takes no approval.

        Args:
            call: who, and in which project.
            endpoint: of the release.
            number: of the release.
            step: which; the first is 0.
            reason: why.

        Raises:
            EndpointNotFound, ReleaseNotFound: there is none.
            StepUnfit: it is not current, its policy is no split, or there is no such step.
        """
        return self._ramps.step(call, endpoint, number, step, reason)

    # The fronts.

    def front_seen(self, call: Call, front: str, number: int = 0) -> None:
        """A front polled, or its poll has just been answered; call it at both moments.

        A poll is answered after five seconds at the latest, as a front counts as connected for ten.

        Args:
            call: the front's service account.
            front: its name.
            number: the highest publication that it has.
        """
        call.require(Right.FOLLOW)
        self._switch.saw(checked_name(front, of="front"), number)

    def fronts(self, call: Call) -> tuple[Front, ...]:
        """The fronts that are connected now, by name."""
        call.require(Right.READ)
        self._switch.connected()
        return self._followers.fronts()

    def reported(self, call: Call, report: FrontReport) -> None:
        """A front says what it has done about a plan.

        Raises:
            ReleaseNotFound: there is no such release.
        """
        call.require(Right.FOLLOW)
        checked_name(report.front, of="front")
        with self._database.read() as tx:
            known = store.release(tx, report.endpoint, report.release)
        if known is None:
            raise no_release(report.endpoint, report.release)
        self._switch.saw(report.front, report.publication)
        self._followers.heard(report)
        self.advance()

    def advance(self) -> None:
        """Take every switch as far as the fronts' reports allow; called after each report and every half second."""
        self._switch.advance()

    # What certification asks.

    def endpoints_with(self, project: str, model: str) -> tuple[str, ...]:
        """Names of the endpoints that have had a release with any version of a model."""
        with self._database.read() as tx:
            return store.endpoints_with(tx, project, model)

    # What the registry asks.

    def uses_of(self, tx: Transaction, version: Version) -> tuple[str, ...]:
        """The releases by which the version is served, or is about to be."""
        found = store.releases_with(tx, version.project, version.name)
        return tuple(release.subject for release in found if release.current or release.state is ReleaseState.APPROVED)

    def banned(self, tx: Transaction, call: Call, version: Version) -> None:
        """Stop asking a version: releases that were about to bring it fail, and the fronts are told."""
        found = store.releases_with(tx, version.project, version.name)
        failed = [release for release in found if release.state is ReleaseState.APPROVED and not release.current]
        for release in failed:
            store.move(tx, release, ReleaseState.FAILED, failure=f"{version.name} was banned by {call.actor.name}")
        for endpoint in sorted({release.endpoint for release in found}):
            self._publisher.publish_change(tx, endpoint)
        for release in failed:
            self._switch.record_failure(tx, release, f"{version.name} was banned by {call.actor.name}")
        tx.after_commit(self._followers.tell)

    # Within.

    def _approve(self, tx: Transaction, call: Call, endpoint: str, number: int, reason: str) -> Release:
        self._registry.hold_states(tx)
        held = held_release(tx, call, endpoint, number)
        versions = [self._registry.version_in(tx, call.project, name) for name in held.versions]
        waived = waived_for_release(call, held, versions)
        check_move(held, ReleaseState.APPROVED)
        for other in store.releases_in(tx, ReleaseState.APPROVED, endpoint):
            if other.current:
                continue  # its fronts do not get on with it: a better one must be able to overtake it
            raise SwitchUnderWay(
                f"{other.subject} is being made live", endpoint=endpoint, release=number, under_way=other.number
            )
        check_releasable(versions)
        self._check_twins(tx, held, versions)
        last_resort = self._last_resorts.of(tx, held.plan)
        if (problem := last_resort.problem) is not None:
            raise problem
        approved = self._decide(tx, call, held, ReleaseState.APPROVED, reason)
        self._publisher.publish(tx, endpoint)
        details: dict[str, object] = {"plan": held.plan_digest, "last_resort": last_resort.details()}
        details |= {"solo": True} if waived else {}
        self._record(tx, call, "release.approved", held, reason, details)
        return approved

    def _prepare(self, call: Call, endpoint: str, number: int) -> None:
        """Have a default answer measured that is about to be asked for: it takes too long for within the transaction."""
        with self._database.read() as tx:
            found = store.release(tx, endpoint, number)
        if found is not None and found.project == call.project and found.state is ReleaseState.PROPOSED:
            self._last_resorts.prepare(found.plan, again=True)

    def _with_warnings(self, found: Release) -> Release:
        if found.state is not ReleaseState.PROPOSED:
            return found
        self._last_resorts.prepare(found.plan)
        with self._database.read() as tx:
            problem = self._last_resorts.of(tx, found.plan).problem
        return found if problem is None else replace(found, warnings=(f"{problem.message}. {problem.advice}",))

    def _decide(self, tx: Transaction, call: Call, held: Release, to: ReleaseState, reason: str) -> Release:
        check_move(held, to)
        at = rfc3339(self._clock.now())
        store.move(tx, held, to, decided_by=call.actor.name, decided_at=at, decision_reason=reason)
        found = store.release(tx, held.endpoint, held.number)
        assert found is not None
        return found

    def _earlier(self, tx: Transaction, call: Call) -> Entry | None:
        return self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)

    def _record(
        self, tx: Transaction, call: Call, action: str, release: Release, reason: str, details: Mapping[str, object]
    ) -> None:
        self._journal.append(tx, deed_of(call, action, release, reason, details))
