"""What a release still lacks, told to whoever looks at it before anybody tries to pass it."""

from dataclasses import replace

from muster.gates.service import Gates
from muster.registry.errors import OwnerGone
from muster.registry.service import Registry
from muster.release import store
from muster.release.approvals import told_of
from muster.release.evolution import Evolution
from muster.release.glass import to_confirm
from muster.release.judging import Judging
from muster.release.last_resort import LastResorts
from muster.release.records import Release
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.errors import Damaged, NotFound, Unavailable
from muster.vocabulary.states import ReleaseState


class Prospects:
    """What the gate of a release still asks for, and what would keep it from being approved now.

    Args:
        database: where releases are kept.
        registry: the versions and who owns their models.
        judging: what the standard asks for.
        gates: counts who agrees.
        evolution: what a release changes of the contract.
        last_resorts: how fast what answers last is.
        solo: the factory is one person's.
    """

    def __init__(
        self,
        *,
        database: Database,
        registry: Registry,
        judging: Judging,
        gates: Gates,
        evolution: Evolution,
        last_resorts: LastResorts,
        solo: bool,
    ) -> None:
        self._database = database
        self._registry = registry
        self._judging = judging
        self._gates = gates
        self._evolution = evolution
        self._last_resorts = last_resorts
        self._solo = solo

    def told(self, tx: Transaction, found: Release) -> Release:
        """With what its gate still asks for, and what became of broken glass."""
        glass = next(iter(store.glass_of(tx, found.endpoint, found.number)), None)
        is_open = glass is not None and glass.is_open
        if found.state is not ReleaseState.PROPOSED and not is_open:
            return found if glass is None else replace(found, glass=glass)
        versions = [self._registry.version_in(tx, found.project, name) for name in found.versions]
        judged = self._judging.release(tx, found, versions, solo=self._solo)
        if glass is not None and is_open:
            judged = replace(judged, matter=to_confirm(judged.matter, glass, solo=self._solo))
        return replace(found, glass=glass, missing=told_of(self._gates, tx, judged))

    def with_warnings(self, found: Release) -> Release:
        """The release with its gate's wishes, and if it is proposed, with what would keep it from being approved now."""
        if found.state is ReleaseState.PROPOSED:
            self._last_resorts.prepare(found.plan)
        if (unread := self._unread(found)) is not None:
            return replace(found, warnings=(unread,))
        with self._database.read() as tx:
            found = self.told(tx, found)
            if found.state is not ReleaseState.PROPOSED:
                return found
            compared = self._evolution.compared(tx, found)
            awaited = self._evolution.awaited(tx, found, compared)
            problems = [self._last_resorts.of(tx, found.plan).problem, self._owner_gone(tx, found)]
        told = (f"{problem.message}. {problem.advice}" for problem in problems if problem is not None)
        return replace(found, warnings=tuple(told), breaks=compared.breaks, awaited=awaited)

    def _unread(self, found: Release) -> str | None:
        """Have at hand what the bundles say, outside of transactions; why the store does not tell, in words without its path."""
        with self._database.read() as tx:
            glass = store.glass_of(tx, found.endpoint, found.number)
            if found.state is not ReleaseState.PROPOSED and not any(one.is_open for one in glass):
                return None
            versions = [self._registry.version_in(tx, found.project, name) for name in found.versions]
        try:
            self._judging.prepare(versions)
        except (Unavailable, Damaged, NotFound) as error:
            return f"What its gate asks for is not known: the store does not tell what its bundles say ({error.code})."
        return None

    def _owner_gone(self, tx: Transaction, found: Release) -> OwnerGone | None:
        try:
            self._registry.check_owners(tx, found.project, {name.model for name in found.versions}, hold=False)
        except OwnerGone as gone:
            return gone
        return None
