"""Columns that a program answered with, held against the contract without a model's objects in between."""

from __future__ import annotations

import sys
from typing import Any, Sequence

from muster_host.fields import NUMPY_NAMES, Field, TableBroken, text_bytes
from muster_host.frames import Views
from muster_host.outputs import Column
from muster_host.promises import OutputBroken, keep_array, keep_values

#: Up to so many elements plain values are quicker than arrays.
_FEW = 16


def kept_columns(fields: Sequence[Field], rows: int, answered: tuple[int, Sequence[Views]]) -> list[Column]:
    """The columns of the contract's outputs.

    The place of a null is made zero or empty, and NaN in a nullable scalar output becomes a null.

    Args:
        fields: the outputs.
        rows: how many went in.
        answered: the rows and columns that came back.

    Raises:
        OutputBroken: they are not what the contract says; the message names output and row.
    """
    got, columns = answered
    if got != rows:
        raise OutputBroken("the model answered %d rows; %d rows went in" % (got, rows))
    if len(columns) != len(fields):
        raise OutputBroken("the model answered with %d outputs; its contract has %d" % (len(columns), len(fields)))
    return [_kept(field, rows, data, nulls) for field, (data, nulls) in zip(fields, columns)]


def _kept(field: Field, rows: int, data: memoryview, nulls: memoryview | None) -> Column:
    try:
        field.check(rows, data, nulls)
        texts = None if field.item_bytes else field.texts(data, rows * field.elements)
    except TableBroken as error:
        raise OutputBroken("the model's output does not fit its contract: %s" % error) from error
    marks = None if nulls is None or not any(nulls) else bytearray(nulls)
    if texts is not None:
        return _kept_texts(field, rows, data, marks, texts)
    if marks is None and not (field.is_float or field.has_limits):
        return bytes(data), None
    numpy = sys.modules.get("numpy")
    if numpy is None or rows * field.elements <= _FEW:
        return _kept_values(field, rows, data, marks)
    return _kept_array(numpy, field, rows, data, marks)


def _kept_texts(field: Field, rows: int, data: memoryview, marks: bytearray | None, texts: list[str]) -> Column:
    if marks is None and not field.has_limits:
        return bytes(data), None
    known = marks or bytearray(rows)
    for row, mark in enumerate(known):
        if mark:
            texts[row * field.elements : (row + 1) * field.elements] = [""] * field.elements
    if field.has_limits:
        keep_values(field, texts, known)
    return text_bytes(texts), None if marks is None else bytes(marks)


def _kept_values(field: Field, rows: int, data: memoryview, marks: bytearray | None) -> Column:
    flat = field.values(rows, data)
    known = marks or bytearray(rows)
    if marks is not None:
        for row, mark in enumerate(marks):
            if mark:
                flat[row * field.elements : (row + 1) * field.elements] = [0] * field.elements
    if field.is_float or field.has_limits:
        keep_values(field, flat, known)
    if not any(known):
        return bytes(data), None
    zeros = bytes(field.row_bytes)
    kept = bytearray(data)  # the bytes of all others stay as they came
    for row, mark in enumerate(known):
        if mark:
            kept[row * field.row_bytes : (row + 1) * field.row_bytes] = zeros
    return bytes(kept), bytes(known)


def _kept_array(numpy: Any, field: Field, rows: int, data: memoryview, marks: bytearray | None) -> Column:
    array = numpy.frombuffer(data, dtype=NUMPY_NAMES[field.datatype]).reshape((rows, *field.shape))
    if marks is not None:
        array = array.copy()
        array[numpy.frombuffer(marks, dtype=bool)] = 0
    if not (field.is_float or field.has_limits):
        return array.tobytes(), None if marks is None else bytes(marks)
    array, gone = keep_array(numpy, field, array, marks)
    if marks is None:
        return array.tobytes(), gone
    if gone is not None:
        marks = bytearray(left | right for left, right in zip(marks, gone))
    return array.tobytes(), bytes(marks)
