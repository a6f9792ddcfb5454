"""Compiled twins: made of a real model, judged on thousands of rows, refused where they differ."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import muster
from made_bundles import made_bundle
from muster.blobs.local import LocalBlobs
from muster.certification import twins
from muster.certification.checks import Bench, put
from muster.certification.options import CertificationOptions
from muster.certification.twinned import TwinOrder, examined_by
from muster.certification.twins import TwinAgrees, judged
from muster.environments.shelf import Shelf
from muster.environments.trust import rules_of
from muster.packaging.bundle import read_bundle
from muster.packaging.columns import Table, array_of, column_of
from muster.packaging.contract import contract_digest
from muster.packaging.documents import Bundle, Tolerance
from muster.packaging.golden import read_golden
from muster.packaging.manifest import manifest_of
from muster.packaging.sealed import materialise
from muster.registry.records import Version
from muster.runtimes.channel import Answer, RequestError
from muster.sessions.records import CERTIFICATION, Session
from muster.vocabulary.digests import digest_of
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import SessionState, VersionState
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Field

NAME = VersionName("churn", 3)


class Answers:
    """A host of one number in and one out, computed here."""

    def __init__(self, compute: Callable[[float], float | None]) -> None:
        self._compute = compute

    def predict(
        self, requests: list[int], columns: list[tuple[bytes, None]], _timeout_s: float | None = None
    ) -> Answer:
        """The answers; a row without one fails its request."""
        found = [self._compute(value) for value in np.frombuffer(columns[0][0])]
        groups = np.split(np.arange(len(found)), np.cumsum(requests)[:-1])
        failed = [at for at, rows in enumerate(groups) if any(found[row] is None for row in rows)]
        kept = [found[row] for at, rows in enumerate(groups) if at not in failed for row in rows]
        return Answer(
            statuses=bytes(int(at in failed) for at in range(len(requests))),
            errors={at: RequestError(code="model-raised", message="no") for at in failed},
            rows=len(kept),
            columns=((memoryview(np.array(kept, "<f8").tobytes()), None),),
            compute_ns=1000,
            alone=False,
            latency_ns=1000,
        )


@pytest.fixture(scope="module")
def probability(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of a classifier with one probability, as far as it is described."""
    bundle = read_bundle(made_bundle(tmp_path_factory.mktemp("made") / "bundle"))
    runtime = msgspec.structs.replace(bundle.runtime, method="predict_proba")
    return msgspec.structs.replace(bundle, runtime=runtime)


def compared(bundle: Bundle, twin: Callable[[float], float | None], values: list[float]) -> twins.Judgement:
    """A twin against an original that gives back what it is given, below 2."""
    table = Table(len(values), {"x": column_of(Datatype.FP64, np.array(values))})
    original = Answers(lambda value: None if value >= 2 else value)
    return judged(original, Answers(twin), bundle, table, {"score": Tolerance(abs=1e-6)})  # type: ignore[arg-type]


def test_a_value_outside_and_a_flipped_label_are_counted(probability: Bundle) -> None:
    """A deviation within the tolerance passes unless the label flips; one beyond it is counted; rows come in batches."""
    values = [0.1, 0.9, *([0.3] * 2500), 0.4999999]
    same = compared(probability, lambda value: value, values)
    assert (same.passed, same.rows, same.largest, same.where) == (True, 2503, 0.0, "")
    near = compared(probability, lambda value: value + 1e-9, values)
    assert near.passed
    assert near.largest == pytest.approx(1e-9)
    flip = compared(probability, lambda value: value + 2e-7, values)
    assert (flip.passed, flip.flips, flip.outside) == (False, 1, 0)
    far = compared(probability, lambda value: 0.2 if value == 0.1 else value, values)
    assert (far.passed, far.flips, far.outside) == (False, 0, 1)
    assert "0.2 instead of 0.1" in far.where


def test_a_row_that_only_one_of_them_answers_is_a_difference(probability: Bundle) -> None:
    """Both may refuse a row; a twin that answers what its original refuses, or the other way round, does not agree."""
    both = compared(probability, lambda value: None if value >= 2 else value, [0.1, 2.0, 0.9])
    assert (both.passed, both.asked, both.rows) == (True, 3, 2)
    assert compared(probability, lambda value: value, [0.1, 2.0, 0.9]).flips == 1
    assert compared(probability, lambda value: None if value > 0.5 else value, [0.1, 0.9]).flips == 1


