"""What an ID token has to prove: every check fails by itself, and nothing else passes for one."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from muster.access.signing.errors import ProviderWrong
from muster.access.signing.id_tokens import (
    Expected,
    Key,
    KeyMissing,
    check_access_token,
    checked_claims,
    read_keys,
)

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
BEGUN = NOW - timedelta(minutes=2)
EXPECTED = Expected(issuer="https://id.example.com", client_id="muster", nonce="n-0S6_WzA2Mj", begun_at=BEGUN)
RSA = RSAKey.generate_key(2048, {"kid": "r1"})
EC = ECKey.generate_key("P-256", {"kid": "e1"})
ED = OKPKey.generate_key("Ed25519", {"kid": "o1"})
PUBLIC = read_keys({"keys": [key.as_dict(private=False) for key in (RSA, EC, ED)]})


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def claims(**changed: Any) -> dict[str, Any]:
    """Claims that pass; None takes one away."""
    told = {
        "iss": EXPECTED.issuer,
        "aud": EXPECTED.client_id,
        "sub": "248289761001",
        "nonce": EXPECTED.nonce,
        "iat": seconds(NOW),
        "exp": seconds(NOW + timedelta(minutes=5)),
    } | changed
    return {name: value for name, value in told.items() if value is not None}


def signed(told: dict[str, Any], key: Any = RSA, alg: str = "RS256", **header: Any) -> str:
    protected = {"alg": alg, "kid": key.kid, **header}
    return jwt.encode(
        {name: value for name, value in protected.items() if value is not None}, told, key, algorithms=[alg]
    )


def checked(token: str, keys: tuple[Key, ...] = PUBLIC) -> dict[str, Any]:
    return checked_claims(token, keys, EXPECTED, NOW)


@pytest.mark.parametrize(("key", "alg"), [(RSA, "RS256"), (RSA, "PS512"), (EC, "ES256"), (ED, "Ed25519")])
def test_a_sound_token_passes(key: Any, alg: str) -> None:
    """Every believed algorithm, with one audience or several that include us and say that we asked."""
    assert checked(signed(claims(), key, alg))["sub"] == "248289761001"
    assert checked(signed(claims(aud=["muster", "other"], azp="muster"), key, alg))
    assert checked(signed(claims(), key, alg, kid=None))


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"iss": "https://id.example.com/"}, "somebody else"),
        ({"iss": None}, "somebody else"),
        ({"aud": "other"}, "another client"),
        ({"aud": ["other"]}, "another client"),
        ({"aud": None}, "another client"),
        ({"aud": [["muster"]]}, "another client"),
        ({"aud": ["muster", "other"]}, "several clients"),
        ({"azp": "other"}, "another client asked"),
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"nonce": ["n-0S6_WzA2Mj"]}, "nonce"),
        ({"exp": seconds(NOW - timedelta(seconds=61))}, "expired"),
        ({"exp": None}, "exp is no time"),
        ({"exp": "never"}, "exp is no time"),
        ({"exp": True}, "exp is no time"),
        ({"exp": 10**18}, "exp is no time"),
        ({"iat": seconds(NOW + timedelta(seconds=62))}, "future"),
        ({"iat": seconds(BEGUN - timedelta(seconds=62))}, "older"),
        ({"iat": None}, "iat is no time"),
        ({"nbf": seconds(NOW + timedelta(seconds=62))}, "not valid yet"),
        ({"sub": None}, "sub"),
        ({"sub": ""}, "sub"),
        ({"sub": 7}, "sub"),
        ({"sub": "x" * 256}, "sub"),
        ({"sub": "a\nb"}, "sub"),
    ],
)  # fmt: skip
def test_each_claim_is_checked(changed: dict[str, Any], why: str) -> None:
    """A token that is sound but for one claim is turned down for that claim."""
    with pytest.raises(ProviderWrong, match=why):
        checked(signed(claims(**changed)))


@pytest.mark.parametrize("apart_s", [-59, 59])
def test_clocks_may_be_a_minute_apart(apart_s: int) -> None:
    """A provider whose clock is less than a minute off is believed; the table above holds that more is not."""
    apart = timedelta(seconds=apart_s)
    assert checked(signed(claims(iat=seconds(NOW + apart), exp=seconds(NOW + apart))))


def encoded(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.mark.parametrize(
    "alg",
    [
        "none",
        "None",
        "NONE",
        "nOnE",
        "HS256",
        "HS512",
        "RSA-OAEP",
        "EdDSA",
        "",
        None,
        7,
        ["RS256"],
        {"a": 1},
        "A" * 5000,
    ],
)
def test_no_other_algorithm_is_believed(alg: Any) -> None:
    """Neither no signature at all nor one by a shared secret, however it is spelt."""
    token = f"{encoded({'alg': alg, 'kid': 'r1'})}.{encoded(claims())}."
    with pytest.raises(ProviderWrong) as refused:
        checked(token)
    assert len(refused.value.message) < 200


def test_a_public_key_is_no_shared_secret() -> None:
    """A token that is signed by HMAC with the public key as secret is turned down."""
    body = f"{encoded({'alg': 'HS256', 'kid': 'r1'})}.{encoded(claims())}"
    mac = hmac.digest(RSA.as_pem(private=False), body.encode(), "sha256")
    token = f"{body}.{encoded(mac)}"
    with pytest.raises(ProviderWrong, match="HS256"):
        checked(token)


def test_the_token_does_not_bring_its_own_key() -> None:
    """A key in the header, or an address of one, is not looked at."""
    mallory = RSAKey.generate_key(2048, {"kid": "r1"})
    token = signed(claims(), mallory, jwk=mallory.as_dict(private=False))
    with pytest.raises(ProviderWrong):
        checked(token)


def test_a_key_that_is_not_known_is_asked_for() -> None:
    """A token by a key of another name, or of another kind than is known, calls for the keys anew and is not refused yet."""
    with pytest.raises(KeyMissing):
        checked(signed(claims(), RSAKey.generate_key(2048, {"kid": "r2"})))
    with pytest.raises(KeyMissing):
        checked(signed(claims(), EC, "ES256"), read_keys({"keys": [RSA.as_dict(private=False)]}))


def test_a_key_is_used_for_what_it_is_for_alone() -> None:
    """Keys for encryption, for another algorithm, secrets and weak ones can have signed nothing."""
    public = RSA.as_dict(private=False)
    weak = {**public, "n": public["n"][: 1024 // 6]}
    for one in (
        {**public, "use": "enc"},
        {**public, "key_ops": ["encrypt"]},
        {"kty": "oct", "k": "AAAA"},
        weak,
        {"kty": "RSA"},
    ):
        assert read_keys({"keys": [one]}) == ()
    with pytest.raises(KeyMissing):
        checked(signed(claims()), read_keys({"keys": [{**public, "alg": "RS512"}]}))
    with pytest.raises(ProviderWrong):
        read_keys({"keys": "none"})


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_change_to_a_signed_token_passes(data: st.DataObject) -> None:
    """One character of head or body more, less or other, and the token is nobody's."""
    token = signed(claims(), ED, "Ed25519")
    body = token.rpartition(".")[0]
    at = data.draw(st.integers(0, len(body) - 1))
    put = data.draw(st.sampled_from("ABCabc012-_.="))
    changed = body[:at] + put + body[at + data.draw(st.integers(0, 1)) :] + token[len(body) :]
    if changed == token:
        return
    with pytest.raises((ProviderWrong, KeyMissing)):
        checked(changed)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda raw: f"{encoded(raw)}.{encoded(raw)}.{encoded(raw)}"))
