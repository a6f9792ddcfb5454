"""What an ID token has to prove before anybody believes it. Pure: token, keys, expectation and time in, claims out.

Source: OpenID Connect Core 1.0, section 3.1.3.7; RFC 8725 for the choice of algorithms and keys.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from muster.access.signing.errors import ProviderWrong

Key = RSAKey | ECKey | OKPKey
#: How far clocks may be apart.
SKEW = timedelta(seconds=60)
_MOST_TOKEN_BYTES = 64 * 1024
_MOST_SUBJECT = 255
_FEWEST_RSA_BITS = 2048
#: Algorithm → key type and curve. No `none` and no HMAC: anybody could make the first, and whoever knows a client the second.
_ALGORITHMS: Mapping[str, tuple[type[Key], str | None]] = {
    "RS256": (RSAKey, None),
    "RS384": (RSAKey, None),
    "RS512": (RSAKey, None),
    "PS256": (RSAKey, None),
    "PS384": (RSAKey, None),
    "PS512": (RSAKey, None),
    "ES256": (ECKey, "P-256"),
    "ES384": (ECKey, "P-384"),
    "ES512": (ECKey, "P-521"),
    "Ed25519": (OKPKey, "Ed25519"),
}


class KeyMissing(Exception):
    """None of the provider's keys, as far as they are known, can have signed the token: they may have changed since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the token must say."""

    issuer: str
    client_id: str
    nonce: str
    begun_at: datetime
    """When the sign-in was begun: no token for it can be older."""


def read_keys(document: Mapping[str, Any]) -> tuple[Key, ...]:
    """The public keys of a JWKS document that can sign ID tokens; others are passed over."""
    found = document.get("keys")
    if not isinstance(found, list):
        raise ProviderWrong("the provider's key document holds no list of keys")
    return tuple(key for one in found if isinstance(one, dict) and (key := _key(one)) is not None)


def checked_claims(token: str, keys: Sequence[Key], expected: Expected, now: datetime) -> dict[str, Any]:
    """The claims of an ID token, all checks passed.

    Raises:
        KeyMissing: no key fits; ask for the keys anew, once.
        ProviderWrong: a check failed; the message says which, and quotes nothing secret.
    """
    claims = _signed(token, keys)
    _check_parties(claims, expected)
    _check_times(claims, expected, now)
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise ProviderWrong("the ID token is for another sign-in: its nonce differs")
    checked_subject(claims)
    return claims


def checked_subject(claims: Mapping[str, Any]) -> str:
    """The claim `sub`.

    Raises:
        ProviderWrong: it is none.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= _MOST_SUBJECT or not subject.isprintable():
        raise ProviderWrong(f"the claim sub is no printable text of 1 to {_MOST_SUBJECT} characters")
    return subject


def check_access_token(claims: Mapping[str, Any], token: str, access_token: str) -> None:
    """Nothing, if the access token is the one that came with the ID token, as far as that tells (`at_hash`).

    Raises:
        ProviderWrong: it is another.
    """
    told = claims.get("at_hash")
    bits = _header(token)["alg"][-3:]
    if told is None or bits not in {"256", "384", "512"}:  # optional in this flow, and not defined for Ed25519
        return
    digest = hashlib.new(f"sha{bits}", access_token.encode()).digest()
    half = urlsafe_b64encode(digest[: len(digest) // 2]).decode().rstrip("=")
    if not isinstance(told, str) or not hmac.compare_digest(told.encode(), half.encode()):
        raise ProviderWrong("the access token is not the one of the ID token: at_hash differs")


def _key(document: dict[str, Any]) -> Key | None:
    kind: type[Key] | None = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}.get(str(document.get("kty")))  # type: ignore[assignment]
    if kind is None or (kind is RSAKey and _bits(document.get("n")) < _FEWEST_RSA_BITS):
        return None
    if document.get("use", "sig") != "sig" or "verify" not in document.get("key_ops", ["verify"]):
        return None
    try:
        key: Key = kind.import_key({name: value for name, value in document.items() if name not in {"d", "key_ops"}})
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key


def _bits(modulus: object) -> int:
    """How long a modulus is that is written in base64."""
    return len(modulus) * 6 if isinstance(modulus, str) else 0


def _header(token: str) -> dict[str, Any]:
    if len(token) > _MOST_TOKEN_BYTES or not token.isascii():
        raise ProviderWrong("the ID token is too large, or no ASCII")
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, TypeError) as error:
        raise ProviderWrong("the ID token is no signed token in compact form") from error
    if not isinstance(header.get("alg"), str) or header["alg"] not in _ALGORITHMS:
        raise ProviderWrong(f"the ID token is signed by {str(header.get('alg'))[:20]!r}, which is not believed")
    return dict(header)


def _signed(token: str, keys: Sequence[Key]) -> dict[str, Any]:
    header = _header(token)
    candidates = [key for key in keys if _can_have_signed(key, header)]
    if not candidates:
        raise KeyMissing
    for key in candidates:
        try:
            payload = jws.deserialize_compact(token, key, algorithms=[header["alg"]]).payload
        except (JoseError, ValueError, TypeError):
            continue
        try:
            return msgspec.json.decode(payload, type=dict[str, Any])
        except (msgspec.MsgspecError, RecursionError) as error:
            raise ProviderWrong("the ID token holds no JSON object") from error
    raise ProviderWrong("the signature of the ID token is not one of the provider's keys'")


def _can_have_signed(key: Key, header: Mapping[str, Any]) -> bool:
    """Whether type, curve, name and purpose of a key fit what the token says of its key."""
    kind, curve = _ALGORITHMS[header["alg"]]
    told = key.as_dict(private=False)
    if not isinstance(key, kind) or (curve is not None and told.get("crv") != curve):
        return False
    if told.get("alg") not in {None, header["alg"]}:
        return False
    return "kid" not in header or told.get("kid") in {None, header["kid"]}


def _check_parties(claims: Mapping[str, Any], expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise ProviderWrong("the ID token was issued by somebody else")
    audience = claims.get("aud")
    members = audience if isinstance(audience, list) else [audience]
    if expected.client_id not in members:
        raise ProviderWrong("the ID token is for another client")
    authorized = claims.get("azp")
    if authorized is None and len(members) > 1:
        raise ProviderWrong("the ID token is for several clients and does not say which one asked")
    if authorized is not None and authorized != expected.client_id:
        raise ProviderWrong("another client asked for the ID token")


def _check_times(claims: Mapping[str, Any], expected: Expected, now: datetime) -> None:
    if _moment(claims, "exp") <= now - SKEW:
        raise ProviderWrong("the ID token has expired")
    issued = _moment(claims, "iat")
    if issued > now + SKEW:
        raise ProviderWrong("the ID token is from the future: the clocks of provider and factory are apart")
    if issued < expected.begun_at - SKEW:
        raise ProviderWrong("the ID token is older than this sign-in")
    if "nbf" in claims and _moment(claims, "nbf") > now + SKEW:
        raise ProviderWrong("the ID token is not valid yet")


def _moment(claims: Mapping[str, Any], name: str) -> datetime:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ProviderWrong(f"the ID token's claim {name} is no time")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ProviderWrong(f"the ID token's claim {name} is no time") from error
