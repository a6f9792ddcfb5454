"""The lives of a version, a release and a session, as tables of legal moves."""

from enum import StrEnum


class VersionState(StrEnum):
    """Where a version is in its life."""

    REGISTERED = "registered"
    CERTIFIED = "certified"
    ACCEPTED = "accepted"
    RETIRED = "retired"
    BANNED = "banned"


#: What may follow what. A version that is `retired` or `banned` never comes back: register a new one.
VERSION_MOVES: dict[VersionState, frozenset[VersionState]] = {
    VersionState.REGISTERED: frozenset({VersionState.CERTIFIED, VersionState.BANNED}),
    VersionState.CERTIFIED: frozenset({VersionState.ACCEPTED, VersionState.RETIRED, VersionState.BANNED}),
    VersionState.ACCEPTED: frozenset({VersionState.RETIRED, VersionState.BANNED}),
    VersionState.RETIRED: frozenset({VersionState.BANNED}),
    VersionState.BANNED: frozenset(),
}


class ReleaseState(StrEnum):
    """Where a release is in its life; which one is current is a history of pointers, not a state."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    LIVE = "live"
    SUPERSEDED = "superseded"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    FAILED = "failed"


#: `superseded → live` is what a roll back does: an earlier release becomes current again.
RELEASE_MOVES: dict[ReleaseState, frozenset[ReleaseState]] = {
    ReleaseState.PROPOSED: frozenset({ReleaseState.APPROVED, ReleaseState.REJECTED, ReleaseState.WITHDRAWN}),
    ReleaseState.APPROVED: frozenset({ReleaseState.LIVE, ReleaseState.FAILED, ReleaseState.WITHDRAWN}),
    ReleaseState.LIVE: frozenset({ReleaseState.SUPERSEDED}),
    ReleaseState.SUPERSEDED: frozenset({ReleaseState.LIVE}),
    ReleaseState.REJECTED: frozenset(),
    ReleaseState.WITHDRAWN: frozenset(),
    ReleaseState.FAILED: frozenset(),
}


class SessionState(StrEnum):
    """Where a session (one execution of long work) is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"


#: Work that is interrupted is begun again by itself; after its third attempt that ended so, it is `failed`.
SESSION_MOVES: dict[SessionState, frozenset[SessionState]] = {
    SessionState.QUEUED: frozenset({SessionState.RUNNING, SessionState.CANCELLED}),
    SessionState.RUNNING: frozenset(
        {SessionState.PASSED, SessionState.FAILED, SessionState.INTERRUPTED, SessionState.CANCELLED}
    ),
    SessionState.INTERRUPTED: frozenset({SessionState.RUNNING, SessionState.CANCELLED}),
    SessionState.PASSED: frozenset(),
    SessionState.FAILED: frozenset(),
    SessionState.CANCELLED: frozenset(),
}

#: A session in one of these will go on.
OPEN_SESSIONS: frozenset[SessionState] = frozenset(state for state, moves in SESSION_MOVES.items() if moves)


class LiveTestState(StrEnum):
    """Where a live-test is in its life."""

    QUEUED = "queued"
    """The fronts are told once no release of the endpoint is on its way to them."""
    LOADING = "loading"
    RUNNING = "running"
    COUNTING = "counting"
    """It is asked no more; what was recorded is being counted."""
    PASSED = "passed"
    FAILED = "failed"
    STOPPED = "stopped"


_ENDS = frozenset({LiveTestState.FAILED, LiveTestState.STOPPED})
LIVE_TEST_MOVES: dict[LiveTestState, frozenset[LiveTestState]] = {
    LiveTestState.QUEUED: _ENDS | {LiveTestState.LOADING},
    LiveTestState.LOADING: _ENDS | {LiveTestState.RUNNING},
    LiveTestState.RUNNING: _ENDS | {LiveTestState.COUNTING},
    LiveTestState.COUNTING: _ENDS | {LiveTestState.PASSED},
    LiveTestState.PASSED: frozenset(),
    LiveTestState.FAILED: frozenset(),
    LiveTestState.STOPPED: frozenset(),
}


class Role(StrEnum):
    """What a variant is for in a release, or beside it."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    CANARY = "canary"
    SHADOW = "shadow"
    """On trial beside a release: it sees requests after the others, and its answers are recorded and given to nobody."""


class Reason(StrEnum):
    """Why an answer is the one that was given."""

    CHAMPION = "champion"
    """The first variant of the order answered within its patience."""
    FALLBACK_LATE = "fallback_late"
    """A later variant of the order answered; those before it had not answered within their patience."""
    FALLBACK_ERROR = "fallback_error"
    """A later variant of the order answered; one before it failed."""
    FORCED = "forced"
    """A version was asked for directly, with the right to do so."""
    SPLIT = "split"
    """The variant that the request's unit is assigned to answered within its patience."""
    VOTE = "vote"
    """The answer that most variants gave."""
    WEIGHTED = "weighted"
    """The weighted mean of the variants that were in."""
    DEFAULT = "default"
    """No variant of the order answered in time: the release's default answer."""
    NONE = "none"
    """No variant answered in time and the release has no default answer: the caller got an error."""
