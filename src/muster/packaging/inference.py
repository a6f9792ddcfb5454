"""A contract inferred from a sample: types, shapes, nullability, and what the sample showed."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from muster.packaging.columns import Column, array_of, nulls_of
from muster.packaging.contract import contract_problems
from muster.packaging.errors import ContractMalformed, SampleUnusable
from muster.packaging.field_checks import EXACT_INTEGER, FieldBroken, FieldCheck
from muster.packaging.samples import Sample, read_sample
from muster.vocabulary.tensors import FLOATS, Datatype
from muster.wire.contracts import Contract, Declared, Field, Observed

#: A text column with more different values than this is no list of categories: they would only bloat the contract.
_MOST_CATEGORIES = 64


def infer_contract(
    sample: Any,
    outputs: Sequence[Field],
    personal: Collection[str] = (),
    *,
    nullable: Collection[str] = (),
    declared: Mapping[str, Declared | Mapping[str, Any]] | None = None,
) -> Contract:
    """The contract of a model that was shown `sample` and gives `outputs`.

    A field is nullable when the sample shows a null in it, or when it is named in `nullable`. Of personal fields only
    the counts of rows and nulls are kept: a contract is read by many, and the values of few people tell about them.

    Args:
        sample: whatever `samples.read_sample` takes, or its result.
        outputs: what the model gives.
        personal: names of fields that hold personal data.
        nullable: names of fields that may be null although the sample shows none.
        declared: limits per field that refuse: `{"tenure": {"minimum": 0}}`, `{"plan": {"categories": ["basic"]}}`.

    Raises:
        SampleUnusable: the sample holds what a contract cannot express.
        ContractMalformed: a name is not a column of the sample, or what is declared excludes the sample's own values.
    """
    shown = sample if isinstance(sample, Sample) else read_sample(sample)
    limits = {name: _declared(name, limit) for name, limit in (declared or {}).items()}
    for what, names in (("personal", personal), ("nullable", nullable), ("declared", limits)):
        unknown = sorted(set(names) - shown.table.columns.keys())
        if unknown:
            raise ContractMalformed(
                f"{what} names {unknown[0]!r}, which is no column of the sample: {', '.join(shown.table.columns)}"
            )
    inputs = tuple(
        _field(name, column, personal=name in personal, nullable=name in nullable, declared=limits.get(name))
        for name, column in shown.table.columns.items()
    )
    contract = Contract(inputs, tuple(outputs))
    problems = contract_problems(contract)
    if problems:
        raise ContractMalformed(f"the contract contradicts itself: {problems[0]}", problems=problems)
    _refuse_own_sample(contract, shown)
    return contract


def _declared(name: str, limit: Declared | Mapping[str, Any]) -> Declared:
    if isinstance(limit, Declared):
        return limit
    try:
        return msgspec.convert(dict(limit), Declared)
    except msgspec.ValidationError as error:
        raise ContractMalformed(f"what is declared for {name!r} cannot be used: {error}", field=name) from error


def _field(name: str, column: Column, *, personal: bool, nullable: bool, declared: Declared | None) -> Field:
    nulls = nulls_of(column)
    may_be_null = nullable or nulls is not None
    if column.shape and column.datatype in FLOATS and np.isnan(array_of(column)).any():
        may_be_null = True
    if column.shape and may_be_null and column.datatype not in FLOATS:
        raise SampleUnusable(f"column {name!r}: only floating-point tensors may be null", field=name)
    return Field(
        name=name,
        datatype=column.datatype,
        shape=column.shape,
        nullable=may_be_null,
        personal=personal,
        declared=declared,
        observed=_observed(column, personal=personal),
    )


def _observed(column: Column, *, personal: bool) -> Observed:
    nulls = nulls_of(column)
    values = array_of(column)
    rows = len(values)
    count = 0 if nulls is None else int(nulls.sum())
    if personal:
        return Observed(nulls=count, rows=rows)
    seen = values if nulls is None else values[~nulls]
    if column.datatype is Datatype.BYTES:
        different = sorted(set(seen.reshape(-1).tolist()))
        few = len(different) <= _MOST_CATEGORIES
        return Observed(categories=tuple(different) if few else None, nulls=count, rows=rows)
    if column.datatype is Datatype.BOOL:
        return Observed(categories=tuple(sorted(set(seen.reshape(-1).tolist()))), nulls=count, rows=rows)
    finite = seen[np.isfinite(seen)]
    if not finite.size:
        return Observed(nulls=count, rows=rows)
    return Observed(minimum=_kept(finite.min().item()), maximum=_kept(finite.max().item()), nulls=count, rows=rows)


def _kept(value: float) -> float | int | str:
    """A number as canonical JSON can hold it: whole numbers beyond ±2^53 as decimal text, and no negative zero."""
    if isinstance(value, int) and abs(value) > EXACT_INTEGER:
        return str(value)
    return 0.0 if value == 0 and math.copysign(1.0, value) < 0 else value


def _refuse_own_sample(contract: Contract, shown: Sample) -> None:
    for field in contract.inputs:
        if field.declared is None:
            continue
        column = shown.table.columns[field.name]
        try:
            FieldCheck(field).check_column(column)
        except FieldBroken as broken:
            raise ContractMalformed(
                f"the sample itself breaks what is declared for {field.name!r}: row {broken.row} is {broken.value!r}, "
                f"expected {broken.expected}",
                field=field.name,
            ) from None
