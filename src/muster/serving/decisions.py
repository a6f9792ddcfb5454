"""What a policy sees and what it says. Pure values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from muster.packaging.columns import Column
from muster.vocabulary.states import Reason

#: In place of a variant's index: the default answer, or none.
DEFAULT = -1
#: In place of a variant's index: an answer that the policy made from several variants' answers.
COMBINED = -2


class Outcome(IntEnum):
    """What is known of one variant's work on one request."""

    PENDING = 0
    ANSWERED = 1
    FAILED = 2
    PASSED_OVER = 3
    """It is on probation, so nobody waits for it and it counts as late; once its answer is there it is `ANSWERED` like any other."""


class Seen(Protocol):
    """One request as a policy sees it. Looking changes nothing."""

    @property
    def rows(self) -> int:
        """How many rows were asked."""
        ...

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """One per variant of the plan."""
        ...

    @property
    def step(self) -> int:
        """Which step of the release's ramp is current; 0 where there is none."""
        ...

    def outputs(self, variant: int) -> Mapping[str, Column]:
        """The columns of a variant that has answered, by output."""
        ...

    def input(self, name: str) -> Column:
        """One column of the request."""
        ...


@dataclass(frozen=True, slots=True)
class Decision:
    """Answer now.

    `variant` is the index into the plan's variants, `DEFAULT` for the default answer (or for none, when the plan has no
    default), `COMBINED` for an answer made from several. `probability` is that with which the policy would choose `variant` again,
    given the same answers at the same time; it is above 0.
    """

    variant: int
    reason: Reason
    probability: float = 1.0
    chosen: tuple[int, ...] | None = None
    """One index per row, where the rows are answered by different variants; `variant` is then that of the first row."""
    weights: tuple[float, ...] | None = None
    """The weight that each variant of the plan had in a combined answer; they sum to 1."""
    outputs: Mapping[str, Column] | None = None
    """The columns of a combined answer."""


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Ask again when another answer is there, at the latest `elapsed_s` seconds after the request's arrival."""

    elapsed_s: float


class Policy(Protocol):
    """Given the answers so far and the time that has passed: answer, or wait until when.

    Same arguments, same decision; a policy knows neither sockets nor clocks, and keeps nothing between calls.
    """

    def choose(self, seen: Seen, elapsed_s: float) -> Decision | WaitUntil:
        """What to do now, `elapsed_s` seconds after the request arrived."""
        ...
