"""An author tries to read a sealed set back through what a certification tells, on a real host and through every door."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, get_args

import msgspec
import numpy as np
import pytest

from governed_factory import GovernedFactory
from muster.certification.errors import CurveUnfit, CurveWithheld
from muster.certification.examination import Examination
from muster.certification.metrics import DerivedCurve, Metrics
from muster.certification.options import CertificationOptions
from muster.client.evaluations import CurveKind
from muster.packaging.claims import Prediction
from muster.packaging.trees import remove_tree
from muster.sessions.records import Session
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.digests import Digest
from muster.wire.evidence import Curve, Evidence, Histogram
from predicting_models import Exam

ROWS: Final = 2000
KINDS: tuple[CurveKind, ...] = get_args(CurveKind)
#: Every score is the inputs of its row, and orders the rows evenly.
SPELLS = "(round(tenure * 1000) * 2 + (plan == 'yearly')) / 200001"
CLAIM = Prediction(task="binary", label="left", slices=("region", "half"), protected=("sex",))
_REGIONS = ("east", "north", "south", "west")
Known = dict[tuple[int, bool], bool]


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the environment lies."""
    root = tmp_path_factory.mktemp("environments")
    yield root
    remove_tree(root / "environments")


@pytest.fixture
def exam(sqlite_database: Database, tmp_path: Path, clock: FixedClock, environments: Path) -> Exam:
    return Exam(GovernedFactory(sqlite_database, tmp_path, clock), environments)


def _chance_rows() -> dict[str, list[Any]]:
    """Labels that no input tells anything of: whoever knows them has read them."""
    generator = np.random.default_rng(23)
    return {
        "tenure": (generator.permutation(100_000)[:ROWS] / 1000).tolist(),
        "plan": generator.choice(["monthly", "yearly"], ROWS).tolist(),
        "sex": generator.choice(["f", "m"], ROWS).tolist(),
        "region": [_REGIONS[row % 4] for row in range(ROWS)],
        "half": [("first", "second")[row // 4 % 2] for row in range(ROWS)],
        "left": (generator.permutation(ROWS) < ROWS // 2).tolist(),
    }


def test_an_author_does_not_read_the_sealed_set_back_through_curves(exam: Exam) -> None:
    """Scores that spell their row: exact curves give all of it, what an author is told gives less than 5 % above chance."""
    rows = _chance_rows()
    done = _certified(exam, rows)
    factory = exam.factory
    metrics = Metrics(database=factory.database, sessions=factory.sessions, blobs=factory.blobs, evaluations=exam.sets)
    truth = _truth(rows)
    ana, petra = factory.call("ana"), factory.call("petra")
    by_approver = _decoded(_told(metrics, petra, done.id))
    assert sum(truth.get(row) == label for row, label in by_approver.items()) > 0.95 * ROWS  # the attack is one
    seen = _told(metrics, ana, done.id)
    assert _decoded(seen) == {}
    assert {(one.source.table.slice, one.kind) for one in seen} >= {("", "roc"), ("half=first", "gains")}
    assert not any(one.source.table.slice.startswith("region") for one in seen)
    assert not any(one.table.digest for one in metrics.tables(ana, done.id))
    gained = _recovered(rows, seen, _evidence(exam, done)) - 0.5
    assert gained < 0.05


def _certified(exam: Exam, rows: dict[str, list[Any]]) -> Session:
    factory = exam.factory
    version = exam.register(SPELLS, claim=CLAIM)
    exam.seal(rows)
    factory.certification.certify(factory.call("ana"), version.name)
    claimed = factory.sessions.claim("e1", ["certification"])
    assert claimed is not None
    bench = Examination(
        blobs=factory.blobs,
        environments=exam.shelf,
        bundles=factory.folder / "bundles",
        logs=factory.folder / "logs",
        options=CertificationOptions(latency_calls=20, prove_rebuild=False, latency_budget_s=0.1),
        evaluations=exam.sets,
    )
    return factory.certification.run(claimed, lambda _: None, bench)


def _told(metrics: Metrics, call: Any, session: str) -> list[DerivedCurve]:
    """Every curve that somebody is given, the confusion at many cut-offs."""
    found = []
    for kept in metrics.tables(call, session):
        for kind in KINDS:
            for cutoff in [None, *np.linspace(0, 1, 40)] if kind == "confusion" else [None]:
                try:
                    found.append(metrics.curve(call, session, kind, of_slice=kept.table.slice, cutoff=cutoff))
                except (CurveUnfit, CurveWithheld):
                    continue
    return found


def _decoded(told: list[DerivedCurve]) -> Known:
    """Rows by inputs and label, from the steps of ROC curves at their cut-offs."""
    known: Known = {}
    for curve in told:
        if curve.kind == "roc" and "cutoff" in curve.columns:
            for before, after in pairwise(curve.rows):
                spelled = round(float(after[0] or 0) * 200001)
                known[spelled // 2, bool(spelled % 2)] = float(after[2] or 0) > float(before[2] or 0)
    return known


def _truth(rows: dict[str, list[Any]]) -> Known:
    each = zip(rows["tenure"], rows["plan"], rows["left"], strict=True)
    return {(round(tenure * 1000), plan == "yearly"): left for tenure, plan, left in each}


def _evidence(exam: Exam, done: Session) -> Evidence:
    assert done.result is not None
    return msgspec.json.decode(exam.factory.registry.document(Digest(done.result["evidence"])), type=Evidence)


def _recovered(rows: dict[str, list[Any]], seen: list[DerivedCurve], evidence: Evidence) -> float:
    """The share of labels that is right, guessed from all that is told of the order of the rows.

    The author's next model sees the inputs of all rows, so it knows the place of each in the order.
    """
    order = np.argsort([-tenure for tenure in rows["tenure"]], kind="stable")
    labels = np.array(rows["left"])[order]
    halves = np.array(rows["half"])[order]
    points = {0: 0, **{round(float(x or 0) * ROWS): round(float(y or 0) * ROWS / 2) for x, y in _gains(seen, "")}}
    for check in evidence.checks:
        for exhibit in check.exhibits:
            if isinstance(exhibit, Curve):
                assert all(len(one.x) <= 21 for one in exhibit.series), exhibit.title
            if isinstance(exhibit, Histogram):
                positive, negative = (np.cumsum(exhibit.counts[name][::-1]) for name in ("positive", "negative"))
                points |= dict(zip((positive + negative).tolist(), positive.tolist(), strict=True))
    votes = _shares(sorted(points.items()), np.ones(ROWS, np.bool_))
    for name in ("first", "second"):
        here = halves == name
        positives = int(labels[here].sum())  # the recall and the precision of the slice tell it
        size = int(here.sum())
        steps = [
            (round(float(x or 0) * size), round(float(y or 0) * positives)) for x, y in _gains(seen, f"half={name}")
        ]
        votes += _shares(steps, here)
    return float(((votes > 0) == labels).mean())


def _gains(seen: list[DerivedCurve], of_slice: str) -> list[tuple[Any, ...]]:
    (found,) = [one for one in seen if one.kind == "gains" and one.source.table.slice == of_slice]
    assert found.columns == ("population", "recall")
    return list(found.rows)


def _shares(points: list[tuple[int, int]], where: np.ndarray) -> np.ndarray:
    """How far the share of positive rows lies above a half in the step of each row, 0 elsewhere."""
    above = np.zeros(int(where.sum()))
    for (start, found), (end, more) in pairwise(points):
        if end > start:
            above[start:end] = (more - found) / (end - start) - 0.5
    spread = np.zeros(len(where))
    spread[where] = above
    return spread
