"""A release that breaks the contract of the one that is current: told field by field, and approved when its consumers have agreed.

What is compared is what is current now, and not what was when the release was proposed: an acknowledgement names the contract that
was to be broken, and is worth nothing when a release with another contract has become current meanwhile.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from muster.access.actor import Call
from muster.access.roles import Right
from muster.audit.journal import Journal
from muster.packaging.evolution import Change, compatibility
from muster.registry.reasons import checked_reason
from muster.registry.records import Version
from muster.registry.service import Registry
from muster.release import store
from muster.release.errors import BreaksUnacknowledged, NothingToAcknowledge, NotYoursToAcknowledge, OwnWork
from muster.release.held import deed_of, held_release, unfit
from muster.release.judging import Judging
from muster.release.records import Acknowledgement, ContractReview, Release
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock
from muster.vocabulary.states import ReleaseState

#: Whoever has not used an endpoint for so long is not asked for having used it.
USED_WITHIN = timedelta(days=30)
_ACKNOWLEDGED = "release.acknowledged"


class Consumers(Protocol):
    """Tells whom a change at an endpoint concerns."""

    def hold_roles(self, tx: Transaction) -> None:
        """Nobody becomes a consumer, or ceases to be one, until this transaction ends."""
        ...

    def may_score(self, tx: Transaction, project: str, endpoint: str, *, by_name: bool) -> frozenset[str]:
        """Who has a token that is good now and may score at an endpoint.

        Args:
            tx: transaction.
            project: of the endpoint.
            endpoint: its name.
            by_name: only those whose rights name this endpoint, and not all there are.
        """
        ...


class Uses(Protocol):
    """Tells who has used an endpoint."""

    def consumers_since(self, tx: Transaction, project: str, endpoint: str, since: datetime) -> frozenset[str] | None:
        """Who has been answered there since; None: nobody counts."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A release's contract, held against that of the current release."""

    against: int | None
    """The current release; None: there is none, and nothing can break."""
    before: str
    """Digest of the current release's contract."""
    changes: tuple[Change, ...]

    @property
    def breaks(self) -> tuple[Change, ...]:
        """What consumers have to know of."""
        return tuple(change for change in self.changes if not change.is_compatible)


