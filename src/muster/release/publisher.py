"""What is published for an endpoint, worked out from what is on record: never remembered, so never out of step.

Served is what the newest pointer says. To be loaded is the approved release that is not current yet. Warm is what was
current before, for an hour or until the next one, unless it can never be rolled back to; after a roll back that is the release
that was left, whose hosts run already. Banned are the versions in any of these plans that are banned now.
"""

from datetime import timedelta

from muster.publishing.board import Board, endpoint_subject
from muster.registry.service import Registry
from muster.release import store
from muster.release.records import Pointer, Release
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import Clock
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import ReleaseState
from muster.wire.plans import EndpointPlans, ServingPlan

WARM_FOR = timedelta(hours=1)


class Publisher:
    """Publishes the plans of endpoints.

    Args:
        board: where the fronts read.
        registry: tells which versions are banned.
        clock: tells when the plan before is warm no longer.
    """

    def __init__(self, board: Board, registry: Registry, clock: Clock) -> None:
        self._board = board
        self._registry = registry
        self._clock = clock

    def publish(self, tx: Transaction, endpoint: str) -> int:
        """Publish the endpoint as it now stands; gives the publication's number."""
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
        loading = next((release for release in approved if not release.current), None)
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
        )

    def is_warm(self, newest: Pointer) -> bool:
        """Whether what was current before the newest pointer is still kept warm."""
        return self._clock.now() - newest.at < WARM_FOR

    def _banned(self, tx: Transaction, releases: list[Release]) -> set[VersionName]:
        if not releases:
            return set()
        named = {version for release in releases for version in release.versions}
        return self._registry.banned_among(tx, releases[0].project, named)


def _plan(release: Release | None) -> ServingPlan | None:
    return None if release is None else release.plan
