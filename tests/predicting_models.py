"""Models that predict well, badly, unfairly, and rows with what really happened to judge them on."""

import io
import math
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from governed_factory import GovernedFactory
from made_bundles import PLANS, TENURES
from muster.certification import checks
from muster.certification.evaluated import Evaluated
from muster.certification.options import CertificationOptions
from muster.certification.prediction.calibration import Calibrated
from muster.certification.prediction.champion import AgainstChampion
from muster.certification.prediction.fairness import Fair
from muster.certification.prediction.performance import PredictionPerformance
from muster.certification.prediction.slices import SlicesHold
from muster.certification.records import Check
from muster.environments.shelf import Shelf
from muster.evaluation_sets.records import EvaluationSet
from muster.evaluation_sets.service import EvaluationSets
from muster.packaging.claims import Claims, Prediction
from muster.registry.records import Version
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Declared, Field

QUESTIONS = (PredictionPerformance(), AgainstChampion(), SlicesHold(), Calibrated(), Fair())
ROWS = 1200
CONTRACT = Contract(
    inputs=(Field("tenure", Datatype.FP64), Field("plan", Datatype.BYTES)),
    outputs=(Field("score", Datatype.FP64, declared=Declared(minimum=0.0, maximum=1.0)),),
)
CLAIM = Prediction(task="binary", label="left", slices=("plan",), protected=("sex",))

_TRUTH = "1 / (1 + math.exp((tenure - 50) / 12))"
#: What a model says of one row.
SAYS: Mapping[str, str] = {
    "good": _TRUTH,
    "weak": "(math.sin(tenure * 91.7) + 1) / 2",
    # Beside the truth, so much of something else that the order suffers, but not so much that it is weak.
    "worse": f"0.6 * {_TRUTH} + 0.2 + 0.2 * math.sin(tenure * 91.7)",
    # The right order, and each probability far too low.
    "uncalibrated": f"({_TRUTH}) ** 6",
    # The other way round for a tenth of the people.
    "worse slice": f"({_TRUTH}) if plan != 'yearly' else 1 - ({_TRUTH})",
    # People who pay by the quarter are mostly women, and hardly ever selected.
    "unfair": f"({_TRUTH}) * (0.55 if plan == 'quarterly' else 1)",
}


def source_of(says: str) -> str:
    """A class `Model`."""
    return f"""
import math


class Model:
    def predict(self, columns):
        rows = zip(columns["tenure"], columns["plan"])
        return {{"score": [{says} for tenure, plan in rows]}}
"""


def answers_of(says: str) -> list[float]:
    """What it answers to the golden rows of `made_bundles`."""
    known = {"math": math}
    rows = zip(TENURES, PLANS, strict=True)
    return [eval(says, known, {"tenure": tenure, "plan": plan}) for tenure, plan in rows]


def frame(rows: int = ROWS, seed: int = 11) -> dict[str, list[Any]]:
    """Rows with what really happened, drawn from the probability that the good model gives."""
    generator = np.random.default_rng(seed)
    tenure = generator.uniform(0, 100, rows)
    plan = generator.choice(["monthly", "yearly", "quarterly"], rows, p=[0.55, 0.1, 0.35])
    is_woman = generator.random(rows) < np.where(plan == "quarterly", 0.9, 0.2)
    left = generator.random(rows) < 1 / (1 + np.exp((tenure - 50) / 12))
    return {
        "tenure": tenure.tolist(),
        "plan": plan.tolist(),
        "sex": np.where(is_woman, "f", "m").tolist(),
        "left": left.tolist(),
    }


def parquet(path: Path, columns: Mapping[str, Any]) -> Path:
    """The columns as a file."""
    sink = io.BytesIO()
    pq.write_table(pa.table(dict(columns)), sink)
    path.write_bytes(sink.getvalue())
    return path


class Exam:
    """A factory, a sealed set, and a bench on which only the checks of prediction are made."""

    def __init__(self, factory: GovernedFactory, environments: Path) -> None:
        self.factory = factory
        self.shelf = Shelf(environments / "environments", environments / "uv-cache", factory.blobs)
        self.sets = EvaluationSets(
            database=factory.database,
            journal=factory.journal,
            blobs=factory.blobs,
            registry=factory.registry,
            clock=factory.clock,
        )
        self.bench: checks.Bench | None = None
        self.lines: list[str] = []

    def register(self, says: str = "good", claim: Prediction | None = CLAIM, **said: object) -> Version:
        """A version that says so."""
        words = SAYS.get(says, says)
        scores = said.pop("scores", None) or answers_of(words)
        given: dict[str, Any] = {"source": source_of(words), "scores": scores, "contract": CONTRACT}
        return self.factory.register(claims=Claims(prediction=claim), **{**given, **said})

    def seal(self, columns: Mapping[str, Any] | None = None, model: str = "churn", **said: str) -> EvaluationSet:
        """A set, sealed by somebody who has no part in the model."""
        file = parquet(self.factory.folder / "set.parquet", frame() if columns is None else columns)
        return self.sets.add(self.factory.call("petra"), model, file, "the year that the model has not seen", **said)

    def examine(
        self,
        version: Version,
        *,
        champion: Version | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        questions: tuple[checks.Question, ...] = QUESTIONS,
        always: bool = False,
    ) -> dict[str, Check]:
        """The checks of prediction that are asked, by name.

        Args:
            version: which is examined.
            champion: what is in front.
            options: what the standard sets.
            questions: which are put.
            always: put them whether they ask themselves or not, as a standard with `run = true` does.
        """
        factory, done = self.factory, dict[str, Check]()
        held = self.sets.newest(version.project, version.name.model)
        before: tuple[checks.Question, ...] = (checks.BundleComplete(), checks.EnvironmentBuilds(), checks.ModelLoads())
        bench = self.bench = checks.Bench(
            version=version,
            blobs=factory.blobs,
            environments=self.shelf,
            bundles=factory.folder / "bundles",
            log=factory.folder / "host.log",
            scratch=factory.folder,
            options=CertificationOptions(),
            say=self.lines.append,
            evaluation=None if held is None else Evaluated(held=held, sets=self.sets),
            champion=champion,
            given_options={"prediction-performance": {"importance": False}, **(options or {})},
        )
        with ExitStack() as stack:
            for question in before:
                found = checks.put(question, bench, stack)
                assert found.passed, found.detail
            for question in questions:
                if always or not isinstance(question, checks.Optional) or question.is_asked(bench):
                    done[question.name] = checks.put(question, bench, stack)
        return done


def failed(done: Mapping[str, Check]) -> list[str]:
    """Names of the checks that did not pass."""
    return [name for name, check in done.items() if not check.passed]
