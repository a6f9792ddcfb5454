"""Users as services and doors see them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from muster.access.roles import CustomRights, Right, rights_of_role
from muster.access.tokens import Token


class UserKind(StrEnum):
    """What a user is."""

    PERSON = "person"
    SERVICE = "service"
    """A program; it never signs in with a password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A role of a user in a project."""

    user: str
    project: str
    role: str
    endpoints: tuple[str, ...]
    """Endpoints the user may score at, if the role may score; `*` means all."""
    granted_at: datetime
    may: tuple[Right, ...] = ()
    """Rights beyond those of the role."""
    group: str | None = None
    """The group through which the user has it; None: it is the user's own."""

    def rights(self, custom: CustomRights) -> frozenset[Right]:
        """What it gives, where the projects' own roles give what `custom` says."""
        return rights_of_role(self.role, self.project, custom).union(self.may)


def rights_by_project(grants: Iterable[Grant], custom: CustomRights) -> Mapping[str, frozenset[Right]]:
    """All that the grants of one user give."""
    found: dict[str, frozenset[Right]] = {}
    for grant in grants:
        found[grant.project] = found.get(grant.project, frozenset()) | grant.rights(custom)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What is told of a user, whatever the project."""

    name: str
    kind: UserKind
    created_at: datetime
    title: str | None = None
    contact: str | None = None
    """How to reach who answers for it: an address, a telephone number."""
    channel: str | None = None
    """Where its people talk, or are told of changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user in a project, with the tokens that still identify."""

    name: str
    role: str | None
    """The user's own; None: the user is here through groups alone."""
    endpoints: tuple[str, ...]
    created_at: datetime
    tokens: tuple[Token, ...]
    may: tuple[Right, ...] = ()
    """Rights beyond those of the role."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Roles that groups give, by group."""
    kind: UserKind = UserKind.PERSON
    title: str | None = None
    contact: str | None = None
    channel: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """A user who was just added; the only moment at which the token can be seen."""

    name: str
    role: str
    token: str | None = field(repr=False)
    """None: the user was known from another project and goes on with the tokens given there."""
    token_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenHolder(NewUser):
    """A user who was certainly just given a token."""

    token: str = field(repr=False)
    token_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstUsers:
    """The two whom every factory begins with."""

    admin: TokenHolder
    front: TokenHolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """Tokens that were taken back just now; none, if they had been before."""

    user: str
    token_ids: tuple[str, ...]
