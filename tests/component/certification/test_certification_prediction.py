"""Prediction performance on real hosts: for each check a model that passes and one that fails for that reason alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from governed_factory import GovernedFactory, ObedientFront
from muster.certification.errors import CurveNotFound, CurveUnfit
from muster.certification.examination import Examination
from muster.certification.metrics import Metrics
from muster.certification.options import CertificationOptions
from muster.certification.prediction.champion import AgainstChampion
from muster.certification.prediction.fairness import Fair
from muster.certification.prediction.performance import PredictionPerformance
from muster.certification.prediction.slices import SlicesHold
from muster.packaging.claims import Prediction
from muster.packaging.trees import remove_tree
from muster.release.champions import LiveChampions
from muster.sessions.records import MeasuresAsked
from muster.standards.errors import StandardMalformed
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.states import SessionState
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Field
from muster.wire.evidence import MOST_BYTES_OF_A_CHECK, Grid
from predicting_models import CLAIM, CONTRACT, ROWS, SAYS, Exam, failed, frame, source_of

PERFORMANCE, CHAMPION, SLICES = "prediction-performance", "against-champion", "slices-hold"


@pytest.fixture
def exam(sqlite_database: Database, tmp_path: Path, clock: FixedClock, environments: Path) -> Exam:
    return Exam(GovernedFactory(sqlite_database, tmp_path, clock), environments)


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the environments of all tests of this module lie."""
    root = tmp_path_factory.mktemp("environments")
    yield root
    remove_tree(root / "environments")


#: What a standard asks of all of them.
STRICT: dict[str, dict[str, Any]] = {
    PERFORMANCE: {"min": {"roc_auc": 0.75}, "importance": False},
    "calibration": {"max_error": 0.1},
    "slices-hold": {"max_gap": 0.1},
    "fairness": {"min_parity_ratio": 0.8},
}


def test_a_good_model_passes_every_check_and_beats_nobody(exam: Exam) -> None:
    """Against itself in other bytes it is no worse, its slices hold, it is calibrated and fair."""
    champion, version = exam.register("good"), exam.register("good", notes="again")
    exam.seal()
    done = exam.examine(version, champion=champion, options=STRICT)
    assert list(done) == [PERFORMANCE, CHAMPION, SLICES, "calibration", "fairness"]
    assert failed(done) == []
    assert "roc_auc is 0.9" in done[PERFORMANCE].detail
    assert f"{ROWS} rows of evaluation:1" in done[PERFORMANCE].detail
    assert done[CHAMPION].figures["gain"] == 0.0


#: Which model fails which check; each has a good champion behind it where that is what it fails by.
FAILS = {
    "weak": (PERFORMANCE, "at least 0.75 is asked"),
    "uncalibrated": ("calibration", "expected calibration error"),
    "worse slice": (SLICES, "plan=yearly"),
    "unfair": ("fairness", "f is selected"),
}


@pytest.mark.parametrize("says", FAILS)
def test_a_model_fails_for_one_reason_alone(exam: Exam, says: str) -> None:
    """The one check says why and what to do; all others pass."""
    check, told = FAILS[says]
    version = exam.register(says)
    exam.seal()
    done = exam.examine(version, options=STRICT)
    alone = {**STRICT, "calibration": {}} if says in {"weak", "unfair"} else STRICT
    if alone is not STRICT:  # what is weak or unfair is badly calibrated as well; asked of neither is the other
        done = exam.examine(version, options=alone)
    assert failed(done) == [check], {name: one.detail for name, one in done.items()}
    assert told in done[check].detail
    assert done[check].remedy


def test_a_slice_is_worse_although_the_average_is_good(exam: Exam) -> None:
    """On the whole the model passes; the slice that is told first is the one that is the other way round."""
    version = exam.register("worse slice")
    exam.seal()
    done = exam.examine(version, options=STRICT)
    assert done[PERFORMANCE].passed
    assert done[PERFORMANCE].figures["roc_auc"] > 0.75
    assert done[PERFORMANCE].figures["limits"] == 1.0
    assert done[SLICES].figures == {"slices": 5.0}
    assert done["fairness"].figures == {"compared": 1.0}
    assert done[SLICES].figure == 1
    assert exam.bench is not None
    by_slice = {one.slice: one for one in exam.bench.measures if one.name == "roc_auc"}
    assert by_slice["plan=yearly"].value < 0.2 < 0.85 < by_slice["plan=monthly"].value
    assert by_slice["plan=yearly"].high is not None
    assert {one.slice for one in exam.bench.tables} >= {"", "plan=yearly", "sex=f"}


