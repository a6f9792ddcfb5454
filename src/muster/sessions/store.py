"""All statements about sessions."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from muster.sessions.records import Kept, Measure, Measured, MeasuresAsked, Session
from muster.sessions.tables import session_kept, session_lines, session_measures, sessions
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import from_rfc3339, rfc3339
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import OPEN_SESSIONS, SessionState

_WAITING = (SessionState.QUEUED, SessionState.INTERRUPTED)
_STATE = (sessions.c.state, sessions.c.executor, sessions.c.attempt)


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


def session(tx: Transaction, session_id: str, after: int = 0) -> Session | None:
    """One session with its progress after a line, and with what is kept of it while it goes on."""
    row = tx.execute(sa.select(sessions).where(sessions.c.id == session_id)).first()
    if row is None:
        return None
    lines = sa.select(session_lines.c.text).where(session_lines.c.session == session_id, session_lines.c.number > after)
    progress = tuple(tx.execute(lines.order_by(session_lines.c.number)).scalars())
    state = SessionState(row.state)
    return replace(
        _session(row, progress),
        lines=last_line(tx, session_id),
        ahead=_ahead(tx, row) if state in _WAITING else None,
        kept=kept(tx, session_id) if state in OPEN_SESSIONS else (),
    )


def _ahead(tx: Transaction, row: sa.Row[Any]) -> int:
    earlier = sa.or_(
        sessions.c.created_at < row.created_at,
        sa.and_(sessions.c.created_at == row.created_at, sessions.c.id < row.id),
    )
    waiting = sessions.c.state.in_([*map(str, _WAITING)])
    found: int = tx.execute(sa.select(sa.func.count()).select_from(sessions).where(waiting, earlier)).scalar_one()
    return found


def kept(tx: Transaction, session_id: str) -> tuple[Kept, ...]:
    """What is done of a session's work, in the order in which it was done."""
    rows = tx.execute(
        sa.select(session_kept).where(session_kept.c.session == session_id).order_by(session_kept.c.number)
    )
    return tuple(Kept(name=row.name, key=row.key, content=json.loads(row.content), attempt=row.attempt) for row in rows)


def keep(tx: Transaction, session: Session, done: Kept) -> None:
    """Note that a part of a session's work is done; done anew, the newest counts."""
    mine = session_kept.c.session == session.id
    last = tx.execute(sa.select(sa.func.max(session_kept.c.number)).where(mine)).scalar() or 0
    tx.execute(sa.delete(session_kept).where(mine, session_kept.c.name == done.name))
    tx.execute(
        sa.insert(session_kept).values(
            session=session.id,
            name=done.name,
            key=done.key,
            content=json.dumps(done.content),
            attempt=done.attempt,
            number=last + 1,
        )
    )


def forget_kept(tx: Transaction, session_id: str) -> None:
    """Forget what was kept only in case of an interruption."""
    tx.execute(sa.delete(session_kept).where(session_kept.c.session == session_id))


def open_about(tx: Transaction, project: str, kind: str, subject: str) -> Session | None:
    """The session of a kind about a subject that is not over, without its progress."""
    asked = sa.select(sessions).where(
        sessions.c.project == project,
        sessions.c.kind == kind,
        sessions.c.subject == subject,
        sessions.c.state.in_([*map(str, OPEN_SESSIONS)]),
    )
    row = tx.execute(asked.limit(1)).first()
    return row and _session(row, ())


def state_of(tx: Transaction, session: Session) -> SessionState:
    """A session's state; `interrupted` when it is in other hands, or begun anew, by now."""
    return _state(tx, session, sa.select(*_STATE).where(sessions.c.id == session.id))


def state_under(tx: Transaction, session: Session) -> SessionState:
    """The same, held until the transaction ends."""
    return _state(tx, session, sa.select(*_STATE).where(sessions.c.id == session.id).with_for_update())


def _state(tx: Transaction, session: Session, asked: sa.Select[Any]) -> SessionState:
    row = tx.execute(asked).first()
    is_same = row is not None and (row.executor, row.attempt) == (session.executor, session.attempt)
    return SessionState(row.state) if row is not None and is_same else SessionState.INTERRUPTED


def held(tx: Transaction, session_id: str) -> Session | None:
    """One session without its progress, whose state nobody else changes until the transaction ends."""
    row = tx.execute(sa.select(sessions).where(sessions.c.id == session_id).with_for_update()).first()
    return row and _session(row, ())


def newest_of(
    tx: Transaction, project: str, limit: int, states: Collection[SessionState] = (), subject: str = "", kind: str = ""
) -> tuple[Session, ...]:
    """The last sessions of a project, the newest first, without their progress; in some states, about a subject, of a kind."""
    asked = sa.select(sessions).where(sessions.c.project == project)
    if states:
        asked = asked.where(sessions.c.state.in_([*map(str, states)]))
    if subject:
        asked = asked.where(sessions.c.subject == subject)
    if kind:
        asked = asked.where(sessions.c.kind == kind)
    rows = tx.execute(asked.order_by(sessions.c.created_at.desc(), sessions.c.id.desc()).limit(limit))
    return tuple(_session(row, ()) for row in rows)


def is_queued(tx: Transaction, kinds: Collection[str]) -> bool:
    """Whether a session of these kinds waits to be begun, or to be begun again."""
    waiting = (sessions.c.state.in_([*map(str, _WAITING)]), sessions.c.kind.in_(kinds))
    return tx.execute(sa.select(sessions.c.id).where(*waiting).limit(1)).first() is not None


def oldest_queued(tx: Transaction, kinds: Collection[str]) -> Session | None:
    """The session of these kinds that has waited longest; nobody else is given it until the transaction ends."""
    asked = (
        sa.select(sessions)
        .where(sessions.c.state.in_([*map(str, _WAITING)]), sessions.c.kind.in_(kinds))
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


def set_running(tx: Transaction, session: Session, executor: str, at: datetime) -> None:
    """Note that an executor has begun, or has begun again; the first beginning stays on record."""
    now = rfc3339(at)
    begun = now if session.started_at is None else rfc3339(session.started_at)
    _update(
        tx,
        session.id,
        state=str(SessionState.RUNNING),
        executor=executor,
        started_at=begun,
        heartbeat_at=now,
        attempt=session.attempt + 1,
    )


def set_interrupted(tx: Transaction, session_id: str, deaths: int) -> None:
    """Note that the work stands still until it is begun again."""
    _update(tx, session_id, state=str(SessionState.INTERRUPTED), deaths=deaths)


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


def measures(tx: Transaction, project: str, asked: MeasuresAsked, limit: int | None) -> tuple[Measured, ...]:
    """What was measured, the newest first; no limit: all of it."""
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
        attempt=row.attempt,
        deaths=row.deaths,
    )
