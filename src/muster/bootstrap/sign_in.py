"""What the settings say about signing in, in the words of the room that does it."""

from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

from muster.access.signing.options import ProviderOptions, SignInOptions
from muster.api.routes.sign_in import CALLBACK
from muster.settings import AccessSettings, OidcProviderSettings


def sign_in_options(settings: AccessSettings, home: Path) -> SignInOptions:
    """The options of a factory in a home."""
    return SignInOptions(
        token_lasts=timedelta(hours=settings.sign_in_hours),
        trusted_proxies=tuple(ip_network(text) for text in settings.trusted_proxies),
        callback=settings.public_url.rstrip("/") + CALLBACK,
        providers=tuple(_provider(provider, home) for provider in settings.oidc),
    )


def _provider(settings: OidcProviderSettings, home: Path) -> ProviderOptions:
    file = settings.client_secret_file
    return ProviderOptions(
        name=settings.name,
        issuer=settings.issuer,
        client_id=settings.client_id,
        client_secret_file=home / file if file else None,
        scopes=settings.scopes,
        claim=settings.claim,
        known_names=settings.allow == "known-names",
        groups_claim=settings.groups_claim,
        groups=settings.groups,
        joins=settings.joins,
        origins=settings.origins,
    )
