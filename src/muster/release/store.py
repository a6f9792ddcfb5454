"""All statements about endpoints, releases and pointers."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from muster.release.records import Cause, Endpoint, Pointer, Release
from muster.release.tables import endpoints, followers, pointers, release_versions, releases
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import from_rfc3339, rfc3339
from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import ReleaseState
from muster.wire.plans import ServingPlan


def project_of_endpoint(tx: Transaction, name: str) -> str | None:
    """The project that has the endpoint; None when there is no such endpoint."""
    return tx.execute(sa.select(endpoints.c.project).where(endpoints.c.name == name)).scalar()


def add_endpoint(tx: Transaction, name: str, project: str, by: str, at: datetime) -> None:
    """Add an endpoint; its name must be free."""
    tx.execute(sa.insert(endpoints).values(name=name, project=project, created_by=by, created_at=rfc3339(at)))


def endpoints_of(tx: Transaction, project: str) -> tuple[Endpoint, ...]:
    """The endpoints of a project, by name."""
    counts = sa.select(releases.c.endpoint, sa.func.count().label("total")).group_by(releases.c.endpoint).subquery()
    newest = _newest_pointers().subquery()
    asked = (
        sa.select(endpoints, counts.c.total, newest.c.number, releases.c.plan)
        .outerjoin(counts, counts.c.endpoint == endpoints.c.name)
        .outerjoin(newest, newest.c.endpoint == endpoints.c.name)
        .outerjoin(releases, sa.and_(releases.c.endpoint == newest.c.endpoint, releases.c.number == newest.c.number))
        .where(endpoints.c.project == project)
        .order_by(endpoints.c.name)
    )
    return tuple(_endpoint(row) for row in tx.execute(asked))


def next_number(tx: Transaction, endpoint: str) -> int:
    """The number of the endpoint's next release."""
    highest = tx.execute(sa.select(sa.func.max(releases.c.number)).where(releases.c.endpoint == endpoint)).scalar()
    return (highest or 0) + 1


def add_release(tx: Transaction, release: Release) -> None:
    """Keep a new release; its number must be free."""
    tx.execute(
        sa.insert(releases).values(
            endpoint=release.endpoint,
            number=release.number,
            project=release.project,
            state=str(release.state),
            plan=msgspec.json.encode(release.plan).decode(),
            plan_digest=release.plan_digest,
            proposed_by=release.proposed_by,
            proposed_at=rfc3339(release.proposed_at),
            reason=release.reason,
            step=release.step,
        )
    )
    for version in release.versions:
        tx.execute(
            sa.insert(release_versions).values(
                endpoint=release.endpoint,
                number=release.number,
                project=release.project,
                model=version.model,
                version=version.number,
            )
        )


def release(tx: Transaction, endpoint: str, number: int) -> Release | None:
    """One release."""
    return _first(tx, releases.c.endpoint == endpoint, releases.c.number == number)


def releases_of(tx: Transaction, endpoint: str) -> tuple[Release, ...]:
    """All releases of an endpoint, the newest first."""
    return _all(tx, releases.c.endpoint == endpoint)


def releases_in(tx: Transaction, state: ReleaseState, endpoint: str | None = None) -> tuple[Release, ...]:
    """Releases in a state; of all endpoints or one."""
    conditions = [releases.c.state == str(state)]
    if endpoint is not None:
        conditions.append(releases.c.endpoint == endpoint)
    return _all(tx, *conditions)


def releases_with(tx: Transaction, project: str, version: VersionName) -> tuple[Release, ...]:
    """Releases that a version is in, by endpoint, the newest first."""
    holding = sa.exists().where(
        release_versions.c.endpoint == releases.c.endpoint,
        release_versions.c.number == releases.c.number,
        release_versions.c.project == project,
        release_versions.c.model == version.model,
        release_versions.c.version == version.number,
    )
    return _all(tx, holding)


def endpoints_with(tx: Transaction, project: str, model: str) -> tuple[str, ...]:
    """Names of the endpoints that have had a release with any version of a model."""
    asked = (
        sa.select(release_versions.c.endpoint)
        .distinct()
        .where(release_versions.c.project == project, release_versions.c.model == model)
        .order_by(release_versions.c.endpoint)
    )
    return tuple(tx.execute(asked).scalars())


def move(tx: Transaction, held: Release, to: ReleaseState, **values: Any) -> None:
    """Put a release into a state; the service has looked that it may."""
    at = (releases.c.endpoint == held.endpoint, releases.c.number == held.number)
    tx.execute(sa.update(releases).where(*at).values(state=str(to), **values))


