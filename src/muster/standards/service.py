"""The standards of projects: proposed by one, adopted by others, in force until the next."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from muster.access.actor import Call
from muster.access.custom_roles import role_names
from muster.access.held import held_by_all
from muster.access.roles import Right
from muster.audit.entries import Deed, Entry
from muster.audit.journal import Journal
from muster.gates.decision import attainable
from muster.gates.records import Gate, Matter, Verdict
from muster.gates.service import Gates, approvals_told
from muster.gates.waivers import Waivers
from muster.packaging.documents import bundle_of
from muster.registry.reasons import checked_reason
from muster.registry.records import Version
from muster.registry.service import Registry
from muster.standards import store
from muster.standards.document import (
    NOTHING_ADOPTED,
    OWN,
    Demands,
    KnownChecks,
    Standard,
    check_names,
    read_standard,
    ready,
)
from muster.standards.errors import (
    StandardExpired,
    StandardMalformed,
    StandardNotFound,
    StandardStateUnfit,
    StandardUnattainable,
)
from muster.standards.evaluation import BundleFacts, lacks_of_bundle, unwaived
from muster.standards.facts import facts_of_manifest
from muster.standards.records import InForce, ProjectStandard, StandardState, Standing
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock, rfc3339
from muster.vocabulary.digests import Digest, digest_of
from muster.vocabulary.states import VersionState

_MOST_FACTS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a project's standard asks of the examination of one version."""

    limits: dict[str, float]
    """What the figure of a check may be at most."""
    optional: frozenset[str]
    """Checks that may fail."""
    waived: dict[str, str]
    """Checks that may fail for a while, each with until when and by whose word."""
    lacks: tuple[str, ...] | None
    """What its bundle lacks, waivers counted; None: the project has adopted no standard."""
    forgiven: tuple[str, ...]
    """What its bundle lacks and need not carry for a while, each with until when and by whose word."""
    options: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings of checks."""
    run: dict[str, bool] = field(default_factory=dict)
    """Checks that are put, or not, whatever they say themselves."""
    programs: dict[str, Digest] = field(default_factory=dict)
    """Programs of the project's own checks."""


