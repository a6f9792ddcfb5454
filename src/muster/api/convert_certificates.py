"""Records of signed certificates as documents of the API."""

from typing import Any

import msgspec

from muster.certificates.records import URGENT, Key, Notice, Signed, Verification
from muster.vocabulary.clock import rfc3339
from muster.wire import certificates as wire


def key(found: Key) -> wire.CertificateKey:
    """A public key."""
    return wire.CertificateKey(
        id=found.public.id,
        owner=found.owner,
        public_key=found.public.pem,
        added_at=rfc3339(found.added_at),
        added_by=found.added_by,
        revoked_at=None if found.revoked_at is None else rfc3339(found.revoked_at),
        revoked_by=found.revoked_by,
        reason=found.reason,
    )


def signed(found: Signed) -> wire.SignedCertificate:
    """A certificate with all its signatures."""
    statement: dict[str, Any] = msgspec.json.decode(found.envelope.content)
    return wire.SignedCertificate(
        version=str(found.version),
        session=found.session,
        envelope=msgspec.to_builtins(found.envelope),
        statement=statement,
    )


def verification(found: Verification) -> wire.CertificateVerification:
    """What was found."""
    said = found.statement.predicate
    return wire.CertificateVerification(
        version=str(found.version),
        digest=found.statement.digest,
        session=found.session,
        good=found.is_good,
        problems=tuple(wire.CertificateProblem(code=one.code, told=one.told) for one in found.problems),
        signed_by=tuple(
            wire.CertificateSigner(
                key=one.public.id,
                owner=one.owner,
                revoked_at=None if one.revoked_at is None else rfc3339(one.revoked_at),
            )
            for one in found.signed_by
        ),
        standard=None if said.standard is None else f"{said.standard.name}:{said.standard.version}",
        at=said.at,
        expires=said.expires,
    )


def notice(found: Notice) -> wire.Notice:
    """A notice."""
    return wire.Notice(
        kind=str(found.kind),
        urgent=found.kind in URGENT,
        version=str(found.version),
        certificate=found.certificate,
        told=found.told,
        at=rfc3339(found.at),
        session=found.work,
    )
