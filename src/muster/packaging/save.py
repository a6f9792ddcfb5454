"""`muster.save`: a fitted model becomes a bundle, a folder from which it can be run anywhere, by anyone, unchanged.

The model is written, loaded again in a fresh process the way a host will do it, and has to answer the golden rows like
the object itself; what that process imported is what the lock holds. Nothing is left behind when any of it fails.
"""

import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from muster.packaging.calling import Call, answers_of, call_of, described, handed
from muster.packaging.claims import Claims, Load, Prediction, Relation
from muster.packaging.columns import Table, nulls_of
from muster.packaging.data_sets import data_sources, data_toml_of, described_data
from muster.packaging.distributions import Installed
from muster.packaging.documents import (
    BUNDLE_FORMAT,
    DATA_NAME,
    GOLDEN_NAME,
    NOTEBOOK_NAME,
    NOTES_NAME,
    PROFILE_NAME,
    WHEELS_NAME,
    Bundle,
    Card,
    GoldenDescription,
    Made,
    Tolerance,
    description_problems,
    read_description,
    toml_of,
)
from muster.packaging.errors import BundleMalformed, ModelNotSavable, SampleUnusable, TargetNotABundle
from muster.packaging.essentials import lean_rehearsal
from muster.packaging.field_checks import FieldBroken
from muster.packaging.findings import findings_of
from muster.packaging.golden import compare, conformed, ranked_of, tolerance_of, write_golden
from muster.packaging.inference import infer_contract
from muster.packaging.interpreters import platform_tag, running_version
from muster.packaging.lock import lock_of
from muster.packaging.lock_file import read_lock
from muster.packaging.manifest import DESCRIPTION_NAME, ignored
from muster.packaging.model_files import write_model
from muster.packaging.notebooks import notebook_bytes
from muster.packaging.profiling import declared_profile
from muster.packaging.readme import notes as notes_text
from muster.packaging.readme import readme
from muster.packaging.rehearsal import Rehearsal, rehearse
from muster.packaging.runtimes import LOCK_NAME, CategoryValues, InputKind, Method, PythonRuntime
from muster.packaging.samples import Sample, dtype_when_nullable, read_sample
from muster.packaging.source import source_of
from muster.packaging.trees import remove_tree
from muster.vocabulary.names import checked_name
from muster.wire.contracts import Contract, Declared, Field

#: Golden rows that are taken from the sample when the author gives none.
_GOLDEN_ROWS = 50
_CODE_FOLDER = "src"
#: Of Linux, linux/fcntl.h and linux/fs.h.
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_SERIALIZERS = {"skops": "skops", "cloudpickle": "cloudpickle"}


