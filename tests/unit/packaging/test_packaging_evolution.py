"""What is called compatible really is: held against the checker that every request passes."""

import math
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import assume, event, example, given, settings
from hypothesis import strategies as st

from contract_values import elements, fields, limits, row_values
from muster.packaging.columns import Column, Table, array_of, nulls_of, values_of
from muster.packaging.contract import ContractChecker, contract_problems
from muster.packaging.errors import ContractBroken
from muster.packaging.evolution import Change, compatibility
from muster.packaging.field_checks import widens
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Declared, Field

D = Datatype
X = Field("x", D.FP64)
Y = Field("y", D.FP64)
ROWS = 3


@dataclass
class Tensor:
    """A tensor as a V2 request brings it."""

    name: str
    datatype: str
    shape: list[int]
    data: Any


def contract(*inputs: Field, outputs: tuple[Field, ...] = (Y,)) -> Contract:
    return Contract(inputs, outputs)


def breaks(before: Contract, after: Contract) -> list[Change]:
    return [change for change in compatibility(before, after) if not change.is_compatible]


def told(before: Contract, after: Contract) -> list[tuple[str, bool]]:
    return [
        (f"{change.side} {change.field}: {change.what}", change.is_compatible)
        for change in compatibility(before, after)
    ]


@st.composite
def changed(draw: st.DrawFn, field: Field) -> Field:
    """The field with some of it changed, most often to something wider."""
    wider = [kind for kind in Datatype if widens(field.datatype, kind)]
    datatype = draw(st.sampled_from(wider) | st.sampled_from(list(Datatype)) | st.just(field.datatype))
    nullable = draw(st.sampled_from([field.nullable, True, False]))
    required = draw(st.sampled_from([field.required, field.required, True, False]))
    declared = draw(
        st.sampled_from([None, field.declared, field.declared, _widened(field.declared)]) | limits(datatype)
    )
    default = None
    if not required and (not nullable or draw(st.booleans())):
        default = draw(row_values(msgspec.structs.replace(field, datatype=datatype, nullable=False), strange=False))
    made = Field(
        field.name, datatype, field.shape, nullable=nullable, required=required, declared=declared, default=default
    )
    assume(not contract_problems(contract(made)))
    return made


def _widened(declared: Declared | None) -> Declared | None:
    if declared is None:
        return None
    low = None if declared.minimum is None else declared.minimum - 1
    high = None if declared.maximum is None else declared.maximum + 0.5
    known = declared.categories
    return Declared(
        low, high, None if known is None else (*known, *([] if isinstance(known[0], str | bool) else [1000]))
    )


@st.composite
def evolutions(draw: st.DrawFn, *, are_outputs: bool = False) -> tuple[list[Field], list[Field]]:
    """Fields, and what became of them."""
    names = [f"field {place}" for place in range(draw(st.integers(1, 3)))]
    before = [draw(fields(name)) for name in names]
    if are_outputs:
        before = [msgspec.structs.replace(field, required=True) for field in before]
    after = [draw(st.just(field) | changed(field)) for field in before]
    if are_outputs:
        after = [msgspec.structs.replace(field, required=True, default=None) for field in after]
    if draw(st.integers(0, 3)) == 0:
        after.append(draw(fields("new")))
    if draw(st.integers(0, 9)) == 0:
        after.pop(0)
    assume(after)
    return before, draw(st.permutations(after))


