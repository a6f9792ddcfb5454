"""DSSE envelopes: bytes, what kind of bytes they are, and signatures over both.

Source: DSSE v1.0.2, protocol.md and envelope.md of github.com/secure-systems-lab/dsse.
"""

import base64
import binascii
from collections.abc import Iterable

import msgspec

from muster.attestation.errors import AttestationMalformed, SignatureInvalid
from muster.attestation.keys import PublicKey, SigningKey

#: An envelope with the evidence's digests takes some kilobytes; more than this is another file.
MOST_BYTES = 5_000_000
_MOST_SIGNATURES = 100


class Signature(msgspec.Struct, frozen=True):
    """One signature over an envelope's payload and its type."""

    sig: str
    """Base64."""
    keyid: str = ""
    """Which key made it; a hint, never trusted."""


class Envelope(msgspec.Struct, frozen=True, rename={"payload_type": "payloadType"}):
    """A signed payload; members that are not known are passed over, as the protocol asks."""

    payload: str
    """Base64 of the bytes that are signed."""
    payload_type: str
    signatures: tuple[Signature, ...] = ()

    @property
    def content(self) -> bytes:
        """The bytes that are signed.

        Raises:
            AttestationMalformed: they are not base64.
        """
        return _decoded(self.payload, "payload")

    def encode(self) -> bytes:
        """The envelope as a JSON file."""
        return msgspec.json.encode(self)


def pae(payload_type: str, payload: bytes) -> bytes:
    """What is really signed: type and payload with their lengths, so that neither can be read as the other.

    >>> pae("http://example.com/HelloWorld", b"hello world")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'

    Source: DSSE v1.0.2, protocol.md, "Signature Definition".
    """
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def enveloped(payload_type: str, payload: bytes) -> Envelope:
    """An envelope that nobody has signed yet."""
    return Envelope(payload=base64.b64encode(payload).decode("ascii"), payload_type=payload_type)


def signed(envelope: Envelope, key: SigningKey) -> Envelope:
    """The envelope with a key's signature beside those that it has; a key that has signed already signs no second time."""
    public = key.public
    made = key.sign(pae(envelope.payload_type, envelope.content))
    others = tuple(one for one in envelope.signatures if one.keyid != public.id)
    own = Signature(sig=base64.b64encode(made).decode("ascii"), keyid=public.id)
    return msgspec.structs.replace(envelope, signatures=(*others, own))


def read_envelope(text: bytes) -> Envelope:
    """The envelope in a JSON file.

    Raises:
        AttestationMalformed: it is none.
    """
    if len(text) > MOST_BYTES:
        raise AttestationMalformed(f"an envelope has at most {MOST_BYTES} bytes, this has {len(text)}")
    try:
        envelope = msgspec.json.decode(text, type=Envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise AttestationMalformed(f"this is no DSSE envelope: {error}") from error
    if len(envelope.signatures) > _MOST_SIGNATURES:
        raise AttestationMalformed(f"an envelope has at most {_MOST_SIGNATURES} signatures")
    try:
        envelope.payload_type.encode("utf-8")
    except UnicodeEncodeError as error:
        raise AttestationMalformed("the payload's type holds what UTF-8 cannot write") from error
    for name, encoded in (("payload", envelope.payload), *(("sig", one.sig) for one in envelope.signatures)):
        _decoded(encoded, name)
    return envelope


def signers(envelope: Envelope, keys: Iterable[PublicKey]) -> tuple[PublicKey, ...]:
    """Which of the keys have signed the envelope; every signature is tried with every key, for an id is only a hint."""
    message = pae(envelope.payload_type, envelope.content)
    made = [_decoded(one.sig, "sig") for one in envelope.signatures]
    return tuple(key for key in keys if any(key.has_signed(message, one) for one in made))


def verified(envelope: Envelope, keys: Iterable[PublicKey]) -> tuple[PublicKey, ...]:
    """The keys that have signed the envelope, at least one.

    Raises:
        SignatureInvalid: none has.
    """
    known = tuple(keys)
    found = signers(envelope, known)
    if not found:
        named = ", ".join(one.keyid[:16] or "a key without id" for one in envelope.signatures) or "nobody"
        raise SignatureInvalid(
            f"signed by {named}; by none of the {len(known)} keys that were given",
            signed_by=[one.keyid for one in envelope.signatures],
            keys=[key.id for key in known],
        )
    return found


def _decoded(text: str, name: str) -> bytes:
    """Base64, standard or URL-safe: the protocol lets senders choose."""
    try:
        return base64.b64decode(text.translate(_STANDARD).encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError, ValueError) as error:
        raise AttestationMalformed(f"the envelope's {name} is not base64") from error


_STANDARD = str.maketrans("-_", "+/")
