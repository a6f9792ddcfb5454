"""The lab: three models are trained and saved as a data scientist would, and a few bundles are spoilt on purpose."""

import importlib.util
import json
import shutil
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import muster
from muster.demo.customers import BLIND_PAYMENT, SLOW_PAYMENT, SLOW_TENURE, Customers
from muster.packaging.bundle import pack

OUTPUT = "churn_probability"
GOLDEN_ROWS = 50
SLOW_DELAY_S = 0.3
LABEL = "left"
#: What is predicted, so that the factory can judge it: the column of the sealed rows, and by which groups.
PREDICTION = {"task": "binary", "label": LABEL, "positive": 1, "slices": ["payment_method"]}
#: Asks for a command of the system when it is loaded: a pickle can, and nothing in its size or name shows it.
_PAYLOAD = b"cposix\nsystem\n(S'touch %b'\ntR."
_PERSONAL = ("female", "senior_citizen", "partner", "dependents")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A fitted model and what it is worth."""

    title: str
    model: Any
    auc: float
    """Area under the ROC curve on the new customers, whom it has not seen."""
    training_s: float
    notes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """Where the data scientist works: everything is a file she could have written by hand."""

    folder: Path
    customers: Customers

    @property
    def training_file(self) -> Path:
        """The training data, which bundles name by digest."""
        return self.folder / "training.parquet"

    def bundle(self, title: str) -> Path:
        """Where the bundle of a model lies."""
        return self.folder / "bundles" / title.replace(" ", "-")


def open_lab(folder: Path, customers: Customers) -> Lab:
    """Make the lab's folder and put the training data there."""
    lab = Lab(folder=folder, customers=customers)
    (folder / "bundles").mkdir(parents=True)
    customers.training.assign(left=customers.training_left).to_parquet(lab.training_file)
    return lab


def recipes(customers: Customers) -> dict[str, tuple[Callable[[], Any], str]]:
    """Per model how to make it, and its release notes."""
    # Loaded here, and not with the module, because Muster does without scikit-learn.
    from sklearn.compose import make_column_transformer  # noqa: PLC0415
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier  # noqa: PLC0415
    from sklearn.impute import SimpleImputer  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler  # noqa: PLC0415

    text = list(customers.training.select_dtypes(exclude="number").columns)
    numbers = list(customers.training.select_dtypes(include="number").columns)

    def logistic_regression() -> Any:
        prepared = make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), text),
            (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        )
        return make_pipeline(prepared, LogisticRegression(max_iter=2000))

    def random_forest() -> Any:
        prepared = make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), text),
            (SimpleImputer(strategy="median"), numbers),
        )
        return make_pipeline(prepared, RandomForestClassifier(n_estimators=60, min_samples_leaf=8, random_state=1))

    def gradient_boosting() -> Any:
        prepared = make_column_transformer(
            (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), text),
            remainder="passthrough",  # missing numbers too: this model takes them as they are
        )
        return make_pipeline(prepared, HistGradientBoostingClassifier(max_iter=60, learning_rate=0.08, random_state=1))

    return {
        "logistic regression": (logistic_regression, "The first one: simple, easy to explain, a baseline for all others."),
        "random forest": (random_forest, "60 trees on the same facts, to see whether interactions matter. They do, a little."),
        "gradient boosting": (gradient_boosting, "Learns from missing charges instead of guessing them."),
    }  # fmt: skip


def train(title: str, make: Callable[[], Any], notes: str, customers: Customers) -> Trained:
    """Fit a model, and judge it on customers whom it has not seen."""
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415 - as above

    began = time.monotonic()
    model = make().fit(customers.training, customers.training_left)
    seconds = time.monotonic() - began
    auc = float(roc_auc_score(customers.new_left, model.predict_proba(customers.new)[:, 1]))
    return Trained(title=title, model=model, auc=auc, training_s=seconds, notes=f"{notes} AUC {auc:.4f}.")


def save(trained: Trained, lab: Lab) -> Path:
    """Write a model as a bundle: the one call that a data scientist has to know."""
    return muster.save(
        trained.model,
        lab.bundle(trained.title),
        name="churn",
        sample=lab.customers.training,
        golden=lab.customers.golden(GOLDEN_ROWS),
        method="predict_proba",
        output=OUTPUT,
        owner="ana",
        description="Will this customer leave?",
        notes=trained.notes,
        notebook=_write_notebook(trained, lab),
        personal=list(_PERSONAL),
        data={"training": lab.training_file},
        prediction=PREDICTION,
    )


