"""Rows drawn from a contract: what is declared holds, and what the sample did not show is among them where it may be."""

import numpy as np
import pytest

from muster.packaging.columns import Column, Table, array_of, column_of, nulls_of
from muster.runtimes.conformance.values import drawn
from muster.vocabulary.tensors import FLOATS, INTEGER_RANGES, NUMPY_NAMES, Datatype
from muster.wire.contracts import Contract, Declared, Field, Observed

ROWS = 2_000


def column(field: Field, *golden: object, unseen: float = 0.05) -> Column:
    """A field's drawn column."""
    kind = object if field.datatype is Datatype.BYTES else NUMPY_NAMES[field.datatype]
    known = Table(len(golden), {field.name: column_of(field.datatype, np.array(golden, dtype=kind))})
    contract = Contract(inputs=(field,), outputs=(Field("y", Datatype.FP64),))
    return drawn(contract, known, ROWS, 1, unseen=unseen).columns[field.name]


def test_a_field_that_may_be_null_is_null_now_and_then() -> None:
    """Although the sample had none; one that may not never is."""
    nulls = nulls_of(column(Field("x", Datatype.FP64, nullable=True, observed=Observed(nulls=0, rows=100)), 0.0, 1.0))
    assert nulls is not None
    assert 10 < nulls.sum() < 100
    assert nulls_of(column(Field("x", Datatype.FP64), 0.0, 1.0)) is None


@pytest.mark.parametrize(
    "datatype", [datatype for datatype in Datatype if datatype not in {Datatype.BYTES, Datatype.BOOL}]
)
def test_numbers_come_from_beyond_what_was_seen(datatype: Datatype) -> None:
    """On both sides, on the one that is not declared, or on none; never outside the datatype."""
    observed = Observed(minimum=40, maximum=60)

    def values(declared: Declared | None, unseen: float = 0.05) -> list[float]:
        found = array_of(column(Field("x", datatype, declared=declared, observed=observed), 50, unseen=unseen))
        return [float(found.min()), float(found.max())]

    assert values(None, unseen=0) == pytest.approx([40, 60], abs=1)
    low, high = values(None)
    assert 20 <= low < 38
    assert 62 < high <= 80
    assert values(Declared(minimum=40))[0] >= 40
    assert values(Declared(minimum=40))[1] > 62
    low, high = values(Declared(minimum=40, maximum=60))
    assert (low >= 40, high <= 60) == (True, True)


@pytest.mark.parametrize("datatype", [Datatype.INT64, Datatype.UINT64, Datatype.INT8, Datatype.FP16, Datatype.FP64])
def test_the_ends_of_a_datatype_are_not_crossed(datatype: Datatype) -> None:
    """Where the sample shows them, there is nothing beyond."""
    if datatype in FLOATS:
        info = np.finfo(NUMPY_NAMES[datatype])
        low, high = float(info.min), float(info.max)
    else:
        low, high = INTEGER_RANGES[datatype]
    found = array_of(column(Field("x", datatype), low, high, unseen=1.0))
    assert np.isfinite(found.astype(float)).all()
    assert found.max() > 0


def test_texts_of_no_known_category_are_among_them() -> None:
    """Unless the contract declares which there are."""
    texts = {*array_of(column(Field("x", Datatype.BYTES, observed=Observed(categories=("a", "b"))), "a")).tolist()}
    assert {"a", "b"} < texts
    declared = Field("x", Datatype.BYTES, declared=Declared(categories=("a", "b")))
    assert {*array_of(column(declared, "a")).tolist()} == {"a", "b"}


def test_the_same_seed_draws_the_same_rows() -> None:
    """So a version is always judged on the same ones."""
    field = Field("x", Datatype.FP64, nullable=True)
    assert bytes(column(field, 0.0, 1.0).data) == bytes(column(field, 0.0, 1.0).data)