def test_a_model_that_is_worse_than_the_champion_is_refused_beyond_doubt_only(exam: Exam) -> None:
    """With a margin that is wider than the loss it passes; the champion is asked once, and its answers are kept."""
    champion, version = exam.register("good"), exam.register("worse")
    exam.seal()
    done = exam.examine(
        version, champion=champion, options=STRICT, questions=(PredictionPerformance(), AgainstChampion())
    )
    assert failed(done) == [CHAMPION]
    assert "better by -0." in done[CHAMPION].detail
    assert done[CHAMPION].figures["gain_high"] < 0
    again = exam.examine(
        version,
        champion=champion,
        options={CHAMPION: {"margin": 0.2}},
        questions=(AgainstChampion(),),
    )
    assert failed(again) == []
    assert again[CHAMPION].figures == done[CHAMPION].figures
    assert again[CHAMPION].limit == 0.2
    assert sum("the champion" in line for line in exam.lines) == 1


def test_without_a_champion_there_is_nothing_to_be_worse_than(exam: Exam) -> None:
    """The first version of a model is not held up, and a version is not compared with itself."""
    version = exam.register()
    exam.seal()
    assert CHAMPION not in exam.examine(version)
    assert CHAMPION not in exam.examine(version, champion=version)
    done = exam.examine(version, questions=(AgainstChampion(),), always=True)
    assert done[CHAMPION].passed
    assert "no champion" in done[CHAMPION].detail


def test_a_standard_that_wants_it_fails_a_model_without_a_set_or_a_claim(exam: Exam) -> None:
    """Not asked by itself; asked for, it says what is missing and how it comes."""
    version, silent = exam.register(), exam.register(claim=None)
    assert exam.examine(version) == {}
    found = exam.examine(version, questions=(PredictionPerformance(),), always=True)[PERFORMANCE]
    assert (found.passed, found.figure) == (False, "certification.not-judgeable")
    assert "has no evaluation set" in found.detail
    assert "muster evaluation add" in found.remedy
    exam.seal(label="left")
    assert exam.examine(silent) == {}
    found = exam.examine(silent, questions=(PredictionPerformance(),), always=True)[PERFORMANCE]
    assert "there is no [prediction]" in found.detail


def test_what_a_standard_asks_for_does_not_pass_on_nothing(exam: Exam) -> None:
    """An author who names no slices and no protected columns, or a set with too few rows of them, passes neither check."""
    silent = exam.register(claim=Prediction(task="binary", label="left"))
    exam.seal()
    asked = (SlicesHold(), Fair(), AgainstChampion())
    done = exam.examine(silent, questions=asked, always=True)
    assert failed(done) == ["slices-hold", "fairness"]
    assert "`[prediction] slices`" in done["slices-hold"].remedy
    assert done["fairness"].detail == "no protected column is named"
    few = {
        "slices-hold": {"by": ["plan"], "min_rows": 100_000},
        "fairness": {"protected": ["plan"], "min_rows": 100_000},
    }
    done = exam.examine(silent, questions=asked, always=True, options=few)
    assert failed(done) == ["slices-hold", "fairness"]
    assert "0 slices" in done["slices-hold"].detail
    done = exam.examine(exam.register(claim=None), questions=asked, always=True)
    assert failed(done) == ["slices-hold", "fairness", CHAMPION]


def test_the_sealed_label_counts_and_not_what_the_author_says(exam: Exam) -> None:
    """An author who names another column is told so; the checks after it are not put again in vain."""
    exam.register()
    exam.seal()
    version = exam.register(claim=Prediction(task="binary", label="sex", slices=("plan",)))
    done = exam.examine(version)
    assert list(done) == [PERFORMANCE]
    assert "sealed with 'left'" in done[PERFORMANCE].detail


def test_rows_without_an_answer_break_a_limit(exam: Exam) -> None:
    """A model that gives up on some rows is judged on the others, and fails."""
    version = exam.register(f"({SAYS['good']}) if plan != 'yearly' else 1 / 0", scores=[0.5] * 4)
    exam.seal()
    done = exam.examine(version, questions=(PredictionPerformance(),))
    assert failed(done) == [PERFORMANCE]
    yearly = frame()["plan"].count("yearly")
    assert f"{yearly} of {ROWS} rows have no answer" in done[PERFORMANCE].detail
    assert f"{ROWS} rows have no answer (model-raised)" in done[PERFORMANCE].detail


#: How a model could hand over rows of the set: in what it says, or in what it calls its error.
SPELLS = {
    "message": "(_ for _ in ()).throw(ValueError('tenure ' + str(tenure)))",
    "name": "(_ for _ in ()).throw(type('Tenure' + str(int(tenure)), (Exception,), {})('x'))",
}


