"""Documents of signing in: what people send to get a token, and what they are answered."""

from typing import Annotated, Literal

import msgspec

from muster.wire.control import Answer, NameText, Order

#: What somebody typed as a password; whether it may be one is said where it is set.
PasswordText = Annotated[str, msgspec.Meta(max_length=1024)]
#: The secret of whoever began a sign-in at a provider.
HandleText = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{43}$")]
#: The code that the browser shows: eight letters and digits, in any case, hyphens and spaces aside.
CodeText = Annotated[str, msgspec.Meta(max_length=20)]
#: An issuer, or a subject, of an OpenID provider.
IdentityText = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$")]


class _Secretive(Order, frozen=True, kw_only=True):
    """An order whose values never show in a log or an error."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


# --- orders ---------------------------------------------------------------------------------------------------------


class SignInOrder(_Secretive, frozen=True, kw_only=True):
    """Let me in."""

    user: NameText
    password: PasswordText
    new_password: PasswordText | None = None
    """Is set in its place; has to be given where an admin set the password."""


class OwnPasswordOrder(_Secretive, frozen=True, kw_only=True):
    """Another password of one's own."""

    password: PasswordText
    old: PasswordText


class PasswordOrder(_Secretive, frozen=True, kw_only=True):
    """A password for somebody, to be changed at the first sign-in."""

    password: PasswordText


class OidcBeginOrder(Order, frozen=True, kw_only=True):
    """Begin a sign-in at a provider."""

    provider: NameText


class OidcFinishOrder(_Secretive, frozen=True, kw_only=True):
    """Let me in, whom the provider vouches for."""

    handle: HandleText
    """As `begin` gave it."""
    code: CodeText | None = None
    """As the browser shows it; null: only say how far it is."""


class IdentityOrder(Order, frozen=True, kw_only=True):
    """An identity at a provider."""

    issuer: IdentityText
    subject: IdentityText


# --- answers --------------------------------------------------------------------------------------------------------


class SignInWays(Answer, frozen=True, kw_only=True):
    """How one can sign in."""

    password: bool
    providers: tuple[str, ...]
    """OpenID providers, by the names that the settings give them."""


class SignedIn(Answer, frozen=True, kw_only=True):
    """Somebody who is in; the token is shown this once."""

    user: str
    token: str
    token_id: str
    expires: str

    def __repr__(self) -> str:
        return f"SignedIn(user={self.user!r}, token_id={self.token_id!r})"


class OidcBegun(Answer, frozen=True, kw_only=True):
    """A sign-in that goes on in a browser."""

    url: str
    """Where the browser has to go."""
    handle: str
    """Your secret: with it, and the code that the browser shows, you get the token."""
    expires: str

    def __repr__(self) -> str:
        return "OidcBegun(…)"


class OidcSignIn(Answer, frozen=True, kw_only=True):
    """How far a sign-in at a provider is."""

    state: Literal["waiting", "confirmed", "done"]
    """`waiting` for the browser, `confirmed` by the provider, so that the browser's code is missing, or `done`."""
    signed_in: SignedIn | None
    """Who is in, once it is done."""


class PasswordSet(Answer, frozen=True, kw_only=True):
    """A password that was set."""

    user: str
    ended_token_ids: tuple[str, ...]
    """Tokens that the user had got by signing in, and that ended with the old password."""


class BoundIdentity(Answer, frozen=True, kw_only=True):
    """An identity at a provider, and whose it is."""

    issuer: str
    subject: str
    user: str
    bound_at: str
    bound_by: str
    """The admin who bound it; `muster`: the first sign-in did, as the settings allow."""


class BoundIdentities(Answer, frozen=True, kw_only=True):
    """The identities of a user."""

    identities: tuple[BoundIdentity, ...]


class Unbound(Answer, frozen=True, kw_only=True):
    """An identity that is nobody's any more."""

    user: str
    ended_token_ids: tuple[str, ...]
    """Tokens that the user had got by signing in."""
