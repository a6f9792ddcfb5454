"""All statements about sessions."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from muster.sessions.records import Measure, Measured, MeasuresAsked, Session
from muster.sessions.tables import session_lines, session_measures, sessions
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import from_rfc3339, rfc3339
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import SessionState


def add(tx: Transaction, session: Session) -> None:
    """Keep a new session."""
    tx.execute(
        sa.insert(sessions).values(
            id=session.id,
            kind=session.kind,
            subject=session.subject,
            project=session.project,
            state=str(session.state),
            requested_by=session.requested_by,
            created_at=rfc3339(session.created_at),
        )
    )


def session(tx: Transaction, session_id: str) -> Session | None:
    """One session with its progress."""
    row = tx.execute(sa.select(sessions).where(sessions.c.id == session_id)).first()
    if row is None:
        return None
    lines = sa.select(session_lines.c.text).where(session_lines.c.session == session_id)
    return _session(row, tuple(tx.execute(lines.order_by(session_lines.c.number)).scalars()))


def open_about(tx: Transaction, project: str, kind: str, subject: str) -> Session | None:
    """The session of a kind about a subject that is queued or running, without its progress."""
    asked = sa.select(sessions).where(
        sessions.c.project == project,
        sessions.c.kind == kind,
        sessions.c.subject == subject,
        sessions.c.state.in_((str(SessionState.QUEUED), str(SessionState.RUNNING))),
    )
    row = tx.execute(asked.limit(1)).first()
    return row and _session(row, ())


def state_under(tx: Transaction, session_id: str, executor: str | None) -> SessionState:
    """A session's state, held until the transaction ends; `interrupted` when it is in other hands by now."""
    asked = sa.select(sessions.c.state, sessions.c.executor).where(sessions.c.id == session_id).with_for_update()
    row = tx.execute(asked).first()
    return SessionState(row.state) if row is not None and row.executor == executor else SessionState.INTERRUPTED


def newest_of(tx: Transaction, project: str, limit: int) -> tuple[Session, ...]:
    """The last sessions of a project, the newest first, without their progress."""
    asked = sa.select(sessions).where(sessions.c.project == project)
    rows = tx.execute(asked.order_by(sessions.c.created_at.desc(), sessions.c.id.desc()).limit(limit))
    return tuple(_session(row, ()) for row in rows)


def is_queued(tx: Transaction, kinds: Collection[str]) -> bool:
    """Whether a session of these kinds waits."""
    waiting = (sessions.c.state == str(SessionState.QUEUED), sessions.c.kind.in_(kinds))
    return tx.execute(sa.select(sessions.c.id).where(*waiting).limit(1)).first() is not None


def oldest_queued(tx: Transaction, kinds: Collection[str]) -> Session | None:
    """The session of these kinds that has waited longest; nobody else is given it until the transaction ends."""
    asked = (
        sa.select(sessions)
        .where(sessions.c.state == str(SessionState.QUEUED), sessions.c.kind.in_(kinds))
        .order_by(sessions.c.created_at, sessions.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)  # SQLite has no such clause, and needs none: it has one writer
    )
    row = tx.execute(asked).first()
    return row and _session(row, ())


def running(tx: Transaction) -> tuple[tuple[Session, datetime], ...]:
    """Sessions that are worked on, with the last sign of life of each one's executor."""
    rows = tx.execute(sa.select(sessions).where(sessions.c.state == str(SessionState.RUNNING)).with_for_update())
    return tuple((_session(row, ()), from_rfc3339(row.heartbeat_at)) for row in rows)


def set_running(tx: Transaction, session_id: str, executor: str, at: datetime) -> None:
    """Note that an executor has begun."""
    now = rfc3339(at)
    _update(tx, session_id, state=str(SessionState.RUNNING), executor=executor, started_at=now, heartbeat_at=now)


def set_finished(
    tx: Transaction, session_id: str, state: SessionState, result: Mapping[str, Any] | None, at: datetime
) -> None:
    """Note what came of it."""
    said = None if result is None else json.dumps(result)
    _update(tx, session_id, state=str(state), result=said, finished_at=rfc3339(at))


def set_heartbeat(tx: Transaction, executor: str, at: datetime) -> None:
    """Note that an executor lives."""
    mine = (sessions.c.executor == executor, sessions.c.state == str(SessionState.RUNNING))
    tx.execute(sa.update(sessions).where(*mine).values(heartbeat_at=rfc3339(at)))


def last_line(tx: Transaction, session_id: str) -> int:
    """The number of a session's last line of progress; 0 when there is none."""
    last = sa.select(sa.func.max(session_lines.c.number)).where(session_lines.c.session == session_id)
    return tx.execute(last).scalar() or 0


def add_line(tx: Transaction, session_id: str, text: str, at: datetime) -> None:
    """Add a line of progress."""
    number = last_line(tx, session_id) + 1
    tx.execute(sa.insert(session_lines).values(session=session_id, number=number, at=rfc3339(at), text=text))


def add_measures(
    tx: Transaction, session: Session, version: VersionName, measures: Sequence[Measure], at: datetime
) -> None:
    """Keep what was measured in a session."""
    if measures:
        tx.execute(
            sa.insert(session_measures),
            [
                {
                    "session": session.id,
                    "name": one.name,
                    "computed_over": one.over,
                    "slice": one.slice,
                    "definition": one.version,
                    "project": session.project,
                    "model": version.model,
                    "number": version.number,
                    "value": one.value,
                    "low": one.low,
                    "high": one.high,
                    "at": rfc3339(at),
                }
                for one in measures
            ],
        )


def measures(tx: Transaction, project: str, asked: MeasuresAsked, limit: int) -> tuple[Measured, ...]:
    """What was measured, the newest first."""
    rows = session_measures
    wanted = [rows.c.project == project, rows.c.model == asked.model]
    exact = (
        (rows.c.number, asked.number),
        (rows.c.name, asked.name or None),
        (rows.c.computed_over, asked.over or None),
        (rows.c.slice, asked.slice),
        (rows.c.session, asked.session or None),
    )
    wanted.extend(column == value for column, value in exact if value is not None)
    if asked.since is not None:
        wanted.append(rows.c.at >= rfc3339(asked.since))
    if asked.until is not None:
        wanted.append(rows.c.at < rfc3339(asked.until))
    order = (rows.c.at.desc(), rows.c.session, rows.c.computed_over, rows.c.name, rows.c.slice)
    found = tx.execute(sa.select(rows).where(*wanted).order_by(*order).limit(limit))
    return tuple(
        Measured(
            session=row.session,
            project=row.project,
            version=VersionName(row.model, row.number),
            measure=Measure(
                name=row.name,
                version=row.definition,
                value=row.value,
                over=row.computed_over,
                slice=row.slice,
                low=row.low,
                high=row.high,
            ),
            at=from_rfc3339(row.at),
        )
        for row in found
    )


def _update(tx: Transaction, session_id: str, **values: Any) -> None:
    tx.execute(sa.update(sessions).where(sessions.c.id == session_id).values(**values))


def _session(row: sa.Row[Any], progress: tuple[str, ...]) -> Session:
    return Session(
        id=row.id,
        kind=row.kind,
        subject=row.subject,
        project=row.project,
        state=SessionState(row.state),
        requested_by=row.requested_by,
        created_at=from_rfc3339(row.created_at),
        started_at=row.started_at and from_rfc3339(row.started_at),
        finished_at=row.finished_at and from_rfc3339(row.finished_at),
        executor=row.executor,
        progress=progress,
        result=None if row.result is None else json.loads(row.result),
    )
