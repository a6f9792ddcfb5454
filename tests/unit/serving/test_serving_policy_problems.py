"""What is wrong with a policy is said before anything runs by it."""

import json
import math
import re
from pathlib import Path

import msgspec
import pytest

from muster.serving.policies.problems import policy_problems
from muster.vocabulary.states import Role
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Field
from muster.wire.plans import (
    FirstPolicy,
    PlannedPolicy,
    PlannedVariant,
    SplitPolicy,
    SplitStep,
    VotePolicy,
    WeightedPolicy,
)

CONTRACT = Contract(
    inputs=(
        Field("customer", Datatype.BYTES),
        Field("age", Datatype.FP64),
        Field("history", Datatype.INT64, (12,)),
    ),
    outputs=(
        Field("label", Datatype.BYTES),
        Field("grade", Datatype.UINT8),
        Field("score", Datatype.FP64),
        Field("classes", Datatype.FP32, (2,), labels=("stays", "leaves")),
        Field("plain", Datatype.FP32, (2,)),
    ),
)
ORDER = ("churn:3", "churn:2")
VARIANTS = [
    PlannedVariant("churn:3", Role.CHAMPION, "sha256:0", ("customer",)),
    PlannedVariant("churn:2", Role.CANARY, "sha256:1", ("customer",)),
    PlannedVariant("churn:4", Role.CHALLENGER, "sha256:2", ("customer",)),
]
FIRST = FirstPolicy(ORDER, (60, 100))
VOTE = VotePolicy(ORDER, "label", 60)
WEIGHTED = WeightedPolicy(ORDER, (2, 1), ("score", "classes"), 60, {"label": "classes"})
SPLIT = SplitPolicy(ORDER, (60, 60), "customer", "salt", (SplitStep((1, 0)), SplitStep((1 / 3, 2 / 3))))
SOUND: list[PlannedPolicy] = [FIRST, VOTE, WEIGHTED, SPLIT]


def problems(policy: PlannedPolicy, **changed: object) -> list[str]:
    """What is wrong with a sound policy of which something was changed."""
    return policy_problems(msgspec.structs.replace(policy, **changed), CONTRACT, VARIANTS, 100.0)


@pytest.mark.parametrize("policy", SOUND)
def test_nothing_is_wrong_with_a_sound_policy(policy: PlannedPolicy) -> None:
    """One of each kind passes, before and after it went through JSON."""
    assert problems(policy) == []
    again = msgspec.json.decode(msgspec.json.encode(policy), type=PlannedPolicy)
    assert again == policy
    assert problems(again) == []


@pytest.mark.parametrize("policy", SOUND)
@pytest.mark.parametrize(
    ("order", "told"),
    [
        ((), "the order is empty"),
        (("churn:3", "churn:9"), "the order names churn:9, which is not in the release"),
        (("churn:3", "churn:3"), "the order names churn:3 twice"),
        (("churn:2", "churn:3"), "the order begins with the champion churn:3, not with churn:2"),
    ],
)
def test_the_order_is_of_versions_of_the_release_the_champion_first(
    policy: PlannedPolicy, order: tuple[str, ...], told: str
) -> None:
    """Each of them once."""
    assert told in problems(policy, order=order)


@pytest.mark.parametrize("policy", [FIRST, SPLIT])
@pytest.mark.parametrize(
    ("patience_ms", "told"),
    [
        ((60,), "patience_ms has one number per version of the order, 2, not 1"),
        ((60, 101), "a patience is above 0 and at most the deadline of 100 ms, not 101"),
        ((0, 60), "a patience is above 0 and at most the deadline of 100 ms, not 0"),
        ((math.nan, 60), "a patience is above 0 and at most the deadline of 100 ms, not nan"),
        ((60, 50), "patience_ms never falls along the order, and 50 follows 60"),
    ],
)
def test_patience_is_within_the_deadline_and_never_falls(
    policy: PlannedPolicy, patience_ms: tuple[float, ...], told: str
) -> None:
    """One number for each version of the order."""
    assert problems(policy, patience_ms=patience_ms) == [told]


@pytest.mark.parametrize("policy", [VOTE, WEIGHTED])
@pytest.mark.parametrize("wait_ms", [0, -1, 101, math.inf, math.nan])
def test_the_wait_is_within_the_deadline(policy: PlannedPolicy, wait_ms: float) -> None:
    """And above nothing."""
    assert problems(policy, wait_ms=wait_ms) == [
        f"wait_ms is above 0 and at most the deadline of 100 ms, not {wait_ms:g}"
    ]


