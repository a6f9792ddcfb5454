"""The version under examination, judged once on the newest evaluation set; every check of this package starts from it."""

import io
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from muster.certification.checks import Bench
from muster.certification.evaluated import Evaluated, KeptTable
from muster.certification.judgement import Answers, Judgement, judgement_of
from muster.certification.prediction import asking
from muster.certification.prediction.errors import NotJudgeable
from muster.certification.prediction.options import PerformanceOptions
from muster.evaluation import cutoffs, definitions, outcomes
from muster.evaluation.definitions import Figures, Predictions
from muster.evaluation.errors import PredictionsUnusable
from muster.evaluation.metric import Metric, Task
from muster.evaluation.multiclass import ClassPredictions
from muster.evaluation.numbers import NumberPredictions
from muster.evaluation.probabilistic import SpreadPredictions
from muster.evaluation.ranking import RankedPredictions
from muster.evaluation.tallies import BinaryPredictions
from muster.evaluation_sets.errors import EvaluationSetDamaged, EvaluationSetUnfit
from muster.packaging.claims import Prediction
from muster.sessions.records import Measure
from muster.vocabulary.digests import Digest
from muster.wire.evaluations import StoredTable, encoded

PERFORMANCE_CHECK = "prediction-performance"
#: Of so many classes each has a table of its own; of more only who was called what is kept.
_MOST_CLASSES = 20
#: Of a class against the rest.
_CLASS_ROWS = 200


def can_be_judged(bench: Bench) -> bool:
    """Whether the model has an evaluation set, the bundle says what it predicts, and judging it was not tried in vain."""
    is_claimed = bench.bundle is not None and bench.bundle.prediction is not None
    return is_claimed and bench.evaluation is not None and bench.unjudged is None


def options_of(bench: Bench) -> PerformanceOptions:
    """The settings that hold for all checks of this package."""
    return msgspec.convert(dict(bench.given_options.get(PERFORMANCE_CHECK, {})), PerformanceOptions)


def claimed(bench: Bench) -> tuple[Evaluated, Prediction]:
    """The set and the claim.

    Raises:
        NotJudgeable: one of them is missing, or they disagree about what is predicted.
    """
    prediction = None if bench.bundle is None else bench.bundle.prediction
    if bench.evaluation is None:
        raise NotJudgeable(f"model {bench.version.name.model} has no evaluation set")
    if prediction is None:
        raise NotJudgeable(
            f"the bundle of {bench.version.name} does not say what it predicts: there is no [prediction]"
        )
    held = bench.evaluation.held
    if prediction.label != held.label:
        raise NotJudgeable(
            f"[prediction] label is {prediction.label!r}, and {held.subject} is sealed with {held.label!r}"
        )
    return bench.evaluation, prediction


def judged(bench: Bench) -> Judgement:
    """The version's answers to the set, asked when first wanted.

    Raises:
        NotJudgeable: there is no set, or the bundle does not say what it predicts.
        PredictionsUnusable: its answers do not fit the task.
        EvaluationSetUnfit: it cannot be asked the rows.
        FailedInConfidence: its host did not answer them.
    """
    if bench.unjudged is not None:
        raise bench.unjudged
    if bench.judgement is None:
        try:
            bench.judgement = _judged(bench)
        except (NotJudgeable, EvaluationSetUnfit, EvaluationSetDamaged, PredictionsUnusable) as error:
            bench.unjudged = error  # asking again would not help
            raise
    return bench.judgement


def _judged(bench: Bench) -> Judgement:
    assert bench.confidential is not None
    assert bench.environment is not None
    evaluation, prediction = claimed(bench)
    contract = bench.version.contract
    rows = evaluation.rows(contract)
    bench.say(f"{evaluation.held.rows} rows of {evaluation.held.subject} are asked")
    with bench.confidential.asked() as channel:
        answers = asking.answers_of(channel, contract, rows.inputs)
    keep_answers(evaluation, bench.version.digest, bench.environment.id, answers)
    return judgement_of(prediction, contract, evaluation.held, rows, answers, options_of(bench).cutoff)


