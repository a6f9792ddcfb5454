"""Versions and releases as gates judge them: who has part in them, which rules hold, what is missing by the project's standard."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from muster.access.roles import Right
from muster.audit.journal import Journal
from muster.certification.records import Certificate
from muster.certification.service import Certification
from muster.gates.records import Gate, Matter
from muster.gates.service import Gates
from muster.gates.waivers import Waivers
from muster.registry.records import Version
from muster.registry.service import Registry
from muster.release import store
from muster.release.own_work import part_in
from muster.release.records import Release
from muster.release.trials import NoTrials, Trials
from muster.release.voices import voices
from muster.sessions.records import Measure
from muster.standards.document import CERTIFICATE, Demands, Standard
from muster.standards.errors import StandardNotMet
from muster.standards.evaluation import (
    CheckFound,
    Evidence,
    Lack,
    lacks_of_bundle,
    lacks_of_evidence,
    lacks_of_live_test,
    unwaived,
)
from muster.standards.freezes import Freeze
from muster.standards.records import InForce
from muster.standards.service import Standards
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import Clock
from muster.vocabulary.digests import Digest, digest_of

_ACCEPTED = "version.accepted"
_RESTORE = (
    "Somebody changed the database by other means than Muster: restore it from a copy, or certify the version again."
)

#: Why a certificate, with what its session has measured, is not one that the factory has signed; None: it may be.
Doubt = Callable[[Transaction, Certificate, Sequence[Measure]], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Something at its gate."""

    matter: Matter
    in_force: InForce
    demands: tuple[Demands, ...]
    """What is asked of each of its versions."""
    lacks: tuple[tuple[Version, Lack], ...]
    """What is missing, waivers counted."""

    def require_complete(self) -> None:
        """Nothing, if nothing is missing.

        Raises:
            StandardNotMet: something is.
        """
        if not self.lacks:
            return
        said = [f"{version.name}: {lack}" for version, lack in self.lacks]
        raise StandardNotMet(
            f"{self.matter.subject} lacks {len(said)} of what the standard {self.in_force.standard.name} asks: "
            f"{'; '.join(said[:3])}",
            standard=self.in_force.number,
            findings=said,
            remedies=[lack.remedy for _, lack in self.lacks],
        )

    def frozen(self, moment: datetime) -> Freeze | None:
        """The freeze window that the moment lies in, for any of its versions."""
        return next((freeze for one in self.demands if (freeze := one.frozen(moment)) is not None), None)


