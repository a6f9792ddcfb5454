"""Documents of the control API, `/api/v1`: what callers send (`…Order`) and what they are answered.

Answers are also what the Python client returns and what the CLI prints with `--json`: one set of names for all doors.
Orders refuse unknown fields, so that a misspelt option is an error; answers do not, so that an older client goes on
working when a field is added. In answers a field that may be empty is still there, as null; only `solo` is left out
where it is false.
"""

from typing import Annotated, Any, Literal

import msgspec

from muster.vocabulary.states import ReleaseState, Role, SessionState, VersionState
from muster.wire.contracts import Contract
from muster.wire.plans import PlannedPolicy, RequestLimits, ServingPlan

#: Why somebody did something; no gate is passed without it. No control characters but tab and line breaks.
ReasonText = Annotated[
    str, msgspec.Meta(min_length=1, max_length=4000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")
]
#: A version as people write it: `churn:3`.
VersionText = Annotated[str, msgspec.Meta(max_length=80, pattern=r"^[a-z][a-z0-9-]{0,62}:[1-9][0-9]{0,8}$")]
#: A name of a project, model, endpoint or user.
NameText = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
#: A role that a user may have: viewer, scientist, approver, operator, admin, consumer, front, or one of the project's own.
RoleText = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
#: What a user is.
UserKindText = Literal["person", "service"]
#: An endpoint, or `*` for all of them.
EndpointPattern = Annotated[str, msgspec.Meta(pattern=r"^(\*|[a-z][a-z0-9-]{0,62})$")]
#: A moment, RFC 3339 with its offset: `2027-01-01T00:00:00Z`.
MomentText = Annotated[
    str, msgspec.Meta(max_length=40, pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$")
]
#: The number of a release.
ReleaseNumber = Annotated[int, msgspec.Meta(ge=1, le=999_999_999)]
#: A duration in milliseconds.
Milliseconds = Annotated[float, msgspec.Meta(gt=0, le=3_600_000)]
#: A right that a user may be given beyond the role.
GrantableRight = Literal["override"]
#: Name of a field of a contract.
FieldText = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
#: How much a version counts in a mean.
Weight = Annotated[float, msgspec.Meta(gt=0, le=1_000_000)]
#: Which part of the units a version answers.
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
#: What a simulation looks at at most.
MOST_RECORDS = 100_000
#: A step of a ramp; the first is 0.
StepNumber = Annotated[int, msgspec.Meta(ge=0, le=99)]


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody wants done."""


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the factory says."""

    solo: bool = False
    """True in a factory for one person: its gates are passed without a second one."""


# --- orders ---------------------------------------------------------------------------------------------------------


class ReasonOrder(Order, frozen=True, kw_only=True):
    """Do it, and keep this reason."""

    reason: ReasonText


class RetentionOrder(Order, frozen=True, kw_only=True):
    """How long the records of an endpoint shall be kept."""

    days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] | None
    """Null: for ever."""
    reason: ReasonText


class PackageRulesOrder(Order, frozen=True, kw_only=True):
    """Which packages a project trusts from now on."""

    rules: Annotated[str, msgspec.Meta(max_length=200_000)]
    """TOML, as docs/reference/environments.md describes it; empty: every package is trusted."""
    reason: ReasonText


class UserOrder(Order, frozen=True, kw_only=True):
    """A new user, or a service account of an application."""

    name: NameText
    role: RoleText
    endpoints: tuple[EndpointPattern, ...] = ("*",)
    """Endpoints that the user may score at, where the role may score; `*` means all."""
    expires: MomentText | None = None
    """When the token ends; null: never."""
    may: Annotated[tuple[GrantableRight, ...], msgspec.Meta(max_length=8)] = ()
    """Rights beyond those of the role; the role must score."""
    kind: UserKindText | None = None
    """Null: `service` for a consumer or a front, `person` otherwise."""
    title: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    contact: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    """How to reach who answers for it."""
    channel: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    """Where its people are told of changes."""


class RoleOrder(Order, frozen=True, kw_only=True):
    """Another role for a user."""

    role: RoleText
    endpoints: tuple[EndpointPattern, ...] = ("*",)
    """Endpoints that the user may score at, where the role may score; `*` means all."""
    may: Annotated[tuple[GrantableRight, ...], msgspec.Meta(max_length=8)] = ()
    """Rights beyond those of the role, from now on; the role must score."""


class TokenOrder(Order, frozen=True, kw_only=True):
    """A further token."""

    expires: MomentText | None = None
    """When it ends; null: never."""
    label: Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    """What it is for."""
    rights: Annotated[tuple[Annotated[str, msgspec.Meta(max_length=64)], ...], msgspec.Meta(max_length=64)] | None = (
        None
    )
    """What it is limited to, by the names of docs/reference/roles.md; null: all that its holder may do."""
    endpoints: Annotated[tuple[NameText, ...], msgspec.Meta(max_length=1000)] | None = None
    """Where it is good; null: wherever its holder may score."""
    this_project: bool = False
    """Whether it is good in this project alone; the only kind that a user of several projects can be given."""


class FirstOrder(Order, frozen=True, kw_only=True, tag_field="name", tag="first"):
    """Policy `first`: the answer of the first version of the order that has one, each waited for as its patience says."""


class VoteOrder(Order, frozen=True, kw_only=True, tag_field="name", tag="vote"):
    """Policy `vote`: in each row what most versions of the order say."""

    output: FieldText
    """The output that is voted on."""
    wait_ms: Milliseconds | None = None
    """After which whoever is in has voted; null: 60 % of the deadline."""


class WeightedOrder(Order, frozen=True, kw_only=True, tag_field="name", tag="weighted"):
    """Policy `weighted`: the weighted mean of what the versions of the order say."""

    weights: dict[VersionText, Weight]
    """One for each version of the order; they need not sum to 1."""
    outputs: tuple[FieldText, ...]
    """The outputs that are averaged; the others come from the version with the greatest weight."""
    argmax: dict[FieldText, FieldText] = {}
    """Outputs that are the label of the greatest of averaged class probabilities: output to probabilities."""
    wait_ms: Milliseconds | None = None
    """After which the mean is that of whoever is in; null: 60 % of the deadline."""


class SplitOrder(Order, frozen=True, kw_only=True, tag_field="name", tag="split"):
    """Policy `split`: each unit, a value of an input, is answered by one version; the shares change step by step."""

    field: FieldText
    """The input whose values are the units."""
    steps: tuple[dict[VersionText, Share], ...]
    """The share of each version, step by step; those of a step sum to 1, and a version that it does not name has none."""
    salt: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None
    """Other salts assign other units; null: it is made of the endpoint and the versions."""


class ProposalOrder(Order, frozen=True, kw_only=True):
    """A release as somebody wants it."""

    champion: VersionText
    """The version whose answer is given, like `churn:3`."""
    challengers: tuple[VersionText, ...] = ()
    """Versions that answer every request, too, but are given out only if `order` names them."""
    canaries: tuple[VersionText, ...] = ()
    """Constant earlier versions: a baseline, and stand-ins for the champion."""
    twins: tuple[VersionText, ...] = ()
    """Those of them in whose place their compiled twins are served, which their newest certificates name."""
    order: tuple[VersionText, ...] | None = None
    """Which version's answer is preferred, first to last. Null: the champion, then for the policy `first` the canaries; for
    `vote` everybody; for `weighted` whoever has a weight; for `split` whoever has a share, then the canaries."""
    policy: FirstOrder | VoteOrder | WeightedOrder | SplitOrder = FirstOrder()
    """How one of the answers is chosen, or one is made of several."""
    deadline_ms: Milliseconds | None = None
    """Within which every request is answered; null: 100 ms."""
    patience_ms: Milliseconds | dict[VersionText, Milliseconds] | None = None
    """How long the preferred versions are waited for before a later one will do, all alike or by version, in the policies
    `first` and `split`; where it is not said, 60 % of the deadline."""
    default: dict[str, Any] | None = None
    """One value per output, given when no version answers in time; null: such requests get an error."""
    archive_level: Literal["sync", "group", "async"] = "group"
    """When a decision record is on disk: before the reply, within 50 ms, or at leisure."""
    archive_full: Literal["refuse", "drop"] = "refuse"
    """When no record can be written: refuse the request, or answer it and count the record as dropped."""
    limits: RequestLimits | None = None
    """What one request may ask at most; null: the defaults."""
    reason: ReasonText


class AcceptanceOrder(Order, frozen=True, kw_only=True):
    """Say yes to a version at its gate."""

    reason: ReasonText
    for_person: NameText | None = None
    """Who is absent, and in whose place the caller votes; null: nobody."""


class ApprovalOrder(Order, frozen=True, kw_only=True):
    """Say yes to a release at its gate."""

    reason: ReasonText
    wait_s: Annotated[float, msgspec.Meta(ge=0, le=120)] = 0
    """How long the answer may wait for the release to be live; 0: answer at once."""
    at: MomentText | None = None
    """Not before this moment; null: at once."""
    for_person: NameText | None = None
    """Who is absent, and in whose place the caller votes; null: nobody."""
    break_glass: bool = False
    """At once, without the approvals; it must be confirmed in time, or is rolled back by itself."""


class StepOrder(Order, frozen=True, kw_only=True):
    """Move along the ramp that was approved with the release."""

    step: StepNumber
    """Which step; the first is 0."""
    reason: ReasonText


class SimulationOrder(Order, frozen=True, kw_only=True):
    """Let the policy of a release decide again about past requests, on paper."""

    last: Annotated[int, msgspec.Meta(ge=1, le=MOST_RECORDS)] | None = None
    """How many of the endpoint's newest records; with `from` and `to`, how many of that time at most; null: 10,000."""
    from_: MomentText | None = msgspec.field(default=None, name="from")
    """Only requests that arrived then or later."""
    to: MomentText | None = None
    """Only requests that arrived before."""
    step: StepNumber | None = None
    """At which step of the ramp; null: where the release stands."""


class RollbackOrder(Order, frozen=True, kw_only=True):
    """Make an earlier release current again."""

    to: ReleaseNumber | None = None
    """Which; null: what was current last of the releases that came before the current one, never one that came later."""
    reason: ReasonText


# --- the factory, its people ----------------------------------------------------------------------------------------


class Health(Answer, frozen=True, kw_only=True):
    """That control runs, and what it is."""

    status: Literal["ok"]
    factory: str
    """The factory's id, fixed when it was made."""
    version: str
    """Of Muster."""
    scoring_url: str | None
    """Where this factory's own front takes requests; null when it has none."""


class Identity(Answer, frozen=True, kw_only=True):
    """Who the token says the caller is."""

    name: str
    roles: dict[str, tuple[str, ...]]
    """Roles by project: the user's own and those of groups."""
    token_id: str
    rights: dict[str, tuple[str, ...]] = {}
    """What this token may do, by project."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token, without its text: that is shown once and never stored."""

    token_id: str
    user: str
    created_at: str
    expires_at: str | None
    label: str
    """What it is for."""
    rights: tuple[str, ...] | None
    """What it is limited to; null: all that its holder may do."""
    endpoints: tuple[str, ...] | None
    """Where it is good; null: wherever its holder may score."""
    project: str | None
    """In which project it is good; null: in all of its holder's."""
    last_used_at: str | None
    """At the control plane, to the minute."""
    replaces: str | None
    """The token in whose place it was given."""


class User(Answer, frozen=True, kw_only=True):
    """Somebody who may do something in a project."""

    name: str
    role: str | None
    """Null: the user is here through groups alone."""
    endpoints: tuple[str, ...]
    """Where the user may score, if the role may; `*` means everywhere."""
    created_at: str
    tokens: tuple[Token, ...]
    """Those that are good now."""
    may: tuple[str, ...] = ()
    """Rights beyond those of the role; left out where there are none."""
    groups: dict[str, str] = {}
    """Roles that groups give, by group; left out where there are none."""
    kind: UserKindText
    title: str | None
    contact: str | None
    channel: str | None


class Users(Answer, frozen=True, kw_only=True):
    """Everybody in a project, by name."""

    users: tuple[User, ...]
    next: str | None = None
    """What to name as `after` for more; left out where there are no more."""


class NewUser(Answer, frozen=True, kw_only=True):
    """A user with a new token, which is shown this once."""

    name: str
    role: str
    token: str | None
    """Null for a user of another project who has joined this one: the tokens given there are good here."""
    token_id: str | None


class Granted(Answer, frozen=True, kw_only=True):
    """The role that a user has from now on."""

    name: str
    role: str
    endpoints: tuple[str, ...]
    may: tuple[str, ...] = ()
    """Rights beyond those of the role; left out where there are none."""


class Revoked(Answer, frozen=True, kw_only=True):
    """Tokens that open nothing any more."""

    user: str
    token_ids: tuple[str, ...]
    """Those that ended just now; none, if they had ended before."""


# --- models and versions --------------------------------------------------------------------------------------------


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check of a certification."""

    name: str
    passed: bool
    figure: float | int | str | bool | None
    """What was found."""
    limit: float | int | str | bool | None
    """What was asked for."""
    detail: str = ""
    figures: dict[str, float] = {}
    """What else was measured, by name with its unit."""
    remedy: str = ""
    """What can be done about it, if it failed."""


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """The evidence of one certification that passed."""

    session: str
    environment: str
    hardware: str
    requested_by: str
    at: str
    checks: tuple[Check, ...]
    seal: str | None = None
    """Digest of the list of everything that the environment is made of, all of it in the store; null: not sealed."""
    twin: str | None = None
    """Digest of the compiled twin that was found to agree; null: none was asked for."""
    evidence: str | None = None
    """Digest of what the checks show, a document in the store; null in certificates of earlier versions of Muster."""
    standard: str | None = None
    """What it was held against, by name and number: `internal:2`; null in certificates of earlier versions of Muster."""
    expires: str | None = None
    """Until when it is good; null: for ever, as far as that is concerned."""
    signed: bool = False
    """There is a signed statement of it."""


class Certificates(Answer, frozen=True, kw_only=True):
    """Every certificate of a version, the newest first."""

    certificates: tuple[Certificate, ...]


class VersionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A version, in a list."""

    version: str
    number: int
    state: VersionState
    digest: str
    registered_by: str
    registered_at: str


class ModelSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A model, in a list."""

    name: str
    project: str
    versions: int
    latest: VersionSummary | None
    owner: str = ""
    deputy: str | None = None
    description: str = ""
    business_metric: str = ""
    tags: dict[str, str] = {}


class Models(Answer, frozen=True, kw_only=True):
    """The models of a project, by name."""

    models: tuple[ModelSummary, ...]
    next: str | None = None
    """What to name as `after` for more; left out where there are no more."""


class Model(Answer, frozen=True, kw_only=True):
    """A model, what it carries, and its versions, the newest first."""

    name: str
    project: str
    created_by: str
    created_at: str
    owner: str = ""
    """Who answers for it; with the owner gone, it cannot be released."""
    deputy: str | None = None
    description: str = ""
    business_metric: str = ""
    tags: dict[str, str] = {}
    versions: tuple[VersionSummary, ...]
    next: int | None = None
    """What to name as `after` for earlier versions; left out where there are none."""


class Versions(Answer, frozen=True, kw_only=True):
    """The versions of a model, the newest first."""

    versions: tuple[VersionSummary, ...]
    next: int | None = None
    """What to name as `after` for more; left out where there are no more."""


class BundleFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a bundle."""

    path: str
    digest: str
    size: int
    uri: str | None = None
    """Where it lies, for a file that is named and not carried."""


class Version(Answer, frozen=True, kw_only=True):
    """A version: what it is, where it is in its life, and what it takes and gives."""

    model: str
    version: str
    number: int
    digest: str
    state: VersionState
    project: str
    registered_by: str
    registered_at: str
    description: str
    owners: tuple[str, ...]
    authors: tuple[str, ...]
    tags: dict[str, str]
    contract: Contract
    files: tuple[BundleFile, ...]
    certificate: Certificate | None
    releases: tuple[str, ...]
    """Releases that name it, like `churn 2`."""
    missing: tuple[str, ...] = ()
    """What its acceptance still asks for, in words; left out where there is nothing to say."""
    lacks: tuple[str, ...] = ()
    """What its bundle lacks by the project's standard, told when it is registered; left out where there is nothing to say."""


class Manifest(Answer, frozen=True, kw_only=True):
    """A version's manifest: its canonical bytes are the version's identity."""

    version: str
    digest: str
    manifest: dict[str, Any]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not alike in two versions; null: not there at all."""

    what: str
    before: Any
    after: Any


class VersionDiff(Answer, frozen=True, kw_only=True):
    """How a version differs from an earlier one."""

    before: str
    after: str
    same: bool
    files: tuple[Difference, ...]
    contract: tuple[Difference, ...]
    packages: tuple[Difference, ...]
    declared: tuple[Difference, ...]
    """What `muster.toml` says besides: owners, runtime, tags and so on."""
    environment: tuple[Difference, ...] = ()
    """What the sealed environments differ in besides packages: toolchain, platform, libraries of the system."""


class Bill(Answer, frozen=True, kw_only=True):
    """What a version consists of."""

    version: str
    bom: dict[str, Any]
    """A CycloneDX 1.6 document; the same version gives the same one for ever."""


class PackageRules(Answer, frozen=True, kw_only=True):
    """Which packages a project trusts."""

    rules: str
    """TOML, as it was set; empty: every package is trusted."""
    set_by: str | None
    set_at: str | None


# --- sessions -------------------------------------------------------------------------------------------------------


class Session(Answer, frozen=True, kw_only=True):
    """One execution of long work: a certification or a replay."""

    id: str
    kind: str
    subject: str
    state: SessionState
    requested_by: str
    created_at: str
    started_at: str | None
    finished_at: str | None
    progress: tuple[str, ...]
    """What it has said so far, one line each."""
    result: dict[str, Any] | None
    """What came of it, once it is `passed` or `failed`."""
    attempt: int = 0
    """How often the work was begun; more than 1: it was interrupted, and begun again."""
    ahead: int | None = None
    """How many sessions wait that will be begun before this one; null: it does not wait."""
    lines: int = 0
    """How many lines of progress there are; `progress` may begin later than with the first."""
    kept: tuple[dict[str, Any], ...] = ()
    """Checks that are made already, while it goes on."""


class Sessions(Answer, frozen=True, kw_only=True):
    """Sessions, the newest first."""

    sessions: tuple[Session, ...]


class Certification(Answer, frozen=True, kw_only=True):
    """What came of a certification."""

    version: str
    passed: bool
    checks: tuple[Check, ...]
    session: str
    state: SessionState


class Replay(Answer, frozen=True, kw_only=True):
    """What came of computing a past request again."""

    request_id: str
    identical: bool
    """Every answer is the recorded one, bit for bit."""
    differences: tuple[Any, ...]
    session: str
    state: SessionState
    variants: tuple[Any, ...] = ()
    """Per variant: identical or not, the largest deviation, and what else was not alike."""


# --- endpoints and releases -----------------------------------------------------------------------------------------


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """A version in a role."""

    version: str
    role: Role
    manifest: str
    """Digest of the bundle that runs: the version's own, or that of its compiled twin."""


class ContractChange(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not as it was, in one field of a contract."""

    field: str
    side: Literal["input", "output"]
    what: str
    compatible: bool
    """Consumers need not notice it."""


class BrokenGlass(msgspec.Struct, frozen=True, kw_only=True):
    """A release went live without its approvals."""

    broken_by: str
    at: str
    confirm_by: str
    """If nobody has confirmed it by then, it is rolled back by itself."""
    reason: str
    state: Literal["open", "confirmed", "rolled-back", "overtaken", "stuck"]


class Release(Answer, frozen=True, kw_only=True):
    """A release: who is in it, where it is in its life, and why."""

    endpoint: str
    release: int
    state: ReleaseState
    current: bool
    project: str
    variants: tuple[Variant, ...]
    order: tuple[str, ...]
    deadline_ms: float
    patience_ms: tuple[float, ...]
    """One per version of the order; empty where the policy knows no patience."""
    policy: PlannedPolicy
    """How one of the answers is chosen, or one is made of several."""
    step: int | None
    """Where it stands on its ramp; null where the policy is no split."""
    archive_full: Literal["refuse", "drop"]
    default: dict[str, Any] | None
    proposed_by: str
    proposed_at: str
    reason: str
    decided_by: str | None
    """Who approved, rejected or withdrew it."""
    decided_at: str | None
    decision_reason: str | None
    live_at: str | None
    failure: str | None
    """Why it is `failed`."""
    plan_digest: str
    plan: ServingPlan | None = None
    """Left out of lists."""
    warnings: tuple[str, ...] = ()
    """Why it cannot be approved as things are; left out where there is nothing to say."""
    breaks: tuple[ContractChange, ...] = ()
    """What it takes from consumers of the current release; left out where it takes nothing."""
    awaited: tuple[str, ...] = ()
    """Consumers who have to agree to that and have not; left out where nobody is awaited, and in lists."""
    missing: tuple[str, ...] = ()
    """What its gate still asks for, in words; left out where there is nothing to say."""
    live_from: str | None = None
    """It was approved for this moment; left out where it was for at once."""
    glass: BrokenGlass | None = None
    """That it went live without its approvals; left out where it did not."""


class Releases(Answer, frozen=True, kw_only=True):
    """The releases of an endpoint, the newest first."""

    endpoint: str
    current: int | None
    releases: tuple[Release, ...]
    next: int | None = None
    """What to name as `after` for more; left out where there are no more."""


class Simulation(Answer, frozen=True, kw_only=True):
    """What the policy of a release would have done with past requests. Shares are of the requests that were used."""

    endpoint: str
    release: int
    step: int | None
    """At which step of the ramp; null where the policy is no split."""
    records: int
    """How many were looked at."""
    used: int
    skipped: dict[str, int]
    """How many were not used, by why not."""
    first_at: str | None
    """Arrival of the earliest request that was used."""
    last_at: str | None
    never_seen: tuple[str, ...]
    """Versions of the release that no record tells anything of: simulated as if they were not there."""
    absent: dict[str, int]
    """In how many of the requests used a version was not asked, and so simulated as not there."""
    unasked: int = 0
    """In how many of the requests used a version of the order was sent nothing: it was in no release then, on probation, or without a
    host. What it would have said is not known, so it is simulated as giving no answer."""
    unasked_and_none: int = 0
    """How many of these are counted as `none`."""
    champion_share: float
    """Answered by the champion."""
    fallback_share: float
    """Answered by another than was preferred, because that was late or had failed."""
    default_share: float
    on_time_share: float
    """Answered by the deadline, be it with the default answer; the others would have got an error."""
    reasons: dict[str, float]
    """Shares by reason."""
    answered_by: dict[str, float]
    """Shares by version, by rows where rows are answered by different versions; `combined` and `default` beside them."""
    p50_ms: float | None
    """From arrival to decision."""
    p99_ms: float | None
    rows_compared: int
    """Rows that were given an answer then and would be given one now."""
    agreement: float | None
    """The share of these rows in which every output would be the same."""
    mean_absolute_difference: dict[str, float]
    """Of the outputs that are floating point numbers, over these rows; null and not finite values aside."""


class EndpointSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint, in a list."""

    name: str
    project: str
    current: int | None
    """The release that answers; null: none yet."""
    champion: str | None
    releases: int


class WasCurrent(msgspec.Struct, frozen=True, kw_only=True):
    """That a release became current."""

    release: int
    at: str
    by: str
    cause: str
    """`went-live` or `rolled-back`."""


class Endpoint(Answer, frozen=True, kw_only=True):
    """What consumers call, and what was current there when, the newest first."""

    name: str
    project: str
    created_by: str
    created_at: str
    current: int | None
    champion: str | None
    releases: int
    history: tuple[WasCurrent, ...]
    next: int | None = None
    """What to name as `after` for what was current earlier; left out where there is no more."""


class Endpoints(Answer, frozen=True, kw_only=True):
    """The endpoints of a project, by name."""

    endpoints: tuple[EndpointSummary, ...]
    next: str | None = None
    """What to name as `after` for more; left out where there are no more."""


class Front(msgspec.Struct, frozen=True, kw_only=True):
    """A front that is connected."""

    name: str
    number: int
    """The highest publication that it is known to have; 0: it has not asked since control started."""
    silent_s: float
    """Since it was last heard of, seconds."""


class Fronts(Answer, frozen=True, kw_only=True):
    """The fronts that are connected now, by name."""

    fronts: tuple[Front, ...]


class RolledBack(Answer, frozen=True, kw_only=True, rename={"from_release": "from"}):
    """A roll back that every connected front has acknowledged."""

    endpoint: str
    from_release: int
    to: int
    effective_ms: float
    """From control's receiving it to the last connected front's acknowledgement."""
    fronts: int
    """How many fronts acknowledged it; 0: none is connected, it holds for whichever comes."""


# --- what happened --------------------------------------------------------------------------------------------------


class RequestSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A past request, in a list."""

    request_id: str
    at: str
    endpoint: str
    release: int
    consumer: str
    rows: int
    reason: str
    variants: tuple[str, ...]
    """Versions that gave the answer, `combined` for one made of several, `default` for the default answer."""
    elapsed_ms: float
    client_id: str | None


class Requests(Answer, frozen=True, kw_only=True):
    """The last requests of an endpoint, the newest first."""

    endpoint: str
    requests: tuple[RequestSummary, ...]


class RequestAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What one variant did with a request."""

    version: str
    role: str
    status: str
    late: bool
    """It came after the decision."""
    outputs: dict[str, list[Any]] | None
    error: str | None
    latency_ms: float
    compute_ms: float
    environment: str
    host: str
    batch: int
    position: int
    batch_rows: int
    alone: bool
    threads: int
    cpu: str


class Request(Answer, frozen=True, kw_only=True):
    """The decision record of one request."""

    request_id: str
    client_id: str | None
    consumer: str
    project: str
    endpoint: str
    release: int
    plan_digest: str
    contract_digest: str
    received_at: str
    decided_at: str
    elapsed_ms: float
    deadline_ms: float
    rows: int
    body_sha256: str
    inputs: dict[str, list[Any]]
    """Column by column, as the models saw them."""
    answers: tuple[RequestAnswer, ...]
    chosen: tuple[str, ...]
    """Per row, or once for all rows, the version whose answer was given; `combined` for an answer made of several, `default`
    for the default answer, `none`."""
    reason: str
    probability: float
    forced: bool
    default: dict[str, Any] | None
    front: str
    weights: dict[str, float]
    """What each version counted in a combined answer; empty where the answer was none."""
    combined: dict[str, list[Any]] | None
    """The outputs of a combined answer."""
    step: int
    """The step of the release's ramp."""
    overrides: tuple[str, ...]
    """What the caller overrode by right: `variant`, `deadline`."""


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what to what, when and why, in its place in the chain."""

    sequence: int
    at: str
    project: str
    actor: str
    action: str
    subject: str
    reason: str
    details: dict[str, Any]
    previous: str
    hash: str


class AuditEvents(Answer, frozen=True, kw_only=True):
    """Audit events in their order."""

    events: tuple[AuditEvent, ...]
    next: int | None
    """What to name as `after` for more; null: there are no more."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an endpoint's requests: received = recorded + dropped + refused + unanswered + on the way."""

    endpoint: str
    received: int
    recorded: int
    """Records that there are, and those that retention removed."""
    dropped: int
    """Answered without a record, as the endpoint chose for a full archive."""
    refused: int
    """Turned away because no record could be written."""
    unanswered: int
    """On their way when their front was killed: neither answered nor recorded."""
    on_the_way: int
    late: int
    """Answers that came after the decision, joined to their records."""
    removed: int
    """Records that retention removed."""


class ArchiveChain(msgspec.Struct, frozen=True, kw_only=True):
    """The segments of a front."""

    front: int
    segments: int
    first: int
    last: int
    digest: str
    """Of the segment closed last; it stands for all before it."""


class ArchiveProblem(msgspec.Struct, frozen=True, kw_only=True):
    """Something in the archive that is not as it was written."""

    kind: str
    """`segment`, `chain`, `file`, `missing`, `stray`, `index`, `counts` or `set-aside`."""
    where: str
    message: str


class ArchiveVerdict(Answer, frozen=True, kw_only=True):
    """Whether the archive is whole and complete."""

    valid: bool
    endpoints: tuple[Account, ...]
    fronts: tuple[ArchiveChain, ...]
    files: int
    unproven_files: int
    """Files of Muster 0.1, whole by their own checksums; no index names them."""
    problems: tuple[ArchiveProblem, ...]


class Retention(Answer, frozen=True, kw_only=True):
    """How long the records of an endpoint are kept."""

    endpoint: str
    days: int | None
    """Null: for ever."""
    set_by: str | None
    """Null: nobody; the setting `archive.retention_days` says so."""
    set_at: str | None
    reason: str | None


class Retentions(Answer, frozen=True, kw_only=True):
    """The endpoints whose records are kept for another time than the setting says."""

    default_days: int | None
    """Of all others; null: for ever."""
    rules: tuple[Retention, ...]


class AuditVerdict(Answer, frozen=True, kw_only=True):
    """Whether the audit chain is whole."""

    valid: bool
    events: int
    head: str
    """Hash of the newest event."""
    problem: str | None
    """What is wrong with it."""
    at_sequence: int | None
