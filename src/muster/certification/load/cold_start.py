"""How long a fresh host takes from its start to its first answer."""

import math
import time
from contextlib import ExitStack
from typing import ClassVar

import msgspec

from muster.certification import checks
from muster.certification.records import Figure
from muster.packaging.columns import rows_between
from muster.runtimes.conformance.tables import ask, error_of
from muster.runtimes.host import running_host
from muster.sessions.records import Measure


class ColdStart:
    """A host that was not there answers soon enough."""

    name: ClassVar[str] = "cold-start"
    asks: ClassVar[str] = "how long until a fresh host has answered?"
    limit: ClassVar[Figure] = None
    is_needed: ClassVar[bool] = False
    is_kept: ClassVar[bool] = True
    is_timed: ClassVar[bool] = True
    remedy: ClassVar[str] = (
        "Import less when the model is loaded and keep its files small: `python -X importtime` names what takes long; "
        "or declare in [load] what it takes."
    )

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """How long it may take."""

        cold_start_s: float | None = None
        """The limit, instead of what the bundle declares; without either, that of loading."""

        def problems(self) -> list[str]:
            """What is wrong beyond types."""
            given = self.cold_start_s
            return (
                [f"cold_start_s is {given:g}; it is a number above 0"]
                if given is not None and not 0 < given < math.inf
                else []
            )

    def is_asked(self, bench: checks.Bench) -> bool:
        """Whether the bundle declares how long it takes: a second host is started for it."""
        return bench.bundle is not None and bench.bundle.load is not None and bench.bundle.load.cold_start_s is not None

    def answer(self, bench: checks.Bench, stack: ExitStack) -> checks.Finding:  # noqa: ARG002 - the host ends with the block
        """Seconds from starting the process to the answer to one row."""
        assert bench.environment is not None
        assert bench.folder is not None
        assert bench.bundle is not None
        assert bench.golden is not None
        options = bench.given(self, self.Options)
        declared = None if bench.bundle.load is None else bench.bundle.load.cold_start_s
        limit_s = options.cold_start_s or declared or bench.options.load_limit_s
        begun = time.monotonic()
        with running_host(
            bench.environment,
            bench.folder,
            bench.environment.order(bench.folder, bench.bundle),
            bench.log,
            limits=bench.host_limits,
            load_timeout_s=bench.options.load_limit_s,
            answer_timeout_s=bench.options.answer_limit_s,
        ) as channel:
            there_s = time.monotonic() - begun
            answer = ask(channel, rows_between(bench.golden.inputs, 0, 1))
            took_s = time.monotonic() - begun
        if answer.errors:
            return checks.Finding(passed=False, figure="not answered", limit=limit_s, detail=error_of(answer))
        return checks.Finding(
            passed=took_s <= limit_s,
            figure=round(took_s, 3),
            limit=limit_s,
            detail=f"{there_s:.2f} s until the host was there, {took_s:.2f} s until its first answer; {limit_s:g} s are allowed",
            figures={"host_s": round(there_s, 4), "first_answer_s": round(took_s, 4)},
            measures=(Measure(name="cold_start_s", version=1, value=took_s, over="golden"),),
        )
