"""Live-tests as services and doors see them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from muster.livetests.figures import Figures
from muster.standards.evaluation import LiveTestFound
from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import LIVE_TEST_MOVES, LiveTestState

#: In these it asks for something yet.
OPEN = frozenset(state for state, following in LIVE_TEST_MOVES.items() if following)
#: In these fronts let it see requests.
SHADOWING = frozenset({LiveTestState.LOADING, LiveTestState.RUNNING})
#: In these its records are counted.
COUNTED = frozenset({LiveTestState.RUNNING, LiveTestState.COUNTING})


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTest:
    """A version on trial at an endpoint."""

    project: str
    endpoint: str
    number: int
    """Of the endpoint's live-tests; never used again."""
    version: VersionName
    manifest: Digest
    release: int
    """Beside which release."""
    champion: VersionName
    """Of that release."""
    canaries: tuple[VersionName, ...]
    deadline_ms: float
    """Of that release."""
    requests: int | None
    """How many it shall be asked, at least; None: so many as there are."""
    hours: float | None
    """How long it shall last, at least; None: until it has seen the requests."""
    share: float
    state: LiveTestState
    started_by: str
    started_at: datetime
    reason: str
    running_at: datetime | None = None
    """Every connected front had loaded it."""
    ended_at: datetime | None = None
    """Since then it is asked no more."""
    counted_to: datetime | None = None
    """What arrived before is in the figures."""
    figures: Figures
    outcome: str = ""
    """Why it passed, failed or was stopped, in words."""
    session: str | None = None
    """On which its measures hang, once it is over."""

    @property
    def subject(self) -> str:
        """How audit events name it."""
        return f"{self.endpoint} live-test {self.number}"

    @property
    def lasted(self) -> timedelta:
        """For how long it was, or has been, asked, as far as it is counted."""
        if self.running_at is None:
            return timedelta(0)
        return (self.ended_at or self.counted_to or self.running_at) - self.running_at

    def found(self) -> LiveTestFound:
        """Its figures, as a standard looks at them."""
        return LiveTestFound(
            subject=self.subject,
            requests=self.figures.taken,
            hours=self.lasted / timedelta(hours=1),
            errors=self.figures.errors_share,
            late=self.figures.late_share,
            left_out=self.figures.left_out_share,
            down=self.figures.down_share,
            disagreement=self.figures.disagreement,
            unlike=self.figures.unlike,
            shift=self.figures.largest_shift,
            passed=self.state is LiveTestState.PASSED,
            outcome=self.outcome,
            ended_at=self.ended_at,
        )
