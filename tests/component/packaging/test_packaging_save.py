"""`muster.save` as data scientists call it, with real estimators, real processes and a real lock."""

import importlib
import json
import signal
import subprocess
import sys
import textwrap
import threading
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

import muster
from made_wheels import make_wheel
from muster.packaging.bundle import check_bundle, read_bundle
from muster.packaging.columns import array_of, values_of
from muster.packaging.documents import Bundle, load_order
from muster.packaging.environments import Environments
from muster.packaging.errors import ContractMalformed, ModelNotSavable, SampleUnusable, TargetNotABundle
from muster.packaging.golden import read_golden
from muster.packaging.lock_file import read_lock
from muster.packaging.manifest import manifest_of
from muster.packaging.runtimes import PythonRuntime
from muster.packaging.uv import run_uv
from muster.runtimes.host import running_host
from muster.vocabulary.errors import Invalid
from muster.vocabulary.tensors import Datatype

D = Datatype
SAMPLE: dict[str, list[Any]] = {"tenure": [1.0, 12.0, None, 72.0], "plan": ["monthly", "yearly", "yearly", None]}
Saver = Callable[..., Path]


def score(columns: Mapping[str, list[Any]]) -> dict[str, list[float]]:
    """A model in one line: no package is needed but the one that reads it."""
    return {
        "score": [
            (tenure or 0) / 100 + len(plan or "")
            for tenure, plan in zip(columns["tenure"], columns["plan"], strict=True)
        ]
    }


@pytest.fixture
def save(tmp_path: Path) -> Saver:
    """`muster.save` into a fresh folder, with what is not the point of the test filled in."""

    def saved(model: Any, sample: Any = SAMPLE, *, folder: str = "bundle", **arguments: Any) -> Path:
        said = {"name": "churn", "owner": "ana", "description": "d", "notes": "n", **arguments}
        return muster.save(model, tmp_path / folder, sample=sample, **said)

    return saved


def python_of(bundle: Bundle) -> PythonRuntime:
    """What a bundle says of its runtime."""
    assert isinstance(bundle.runtime, PythonRuntime)
    return bundle.runtime


def errors(folder: Path) -> list[str]:
    """What keeps a bundle from being registered."""
    return [finding.problem for finding in check_bundle(folder) if finding.level == "error"]


def locked_in(folder: Path) -> set[str]:
    """Names of the packages in a bundle's lock."""
    return {package.name for package in read_lock((folder / "requirements.lock").read_bytes())}


def customers(rows: int) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    """Customers with text, numbers and gaps, and whether they left."""
    random = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "senior": random.integers(0, 2, rows),
            "tenure": random.integers(0, 73, rows),
            "contract": random.choice(["Month-to-month", "One year", "Two year"], rows),
            "charges": np.where(random.random(rows) < 0.05, np.nan, random.normal(65, 30, rows)),
        }
    )
    left = (frame["tenure"] < 20) & (random.random(rows) < 0.7)
    return frame, left.to_numpy().astype(int)


X, Y = customers(400)
PREPARED = make_column_transformer(
    (OneHotEncoder(handle_unknown="ignore"), ["contract"]),
    (make_pipeline(SimpleImputer(), StandardScaler()), ["senior", "tenure", "charges"]),
)
BOOSTED = make_column_transformer((OrdinalEncoder(), ["contract"]), remainder="passthrough")
PIPELINES = {
    "logistic regression": make_pipeline(PREPARED, LogisticRegression()),
    "random forest": make_pipeline(PREPARED, RandomForestClassifier(20, random_state=0)),
    "boosting": make_pipeline(BOOSTED, HistGradientBoostingClassifier(random_state=0)),
}


