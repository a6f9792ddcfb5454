"""Certificates as signed statements: what is signed comes back, anything else is found out, and tools that are not ours agree."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as TheirEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer._key import SSlibKey

from muster.attestation.envelopes import Envelope, Signature, enveloped, pae, read_envelope, signed, signers, verified
from muster.attestation.errors import AttestationMalformed, KeyMalformed, SignatureInvalid
from muster.attestation.keys import SigningKey, new_key, read_public_key, read_signing_key
from muster.attestation.statements import (
    PAYLOAD_TYPE,
    CheckStated,
    MeasureStated,
    Predicate,
    StandardNamed,
    read_statement,
    statement_about,
)
from muster.vocabulary.digests import Digest, digest_of

KEY, OTHER = new_key(), new_key()
DIGEST = digest_of(b"manifest")


def predicate(**said: Any) -> Predicate:
    return Predicate(
        **{
            "factory": "f-0123456789abcdef",
            "project": "default",
            "version": "churn:3",
            "session": "s-1",
            "environment": digest_of(b"environment"),
            "seal": digest_of(b"seal"),
            "twin": None,
            "standard": StandardNamed(name="internal", version=2, digest=digest_of(b"standard")),
            "checks": (
                CheckStated(name="golden-answers", passed=True, figure=0, limit=0, detail="0 of 9 über"),
                CheckStated(name="load", passed=False, figure=float("inf"), limit=2**60, waived=True),
            ),
            "measures": (MeasureStated(name="roc_auc", version=1, value=0.8312345678901234, over="evaluation:2"),),
            "evidence": digest_of(b"evidence"),
            "hardware": "a machine",
            "requested_by": "ana",
            "at": "2026-11-22T05:00:00.000000Z",
            "expires": None,
            **said,
        }
    )


def certificate(key: SigningKey = KEY) -> Envelope:
    return signed(statement_about("churn:3", DIGEST, predicate()), key)


def theirs(key: SigningKey) -> SSlibKey:
    raw = key.public.key.public_bytes_raw().hex()
    return SSlibKey(key.public.id, "ed25519", "ed25519", {"public": raw})


def test_a_signed_statement_comes_back_as_it_was_written() -> None:
    """Through its file, with every figure; what JSON cannot hold as a number is told as text."""
    back = read_envelope(certificate().encode())
    assert verified(back, [OTHER.public, KEY.public]) == (KEY.public,)
    statement = read_statement(back)
    assert statement.digest == DIGEST
    assert statement.predicate.checks[0] == predicate().checks[0]
    assert statement.predicate.checks[1].figure == "inf"
    assert statement.predicate.checks[1].limit == str(2**60)
    assert statement.predicate.measures == predicate().measures
    assert certificate() == certificate(), "the same certificate has the same bytes"


def test_texts_of_models_are_signed_whatever_they_hold() -> None:
    """A detail quotes what a model's code has said: half a character of UTF-16 must not cost a version its certificate."""
    odd = (
        CheckStated(name="load", passed=True, figure="\ud800", limit=None, detail="a\ud800b\0", figures={"p99": 0.5}),
    )
    said = read_statement(read_envelope(statement_about("churn:3", DIGEST, predicate(checks=odd)).encode())).predicate
    assert (said.checks[0].figure, said.checks[0].detail) == ("?", "a?b\0")


def test_the_example_of_the_protocol_has_its_encoding_and_signature() -> None:
    """The test vector of DSSE: type, payload and what is signed."""
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert pae("", b"") == b"DSSEv1 0  0 "
    assert pae("ü", b"\x00") == b"DSSEv1 2 \xc3\xbc 1 \x00"


def test_securesystemslib_verifies_it_and_finds_a_changed_one() -> None:
    """The library of in-toto and TUF, with the factory's public key and nothing else of ours."""
    two = signed(certificate(), OTHER)
    envelope = TheirEnvelope.from_dict(json.loads(two.encode()))
    assert set(envelope.verify([theirs(KEY), theirs(OTHER)], 2)) == {KEY.public.id, OTHER.public.id}
    changed = json.loads(certificate().encode())
    content = base64.b64decode(changed["payload"]).replace(b"churn:3", b"churn:4")
    changed["payload"] = base64.b64encode(content).decode()
    with pytest.raises(VerificationError):
        TheirEnvelope.from_dict(changed).verify([theirs(KEY)], 1)


def test_we_verify_what_securesystemslib_has_packed() -> None:
    """Its envelope with the same payload has the same encoding, and is read like ours."""
    ours = certificate()
    envelope = TheirEnvelope.from_dict(json.loads(ours.encode()))
    assert envelope.pae() == pae(PAYLOAD_TYPE, ours.content)
    again = read_envelope(json.dumps(envelope.to_dict()).encode())
    assert verified(again, [KEY.public]) == (KEY.public,)


def test_openssl_verifies_the_signature_and_names_the_key_alike(tmp_path: Path) -> None:
    """With the PEM file that the factory shows; the key's id is the digest of what openssl writes."""
    ours = certificate()
    (tmp_path / "message").write_bytes(pae(PAYLOAD_TYPE, ours.content))
    (tmp_path / "signature").write_bytes(base64.b64decode(ours.signatures[0].sig))
    (tmp_path / "key.pem").write_text(KEY.public.pem)
    verify = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "message"]
    told = subprocess.run([*verify, "-sigfile", "signature"], cwd=tmp_path, capture_output=True, check=False)
    assert (told.returncode, b"Successfully" in told.stdout) == (0, True)
    (tmp_path / "message").write_bytes(b"another")
    assert subprocess.run([*verify, "-sigfile", "signature"], cwd=tmp_path, capture_output=True, check=False).returncode
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", "key.pem", "-outform", "DER"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    assert digest_of(der.stdout) == f"sha256:{KEY.public.id}"