def test_nonsense_is_refused_and_never_a_fault(text: str) -> None:
    """Whatever comes as a token, the answer is a refusal."""
    with pytest.raises(ProviderWrong):
        checked(text)


def test_a_token_without_an_object_is_none() -> None:
    """A signed list proves nothing; neither does what is too large."""
    for body in (b"[]", b"null", b"\xff", b'"text"'):
        token = jws.serialize_compact({"alg": "RS256", "kid": "r1"}, body, RSA, algorithms=["RS256"])
        with pytest.raises(ProviderWrong, match="no JSON object"):
            checked(token)
    with pytest.raises(ProviderWrong, match="too large"):
        checked(signed(claims(more="x" * 70_000)))


@pytest.mark.parametrize(
    ("key", "alg", "hashed"), [(RSA, "RS256", hashlib.sha256), (RSA, "PS512", hashlib.sha512), (ED, "Ed25519", None)]
)
def test_the_access_token_belongs_to_the_id_token(key: Any, alg: str, hashed: Any) -> None:
    """Where the ID token holds a hash of the access token, another access token is noticed."""
    if hashed is None:  # not defined for this algorithm: not looked at
        check_access_token(claims(at_hash="x"), signed(claims(), key, alg), "any")
        return
    digest = hashed(b"mine").digest()
    told = claims(at_hash=encoded(digest[: len(digest) // 2]))
    check_access_token(told, signed(told, key, alg), "mine")
    with pytest.raises(ProviderWrong, match="at_hash"):
        check_access_token(told, signed(told, key, alg), "another")
