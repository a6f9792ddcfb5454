"""Bundles of a few lines of Python with claims of their author, and the bench on which single checks are put to them."""

import platform
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from made_bundles import LOCK
from muster.blobs.local import LocalBlobs
from muster.certification.checks import Bench, Question, put
from muster.certification.lab import lab_bench
from muster.certification.records import Check
from muster.environments.shelf import Shelf
from muster.packaging.bundle import read_bundle
from muster.packaging.claims import OwnCheck, Relation
from muster.packaging.contract import ContractChecker
from muster.packaging.documents import Bundle, GoldenDescription, Tolerance, toml_of
from muster.packaging.golden import write_golden
from muster.packaging.runtimes import PythonRuntime
from muster.packaging.samples import read_sample
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Field
from muster.wire.evidence import Exhibit

#: Age and plan in, a score out; a plan may be missing.
CONTRACT = Contract(
    inputs=(Field("age", Datatype.FP64), Field("plan", Datatype.BYTES, nullable=True)),
    outputs=(Field("score", Datatype.FP64),),
)
ROWS: list[dict[str, Any]] = [
    {"age": 20.0, "plan": "monthly"},
    {"age": 40.0, "plan": "yearly"},
    {"age": 70.0, "plan": "monthly"},
]
#: What is wrong with numbers alone is none of its business.
SOUND = """
    import math

    class Model:
        def predict(self, columns):
            return {"score": [self.score(age, plan or "") for age, plan in zip(columns["age"], columns["plan"])]}

        def score(self, age, plan):
            if not math.isfinite(age):
                raise ValueError("the age is no number")
            return min(max(age, -1000.0), 1000.0) / 100 + len(plan) / 1000
"""


def claimed_bundle(
    folder: Path,
    source: str = SOUND,
    *,
    contract: Contract = CONTRACT,
    rows: Sequence[Mapping[str, Any]] = ROWS,
    expected: Sequence[float] | None = None,
    relations: tuple[Relation, ...] = (),
    checks: tuple[OwnCheck, ...] = (),
    files: Mapping[str, str] | None = None,
    ranking: bool = False,
    extra: Mapping[str, Sequence[Any]] | None = None,
) -> Path:
    """A complete bundle in a new folder; its golden answers are the model's own unless others are given, `extra` those of further outputs."""
    (folder / "model").mkdir(parents=True)
    (folder / "src").mkdir()
    text = textwrap.dedent(source)
    (folder / "src" / "the_model.py").write_text(text, encoding="utf-8")
    (folder / "model" / "model.cloudpickle").write_bytes(b"cthe_model\nModel\n)R.")
    (folder / "requirements.lock").write_bytes(LOCK)
    for path, content in (files or {}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(textwrap.dedent(content), encoding="utf-8")
    inputs = ContractChecker(contract, max_rows=10_000).check_records([dict(row) for row in rows])
    answers = expected if expected is not None else _answers(text, contract, rows)
    outputs = {
        "score": [float(one) for one in answers],
        **{name: list(values) for name, values in (extra or {}).items()},
    }
    write_golden(folder / "golden.parquet", inputs, read_sample(outputs).table)
    bundle = Bundle(
        format=1,
        name="churn",
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
        golden=GoldenDescription(
            rows=inputs.rows,
            tolerance={"score": Tolerance(abs=1e-12)},
            compare={"score": "ranking"} if ranking else {},
        ),
        relations=relations,
        checks=checks,
        owners=("ana",),
    )
    (folder / "muster.toml").write_bytes(toml_of(bundle))
    return folder


def _answers(source: str, contract: Contract, rows: Sequence[Mapping[str, Any]]) -> list[float]:
    module: dict[str, Any] = {}
    exec(compile(source, "the_model.py", "exec"), module)
    columns = {field.name: [row[field.name] for row in rows] for field in contract.inputs}
    answers: list[float] = module["Model"]().predict(columns)["score"]
    return answers


class Benches:
    """Benches over one shelf of environments.

    Args:
        root: where everything lies.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = LocalBlobs(root / "blobs")
        self.shelf = Shelf(root / "environments", root / "uv-cache", self.blobs)
        self._made = 0

    @contextmanager
    def of(
        self, *told: Any, options: Mapping[str, Mapping[str, Any]] | None = None, **claimed: Any
    ) -> Iterator[tuple[Bench, ExitStack]]:
        """A bench with a bundle on it whose host runs and has answered its golden rows; the arguments are those of `claimed_bundle`."""
        self._made += 1
        place = self.root / f"bench-{self._made}"
        folder = claimed_bundle(place / "bundle", *told, **claimed)
        (place / "scratch").mkdir()
        with ExitStack() as stack:
            bench = lab_bench(
                folder, read_bundle(folder), self.shelf, self.blobs, place / "scratch", lambda _: None, stack
            )
            bench.given_options = options or {}
            yield bench, stack

    def put(self, question: Question, *told: Any, **claimed: Any) -> tuple[Check, tuple[Exhibit, ...]]:
        """One check put to a bundle, with what it shows; the arguments are those of `of`."""
        with self.of(*told, **claimed) as (bench, stack):
            check = put(question, bench, stack)
            shown = next((one.exhibits for one in bench.shown if one.name == question.name), ())
        return check, shown
