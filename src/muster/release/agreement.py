"""How far two answers to the same request agree, row by row and output by output."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from muster.packaging.columns import Column, array_of, nulls_of
from muster.serving.decisions import DEFAULT
from muster.vocabulary.tensors import FLOATS
from muster.wire.contracts import Field

_Bools = npt.NDArray[np.bool_]
Sources = Mapping[int, Mapping[str, Column]]
"""Columns by output, of each variant's index; `DEFAULT` has one row that stands for all, `COMBINED` what was made of several."""


class Given:
    """An answer: per row from which source its outputs come.

    Args:
        chosen: per row, or once for all rows, a key of `sources`.
        rows: of the request.
        sources: where the rows come from.
    """

    def __init__(self, chosen: Sequence[int], rows: int, sources: Sources) -> None:
        self.chosen = tuple(chosen) * rows if len(chosen) == 1 else tuple(chosen)
        self._sources = sources

    @property
    def is_whole(self) -> bool:
        """Whether every row has an answer."""
        return all(source in self._sources for source in self.chosen)

    def has(self, field: Field) -> bool:
        """Whether every row has the output, of the type and shape that the field has."""
        columns = [self._sources[source].get(field.name) for source in set(self.chosen)]
        return all(
            column is not None and (column.datatype, column.shape) == (field.datatype, field.shape)
            for column in columns
        )

    def values(self, field: Field) -> tuple[npt.NDArray[Any], _Bools]:
        """An output for all rows, and which of them are null."""
        parts = {source: _values(self._sources[source][field.name]) for source in set(self.chosen)}
        if len(parts) == 1:
            ((source, (values, nulls)),) = parts.items()
            if source != DEFAULT:
                return values, nulls
            return np.repeat(values, len(self.chosen), axis=0), np.repeat(nulls, len(self.chosen))
        at = [(source, 0 if source == DEFAULT else row) for row, source in enumerate(self.chosen)]
        return (
            np.array([parts[source][0][row] for source, row in at], dtype=parts[self.chosen[0]][0].dtype),
            np.array([parts[source][1][row] for source, row in at], dtype=np.bool_),
        )


class Agreement:
    """Counts how far answers agree; holds a few numbers, however many answers there are.

    Args:
        outputs: that both answers have.
    """

    def __init__(self, outputs: Sequence[Field]) -> None:
        self._outputs = tuple(outputs)
        self._differences = {field.name: (0.0, 0) for field in outputs if field.datatype in FLOATS}
        self._equal = 0
        self.rows = 0
        """How many were compared."""

    @property
    def share(self) -> float | None:
        """Of the rows, those in which every output is the same; None where none was compared."""
        return self._equal / self.rows if self.rows else None

    @property
    def mean_absolute_difference(self) -> dict[str, float]:
        """Of each output of floating point numbers, over the values that both answers have."""
        return {name: total / count for name, (total, count) in self._differences.items() if count}

    def compare(self, one: Given, other: Given) -> None:
        """Count two answers to the same rows; those that are not whole, or are of another contract, are not counted."""
        if not one.is_whole or not other.is_whole:
            return
        if not all(given.has(field) for given in (one, other) for field in self._outputs):
            return
        same = np.ones(len(one.chosen), dtype=np.bool_)
        values = [(field, one.values(field), other.values(field)) for field in self._outputs]
        if any(len(left[0]) != len(same) or len(right[0]) != len(same) for _, left, right in values):
            return  # a damaged record: nothing can be said about its rows
        for field, (left, left_null), (right, right_null) in values:
            alike = left == right
            if field.datatype in FLOATS:
                alike = alike | (np.isnan(left) & np.isnan(right))
                self._note_difference(field.name, left, right, ~(left_null | right_null))
            per_row = np.asarray(alike, dtype=np.bool_).reshape(len(same), -1).all(axis=1)
            same &= np.where(left_null | right_null, left_null & right_null, per_row)
        self.rows += len(same)
        self._equal += int(same.sum())

    def _note_difference(self, name: str, left: npt.NDArray[Any], right: npt.NDArray[Any], known: _Bools) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            apart = np.abs(left.astype(np.float64) - right.astype(np.float64))[known]
        finite = apart[np.isfinite(apart)]
        total, count = self._differences[name]
        self._differences[name] = (total + float(finite.sum()), count + finite.size)


def _values(column: Column) -> tuple[npt.NDArray[Any], _Bools]:
    values, nulls = array_of(column), nulls_of(column)
    return values, np.zeros(len(values), dtype=np.bool_) if nulls is None else nulls
