"""The check `relations` on real hosts: what an author declares is held against the model, with the smallest counterexample."""

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from claimed_bundles import CONTRACT, ROWS, SOUND, Benches
from muster.certification.checks import option_problems, put
from muster.certification.recorded import PastRows
from muster.certification.records import Check
from muster.certification.relations import RelationsHold
from muster.packaging.claims import Relation
from muster.packaging.contract import ContractChecker
from muster.packaging.trees import remove_tree
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Declared, Field
from muster.wire.evidence import Exhibit, Grid, Rows

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


def test_a_dent_where_few_rows_are_is_found_under_wide_limits(benches: Benches) -> None:
    """What is tried lies where data is: declared limits far beyond it do not draw the values away from a dent of one tenth of the data."""
    wide = Field("age", Datatype.FP64, declared=Declared(minimum=0, maximum=10_000_000))
    contract = msgspec.structs.replace(CONTRACT, inputs=(wide, CONTRACT.inputs[1]))
    rows = [{"age": 18.0 + at, "plan": "monthly"} for at in range(60)]
    relation = msgspec.structs.replace(OLDER_PAYS_MORE, direction="down")
    check, _ = benches.put(
        RelationsHold(),
        scoring("-age / 1e7 + 0.3 * (50 < age < 56)"),
        contract=contract,
        rows=rows,
        relations=(relation,),
    )
    assert not check.passed
    sound, _ = benches.put(RelationsHold(), scoring("-age / 1e7"), contract=contract, rows=rows, relations=(relation,))
    assert sound.passed, sound.detail


@pytest.mark.parametrize("most", [99_999_999, 99_999_999.0])
def test_limits_that_the_datatype_does_not_hold_exactly_are_limits(benches: Benches, most: float) -> None:
    """A whole number beyond what FP32 holds is rounded, and the values in between are tried all the same."""
    narrow = Field("age", Datatype.FP32, declared=Declared(minimum=0, maximum=most))
    contract = msgspec.structs.replace(CONTRACT, inputs=(narrow, CONTRACT.inputs[1]))
    rows = [{"age": 20_000.0 + 1000 * at, "plan": "monthly"} for at in range(60)]
    check, _ = benches.put(
        RelationsHold(),
        scoring("age / 1e9 - (30_000 < age < 60_000)"),
        contract=contract,
        rows=rows,
        relations=(OLDER_PAYS_MORE,),
    )
    assert not check.passed


def test_nulls_and_categories_do_not_break_the_search_for_the_smallest_change(benches: Benches) -> None:
    """There is nothing between null and a number, and between two categories that are declared."""
    nullable = Field("age", Datatype.FP64, nullable=True)
    contract = msgspec.structs.replace(CONTRACT, inputs=(nullable, CONTRACT.inputs[1]))
    source = """
        class Model:
            def predict(self, columns):
                return {"score": [0.0 if age is None or age != age else age / 100 for age in columns["age"]]}
    """
    relation = Relation(name="age is nothing", kind="invariant", field="age")
    rows: list[dict[str, Any]] = [{"age": None, "plan": "monthly"}, {"age": 50.0, "plan": "monthly"}]
    check, _ = benches.put(RelationsHold(), source, contract=contract, rows=rows, relations=(relation,))
    assert (check.passed, check.figure) == (False, 1)
    assert "moves the answer" in check.detail
    grades = Field("age", Datatype.INT64, declared=Declared(categories=(1, 4, 9)))
    contract = msgspec.structs.replace(CONTRACT, inputs=(grades, CONTRACT.inputs[1]))
    check, _ = benches.put(
        RelationsHold(), scoring("-age / 100"), contract=contract,
        rows=[{"age": 1, "plan": "monthly"}, {"age": 9, "plan": "yearly"}], relations=(OLDER_PAYS_MORE,),
    )  # fmt: skip
    assert (check.passed, check.figure) == (False, 1)
    assert "age 1 → 9" in check.detail or "age 1 → 4" in check.detail or "age 4 → 9" in check.detail


def test_a_slope_is_shown_with_an_effect_that_can_be_read(benches: Benches) -> None:
    """Halving ends before nothing is left of the effect."""
    source = scoring("age / 100 - max(0.0, age - 50) / 10")
    check, _ = benches.put(RelationsHold(), source, relations=(OLDER_PAYS_MORE,))
    before, after = (float(told) for told in re.findall(r"(?:from|to) (-?[0-9.]+)", check.detail)[:2])
    assert before - after > 0.1


def test_a_slow_model_is_tried_on_the_rows_that_time_allows(benches: Benches) -> None:
    """Each relation has its share of the time; what was answered by then is judged, and told."""
    source = """
        import time

        class Model:
            def predict(self, columns):
                time.sleep(0.002 * len(columns["age"]))
                return {"score": [age / 100 for age in columns["age"]]}
    """
    check, (grid,) = benches.put(
        RelationsHold(), source, relations=(OLDER_PAYS_MORE, PLAN_IS_NOTHING), options={"relations": {"seconds": 1.0}}
    )
    assert not check.passed
    assert "rows were answered in time so that they could be compared" in check.detail
    assert isinstance(grid, Grid)
    assert [tried[0] for tried in grid.rows] == ["older pays more", "the plan is nothing"]


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
        (msgspec.structs.replace(OLDER_PAYS_MORE, values=(1, True, "b")), "`values` of 'age' are numbers"),
    ],
    ids=["unordered", "unlike", "refused", "mixed"],
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


