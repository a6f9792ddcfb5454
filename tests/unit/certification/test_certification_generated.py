"""Generated rows: every one keeps its contract, whatever the contract; the same seed makes the same ones; a failure becomes simple."""

import math
from typing import Any

import hypothesis.strategies as st
import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from contract_values import fields, row_values
from muster.certification import hunting
from muster.certification.generated import MOST_SINGLES, Row, golden_records, rows, singles, singles_with
from muster.certification.hunting import LEAST_BATCHES, LEAST_SINGLES, Ended, beyond_contract, hunt
from muster.certification.reaches import ANSWERED, Interval, Reach, values_by_reach
from muster.packaging.contract import ContractChecker, contract_problems
from muster.packaging.errors import ContractBroken
from muster.packaging.samples import read_sample
from muster.runtimes.channel import Answer, RequestError
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Declared, Field, Observed

OUTPUT = Field("y", Datatype.FP64)
AGE = Field("age", Datatype.FP64)
CONTRACT = Contract(inputs=(AGE, Field("plan", Datatype.BYTES, nullable=True)), outputs=(OUTPUT,))
GOLDEN = read_sample({"age": [1.0, 2.0, 40.0], "plan": ["a", "b", "c"]}).table


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """A contract of up to three inputs of any kind, without contradictions."""
    inputs = tuple(draw(fields(f"f{number}")) for number in range(draw(st.integers(1, 3))))
    contract = Contract(inputs, (OUTPUT,))
    return contract if not contract_problems(contract) else CONTRACT


@settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
@given(contracts(), st.data())
def test_every_row_keeps_its_contract(contract: Contract, data: st.DataObject) -> None:
    """Singles and drawn rows alike pass the check that consumers' rows pass, for fields of every datatype, shape, default and limit."""
    checker = ContractChecker(contract, max_rows=MOST_SINGLES)
    base = {field.name: data.draw(row_values(field, strange=False)) for field in contract.inputs}
    try:
        golden = checker.check_records([base])
    except ContractBroken:  # limits that exclude what was drawn for them
        return
    records = golden_records(contract, golden)
    found = [*singles(contract, golden, most=100), *data.draw(rows(contract, golden))]
    checker.check_records([row.record(records) for row in found])
    assert all(row.changes.keys() == row.reach_of.keys() for row in found)


def test_the_reaches_of_a_field_are_what_its_contract_has_room_for() -> None:
    """Declared limits leave nothing beyond them; what was merely observed does."""
    column = GOLDEN.columns["age"]
    free = values_by_reach(AGE, column)
    assert set(free) == {Reach.SEEN, Reach.UNSEEN, Reach.EXTREME, Reach.NOT_FINITE}
    assert (free[Reach.SEEN].interval, free[Reach.UNSEEN].interval) == (Interval(1.0, 40.0), Interval(-38.0, 79.0))
    declared = values_by_reach(msgspec.structs.replace(AGE, declared=Declared(minimum=0, maximum=120)), column)
    assert set(declared) == {Reach.SEEN, Reach.UNSEEN, Reach.EXTREME}
    assert declared[Reach.SEEN].interval == declared[Reach.UNSEEN].interval
    assert all(0 <= value <= 120 for value in declared[Reach.EXTREME].picks)
    known = values_by_reach(
        Field("c", Datatype.INT8, declared=Declared(categories=(1, 2))), read_sample({"c": [1]}).table.columns["c"]
    )
    assert {reach: values.picks for reach, values in known.items()} == {Reach.SEEN: (1, 2)}
    text = GOLDEN.columns["plan"]
    seen = Field("plan", Datatype.BYTES, nullable=True, observed=Observed(categories=("a", "b", "c")))
    assert set(values_by_reach(seen, text)) == set(Reach) - {Reach.NOT_FINITE, Reach.TEXT}
    assert values_by_reach(seen, text)[Reach.NULL].picks == (None,)
    assert set(values_by_reach(Field("note", Datatype.BYTES), text)) == {Reach.SEEN, Reach.TEXT, Reach.EXTREME}


def test_every_plane_of_unicode_is_reached() -> None:
    """Text is made of any character but U+0000 and the surrogates."""
    found: list[str] = []

    @settings(max_examples=150, database=None, phases=(Phase.generate,), deadline=None)
    @seed(5)
    @given(rows(CONTRACT, GOLDEN))
    def gather(batch: tuple[Row, ...]) -> None:
        found.extend(str(row.changes["plan"]) for row in batch if row.reach_of.get("plan") is Reach.TEXT)

    gather()
    characters = set("".join(found))
    assert {ord(one) >> 16 for one in characters} >= {0, 1, 2, 3}
    assert max(ord(one) >> 16 for one in characters) >= 10
    assert not any(one == "\0" or 0xD800 <= ord(one) < 0xE000 for one in characters)


def test_of_a_wide_contract_each_field_has_its_share() -> None:
    """Hundreds of fields make no more rows than a few, and none of the fields is left out."""
    inputs = tuple(Field(f"f{number}", Datatype.FP64) for number in range(400))
    golden = read_sample({field.name: [1.0, 2.0] for field in inputs}).table
    found = singles(Contract(inputs, (OUTPUT,)), golden, most=500)
    assert len(found) <= 900
    assert {name for row in found for name in row.changes} == {field.name for field in inputs}


