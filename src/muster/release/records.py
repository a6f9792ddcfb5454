"""Releases, endpoints and proposals as services and doors see them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from muster.packaging.evolution import Change
from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import ReleaseState, Role
from muster.wire.plans import RequestLimits, ServingPlan


@dataclass(frozen=True, slots=True)
class WantedFirst:
    """The first version of the order that answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedVote:
    """What most versions say."""

    output: str
    """The output that is voted on."""
    wait: timedelta | None = None
    """After which whoever is in has voted; None: 60 % of the deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedWeighted:
    """The weighted mean of what the versions say."""

    weights: Mapping[VersionName, float]
    outputs: tuple[str, ...]
    """The outputs that are averaged."""
    argmax: Mapping[str, str] = field(default_factory=dict)
    """Outputs that are the label of the greatest of averaged probabilities: output to probabilities."""
    wait: timedelta | None = None
    """After which the mean is that of whoever is in; None: 60 % of the deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedSplit:
    """Each unit is answered by one version; the shares change step by step."""

    field: str
    """The input whose values are the units."""
    steps: tuple[Mapping[VersionName, float], ...]
    """The share of each version, step by step; a version that a step does not name has none in it."""
    salt: str | None = None
    """Other salts assign other units; None: it is made of the endpoint and the versions."""


WantedPolicy = WantedFirst | WantedVote | WantedWeighted | WantedSplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A release as somebody wants it."""

    champion: VersionName
    challengers: tuple[VersionName, ...] = ()
    canaries: tuple[VersionName, ...] = ()
    twins: tuple[VersionName, ...] = ()
    """Versions in whose place their compiled twins are served."""
    order: tuple[VersionName, ...] | None = None
    """Whose answer is preferred, first to last; None: see `release.policies`."""
    policy: WantedPolicy = WantedFirst()
    """How one of the answers is chosen, or one is made of them."""
    deadline: timedelta | None = None
    """Within which every request is answered; None: 100 ms."""
    patience: timedelta | None = None
    """How long all but the last of the order are waited for; None: 60 % of the deadline."""
    patience_of: Mapping[VersionName, timedelta] = field(default_factory=dict)
    """How long single versions are waited for, where that is another time."""
    default: Mapping[str, Any] | None = None
    """One value per output, given when no version answers in time; None: such requests get an error."""
    archive_level: Literal["sync", "group", "async"] = "group"
    archive_full: Literal["refuse", "drop"] = "refuse"
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
    step: int = 0
    """Where it stands on the ramp of its policy, if that is a split."""
    breaks: tuple[Change, ...] = ()
    """What it takes from consumers of the release that was current: when it was proposed, or now, while it is proposed."""
    awaited: tuple[str, ...] = ()
    """Consumers who have to agree to that and have not; told of proposed releases, one at a time."""
    live_from: datetime | None = None
    """It was approved for this moment; None: for at once."""
    warnings: tuple[str, ...] = ()
    """Why it cannot be approved as things are; told of proposed releases, one at a time."""
    missing: tuple[str, ...] = ()
    """What its gate still asks for, in words; told of proposed releases where somebody voted or the project has a standard."""
    glass: "Glass | None" = None
    """That it went live without its approvals; None: it did not."""

    @property
    def subject(self) -> str:
        """How audit events name it."""
        return f"{self.endpoint} release {self.number}"

    @property
    def versions(self) -> tuple[VersionName, ...]:
        """The versions in it, the champion first."""
        return tuple(VersionName.parse(variant.version) for variant in self.plan.variants)


class GlassState(StrEnum):
    """Where broken glass is."""

    OPEN = "open"
    """Nobody has confirmed it yet, and there is time."""
    CONFIRMED = "confirmed"
    ROLLED_BACK = "rolled-back"
    """Its time was over, and what was current before is current again, or the release never came to be."""
    OVERTAKEN = "overtaken"
    """Its time was over when another release was current already."""
    STUCK = "stuck"
    """Its time was over, and nothing is left that could be rolled back to; it is tried again, and can be confirmed still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Glass:
    """A release that somebody let go live without its approvals."""

    endpoint: str
    number: int
    project: str
    broken_by: str
    at: datetime
    confirm_by: datetime
    reason: str
    state: GlassState

    @property
    def is_open(self) -> bool:
        """Whether it is to be confirmed still."""
        return self.state in {GlassState.OPEN, GlassState.STUCK}


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """That a consumer agreed to what a release breaks."""

    consumer: str
    before: str
    """Digest of the contract that is broken."""
    by: str
    """Who said so: the consumer, or an admin on its behalf."""
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractReview:
    """What a release changes of the contract that is current, and what its consumers say to it."""

    endpoint: str
    release: int
    against: int | None
    """The release that is current; None: there is none."""
    changes: tuple[Change, ...]
    acknowledged: tuple[Acknowledgement, ...]
    awaited: tuple[str, ...]


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
class Window:
    """Which past requests: the newest of a time."""

    last: int = 10_000
    """How many at most."""
    from_: datetime | None = None
    """Arrived then or later; None: whenever."""
    to: datetime | None = None
    """Arrived before; None: up to now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What the policy of a release would have done with past requests. Shares are of those that were used."""

    endpoint: str
    release: int
    step: int | None
    """At which step of the ramp; None: the policy is no split."""
    records: int
    """How many were looked at."""
    used: int
    skipped: Mapping[str, int]
    """How many were not used, by why not."""
    first_ns: int | None
    """Arrival of the earliest request that was used, nanoseconds since 1970."""
    last_ns: int | None
    never_seen: tuple[str, ...]
    """Versions that no record tells anything of."""
    absent: Mapping[str, int]
    """In how many of the requests used a record tells nothing of a version."""
    unasked: int
    """In how many of the requests used a version of the order was sent nothing, for whatever reason."""
    unasked_and_none: int
    """How many of these nothing would have answered."""
    champion_share: float
    fallback_share: float
    default_share: float
    on_time_share: float
    """Answered by the deadline, be it with the default answer."""
    reasons: Mapping[str, float]
    answered_by: Mapping[str, float]
    p50_ms: float | None
    """From arrival to decision."""
    p99_ms: float | None
    rows_compared: int
    agreement: float | None
    """Of the rows compared, those whose outputs would all be the same."""
    mean_absolute_difference: Mapping[str, float]
    """By output of floating point numbers."""


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
