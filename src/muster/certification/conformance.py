"""The question that the conformance kit answers: does the host behave as hosts do?"""

from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from typing import ClassVar

from muster.certification.checks import Bench, Finding
from muster.certification.records import Figure
from muster.runtimes.channel import Channel
from muster.runtimes.conformance.cases import CERTIFIED
from muster.runtimes.conformance.kit import Outcome, Subject, conform
from muster.runtimes.host import running_host
from muster.runtimes.parent import Limits


class HostConforms:
    """The cases of the conformance kit that need no values but the golden ones, and that take no minutes.

    The last of them stops the host that the questions before have used.
    """

    name: ClassVar[str] = "host-conforms"
    asks: ClassVar[str] = "does its host pass the conformance kit?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = False
    is_kept: ClassVar[bool] = True
    remedy: ClassVar[str] = "Run `muster conform DIR` in the lab and mend the case that it names."

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - the kit ends what it starts
        """How many cases failed."""
        assert bench.bundle is not None
        assert bench.golden is not None

        def start(limits: Limits) -> AbstractContextManager[Channel]:
            assert bench.folder is not None
            assert bench.bundle is not None
            assert bench.environment is not None
            order = bench.environment.order(bench.folder, bench.bundle)
            if limits.memory_bytes is None:
                limits = replace(limits, memory_bytes=bench.host_limits.memory_bytes)
            return running_host(bench.environment, bench.folder, order, bench.log, limits=limits)

        subject = Subject(bundle=bench.bundle, golden=bench.golden, start=start, running=bench.channel)
        report = conform(subject, CERTIFIED)
        bench.channel = None
        told = "; ".join(f"{result.case}: {result.detail}" for result in report.failed)
        put = sum(result.outcome is not Outcome.NOT_APPLICABLE for result in report.results)
        whole = f"{put} cases passed: " + ", ".join(result.case for result in report.results)
        return Finding(passed=report.passed, figure=len(report.failed), limit=0, detail=told or whole)
