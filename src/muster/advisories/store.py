"""All statements about files of vulnerabilities."""

import json
from typing import Any

import sqlalchemy as sa

from muster.advisories.records import VulnerabilityFile
from muster.advisories.tables import vulnerability_files
from muster.scanning.vulnerabilities import Source
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import from_rfc3339, rfc3339


def files_of(tx: Transaction, project: str, limit: int | None = None) -> tuple[VulnerabilityFile, ...]:
    """The files of a project, the newest first."""
    asked = sa.select(vulnerability_files).where(vulnerability_files.c.project == project)
    rows = tx.execute(asked.order_by(vulnerability_files.c.number.desc()).limit(limit))
    return tuple(_file(row) for row in rows)


def file(tx: Transaction, project: str, number: int) -> VulnerabilityFile | None:
    """One file of a project."""
    asked = sa.select(vulnerability_files).where(
        vulnerability_files.c.project == project, vulnerability_files.c.number == number
    )
    row = tx.execute(asked).first()
    return row and _file(row)


def add(tx: Transaction, added: VulnerabilityFile) -> None:
    """List a new file; its number must be free."""
    tx.execute(
        sa.insert(vulnerability_files).values(
            project=added.project,
            number=added.source.number,
            name=added.source.name,
            digest=added.source.digest,
            as_of=added.source.as_of,
            sheets=json.dumps(added.source.sheets, sort_keys=True),
            records=added.records,
            skipped=added.skipped,
            imported_by=added.imported_by,
            at=rfc3339(added.at),
            reason=added.reason,
        )
    )


def _file(row: sa.Row[Any]) -> VulnerabilityFile:
    return VulnerabilityFile(
        project=row.project,
        source=Source(
            number=row.number, name=row.name, digest=row.digest, as_of=row.as_of, sheets=json.loads(row.sheets)
        ),
        records=row.records,
        skipped=row.skipped,
        imported_by=row.imported_by,
        at=from_rfc3339(row.at),
        reason=row.reason,
    )
