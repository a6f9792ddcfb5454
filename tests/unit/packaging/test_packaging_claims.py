"""What an author claims in muster.toml: written, read, refused where it contradicts the contract."""

from pathlib import Path

import pytest

from made_bundles import CONTRACT, made_bundle
from muster.packaging.bundle import check_bundle
from muster.packaging.claims import Claims, Load, OwnCheck, Prediction, Relation, claim_problems
from muster.packaging.documents import bundle_of, read_description
from muster.packaging.manifest import manifest_of

WHOLE = Claims(
    relations=(Relation(name="longer is better", kind="monotone", field="tenure", direction="down"),),
    load=Load(requests_per_s=50, p99_ms=20),
    prediction=Prediction(task="binary", label="churned", slices=("plan",), protected=("gender",), positive="yes"),
    checks=(OwnCheck(name="parity", run="checks/parity.py", limit=0.1),),
)


def test_claims_come_back_as_they_were_written(tmp_path: Path) -> None:
    """Through muster.toml and through the manifest."""
    folder = made_bundle(tmp_path / "b", claims=WHOLE)
    assert read_description(folder).claims == WHOLE
    assert bundle_of(manifest_of(folder).declared).claims == WHOLE
    assert {one.path for one in check_bundle(folder) if one.level == "error"} <= {"checks/parity.py"}


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        (Claims(relations=(Relation(name="r", kind="monotone", field="age"),)), "no input"),
        (Claims(relations=(Relation(name="r", kind="symmetric", field="tenure"),)), "no input"),
        (Claims(relations=(Relation(name="r", kind="invariant", field="plan", output="odds"),)), "no output"),
        (Claims(relations=(Relation(name="r", kind="invariant", field="plan"),) * 2), "more than once"),
        (Claims(relations=(Relation(name="r", kind="invariant", field="plan", tolerance=-1),)), "0 or more"),
        (Claims(load=Load(requests_per_s=0)), "above 0"),
        (Claims(load=Load(p99_ms=float("nan"))), "above 0"),
        (Claims(load=Load(rows=0)), "at least one row"),
        (Claims(prediction=Prediction(task="binary", label=" ")), "names no column"),
        (Claims(prediction=Prediction(task="binary", label="tenure")), "told the answer"),
        (Claims(prediction=Prediction(task="ranking", label="clicked")), "`group`"),
        (Claims(prediction=Prediction(task="probabilistic", label="sales")), "`quantiles`"),
        (Claims(prediction=Prediction(task="probabilistic", label="sales", quantiles=(0.9, 0.1))), "rise"),
        (Claims(checks=(OwnCheck(name="Not a name", run="a.py"),)), "check"),
        (Claims(checks=(OwnCheck(name="a", run="../a.py"),)), "run ="),
    ],
)  # fmt: skip
def test_claims_that_cannot_hold_are_told(claims: Claims, told: str) -> None:
    """Each contradiction is one finding that names where it is."""
    problems = claim_problems(claims, CONTRACT)
    assert problems
    assert told in " ".join(problems)
