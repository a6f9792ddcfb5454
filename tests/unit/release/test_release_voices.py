"""How large a part each version of a plan has in what callers are told."""

import pytest

from muster.release.voices import voices
from muster.vocabulary.states import Role
from muster.wire.contracts import Contract
from muster.wire.plans import (
    FirstPolicy,
    PlannedPolicy,
    PlannedVariant,
    ServingPlan,
    SplitPolicy,
    SplitStep,
    VotePolicy,
    WeightedPolicy,
)

NAMES = ("a:1", "b:1", "c:1")


def parts(policy: PlannedPolicy) -> dict[str, float]:
    """The parts of `a:1`, the champion, of `b:1` and `c:1` under a policy, by name; those without are absent."""
    plan = ServingPlan(
        format=1, project="default", endpoint="churn", release=1, contract=Contract((), ()), contract_digest="",
        variants=tuple(
            PlannedVariant(name, Role.CHALLENGER if place else Role.CHAMPION, f"sha256:{place:064x}", ())
            for place, name in enumerate(NAMES)
        ),
        policy=policy, deadline_ms=100.0,
    )  # fmt: skip
    return {NAMES[int(digest.removeprefix("sha256:"), 16)]: part for digest, part in voices(plan).items()}


def split(*steps: tuple[float, ...]) -> SplitPolicy:
    """Units of `plan`, shared by all three."""
    patience = (50.0, 50.0, 50.0)
    return SplitPolicy(
        order=NAMES, patience_ms=patience, field="plan", salt="s", steps=tuple(SplitStep(shares) for shares in steps)
    )


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (FirstPolicy(order=NAMES, patience_ms=(50.0, 50.0, 100.0)), {"a:1": 1.0}),
        (VotePolicy(order=("a:1", "c:1"), output="label", wait_ms=50.0), {"a:1": 1.0, "c:1": 0.5}),
        (
            WeightedPolicy(order=("a:1", "b:1"), weights=(1.0, 3.0), outputs=("score",), wait_ms=50.0),
            {"a:1": 1.0, "b:1": 0.75},
        ),
        (split((0.9, 0.1, 0.0), (0.5, 0.5, 0.0)), {"a:1": 1.0, "b:1": 0.5}),
        (split((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)), {"a:1": 1.0, "c:1": 1.0}),
    ],
    ids=["first", "vote", "weighted", "split", "split-for-a-step"],
)
def test_who_has_a_part_in_the_answers(policy: PlannedPolicy, expected: dict[str, float]) -> None:
    """The champion wholly; others by their largest share, weight or vote; whoever stands in for one that fails has none."""
    assert parts(policy) == expected
