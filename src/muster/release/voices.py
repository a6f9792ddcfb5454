"""How much of what callers are told comes from each version of a plan: what gates ask of those who answer, they ask by it. Pure."""

from collections.abc import Mapping

from muster.vocabulary.digests import Digest
from muster.wire.plans import FirstPolicy, ServingPlan, SplitPolicy, VotePolicy, WeightedPolicy


def voices(plan: ServingPlan) -> Mapping[Digest, float]:
    """By its bytes, the largest part that a version has in the answers of a plan, at whatever step; those without any are absent.

    The champion's is 1 under every policy, as it answers wherever nobody else is asked. Whoever only stands in for a version
    that fails has none.
    """
    manifests = {variant.version: Digest(variant.manifest) for variant in plan.variants}
    match plan.policy:
        case FirstPolicy():
            parts: Mapping[str, float] = {}
        case VotePolicy(order=order):
            parts = dict.fromkeys(order, 1 / len(order))
        case WeightedPolicy(order=order, weights=weights):
            parts = {version: weight / sum(weights) for version, weight in zip(order, weights, strict=True)}
        case SplitPolicy(order=order, steps=steps):
            parts = {version: max(step.shares[place] for step in steps) for place, version in enumerate(order)}
    found = {manifests[version]: part for version, part in parts.items() if part > 0}
    return {**found, Digest(plan.variants[0].manifest): 1.0}
