"""Rows that a contract allows, drawn by chance: what a model may be sent beyond its golden rows.

Ranges and categories are the declared ones; what is not declared is taken from what the author's sample showed, and what that does
not tell from the golden rows. A field that may be null is null now and then, whether or not the sample had one. On request some values
are such as the sample did not show, where no limits are declared. The same seed draws the same rows.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from muster.packaging.columns import Column, Table, array_of, column_of, nulls_of
from muster.vocabulary.tensors import FLOATS, INTEGER_RANGES, NUMPY_NAMES, Datatype
from muster.wire.contracts import Contract, Declared, Field, Observed

Array = npt.NDArray[Any]

#: Least share of nulls in a field that may be null.
_NULLS = 0.02
_UNSEEN_TEXTS = ("", "never seen", "größer 🌈")


def drawn(contract: Contract, golden: Table, rows: int, seed: int = 0, *, unseen: float = 0.0) -> Table:
    """Rows drawn from a contract, each field by itself.

    Args:
        contract: of the model.
        golden: its golden inputs, at least one row.
        rows: how many.
        seed: of the generator.
        unseen: the share of values that are drawn from beyond what was observed, in fields whose limits are not declared: texts of no
            known category, numbers from three times the range.

    >>> from muster.packaging.samples import read_sample
    >>> contract = Contract(
    ...     inputs=(Field("age", Datatype.INT64, declared=Declared(minimum=18, maximum=20)),),
    ...     outputs=(Field("y", Datatype.FP64),),
    ... )
    >>> array_of(drawn(contract, read_sample({"age": [19]}).table, 6).columns["age"]).tolist()
    [20, 19, 19, 18, 18, 18]
    """
    generator = np.random.default_rng(seed)
    return Table(
        rows,
        {field.name: _column(field, golden.columns[field.name], rows, generator, unseen) for field in contract.inputs},
    )


def _column(field: Field, known: Column, rows: int, generator: np.random.Generator, unseen: float) -> Column:
    size = max(1, math.prod(field.shape))
    gone_before = nulls_of(known)
    elements = array_of(known).reshape(len(array_of(known)), size)
    if gone_before is not None:
        elements = elements[~gone_before]
    elements = elements.reshape(-1, size)
    # A tensor's places are not alike (pixels, embeddings), so each is drawn by what stood in it.
    drawn_places = [_place(field, elements[:, place], rows, generator, unseen) for place in range(size)]
    values = np.stack(drawn_places, axis=1).reshape(rows, *field.shape)
    nulls = None
    if field.nullable:
        nulls = generator.random(rows) < max(_NULLS, _share_of_nulls(field.observed, gone_before))
    return column_of(field.datatype, values, nulls)


def _place(field: Field, known: Array, rows: int, generator: np.random.Generator, unseen: float) -> Array:
    """Values of one place of a field."""
    values = _values(field, known, generator)(rows)
    others = _unseen(field, known, generator) if unseen else None
    return values if others is None else np.where(generator.random(rows) < unseen, others(rows), values)


def _share_of_nulls(observed: Observed | None, gone: npt.NDArray[np.bool_] | None) -> float:
    if observed is not None and observed.rows:
        return observed.nulls / observed.rows
    return 0.0 if gone is None else float(gone.mean())


def _values(field: Field, known: Array, generator: np.random.Generator) -> Callable[[int], Array]:
    """What draws so many values of one place of a field."""
    declared, observed = field.declared or Declared(), field.observed or Observed()
    categories = declared.categories
    if categories is None and declared.minimum is None and declared.maximum is None:
        categories = observed.categories
    if field.datatype is Datatype.BOOL and categories is None:
        categories = (False, True)
    if field.datatype is Datatype.BYTES and categories is None:
        categories = tuple(known.tolist()) or ("",)
    if categories is not None:
        kind = object if field.datatype is Datatype.BYTES else NUMPY_NAMES[field.datatype]
        choices = np.array(categories, dtype=kind)
        return lambda rows: choices[generator.integers(0, len(choices), rows)]
    if field.datatype in FLOATS:
        low, high = _range(declared, observed, known[np.isfinite(known)])
        return lambda rows: _floats(field.datatype, low, high, generator.random(rows))
    low, high = _range(declared, observed, known)
    return lambda rows: _integers(field.datatype, low, high, rows, generator)


def _unseen(field: Field, known: Array, generator: np.random.Generator) -> Callable[[int], Array] | None:
    """What draws values that the sample did not show; None where the contract has no room for any."""
    declared, observed = field.declared or Declared(), field.observed or Observed()
    if declared.categories is not None or field.datatype is Datatype.BOOL:
        return None
    if field.datatype is Datatype.BYTES:
        seen = {*(observed.categories or ()), *known.tolist()}
        texts = np.array([text for text in _UNSEEN_TEXTS if text not in seen], dtype=object)
        return (lambda rows: texts[generator.integers(0, len(texts), rows)]) if len(texts) else None
    is_float = field.datatype in FLOATS
    low, high = _range(declared, observed, known[np.isfinite(known)] if is_float else known)
    span = max(high - low, 1)
    least, most = INTEGER_RANGES[field.datatype] if not is_float else _finite_range(field.datatype)
    first = declared.minimum if declared.minimum is not None else max(least, low - span)
    last = declared.maximum if declared.maximum is not None else min(most, high + span)
    if is_float:
        return lambda rows: _floats(field.datatype, first, last, generator.random(rows))
    return lambda rows: _integers(field.datatype, first, last, rows, generator)


def _finite_range(datatype: Datatype) -> tuple[float, float]:
    info = np.finfo(NUMPY_NAMES[datatype])
    return float(info.min), float(info.max)


def _integers(datatype: Datatype, low: float, high: float, rows: int, generator: np.random.Generator) -> Array:
    least, most = INTEGER_RANGES[datatype]
    first, last = max(least, math.ceil(low)), min(most, math.floor(high))
    kind = np.dtype(NUMPY_NAMES[datatype]).newbyteorder("=").type
    return generator.integers(first, max(first, last), rows, dtype=kind, endpoint=True)


def _range(declared: Declared, observed: Observed, known: Array) -> tuple[Any, Any]:
    """Smallest and largest value: declared, else observed, else of the golden rows, else 0 and 1."""
    golden = (known.min().item(), known.max().item()) if len(known) else (0, 1)
    seen = [
        value if type(value) in {int, float} and math.isfinite(value) else None  # type: ignore[arg-type]
        for value in (observed.minimum, observed.maximum)
    ]
    low = _first(declared.minimum, seen[0], golden[0])
    high = _first(declared.maximum, seen[1], golden[1])
    if low > high:  # one side is declared and the golden rows lie beyond it
        low = high = declared.minimum if declared.minimum is not None else declared.maximum
    return low, high


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)


def _floats(datatype: Datatype, low: float, high: float, shares: npt.NDArray[np.float64]) -> Array:
    """Values between two limits, both kept although the datatype may not hold them exactly."""
    kind = np.dtype(NUMPY_NAMES[datatype]).type
    values = (float(low) * (1.0 - shares) + float(high) * shares).astype(kind)
    with np.errstate(over="ignore"):  # at the end of the datatype, of what is not taken
        values = np.where(values.astype(np.float64) < low, np.nextafter(values, kind(np.inf)), values)
        kept: Array = np.where(values.astype(np.float64) > high, np.nextafter(values, kind(-np.inf)), values)
    return kept
