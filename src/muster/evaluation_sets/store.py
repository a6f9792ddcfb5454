"""All statements about evaluation sets."""

import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from muster.evaluation_sets.records import EvaluationSet
from muster.evaluation_sets.tables import evaluation_answers, evaluation_sets
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import from_rfc3339, rfc3339
from muster.vocabulary.digests import Digest


def sets_of(tx: Transaction, project: str, model: str, limit: int | None = None) -> tuple[EvaluationSet, ...]:
    """The sets of a model, the newest first."""
    asked = (
        sa.select(evaluation_sets)
        .where(evaluation_sets.c.project == project, evaluation_sets.c.model == model)
        .order_by(evaluation_sets.c.number.desc())
        .limit(limit)
    )
    return tuple(_set(row) for row in tx.execute(asked))


def one(tx: Transaction, project: str, model: str, number: int) -> EvaluationSet | None:
    """One set of a model."""
    asked = sa.select(evaluation_sets).where(
        evaluation_sets.c.project == project,
        evaluation_sets.c.model == model,
        evaluation_sets.c.number == number,
    )
    row = tx.execute(asked).first()
    return row and _set(row)


def newest(tx: Transaction, project: str, model: str) -> EvaluationSet | None:
    """The set that counts."""
    return next(iter(sets_of(tx, project, model, limit=1)), None)


def add(tx: Transaction, sealed: EvaluationSet) -> None:
    """Keep a new set; its number must be free."""
    tx.execute(
        sa.insert(evaluation_sets).values(
            project=sealed.project,
            model=sealed.model,
            number=sealed.number,
            digest=sealed.digest,
            blob=sealed.blob,
            source=sealed.source,
            label=sealed.label,
            columns=json.dumps(list(sealed.columns)),
            rows=sealed.rows,
            bytes=sealed.bytes,
            against=sealed.against,
            sealed_by=sealed.sealed_by,
            sealed_at=rfc3339(sealed.sealed_at),
            reason=sealed.reason,
        )
    )


def answers(tx: Transaction, manifest: Digest, evaluation: Digest, environment: Digest) -> Digest | None:
    """Under which digest the store has what a version answered to a set; None: it was not asked in this environment."""
    table = evaluation_answers
    asked = sa.select(table.c.answers).where(
        table.c.manifest == manifest, table.c.evaluation == evaluation, table.c.environment == environment
    )
    found = tx.execute(asked).scalar()
    return None if found is None else Digest(found)


def set_answers(
    tx: Transaction, manifest: Digest, evaluation: Digest, environment: Digest, kept: Digest, at: datetime
) -> None:
    """Keep under which digest the store has what a version answered; the newest answers take the place of earlier ones."""
    table = evaluation_answers
    here = (table.c.manifest == manifest, table.c.evaluation == evaluation, table.c.environment == environment)
    tx.execute(sa.delete(table).where(*here))
    tx.execute(
        sa.insert(table).values(
            manifest=manifest, evaluation=evaluation, environment=environment, answers=kept, at=rfc3339(at)
        )
    )


def _set(row: sa.Row[Any]) -> EvaluationSet:
    return EvaluationSet(
        project=row.project,
        model=row.model,
        number=row.number,
        digest=Digest(row.digest),
        blob=Digest(row.blob),
        source=Digest(row.source),
        label=row.label,
        columns=tuple(json.loads(row.columns)),
        rows=row.rows,
        bytes=row.bytes,
        against=row.against,
        sealed_by=row.sealed_by,
        sealed_at=from_rfc3339(row.sealed_at),
        reason=row.reason,
    )