@pytest.mark.parametrize("how", SPELLS)
def test_a_model_does_not_spell_rows_in_its_errors(exam: Exam, how: str) -> None:
    """Of an error on sealed rows only its kind is told, as the author reads the detail."""
    version = exam.register(f"({SAYS['good']}) if plan != 'yearly' else {SPELLS[how]}", scores=[0.5] * 4)
    exam.seal()
    found = exam.examine(version, questions=(PredictionPerformance(),))[PERFORMANCE]
    assert "rows have no answer (model-raised" in found.detail
    assert "enure" not in found.detail


def test_importance_finds_the_input_that_counts(exam: Exam) -> None:
    """Shuffled in the factory, on the version's own host: tenure costs, plan costs nothing."""
    version = exam.register("good")
    exam.seal()
    exam.examine(version, options={PERFORMANCE: {}}, questions=(PredictionPerformance(),))
    assert exam.bench is not None
    lost = {one.slice: one for one in exam.bench.measures if one.name == "importance:roc_auc"}
    assert lost["input=tenure"].value > 0.3
    assert lost["input=plan"].value == 0.0
    (shown,) = exam.bench.shown
    assert "Permutation importance" in [exhibit.title for exhibit in shown.exhibits]


def test_what_is_shown_tells_no_rows_of_the_set(exam: Exam) -> None:
    """Rows are named by their number alone, and that exhibit is marked as not for everybody; and it stays small."""
    version = exam.register("good")
    exam.seal()
    exam.examine(version, champion=exam.register("worse"), options=STRICT)
    assert exam.bench is not None
    for shown in exam.bench.shown:
        assert len(msgspec.json.encode(shown.exhibits)) < MOST_BYTES_OF_A_CHECK
    exhibits = {exhibit.title: exhibit for exhibit in exam.bench.shown[0].exhibits}
    worst = exhibits["Rows judged worst, by their place in the set"]
    assert isinstance(worst, Grid)
    assert worst.columns == ("row", "said", "came", "off by")
    assert len(worst.rows) == 20
    assert [title for title, exhibit in exhibits.items() if exhibit.sealed] == [worst.title]


