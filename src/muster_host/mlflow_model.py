"""A folder with an `MLmodel` as a model, loaded and called by MLflow in the model's own environment.

MLflow checks what it is given against the signature that was logged with the model, so columns come to it in exactly the
types of that signature. A signature knows columns that may be absent and none that may be null; a column of whole numbers,
flags or moments that is null in every row is therefore left out, and one that is null in some rows is refused, as MLflow does.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from muster_host.fields import NUMPY_NAMES, Field, TableBroken
from muster_host.frames import Views
from muster_host.inputs import array_maker, object_maker
from muster_host.outputs import reader_of

#: Types of a signature's columns and the dtypes that MLflow takes them in; text is left to pandas.
_DTYPES = {"boolean": "bool", "integer": "int32", "long": "int64", "float": "float32", "double": "float64"}

#: (rows, data, nulls) → a column; None: leave it out.
Maker = Callable[[int, memoryview, Optional[memoryview]], Any]


class SignatureMismatch(Exception):
    """The folder's signature and the contract of the bundle do not fit together, or it has none."""


class MlflowModel:
    """A loaded MLflow model with all that is needed to call it: the face of `loading.Model`.

    Args:
        bundle: the folder of the bundle.
        model: what `mlflow.pyfunc.load_model` gave.
        makers: per input, what makes of its bytes what MLflow is handed.
        assemble: puts the made columns together.
        inputs: the contract's inputs.
        outputs: the contract's outputs.
    """

    def __init__(
        self,
        *,
        bundle: str,
        model: Any,
        makers: List[Maker],
        assemble: Callable[[Dict[str, Any], int], Any],
        inputs: List[Field],
        outputs: List[Field],
    ) -> None:
        self._bundle = bundle
        self._model = model
        self._makers = makers
        self._assemble = assemble
        self.inputs = inputs
        self.outputs = outputs
        self.read = reader_of(outputs)

    def enter(self, limits: Optional[Mapping[str, Any]] = None) -> None:  # noqa: ARG002 - the face of every model
        """Make this process the model's own."""
        os.chdir(self._bundle)

    def build(self, rows: int, columns: Sequence[Views]) -> Any:
        """What MLflow is handed for a batch: a DataFrame, an array or a dict of arrays.

        Raises:
            TableBroken: the columns are not the contract's inputs.
        """
        if len(columns) != len(self.inputs):
            raise TableBroken("the model takes %d columns, the table has %d" % (len(self.inputs), len(columns)))
        made = {}
        for field, make, (data, nulls) in zip(self.inputs, self._makers, columns):
            field.check(rows, data, nulls)
            value = make(rows, data, nulls)
            if value is not None:
                made[field.name] = value
        return rows, self._assemble(made, rows)

    def predict(self, given: Tuple[int, Any]) -> Any:
        """What the model says of a batch, as `reader_of` wants it."""
        rows, data = given
        if not rows:
            return {
                field.name: np.empty((0, *field.shape), NUMPY_NAMES.get(field.datatype, "object"))
                for field in self.outputs
            }
        result = self._model.predict(data)
        names = getattr(result, "columns", None)
        if len(self.outputs) == 1:
            if names is not None and len(names) == 1:
                return result.iloc[:, 0]
            if isinstance(result, dict) and len(result) == 1:
                return next(iter(result.values()))
            return result
        if names is None and getattr(result, "ndim", 0) == 2 and result.shape[1] == len(self.outputs):
            return {field.name: result[:, at] for at, field in enumerate(self.outputs)}
        return result


