"""The dry run of a standard: which versions that are served now would fail it."""

from dataclasses import dataclass

from muster.access.actor import Call
from muster.access.roles import Right
from muster.gates.records import Gate
from muster.registry.service import Registry
from muster.release import store
from muster.release.judging import Judging
from muster.standards.document import Standard
from muster.standards.evaluation import Lack
from muster.storage.transaction import Database
from muster.vocabulary.clock import Clock
from muster.vocabulary.names import VersionName


@dataclass(frozen=True, slots=True, kw_only=True)
class WouldFail:
    """A version that is served, and what it would lack."""

    version: VersionName
    endpoints: tuple[str, ...]
    """Where it is in the current release."""
    lacks: tuple[Lack, ...]
    """At acceptance and at go-live, each thing once; empty: nothing."""


class DryRuns:
    """Holds what is served against standards that are not in force.

    Args:
        database: where releases are kept.
        registry: the versions.
        judging: what a version lacks.
        clock: tells when.
    """

    def __init__(self, *, database: Database, registry: Registry, judging: Judging, clock: Clock) -> None:
        self._database = database
        self._registry = registry
        self._judging = judging
        self._clock = clock

    def run(self, call: Call, standard: Standard) -> tuple[WouldFail, ...]:
        """Every version in a current release of the project, by name, with what it would lack by the standard."""
        call.require(Right.READ)
        with self._database.read() as tx:
            served: dict[VersionName, list[str]] = {}
            for endpoint in store.endpoints_of(tx, call.project):
                release = None if endpoint.current is None else store.release(tx, endpoint.name, endpoint.current)
                for name in () if release is None else release.versions:
                    served.setdefault(name, []).append(endpoint.name)
            versions = {name: self._registry.version_in(tx, call.project, name) for name in sorted(served)}
        self._judging.prepare(versions.values())
        with self._database.read() as tx:
            return tuple(
                WouldFail(
                    version=name,
                    endpoints=tuple(served[name]),
                    lacks=self._judging.lacks_by(
                        tx, version, standard, (Gate.ACCEPTANCE, Gate.GO_LIVE), self._clock.now()
                    ),
                )
                for name, version in versions.items()
            )
