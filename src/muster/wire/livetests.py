"""Documents of the control API about live-tests."""

from typing import Annotated

import msgspec

from muster.vocabulary.states import LiveTestState
from muster.wire.control import Answer, Order, ReasonText, VersionText
from muster.wire.evidence import Exhibit


class LiveTestOrder(Order, frozen=True, kw_only=True):
    """Put a version on trial beside the release that an endpoint serves."""

    version: VersionText
    reason: ReasonText
    requests: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)] | None = None
    """How many it shall be asked, at least; null: so many as come within the hours."""
    hours: Annotated[float, msgspec.Meta(gt=0, le=720)] | None = None
    """How long it shall last, at least; with neither, what the project's standard asks for."""
    share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    """Of the requests."""


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """How far an output is shifted against another version's."""

    output: str
    against: str
    index: float
    """Population stability index."""
    gap: float | None
    """Kolmogorov-Smirnov distance over the bins; null for texts."""
    values: int
    """On the side that has fewer; below 200 the index does not count."""


class LiveTestFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted so far."""

    requests: int
    """That the version was asked."""
    answered: int
    failed: int
    late: int
    """Answers after the deadline, and requests without any."""
    left_out: int
    """Requests that it was not asked, because its front or its host had too much to do, or no host of it ran."""
    down: int
    """Of these, those for which no host of it ran, although one had before."""
    errors: float
    """Share of the requests."""
    late_share: float
    rows_compared: int
    disagreement: float | None
    unlike: float | None
    """Share of the rows compared in which one answer has a number and the other none."""
    differences: dict[str, float]
    """Mean absolute difference by output of decimal numbers."""
    shift: float | None
    """The largest population stability index that counts."""
    shifts: tuple[Shift, ...]
    p50_ms: float | None
    p99_ms: float | None
    champion_p99_ms: float | None
    """Of the champion, on the same requests."""


class LiveTest(Answer, frozen=True, kw_only=True):
    """A version on trial."""

    endpoint: str
    number: int
    version: str
    manifest: str
    release: int
    """Beside which release."""
    champion: str
    state: LiveTestState
    requests: int | None
    hours: float | None
    share: float
    started_by: str
    started_at: str
    reason: str
    running_at: str | None
    ended_at: str | None
    counted_to: str | None
    """What arrived before is in the figures."""
    outcome: str
    """Why it passed, failed or was stopped; empty while it is open."""
    session: str | None
    """On which its measures hang."""
    figures: LiveTestFigures


class LiveTests(Answer, frozen=True, kw_only=True):
    """Live-tests, the newest of an endpoint first."""

    live_tests: tuple[LiveTest, ...]
    next: int | None = None


class LiveTestReport(Answer, frozen=True, kw_only=True):
    """What came of a live-test, with what it shows."""

    live_test: LiveTest
    broken: tuple[str, ...]
    """By what its figures fall short of the standard that is in force now."""
    exhibits: tuple[Exhibit, ...]
