"""Hints that a model was told the answers: pure rules on columns.

A hint is no proof. Each rule is exact, cheap and can be followed by hand; what it found is told with its figure.

Source:
    Kaufman, Rosset, Perlich, Stitelman, "Leakage in Data Mining: Formulation, Detection, and Avoidance" (TKDD 2012).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from muster.packaging.columns import Column, Table, array_of, nulls_of
from muster.vocabulary.tensors import Datatype

#: A label of numbers with more different values is a quantity, one with fewer a class.
MOST_CLASSES = 20
#: A field with more different values than this share of the rows is a name of the row: it determines everything, and nothing.
_NAMING_SHARE = 0.05

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """Something that should be looked at."""

    kind: str
    """`determines-label`, `label-among-inputs` or `shared-rows`."""
    field: str
    """Which field; of shared rows, which data."""
    figure: float
    limit: float
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """From where on something is a hint."""

    auc: float = 0.999
    correlation: float = 0.9995
    shared: float = 0.01
    min_rows: int = 50
    ignore: tuple[str, ...] = ()


def label_hints(table: Table, label: str, thresholds: Thresholds) -> list[Hint]:
    """Fields of a table that, alone, tell the label.

    Args:
        table: inputs and the label.
        label: name of its column.
        thresholds: from where on it is a hint.
    """
    target = table.columns[label]
    gone = nulls_of(target)
    kept = np.ones(table.rows, dtype=bool) if gone is None else ~gone
    if target.shape or int(kept.sum()) < thresholds.min_rows:
        return []
    codes = codes_of(target)[kept]
    classes = len(np.unique(codes))
    if classes < 2:
        return []
    is_quantity = target.datatype not in {Datatype.BOOL, Datatype.BYTES} and classes > MOST_CLASSES
    hints = []
    for name, column in table.columns.items():
        if name == label or column.shape or name in thresholds.ignore:
            continue
        if column.datatype is target.datatype and np.array_equal(array_of(column)[kept], array_of(target)[kept]):
            told = f"{name}: it has the label's own value in every row"
            hints.append(Hint(kind="label-among-inputs", field=name, figure=1.0, limit=0.0, told=told))
            continue
        found = (
            _quantity_hint(name, column, target, kept, thresholds)
            if is_quantity
            else _class_hint(name, column, kept, codes, thresholds)
        )
        if found is not None:
            hints.append(found)
    return hints


def _class_hint(name: str, column: Column, kept: npt.NDArray[np.bool_], codes: Codes, given: Thresholds) -> Hint | None:
    labels = np.unique(codes, return_inverse=True)[1].reshape(-1)
    gone = nulls_of(column)
    nulls = np.zeros(len(labels), dtype=bool) if gone is None else gone[kept]
    score, told = _told_by_value(codes_of(column)[kept], nulls, labels, given)
    if score < given.auc and column.datatype not in {Datatype.BOOL, Datatype.BYTES}:
        numbers = array_of(column).astype(np.float64)[kept]
        score, told = _told_by_rank(numbers[~nulls], labels[~nulls], given)
    if score < given.auc:
        return None
    return Hint(kind="determines-label", field=name, figure=score, limit=given.auc, told=f"{name}: {told}")


def _told_by_value(values: Codes, nulls: npt.NDArray[np.bool_], labels: Codes, given: Thresholds) -> tuple[float, str]:
    """How well single values, or that there is none, tell the label; and in words."""
    if nulls.any() and (score := mapped(nulls.astype(np.int64), labels)) >= given.auc:
        return score, f"whether it is null tells the label, balanced accuracy {score:.4f}"
    if len(np.unique(values)) > max(2 * (int(labels.max()) + 1), _NAMING_SHARE * len(labels)):
        return 0.0, ""
    score = mapped(values, labels)
    return score, f"each of its values has its label, balanced accuracy {score:.4f}"


def _told_by_rank(numbers: Floats, labels: Codes, given: Thresholds) -> tuple[float, str]:
    """How well the order of a number tells the label; and in words."""
    classes = len(np.unique(labels))
    if classes < 2 or len(labels) < given.min_rows:
        return 0.0, ""
    if classes > 2:
        return float(is_cut_apart(numbers, labels)), f"{classes - 1} cut-offs of it separate all {classes} classes"
    area = auc(numbers, labels == labels.max())
    score = max(area, 1 - area)
    return score, f"it ranks the label alone, area under its ROC curve {score:.4f}"


def _quantity_hint(
    name: str, column: Column, target: Column, kept: npt.NDArray[np.bool_], given: Thresholds
) -> Hint | None:
    if column.datatype in {Datatype.BOOL, Datatype.BYTES}:
        return None
    gone = nulls_of(column)
    both = kept if gone is None else kept & ~gone
    x, y = array_of(column).astype(np.float64)[both], array_of(target).astype(np.float64)[both]
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    if len(x) < given.min_rows:
        return None
    straight, monotone = abs(correlation(x, y)), abs(correlation(midranks(x), midranks(y)))
    score = max(straight, monotone)
    if score < given.correlation:
        return None
    how = "in a straight line" if straight >= monotone else "in the same order"
    told = f"{name}: it goes with the label {how}, correlation {score:.5f}"
    return Hint(kind="determines-label", field=name, figure=score, limit=given.correlation, told=told)


def shared_rows(training: Table, other: Table, inputs: Sequence[str]) -> tuple[int, int, float]:
    """How many rows of another table are in the training data, too, by the exact values of all inputs.

    Returns:
        How many, of how many; and the share of the training rows that are there more than once themselves: where rows repeat
        by their nature, some are shared by chance.
    """
    both = _row_ids(training, other, inputs)
    mine, its = both[: training.rows], both[training.rows :]
    found, counts = np.unique(mine, return_counts=True)
    shared = int(np.isin(its, found).sum())
    repeated = float(counts[counts > 1].sum() / len(mine)) if len(mine) else 0.0
    return shared, len(its), repeated


def shared_hint(name: str, training: Table, other: Table, inputs: Sequence[str], given: Thresholds) -> Hint | None:
    """A hint, if more rows are shared than would be by chance."""
    shared, rows, repeated = shared_rows(training, other, inputs)
    if rows == 0:
        return None
    share, limit = shared / rows, given.shared + repeated
    if share <= limit:
        return None
    told = (
        f"{shared} of {rows} rows of {name} are in the training data, too ({share:.1%}; "
        f"{repeated:.1%} of the training rows repeat themselves)"
    )
    return Hint(kind="shared-rows", field=name, figure=share, limit=limit, told=told)


def are_comparable(training: Table, other: Table, inputs: Sequence[str]) -> bool:
    """Whether both tables have all inputs, and of the same kind."""
    pairs = [(training.columns.get(name), other.columns.get(name)) for name in inputs]
    return bool(inputs) and all(
        one is not None
        and two is not None
        and one.shape == two.shape
        and (one.datatype is Datatype.BYTES) == (two.datatype is Datatype.BYTES)
        for one, two in pairs
    )


def codes_of(column: Column) -> Codes:
    """A whole number per row, equal where the values are equal; -1 where it is null."""
    return _codes([column])[0]


def mapped(values: Codes, labels: Codes) -> float:
    """Balanced accuracy of answering, for each value, the label that it has most often among all rows of that label.

    Votes are weighted by class, so that a rare label counts as much as a frequent one.
    """
    places = np.unique(values, return_inverse=True)[1].reshape(-1)
    sizes = np.bincount(labels)
    table = np.zeros((int(places.max()) + 1, len(sizes)))
    np.add.at(table, (places, labels), 1.0)
    best = (table / sizes).argmax(axis=1)
    right = table[np.arange(len(table)), best]
    recalls = np.zeros(len(sizes))
    np.add.at(recalls, best, right)
    return float((recalls / sizes).mean())


def auc(scores: Floats, positive: npt.NDArray[np.bool_]) -> float:
    """Area under the ROC curve of a number that ranks a label, ties counted half.

    Source:
        Mann and Whitney's U by midranks; Hanley and McNeil, 1982.
    """
    many = int(positive.sum())
    few = len(scores) - many
    ranks = midranks(scores)
    return float((ranks[positive].sum() - many * (many + 1) / 2) / (many * few))


def midranks(values: Floats) -> Floats:
    """Ranks from 1; equal values share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Floats = (last - (counts - 1) / 2)[places.reshape(-1)].astype(np.float64)
    return ranks