class Standards:
    """What projects ask of their models.

    Args:
        database: where standards are kept.
        journal: where each deed is put on record.
        gates: counts who agrees.
        waivers: tells what need not be met for a while.
        registry: tells what a bundle says of itself.
        clock: tells when.
        checks: the checks that certification can put, with what is wrong with their settings; a standard that names another is refused.
    """

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        gates: Gates,
        waivers: Waivers,
        registry: Registry,
        clock: Clock,
        checks: KnownChecks = MappingProxyType({}),
    ) -> None:
        self._database = database
        self._journal = journal
        self._gates = gates
        self._waivers = waivers
        self._registry = registry
        self._clock = clock
        self._checks = dict(checks)
        self._facts: OrderedDict[Digest, BundleFacts] = OrderedDict()

    # What there is.

    def standards(self, call: Call) -> tuple[ProjectStandard, ...]:
        """The standards of the project, the newest first."""
        call.require(Right.READ)
        with self._database.read() as tx:
            return store.standards_of(tx, call.project)

    def standard(self, call: Call, number: int) -> ProjectStandard:
        """One standard of the project.

        Raises:
            StandardNotFound: there is none of this number.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            return self._told(tx, call, self._held(tx, call.project, number))

    def current(self, call: Call) -> InForce:
        """What holds in the project."""
        call.require(Right.READ)
        with self._database.read() as tx:
            return self.in_force(tx, call.project)

    # Deeds.

    def propose(self, call: Call, text: str, reason: str) -> ProjectStandard:
        """Propose what shall hold in the project; the TOML is described in docs/reference/standards.md.

        Raises:
            StandardMalformed: the text is no standard, or names a check, a program or a role that there is not.
            StandardUnattainable: with the people there are, nobody could ever change it again.
        """
        call.require(Right.PROPOSE_STANDARD)
        told, read = checked_reason(reason), read_standard(text)
        if self._checks:
            check_names(read, self._checks)
        with self._database.write() as tx:
            if (entry := self._earlier(tx, call)) is not None:
                return self._present(tx, call, entry)
            tx.lock("muster.standards", call.project)
            self._require_programs(tx, call.project, read)
            self._require_attainable(tx, call, read)
            proposed = ProjectStandard(
                project=call.project,
                number=store.next_number(tx, call.project),
                name=read.name,
                digest=read.digest,
                text=text,
                state=StandardState.PROPOSED,
                basis=self.in_force(tx, call.project).number,
                proposed_by=call.actor.name,
                proposed_at=self._clock.now(),
                reason=told,
            )
            store.add(tx, proposed)
            self._record(tx, call, "standard.proposed", proposed, told, {})
            return self._told(tx, call, proposed)

    def approve(self, call: Call, number: int, reason: str, *, for_person: str | None = None) -> ProjectStandard:
        """Say yes to a proposed standard; with the last approval that is needed it is in force, for what is judged from then on.

        Raises:
            StandardNotFound: there is none of this number.
            StandardStateUnfit: it is not proposed.
            StandardExpired: the proposal is too old.
            PartInIt: the caller proposed it.
            StandardUnattainable: with the people there are, nobody could ever change it again.
        """
        call.require(Right.ADOPT_STANDARD)
        told = checked_reason(reason)
        with self._database.write() as tx:
            if (entry := self._earlier(tx, call)) is not None:
                return self._present(tx, call, entry)
            held, matter = self._to_be_decided(tx, call, number)
            self._require_fresh(tx, held)
            decision = self._gates.cast(tx, call, matter, Verdict.APPROVE, told, for_person=for_person)
            solo = {"solo": True} if call.actor.solo and held.proposed_by == call.actor.name else {}
            if not decision.met:
                self._record(tx, call, "standard.voted", held, told, {"verdict": "approve", **solo})
                return self._told(tx, call, held)
            self._require_attainable(tx, call, held.standard)
            before = store.adopted(tx, call.project)
            if before is not None:
                store.move(tx, before, StandardState.SUPERSEDED)
            now = self._clock.now()
            store.move(tx, held, StandardState.ADOPTED, by=call.actor.name, at=now, reason=told)
            details = {"approvals": approvals_told(decision), "before": 0 if before is None else before.number, **solo}
            self._record(tx, call, "standard.adopted", held, told, details)
            return self._held(tx, call.project, number)

    def reject(self, call: Call, number: int, reason: str) -> ProjectStandard:
        """Turn a proposed standard down.

        Raises:
            StandardNotFound: there is none of this number.
            StandardStateUnfit: it is not proposed.
        """
        call.require(Right.ADOPT_STANDARD)
        told = checked_reason(reason)
        with self._database.write() as tx:
            if (entry := self._earlier(tx, call)) is not None:
                return self._present(tx, call, entry)
            held, matter = self._to_be_decided(tx, call, number)
            if call.actor.name not in matter.excluded:
                self._gates.cast(tx, call, matter, Verdict.REJECT, told)
            store.move(tx, held, StandardState.REJECTED, by=call.actor.name, at=self._clock.now(), reason=told)
            self._record(tx, call, "standard.rejected", held, told, {})
            return self._held(tx, call.project, number)

    # For the rooms above, within their transactions.

    def in_force(self, tx: Transaction, project: str) -> InForce:
        """What holds in a project, as this transaction sees it."""
        found = store.adopted(tx, project)
        if found is None:
            return InForce(number=0, standard=ready(NOTHING_ADOPTED))
        return InForce(number=found.number, standard=found.standard)

    def at_gate(self, tx: Transaction, call: Call, number: int) -> tuple[ProjectStandard, Matter]:
        """A standard, and as what it is judged at its gate.

        Raises:
            StandardNotFound: there is none of this number.
        """
        held = self._held(tx, call.project, number)
        return held, self._matter(tx, held, solo=call.actor.solo)

    def facts(self, version: Version) -> BundleFacts:
        """What a version's bundle says of itself; reads the store where that is not known yet, so ask outside of transactions."""
        known = self._facts.get(version.digest)
        if known is None:
            manifest = self._registry.manifest_of(version.digest)
            known = facts_of_manifest(manifest, bundle_of(manifest.declared), self._registry.document)
            self._facts[version.digest] = known
            while len(self._facts) > _MOST_FACTS:
                self._facts.popitem(last=False)
        return known

    def lacks(self, call: Call, version: Version) -> tuple[str, ...]:
        """What the bundle of a version that is not accepted yet lacks by the project's standard, waivers counted."""
        call.require(Right.READ)
        if version.state not in {VersionState.REGISTERED, VersionState.CERTIFIED}:
            return ()
        wanted = self.wanted(call.project, version)
        return () if wanted is None else wanted.lacks or ()

    def standing(self, project: str, version: Version) -> Standing:
        """What a certificate of a version says of the standard in force, and how long it is good by it."""
        with self._database.read() as tx:
            in_force = self.in_force(tx, project)
        standard = in_force.standard
        demands = standard.of_tier(self.facts(version).tier) if in_force.is_own else standard.base
        return Standing(
            name=standard.name,
            number=in_force.number,
            digest=standard.digest,
            valid=demands.valid,
            renew=demands.renew,
        )

    def wanted(self, project: str, version: Version) -> Wanted | None:
        """What the examination of a version has to hold; None: nothing beside what certification asks by itself."""
        with self._database.read() as tx:
            in_force = self.in_force(tx, project)
            waivers = self._waivers.holding(tx, project, version.digest, self._clock.now())
        if not in_force.is_own and not waivers:
            return None
        facts = self.facts(version)
        demands: Demands = in_force.standard.of_tier(facts.tier)
        waived = {
            name: f"waived until {rfc3339(waiver.ends)} by {waiver.decided_by}" for name, waiver in waivers.items()
        }
        lacks = lacks_of_bundle(demands, facts) if in_force.is_own else ()
        return Wanted(
            limits={name: rule.limit for name, rule in demands.checks.items() if rule.limit is not None},
            optional=frozenset(name for name, rule in demands.checks.items() if not rule.is_needed),
            waived=waived,
            lacks=tuple(str(lack) for lack in unwaived(lacks, waivers)) if in_force.is_own else None,
            forgiven=tuple(f"{lack} ({waived[lack.name]})" for lack in lacks if lack.name in waived),
            options={name: rule.options for name, rule in demands.checks.items() if rule.options},
            # What a gate will look for is put, whether or not the check itself sees an occasion: without it a certificate passes none.
            run={
                name: rule.run if rule.run is not None else True
                for name, rule in demands.checks.items()
                if rule.run is not None or rule.is_needed
            },
            programs={
                name: rule.program
                for name, rule in demands.checks.items()
                if rule.program is not None and rule.run is not False
            },
        )

    # Within.

    def _to_be_decided(self, tx: Transaction, call: Call, number: int) -> tuple[ProjectStandard, Matter]:
        tx.lock("muster.standards", call.project)
        self._gates.hold(tx)
        held = self._held(tx, call.project, number)
        if held.state is not StandardState.PROPOSED:
            raise StandardStateUnfit(
                f"{held.subject} of {call.project} is {held.state}", standard=number, state=str(held.state)
            )
        return held, self._matter(tx, held, solo=call.actor.solo)

    def _matter(self, tx: Transaction, held: ProjectStandard, *, solo: bool) -> Matter:
        in_force = self.in_force(tx, held.project)
        return Matter(
            project=held.project,
            gate=Gate.STANDARD,
            subject=held.subject,
            # What is agreed to is the change: from what was in force then. Another basis is another change.
            digest=digest_of(f"{held.digest}\n{in_force.number}".encode()),
            right=Right.ADOPT_STANDARD,
            rules=(in_force.standard.base.gates[Gate.STANDARD],),
            excluded=frozenset() if solo else frozenset({held.proposed_by.casefold()}),
        )

    def _require_fresh(self, tx: Transaction, held: ProjectStandard) -> None:
        expires = self.in_force(tx, held.project).standard.base.gates[Gate.STANDARD].expires
        if expires is not None and held.proposed_at + expires <= self._clock.now():
            raise StandardExpired(
                f"{held.subject} was proposed at {rfc3339(held.proposed_at)}; a proposal lasts {expires.days} days",
                standard=held.number,
            )

    def _require_programs(self, tx: Transaction, project: str, read: Standard) -> None:
        for demands in (read.base, *read.tiers.values()):
            for name, rule in demands.checks.items():
                if rule.program is None or store.check(tx, project, name.removeprefix(OWN), rule.program) is not None:
                    continue
                raise StandardMalformed(
                    f"checks.{name}.program: project {project} has no such program of this check; `muster own-check add` adds it",
                    check=name,
                    digest=rule.program,
                )

    def _require_attainable(self, tx: Transaction, call: Call, read: Standard) -> None:
        there_are = role_names(tx, call.project)
        for where, role in sorted(read.roles):
            if role not in there_are:
                raise StandardMalformed(
                    f"{where} asks for the role {role!r}, and project {call.project} has none of this name",
                    where=where,
                    known=sorted(there_are),
                )
        if call.actor.solo:
            return
        people = held_by_all(tx, call.project)
        rule = read.base.gates[Gate.STANDARD]
        proposers = [name for name, held in people.items() if Right.PROPOSE_STANDARD in held.rights]
        if not any(attainable(rule, Right.ADOPT_STANDARD, people, without=name) for name in proposers):
            wanted = " and ".join(str(need) for need in rule.approvals)
            raise StandardUnattainable(
                f"[gates.standard] asks for {wanted}, beside who proposes; project {call.project} has not so many",
                needed=[str(need) for need in rule.approvals],
            )

    def _held(self, tx: Transaction, project: str, number: int) -> ProjectStandard:
        found = store.standard(tx, project, number)
        if found is None:
            raise StandardNotFound(f"project {project} has no standard {number}", standard=number)
        return found

    def _told(self, tx: Transaction, call: Call, held: ProjectStandard) -> ProjectStandard:
        """With what its gate still asks for."""
        if held.state is not StandardState.PROPOSED:
            return held
        matter = self._matter(tx, held, solo=call.actor.solo)
        return replace(held, missing=self._gates.decision(tx, matter).told)

    def _earlier(self, tx: Transaction, call: Call) -> Entry | None:
        return self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)

    def _present(self, tx: Transaction, call: Call, entry: Entry) -> ProjectStandard:
        return self._told(tx, call, self._held(tx, call.project, int(entry.subject.removeprefix("standard "))))

    def _record(
        self, tx: Transaction, call: Call, action: str, held: ProjectStandard, reason: str, details: dict[str, object]
    ) -> None:
        self._journal.append(
            tx,
            Deed(
                actor=call.actor.name,
                action=action,
                subject=held.subject,
                project=held.project,
                details={"name": held.name, "digest": held.digest, "basis": held.basis, **details},
                reason=reason,
                idempotency_key=call.idempotency_key,
                request_digest=call.request_digest,
            ),
        )