class TestEstimators:
    """scikit-learn."""

    @pytest.mark.parametrize("title", PIPELINES)
    def test_pipelines_come_back_bit_equal(self, save: Saver, title: str) -> None:
        """A pipeline of text, numbers and gaps is held by skops, and gives the same bits again."""
        model = PIPELINES[title].fit(X, Y)
        folder = save(model, X, golden=X.head(60), output="churn_probability", personal=["senior"])
        bundle = read_bundle(folder)
        assert errors(folder) == []
        assert (python_of(bundle).serializer, python_of(bundle).method, python_of(bundle).class_index) == (
            "skops",
            "predict_proba",
            1,
        )
        again = skops.io.load(folder / python_of(bundle).model, trusted=list(python_of(bundle).trusted))
        assert again.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()
        golden = read_golden(folder, bundle)
        assert golden.inputs.rows == 60
        expected = array_of(golden.expected.columns["churn_probability"])
        np.testing.assert_allclose(expected, model.predict_proba(X.head(60))[:, 1], rtol=1e-12)
        assert [(field.name, field.datatype, field.nullable) for field in bundle.contract.inputs] == [
            ("senior", D.INT64, False),
            ("tenure", D.INT64, False),
            ("contract", D.BYTES, False),
            ("charges", D.FP64, True),
        ]
        assert [(field.name, field.datatype, field.shape) for field in bundle.contract.outputs] == [
            ("churn_probability", D.FP64, ())
        ]
        senior = bundle.contract.input("senior")
        assert senior is not None
        assert senior.personal
        locked = locked_in(folder)
        assert {"scikit-learn", "pandas", "numpy", "skops"} <= locked
        assert locked.isdisjoint({"pytest", "hypothesis", "polars", "litestar", "muster-ml", "pyarrow"})

    def test_several_classes_of_an_array(self, save: Saver) -> None:
        """A NumPy sample (rows, 30) is one tensor input, three classes are one tensor output with labels."""
        random = np.random.default_rng(3)
        data = random.normal(size=(90, 30)).astype("float32")
        model = LogisticRegression().fit(data, np.array(["red", "green", "blue"] * 30))
        bundle = read_bundle(save(model, data))
        (given,) = bundle.contract.inputs
        (output,) = bundle.contract.outputs
        assert (given.name, given.datatype, given.shape) == ("input", D.FP32, (30,))
        assert (output.datatype, output.shape, output.labels) == (D.FP64, (3,), ("blue", "green", "red"))
        assert (python_of(bundle).input, python_of(bundle).dtypes) == ("numpy", {"input": "float32"})

    def test_regression_on_polars(self, save: Saver) -> None:
        """An estimator that is trained on polars is handed polars again."""
        frame = pl.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1, 0, 1]})
        model = LinearRegression().fit(frame, [1.0, 2.0, 3.5])
        folder = save(model, frame, output="price")
        bundle = read_bundle(folder)
        assert (python_of(bundle).input, python_of(bundle).method) == ("polars", "predict")
        assert python_of(bundle).dtypes == {"a": "Float64", "b": "Int64"}
        assert [field.name for field in bundle.contract.outputs] == ["price"]

    def test_own_functions_in_a_pipeline(self, save: Saver, capsys: pytest.CaptureFixture[str]) -> None:
        """What skops cannot hold is written with cloudpickle, and the reason is said and kept."""
        model = make_pipeline(FunctionTransformer(lambda frame: frame[["tenure"]] * 2), LogisticRegression()).fit(X, Y)
        frame = X.assign(plan=pd.Categorical(X["contract"]), size=pd.array([1, None] * 200, dtype="Int64"))
        folder = save(model, frame, method="predict")
        bundle = read_bundle(folder)
        assert python_of(bundle).serializer == "cloudpickle"
        assert python_of(bundle).serializer_reason is not None
        assert "written with cloudpickle, because" in capsys.readouterr().err
        assert "Not with skops, because" in (folder / "README.md").read_text()
        assert python_of(bundle).dtypes["plan"] == "category"
        assert python_of(bundle).categories["plan"].values == ("Month-to-month", "One year", "Two year")  # noqa: PD011
        assert (python_of(bundle).dtypes["size"], bundle.contract.inputs[-1].nullable) == ("Int64", True)
        assert [(field.name, field.datatype) for field in bundle.contract.outputs] == [("prediction", D.INT64)]