def correlation(x: Floats, y: Floats) -> float:
    """Pearson's correlation; 0 where one of them does not vary."""
    a, b = x - x.mean(), y - y.mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum() / size) if size > 0 and np.isfinite(size) else 0.0


def is_cut_apart(values: Floats, labels: Codes) -> bool:
    """Whether cut-offs separate the classes without a mistake: along the values, each class is one piece."""
    order = np.argsort(values, kind="stable")
    ordered, of = values[order], labels[order]
    turns = np.flatnonzero(of[1:] != of[:-1])
    return len(turns) == len(np.unique(labels)) - 1 and bool((ordered[turns + 1] > ordered[turns]).all())


def _row_ids(training: Table, other: Table, inputs: Sequence[str]) -> Codes:
    """A number per row of both tables, equal where all inputs are: exact, without digests that could collide."""
    rows = training.rows + other.rows
    ids = np.zeros(rows, dtype=np.int64)
    for name in inputs:
        codes = np.concatenate(_codes([training.columns[name], other.columns[name]])) + 1
        ids = np.unique(ids * (int(codes.max(initial=0)) + 1) + codes, return_inverse=True)[1].reshape(-1)
    return ids


def _codes(columns: Sequence[Column]) -> list[Codes]:
    """Numbers for the rows of several columns, by one list of values."""
    arrays = [array_of(column) for column in columns]
    lengths = [len(array) for array in arrays]
    if columns[0].shape:
        flat = [np.ascontiguousarray(array).reshape(len(array), -1) for array in arrays]
        if columns[0].datatype is Datatype.BYTES:
            known: dict[object, int] = {}
            codes = np.array([known.setdefault(tuple(row), len(known)) for array in flat for row in array.tolist()])
        else:
            codes = np.unique(np.concatenate(flat), axis=0, return_inverse=True)[1].reshape(-1)
    elif columns[0].datatype is Datatype.BYTES:
        texts: dict[str, int] = {}
        codes = np.array([texts.setdefault(text, len(texts)) for array in arrays for text in array.tolist()])
    else:
        codes = np.unique(np.concatenate(arrays), return_inverse=True)[1].reshape(-1)
    codes = codes.astype(np.int64)
    found = np.split(codes, np.cumsum(lengths)[:-1])
    return [
        part if (gone := nulls_of(column)) is None else np.where(gone, np.int64(-1), part)
        for part, column in zip(found, columns, strict=True)
    ]