def against(
    bundle: Bundle, original: Callable[[float], float | None], twin: Callable[[float], float | None]
) -> twins.Judgement:
    """A twin held against an original whose golden rows lie between 0 and 1."""
    golden = Table(2, {"x": column_of(Datatype.FP64, np.array([0.0, 1.0]))})
    contract = msgspec.structs.replace(bundle.contract, inputs=(Field("x", Datatype.FP64, nullable=True),))
    described = msgspec.structs.replace(bundle, contract=contract)
    hosts = Answers(original), Answers(twin)
    return twins.held(*hosts, described, golden, None, {"score": Tolerance()})  # type: ignore[arg-type]


def test_rows_that_both_refuse_are_no_evidence(probability: Bundle) -> None:
    """Others are drawn in their place; where too few can be had, that is told by the number of those compared."""
    half = against(probability, *[lambda value: value if value < 0.4 else None] * 2)
    assert half.passed
    assert half.rows >= twins.ROWS
    assert half.asked == 3 * twins.ROWS + 2
    nothing = against(probability, *[lambda value: value if value in {0.0, 1.0} else None] * 2)
    assert (nothing.passed, nothing.asked) == (True, 5 * twins.ROWS + 2)
    assert nothing.rows < twins.ROWS


def test_too_few_rows_to_compare_fail_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No twin comes of it, and the detail says how many there were and what to do."""
    found = twins.Judgement(
        asked=50_003, rows=9_999, flips=0, outside=0, largest=0.0, where="", original_ns=1, twin_ns=1
    )
    monkeypatch.setattr(twins, "held", lambda *_: found)
    monkeypatch.setattr(twins, "make", lambda _: SimpleNamespace(numbers="double", converters="none"))
    monkeypatch.setattr(twins, "_hosts", lambda *_: nullcontext((None, None)))
    folder = made_bundle(tmp_path / "bundle")
    bundle = read_bundle(folder)
    bench = SimpleNamespace(
        twin=TwinOrder(), golden=read_golden(folder, bundle), bundle=bundle, past=None, say=lambda _: None, twinned=None
    )
    found_out = TwinAgrees().answer(bench, ExitStack())  # type: ignore[arg-type]
    assert (found_out.passed, found_out.figure, bench.twinned) == (False, "too-few-rows", None)
    assert "only 9,999 of 50,003 rows have two answers" in found_out.detail


def test_a_twin_that_errs_on_what_the_sample_did_not_show_does_not_agree(probability: Bundle) -> None:
    """Nulls, which a float has as NaN, and numbers beyond the golden ones are among the rows."""
    beyond = against(probability, lambda value: value, lambda value: min(value, 1.0))
    assert beyond.outside > 20
    refused = against(probability, lambda value: value, lambda value: value if value >= 0 else None)
    assert refused.flips > 20


def test_no_answer_to_a_past_row_is_told(probability: Bundle) -> None:
    """They come after all others, and the value that is farthest off is shown of those alone: the model's answer could hold the row."""
    golden, past = (
        Table(2, {"x": column_of(Datatype.FP64, np.array(values))}) for values in ([0.0, 1.0], [77.25, 0.5])
    )
    contract = msgspec.structs.replace(probability.contract, inputs=(Field("x", Datatype.FP64),))
    bundle = msgspec.structs.replace(probability, contract=contract)
    asked: list[float] = []

    def original(value: float) -> float:
        asked.append(value)
        return value

    hosts = Answers(original), Answers(lambda value: 5000.0 if value == 77.25 else value)
    found = twins.held(*hosts, bundle, golden, past, {"score": Tolerance()})  # type: ignore[arg-type]
    assert (found.passed, found.outside, found.where) == (False, 1, " (of a past row)")
    assert asked[-2:] == [77.25, 0.5]
    assert found.asked == 2 + twins.ROWS + 2
    wrong_on_both = Answers(lambda value: value + 1.0)
    found = twins.held(Answers(original), wrong_on_both, bundle, golden, past, {"score": Tolerance()})  # type: ignore[arg-type]
    assert "77.25" not in found.where


@pytest.mark.parametrize("order", [None, TwinOrder(), TwinOrder(tolerance=Tolerance(abs=1e-6, rel=1e-9))])
def test_a_session_says_which_twin_is_asked_for(order: TwinOrder | None) -> None:
    """The subject of a session is read back as version and order."""
    session = Session(
        id="s-1",
        kind=CERTIFICATION,
        subject=str(NAME) if order is None else order.subject(NAME),
        project="default",
        state=SessionState.QUEUED,
        requested_by="ana",
        created_at=datetime.now(UTC),
        started_at=None,
        finished_at=None,
        executor=None,
        progress=(),
        result=None,
    )
    assert examined_by(session) == (NAME, order)


