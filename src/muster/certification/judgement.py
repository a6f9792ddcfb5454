"""From a host's answers and a set's labels to predictions that the standard metrics judge."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from muster.evaluation.definitions import Predictions
from muster.evaluation.errors import PredictionsUnusable
from muster.evaluation.metric import Task
from muster.evaluation.multiclass import ClassPredictions
from muster.evaluation.numbers import NumberPredictions
from muster.evaluation.probabilistic import SpreadPredictions, of_normal
from muster.evaluation.ranking import RankedPredictions
from muster.evaluation.tallies import CUTOFF, BinaryPredictions, Floats
from muster.evaluation_sets.labels import word_of
from muster.evaluation_sets.records import EvaluationSet
from muster.evaluation_sets.rows import EvaluationRows
from muster.packaging.claims import NORMAL, Prediction
from muster.packaging.columns import Table, array_of, nulls_of
from muster.vocabulary.tensors import FLOATS, Datatype
from muster.wire.contracts import Contract, Field

_TWO = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a version answered to the rows of a set."""

    outputs: Table
    """Of the rows that have an answer."""
    answered: npt.NDArray[np.bool_]
    """Which rows those are."""
    why: str = ""
    """The code of the first row that has none; no words of the model's, which knows the rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A version's answers to a set, ready to be judged."""

    task: Task
    claim: Prediction
    held: EvaluationSet
    rows: EvaluationRows
    predictions: Predictions
    """Of the rows that have an answer."""
    places: npt.NDArray[np.intp]
    """Which rows of the set those are."""
    unanswered: int
    why: str = ""
    """The code of the first row without an answer."""

    def values(self, column: str) -> list[Any]:
        """A column's values in the rows that have an answer.

        Raises:
            EvaluationSetUnfit: the set has no such column.
        """
        every = self.rows.values(column)
        return [every[place] for place in self.places.tolist()]


def judgement_of(
    claim: Prediction,
    contract: Contract,
    held: EvaluationSet,
    rows: EvaluationRows,
    answers: Answers,
    cutoff: float = CUTOFF,
) -> Judgement:
    """The answers as predictions of the task; rows without an answer, or with null for one, are counted and left out.

    Args:
        claim: what the version's author says that it predicts.
        contract: of the version.
        held: the set.
        rows: of the set.
        answers: of the version.
        cutoff: of binary tasks.

    Raises:
        PredictionsUnusable: output and labels do not fit the task.
        EvaluationSetUnfit: the set lacks the column that groups a ranking.
    """
    field = judged_output(claim, contract)
    column = answers.outputs.columns[field.name]
    nulls = nulls_of(column)
    there = np.ones(answers.outputs.rows, np.bool_) if nulls is None else ~nulls
    places = np.flatnonzero(answers.answered)[there]
    every = rows.labels
    labels = [every[place] for place in places.tolist()]
    given = array_of(column)[there]
    if not len(places):
        raise PredictionsUnusable(f"none of {rows.rows} rows has an answer; {answers.why or 'they are null'}")
    ranked = rows.values(claim.group) if claim.group else ()
    groups = [ranked[place] for place in places.tolist()] if claim.group else []
    return Judgement(
        task=Task(claim.task),
        claim=claim,
        held=held,
        rows=rows,
        predictions=predictions_of(claim, field, given, labels, groups, cutoff),
        places=places,
        unanswered=rows.rows - len(places),
        why=answers.why or (f"{field.name} is null" if len(places) < rows.rows else ""),
    )


def judged_output(claim: Prediction, contract: Contract) -> Field:
    """The output that a claim is about.

    Raises:
        PredictionsUnusable: the contract has none of this name.
    """
    field = contract.output(claim.output) if claim.output else contract.outputs[0]
    if field is None:
        raise PredictionsUnusable(f"there is no output {claim.output!r}", output=claim.output)
    return field


def predictions_of(
    claim: Prediction,
    field: Field,
    given: npt.NDArray[Any],
    labels: Sequence[Any],
    groups: Sequence[Any],
    cutoff: float,
) -> Predictions:
    """Answers and labels as predictions of the task.

    Args:
        claim: what is predicted.
        field: the output that is judged.
        given: its values, one place per row.
        labels: what really happened.
        groups: of a ranking, which rows belong together.
        cutoff: of binary tasks.

    Raises:
        PredictionsUnusable: they do not fit the task.
    """
    task = Task(claim.task)
    if task is Task.BINARY:
        return _binary(claim, field, given, labels, cutoff)
    if task is Task.MULTICLASS:
        return _classes(field, given, labels)
    if task is Task.PROBABILISTIC:
        return _spread(claim, field, given, numbers_of(labels))
    numbers = _single(field, given)
    if task is Task.RANKING:
        _, places = np.unique(np.array([word_of(group) for group in groups]), return_inverse=True)
        return RankedPredictions(
            relevance=numbers_of(labels), scores=numbers, groups=places.reshape(-1).astype(np.int64)
        )
    return NumberPredictions(actual=numbers_of(labels), predicted=numbers)


