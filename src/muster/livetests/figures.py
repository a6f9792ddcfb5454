"""What is counted of a live-test: from its records, one by one, so that the same records always come to the same figures."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from muster.archive.records import Record
from muster.livetests.spreads import LEAST_VALUES, Spread, largest_gap, stability_index
from muster.packaging.columns import Column, array_of, nulls_of
from muster.release.agreement import Given
from muster.release.past import column_of
from muster.serving.counts import LATENCY_BOUNDS_NS, quantile
from muster.serving.decisions import COMBINED
from muster.serving.shadow import HOST_DOWN, NO_ANSWER
from muster.vocabulary.states import Role
from muster.vocabulary.tensors import FLOATS, Datatype
from muster.wire.contracts import Field
from muster.wire.records import AnsweredLate, StoredColumn, VariantAnswer

_NUMBERS = FLOATS | {
    Datatype.INT8, Datatype.INT16, Datatype.INT32, Datatype.INT64,
    Datatype.UINT8, Datatype.UINT16, Datatype.UINT32, Datatype.UINT64,
}  # fmt: skip
#: Different errors that are told, and characters of each.
_MOST_ERRORS = 10
_LONGEST_ERROR = 300


class Difference(msgspec.Struct):
    """Of one output of numbers, how far the answers lie from those that were given."""

    total: float = 0.0
    """Sum of absolute differences."""
    values: int = 0


class Figures(msgspec.Struct):
    """What was counted so far."""

    answered: int = 0
    late: int = 0
    """Answers after the endpoint's deadline; those that were given up are among them."""
    given_up: int = 0
    failed: int = 0
    left_out: int = 0
    """Requests that the version was not asked because its front or its host had too much to do, or no host of it ran."""
    down: int = 0
    """Of these, those for which no host of it ran, although one had before."""
    rows: int = 0
    """Of the requests that it answered."""
    rows_compared: int = 0
    """Of these, those to which a version's answer was given that has the same outputs."""
    rows_differing: int = 0
    """Of those compared, where a label differs (a text, a flag, a whole number), or a decimal number is `unlike`."""
    rows_unlike: int = 0
    """Of those compared, where one has a number in an output of decimal numbers and the other none: null, NaN, an infinite one."""
    has_labels: bool = False
    differences: dict[str, Difference] = {}
    """By output of decimal numbers."""
    latency: list[int] = msgspec.field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS_NS) + 1))
    """Its answers by latency, arrival of the request to answer, as `serving.counts` bounds them."""
    champion_latency: list[int] = msgspec.field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS_NS) + 1))
    """The champion's, to the same requests."""
    errors: dict[str, int] = {}
    """How often it failed and why; what is beyond the first ten is under `…`."""
    spreads: dict[str, Spread] = {}
    """By output."""
    version: str = ""
    beside: list[str] = []
    """The versions that it is held against: the champion, then the canaries."""

    @property
    def taken(self) -> int:
        """Requests that it was asked."""
        return self.answered + self.failed + self.given_up

    @property
    def errors_share(self) -> float:
        """Of the requests that it was asked, those on which it failed."""
        return self.failed / max(1, self.taken)

    @property
    def late_share(self) -> float:
        """Of the requests that it was asked, those that it answered after the deadline or not at all."""
        return self.late / max(1, self.taken)

    @property
    def left_out_share(self) -> float:
        """Of the requests that it was to see, those that it was not asked."""
        return self.left_out / max(1, self.taken + self.left_out)

    @property
    def down_share(self) -> float:
        """Of the requests that it was to see, those that came while it was down."""
        return self.down / max(1, self.taken + self.left_out)

    @property
    def unlike(self) -> float | None:
        """Share of compared rows in which only one of the two answers has a number; None where nothing could be compared."""
        return self.rows_unlike / self.rows_compared if self.rows_compared else None

    @property
    def disagreement(self) -> float | None:
        """Share of compared rows with another label; without labels, the largest mean absolute difference of an output.

        None where nothing could be compared.
        """
        if not self.rows_compared:
            return None
        if self.has_labels:
            return self.rows_differing / self.rows_compared
        return max(self.mean_differences.values(), default=None)

    @property
    def mean_differences(self) -> dict[str, float]:
        """Mean absolute difference by output of decimal numbers."""
        return {name: one.total / one.values for name, one in sorted(self.differences.items()) if one.values}

    @property
    def shifts(self) -> tuple["Shift", ...]:
        """How far its outputs are shifted against those of champion and canaries, by output."""
        found = []
        for output, spread in sorted(self.spreads.items()):
            spread.settle()
            for other in self.beside:
                counts = spread.of(self.version, other)
                if counts is not None:
                    gap, values = None if spread.categories else largest_gap(*counts), min(map(sum, counts))
                    index = stability_index(*counts)
                    found.append(Shift(output=output, against=other, index=index, gap=gap, values=values))
        return tuple(found)

    @property
    def largest_shift(self) -> float | None:
        """The largest population stability index of an output that says something; None where none does."""
        return max((shift.index for shift in self.shifts if shift.is_enough), default=None)

    def latency_ms(self, share: float, *, of_champion: bool = False) -> float | None:
        """The latency within which such a share of the answers came, as near as the bounds tell."""
        found = quantile(LATENCY_BOUNDS_NS, self.champion_latency if of_champion else self.latency, share)
        return None if found is None else found / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How far one output is shifted against another version's."""

    output: str
    against: str
    index: float
    """Population stability index."""
    gap: float | None
    """Kolmogorov-Smirnov distance over the bins; None for texts, which have no order."""
    values: int
    """On the side that has fewer."""

    @property
    def is_enough(self) -> bool:
        """Whether the index says something; of fewer values it is mostly chance."""
        return self.values >= LEAST_VALUES