def save(
    model: Any,
    path: str | Path,
    *,
    name: str,
    sample: Any,
    owner: str | Sequence[str],
    golden: Any = None,
    method: Method | None = None,
    output: str | None = None,
    description: str = "",
    notes: str = "",
    notebook: str | Path | None = None,
    personal: Collection[str] = (),
    data: Mapping[str, Any] | None = None,
    profile: Any = None,
    card: Card | Mapping[str, Any] | None = None,
    prediction: Prediction | Mapping[str, Any] | None = None,
    relations: Sequence[Relation | Mapping[str, Any]] = (),
    load: Load | Mapping[str, Any] | None = None,
    authors: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
    metrics: Mapping[str, float] | None = None,
    code: Sequence[str | Path] = (),
    tolerance: Mapping[str, Any] | None = None,
    ranking: Collection[str] = (),
    declared: Mapping[str, Declared | Mapping[str, Any]] | None = None,
    nullable: Collection[str] = (),
    input_kind: InputKind | None = None,
) -> Path:
    """Write a model as a bundle and give its folder.

    Args:
        model: a scikit-learn estimator or pipeline; or any object with `predict(columns)`, or a function of columns,
            where columns is a dict from name to NumPy array (to list, if the sample is a dict of lists). What comes
            back is an array for one output, or a dict from output name to array.
        path: the folder to write. It may hold an earlier bundle, which is replaced; anything else is left alone.
        name: the model's name: `churn`.
        sample: rows as the model is given them, for the contract: a pandas or polars DataFrame, an Arrow table, a NumPy
            array `(rows, …)`, or a dict of columns. Hundreds of rows that show every missing value are a good sample.
        owner: who answers for the model; one name or several.
        golden: rows whose answers you have looked at; they are checked before every release. Default: 50 of the sample.
        method: `predict_proba` or `predict`. Default: the first of them that the model has.
        output: the name of the one output. For a classifier of two classes, the output is then the probability of the
            second one, `classes_[1]`.
        description: what the model answers, in a sentence.
        notes: what changed in this version.
        notebook: how you got there, as .ipynb.
        personal: fields with personal data; nothing of their values gets into the contract.
        data: data sets by name: `{"training": "churn.parquet"}`, a path or an address; or with the time that it is of:
            `{"training": {"uri": "s3://bucket/churn.parquet", "from": "2025-01-01", "to": "2026-01-01"}}`.
        profile: rows that the model was trained on, like `sample`: their profile (bins, quantiles, categories, nulls, no row) goes
            into the bundle as profile.json, for watching the model later; of columns that are neither input nor label no value
            is told. Default: none; the factory makes one itself of data that lies below one of its sources.
        card: what people have to know who judge the model: `intended_use`, `limitations`, `risk_tier`, `business_metric`,
            `licences`, `deputy`; which of it must be there says the project's standard.
        prediction: what is predicted, so that it can be judged on evaluation data: `{"task": "binary", "label": "churned"}`;
            also `output`, `positive`, `slices`, `protected`, `group`.
        relations: how answers have to follow inputs: `[{"name": "older pays less", "kind": "monotone", "field": "age",
            "direction": "down"}]`.
        load: what it is expected to bear: `{"requests_per_s": 50, "p99_ms": 20, "memory_mib": 500}`.
        authors: who made it, where that is not the owner.
        tags: free words.
        metrics: figures that you measured, by name: `{"auc": 0.84}`; the version is found by them.
        code: your own modules and packages, files or folders; they travel in the bundle and are imported there. Without
            it, functions and classes of your own files are pickled by value.
        tolerance: per output, how far an answer may lie from the golden one: `{"churn_probability": {"abs": 1e-6}}`.
        ranking: outputs of which only the order of the golden rows counts, as of a score that ranks.
        declared: limits that refuse: `{"tenure": {"minimum": 0}, "contract": {"categories": ["One year"]}}`.
        nullable: fields that may be null although the sample shows none.
        input_kind: what the model is handed, where that is not decided by the sample: `columns`, `lists`.

    Raises:
        SampleUnusable: sample or golden hold what a contract cannot express.
        ContractMalformed: names or limits do not fit the sample.
        ModelNotSavable: the model cannot be written, or does not answer in a fresh process as it does here.
        LockFailed: a package that it needs cannot be installed again by anyone.
        TargetNotABundle: `path` exists and is not a bundle.
    """
    target = Path(path).absolute()
    checked_name(name, of="model")
    owners = (owner,) if isinstance(owner, str) else tuple(owner)
    for person in (*owners, *authors):
        checked_name(person, of="user")
    _refuse_foreign(target)
    told, sources, claims = _card_of(card), described_data(data or {}), _claims_of(prediction, relations, load)
    call = call_of(model, read_sample(sample), method, input_kind)
    rows, inputs = _golden(sample, golden, call.sample)
    contract, runtime = _inputs(call, inputs, personal=personal, declared=declared or {}, nullable=nullable)
    inputs = _conformed(inputs, contract)
    own_data = rows if call.sample.kind == _kind_of(rows) else handed(inputs, contract, runtime)
    answers = described(
        answers_of(model, call.method, own_data), model=model, method=call.method, output=output, rows=inputs.rows
    )
    bundle = Bundle(
        format=BUNDLE_FORMAT,
        name=name,
        runtime=msgspec.structs.replace(runtime, class_index=answers.class_index),
        contract=msgspec.structs.replace(contract, outputs=answers.fields),
        golden=GoldenDescription(
            rows=inputs.rows,
            platform=platform_tag(),
            tolerance=_tolerances(tolerance, answers.fields),
            compare=dict.fromkeys(ranking, "ranking"),
        ),
        description=description,
        owners=owners,
        authors=tuple(authors) or owners,
        tags=dict(tags or {}),
        metrics={name: float(value) for name, value in (metrics or {}).items()},
        source=source_of(Path.cwd()),
        made=Made(by=f"muster {version('muster-ml')}", python=running_version(), platform=platform_tag()),
        notes=NOTES_NAME if notes.strip() else "",
        notebook="" if notebook is None else NOTEBOOK_NAME,
        card=told,
        data=data_sources(sources),
        relations=claims.relations,
        load=claims.load,
        prediction=claims.prediction,
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".saving", dir=target.parent))
    try:
        scratch.chmod(0o755)
        if data is not None:
            (scratch / DATA_NAME).write_bytes(data_toml_of(sources))
        if profile is not None:
            label = () if claims.prediction is None else (claims.prediction.label,)
            told_of = {*(field.name for field in contract.inputs), *label}
            (scratch / PROFILE_NAME).write_bytes(declared_profile(profile, personal, told_of))
        if notebook is not None:
            (scratch / NOTEBOOK_NAME).write_bytes(notebook_bytes(Path(notebook)))
        installed = Installed()
        bundle = _with_model(model, scratch, bundle, installed, code)
        rehearsal = rehearse(scratch, bundle, inputs)
        _refuse_other_answers(rehearsal, answers.table, bundle)
        write_golden(scratch / GOLDEN_NAME, inputs, rehearsal.answers)
        lean = lean_rehearsal(scratch, bundle, inputs, rehearsal, installed)
        for leavings in list(scratch.rglob("__pycache__")):
            remove_tree(leavings)
        bundle = _with_lock(scratch, bundle, lean, installed)
        (scratch / DESCRIPTION_NAME).write_bytes(toml_of(bundle))
        (scratch / "README.md").write_text(readme(bundle), encoding="utf-8")
        (scratch / NOTES_NAME).write_text(notes_text(bundle, notes), encoding="utf-8")
        _refuse_unsound(scratch)
        _put_in_place(scratch, target)
    finally:
        remove_tree(scratch)
    if isinstance(bundle.runtime, PythonRuntime) and bundle.runtime.serializer_reason:
        sys.stderr.write(f"muster.save: written with cloudpickle, because {bundle.runtime.serializer_reason}\n")
    return Path(path)


