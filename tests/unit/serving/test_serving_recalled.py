"""An answer made again from its record is the answer that was given."""

from struct import pack
from typing import Any

import msgspec
import pytest

from decided_requests import SCORE, plan_of
from keyed_requests import decided_of, table_of
from muster.archive.layout import decoded
from muster.archive.records import Record
from muster.archive.segments import encode
from muster.packaging.columns import values_of
from muster.serving.decisions import COMBINED, DEFAULT
from muster.serving.front import records_answers, v2_answers
from muster.serving.front.forms import NDJSON, Asked
from muster.serving.plan import Plan
from muster.serving.recalled import recalled, was_answered
from muster.vocabulary.request_ids import RequestIds
from muster.vocabulary.states import Reason
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Field
from muster.wire.records import Decided, StoredColumn, VariantAnswer

LABEL = Field("label", Datatype.BYTES)
PLAN = plan_of(Field("x", Datatype.FP64), outputs=[SCORE, LABEL], default={"score": -1.0, "label": "none"})
#: Another release of the same endpoint, with another contract.
LATER = Plan(
    msgspec.structs.replace(
        plan_of(Field("y", Datatype.INT64), outputs=[Field("other", Datatype.INT64)]).document,
        release=8,
        contract_digest="sha256:" + "1" * 64,
    )
)
REQUEST_ID = RequestIds(0).next(1)


def outputs(*scores: float) -> tuple[StoredColumn, ...]:
    labels = b"".join(pack("<I", 2) + b"n%d" % (number % 10) for number in range(len(scores)))
    return (
        StoredColumn("score", "FP64", (), pack(f"<{len(scores)}d", *scores)),
        StoredColumn("label", "BYTES", (), labels),
    )


def record(plan: Plan = PLAN, rows: int = 2, **changed: Any) -> Record:
    """As it comes from a segment: encoded and decoded."""
    scores = [float(number) for number in range(rows)]
    answers = tuple(
        VariantAnswer(variant.version, variant.planned.role, "answered", outputs(*(10 * place + one for one in scores)))
        for place, variant in enumerate(plan.variants)
    )
    known: dict[str, Any] = {"rows": rows, "answers": answers}
    made = decided_of(plan, REQUEST_ID, table_of(1.0), **known | changed)
    event = decoded(encode(made)[8:])
    assert isinstance(event, Decided)
    return Record(decided=event)


CASES: dict[str, dict[str, Any]] = {
    "champion": {},
    "one row": {"rows": 1},
    "fallback": {"chosen": (1,), "reason": Reason.FALLBACK_LATE},
    "forced": {"chosen": (2,), "reason": Reason.FORCED, "forced": True},
    "default": {"chosen": (DEFAULT,), "reason": Reason.DEFAULT, "default": b'{"score":-1.0,"label":"none"}'},
    "rows apart": {"chosen": (0, 2), "reason": Reason.VOTE},
    "combined": {
        "chosen": (COMBINED,),
        "reason": Reason.WEIGHTED,
        "weights": (0.5, 0.25, 0.25),
        "combined": outputs(0.5, 0.75),
    },
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_the_same_bytes_whether_the_plan_is_there_or_gone(case: dict[str, Any]) -> None:
    """Every form of the answer, under the record's own plan and after another release with another contract has come."""
    kept = record(**case)
    assert was_answered(kept)
    here, later = recalled(kept, PLAN), recalled(kept, LATER)
    assert here.mailbox.plan is PLAN
    assert later.mailbox.plan.release == 7
    for asked in (
        Asked(here.mailbox.table, "mine"),
        Asked(here.mailbox.table, None, None, {"binary_data_output": True}),
    ):
        assert v2_answers.answer(here, asked).body() == v2_answers.answer(later, asked).body()
    assert records_answers.answer(here).body() == records_answers.answer(later).body()
    assert records_answers.answer(here, NDJSON).body() == records_answers.answer(later, NDJSON).body()
    assert (here.version, here.role, here.decision) == (later.version, later.role, later.decision)


def test_it_is_what_the_record_says() -> None:
    """Values, variant, reason and times."""
    apart = recalled(record(**CASES["rows apart"]), PLAN)
    assert values_of(apart.outputs().columns["score"]) == [0.0, 21.0]
    assert apart.mailbox.request_id == REQUEST_ID
    assert apart.mailbox.deadline_s == PLAN.deadline_s
    combined = recalled(record(**CASES["combined"]), PLAN)
    assert values_of(combined.outputs().columns["score"]) == [0.5, 0.75]
    assert combined.decision.weights == (0.5, 0.25, 0.25)
    default = recalled(record(**CASES["default"]), LATER)
    assert values_of(default.outputs().columns["label"]) == ["none", "none"]


def test_a_default_answer_without_any_contract_is_taken_as_json_shows_it() -> None:
    """No variant has answered, the release is gone, and so is its contract."""
    pending = tuple(VariantAnswer(variant.version, variant.planned.role, "pending") for variant in PLAN.variants)
    default = b'{"score":0.5,"label":"none","flag":true,"shares":[0.25,0.75]}'
    kept = record(rows=1, answers=pending, chosen=(DEFAULT,), reason=Reason.DEFAULT, default=default)
    found = msgspec.json.decode(records_answers.answer(recalled(kept, LATER)).body())["answers"][0]
    assert found["score"] == 0.5
    assert (found["label"], found["flag"], found["shares"]) == ("none", True, [0.25, 0.75])


def test_without_an_answer_there_is_nothing_to_recall() -> None:
    """Nothing was given: the caller had an error."""
    assert not was_answered(record(chosen=(DEFAULT,), reason=Reason.NONE))