def empty_figures(version: str, beside: Sequence[str]) -> Figures:
    """Before anything is counted.

    Args:
        version: on trial.
        beside: the champion, then the canaries.
    """
    return Figures(version=version, beside=list(beside))


def count(figures: Figures, record: Record, outputs: Sequence[Field], deadline_ms: float) -> None:
    """Add one request, if the version on trial was offered it.

    Args:
        figures: are changed.
        record: of the request, with its late answers.
        outputs: of the endpoint's contract.
        deadline_ms: of the release.
    """
    event = next((event for event in record.late if _is_about(event, figures.version)), None)
    if event is None:
        return
    answer = event.answer
    if answer.status == "unsent":
        figures.left_out += 1
        figures.down += answer.error == HOST_DOWN
    elif answer.status == "failed" and answer.error == NO_ANSWER:
        figures.given_up += 1
        figures.late += 1
    elif answer.status != "answered" or answer.outputs is None:
        figures.failed += 1
        _note_error(figures, answer.error or "it does not say why")
    else:
        figures.answered += 1
        figures.rows += record.decided.rows
        figures.late += answer.latency_ns > deadline_ms * 1e6
        figures.latency[bisect_left(LATENCY_BOUNDS_NS, answer.latency_ns)] += 1
        _compare(figures, record, answer.outputs, outputs)
        _spread(figures, record, answer.outputs, outputs)


def _is_about(event: AnsweredLate, version: str) -> bool:
    return event.answer.role == Role.SHADOW and event.answer.version == version


def _note_error(figures: Figures, text: str) -> None:
    told = text[:_LONGEST_ERROR]
    if told not in figures.errors and len(figures.errors) >= _MOST_ERRORS:
        told = "…"
    figures.errors[told] = figures.errors.get(told, 0) + 1


def _columns(stored: Sequence[StoredColumn]) -> dict[str, Column]:
    return {column.name: column_of(column) for column in stored}


