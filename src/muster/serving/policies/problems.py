"""What is wrong with a policy, before anything runs by it: pure, so a proposal is judged as a front would judge it."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from muster.vocabulary.states import Role
from muster.vocabulary.tensors import FLOATS, INTEGER_RANGES, Datatype
from muster.wire.contracts import Contract, Field
from muster.wire.plans import FirstPolicy, PlannedPolicy, PlannedVariant, SplitPolicy, VotePolicy, WeightedPolicy

MAX_STEPS = 100
"""Of a ramp."""
MAX_SALT_CHARACTERS = 200
SHARES_TOLERANCE = 1e-9
WEIGHTS_RATIO = 1e9
"""A variant that weighs less than this part of another has no say worth the name."""


def policy_problems(
    policy: PlannedPolicy, contract: Contract, variants: Sequence[PlannedVariant], deadline_ms: float
) -> list[str]:
    """Why an endpoint cannot run by a policy, one sentence each; empty when it can.

    Args:
        policy: what somebody wants.
        contract: the endpoint's.
        variants: of the release, the champion among them.
        deadline_ms: of the release.
    """
    problems = list(_order_problems(policy.order, variants))
    if isinstance(policy, FirstPolicy | SplitPolicy):
        problems.extend(_patience_problems(policy.order, policy.patience_ms, deadline_ms))
    else:
        if len(policy.order) < 2:
            problems.append("the order needs two versions at least; for one there is the policy `first`")
        if not 0 < policy.wait_ms <= deadline_ms:
            problems.append(
                f"wait_ms is above 0 and at most the deadline of {deadline_ms:g} ms, not {policy.wait_ms:g}"
            )
    if isinstance(policy, VotePolicy):
        problems.extend(_vote_problems(policy, contract))
    elif isinstance(policy, WeightedPolicy):
        problems.extend(_weight_problems(policy))
        problems.extend(_mean_problems(policy, contract))
        problems.extend(_argmax_problems(policy, contract))
    elif isinstance(policy, SplitPolicy):
        problems.extend(_unit_problems(policy, contract))
        problems.extend(_step_problems(policy))
    return problems


def _order_problems(order: Sequence[str], variants: Sequence[PlannedVariant]) -> Iterable[str]:
    known = {variant.version: variant.role for variant in variants}
    if not order:
        yield "the order is empty"
        return
    for version in order:
        if version not in known:
            yield f"the order names {version}, which is not in the release"
    for version in sorted({version for version in order if order.count(version) > 1}):
        yield f"the order names {version} twice"
    champion = next((version for version, role in known.items() if role is Role.CHAMPION), None)
    if champion is not None and order[0] != champion:
        yield f"the order begins with the champion {champion}, not with {order[0]}"


def _patience_problems(order: Sequence[str], patience_ms: Sequence[float], deadline_ms: float) -> Iterable[str]:
    if len(patience_ms) != len(order):
        yield f"patience_ms has one number per version of the order, {len(order)}, not {len(patience_ms)}"
    for patience in patience_ms:
        if not 0 < patience <= deadline_ms:
            yield f"a patience is above 0 and at most the deadline of {deadline_ms:g} ms, not {patience:g}"
    for earlier, later in pairwise(patience_ms):
        if later < earlier:
            yield f"patience_ms never falls along the order, and {later:g} follows {earlier:g}"


def _vote_problems(policy: VotePolicy, contract: Contract) -> Iterable[str]:
    field = contract.output(policy.output)
    if field is None:
        yield f"the vote is about the output {policy.output!r}, which the endpoint does not have"
    elif not _is_countable(field):
        yield (
            f"the vote is about the output {policy.output!r}, which is {_kind(field)}: it takes a single text, flag or "
            f"whole number; for a number with decimals there is the policy `weighted`"
        )


def _weight_problems(policy: WeightedPolicy) -> Iterable[str]:
    if len(policy.weights) != len(policy.order):
        yield f"weights has one number per version of the order, {len(policy.order)}, not {len(policy.weights)}"
    unfit = [weight for weight in policy.weights if not 0 < weight < math.inf]
    for weight in unfit:
        yield f"a weight is a number above 0, not {weight:g}"
    if policy.weights and not unfit and max(policy.weights) > WEIGHTS_RATIO * min(policy.weights):
        yield f"no weight is more than {WEIGHTS_RATIO:g} times another"


def _mean_problems(policy: WeightedPolicy, contract: Contract) -> Iterable[str]:
    if not policy.outputs:
        yield "outputs is empty: it names what is averaged"
    for name in sorted({name for name in policy.outputs if policy.outputs.count(name) > 1}):
        yield f"outputs names {name!r} twice"
    for name in policy.outputs:
        field = contract.output(name)
        if field is None:
            yield f"outputs names {name!r}, which the endpoint does not have"
        elif field.datatype not in FLOATS:
            yield f"the output {name!r} is {_kind(field)}: only FP16, FP32 and FP64 have a mean"


def _argmax_problems(policy: WeightedPolicy, contract: Contract) -> Iterable[str]:
    for name, probabilities in policy.argmax.items():
        label, means = contract.output(name), contract.output(probabilities)
        if label is None:
            yield f"argmax names the output {name!r}, which the endpoint does not have"
        elif not _is_countable(label):
            yield f"argmax sets the output {name!r}, which is {_kind(label)}: it takes a single text, flag or whole number"
        if means is None:
            yield f"argmax takes {name!r} from {probabilities!r}, which the endpoint does not have"
            continue
        if probabilities not in policy.outputs:
            yield f"argmax takes {name!r} from {probabilities!r}, which is not averaged"
        if means.labels is None or len(means.shape) != 1:
            yield f"argmax takes {name!r} from {probabilities!r}, whose positions have no labels in the contract"
        elif label is not None and any(not _is_value(value, label.datatype) for value in means.labels):
            yield f"argmax sets {name!r}, which is {_kind(label)}, to labels of {probabilities!r}, which are not"


def _unit_problems(policy: SplitPolicy, contract: Contract) -> Iterable[str]:
    field = contract.input(policy.field)
    if field is None:
        yield f"the split is by the input {policy.field!r}, which the endpoint does not have"
    elif not _is_countable(field):
        yield f"the split is by the input {policy.field!r}, which is {_kind(field)}: it takes a single text, flag or whole number"
    if not 0 < len(policy.salt) <= MAX_SALT_CHARACTERS or not policy.salt.isprintable():
        yield f"salt has 1 to {MAX_SALT_CHARACTERS} printable characters"


def _step_problems(policy: SplitPolicy) -> Iterable[str]:
    if not 0 < len(policy.steps) <= MAX_STEPS:
        yield f"there are 1 to {MAX_STEPS} steps, not {len(policy.steps)}"
    for number, step in enumerate(policy.steps):
        if len(step.shares) != len(policy.order):
            yield f"step {number} has one share per version of the order, {len(policy.order)}, not {len(step.shares)}"
        elif not all(0 <= share <= 1 for share in step.shares):
            yield f"step {number}: a share is a number from 0 to 1"
        elif abs(math.fsum(step.shares) - 1) > SHARES_TOLERANCE:
            yield f"step {number}: the shares sum to {math.fsum(step.shares):.12g}, not to 1"


def _is_countable(field: Field) -> bool:
    """Whether its values are equal or not, with nothing between."""
    return not field.shape and field.datatype not in FLOATS


def _is_value(label: str | int | bool, datatype: Datatype) -> bool:  # noqa: FBT001  # labels are of these types
    if datatype is Datatype.BYTES:
        return isinstance(label, str)
    if datatype is Datatype.BOOL:
        return isinstance(label, bool)
    if datatype not in INTEGER_RANGES or not isinstance(label, int) or isinstance(label, bool):
        return False
    least, greatest = INTEGER_RANGES[datatype]
    return least <= label <= greatest


def _kind(field: Field) -> str:
    return f"a tensor of {field.datatype}" if field.shape else str(field.datatype)
