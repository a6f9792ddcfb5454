"""The memory that a host holds: at rest, under load, and at most since it was started."""

import math
from contextlib import ExitStack
from typing import ClassVar

import msgspec
import psutil

from muster.certification import checks
from muster.certification.load.memory import Watch, held_by
from muster.certification.load.rows import Rows
from muster.certification.records import Figure
from muster.runtimes.conformance.tables import ask, error_of
from muster.sessions.records import Measure
from muster.wire.evidence import Curve, Exhibit, Series

_MIB = 1024 * 1024
_CALLS = 10
_ROWS = 1000
_BATCH_S = 0.25
_POINTS = 200


class MemoryHeld:
    """What the host and all that it started hold at most."""

    name: ClassVar[str] = "memory"
    asks: ClassVar[str] = "how much memory does its host hold?"
    limit: ClassVar[Figure] = None
    is_needed: ClassVar[bool] = False
    remedy: ClassVar[str] = (
        "Look for copies of the whole batch and for what grows with every request; load what is needed once, when the model is loaded; "
        "or declare in [load] what it takes."
    )

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """What it may hold, and how much it is asked."""

        memory_mib: float | None = None
        """The limit, instead of what the bundle declares; without either, and at most, what a host may have when it serves."""
        rows: int | None = None
        """Of the batches that it is asked; without it 1,000, or as many as a slow model answers in a quarter of a second."""

        def problems(self) -> list[str]:
            """What is wrong beyond types."""
            wrong = (
                [] if self.rows is None or 1 <= self.rows <= 100_000 else [f"rows is {self.rows}; it is 1 to 100,000"]
            )
            if self.memory_mib is not None and not 0 < self.memory_mib < math.inf:
                wrong.append(f"memory_mib is {self.memory_mib:g}; it is a number above 0")
            return wrong

    def answer(self, bench: checks.Bench, stack: ExitStack) -> checks.Finding:  # noqa: ARG002 - nothing to end
        """MiB that it held at most since it was started, over all that it was asked in the examination."""
        assert bench.channel is not None
        assert bench.golden is not None
        assert bench.bundle is not None
        options = bench.given(self, self.Options)
        declared = None if bench.bundle.load is None else bench.bundle.load.memory_mib
        most = bench.options.host_memory_mib or psutil.virtual_memory().total / _MIB
        limit = min(options.memory_mib or declared or most, most)
        pid = bench.channel.hello.pid
        before = held_by(pid)
        rows = options.rows or _rows(bench.at_hand.row_s)
        block = Rows(bench.golden.inputs).block(rows)
        grown: list[tuple[float, float]] = [(0.0, before.resident_mib)]
        unanswered = ""
        with Watch(pid, every_s=0.02) as watch:
            spent_ns = 0
            for call in range(_CALLS):
                answer = ask(bench.channel, block)
                if answer.errors:
                    unanswered = f"{rows} rows at once: {error_of(answer)}; "
                    break
                spent_ns += answer.latency_ns
                grown.append((float(call + 1), held_by(pid).resident_mib))
                if spent_ns > 50_000_000 or watch.peak_mib > limit:
                    break
        after = held_by(pid)
        peak = max(watch.peak_mib, after.peak_mib)
        processes = f"{after.processes} process{'es' if after.processes != 1 else ''}"
        return checks.Finding(
            passed=peak <= limit and not unanswered,
            figure=round(peak, 1),
            limit=round(limit, 1),
            detail=(
                f"{unanswered}{before.resident_mib:.0f} MiB resident before and {after.resident_mib:.0f} MiB after "
                f"{len(grown) - 1} batches of {rows} rows, {peak:.0f} MiB at most in {processes}; "
                f"{limit:.0f} MiB are allowed"
            ),
            figures={
                "resident_mib": round(after.resident_mib, 1),
                "peak_mib": round(peak, 1),
                "processes": float(after.processes),
            },
            exhibits=_exhibits(grown, bench.at_hand.resident),
            measures=(
                Measure(name="resident_mib", version=1, value=after.resident_mib, over="golden"),
                Measure(name="peak_mib", version=1, value=peak, over="golden"),
            ),
        )


def _rows(row_s: float) -> int:
    return _ROWS if row_s * _ROWS <= _BATCH_S else max(1, int(_BATCH_S / row_s))


def _exhibits(grown: list[tuple[float, float]], under_load: list[tuple[float, float]]) -> tuple[Exhibit, ...]:
    found: list[Exhibit] = [_curve("Memory from batch to batch", "batch", grown)]
    if under_load:
        step = max(1, len(under_load) // _POINTS)
        found.append(_curve("Memory under load", "second", under_load[::step]))
    return tuple(found)


def _curve(title: str, x: str, points: list[tuple[float, float]]) -> Curve:
    series = Series(
        name="resident", x=tuple(round(at, 3) for at, _ in points), y=tuple(round(mib, 2) for _, mib in points)
    )
    return Curve(title=title, x=x, y="MiB", series=(series,))
