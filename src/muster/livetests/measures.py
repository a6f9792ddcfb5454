"""The figures of a live-test as measures: numbers that can be asked for across versions, endpoints and months."""

from muster.livetests.records import LiveTest
from muster.sessions.records import Measure

#: Of the definitions below; docs/reference/live-test.md has them.
DEFINITION = 2


def measures_of(done: LiveTest) -> tuple[Measure, ...]:
    """What was measured in a live-test; nothing, if the version was never asked."""
    figures = done.figures
    if not figures.taken:
        return ()
    over = f"live-test:{done.endpoint}"
    whole: dict[str, float | None] = {
        "live_test_requests": float(figures.taken),
        "live_test_errors": figures.errors_share,
        "live_test_late": figures.late_share,
        "live_test_left_out": figures.left_out_share,
        "live_test_down": figures.down_share,
        "live_test_disagreement": figures.disagreement,
        "live_test_unlike": figures.unlike,
        "live_test_shift": figures.largest_shift,
        "live_test_p50_ms": figures.latency_ms(0.5),
        "live_test_p99_ms": figures.latency_ms(0.99),
    }
    found = [
        Measure(name=name, version=DEFINITION, value=value, over=over)
        for name, value in whole.items()
        if value is not None
    ]
    for shift in (one for one in figures.shifts if one.is_enough):
        where = f"{shift.output}, {shift.against}"
        found.append(
            Measure(name="live_test_shift", version=DEFINITION, value=shift.index, over=over, slice=f"shift={where}")
        )
    return tuple(found)