def load(order: Mapping[str, Any]) -> MlflowModel:
    """Load the folder that an order names.

    Raises:
        SignatureMismatch: it has no signature, or one that does not fit the contract.
        Exception: whatever MLflow, or the model's own code, raises while it is loaded.
    """
    # A model that is served tells nobody about it, and asks no repository who it is.
    os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true", GIT_PYTHON_REFRESH="quiet")
    import mlflow.pyfunc  # noqa: PLC0415 - only in environments that have it

    bundle = os.path.realpath(order["bundle"])
    folder = os.path.realpath(os.path.join(bundle, order["runtime"]["folder"]))
    if os.path.commonpath([bundle, folder]) != bundle or not os.path.isdir(folder):
        raise SignatureMismatch("%r is not a folder of the bundle" % order["runtime"]["folder"])
    model = mlflow.pyfunc.load_model(folder)
    schema = model.metadata.get_input_schema()
    if schema is None:
        raise SignatureMismatch(
            "the MLmodel has no signature; log the model again with one (mlflow.models.infer_signature)"
        )
    inputs = [Field(field) for field in order["contract"]["inputs"]]
    outputs = [Field(field) for field in order["contract"]["outputs"]]
    makers, assemble = _of_tensors(schema, inputs) if schema.is_tensor_spec() else _of_columns(schema, inputs)
    return MlflowModel(bundle=bundle, model=model, makers=makers, assemble=assemble, inputs=inputs, outputs=outputs)


def _of_tensors(schema: Any, fields: Sequence[Field]) -> Tuple[List[Maker], Callable[[Dict[str, Any], int], Any]]:
    specs = schema.inputs
    is_one = len(specs) == 1 and not specs[0].name
    if not is_one:
        _check_names([spec.name for spec in specs], fields)
    elif len(fields) != 1:
        raise SignatureMismatch("the signature takes one tensor, and the contract has %d inputs" % len(fields))
    types = [specs[0].type] if is_one else [{spec.name: spec.type for spec in specs}[field.name] for field in fields]
    makers: List[Maker] = [
        array_maker(field, kind) if field.item_bytes else _texts(field) for field, kind in zip(fields, types)
    ]
    name = fields[0].name
    return makers, (lambda made, rows: made[name]) if is_one else (lambda made, rows: made)  # noqa: ARG005


def _of_columns(schema: Any, fields: Sequence[Field]) -> Tuple[List[Maker], Callable[[Dict[str, Any], int], Any]]:
    import pandas as pd  # noqa: PLC0415 - MLflow's column signatures are about DataFrames

    specs = {spec.name: getattr(spec.type, "name", str(spec.type)) for spec in schema.inputs}
    _check_names(list(specs), fields)
    order = [spec.name for spec in schema.inputs]

    def assemble(made: Dict[str, Any], rows: int) -> Any:
        return pd.DataFrame({name: made[name] for name in order if name in made}, index=pd.RangeIndex(rows))

    def maker(field: Field) -> Maker:
        kind = specs[field.name]
        if kind in ("float", "double"):
            return array_maker(field, _DTYPES[kind])
        if kind in _DTYPES:
            return _whole(field, array_maker(field, _DTYPES[kind]))
        if kind == "datetime":
            texts = _texts(field)
            return _whole(
                field,
                lambda rows, data, nulls: np.asarray(pd.to_datetime(texts(rows, data, nulls)), dtype="datetime64[ns]"),
            )
        if kind == "string":
            return _texts(field)
        raise SignatureMismatch(
            "the column %r is of MLflow's type %s, which no contract can express" % (field.name, kind)
        )

    return [maker(field) for field in fields], assemble


def _texts(field: Field) -> Maker:
    return object_maker(field)


def _whole(field: Field, make: Maker) -> Maker:
    """Of a column that cannot be null in some rows."""

    def of_rows(rows: int, data: memoryview, nulls: Optional[memoryview]) -> Any:
        if nulls is not None and any(nulls):
            if all(nulls):
                return None
            raise ValueError(
                "the input %r is null in some rows, and MLflow can only leave such a column out" % field.name
            )
        return make(rows, data, None)

    return of_rows


def _check_names(names: Sequence[Optional[str]], fields: Sequence[Field]) -> None:
    wanted = sorted(field.name for field in fields)
    if sorted(name or "" for name in names) != wanted:
        raise SignatureMismatch(
            "the signature has the inputs %s, and the contract %s" % (", ".join(map(str, names)), ", ".join(wanted))
        )
