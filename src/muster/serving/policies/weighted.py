"""`weighted`: the weighted mean of what the variants answered.

It is taken when nobody is missing, and at `wait_s` over whoever is in; the weights of those in are scaled to sum 1. A variant on
probation is not missing: it counts if it has answered. One answer alone is no mean: it is given as it is, with the reason that
`first` would give.

In a row where a variant's output is null it has no say about that output; the others' weights are scaled there again, and where
nobody has a say the row is null. Outputs that are not averaged come from the heaviest variant in, of equal ones the earliest
in the order. An output named in `labels` is the class with the greatest mean probability, so that label and mean never contradict.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from struct import pack

import numpy as np
import numpy.typing as npt

from muster.packaging.columns import Column, array_of, column_of, encode_text, nulls_of, row_bytes
from muster.serving.decisions import COMBINED, Decision, Outcome, Seen, WaitUntil
from muster.serving.policies.first import First
from muster.vocabulary.states import Reason
from muster.vocabulary.tensors import ITEM_BYTES, NUMPY_NAMES, Datatype

_ANSWERED, _PENDING = Outcome.ANSWERED, Outcome.PENDING
#: Formats of `memoryview.cast` and `struct`: a few numbers are averaged through them ten times as fast as through NumPy.
_FORMATS = {Datatype.FP64: "d", Datatype.FP32: "f"}
_FEW = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelling:
    """How a scalar output follows from averaged class probabilities."""

    probabilities: str
    """The averaged output: a tensor of one dimension."""
    labels: tuple[str | int | bool, ...]
    """The class that each of its positions stands for."""


class Weighted:
    """The policy `weighted`.

    Args:
        order: indexes of the variants that have a say.
        weights: of each of them, above 0.
        outputs: the floating-point outputs that are averaged.
        labels: the outputs that follow from averaged ones.
        wait_s: how long to wait for all, seconds from arrival.
        deadline_s: when the answer has to leave, seconds from arrival.
    """

    def __init__(
        self,
        order: Sequence[int],
        weights: Sequence[float],
        outputs: Sequence[str],
        labels: Mapping[str, Labelling],
        wait_s: float,
        deadline_s: float,
    ) -> None:
        self._order = tuple(order)
        self._weights = tuple(weights)
        self._outputs = frozenset(outputs)
        self._labels = dict(labels)
        self._wait_s = min(wait_s, deadline_s)
        self._waiting = WaitUntil(self._wait_s)
        self._alone = First(order, (0.0,) * len(self._order), deadline_s)

    def choose(self, seen: Seen, elapsed_s: float) -> Decision | WaitUntil:
        """What to do now.

        Args:
            seen: the request and what came back for it.
            elapsed_s: seconds since the request arrived.
        """
        outcomes = seen.outcomes
        if elapsed_s < self._wait_s and any(outcomes[index] is _PENDING for index in self._order):
            return self._waiting
        present = [place for place, index in enumerate(self._order) if outcomes[index] is _ANSWERED]
        if len(present) < 2:
            return self._alone.choose(seen, elapsed_s)
        # Scaled by the greatest first: sums of very large or very small weights stay finite and above 0.
        greatest = max(self._weights[place] for place in present)
        shares = [self._weights[place] / greatest for place in present]
        total = sum(shares)
        shares = [share / total for share in shares]
        weights = [0.0] * len(outcomes)
        for place, share in zip(present, shares, strict=True):
            weights[self._order[place]] = share
        answers = [seen.outputs(self._order[place]) for place in present]
        heaviest = answers[shares.index(max(shares))]
        return Decision(
            COMBINED,
            Reason.WEIGHTED,
            weights=tuple(weights),
            outputs=self._combined(answers, shares, heaviest, seen.rows),
        )

    def _combined(
        self,
        answers: list[Mapping[str, Column]],
        shares: list[float],
        heaviest: Mapping[str, Column],
        rows: int,
    ) -> dict[str, Column]:
        """The outputs of the answer, in the order in which the variants give them."""
        combined = {
            name: _mean([answer[name] for answer in answers], shares, rows) if name in self._outputs else column
            for name, column in heaviest.items()
        }
        for name, labelling in self._labels.items():
            combined[name] = _labelled(combined[labelling.probabilities], labelling.labels, heaviest[name])
        return combined


def _mean(columns: list[Column], shares: list[float], rows: int) -> Column:
    """The mean of an output over the variants, each row over those that have a say in it."""
    first = columns[0]
    dtype = NUMPY_NAMES[first.datatype]
    if rows == 1 and first.datatype in _FORMATS and len(first.data) <= _FEW * ITEM_BYTES[first.datatype]:
        quickly = _mean_of_one_row(columns, shares, _FORMATS[first.datatype])
        if quickly is not None:
            return quickly
    values = [array_of(column).astype(np.float64) for column in columns]
    says = [_has_say(column, array) for column, array in zip(columns, values, strict=True)]
    if all(bool(say.all()) for say in says):
        everybody = [np.ones(1, np.bool_)] * len(says)
        return column_of(
            first.datatype, _bounded_mean(values, [np.array(share) for share in shares], everybody).astype(dtype)
        )
    weight = np.zeros(rows)
    for share, say in zip(shares, says, strict=True):
        weight += share * say
    silent = weight == 0.0
    weight[silent] = 1.0
    across = (-1, *(1 for _ in first.shape))
    scaled = [(share * say / weight).reshape(across) for share, say in zip(shares, says, strict=True)]
    mean = _bounded_mean(values, scaled, [say.reshape(across) for say in says])
    nulls = np.zeros(rows, np.bool_)
    for column in columns:
        marks = nulls_of(column)
        if marks is not None:
            nulls |= marks & silent
    mean[silent] = np.nan
    return column_of(first.datatype, mean.astype(dtype), nulls)


def _mean_of_one_row(columns: list[Column], shares: list[float], form: str) -> Column | None:
    """The mean of a few numbers each; None where one has no say, or is not finite."""
    rows = []
    for column in columns:
        if column.nulls and column.nulls[0]:
            return None
        rows.append(memoryview(column.data).cast("B").cast(form).tolist())  # type: ignore[call-overload]
    means = []
    for values in zip(*rows, strict=True):
        mean = 0.0
        for value, share in zip(values, shares, strict=True):
            mean += share * value
        if mean - mean != 0.0:
            return None
        means.append(min(max(mean, min(values)), max(values)))
    return Column(columns[0].datatype, columns[0].shape, pack(f"<{len(means)}{form}", *means))


def _has_say(column: Column, values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Per row; a scalar that is not a number says as little as a null."""
    nulls = nulls_of(column)
    say = np.ones(len(values), np.bool_) if nulls is None else ~nulls
    return say if column.shape else say & ~np.isnan(values)


