"""Rows per second: of one row at a time, of a few, of many."""

import math
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from muster.certification import checks
from muster.certification.load.rows import Rows
from muster.certification.records import Figure
from muster.packaging.columns import Table
from muster.runtimes.channel import Channel
from muster.runtimes.conformance.tables import ask, error_of
from muster.sessions.records import Measure
from muster.wire.evidence import Bars

BATCHES = (1, 32, 1000)
_MICRO = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rate:
    """What one size of batch came to."""

    rows: int
    rows_per_s: float


class Throughput:
    """Rows per second on the real host, by the size of the batch."""

    name: ClassVar[str] = "throughput"
    asks: ClassVar[str] = "how many rows does it answer in a second?"
    limit: ClassVar[Figure] = None
    is_needed: ClassVar[bool] = False
    is_timed: ClassVar[bool] = True
    remedy: ClassVar[str] = (
        "Compute all rows of a batch in one call instead of one after another, or have a compiled twin made (`muster certify --twin`)."
    )

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """How long is measured, and what has to come of it."""

        seconds: float = 0.03
        """For each size of batch."""
        rows_per_s: float | None = None
        """So many at least, at the best size; without it there is no limit but the time after which a host counts as hung."""

        def problems(self) -> list[str]:
            """What is wrong beyond types."""
            wrong = [] if 0 < self.seconds <= 60 else [f"seconds is {self.seconds:g}; it is above 0 and at most 60"]
            if self.rows_per_s is not None and not 0 < self.rows_per_s < math.inf:
                wrong.append(f"rows_per_s is {self.rows_per_s:g}; it is a number above 0")
            return wrong

    def answer(self, bench: checks.Bench, stack: ExitStack) -> checks.Finding:  # noqa: ARG002 - nothing to end
        """Microseconds for a row, at the best size of batch."""
        assert bench.channel is not None
        assert bench.golden is not None
        options = bench.given(self, self.Options)
        least = options.rows_per_s or 1 / bench.options.answer_limit_s  # what takes longer counts as hung
        limit = None if options.rows_per_s is None else round(_MICRO / options.rows_per_s, 3)
        rows, per_row_s = Rows(bench.golden.inputs), 0.0
        rates: list[_Rate] = []
        for size in BATCHES:
            if rates and size * per_row_s > max(1.0, 10 * options.seconds):
                break  # it would take as long as it takes now, only longer: a slow model is not kept busy for nothing
            found = measured(bench.channel, rows.block(size), options.seconds)
            if isinstance(found, str):
                return checks.Finding(
                    passed=False,
                    figure="not answered",
                    limit=limit,
                    detail=f"{size} golden rows at once: {found}",
                )
            rates.append(_Rate(rows=size, rows_per_s=found))
            per_row_s = 1 / found
        best = max(rates, key=lambda rate: rate.rows_per_s)
        bench.at_hand.row_s = 1 / best.rows_per_s
        figure = round(_MICRO / best.rows_per_s, 3)
        told = ", ".join(f"{rate.rows_per_s:,.0f} rows/s at {rate.rows} rows" for rate in rates)
        return checks.Finding(
            passed=best.rows_per_s >= least,
            figure=figure,
            limit=limit,
            detail=told + _asked(options.rows_per_s, least, best),
            figures={f"rows_per_s.{rate.rows}": round(rate.rows_per_s, 3) for rate in rates},
            exhibits=(
                Bars(
                    title="Rows answered in a second, by the size of the batch",
                    x="rows per second",
                    names=tuple(f"{rate.rows} row{'s' if rate.rows > 1 else ''}" for rate in rates),
                    values=tuple(round(rate.rows_per_s, 3) for rate in rates),
                ),
            ),
            measures=tuple(
                Measure(name=f"rows_per_s_{rate.rows}", version=1, value=rate.rows_per_s, over="golden")
                for rate in rates
            ),
        )


def measured(channel: Channel, block: Table, seconds: float) -> float | str:
    """Rows per second of a batch that is asked again and again; text: it was answered with an error.

    Args:
        channel: to the host.
        block: the batch.
        seconds: for how long; at least two calls are made, of which the first is not counted.
    """
    answer = ask(channel, block)
    if answer.errors:
        return error_of(answer)
    calls, begun = 0, time.perf_counter()
    while True:
        answer = ask(channel, block)
        calls += 1
        took = time.perf_counter() - begun
        if answer.errors:
            return error_of(answer)
        if took >= seconds:
            return calls * block.rows / took


def _asked(asked: float | None, least: float, best: _Rate) -> str:
    """What is asked for, where somebody asks; that the host is as good as hung, where it is."""
    if asked is not None:
        return f"; at least {asked:,.2f} rows/s are asked for"
    return "" if best.rows_per_s >= least else f"; one row in {1 / least:g} s is no answer any more"
