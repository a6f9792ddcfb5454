"""Which fronts are connected, and what each has reported about which plan.

A front counts as connected while it has polled within the last ten seconds; a silent one is not waited for. What is known
lies in memory, as every front repeats its reports to a control that starts anew; only the names of the fronts are kept, so that
a control that was just restarted waits for those that have not found back yet.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from muster.release.records import Front
from muster.wire.plans import FrontReport

SILENT_AFTER_S = 10.0
_FAILURES = frozenset({"golden_failed", "load_failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A report, and when it came by this process's monotonic clock, seconds."""

    report: FrontReport
    at: float


class Followers:
    """The fronts as control sees them; used from many threads.

    Args:
        monotonic: tells seconds that only rise; tests hand in their own.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._news = threading.Condition()
        self._turn = 0
        self._seen: dict[str, float] = {}
        self._numbers: dict[str, int] = {}
        self._heard: dict[tuple[str, str], dict[tuple[int, str], Heard]] = {}

    def expect(self, fronts: frozenset[str]) -> None:
        """These followed before a restart: they have as long to come back as any front may be silent."""
        now = self._monotonic()
        with self._news:
            for front in fronts:
                self._seen.setdefault(front, now)

    def saw(self, front: str, number: int) -> None:
        """A front polled, or ended a poll; it has this publication."""
        with self._news:
            self._seen[front] = self._monotonic()
            self._numbers[front] = number

    def fronts(self) -> tuple[Front, ...]:
        """Every front that was not silent for too long when it was last looked, by name."""
        now = self._monotonic()
        with self._news:
            return tuple(
                Front(name=front, number=self._numbers.get(front, 0), silent_s=round(now - at, 3))
                for front, at in sorted(self._seen.items())
            )

    def heard(self, report: FrontReport) -> None:
        """A front reported; reports about older publications than the newest it answered are forgotten."""
        now = self._monotonic()
        with self._news:
            self._seen[report.front] = now
            reports = self._heard.setdefault((report.front, report.endpoint), {})
            newest = max((heard.report.publication for heard in reports.values()), default=0)
            if report.publication > newest:
                reports.clear()
            if report.publication >= newest:
                reports.setdefault((report.release, report.state), Heard(report=report, at=now))
            self._tell()

    def connected(self) -> frozenset[str]:
        """The fronts that are waited for now."""
        since = self._monotonic() - SILENT_AFTER_S
        with self._news:
            for front in [front for front, at in self._seen.items() if at < since]:
                del self._seen[front]
                self._numbers.pop(front, None)
                for key in [key for key in self._heard if key[0] == front]:
                    del self._heard[key]
            return frozenset(self._seen)

    def confirmed(self, endpoint: str, release: int, state: str, publication: int) -> dict[str, float]:
        """When each front reported the state for the release, under this publication or a later one."""
        with self._news:
            found = {front: self._heard[front, of].get((release, state)) for front, of in self._heard if of == endpoint}
        return {front: heard.at for front, heard in found.items() if heard and heard.report.publication >= publication}

    def failure(self, endpoint: str, release: int, publication: int) -> FrontReport | None:
        """A report that the release cannot be loaded, under this publication or a later one."""
        with self._news:
            reports = [
                heard.report
                for (_, of), by_state in self._heard.items()
                if of == endpoint
                for heard in by_state.values()
            ]
        unfit = (report for report in reports if report.release == release and report.state in _FAILURES)
        return next((report for report in unfit if report.publication >= publication), None)

    def turn(self) -> int:
        """A number that rises with everything that happens; look at it before you look at anything else."""
        with self._news:
            return self._turn

    def tell(self) -> None:
        """Something happened: wake whoever waits."""
        with self._news:
            self._tell()

    def wait(self, turn: int, timeout_s: float) -> None:
        """Return when something has happened since `turn`, or after so long."""
        with self._news:
            self._news.wait_for(lambda: self._turn != turn, timeout=timeout_s)

    def _tell(self) -> None:
        self._turn += 1
        self._news.notify_all()
