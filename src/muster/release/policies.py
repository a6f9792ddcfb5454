"""From the policy that somebody wants to the policy of a plan: names checked, what was left open filled in. Pure.

The order of the versions that may answer begins with the champion. Left open, it is the champion and then

- `first`: the canaries;
- `vote`: everybody else in the release, as a challenger that does not vote would be there for nothing;
- `weighted`: whoever has a weight;
- `split`: whoever has a share in a step, then the canaries as stand-ins.
"""

from collections.abc import Mapping
from datetime import timedelta

from muster.release.errors import ProposalMalformed
from muster.release.records import Proposal, WantedFirst, WantedSplit, WantedVote, WantedWeighted
from muster.serving.policies.problems import MAX_SALT_CHARACTERS, MAX_STEPS
from muster.vocabulary.digests import digest_of
from muster.vocabulary.names import VersionName
from muster.wire.plans import FirstPolicy, PlannedPolicy, SplitPolicy, SplitStep, VotePolicy, WeightedPolicy

PATIENCE_SHARE = 0.6
"""Of the deadline: how long a preferred version, or a vote, is waited for where the proposal does not say."""
Order = tuple[VersionName, ...]


def planned_policy(proposal: Proposal, endpoint: str, deadline_ms: float) -> PlannedPolicy:
    """The policy of a proposal's plan.

    Args:
        proposal: what somebody wants.
        endpoint: for which the units of a split are assigned.
        deadline_ms: of the plan.

    Raises:
        ProposalMalformed: it contradicts itself; the message says where.
    """
    order = _order(proposal)
    names = tuple(str(version) for version in order)
    match proposal.policy:
        case WantedFirst():
            return FirstPolicy(order=names, patience_ms=_patiences(proposal, order, deadline_ms))
        case WantedVote(output=output, wait=wait):
            _refuse_patience(proposal, "vote")
            return VotePolicy(order=names, output=output, wait_ms=_wait(wait, deadline_ms))
        case WantedWeighted(weights=weights, outputs=outputs, argmax=argmax, wait=wait):
            _refuse_patience(proposal, "weighted")
            _check_weights(weights, order)
            told = tuple(float(weights[version]) for version in order)
            return WeightedPolicy(
                order=names, weights=told, outputs=outputs, wait_ms=_wait(wait, deadline_ms), argmax=dict(argmax)
            )
        case WantedSplit(field=field, steps=steps, salt=salt):
            return SplitPolicy(
                order=names,
                patience_ms=_patiences(proposal, order, deadline_ms),
                field=field,
                salt=_salt(endpoint, names) if salt is None else salt,
                steps=_steps(steps, order),
            )


def _order(proposal: Proposal) -> Order:
    order = _left_open(proposal) if proposal.order is None else proposal.order
    if not order or order[0] != proposal.champion:
        raise ProposalMalformed(
            f"the order begins with the champion {proposal.champion}: it is who answers when it can",
            order=[str(version) for version in order],
        )
    _refuse_strangers("the order names", order, [version for version, _ in proposal.variants], "in the release")
    if len(set(order)) < len(order):
        raise ProposalMalformed("the order names a version twice", order=[str(version) for version in order])
    return order


def _left_open(proposal: Proposal) -> Order:
    everybody = [version for version, _ in proposal.variants]
    match proposal.policy:
        case WantedFirst():
            return (proposal.champion, *proposal.canaries)
        case WantedVote():
            return tuple(everybody)
        case WantedWeighted(weights=weights):
            _refuse_strangers("a weight is given to", weights, everybody, "in the release")
            return tuple(version for version in everybody if version in weights)
        case WantedSplit(steps=steps):
            shared = {version for step in steps for version in step}
            _refuse_strangers("a step names", shared, everybody, "in the release")
            sharing = [version for version in everybody if version in shared or version == proposal.champion]
            return (*sharing, *(version for version in proposal.canaries if version not in shared))


def _check_weights(weights: Mapping[VersionName, float], order: Order) -> None:
    _refuse_strangers("a weight is given to", weights, order, "in the order")
    without = [version for version in order if version not in weights]
    if without:
        raise ProposalMalformed(f"{without[0]} is in the order and has no weight", version=str(without[0]))


def _salt(endpoint: str, versions: tuple[str, ...]) -> str:
    """Other versions, other units; the same versions in a later release, the same units."""
    salt = f"{endpoint}/{'+'.join(versions)}"
    return salt if len(salt) <= MAX_SALT_CHARACTERS else digest_of(salt.encode())


def _steps(steps: tuple[Mapping[VersionName, float], ...], order: Order) -> tuple[SplitStep, ...]:
    if not 1 <= len(steps) <= MAX_STEPS:
        raise ProposalMalformed(f"a split has 1 to {MAX_STEPS} steps, not {len(steps)}")
    for step in steps:
        _refuse_strangers("a step names", step, order, "in the order")
    return tuple(SplitStep(shares=tuple(float(step.get(version, 0.0)) for version in order)) for step in steps)


def _patiences(proposal: Proposal, order: Order, deadline_ms: float) -> tuple[float, ...]:
    """One per version; those that were not named wait as long as the one before, and at least the usual time."""
    _refuse_strangers("a patience is given for", proposal.patience_of, order, "in the order")
    usual = deadline_ms * PATIENCE_SHARE if proposal.patience is None else _ms(proposal.patience)
    _check_patience(usual, deadline_ms)
    # After the last of an order there is nobody left to wait for; in a split anybody may be the last.
    last = usual if isinstance(proposal.policy, WantedSplit) and len(order) > 1 else deadline_ms
    found: list[float] = []
    for version in order:
        before = found[-1] if found else 0.0
        named = proposal.patience_of.get(version)
        patience = max(before, last if version == order[-1] else usual) if named is None else _ms(named)
        _check_patience(patience, deadline_ms)
        if patience < before:
            raise ProposalMalformed(
                f"a patience counts from the arrival of the request and never falls along the order: {version} has "
                f"{patience:g} ms, the version before it {before:g} ms",
                version=str(version),
            )
        found.append(patience)
    return tuple(found)


def _check_patience(patience_ms: float, deadline_ms: float) -> None:
    if not 0 < patience_ms <= deadline_ms:
        raise ProposalMalformed(
            f"a patience is above 0 and at most the deadline of {deadline_ms:g} ms, not {patience_ms:g} ms",
            patience_ms=patience_ms,
            deadline_ms=deadline_ms,
        )


def _wait(wait: timedelta | None, deadline_ms: float) -> float:
    wait_ms = deadline_ms * PATIENCE_SHARE if wait is None else _ms(wait)
    if not 0 < wait_ms <= deadline_ms:
        raise ProposalMalformed(
            f"a wait is above 0 and at most the deadline of {deadline_ms:g} ms, not {wait_ms:g} ms",
            wait_ms=wait_ms,
            deadline_ms=deadline_ms,
        )
    return wait_ms


def _refuse_patience(proposal: Proposal, policy: str) -> None:
    if proposal.patience is not None or proposal.patience_of:
        raise ProposalMalformed(f"the policy {policy} has no patience for single versions; say how long it waits")


def _refuse_strangers(
    what: str,
    versions: Mapping[VersionName, object] | set[VersionName] | Order,
    known: Order | list[VersionName],
    where: str,
) -> None:
    strangers = [version for version in versions if version not in known]
    if strangers:
        raise ProposalMalformed(f"{what} {strangers[0]}, which is not {where}", version=str(strangers[0]))


def _ms(duration: timedelta) -> float:
    return duration / timedelta(milliseconds=1)
