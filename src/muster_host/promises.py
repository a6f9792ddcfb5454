"""What an output promises beyond its type: finite numbers, and values within the limits that its author declared.

A model that breaks them has not answered: NaN for a probability, or a class nobody declared, must never reach a caller
as if it were a score. In a nullable scalar output NaN is null, as everywhere in the contract; in a nullable tensor it is
an element that is missing. An infinity is no answer anywhere.
"""

from __future__ import annotations

import math
from typing import Any, List, Optional, Tuple, Union

from muster_host.fields import Field


class OutputBroken(Exception):
    """What the model gave back is not what its contract says."""


def keep_array(numpy: Any, field: Field, array: Any, marks: Optional[bytearray] = None) -> Tuple[Any, Optional[bytes]]:
    """An array that keeps what the field promises, and the marks of its nulls.

    Args:
        numpy: the module.
        field: the output.
        array: of the field's datatype, rows first.
        marks: rows that are known to be null already, a byte each; their places hold zeros.

    Raises:
        OutputBroken: a value breaks it; the message names the row.
    """
    nulls = None
    if field.is_float and not numpy.isfinite(array).all():
        gone = numpy.isnan(array)
        bad = ~numpy.isfinite(array) if not field.nullable else numpy.isinf(array)
        if bad.any():
            _refuse_not_finite(field, array[tuple(numpy.argwhere(bad)[0])].item(), int(numpy.argwhere(bad)[0][0]))
        if not field.shape:
            array = numpy.where(gone, array.dtype.type(0), array)
            nulls = gone.reshape(-1).astype(numpy.uint8).tobytes()
    if field.has_limits:
        _keep_limits(numpy, field, array, [known for known in (nulls, marks) if known])
    return array, nulls


def keep_values(field: Field, flat: List[Any], nulls: bytearray) -> None:
    """Hold plain values against what the field promises; in a nullable scalar field NaN becomes null, in place.

    Args:
        field: the output.
        flat: its elements, row after row.
        nulls: a mark per row.

    Raises:
        OutputBroken: a value breaks it; the message names the row.
    """
    if field.is_float:
        for at, value in enumerate(flat):
            if not math.isfinite(value):
                if not field.nullable or math.isinf(value):
                    _refuse_not_finite(field, value, at // field.elements)
                if not field.shape:
                    flat[at], nulls[at] = 0.0, 1
    if field.has_limits:
        low, high, known = field.minimum, field.maximum, field.categories
        for at, value in enumerate(flat):
            outside = (
                (low is not None and not value >= low)
                or (high is not None and not value <= high)
                or (known is not None and value not in known)
            )
            if outside and not nulls[at // field.elements]:
                _refuse_outside(field, value, at // field.elements)


def _keep_limits(numpy: Any, field: Field, array: Any, known: List[Union[bytes, bytearray]]) -> None:
    outside = numpy.zeros(array.shape, dtype=bool)
    if field.minimum is not None:
        outside |= ~(array >= field.minimum)  # said this way round NaN lies outside, too
    if field.maximum is not None:
        outside |= ~(array <= field.maximum)
    if field.categories is not None:
        outside |= numpy.array([value not in field.categories for value in array.reshape(-1).tolist()]).reshape(
            array.shape
        )
    for nulls in known:
        by_row = numpy.frombuffer(nulls, dtype=numpy.uint8) == 0
        outside &= by_row.reshape((-1,) + (1,) * (array.ndim - 1))
    if outside.any():
        place = numpy.argwhere(outside)[0]
        _refuse_outside(field, array[tuple(place)].item(), int(place[0]))


def _refuse_not_finite(field: Field, value: float, row: int) -> None:
    hint = "" if field.nullable or math.isinf(value) else " and is not nullable"
    raise OutputBroken("output %r is %r in row %d%s; an output is a finite number" % (field.name, value, row, hint))


def _refuse_outside(field: Field, value: Any, row: int) -> None:
    limits = []
    if field.minimum is not None:
        limits.append("at least %r" % (field.minimum,))
    if field.maximum is not None:
        limits.append("at most %r" % (field.maximum,))
    if field.categories is not None:
        limits.append("one of %d declared categories" % len(field.categories))
    raise OutputBroken(
        "output %r is %.80r in row %d; its contract declares %s" % (field.name, value, row, " and ".join(limits))
    )
