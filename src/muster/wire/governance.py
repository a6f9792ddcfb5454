"""Documents of the control API about standards, gates, waivers and delegations."""

from typing import Annotated, Literal

import msgspec

from muster.wire.control import Answer, MomentText, NameText, Order, ReasonText

#: Name of a check, or of what a standard asks of a bundle.
CheckText = Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[a-z][a-z0-9.:-]{0,63}$")]
#: The TOML of a standard.
StandardText = Annotated[str, msgspec.Meta(min_length=1, max_length=100_000)]

#: The program of a check: Python.
ProgramText = Annotated[str, msgspec.Meta(min_length=1, max_length=100_000)]


# --- orders ---------------------------------------------------------------------------------------------------------


class OpinionOrder(Order, frozen=True, kw_only=True):
    """Say something at a gate."""

    reason: ReasonText
    for_person: NameText | None = None
    """Who is absent, and in whose place the caller votes; null: nobody."""


class CommentOrder(Order, frozen=True, kw_only=True):
    """Remark something at a gate."""

    text: ReasonText


class StandardOrder(Order, frozen=True, kw_only=True):
    """What shall hold in a project."""

    text: StandardText
    """TOML, as docs/reference/standards.md describes it."""
    reason: ReasonText


class CheckOrder(Order, frozen=True, kw_only=True):
    """Add a check of the project's own."""

    name: NameText
    """Standards call it `own:` and this."""
    program: ProgramText
    """Python, as docs/reference/own-checks.md describes it."""
    reason: ReasonText


class DryRunOrder(Order, frozen=True, kw_only=True):
    """A standard to hold against what is served."""

    text: StandardText


class DelegationOrder(Order, frozen=True, kw_only=True):
    """Let somebody vote in the caller's place for a while."""

    to: NameText
    ends: MomentText
    starts: MomentText | None = None
    """Null: from now."""
    reason: ReasonText


class WaiverOrder(Order, frozen=True, kw_only=True):
    """Ask that a version may fail a check, or lack something, until a moment."""

    check: CheckText
    ends: MomentText
    reason: ReasonText


# --- answers --------------------------------------------------------------------------------------------------------


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the approvals that a gate asks for."""

    count: int
    role: str | None
    """Null: whoever has the right of the gate."""


class GateRule(msgspec.Struct, frozen=True, kw_only=True):
    """What a gate asks of the votes."""

    approvals: tuple[Need, ...]
    disjoint: bool
    expires: str | None
    """How long votes and proposals last: `30d`; null: for ever."""
    changes_block: bool


class Opinion(msgspec.Struct, frozen=True, kw_only=True):
    """What one person said, and whether it counts."""

    number: int
    voter: str
    verdict: Literal["approve", "request-changes", "reject"]
    text: str
    at: str
    for_person: str | None
    roles: tuple[str, ...]
    """What the person for whom the vote is held then."""
    not_before: str | None
    digest: str
    """Of what was judged."""
    counts: bool
    why_not: str | None


class Comment(msgspec.Struct, frozen=True, kw_only=True):
    """A remark."""

    number: int
    author: str
    text: str
    at: str


class Review(Answer, frozen=True, kw_only=True):
    """All that was said about something at a gate, and what it comes to."""

    subject: str
    gate: Literal["acceptance", "go-live", "standard"]
    digest: str
    """Of what is judged now: a vote about another digest is void."""
    rules: tuple[GateRule, ...]
    is_met: bool
    missing: tuple[str, ...]
    opinions: tuple[Opinion, ...]
    comments: tuple[Comment, ...]


class Standard(Answer, frozen=True, kw_only=True):
    """A standard of a project; number 0 is the ready one that holds where none was adopted."""

    number: int
    name: str
    description: str
    digest: str
    state: Literal["proposed", "adopted", "rejected", "superseded"]
    in_force: bool
    text: str
    proposed_by: str | None
    proposed_at: str | None
    reason: str
    basis: int | None
    """Number of what was in force when it was proposed."""
    decided_by: str | None
    decided_at: str | None
    decision_reason: str | None
    missing: tuple[str, ...]
    """What its gate still asks for, in words."""


class StandardSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A standard in a list."""

    number: int
    name: str
    digest: str
    state: Literal["proposed", "adopted", "rejected", "superseded"]
    proposed_by: str
    proposed_at: str
    reason: str
    decided_by: str | None


class ProjectCheck(Answer, frozen=True, kw_only=True):
    """A check of the project's own; in force where the standard names its digest as the check's `program`."""

    name: str
    digest: str
    """Of its program."""
    size: int
    added_by: str
    added_at: str
    reason: str
    text: str | None = None
    """The program; told where one is asked for."""


class ProjectChecks(Answer, frozen=True, kw_only=True):
    """The checks of the project's own, the newest first."""

    checks: tuple[ProjectCheck, ...]


class Standards(Answer, frozen=True, kw_only=True):
    """The standards of a project, the newest first."""

    in_force: int
    """0: none of its own; the ready one `exploration` holds."""
    standards: tuple[StandardSummary, ...]


class Lack(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is missing by a standard."""

    name: str
    """By which it can be waived."""
    problem: str
    remedy: str


class WouldFail(msgspec.Struct, frozen=True, kw_only=True):
    """A version that is served, and what it would lack."""

    version: str
    endpoints: tuple[str, ...]
    lacks: tuple[Lack, ...]


class DryRun(Answer, frozen=True, kw_only=True):
    """What is served, held against a standard."""

    name: str
    fails: int
    """How many of the versions would fail."""
    versions: tuple[WouldFail, ...]


class Delegation(Answer, frozen=True, kw_only=True, rename={"from_person": "from"}):
    """That somebody votes in the place of somebody who is absent."""

    id: str
    from_person: str
    to: str
    starts: str
    ends: str
    reason: str
    holds: bool
    """Now."""


class Delegations(Answer, frozen=True, kw_only=True):
    """The delegations of a project."""

    delegations: tuple[Delegation, ...]


class Waiver(Answer, frozen=True, kw_only=True):
    """That a version may fail a check, or lack something, for a while."""

    id: str
    version: str
    digest: str
    check: str
    reason: str
    state: Literal["asked", "granted", "refused"]
    holds: bool
    """Now."""
    asked_by: str
    asked_at: str
    ends: str
    decided_by: str | None
    decided_at: str | None
    decision_reason: str | None


class Waivers(Answer, frozen=True, kw_only=True):
    """The waivers of a project, the newest first."""

    waivers: tuple[Waiver, ...]
