"""The check `robustness` on real hosts: what a fragile model does is found, made as simple as possible, and shown."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from claimed_bundles import CONTRACT, SOUND, Benches
from muster.certification.checks import Bench, Finding, WrongInputs, option_problems, put
from muster.certification.records import Check
from muster.certification.robustness import Robustness
from muster.packaging.trees import remove_tree
from muster.runtimes.conformance.tables import ask
from muster.runtimes.errors import HostGone
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Declared, Field
from muster.wire.evidence import Exhibit, Grid, Rows

QUICK = {"robustness": {"answer_s": 0.5, "seconds": 5.0}}


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Benches]:
    root = tmp_path_factory.mktemp("benches")
    yield Benches(root)
    remove_tree(root / "environments")


def fragile(line: str) -> str:
    """The sound model with a line before its answer."""
    return SOUND.replace("            return min(", f"            {line}\n            return min(")


def failing(found: tuple[Check, tuple[Exhibit, ...]]) -> Rows:
    """The rows on which a model failed; the check says so, too."""
    check, (shown, *_) = found
    assert not check.passed
    assert isinstance(shown, Rows)
    assert check.figure == len(shown.rows) == len(shown.why)
    return shown


def test_what_is_personal_in_the_sample_is_not_shown(benches: Benches) -> None:
    """A golden row's own values of personal fields stay out of the report; a value that was made up is what it failed on, and is shown."""
    inputs = tuple(msgspec.structs.replace(one, personal=True) for one in CONTRACT.inputs)
    contract = msgspec.structs.replace(CONTRACT, inputs=inputs)
    rows = [{"age": 41.125, "plan": "Jansen"}, {"age": 62.375, "plan": "Visser"}]
    check, exhibits = benches.put(
        Robustness(), SOUND.replace('plan or ""', "plan"), contract=contract, rows=rows, options=QUICK
    )
    shown = failing((check, exhibits))
    assert shown.rows[0] == {"age": "(personal, not shown)", "plan": None}
    told = check.detail.encode() + msgspec.json.encode(exhibits)
    assert not [value for value in (b"41.125", b"62.375", b"Jansen", b"Visser") if value in told]
    echoing = SOUND.replace('plan or ""', "plan if plan is not None else {}[str(age)]")
    check, exhibits = benches.put(Robustness(), echoing, contract=contract, rows=rows, options=QUICK)
    assert "model-raised, KeyError" in check.detail
    assert b"41.125" not in check.detail.encode() + msgspec.json.encode(exhibits)


def test_no_check_repeats_what_a_model_says_of_personal_fields(benches: Benches) -> None:
    """Where the contract has some, an error is told by its code and class; where it has none, in the model's words."""

    class Asked(Robustness):
        def answer(self, bench: Bench, stack: ExitStack) -> Finding:
            raise HostGone("request 0: model-raised: KeyError: no such customer: Jansen, Delft\nand more", host="h")

    inputs = tuple(msgspec.structs.replace(one, personal=True) for one in CONTRACT.inputs)
    open_, _ = benches.put(Asked())
    assert "Jansen, Delft" in open_.detail
    closed, _ = benches.put(Asked(), contract=msgspec.structs.replace(CONTRACT, inputs=inputs))
    assert closed.detail.startswith("request 0: model-raised: KeyError (the model's own words are not shown")
    assert "Jansen" not in closed.detail


def test_a_sound_model_answers_whatever_its_contract_allows(benches: Benches) -> None:
    """Hundreds of rows of every reach are answered or cleanly refused, in the same order each time; what was asked is shown."""
    first, shown = benches.put(Robustness())
    assert first.passed, first.detail
    assert first.figures["rows"] > 200
    assert first.figures["refused"] > 0  # not a number: the model says so, and may
    (grid,) = shown
    assert isinstance(grid, Grid)
    assert {row[0] for row in grid.rows} == {"seen", "null", "text", "unseen", "extreme", "not-finite"}
    again, same = benches.put(Robustness())
    assert (again.figures, same) == (first.figures, shown)


@pytest.mark.parametrize(
    ("source", "row", "why"),
    [
        (SOUND.replace('plan or ""', "plan"), {"age": 20.0, "plan": None}, "model-raised: TypeError"),
        (fragile('plan.encode("latin-1")'), None, "model-raised: UnicodeEncodeError"),
        (fragile('{"monthly": 1, "yearly": 2, "": 3}[plan]'), None, "model-raised: KeyError"),
        (fragile("assert not 50 < age < 65"), None, "model-raised: AssertionError"),
    ],
    ids=["null", "unicode", "unseen", "range"],
)
def test_a_fragile_model_is_shown_the_simplest_row(
    benches: Benches, source: str, row: dict[str, object] | None, why: str
) -> None:
    """A null, a character, a category or a number that its contract allows and that it does not take: one field is changed, no more."""
    shown = failing(benches.put(Robustness(), source))
    assert why in shown.why[0]
    golden = {"age": 20.0, "plan": "monthly"}
    changed = [name for name, value in shown.rows[0].items() if golden[name] != value]
    assert len(changed) == 1
    assert row is None or shown.rows[0] == row