class Judging:
    """Looks at versions and releases as their gates do.

    Args:
        journal: tells who accepted versions before votes were kept.
        registry: what bundles say of themselves.
        certification: the newest certificates.
        standards: what the projects ask for.
        gates: tells who passed a version.
        waivers: what need not be met for a while.
        clock: tells when.
        doubt: tells why a certificate is not one that the factory has signed; None: nobody signs, or looks.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        registry: Registry,
        certification: Certification,
        standards: Standards,
        gates: Gates,
        waivers: Waivers,
        clock: Clock,
        doubt: Doubt | None = None,
    ) -> None:
        self._doubt = doubt
        self._journal = journal
        self._registry = registry
        self._certification = certification
        self._standards = standards
        self._gates = gates
        self._waivers = waivers
        self._clock = clock
        self.trials: Trials = NoTrials()
        """What was on trial beside releases."""

    def prepare(self, versions: Iterable[Version]) -> None:
        """Have what the bundles say at hand; call it before the transaction, as the store may be far away."""
        for version in versions:
            self._standards.facts(version)

    def deputies(self, versions: Iterable[Version]) -> dict[Digest, str | None]:
        """Who stands in for the owners of versions, by their digests."""
        return {version.digest: self._standards.facts(version).deputy for version in versions}

    def part_in(self, tx: Transaction, version: Version) -> frozenset[str]:
        """Whoever has part in a version, in lower case; also who has handed its model on since it was registered."""
        return part_in(self._registry.with_past_stewards(tx, version), self._standards.facts(version).deputy)

    def version(self, tx: Transaction, version: Version, *, solo: bool = False, at: datetime | None = None) -> Judged:
        """A version at its acceptance.

        Args:
            tx: where.
            version: which.
            solo: nobody is excluded for having part in it.
            at: the moment for which it is judged; None: now.
        """
        in_force = self._standards.in_force(tx, version.project)
        demands = in_force.standard.of_tier(self._standards.facts(version).tier)
        certificate = self._certification.certificate_in(tx, version.project, version.name)
        session = "" if certificate is None else certificate.session
        return Judged(
            matter=Matter(
                project=version.project,
                gate=Gate.ACCEPTANCE,
                subject=str(version.name),
                digest=digest_of(f"{version.digest}\n{session}".encode()),
                right=Right.ACCEPT,
                rules=(demands.gates[Gate.ACCEPTANCE],),
                excluded=frozenset() if solo else self.part_in(tx, version),
            ),
            in_force=in_force,
            demands=(demands,),
            lacks=self._lacks(tx, version, demands, Gate.ACCEPTANCE, at or self._clock.now()),
        )

    def release(
        self,
        tx: Transaction,
        release: Release,
        versions: Sequence[Version],
        *,
        solo: bool = False,
        at: datetime | None = None,
    ) -> Judged:
        """A release at its go-live.

        Args:
            tx: where.
            release: which.
            versions: in it.
            solo: nobody is excluded for having part in it.
            at: the moment for which it is judged; None: now.
        """
        in_force, now = self._standards.in_force(tx, release.project), at or self._clock.now()
        demands = tuple(in_force.standard.of_tier(self._standards.facts(version).tier) for version in versions)
        excluded = {release.proposed_by.casefold()}.union(*(self.part_in(tx, version) for version in versions))
        rules = tuple(dict.fromkeys(one.gates[Gate.GO_LIVE] for one in demands))
        earlier: frozenset[str] = frozenset()
        if any(rule.disjoint for rule in rules):
            earlier = frozenset().union(*(self._accepted_by(tx, version) for version in versions))
        return Judged(
            matter=Matter(
                project=release.project,
                gate=Gate.GO_LIVE,
                subject=release.subject,
                digest=digest_of(f"{release.plan_digest}\n{digest_of(release.reason.encode())}".encode()),
                right=Right.APPROVE,
                rules=rules,
                excluded=frozenset() if solo else frozenset(excluded),
                earlier=frozenset() if solo else earlier,
            ),
            in_force=in_force,
            demands=demands,
            lacks=tuple(
                lack
                for version, asked in zip(versions, demands, strict=True)
                for lack in self._lacks(tx, version, asked, Gate.GO_LIVE, now)
            )
            + self._untried(tx, release, tuple(zip(versions, demands, strict=True)), now),
        )

    def lacks_under(
        self, tx: Transaction, version: Version, demands: Demands, gate: Gate, now: datetime
    ) -> tuple[Lack, ...]:
        """What a version would lack if these demands were in force."""
        certificate = self._certification.certificate_in(tx, version.project, version.name)
        evidence = None
        if certificate is not None:
            failed = self._certification.failed_in(tx, version.project, version.name)
            found_by = {
                check.name: CheckFound(passed=check.passed, figure=check.figure) for check in certificate.checks
            }
            # An examination that failed after it gives no certificate, and is evidence all the same.
            found_by |= {name: CheckFound(passed=False, figure=None) for name in failed}
            evidence = Evidence(at=certificate.at, checks=found_by, expires=certificate.expires)
        waived = self._waivers.holding(tx, version.project, version.digest, now)
        found = (
            *lacks_of_bundle(demands, self._standards.facts(version)),
            *lacks_of_evidence(demands, gate, evidence, now),
        )
        return (*self._doubted(tx, certificate), *unwaived(found, waived))

    def _doubted(self, tx: Transaction, certificate: Certificate | None) -> tuple[Lack, ...]:
        """A certificate that the factory has not given, or not so: no evidence at all, which nobody can waive."""
        if certificate is None or self._doubt is None:
            return ()
        doubt = self._doubt(tx, certificate, self._certification.measures_in(tx, certificate))
        return () if doubt is None else (Lack(name=CERTIFICATE, problem=doubt, remedy=_RESTORE),)

    def lacks_by(
        self, tx: Transaction, version: Version, standard: Standard, gates: Iterable[Gate], now: datetime
    ) -> tuple[Lack, ...]:
        """What a version would lack at some gates if this standard were in force, each thing once."""
        demands = standard.of_tier(self._standards.facts(version).tier)
        found = [lack for gate in gates for lack in self.lacks_under(tx, version, demands, gate, now)]
        return tuple(dict.fromkeys(found))

    def _lacks(
        self, tx: Transaction, version: Version, demands: Demands, gate: Gate, now: datetime
    ) -> tuple[tuple[Version, Lack], ...]:
        return tuple((version, lack) for lack in self.lacks_under(tx, version, demands, gate, now))

    def _untried(
        self, tx: Transaction, release: Release, asked: Iterable[tuple[Version, Demands]], now: datetime
    ) -> tuple[tuple[Version, Lack], ...]:
        """What the live-tests of those versions lack to which a release gives a larger part in the answers than they have.

        Of an endpoint that serves nothing yet no live-test is asked: there are no requests that it could see.
        """
        number = store.current_number(tx, release.endpoint)
        if number in {None, release.number}:
            return ()
        assert number is not None
        current = store.release(tx, release.endpoint, number)
        before = {} if current is None else voices(current.plan)
        after = voices(release.plan)
        found: list[tuple[Version, Lack]] = []
        for variant, (version, demands) in zip(release.plan.variants, asked, strict=True):
            manifest = Digest(variant.manifest)
            if demands.livetest is None or after.get(manifest, 0.0) <= before.get(manifest, 0.0):
                continue
            tried = self.trials.judged(tx, release, manifest)
            lacks = lacks_of_live_test(
                demands.livetest, release.endpoint, tried, now, is_served=before.get(manifest, 0.0) > 0
            )
            waived = self._waivers.holding(tx, version.project, version.digest, now)
            found.extend((version, lack) for lack in unwaived(lacks, waived))
        return tuple(found)

    def _accepted_by(self, tx: Transaction, version: Version) -> frozenset[str]:
        """Whoever had a voice in the acceptance of a version; the journal tells of those before votes were kept."""
        passed = {entry.actor for entry in self._journal.about(tx, str(version.name), version.project, _ACCEPTED)}
        return self._gates.approvers(tx, version.project, Gate.ACCEPTANCE, str(version.name)) | passed