@contextmanager
def benched(folder: Path, root: Path, twin: TwinOrder) -> Iterator[Bench]:
    """A bench with the bundle on it, its environment built."""
    blobs = LocalBlobs(root / "blobs")
    shelf = Shelf(root / "environments", root / "uv-cache", blobs)
    bundle = read_bundle(folder)
    version = Version(
        name=NAME,
        project="default",
        digest=manifest_of(folder).digest,
        state=VersionState.REGISTERED,
        registered_by="ana",
        registered_at=datetime.now(UTC),
        description="",
        owners=(),
        authors=(),
        tags={},
        contract=bundle.contract,
        contract_digest=contract_digest(bundle.contract),
        lock_digest=digest_of(b"lock"),
        python="3.11.7",
        files=1,
        size=1,
    )
    (root / "scratch").mkdir()
    yield Bench(
        version=version,
        blobs=blobs,
        environments=shelf,
        bundles=root / "bundles",
        log=root / "host.log",
        scratch=root / "scratch",
        options=CertificationOptions(),
        say=lambda _: None,
        twin=twin,
        folder=folder,
        bundle=bundle,
        environment=shelf.ensure(folder, bundle),
        golden=read_golden(folder, bundle),
    )


def test_a_model_that_is_no_estimator_keeps_its_reason(tmp_path: Path) -> None:
    """A model with a method of its own cannot be converted: a failed check that says so, and no twin."""
    folder = made_bundle(tmp_path / "bundle")
    with benched(folder, tmp_path, TwinOrder()) as bench, ExitStack() as stack:
        check = put(TwinAgrees(), bench, stack)
    assert not check.passed
    assert check.figure == "certification.twin-not-made"
    assert "cannot be converted" in check.detail
    assert bench.twinned is None


@pytest.mark.timeout(900)
def test_converters_that_the_project_does_not_trust_are_not_run(tmp_path: Path) -> None:
    """The rules that hold for the version's own packages hold for those that make its twin and run it."""
    sample = pd.DataFrame({"x": np.linspace(-1, 1, 50)})
    model = LogisticRegression().fit(sample, (sample["x"] > 0).astype(int))
    folder = muster.save(model, tmp_path / "bundle", name="churn", sample=sample, owner="ana", output="p")
    with benched(folder, tmp_path, TwinOrder()) as bench, ExitStack() as stack:
        bench.rules = rules_of('[[rule]]\npackage = "pypi:skl2onnx"\neffect = "deny"\n')
        check = put(TwinAgrees(), bench, stack)
        assert len(bench.environments.all()) == 1  # the version's own
    assert (check.passed, check.figure) == (False, "certification.twin-not-made")
    assert "does not trust 1 packages of the converters: pypi:skl2onnx" in check.detail


@pytest.mark.timeout(900)
def test_a_pipeline_has_a_twin_that_agrees_to_the_last_bits(tmp_path: Path) -> None:
    """A pipeline of texts and numbers with missing ones becomes a bundle of kind onnx in the store, sealed, and equal on 10,000 rows."""
    random = np.random.default_rng(7)
    sample = pd.DataFrame(
        {
            "plan": random.choice(["free", "pro", "größer"], 400),
            "tenure": random.integers(0, 72, 400),
            "charge": random.normal(50, 10, 400),
        }
    )
    left = (sample["charge"] + sample["tenure"] + 20 * (sample["plan"] == "pro") > 90).to_numpy()
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["plan"]), (StandardScaler(), ["tenure", "charge"])
    )
    model = make_pipeline(columns, LogisticRegression()).fit(sample, left.astype(int))
    folder = muster.save(model, tmp_path / "bundle", name="churn", sample=sample, owner="ana", output="p_left")
    with benched(folder, tmp_path, TwinOrder()) as bench, ExitStack() as stack:
        check = put(TwinAgrees(), bench, stack)
    assert check.passed, check.detail
    assert check.figures["rows"] == twins.ROWS + bench.golden.expected.rows  # type: ignore[union-attr]
    twin = bench.twinned
    assert twin is not None
    assert (twin.flips, twin.sealed is not None) == (0, True)
    assert twin.largest < 1e-14
    there = read_bundle(materialise(twin.manifest, bench.blobs, bench.bundles))
    assert there.runtime.kind == "onnx"
    assert there.contract == read_bundle(folder).contract
    expected = read_golden(materialise(twin.manifest, bench.blobs, bench.bundles), there).expected.columns["p_left"]
    assert (
        array_of(expected).tolist()
        == array_of(read_golden(folder, read_bundle(folder)).expected.columns["p_left"]).tolist()
    )