def test_a_key_of_openssl_signs(tmp_path: Path) -> None:
    """People make keys with the tool that they have; its public part is read as well."""
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", "me.pem"], cwd=tmp_path, check=True)
    subprocess.run(["openssl", "pkey", "-in", "me.pem", "-pubout", "-out", "me.pub"], cwd=tmp_path, check=True)
    mine = read_signing_key((tmp_path / "me.pem").read_bytes(), of="me.pem")
    public = read_public_key((tmp_path / "me.pub").read_bytes(), of="me.pub")
    assert mine.public.id == public.id
    assert verified(certificate(mine), [public])
    assert read_signing_key(mine.pem().encode(), of="again").public == mine.public
    assert mine.public.id in repr(mine)
    assert "PRIVATE" not in repr(mine)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "another kind"),
        (["-algorithm", "ed25519", "-aes256", "-pass", "pass:secret"], "passphrase"),
    ],
    ids=["rsa", "passphrase"],
)
def test_another_key_is_refused_in_words(arguments: list[str], told: str, tmp_path: Path) -> None:
    """One of another kind, and one that nobody can open without being asked."""
    subprocess.run(["openssl", "genpkey", *arguments, "-out", "k.pem"], cwd=tmp_path, check=True, capture_output=True)
    with pytest.raises(KeyMalformed, match=told):
        read_signing_key((tmp_path / "k.pem").read_bytes(), of="k.pem")


@pytest.mark.parametrize("text", [b"", b"nothing", KEY.pem().encode()[:60]], ids=["empty", "text", "cut"])
def test_what_is_no_key_is_refused(text: bytes) -> None:
    """As a private key and as a public one."""
    with pytest.raises(KeyMalformed):
        read_signing_key(text, of="a file")
    with pytest.raises(KeyMalformed):
        read_public_key(text, of="a file")


def test_a_signature_of_another_key_is_none() -> None:
    """Whatever id it bears: ids are hints."""
    forged = signed(statement_about("churn:3", DIGEST, predicate()), OTHER)
    named = msgspec.structs.replace(forged, signatures=(Signature(forged.signatures[0].sig, KEY.public.id),))
    assert signers(named, [KEY.public]) == ()
    with pytest.raises(SignatureInvalid):
        verified(named, [KEY.public])
    with pytest.raises(SignatureInvalid):
        verified(enveloped(PAYLOAD_TYPE, certificate().content), [KEY.public])
    unnamed = msgspec.structs.replace(certificate(), signatures=(Signature(certificate().signatures[0].sig),))
    assert signers(unnamed, [OTHER.public, KEY.public]) == (KEY.public,)


@given(at=st.integers(0, 10**6), bit=st.integers(0, 7), part=st.sampled_from(["payload", "payloadType", "sig"]))
def test_any_changed_bit_is_found(at: int, bit: int, part: str) -> None:
    """In the payload, in its type and in the signature."""
    envelope = certificate()
    if part == "payloadType":
        changed = msgspec.structs.replace(envelope, payload_type=envelope.payload_type[: at % 28] + "x")
    elif part == "sig":
        changed = msgspec.structs.replace(
            envelope, signatures=(Signature(_flipped(envelope.signatures[0].sig, at, bit)),)
        )
    else:
        changed = msgspec.structs.replace(envelope, payload=_flipped(envelope.payload, at, bit))
    assert signers(changed, [KEY.public]) == ()


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_what_is_no_envelope_is_refused_by_name(text: bytes) -> None:
    """Never with an error that has no name."""
    with pytest.raises(AttestationMalformed):
        read_statement(read_envelope(text))


@pytest.mark.parametrize(
    "envelope",
    [
        Envelope(payload="!", payload_type=PAYLOAD_TYPE),
        Envelope(payload="", payload_type=PAYLOAD_TYPE, signatures=(Signature("ü"),)),
        enveloped("text/plain", b"{}"),
        enveloped(PAYLOAD_TYPE, b"{}"),
        enveloped(PAYLOAD_TYPE, certificate().content.replace(b"certificate/v1", b"certificate/v2")),
        enveloped(PAYLOAD_TYPE, certificate().content.replace(DIGEST[7:].encode(), b"00")),
    ],
    ids=["payload", "signature", "type", "empty", "predicate", "subject"],
)
def test_an_envelope_with_something_else_is_refused(envelope: Envelope) -> None:
    """Other payloads, other predicates, subjects without a digest."""
    with pytest.raises(AttestationMalformed):
        read_statement(read_envelope(envelope.encode()))


def test_signing_twice_leaves_one_signature_per_key() -> None:
    """A key signs once; another key's signature stays."""
    twice = signed(signed(certificate(), OTHER), KEY)
    assert sorted(one.keyid for one in twice.signatures) == sorted([KEY.public.id, OTHER.public.id])


def test_an_envelope_that_is_too_large_is_not_read() -> None:
    """By its bytes, and by the number of its signatures."""
    with pytest.raises(AttestationMalformed, match="bytes"):
        read_envelope(b" " * 5_000_001)
    many = msgspec.structs.replace(certificate(), signatures=certificate().signatures * 101)
    with pytest.raises(AttestationMalformed, match="signatures"):
        read_envelope(many.encode())


def _flipped(text: str, at: int, bit: int) -> str:
    content = bytearray(base64.b64decode(text))
    content[at % len(content)] ^= 1 << bit
    return base64.b64encode(content).decode()


def test_the_digest_of_the_subject_is_the_versions_own() -> None:
    """Written as in-toto writes it, without the algorithm's name before it."""
    subject = json.loads(certificate().content)["subject"]
    assert subject == [{"name": "churn:3", "digest": {"sha256": Digest(DIGEST).removeprefix("sha256:")}}]
