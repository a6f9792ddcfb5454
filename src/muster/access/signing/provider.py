"""An OpenID provider, as the factory talks to it: discovery, keys, the exchange of a code, what it says about a person.

Nothing is sent anywhere but to the issuer's own origin and those that the settings name, and no redirect is followed: a
provider's documents cannot make the factory ask addresses of the network it stands in.

Source: OpenID Connect Core 1.0 and Discovery 1.0; RFC 7636 (PKCE); RFC 9207 (the issuer in the answer); RFC 9700.
"""

import base64
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import quote_plus, urlencode, urlsplit, urlunsplit

import httpx
import msgspec

from muster.access.signing.errors import GroupMissing, ProviderAway, ProviderRefused, ProviderWrong
from muster.access.signing.id_tokens import (
    Expected,
    Key,
    KeyMissing,
    check_access_token,
    checked_claims,
    checked_subject,
    read_keys,
)
from muster.access.signing.options import ProviderOptions
from muster.vocabulary.clock import Clock

Document = TypeVar("Document")
_ANSWER_WITHIN_S = 10.0
_MOST_BYTES = 512 * 1024
#: How long a discovery document and keys are good for, and how soon keys are asked for anew for a token that none fits; seconds.
_KEPT_S = 3600.0
_KEYS_ANEW_AFTER_S = 10.0
_AWAY_S = 2.0
_DISCOVERY = "/.well-known/openid-configuration"


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    """What is used of a provider's discovery document."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What is used of a provider's answer to a code."""

    id_token: str
    access_token: str = ""
    token_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody whom the provider vouches for."""

    subject: str
    claimed: str | None
    """The claim that the settings name, if it is a text."""
    groups: tuple[str, ...] = ()
    """The factory's groups that the provider puts the person into, by the settings."""


