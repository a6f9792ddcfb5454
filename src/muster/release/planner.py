"""Compiles a proposal into a serving plan: pure, so the same proposal always gives the same plan.

What a proposal leaves open is filled in here: the deadline is 100 ms, and the policy is completed by `release.policies`.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import msgspec
import rfc8785

from muster.packaging.contract import ContractChecker, compatible, contract_digest
from muster.packaging.errors import ContractBroken
from muster.registry.records import Version
from muster.release.errors import DefaultUnfit, ProposalMalformed, VersionNotReleasable, VersionsIncompatible
from muster.release.policies import planned_policy
from muster.release.records import Proposal
from muster.serving.policies.problems import policy_problems
from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import VersionState
from muster.wire.contracts import Contract
from muster.wire.plans import PlannedPolicy, PlannedVariant, RequestLimits, ServingPlan

DEFAULT_DEADLINE = timedelta(milliseconds=100)
SHORTEST_DEADLINE = timedelta(milliseconds=1)
LONGEST_DEADLINE = timedelta(hours=1)
MAX_VARIANTS = 16
"""Each is a process of its own on every serving machine."""
MAX_ROWS = 1_000_000
MAX_BODY_BYTES = 1 << 30


def check_proposal(proposal: Proposal) -> None:
    """Nothing, if a proposal does not contradict itself.

    Raises:
        ProposalMalformed: it does; the message says where.
    """
    versions = [version for version, _ in proposal.variants]
    twice = sorted({version for version in versions if versions.count(version) > 1})
    if twice:
        raise ProposalMalformed(f"{twice[0]} is in the release twice", version=str(twice[0]))
    strangers = [version for version in proposal.twins if version not in versions]
    if strangers:
        raise ProposalMalformed(f"{strangers[0]} is to be served as its twin, and is not in the release")
    if len(versions) > MAX_VARIANTS:
        raise ProposalMalformed(f"a release has at most {MAX_VARIANTS} variants, not {len(versions)}")
    _check_times(proposal)
    planned_policy(proposal, "", _milliseconds(_deadline(proposal)))
    _check_limits(proposal.limits)
    if proposal.archive_level not in {"sync", "group", "async"}:
        raise ProposalMalformed(f"{proposal.archive_level!r} is not an archive level: sync, group or async")
    if proposal.archive_full not in {"refuse", "drop"}:
        raise ProposalMalformed(f"with a full archive an endpoint can refuse or drop, not {proposal.archive_full!r}")


def compile_plan(
    *,
    project: str,
    endpoint: str,
    release: int,
    proposal: Proposal,
    versions: Mapping[VersionName, Version],
    twins: Mapping[VersionName, Digest] | None = None,
    solo: bool = False,
) -> ServingPlan:
    """The serving plan of a proposal.

    Args:
        project: of the endpoint.
        endpoint: what consumers call.
        release: the number it gets.
        proposal: what somebody wants.
        versions: every version that the proposal names, as it stands now.
        twins: manifests of the compiled twins that are served in place of their versions.
        solo: the factory is one person's.

    Raises:
        ProposalMalformed: the proposal contradicts itself.
        VersionNotReleasable: a version is not accepted.
        VersionsIncompatible: a version cannot serve the champion's contract.
        DefaultUnfit: the default answer is none of the outputs' types.
    """
    check_proposal(proposal)
    check_releasable(versions[name] for name, _ in proposal.variants)
    contract = versions[proposal.champion].contract
    for name, _ in proposal.variants:
        _check_compatible(contract, versions[name])
    default = None if proposal.default is None else dict(proposal.default)
    if default is not None:
        _check_default(contract, default)
    deadline_ms = _milliseconds(_deadline(proposal))
    variants = tuple(
        PlannedVariant(
            version=str(name),
            role=role,
            manifest=(twins or {}).get(name, versions[name].digest),
            inputs=tuple(field.name for field in versions[name].contract.inputs),
            owners=versions[name].owners,
        )
        for name, role in proposal.variants
    )
    return ServingPlan(
        format=1,
        project=project,
        endpoint=endpoint,
        release=release,
        contract=contract,
        contract_digest=contract_digest(contract),
        variants=variants,
        policy=_checked_policy(proposal, endpoint, contract, variants, deadline_ms),
        deadline_ms=deadline_ms,
        default=default,
        archive_level=proposal.archive_level,
        archive_full=proposal.archive_full,
        limits=proposal.limits,
        solo=solo,
    )


def check_releasable(versions: Iterable[Version]) -> None:
    """Nothing, if every version may be released now.

    Raises:
        VersionNotReleasable: one is not accepted; all that are not are named.
    """
    unfit = [version for version in versions if version.state is not VersionState.ACCEPTED]
    if unfit:
        told = ", ".join(f"{version.name} is {version.state}" for version in unfit)
        raise VersionNotReleasable(
            f"only accepted versions may be released: {told}",
            versions={str(version.name): str(version.state) for version in unfit},
        )


def _check_times(proposal: Proposal) -> None:
    deadline = _deadline(proposal)
    if not SHORTEST_DEADLINE <= deadline <= LONGEST_DEADLINE:
        raise ProposalMalformed(
            f"a deadline is between 1 ms and 1 hour, not {_milliseconds(deadline):g} ms",
            deadline_ms=_milliseconds(deadline),
        )


def _check_limits(limits: RequestLimits) -> None:
    for name, value, least, most in (
        ("rows", limits.rows, 1, MAX_ROWS),
        ("body_bytes", limits.body_bytes, 1024, MAX_BODY_BYTES),
        ("requests_per_s", limits.requests_per_s, 0, 1_000_000),
    ):
        if not least <= value <= most:
            raise ProposalMalformed(f"the limit {name} is between {least} and {most}, not {value}", limit=name)


def _check_compatible(contract: Contract, version: Version) -> None:
    reasons = compatible(contract, version.contract)
    if reasons:
        raise VersionsIncompatible(
            f"{version.name} cannot serve the contract of the champion: {'; '.join(reasons[:3])}",
            version=str(version.name),
            reasons=reasons,
        )


def _check_default(contract: Contract, default: dict[str, Any]) -> None:
    outputs = msgspec.structs.replace(contract, inputs=contract.outputs)
    try:
        ContractChecker(outputs, max_rows=1).check_records([default])
        rfc8785.dumps(default)
    except ContractBroken as error:
        raise DefaultUnfit(f"the default answer: {error.message}", **error.facts) from error
    except rfc8785.CanonicalizationError as error:
        # A whole number beyond ±2^53, NaN: the contract takes such values as text.
        raise DefaultUnfit(f"the default answer cannot be written as JSON: {error}") from error


def _deadline(proposal: Proposal) -> timedelta:
    return DEFAULT_DEADLINE if proposal.deadline is None else proposal.deadline


def _checked_policy(
    proposal: Proposal, endpoint: str, contract: Contract, variants: tuple[PlannedVariant, ...], deadline_ms: float
) -> PlannedPolicy:
    policy = planned_policy(proposal, endpoint, deadline_ms)
    problems = policy_problems(policy, contract, variants, deadline_ms)
    if problems:
        raise ProposalMalformed("; ".join(problems), problems=problems)
    return policy


def _milliseconds(duration: timedelta) -> float:
    return duration / timedelta(milliseconds=1)
