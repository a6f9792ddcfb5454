"""Documents of the control API about projects, groups, roles, tokens and consumers.

Users and who one is are in `wire.control`, beside the base classes of all documents.
"""

from typing import Annotated, Literal

import msgspec

from muster.wire.control import (
    Answer,
    EndpointPattern,
    GrantableRight,
    NameText,
    Order,
    RoleText,
    Token,
    UserKindText,
)

#: A title, a contact, a channel, a label: one line.
LineText = Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
#: A limit of a project.
QuotaNumber = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
#: The name of a right; docs/reference/roles.md lists them.
RightText = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z-]{0,62}$")]


# --- orders ---------------------------------------------------------------------------------------------------------


class ProfileOrder(Order, frozen=True, kw_only=True):
    """What shall be told of a user from now on; what is absent stays, an empty text takes away what was said."""

    kind: UserKindText | None = None
    title: LineText | None = None
    contact: LineText | None = None
    channel: LineText | None = None


class RotationOrder(Order, frozen=True, kw_only=True):
    """Another token in the place of one."""

    grace_s: Annotated[int, msgspec.Meta(ge=0, le=2_592_000)] = 3600
    """How long the old one stays good, seconds."""


class QuotasOrder(Order, frozen=True, kw_only=True):
    """Limits of a project; those that are absent stay, null takes a limit away."""

    bytes: QuotaNumber | msgspec.UnsetType | None = msgspec.UNSET
    """Of all bundles registered."""
    versions: QuotaNumber | msgspec.UnsetType | None = msgspec.UNSET
    live_variants: QuotaNumber | msgspec.UnsetType | None = msgspec.UNSET
    """Variants of the current releases of all endpoints together."""
    requests_per_s: Annotated[int, msgspec.Meta(ge=1, le=2**53)] | msgspec.UnsetType | None = msgspec.UNSET
    """Of each token at all endpoints together, per front."""


class ProjectOrder(Order, frozen=True, kw_only=True):
    """A new project."""

    name: NameText
    admin: NameText
    """Its first admin: a user that the factory has."""
    title: LineText | None = None
    contact: LineText | None = None
    quotas: QuotasOrder = QuotasOrder()


class ProjectTextsOrder(Order, frozen=True, kw_only=True):
    """What shall be told of a project; what is absent stays, an empty text takes away what was said."""

    title: LineText | None = None
    contact: LineText | None = None


class GroupOrder(Order, frozen=True, kw_only=True):
    """A new group."""

    name: NameText
    title: LineText | None = None


class MemberOrder(Order, frozen=True, kw_only=True):
    """A user for a group."""

    user: NameText


class GroupRoleOrder(Order, frozen=True, kw_only=True):
    """A role for a group, in place of the one it has in the project."""

    role: RoleText
    endpoints: tuple[EndpointPattern, ...] = ("*",)
    """Endpoints that the members may score at, where the role may score; `*` means all."""
    may: Annotated[tuple[GrantableRight, ...], msgspec.Meta(max_length=8)] = ()
    """Rights beyond those of the role; the role must score."""


class CustomRoleOrder(Order, frozen=True, kw_only=True):
    """What a project's own role may do from now on."""

    rights: Annotated[tuple[RightText, ...], msgspec.Meta(max_length=64)]


# --- answers --------------------------------------------------------------------------------------------------------


class Profile(Answer, frozen=True, kw_only=True):
    """What is told of a user."""

    name: str
    kind: Literal["person", "service"]
    title: str | None
    contact: str | None
    channel: str | None


class Tokens(Answer, frozen=True, kw_only=True):
    """Tokens that are good now, by user and age."""

    tokens: tuple[Token, ...]
    next: str | None = None
    """The id to name as `after` for more; left out where there are no more."""


class Quotas(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of a project; null: there is none."""

    bytes: int | None
    versions: int | None
    live_variants: int | None
    requests_per_s: int | None


class ProjectSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A project."""

    name: str
    title: str | None
    contact: str | None
    created_by: str
    created_at: str
    quotas: Quotas


class Projects(Answer, frozen=True, kw_only=True):
    """The projects that the caller has a part in, by name."""

    projects: tuple[ProjectSummary, ...]


class Project(Answer, frozen=True, kw_only=True):
    """A project, and what it uses of its quotas."""

    name: str
    title: str | None
    contact: str | None
    created_by: str
    created_at: str
    quotas: Quotas
    used: dict[str, int]
    """`bytes`, `versions` and `live_variants` now."""


class GroupRole(msgspec.Struct, frozen=True, kw_only=True):
    """The role of a group in a project."""

    project: str
    role: str
    endpoints: tuple[str, ...]
    may: tuple[str, ...]


class Group(Answer, frozen=True, kw_only=True):
    """Users who are given roles together."""

    name: str
    title: str | None
    created_by: str
    created_at: str
    members: tuple[str, ...]
    """Empty for who does not manage groups and in whose project the group has no role."""
    roles: tuple[GroupRole, ...]


class Groups(Answer, frozen=True, kw_only=True):
    """The groups, by name."""

    groups: tuple[Group, ...]


class CustomRole(Answer, frozen=True, kw_only=True):
    """A role, and what it may do."""

    name: str
    rights: tuple[str, ...]
    built_in: bool
    """Every project has it, and nobody changes it."""
    set_by: str | None
    set_at: str | None


class CustomRoles(Answer, frozen=True, kw_only=True):
    """The roles of a project: those that every project has, then its own by name."""

    roles: tuple[CustomRole, ...]


class ConsumerVersion(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a consumer's requests a version answered."""

    version: str
    """`churn:3`; or `default` for the default answer, `combined` for one made of several versions, `none` for no answer."""
    requests: int
    """In which it answered at least one row."""
    rows: int
    last_at: str


class Consumer(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks an endpoint, or may."""

    consumer: str
    endpoint: str
    contact: str | None
    channel: str | None
    title: str | None
    requests: int
    rows: int
    last_at: str | None
    """When its last counted request arrived; null: there is none in the time that was asked about."""
    versions: tuple[ConsumerVersion, ...]


class Consumers(Answer, frozen=True, kw_only=True):
    """Who asks the endpoints of a project, by endpoint and name."""

    consumers: tuple[Consumer, ...]
    since: str | None
    """The day that the counts begin with; null: all that was counted."""
    counted_to: str | None
    """When records were last counted: requests younger than a few minutes may be missing."""
