"""All statements about endpoints, releases and pointers."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from muster.packaging.evolution import Change
from muster.release.records import Acknowledgement, Cause, Endpoint, Glass, GlassState, Pointer, Release
from muster.release.tables import (
    acknowledgements,
    broken_glass,
    endpoints,
    followers,
    pointers,
    release_versions,
    releases,
)
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import from_rfc3339, rfc3339
from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import ReleaseState
from muster.wire.plans import ServingPlan

_POINTERS = pointers.alias()


def project_of_endpoint(tx: Transaction, name: str) -> str | None:
    """The project that has the endpoint; None when there is no such endpoint."""
    return tx.execute(sa.select(endpoints.c.project).where(endpoints.c.name == name)).scalar()


def add_endpoint(tx: Transaction, name: str, project: str, by: str, at: datetime) -> None:
    """Add an endpoint; its name must be free."""
    tx.execute(sa.insert(endpoints).values(name=name, project=project, created_by=by, created_at=rfc3339(at)))


def endpoints_of(
    tx: Transaction, project: str, *, limit: int | None = None, after: str | None = None
) -> tuple[Endpoint, ...]:
    """The endpoints of a project, by name: so many behind a name, or all."""
    asked = _endpoints().where(endpoints.c.project == project)
    if after is not None:
        asked = asked.where(endpoints.c.name > after)
    return tuple(_endpoint(row) for row in tx.execute(asked.order_by(endpoints.c.name).limit(limit)))


def endpoint(tx: Transaction, name: str) -> Endpoint | None:
    """One endpoint."""
    row = tx.execute(_endpoints().where(endpoints.c.name == name)).first()
    return row and _endpoint(row)


def current_plans(tx: Transaction, project: str, names: Collection[str]) -> dict[str, ServingPlan | None]:
    """Those of the named endpoints that the project has, each with the plan that it is served by; None: with none yet."""
    number = _current(endpoints.c.name)
    same = sa.and_(releases.c.endpoint == endpoints.c.name, releases.c.number == number)
    asked = sa.select(endpoints.c.name, releases.c.plan).select_from(endpoints.outerjoin(releases, same))
    asked = asked.where(endpoints.c.project == project, endpoints.c.name.in_(set(names)))
    rows = tx.execute(asked)
    return {row.name: None if row.plan is None else msgspec.json.decode(row.plan, type=ServingPlan) for row in rows}


def endpoints_besides(tx: Transaction, project: str) -> frozenset[str]:
    """Names of the endpoints of all other projects."""
    return frozenset(tx.execute(sa.select(endpoints.c.name).where(endpoints.c.project != project)).scalars())


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
            breaks=msgspec.json.encode(release.breaks).decode() if release.breaks else None,
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


def releases_of(
    tx: Transaction, endpoint: str, *, limit: int | None = None, after: int | None = None
) -> tuple[Release, ...]:
    """The releases of an endpoint, the newest first: so many below a number, or all."""
    below = () if after is None else (releases.c.number < after,)
    return _all(tx, releases.c.endpoint == endpoint, *below, limit=limit)


def current_number(tx: Transaction, endpoint: str) -> int | None:
    """The number of the release that is current; None: none yet."""
    asked = sa.select(pointers.c.number).where(pointers.c.endpoint == endpoint)
    found = tx.execute(asked.order_by(pointers.c.sequence.desc()).limit(1)).scalar()
    return None if found is None else int(found)


def releases_in(tx: Transaction, state: ReleaseState, endpoint: str | None = None) -> tuple[Release, ...]:
    """Releases in a state; of all endpoints or one."""
    conditions = [releases.c.state == str(state)]
    if endpoint is not None:
        conditions.append(releases.c.endpoint == endpoint)
    return _all(tx, *conditions)


def variants_served(tx: Transaction, project: str) -> dict[tuple[str, int], int]:
    """How many variants those of the project's releases have that are current or being made so, by endpoint and number."""
    current = sa.select(endpoints.c.name.label("endpoint"), _current(endpoints.c.name).label("number")).where(
        endpoints.c.project == project
    )
    coming = sa.select(releases.c.endpoint, releases.c.number).where(
        releases.c.project == project, releases.c.state == str(ReleaseState.APPROVED)
    )
    served = sa.union(current, coming).subquery()
    same = sa.and_(
        release_versions.c.endpoint == served.c.endpoint, release_versions.c.number == served.c.number
    )  # a release holds a version once
    asked = (
        sa.select(served.c.endpoint, served.c.number, sa.func.count().label("variants"))
        .join(release_versions, same)
        .group_by(served.c.endpoint, served.c.number)
    )
    return {(row.endpoint, row.number): row.variants for row in tx.execute(asked)}


