"""Releases: propose, approve, reject, withdraw, roll back; and what is current at each endpoint."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from muster.access.actor import Call
from muster.access.roles import Right
from muster.audit.entries import Entry
from muster.audit.journal import Journal
from muster.catalogue.service import Catalogue
from muster.certification.service import Certification
from muster.gates.records import Verdict
from muster.gates.service import Gates, approvals_told
from muster.publishing.board import Board
from muster.registry.reasons import checked_reason
from muster.registry.records import Version
from muster.registry.service import Registry
from muster.release import store
from muster.release.errors import (
    EndpointTaken,
    NotYoursToWithdraw,
    OwnWork,
    ScheduleMalformed,
)
from muster.release.evolution import Consumers, Evolution, Uses
from muster.release.followers import Followers
from muster.release.glass import BrokenGlass
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
from muster.release.judging import Judging
from muster.release.last_resort import LastResorts
from muster.release.passing import Passing, require_fresh
from muster.release.planner import check_proposal, compile_plan
from muster.release.prospects import Prospects
from muster.release.publisher import Publisher, has_begun
from muster.release.ramp import Ramps
from muster.release.records import Endpoint, Front, Pointer, Proposal, Release, RolledBack
from muster.release.rollback import RollBacks
from muster.release.switch import Switch
from muster.release.thaw import require_thawed
from muster.release.trials import NoTrials, Trials
from muster.serving.plan import plan_digest
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock, rfc3339
from muster.vocabulary.errors import MusterError
from muster.vocabulary.names import VersionName, checked_name
from muster.vocabulary.states import ReleaseState
from muster.wire.contracts import Field
from muster.wire.plans import FrontReport

#: For a moment beyond it nothing can be approved: nobody knows then what the world is like.
FARTHEST = timedelta(days=366)
log = structlog.get_logger()
_LOOK_AGAIN_S = 0.5  # as another process may have changed it


class Releases:
    """Who may answer at an endpoint, and who agreed to it.

    Args:
        database: where releases are kept.
        journal: where each deed is put on record.
        board: where plans are published.
        registry: the versions; it is told to ask here what uses them.
        certification: the evidence of how fast a version answers.
        judging: what the gate of releases asks for.
        gates: counts who agrees.
        clock: tells when.
        solo: the factory is one person's; its plans say so.
        monotonic: tells how long fronts have been silent, seconds.
        consumers: tells whom a change of contract concerns; None: nobody.
        uses: tells who has used an endpoint; None: nobody counts.
    """

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        board: Board,
        registry: Registry,
        certification: Certification,
        judging: Judging,
        gates: Gates,
        clock: Clock,
        solo: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        consumers: Consumers | None = None,
        uses: Uses | None = None,
    ) -> None:
        self._judging = judging
        self._gates = gates
        self._database = database
        self._journal = journal
        self._registry = registry
        self._clock = clock
        self._solo = solo
        self.evolution = Evolution(
            database=database,
            journal=journal,
            clock=clock,
            registry=registry,
            judging=judging,
            consumers=consumers,
            uses=uses,
        )
        """What a release changes of the contract, and what its consumers say to it."""
        last_resorts = LastResorts(certification)
        self._passing = Passing(
            database=database,
            registry=registry,
            certification=certification,
            judging=judging,
            gates=gates,
            evolution=self.evolution,
            last_resorts=last_resorts,
            clock=clock,
            solo=solo,
        )
        self._prospects = Prospects(
            database=database,
            registry=registry,
            judging=judging,
            gates=gates,
            evolution=self.evolution,
            last_resorts=last_resorts,
            solo=solo,
        )
        self._publisher = Publisher(board, registry, clock, Catalogue(database))
        self._followers = Followers(monotonic)
        self._switch = Switch(
            database=database,
            journal=journal,
            board=board,
            registry=registry,
            publisher=self._publisher,
            followers=self._followers,
            clock=clock,
            unfit=self._passing.unfit,
        )
        self._roll_backs = RollBacks(
            database=database,
            journal=journal,
            registry=registry,
            judging=judging,
            gates=gates,
            publisher=self._publisher,
            followers=self._followers,
            switch=self._switch,
            clock=clock,
            monotonic=monotonic,
        )
        self._glass = BrokenGlass(
            database=database,
            journal=journal,
            registry=registry,
            judging=judging,
            gates=gates,
            roll_backs=self._roll_backs,
            publisher=self._publisher,
            followers=self._followers,
            switch=self._switch,
            clock=clock,
        )
        self._ramps = Ramps(
            database=database,
            journal=journal,
            registry=registry,
            judging=judging,
            clock=clock,
            publisher=self._publisher,
            followers=self._followers,
        )
        self._trials: Trials = NoTrials()
        registry.used_by(self)

    def tried_by(self, room: Trials) -> None:
        """From now on ask this room what is on trial beside releases."""
        self._trials = self._publisher.trials = self._judging.trials = room

    # What there is.

    def endpoints(self, call: Call, *, limit: int | None = None, after: str | None = None) -> tuple[Endpoint, ...]:
        """The endpoints of the project, by name: so many behind a name, or all."""
        call.require(Right.READ)
        with self._database.read() as tx:
            return store.endpoints_of(tx, call.project, limit=limit, after=after)

    def endpoint(self, call: Call, name: str) -> Endpoint:
        """One endpoint.

        Raises:
            EndpointNotFound: the project has none of this name.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            found = store.endpoint(tx, name)
        if found is None or found.project != call.project:
            raise no_endpoint(name)
        return found

    def foreign_endpoints(self, call: Call) -> frozenset[str]:
        """The endpoints of other projects than that of the call; for rooms below, which keep them to themselves."""
        with self._database.read() as tx:
            return store.endpoints_besides(tx, call.project)

    def releases(
        self, call: Call, endpoint: str, *, limit: int | None = None, after: int | None = None
    ) -> tuple[Release, ...]:
        """The releases of an endpoint, the newest first: so many below a number, or all.

        Raises:
            EndpointNotFound: the project has no such endpoint.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            require_endpoint(tx, call, endpoint)
            return store.releases_of(tx, endpoint, limit=limit, after=after)

    def current(self, call: Call, endpoint: str) -> int | None:
        """The number of the release that is current at an endpoint; None: none yet.

        Raises:
            EndpointNotFound: the project has no such endpoint.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            require_endpoint(tx, call, endpoint)
            return store.current_number(tx, endpoint)

    def release(self, call: Call, endpoint: str, number: int) -> Release:
        """One release; if it is proposed, with what would keep it from being approved now.

        Raises:
            EndpointNotFound, ReleaseNotFound: there is none.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            found = held_release(tx, call, endpoint, number)
        return self._prospects.with_warnings(found)

    def history(
        self, call: Call, endpoint: str, *, limit: int | None = None, after: int | None = None
    ) -> tuple[Pointer, ...]:
        """What was current when, the newest first: so many below a sequence number, or all.

        Raises:
            EndpointNotFound: the project has no such endpoint.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            require_endpoint(tx, call, endpoint)
            return store.pointers_of(tx, endpoint, limit=limit, after=after)

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
                return self._prospects.with_warnings(found)
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
                return self._prospects.with_warnings(present(tx, call, entry))
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
                twins=self._passing.twins(tx, call.project, proposal.twins),
                solo=self._solo,
            )
            if project is None:
                store.add_endpoint(tx, endpoint, call.project, call.actor.name, now)
                self._publisher.enter(tx, endpoint)
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
            proposed = replace(proposed, breaks=self.evolution.compared(tx, proposed).breaks)
            store.add_release(tx, proposed)
            details = {
                "plan": proposed.plan_digest,
                "variants": {variant.version: str(variant.role) for variant in plan.variants},
                **({"twins": [str(name) for name in proposal.twins]} if proposal.twins else {}),
                **(
                    {"breaks": [f"{one.side} {one.field}: {one.what}" for one in proposed.breaks]}
                    if proposed.breaks
                    else {}
                ),
            }
            self._record(tx, call, "release.proposed", proposed, told, details)
        self._followers.tell()
        return self._prospects.with_warnings(proposed)

    def approve(
        self,
        call: Call,
        endpoint: str,
        number: int,
        reason: str,
        *,
        wait_s: float = 0.0,
        at: datetime | None = None,
        for_person: str | None = None,
    ) -> Release:
        """Say yes to a release; with the last approval that is needed it passes its gate: fronts load it, then serve it.

        Args:
            call: who, and in which project.
            endpoint: of the release.
            number: of the release.
            reason: why.
            wait_s: how long to wait for it to be live or failed; blocks its thread.
            at: not before this moment; None: at once. Of several approvals the latest moment counts.
            for_person: who is absent, and in whose place the caller votes; None: nobody.

        Raises:
            EndpointNotFound, ReleaseNotFound: there is none.
            ReleaseStateUnfit: it is not `proposed`.
            SwitchUnderWay: another release of the endpoint is being made live, or approved for a moment as well.
            OwnWork: the caller proposed it, or has part in a version of it.
            VersionNotReleasable: a version of it is no longer accepted.
            LastResortTooSlow, LastResortUnmeasured: what would answer last is not known to do so within a quarter of the
                deadline.
            StandardNotMet: something is missing by the project's standard.
            ProposalExpired: it was proposed too long ago.
            Frozen: nothing may go live then.
            ScheduleMalformed: the moment is past, or too far.
            PartInIt, PassedBefore, VoiceLost, NotDelegated: the caller, or who is absent, has no voice here.
        """
        call.require(Right.APPROVE)
        told = checked_reason(reason)
        self._passing.prepare(call, endpoint, number)
        with self._database.write() as tx:
            if (entry := self._earlier(tx, call)) is not None:
                approved = self._prospects.told(tx, present(tx, call, entry))
            else:
                approved = self._approve(tx, call, endpoint, number, told, at=at, for_person=for_person)
        self._advance_now()
        if wait_s > 0 and approved.live_from is None:
            return self.awaited(call, approved.endpoint, approved.number, wait_s)
        return approved

    def break_glass(self, call: Call, endpoint: str, number: int, reason: str) -> Release:
        """Let a release go live at once, without the approvals and whatever the standard says; never one's own work.

        It must be confirmed within the time that the standard says, by those whom its gate would have asked; otherwise it is
        rolled back by itself.

        Raises:
            EndpointNotFound, ReleaseNotFound: there is none.
            ReleaseStateUnfit: it is not `proposed`.
            SwitchUnderWay: another release of the endpoint is being made live.
            OwnWork: the caller proposed it, or has part in a version of it.
            VersionNotReleasable: a version of it is no longer accepted.
            TwinMissing: a twin in it is not the one that the newest certificate names.
            QuotaExceeded: the project would run more variants than its quota allows.
            BreaksUnacknowledged: it breaks the current contract, and a consumer has not agreed.
            OwnerGone: who owns a model of it has no role in the project any more.
            LastResortTooSlow, LastResortUnmeasured: what would answer last is not known to do so within a quarter of the
                deadline.
            GlassUnfit: the endpoint has served nothing yet.
        """
        call.require(Right.BREAK_GLASS)
        told = checked_reason(reason)
        self._passing.prepare(call, endpoint, number)
        with self._database.write() as tx:
            if (entry := self._earlier(tx, call)) is not None:
                approved = self._prospects.told(tx, present(tx, call, entry))
            else:
                approved = self._break_glass(tx, call, endpoint, number, told)
        self._advance_now()
        return approved

    def confirm(self, call: Call, endpoint: str, number: int, reason: str, *, for_person: str | None = None) -> Release:
        """Agree afterwards with a release for which the glass was broken; see `BrokenGlass.confirm`."""
        return self._glass.confirm(call, endpoint, number, reason, for_person=for_person)

    def reject(self, call: Call, endpoint: str, number: int, reason: str) -> Release:
        """Turn a proposed release down.

        Raises:
            EndpointNotFound, ReleaseNotFound: there is none.
            ReleaseStateUnfit: it is not `proposed`.
        """
        call.require(Right.APPROVE)
        told = checked_reason(reason)
        self._passing.prepare_facts(call, endpoint, number)
        with self._database.write() as tx:
            if (entry := self._earlier(tx, call)) is not None:
                return present(tx, call, entry)
            self._registry.hold_states(tx)
            held = held_release(tx, call, endpoint, number)
            check_move(held, ReleaseState.REJECTED)
            versions = [self._registry.version_in(tx, call.project, name) for name in held.versions]
            matter = self._judging.release(tx, held, versions, solo=call.actor.solo).matter
            if call.actor.name.casefold() not in matter.excluded:  # one's own proposal is turned down without a voice
                self._gates.cast(tx, call, matter, Verdict.REJECT, told)
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
            Frozen, StandardNotMet: the number leads forwards, to a release that was rolled back from, or was current first after
                the one that is current now; this asks for what the gate asks for, besides the approvals.
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
            Frozen: a freeze holds, and the step is a further one.
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
        if report.live_test:
            self._trials.reported(report)
        else:
            self._followers.heard(report)
        self._advance_now()

    def advance(self) -> None:
        """Take every switch as far as the fronts' reports allow, and undo what nobody confirmed in time.

        Called after each report and every half second.
        """
        self._glass.expire()
        self._switch.advance()
        self._trials.advance()

    def _advance_now(self) -> None:
        """Advance without waiting for the clockwork. What the caller asked for is done: what keeps the rest is not theirs to know."""
        try:
            self.advance()
        except MusterError as error:
            log.warning("release.advance_held_up", code=error.code, message=error.message)

    # What live-tests ask.

    def served_release(self, tx: Transaction, project: str, endpoint: str) -> Release | None:
        """The release that is current at an endpoint; None: none yet.

        Raises:
            EndpointNotFound: the project has no such endpoint.
        """
        if store.project_of_endpoint(tx, endpoint) != project:
            raise no_endpoint(endpoint)
        number = store.current_number(tx, endpoint)
        return None if number is None else store.release(tx, endpoint, number)

    def outputs_in(self, tx: Transaction, endpoint: str, number: int) -> tuple[Field, ...]:
        """The outputs of a release that there is."""
        found = store.release(tx, endpoint, number)
        assert found is not None
        return found.plan.contract.outputs

    def is_switching(self, tx: Transaction, endpoint: str) -> bool:
        """Whether fronts are loading a release of the endpoint, or are switching to one."""
        now = self._clock.now()
        return any(has_begun(release, now) for release in store.releases_in(tx, ReleaseState.APPROVED, endpoint))

    def publish(self, tx: Transaction, endpoint: str) -> int:
        """Tell the fronts once more what they shall do for an endpoint; the publication's number."""
        tx.after_commit(self._followers.tell)
        return self._publisher.publish(tx, endpoint)

    def connected(self) -> frozenset[str]:
        """The fronts that are waited for now."""
        return self._switch.connected()

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

    def _approve(
        self,
        tx: Transaction,
        call: Call,
        endpoint: str,
        number: int,
        reason: str,
        *,
        at: datetime | None,
        for_person: str | None,
    ) -> Release:
        held, versions, passable = self._passing.passable(tx, call, endpoint, number)
        self._gates.hold(tx)
        now = self._clock.now()
        if at is not None and not now < at <= now + FARTHEST:
            raise ScheduleMalformed(
                f"{rfc3339(at)} is not a moment to come within {FARTHEST.days} days", at=rfc3339(at)
            )
        judged = self._judging.release(tx, held, versions, solo=call.actor.solo, at=at)
        judged.require_complete()
        require_fresh(held, judged, now)
        decision = self._gates.cast(
            tx, call, judged.matter, Verdict.APPROVE, reason, for_person=for_person, not_before=at
        )
        details: dict[str, object] = {"plan": held.plan_digest}
        details |= {"solo": True} if passable.waived else {}
        details |= {"for": for_person} if for_person is not None else {}
        if not decision.met:
            said = details | {"verdict": "approve", "missing": list(decision.told)}
            said |= {"not_before": rfc3339(at)} if at is not None else {}
            self._gates.record(tx, call, "release.voted", judged.matter, reason, said)
            return replace(held, missing=decision.told)
        moments = [
            vote.not_before for vote in decision.counted if vote.not_before is not None and vote.not_before > now
        ]
        live_from = max(moments, default=None)
        self._passing.require_free(tx, held, live_from)
        require_thawed(judged, live_from or now)
        approved = self._decide(tx, call, held, ReleaseState.APPROVED, reason, live_from=live_from)
        if live_from is None:
            self._publisher.publish(tx, endpoint)
        store.set_breaks(tx, held, self.evolution.compared(tx, held).breaks)
        details |= {"last_resort": passable.last_resort.details(), **passable.broken}
        if live_from is not None:
            details["live_from"] = rfc3339(live_from)
        if judged.in_force.is_own:
            details |= {"standard": judged.in_force.number, "approvals": approvals_told(decision)}
        self._record(tx, call, "release.approved", held, reason, details)
        return approved

    def _break_glass(self, tx: Transaction, call: Call, endpoint: str, number: int, reason: str) -> Release:
        held, versions, passable = self._passing.passable(tx, call, endpoint, number)
        self._gates.hold(tx)
        self._gates.require_right(tx, call, Right.BREAK_GLASS)
        judged = self._judging.release(tx, held, versions, solo=call.actor.solo)
        if (name := call.actor.name).casefold() in judged.matter.excluded:  # since it was looked at before the lock
            raise OwnWork(
                f"{name} has part in {held.subject}, and may not pass it", actor=name, endpoint=endpoint, release=number
            )
        within = min(demands.confirm_within for demands in judged.demands)
        glass = self._glass.broken(tx, call, held, reason, within)
        approved = self._decide(tx, call, held, ReleaseState.APPROVED, reason)
        self._publisher.publish(tx, endpoint)
        frozen = judged.frozen(glass.at)
        details: dict[str, object] = {
            "plan": held.plan_digest,
            "last_resort": passable.last_resort.details(),
            **passable.broken,
            "confirm_by": rfc3339(glass.confirm_by),
            "standard": judged.in_force.number,
            "missing": list(self._gates.decision(tx, judged.matter).told),
            "lacks": [f"{version.name}: {lack}" for version, lack in judged.lacks],
            **({"freeze": str(frozen)} if frozen is not None else {}),
            **({"solo": True} if passable.waived else {}),
        }
        store.set_breaks(tx, held, self.evolution.compared(tx, held).breaks)
        self._record(tx, call, "release.glass-broken", held, reason, details)
        return replace(approved, glass=glass)

    def _decide(
        self,
        tx: Transaction,
        call: Call,
        held: Release,
        to: ReleaseState,
        reason: str,
        *,
        live_from: datetime | None = None,
    ) -> Release:
        check_move(held, to)
        values = {"decided_by": call.actor.name, "decided_at": rfc3339(self._clock.now()), "decision_reason": reason}
        if live_from is not None:
            values["live_from"] = rfc3339(live_from)
        store.move(tx, held, to, **values)
        found = store.release(tx, held.endpoint, held.number)
        assert found is not None
        return found

    def _earlier(self, tx: Transaction, call: Call) -> Entry | None:
        return self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)

    def _record(
        self, tx: Transaction, call: Call, action: str, release: Release, reason: str, details: Mapping[str, object]
    ) -> None:
        self._journal.append(tx, deed_of(call, action, release, reason, details))
