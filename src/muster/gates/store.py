"""All statements about votes, comments, delegations and waivers."""

import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from muster.gates.records import Comment, Delegation, Gate, Verdict, Vote, Waiver, WaiverState
from muster.gates.tables import comments, delegations, votes, waivers
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import from_rfc3339, rfc3339
from muster.vocabulary.digests import Digest


def votes_on(tx: Transaction, project: str, gate: Gate, subject: str) -> tuple[Vote, ...]:
    """Everything that was said about a subject at a gate, the first first."""
    asked = (
        sa.select(votes)
        .where(votes.c.project == project, votes.c.gate == str(gate), votes.c.subject == subject)
        .order_by(votes.c.number)
    )
    return tuple(_vote(row) for row in tx.execute(asked))


def add_vote(tx: Transaction, given: Vote) -> Vote:
    """Keep a vote; what its voter said of the subject at the gate before counts no longer. Gives it with its number."""
    withdraw(tx, given.project, given.gate, given.subject, given.voter, given.at)
    made = tx.execute(
        sa.insert(votes).values(
            project=given.project,
            gate=str(given.gate),
            subject=given.subject,
            digest=given.digest,
            voter=given.voter,
            verdict=str(given.verdict),
            text=given.text,
            for_person=given.for_person,
            roles=json.dumps(given.roles),
            not_before=None if given.not_before is None else rfc3339(given.not_before),
            at=rfc3339(given.at),
            withdrawn_at=None,
        )
    )
    assert made.inserted_primary_key is not None
    found = tx.execute(sa.select(votes).where(votes.c.number == made.inserted_primary_key[0])).one()
    return _vote(found)


def withdraw(tx: Transaction, project: str, gate: Gate, subject: str, voter: str, at: datetime) -> int:
    """Note that somebody takes back what was said; gives how many votes that were."""
    standing = sa.and_(
        votes.c.project == project,
        votes.c.gate == str(gate),
        votes.c.subject == subject,
        votes.c.voter == voter,
        votes.c.withdrawn_at.is_(None),
    )
    return tx.execute(sa.update(votes).where(standing).values(withdrawn_at=rfc3339(at))).rowcount


def comments_on(tx: Transaction, project: str, gate: Gate, subject: str) -> tuple[Comment, ...]:
    """What was remarked about a subject at a gate, the first first."""
    asked = (
        sa.select(comments)
        .where(comments.c.project == project, comments.c.gate == str(gate), comments.c.subject == subject)
        .order_by(comments.c.number)
    )
    return tuple(_comment(row) for row in tx.execute(asked))


def add_comment(tx: Transaction, given: Comment) -> None:
    """Keep a comment; its number is given here."""
    tx.execute(
        sa.insert(comments).values(
            project=given.project,
            gate=str(given.gate),
            subject=given.subject,
            digest=given.digest,
            author=given.author,
            text=given.text,
            at=rfc3339(given.at),
        )
    )


def delegations_of(tx: Transaction, project: str) -> tuple[Delegation, ...]:
    """The delegations of a project, past ones too, by when they begin."""
    asked = sa.select(delegations).where(delegations.c.project == project)
    return tuple(_delegation(row) for row in tx.execute(asked.order_by(delegations.c.starts, delegations.c.id)))


def delegation(tx: Transaction, project: str, delegation_id: str) -> Delegation | None:
    """One delegation of a project."""
    asked = sa.select(delegations).where(delegations.c.project == project, delegations.c.id == delegation_id)
    row = tx.execute(asked).first()
    return row and _delegation(row)


def add_delegation(tx: Transaction, made: Delegation) -> None:
    """Keep a delegation."""
    tx.execute(
        sa.insert(delegations).values(
            id=made.id,
            project=made.project,
            from_person=made.from_,
            to_person=made.to,
            starts=rfc3339(made.starts),
            ends=rfc3339(made.ends),
            reason=made.reason,
            made_by=made.made_by,
            made_at=rfc3339(made.made_at),
        )
    )


def end_delegation(tx: Transaction, delegation_id: str, at: datetime) -> None:
    """Let a delegation end at a moment."""
    tx.execute(sa.update(delegations).where(delegations.c.id == delegation_id).values(ends=rfc3339(at)))


def waivers_of(tx: Transaction, project: str, digest: Digest | None = None) -> tuple[Waiver, ...]:
    """The waivers of a project, or of one version by its digest, the newest first."""
    asked = sa.select(waivers).where(waivers.c.project == project)
    if digest is not None:
        asked = asked.where(waivers.c.digest == digest)
    return tuple(_waiver(row) for row in tx.execute(asked.order_by(waivers.c.asked_at.desc(), waivers.c.id)))


def waiver(tx: Transaction, project: str, waiver_id: str) -> Waiver | None:
    """One waiver of a project."""
    row = tx.execute(sa.select(waivers).where(waivers.c.project == project, waivers.c.id == waiver_id)).first()
    return row and _waiver(row)


def add_waiver(tx: Transaction, asked: Waiver) -> None:
    """Keep a waiver that was asked for."""
    tx.execute(
        sa.insert(waivers).values(
            id=asked.id,
            project=asked.project,
            subject=asked.subject,
            digest=asked.digest,
            check_name=asked.check,
            reason=asked.reason,
            asked_by=asked.asked_by,
            asked_at=rfc3339(asked.asked_at),
            ends=rfc3339(asked.ends),
            state=str(asked.state),
        )
    )


def decide_waiver(tx: Transaction, waiver_id: str, state: WaiverState, by: str, at: datetime, reason: str) -> None:
    """Note what became of a waiver that was asked for."""
    tx.execute(
        sa.update(waivers)
        .where(waivers.c.id == waiver_id)
        .values(state=str(state), decided_by=by, decided_at=rfc3339(at), decision_reason=reason)
    )


def _vote(row: sa.Row[Any]) -> Vote:
    return Vote(
        number=row.number,
        project=row.project,
        gate=Gate(row.gate),
        subject=row.subject,
        digest=Digest(row.digest),
        voter=row.voter,
        verdict=Verdict(row.verdict),
        text=row.text,
        at=from_rfc3339(row.at),
        for_person=row.for_person,
        roles=tuple(json.loads(row.roles)),
        not_before=row.not_before and from_rfc3339(row.not_before),
        withdrawn_at=row.withdrawn_at and from_rfc3339(row.withdrawn_at),
    )


def _comment(row: sa.Row[Any]) -> Comment:
    return Comment(
        number=row.number,
        project=row.project,
        gate=Gate(row.gate),
        subject=row.subject,
        digest=Digest(row.digest),
        author=row.author,
        text=row.text,
        at=from_rfc3339(row.at),
    )


def _delegation(row: sa.Row[Any]) -> Delegation:
    return Delegation(
        id=row.id,
        project=row.project,
        from_=row.from_person,
        to=row.to_person,
        starts=from_rfc3339(row.starts),
        ends=from_rfc3339(row.ends),
        reason=row.reason,
        made_by=row.made_by,
        made_at=from_rfc3339(row.made_at),
    )


def _waiver(row: sa.Row[Any]) -> Waiver:
    return Waiver(
        id=row.id,
        project=row.project,
        subject=row.subject,
        digest=Digest(row.digest),
        check=row.check_name,
        reason=row.reason,
        asked_by=row.asked_by,
        asked_at=from_rfc3339(row.asked_at),
        ends=from_rfc3339(row.ends),
        state=WaiverState(row.state),
        decided_by=row.decided_by,
        decided_at=row.decided_at and from_rfc3339(row.decided_at),
        decision_reason=row.decision_reason,
    )
