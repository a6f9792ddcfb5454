"""All statements about the standards of projects."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from muster.standards.records import ProjectCheck, ProjectStandard, StandardState
from muster.standards.tables import project_checks, standards
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import from_rfc3339, rfc3339
from muster.vocabulary.digests import Digest


def standards_of(tx: Transaction, project: str) -> tuple[ProjectStandard, ...]:
    """The standards of a project, the newest first."""
    asked = sa.select(standards).where(standards.c.project == project).order_by(standards.c.number.desc())
    return tuple(_standard(row) for row in tx.execute(asked))


def standard(tx: Transaction, project: str, number: int) -> ProjectStandard | None:
    """One standard of a project."""
    row = tx.execute(sa.select(standards).where(standards.c.project == project, standards.c.number == number)).first()
    return row and _standard(row)


def adopted(tx: Transaction, project: str) -> ProjectStandard | None:
    """The standard that a project has adopted last."""
    asked = (
        sa.select(standards)
        .where(standards.c.project == project, standards.c.state == str(StandardState.ADOPTED))
        .order_by(standards.c.number.desc())
        .limit(1)
    )
    row = tx.execute(asked).first()
    return row and _standard(row)


def next_number(tx: Transaction, project: str) -> int:
    """The number of a project's next standard."""
    highest = tx.execute(sa.select(sa.func.max(standards.c.number)).where(standards.c.project == project)).scalar()
    return (highest or 0) + 1


def add(tx: Transaction, proposed: ProjectStandard) -> None:
    """Keep a new standard; its number must be free."""
    tx.execute(
        sa.insert(standards).values(
            project=proposed.project,
            number=proposed.number,
            name=proposed.name,
            digest=proposed.digest,
            text=proposed.text,
            state=str(proposed.state),
            basis=proposed.basis,
            proposed_by=proposed.proposed_by,
            proposed_at=rfc3339(proposed.proposed_at),
            reason=proposed.reason,
        )
    )


def move(
    tx: Transaction,
    held: ProjectStandard,
    to: StandardState,
    *,
    by: str | None = None,
    at: datetime | None = None,
    reason: str | None = None,
) -> None:
    """Put a standard into a state; who decided is kept where it is told."""
    values: dict[str, Any] = {"state": str(to)}
    if by is not None and at is not None:
        values |= {"decided_by": by, "decided_at": rfc3339(at), "decision_reason": reason}
    at_ = (standards.c.project == held.project, standards.c.number == held.number)
    tx.execute(sa.update(standards).where(*at_).values(**values))


def _standard(row: sa.Row[Any]) -> ProjectStandard:
    return ProjectStandard(
        project=row.project,
        number=row.number,
        name=row.name,
        digest=Digest(row.digest),
        text=row.text,
        state=StandardState(row.state),
        basis=row.basis,
        proposed_by=row.proposed_by,
        proposed_at=from_rfc3339(row.proposed_at),
        reason=row.reason,
        decided_by=row.decided_by,
        decided_at=row.decided_at and from_rfc3339(row.decided_at),
        decision_reason=row.decision_reason,
    )


def checks_of(tx: Transaction, project: str) -> tuple[ProjectCheck, ...]:
    """The checks that were added to a project, the newest first."""
    asked = (
        sa.select(project_checks)
        .where(project_checks.c.project == project)
        .order_by(project_checks.c.added_at.desc(), project_checks.c.name, project_checks.c.digest)
    )
    return tuple(_check(row) for row in tx.execute(asked))


def check(tx: Transaction, project: str, name: str, digest: Digest) -> ProjectCheck | None:
    """One program of a project's check."""
    at = (project_checks.c.project == project, project_checks.c.name == name, project_checks.c.digest == digest)
    row = tx.execute(sa.select(project_checks).where(*at)).first()
    return row and _check(row)


def add_check(tx: Transaction, added: ProjectCheck) -> None:
    """Keep a check of a project."""
    tx.execute(
        sa.insert(project_checks).values(
            project=added.project,
            name=added.name,
            digest=added.digest,
            size=added.size,
            added_by=added.added_by,
            added_at=rfc3339(added.added_at),
            reason=added.reason,
        )
    )


def _check(row: sa.Row[Any]) -> ProjectCheck:
    return ProjectCheck(
        project=row.project,
        name=row.name,
        digest=Digest(row.digest),
        size=row.size,
        added_by=row.added_by,
        added_at=from_rfc3339(row.added_at),
        reason=row.reason,
    )
