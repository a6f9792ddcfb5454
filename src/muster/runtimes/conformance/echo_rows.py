"""Rows for the echo model, each table difficult in one way and plain in all others."""

from collections.abc import Callable

import numpy as np

from muster.packaging.columns import Column, Table, array_of, column_of, encode_text
from muster.runtimes.conformance import difficult, echo
from muster.vocabulary.tensors import FLOATS, Datatype
from muster.wire.contracts import Field

#: Three fields of so many rows hold each of the 63,488 finite FP16.
EVERY_FP16_ROWS = 21_163
_LARGE = (Datatype.INT64, Datatype.UINT64)


def acting(act: str, rows: int = 1, at: int = 0) -> Table:
    """Plain rows of which one asks for something."""
    table = echo.plain(rows)
    acts = [b""] * rows
    acts[at] = act.encode()
    table.columns[echo.ACT] = Column(Datatype.BYTES, (), encode_text(acts))
    return table


def ordinary() -> Table:
    """What every model meets, of each datatype."""
    return _changed(8, lambda field: difficult.ordinary(field.datatype))


def with_nulls(rows: int = 24, share: float = 0.4) -> Table:
    """Of each field that may be null, a share of the rows is."""
    table = echo.plain(rows)
    generator = np.random.default_rng(1)
    for field in echo.contract().inputs:
        if field.nullable:
            gone = generator.random(rows) < share
            table.columns[field.name] = column_of(field.datatype, array_of(table.columns[field.name]), gone)
    return table


def texts(*chosen: str) -> Table:
    """These texts, or all difficult ones."""
    found = np.array(chosen or difficult.TEXTS, dtype=object)
    return _changed(len(found), lambda field: found if field.datatype is Datatype.BYTES else None)


def large_integers() -> Table:
    """Whole numbers that no double holds."""
    return _changed(19, lambda field: difficult.large_integers(field.datatype) if field.datatype in _LARGE else None)


def float_bits(rows: int) -> Table:
    """Finite floats of all kinds of bits; of `EVERY_FP16_ROWS` rows, each FP16."""

    def bits(field: Field) -> difficult.Array | None:
        if field.datatype not in FLOATS:
            return None
        begin = {"x": 0, "n": rows, "t": 2 * rows}[field.name[0]]
        return difficult.finite_bits(field.datatype, 3 * rows)[begin : begin + rows]

    return _changed(rows, bits)


def nans() -> Table:
    """NaNs that carry something, where they are elements of tensors that may be null."""
    return _changed(
        4, lambda field: difficult.nan_bits(field.datatype) if field.datatype in FLOATS and field.shape else None
    )


def _changed(rows: int, values: Callable[[Field], difficult.Array | None]) -> Table:
    """Plain rows, with other values in the fields for which there are some; a tensor's further places get them turned."""
    table = echo.plain(rows)
    for field in echo.contract().inputs[1:]:
        chosen = values(field)
        if chosen is None:
            continue
        places = [np.resize(np.roll(chosen, place), rows) for place in range(echo.ELEMENTS if field.shape else 1)]
        table.columns[field.name] = column_of(field.datatype, np.stack(places, axis=1).reshape(rows, *field.shape))
    return table
