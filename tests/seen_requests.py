"""Requests as policies see them, without a front around them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from muster.packaging.columns import Column, column_of, null_column
from muster.serving.decisions import Outcome
from muster.vocabulary.tensors import NUMPY_NAMES, Datatype


def column_from(datatype: Datatype, values: Sequence[Any], shape: tuple[int, ...] = ()) -> Column:
    """A column of these values, None for null."""
    if all(value is None for value in values):
        return null_column(datatype, shape, len(values))
    filler = next(value for value in values if value is not None)
    filled = [filler if value is None else value for value in values]
    array = np.array(filled, dtype=object if datatype is Datatype.BYTES else NUMPY_NAMES[datatype])
    return column_of(datatype, array.reshape(len(values), *shape), np.array([value is None for value in values]))


@dataclass
class SeenRequest:
    """One request and what came back for it."""

    outcomes: list[Outcome]
    rows: int = 1
    step: int = 0
    answers: Mapping[int, Mapping[str, Column]] = field(default_factory=dict)
    inputs: Mapping[str, Column] = field(default_factory=dict)

    def outputs(self, variant: int) -> Mapping[str, Column]:
        """The columns of a variant; asking for one that has not answered is a mistake."""
        assert self.outcomes[variant] is Outcome.ANSWERED
        return self.answers[variant]

    def input(self, name: str) -> Column:
        """One column of the request."""
        return self.inputs[name]