class TestOtherModels:
    """Functions and objects."""

    def test_function_of_lists(self, save: Saver) -> None:
        """A function of lists needs no package but the one that reads it."""
        folder = save(score, tolerance={"score": {"abs": 1e-3}}, nullable=[], tags={"team": "retention"})
        bundle = read_bundle(folder)
        assert errors(folder) == []
        assert (python_of(bundle).method, python_of(bundle).input) == ("call", "lists")
        assert [package.name for package in read_lock((folder / "requirements.lock").read_bytes())] == ["cloudpickle"]
        golden = read_golden(folder, bundle)
        assert values_of(golden.expected.columns["score"]) == score(SAMPLE)["score"]
        assert golden.tolerance["score"].abs == 1e-3
        assert (bundle.owners, bundle.authors, bundle.tags) == (("ana",), ("ana",), {"team": "retention"})

    def test_it_runs_in_its_own_environment(self, save: Saver, tmp_path: Path) -> None:
        """The bundle alone is enough: in an environment of its lock the host gives the golden answers."""
        folder = save(score)
        bundle = read_bundle(folder)
        golden = read_golden(folder, bundle)
        environment = Environments(tmp_path / "environments", tmp_path / "cache").ensure(
            (folder / "requirements.lock").read_bytes(), python_of(bundle).python
        )
        with running_host(environment, folder, load_order(folder, bundle), tmp_path / "log") as channel:
            columns = [(column.data, column.nulls) for column in golden.inputs.columns.values()]
            answer = channel.predict([golden.inputs.rows], columns, timeout_s=60)
        assert bytes(answer.columns[0][0]) == bytes(golden.expected.columns["score"].data)

    def test_object_gets_a_dict_of_arrays(self, save: Saver) -> None:
        """An object with predict(columns) gets NumPy arrays whatever table the sample is, and may give several outputs."""

        class Model:
            def predict(self, columns: dict[str, Any]) -> dict[str, Any]:
                assert isinstance(columns["tenure"], np.ndarray)
                known = ~np.isnan(columns["tenure"])
                return {
                    "known": known,
                    "twice": columns["tenure"] * 2,
                    "plan": [plan or "?" for plan in columns["plan"]],
                }

        for number, sample in enumerate((pd.DataFrame(SAMPLE), pl.DataFrame(SAMPLE), pa.table(SAMPLE))):
            folder = save(Model(), sample, folder=f"bundle-{number}")
            bundle = read_bundle(folder)
            assert (python_of(bundle).input, python_of(bundle).dtypes) == (
                "columns",
                {"tenure": "float64", "plan": "object"},
            )
            assert [(field.name, field.datatype) for field in bundle.contract.outputs] == [
                ("known", D.BOOL),
                ("twice", D.FP64),
                ("plan", D.BYTES),
            ]
            assert values_of(read_golden(folder, bundle).expected.columns["twice"]) == [2.0, 24.0, None, 144.0]
            assert [field.nullable for field in bundle.contract.outputs] == [False, True, False]

    def test_own_modules_go_by_value(self, save: Saver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A class of a file beside the script, that no package brings, is found where the model runs."""
        (tmp_path / "besides").mkdir()
        (tmp_path / "besides" / "my_features.py").write_text("def twice(x):\n    return [2 * v for v in x]\n")
        (tmp_path / "besides" / "my_models.py").write_text(
            "from my_features import twice\n\nclass Model:\n    def predict(self, columns):\n        return twice(columns['a'])\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path / "besides"))
        model = __import__("my_models").Model()
        folder = save(model, {"a": [1.0, 2.0]}, output="b")
        assert values_of(read_golden(folder, read_bundle(folder)).expected.columns["b"]) == [2.0, 4.0]

    @pytest.mark.parametrize("given", ["file", "folder of modules", "package"])
    def test_own_code_travels(self, save: Saver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
        """Code that is named lies in the bundle as the author wrote it, and is imported from there."""
        name = f"travels_{given.replace(' ', '_')}"
        home = tmp_path / "lib" / name if given == "package" else tmp_path / "lib"
        home.mkdir(parents=True)
        file = home / ("__init__.py" if given == "package" else f"{name}.py")
        file.write_text("class Model:\n    def predict(self, columns):\n        return columns['a']\n")
        (home / "__pycache__").mkdir()
        monkeypatch.syspath_prepend(str(tmp_path / "lib"))
        model = __import__(name).Model()
        code = {"file": file, "folder of modules": tmp_path / "lib", "package": home}[given]
        folder = save(model, {"a": [1.0, 2.0]}, code=[code], output="b")
        assert python_of(read_bundle(folder)).code == ("src",)
        carried = [entry.path for entry in manifest_of(folder).files if entry.path.startswith("src/")]
        assert list((folder / "src").rglob("__pycache__")) == []
        assert carried == [f"src/{name}/__init__.py" if given == "package" else f"src/{name}.py"]
        assert name.encode() in (folder / "model" / "model.cloudpickle").read_bytes()


class TestLeanLocks:
    """What a library imports by chance stays out of the lock, if the answers do not change."""

    @pytest.fixture
    def chooser(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        """A library that uses another one if it happens to be there, without needing it."""
        site = tmp_path / "site"
        source = "try:\n    import booster_lib\n    FACTOR = 2.0\nexcept ImportError:\n    FACTOR = 1.0\nUSED = 3.0\n"
        for name, text in (("chooser_lib", source), ("booster_lib", "")):
            wheel = make_wheel(tmp_path / "wheels", name, "1.0", {f"{name}.py": text})
            install = ("pip", "install", "--no-deps", "--python", sys.executable, "--target", str(site), str(wheel))
            assert run_uv(*install).returncode == 0
        monkeypatch.syspath_prepend(str(site))
        yield importlib.import_module("chooser_lib")
        for name in ("chooser_lib", "booster_lib"):
            sys.modules.pop(name, None)

    def test_what_changes_nothing_stays_out(self, save: Saver, chooser: Any) -> None:
        """A package that was imported by chance, and whose absence changes no bit, is not locked."""
        folder = save(lambda columns: [chooser.USED * value for value in columns["a"]], {"a": [1.0]}, output="b")
        assert locked_in(folder) == {"cloudpickle", "chooser-lib"}

    def test_what_changes_an_answer_stays_in(self, save: Saver, chooser: Any) -> None:
        """A package that was imported by chance, but without which an answer would be another, is locked."""
        folder = save(lambda columns: [chooser.FACTOR * value for value in columns["a"]], {"a": [1.0]}, output="b")
        assert locked_in(folder) == {"cloudpickle", "chooser-lib", "booster-lib"}
        assert len(list((folder / "wheels").iterdir())) == 2
        assert errors(folder) == []


class TestFolder:
    """What lies in the bundle."""

    def test_papers(self, save: Saver, tmp_path: Path) -> None:
        """Notes, description, notebook and data are in the folder, and the folder is what was asked for."""
        (tmp_path / "how.ipynb").write_text(json.dumps({"cells": []}))
        (tmp_path / "train.csv").write_text("a,b\n1,2\n")
        folder = save(
            score,
            notes="More trees.",
            description="Will she leave?",
            notebook=tmp_path / "how.ipynb",
            data={"training": tmp_path / "train.csv", "test": "s3://bucket/test.parquet"},
            authors=["ben"],
            owner=["ana", "cleo"],
        )
        assert folder == tmp_path / "bundle"
        assert "More trees." in (folder / "NOTES.md").read_text()
        assert "Will she leave?" in (folder / "README.md").read_text()
        assert json.loads((folder / "notebook.ipynb").read_text()) == {"cells": []}
        assert tomllib.loads((folder / "data.toml").read_text())["training"]["rows"] == 1
        bundle = read_bundle(folder)
        assert bundle.people == {"ana", "ben", "cleo"}
        assert errors(folder) == []

    def test_default_golden_rows_are_spread(self, save: Saver) -> None:
        """Without golden rows, fifty of the sample are taken, from the first to the last."""
        numbers = [float(number) for number in range(1000)]
        folder = save(lambda columns: columns["a"], {"a": numbers}, output="b")
        golden = read_golden(folder, read_bundle(folder))
        taken = values_of(golden.inputs.columns["a"])
        assert (len(taken), taken[0], taken[-1]) == (50, 0.0, 999.0)

    def test_null_in_golden_makes_a_field_nullable(self, save: Saver) -> None:
        """What only the golden rows show counts as well."""
        folder = save(lambda columns: [1.0] * len(columns["a"]), {"a": [1, 2]}, golden={"a": [1, None]}, output="b")
        assert read_bundle(folder).contract.inputs[0].nullable

    def test_replaced(self, save: Saver) -> None:
        """An earlier bundle is replaced, whole."""
        first = save(score, notes="first")
        (first / "own-notes.txt").write_text("x")
        save(score, notes="second")
        assert "second" in (first / "NOTES.md").read_text()
        assert not (first / "own-notes.txt").exists()
        assert [path.name for path in first.parent.iterdir()] == ["bundle"]


class Unpicklable:
    """Holds what no file can."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def predict(self, columns: dict[str, list[Any]]) -> list[float]:
        return [1.0] * len(columns["a"])


def forgetful(columns: dict[str, list[Any]]) -> list[float]:
    """Answers differently each time."""
    import random  # noqa: PLC0415  # in the fresh process, too

    return [random.random() for _ in columns["a"]]


def failing(columns: dict[str, list[Any]]) -> list[float]:
    """Never answers."""
    raise ValueError("no such customer")


def at_home_only(columns: dict[str, list[Any]]) -> list[float]:
    """Answers in the lab and nowhere else."""
    import sys  # noqa: PLC0415  # in the fresh process, too

    if "pytest" not in sys.modules:
        raise RuntimeError("where am I?")
    return [1.0] * len(columns["a"])


def needs_muster(columns: dict[str, list[Any]]) -> list[float]:
    """Imports what is not there where it runs."""
    import muster.vocabulary.names  # noqa: PLC0415, F401  # in the fresh process, too

    return [1.0] * len(columns["a"])


class TestRefusals:
    """What cannot be saved leaves nothing behind."""

    A: ClassVar = {"a": [1.0, 2.0]}

    @pytest.mark.parametrize(
        ("model", "said"),
        [
            (Unpicklable(), "cannot be written"),
            (forgetful, "does not answer like the model itself"),
            (failing, "no such customer"),
            (at_home_only, "fails in a fresh process.*where am I"),
            (needs_muster, "imports muster"),
            (lambda columns: [1.0], "1 values for 2 rows|has 1 values"),
            (lambda columns: 1.0, "no values"),
            (lambda columns: {}, "no outputs"),
            (lambda columns: [object(), object()], "cannot be used"),
            (5, "no model"),
        ],
    )
    def test_models(self, save: Saver, tmp_path: Path, model: Any, said: str) -> None:
        """The reason is told, and neither a folder nor a temporary one is left."""
        with pytest.raises(ModelNotSavable, match=f"(?s){said}"):
            save(model, self.A)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("arguments", "error", "said"),
        [
            ({"name": "Churn"}, Invalid, "name for a model"),
            ({"owner": "Ana B."}, Invalid, "name for a user"),
            ({"authors": ["x y"]}, Invalid, "name for a user"),
            ({"method": "predict_proba"}, ModelNotSavable, "has no predict_proba"),
            ({"method": "score"}, ModelNotSavable, "method is 'score'"),
            ({"golden": {"b": [1.0]}}, SampleUnusable, "lacks 'a'"),
            ({"golden": {"a": [1.0], "z": [1.0]}}, SampleUnusable, "'z', which the sample lacks"),
            ({"golden": {"a": ["x"]}}, SampleUnusable, "'a', row 0: expected a number"),
            ({"personal": ["z"]}, ContractMalformed, "'z'"),
            ({"tolerance": {"z": 1.0}}, ModelNotSavable, "'z', which is no output"),
            ({"notebook": "nowhere.ipynb"}, SampleUnusable, "nowhere"),
            ({"data": {"training": "nowhere.csv"}}, SampleUnusable, "nowhere"),
            ({"code": ["nowhere.py"]}, SampleUnusable, "nowhere"),
            ({"output": "q"}, ModelNotSavable, "the model gives p"),
            ({"input_kind": "pandas"}, ModelNotSavable, "cannot be handed pandas"),
        ],
    )
    def test_arguments(
        self, save: Saver, tmp_path: Path, arguments: dict[str, Any], error: type[Exception], said: str
    ) -> None:
        """Wrong arguments are told before or while saving, and nothing is left."""
        with pytest.raises(error, match=said):
            save(lambda columns: {"p": columns["a"]}, self.A, **arguments)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("kind", ["folder", "file", "link", "bundle of another format"])
    def test_what_is_not_ours_is_left_alone(self, save: Saver, tmp_path: Path, kind: str) -> None:
        """A folder, file or link that is no bundle is never replaced."""
        target = tmp_path / "bundle"
        if kind == "file":
            target.write_text("mine")
        elif kind == "link":
            (tmp_path / "elsewhere").mkdir()
            target.symlink_to(tmp_path / "elsewhere")
        else:
            target.mkdir()
            (target / "thesis.tex").write_text("mine")
            if kind == "bundle of another format":
                (target / "muster.toml").write_text("format = 99\n")
        with pytest.raises(TargetNotABundle):
            save(score)
        assert target.is_symlink() is (kind == "link")
        if kind != "link":
            assert (target if kind == "file" else target / "thesis.tex").read_text() == "mine"

    def test_empty_folder(self, save: Saver, tmp_path: Path) -> None:
        """An empty folder may be filled."""
        (tmp_path / "bundle").mkdir()
        assert errors(save(score)) == []