@given(evolutions(), st.data())
@settings(max_examples=400, deadline=None)
@example(([Field("x", D.INT64)], [Field("x", D.FP64)]), None)
@example(([Field("x", D.UINT64, declared=Declared(maximum=2.0**53))], [Field("x", D.FP64)]), None)
def test_rows_that_kept_the_contract_before_keep_a_compatible_one_after(
    evolution: tuple[list[Field], list[Field]], data: st.DataObject | None
) -> None:
    """No request of rows that was accepted is refused after changes that are all called compatible."""
    before, after = (contract(*inputs) for inputs in evolution)
    if data is None:
        assert breaks(before, after)
        return
    if breaks(before, after):
        event("breaks")
        return
    event("compatible")
    rows = []
    for _ in range(data.draw(st.integers(1, ROWS))):
        row = {field.name: data.draw(row_values(field)) for field in before.inputs}
        for field in before.inputs:
            if not field.required and data.draw(st.integers(0, 3)) == 0:
                del row[field.name]
        rows.append(row)
    try:
        table = ContractChecker(before, ROWS).check_records(rows)
    except ContractBroken:
        event("a request that was not valid before")
        return
    event("a request that was valid before")
    now = ContractChecker(after, ROWS).check_records(rows)
    _mean_the_same(before, after, table, now)


