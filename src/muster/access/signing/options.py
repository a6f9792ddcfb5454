"""What the settings say about signing in, in the room's own words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from muster.access.signing.addresses import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderOptions:
    """An OpenID provider."""

    name: str
    issuer: str
    client_id: str
    client_secret_file: Path | None
    """Read for every sign-in, so that a new secret needs no restart; None: a client without a secret."""
    scopes: tuple[str, ...]
    claim: str
    """The claim that is held against the names of users, and told to people."""
    known_names: bool
    """Whether a person whose claim is a user's name becomes that user at the first sign-in."""
    groups_claim: str
    groups: tuple[str, ...]
    """Members of these alone may sign in; empty: everybody."""
    joins: Mapping[str, str]
    """Group at the provider → group of this factory that its members are in; everybody else leaves it at the next sign-in."""
    origins: tuple[str, ...]
    """Where the provider's addresses may lie, besides the issuer's own origin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInOptions:
    """Signing in."""

    token_lasts: timedelta = timedelta(hours=12)
    trusted_proxies: tuple[Network, ...] = ()
    callback: str = ""
    """The address to which providers send people back."""
    providers: tuple[ProviderOptions, ...] = ()
