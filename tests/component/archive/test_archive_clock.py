"""A clock that is set back or forward: ids stay unique, records findable and in their order, files in the hour they name."""

import time
from pathlib import Path
from typing import Any

import pytest
from archive_workshop import DAY_NS, HOUR_NS, Workshop

from muster.archive.export import Exports
from muster.vocabulary.clock import wall_ns
from muster.vocabulary.request_ids import request_id_text

STEPS = {
    "back by an hour": -HOUR_NS,
    "forward by an hour": HOUR_NS,
    "back by a year": -365 * DAY_NS,
    "forward by a year": 365 * DAY_NS,
    "to 1970": -wall_ns() + DAY_NS,
}


class SteppedClock:
    """The machine's clock, as far off as it was set."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.off_ns = 0
        patch.setattr("time.time_ns", self.now_ns)

    def now_ns(self) -> int:
        return max(0, _real() + self.off_ns)


_real = time.time_ns


@pytest.fixture
def stepped(monkeypatch: pytest.MonkeyPatch) -> SteppedClock:
    return SteppedClock(monkeypatch)


def answer(made: Workshop, clock: SteppedClock, count: int = 3, **changes: Any) -> None:
    made.answer(count, at_ns=clock.now_ns(), **changes)


@pytest.mark.parametrize("step_ns", STEPS.values(), ids=STEPS.keys())
def test_every_record_is_found_after_a_step(tmp_path: Path, stepped: SteppedClock, step_ns: int) -> None:
    """Before and after the step, within a segment and across, in the spool, in Parquet, with late answers."""
    made = Workshop(tmp_path)
    answer(made, stepped)
    waiting = [made.ids.next(made.writer.segment) for _ in range(2)]
    stepped.off_ns = step_ns
    answer(made, stepped)
    for request_id in waiting:  # arrived before the step, decided some segments after it
        for _ in range(4):
            answer(made, stepped, 1)
            made.rotate()
        answer(made, stepped, 1, request_id=request_id)
        made.answer_late(made.decided[0])
    made.rotate()
    ids = [event.request_id for event in made.decided]
    assert len(set(ids)) == len(ids)
    for _ in range(2):  # in the spool, then in Parquet
        for event in made.decided:
            found = made.reader.find(request_id_text(event.request_id))
            assert found is not None
            assert found.decided == event
        assert len(made.reader.last("churn", 100)) == len(ids)
        assert made.verify().problems == []
        made.compact()
    first = made.reader.find(request_id_text(ids[0]))
    assert first is not None
    assert len(first.late) == 2
    made.close()


def test_records_lie_in_the_hour_they_name(tmp_path: Path, stepped: SteppedClock) -> None:
    """So a window is exported whole, though the clock was set back in the middle of a segment."""
    made = Workshop(tmp_path)
    answer(made, stepped)
    stepped.off_ns = -5 * HOUR_NS
    answer(made, stepped)
    made.close()
    assert len(made.compact()) == 2
    stepped.off_ns = 0
    exports = Exports(tmp_path)
    earlier = exports.window("churn", "default", wall_ns() - 6 * HOUR_NS, wall_ns() - 4 * HOUR_NS)
    assert len(list(exports.records(earlier))) == 3
    assert len(list(exports.records(exports.window("churn", "default", None, None)))) == 6


def test_segments_keep_their_order_whatever_the_clock_says(tmp_path: Path, stepped: SteppedClock) -> None:
    """Their numbers rise, and so does the chain."""
    made = Workshop(tmp_path)
    numbers = []
    for off_ns in (0, -DAY_NS, DAY_NS, -2 * DAY_NS):
        stepped.off_ns = off_ns
        answer(made, stepped, 1)
        numbers.append(made.rotate())
    made.close()
    assert numbers == [1, 2, 3, 4]
    verdict = made.verify()
    assert verdict.problems == []
    assert verdict.chains[0].segments == 5
