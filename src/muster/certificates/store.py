"""All statements about keys, people's signatures and notices."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from muster.attestation.keys import read_public_key
from muster.certificates.records import Key, Notice, NoticeKind, Signature
from muster.certificates.tables import certificate_keys, certificate_notices, certificate_signatures
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import from_rfc3339, rfc3339
from muster.vocabulary.names import VersionName


def keys(tx: Transaction) -> tuple[Key, ...]:
    """Every key, the factory's own first, the newest of each first."""
    order = (certificate_keys.c.owner, certificate_keys.c.added_at.desc(), certificate_keys.c.id)
    return tuple(_key(row) for row in tx.execute(sa.select(certificate_keys).order_by(*order)))


def add_key(tx: Transaction, key: Key) -> None:
    """Keep a key."""
    tx.execute(
        sa.insert(certificate_keys).values(
            id=key.public.id,
            owner=key.owner,
            pem=key.public.pem,
            added_at=rfc3339(key.added_at),
            added_by=key.added_by,
        )
    )


def revoke_key(tx: Transaction, key_id: str, by: str, reason: str, at: datetime) -> None:
    """Note that a key signs nothing any more."""
    values = {"revoked_at": rfc3339(at), "revoked_by": by, "reason": reason}
    tx.execute(sa.update(certificate_keys).where(certificate_keys.c.id == key_id).values(**values))


def add_signature(tx: Transaction, signature: Signature) -> None:
    """Keep a person's signature."""
    tx.execute(
        sa.insert(certificate_signatures).values(
            session=signature.session,
            key=signature.key,
            signed_by=signature.by,
            sig=signature.sig,
            at=rfc3339(signature.at),
        )
    )


def signatures_of(tx: Transaction, session: str) -> tuple[Signature, ...]:
    """The people's signatures of a certificate, the oldest first."""
    mine = certificate_signatures.c.session == session
    order = (certificate_signatures.c.at, certificate_signatures.c.key)
    return tuple(
        Signature(session=row.session, key=row.key, by=row.signed_by, sig=row.sig, at=from_rfc3339(row.at))
        for row in tx.execute(sa.select(certificate_signatures).where(mine).order_by(*order))
    )


def add_notice(tx: Transaction, notice: Notice) -> None:
    """Keep a notice."""
    tx.execute(
        sa.insert(certificate_notices).values(
            certificate=notice.certificate,
            kind=str(notice.kind),
            project=notice.project,
            model=notice.version.model,
            number=notice.version.number,
            told=notice.told,
            work=notice.work,
            at=rfc3339(notice.at),
        )
    )


def notices_about(tx: Transaction, certificates: Collection[str]) -> tuple[Notice, ...]:
    """The notices about certificates, the newest first."""
    asked = sa.select(certificate_notices).where(certificate_notices.c.certificate.in_(certificates))
    rows = tx.execute(asked.order_by(certificate_notices.c.at.desc(), certificate_notices.c.kind))
    return tuple(_notice(row) for row in rows)


def _key(row: sa.Row[Any]) -> Key:
    return Key(
        public=read_public_key(row.pem.encode(), of=f"key {row.id}"),
        owner=row.owner,
        added_at=from_rfc3339(row.added_at),
        added_by=row.added_by,
        revoked_at=row.revoked_at and from_rfc3339(row.revoked_at),
        revoked_by=row.revoked_by,
        reason=row.reason,
    )


def _notice(row: sa.Row[Any]) -> Notice:
    return Notice(
        certificate=row.certificate,
        kind=NoticeKind(row.kind),
        project=row.project,
        version=VersionName(row.model, row.number),
        told=row.told,
        at=from_rfc3339(row.at),
        work=row.work,
    )
