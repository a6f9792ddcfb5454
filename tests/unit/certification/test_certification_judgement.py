"""Answers as predictions: what a model says where a class should stand is not repeated."""

import numpy as np

from muster.certification.judgement import predictions_of
from muster.evaluation.multiclass import ClassPredictions
from muster.packaging.claims import Prediction
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Field

CLAIM = Prediction(task="multiclass", label="colour")


def classes_of(field: Field, said: list[str], labels: list[str]) -> ClassPredictions:
    """What becomes of answers that are classes."""
    found = predictions_of(CLAIM, field, np.array(said, dtype=object), labels, (), 0.5)
    assert isinstance(found, ClassPredictions)
    return found


def test_a_class_that_nobody_knows_is_shown_by_a_number() -> None:
    """Names of classes are shown, and a model could put the row that it was asked into one; how often it was wrong stays as it was."""
    labels = ["red", "blue", "red", "blue"]
    said = ["red", "tenure is 77.1", "the plan is x", "tenure is 77.1"]
    found = classes_of(Field("colour", Datatype.BYTES), said, labels)
    assert found.classes == ("(other 1)", "(other 2)", "blue", "red")
    assert [found.classes[place] for place in found.predicted.tolist()] == [
        "red",
        "(other 1)",
        "(other 2)",
        "(other 1)",
    ]
    assert [found.classes[place] for place in found.labels.tolist()] == labels


def test_classes_of_the_set_keep_their_names() -> None:
    """Those that really happened, whether the model says them or not."""
    found = classes_of(Field("colour", Datatype.BYTES), ["red", "red"], ["blue", "red"])
    assert found.classes == ("blue", "red")
