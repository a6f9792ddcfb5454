"""Users as services and doors see them."""

from dataclasses import dataclass, field
from datetime import datetime

from muster.access.roles import AccessRole, Right
from muster.access.tokens import Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A role of a user in a project."""

    user: str
    project: str
    role: AccessRole
    endpoints: tuple[str, ...]
    """Endpoints the user may score at, if the role may score; `*` means all."""
    granted_at: datetime
    may: tuple[Right, ...] = ()
    """Rights beyond those of the role."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user in a project, with the tokens that still identify."""

    name: str
    role: AccessRole
    endpoints: tuple[str, ...]
    created_at: datetime
    tokens: tuple[Token, ...]
    may: tuple[Right, ...] = ()
    """Rights beyond those of the role."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """A user who was just added; the only moment at which the token can be seen."""

    name: str
    role: AccessRole
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
