"""From control to fronts: serving plans and the access list, format 1, and what fronts report back.

Both travel as numbered *publications*. Numbers rise by one for the whole factory; a front long-polls with the highest
number it has and is given, of every subject, the newest publication above it. Nothing else goes from the control
plane to the data plane. A front keeps what it has in a file (mode 0600) and starts from it when control is down.
"""

from typing import Any, Literal

import msgspec

from muster.vocabulary.states import Role
from muster.wire.contracts import Contract

PLAN_FORMAT: Literal[1] = 1
ACCESS_FORMAT: Literal[1] = 1
#: Of an answer to a front that follows: which process of control gave it.
PROCESS_HEADER = "muster-control"


class PlannedVariant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version in a role."""

    version: str
    """As people write it: `churn:3`."""
    role: Role
    manifest: str
    """Digest of the bundle's manifest: which bytes to run."""
    inputs: tuple[str, ...]
    """Names of the endpoint's inputs that this version takes, in its own order."""
    owners: tuple[str, ...] = ()


class FirstPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="name", tag="first"):
    """Answer with the first version of `order` that has answered; give up waiting for each at its patience.

    `patience_ms[i]` counts from the arrival of the request; after it, the answer of a later version will do.
    It has as many entries as `order`, never falls, and none is above the deadline.
    """

    order: tuple[str, ...]
    patience_ms: tuple[float, ...]


class VotePolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="name", tag="vote"):
    """Answer each row with the value of `output` that most versions of `order` gave; a tie goes to the earlier in the order.

    The vote is taken when all have answered or failed, when those still missing cannot change the value of a row, or after
    `wait_ms` from arrival over whoever is in then. With one in, its answer is given; with nobody in, the first answer until
    the deadline. The row's other outputs come from the earliest version in the order that gave the winning value.
    """

    order: tuple[str, ...]
    output: str
    """A single text, flag or whole number; null is a value like any other."""
    wait_ms: float


class WeightedPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="name", tag="weighted"):
    """Answer with the weighted mean of `outputs` over the versions of `order` that are in after `wait_ms`, or all.

    `weights` has one number above 0 per entry of `order`; those of the versions that are in are scaled to sum 1, and the
    answer reports them. In a row where a version's output is null it has no say about it. Outputs that are not averaged come
    from the version with the greatest weight among those in. With one in, its answer is given as it is; with nobody in, the
    first answer until the deadline.
    """

    order: tuple[str, ...]
    weights: tuple[float, ...]
    outputs: tuple[str, ...]
    """Floating-point outputs: numbers, or tensors averaged element by element."""
    wait_ms: float
    argmax: dict[str, str] = {}
    """Outputs that are the class with the greatest mean: `{"label": "probability"}` sets `label` to the contract's label of
    the greatest of the averaged `probability`, so that the two never contradict."""


class SplitStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of a ramp: which share of the units each version of the order answers; the shares sum to 1."""

    shares: tuple[float, ...]


class SplitPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="name", tag="split"):
    """Each unit (a value of the input `field`) is answered by the version that a hash of it and `salt` assigns it to.

    The assignment is the same on every front and every day; from one step to the next a unit moves only from a version whose
    share falls to one whose share grows. Which units a step gives to whom depends on it and the steps before it.
    A version that fails or misses its patience is replaced along `order`, as with `first`, whatever its share.
    """

    order: tuple[str, ...]
    patience_ms: tuple[float, ...]
    """Counted from arrival, as with `first`; the last entry, too, may be below the deadline: the last version has units."""
    field: str
    """A single text, flag or whole number; all nulls are one unit."""
    salt: str
    """Another salt, another assignment: two splits over one field do not favour the same units."""
    steps: tuple[SplitStep, ...]
    """Fronts follow `EndpointPlans.step`; a step beyond the last means the last."""


PlannedPolicy = FirstPolicy | VotePolicy | WeightedPolicy | SplitPolicy


class RequestLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one request may ask at most."""

    rows: int = 1000
    body_bytes: int = 16 * 1024 * 1024
    requests_per_s: int = 0
    """Per token and front; 0 means unlimited."""


class ServingPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A release, compiled: all that a front needs to answer for an endpoint. Immutable; identity = its digest."""

    format: Literal[1]
    project: str
    endpoint: str
    release: int
    contract: Contract
    contract_digest: str
    variants: tuple[PlannedVariant, ...]
    policy: PlannedPolicy
    deadline_ms: float
    default: dict[str, Any] | None = None
    """One value per output, given when nothing else can be; None: the caller gets 504."""
    archive_level: Literal["sync", "group", "async"] = "group"
    archive_full: Literal["refuse", "drop"] = "refuse"
    """When a record cannot be written: refuse the request (503), or answer it and count the record as dropped."""
    limits: RequestLimits = RequestLimits()
    max_offline_s: int = 86_400
    """How long a front may go on serving this plan without having reached control."""
    solo: bool = False
    """True in a factory for one person: gates passed without a second one."""


class Shadow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version on trial beside the plan that is served: fronts let it see requests, and give its answers to nobody.

    It is part of no plan: no policy knows of it, nobody waits for it, and of all that a front has to do it is left out first.
    """

    live_test: int
    """Number of the endpoint's live-test; what fronts report about it names this."""
    release: int
    """Beside which release; beside another it is not asked."""
    variant: PlannedVariant
    """Its role is `shadow`."""
    share: float = 1.0
    """Of the requests, by a hash of their ids; above 0, at most 1."""


class EndpointPlans(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="endpoint"):
    """What fronts shall do for an endpoint: serve one plan, and make another ready without serving it yet.

    A front loads `loading`, reports `loaded` or `golden_failed`, and goes on serving `serving`. Control publishes again
    with the new plan under `serving` once every connected front has loaded it. Both None: the endpoint is gone.
    """

    endpoint: str
    serving: ServingPlan | None
    loading: ServingPlan | None = None
    warm: ServingPlan | None = None
    """The plan served before: its hosts stay warm for a roll back. After a roll back it is the one that was left."""
    banned: tuple[str, ...] = ()
    """Versions that must not be asked any more, although a plan names them."""
    step: int = 0
    """Which step of the ramp of `serving` is current, where its policy is a split."""
    shadow: Shadow | None = None
    """A version on trial beside `serving`."""


class AccessEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One token that may score."""

    token_id: str
    sha256: str
    """Hexadecimal SHA-256 of the token's text."""
    name: str
    """Whose token: user or application; the record's `consumer`."""
    endpoints: tuple[str, ...]
    """Endpoints it may call: `project/endpoint`, or `project/*` for all of a project. Lists of Muster 0.1 name no project."""
    rights: tuple[str, ...] = ()
    """Further rights, `project/right`: `override` names the variant that shall answer, or a deadline beyond the release's."""
    expires_ns: int = 0
    """Nanoseconds since 1970; 0: never."""
    requests_per_s: dict[str, int] = {}
    """How often it may ask all endpoints of a project together, per front; projects that are absent have no such limit."""


class AccessList(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="access"):
    """Every token that may score."""

    format: Literal[1]
    entries: tuple[AccessEntry, ...]


class Publication(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One numbered document."""

    number: int
    subject: str
    """`access`, or `endpoint/<name>`: a later publication of a subject replaces the earlier."""
    document: EndpointPlans | AccessList


class Publications(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Control's answer to a front: the newest publication of each subject above the number it named."""

    number: int
    """The highest number there is; what the front names next."""
    publications: tuple[Publication, ...]


class FrontReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a front says it has done about a plan."""

    front: str
    endpoint: str
    release: int
    state: Literal["loaded", "golden_failed", "load_failed", "serving"]
    at: str
    message: str = ""
    publication: int = 0
    """The number of the publication that this answers."""
    live_test: int = 0
    """Above 0: it is about this live-test's shadow beside the release, and not about the release."""