@given(evolutions(), st.data(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_tensors_that_kept_the_contract_before_keep_a_compatible_one_after(
    evolution: tuple[list[Field], list[Field]],
    data: st.DataObject,
    is_raw: bool,
) -> None:
    """The same of V2 tensors, in JSON and as raw bytes, each stating a datatype that the field took."""
    before, after = (contract(*inputs) for inputs in evolution)
    if breaks(before, after):
        return
    rows = data.draw(st.integers(1, ROWS))
    tensors = []
    for field in before.inputs:
        if not field.required and data.draw(st.integers(0, 3)) == 0:
            continue
        stated = data.draw(st.sampled_from([kind for kind in Datatype if widens(kind, field.datatype)]))
        flat = [data.draw(elements(field)) for _ in range(rows * math.prod(field.shape))]
        given_data: Any = flat
        if is_raw:
            if stated is D.BYTES:
                continue
            length = rows * math.prod(field.shape) * (1 if stated is D.BOOL else np.dtype(_NUMPY[stated]).itemsize)
            given_data = data.draw(st.binary(min_size=length, max_size=length))
        tensors.append(Tensor(field.name, str(stated), [rows, *field.shape], given_data))
    try:
        ContractChecker(before, ROWS).check_tensors(tensors)
    except ContractBroken:
        return
    event("valid before")
    ContractChecker(after, ROWS).check_tensors(tensors)


_NUMPY = {
    kind: str(kind).lower().replace("fp", "float") for kind in Datatype if kind not in {D.BYTES, D.BOOL}
}  # fmt: skip


@given(evolutions(are_outputs=True), st.data())
@settings(max_examples=300, deadline=None)
def test_answers_by_a_compatible_contract_keep_the_one_before(
    evolution: tuple[list[Field], list[Field]], data: st.DataObject
) -> None:
    """Whatever the contract after lets out, less what is new, is what the contract before let out."""
    before, after = (contract(X, outputs=tuple(outputs)) for outputs in evolution)
    if breaks(before, after):
        return
    row = {field.name: data.draw(row_values(field)) for field in after.outputs}
    answers = (contract(*found.outputs) for found in (before, after))
    was, now = (ContractChecker(found, 1) for found in answers)
    try:
        now.check_records([row])
    except ContractBroken:
        return
    event("valid after")
    known = {field.name for field in before.outputs}
    was.check_records([{name: value for name, value in row.items() if name in known}])


def _mean_the_same(before: Contract, after: Contract, was: Table, now: Table) -> None:
    """Numbers that were given, or filled in, are the same numbers, but for those that a narrower float had rounded."""
    for field in before.inputs:
        changed_field = after.input(field.name)
        assert changed_field is not None
        if changed_field.datatype is not field.datatype:
            continue
        old, new = was.columns[field.name], now.columns[field.name]
        if field.nullable == changed_field.nullable:
            assert values_of(old) == values_of(new)


def test_the_same_contract_changes_nothing() -> None:
    """Descriptions and what a sample showed are not looked at."""
    described = msgspec.structs.replace(X, description="other words", personal=True)
    assert compatibility(contract(X), contract(described)) == []


@pytest.mark.parametrize(
    ("before", "after", "what", "is_compatible"),
    [
        ((X,), (X, Field("z", D.FP64)), "input z: it is new and required: requests without it are refused", False),
        ((X,), (X, Field("z", D.FP64, nullable=True, required=False)), "input z: it is new; absent, it is null", True),
        ((X,), (X, Field("z", D.FP64, required=False, default=1.5)), "input z: it is new; absent, it is the default 1.5", True),
        ((X, Field("z", D.BOOL)), (X,), "input z: it is gone: requests that name it are refused", False),
        ((Field("x", D.INT32),), (X,), "input x: its datatype is FP64, and was INT32", True),
        ((X,), (Field("x", D.INT64),), "input x: its datatype is INT64, and was FP64", False),
        ((X,), (Field("x", D.FP64, (2,)),), "input x: its shape is [2], and was []", False),
        ((X,), (Field("x", D.FP64, nullable=True),), "input x: it may be null", True),
        ((Field("x", D.FP64, nullable=True),), (X,), "input x: it may not be null any more", False),
        ((Field("x", D.FP64, required=False, default=1.0),), (X,), "input x: it is required, and was not", False),
        ((X,), (Field("x", D.FP64, unit="days"),), "input x: its unit is days, and was none", False),
        ((Field("x", D.FP64, unit="days"),), (X,), "input x: its unit is none, and was days", False),
        (
            (Field("x", D.FP64, required=False, default=0.0),), (Field("x", D.FP64, required=False, default=1e6),),
            "input x: absent, it is 1000000.0, and was 0.0", False,
        ),
        (
            (Field("x", D.FP64, nullable=True, required=False),), (Field("x", D.FP64, nullable=True, required=False, default=0.0),),
            "input x: absent, it is 0.0, and was null", False,
        ),
        ((Field("x", D.FP64, unit="months"),), (Field("x", D.FP64, unit="days"),), "input x: its unit is days, and was months", False),
        (
            (Field("x", D.FP64, declared=Declared(0, 10)),), (Field("x", D.FP64, declared=Declared(0, 20)),),
            "input x: it takes values from 0 up to 20, and values from 0 up to 10 before", True,
        ),
        (
            (Field("x", D.FP64, declared=Declared(0, 10)),), (Field("x", D.FP64, declared=Declared(1, 10)),),
            "input x: it takes values from 1 up to 10, and values from 0 up to 10 before", False,
        ),
        ((Field("x", D.UINT8),), (Field("x", D.UINT8, declared=Declared(0, 255)),), "input x: it takes values from 0 up to 255, and any value before", True),
        ((X,), (Field("x", D.FP64, declared=Declared(0)),), "input x: it takes values from 0, and any value before", False),
    ],
)  # fmt: skip
def test_changes_of_inputs_in_words(
    before: tuple[Field, ...], after: tuple[Field, ...], what: str, is_compatible: bool
) -> None:
    """Each change names its field, says what is not as it was, and whether consumers have to know."""
    assert told(contract(*before), contract(*after)) == [(what, is_compatible)]


@pytest.mark.parametrize(
    ("before", "after", "what", "is_compatible"),
    [
        ((Y,), (Y, Field("z", D.BYTES)), "output z: it is new", True),
        ((Y, Field("z", D.BYTES)), (Y,), "output z: it is gone: consumers that read it find nothing", False),
        ((Y,), (Field("y", D.FP32),), "output y: its datatype is FP32, and was FP64", False),
        ((Y,), (Field("y", D.FP64, nullable=True),), "output y: it may be null, and was not", False),
        ((Field("y", D.FP64, nullable=True),), (Y,), "output y: it is never null any more", True),
        ((Field("y", D.FP64, (2,), labels=("no", "yes")),), (Field("y", D.FP64, (2,), labels=("yes", "no")),),
         "output y: its labels are ('yes', 'no'), and were ('no', 'yes')", False),
        ((Field("y", D.FP64, declared=Declared(0, 1)),), (Y,), "output y: it gives any value, and values from 0 up to 1 before", False),
        ((Y,), (Field("y", D.FP64, declared=Declared(0, 1)),), "output y: it gives values from 0 up to 1, and any value before", True),
    ],
)  # fmt: skip
def test_changes_of_outputs_in_words(
    before: tuple[Field, ...], after: tuple[Field, ...], what: str, is_compatible: bool
) -> None:
    """What consumers read may be added to, and narrowed; nothing else."""
    assert told(contract(X, outputs=before), contract(X, outputs=after)) == [(what, is_compatible)]


def test_only_what_consumers_have_to_know_breaks() -> None:
    """Compatible changes are told beside those that break, and are no breaks."""
    before, after = contract(X, Field("z", D.BOOL)), contract(X, Field("w", D.BOOL, nullable=True, required=False))
    assert len(compatibility(before, after)) == 2
    assert breaks(before, after) == [
        Change(field="z", side="input", what="it is gone: requests that name it are refused", is_compatible=False)
    ]


@given(fields("x"), st.data())
@settings(max_examples=200, deadline=None)
def test_a_field_that_is_left_out_is_its_default(field: Field, data: st.DataObject) -> None:
    """The column of an absent field has its default in every row, as if every row had brought it; as rows and as tensors."""
    default = data.draw(row_values(msgspec.structs.replace(field, nullable=False), strange=False))
    filled = msgspec.structs.replace(field, required=False, default=_frozen(default))
    assume(not contract_problems(contract(filled)))
    checker = ContractChecker(contract(filled, Field("other", D.BOOL)), ROWS)
    rows = data.draw(st.integers(1, ROWS))
    brought = checker.check_records([{"x": default, "other": True}] * rows).columns["x"]
    absent = checker.check_records([{"other": True}] * rows).columns["x"]
    some = checker.check_records([{"other": True}, *[{"x": default, "other": True}] * (rows - 1)]).columns["x"]
    tensors = checker.check_tensors([Tensor("other", "BOOL", [rows], [True] * rows)]).columns["x"]
    assert _same(brought, absent)
    assert _same(brought, some)
    assert _same(brought, tensors)


def test_null_that_is_given_stays_null() -> None:
    """A default fills in what is absent, and nothing else."""
    field = Field("x", D.FP64, nullable=True, required=False, default=1.0)
    table = ContractChecker(contract(field), 2).check_records([{"x": None}, {}])
    assert values_of(table.columns["x"]) == [None, 1.0]


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        (Field("x", D.FP64, default=1.0), "it needs required = false"),
        (Field("x", D.FP64, required=False, default="many"), "the default 'many' does not fit it"),
        (Field("x", D.FP64, required=False, default=math.nan), "cannot be written as JSON"),
        (Field("x", D.INT64, required=False, default=2**60), "cannot be written as JSON"),
        (Field("x", D.FP64, (2,), required=False, default=(1.0,)), "does not fit it: expected a tensor"),
        (
            Field("x", D.FP64, required=False, default=11.0, declared=Declared(0, 10)),
            "the default 11.0 does not fit it",
        ),
        (Field("x", D.FP64, required=False), "or have a default"),
    ],
)
def test_a_default_that_does_not_fit_its_field_is_a_problem_of_the_contract(field: Field, problem: str) -> None:
    """What the front would fill in is checked once, when the contract is made."""
    (found,) = contract_problems(contract(field))
    assert problem in found


def test_outputs_have_no_defaults() -> None:
    """What nobody answered has a default answer of the release, not of a field."""
    problems = contract_problems(contract(X, outputs=(Field("y", D.FP64, nullable=True, required=False, default=1.0),)))
    assert problems == ["output 'y': a default is for inputs; a release has a default answer of its own"]


def _frozen(value: Any) -> Any:
    return tuple(_frozen(inner) for inner in value) if isinstance(value, list) else value


def _same(one: Column, other: Column) -> bool:
    left, right = (nulls_of(column) for column in (one, other))
    if (left is None) != (right is None) or (left is not None and right is not None and (left != right).any()):
        return False
    if one.datatype in {D.FP16, D.FP32, D.FP64}:
        return bool(np.array_equal(array_of(one), array_of(other), equal_nan=True))
    return bytes(one.data) == bytes(other.data)
