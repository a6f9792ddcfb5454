"""Tokens: 256 random bits that are shown once; the factory keeps their SHA-256 alone.

A plain hash is enough: nobody guesses 256 bits, so there is nothing for a slow hash to slow down.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from muster.access.errors import TokenUnfit
from muster.access.roles import OVER_PEOPLE, Right

_TEXT = re.compile(r"mst_[A-Za-z0-9_-]{43}")


#: The label of tokens that a sign-in gave: short-lived, and not to be rotated.
SIGN_IN_LABEL = "sign-in"
LONGEST_LABEL = 200
LONGEST_GRACE = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a token is good for; never more than its holder may do at the moment."""

    rights: frozenset[Right] | None = None
    """None: every right of its holder."""
    endpoints: tuple[str, ...] | None = None
    """None: every endpoint."""
    project: str | None = None
    """None: every project."""

    def rights_of(self, rights: frozenset[Right]) -> frozenset[Right]:
        """Those of the holder's rights that the token has, too."""
        held = rights if self.rights is None else rights & self.rights
        return held if self.endpoints is None else held - OVER_PEOPLE

    def holds_project(self, project: str) -> bool:
        """Whether the token is good in a project."""
        return self.project is None or self.project == project

    def holds_endpoint(self, endpoint: str) -> bool:
        """Whether the token is good at an endpoint."""
        return self.endpoints is None or endpoint in self.endpoints

    def within(self, other: "Scope") -> bool:
        """Whether a token is good for nothing by this scope that it is not good for by the other, whatever its holder may do."""
        return (
            (other.rights is None or (self.rights is not None and self.rights <= other.rights))
            and (other.endpoints is None or (self.endpoints is not None and {*self.endpoints} <= {*other.endpoints}))
            and (other.project is None or self.project == other.project)
        )

    def endpoints_of(self, granted: Iterable[str]) -> frozenset[str]:
        """Where the token may score, of what its holder was granted; `*` means everywhere."""
        given = frozenset(granted)
        if self.endpoints is None:
            return given
        return frozenset(self.endpoints) if "*" in given else given & frozenset(self.endpoints)


#: All that its holder may do.
WHOLE = Scope()


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as the factory knows it."""

    token_id: str
    """`tok_…`: names the token without giving it away."""
    user: str
    sha256: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    label: str = ""
    """What it is for, in its holder's words."""
    scope: Scope = WHOLE
    last_used_at: datetime | None = None
    """At the control plane, to the minute; what scores is in the archive."""
    replaces: str | None = None
    """The token in whose place it was given."""

    def is_live(self, now: datetime) -> bool:
        """Whether it still identifies its user."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def new_token_text() -> str:
    """A token nobody has seen: `mst_` and 43 URL-safe characters."""
    return "mst_" + secrets.token_urlsafe(32)


def new_token_id() -> str:
    """An id for a token; the underscore keeps it apart from every user's name."""
    return "tok_" + secrets.token_hex(8)


def token_hash(text: str) -> str:
    """The SHA-256 of a token's text, in hexadecimal, as tables and the access list hold it."""
    return hashlib.sha256(text.encode()).hexdigest()


def looks_like_token(text: str) -> bool:
    """Whether a text has the form of a token, so that anything else is never looked up."""
    return _TEXT.fullmatch(text) is not None


def checked_label(text: str) -> str:
    """A label as it is kept.

    Raises:
        TokenUnfit: it is too long, not one line of text, or that of a sign-in.
    """
    label = text.strip()
    if len(label) > LONGEST_LABEL or any(ord(character) < 32 or ord(character) == 127 for character in label):
        raise TokenUnfit(f"a label is one line of at most {LONGEST_LABEL} characters", limit=LONGEST_LABEL)
    if label == SIGN_IN_LABEL:
        raise TokenUnfit(f"the label {SIGN_IN_LABEL!r} is kept for tokens that a sign-in gives", label=label)
    return label


def checked_grace(grace: timedelta) -> timedelta:
    """How long a replaced token stays good.

    Raises:
        TokenUnfit: less than nothing, or more than 30 days.
    """
    if not timedelta() <= grace <= LONGEST_GRACE:
        raise TokenUnfit("a replaced token stays good for 0 seconds to 30 days", grace_s=grace.total_seconds())
    return grace