def put_with_past(
    benches: Benches, source: str, past: list[dict[str, Any]], relation: Relation, **claimed: Any
) -> tuple[Check, tuple[Exhibit, ...]]:
    """The check, where callers have asked these rows."""
    with benches.of(source, relations=(relation,), **claimed) as (bench, stack):
        rows = ContractChecker(bench.version.contract, max_rows=1000).check_records(past)
        bench.past = cast("PastRows", SimpleNamespace(newest=lambda version, most: rows))
        check = put(RelationsHold(), bench, stack)
        return check, next(one.exhibits for one in bench.shown if one.name == "relations")


def test_rows_of_past_requests_are_counted_and_never_shown(benches: Benches) -> None:
    """A relation that fails for what a caller asked, and for nothing else, says how often; the caller's row is nowhere."""
    source = scoring('age / 100 - (plan == "Ana Jansen, Delft") * age')
    past = [{"age": 33.25, "plan": "Ana Jansen, Delft"}, {"age": 33.25, "plan": "monthly"}]
    check, shown = put_with_past(benches, source, past, OLDER_PAYS_MORE)
    assert (check.passed, check.figure, check.figures["rows"]) == (False, 1, len(ROWS) + 200 + 2)
    assert "does not hold for 1 of 2 rows of past requests, which are not shown" in check.detail
    (grid,) = shown
    assert isinstance(grid, Grid)
    assert grid.rows[0][-1] == 1
    told = check.detail.encode() + msgspec.json.encode(shown)
    assert b"Jansen" not in told
    assert b"33.25" not in told


def test_what_is_shown_was_answered_before_a_past_row_was_seen(benches: Benches) -> None:
    """A model that says in its answers to golden rows what callers asked has no occasion to."""
    outputs = (Field("score", Datatype.FP64), Field("said", Datatype.BYTES))
    contract = msgspec.structs.replace(CONTRACT, outputs=outputs)
    source = """
        class Model:
            heard = ""

            def predict(self, columns):
                for plan in columns["plan"]:
                    if plan and "Jansen" in plan:
                        Model.heard = plan
                return {"score": [0.0] * len(columns["age"]), "said": [f"{age} {Model.heard}" for age in columns["age"]]}
    """
    relation = Relation(name="one answer", kind="invariant", field="age", output="said")
    check, shown = put_with_past(
        benches,
        source,
        [{"age": 1.0, "plan": "Ana Jansen, Delft"}],
        relation,
        contract=contract,
        extra={"said": [f"{row['age']} " for row in ROWS]},
    )
    assert not check.passed
    assert "rows of past requests" in check.detail
    assert isinstance(shown[1], Rows)
    assert b"Jansen" not in check.detail.encode() + msgspec.json.encode(shown)


@pytest.mark.parametrize("field", ["age", "plan"])
def test_what_is_personal_is_not_in_a_counterexample(benches: Benches, field: str) -> None:
    """Neither in the row nor in the words, whether the relation is about it or about another field."""
    inputs = tuple(msgspec.structs.replace(one, personal=one.name == field) for one in CONTRACT.inputs)
    contract = msgspec.structs.replace(CONTRACT, inputs=inputs)
    rows = [{"age": 41.125, "plan": "Jansen"}, {"age": 62.375, "plan": "Visser"}]
    source = scoring("-age / 100 + len(plan) / 1000")
    check, (_, shown) = benches.put(
        RelationsHold(), source, contract=contract, rows=rows, relations=(OLDER_PAYS_MORE, PLAN_IS_NOTHING)
    )
    assert check.figure == 2
    assert isinstance(shown, Rows)
    assert {row[field] for row in shown.rows} == {"(personal, not shown)"}
    told = check.detail.encode() + msgspec.json.encode(shown)
    held = {"age": (b"41.125", b"62.375"), "plan": (b"Jansen", b"Visser")}
    assert not [value for value in held[field] if value in told]
    assert f"another {field} (personal, not shown)" in check.detail


def test_a_long_text_is_cut_in_words_too(benches: Benches) -> None:
    """Two swapped texts of thousands of characters do not fill the report."""
    contract = msgspec.structs.replace(CONTRACT, inputs=(Field("home", Datatype.BYTES), Field("away", Datatype.BYTES)))
    rows: list[dict[str, Any]] = [{"home": "h" * 5000, "away": "a"}]
    relation = Relation(name="no home advantage", kind="symmetric", field="home", other="away")
    source = """
        class Model:
            def predict(self, columns):
                return {"score": [float(len(one)) for one in columns["home"]]}
    """
    check, _ = benches.put(RelationsHold(), source, contract=contract, rows=rows, relations=(relation,))
    assert not check.passed
    assert "(5,000 characters)" in check.detail
    assert len(check.detail) < 600


def test_a_model_that_refuses_most_rows_is_not_shown_to_hold(benches: Benches) -> None:
    """One pair that holds is not enough: half of the rows have to be answered."""
    rows = [{"age": 20.0, "plan": plan} for plan in ("yearly", "a", "b", "c")]
    relation = msgspec.structs.replace(OLDER_PAYS_MORE, values=(30.0, 40.0))
    for answered, passed in (('("yearly", "a", "b")', True), ('("yearly",)', False)):
        source = scoring(f"age if age == 20 or plan in {answered} else [][0]")
        check, _ = benches.put(RelationsHold(), source, rows=rows, relations=(relation,))
        assert check.passed is passed, check.detail
    assert "rows were answered so that they could be compared, and half are asked for" in check.detail
