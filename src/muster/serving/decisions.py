"""What a policy sees and what it says. Pure values."""

from dataclasses import dataclass
from enum import IntEnum

from muster.vocabulary.states import Reason


class Outcome(IntEnum):
    """What is known of one variant's work on one request."""

    PENDING = 0
    ANSWERED = 1
    FAILED = 2


@dataclass(frozen=True, slots=True)
class Decision:
    """Answer now.

    `variant` is the index into the plan's variants, -1 for the default answer (or for none, when the plan has no default).
    `probability` is that with which the policy would choose so again, given the same answers at the same time.
    """

    variant: int
    reason: Reason
    probability: float = 1.0


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Ask again when another answer is there, at the latest `elapsed_s` seconds after the request's arrival."""

    elapsed_s: float