def _card_of(given: Card | Mapping[str, Any] | None) -> Card:
    if isinstance(given, Card):
        return given
    try:
        return msgspec.convert(dict(given or {}), Card)
    except msgspec.ValidationError as error:
        raise SampleUnusable(f"card cannot be used: {error}") from error


def _claims_of(
    prediction: Prediction | Mapping[str, Any] | None,
    relations: Sequence[Relation | Mapping[str, Any]],
    load: Load | Mapping[str, Any] | None,
) -> Claims:
    given = {"prediction": prediction, "relations": relations, "load": load}
    try:
        return msgspec.convert(msgspec.to_builtins(given), Claims)
    except (msgspec.ValidationError, TypeError) as error:
        raise SampleUnusable(f"prediction, relations or load cannot be used: {error}") from error


def _refuse_foreign(target: Path) -> None:
    """Only nothing, an empty folder or an earlier bundle may be replaced."""
    if not target.exists() and not target.is_symlink():
        return
    if target.is_dir() and not target.is_symlink():
        if not any(target.iterdir()):
            return
        try:
            read_description(target)
        except BundleMalformed:
            pass
        else:
            return
    raise TargetNotABundle(f"{target} exists and is no bundle; it is left as it is", path=str(target))


def _golden(sample: Any, golden: Any, shown: Sample) -> tuple[Any, Table]:
    """The golden rows as the author's table and as columns in the order of the sample."""
    rows = golden if golden is not None else _spread(sample, shown.table.rows)
    read = read_sample(rows)
    missing = [name for name in shown.table.columns if name not in read.table.columns]
    extra = [name for name in read.table.columns if name not in shown.table.columns]
    if missing or extra:
        told = [f"lacks {name!r}" for name in missing] + [f"has {name!r}, which the sample lacks" for name in extra]
        raise SampleUnusable(f"golden {', '.join(told[:3])}")
    return rows, Table(read.table.rows, {name: read.table.columns[name] for name in shown.table.columns})


