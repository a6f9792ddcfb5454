"""Documents of the control API about signed certificates, the keys that sign them, and what is said when they end."""

from typing import Annotated, Any

import msgspec

from muster.wire.control import Answer, Order, ReasonText

#: The id of a key: SHA-256 of its SubjectPublicKeyInfo, in hexadecimal digits.
KeyIdText = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
#: The id of a session.
SessionText = Annotated[str, msgspec.Meta(pattern=r"^s-[0-9a-f]{32}$")]


class KeyOrder(Order, frozen=True, kw_only=True):
    """Make a public key of the caller's known."""

    public_key: Annotated[str, msgspec.Meta(min_length=1, max_length=10_000)]
    """Ed25519, in PEM: `openssl pkey -in me.pem -pubout`."""
    reason: ReasonText


class SignatureOrder(Order, frozen=True, kw_only=True):
    """Put a signature beside the factory's."""

    session: SessionText
    """Of the certificate that was signed."""
    key: KeyIdText
    sig: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    """Base64 of the signature over the envelope, as DSSE has it."""
    reason: ReasonText


class CertificateKey(Answer, frozen=True, kw_only=True):
    """A public key that signs certificates."""

    id: str
    owner: str
    """The user whose it is; empty: the factory's own."""
    public_key: str
    """PEM."""
    added_at: str
    added_by: str
    revoked_at: str | None
    """From when on nothing that it signs counts; null: it is good."""
    revoked_by: str | None
    reason: str
    """Why it was revoked."""


class CertificateKeys(Answer, frozen=True, kw_only=True):
    """Every key, the factory's own first."""

    keys: tuple[CertificateKey, ...]


class SignedCertificate(Answer, frozen=True, kw_only=True):
    """A certificate as a signed statement."""

    version: str
    session: str
    envelope: dict[str, Any]
    """DSSE v1: `payloadType`, `payload` (base64), `signatures`."""
    statement: dict[str, Any]
    """The payload, decoded: an in-toto statement v1."""


class CertificateProblem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a certificate should not be relied upon."""

    code: str
    """`signature`, `revoked`, `expired`, `subject`, `bytes`, `state`, `environment`."""
    told: str


class CertificateSigner(msgspec.Struct, frozen=True, kw_only=True):
    """Who has signed a certificate."""

    key: str
    owner: str
    """Empty: the factory."""
    revoked_at: str | None


class CertificateVerification(Answer, frozen=True, kw_only=True):
    """What a look at a certificate, and at what it is about, has found."""

    version: str
    digest: str
    """Of the version that it is about."""
    session: str
    good: bool
    """It may be relied upon: there are no problems."""
    problems: tuple[CertificateProblem, ...]
    signed_by: tuple[CertificateSigner, ...]
    standard: str | None
    at: str
    expires: str | None


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something about a certificate that people should know."""

    kind: str
    """`renewal`, `renewal-failed`, `lapsed`, `environment-changed`."""
    urgent: bool
    """Somebody has to do something."""
    version: str
    certificate: str
    """Its session."""
    told: str
    at: str
    session: str | None
    """The examination that was begun because of it."""


class Notices(Answer, frozen=True, kw_only=True):
    """What holds now, the newest first."""

    notices: tuple[Notice, ...]
