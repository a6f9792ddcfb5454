"""How a model is called: what it is handed, by which method, and what fields come of its answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from muster.packaging.columns import Column, Table, array_of, column_of, nan_as_null, nulls_of
from muster.packaging.errors import ModelNotSavable, SampleUnusable
from muster.packaging.runtimes import InputKind, Method, PythonRuntime
from muster.packaging.samples import Sample, as_kind, read_sample
from muster.vocabulary.tensors import FLOATS, Datatype
from muster.wire.contracts import Contract, Field, as_document
from muster_host import fields as host_fields
from muster_host import inputs as host_inputs

#: Libraries whose estimators take the table of the lab as it is; any other object gets a dict of columns.
_TABLE_TAKERS = frozenset({"catboost", "imblearn", "lightgbm", "sklearn", "xgboost"})
_METHODS: tuple[Method, ...] = ("predict_proba", "predict", "call")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """How the model is called."""

    method: Method
    sample: Sample
    """The sample as the model is handed it; its kind is `[runtime] input`."""


def call_of(model: Any, sample: Sample, method: Method | None, input_kind: InputKind | None) -> Call:
    """How a model is called.

    An estimator is handed the kind of table the sample is. Any other object or function gets a dict from column name to
    NumPy array, or to list where the sample is a dict of lists, unless the author asks for something else.

    Raises:
        ModelNotSavable: it has no such method.
    """
    chosen = method or _method_of(model)
    if chosen not in _METHODS:
        raise ModelNotSavable(f"method is {chosen!r}; it can be predict_proba or predict")
    call = model if chosen == "call" else getattr(model, chosen, None)
    if not callable(call):
        raise ModelNotSavable(f"the model is a {type(model).__name__} and has no {chosen}", method=chosen)
    kind = input_kind or _kind_for(model, sample)
    if kind not in {sample.kind, "columns", "lists"}:
        raise ModelNotSavable(f"the sample is of kind {sample.kind}, so the model cannot be handed {kind}")
    return Call(method=chosen, sample=sample if kind == sample.kind else as_kind(sample, kind))


def _method_of(model: Any) -> Method:
    for method in ("predict_proba", "predict"):
        if callable(getattr(model, method, None)):
            return method
    if callable(model):
        return "call"
    raise ModelNotSavable(
        f"a {type(model).__name__} is no model: give an estimator, an object with predict(columns), or a function"
    )


def _kind_for(model: Any, sample: Sample) -> InputKind:
    kinds = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    if hasattr(model, "get_params") or kinds & _TABLE_TAKERS or sample.kind in {"columns", "lists"}:
        return sample.kind
    return "columns"


def handed(inputs: Table, contract: Contract, runtime: PythonRuntime) -> Any:
    """What a host hands the model for these columns: built by the host's own code."""
    fields = [host_fields.Field(as_document(field)) for field in contract.inputs]
    build = host_inputs.builder_of(fields, as_document(runtime))
    views = [
        (memoryview(inputs.columns[field.name].data).cast("B"), _view(inputs.columns[field.name].nulls))
        for field in contract.inputs
    ]
    return build(inputs.rows, views)


def _view(nulls: Any) -> memoryview | None:
    return None if nulls is None else memoryview(nulls).cast("B")