def _spread(sample: Any, rows: int) -> Any:
    """Rows of the sample, evenly spread over it, in its own library."""
    at = np.unique(np.linspace(0, rows - 1, min(rows, _GOLDEN_ROWS)).astype(int))
    if hasattr(sample, "iloc"):
        return sample.iloc[at]
    if hasattr(sample, "take") and hasattr(sample, "schema") and not isinstance(sample, np.ndarray):
        return sample.take(at)
    if isinstance(sample, Mapping):
        return {
            name: values[at] if isinstance(values, np.ndarray) else [values[index] for index in at]
            for name, values in sample.items()
        }
    return (sample.collect() if hasattr(sample, "collect") else sample)[at]


def _kind_of(rows: Any) -> str:
    return read_sample(rows).kind


def _inputs(
    call: Call,
    golden: Table,
    *,
    personal: Collection[str],
    declared: Mapping[str, Declared | Mapping[str, Any]],
    nullable: Collection[str],
) -> tuple[Contract, PythonRuntime]:
    """The inputs of the contract and the runtime that hands them to the model; outputs and files are filled in later."""
    sample = call.sample
    null_in_golden = [name for name, column in golden.columns.items() if nulls_of(column) is not None]
    closed = {
        name: Declared(categories=categories.values)
        for name, categories in sample.categories.items()
        if sample.dtypes[name] == "Enum"
    }
    placeholder = Field(name="answer", datatype=sample.table.columns[next(iter(sample.table.columns))].datatype)
    contract = infer_contract(
        sample, (placeholder,), personal, nullable={*nullable, *null_in_golden}, declared={**closed, **declared}
    )
    dtypes = {
        field.name: dtype_when_nullable(sample.kind, sample.dtypes[field.name])
        if field.nullable
        else sample.dtypes[field.name]
        for field in contract.inputs
    }
    runtime = PythonRuntime(
        python=running_version(),
        serializer="skops",
        model="",
        method=call.method,
        input=sample.kind,
        dtypes=dtypes,
        categories={
            name: CategoryValues(values=known.values, ordered=known.ordered, dtype=known.dtype)
            for name, known in sample.categories.items()
        },
        missing=dict.fromkeys(sample.missing, "nan"),
    )
    return contract, runtime


def _conformed(inputs: Table, contract: Contract) -> Table:
    columns = {}
    for field in contract.inputs:
        try:
            columns[field.name] = conformed(inputs.columns[field.name], field)
        except FieldBroken as broken:
            where = "" if broken.row is None else f", row {broken.row}"
            raise SampleUnusable(
                f"golden column {field.name!r}{where}: expected {broken.expected}, got {broken.value!r}",
                field=field.name,
            ) from None
    return Table(inputs.rows, columns)


def _tolerances(given: Mapping[str, Any] | None, outputs: tuple[Field, ...]) -> dict[str, Tolerance]:
    names = {field.name for field in outputs}
    made = {}
    for name, value in (given or {}).items():
        if name not in names:
            raise ModelNotSavable(f"tolerance names {name!r}, which is no output: {', '.join(sorted(names))}")
        if isinstance(value, Tolerance):
            made[name] = value
        elif isinstance(value, int | float):
            made[name] = Tolerance(abs=float(value))
        else:
            made[name] = msgspec.convert(dict(value), Tolerance)
    return made


