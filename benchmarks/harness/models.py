"""The models of the benchmark: trained here, once, and given to every contender.

Breast cancer (scikit-learn's own copy, 569 rows of 30 figures): a scaled logistic regression, whose cost is the call and not the
arithmetic, and histogram gradient boosting. Beside them models that misbehave on command, and one that computes nothing.
"""

import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import muster

INPUT = "input"
OUTPUT = "probability"
#: What the contract allows; the data lie within 0 and 4,254.
LOWEST, HIGHEST = 0.0, 10_000.0
OWNER = "ana"
#: Different rows that a load sends, one after the other.
ROWS = 32


@dataclass(frozen=True, slots=True)
class Trained:
    """Models and data."""

    rows: npt.NDArray[np.float64]
    """Shape (569, 30)."""
    models: dict[str, Any]
    """`linear` and `boosted`."""

    def expected(self, model: str, row: int) -> float:
        """The probability that every contender has to answer."""
        if model == "null":
            return NullModel.ANSWER
        return float(self.models[model].predict_proba(self.rows[row : row + 1])[0, 1])


def train(seed: int = 0) -> Trained:
    """Fit both models; another seed gives a further version of the linear one."""
    rows, classes = load_breast_cancer(return_X_y=True)
    kept = np.random.default_rng(seed).permutation(len(rows))[:500]
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(rows[kept], classes[kept])
    boosted = HistGradientBoostingClassifier(random_state=0).fit(rows[kept], classes[kept])
    return Trained(rows, {"linear": linear, "boosted": boosted})


def write_joblib(trained: Trained, folder: Path) -> None:
    """The files that FastAPI and MLServer load."""
    for name, model in trained.models.items():
        joblib.dump(model, folder / f"{name}.joblib")


class NullModel:
    """Answers a constant, to show what everything around a model costs."""

    ANSWER = 0.5

    def predict(self, columns: dict[str, npt.NDArray[np.float64]]) -> dict[str, npt.NDArray[np.float64]]:
        """The constant, once a row."""
        return {OUTPUT: np.full(len(columns[INPUT]), 0.5)}


class SlowModel:
    """The linear model's answers, for half a millisecond of processor time a row: an endpoint whose model is its limit."""

    SECONDS_PER_ROW = 0.0005

    def __init__(self, model: Any) -> None:
        self._model = model

    def predict(self, columns: dict[str, npt.NDArray[np.float64]]) -> dict[str, npt.NDArray[np.float64]]:
        """The answers, when the time is up."""
        until = time.thread_time() + self.SECONDS_PER_ROW * len(columns[INPUT])
        answers = self._model.predict_proba(columns[INPUT])[:, 1]
        while time.thread_time() < until:
            math.sqrt(2.0)
        return {OUTPUT: answers}


class Trickster:
    """A model that answers properly until a file tells it what else to do.

    Args:
        model: whose answers it gives.
        file: holds one word: `hang`, `spin`, `leak` or `sleep`. Without the file nothing happens.
    """

    def __init__(self, model: Any, file: str) -> None:
        self._model = model
        self._file = file
        self._calls = 0
        self._leaked: list[bytes] = []

    def predict(self, columns: dict[str, npt.NDArray[np.float64]]) -> dict[str, npt.NDArray[np.float64]]:
        """The model's answers, and the trick."""
        if os.path.exists(self._file):  # noqa: PTH110 - one call in a model that is timed
            self._play(Path(self._file).read_text())
        return {OUTPUT: self._model.predict_proba(columns[INPUT])[:, 1]}

    def _play(self, trick: str) -> None:
        self._calls += 1
        if trick == "hang":
            while True:
                time.sleep(3600)
        if trick == "spin":
            until = time.perf_counter() + 0.05
            while time.perf_counter() < until:
                math.sqrt(2.0)
        if trick == "leak":
            self._leaked.append(b"\1" * 2**20)
        if trick == "sleep" and self._calls % 10 == 0:
            time.sleep(2.0)


def save_bundle(trained: Trained, kind: str, folder: Path, *, trigger: Path | None = None) -> Path:
    """Write a bundle.

    Args:
        trained: the models.
        kind: `linear`, `boosted`, `tensors` (the linear one with 30 inputs of one value), `null`, `slow` or `trickster`.
        folder: where to.
        trigger: the file that a trickster looks for.
    """
    limits = {"minimum": LOWEST, "maximum": HIGHEST}
    sample: Any = trained.rows
    names = [INPUT]
    match kind:
        case "tensors":
            names = [f"f{number:02}" for number in range(trained.rows.shape[1])]
            sample = pd.DataFrame(trained.rows, columns=names)
            model = train_on(sample)
        case "null":
            model, sample = NullModel(), {INPUT: trained.rows}
        case "slow":
            model, sample = SlowModel(trained.models["linear"]), {INPUT: trained.rows}
        case "trickster":
            assert trigger is not None
            model, sample = Trickster(trained.models["linear"], str(trigger)), {INPUT: trained.rows}
        case _:
            model = trained.models[kind]
    described = {} if kind in {"null", "slow", "trickster"} else {"method": "predict_proba", "output": OUTPUT}
    return muster.save(
        model,
        folder,
        name={"linear": "tumour", "trickster": "tumour"}.get(kind, f"tumour-{kind}"),
        sample=sample,
        owner=OWNER,
        description="Is this tumour benign?",
        declared=dict.fromkeys(names, limits),
        **described,  # type: ignore[arg-type]
    )


def train_on(table: pd.DataFrame) -> Any:
    """The linear model, fitted on a table with names."""
    _, classes = load_breast_cancer(return_X_y=True)
    kept = np.random.default_rng(0).permutation(len(table))[:500]
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(table.iloc[kept], classes[kept])
