"""The check `relations` on real hosts: what an author declares is held against the model, with the smallest counterexample."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from claimed_bundles import CONTRACT, ROWS, SOUND, Benches
from muster.certification.checks import option_problems
from muster.certification.relations import RelationsHold
from muster.packaging.claims import Relation
from muster.packaging.trees import remove_tree
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Declared, Field
from muster.wire.evidence import Grid, Rows

OLDER_PAYS_MORE = Relation(name="older pays more", kind="monotone", field="age")
PLAN_IS_NOTHING = Relation(name="the plan is nothing", kind="invariant", field="plan")


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Benches]:
    root = tmp_path_factory.mktemp("benches")
    yield Benches(root)
    remove_tree(root / "environments")


def scoring(expression: str) -> str:
    """A model that computes a score of `age` and `plan`."""
    return SOUND.replace("return min(max(age, -1000.0), 1000.0) / 100 + len(plan) / 1000", f"return {expression}")


@pytest.mark.parametrize(
    ("relation", "holds", "breaks"),
    [
        (OLDER_PAYS_MORE, "age / 100", "age / 100 - (age > 50) * 0.5"),
        (Relation(name="down", kind="monotone", field="age", direction="down"), "-age", "-age + 40 * (age > 50)"),
        (PLAN_IS_NOTHING, "age / 100", "age / 100 + len(plan) / 1000"),
        (Relation(name="age is nothing", kind="invariant", field="age"), "len(plan) / 10", "1.0 if age > 66.6 else 0.0"),
        (
            Relation(name="better plans", kind="monotone", field="plan", values=("monthly", "yearly")),
            'float(plan == "yearly")', 'float(plan == "monthly")',
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Relation) else "",
)  # fmt: skip
def test_a_relation_holds_for_one_model_and_not_for_another(
    benches: Benches, relation: Relation, holds: str, breaks: str
) -> None:
    """The same declaration passes the one and fails the other, which is shown a row and what the change does."""
    well, (grid,) = benches.put(RelationsHold(), scoring(holds), relations=(relation,))
    assert well.passed, well.detail
    assert well.figures["rows"] == len(ROWS) + 200
    assert isinstance(grid, Grid)
    badly, (_, rows) = benches.put(RelationsHold(), scoring(breaks), relations=(relation,))
    assert (badly.passed, badly.figure) == (False, 1)
    assert isinstance(rows, Rows)
    assert rows.why[0].startswith(f"{relation.name}: {relation.field} ")
    assert "moves the answer from" in badly.detail
    assert badly.remedy


def test_the_smallest_change_is_found(benches: Benches) -> None:
    """A step that lies between two tried values is found by halving: the ages on both sides of 50 are shown, almost the same."""
    source = scoring("age / 100 - (age > 50) * 0.5")
    _, (_, rows) = benches.put(RelationsHold(), source, relations=(OLDER_PAYS_MORE,))
    assert isinstance(rows, Rows)
    assert rows.rows[0]["age"] == pytest.approx(50, abs=1e-6)
    assert rows.rows[0]["plan"] == ROWS[0]["plan"]  # of a golden row, where one shows it


def test_a_tolerance_is_allowed_in_all_and_not_at_each_step(benches: Benches) -> None:
    """Many small steps in the wrong direction are one large one."""
    relation = msgspec.structs.replace(OLDER_PAYS_MORE, tolerance=0.2)
    near, _ = benches.put(RelationsHold(), scoring("-age / 1000"), relations=(relation,))
    assert near.passed, near.detail
    far, _ = benches.put(RelationsHold(), scoring("-age / 100"), relations=(relation,))
    assert not far.passed
    assert "tolerance 0.2" in far.detail


def test_two_fields_that_play_the_same_part_can_be_swapped(benches: Benches) -> None:
    """`symmetric` holds for a sum and not for a difference."""
    contract = msgspec.structs.replace(CONTRACT, inputs=(Field("home", Datatype.FP64), Field("away", Datatype.FP64)))
    rows: list[dict[str, Any]] = [{"home": 1.0, "away": 2.0}, {"home": 5.0, "away": 3.0}]
    relation = Relation(name="no home advantage", kind="symmetric", field="home", other="away")
    for sign, passed in (("+", True), ("-", False)):
        source = f"""
            class Model:
                def predict(self, columns):
                    return {{"score": [one {sign} other for one, other in zip(columns["home"], columns["away"])]}}
        """
        check, _ = benches.put(RelationsHold(), source, contract=contract, rows=rows, relations=(relation,))
        assert check.passed is passed, check.detail
    assert "home and away swapped (5.0, 3.0)" in check.detail


def test_an_output_of_text_is_compared_and_shown_as_it_is(benches: Benches) -> None:
    """A label that flips with the plan is told by its words."""
    contract = msgspec.structs.replace(
        CONTRACT, outputs=(Field("score", Datatype.FP64), Field("label", Datatype.BYTES))
    )
    source = """
        class Model:
            def predict(self, columns):
                low = [age < 55.5 for age in columns["age"]]
                return {"score": [0.0] * len(low), "label": ["low" if one else "high" for one in low]}
    """
    relation = Relation(name="one label", kind="invariant", field="age", output="label")
    check, _ = benches.put(
        RelationsHold(), source, contract=contract, relations=(relation,), extra={"label": ["low", "low", "high"]}
    )
    assert not check.passed
    assert "moves the answer from 'low' to 'high'" in check.detail or "from 'high' to 'low'" in check.detail


def test_rows_that_the_model_refuses_are_not_compared(benches: Benches) -> None:
    """Where nothing can be compared the relation is not shown to hold."""
    golden = [dict(row, age=20.0) for row in ROWS]
    source = scoring("age if age == 20 else [][0]")
    relation = msgspec.structs.replace(OLDER_PAYS_MORE, values=(30.0, 40.0))
    check, _ = benches.put(RelationsHold(), source, rows=golden, relations=(relation,))
    assert not check.passed
    assert "no two rows were answered" in check.detail


@pytest.mark.parametrize(
    ("relation", "told"),
    [
        (Relation(name="r", kind="monotone", field="plan"), "'plan' has no order"),
        (Relation(name="r", kind="symmetric", field="age", other="plan"), "not of one type"),
        (msgspec.structs.replace(OLDER_PAYS_MORE, values=(1.0, 500.0)), "the contract refuses what it sets"),
    ],
    ids=["unordered", "unlike", "refused"],
)
def test_a_relation_that_says_nothing_fails(benches: Benches, relation: Relation, told: str) -> None:
    """What cannot be tried is not passed over in silence."""
    limited = Field("age", Datatype.FP64, declared=Declared(maximum=120))
    contract = msgspec.structs.replace(CONTRACT, inputs=(limited, CONTRACT.inputs[1]))
    check, _ = benches.put(RelationsHold(), contract=contract, relations=(relation,))
    assert (check.passed, check.figure) == (False, 1)
    assert told in check.detail


def test_a_standard_can_ask_for_relations(benches: Benches) -> None:
    """The check is put where some are declared; where the standard runs it all the same, a bundle without any fails."""
    with benches.of() as (bench, _):
        assert not RelationsHold().is_asked(bench)
    check, _ = benches.put(RelationsHold())
    assert not check.passed
    assert "declares no [[relations]]" in check.detail
    assert option_problems(RelationsHold(), {"values": 1}) == ["values is 2 to 1,000"]
    assert option_problems(RelationsHold(), {"drawn_rows": -1, "seconds": 0.0}) == [
        "drawn_rows is 0 to 100,000", "seconds is above 0 and at most 3600",
    ]  # fmt: skip