def save_blind_model(trained: Trained, lab: Lab) -> Path:
    """A bundle of a model that is good on the whole, and blind to some customers."""
    source = lab.folder / "blind_to_some.py"
    source.write_bytes(files("muster.demo").joinpath("blind_to_some.py").read_bytes())
    customers = lab.customers
    unknown = (customers.training["payment_method"] == BLIND_PAYMENT).to_numpy()
    model = _module_in(source).BlindToSome(trained.model, BLIND_PAYMENT, float(customers.training_left[unknown].mean()))
    return muster.save(
        model,
        lab.bundle("blind to some"),
        name="churn",
        sample=lab.customers.training,
        golden=lab.customers.golden(GOLDEN_ROWS),
        method="predict",
        output=OUTPUT,
        owner="ana",
        description="Will this customer leave?",
        notes="Faster: what was looked up per customer comes from one table now.",
        personal=list(_PERSONAL),
        data={"training": lab.training_file},
        prediction=PREDICTION,
        code=[source],
    )


def sealed_file(lab: Lab) -> Path:
    """Customers whom no model has seen, with what became of them: for ben, who seals them; ana never sees the file."""
    path = lab.folder / "sealed.parquet"
    customers = lab.customers
    customers.sealed.assign(**{LABEL: customers.sealed_left}).to_parquet(path)
    return path


def with_hidden_command(bundle: Path, target: Path, trace: Path) -> Path:
    """A sound bundle whose model file runs a command as soon as it is loaded; it would leave a file as its trace."""
    shutil.copytree(bundle, target)
    (target / "model" / "model.cloudpickle").write_bytes(_PAYLOAD % str(trace).encode())
    return target


def save_slow_model(trained: Trained, lab: Lab) -> Path:
    """A bundle of an object with `predict(columns)`: right for every customer, slow for some."""
    source = lab.folder / "slow_for_some.py"
    source.write_bytes(files("muster.demo").joinpath("slow_for_some.py").read_bytes())
    model = _module_in(source).SlowForSome(trained.model, SLOW_PAYMENT, SLOW_TENURE, SLOW_DELAY_S)
    return muster.save(
        model,
        lab.bundle("with old system"),
        name="churn",
        sample=lab.customers.training,
        golden=lab.customers.golden(GOLDEN_ROWS),
        method="predict",
        output=OUTPUT,
        owner="ana",
        description="Will this customer leave?",
        notes="Asks the old system about some customers. Same answers as before.",
        personal=list(_PERSONAL),
        data={"training": lab.training_file},
        code=[source],
    )


def without_golden_answers(bundle: Path, target: Path) -> Path:
    """A copy of a bundle that lacks what certification would compare with."""
    shutil.copytree(bundle, target)
    (target / "golden.parquet").unlink()
    return target


def with_golden_answers_of(other: Path, bundle: Path, target: Path) -> Path:
    """A sound bundle whose golden answers are another model's: nothing about it is broken, it is only not true."""
    shutil.copytree(bundle, target)
    shutil.copyfile(other / "golden.parquet", target / "golden.parquet")
    return target


def changed_on_the_way(bundle: Path, target: Path) -> Path:
    """The zip of a bundle in which one byte of the model was changed afterwards, its checksum with it."""
    with_everything = target.with_suffix(".whole.zip")
    pack(bundle, with_everything)
    with zipfile.ZipFile(with_everything) as whole, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as changed:
        for info in whole.infolist():
            content = bytearray(whole.read(info))
            if info.filename.startswith("model/"):
                content[len(content) // 2] ^= 1
            changed.writestr(info, bytes(content))
    with_everything.unlink()
    return target


def _module_in(source: Path) -> Any:
    """The module in a file of the lab, as if the lab's folder were where Python was started."""
    spec = importlib.util.spec_from_file_location(source.stem, source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[source.stem] = module  # pickle looks the class up there
    spec.loader.exec_module(module)
    return module


def _write_notebook(trained: Trained, lab: Lab) -> Path:
    """How the author got there, as Jupyter keeps it."""
    cells: list[dict[str, Any]] = [
        {"cell_type": "markdown", "metadata": {}, "source": [f"# Churn: {trained.title}\n", trained.notes]},
        {
            "cell_type": "code",
            "execution_count": 1,
            "metadata": {},
            "outputs": [
                {
                    "name": "stdout",
                    "output_type": "stream",
                    "text": [f"AUC {trained.auc:.4f} after {trained.training_s:.1f} s of training\n"],
                }
            ],
            "source": [
                "model = make().fit(training, left)\n",
                "roc_auc_score(new_left, model.predict_proba(new)[:, 1])",
            ],
        },
    ]
    path = lab.folder / f"{trained.title.replace(' ', '-')}.ipynb"
    path.write_text(
        json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1), encoding="utf-8"
    )
    return path