class Evolution:
    """The consumers' part in a change of contract.

    Args:
        database: where releases are kept.
        journal: where acknowledgements are put on record.
        clock: tells when.
        registry: the versions in releases.
        judging: tells who has part in a release.
        consumers: tells whom it concerns; None: nobody.
        uses: tells who has used an endpoint, and is asked beside those whose rights name it; None: nobody counts.
    """

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        clock: Clock,
        registry: Registry,
        judging: Judging,
        consumers: Consumers | None,
        uses: Uses | None,
    ) -> None:
        self._registry = registry
        self._judging = judging
        self._database = database
        self._journal = journal
        self._clock = clock
        self._consumers = consumers
        self._uses = uses

    # Deeds.

    def acknowledge(
        self, call: Call, endpoint: str, number: int, reason: str, *, consumer: str | None = None
    ) -> ContractReview:
        """Agree to what a proposed release breaks: as one of its consumers, or on behalf of one.

        Args:
            call: who, and in which project.
            endpoint: of the release.
            number: of the release.
            reason: why, or what was agreed with whom.
            consumer: on whose behalf, which takes the right manage-users; None: the caller's own.

        Raises:
            EndpointNotFound, ReleaseNotFound: there is none.
            NotYoursToAcknowledge: the consumer is not asked, or the caller may not speak for it.
            OwnWork: the caller has part in it, and would agree on behalf of a consumer.
            ReleaseStateUnfit: it is not `proposed`.
            NothingToAcknowledge: it breaks nothing.
        """
        told = checked_reason(reason)
        name = call.actor.name if consumer is None else consumer
        if name != call.actor.name and call.may(Right.MANAGE_USERS):
            self._prepare(call, endpoint, number)
        with self._database.write() as tx:
            self._require_part(tx, call, endpoint)
            if self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest) is not None:
                return self._review(tx, held_release(tx, call, endpoint, number))
            self._hold(tx)  # before it is read what is agreed to: an approval may be under way
            held = held_release(tx, call, endpoint, number)
            if name != call.actor.name:
                self._check_spokesman(tx, call, held, name)
            if held.state is not ReleaseState.PROPOSED:
                raise unfit(held, f"is {held.state}: nothing is left to agree to")
            found = self.compared(tx, held)
            if not found.breaks:
                raise NothingToAcknowledge(
                    f"{held.subject} breaks nothing of what its consumers rely on", endpoint=endpoint, release=number
                )
            if name not in self.asked(tx, held):
                raise NotYoursToAcknowledge(
                    f"{name} is not asked about {held.subject}: no consumer of the endpoint",
                    endpoint=endpoint,
                    release=number,
                    consumer=name,
                )
            if name not in self._agreed(tx, held, found):
                self._keep(tx, call, held, name, found, told)
            return self._review(tx, held)

    # What there is.

    def review(self, call: Call, endpoint: str, number: int) -> ContractReview:
        """What a release changes of the current contract, and who has agreed; for readers, and for the endpoint's consumers.

        Raises:
            EndpointNotFound, ReleaseNotFound: there is none.
        """
        with self._database.read() as tx:
            self._require_part(tx, call, endpoint)
            return self._review(tx, held_release(tx, call, endpoint, number))

    def compared(self, tx: Transaction, release: Release) -> Comparison:
        """A release's contract, held against that of the release that is current now."""
        number = store.current_number(tx, release.endpoint)
        current = None if number is None or number == release.number else store.release(tx, release.endpoint, number)
        if current is None:
            return Comparison(against=None, before="", changes=())
        before = current.plan.contract
        if current.plan.contract_digest == release.plan.contract_digest:
            return Comparison(against=number, before=current.plan.contract_digest, changes=())
        changes = tuple(compatibility(before, release.plan.contract))
        return Comparison(against=number, before=current.plan.contract_digest, changes=changes)

    def asked(self, tx: Transaction, release: Release) -> frozenset[str]:
        """The consumers who have to agree before it breaks what they rely on."""
        if self._consumers is None:
            return frozenset()
        since = self._clock.now() - USED_WITHIN
        project, endpoint = release.project, release.endpoint
        named = self._consumers.may_score(tx, project, endpoint, by_name=True)
        # A use is counted some minutes after it, and not where its record was lost: none counted does not say that none was.
        used = None if self._uses is None else self._uses.consumers_since(tx, project, endpoint, since)
        if not used:
            return named
        # Whoever may not score there any more has nothing to lose.
        return named | (used & self._consumers.may_score(tx, project, endpoint, by_name=False))

    def awaited(self, tx: Transaction, release: Release, found: Comparison) -> tuple[str, ...]:
        """The consumers who have to agree and have not, by name."""
        if not found.breaks:
            return ()
        return tuple(sorted(self.asked(tx, release) - self._agreed(tx, release, found).keys()))

    # At the gate.

    def check(self, tx: Transaction, release: Release) -> Mapping[str, object]:
        """What its audit event tells of what a release breaks; empty where it breaks nothing.

        Raises:
            BreaksUnacknowledged: a consumer has not agreed.
        """
        found = self.compared(tx, release)
        if not found.breaks:
            return {}
        self._hold(tx)
        told = [f"{change.side} {change.field}: {change.what}" for change in found.breaks]
        awaited = self.awaited(tx, release, found)
        if awaited:
            raise BreaksUnacknowledged(
                f"{release.subject} breaks the contract of release {found.against} ({'; '.join(told[:3])}), and "
                f"{', '.join(awaited)} did not agree yet",
                endpoint=release.endpoint,
                release=release.number,
                against=found.against,
                breaks=told,
                awaited=list(awaited),
            )
        return {"breaks": told, "against": found.against, "acknowledged": sorted(self._agreed(tx, release, found))}

    # Within.

    def _versions(self, tx: Transaction, release: Release) -> list[Version]:
        return [self._registry.version_in(tx, release.project, name) for name in release.versions]

    def _prepare(self, call: Call, endpoint: str, number: int) -> None:
        """Have what the bundles say at hand."""
        with self._database.read() as tx:
            self._require_part(tx, call, endpoint)
            versions = self._versions(tx, held_release(tx, call, endpoint, number))
        self._judging.prepare(versions)

    def _check_spokesman(self, tx: Transaction, call: Call, held: Release, consumer: str) -> None:
        name, facts = call.actor.name, {"endpoint": held.endpoint, "release": held.number}
        if not call.may(Right.MANAGE_USERS):
            raise NotYoursToAcknowledge(
                f"{name} may not agree on behalf of {consumer}; that takes the right {Right.MANAGE_USERS}",
                **facts,
                consumer=consumer,
            )
        judged = self._judging.release(tx, held, self._versions(tx, held), solo=call.actor.solo)
        if name.casefold() in judged.matter.excluded:
            raise OwnWork(
                f"{name} has part in {held.subject}, and may not agree to it on behalf of {consumer}",
                actor=name,
                **facts,
            )

    def _require_part(self, tx: Transaction, call: Call, endpoint: str) -> None:
        """Nothing, if the caller may read, or may score at the endpoint."""
        if call.may(Right.READ):
            return
        if self._consumers is not None and call.actor.name in self._consumers.may_score(
            tx, call.project, endpoint, by_name=False
        ):
            return
        call.require(Right.READ)

    def _hold(self, tx: Transaction) -> None:
        if self._consumers is not None:
            self._consumers.hold_roles(tx)

    def _agreed(self, tx: Transaction, release: Release, found: Comparison) -> dict[str, Acknowledgement]:
        return {
            one.consumer: one
            for one in store.acknowledgements_of(tx, release.endpoint, release.number)
            if one.before == found.before
        }

    def _keep(self, tx: Transaction, call: Call, held: Release, consumer: str, found: Comparison, reason: str) -> None:
        kept = Acknowledgement(
            consumer=consumer, before=found.before, by=call.actor.name, at=self._clock.now(), reason=reason
        )
        store.add_acknowledgement(tx, held, kept)
        details = {
            "consumer": consumer,
            "contract": found.before,
            "breaks": [f"{change.side} {change.field}: {change.what}" for change in found.breaks],
        }
        self._journal.append(tx, deed_of(call, _ACKNOWLEDGED, held, reason, details))

    def _review(self, tx: Transaction, held: Release) -> ContractReview:
        found = self.compared(tx, held)
        agreed = self._agreed(tx, held, found) if found.breaks else {}
        return ContractReview(
            endpoint=held.endpoint,
            release=held.number,
            against=found.against,
            changes=found.changes,
            acknowledged=tuple(agreed[name] for name in sorted(agreed)),
            awaited=self.awaited(tx, held, found),
        )
