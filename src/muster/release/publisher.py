"""What is published for an endpoint, worked out from what is on record: never remembered, so never out of step.

Served is what the newest pointer says. To be loaded is the approved release that is not current yet. Warm is what was
current before, for an hour or until the next one, unless it can never be rolled back to; after a roll back that is the release
that was left, whose hosts run already. Banned are the versions in any of these plans that are banned now.
"""

from datetime import datetime, timedelta

from muster.catalogue.records import EndpointState, Entry, Kind
from muster.catalogue.service import Catalogue
from muster.publishing.board import Board, endpoint_subject
from muster.registry.service import Registry
from muster.release import store
from muster.release.records import Pointer, Release
from muster.release.trials import NoTrials, Trials
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import Clock
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import ReleaseState
from muster.wire.plans import EndpointPlans, ServingPlan

WARM_FOR = timedelta(hours=1)
#: Before the moment that a release was approved for, fronts begin to load it; so they can switch at the moment itself.
LOADED_AHEAD = timedelta(minutes=2)


class Publisher:
    """Publishes the plans of endpoints.

    Args:
        board: where the fronts read.
        registry: tells which versions are banned.
        clock: tells when the plan before is warm no longer.
        catalogue: where endpoints are found by what answers there.
    """

    def __init__(self, board: Board, registry: Registry, clock: Clock, catalogue: Catalogue) -> None:
        self._board = board
        self._registry = registry
        self._clock = clock
        self._catalogue = catalogue
        self.trials: Trials = NoTrials()
        """What is on trial beside releases."""

    def enter(self, tx: Transaction, endpoint: str) -> None:
        """Tell the catalogue of the endpoint as it now stands."""
        found = store.endpoint(tx, endpoint)
        assert found is not None
        current = None if found.current is None else store.release(tx, endpoint, found.current)
        names = () if current is None else current.versions
        self._catalogue.enter(
            tx,
            Entry(
                project=found.project,
                kind=Kind.ENDPOINT,
                name=endpoint,
                state=str(EndpointState.UNSERVED if current is None else EndpointState.SERVED),
                owner=found.created_by,
                at=found.created_at,
                facts=(
                    ("by", found.created_by),
                    *(("champion", str(name)) for name in names[:1]),
                    *(("version", str(name)) for name in names),
                    *(("model", model) for model in dict.fromkeys(name.model for name in names)),
                ),
                text="" if current is None else current.reason,
            ),
        )

    def publish(self, tx: Transaction, endpoint: str) -> int:
        """Publish the endpoint as it now stands; gives the publication's number."""
        self.enter(tx, endpoint)
        return self._board.publish(tx, endpoint_subject(endpoint), self.document(tx, endpoint))

    def publish_change(self, tx: Transaction, endpoint: str) -> None:
        """Publish the endpoint as it now stands, if that is not what the fronts were told last."""
        told = self._board.newest(endpoint_subject(endpoint))
        if told is not None and told.document != self.document(tx, endpoint):
            self.publish(tx, endpoint)

    def document(self, tx: Transaction, endpoint: str) -> EndpointPlans:
        """What the fronts shall do for an endpoint, as it now stands."""
        history = store.pointers_of(tx, endpoint)
        current = store.release(tx, endpoint, history[0].release) if history else None
        approved = store.releases_in(tx, ReleaseState.APPROVED, endpoint)
        begun = [one for one in approved if not one.current and has_begun(one, self._clock.now())]
        loading = min(begun, key=_turn, default=None)
        warm = None
        if history and self.is_warm(history[0]):
            before = next((pointer.release for pointer in history if pointer.release != history[0].release), None)
            warm = store.release(tx, endpoint, before) if before is not None else None
        banned = self._banned(tx, [release for release in (current, loading, warm) if release is not None])
        if warm is not None and (banned & set(warm.versions) or warm.live_at is None):
            warm = None  # it can never be current again: its hosts would only cost memory
        still_named = {version for release in (current, loading, warm) if release for version in release.versions}
        return EndpointPlans(
            endpoint=endpoint,
            serving=_plan(current),
            loading=_plan(loading),
            warm=_plan(warm),
            banned=tuple(str(version) for version in sorted(banned & still_named)),
            step=0 if current is None else current.step,
            shadow=None if current is None else self.trials.shadow(tx, current),
        )

    def is_warm(self, newest: Pointer) -> bool:
        """Whether what was current before the newest pointer is still kept warm."""
        return self._clock.now() - newest.at < WARM_FOR

    def _banned(self, tx: Transaction, releases: list[Release]) -> set[VersionName]:
        if not releases:
            return set()
        named = {version for release in releases for version in release.versions}
        return self._registry.banned_among(tx, releases[0].project, named)


def has_begun(release: Release, now: datetime) -> bool:
    """Whether fronts may load an approved release: at once, or a little before the moment that it was approved for."""
    return release.live_from is None or now >= release.live_from - LOADED_AHEAD


def _turn(release: Release) -> tuple[bool, datetime, int]:
    """Whose turn it is to be loaded, the lowest first: one that was to be so at once, else the one with the earliest moment."""
    return release.live_from is not None, release.live_from or release.proposed_at, release.number


def _plan(release: Release | None) -> ServingPlan | None:
    return None if release is None else release.plan
