"""Votes, comments, delegations and waivers as services and doors see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from muster.access.held import Held
from muster.access.roles import Right
from muster.vocabulary.digests import Digest


class Gate(StrEnum):
    """Where people decide."""

    ACCEPTANCE = "acceptance"
    """Whether a version may be used in production."""
    GO_LIVE = "go-live"
    """Whether a release may answer."""
    STANDARD = "standard"
    """Whether a project's standard changes."""


class Verdict(StrEnum):
    """What one person says at a gate."""

    APPROVE = "approve"
    REQUEST_CHANGES = "request-changes"
    REJECT = "reject"


class WaiverState(StrEnum):
    """Where a waiver is in its life; that its time is over is no state."""

    ASKED = "asked"
    GRANTED = "granted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Some of the approvals that a gate asks for."""

    count: int
    """Of so many people."""
    role: str | None = None
    """Who have this role in the project; None: whoever has the right of the gate."""

    def __str__(self) -> str:
        who = f"with the role {self.role}" if self.role else "with the right to it"
        return f"{self.count} {'person' if self.count == 1 else 'people'} {who}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a gate asks of the votes."""

    approvals: tuple[Need, ...] = (Need(count=1),)
    """Each met by other people; nobody counts twice, whatever their roles."""
    disjoint: bool = False
    """Nobody who passed an earlier gate of the same things counts."""
    expires: timedelta | None = None
    """After which a vote counts no longer; None: never."""
    changes_block: bool = True
    """Whether the gate stays shut while somebody who counts wants changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What one person said about one state of one thing."""

    number: int
    """In the order in which votes were given, over all projects."""
    project: str
    gate: Gate
    subject: str
    """`churn:3`, `churn release 2`, `standard 4`."""
    digest: Digest
    """Of what was judged: if that is another by now, the vote is void."""
    voter: str
    verdict: Verdict
    text: str
    at: datetime
    for_person: str | None = None
    """Who was absent and had named the voter; None: nobody."""
    roles: tuple[str, ...] = ()
    """What the person for whom the vote is held then; for the record, what counts is what is held when the gate is passed."""
    not_before: datetime | None = None
    """Approved for this moment and later; None: for at once."""
    withdrawn_at: datetime | None = None
    """When the voter said something else, or took it back."""

    @property
    def person(self) -> str:
        """For whom the vote is: who was absent, or the voter."""
        return self.for_person or self.voter


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """That somebody votes in the place of somebody who is absent."""

    id: str
    project: str
    from_: str
    to: str
    starts: datetime
    ends: datetime
    reason: str
    made_by: str
    made_at: datetime

    def holds(self, moment: datetime) -> bool:
        """Whether it holds at a moment."""
        return self.starts <= moment < self.ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """What somebody said about something at a gate, without a verdict."""

    number: int
    project: str
    gate: Gate
    subject: str
    digest: Digest
    author: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """That a check may fail for a while."""

    id: str
    project: str
    subject: str
    """The version: `churn:3`."""
    digest: Digest
    """Of the version."""
    check: str
    """Name of the check, or of what the standard asks of a bundle."""
    reason: str
    asked_by: str
    asked_at: datetime
    ends: datetime
    state: WaiverState
    decided_by: str | None = None
    decided_at: datetime | None = None
    decision_reason: str | None = None

    def holds(self, moment: datetime) -> bool:
        """Whether the check may fail at a moment."""
        return self.state is WaiverState.GRANTED and moment < self.ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """What is judged at a gate, as the room that owns it sees it in the transaction at hand."""

    project: str
    gate: Gate
    subject: str
    digest: Digest
    """Of all that a vote is about; another digest is another matter."""
    right: Right
    """That a voter must have."""
    rules: tuple[Rule, ...]
    """All of them have to be met: a release may hold versions of several risk tiers."""
    excluded: frozenset[str]
    """Whoever has part in it, in lower case."""
    earlier: frozenset[str] = frozenset()
    """Whoever passed an earlier gate of the same things."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """All else on which it depends whether votes count."""

    people: Mapping[str, Held]
    delegations: tuple[Delegation, ...]
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """A vote, and whether it counts now."""

    vote: Vote
    why_not: str | None
    """Why it does not count; None: it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """All that was said about something at a gate, and what it comes to."""

    gate: Gate
    subject: str
    digest: Digest
    rules: tuple[Rule, ...]
    opinions: tuple[Opinion, ...]
    comments: tuple[Comment, ...]
    is_met: bool
    missing: tuple[str, ...]
    """What is missing, in words."""