def test_one_version_is_no_electorate() -> None:
    """A vote and a mean need two."""
    told = "the order needs two versions at least; for one there is the policy `first`"
    assert problems(VOTE, order=("churn:3",)) == [told]
    assert problems(WEIGHTED, order=("churn:3",), weights=(1,)) == [told]


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("other", "the vote is about the output 'other', which the endpoint does not have"),
        ("score", "the vote is about the output 'score', which is FP64"),
        ("plain", "the vote is about the output 'plain', which is a tensor of FP32"),
    ],
)
def test_a_vote_is_about_something_that_can_be_counted(output: str, told: str) -> None:
    """A single text, flag or whole number of the endpoint's outputs."""
    (problem,) = problems(VOTE, output=output)
    assert problem.startswith(told)
    assert problems(VOTE, output="grade") == []


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ((1,), "weights has one number per version of the order, 2, not 1"),
        ((1, 0), "a weight is a number above 0, not 0"),
        ((1, -2), "a weight is a number above 0, not -2"),
        ((1, math.inf), "a weight is a number above 0, not inf"),
        ((1, math.nan), "a weight is a number above 0, not nan"),
        ((1e10, 1), "no weight is more than 1e+09 times another"),
    ],
)
def test_weights_are_numbers_above_nothing(weights: tuple[float, ...], told: str) -> None:
    """One for each version of the order, and none so small that it is for show."""
    assert problems(WEIGHTED, weights=weights) == [told]


@pytest.mark.parametrize(
    ("outputs", "told"),
    [
        ((), "outputs is empty: it names what is averaged"),
        (("score", "score"), "outputs names 'score' twice"),
        (("other",), "outputs names 'other', which the endpoint does not have"),
        (("grade",), "the output 'grade' is UINT8: only FP16, FP32 and FP64 have a mean"),
    ],
)
def test_only_numbers_with_decimals_are_averaged(outputs: tuple[str, ...], told: str) -> None:
    """Outputs of the endpoint, each once."""
    assert problems(WEIGHTED, outputs=outputs, argmax={}) == [told]


@pytest.mark.parametrize(
    ("argmax", "told"),
    [
        ({"other": "classes"}, "argmax names the output 'other', which the endpoint does not have"),
        (
            {"score": "classes"},
            "argmax sets the output 'score', which is FP64: it takes a single text, flag or whole number",
        ),
        ({"label": "other"}, "argmax takes 'label' from 'other', which the endpoint does not have"),
        ({"label": "score"}, "argmax takes 'label' from 'score', whose positions have no labels in the contract"),
        ({"label": "plain"}, "argmax takes 'label' from 'plain', which is not averaged"),
        ({"grade": "classes"}, "argmax sets 'grade', which is UINT8, to labels of 'classes', which are not"),
    ],
)
def test_a_label_follows_from_averaged_probabilities_of_labels(argmax: dict[str, str], told: str) -> None:
    """The contract names the label of each position, and they are values of the output that is set."""
    assert told in problems(WEIGHTED, argmax=argmax)


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("other", "the split is by the input 'other', which the endpoint does not have"),
        ("age", "the split is by the input 'age', which is FP64: it takes a single text, flag or whole number"),
        (
            "history",
            "the split is by the input 'history', which is a tensor of INT64: it takes a single text, flag or whole number",
        ),
    ],
)
def test_units_are_values_that_come_again(field: str, told: str) -> None:
    """A single text, flag or whole number of the endpoint's inputs."""
    assert problems(SPLIT, field=field) == [told]


@pytest.mark.parametrize("salt", ["", "x" * 201, "a\nb"])
def test_a_salt_is_a_word(salt: str) -> None:
    """Not empty, not endless, and it can be read."""
    assert problems(SPLIT, salt=salt) == ["salt has 1 to 200 printable characters"]


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([], "there are 1 to 100 steps, not 0"),
        ([(1, 0)] * 101, "there are 1 to 100 steps, not 101"),
        ([(1,)], "step 0 has one share per version of the order, 2, not 1"),
        ([(1, 0), (0.5, 0.4)], "step 1: the shares sum to 0.9, not to 1"),
        ([(0.5, 0.5 + 1e-8)], "step 0: the shares sum to 1.00000001, not to 1"),
        ([(1.5, -0.5)], "step 0: a share is a number from 0 to 1"),
        ([(math.nan, 1)], "step 0: a share is a number from 0 to 1"),
    ],
)
def test_the_shares_of_a_step_make_one(steps: list[tuple[float, ...]], told: str) -> None:
    """To the ninth decimal; one share for each version of the order."""
    assert problems(SPLIT, steps=tuple(SplitStep(shares) for shares in steps)) == [told]
    assert problems(SPLIT, steps=(SplitStep((0.1, 0.9 + 1e-10)),)) == []


def test_the_documented_forms_are_sound() -> None:
    """Every policy that the reference page shows is one that a release may have, and there is one of each kind."""
    page = (Path(__file__).resolve().parents[3] / "docs/reference/policies.md").read_text()
    shown = [json.loads(block) for block in re.findall(r'^    (\{"name":.*?\})$', page, re.MULTILINE | re.DOTALL)]
    assert [form["name"] for form in shown] == ["first", "vote", "weighted", "split"]
    contract = Contract(
        inputs=(Field("customer", Datatype.BYTES),),
        outputs=(
            Field("label", Datatype.BYTES),
            Field("probability", Datatype.FP64, (2,), labels=("stays", "leaves")),
        ),
    )
    for form in shown:
        policy: PlannedPolicy = msgspec.convert(form, PlannedPolicy)
        variants = [
            PlannedVariant(version, Role.CHAMPION if place == 0 else Role.CHALLENGER, "sha256:0", ("customer",))
            for place, version in enumerate(policy.order)
        ]
        assert policy_problems(policy, contract, variants, 100.0) == []