class Fragile:
    """A model that is asked here: it answers the age, and has its weaknesses."""

    def __init__(self) -> None:
        self.records = golden_records(CONTRACT, GOLDEN)
        self.checker = ContractChecker(CONTRACT, max_rows=100)
        self.asked = 0

    def __call__(self, batch: Any) -> Answer | Ended:
        self.asked += 1
        errors: dict[int, RequestError] = {}
        answers = []
        table = self.checker.check_records([row.record(self.records) for row in batch])
        for at, record in enumerate(self.checker.records_of(table)):
            age, plan = float(record["age"]), record["plan"]
            if plan is not None and max(plan, default="a") >= "\U0001f000":
                return Ended(kind="host-died", told="it is gone")
            if plan is None:
                errors[at] = RequestError(code="model-raised", message="TypeError: no plan")
            elif math.isfinite(age) and age < -5:
                errors[at] = RequestError(code="model-raised", message="ValueError: too young")
            elif plan == "NA":
                errors[at] = RequestError(code="unheard-of", message="?")
            else:
                answers.append(age)
        data = np.array(answers, "<f8").tobytes()
        return Answer(
            statuses=bytes(len(batch)), errors=errors, rows=len(answers), columns=((memoryview(data), None),), compute_ns=1,
            alone=False, latency_ns=1,
        )  # fmt: skip


def hunted(must_answer: tuple[Reach, ...] = ANSWERED, **also: Any) -> Any:
    told: dict[str, Any] = {"number": 7, "examples": 25, "seconds": 60.0, "longest": 60.0, **also}
    return hunt(singles(CONTRACT, GOLDEN), rows(CONTRACT, GOLDEN), Fragile(), CONTRACT, must_answer=must_answer, **told)


def test_every_weakness_is_told_once_and_simply() -> None:
    """Each with one changed field of the first golden row; errors beyond what has to be answered are counted, not blamed."""
    haul = hunted()
    assert {failure.cause for failure in haul.failures} == {
        "model-raised, TypeError", "host-died", "unheard-of", "answer-broken, output 'y'",
    }  # fmt: skip
    assert all((len(failure.row.changes), failure.row.base) == (1, 0) for failure in haul.failures)
    assert haul.refused[Reach.UNSEEN] > 0  # an age that nobody has: a clean error is enough there
    again = hunted()
    assert [failure.row for failure in again.failures] == [failure.row for failure in haul.failures]
    assert (again.asked, again.refused) == (haul.asked, haul.refused)
    assert {failure.kind for failure in hunted(tuple(Reach)).failures} >= {"model-raised, ValueError, unseen"}


def test_a_hunt_ends_with_its_time() -> None:
    """And says so; what was found until then is told."""
    haul = hunted(seconds=0.0, longest=0.0)
    assert (haul.was_cut, haul.is_short, haul.rows, haul.failures) == (True, True, 0, ())