def answers_of(model: Any, method: Method, data: Any) -> Any:
    """What the model itself says, in this process.

    Raises:
        ModelNotSavable: it raises.
    """
    call = model if method == "call" else getattr(model, method)
    try:
        return call(data)
    except Exception as error:
        raise ModelNotSavable(
            f"the model fails on its own golden rows: {type(error).__name__}: {error}", method=method
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """A model's answers as fields and columns."""

    fields: tuple[Field, ...]
    table: Table
    class_index: int | None


def described(answers: Any, *, model: Any, method: Method, output: str | None, rows: int) -> Answers:
    """The fields that these answers are, and the answers as their columns.

    Args:
        answers: what the model gave back.
        model: the model, for its classes.
        method: how it was called.
        output: the name that the author gives the one output.
        rows: how many went in.

    Raises:
        ModelNotSavable: they are nothing that a contract can express.
    """
    if method == "predict_proba":
        return _probabilities(answers, model, output, rows)
    named = _named(answers, output, rows)
    try:
        columns = {name: _finite(name, _output_column(name, values)) for name, values in named.items()}
    except SampleUnusable as error:
        raise ModelNotSavable(f"the model's answers cannot be used: {error.message}") from error
    fields = tuple(
        Field(name=name, datatype=column.datatype, shape=column.shape, nullable=_has_gaps(column))
        for name, column in columns.items()
    )
    return Answers(fields=fields, table=Table(rows, columns), class_index=None)


def _probabilities(answers: Any, model: Any, output: str | None, rows: int) -> Answers:
    if isinstance(answers, list):
        raise ModelNotSavable("predict_proba gives several arrays (several targets); save one model per target")
    array = np.asarray(answers)
    if array.ndim != 2 or len(array) != rows or array.dtype.kind not in "fiu":
        raise ModelNotSavable(f"predict_proba gives {array.dtype} of shape {array.shape}, not (rows, classes)")
    probabilities = array.astype(np.float64)
    if not np.isfinite(probabilities).all():
        row = int(np.argwhere(~np.isfinite(probabilities))[0][0])
        raise ModelNotSavable(f"predict_proba gives no finite probability for row {row} of the golden rows", row=row)
    classes = array.shape[1]
    if output is not None and classes == 2:
        column = column_of(Datatype.FP64, probabilities[:, 1])
        field = Field(name=output, datatype=Datatype.FP64, description=_meaning(model))
        return Answers(fields=(field,), table=Table(rows, {output: column}), class_index=1)
    name = output or "probabilities"
    field = Field(name=name, datatype=Datatype.FP64, shape=(classes,), labels=_labels(model, classes))
    return Answers(
        fields=(field,), table=Table(rows, {name: column_of(Datatype.FP64, probabilities)}), class_index=None
    )


def _labels(model: Any, classes: int) -> tuple[str | int | bool, ...] | None:
    known = getattr(model, "classes_", None)
    if known is None or len(known) != classes:
        return None
    return tuple(_label(value) for value in np.asarray(known).tolist())


def _label(value: Any) -> str | int | bool:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, str | int | bool) else str(value)


def _meaning(model: Any) -> str | None:
    labels = _labels(model, 2)
    return None if labels is None else f"probability of the class {labels[1]!r}"


def _named(answers: Any, output: str | None, rows: int) -> dict[str, Any]:
    names = getattr(answers, "column_names", None) or getattr(answers, "columns", None)
    if isinstance(answers, Mapping):
        named = {str(name): values for name, values in answers.items()}
    elif names is not None and not callable(names):
        named = {str(name): answers[name] for name in names}
    else:
        named = {output or "prediction": answers}
    if output is not None and list(named) != [output]:
        raise ModelNotSavable(f"output is {output!r}, but the model gives {', '.join(named)}; leave output out")
    for name, values in named.items():
        if not hasattr(values, "__len__") or isinstance(values, str | bytes) or len(values) != rows:
            count = len(values) if hasattr(values, "__len__") else "no"
            raise ModelNotSavable(f"the output {name!r} has {count} values for {rows} rows")
    if not named:
        raise ModelNotSavable("the model gives no outputs")
    return named


def _finite(name: str, column: Column) -> Column:
    """The column with NaN as the null that it is in a nullable output; a host takes no other number that is not finite."""
    if column.datatype in FLOATS and np.isinf(array_of(column)).any():
        raise SampleUnusable(f"the output {name!r} has an infinity; an output is a finite number", field=name)
    return nan_as_null(column)


def _has_gaps(column: Column) -> bool:
    if nulls_of(column) is not None:
        return True
    return bool(column.shape) and column.datatype in FLOATS and bool(np.isnan(array_of(column)).any())


def _output_column(name: str, values: Any) -> Column:
    array = _as_array(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.dtype.kind == "f":
        names = {"float16": Datatype.FP16, "float32": Datatype.FP32, "float64": Datatype.FP64}
        if array.dtype.name in names:
            return column_of(names[array.dtype.name], array)
    if array.ndim > 1 and array.dtype.kind in {"O", "U"}:
        raise SampleUnusable(f"column {name!r} is a tensor of text", field=name)
    if array.ndim > 1:
        return read_sample(array).table.columns["input"]
    return read_sample({name: array}).table.columns[name]


def _as_array(values: Any) -> Any:
    if hasattr(values, "to_numpy"):
        return values.to_numpy()
    if isinstance(values, Sequence):
        listed = list(values)
        if any(value is None or isinstance(value, str) for value in listed):
            array = np.empty(len(listed), dtype=object)
            array[:] = listed
            return array
    return np.asarray(values)
