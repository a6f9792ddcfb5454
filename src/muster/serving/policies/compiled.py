"""From a plan's policy, which names versions and milliseconds, to the object that chooses."""

from collections.abc import Mapping

from muster.serving.decisions import Policy
from muster.serving.policies.first import First
from muster.serving.policies.split import Split
from muster.serving.policies.vote import Vote
from muster.serving.policies.weighted import Labelling, Weighted
from muster.wire.contracts import Contract
from muster.wire.plans import FirstPolicy, PlannedPolicy, SplitPolicy, VotePolicy


def compiled(document: PlannedPolicy, indexes: Mapping[str, int], contract: Contract, deadline_s: float) -> Policy:
    """The policy of a plan for a request that has to be decided by `deadline_s`.

    Args:
        document: what the plan says; `policy_problems` finds nothing wrong with it.
        indexes: where each version is among the plan's variants.
        contract: the endpoint's.
        deadline_s: when the decision has to be taken, seconds from arrival.
    """
    order = tuple(indexes[version] for version in document.order)
    if isinstance(document, FirstPolicy):
        return First(order, waited_s(document), deadline_s)
    if isinstance(document, VotePolicy):
        return Vote(order, document.output, document.wait_ms / 1000, deadline_s)
    if isinstance(document, SplitPolicy):
        steps = tuple(step.shares for step in document.steps)
        return Split(order, waited_s(document), document.field, document.salt, steps, deadline_s)
    labels = {name: _labelling(contract, probabilities) for name, probabilities in document.argmax.items()}
    return Weighted(order, document.weights, document.outputs, labels, document.wait_ms / 1000, deadline_s)


def waited_s(document: PlannedPolicy) -> tuple[float, ...]:
    """How long each version of the order is waited for, seconds from arrival."""
    if isinstance(document, FirstPolicy | SplitPolicy):
        return tuple(patience / 1000 for patience in document.patience_ms)
    return (document.wait_ms / 1000,) * len(document.order)


def _labelling(contract: Contract, probabilities: str) -> Labelling:
    field = contract.output(probabilities)
    assert field is not None
    assert field.labels is not None
    return Labelling(probabilities=probabilities, labels=field.labels)
