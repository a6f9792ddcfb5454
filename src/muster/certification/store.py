"""All statements about certificates."""

import json
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from muster.certification.records import Certificate, Check
from muster.certification.tables import certificates
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import from_rfc3339, rfc3339
from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName


def add(tx: Transaction, certificate: Certificate) -> None:
    """Keep a certificate."""
    tx.execute(
        sa.insert(certificates).values(
            session=certificate.session,
            project=certificate.project,
            model=certificate.version.model,
            number=certificate.version.number,
            digest=certificate.digest,
            environment=certificate.environment,
            hardware=certificate.hardware,
            checks=json.dumps([asdict(check) for check in certificate.checks]),
            requested_by=certificate.requested_by,
            at=rfc3339(certificate.at),
        )
    )


def certificates_of(tx: Transaction, project: str, version: VersionName) -> tuple[Certificate, ...]:
    """The certificates of a version, the newest first."""
    asked = sa.select(certificates).where(
        certificates.c.project == project,
        certificates.c.model == version.model,
        certificates.c.number == version.number,
    )
    rows = tx.execute(asked.order_by(certificates.c.at.desc(), certificates.c.session))
    return tuple(_certificate(row) for row in rows)


def _certificate(row: sa.Row[Any]) -> Certificate:
    return Certificate(
        session=row.session,
        version=VersionName(row.model, row.number),
        project=row.project,
        digest=Digest(row.digest),
        environment=Digest(row.environment),
        hardware=row.hardware,
        checks=tuple(Check(**check) for check in json.loads(row.checks)),
        requested_by=row.requested_by,
        at=from_rfc3339(row.at),
    )