def _binary(
    claim: Prediction, field: Field, given: npt.NDArray[Any], labels: Sequence[Any], cutoff: float
) -> BinaryPredictions:
    positive = _positive(claim, labels)
    truth = np.fromiter((label == positive for label in labels), np.bool_, len(labels))
    if field.datatype not in FLOATS:
        if field.shape:
            raise PredictionsUnusable(f"output {field.name!r} is a tensor of {field.datatype}, and no score")
        word = word_of(positive)
        said = np.fromiter((word_of(value) == word for value in given.tolist()), np.float64, len(labels))
        return BinaryPredictions(labels=truth, scores=said, cutoff=CUTOFF, is_hard=True)
    if field.shape == (_TWO,):
        words = [word_of(label) for label in field.labels or ()]
        place = words.index(word_of(positive)) if word_of(positive) in words else 1
        return BinaryPredictions(labels=truth, scores=given[:, place].astype(np.float64), cutoff=cutoff)
    return BinaryPredictions(labels=truth, scores=_single(field, given), cutoff=cutoff)


def _positive(claim: Prediction, labels: Sequence[Any]) -> Any:
    """The value of the label that is the positive class: what is claimed, true, 1, or the second in order."""
    different = set(labels)
    if claim.positive is not None:
        return claim.positive
    if different <= {0, 1}:  # booleans are among them
        return 1
    if len(different) != _TWO:
        raise PredictionsUnusable(
            f"the label has {len(different)} different values; say which is positive: [prediction] positive = …"
        )
    return sorted(different, key=word_of)[1]


def _classes(field: Field, given: npt.NDArray[Any], labels: Sequence[Any]) -> ClassPredictions:
    words = [word_of(label) for label in labels]
    if not field.shape:
        said = _known([word_of(value) for value in given.tolist()], {*words, *_words_of(field)})
        names = tuple(sorted({*words, *said}))
        place = {name: at for at, name in enumerate(names)}
        return ClassPredictions(classes=names, labels=_placed(words, place), predicted=_placed(said, place))
    if len(field.shape) != 1 or field.datatype not in FLOATS:
        raise PredictionsUnusable(
            f"output {field.name!r} has shape {list(field.shape)} of {field.datatype}, one per class is needed"
        )
    names = tuple(word_of(label) for label in field.labels) if field.labels else tuple(sorted(set(words)))
    place = {name: at for at, name in enumerate(names)}
    unknown = sorted(set(words) - place.keys())
    if unknown or len(names) != field.shape[0]:
        told = f"the label {unknown[0][:80]!r} is none of its classes" if unknown else f"there are {len(names)} labels"
        raise PredictionsUnusable(f"output {field.name!r} has {field.shape[0]} classes, and {told}")
    probabilities = given.astype(np.float64)
    return ClassPredictions(
        classes=names, labels=_placed(words, place), predicted=probabilities.argmax(axis=1), probabilities=probabilities
    )


def _words_of(field: Field) -> set[str]:
    """Classes that the contract names."""
    return {word_of(label) for label in field.labels or ()}


def _known(said: list[str], known: Collection[str]) -> list[str]:
    """What was said, classes that nobody knows by a number: names of classes are shown, and a model could put a row into one."""
    others = {word: f"(other {place + 1})" for place, word in enumerate(sorted(set(said) - set(known)))}
    return [others.get(word, word) for word in said]


def _placed(words: Sequence[str], place: dict[str, int]) -> npt.NDArray[np.int64]:
    return np.fromiter((place[word] for word in words), np.int64, len(words))


def _spread(claim: Prediction, field: Field, given: npt.NDArray[Any], actual: Floats) -> SpreadPredictions:
    if field.labels == NORMAL and not claim.quantiles:
        numbers = given.astype(np.float64)
        return of_normal(actual, numbers[:, 0], numbers[:, 1])
    if field.shape != (len(claim.quantiles),):
        raise PredictionsUnusable(
            f"output {field.name!r} has shape {list(field.shape)}, and [prediction] names {len(claim.quantiles)} quantiles"
        )
    return SpreadPredictions(actual=actual, levels=claim.quantiles, quantiles=given.astype(np.float64))


def _single(field: Field, given: npt.NDArray[Any]) -> Floats:
    """One number per row."""
    if field.datatype is Datatype.BYTES or field.shape not in ((), (1,)):
        raise PredictionsUnusable(
            f"output {field.name!r} is {field.datatype} of shape {list(field.shape)}; one number per row is needed"
        )
    return given.reshape(-1).astype(np.float64)


def numbers_of(labels: Sequence[Any]) -> Floats:
    """Labels as numbers.

    Raises:
        PredictionsUnusable: one is text.
    """
    if any(isinstance(label, str) for label in labels):
        raise PredictionsUnusable("the label is text, and a number is needed")
    return np.array(labels, dtype=np.float64)