class Slow:
    """A sound model over a wide contract, on a clock of its own: so many seconds a batch, and so many where a row is refused."""

    contract = Contract(inputs=tuple(Field(f"f{number}", Datatype.FP64) for number in range(60)), outputs=(OUTPUT,))
    golden = read_sample({field.name: [1.0, 2.0] for field in contract.inputs}).table

    def __init__(self, batch_s: float, refusing_s: float, weak: Row | None = None) -> None:
        self.now = 0.0
        self.batches = 0
        self.batch_s, self.refusing_s, self.weak = batch_s, refusing_s, weak

    def monotonic(self) -> float:
        return self.now

    def __call__(self, batch: Any) -> Answer | Ended:
        self.batches += 1
        far = [at for at, row in enumerate(batch) if row.farthest is Reach.NOT_FINITE]
        self.now += self.refusing_s if far else self.batch_s
        errors = {at: RequestError(code="model-raised", message="ValueError: no number") for at in far}
        errors |= {at: RequestError(code="unheard-of", message="?") for at, row in enumerate(batch) if row == self.weak}
        answered = len(batch) - len(errors)
        return Answer(
            statuses=bytes(len(batch)), errors=errors, rows=answered, columns=((memoryview(bytes(8 * answered)), None),),
            compute_ns=1, alone=False, latency_ns=1,
        )  # fmt: skip

    def hunted(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        """What a hunt of 10 s comes to."""
        monkeypatch.setattr(hunting, "time", self)
        return hunt(
            singles_with(self.contract, self.golden, LEAST_SINGLES), rows(self.contract, self.golden), self, self.contract,
            must_answer=ANSWERED, number=3, examples=100, seconds=10.0, longest=60.0,
        )  # fmt: skip


@pytest.mark.parametrize(("batch_s", "refusing_s"), [(0.03, 1.5), (0.1, 5.0)], ids=["30-ms-a-call", "100-ms-a-call"])
def test_an_ordinary_slow_model_is_tried_and_passes(
    monkeypatch: pytest.MonkeyPatch, batch_s: float, refusing_s: float
) -> None:
    """The usual time is not enough for it: it gets as long as the least takes, single values of every reach and some batches."""
    model = Slow(batch_s, refusing_s)
    haul = model.hunted(monkeypatch)
    assert (haul.was_cut, haul.is_short, haul.failures) == (True, False, ())
    assert haul.batches >= LEAST_SINGLES // 50 + LEAST_BATCHES
    assert set(haul.asked) == {Reach.SEEN, Reach.UNSEEN, Reach.EXTREME, Reach.NOT_FINITE}


def test_a_model_that_stays_just_below_the_time_of_an_answer_is_not_shown_to_be_sound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Asked as little as it lets itself be asked, it has not been tried; and it is not waited for without end."""
    model = Slow(4.9, 4.9)
    haul = model.hunted(monkeypatch)
    assert (haul.was_cut, haul.is_short, haul.failures) == (True, True, ())
    assert model.now < 60 + 2 * 4.9


def test_a_weakness_is_found_although_the_usual_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow model cannot put off the single value that it fails on; once it has failed, nothing more is waited for."""
    weak = singles_with(Slow.contract, Slow.golden, LEAST_SINGLES)[LEAST_SINGLES - 1]
    model = Slow(3.5, 3.5, weak)
    haul = model.hunted(monkeypatch)
    assert [failure.row for failure in haul.failures] == [weak]
    assert model.batches == LEAST_SINGLES // 50 > 3  # what 10 s had room for
    assert not haul.is_short


def test_the_first_of_the_single_values_are_of_every_field() -> None:
    """What comes first is a part of all of them, and none comes twice."""
    every = singles(Slow.contract, Slow.golden)
    found = singles_with(Slow.contract, Slow.golden, LEAST_SINGLES)
    assert len(every) == len(found) > LEAST_SINGLES
    assert sorted((repr(row), row.farthest) for row in found) == sorted((repr(row), row.farthest) for row in every)
    first = found[:LEAST_SINGLES]
    assert {name for row in first for name in row.changes} == {field.name for field in Slow.contract.inputs}
    assert {row.farthest for row in first} == {row.farthest for row in every}
    assert singles_with(CONTRACT, GOLDEN, LEAST_SINGLES) == singles(CONTRACT, GOLDEN)


def test_changes_that_do_not_matter_are_taken_away() -> None:
    """A failure of a drawn row that changed much is left with the one change that it needs."""
    haul = hunt(
        [],
        rows(CONTRACT, GOLDEN),
        Fragile(),
        CONTRACT,
        must_answer=ANSWERED,
        number=3,
        examples=200,
        seconds=60,
        longest=60,
    )
    assert haul.failures
    assert all(len(failure.row.changes) == 1 for failure in haul.failures)


@pytest.mark.parametrize(
    ("answer", "output", "told"),
    [
        ([1.0, math.nan], OUTPUT, (1, "expected a finite number")),
        ([math.inf, 1.0], OUTPUT, (0, "expected a finite number")),
        ([1.0, 2.0], msgspec.structs.replace(OUTPUT, declared=Declared(maximum=1)), (1, "at most 1")),
        ([1.0, 2.0], OUTPUT, None),
    ],
    ids=["nan", "infinity", "limit", "sound"],
)  # fmt: skip
def test_an_answer_beyond_the_contract_is_told_with_its_row(
    answer: list[float], output: Field, told: tuple[int, str] | None
) -> None:
    """Whatever a host lets through."""
    contract = Contract((AGE,), (output,))
    given_back = Answer(
        statuses=b"\0\0", errors={}, rows=2, columns=((memoryview(np.array(answer).tobytes()), None),), compute_ns=1, alone=False, latency_ns=1,
    )  # fmt: skip
    found = beyond_contract(given_back, contract)
    if told is None:
        assert found is None
    else:
        assert found is not None
        assert found[0] == told[0]
        assert told[1] in found[1]


def test_bytes_that_are_no_answer_are_told() -> None:
    """Too few of them, or text that is no UTF-8."""
    short = Answer(
        statuses=b"\0\0", errors={}, rows=2, columns=((memoryview(bytes(8)), None),), compute_ns=1, alone=False, latency_ns=1,
    )  # fmt: skip
    assert "has 1 rows of 2" in str(beyond_contract(short, Contract((AGE,), (OUTPUT,))))
    text = Answer(
        statuses=b"\0", errors={}, rows=1, columns=((memoryview(b"\1\0\0\0\xff"), None),), compute_ns=1, alone=False, latency_ns=1,
    )  # fmt: skip
    contract = Contract((AGE,), (Field("y", Datatype.BYTES),))
    assert "cannot be read" in str(beyond_contract(text, contract))


def test_rows_are_drawn_alike_by_the_same_seed() -> None:
    """Whatever process draws them."""

    def made() -> list[tuple[Row, ...]]:
        found: list[tuple[Row, ...]] = []

        @settings(max_examples=20, database=None, phases=(Phase.generate,))
        @seed(11)
        @given(rows(CONTRACT, GOLDEN))
        def gather(batch: tuple[Row, ...]) -> None:
            found.append(batch)

        gather()
        return found

    assert made() == made()
