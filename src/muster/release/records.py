"""Releases, endpoints and proposals as services and doors see them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import ReleaseState, Role
from muster.wire.plans import RequestLimits, ServingPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A release as somebody wants it."""

    champion: VersionName
    challengers: tuple[VersionName, ...] = ()
    canaries: tuple[VersionName, ...] = ()
    order: tuple[VersionName, ...] | None = None
    """Whose answer is preferred, first to last; None: the champion, then the canaries."""
    deadline: timedelta | None = None
    """Within which every request is answered; None: 100 ms."""
    patience: timedelta | None = None
    """How long all but the last of the order are waited for; None: 60 % of the deadline."""
    default: Mapping[str, Any] | None = None
    """One value per output, given when no version answers in time; None: such requests get an error."""
    archive_level: Literal["sync", "group", "async"] = "group"
    limits: RequestLimits = field(default_factory=RequestLimits)

    @property
    def variants(self) -> tuple[tuple[VersionName, Role], ...]:
        """Every version with its role: the champion, the challengers, the canaries."""
        return (
            (self.champion, Role.CHAMPION),
            *((version, Role.CHALLENGER) for version in self.challengers),
            *((version, Role.CANARY) for version in self.canaries),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release: its plan never changes, its state does."""

    endpoint: str
    number: int
    project: str
    state: ReleaseState
    current: bool
    """It is what the endpoint answers with, or, while it is `approved`, what fronts are switching to."""
    plan: ServingPlan
    plan_digest: Digest
    proposed_by: str
    proposed_at: datetime
    reason: str
    decided_by: str | None
    """Who approved, rejected or withdrew it, whichever was last."""
    decided_at: datetime | None
    decision_reason: str | None
    live_at: datetime | None
    """When it first was served by every connected front."""
    failure: str | None
    """Why it is `failed`."""

    @property
    def subject(self) -> str:
        """How audit events name it."""
        return f"{self.endpoint} release {self.number}"

    @property
    def versions(self) -> tuple[VersionName, ...]:
        """The versions in it, the champion first."""
        return tuple(VersionName.parse(variant.version) for variant in self.plan.variants)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What consumers call."""

    name: str
    project: str
    created_by: str
    created_at: datetime
    current: int | None
    """The release that answers; None: none yet."""
    champion: VersionName | None
    releases: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """A front that is connected."""

    name: str
    number: int
    """The highest publication that it is known to have; 0: it has not asked since control started."""
    silent_s: float
    """Since it was last heard of, seconds."""


class Cause(StrEnum):
    """Why a release became current."""

    WENT_LIVE = "went-live"
    ROLLED_BACK = "rolled-back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """That a release became current; the history of these is only ever added to."""

    endpoint: str
    sequence: int
    release: int
    at: datetime
    by: str
    cause: Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledBack:
    """A roll back that every connected front has confirmed."""

    endpoint: str
    from_: int
    to: int
    effective_ms: float
    """From control's receiving it to the last connected front's report that it serves it."""
    fronts: int
    """How many fronts confirmed it; 0: none is connected."""
