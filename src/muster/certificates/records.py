"""Keys, signatures and notices as services and doors see them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from muster.attestation.envelopes import Envelope
from muster.attestation.keys import PublicKey
from muster.attestation.statements import Statement
from muster.attestation.verification import KnownKey, Problem
from muster.vocabulary.names import VersionName


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A public key that the factory knows."""

    public: PublicKey
    owner: str
    """The user whose it is; empty: the factory's own."""
    added_at: datetime
    added_by: str
    revoked_at: datetime | None = None
    revoked_by: str | None = None
    reason: str = ""
    """Why it was revoked."""

    @property
    def known(self) -> KnownKey:
        """As signatures are held against it."""
        return KnownKey(public=self.public, owner=self.owner, revoked_at=self.revoked_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A person's signature beside the factory's."""

    session: str
    """Of the certificate."""
    key: str
    """Id of the key."""
    by: str
    sig: str
    """Base64."""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A certificate with all its signatures."""

    version: VersionName
    session: str
    envelope: Envelope
    statement: Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a look at a certificate, and at what it is about, has found."""

    version: VersionName
    session: str
    statement: Statement
    signed_by: tuple[Key, ...]
    problems: tuple[Problem, ...]

    @property
    def is_good(self) -> bool:
        """Whether the certificate may be relied upon."""
        return not self.problems


class NoticeKind(StrEnum):
    """What a notice is about."""

    RENEWAL = "renewal"
    """The certificate will end; the version is examined again by itself."""
    RENEWAL_FAILED = "renewal-failed"
    """That examination did not pass, or did not come to its end."""
    LAPSED = "lapsed"
    """The certificate of a version that is served has ended."""
    ENVIRONMENT_CHANGED = "environment-changed"
    """This machine would now build another environment of a version that is served than the one that was certified."""


#: Of these somebody has to do something.
URGENT = frozenset({NoticeKind.RENEWAL_FAILED, NoticeKind.LAPSED, NoticeKind.ENVIRONMENT_CHANGED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something about a certificate that people should know; raised once for each certificate and kind."""

    certificate: str
    """Its session."""
    kind: NoticeKind
    project: str
    version: VersionName
    told: str
    at: datetime
    work: str | None = None
    """The session of the examination that was begun because of it."""
