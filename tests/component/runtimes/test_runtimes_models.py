"""Models as people really make them: scikit-learn pipelines by skops and by cloudpickle, in a host."""

from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import skops.io
from hosts_by_hand import Environment
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from muster.packaging.samples import read_sample
from muster.runtimes.host import running_host
from muster_host import frames

_ROWS = 400
_LEARNERS = {
    "logistic": LogisticRegression,
    "forest": lambda: RandomForestClassifier(20, random_state=0),
    "boosting": lambda: HistGradientBoostingClassifier(max_iter=20, random_state=0),
}


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


def _columns(frame: pd.DataFrame) -> list[frames.Parts]:
    return [(bytes(column.data), column.nulls) for column in read_sample(frame).table.columns.values()]


@pytest.fixture(params=[(learner, how) for learner in _LEARNERS for how in ("skops", "cloudpickle")], ids="-".join)
def fitted(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, pd.DataFrame, dict[str, Any]]:
    """A fitted pipeline, its customers, and the order that loads it."""
    learner, how = request.param
    frame, leaves = _customers()
    preparation = make_column_transformer(
        (StandardScaler(), ["tenure", "charges"]), (OneHotEncoder(), ["contract", "payment"]), remainder="passthrough"
    )
    model = make_pipeline(preparation, _LEARNERS[learner]()).fit(frame, leaves)
    (tmp_path / "model").mkdir()
    file = tmp_path / "model" / f"model.{how}"
    if how == "skops":
        skops.io.dump(model, file)
    else:
        file.write_bytes(cloudpickle.dumps(model))
    sample = read_sample(frame)
    order = {
        "bundle": str(tmp_path),
        "runtime": {
            "kind": "python", "serializer": how, "model": f"model/{file.name}",
            "trusted": skops.io.get_untrusted_types(file=file) if how == "skops" else [],
            "method": "predict_proba", "class_index": 1, "input": "pandas", "dtypes": sample.dtypes,
            "categories": {
                name: {"values": list(kinds.values), "ordered": kinds.ordered, "dtype": kinds.dtype}
                for name, kinds in sample.categories.items()
            },
            "missing": {}, "code": [],
        },
        "contract": {
            "inputs": [{"name": name, "datatype": str(column.datatype)} for name, column in sample.table.columns.items()],
            "outputs": [{"name": "probability", "datatype": "FP64"}],
        },
    }  # fmt: skip
    return model, frame, order


def test_a_pipeline_answers_bit_for_bit_as_in_the_lab(
    fitted: tuple[Any, pd.DataFrame, dict[str, Any]], tmp_path: Path
) -> None:
    """The host's probabilities are those of the lab to the last bit, for all rows, and twice the same for the same batch."""
    model, frame, order = fitted
    with running_host(Environment(), tmp_path, order, tmp_path / "log") as channel:
        for part in (frame, frame.iloc[:1], frame.iloc[5:37].reset_index(drop=True)):
            answer = channel.predict([len(part)], _columns(part))
            assert not answer.errors
            wanted = model.predict_proba(part)[:, 1]
            got = np.frombuffer(answer.columns[0][0])
            assert np.array_equal(got, wanted)
            again = channel.predict([1] * len(part), _columns(part))
            assert bytes(again.columns[0][0]) == bytes(answer.columns[0][0])


def test_probabilities_of_several_classes_are_one_tensor(
    fitted: tuple[Any, pd.DataFrame, dict[str, Any]], tmp_path: Path
) -> None:
    """Without a class the whole array is the output."""
    model, frame, order = fitted
    order["runtime"]["class_index"] = None
    order["contract"]["outputs"] = [{"name": "p", "datatype": "FP64", "shape": [2], "labels": [False, True]}]
    with running_host(Environment(), tmp_path, order, tmp_path / "log") as channel:
        answer = channel.predict([3], _columns(frame.iloc[:3]))
        assert np.array_equal(np.frombuffer(answer.columns[0][0]).reshape(3, 2), model.predict_proba(frame.iloc[:3]))
