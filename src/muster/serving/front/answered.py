"""Who answered: what every form of an answer says of the decision."""

from functools import lru_cache
from typing import NamedTuple

from muster.serving.decisions import COMBINED
from muster.serving.endpoint import Scored
from muster.serving.plan import Plan


class Answerer(NamedTuple):
    """The variant that answered a row, in the words of an answer."""

    version: str
    """`churn:3`, `default` or `combined`."""
    number: str
    """`3`, `default` or `combined`: what V2 calls the model version."""
    role: str


_DEFAULT = Answerer("default", "default", "default")
_COMBINED = Answerer("combined", "combined", "combined")


def answerer(plan: Plan, variant: int) -> Answerer:
    """The answerer that an index of a decision stands for."""
    if variant >= 0:
        chosen = plan.variants[variant]
        return Answerer(chosen.version, chosen.number, chosen.planned.role.value)
    return _COMBINED if variant == COMBINED else _DEFAULT


def answerers(scored: Scored) -> list[Answerer] | None:
    """One per row; None: all rows have the one that the decision names."""
    chosen = scored.decision.chosen
    if chosen is None or (len(set(chosen)) == 1 and chosen[0] == scored.decision.variant):
        return None
    plan = scored.mailbox.plan
    known = {variant: answerer(plan, variant) for variant in set(chosen)}
    return [known[variant] for variant in chosen]


def weights_of(scored: Scored) -> dict[str, float] | None:
    """The weight that each version had in a combined answer, without those that had none."""
    decision = scored.decision
    if decision.variant != COMBINED or decision.weights is None:
        return None
    variants = scored.mailbox.plan.variants
    return {variant.version: weight for variant, weight in zip(variants, decision.weights, strict=True) if weight}


def weights_text(weights: dict[str, float]) -> str:
    """Weights on one line: `churn:2=0.3,churn:3=0.7`."""
    return ",".join(f"{version}={weight:.6g}" for version, weight in weights.items())


@lru_cache(maxsize=256)
def fact_names(outputs: tuple[str, ...]) -> tuple[str, str, str]:
    """What an answer's row calls its variant, role and reason, so that no output of the endpoint has that name.

    Where there is an output `role` or `muster_role`, the role is under the first of `muster_role`, `muster_muster_role`, … that is
    free: in any row, the fact is the last of that chain.
    """
    taken = set(outputs)
    names = []
    for name in ("variant", "role", "reason"):
        free = name
        while free in taken or f"muster_{free}" in taken:
            free = f"muster_{free}"
        names.append(free)
    return names[0], names[1], names[2]