def _with_model(model: Any, folder: Path, bundle: Bundle, installed: Installed, code: Sequence[str | Path]) -> Bundle:
    """Write code and model, and give the bundle that names them."""
    own_code = _copy_code(code, folder / _CODE_FOLDER)
    written = write_model(model, folder, installed, own_code)
    runtime = msgspec.structs.replace(
        bundle.runtime,
        serializer=written.serializer,
        model=written.path,
        trusted=written.trusted,
        serializer_reason=written.reason,
        code=(_CODE_FOLDER,) if own_code else (),
    )
    bundle = msgspec.structs.replace(bundle, runtime=runtime)
    bundle = msgspec.structs.replace(
        bundle, golden=msgspec.structs.replace(bundle.golden, tolerance=tolerance_of(bundle))
    )
    problems = description_problems(bundle)
    if problems:
        raise ModelNotSavable(problems[0], problems=problems)
    return bundle


def _copy_code(code: Sequence[str | Path], folder: Path) -> frozenset[str]:
    """Copy the author's modules into the bundle and give their top-level names."""
    for entry in map(Path, code):
        if entry.is_file() or (entry / "__init__.py").is_file() or entry.name in sys.modules:
            _copy_entry(entry, folder / entry.name)
        elif entry.is_dir():
            for inner in sorted(entry.iterdir()):
                if not ignored(inner.name):
                    _copy_entry(inner, folder / inner.name)
        else:
            raise SampleUnusable(f"code names {entry}, which does not exist")
    if not folder.is_dir():
        return frozenset()
    return frozenset(inner.name.partition(".")[0] for inner in folder.iterdir())


def _copy_entry(source: Path, target: Path) -> None:
    if target.exists():
        raise SampleUnusable(f"code names {target.name!r} twice")
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=lambda _, names: [name for name in names if ignored(name)])
    else:
        shutil.copyfile(source, target)


def _refuse_other_answers(rehearsal: Rehearsal, own: Table, bundle: Bundle) -> None:
    comparison = compare(rehearsal.answers, own, tolerance_of(bundle), ranked_of(bundle))
    if not comparison.passed:
        raise ModelNotSavable(
            "the saved model does not answer like the model itself: "
            f"{comparison.where}; {comparison.wrong} of {comparison.compared} values differ by more than the tolerance. "
            "A model must give the same answer to the same row: fix its random state, or allow a larger tolerance.",
            where=comparison.where,
        )


def _with_lock(folder: Path, bundle: Bundle, rehearsal: Rehearsal, installed: Installed) -> Bundle:
    """Write the lock and its wheels, and give the bundle that says what of it is installed here."""
    if any(name.partition(".")[0] == "muster" for name in rehearsal.modules):
        raise ModelNotSavable(
            "the saved model imports muster, which is not there where it runs; keep the model's own code apart from it"
        )
    reader = (_SERIALIZERS[bundle.runtime.serializer],) if isinstance(bundle.runtime, PythonRuntime) else ()
    lock = lock_of(rehearsal.modules, running_version(), installed, always=reader)
    (folder / LOCK_NAME).write_bytes(lock.content)
    for wheel in lock.wheels:
        (folder / WHEELS_NAME).mkdir(exist_ok=True)
        shutil.copyfile(wheel, folder / WHEELS_NAME / wheel.name)
    here = {package.name: installed.distribution(package.name) for package in read_lock(lock.content)}
    packages = {name: found.version for name, found in sorted(here.items()) if found is not None}
    made = None if bundle.made is None else msgspec.structs.replace(bundle.made, packages=packages)
    return msgspec.structs.replace(bundle, made=made)


def _refuse_unsound(folder: Path) -> None:
    errors = [finding for finding in findings_of(folder, read_description(folder)) if finding.level == "error"]
    if errors:
        raise ModelNotSavable(
            f"the bundle would not be sound: {errors[0].path}: {errors[0].problem}",
            problems=[f"{finding.path}: {finding.problem}" for finding in errors],
        )


def _put_in_place(scratch: Path, target: Path) -> None:
    """Rename the finished folder to its place; an earlier bundle there changes places with it and is removed."""
    _refuse_foreign(target)
    if not target.exists():
        scratch.rename(target)
    elif not _exchange(scratch, target):
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".replaced", dir=target.parent))
        target.rename(aside / target.name)
        scratch.rename(target)
        remove_tree(aside)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change places in one step, so that there is a whole bundle at every moment; False: not here."""
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
    if renameat2 is None:
        return False
    return bool(renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0)
