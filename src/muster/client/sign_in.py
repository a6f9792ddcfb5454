"""Signing in and out, passwords and identities, as `Factory` offers them."""

from muster.client.transport import Transport
from muster.vocabulary.names import checked_name
from muster.wire import control
from muster.wire import sign_in as wire


class SigningIn:
    """The part of a factory's client that is about how people get in."""

    _transport: Transport
    _project: str

    def sign_in_ways(self) -> wire.SignInWays:
        """How one can sign in; takes no token."""
        return self._transport.get("/api/v1/sign-in", wire.SignInWays)

    def sign_in(self, user: str, password: str, *, new_password: str | None = None) -> wire.SignedIn:
        """Get a token with a password; takes none.

        Args:
            user: who you are.
            password: yours.
            new_password: is set in its place; has to be given where an admin set the password.
        """
        order = wire.SignInOrder(user=checked_name(user, of="user"), password=password, new_password=new_password)
        return self._transport.post("/api/v1/sign-in", wire.SignedIn, order)

    def sign_out(self) -> control.Revoked:
        """End the token that this client uses, which was got by signing in."""
        return self._transport.post("/api/v1/sign-out", control.Revoked)

    def begin_oidc(self, provider: str) -> wire.OidcBegun:
        """Begin a sign-in at an OpenID provider: an address for a browser, and a handle to finish with; takes no token."""
        order = wire.OidcBeginOrder(provider=checked_name(provider, of="provider"))
        return self._transport.post("/api/v1/sign-in/oidc/begin", wire.OidcBegun, order)

    def finish_oidc(self, handle: str, code: str | None = None) -> wire.OidcSignIn:
        """Get the token for a sign-in at a provider; takes none.

        Args:
            handle: as `begin_oidc` gave it.
            code: as the browser shows it; None: only say how far it is.
        """
        order = wire.OidcFinishOrder(handle=handle, code=code)
        return self._transport.post("/api/v1/sign-in/oidc/finish", wire.OidcSignIn, order)

    def set_own_password(self, password: str, old: str) -> wire.PasswordSet:
        """Set your own password in place of the old one; your other tokens that you got by signing in end."""
        order = wire.OwnPasswordOrder(password=password, old=old)
        return self._transport.post("/api/v1/password", wire.PasswordSet, order)

    def set_password(self, user: str, password: str) -> wire.PasswordSet:
        """Set the password of somebody in the project, to be changed at the first sign-in; an admin's own, for good."""
        path = f"{self._project}/users/{checked_name(user, of='user')}/password"
        return self._transport.post(path, wire.PasswordSet, wire.PasswordOrder(password=password))

    def identities(self, user: str) -> wire.BoundIdentities:
        """The identities at OpenID providers that are bound to a user."""
        path = f"{self._project}/users/{checked_name(user, of='user')}/identities"
        return self._transport.get(path, wire.BoundIdentities)

    def bind_identity(self, user: str, issuer: str, subject: str) -> wire.BoundIdentity:
        """Say that an identity at a provider is this user."""
        path = f"{self._project}/users/{checked_name(user, of='user')}/identities"
        return self._transport.post(path, wire.BoundIdentity, wire.IdentityOrder(issuer=issuer, subject=subject))

    def unbind_identity(self, user: str, issuer: str, subject: str) -> wire.Unbound:
        """Say that an identity at a provider is nobody any more; what the user got by signing in ends."""
        path = f"{self._project}/users/{checked_name(user, of='user')}/identities/unbind"
        return self._transport.post(path, wire.Unbound, wire.IdentityOrder(issuer=issuer, subject=subject))
