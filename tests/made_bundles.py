"""Whole bundles made in milliseconds: a model in a few lines, a lock of one package that is pure Python, golden answers."""

import platform
import textwrap
from collections.abc import Sequence
from pathlib import Path

from muster.packaging.bundle import pack
from muster.packaging.claims import Claims
from muster.packaging.columns import Table
from muster.packaging.documents import Bundle, Card, DataSource, GoldenDescription, Made, Tolerance, toml_of
from muster.packaging.golden import write_golden
from muster.packaging.runtimes import PythonRuntime
from muster.packaging.samples import read_sample
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Field

#: One package that is pure Python: an environment of it is there within a second.
LOCK = b"""cloudpickle==3.1.2 \\
    --hash=sha256:7fda9eb655c9c230dab534f1983763de5835249750e85fbcef43aaa30a9a2414 \\
    --hash=sha256:9acb47f6afd73f60dc1df93bb801b472f05ff42fa6c84167d25cb206be1fbf4a
"""
ADDS_TENURE = """
    class Model:
        def predict(self, columns):
            return {"score": [tenure / 100 + len(plan) for tenure, plan in zip(columns["tenure"], columns["plan"])]}
"""
CONTRACT = Contract(
    inputs=(Field("tenure", Datatype.FP64), Field("plan", Datatype.BYTES)),
    outputs=(Field("score", Datatype.FP64),),
)
TENURES = (1.0, 12.0, 72.5, 0.0)
PLANS = ("monthly", "yearly", "größer", "")
SCORES = tuple(tenure / 100 + len(plan) for tenure, plan in zip(TENURES, PLANS, strict=True))


def made_bundle(
    folder: Path,
    *,
    name: str = "churn",
    notes: str = "first",
    owners: tuple[str, ...] = ("ana",),
    authors: tuple[str, ...] = (),
    source: str = ADDS_TENURE,
    scores: Sequence[object] = SCORES,
    contract: Contract = CONTRACT,
    lock: bytes = LOCK,
    tags: dict[str, str] | None = None,
    packages: dict[str, str] | None = None,
    card: Card | None = None,
    data: tuple[DataSource, ...] = (),
    notebook: bool = False,
    claims: Claims | None = None,
) -> Path:
    """A complete bundle in a new folder.

    Args:
        folder: where.
        name: of the model.
        notes: what NOTES.md says; other notes make another version.
        owners: who owns it.
        authors: who wrote it.
        source: a class `Model` with `predict(columns)`.
        scores: the expected golden answers.
        contract: its contract; the golden rows have the inputs `tenure` and `plan`, as far as it has them.
        lock: its lock.
        tags: free words.
        packages: what the lab says that it had, name → version.
        card: its model card.
        data: what it was made of.
        notebook: whether it carries one.
        claims: what its author claims.
    """
    (folder / "model").mkdir(parents=True)
    (folder / "src").mkdir()
    (folder / "src" / "the_model.py").write_text(textwrap.dedent(source), encoding="utf-8")
    # A pickle of `the_model.Model()`, which cloudpickle's own bytes for it would be, written without importing it here.
    (folder / "model" / "model.cloudpickle").write_bytes(b"cthe_model\nModel\n)R.")
    (folder / "requirements.lock").write_bytes(lock)
    (folder / "README.md").write_text("Will they leave?\n", encoding="utf-8")
    (folder / "NOTES.md").write_text(f"{notes}\n", encoding="utf-8")
    rows = read_sample({"tenure": list(TENURES), "plan": list(PLANS)}).table
    inputs = {field.name: rows.columns[field.name] for field in contract.inputs if field.name in rows.columns}
    expected = read_sample({"score": [float(score) if isinstance(score, int) else score for score in scores]}).table
    write_golden(folder / "golden.parquet", Table(rows.rows, inputs), expected)
    claimed = claims or Claims()
    bundle = Bundle(
        format=1,
        name=name,
        description="Will this customer leave within a month?",
        owners=owners,
        authors=authors,
        tags=tags or {},
        made=_made_with(packages),
        runtime=PythonRuntime(
            python=platform.python_version(),
            serializer="cloudpickle",
            model="model/model.cloudpickle",
            method="predict",
            input="lists",
            code=("src",),
            dtypes={field.name: "list" for field in contract.inputs},
        ),
        contract=contract,
        golden=GoldenDescription(rows=rows.rows, tolerance={"score": Tolerance(abs=1e-12, rel=1e-9)}),
        card=card or Card(),
        data=data,
        notebook="notebook.ipynb" if notebook else "",
        relations=claimed.relations,
        load=claimed.load,
        prediction=claimed.prediction,
        checks=claimed.checks,
    )
    if notebook:
        (folder / "notebook.ipynb").write_text('{"cells": []}', encoding="utf-8")
    (folder / "muster.toml").write_bytes(toml_of(bundle))
    return folder


def _made_with(packages: dict[str, str] | None) -> Made | None:
    if packages is None:
        return None
    return Made(by="muster", python=platform.python_version(), platform="a laptop", packages=packages)


def made_zip(folder: Path, **said: object) -> Path:
    """The same as one zip beside the folder."""
    target = folder.with_suffix(".zip")
    pack(made_bundle(folder, **said), target)  # type: ignore[arg-type]
    return target