def test_limits_in_the_contract_take_the_blame_from_the_model(benches: Benches) -> None:
    """What declared limits refuse never reaches the model, so that it need not answer it."""
    limits = {"age": Declared(minimum=18, maximum=120), "plan": Declared(categories=("monthly", "yearly"))}
    inputs = tuple(msgspec.structs.replace(field, declared=limits[field.name]) for field in CONTRACT.inputs)
    contract = msgspec.structs.replace(CONTRACT, inputs=inputs)
    line = '{"monthly": 1, "yearly": 2, "": 3}[plan], 1 / (18 <= age <= 120)'
    check, _ = benches.put(Robustness(), fragile(line), contract=contract)
    assert check.passed, check.detail
    assert check.figures["refused"] == 0


def test_a_model_that_dies_is_found_and_the_next_check_has_a_host(benches: Benches) -> None:
    """A crash counts however far the row reaches; it is made smaller with fresh hosts, and later checks do not suffer."""
    with benches.of(fragile('__import__("os")._exit(3) if age > 1e300 else 0'), options=QUICK) as (bench, stack):
        check = put(Robustness(), bench, stack)
        after = put(WrongInputs(), bench, stack)
        assert bench.channel is not None
        assert bench.golden is not None
        assert not ask(bench.channel, bench.golden.inputs).errors
    assert not check.passed
    assert "with age = 1.797693" in check.detail
    assert "the host" in check.detail
    assert after.passed, after.detail


def test_a_model_that_hangs_is_found(benches: Benches) -> None:
    """No answer in time is a failure of its own kind, and the hanging host is not left behind."""
    line = 'exec("while len(plan) > 12: pass")'
    soon = {"robustness": {"answer_s": 0.3, "seconds": 1.5}}
    check, (shown, *_) = benches.put(Robustness(), fragile(line), options=soon)
    assert not check.passed
    assert isinstance(shown, Rows)
    assert "no answer within 0.3 s" in shown.why[0]
    assert len(shown.rows[0]["plan"]) > 12


def test_a_model_that_lets_itself_be_asked_too_little_fails(benches: Benches) -> None:
    """With no time at all nothing was found, and nothing was shown: the check says so and what to do; with time for the least it passes."""
    short = {"robustness": {"seconds": 1e-6, "longest": 1e-6}}
    check, _ = benches.put(Robustness(), options=short)
    assert (check.passed, check.figure) == (False, 1)
    assert "only 0 generated rows could be put within" in check.detail
    assert "`longest`" in check.remedy
    check, _ = benches.put(Robustness(), options={"robustness": {"seconds": 1e-6}})
    assert check.passed, check.detail
    assert check.figures["batches"] > 10


def test_a_model_that_is_another_one_afterwards_is_found(benches: Benches) -> None:
    """A row that changes the model for all later ones leaves golden rows answered otherwise."""
    line = 'self.worn = getattr(self, "worn", 0) + (plan == "never seen")'
    source = fragile(line).replace("return min(", "return self.worn + min(")
    check, _ = benches.put(Robustness(), source)
    assert (check.passed, check.figure) == (False, 1)
    assert "golden rows were answered otherwise afterwards" in check.detail


def test_an_answer_beyond_the_contract_is_found(benches: Benches) -> None:
    """An output with declared limits is held to them on generated rows, where golden ones showed nothing."""
    outputs = (Field("score", Datatype.FP64, declared=Declared(minimum=0.0, maximum=1.0)),)
    contract = msgspec.structs.replace(CONTRACT, outputs=outputs)
    source = SOUND.replace("return min(", "return -1.0 if not plan else min(")
    shown = failing(benches.put(Robustness(), source, contract=contract))
    assert "output-broken" in shown.why[0]


def test_the_standard_says_what_needs_an_answer(benches: Benches) -> None:
    """With `must_answer` a refusal of what is not finite fails; with less, one of an unseen category passes."""
    strict = {"robustness": {"must_answer": ["seen", "null", "unseen", "text", "extreme", "not-finite"]}}
    shown = failing(benches.put(Robustness(), options=strict))
    assert "the age is no number" in shown.why[0]
    assert benches.put(Robustness(), fragile("assert age > 0"))[0].passed  # nobody is so young: it may refuse
    older = {"robustness": {"must_answer": ["seen", "unseen"]}}
    assert "AssertionError" in failing(benches.put(Robustness(), fragile("assert age > 0"), options=older)).why[0]
    lenient = {"robustness": {"must_answer": ["seen", "null"]}}
    check, _ = benches.put(Robustness(), fragile('{"monthly": 1, "yearly": 2, "": 3}[plan]'), options=lenient)
    assert check.passed, check.detail


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"max_examples": 0}, "max_examples is 1 to"),
        ({"seconds": 0.0}, "seconds is above 0"),
        ({"longest": 4000.0}, "longest is above 0 and at most 3600"),
        ({"answer_s": -1.0}, "answer_s is above 0"),
        ({"must_answer": ["everything"]}, "Invalid enum value 'everything'"),
        ({"examples": 5}, "unknown field `examples`"),
    ],
)
def test_options_that_mean_nothing_are_refused(given: dict[str, object], told: str) -> None:
    """A standard cannot be read with them."""
    (problem,) = option_problems(Robustness(), given)
    assert told in problem


def test_nothing_is_written_beside_the_examination(
    benches: Benches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The generator keeps no database of examples: an executor leaves nothing in the folder that it was started in."""
    monkeypatch.chdir(tmp_path)
    with benches.of() as (bench, _), ExitStack() as stack:
        assert put(Robustness(), bench, stack).passed
    assert not list(tmp_path.iterdir())