_ANY = Contract(inputs=CONTRACT.inputs, outputs=(Field("score", Datatype.FP64),))
OTHER_TASKS: dict[str, tuple[Prediction, Contract, str, dict[str, Any], str]] = {
    "regression": (
        Prediction(task="regression", label="months", slices=("plan",)),
        CONTRACT,
        "tenure / 100",
        {"months": [tenure / 100 for tenure in frame()["tenure"]]},
        "rmse is 0 ",
    ),
    "counts": (
        Prediction(task="counts", label="calls"),
        _ANY,
        "tenure / 100 + 0.01",
        {"calls": [int(tenure // 40) for tenure in frame()["tenure"]]},
        "poisson_deviance is ",
    ),
    "ranking": (
        Prediction(task="ranking", label="clicked", group="sex"),
        CONTRACT,
        "tenure / 100",
        {"clicked": [int(tenure > 90) for tenure in frame()["tenure"]]},
        "ndcg@10 is 1 ",
    ),
    "multiclass": (
        Prediction(task="multiclass", label="kind"),
        Contract(inputs=CONTRACT.inputs, outputs=(Field("score", Datatype.BYTES),)),
        "'long' if tenure > 50 else 'short'",
        {"kind": ["long" if tenure > 60 else "short" for tenure in frame()["tenure"]]},
        "balanced_accuracy is ",
    ),
    "probabilistic": (
        Prediction(task="probabilistic", label="months", quantiles=(0.1, 0.9)),
        Contract(inputs=CONTRACT.inputs, outputs=(Field("score", Datatype.FP64, shape=(2,)),)),
        "[tenure / 100 - 0.1, tenure / 100 + 0.1]",
        {"months": [tenure / 100 for tenure in frame()["tenure"]]},
        "pinball is 0.01 ",
    ),
}


@pytest.mark.parametrize("task", OTHER_TASKS)
def test_every_task_is_judged_by_its_own_metrics(exam: Exam, task: str) -> None:
    """A number, a count, an order, a class, quantiles: each has measures, exhibits and a kept table."""
    claim, contract, says, label, told = OTHER_TASKS[task]
    version = exam.register(says, claim=claim, contract=contract)
    rows = frame()
    rows.pop("left")
    exam.seal({**rows, **label}, label=claim.label)
    done = exam.examine(version, questions=(PredictionPerformance(),))
    assert failed(done) == [], done[PERFORMANCE].detail
    assert told in done[PERFORMANCE].detail
    assert exam.bench is not None
    assert [one.kind for one in exam.bench.tables] == ["classes" if task == "multiclass" else "outcomes"]
    assert len(exam.bench.shown[0].exhibits) >= 3


def test_a_session_keeps_measures_and_curves_for_all_to_ask(exam: Exam) -> None:
    """A whole certification under an adopted standard: certificate, measures by version and slice, curves from the kept table."""
    factory = exam.factory
    version = exam.register("good")
    exam.seal()
    factory.adopt(
        'format = 1\nname = "strict"\n[checks.prediction-performance]\nrun = true\n'
        "options = { min = { roc_auc = 0.8 }, importance = false, cutoff = 0.4 }\n"
    )
    asked = factory.certification.certify(factory.call("ana"), version.name)
    claimed = factory.sessions.claim("e1", ["certification"])
    assert claimed is not None
    bench = Examination(
        blobs=factory.blobs,
        environments=exam.shelf,
        bundles=factory.folder / "bundles",
        logs=factory.folder / "logs",
        options=CertificationOptions(latency_calls=20, prove_rebuild=False, latency_budget_s=0.1),
        evaluations=exam.sets,
        champions=LiveChampions(factory.database, factory.registry).of_model,
    )
    done = factory.certification.run(claimed, lambda _: None, bench)
    assert done.state is SessionState.PASSED, done.result
    metrics = metrics_of(exam)
    vic = factory.call("vic")
    (whole,) = metrics.measures(vic, MeasuresAsked(model="churn", name="roc_auc"))
    assert (whole.session, whole.version, whole.measure.over) == (asked.id, version.name, "evaluation:1")
    assert whole.measure.low is not None
    sliced = metrics.measures(vic, MeasuresAsked(model="churn", name="roc_auc", slice="plan=monthly"))
    assert len(sliced) == 1
    petra = factory.call("petra")  # may read the rows, and so sees exact curves
    roc = metrics.curve(petra, asked.id, "roc")
    assert roc.rows[0] == (None, 0.0, 0.0)
    assert roc.rows[-1][1:] == (1.0, 1.0)
    usual, other = (metrics.curve(petra, asked.id, "confusion", cutoff=at) for at in (None, 0.9))
    assert usual.cutoff == 0.4
    found, fewer = ([int(cell or 0) for cell in one.rows[0][1:5]] for one in (usual, other))
    assert fewer[0] < found[0]
    assert sum(found) == sum(fewer) == ROWS
    assert metrics.curve(petra, asked.id, "calibration", of_slice="plan=monthly").rows
    with pytest.raises(CurveNotFound, match="plan=none"):
        metrics.curve(vic, asked.id, "roc", of_slice="plan=none")
    with pytest.raises(CurveUnfit, match="outcomes"):
        metrics.curve(vic, asked.id, "outcomes")


def metrics_of(exam: Exam) -> Metrics:
    """What sessions have measured."""
    factory = exam.factory
    return Metrics(database=factory.database, sessions=factory.sessions, blobs=factory.blobs, evaluations=exam.sets)


def test_the_champion_is_the_one_of_a_live_release(exam: Exam) -> None:
    """Nobody before a release is live; then its champion, until another is."""
    factory = exam.factory
    champions = LiveChampions(factory.database, factory.registry)
    first, second = factory.accepted(), factory.accepted()
    assert champions.of_model("default", "churn") is None
    front = ObedientFront(factory)
    front.poll()
    factory.live(first, fronts=(front,))
    found = champions.of_model("default", "churn")
    assert found is not None
    assert found.name == first.name
    factory.live(second, first, fronts=(front,))
    found = champions.of_model("default", "churn")
    assert found is not None
    assert found.name == second.name
    assert champions.of_model("other", "churn") is None
    assert champions.of_model("default", "others") is None


BAD_OPTIONS = {
    "prediction-performance": "{ min = { auc = 0.8 } }",
    "against-champion": "{ margin = -1.0 }",
    "slices-hold": "{ max_gap = 'wide' }",
    "calibration": "{ max_error = 2.0 }",
    "fairness": "{ least = 0.8 }",
}


@pytest.mark.parametrize("check", BAD_OPTIONS)
def test_a_standard_with_options_that_there_are_not_is_refused(exam: Exam, check: str) -> None:
    """When it is proposed, and not when a version is examined."""
    text = f'format = 1\nname = "odd"\n[checks.{check}]\noptions = {BAD_OPTIONS[check]}\n'
    with pytest.raises(StandardMalformed, match=f"checks.{check}"):
        exam.factory.standards.propose(exam.factory.call("ana"), text, "so")


def test_sources_are_models() -> None:
    """Each of the words makes a class that answers."""
    for says in SAYS.values():
        known: dict[str, Any] = {}
        exec(source_of(says), known)
        (score,) = known["Model"]().predict({"tenure": [10.0], "plan": ["yearly"]})["score"]
        assert 0 <= score <= 1
    assert CLAIM.label == "left"
