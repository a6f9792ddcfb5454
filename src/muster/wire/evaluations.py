"""Evaluation sets, standard metrics and the tables that curves are derived from, as documents."""

from typing import Any, Literal

import msgspec


class CutoffTable(msgspec.Struct, frozen=True, kw_only=True, tag="cutoffs", tag_field="kind"):
    """What each cut-off of a score does, the highest cut-off first; rows at or above it are selected."""

    format: Literal[1] = 1
    population: int
    positives: int
    """Rows of the positive class."""
    distinct: int
    """Distinct scores; more than there are cut-offs where the table was thinned."""
    cutoff: float
    """At which the metrics were computed."""
    cutoffs: tuple[float, ...]
    true_positives: tuple[int, ...]
    false_positives: tuple[int, ...]
    false_negatives: tuple[int, ...]
    true_negatives: tuple[int, ...]
    score_sums: tuple[float, ...]
    """Sum of the scores of the selected rows."""


class OutcomeTable(msgspec.Struct, frozen=True, kw_only=True, tag="outcomes", tag_field="kind"):
    """Predicted numbers in bins of equally many rows, the lowest first, with what came."""

    format: Literal[1] = 1
    population: int
    low: tuple[float, ...]
    high: tuple[float, ...]
    rows: tuple[int, ...]
    predicted_sums: tuple[float, ...]
    actual_sums: tuple[float, ...]
    absolute_errors: tuple[float, ...]
    squared_errors: tuple[float, ...]


class ClassTable(msgspec.Struct, frozen=True, kw_only=True, tag="classes", tag_field="kind"):
    """How often each class (row) was called each class (column)."""

    format: Literal[1] = 1
    population: int
    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


StoredTable = CutoffTable | OutcomeTable | ClassTable


def encoded(table: StoredTable) -> bytes:
    """A table as it is kept."""
    return msgspec.json.encode(table)


def decoded(content: bytes | memoryview) -> StoredTable:
    """A table that was kept."""
    found: StoredTable = msgspec.json.decode(content, type=StoredTable)
    return found


def document(value: Any) -> Any:
    """Plain JSON-able values of a struct of this module."""
    return msgspec.to_builtins(value)
