"""From the records of signing in to the documents of the wire, and to the page that a browser is shown."""

from html import escape

from muster.access import users
from muster.access.signing import records
from muster.vocabulary.clock import rfc3339
from muster.wire import sign_in

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="robots" content="noindex"><title>Muster: {title}</title></head>
<body><h1>{title}</h1>
{body}
</body></html>
"""


def signed_in(made: records.SignedIn) -> sign_in.SignedIn:
    """Somebody who just signed in."""
    return sign_in.SignedIn(user=made.user, token=made.token, token_id=made.token_id, expires=rfc3339(made.expires_at))


def begun(flow: records.Begun) -> sign_in.OidcBegun:
    """A sign-in at a provider."""
    return sign_in.OidcBegun(url=flow.url, handle=flow.handle, expires=rfc3339(flow.expires_at))


def oidc_sign_in(state: records.FlowState, made: records.SignedIn | None) -> sign_in.OidcSignIn:
    """How far a sign-in at a provider is."""
    return sign_in.OidcSignIn(state=state.value, signed_in=None if made is None else signed_in(made))


def password_set(gone: users.Revoked) -> sign_in.PasswordSet:
    """A password, and what ended with the one before."""
    return sign_in.PasswordSet(user=gone.user, ended_token_ids=gone.token_ids)


def identity(bound: records.Identity) -> sign_in.BoundIdentity:
    """An identity."""
    return sign_in.BoundIdentity(
        issuer=bound.issuer,
        subject=bound.subject,
        user=bound.user,
        bound_at=rfc3339(bound.bound_at),
        bound_by=bound.bound_by,
    )


def confirmed_page(confirmed: records.Confirmed) -> str:
    """What the browser shows after the provider let somebody in."""
    who = "you" if confirmed.claimed is None else f"you as <b>{escape(confirmed.claimed)}</b>"
    body = (
        f"<p>{escape(confirmed.provider)} vouches for {who}.</p>\n"
        f"<p>Type this code where you began to sign in:</p>\n<p><b><code>{escape(confirmed.code)}</code></b></p>\n"
        "<p>If you did not begin yourself, and came here by a link that somebody sent you, keep the code to yourself and "
        "tell your security team. Otherwise you may close this window once you have typed it.</p>"
    )
    return _PAGE.format(title="Signed in at the provider", body=body)


def failed_page(message: str) -> str:
    """What the browser shows when it came to nothing."""
    body = f"<p>{escape(message)}.</p>\n<p>You may close this window. To try again, begin where you began.</p>"
    return _PAGE.format(title="Not signed in", body=body)
