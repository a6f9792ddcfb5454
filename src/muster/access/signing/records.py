"""Passwords, attempts, identities and sign-ins as services see them."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Password:
    """A person's password, as far as it is kept."""

    user: str
    hash: str = field(repr=False)
    set_at: datetime
    set_by: str
    must_change: bool
    """An admin set it: it is good for nothing but setting another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """Somebody who just signed in; the only moment at which the token can be seen."""

    user: str
    token: str = field(repr=False)
    token_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Somebody whom a provider vouches for, and whose user that is."""

    issuer: str
    subject: str
    user: str
    bound_at: datetime
    bound_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A sign-in at a provider that was just begun."""

    url: str
    """Where the browser has to go; it is no secret of anybody's token, but whoever opens it can go on in it."""
    handle: str = field(repr=False)
    """The secret of whoever began."""
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """A browser came back from a provider that vouches for somebody."""

    provider: str
    claimed: str | None
    """What the provider calls the person, if it said."""
    code: str = field(repr=False)
    """What the person has to type where the sign-in was begun."""


class FlowState(StrEnum):
    """How far a sign-in at a provider is."""

    WAITING = "waiting"
    """The browser has not come back yet."""
    CONFIRMED = "confirmed"
    """The provider vouches for somebody; the code that the browser shows is missing."""
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A sign-in at a provider."""

    state_sha256: str
    provider: str
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    begun_at: datetime
    expires_at: datetime
    called_at: datetime | None
    finished_at: datetime | None
    problem: str | None
    subject: str | None
    claimed: str | None
    groups: tuple[str, ...]
    """The factory's groups that the provider puts the person into."""
    code_sha256: str | None
    wrong_codes: int

    def is_open(self, now: datetime) -> bool:
        """Whether it can still be finished."""
        return self.finished_at is None and now < self.expires_at