def served(tx: Transaction) -> tuple[tuple[str, VersionName, str], ...]:
    """Every version in a current release of the factory: its project, its name, the endpoint."""
    current = sa.select(endpoints.c.name.label("endpoint"), _current(endpoints.c.name).label("number")).subquery()
    same = sa.and_(release_versions.c.endpoint == current.c.endpoint, release_versions.c.number == current.c.number)
    asked = sa.select(release_versions).join(current, same)
    rows = tx.execute(asked.order_by(release_versions.c.endpoint, release_versions.c.model, release_versions.c.version))
    return tuple((row.project, VersionName(row.model, row.version), row.endpoint) for row in rows)


def releases_with(tx: Transaction, project: str, version: VersionName) -> tuple[Release, ...]:
    """Releases that a version is in, by endpoint, the newest first."""
    # Joined, so that the database begins with the few rows of the version and not with every release that there is.
    holding = (
        release_versions.c.endpoint == releases.c.endpoint,
        release_versions.c.number == releases.c.number,
        release_versions.c.project == project,
        release_versions.c.model == version.model,
        release_versions.c.version == version.number,
    )
    return _all(tx, *holding)


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


def set_breaks(tx: Transaction, held: Release, breaks: Collection[Change]) -> None:
    """Keep what a release breaks at the moment at which it is approved."""
    at = (releases.c.endpoint == held.endpoint, releases.c.number == held.number)
    told = msgspec.json.encode(tuple(breaks)).decode() if breaks else None
    tx.execute(sa.update(releases).where(*at).values(breaks=told))


def add_acknowledgement(tx: Transaction, held: Release, kept: Acknowledgement) -> None:
    """Keep that a consumer agreed; it must not have before."""
    tx.execute(
        sa.insert(acknowledgements).values(
            endpoint=held.endpoint,
            number=held.number,
            project=held.project,
            consumer=kept.consumer,
            before=kept.before,
            acknowledged_by=kept.by,
            at=rfc3339(kept.at),
            reason=kept.reason,
        )
    )


def acknowledgements_of(tx: Transaction, endpoint: str, number: int) -> tuple[Acknowledgement, ...]:
    """Which consumers agreed to what a release breaks, of whichever contract."""
    asked = sa.select(acknowledgements).where(
        acknowledgements.c.endpoint == endpoint, acknowledgements.c.number == number
    )
    return tuple(
        Acknowledgement(
            consumer=row.consumer,
            before=row.before,
            by=row.acknowledged_by,
            at=from_rfc3339(row.at),
            reason=row.reason,
        )
        for row in tx.execute(asked)
    )


def add_pointer(tx: Transaction, endpoint: str, number: int, at: datetime, by: str, cause: Cause) -> None:
    """Note that a release is current from now on."""
    last = sa.select(sa.func.max(pointers.c.sequence)).where(pointers.c.endpoint == endpoint)
    sequence = (tx.execute(last).scalar() or 0) + 1
    tx.execute(
        sa.insert(pointers).values(
            endpoint=endpoint, sequence=sequence, number=number, at=rfc3339(at), by=by, cause=str(cause)
        )
    )