def _compare(figures: Figures, record: Record, own: Sequence[StoredColumn], outputs: Sequence[Field]) -> None:
    """Against the answer that the caller got; the default answer is nobody's opinion, and is not compared with."""
    decided = record.decided
    sources: dict[int, Mapping[str, Column]] = {
        index: _columns(answer.outputs)
        for index, answer in enumerate(decided.answers)
        if index in decided.chosen and answer.outputs is not None
    }
    if decided.combined:
        sources[COMBINED] = _columns(decided.combined)
    given, shadow = Given(decided.chosen, decided.rows, sources), Given((0,), decided.rows, {0: _columns(own)})
    if not given.is_whole or not all(one.has(field) for one in (given, shadow) for field in outputs):
        return
    differing, lone = np.zeros(decided.rows, dtype=np.bool_), np.zeros(decided.rows, dtype=np.bool_)
    for field in outputs:
        (theirs, their_nulls), (ours, our_nulls) = given.values(field), shadow.values(field)
        if len(theirs) != decided.rows or len(ours) != decided.rows:
            return  # a damaged record: nothing can be said about its rows
        known = ~(their_nulls | our_nulls)
        if field.datatype in FLOATS:
            with np.errstate(invalid="ignore", over="ignore"):
                apart = np.abs(theirs.astype(np.float64) - ours.astype(np.float64))[known]
            finite = apart[np.isfinite(apart)]
            difference = figures.differences.setdefault(field.name, Difference())
            difference.total += float(finite.sum())
            difference.values += int(finite.size)
            # No difference of theirs is finite, so that the mean above says nothing of them.
            lone |= np.where(known, _one_has_none(theirs, ours), their_nulls != our_nulls)
        else:
            figures.has_labels = True
            unlike = np.asarray(theirs != ours, dtype=np.bool_).reshape(decided.rows, -1).any(axis=1)
            differing |= np.where(known, unlike, their_nulls != our_nulls)
    figures.rows_compared += decided.rows
    figures.rows_differing += int((differing | lone).sum())
    figures.rows_unlike += int(lone.sum())


def _one_has_none(theirs: npt.NDArray[Any], ours: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Row by row, whether somewhere one is a number and the other is none, or another none."""
    left, right = theirs.astype(np.float64), ours.astype(np.float64)
    alike = (left == right) | (np.isnan(left) & np.isnan(right))
    lone = ~alike & ~(np.isfinite(left) & np.isfinite(right))
    return np.asarray(lone.reshape(len(left), -1).any(axis=1), dtype=np.bool_)


def _spread(figures: Figures, record: Record, own: Sequence[StoredColumn], outputs: Sequence[Field]) -> None:
    """How the outputs spread, of the version on trial and of those beside it that answered the same request."""
    said: dict[str, Mapping[str, Column]] = {}  # the champion first, by whose values the edges are fixed
    for place, name in enumerate(figures.beside):
        other = _answer_beside(record, name)
        if other is not None and other.outputs is not None:
            said[name] = _columns(other.outputs)
            if place == 0:
                figures.champion_latency[bisect_left(LATENCY_BOUNDS_NS, other.latency_ns)] += 1
    said[figures.version] = _columns(own)
    for field in outputs:
        spread = figures.spreads.setdefault(field.name, Spread(reference=figures.beside[0]))
        for name, columns in said.items():
            column = columns.get(field.name)
            if column is not None and (column.datatype, column.shape) == (field.datatype, field.shape):
                _add(spread, name, column)


def _answer_beside(record: Record, version: str) -> VariantAnswer | None:
    late = (event.answer for event in reversed(record.late) if event.answer.role != Role.SHADOW)
    answers = (answer for answer in (*late, *record.decided.answers) if answer.version == version)
    return next((answer for answer in answers if answer.status == "answered"), None)


def _add(spread: Spread, version: str, column: Column) -> None:
    values, nulls = array_of(column), nulls_of(column)
    present = values if nulls is None else values[~nulls]
    spread.add_missing(version, int(values.size - present.size))
    if column.datatype in _NUMBERS:
        spread.add_numbers(version, present.astype(np.float64).ravel())
    else:
        spread.add_texts(version, [_text(value) for value in present.ravel().tolist()])


def _text(value: object) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text[:100]