def test_killed_in_the_middle(save: Saver, tmp_path: Path) -> None:
    """After kill -9 while saving, the earlier bundle is there, whole and unchanged."""
    folder = save(score, notes="first")
    before = manifest_of(folder).digest
    script = textwrap.dedent("""
        import os, signal, sys
        import muster
        from muster.packaging import save as module
        module._refuse_unsound = lambda folder: os.kill(os.getpid(), signal.SIGKILL)
        muster.save(lambda c: c["a"], sys.argv[1], name="churn", owner="ana", sample={"a": [1.0]}, output="b")
    """)
    ended = subprocess.run([sys.executable, "-c", script, str(folder)], check=False, capture_output=True)
    assert ended.returncode == -signal.SIGKILL
    assert manifest_of(folder).digest == before
    save(score, notes="third")
    assert "third" in (folder / "NOTES.md").read_text()


def test_from_an_interactive_session(tmp_path: Path) -> None:
    """A function typed into a session, whose source is in no file, is saved as well."""
    script = textwrap.dedent("""
        import sys, muster
        def model(columns):
            return {"b": [helper(v) for v in columns["a"]]}
        def helper(v):
            return v + 1
        muster.save(model, sys.argv[1], name="m", owner="ana", sample={"a": [1.0, 2.0]})
    """)
    subprocess.run([sys.executable, "-", str(tmp_path / "b")], input=script, text=True, check=True, capture_output=True)
    assert values_of(read_golden(tmp_path / "b", read_bundle(tmp_path / "b")).expected.columns["b"]) == [2.0, 3.0]