def pointers_of(
    tx: Transaction, endpoint: str, *, limit: int | None = None, after: int | None = None
) -> tuple[Pointer, ...]:
    """What was current when, the newest first: so many below a sequence number, or all."""
    asked = sa.select(pointers).where(pointers.c.endpoint == endpoint).order_by(pointers.c.sequence.desc())
    if after is not None:
        asked = asked.where(pointers.c.sequence < after)
    asked = asked.limit(limit)
    return tuple(_pointer(row) for row in tx.execute(asked))


def newest_pointers(tx: Transaction) -> tuple[Pointer, ...]:
    """What is current at every endpoint that has been served."""
    return tuple(_pointer(row) for row in tx.execute(_newest_pointers()))


def add_glass(tx: Transaction, glass: Glass) -> None:
    """Keep that a release goes live without its approvals; a release does so once."""
    tx.execute(
        sa.insert(broken_glass).values(
            endpoint=glass.endpoint,
            number=glass.number,
            project=glass.project,
            broken_by=glass.broken_by,
            at=rfc3339(glass.at),
            confirm_by=rfc3339(glass.confirm_by),
            reason=glass.reason,
            state=str(glass.state),
        )
    )


def glass_of(tx: Transaction, endpoint: str, number: int | None = None) -> tuple[Glass, ...]:
    """The broken glass of an endpoint, or of one release of it."""
    conditions = [broken_glass.c.endpoint == endpoint]
    if number is not None:
        conditions.append(broken_glass.c.number == number)
    return tuple(_glass(row) for row in tx.execute(sa.select(broken_glass).where(*conditions)))


def overdue_glass(tx: Transaction, now: datetime) -> tuple[Glass, ...]:
    """Broken glass that nobody has confirmed, and whose time is over; also such as could not be rolled back yet."""
    unconfirmed = (str(GlassState.OPEN), str(GlassState.STUCK))
    over = (broken_glass.c.state.in_(unconfirmed), broken_glass.c.confirm_by <= rfc3339(now))
    return tuple(_glass(row) for row in tx.execute(sa.select(broken_glass).where(*over)))


def set_glass(tx: Transaction, glass: Glass, state: GlassState) -> None:
    """Note what became of broken glass."""
    at = (broken_glass.c.endpoint == glass.endpoint, broken_glass.c.number == glass.number)
    tx.execute(sa.update(broken_glass).where(*at).values(state=str(state)))


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


def _all(tx: Transaction, *conditions: sa.ColumnElement[bool], limit: int | None = None) -> tuple[Release, ...]:
    asked = (
        sa.select(releases, _current(releases.c.endpoint).label("current"))
        .where(*conditions)
        .order_by(releases.c.endpoint, releases.c.number.desc())
        .limit(limit)
    )
    return tuple(_release(row) for row in tx.execute(asked))


def _current(endpoint: sa.Column[str]) -> sa.ScalarSelect[int]:
    """The number of the release that is current at an endpoint; asked row by row, which reads one pointer each."""
    return (
        sa.select(_POINTERS.c.number)
        .where(_POINTERS.c.endpoint == endpoint)
        .order_by(_POINTERS.c.sequence.desc())
        .limit(1)
        .scalar_subquery()
    )


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
        breaks=() if row.breaks is None else msgspec.json.decode(row.breaks, type=tuple[Change, ...]),
        live_from=row.live_from and from_rfc3339(row.live_from),
    )


def _endpoints() -> sa.Select[Any]:
    counted = releases.alias()
    total = sa.select(sa.func.count()).where(counted.c.endpoint == endpoints.c.name).scalar_subquery()
    number = _current(endpoints.c.name)
    same = sa.and_(releases.c.endpoint == endpoints.c.name, releases.c.number == number)
    asked = sa.select(endpoints, total.label("total"), releases.c.number, releases.c.plan)
    return asked.select_from(endpoints.outerjoin(releases, same))


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


def _glass(row: sa.Row[Any]) -> Glass:
    return Glass(
        endpoint=row.endpoint,
        number=row.number,
        project=row.project,
        broken_by=row.broken_by,
        at=from_rfc3339(row.at),
        confirm_by=from_rfc3339(row.confirm_by),
        reason=row.reason,
        state=GlassState(row.state),
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