def keep_answers(evaluation: Evaluated, manifest: Digest, environment: Digest, answers: Answers) -> None:
    """Keep complete answers, for the day on which the version is the champion."""
    content = asking.written(answers)
    if content is not None:
        evaluation.sets.keep_answers(manifest, evaluation.held, environment, content)


def primary(bench: Bench, found: Judgement) -> Metric[Any]:
    """The metric by which versions and slices are compared: what the standard names, or the usual one.

    Raises:
        MetricUnknown: the standard names one of another task.
    """
    return definitions.named(found.task, options_of(bench).primary or definitions.usual(found.task, found.predictions))


def measures_of(task: Task, figures: Figures, over: str, of_slice: str = "") -> tuple[Measure, ...]:
    """All figures of the standard metrics, for the session to hold."""
    return tuple(
        Measure(name=metric.name, version=metric.version, value=figures.values[metric.name], over=over, slice=of_slice)
        for metric in definitions.METRICS[task]
        if metric.name in figures.values
    )


def broken_limits(
    task: Task, figures: Figures, least: Mapping[str, float], most: Mapping[str, float]
) -> list[tuple[float, str]]:
    """Limits that are not kept, the worst first: by how much of the limit, and in words."""
    broken = []
    for is_least, limits in ((True, least), (False, most)):
        for name, limit in limits.items():
            if name not in definitions.names(task):
                broken.append((float("inf"), f"{name} is no metric of {task} predictions"))
            elif name not in figures.values:
                broken.append((float("inf"), figures.undefined[name]))
            elif (missed := (limit - figures.values[name]) * (1 if is_least else -1)) > 0:
                word = "least" if is_least else "most"
                share = missed / abs(limit) if limit else missed
                broken.append((share, f"{name} is {figures.values[name]:.4g}, at {word} {limit:g} is asked"))
    return sorted(broken, reverse=True)


def keep_tables(bench: Bench, predictions: Predictions, over: str, of_slice: str = "") -> None:
    """Put the tables that curves are derived from into the store, and name them on the bench."""
    for part, table in tables_of(predictions):
        digest = bench.blobs.put(io.BytesIO(encoded(table)))
        kind = msgspec.to_builtins(table)["kind"]
        bench.tables.append(KeptTable(over=over, slice=of_slice, part=part, kind=kind, digest=digest))


def tables_of(predictions: Predictions) -> Iterable[tuple[str, StoredTable]]:
    """The one table of the predictions; of several classes who was called what, and one for each against the rest."""
    if isinstance(predictions, BinaryPredictions):
        yield "", cutoffs.table_of(predictions.tally)
    elif isinstance(predictions, ClassPredictions):
        yield "", outcomes.classes_of(predictions)
        if predictions.probabilities is not None and len(predictions.classes) <= _MOST_CLASSES:
            for place, name in enumerate(predictions.classes):
                yield name[:120], cutoffs.table_of(predictions.against_the_rest(place).tally, _CLASS_ROWS)
    else:
        yield "", outcomes.table_of(as_numbers(predictions))


def as_numbers(predictions: NumberPredictions | SpreadPredictions | RankedPredictions) -> NumberPredictions:
    """Predictions as one number per row: the middle of a distribution, the score of a ranking."""
    if isinstance(predictions, SpreadPredictions):
        return NumberPredictions(actual=predictions.actual, predicted=predictions.middle)
    if isinstance(predictions, RankedPredictions):
        return NumberPredictions(actual=predictions.relevance, predicted=predictions.scores)
    return predictions


def binary_of(bench: Bench, what: str) -> BinaryPredictions:
    """The predictions of two classes.

    Raises:
        PredictionsUnusable: the task is another one.
    """
    found = judged(bench)
    if not isinstance(found.predictions, BinaryPredictions):
        raise PredictionsUnusable(f"{what} is measured of binary predictions; these are {found.task}")
    return found.predictions
