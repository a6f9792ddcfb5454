"""Tokens: 256 random bits that are shown once; the factory keeps their SHA-256 alone.

A plain hash is enough: nobody guesses 256 bits, so there is nothing for a slow hash to slow down.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime

_TEXT = re.compile(r"mst_[A-Za-z0-9_-]{43}")


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