def set_step(tx: Transaction, held: Release, step: int) -> None:
    """Put a release at a step of its ramp; the service has looked that there is one."""
    at = (releases.c.endpoint == held.endpoint, releases.c.number == held.number)
    tx.execute(sa.update(releases).where(*at).values(step=step))


def add_pointer(tx: Transaction, endpoint: str, number: int, at: datetime, by: str, cause: Cause) -> None:
    """Note that a release is current from now on."""
    last = sa.select(sa.func.max(pointers.c.sequence)).where(pointers.c.endpoint == endpoint)
    sequence = (tx.execute(last).scalar() or 0) + 1
    tx.execute(
        sa.insert(pointers).values(
            endpoint=endpoint, sequence=sequence, number=number, at=rfc3339(at), by=by, cause=str(cause)
        )
    )


def pointers_of(tx: Transaction, endpoint: str) -> tuple[Pointer, ...]:
    """What was current when, the newest first."""
    asked = sa.select(pointers).where(pointers.c.endpoint == endpoint).order_by(pointers.c.sequence.desc())
    return tuple(_pointer(row) for row in tx.execute(asked))


def newest_pointers(tx: Transaction) -> tuple[Pointer, ...]:
    """What is current at every endpoint that has been served."""
    return tuple(_pointer(row) for row in tx.execute(_newest_pointers()))


def known_followers(tx: Transaction) -> frozenset[str]:
    """The fronts that followed when it was last noted."""
    return frozenset(tx.execute(sa.select(followers.c.front)).scalars())


def note_followers(tx: Transaction, come: Iterable[str], gone: Iterable[str], at: datetime) -> None:
    """Note which fronts follow and which do not any more."""
    tx.execute(sa.delete(followers).where(followers.c.front.in_([*come, *gone])))
    for front in come:
        tx.execute(sa.insert(followers).values(front=front, since=rfc3339(at)))


def _newest_pointers() -> sa.Select[Any]:
    newest = (
        sa.select(pointers.c.endpoint, sa.func.max(pointers.c.sequence).label("sequence"))
        .group_by(pointers.c.endpoint)
        .subquery()
    )
    same = sa.and_(newest.c.endpoint == pointers.c.endpoint, newest.c.sequence == pointers.c.sequence)
    return sa.select(pointers).join(newest, same)


def _first(tx: Transaction, *conditions: sa.ColumnElement[bool]) -> Release | None:
    return next(iter(_all(tx, *conditions)), None)


def _all(tx: Transaction, *conditions: sa.ColumnElement[bool]) -> tuple[Release, ...]:
    newest = _newest_pointers().subquery()
    asked = (
        sa.select(releases, newest.c.number.label("current"))
        .outerjoin(newest, newest.c.endpoint == releases.c.endpoint)
        .where(*conditions)
        .order_by(releases.c.endpoint, releases.c.number.desc())
    )
    return tuple(_release(row) for row in tx.execute(asked))


def _release(row: sa.Row[Any]) -> Release:
    return Release(
        endpoint=row.endpoint,
        number=row.number,
        project=row.project,
        state=ReleaseState(row.state),
        current=row.current == row.number,
        plan=msgspec.json.decode(row.plan, type=ServingPlan),
        plan_digest=Digest(row.plan_digest),
        proposed_by=row.proposed_by,
        proposed_at=from_rfc3339(row.proposed_at),
        reason=row.reason,
        decided_by=row.decided_by,
        decided_at=row.decided_at and from_rfc3339(row.decided_at),
        decision_reason=row.decision_reason,
        live_at=row.live_at and from_rfc3339(row.live_at),
        failure=row.failure,
        step=row.step,
    )


def _endpoint(row: sa.Row[Any]) -> Endpoint:
    plan = None if row.plan is None else msgspec.json.decode(row.plan, type=ServingPlan)
    return Endpoint(
        name=row.name,
        project=row.project,
        created_by=row.created_by,
        created_at=from_rfc3339(row.created_at),
        current=row.number,
        champion=None if plan is None else VersionName.parse(plan.variants[0].version),
        releases=row.total or 0,
    )


def _pointer(row: sa.Row[Any]) -> Pointer:
    return Pointer(
        endpoint=row.endpoint,
        sequence=row.sequence,
        release=row.number,
        at=from_rfc3339(row.at),
        by=row.by,
        cause=Cause(row.cause),
    )