def _bounded_mean(
    values: list[npt.NDArray[np.float64]], shares: list[npt.NDArray[np.float64]], says: list[npt.NDArray[np.bool_]]
) -> npt.NDArray[np.float64]:
    """The weighted sum of those who have a say, held between their least and greatest: the mean of equal values is that value."""
    mean = np.zeros_like(values[0])
    least, greatest = np.full_like(mean, np.inf), np.full_like(mean, -np.inf)
    with np.errstate(invalid="ignore"):  # infinity on both sides has no mean
        for value, share, say in zip(values, shares, says, strict=True):
            mean += np.where(say, share * value, 0.0)
            least = np.where(say, np.minimum(least, value), least)
            greatest = np.where(say, np.maximum(greatest, value), greatest)
        return np.minimum(np.maximum(mean, least), greatest)


def _labelled(probabilities: Column, labels: tuple[str | int | bool, ...], heaviest: Column) -> Column:
    """The label of the greatest probability in each row, of equal ones the first; the heaviest variant's where there is none."""
    if len(probabilities.data) == row_bytes(probabilities.datatype, probabilities.shape) and not probabilities.nulls:
        row = array_of(probabilities)[0].tolist()
        if all(mean == mean for mean in row):  # noqa: PLR0124  # NaN is the only value that differs from itself
            return _one_label(heaviest.datatype, labels[row.index(max(row))])
    means = array_of(probabilities)
    unknown = np.isnan(means).any(axis=1)
    nulls = nulls_of(probabilities)
    if nulls is not None:
        unknown |= nulls
    names = np.empty(
        len(labels), dtype=object if heaviest.datatype is Datatype.BYTES else NUMPY_NAMES[heaviest.datatype]
    )
    names[:] = labels
    given = names[np.argmax(means, axis=1)]
    if not unknown.any():
        return column_of(heaviest.datatype, given)
    kept = nulls_of(heaviest)
    given[unknown] = array_of(heaviest)[unknown]
    return column_of(heaviest.datatype, given, None if kept is None else kept & unknown)


def _one_label(datatype: Datatype, label: str | int | bool) -> Column:  # noqa: FBT001  # labels are of these types
    if isinstance(label, str):
        return Column(datatype, (), encode_text([label.encode()]))
    return Column(datatype, (), np.array(label, NUMPY_NAMES[datatype]).tobytes())
