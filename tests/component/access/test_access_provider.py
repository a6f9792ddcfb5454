"""A provider that lies, or is not well: what it says is not believed, and it cannot make the factory ask anybody else."""

import json
import time
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import RSAKey

from lying_provider import LyingProvider, Said, lying_provider, said
from muster.access.signing import provider as providers
from muster.access.signing.errors import GroupMissing, ProviderAway, ProviderRefused, ProviderWrong
from muster.access.signing.options import ProviderOptions
from muster.access.signing.provider import Person, Provider
from muster.vocabulary.clock import SystemClock
from muster.vocabulary.errors import MusterError

DISCOVERY = "/.well-known/openid-configuration"
CALLBACK = "https://muster.example.com/callback"


@pytest.fixture
def liar() -> Iterator[LyingProvider]:
    """What the factory takes for its provider."""
    with lying_provider() as one:
        yield one


@pytest.fixture
def inside() -> Iterator[LyingProvider]:
    """Something else that listens where the factory stands, and must never hear of it."""
    with lying_provider() as one:
        yield one


def options(liar: LyingProvider, **changed: Any) -> ProviderOptions:
    told = ProviderOptions(
        name="corp", issuer=liar.origin, client_id="muster", client_secret_file=None, scopes=("profile",),
        claim="preferred_username", known_names=True, groups_claim="", groups=(), joins={}, origins=(),
    )  # fmt: skip
    return replace(told, **changed)


def asked(liar: LyingProvider, **changed: Any) -> Person:
    provider = Provider(options(liar, **changed), SystemClock())
    return provider.person(code="c", verifier="v" * 43, callback=CALLBACK, nonce="n", begun_at=datetime.now(UTC))


def begun(liar: LyingProvider, **changed: Any) -> str:
    return Provider(options(liar, **changed), SystemClock()).authorization_url(
        callback=CALLBACK, state="s", nonce="n", challenge="c"
    )


def test_a_truthful_provider_is_believed(liar: LyingProvider) -> None:
    """The kit itself: person and claim come, and the code is sent with its verifier, to nobody else."""
    assert asked(liar) == Person(subject="1", claimed="ana")
    (sent,) = [parse_qs(body.decode()) for method, path, body, _ in liar.asked if path == "/token"]
    assert sent == {
        "grant_type": ["authorization_code"], "code": ["c"], "redirect_uri": [CALLBACK], "code_verifier": ["v" * 43],
        "client_id": ["muster"],
    }  # fmt: skip


@pytest.mark.parametrize("posted", [False, True])
def test_the_secret_is_sent_as_the_provider_takes_it(liar: LyingProvider, tmp_path: Path, posted: bool) -> None:
    """In the header, encoded as the specification has it, or in the body; it is read anew for every sign-in."""
    if posted:
        liar.says[DISCOVERY] = liar.discovery(token_endpoint_auth_methods_supported=["client_secret_post"])
    file = tmp_path / "secret"
    provider = Provider(options(liar, client_secret_file=file), SystemClock())
    for secret in ("a b:c%d&e", "the next one"):
        file.write_text(f"{secret}\n")
        provider.person(code="c", verifier="v", callback=CALLBACK, nonce="n", begun_at=datetime.now(UTC))
        body, headers = next((body, headers) for _, path, body, headers in reversed(liar.asked) if path == "/token")
        if posted:
            assert parse_qs(body.decode())["client_secret"] == [secret]
        else:
            pair = b64decode(headers["authorization"].removeprefix("Basic ")).decode()
            assert parse_qs(f"s={pair.partition(':')[2]}")["s"] == [secret]
            assert "secret" not in body.decode()
    file.unlink()
    with pytest.raises(ProviderAway, match="secret"):
        provider.person(code="c", verifier="v", callback=CALLBACK, nonce="n", begun_at=datetime.now(UTC))


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example.com"},
        {"aud": "other"},
        {"aud": ["muster", "other"]},
        {"azp": "other"},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": 1_000_000_000},
        {"iat": 1_000_000_000},
        {"iat": 4_000_000_000},
        {"sub": None},
        {"at_hash": "bm90IHRoZSByaWdodCBvbmU"},
    ],
)
def test_a_token_that_proves_nothing_is_not_believed(liar: LyingProvider, claims: dict[str, Any]) -> None:
    """Signed by the right key and yet for somebody or something else."""
    liar.claims = claims
    with pytest.raises(ProviderWrong):
        asked(liar)


