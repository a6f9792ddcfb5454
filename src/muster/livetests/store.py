"""All statements about live-tests."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from muster.livetests.figures import Figures
from muster.livetests.records import OPEN, LiveTest
from muster.livetests.tables import live_tests
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import from_rfc3339, rfc3339
from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import LiveTestState


def hold(tx: Transaction, endpoint: str) -> None:
    """Nobody else changes a live-test of the endpoint until this transaction ends."""
    tx.lock("muster.live-tests", endpoint)


def next_number(tx: Transaction, endpoint: str) -> int:
    """The number of the endpoint's next live-test."""
    highest = tx.execute(sa.select(sa.func.max(live_tests.c.number)).where(live_tests.c.endpoint == endpoint)).scalar()
    return (highest or 0) + 1


def add(tx: Transaction, made: LiveTest) -> None:
    """Keep a new live-test; its number must be free."""
    tx.execute(
        sa.insert(live_tests).values(
            endpoint=made.endpoint,
            number=made.number,
            project=made.project,
            model=made.version.model,
            version=made.version.number,
            manifest=made.manifest,
            release=made.release,
            beside=msgspec.json.encode([str(name) for name in (made.champion, *made.canaries)]).decode(),
            deadline_ms=made.deadline_ms,
            requests=made.requests,
            hours=made.hours,
            share=made.share,
            state=str(made.state),
            started_by=made.started_by,
            started_at=rfc3339(made.started_at),
            reason=made.reason,
            figures=msgspec.json.encode(made.figures).decode(),
            outcome="",
        )
    )


def live_test(tx: Transaction, endpoint: str, number: int) -> LiveTest | None:
    """One live-test."""
    row = tx.execute(_all(live_tests.c.endpoint == endpoint, live_tests.c.number == number)).first()
    return row and _live_test(row)


def live_tests_of(
    tx: Transaction, endpoint: str, *, limit: int | None = None, after: int | None = None
) -> tuple[LiveTest, ...]:
    """The live-tests of an endpoint, the newest first: so many below a number, or all."""
    asked = _all(live_tests.c.endpoint == endpoint)
    if after is not None:
        asked = asked.where(live_tests.c.number < after)
    rows = tx.execute(asked.order_by(live_tests.c.number.desc()).limit(limit))
    return tuple(_live_test(row) for row in rows)


def in_states(tx: Transaction, states: Collection[LiveTestState], endpoint: str | None = None) -> tuple[LiveTest, ...]:
    """Live-tests in any of these states; of all endpoints or one."""
    asked = _all(live_tests.c.state.in_([str(state) for state in sorted(states)]))
    if endpoint is not None:
        asked = asked.where(live_tests.c.endpoint == endpoint)
    return tuple(_live_test(row) for row in tx.execute(asked.order_by(live_tests.c.endpoint, live_tests.c.number)))


def open_ones_of(tx: Transaction, project: str, version: VersionName) -> tuple[LiveTest, ...]:
    """The live-tests of a version that have not come to their end."""
    asked = _all(
        live_tests.c.project == project,
        live_tests.c.model == version.model,
        live_tests.c.version == version.number,
        live_tests.c.state.in_([str(state) for state in sorted(OPEN)]),
    )
    return tuple(_live_test(row) for row in tx.execute(asked))


def newest_judged(tx: Transaction, project: str, endpoint: str, manifest: Digest) -> LiveTest | None:
    """The newest live-test of some bytes at an endpoint that has passed or failed; one that was stopped says nothing of them."""
    asked = _all(
        live_tests.c.project == project,
        live_tests.c.endpoint == endpoint,
        live_tests.c.manifest == manifest,
        live_tests.c.state.in_([str(LiveTestState.PASSED), str(LiveTestState.FAILED)]),
    )
    row = tx.execute(asked.order_by(live_tests.c.number.desc()).limit(1)).first()
    return row and _live_test(row)


def change(tx: Transaction, changed: LiveTest, **values: Any) -> None:
    """Set columns of a live-test; moments as RFC 3339, states as text."""
    tx.execute(
        sa.update(live_tests)
        .where(live_tests.c.endpoint == changed.endpoint, live_tests.c.number == changed.number)
        .values(**values)
    )


def set_figures(tx: Transaction, changed: LiveTest, figures: Figures, counted_to: datetime) -> None:
    """Keep what was counted, and up to when."""
    change(tx, changed, figures=msgspec.json.encode(figures).decode(), counted_to=rfc3339(counted_to))


def _all(*conditions: Any) -> sa.Select[Any]:
    return sa.select(live_tests).where(*conditions)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else from_rfc3339(text)


def _live_test(row: Any) -> LiveTest:
    champion, *canaries = (VersionName.parse(name) for name in msgspec.json.decode(row.beside))
    return LiveTest(
        project=row.project,
        endpoint=row.endpoint,
        number=row.number,
        version=VersionName(row.model, row.version),
        manifest=Digest(row.manifest),
        release=row.release,
        champion=champion,
        canaries=tuple(canaries),
        deadline_ms=row.deadline_ms,
        requests=row.requests,
        hours=row.hours,
        share=row.share,
        state=LiveTestState(row.state),
        started_by=row.started_by,
        started_at=from_rfc3339(row.started_at),
        reason=row.reason,
        running_at=_moment(row.running_at),
        ended_at=_moment(row.ended_at),
        counted_to=_moment(row.counted_to),
        figures=msgspec.json.decode(row.figures, type=Figures),
        outcome=row.outcome,
        session=row.session,
    )
