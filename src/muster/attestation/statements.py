"""In-toto statements about certified versions: what the payload of a certificate's envelope is.

Source: in-toto attestation framework, spec/v1/statement.md; what is under `predicate` is Muster's own, format 1.
"""

import math
from typing import Any, Literal

import msgspec
import rfc8785

from muster.attestation.envelopes import Envelope, enveloped
from muster.attestation.errors import AttestationMalformed
from muster.vocabulary.digests import Digest, hex_of

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
#: A name, as in-toto asks for; nothing is ever fetched from there.
PREDICATE_TYPE: Literal["https://muster.dev/certificate/v1"] = "https://muster.dev/certificate/v1"
_MOST_EXACT = 2**53

Figure = float | int | str | bool | None


class Subject(msgspec.Struct, frozen=True):
    """What a statement is about."""

    name: str
    digest: dict[str, str]
    """Hexadecimal digests by algorithm; the digest of a version's manifest is `sha256`."""


class StandardNamed(msgspec.Struct, frozen=True):
    """The standard that a version was held against."""

    name: str
    version: int
    """0: the standard is one that comes with Muster and was adopted by nobody."""
    digest: str


class CheckStated(msgspec.Struct, frozen=True):
    """One check and how it ended."""

    name: str
    passed: bool
    figure: Figure
    limit: Figure
    detail: str = ""
    figures: dict[str, float | str] = {}
    """Texts: numbers that JSON cannot hold."""
    waived: bool = False
    """It failed, and did not have to pass."""


class MeasureStated(msgspec.Struct, frozen=True):
    """One measured number."""

    name: str
    version: int
    value: float
    over: str
    slice: str = ""
    low: float | None = None
    high: float | None = None


class Predicate(msgspec.Struct, frozen=True, kw_only=True):
    """What a factory says about a version that it has certified."""

    format: Literal[1] = 1
    factory: str
    """Id of the factory."""
    project: str
    version: str
    """`churn:3`."""
    session: str
    environment: str
    seal: str | None
    twin: str | None
    standard: StandardNamed | None
    checks: tuple[CheckStated, ...]
    measures: tuple[MeasureStated, ...] = ()
    evidence: str | None = None
    """Digest of the document with what the checks showed."""
    hardware: str
    requested_by: str
    at: str
    expires: str | None
    """RFC 3339; null: the certificate lasts for ever."""


class Statement(msgspec.Struct, frozen=True, rename={"type": "_type", "predicate_type": "predicateType"}):
    """A statement of type v1, about exactly one version."""

    type: Literal["https://in-toto.io/Statement/v1"]
    subject: tuple[Subject, ...]
    predicate_type: Literal["https://muster.dev/certificate/v1"]
    predicate: Predicate

    @property
    def digest(self) -> Digest:
        """Of the manifest of the version that it is about."""
        return Digest("sha256:" + self.subject[0].digest["sha256"])


def statement_about(name: str, digest: Digest, predicate: Predicate) -> Envelope:
    """An unsigned envelope with the statement about a version, in canonical JSON (RFC 8785).

    Args:
        name: `churn:3`.
        digest: of its manifest.
        predicate: what is said.
    """
    statement = Statement(
        STATEMENT_TYPE, (Subject(name=name, digest={"sha256": hex_of(digest)}),), PREDICATE_TYPE, predicate
    )
    return enveloped(PAYLOAD_TYPE, rfc8785.dumps(_plain(msgspec.to_builtins(statement))))


def read_statement(envelope: Envelope) -> Statement:
    """What an envelope says; whether to believe it is for its signatures to tell.

    Raises:
        AttestationMalformed: it carries no certificate.
    """
    if envelope.payload_type != PAYLOAD_TYPE:
        raise AttestationMalformed(f"the payload is {envelope.payload_type[:80]!r}, not {PAYLOAD_TYPE}")
    try:
        statement = msgspec.json.decode(envelope.content, type=Statement)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise AttestationMalformed(f"the payload is no certificate of a factory: {error}") from error
    digests = [subject.digest.get("sha256", "") for subject in statement.subject]
    if len(digests) != 1 or len(digests[0]) != 64:
        raise AttestationMalformed("a certificate is about exactly one version, named by the SHA-256 of its manifest")
    return statement


def _plain(value: Any) -> Any:
    """The same as canonical JSON can hold: numbers that it cannot are texts, and texts hold nothing that UTF-8 cannot write."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _MOST_EXACT:
        return str(value)
    return value
