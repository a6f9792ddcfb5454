"""The ramp: the current release moves to another of the steps that were approved with it."""

from muster.access.actor import Call
from muster.access.roles import Right
from muster.audit.journal import Journal
from muster.registry.reasons import checked_reason
from muster.registry.records import Version
from muster.registry.service import Registry
from muster.release import store
from muster.release.errors import StepUnfit
from muster.release.followers import Followers
from muster.release.held import deed_of, held_release, present
from muster.release.judging import Judging
from muster.release.publisher import Publisher
from muster.release.records import Release
from muster.release.thaw import require_thawed
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock
from muster.wire.plans import SplitPolicy


class Ramps:
    """Moves releases along their ramps.

    Args:
        database: where releases are kept.
        journal: where it is put on record.
        registry: holds the states of versions still meanwhile.
        judging: tells when a freeze holds.
        publisher: tells the fronts.
        followers: whoever waits for news of a release.
        clock: tells when.
    """

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        registry: Registry,
        judging: Judging,
        publisher: Publisher,
        followers: Followers,
        clock: Clock,
    ) -> None:
        self._database = database
        self._journal = journal
        self._registry = registry
        self._judging = judging
        self._clock = clock
        self._publisher = publisher
        self._followers = followers

    def step(self, call: Call, endpoint: str, number: int, step: int, reason: str) -> Release:
        """Move to a step, forwards or back; see `Releases.step`."""
        call.require(Right.RAMP)
        told = checked_reason(reason)
        self._prepare(call, endpoint, number, step)
        with self._database.write() as tx:
            entry = self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)
            if entry is not None:
                return present(tx, call, entry)
            self._registry.hold_states(tx)
            held = held_release(tx, call, endpoint, number)
            shares = _shares(held, step)
            if step > held.step:  # a step back is always possible
                require_thawed(self._judging.release(tx, held, self._versions(tx, held)), self._clock.now())
            store.set_step(tx, held, step)
            publication = self._publisher.publish(tx, endpoint)
            details = {"from": held.step, "to": step, "shares": shares, "publication": publication}
            self._journal.append(tx, deed_of(call, "release.stepped", held, told, details))
            moved = held_release(tx, call, endpoint, number)
        self._followers.tell()
        return moved

    def _prepare(self, call: Call, endpoint: str, number: int, step: int) -> None:
        """Have at hand what bundles say, if the step is a further one; back it must do without the store."""
        with self._database.read() as tx:
            found = held_release(tx, call, endpoint, number)
            if step <= found.step or not found.current:
                return
            versions = self._versions(tx, found)
        self._judging.prepare(versions)

    def _versions(self, tx: Transaction, held: Release) -> list[Version]:
        return [self._registry.version_in(tx, held.project, name) for name in held.versions]


def _shares(held: Release, step: int) -> dict[str, float]:
    """What each version answers at the step.

    Raises:
        StepUnfit: the release cannot move there.
    """
    policy = held.plan.policy
    if not isinstance(policy, SplitPolicy):
        raise _unfit(held, step, "has no ramp: its policy is no split")
    if not 0 <= step < len(policy.steps):
        raise _unfit(held, step, f"has the steps 0 to {len(policy.steps) - 1}, and no step {step}")
    if not held.current:
        raise _unfit(held, step, "is not current; only what is served moves along its ramp")
    return dict(zip(policy.order, policy.steps[step].shares, strict=True))


def _unfit(held: Release, step: int, why: str) -> StepUnfit:
    return StepUnfit(
        f"{held.subject} {why}", endpoint=held.endpoint, release=held.number, state=str(held.state), step=step
    )