def test_an_unsigned_token_is_not_believed(liar: LyingProvider) -> None:
    """`none`, and a signature by another key of the same name."""
    token = json.loads(liar.token().body)["id_token"]
    header = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}
    for forged in (f"{header}.{token.split('.')[1]}.", f"{header}.{token.split('.')[1]}.{token.split('.')[2]}"):
        liar.says["/token"] = liar.token(id_token=forged)
        with pytest.raises(ProviderWrong, match="none"):
            asked(liar)
    del liar.says["/token"]
    liar.keys = [RSAKey.generate_key(2048, {"kid": "one"}).as_dict(private=False)]
    with pytest.raises(ProviderWrong, match="signature"):
        asked(liar)


def test_keys_are_asked_for_anew_but_not_for_every_lie(liar: LyingProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown key has the provider asked again, once in a while: tokens with invented keys make no storm of questions."""
    liar.keys = [RSAKey.generate_key(2048, {"kid": "old"}).as_dict(private=False)]
    provider = Provider(options(liar), SystemClock())

    def person() -> Person:
        return provider.person(code="c", verifier="v", callback=CALLBACK, nonce="n", begun_at=datetime.now(UTC))

    for _ in range(5):
        with pytest.raises(ProviderWrong, match="key"):
            person()
    assert len([path for _, path, _, _ in liar.asked if path == "/jwks"]) == 1
    monkeypatch.setattr(providers, "_KEYS_ANEW_AFTER_S", 0.0)
    with pytest.raises(ProviderWrong, match="key"):
        person()
    liar.keys = LyingProvider(liar.origin).keys
    assert person().subject == "1"
    assert len([path for _, path, _, _ in liar.asked if path == "/jwks"]) == 3


@pytest.mark.parametrize("endpoint", ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"])
@pytest.mark.parametrize("how", ["other port", "metadata", "user", "file", "nonsense", "upper", "redirect"])
def test_a_provider_cannot_send_the_factory_elsewhere(
    liar: LyingProvider, inside: LyingProvider, endpoint: str, how: str
) -> None:
    """Neither by the addresses that it names nor by a redirect from one of its own is anybody else asked."""
    paths = {"token_endpoint": "/token", "jwks_uri": "/jwks", "userinfo_endpoint": "/me"}
    if how == "redirect":
        path = paths.get(endpoint, DISCOVERY)
        liar.says[path] = Said(307, headers={"location": f"{inside.origin}{path}"})
    else:
        address = {
            "other port": f"{inside.origin}/token",
            "metadata": "http://169.254.169.254/latest/meta-data",
            "user": liar.origin.replace("http://", "http://x@"),
            "file": "file:///etc/passwd",
            "nonsense": "http://[::1",
            "upper": inside.origin.upper(),
        }[how]
        liar.says[DISCOVERY] = liar.discovery(**{endpoint: address})
    with pytest.raises(MusterError) as refused:
        asked(liar)
    assert isinstance(refused.value, ProviderWrong)
    assert inside.asked == []


def test_other_origins_are_asked_where_the_settings_name_them(liar: LyingProvider, inside: LyingProvider) -> None:
    """Large providers have their addresses at several hosts."""
    liar.says[DISCOVERY] = liar.discovery(jwks_uri=f"{inside.origin}/jwks")
    assert asked(liar, origins=(inside.origin,)).subject == "1"
    assert [path for _, path, _, _ in inside.asked] == ["/jwks"]


@pytest.mark.parametrize("issuer", ["https://evil.example.com", None, 7, ""])
def test_a_discovery_document_is_of_its_issuer(liar: LyingProvider, issuer: Any) -> None:
    """One that names another issuer, or none, is not believed."""
    liar.says[DISCOVERY] = liar.discovery(issuer=issuer)
    with pytest.raises(ProviderWrong):
        begun(liar)


def test_an_address_with_a_query_keeps_it(liar: LyingProvider) -> None:
    """What a provider has in its address stays, and ours is added."""
    liar.says[DISCOVERY] = liar.discovery(authorization_endpoint=f"{liar.origin}/auth?tenant=a%26b#part")
    parts = urlsplit(begun(liar, scopes=("profile", "openid")))
    query = parse_qs(parts.query)
    assert (query["tenant"], query["state"], query["scope"], parts.fragment) == (["a&b"], ["s"], ["openid profile"], "")


@pytest.mark.parametrize("path", [DISCOVERY, "/jwks", "/token", "/me"])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Said(500), ProviderAway),
        (Said(503, b"<html>"), ProviderAway),
        (Said(200, b"<html>not json</html>"), ProviderWrong),
        (Said(200, b"[]"), ProviderWrong),
        (Said(200, b"\xff\xfe"), ProviderWrong),
        (Said(200, b" " * 600_000), ProviderWrong),
        (Said(200, b"[" * 100_000), ProviderWrong),
        (Said(200, b'{"a":' * 60_000), ProviderWrong),
        (Said(204, b""), ProviderWrong),
        (Said(301, b""), ProviderWrong),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_told_so(liar: LyingProvider, path: str, answer: Said, error: type[MusterError]) -> None:
    """Broken, too large, nested, or no answer at all: an error that says whose fault it is, and never a fault of ours."""
    liar.says[path] = answer
    with pytest.raises(error):
        asked(liar)


@pytest.mark.parametrize("error", ["invalid_grant", "<b>invalid</b>", 7, None, "x" * 1000])
def test_a_refused_code_is_told_in_the_providers_word_alone(liar: LyingProvider, error: Any) -> None:
    """A word of the specification is repeated; anything else is not."""
    liar.says["/token"] = replace(said({"error": error, "error_description": "<b>secret</b>"}), status=400)
    with pytest.raises(ProviderRefused) as refused:
        asked(liar)
    assert refused.value.message.endswith(": invalid_grant" if error == "invalid_grant" else ": error")


def test_a_slow_provider_holds_nobody_for_ever(liar: LyingProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that drips is given up, though each drop comes in time."""
    monkeypatch.setattr(providers, "_ANSWER_WITHIN_S", 1.0)
    liar.says[DISCOVERY] = replace(liar.discovery(), pause_s=0.1)
    before = time.monotonic()
    with pytest.raises(ProviderAway):
        begun(liar)
    assert time.monotonic() - before < 5


def test_what_is_told_on_asking_is_of_the_same_person(liar: LyingProvider) -> None:
    """User info of somebody else, or of nobody, is not taken; claims of the signed token win over it."""
    for other in ({"sub": "2", "preferred_username": "admin"}, {"preferred_username": "admin"}):
        liar.says["/me"] = said(other)
        with pytest.raises(ProviderWrong, match="somebody else"):
            asked(liar)
    liar.says["/me"] = said({"sub": "1", "preferred_username": "admin", "iss": "x"})
    liar.claims = {"preferred_username": "ana"}
    assert asked(liar) == Person(subject="1", claimed="ana")
    assert asked(liar, groups_claim="groups", groups=()).claimed == "ana"


@pytest.mark.parametrize("claimed", [7, ["ana"], None, {"a": 1}, "a\nb"])
def test_a_claim_that_is_no_name_is_none(liar: LyingProvider, claimed: Any) -> None:
    """What is no plain text claims nothing."""
    liar.claims = {"preferred_username": claimed}
    liar.says["/me"] = said({"sub": "1"})
    assert asked(liar).claimed is None


@pytest.mark.parametrize(
    ("groups", "is_in"),
    [
        (["risk"], True),
        ("risk", True),
        (["sales"], False),
        ([], False),
        (None, False),
        ({"risk": 1}, False),
        ([["risk"]], False),
    ],
)
def test_groups_are_held_against_the_settings(liar: LyingProvider, groups: Any, is_in: bool) -> None:
    """A list of texts or one text; nothing else is a membership."""
    liar.claims = {"groups": groups}
    if is_in:
        assert asked(liar, groups_claim="groups", groups=("risk", "audit")).subject == "1"
    else:
        with pytest.raises(GroupMissing):
            asked(liar, groups_claim="groups", groups=("risk", "audit"))


@pytest.mark.parametrize(
    ("groups", "joined"),
    [
        (["risk"], ("approvers",)),
        ("risk", ("approvers",)),
        (["risk", "audit", "sales"], ("approvers", "readers")),
        (["audit", "revision"], ("readers",)),
        (["Risk", "risk "], ()),
        ([["risk"], 1, None], ()),
        (None, ()),
    ],
)
def test_groups_of_the_provider_become_groups_of_the_factory(liar: LyingProvider, groups: Any, joined: Any) -> None:
    """By the settings alone, letter by letter; what is no text and what is not mapped is nothing."""
    liar.claims = {"groups": groups}
    joins = {"risk": "approvers", "audit": "readers", "revision": "readers"}
    assert asked(liar, groups_claim="groups", joins=joins).groups == joined


def test_groups_that_are_told_elsewhere_are_not_taken_for_none(liar: LyingProvider) -> None:
    """Where people have many groups, some providers put an address in their place: nobody leaves a group for that."""
    liar.claims = {
        "_claim_names": {"groups": "src1"},
        "_claim_sources": {"src1": {"endpoint": f"{liar.origin}/groups"}},
    }
    liar.says["/me"] = said({"sub": "1"})
    with pytest.raises(ProviderWrong, match="groups"):
        asked(liar, groups_claim="groups", joins={"risk": "approvers"})
