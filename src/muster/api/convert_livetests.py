"""From live-tests to the documents of the wire."""

from datetime import datetime

from muster.livetests.exhibits import exhibits_of
from muster.livetests.figures import Figures
from muster.livetests.records import LiveTest
from muster.vocabulary.clock import rfc3339
from muster.wire import livetests


def live_test(found: LiveTest) -> livetests.LiveTest:
    """One live-test with its figures."""
    return livetests.LiveTest(
        endpoint=found.endpoint,
        number=found.number,
        version=str(found.version),
        manifest=found.manifest,
        release=found.release,
        champion=str(found.champion),
        state=found.state,
        requests=found.requests,
        hours=found.hours,
        share=found.share,
        started_by=found.started_by,
        started_at=rfc3339(found.started_at),
        reason=found.reason,
        running_at=_moment(found.running_at),
        ended_at=_moment(found.ended_at),
        counted_to=_moment(found.counted_to),
        outcome=found.outcome,
        session=found.session,
        figures=_figures(found.figures),
    )


def report(found: LiveTest, broken: tuple[str, ...]) -> livetests.LiveTestReport:
    """What came of a live-test."""
    return livetests.LiveTestReport(live_test=live_test(found), broken=broken, exhibits=exhibits_of(found))


def _figures(found: Figures) -> livetests.LiveTestFigures:
    return livetests.LiveTestFigures(
        requests=found.taken,
        answered=found.answered,
        failed=found.failed,
        late=found.late,
        left_out=found.left_out,
        down=found.down,
        errors=found.errors_share,
        late_share=found.late_share,
        rows_compared=found.rows_compared,
        disagreement=found.disagreement,
        unlike=found.unlike,
        differences=found.mean_differences,
        shift=found.largest_shift,
        shifts=tuple(
            livetests.Shift(output=one.output, against=one.against, index=one.index, gap=one.gap, values=one.values)
            for one in found.shifts
        ),
        p50_ms=found.latency_ms(0.5),
        p99_ms=found.latency_ms(0.99),
        champion_p99_ms=found.latency_ms(0.99, of_champion=True),
    )


def _moment(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)
