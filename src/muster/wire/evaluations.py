"""Evaluation sets, standard metrics and the tables that curves are derived from, as documents."""

from typing import Any, Literal

import msgspec

from muster.wire.control import Answer
from muster.wire.evidence import Cell


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


class EvaluationSet(Answer, frozen=True, kw_only=True):
    """Rows of a model with what really happened, sealed by somebody who has no part in it."""

    model: str
    number: int
    digest: str
    """Of the rows as Parquet."""
    source: str
    """Digest of the file that was given: what `sha256sum` prints of it."""
    label: str
    """The column that holds what really happened."""
    columns: tuple[str, ...]
    rows: int
    bytes: int
    against: int
    """Number of the version with whose contract it was compared when it came."""
    sealed_by: str
    sealed_at: str
    reason: str


class EvaluationSets(Answer, frozen=True, kw_only=True):
    """The sets of a model, the newest first; the newest counts."""

    sets: tuple[EvaluationSet, ...]


class MeasuredValue(msgspec.Struct, frozen=True, kw_only=True):
    """A number that was measured of a version, by a definition that does not change."""

    metric: str
    definition: int
    """Version of its definition."""
    value: float
    low: float | None = None
    """Lower end of its 95 % interval; null: none was computed."""
    high: float | None = None
    over: str
    """What it was computed on: `evaluation:2`."""
    slice: str
    """`region=north`; empty: all of it."""
    version: str
    session: str
    at: str


class Measures(Answer, frozen=True, kw_only=True):
    """What was measured of a model, across versions, sessions and periods, the newest first."""

    model: str
    measures: tuple[MeasuredValue, ...]


class KeptTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table from which curves are derived."""

    over: str
    slice: str
    part: str
    """Of several classes: which one against the rest; empty elsewhere."""
    kind: str
    """`cutoffs`, `outcomes` or `classes`."""
    digest: str | None = None
    """Of the table in the store; null for whoever may not read the rows of the evaluation set."""


class KeptTables(Answer, frozen=True, kw_only=True):
    """The tables that a session has kept."""

    session: str
    tables: tuple[KeptTable, ...]


class MetricCurve(Answer, frozen=True, kw_only=True):
    """A curve or matrix of a session as lines of a table, derived from the table that the session kept."""

    session: str
    version: str
    over: str
    slice: str
    part: str
    kind: str
    cutoff: float | None = None
    """At which a confusion matrix is; null elsewhere."""
    coarse: bool = False
    """Whether it is in steps of many rows and without scores, as whoever may not read the rows of the evaluation set sees it."""
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


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