class Provider:
    """One OpenID provider.

    Args:
        options: what the settings say of it.
        clock: tells whether a token has expired.
    """

    def __init__(self, options: ProviderOptions, clock: Clock) -> None:
        self.options = options
        self._clock = clock
        self._origins = {_origin(options.issuer), *map(_origin, options.origins)}
        self._lock = threading.Lock()
        self._discovery: tuple[float, Discovery] | None = None
        self._keys: tuple[float, tuple[Key, ...]] | None = None
        self._away_until = 0.0

    def authorization_url(self, *, callback: str, state: str, nonce: str, challenge: str) -> str:
        """Where a browser has to go.

        Raises:
            ProviderAway: the provider's discovery document cannot be had.
            ProviderWrong: it is not the provider's, or names addresses that the settings do not.
        """
        parts = urlsplit(self._discovered().authorization_endpoint)
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self.options.client_id,
                "redirect_uri": callback,
                "scope": " ".join(dict.fromkeys(("openid", *self.options.scopes))),
                "state": state,
                "nonce": nonce,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            }
        )
        return urlunsplit(parts._replace(query=f"{parts.query}&{query}" if parts.query else query, fragment=""))

    def check_answer(self, issuer: str | None) -> None:
        """Nothing, if an answer that a browser brought can be this provider's (RFC 9207).

        Raises:
            ProviderWrong: it is another's.
        """
        if issuer is None and not self._discovered().authorization_response_iss_parameter_supported:
            return
        if issuer != self.options.issuer:
            raise ProviderWrong("the answer that the browser brought is another provider's")

    def person(self, *, code: str, verifier: str, callback: str, nonce: str, begun_at: datetime) -> Person:
        """Whom the provider vouches for with this code; it is good once.

        Raises:
            ProviderAway: the provider cannot be asked.
            ProviderRefused: it does not take the code.
            ProviderWrong: what it says does not prove anything.
            GroupMissing: the person belongs to none of the groups that may sign in.
        """
        tokens = self._exchanged(code, verifier, callback)
        expected = Expected(
            issuer=self.options.issuer, client_id=self.options.client_id, nonce=nonce, begun_at=begun_at
        )
        try:
            claims = checked_claims(tokens.id_token, self._known_keys(), expected, self._clock.now())
        except KeyMissing:
            try:
                claims = checked_claims(tokens.id_token, self._known_keys(anew=True), expected, self._clock.now())
            except KeyMissing as error:
                raise ProviderWrong("the ID token is signed by a key that is not one of the provider's") from error
        wanted = {self.options.claim, self.options.groups_claim} - {""}
        if not wanted <= claims.keys():
            claims = self._told_of_user(tokens, claims) | claims
        told = _groups(claims, self.options.groups_claim)
        if self.options.groups and not told & set(self.options.groups):
            raise GroupMissing(
                "the person belongs to none of the groups whose members may sign in", groups=list(self.options.groups)
            )
        claimed = claims.get(self.options.claim)
        return Person(
            subject=checked_subject(claims),
            claimed=claimed[:255] if isinstance(claimed, str) and claimed.isprintable() else None,
            groups=tuple(sorted({ours for theirs, ours in self.options.joins.items() if theirs in told})),
        )

    def _exchanged(self, code: str, verifier: str, callback: str) -> Tokens:
        discovery = self._discovered()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": callback, "code_verifier": verifier}
        headers = {"content-type": "application/x-www-form-urlencoded"}
        secret = self._secret()
        if secret is None:
            form["client_id"] = self.options.client_id
        elif "client_secret_basic" in discovery.token_endpoint_auth_methods_supported:
            pair = f"{quote_plus(self.options.client_id)}:{quote_plus(secret)}"  # RFC 6749, section 2.3.1
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": self.options.client_id, "client_secret": secret}
        status, body = self._ask("POST", discovery.token_endpoint, content=urlencode(form).encode(), headers=headers)
        if status >= 400:
            raise ProviderRefused(f"the provider does not take the code: {_error_of(body)}", status=status)
        return _decoded(body, Tokens)

    def _told_of_user(self, tokens: Tokens, claims: Mapping[str, Any]) -> dict[str, Any]:
        """What the provider tells about the person when it is asked; many put it into no ID token."""
        address = self._discovered().userinfo_endpoint
        if address is None or not tokens.access_token or tokens.token_type.lower() != "bearer":
            return {}
        check_access_token(claims, tokens.id_token, tokens.access_token)
        status, body = self._ask("GET", address, headers={"authorization": f"Bearer {tokens.access_token}"})
        if status >= 400:
            raise ProviderWrong(f"the provider does not tell about the person: status {status}", status=status)
        told = _decoded(body, dict[str, Any])
        if told.get("sub") != claims["sub"]:
            raise ProviderWrong("the provider tells about somebody else")
        return told

    def _secret(self) -> str | None:
        file = self.options.client_secret_file
        if file is None:
            return None
        try:
            return file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ProviderAway(f"the client's secret cannot be read from {file}: {type(error).__name__}") from error

    def _discovered(self) -> Discovery:
        with self._lock:
            if self._discovery is not None and time.monotonic() < self._discovery[0]:
                return self._discovery[1]
            if time.monotonic() < self._away_until:
                raise ProviderAway(f"{self.options.name} could not be reached a moment ago")
            try:
                found = _decoded(self._found(self.options.issuer.rstrip("/") + _DISCOVERY), Discovery)
            except ProviderAway:
                self._away_until = (
                    time.monotonic() + _AWAY_S
                )  # so that callers do not queue for one timeout after the other
                raise
            if found.issuer != self.options.issuer:
                raise ProviderWrong("the discovery document is another issuer's", issuer=found.issuer[:255])
            for used in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
                self._check_address(used)
            self._discovery = (time.monotonic() + _KEPT_S, found)
            return found

    def _known_keys(self, *, anew: bool = False) -> tuple[Key, ...]:
        discovery = self._discovered()
        with self._lock:
            now = time.monotonic()
            if self._keys is not None:
                asked_at, keys = self._keys
                if now < asked_at + (_KEYS_ANEW_AFTER_S if anew else _KEPT_S):
                    return keys
            keys = read_keys(_decoded(self._found(discovery.jwks_uri), dict[str, Any]))
            self._keys = (now, keys)
            return keys

    def _found(self, address: str) -> bytes:
        status, body = self._ask("GET", address)
        if status >= 400:
            raise ProviderAway(f"{self.options.name} answers {status} at {address}", status=status)
        return body

    def _ask(
        self, method: str, address: str, *, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """One question, answered in full within its time and size, or not at all."""
        self._check_address(address)
        until, body = time.monotonic() + _ANSWER_WITHIN_S, bytearray()
        try:
            with (
                httpx.Client(
                    timeout=_ANSWER_WITHIN_S / 2,
                    follow_redirects=False,
                    trust_env=not _is_this_machine(
                        address
                    ),  # a proxy of the environment has no business on this machine
                ) as http,
                http.stream(
                    method, address, content=content, headers={"accept": "application/json", **(headers or {})}
                ) as answer,
            ):
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > _MOST_BYTES:
                        raise ProviderWrong(f"{self.options.name} answers with more than {_MOST_BYTES} bytes")
                    if time.monotonic() > until:
                        raise ProviderAway(f"{self.options.name} did not answer within {_ANSWER_WITHIN_S:g} s")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ProviderAway(f"{self.options.name} cannot be asked: {type(error).__name__}") from error
        if answer.status_code >= 500:
            raise ProviderAway(f"{self.options.name} answers {answer.status_code}", status=answer.status_code)
        if not (200 <= answer.status_code < 300 or answer.status_code >= 400):
            raise ProviderWrong(f"{self.options.name} sends the factory elsewhere: status {answer.status_code}")
        return answer.status_code, bytes(body)

    def _check_address(self, address: str) -> None:
        try:
            origin = _origin(address)
        except ValueError:
            origin = ""
        if origin not in self._origins or "@" in urlsplit(address).netloc:
            raise ProviderWrong(
                f"the provider names an address at {origin or 'nowhere'}, which `origins` in its settings does not",
                origin=origin,
            )


def _origin(address: str) -> str:
    """`https://host:port` with the port always said.

    Raises:
        ValueError: it is no address.
    """
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(address)
    return f"{parts.scheme}://{parts.hostname.lower()}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _is_this_machine(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _decoded(body: bytes, kind: type[Document]) -> Document:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProviderWrong(f"the provider's answer is not understood: {error}") from error


def _error_of(body: bytes) -> str:
    """The error that an answer names, as far as it is one of the specification's words."""
    try:
        told = msgspec.json.decode(body, type=dict[str, Any]).get("error")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        told = None
    return error_word(told)


def error_word(told: object) -> str:
    """An error code of OAuth, or `error`: what a provider or a browser wrote is repeated only where it is a plain word."""
    if isinstance(told, str) and 0 < len(told) <= 60 and told.replace("_", "").isalpha() and told.isascii():
        return told
    return "error"


def _groups(claims: Mapping[str, Any], claim: str) -> frozenset[str]:
    """Somebody's groups: a list of texts, or one text; nothing else is a membership.

    Raises:
        ProviderWrong: the provider says elsewhere which they are, as some do where they are many (Core 1.0, section 5.6.2).
    """
    elsewhere = claims.get("_claim_names")
    if claim and claim not in claims and isinstance(elsewhere, dict) and claim in elsewhere:
        raise ProviderWrong(
            f"the provider does not list the person's groups: it leaves the claim {claim} to another place"
        )
    told = claims.get(claim) if claim else None
    if isinstance(told, str):
        return frozenset({told})
    return frozenset(one for one in told if isinstance(one, str)) if isinstance(told, list) else frozenset()
