"""What a release has to be before it may go live, whoever agrees to it: asked at its gate, and again at its moment."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog

from muster.access.actor import Call
from muster.access.projects import quotas_in
from muster.certification.service import Certification
from muster.gates.service import Gates
from muster.registry.errors import VersionAltered
from muster.registry.records import Version
from muster.registry.service import Registry
from muster.release import store
from muster.release.errors import ProposalExpired, SwitchUnderWay, TwinMissing
from muster.release.evolution import Evolution
from muster.release.held import check_move, held_release
from muster.release.judging import Judged, Judging
from muster.release.last_resort import LastResort, LastResorts
from muster.release.own_work import waived_for_release
from muster.release.planner import check_releasable
from muster.release.publisher import has_begun
from muster.release.records import Release
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock, rfc3339
from muster.vocabulary.digests import Digest
from muster.vocabulary.errors import Damaged, MusterError, NotFound
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import ReleaseState

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Passable:
    """What is told of a release that may pass its gate."""

    waived: bool
    """The rule about own work was waived for the caller."""
    last_resort: LastResort
    broken: Mapping[str, object]
    """What it takes from consumers, and who agreed."""


class Passing:
    """What is asked of a release besides the approvals.

    Args:
        database: where releases are kept.
        registry: the versions and who owns their models.
        certification: names the twins that a version may be served as.
        judging: what the standard asks for.
        gates: counts who agrees.
        evolution: what a release changes of the contract.
        last_resorts: how fast what answers last is.
        clock: tells when.
        solo: the factory is one person's.
    """

    def __init__(
        self,
        *,
        database: Database,
        registry: Registry,
        certification: Certification,
        judging: Judging,
        gates: Gates,
        evolution: Evolution,
        last_resorts: LastResorts,
        clock: Clock,
        solo: bool,
    ) -> None:
        self._database = database
        self._registry = registry
        self._certification = certification
        self._judging = judging
        self._gates = gates
        self._evolution = evolution
        self._last_resorts = last_resorts
        self._clock = clock
        self._solo = solo

    def prepare(self, call: Call, endpoint: str, number: int) -> None:
        """Have at hand what takes too long for within the transaction: the measured default answer, what the bundles say."""
        found = self.prepare_facts(call, endpoint, number)
        if found is not None and found.state is ReleaseState.PROPOSED:
            self._last_resorts.prepare(found.plan, again=True)

    def prepare_facts(self, call: Call, endpoint: str, number: int) -> Release | None:
        """Have at hand what the bundles of a release say; the release, or None where the project has none such."""
        with self._database.read() as tx:
            found = store.release(tx, endpoint, number)
            if found is None or found.project != call.project:
                return None
            versions = [self._registry.version_in(tx, call.project, name) for name in found.versions]
        self._judging.prepare(versions)
        return found

    def passable(
        self, tx: Transaction, call: Call, endpoint: str, number: int
    ) -> tuple[Release, list[Version], Passable]:
        """A release that could go live if everybody agreed, and what the record is told of that."""
        self._registry.hold_states(tx)
        held = held_release(tx, call, endpoint, number)
        versions = [self._registry.version_in(tx, call.project, name) for name in held.versions]
        with_past = [self._registry.with_past_stewards(tx, version) for version in versions]
        waived = waived_for_release(call, held, with_past, self._judging.deputies(versions))
        check_move(held, ReleaseState.APPROVED)
        self.require_free(tx, held, None)
        check_releasable(versions)
        self._check_twins(tx, held, versions)
        self._registry.check_owners(tx, call.project, {version.model for version in versions})
        broken = self._evolution.check(tx, held)
        last_resort = self._last_resorts.of(tx, held.plan)
        if (problem := last_resort.problem) is not None:
            raise problem
        quotas_in(tx, call.project).require(
            call.project,
            "live_variants",
            live_variants(tx, call.project, besides=endpoint),
            len(held.plan.variants),
        )
        return held, versions, Passable(waived=waived, last_resort=last_resort, broken=broken)

    def require_free(self, tx: Transaction, held: Release, live_from: datetime | None) -> None:
        """Nothing, if no other release of the endpoint is on its way, nor waits for a moment as this one does."""
        now = self._clock.now()
        for other in store.releases_in(tx, ReleaseState.APPROVED, held.endpoint):
            if other.current:
                continue  # its fronts do not get on with it: a better one must be able to overtake it
            if not has_begun(other, now) and live_from is None:
                continue  # it waits for its moment
            under_way = "is being made live" if has_begun(other, now) else "waits for its moment"
            raise SwitchUnderWay(
                f"{other.subject} {under_way}", endpoint=held.endpoint, release=held.number, under_way=other.number
            )

    def unfit(self, release: Release) -> Callable[[Transaction], str | None]:
        """What tells in a transaction why an approved release cannot go live now, or at the moment that it was approved for.

        Its gate is decided again: by the standard, the people and the votes of that moment. What breaking the glass passes
        over is passed over here, too.
        """
        with self._database.read() as tx:
            try:
                versions = [self._registry.version_in(tx, release.project, name) for name in release.versions]
            except VersionAltered as altered:
                return _always(altered.message)
        for version in versions:
            try:
                self._judging.prepare([version])
            except (
                Damaged,
                NotFound,
            ) as error:  # the error names the store's path, which is nobody's business out there
                log.error("release.bundle-gone", version=str(version.name), code=error.code, message=error.message)
                return _always(f"the bundle of {version.name} is missing in the store, or damaged there")

        def tell(tx: Transaction) -> str | None:
            now = self._clock.now()
            at = max(release.live_from or now, now)  # control may have been away at the moment itself
            try:
                held = [self._registry.version_in(tx, release.project, name) for name in release.versions]
                check_releasable(held)
                self._check_twins(tx, release, held)
                self._registry.check_owners(tx, release.project, {version.model for version in held})
                self._evolution.check(tx, release)
                # After the roles, which those two hold: whoever takes both locks takes them in this order.
                self._gates.hold(tx)
                judged = self._judging.release(tx, release, held, solo=self._solo, at=at)
                if not (is_glass_broken := bool(store.glass_of(tx, release.endpoint, release.number))):
                    judged.require_complete()
            except MusterError as error:
                return error.message
            if not is_glass_broken and (frozen := judged.frozen(at)) is not None:
                return f"a freeze holds: {frozen.reason}"
            if not is_glass_broken and not (decision := self._gates.decision(tx, judged.matter)).met:
                return "; ".join(decision.told)
            if release.plan.default is not None:
                return None  # it was measured for its approval, and nothing about it has changed
            problem = self._last_resorts.of(tx, release.plan).problem
            return None if problem is None else problem.message

        return tell

    def twins(self, tx: Transaction, project: str, names: Iterable[VersionName]) -> dict[VersionName, Digest]:
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
            if self.twins(tx, held.project, [version.name])[version.name] != variant.manifest:
                raise TwinMissing(
                    f"the certificate of {version.name} names another compiled twin since the release was proposed",
                    version=str(version.name),
                )


def _always(why: str) -> Callable[[Transaction], str]:
    return lambda _tx: why


def live_variants(tx: Transaction, project: str, *, besides: str | None = None) -> int:
    """How many variants the project's endpoints run: those of each endpoint's current release or of the one coming.

    Args:
        tx: within which.
        project: whose.
        besides: an endpoint that is not counted.
    """
    per_endpoint: dict[str, int] = {}
    for (endpoint, _), variants in store.variants_served(tx, project).items():
        if endpoint != besides:
            per_endpoint[endpoint] = max(per_endpoint.get(endpoint, 0), variants)
    return sum(per_endpoint.values())


def require_fresh(held: Release, judged: Judged, now: datetime) -> None:
    """Nothing, if the release was not proposed longer ago than a standard lets a proposal be."""
    spans = [rule.expires for rule in judged.matter.rules if rule.expires is not None]
    if spans and held.proposed_at + min(spans) <= now:
        raise ProposalExpired(
            f"{held.subject} was proposed at {rfc3339(held.proposed_at)}; a proposal lasts {min(spans).days} days",
            endpoint=held.endpoint,
            release=held.number,
            proposed_at=rfc3339(held.proposed_at),
        )
