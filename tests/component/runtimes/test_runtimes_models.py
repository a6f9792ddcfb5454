"""Models as people really make them: scikit-learn pipelines by skops and by cloudpickle, in a host."""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from muster.packaging.samples import Sample, read_sample
from muster.runtimes.channel import Channel
from muster.runtimes.parent import Parent
from muster_host import frames

_ROWS = 400
_LEARNERS = {
    "logistic": LogisticRegression(),
    "forest": RandomForestClassifier(20, random_state=0),
    "boosting": HistGradientBoostingClassifier(max_iter=20, random_state=0),
}


@dataclass(frozen=True)
class Lab:
    """What the lab has made: fitted pipelines, and a parent that has loaded each of them."""

    models: dict[str, Any]
    customers: pd.DataFrame
    parent: Parent
    sockets: Path


def _customers() -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    random = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "tenure": random.integers(0, 72, _ROWS),
            "charges": random.normal(60, 20, _ROWS),
            "senior": random.random(_ROWS) < 0.2,
            "contract": random.choice(["month", "year", "two years"], _ROWS),
            "payment": pd.Categorical(random.choice(["card", "cheque"], _ROWS)),
        }
    )
    return frame, np.asarray(random.random(_ROWS) < 1 / (1 + np.exp(frame["tenure"] / 20 - 1)))


def _order(bundle: Path, file: Path, sample: Sample, *, class_index: int | None) -> dict[str, Any]:
    how = file.suffix[1:]
    output: dict[str, Any] = {"name": "probability", "datatype": "FP64"}
    return {
        "bundle": str(bundle),
        "runtime": {
            "kind": "python", "serializer": how, "model": f"model/{file.name}",
            "trusted": skops.io.get_untrusted_types(file=file) if how == "skops" else [],
            "method": "predict_proba", "class_index": class_index, "input": "pandas", "dtypes": sample.dtypes,
            "categories": {
                name: {"values": list(kinds.values), "ordered": kinds.ordered, "dtype": kinds.dtype}
                for name, kinds in sample.categories.items()
            },
            "missing": {}, "code": [],
        },
        "contract": {
            "inputs": [{"name": name, "datatype": str(column.datatype)} for name, column in sample.table.columns.items()],
            "outputs": [output if class_index is not None else {**output, "shape": [2], "labels": [False, True]}],
        },
    }  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Three pipelines, each by skops and by cloudpickle, each for one class and for both, in one parent."""
    folder = tmp_path_factory.mktemp("lab")
    frame, leaves = _customers()
    sample = read_sample(frame)
    models = {}
    with (
        tempfile.TemporaryDirectory(prefix="mt-", dir="/tmp") as sockets,
        Parent(Path(sys.executable), "e", folder / "log") as parent,
    ):
        for name, learner in _LEARNERS.items():
            preparation = make_column_transformer(
                (StandardScaler(), ["tenure", "charges"]),
                (OneHotEncoder(), ["contract", "payment"]),
                remainder="passthrough",
            )
            models[name] = make_pipeline(preparation, learner).fit(frame, leaves)
            bundle = folder / name
            (bundle / "model").mkdir(parents=True)
            skops.io.dump(models[name], bundle / "model" / "model.skops")
            (bundle / "model" / "model.cloudpickle").write_bytes(cloudpickle.dumps(models[name]))
            for file in (bundle / "model").iterdir():
                how = file.suffix[1:]
                loaded = parent.load(f"{name}-{how}", _order(bundle, file, sample, class_index=1))
                assert loaded.fork_unsafe is None
                parent.load(f"{name}-{how}-both", _order(bundle, file, sample, class_index=None))
        yield Lab(models, frame, parent, Path(sockets))


def _columns(frame: pd.DataFrame) -> list[frames.Parts]:
    return [(bytes(column.data), column.nulls) for column in read_sample(frame).table.columns.values()]


@pytest.mark.parametrize("how", ["skops", "cloudpickle"])
@pytest.mark.parametrize("learner", _LEARNERS)
def test_a_pipeline_answers_bit_for_bit_as_in_the_lab(lab: Lab, learner: str, how: str) -> None:
    """The host's probabilities are those of the lab to the last bit, and the same for the same batch twice."""
    key = f"{learner}-{how}"
    path = lab.sockets / f"{key}.sock"
    lab.parent.fork(key, key, path)
    with Channel(path) as channel:
        for part in (lab.customers, lab.customers.iloc[:1], lab.customers.iloc[5:37].reset_index(drop=True)):
            answer = channel.predict([len(part)], _columns(part))
            assert not answer.errors
            assert np.array_equal(np.frombuffer(answer.columns[0][0]), lab.models[learner].predict_proba(part)[:, 1])
            again = channel.predict([1] * len(part), _columns(part))
            assert bytes(again.columns[0][0]) == bytes(answer.columns[0][0])


@pytest.mark.parametrize("learner", _LEARNERS)
def test_probabilities_of_several_classes_are_one_tensor(lab: Lab, learner: str) -> None:
    """Without a class the whole array is the output."""
    key = f"{learner}-skops-both"
    path = lab.sockets / f"{key}.sock"
    lab.parent.fork(key, key, path)
    with Channel(path) as channel:
        part = lab.customers.iloc[:3]
        answer = channel.predict([3], _columns(part))
        assert np.array_equal(
            np.frombuffer(answer.columns[0][0]).reshape(3, 2), lab.models[learner].predict_proba(part)
        )
