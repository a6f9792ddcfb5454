"""The standards of a project as services and doors see them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from muster.standards.document import Standard, read_standard
from muster.vocabulary.digests import Digest


class StandardState(StrEnum):
    """Where a standard is in its life."""

    PROPOSED = "proposed"
    ADOPTED = "adopted"
    """In force."""
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
    """It was in force until another was adopted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectStandard:
    """A standard that somebody proposed for a project."""

    project: str
    number: int
    """Of the project's standards; never used again."""
    name: str
    digest: Digest
    text: str
    state: StandardState
    basis: int
    """What was in force when it was proposed; 0: none of the project's own."""
    proposed_by: str
    proposed_at: datetime
    reason: str
    decided_by: str | None = None
    decided_at: datetime | None = None
    decision_reason: str | None = None
    missing: tuple[str, ...] = ()
    """What its gate still asks for, in words; told of proposed ones."""

    @property
    def subject(self) -> str:
        """How votes and audit events name it."""
        return f"standard {self.number}"

    @property
    def standard(self) -> Standard:
        """What it says."""
        return read_standard(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectCheck:
    """A check of the project's own: a program that a standard can name."""

    project: str
    name: str
    """Standards call it `own:` and this."""
    digest: Digest
    """Of its program."""
    size: int
    added_by: str
    added_at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a certificate of this moment says of the standard it was given by."""

    name: str
    number: int
    """0: one that comes with Muster."""
    digest: Digest
    valid: timedelta | None
    """How long it is good; None: for ever."""
    renew: timedelta | None
    """How long before its end the factory certifies by itself again; None: it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What holds in a project."""

    number: int
    """0: the project has adopted none, and the ready one `exploration` holds."""
    standard: Standard

    @property
    def is_own(self) -> bool:
        """Whether the project has adopted it."""
        return self.number > 0
